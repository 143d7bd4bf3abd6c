//! The message as it is handed to lettre: header block and body file in pieces, memory constant.

use std::fs::File;
use std::io::{self, Read};

/// Bytes of the message that are read and written at a time.
const PIECE: usize = 64 * 1024;

/// The message in pieces. It holds back the last CRLF, because lettre ends the message with
/// `CRLF "." CRLF` and one CRLF of it is the last line's.
pub(super) struct Pieces<F> {
    headers: Option<Vec<u8>>,
    file: File,
    carry: Vec<u8>,
    /// Called once, after the last piece and before lettre writes the final ".".
    finish: F,
}

impl<F: FnMut(io::Result<()>)> Iterator for Pieces<F> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if let Some(headers) = self.headers.take()
            && !headers.is_empty()
        {
            return Some(self.hold_back(headers));
        }
        let mut piece = Vec::with_capacity(PIECE + 2);
        piece.append(&mut self.carry);
        let held = piece.len();
        let read = (&self.file).take(PIECE as u64).read_to_end(&mut piece);
        match read {
            Ok(0) if held == 0 || piece == b"\r\n" => {
                (self.finish)(Ok(()));
                None
            }
            // A lone CR at the very end: no message of ours ends so, but its byte isn't ours to drop.
            Ok(0) => Some(piece),
            Ok(_) => Some(self.hold_back(piece)),
            Err(error) => {
                (self.finish)(Err(error));
                None
            }
        }
    }
}

impl<F> Pieces<F> {
    pub(super) fn new(headers: Vec<u8>, file: File, finish: F) -> Self {
        Self { headers: Some(headers), file, carry: Vec::new(), finish }
    }

    fn hold_back(&mut self, mut piece: Vec<u8>) -> Vec<u8> {
        let held = match piece.as_slice() {
            [.., b'\r', b'\n'] => 2,
            [.., b'\r'] => 1,
            _ => 0,
        };
        self.carry = piece.split_off(piece.len() - held);
        piece
    }
}
