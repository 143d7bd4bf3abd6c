//! The one line that says what went wrong, found in the end of the output. Pure.
//!
//! Programs tell of a failure in forms of their own: a traceback, a panic, a compiler's `error:`, a summary of
//! tests. [`signs`] is the table of what they begin with; one automaton looks for all of it at once, so that a
//! line without any costs next to nothing. What is found has a weight (how sure it is that this is a failure,
//! and how much it tells of the cause), and loses of it with each ordinary line that follows: a traceback that
//! was caught and logged an hour ago isn't why the run ended ([`choice`]).

mod builds;
mod choice;
#[cfg(test)]
mod property_tests;
mod python;
mod shells;
mod signs;
mod source;
mod stacks;
mod tests_run;
mod words;

use std::ops::Range;

use super::model::Stream;
use super::text::{cut, one_line};
use crate::run::facts::{End, OutOfMemory};

/// The widest headline, columns.
pub const MAX_COLUMNS: usize = 200;
/// The most lines that are told to explain it.
pub const MAX_LINES: usize = 12;

/// A line as a person reads it, in order; streams mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen<'a> {
    pub stream: Stream,
    pub text: &'a str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headline {
    /// One line, as the output has it: `RuntimeError: CUDA out of memory. Tried to allocate …`.
    pub text: String,
    /// The lines (indexes into what was given) that tell of it; at most [`MAX_LINES`].
    pub lines: Range<usize>,
}

/// What went wrong, if the output says so. A run that succeeded has none, whatever it wrote.
pub fn headline(lines: &[Seen<'_>], end: End, memory: Option<OutOfMemory>) -> Option<Headline> {
    let trust = choice::Trust::of(end, memory)?;
    let sources = source::split(lines);
    let mut found = Vec::new();
    for source in &sources {
        signs::scan(source, &mut found);
    }
    let best = choice::choose(lines, found, trust)?;
    let text = cut(&words_of(&best.text), MAX_COLUMNS);
    (!text.is_empty()).then_some(Headline { text, lines: best.shown })
}

/// On one line, with single blanks.
fn words_of(text: &str) -> String {
    one_line(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What kind of thing was found; it decides which of several is the one to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An exception with its trace, or what stands for one: the last one counts.
    Raised,
    /// KeyboardInterrupt: what counts, if it ended the run.
    Interrupt,
    /// A compiler's error, a panic: the first one counts, the others come of it.
    First,
    /// The end of a test run: all that its tests wrote before is only detail.
    Summary,
    /// Says that something else failed: what did stands before it.
    Wrapper,
    /// Killed for want of memory.
    Memory,
    /// A program's own message.
    Message,
    /// A line with a word like "error" in it.
    Word,
}

/// Its kind, and 0 to 100: how clear it is, and how much it tells of the cause.
type Rank = (Kind, u8);

/// Something that tells of a failure.
#[derive(Debug, Clone)]
struct Found {
    kind: Kind,
    weight: u8,
    text: String,
    /// The lines to show.
    shown: Range<usize>,
    /// The lines that belong to it.
    whole: Range<usize>,
    /// From which of the sources it is (`[rank0]:`).
    source: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(output: &str, end: End) -> Option<String> {
        let lines: Vec<Seen<'_>> = output.lines().map(|text| Seen { stream: Stream::Err, text }).collect();
        headline(&lines, end, None).map(|headline| headline.text)
    }

    const FAILED: End = End::Exited { code: 1 };

    #[test]
    fn smoke() {
        let python = "Traceback (most recent call last):\n  File \"x.py\", line 1, in <module>\n    f()\nValueError: x";
        assert_eq!(told(python, FAILED).as_deref(), Some("ValueError: x"));
        assert_eq!(told(python, End::Exited { code: 0 }), None);
        assert_eq!(told(python, End::NotStarted { errno: 2 }), None);
        let rust = "thread 'main' panicked at src/main.rs:2:5:\nboom\nnote: run with `RUST_BACKTRACE=1`";
        assert_eq!(told(rust, FAILED).as_deref(), Some("panicked: boom (src/main.rs:2:5)"));
        let make = "a.c:1:2: error: 'y' undeclared\nmake: *** [Makefile:2: all] Error 1";
        assert_eq!(told(make, FAILED).as_deref(), Some("a.c:1:2: error: 'y' undeclared"));
    }

    /// Catches an exception that was caught long ago told as the reason of another failure.
    #[test]
    fn what_was_caught_long_ago_is_not_the_reason() {
        let caught = "Traceback (most recent call last):\n  File \"x.py\", line 1, in <module>\n    f()\nValueError: x\n";
        let training = |lines: usize| format!("{caught}{}", "step 1: loss 0.5\n".repeat(lines));
        let told_of = |lines, last: &str, end| told(&format!("{}{last}", training(lines)), end);
        assert_eq!(told_of(5000, "Error: disk gone", FAILED).as_deref(), Some("Error: disk gone"));
        assert_eq!(told_of(5000, "", FAILED), None);
        assert_eq!(told_of(20, "Error: gave up", FAILED).as_deref(), Some("ValueError: x"));
        assert_eq!(told_of(20, "", End::Signaled { signal: 9, core_dumped: false }), None);
        assert_eq!(told_of(20, "", End::Unknown), None);
        assert_eq!(told_of(1, "", End::Unknown).as_deref(), Some("ValueError: x"));
    }

    /// Catches: Ctrl-C reported as an error that was caught before it, and a real error hidden by the interrupts
    /// of other processes.
    #[test]
    fn an_interrupt_counts_where_it_ended_the_run() {
        let raised = |what: &str| {
            format!("Traceback (most recent call last):\n  File \"x.py\", line 1\n    f()\n{what}\n\n")
        };
        let both = format!("{}{}", raised("ValueError: x"), raised("KeyboardInterrupt"));
        assert_eq!(told(&both, End::Exited { code: 130 }).as_deref(), Some("KeyboardInterrupt"));
        assert_eq!(
            told(&both, End::Signaled { signal: 2, core_dumped: false }).as_deref(),
            Some("KeyboardInterrupt")
        );
        assert_eq!(told(&both, FAILED).as_deref(), Some("ValueError: x"));
    }

    /// Catches a handled error told as the reason of a kill from outside, by the code that a shell makes of it.
    #[test]
    fn a_kill_from_outside_has_another_reason() {
        let old = format!("Error: retrying\n{}", "step: loss 0.5\n".repeat(30));
        for end in [
            End::Signaled { signal: 15, core_dumped: false },
            End::Signaled { signal: 9, core_dumped: false },
            End::Exited { code: 143 },
            End::ToldToEnd { signal: 15 },
            End::Unknown,
        ] {
            assert_eq!(told(&old, end), None, "{end:?}");
        }
        let limit = format!(
            "{old}slurmstepd: error: *** JOB 7 ON a CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***"
        );
        assert!(
            told(&limit, End::Signaled { signal: 15, core_dumped: false }).unwrap().contains("TIME LIMIT")
        );
    }

    /// Catches a knock-on error told where the kernel is known to have killed for want of memory.
    #[test]
    fn known_kills_for_memory_are_told_first() {
        let output = "RuntimeError: x\nTraceback (most recent call last):\n  File \"x.py\", line 1\nRuntimeError: lost worker\n\n\
                      ./job.sh: line 4: 7899 Killed                  python worker.py";
        let seen: Vec<Seen<'_>> = output.lines().map(|text| Seen { stream: Stream::Err, text }).collect();
        let of = |memory| headline(&seen, FAILED, memory).unwrap().text;
        assert_eq!(of(None), "RuntimeError: lost worker");
        assert!(of(Some(OutOfMemory { kills: 1, limit: None })).contains("7899 Killed"));
    }

    /// Catches: of lines that only have a word in them, what the program said on stdout told before stderr's.
    #[test]
    fn a_word_on_stderr_weighs_more() {
        let line = |stream, text| Seen { stream, text };
        let lines =
            [line(Stream::Err, "giving up: upload failed"), line(Stream::Out, "1 of 3 uploads failed")];
        assert_eq!(headline(&lines, FAILED, None).unwrap().text, "giving up: upload failed");
    }
}
