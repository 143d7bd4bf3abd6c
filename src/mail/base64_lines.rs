//! Base64 in lines of 76 characters, from a stream to a stream, in constant memory.

use std::io::{self, ErrorKind, Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::limits::{LINE_RAW, LINE_WIRE};

const LINES: usize = 1024;
const RAW: usize = LINES * LINE_RAW as usize;

/// Encodes what it is given (RFC 2045 6.8). Call [`Base64Lines::finish`] at the end.
pub(super) struct Base64Lines<'a, W> {
    out: &'a mut W,
    /// Bytes not yet encoded: `raw[..filled]`.
    raw: Vec<u8>,
    filled: usize,
    encoded: Vec<u8>,
}

impl<'a, W: Write> Base64Lines<'a, W> {
    pub(super) fn new(out: &'a mut W) -> Self {
        Self { out, raw: vec![0; RAW], filled: 0, encoded: vec![0; LINES * LINE_WIRE as usize] }
    }

    /// Encodes a source up to its end.
    pub(super) fn copy(&mut self, source: &mut impl Read) -> io::Result<()> {
        loop {
            if self.filled == RAW {
                self.flush_lines()?;
            }
            match source.read(&mut self.raw[self.filled..]) {
                Ok(0) => return Ok(()),
                Ok(n) => self.filled += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Encodes what is left; the last line is ended by CRLF like the others.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.flush_lines()
    }

    fn flush_lines(&mut self) -> io::Result<()> {
        let mut end = 0;
        for line in self.raw[..self.filled].chunks(LINE_RAW as usize) {
            end += STANDARD
                .encode_slice(line, &mut self.encoded[end..])
                .expect("57 bytes make 76 characters, for which each line has room");
            self.encoded[end..end + 2].copy_from_slice(b"\r\n");
            end += 2;
        }
        self.filled = 0;
        self.out.write_all(&self.encoded[..end])
    }
}
