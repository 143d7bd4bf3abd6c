//! The MIME body of a mail, streamed from the log's files to the outbox's file.
//!
//! `multipart/mixed` of (`multipart/alternative` of text and HTML) and the logs; without logs the
//! alternative alone, so that clients show no paper clip.

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

use email_encoding::headers::{rfc2047, writer::EmailWriter};
use lettre::message::SinglePart;
use lettre::message::header::{ContentTransferEncoding, ContentType};

use super::base64_lines::Base64Lines;
use super::limits::{self, Attachment, Media};
use super::names::is_plain;
use super::pieces::{Ending, PieceReader, is_text};
use crate::error::{Error, Kind, Result};

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
    let Attachment { name, media, path, pieces } = attachment;
    let kind = match media {
        Media::Named(kind) => kind,
        // Named as UTF-8 only where it is: a phone then shows Chinese right, and nobody is given a
        // reason to transcode what may be anything.
        Media::Log | Media::Text if is_text(path, pieces).unwrap_or(false) => "text/plain; charset=utf-8",
        Media::Log | Media::Text => "application/octet-stream",
    };
    let NameParameters { name: in_type, filename } = name_parameters(name);
    write!(
        out,
        "Content-Type: {kind};\r\n {in_type}\r\nContent-Disposition: attachment;\r\n \
         {filename}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )?;
    let ending = if *media == Media::Log { Ending::Told } else { Ending::Silent };
    let mut source = PieceReader::open(path, pieces, ending);
    let mut lines = Base64Lines::new(out);
    lines.copy(&mut source)?;
    lines.finish()?;
    let PieceReader { missing, cause, .. } = source;
    Ok((missing > 0).then(|| Short {
        name: name.clone(),
        path: path.clone(),
        missing,
        cause: cause.map(|e| e.to_string()),
    }))
}

/// An attachment's name in both places where clients look for it.
struct NameParameters {
    name: String,
    filename: String,
}

/// A name in another script than ASCII is said as Thunderbird says it: in Content-Disposition as RFC 2231
/// has it, and in Content-Type as encoded words, which RFC 2047 5 doesn't allow there, and which is all that
/// older Outlook, Foxmail and QQ read.
fn name_parameters(name: &str) -> NameParameters {
    if is_plain(name) {
        return NameParameters { name: format!("name=\"{name}\""), filename: format!("filename=\"{name}\"") };
    }
    let mut words = String::new();
    let mut writer = EmailWriter::new(&mut words, " name=\"".len(), 0, false);
    rfc2047::encode(name, &mut writer).expect("writing to a String doesn't fail");
    drop(writer);
    let mut escaped = String::new();
    for byte in name.bytes() {
        match byte {
            b if b.is_ascii_alphanumeric() || b"-_.".contains(&b) => escaped.push(char::from(b)),
            b => escaped.push_str(&format!("%{b:02X}")),
        }
    }
    NameParameters { name: format!("name=\"{words}\""), filename: format!("filename*=UTF-8''{escaped}") }
}

pub(super) fn unwritable(cause: &io::Error) -> Error {
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
