//! Takes out of a stream, in bounded memory. Pure: it reads and writes what it is given.

use std::io::{self, BufRead, Write};

use super::pem::Pem;
use super::{Edit, Places, Redactor, apply};

/// A line of so many bytes is seen whole.
pub const LINE: usize = 64 * 1024;
/// What is no longer than this is found in a longer line, too, wherever it stands.
pub const LONGEST: usize = 16 * 1024;
/// So much of what stands before a window is seen with it: `password=` before the password.
pub(super) const BEFORE: usize = 1024;
/// So much is looked at at once.
pub(super) const WHOLE: usize = LINE + LONGEST;

impl Redactor {
    /// Copies `from` to `to` without what is to go; gives how many places that were. Takes less than
    /// 1 MiB of memory, however long the lines are.
    ///
    /// # Errors
    /// Those of `from` and `to`.
    pub fn redact_stream(&self, from: &mut impl BufRead, to: &mut impl Write) -> io::Result<Places> {
        run(self, &mut Pem::default(), (from, to))
    }
}

pub(super) fn run(
    redactor: &Redactor,
    pem: &mut Pem,
    (from, to): (&mut impl BufRead, &mut impl Write),
) -> io::Result<Places> {
    let mut window = Window { bytes: Vec::with_capacity(BEFORE + WHOLE), before: 0, goes_on: false };
    let mut places = 0;
    loop {
        let ended = window.fill(from)?;
        let until = match memchr::memrchr2(b'\n', b'\r', &window.bytes[window.before..]) {
            _ if ended => Until::End(window.bytes.len()),
            Some(at) => Until::End(window.before + at + 1),
            None => Until::Seam(window.before + LINE),
        };
        places += window.pass(redactor, pem, until, to)?;
        if ended {
            return Ok(places);
        }
    }
}

/// How far a window's lines go.
#[derive(Clone, Copy)]
enum Until {
    /// To the end of a line, or of all.
    End(usize),
    /// The line goes on: what begins behind this is for the next window.
    Seam(usize),
}

struct Window {
    bytes: Vec<u8>,
    /// So many of them have been passed on already.
    before: usize,
    /// What was found last reached the end of the window: it goes on to the next blank.
    goes_on: bool,
}

impl Window {
    /// Reads until it is full; true: there is no more.
    fn fill(&mut self, from: &mut impl BufRead) -> io::Result<bool> {
        // The same windows whatever pieces the bytes come in.
        let full = self.before + WHOLE;
        while self.bytes.len() < full {
            let piece = match from.fill_buf() {
                Ok([]) => return Ok(true),
                Ok(piece) => piece,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            let taken = piece.len().min(full - self.bytes.len());
            self.bytes.extend_from_slice(&piece[..taken]);
            from.consume(taken);
        }
        Ok(false)
    }

    /// Passes on what is settled, and keeps the rest.
    fn pass(
        &mut self,
        redactor: &Redactor,
        pem: &mut Pem,
        until: Until,
        to: &mut impl Write,
    ) -> io::Result<Places> {
        let seen = match until {
            Until::End(end) => &self.bytes[..end],
            Until::Seam(_) => &self.bytes[..],
        };
        let mut pem_behind = *pem;
        let (mut edits, view) = redactor.edits(seen, &mut pem_behind);
        *pem = pem_behind;
        edits.retain(|edit| edit.range.end > self.before);
        for edit in &mut edits {
            edit.range.start = edit.range.start.max(self.before);
        }
        if self.goes_on {
            let rest = &seen[self.before..];
            let length = rest.iter().take_while(|byte| !byte.is_ascii_whitespace() && **byte != b'"').count();
            let end = self.before + length;
            edits.retain(|edit| edit.range.end > end);
            edits.insert(0, Edit { range: self.before..end, mark: None });
        }
        let mut end = seen.len();
        if let Until::Seam(seam) = until {
            let inside = view.as_ref().and_then(|view| view.escape_around(seam)).map(|escape| escape.start);
            end = inside.filter(|start| *start > self.before).unwrap_or(seam);
            edits.retain(|edit| edit.range.start < end);
            end = edits.last().map_or(end, |edit| edit.range.end.max(end));
        }
        self.goes_on = matches!(until, Until::Seam(_)) && end == seen.len();
        let mut failed = Ok(());
        let places = apply(seen, self.before..end, &edits, &mut |piece| {
            if failed.is_ok() {
                failed = to.write_all(piece);
            }
        });
        failed?;
        let keep_from = match until {
            Until::End(_) => end,
            Until::Seam(_) => end.saturating_sub(BEFORE),
        };
        self.before = end - keep_from;
        self.bytes.drain(..keep_from);
        Ok(places)
    }
}
