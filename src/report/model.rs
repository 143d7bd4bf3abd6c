//! The report: what is said of a run, in the reader's time zone, ready to be put into words. Pure.

use std::time::Duration;

use jiff::Zoned;

use crate::run::facts::{End, Holds, OutOfMemory, PartTrouble, Usage};
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
    pub note: Option<String>,
    pub tags: Vec<String>,
    /// The last lines; one section per part of the log that has any.
    pub excerpts: Vec<Excerpt>,
    /// What goes with the mail, and what of the log doesn't.
    pub logs: Vec<LogNote>,
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
    pub lines: Vec<Line>,
    /// Bytes of this part that stand before the first line shown.
    pub skipped_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub stream: Stream,
    /// Printable text: no control characters, no escape sequences, no line end.
    pub text: String,
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
