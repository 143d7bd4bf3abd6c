//! What a mail says, before it is laid out as text or HTML: both say the same. Pure.

use nix::libc;

use super::amount::{self, Detail};
use super::i18n::{Ends, Strings};
use crate::report::model::{Carried, Excerpt, FileFate, FileNote, Line, LogNote, Report, Stream};
use crate::report::text::{cut, one_line};
use crate::run::ci::safe_link;
use crate::run::facts::{Ci, End, Holds, OutOfMemory, Outcome};

// Limits of what comes from outside, columns. A command line may be 2 MiB long, and a mail that a
// client clips has lost its end.
pub const NAME_COLUMNS: usize = 120;
const COMMAND_COLUMNS: usize = 1500;
const NOTE_COLUMNS: usize = 1500;
const VALUE_COLUMNS: usize = 300;
const TAG_COLUMNS: usize = 40;
const TAGS: usize = 12;
const LOGS: usize = 4;
const FILES: usize = 10;
const FILE_COLUMNS: usize = 120;
const HEADLINE_COLUMNS: usize = 240;
/// The exit status of timeout(1) where the time was up.
const TIMED_OUT: i32 = 124;
/// What tells one commit of a repository from another.
const COMMIT_DIGITS: usize = 8;

/// The sign of an outcome in the subject: seen in a list of mails.
pub fn icon(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "✅",
        Outcome::Failure => "❌",
        Outcome::Unknown => "🏁",
        Outcome::Interrupted => "❗",
    }
}

/// The sign of an outcome in a body: plain characters, that take on a colour.
pub fn mark(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "✓",
        Outcome::Failure => "✗",
        Outcome::Unknown => "■",
        Outcome::Interrupted => "!",
    }
}

/// The outcome in a word.
pub fn outcome_word(outcome: Outcome, strings: &Strings) -> &'static str {
    match outcome {
        Outcome::Success => strings.state.succeeded,
        Outcome::Failure => strings.state.failed,
        Outcome::Unknown => strings.state.ended,
        Outcome::Interrupted => strings.state.interrupted,
    }
}

/// How it ended, in a few words: `succeeded`, `exit 1`, `SIGKILL (9)`.
pub fn state(end: End, memory: Option<OutOfMemory>, strings: &Strings) -> String {
    match end {
        _ if end.is_for_want_of_memory(memory) => strings.state.out_of_memory.to_owned(),
        End::Interrupted { .. } => strings.state.interrupted.to_owned(),
        End::Exited { code: 0 } | End::Reported { code: 0 } => strings.state.succeeded.to_owned(),
        End::Exited { code } | End::Reported { code } => (strings.state.exit)(code),
        End::Signaled { signal, .. } => amount::signal(signal),
        End::Unknown => strings.state.ended.to_owned(),
        End::ToldToEnd { signal } => (strings.state.told_to_end)(&amount::signal(signal)),
        End::NotStarted { errno } => match errno {
            libc::ENOENT => strings.state.not_found,
            libc::EACCES | libc::ENOEXEC | libc::EPERM => strings.state.not_executable,
            _ => strings.state.not_started,
        }
        .to_owned(),
    }
}

/// How it ended, in full.
fn result(end: End, memory: Option<OutOfMemory>, strings: &Strings) -> String {
    match end {
        End::Interrupted { why, still_running, .. } => {
            let told = (strings.state.interrupted_because)(why);
            match still_running {
                Some(pid) => format!("{told} · {}", (strings.state.still_running)(pid)),
                None => told.to_owned(),
            }
        }
        End::Exited { code: code @ 129..=159 } => {
            let signal = code - 128;
            let told = (strings.state.exited_by_signal)(code, &amount::signal(signal));
            // 129 is also what git says of a wrong option: a terminal that closed would be a guess.
            match (strings.state.signal_reason)(signal).filter(|_| signal != libc::SIGHUP) {
                Some(reason) => format!("{told} · {reason}"),
                None => told,
            }
        }
        End::Exited { code: code @ TIMED_OUT } => (strings.state.timed_out)(code),
        End::Exited { code } => (strings.state.exited)(code),
        End::Reported { code } => (strings.state.reported)(code),
        End::Signaled { signal, core_dumped } => {
            let told = (strings.state.signaled)(&amount::signal(signal), core_dumped);
            let limit = memory.and_then(|memory| memory.limit).map(amount::size);
            match (strings.state.signal_reason)(signal) {
                _ if end.is_for_want_of_memory(memory) => {
                    format!("{told} · {}", (strings.state.killed_for_memory)(limit.as_deref()))
                }
                Some(reason) => format!("{told} · {reason}"),
                None => told,
            }
        }
        End::Unknown => strings.state.unknown.to_owned(),
        End::ToldToEnd { signal } => (strings.state.pipe_told_to_end)(&amount::signal(signal)),
        End::NotStarted { errno: libc::ENOENT } => {
            format!("{} · {}", strings.state.not_found, (strings.state.exited)(127))
        }
        End::NotStarted { errno } => {
            format!("{} · {}", (strings.state.not_started_because)(errno), (strings.state.exited)(126))
        }
    }
}

/// The same with all that stands around the output cut short.
pub fn brief(report: &Report) -> Report {
    const COLUMNS: usize = 80;
    const LONG_COLUMNS: usize = 300;
    let short = |text: &String| cut(&one_line(text), COLUMNS);
    let long = |text: &String| cut(&one_line(text), LONG_COLUMNS);
    let log = |log: &LogNote| LogNote {
        attachment: log.attachment.as_ref().map(short),
        path: cut(&one_line(&log.path), COLUMNS),
        ..log.clone()
    };
    let ci = |ci: &Ci| Ci {
        system: short(&ci.system),
        name: ci.name.as_ref().map(short),
        branch: ci.branch.as_ref().map(short),
        ..ci.clone()
    };
    Report {
        name: short(&report.name),
        command: report.command.as_ref().map(long),
        host: short(&report.host),
        user: short(&report.user),
        cwd: short(&report.cwd),
        headline: report.headline.as_ref().map(long),
        note: report.note.as_ref().map(long),
        ci: report.ci.as_ref().map(ci),
        logs: report.logs.iter().map(log).collect(),
        ..report.clone()
    }
}

/// What went wrong, if the output told.
pub fn headline(report: &Report) -> Option<String> {
    let headline = cut(&one_line(report.headline.as_deref()?), HEADLINE_COLUMNS);
    (!headline.is_empty()).then_some(headline)
}

/// How many places a reader misses, where any were taken out.
pub fn redacted(report: &Report, strings: &Strings) -> Option<String> {
    (report.redacted > 0).then(|| (strings.redacted)(report.redacted))
}

/// Something known of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    pub label: &'static str,
    pub value: String,
    pub kind: Kind,
}

/// What a fact is, for those who show it in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// How the run ended.
    Result,
    /// Something that one could type: a command, a path.
    Code,
    /// A page: http or https.
    Link,
    Plain,
}

/// The facts in the order of their weight.
pub fn facts(report: &Report, strings: &Strings) -> Vec<Fact> {
    let label = &strings.label;
    let of = |label, value, kind| Fact { label, value, kind };
    let plain = |label, value| of(label, value, Kind::Plain);
    let long = |value| amount::duration(value, Detail::Exact, &strings.units);
    let time = |at: &jiff::Zoned| at.strftime("%Y-%m-%d %H:%M:%S %:z").to_string();
    let mut rows = vec![of(label.result, result(report.end, report.out_of_memory, strings), Kind::Result)];
    if let Some(memory) = report.out_of_memory
        && !report.end.is_for_want_of_memory(report.out_of_memory)
    {
        let limit = memory.limit.map(amount::size);
        rows.push(plain(label.shortage, (strings.state.others_killed)(memory.kills, limit.as_deref())));
    }
    if let Some(command) = &report.command {
        rows.push(of(label.command, cut(&one_line(command), COMMAND_COLUMNS), Kind::Code));
    }
    rows.extend([
        plain(label.duration, duration(report, Detail::Exact, strings)),
        plain(label.host, value(&report.host)),
        plain(label.user, value(&report.user)),
        of(label.directory, value(&report.cwd), Kind::Code),
        plain(label.started, time(&report.started)),
    ]);
    if let End::Interrupted { last_output, .. } = report.end {
        let zone = report.started.time_zone();
        rows.extend(last_output.map(|at| plain(label.last_output, time(&at.to_zoned(zone.clone())))));
        rows.push(plain(label.last_sign, time(&report.ended)));
    } else {
        rows.push(plain(label.ended, time(&report.ended)));
    }
    if let Some(usage) = &report.usage {
        let all = long(usage.user.saturating_add(usage.system));
        rows.push(plain(label.cpu, (strings.cpu)(&all, &long(usage.user), &long(usage.system))));
        rows.push(plain(label.memory, (strings.memory)(&amount::size(usage.peak_rss))));
    }
    rows
}

/// The CI system's run that it was part of.
pub fn ci_facts(report: &Report, strings: &Strings) -> Vec<Fact> {
    let Some(Ci { system, name, branch, commit, url }) = &report.ci else { return Vec::new() };
    let label = &strings.label;
    let joined = |parts: [Option<String>; 2]| {
        let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        parts.join(" · ")
    };
    let commit = commit.as_deref().map(|commit| value(commit).chars().take(COMMIT_DIGITS).collect());
    let branch = branch.as_deref().map(value).filter(|branch| !branch.is_empty());
    let at = if branch.is_some() { label.branch } else { label.commit };
    let rows = [
        (label.ci, joined([Some(value(system)), name.as_deref().map(value)]), Kind::Plain),
        (at, joined([branch, commit]), Kind::Code),
        // It comes from a file by now, which anybody may have edited.
        (label.link, url.as_deref().and_then(safe_link).unwrap_or_default(), Kind::Link),
    ];
    let rows = rows.into_iter().filter(|(_, value, _)| !value.is_empty());
    rows.map(|(label, value, kind)| Fact { label, value, kind }).collect()
}

/// How long it took; of a run that nobody saw end, what is known of that.
pub fn duration(report: &Report, detail: Detail, strings: &Strings) -> String {
    let told = amount::duration(report.duration, detail, &strings.units);
    match report.end {
        End::Interrupted { .. } => (strings.at_least)(&told),
        _ => told,
    }
}

/// A value of a row, of bounded length.
pub fn value(text: &str) -> String {
    cut(&one_line(text), VALUE_COLUMNS)
}

pub fn tags(report: &Report) -> Vec<String> {
    report.tags.iter().take(TAGS).map(|tag| cut(&one_line(tag), TAG_COLUMNS)).collect()
}

/// The lines of the user's note.
pub fn note(report: &Report) -> Vec<String> {
    let Some(note) = &report.note else { return Vec::new() };
    crate::report::text::lines(&cut(note, NOTE_COLUMNS))
}

/// A part of the log, told.
#[derive(Debug)]
pub struct LogText {
    /// The attachment's name, else what it holds.
    pub name: String,
    /// Empty where the name says it all.
    pub what: String,
    pub place: Option<String>,
    pub trouble: Option<String>,
}

/// Each part of the log, but where all of them are empty; and the files that the user asked for.
pub fn logs(report: &Report, strings: &Strings) -> Vec<LogText> {
    let host = value(&report.host);
    let parts = if is_empty(report) { &[] } else { &report.logs[..] };
    let mut told: Vec<LogText> = parts.iter().take(LOGS).map(|log| log_text(log, &host, strings)).collect();
    // What is missing is news; what is there can be seen.
    let (lacking, there): (Vec<_>, Vec<_>) =
        report.files.iter().partition(|file| matches!(file.fate, FileFate::LeftOut(_)));
    let files = lacking.into_iter().chain(there).take(FILES);
    told.extend(files.map(|file| file_text(file, &cut(&host, FILE_COLUMNS), strings)));
    if let Some(more) = report.files.len().checked_sub(FILES).filter(|more| *more > 0) {
        told.push(LogText {
            name: (strings.file.more)(more),
            what: String::new(),
            place: None,
            trouble: None,
        });
    }
    told
}

fn file_text(file: &FileNote, host: &str, strings: &Strings) -> LogText {
    let words = &strings.file;
    let size = file.bytes.map(amount::size);
    let what = match &file.fate {
        FileFate::Attached { packed: None } => (words.attached)(size.as_deref().unwrap_or_default()),
        FileFate::Attached { packed: Some(packed) } => {
            (words.packed)(size.as_deref().unwrap_or_default(), &amount::size(packed.bytes), packed.why)
        }
        FileFate::LeftOut(why) => cut(&(words.left_out)(why, size.as_deref()), VALUE_COLUMNS),
    };
    let short = |text: &str| cut(&one_line(text), FILE_COLUMNS);
    LogText {
        name: short(&file.name),
        what,
        place: (file.bytes.is_some() && matches!(file.fate, FileFate::LeftOut(_)))
            .then(|| (words.place)(&value(&file.path), host)),
        trouble: None,
    }
}

fn log_text(log: &LogNote, host: &str, strings: &Strings) -> LogText {
    let words = &strings.log;
    let all = amount::size(log.bytes);
    let zip = log.packed.map(amount::size);
    let what = match (log.carried, &log.attachment) {
        (Carried::Empty, _) => words.empty.to_owned(),
        (Carried::Whole, Some(_)) => match (log.trouble.is_some(), &zip) {
            (true, None) => (words.rest)(&all),
            (false, None) => (words.whole)(&all),
            (true, Some(zip)) => (words.packed_rest)(&all, zip),
            (false, Some(zip)) => (words.packed)(&all, zip),
        },
        (Carried::Ends { head, tail, omitted }, Some(_)) => (words.ends)(Ends {
            all: &all,
            head: (head > 0).then(|| amount::size(head)).as_deref(),
            tail: &amount::size(tail),
            omitted: &amount::size(omitted),
            packed: zip.as_deref(),
        }),
        (Carried::Nothing, _) | (_, None) => (words.nothing)(&all),
    };
    let name = log.attachment.as_deref().map(value);
    LogText {
        name: name.unwrap_or_else(|| (words.holds)(log.holds).to_owned()),
        what,
        place: (log.carried != Carried::Empty).then(|| (words.place)(&value(&log.path), host)),
        trouble: log.trouble.map(words.trouble),
    }
}

/// What of an excerpt is shown.
#[derive(Debug)]
pub struct Shown<'a> {
    pub heading: String,
    /// The failure's own lines, where they stand further up.
    pub failure: Option<Failure<'a>>,
    pub fit: Fit<'a>,
    /// Are there lines from stderr among others, so that a column for their mark is needed?
    pub has_stderr: bool,
}

#[derive(Debug)]
pub struct Failure<'a> {
    pub fit: Fit<'a>,
    /// Says how many lines stand between these and the last ones.
    pub between: Option<String>,
}

/// The newest lines of several, as many as there is room for.
#[derive(Debug)]
pub struct Fit<'a> {
    pub lines: &'a [Line],
    /// Says how many lines there was no room for.
    pub left_out: Option<String>,
}

/// Takes lines from the end until `cost` of one more is over `room`. The failure's own come first, but
/// take no more than half of it.
pub fn shown<'a>(
    excerpt: &'a Excerpt,
    room: usize,
    strings: &Strings,
    cost: impl Fn(&Line) -> usize,
) -> Shown<'a> {
    let mut left = room;
    let failure = excerpt.failure.as_ref().filter(|failure| !failure.lines.is_empty()).map(|failure| {
        let (fit, used) = newest(&failure.lines, room / 2, strings, &cost);
        left = room.saturating_sub(used);
        let between = failure.lines_between;
        Failure { fit, between: (between > 0).then(|| (strings.output.between)(between)) }
    });
    let (fit, _) = newest(&excerpt.lines, left, strings, &cost);
    let count = fit.lines.len();
    let heading = if count == excerpt.lines.len() && excerpt.skipped_bytes == 0 {
        (strings.output.whole)(excerpt.holds, count)
    } else {
        let before = (excerpt.skipped_bytes > 0).then(|| amount::size(excerpt.skipped_bytes));
        (strings.output.last)(excerpt.holds, count, before.as_deref())
    };
    let from_stderr = |fit: &Fit<'_>| fit.lines.iter().any(|line| line.stream == Stream::Err);
    let any = from_stderr(&fit) || failure.as_ref().is_some_and(|failure| from_stderr(&failure.fit));
    // Of a part that is all stderr the heading says so.
    let has_stderr = excerpt.holds == Holds::Both && any;
    Shown { heading, failure, fit, has_stderr }
}

/// The lines, and what they cost.
fn newest<'a>(
    lines: &'a [Line],
    room: usize,
    strings: &Strings,
    cost: impl Fn(&Line) -> usize,
) -> (Fit<'a>, usize) {
    let mut used = 0;
    let mut first = lines.len();
    while first > 0 {
        let more = used + cost(&lines[first - 1]);
        if more > room {
            break;
        }
        (used, first) = (more, first - 1);
    }
    (Fit { lines: &lines[first..], left_out: (first > 0).then(|| (strings.output.left_out)(first)) }, used)
}

fn is_empty(report: &Report) -> bool {
    report.excerpts.is_empty() && report.logs.iter().all(|log| log.carried == Carried::Empty)
}

/// Did the command run and write nothing at all?
pub fn is_silent(report: &Report) -> bool {
    is_empty(report) && !report.logs.is_empty() && !matches!(report.end, End::NotStarted { .. })
}
