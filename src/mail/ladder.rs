//! How much of a log goes with the mail, and in which shape: the whole as it is, the whole packed, both
//! ends packed, both ends as they are, nothing. Pure.
//!
//! How small something packs is known when it is packed. So [`best`] says what to try first, and
//! [`lesser`] what to try when that came to more than there is room for.

use super::limits::{Piece, omission};
use crate::config::Attach;
use crate::report::model::Carried;
use crate::run::facts::{LogPart, PartTrouble};

/// The largest log that goes as text, bytes: a phone shows it with a tap, and it may be searched.
pub const PLAIN_MOST: u64 = 1 << 20;

/// The largest log that is packed whole, bytes. A larger one is no joy to unpack, and takes long to pack.
pub const WHOLE_MOST: u64 = 512 << 20;

/// The most that both ends of a larger one come to, bytes before packing.
pub const ENDS_MOST: u64 = 128 << 20;

/// The most that is packed thoroughly at once: three times as slow, and a third smaller.
const THOROUGH_MOST: u64 = 32 << 20;

/// No notice of ours inside an attachment is longer, bytes.
pub const NOTICE_MAX: u64 = 256;

/// Fewer bytes of log than this beside the notice aren't worth an attachment.
const LEAST_USEFUL: u64 = 256;

/// What the mail may carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub attach: Attach,
    /// Bytes of log that may be attached in all, before packing; None: what `max_message` leaves.
    pub max_attachment: Option<u64>,
    /// The largest message that the smallest configured account takes, bytes on the wire.
    pub max_message: u64,
    /// With [`Attach::Tail`]: bytes at the end of each part ([`super::limits::TAIL_BYTES`]).
    pub tail_bytes: u64,
}

/// In which shape bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Plain,
    Zip(Effort),
}

/// How much time packing may take: at 190 or at 65 MB/s a training's log, which comes to 22 or to 19 % (level 1 is
/// at 300 MB/s, but leaves 31 %, and makes random bytes larger than they were).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    Fast,
    Thorough,
}

impl Effort {
    /// By how much there is to pack.
    pub fn for_bytes(bytes: u64) -> Self {
        if bytes <= THOROUGH_MOST { Effort::Thorough } else { Effort::Fast }
    }
}

/// A way to carry a part of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    pub carried: Carried,
    pub shape: Shape,
}

/// What a part may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes of the attachment, before base64.
    pub attached: u64,
    /// Bytes of log, before packing.
    pub raw: u64,
}

/// Bytes that this part would take if there were room for all.
pub fn wanted(part: &LogPart, policy: &Policy) -> u64 {
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

/// The best way that may fit.
pub fn best(part: &LogPart, policy: &Policy, room: Room) -> Way {
    let all = wanted(part, policy);
    let wanted = all.min(room.raw);
    if wanted <= PLAIN_MOST + NOTICE_MAX && wanted <= room.attached {
        return plain(part, wanted, policy.attach);
    }
    let keep = if wanted == all && all <= WHOLE_MOST { all } else { wanted.min(ENDS_MOST) };
    packed(part, keep, room, policy.attach)
}

/// The next way after one that came to more than `room.attached`: by then `read` bytes had been read of it.
pub fn lesser(part: &LogPart, policy: &Policy, room: Room, (way, read): (Way, u64)) -> Way {
    let had = raw(part, way.carried).saturating_add(NOTICE_MAX);
    let Shape::Zip(effort) = way.shape else {
        // What it passes on its way made it longer.
        return plain(part, had / 2, policy.attach);
    };
    let likely = u128::from(had) * u128::from(room.attached) / u128::from(read.max(1));
    let may_pack_tighter = likely <= u128::from(room.attached) * 8 / 7;
    let all = raw(part, way.carried) >= part.readable();
    if effort == Effort::Fast && all && may_pack_tighter {
        return Way { shape: Shape::Zip(Effort::Thorough), ..way };
    }
    // The ends pack like the beginning, more or less.
    let keep = (read.min(had) / 10 * 9).min(ENDS_MOST);
    if keep > PLAIN_MOST || keep > room.attached {
        return packed(part, keep, room, policy.attach);
    }
    plain(part, room.attached.min(room.raw).min(PLAIN_MOST), policy.attach)
}

/// The pieces that make up what is carried.
pub fn pieces(part: &LogPart, carried: Carried) -> Vec<Piece> {
    match carried {
        Carried::Whole => vec![Piece::Bytes(part.start..part.end)],
        Carried::Ends { head, tail, omitted } => {
            let mut pieces = vec![Piece::Omitted(omitted), Piece::Bytes(part.end - tail..part.end)];
            if head > 0 {
                pieces.insert(0, Piece::Bytes(part.start..part.start + head));
            }
            pieces
        }
        Carried::Nothing | Carried::Empty => Vec::new(),
    }
}

/// Bytes of log that are carried.
pub fn raw(part: &LogPart, carried: Carried) -> u64 {
    match carried {
        Carried::Whole => part.len(),
        Carried::Ends { head, tail, .. } => head + tail,
        Carried::Nothing | Carried::Empty => 0,
    }
}

/// The same with the notice of what is left out: what counts of the bytes that may be attached.
pub fn counted(part: &LogPart, carried: Carried) -> u64 {
    let notice = if matches!(carried, Carried::Ends { .. }) { NOTICE_MAX } else { 0 };
    raw(part, carried) + notice
}

/// Bytes of the attachment that these pieces make, as they are.
pub fn plain_len(pieces: &[Piece]) -> u64 {
    let mut first = true;
    let len = |piece: &Piece| {
        let len = match piece {
            Piece::Bytes(range) => range.end.saturating_sub(range.start),
            Piece::Omitted(bytes) => omission(*bytes, first).len() as u64,
        };
        first = false;
        len
    };
    pieces.iter().map(len).sum()
}

/// Both ends, each cut where a line ends: `head` bytes before the planned end of the head there is the last
/// line's end, `tail` bytes behind the planned beginning of the tail the first one. They only get shorter.
pub fn at_line_ends(carried: Carried, head_back: u64, tail_on: u64) -> Carried {
    let Carried::Ends { head, tail, omitted } = carried else { return carried };
    // A log without line ends is cut where it must be.
    let shorter = |len: u64, by: u64| if by <= len / 2 { len - by } else { len };
    let (new_head, new_tail) = (shorter(head, head_back), shorter(tail, tail_on));
    Carried::Ends { head: new_head, tail: new_tail, omitted: omitted + (head - new_head) + (tail - new_tail) }
}

fn plain(part: &LogPart, keep: u64, attach: Attach) -> Way {
    Way { carried: carried(part, keep, attach), shape: Shape::Plain }
}

fn packed(part: &LogPart, keep: u64, room: Room, attach: Attach) -> Way {
    // The names and sizes in a .zip take some too.
    let carried =
        if room.attached < 2 * LEAST_USEFUL { carried(part, 0, attach) } else { carried(part, keep, attach) };
    Way { carried, shape: Shape::Zip(Effort::for_bytes(keep)) }
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

#[cfg(test)]
mod tests;
