//! The MIME body of a mail, streamed from the log's files to the outbox's file.
//!
//! `multipart/mixed` of (`multipart/alternative` of text and HTML) and the logs; without logs the
//! alternative alone, so that clients show no paper clip.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::PathBuf;

use lettre::message::SinglePart;
use lettre::message::header::{ContentTransferEncoding, ContentType};

use super::base64_lines::Base64Lines;
use super::limits::{self, Attachment, Piece};
use crate::error::{Error, Kind, Result};
use crate::sys::fs::open_regular;

/// What goes into a mail.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    /// The body as text, any line ends.
    pub text: &'a str,
    /// The body as HTML, any line ends.
    pub html: &'a str,
    pub attachments: &'a [Attachment],
    /// Makes the boundaries, which can't occur in any content whatever it is; an id of the run or
    /// the entry. The same seed gives the same bytes.
    pub boundary_seed: &'a str,
}

/// What was written.
#[derive(Debug)]
pub struct Composed {
    /// Bytes written, on the wire but for the header block and SMTP's doubled dots.
    pub bytes: u64,
    /// Attachments that lack some of what was planned; each says so in its last line.
    pub short: Vec<Short>,
}

/// An attachment whose file held less than planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Short {
    pub name: String,
    pub path: PathBuf,
    /// Bytes of the log that are missing from the attachment.
    pub missing: u64,
    /// The system's words when the file couldn't be read; None: it has become shorter.
    pub cause: Option<String>,
}

/// Writes the part of the mail that follows the header block: Content-Type, an empty line, the body;
/// and flushes `out`.
///
/// Log bytes travel as they are. A file that grew is cut at the planned end; one that shrank or
/// can't be read ends early and is told in [`Composed::short`]: a mail with less in it is better
/// than none.
///
/// # Errors
/// [`Kind::Storage`] when `out` can't be written.
pub fn compose(out: &mut impl Write, content: &Content<'_>) -> Result<Composed> {
    let mut out = Counted { inner: out, bytes: 0 };
    match write_body(&mut out, content).and_then(|short| out.flush().map(|()| short)) {
        Ok(short) => Ok(Composed { bytes: out.bytes, short }),
        Err(e) => Err(unwritable(&e)),
    }
}

/// The same for a mail that is text alone.
///
/// # Errors
/// [`Kind::Storage`] when `out` can't be written.
pub fn compose_plain(out: &mut impl Write, text: &str) -> Result<()> {
    out.write_all(&text_part(ContentType::TEXT_PLAIN, text))
        .and_then(|()| out.flush())
        .map_err(|e| unwritable(&e))
}

fn write_body<W: Write>(out: &mut Counted<'_, W>, content: &Content<'_>) -> io::Result<Vec<Short>> {
    let alternative = alternative(content);
    if content.attachments.is_empty() {
        out.write_all(&alternative)?;
        return Ok(Vec::new());
    }
    let mixed = boundary("mixed", content.boundary_seed);
    write!(out, "Content-Type: multipart/mixed;\r\n boundary=\"{mixed}\"\r\n\r\n--{mixed}\r\n")?;
    out.write_all(&alternative)?;
    let mut short = Vec::new();
    for attachment in content.attachments {
        write!(out, "--{mixed}\r\n")?;
        short.extend(write_attachment(out, attachment)?);
    }
    write!(out, "--{mixed}--\r\n")?;
    Ok(short)
}

/// `=_` occurs neither in base64 nor in quoted-printable, so no line of a part can be a boundary.
fn boundary(role: &str, seed: &str) -> String {
    let seed: String = seed.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    format!("=_{role}_{seed}")
}

/// The two bodies, text first: a reader takes the last that it can show (RFC 2046 5.1.4).
fn alternative(content: &Content<'_>) -> Vec<u8> {
    let boundary = boundary("alternative", content.boundary_seed);
    let mut bytes =
        format!("Content-Type: multipart/alternative;\r\n boundary=\"{boundary}\"\r\n\r\n").into_bytes();
    for (kind, text) in [(ContentType::TEXT_PLAIN, content.text), (ContentType::TEXT_HTML, content.html)] {
        bytes.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        bytes.extend_from_slice(&text_part(kind, text));
    }
    bytes.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    bytes
}

fn text_part(kind: ContentType, text: &str) -> Vec<u8> {
    let text = crlf(text);
    SinglePart::builder().content_type(kind).header(encoding(&text)).body(text).formatted()
}

/// CRLF at every line's end (the library's own conversion is quadratic), no other control
/// character but the tab: a text part may not hold them.
fn crlf(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 32);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' | '\n' => {
                if c == '\r' {
                    chars.next_if_eq(&'\n');
                }
                out.push_str("\r\n");
            }
            '\t' => out.push(c),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// The shorter of the two that survive every server; quoted-printable also stays readable.
fn encoding(text: &str) -> ContentTransferEncoding {
    let escaped = text.bytes().filter(|b| !matches!(b, b' '..=b'<' | b'>'..=b'~' | b'\r' | b'\n' | b'\t'));
    let quoted_printable = text.len() + 2 * escaped.count();
    // A soft line break costs three bytes in 76.
    if (quoted_printable + quoted_printable / 25) as u64 <= limits::encoded_len(text.len() as u64) {
        ContentTransferEncoding::QuotedPrintable
    } else {
        ContentTransferEncoding::Base64
    }
}

fn write_attachment<W: Write>(
    out: &mut Counted<'_, W>,
    attachment: &Attachment,
) -> io::Result<Option<Short>> {
    let opened = open_regular(&attachment.path);
    let text = opened.as_ref().is_ok_and(|file| is_text(file, &attachment.pieces).unwrap_or(false));
    // Named as UTF-8 only where it is: a phone then shows Chinese right, and nobody is given a
    // reason to transcode what may be anything.
    let kind = if text { "text/plain; charset=utf-8" } else { "application/octet-stream" };
    let name = file_name(&attachment.name);
    write!(
        out,
        "Content-Type: {kind};\r\n name=\"{name}\"\r\nContent-Disposition: attachment;\r\n \
         filename=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )?;
    let (missing, cause) = write_pieces(out, opened, &attachment.pieces)?;
    Ok((missing > 0).then(|| Short {
        name: attachment.name.clone(),
        path: attachment.path.clone(),
        missing,
        cause: cause.map(|e| e.to_string()),
    }))
}

/// Writes the pieces in base64; gives the bytes of log that could not be had, and why.
fn write_pieces<W: Write>(
    out: &mut W,
    opened: io::Result<File>,
    pieces: &[Piece],
) -> io::Result<(u64, Option<io::Error>)> {
    let mut lines = Base64Lines::new(out);
    let (mut missing, mut first) = (0, true);
    let (mut file, mut cause) = match opened {
        Ok(file) => (Some(file), None),
        Err(e) => (None, Some(e)),
    };
    for piece in pieces {
        match piece {
            Piece::Omitted(bytes) => lines.push(limits::omission(*bytes, first).as_bytes())?,
            Piece::Log(range) => {
                let planned = range.end.saturating_sub(range.start);
                let mut copied = 0;
                if let Some(file) = &mut file {
                    match section(file, range) {
                        Ok(mut section) => {
                            let result = lines.copy(&mut section)?;
                            copied = result.bytes;
                            cause = result.error.or(cause);
                        }
                        Err(e) => cause = Some(e),
                    }
                }
                missing += planned - copied;
            }
        }
        first = false;
    }
    if missing > 0 {
        lines.push(limits::shortfall(missing).as_bytes())?;
    }
    lines.finish()?;
    Ok((missing, cause))
}

fn section<'a>(mut file: &'a File, range: &Range<u64>) -> io::Result<io::Take<&'a File>> {
    file.seek(SeekFrom::Start(range.start))?;
    Ok(file.take(range.end.saturating_sub(range.start)))
}

/// Is every piece UTF-8 without NUL? A character that a cut splits at a piece's edge is no fault.
fn is_text(file: &File, pieces: &[Piece]) -> io::Result<bool> {
    let mut buffer = vec![0; 64 * 1024];
    for piece in pieces {
        if let Piece::Log(range) = piece
            && !is_utf8(section(file, range)?, &mut buffer)?
        {
            return Ok(false);
        }
    }
    Ok(true)
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

/// A name that needs neither quoting nor encoding (RFC 2183 2.3).
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_. ".contains(c) { c } else { '_' };
    name.chars().take(100).map(plain).collect()
}

fn unwritable(cause: &io::Error) -> Error {
    let error = Error::new(Kind::Storage, "can't write the mail into the outbox").because(cause);
    match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => error.hint(
            "free some space where the state folder lies, or set NOTIFY_DONE_STATE to a folder elsewhere",
        ),
        ErrorKind::FileTooLarge => error.hint("raise the limit on file sizes (`ulimit -f`)"),
        _ => error,
    }
}

struct Counted<'a, W> {
    inner: &'a mut W,
    bytes: u64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests;
