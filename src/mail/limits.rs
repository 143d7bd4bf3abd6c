//! Sizes: what a mail takes on the wire, what is left of it for attachments, and how that is shared. Pure.

use std::ops::Range;
use std::path::PathBuf;

/// `--log tail`: bytes at the end of each part that are attached.
pub const TAIL_BYTES: u64 = 64 * 1024;

/// The text and the HTML together, bytes with CRLF line ends, that [`room`] leaves room for.
pub const MAX_BODIES: u64 = 160 * 1024;

/// Raw bytes in a base64 line of 76 characters (RFC 2045 6.8).
pub const LINE_RAW: u64 = 57;

/// A full base64 line on the wire: 76 characters and CRLF.
pub const LINE_WIRE: u64 = 78;

/// Headers of the message: a long subject and some hundred recipients.
pub const HEADERS_RESERVE: u64 = 64 * 1024;

/// Bodies on the wire (base64 at worst), the dots that SMTP doubles, boundaries.
const BODIES_RESERVE: u64 = MAX_BODIES / LINE_RAW * LINE_WIRE + 16 * 1024;

/// One attachment's own headers with the longest name, its boundary, the last line's rounding, and
/// [`shortfall`]'s words.
const PART_RESERVE: u64 = 3 * 1024;

/// A file to attach, in the pieces that make it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The file name, in any script.
    pub name: String,
    pub media: Media,
    /// Where the bytes are read from.
    pub path: PathBuf,
    pub pieces: Vec<Piece>,
}

/// What an attachment is declared as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// A log: text where it is UTF-8, else bytes. When some of it is missing, its last line says so.
    Log,
    /// The same of a file of the user's, into which nothing is written.
    Text,
    /// `image/png` and the like.
    Named(&'static str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A byte range of the file, as it is.
    Bytes(Range<u64>),
    /// A notice that this many bytes are left out here.
    Omitted(u64),
}

/// Raw bytes for all attachments together, of which there are so many, in a mail of at most
/// `max_message` bytes. The whole message, headers included, stays within that as long as the two bodies
/// stay within [`MAX_BODIES`].
pub fn room(max_message: u64, attachments: u64) -> u64 {
    // Each is rounded up to a line of its own.
    let reserve = PART_RESERVE.saturating_mul(attachments).saturating_add(HEADERS_RESERVE + BODIES_RESERVE);
    decoded_room(max_message.saturating_sub(reserve))
}

/// Bytes on the wire of `raw` bytes in base64, every line ended by CRLF. Exact.
pub fn encoded_len(raw: u64) -> u64 {
    let rest = raw % LINE_RAW;
    let last = if rest == 0 { 0 } else { rest.div_ceil(3) * 4 + 2 };
    raw / LINE_RAW * LINE_WIRE + last
}

/// The most raw bytes whose [`encoded_len`] is at most `wire`.
pub fn decoded_room(wire: u64) -> u64 {
    let rest = wire % LINE_WIRE;
    wire / LINE_WIRE * LINE_RAW + rest.saturating_sub(2) / 4 * 3
}

/// The line that stands where bytes were left out; `first`: nothing precedes it.
pub fn omission(bytes: u64, first: bool) -> String {
    let count = grouped(bytes);
    let line = format!("===== notify-done: {count} bytes left out here / 此处省略 {count} 字节 =====");
    if first { format!("{line}\n\n") } else { format!("\n\n{line}\n\n") }
}

/// The line that ends an attachment whose file turned out `missing` bytes shorter than planned.
pub fn shortfall(missing: u64) -> String {
    let count = grouped(missing);
    format!(
        "\n\n===== notify-done: the log file lacks its last {count} bytes / 日志文件缺少末尾 {count} 字节 =====\n"
    )
}

/// Thousands in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests;
