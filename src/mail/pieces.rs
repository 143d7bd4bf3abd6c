//! The bytes of an attachment, read piece by piece from the file that holds them.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use super::limits::{Piece, omission, shortfall};
use crate::sys::fs::open_regular;

/// What stands at the end of an attachment that lacks some of what was planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// A line that says so.
    Told,
    /// Nothing: it isn't our file to write into.
    Silent,
}

/// Reads the pieces as one stream. A file that grew is cut at the planned end; one that shrank or can't be
/// read ends early, and what is missing is counted.
#[derive(Debug)]
pub(super) struct PieceReader {
    file: Option<File>,
    pieces: VecDeque<Piece>,
    now: Now,
    ending: Ending,
    first: bool,
    /// Bytes of the file that could not be had.
    pub missing: u64,
    /// Why, if an error was the reason.
    pub cause: Option<io::Error>,
    /// Bytes of the file that could.
    pub read: u64,
}

#[derive(Debug)]
enum Now {
    Next,
    Words(Cursor<String>),
    Bytes(u64),
    Over,
}

impl PieceReader {
    pub(super) fn open(path: &Path, pieces: &[Piece], ending: Ending) -> Self {
        let (file, cause) = match open_regular(path) {
            Ok(file) => (Some(file), None),
            Err(error) => (None, Some(error)),
        };
        let pieces = pieces.iter().cloned().collect();
        Self { file, pieces, now: Now::Next, ending, first: true, missing: 0, cause, read: 0 }
    }

    fn begin(&mut self, piece: Piece) {
        self.now = match piece {
            Piece::Omitted(bytes) => Now::Words(Cursor::new(omission(bytes, self.first))),
            Piece::Bytes(range) => {
                let planned = range.end.saturating_sub(range.start);
                match self.file.as_mut().map(|file| file.seek(SeekFrom::Start(range.start))) {
                    Some(Ok(_)) => Now::Bytes(planned),
                    failed => {
                        self.missing += planned;
                        self.cause = failed.and_then(Result::err).or_else(|| self.cause.take());
                        Now::Next
                    }
                }
            }
        };
        self.first = false;
    }

    fn read_file(&mut self, buffer: &mut [u8], left: u64) -> usize {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        loop {
            match self.file.as_mut().map(|file| file.read(&mut buffer[..most])) {
                Some(Err(e)) if e.kind() == ErrorKind::Interrupted => {}
                Some(Ok(n)) if n > 0 => {
                    self.read += n as u64;
                    self.now = Now::Bytes(left - n as u64);
                    return n;
                }
                ended => {
                    self.missing += left;
                    self.cause = ended.and_then(Result::err).or_else(|| self.cause.take());
                    self.now = Now::Next;
                    return 0;
                }
            }
        }
    }
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match &mut self.now {
                Now::Words(words) => match words.read(buffer)? {
                    0 => self.now = Now::Next,
                    n => return Ok(n),
                },
                Now::Bytes(0) => self.now = Now::Next,
                Now::Bytes(left) => {
                    let left = *left;
                    let n = self.read_file(buffer, left);
                    if n > 0 {
                        return Ok(n);
                    }
                }
                Now::Next => match self.pieces.pop_front() {
                    Some(piece) => self.begin(piece),
                    None if self.missing > 0 && self.ending == Ending::Told => {
                        self.ending = Ending::Silent;
                        self.now = Now::Words(Cursor::new(shortfall(self.missing)));
                    }
                    None => self.now = Now::Over,
                },
                Now::Over => return Ok(0),
            }
        }
    }
}

/// Is every piece UTF-8 without NUL? A character that a cut splits at a piece's edge is no fault.
pub(super) fn is_text(path: &Path, pieces: &[Piece]) -> io::Result<bool> {
    let file = open_regular(path)?;
    let mut buffer = vec![0; 64 * 1024];
    for piece in pieces {
        if let Piece::Bytes(range) = piece
            && !is_utf8(section(&file, range)?, &mut buffer)?
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How many bytes before `at` a line ends, and how many behind it, as far as `within`; None: none does.
pub(super) fn line_ends(path: &Path, at: u64, within: Range<u64>) -> io::Result<(Option<u64>, Option<u64>)> {
    let file = open_regular(path)?;
    let mut before = Vec::new();
    section(&file, &(within.start.min(at)..at))?.read_to_end(&mut before)?;
    let mut behind = Vec::new();
    section(&file, &(at..within.end.max(at)))?.read_to_end(&mut behind)?;
    let back = memchr::memrchr(b'\n', &before).map(|last| (before.len() - last - 1) as u64);
    let on = memchr::memchr(b'\n', &behind).map(|first| first as u64 + 1);
    Ok((back, on))
}

/// What stands in this range of the file.
pub(super) fn bytes_of(path: &Path, range: &Range<u64>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    section(&open_regular(path)?, range)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn section<'a>(mut file: &'a File, range: &Range<u64>) -> io::Result<io::Take<&'a File>> {
    file.seek(SeekFrom::Start(range.start))?;
    Ok(file.take(range.end.saturating_sub(range.start)))
}

fn is_utf8(mut source: impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    let (mut kept, mut first) = (0, true);
    loop {
        let n = match source.read(&mut buffer[kept..]) {
            Ok(0) => return Ok(true),
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        let block = &buffer[..kept + n];
        let skip = if first { block.iter().take(3).take_while(|b| **b & 0xC0 == 0x80).count() } else { 0 };
        if block.contains(&0) {
            return Ok(false);
        }
        let valid = match std::str::from_utf8(&block[skip..]) {
            Ok(_) => kept + n,
            Err(e) if e.error_len().is_none() => skip + e.valid_up_to(),
            Err(_) => return Ok(false),
        };
        buffer.copy_within(valid..kept + n, 0);
        kept = kept + n - valid;
        first = false;
    }
}
