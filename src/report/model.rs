//! The report: what is said of a run, in the reader's time zone, ready to be put into words. Pure.

use std::ops::Range;
use std::time::Duration;

use jiff::Zoned;

use crate::run::facts::{Ci, End, Holds, OutOfMemory, PartTrouble, Usage};
pub use crate::spool::tail::Stream;

#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub run_id: String,
    pub end: End,
    /// What names the run in the subject: `--title`, else the command's short form (`train.py`).
    pub name: String,
    /// The command as one would type it, quoted for a shell; None for a pipe.
    pub command: Option<String>,
    pub host: String,
    pub user: String,
    pub cwd: String,
    pub started: Zoned,
    pub ended: Zoned,
    pub duration: Duration,
    pub usage: Option<Usage>,
    pub out_of_memory: Option<OutOfMemory>,
    /// What went wrong, in one line, as its output has it: `RuntimeError: CUDA out of memory`.
    pub headline: Option<String>,
    /// The run of a CI system that it was part of.
    pub ci: Option<Ci>,
    pub note: Option<String>,
    pub tags: Vec<String>,
    /// The last lines; one section per part of the log that has any.
    pub excerpts: Vec<Excerpt>,
    /// What goes with the mail, and what of the log doesn't.
    pub logs: Vec<LogNote>,
    /// Places where something secret was taken out.
    pub redacted: u64,
}

impl Report {
    /// The same of a mail that carries no log.
    pub fn without_attachments(&self) -> Self {
        let bare = |log: &LogNote| match log.carried {
            Carried::Empty => log.clone(),
            _ => LogNote { attachment: None, carried: Carried::Nothing, ..log.clone() },
        };
        Self { logs: self.logs.iter().map(bare).collect(), ..self.clone() }
    }
}

/// The end of a part of the log, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    pub holds: Holds,
    /// Lines that tell of the failure, where it stands further up than the last ones.
    pub failure: Option<FurtherUp>,
    pub lines: Vec<Line>,
    /// Bytes of this part that stand before the first of `lines`.
    pub skipped_bytes: u64,
}

/// Lines that stand before the last ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FurtherUp {
    pub lines: Vec<Line>,
    /// How many lines stand between these and the last ones.
    pub lines_between: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub stream: Stream,
    /// Printable text: no control characters, no escape sequences, no line end.
    pub text: String,
    /// How parts of `text` (byte ranges, in order, without overlap) look; the rest is plain.
    pub styles: Vec<(Range<usize>, Style)>,
}

/// How a terminal would have shown a piece of text (SGR, ECMA-48 8.3.117).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    pub foreground: Option<Colour>,
    pub background: Option<Colour>,
    pub bold: bool,
    pub dim: bool,
    pub italic: bool,
    pub underline: bool,
    /// Foreground and background change places.
    pub inverse: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// One of the terminal's 16, whose look is the terminal's affair: 0 to 7, and 8 to 15 bright.
    Named(u8),
    Rgb(u8, u8, u8),
}

/// One part of the log and what of it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogNote {
    /// The attachment's file name, ASCII; None: it isn't attached.
    pub attachment: Option<String>,
    pub holds: Holds,
    /// Where the whole lies on the host.
    pub path: String,
    /// Bytes of the whole.
    pub bytes: u64,
    pub carried: Carried,
    pub trouble: Option<PartTrouble>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    Whole,
    /// The first `head` and last `tail` bytes; `omitted` between them are left out.
    Ends {
        head: u64,
        tail: u64,
        omitted: u64,
    },
    /// Only the excerpt in the body (`--log none`, or no room).
    Nothing,
    /// There is nothing: the command wrote no output.
    Empty,
}
