//! Private keys between `-----BEGIN … PRIVATE KEY-----` and its END, over many lines. Pure.

use super::{Found, Place};

/// So many lines that are no part of a key may stand between its own: the other stream's.
const BETWEEN: u32 = 8;
/// No key has more lines.
const MOST_LINES: u32 = 2_000;
/// So many letters in base64 among others are a line of a key.
const LONG_RUN: usize = 40;
/// Shorter ones are the key's only right behind another of its lines.
const SHORT_LINE: usize = 16;

/// Where in a private key we are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pem {
    inside: Option<Inside>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Inside {
    lines: u32,
    others: u32,
    /// Was the line before the key's?
    behind_own: bool,
    counted: bool,
}

pub(super) const BEGIN: &[u8] = b"-----BEGIN";
const END: &[u8] = b"-----END";

impl Pem {
    pub(super) fn is_inside(&self) -> bool {
        self.inside.is_some()
    }

    /// A BEGIN stands at `at`: gives what of its own line is to go, and where that ends.
    pub(super) fn begin(&mut self, text: &[u8], at: usize, line_end: usize) -> Option<Found> {
        let label = at + BEGIN.len();
        let is_label = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b' ';
        let close = label + text[label..line_end].iter().take(64).take_while(|byte| is_label(byte)).count();
        if !memchr::memmem::find(&text[label..close], b"PRIVATE KEY")
            .is_some_and(|_| text[close..line_end].starts_with(b"-----"))
        {
            return None;
        }
        let body = close + 5;
        let mut inside = Inside { lines: 0, others: 0, behind_own: true, counted: false };
        if let Some(end) = memchr::memmem::find(&text[body..line_end], END) {
            self.inside = None;
            return (end > 0 && has_key(&text[body..body + end]))
                .then_some(Found { range: body..body + end, place: Place::Own });
        }
        let found =
            has_key(&text[body..line_end]).then_some(Found { range: body..line_end, place: Place::Own });
        inside.counted = found.is_some();
        self.inside = Some(inside);
        found
    }

    /// Goes on with the lines from `from` on.
    pub(super) fn follow(&mut self, text: &[u8], from: usize, found: &mut Vec<Found>) {
        let mut start = from;
        while start < text.len() && self.inside.is_some() {
            let end = memchr::memchr2(b'\n', b'\r', &text[start..]).map_or(text.len(), |n| start + n);
            self.line(&text[start..end], start, found);
            start = end + 1;
        }
    }

    fn line(&mut self, line: &[u8], offset: usize, found: &mut Vec<Found>) {
        let Some(inside) = &mut self.inside else { return };
        let trimmed = line.trim_ascii();
        if trimmed.is_empty() {
            return;
        }
        inside.lines += 1;
        if memchr::memmem::find(trimmed, END).is_some() || inside.lines > MOST_LINES {
            self.inside = None;
            return;
        }
        let whole = trimmed.iter().all(is_base64);
        let mut ranges = Vec::new();
        if whole && (trimmed.len() >= SHORT_LINE || inside.behind_own) {
            let start = line.len() - line.trim_ascii_start().len();
            ranges.push(start..start + trimmed.len());
        } else {
            runs(line, LONG_RUN, &mut ranges);
        }
        if ranges.is_empty() {
            // `Proc-Type: 4,ENCRYPTED` belongs to it, and hides nothing.
            inside.others += u32::from(!trimmed.contains(&b':'));
            inside.behind_own = false;
            if inside.others > BETWEEN {
                self.inside = None;
            }
            return;
        }
        (inside.others, inside.behind_own) = (0, true);
        for range in ranges {
            let place = if inside.counted { Place::Rest } else { Place::Own };
            inside.counted = true;
            found.push(Found { range: offset + range.start..offset + range.end, place });
        }
    }
}

fn is_base64(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=".contains(byte)
}

/// A key on one line with its BEGIN: in JSON, with `\n` for its line ends.
fn has_key(text: &[u8]) -> bool {
    let mut found = Vec::new();
    runs(text, SHORT_LINE, &mut found);
    !found.is_empty()
}

fn runs(line: &[u8], least: usize, ranges: &mut Vec<std::ops::Range<usize>>) {
    let mut start = 0;
    while start < line.len() {
        let length = line[start..].iter().take_while(|byte| is_base64(byte)).count();
        if length >= least {
            ranges.push(start..start + length);
        }
        start += length + 1;
    }
}
