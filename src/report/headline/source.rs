//! Who wrote a line: what was put in front of it (a time, `[rank0]:`, a container's name) is taken off, and the
//! lines of one writer are put together. Pure.

use std::collections::HashMap;
use std::ops::Range;

use super::super::model::Stream;
use super::{Found, MAX_LINES, Rank, Seen};

/// Further bytes of a line are not looked at: what went wrong stands at its beginning.
const LOOKED_AT: usize = 2000;
/// More writers than that are one.
const MAX_SOURCES: usize = 256;

/// A line, without what was put in front of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    /// Its place among all lines.
    pub at: usize,
    pub text: &'a str,
}

/// The lines of one writer.
pub(super) struct Source<'a> {
    pub id: usize,
    pub rows: Vec<Row<'a>>,
}

impl<'a> Source<'a> {
    pub fn text(&self, row: usize) -> &'a str {
        self.rows.get(row).map_or("", |row| row.text)
    }

    /// What was found in row `key` and, as far as they belong to it, in `rows`.
    pub fn found(&self, (kind, weight): Rank, text: String, key: usize, rows: Range<usize>) -> Found {
        let at = |row: usize| self.rows[row.min(self.rows.len() - 1)].at;
        let last = rows.end.max(key + 1) - 1;
        let whole = at(rows.start.min(key))..at(last) + 1;
        Found { kind, weight, text, shown: window(&whole, at(key)), whole, source: self.id }
    }
}

/// At most [`MAX_LINES`] of `whole`, with `key` among them: rather what is before it than what follows.
fn window(whole: &Range<usize>, key: usize) -> Range<usize> {
    if whole.len() <= MAX_LINES {
        return whole.clone();
    }
    let start = whole.start.max((key + 1).saturating_sub(MAX_LINES));
    start..whole.end.min(start + MAX_LINES)
}

pub(super) fn split<'a>(lines: &[Seen<'a>]) -> Vec<Source<'a>> {
    let mut sources: Vec<Source<'a>> = Vec::new();
    let mut ids: HashMap<(&'a str, bool), usize> = HashMap::new();
    for (at, line) in lines.iter().enumerate() {
        let (tag, text) = writer_of(beginning(line.text));
        let key = if ids.len() < MAX_SOURCES { tag } else { "" };
        let id = *ids.entry((key, line.stream == Stream::Err)).or_insert_with(|| {
            sources.push(Source { id: sources.len(), rows: Vec::new() });
            sources.len() - 1
        });
        sources[id].rows.push(Row { at, text });
    }
    sources
}

fn beginning(text: &str) -> &str {
    if text.len() <= LOOKED_AT {
        return text;
    }
    let end = (0..=LOOKED_AT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

/// The writer's name and what it wrote.
fn writer_of(text: &str) -> (&str, &str) {
    let text = without_time(text);
    let tag = &text[..tag_len(text)];
    if tag.is_empty() { ("", text) } else { (tag.trim_end(), without_time(&text[tag.len()..])) }
}

/// How much of the line names its writer: `[rank0]: `, `[1,0]<stderr>:`, `(Worker pid=12) `, `web-1  | `, `0: `.
fn tag_len(text: &str) -> usize {
    match text.as_bytes().first() {
        Some(b'[') => bracket_len(text),
        Some(b'(') => {
            let name = text.split_once(") ").map_or("", |(name, _)| name);
            if name.len() < 80 && name.contains("pid=") { name.len() + 2 } else { 0 }
        }
        Some(b'#') => step_len(text),
        Some(b'0'..=b'9') => {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            if digits <= 5 && text[digits..].starts_with(": ") { digits + 2 } else { 0 }
        }
        Some(byte) if byte.is_ascii_alphabetic() => compose_len(text),
        _ => 0,
    }
}

/// `#9 2.312 `, as docker build writes it.
fn step_len(text: &str) -> usize {
    let number = text[1..].bytes().take_while(u8::is_ascii_digit).count();
    let rest = &text[1 + number..];
    let seconds =
        rest.bytes().skip(1).take(12).take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let is_step = number > 0 && rest.starts_with(' ') && seconds > 0 && rest[1 + seconds..].starts_with(' ');
    if is_step { 1 + number + 1 + seconds + 1 } else { 0 }
}

fn bracket_len(text: &str) -> usize {
    let Some(end) = text.bytes().take(24).position(|byte| byte == b']') else { return 0 };
    let (name, rest) = (&text[1..end], &text[end + 1..]);
    let is_number = |s: &str| !s.is_empty() && s.bytes().all(|byte| byte.is_ascii_digit());
    let is_rank = ["rank", "default"].iter().any(|word| name.strip_prefix(word).is_some_and(is_number));
    if is_rank {
        return if rest.starts_with(": ") { end + 3 } else { end + 1 + usize::from(rest.starts_with(':')) };
    }
    if name.split_once(',').is_some_and(|(job, rank)| is_number(job) && is_number(rank))
        && rest.starts_with('<')
    {
        return rest.find(">:").map_or(0, |at| end + 1 + at + 2);
    }
    0
}

/// `web-1  | `, as docker compose writes it.
fn compose_len(text: &str) -> usize {
    let name = text.bytes().take(64).take_while(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b)).count();
    let blanks = text[name..].bytes().take_while(|byte| *byte == b' ').count();
    if blanks > 0 && text[name + blanks..].starts_with("| ") { name + blanks + 2 } else { 0 }
}

/// The text after the time at its beginning; a line that doesn't begin with one is as it was.
fn without_time(text: &str) -> &str {
    let bytes = text.as_bytes();
    let Some(first) = bytes.first() else { return text };
    if !first.is_ascii_digit() && !b"[(".contains(first) {
        return text;
    }
    let opened = usize::from(!first.is_ascii_digit());
    let mut at = opened;
    let date = shape_len(&bytes[at..], "dddd-dd-dd").or_else(|| shape_len(&bytes[at..], "dddd/dd/dd"));
    at += date.unwrap_or(0);
    if date.is_some() && bytes.get(at).is_some_and(|byte| b"T _".contains(byte)) {
        at += 1;
    }
    let Some(time) = shape_len(&bytes[at..], "dd:dd:dd").or_else(|| shape_len(&bytes[at..], "d:dd:dd"))
    else {
        return text;
    };
    at += time;
    if bytes.get(at).is_some_and(|byte| b".,".contains(byte)) {
        at += 1 + bytes[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    }
    if bytes.get(at) == Some(&b'Z') {
        at += 1;
    } else if bytes.get(at).is_some_and(|byte| b"+-".contains(byte)) {
        at += bytes[at..].iter().take(6).take_while(|b| b.is_ascii_digit() || b"+-:".contains(b)).count();
    }
    if opened == 1 {
        match bytes.get(at) {
            Some(b']' | b')') => at += 1,
            _ => return text,
        }
    }
    // One blank is the separator's; more of them are the line's own indentation.
    let rest = &text[at..];
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    ["- ", "| ", ": "].iter().find_map(|mark| rest.strip_prefix(mark)).unwrap_or(rest)
}

/// The length of `shape` (`d`: a digit, others: themselves), if the bytes begin so.
fn shape_len(bytes: &[u8], shape: &str) -> Option<usize> {
    let shape = shape.as_bytes();
    let fits = bytes.len() >= shape.len()
        && shape.iter().zip(bytes).all(|(want, byte)| match want {
            b'd' => byte.is_ascii_digit(),
            want => want == byte,
        });
    fits.then_some(shape.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a traceback that isn't known because each of its lines has something in front of it; lines of
    /// two writers taken for one's; text taken for a writer's name.
    #[test]
    fn what_stands_in_front_of_a_line() {
        for (line, writer, text) in [
            ("[rank0]: Traceback (most", "[rank0]:", "Traceback (most"),
            ("[rank0]:     main()", "[rank0]:", "    main()"),
            ("[rank3]:[W1128 x] y", "[rank3]:", "[W1128 x] y"),
            ("[default1]:ValueError: x", "[default1]:", "ValueError: x"),
            ("[1,0]<stderr>:ValueError", "[1,0]<stderr>:", "ValueError"),
            ("(Trainer pid=12, ip=10.0.0.1)   File", "(Trainer pid=12, ip=10.0.0.1)", "  File"),
            ("web-1  | boom", "web-1  |", "boom"),
            ("0: boom", "0:", "boom"),
            ("2026-11-28T12:00:00.1234567Z   File", "", "  File"),
            ("[2026-11-28 12:00:00,123] boom", "", "boom"),
            ("2026-11-28 12:00:00,123 - a - ERROR - boom", "", "a - ERROR - boom"),
            ("2026/11/28 12:00:00 boom", "", "boom"),
            ("12:00:00 boom", "", "boom"),
            ("[12:00:00] boom", "", "boom"),
            ("12:00 boom", "", "12:00 boom"),
            ("[1, 2] boom", "", "[1, 2] boom"),
            ("(boom) pid=1", "", "(boom) pid=1"),
            ("#9 2.312 ERROR: x", "#9 2.312", "ERROR: x"),
            ("#9 训练", "", "#9 训练"),
            ("# 训练", "", "# 训练"),
            ("训练 | x", "", "训练 | x"),
            ("", "", ""),
        ] {
            assert_eq!(writer_of(line), (writer, text), "{line}");
        }
    }

    #[test]
    fn the_key_line_is_always_shown() {
        assert_eq!(window(&(3..9), 8), 3..9);
        assert_eq!(window(&(0..100), 50), 39..51);
        assert_eq!(window(&(0..100), 0), 0..12);
        assert_eq!(window(&(40..100), 99), 88..100);
    }
}
