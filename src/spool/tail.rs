//! The raw end of a log, as the spool's reader hands it over. Pure.

use crate::report::model::Stream;
use crate::run::facts::Holds;

/// The raw end of a part of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTail {
    pub holds: Holds,
    /// Bytes of this part that stand before the first line.
    pub skipped_bytes: u64,
    pub lines: Vec<RawLine>,
}

/// A line without its end; of one over 64 KiB the last 64 KiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawLine {
    pub stream: Stream,
    pub bytes: Vec<u8>,
}
