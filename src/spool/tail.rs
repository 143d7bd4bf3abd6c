//! The end of a log as it was read back, before it is made into text. Pure.

use crate::run::facts::Holds;

/// The raw end of a part of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTail {
    pub holds: Holds,
    /// Bytes of the part that stand before the first line here.
    pub skipped_bytes: u64,
    pub lines: Vec<RawLine>,
}

/// One line without its end; of a very long one only the end is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawLine {
    pub stream: Stream,
    pub bytes: Vec<u8>,
}

/// Which of the command's streams a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}
