//! The end of a log as it was read back, before it is made into text. Pure.

use crate::run::facts::Holds;

/// The raw end of a part of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTail {
    pub holds: Holds,
    /// Bytes of the part that stand before these.
    pub skipped_bytes: u64,
    pub bytes: Vec<u8>,
    /// Where in `bytes` each stream begins to write, in order; the first at 0.
    pub pieces: Vec<Piece>,
}

/// From here on it is this stream's. The window is far smaller than 4 GiB, and may be cut into as many
/// pieces as it has bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    pub start: u32,
    pub stream: Stream,
}

impl RawTail {
    pub fn empty(holds: Holds, skipped_bytes: u64) -> Self {
        Self { holds, skipped_bytes, bytes: Vec::new(), pieces: Vec::new() }
    }

    /// Goes on with what `stream` wrote.
    pub fn push(&mut self, stream: Stream, bytes: &[u8]) {
        let Ok(start) = u32::try_from(self.bytes.len()) else { return };
        if !bytes.is_empty() && self.pieces.last().is_none_or(|last| last.stream != stream) {
            self.pieces.push(Piece { start, stream });
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// What a stream wrote, with where it stands in `bytes`.
    pub fn of(&self, stream: Stream) -> impl Iterator<Item = (usize, &[u8])> {
        let ends = self.pieces.iter().skip(1).map(|next| next.start as usize).chain([self.bytes.len()]);
        self.pieces.iter().zip(ends).filter(move |(piece, _)| piece.stream == stream).map(|(piece, end)| {
            let start = piece.start as usize;
            (start, self.bytes.get(start..end).unwrap_or_default())
        })
    }
}

/// Which of the command's streams a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}
