//! What of the log goes with the mail, so that the mail is never larger than the provider takes. Pure.

use std::ops::Range;
use std::path::PathBuf;

use crate::config::Attach;
use crate::report::model::{Carried, LogNote};
use crate::run::facts::{Holds, LogPart, PartTrouble};

/// `--log tail`: bytes at the end of each part that are attached.
pub const TAIL_BYTES: u64 = 64 * 1024;

/// The text and the HTML together, bytes with CRLF line ends, that [`plan`] leaves room for.
pub const MAX_BODIES: u64 = 160 * 1024;

/// Raw bytes in a base64 line of 76 characters (RFC 2045 6.8).
pub const LINE_RAW: u64 = 57;

/// A full base64 line on the wire: 76 characters and CRLF.
pub const LINE_WIRE: u64 = 78;

/// Headers of the message: a long subject and some hundred recipients.
const HEADERS_RESERVE: u64 = 64 * 1024;

/// Bodies on the wire (base64 at worst), the dots that SMTP doubles, boundaries.
const BODIES_RESERVE: u64 = MAX_BODIES / LINE_RAW * LINE_WIRE + 16 * 1024;

/// One attachment's own headers, its boundary, the last line's rounding, and [`shortfall`]'s words.
const PART_RESERVE: u64 = 1024;

/// No notice of ours inside an attachment is longer, bytes.
const NOTICE_MAX: u64 = 256;

/// Fewer bytes of log than this beside the notice aren't worth an attachment.
const LEAST_USEFUL: u64 = 256;

/// What the mail may carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub attach: Attach,
    /// Bytes of log that may be attached in all, before encoding; None: what `max_message` leaves.
    pub max_attachment: Option<u64>,
    /// The largest message that the smallest configured account takes, bytes on the wire.
    pub max_message: u64,
    /// With [`Attach::Tail`]: bytes at the end of each part ([`TAIL_BYTES`]).
    pub tail_bytes: u64,
}

/// A file to attach, in the pieces that make it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The file name; ASCII, because some clients in use in China show others as garbage.
    pub name: String,
    /// Where the bytes are read from.
    pub path: PathBuf,
    pub pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A byte range of the file, as it is.
    Log(Range<u64>),
    /// A notice that this many bytes are left out here.
    Omitted(u64),
}

/// Decides what of each part is attached, under which name. One note per part, in order.
///
/// The whole message, headers included, stays within `policy.max_message` as long as the two
/// bodies stay within [`MAX_BODIES`]. Where the parts don't fit, the room is shared fairly: small
/// ones go whole, the large ones get equal shares of what is left.
pub fn plan(parts: &[LogPart], policy: &Policy) -> Vec<LogNote> {
    let wanted: Vec<u64> = parts.iter().map(|part| wanted(part, policy)).collect();
    let carriers = wanted.iter().filter(|bytes| **bytes > 0).count() as u64;
    let granted = share(&wanted, room(policy, carriers));
    let mut names = Names::default();
    parts
        .iter()
        .zip(granted)
        .map(|(part, granted)| {
            let carried = carried(part, granted, policy.attach);
            let attached = matches!(carried, Carried::Whole | Carried::Ends { .. });
            LogNote {
                attachment: attached.then(|| names.next(part.holds)),
                holds: part.holds,
                path: part.path.display().to_string(),
                bytes: part.len(),
                carried,
                trouble: part.trouble,
            }
        })
        .collect()
}

/// The attachments that `notes` (of [`plan`], for the same `parts`) promise.
pub fn attachments(parts: &[LogPart], notes: &[LogNote]) -> Vec<Attachment> {
    parts
        .iter()
        .zip(notes)
        .filter_map(|(part, note)| {
            let name = note.attachment.clone()?;
            let pieces = match note.carried {
                Carried::Whole => vec![Piece::Log(part.start..part.end)],
                Carried::Ends { head, tail, omitted } => {
                    let mut pieces = vec![Piece::Omitted(omitted), Piece::Log(part.end - tail..part.end)];
                    if head > 0 {
                        pieces.insert(0, Piece::Log(part.start..part.start + head));
                    }
                    pieces
                }
                Carried::Nothing | Carried::Empty => return None,
            };
            Some(Attachment { name, path: part.path.clone(), pieces })
        })
        .collect()
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

/// Bytes that this part would take if there were room for all.
fn wanted(part: &LogPart, policy: &Policy) -> u64 {
    // Another file is at that path now: its bytes aren't the command's.
    if matches!(part.trouble, Some(PartTrouble::Replaced | PartTrouble::Unreadable)) {
        return 0;
    }
    match policy.attach {
        Attach::Full if part.cut.is_some() => part.readable().saturating_add(NOTICE_MAX),
        Attach::Full => part.len(),
        Attach::Tail => part.len().min(policy.tail_bytes.saturating_add(NOTICE_MAX)),
        Attach::None => 0,
    }
}

/// Raw bytes for all attachments together.
fn room(policy: &Policy, carriers: u64) -> u64 {
    let reserve = HEADERS_RESERVE + BODIES_RESERVE + PART_RESERVE * carriers;
    let fits = decoded_room(policy.max_message.saturating_sub(reserve));
    policy.max_attachment.map_or(fits, |most| most.min(fits))
}

/// Shares `room` out: whoever wants no more than an equal share of what is left gets all of it.
fn share(wanted: &[u64], mut room: u64) -> Vec<u64> {
    let mut smallest_first: Vec<usize> = (0..wanted.len()).collect();
    smallest_first.sort_by_key(|&i| wanted[i]);
    let mut granted = vec![0; wanted.len()];
    for (done, &i) in smallest_first.iter().enumerate() {
        granted[i] = wanted[i].min(room / (wanted.len() - done) as u64);
        room -= granted[i];
    }
    granted
}

fn carried(part: &LogPart, granted: u64, attach: Attach) -> Carried {
    let len = part.len();
    if len == 0 {
        // With trouble "there was no output" would be a guess.
        return if part.trouble.is_some() { Carried::Nothing } else { Carried::Empty };
    }
    if granted >= len && part.cut.is_none() {
        return Carried::Whole;
    }
    let keep = granted.saturating_sub(NOTICE_MAX);
    if keep < LEAST_USEFUL {
        return Carried::Nothing;
    }
    // Without a hole both ends may reach as far as the other.
    let cut = part.cut.clone().unwrap_or(part.end..part.start);
    let (most_head, most_tail) = (cut.start - part.start, part.end - cut.end);
    // The end says how it went; the beginning says with what: versions, arguments, devices.
    let head = match attach {
        Attach::Tail => 0,
        _ if keep >= part.readable() => most_head,
        _ => (keep / 4).min(most_head),
    };
    let tail = (keep - head).min(most_tail);
    Carried::Ends { head, tail, omitted: len - head - tail }
}

/// File names, each given once.
#[derive(Default)]
struct Names {
    given: Vec<Holds>,
}

impl Names {
    fn next(&mut self, holds: Holds) -> String {
        let stem = match holds {
            Holds::Both => "log",
            Holds::Stdout => "stdout",
            Holds::Stderr => "stderr",
        };
        self.given.push(holds);
        match self.given.iter().filter(|given| **given == holds).count() {
            1 => format!("{stem}.txt"),
            n => format!("{stem}-{n}.txt"),
        }
    }
}

#[cfg(test)]
mod tests;
