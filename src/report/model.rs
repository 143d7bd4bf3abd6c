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
    /// What the user asked to attach, and what became of that.
    pub files: Vec<FileNote>,
    /// Places where something secret was taken out.
    pub redacted: u64,
}

impl Report {
    /// The same of a mail that carries no log.
    pub fn without_attachments(&self) -> Self {
        let bare = |log: &LogNote| match log.carried {
            Carried::Empty => log.clone(),
            _ => LogNote { attachment: None, packed: None, carried: Carried::Nothing, ..log.clone() },
        };
        let left_out = |file: &FileNote| match file.fate {
            FileFate::Attached { .. } => {
                FileNote { fate: FileFate::LeftOut(LeftOut::PlainForm), ..file.clone() }
            }
            FileFate::LeftOut(_) => file.clone(),
        };
        Self {
            logs: self.logs.iter().map(bare).collect(),
            files: self.files.iter().map(left_out).collect(),
            ..self.clone()
        }
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
    /// Bytes of the attachment, where it is a .zip; None: it goes as it is, or not at all.
    pub packed: Option<u64>,
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

/// A file that the user asked to attach (`--attach-file`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileNote {
    /// The attachment's name; of what isn't attached, what the user typed.
    pub name: String,
    /// Where it lies on the host.
    pub path: String,
    /// None: not known.
    pub bytes: Option<u64>,
    pub fate: FileFate,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileFate {
    Attached { packed: Option<Packed> },
    LeftOut(LeftOut),
}

/// A file that travels in a .zip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    pub bytes: u64,
    pub why: WhyPacked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyPacked {
    /// There was no room for it as it is.
    Size,
    /// Providers refuse mails with a file of such a name.
    Name,
}

/// Why a file isn't attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftOut {
    Missing,
    /// No file fits the pattern.
    NoMatch,
    Folder,
    /// A FIFO, a device, a socket.
    NotRegular,
    Unreadable {
        errno: i32,
    },
    /// It was cut short or vanished while the mail was made.
    Changed,
    /// It was written anew after the run, and before the mail was made.
    ChangedSince,
    /// There is no room for it in the mail.
    TooLarge,
    /// So many more than are attached fit the pattern.
    TooMany(usize),
    /// There is no space on the disk to make a mail with it.
    NoSpace,
    /// The disk that it lies on doesn't answer.
    NoAnswer,
    /// The mail is the plain form, which carries nothing.
    PlainForm,
}
