//! The message as it goes over the wire after DATA: in pieces, dots doubled, memory constant.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use memchr::memmem;

use crate::sys::fs::open_ours;

/// Bytes of the message that are read and written at a time: four full TLS records.
const PIECE: usize = 64 * 1024;

/// Header block and body file.
#[derive(Debug)]
pub(super) struct Message<'a> {
    headers: &'a [u8],
    file: File,
    /// Bytes, without what [`Pieces`] adds.
    pub(super) size: u64,
}

impl<'a> Message<'a> {
    pub(super) fn open(headers: &'a [u8], body: &Path) -> io::Result<Self> {
        let file = open_ours(body)?;
        let size = headers.len() as u64 + file.metadata()?.len();
        Ok(Self { headers, file, size })
    }

    /// Does it hold bytes that need 8BITMIME (RFC 6152)? Reads all of it: ask only where the answer
    /// changes what is said.
    pub(super) fn is_8bit(&self) -> io::Result<bool> {
        use std::os::unix::fs::FileExt;
        if !self.headers.is_ascii() {
            return Ok(true);
        }
        let (mut piece, mut at) = (vec![0; PIECE], 0);
        loop {
            match self.file.read_at(&mut piece, at)? {
                0 => return Ok(false),
                read if piece[..read].is_ascii() => at += read as u64,
                _ => return Ok(true),
            }
        }
    }

    pub(super) fn pieces(&self) -> Pieces<impl Read> {
        Pieces::new(self.headers.chain(&self.file))
    }
}

/// Cuts a message into pieces that may be written one after another; the line with the "." is not
/// in them. Lines end in CRLF; a dot that begins one is doubled (RFC 5321 section 4.5.2), also after
/// a bare LF, which some servers take for a line's end.
#[derive(Debug)]
pub(super) struct Pieces<R> {
    from: R,
    raw: Box<[u8]>,
    /// Used only for a piece with a dot to double.
    stuffed: Vec<u8>,
    /// The last two bytes.
    tail: [u8; 2],
    done: bool,
}

impl<R: Read> Pieces<R> {
    fn new(from: R) -> Self {
        let raw = vec![0; PIECE].into_boxed_slice();
        Self { from, raw, stuffed: Vec::new(), tail: *b"\r\n", done: false }
    }

    /// The next piece. None: that was all.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        if self.done {
            return Ok(None);
        }
        let read = fill(&mut self.from, &mut self.raw)?;
        self.done = read < self.raw.len();
        let raw = &self.raw[..read];
        let begins_line = self.tail[1] == b'\n';
        self.tail = match *raw {
            [.., before, last] => [before, last],
            [last] => [self.tail[1], last],
            [] => self.tail,
        };
        // The "." must stand on a line of its own.
        let close = self.done && self.tail != *b"\r\n";
        let dot_first = begins_line && raw.first() == Some(&b'.');
        let mut dots = memmem::find_iter(raw, b"\n.").map(|at| at + 1).peekable();
        if !dot_first && !close && dots.peek().is_none() {
            return Ok(Some(raw).filter(|raw| !raw.is_empty()));
        }
        self.stuffed.clear();
        if dot_first {
            self.stuffed.push(b'.');
        }
        let mut from = 0;
        for dot in dots {
            self.stuffed.extend_from_slice(&raw[from..dot]);
            self.stuffed.push(b'.');
            from = dot;
        }
        self.stuffed.extend_from_slice(&raw[from..]);
        if close {
            self.stuffed.extend_from_slice(b"\r\n");
        }
        Ok(Some(&self.stuffed))
    }
}

/// Reads until the piece is full or there is no more.
fn fill(from: &mut impl Read, piece: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < piece.len() {
        match from.read(&mut piece[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(message: &[u8]) -> Vec<u8> {
        let mut pieces = Pieces::new(message);
        let mut sent = Vec::new();
        while let Some(piece) = pieces.next().unwrap() {
            assert!(!piece.is_empty());
            sent.extend_from_slice(piece);
        }
        assert!(pieces.next().unwrap().is_none(), "asked again after the end");
        sent
    }

    /// By the letter of RFC 5321 section 4.5.2, a byte at a time.
    fn by_the_book(message: &[u8]) -> Vec<u8> {
        let (mut out, mut begins) = (Vec::new(), true);
        for byte in message {
            if begins && *byte == b'.' {
                out.push(b'.');
            }
            out.push(*byte);
            begins = *byte == b'\n';
        }
        if !message.is_empty() && !out.ends_with(b"\r\n") {
            out.extend_from_slice(b"\r\n");
        }
        out
    }

    /// Catches: a dot that isn't doubled or is twice, an end without CRLF or with one too many.
    #[test]
    fn dots_and_ends() {
        let all: [&[u8]; 10] = [
            b"",
            b".\r\n",
            b"..\r\n.a\r\n",
            b"a\r\n.\r\nb\r\n",
            b"a",
            b"a\r",
            b"a\n",
            b".",
            b"a\n.\nb",
            b"a.\r\n\r\n.",
        ];
        for message in all {
            assert_eq!(sent(message), by_the_book(message), "{message:?}");
        }
        assert_eq!(sent(b"a\r\n.b\r\n"), b"a\r\n..b\r\n");
    }

    /// Catches: a line's end and the dot after it in different pieces, at each place around the edge.
    #[test]
    fn the_edge_of_a_piece_may_fall_anywhere() {
        for around in 0..8 {
            for end in [&b""[..], b"\r\n", b"\r", b"."] {
                let mut message = vec![b'x'; PIECE - around];
                message.extend_from_slice(b"\r\n.\r\n..");
                message.resize(2 * PIECE - 3, b'y');
                message.extend_from_slice(b"\r\n.z");
                message.extend_from_slice(end);
                assert!(sent(&message) == by_the_book(&message), "{around} {end:?}");
            }
        }
        for exact in [PIECE, 2 * PIECE] {
            let mut message = vec![b'x'; exact - 2];
            message.extend_from_slice(b"\r\n");
            assert!(sent(&message) == message, "{exact}");
            message.pop();
            message.push(b'x');
            assert!(sent(&message) == by_the_book(&message), "{exact}");
        }
    }

    /// Catches: 8-bit bytes behind the first piece not seen.
    #[test]
    fn eight_bits_are_found_wherever_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let body = folder.path().join("body");
        let of = |headers: &'static [u8], bytes: &[u8]| {
            std::fs::write(&body, bytes).unwrap();
            let message = Message::open(headers, &body).unwrap();
            assert_eq!(message.size, (headers.len() + bytes.len()) as u64);
            message.is_8bit().unwrap()
        };
        let mut long = vec![b'x'; 3 * PIECE];
        assert!(!of(b"A: b\r\n", &long));
        long.push(0x80);
        assert!(of(b"A: b\r\n", &long));
        assert!(of(b"A: \xe9\r\n", b"x"));
    }
}
