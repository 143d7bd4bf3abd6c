//! A text as a terminal shows it, with where each piece of it stands in the raw bytes. Pure.
//!
//! Its own small reader of escape sequences (ECMA-48 5.4, xterm's ctlseqs): what is needed is where
//! they stand, which the parsers at hand don't tell.

use std::ops::Range;

use super::{Edit, Found};

const ESC: u8 = 0x1b;
const BS: u8 = 0x08;
const BEL: u8 = 0x07;

/// Is there anything that a terminal doesn't show as it is, and that may stand inside a word?
pub(super) fn is_needed(raw: &[u8]) -> bool {
    memchr::memchr3(ESC, BS, 0, raw).is_some()
}

#[derive(Debug)]
pub(super) struct View {
    text: Vec<u8>,
    /// In the order of both; of what stands together.
    spans: Vec<Span>,
    /// Escape sequences: they stay, whatever goes around them.
    escapes: Vec<Range<usize>>,
    /// Texts inside escape sequences (the address of a link, a title).
    hidden: Vec<Range<usize>>,
}

#[derive(Debug, Clone, Copy)]
struct Span {
    view: u32,
    raw: u32,
    /// Where that begins which the first character here was written over.
    from: u32,
}

impl View {
    /// `raw`: at most some megabytes.
    pub(super) fn of(raw: &[u8]) -> Self {
        let mut view = Self {
            text: Vec::with_capacity(raw.len()),
            spans: Vec::new(),
            escapes: Vec::new(),
            hidden: Vec::new(),
        };
        let mut at = 0;
        let mut over = None;
        while at < raw.len() {
            let next = memchr::memchr3(ESC, BS, 0, &raw[at..]).map_or(raw.len(), |n| at + n);
            if next > at {
                view.show(&raw[at..next], at, over.take());
                at = next;
                continue;
            }
            match raw[at] {
                BS => {
                    over = view.take_back().or(over);
                    at += 1;
                }
                ESC => {
                    let end = view.escape(raw, at);
                    view.escapes.push(at..end);
                    at = end;
                }
                _ => at += 1,
            }
        }
        view
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn hidden(&self) -> &[Range<usize>] {
        &self.hidden
    }

    /// The escape sequence that this place is inside of.
    pub(super) fn escape_around(&self, at: usize) -> Option<&Range<usize>> {
        let next = self.escapes.partition_point(|escape| escape.end <= at);
        self.escapes.get(next).filter(|escape| escape.start < at)
    }

    #[expect(clippy::cast_possible_truncation, reason = "windows are far below 4 GiB")]
    fn show(&mut self, bytes: &[u8], at: usize, over: Option<u32>) {
        let raw = at as u32;
        self.spans.push(Span { view: self.text.len() as u32, raw, from: over.unwrap_or(raw) });
        self.text.extend_from_slice(bytes);
    }

    /// A backspace: gives where the character that the next one is written over begins. None at the
    /// beginning of a line.
    fn take_back(&mut self) -> Option<u32> {
        let continues = |byte: u8| byte & 0xC0 == 0x80;
        let last = self.text.len().checked_sub(1)?;
        let mut start = last;
        while start > 0 && last - start < 3 && continues(self.text[start]) {
            start -= 1;
        }
        if matches!(self.text[start], b'\n' | b'\r') {
            return None;
        }
        let from = self.raw_start(start);
        self.text.truncate(start);
        while self.spans.last().is_some_and(|span| span.view as usize >= start) {
            self.spans.pop();
        }
        u32::try_from(from).ok()
    }

    /// Where an escape sequence that begins at `at` ends. A line's end ends all of them, so that an
    /// unfinished one doesn't swallow the rest.
    fn escape(&mut self, raw: &[u8], at: usize) -> usize {
        let Some(kind) = raw.get(at + 1) else { return raw.len() };
        let body = at + 2;
        match kind {
            b'[' => {
                let parameters = |byte: &u8| (0x20..0x40).contains(byte);
                let end = body + raw[body..].iter().take_while(|byte| parameters(byte)).count();
                match raw.get(end) {
                    Some(0x40..=0x7e) => end + 1,
                    _ => end,
                }
            }
            b']' | b'P' | b'X' | b'^' | b'_' => {
                let ends = |byte: &u8| matches!(*byte, BEL | ESC | b'\n' | b'\r' | 0x18 | 0x1a);
                let end = body + raw[body..].iter().take_while(|byte| !ends(byte)).count();
                self.hidden.push(body..end);
                match raw.get(end) {
                    Some(&BEL) => end + 1,
                    Some(&ESC) if raw.get(end + 1) == Some(&b'\\') => end + 2,
                    _ => end,
                }
            }
            0x20..=0x2f => {
                let between = |byte: &u8| (0x20..0x30).contains(byte);
                let end = body + raw[body..].iter().take_while(|byte| between(byte)).count();
                if raw.get(end).is_some_and(|byte| (0x30..0x7f).contains(byte)) { end + 1 } else { end }
            }
            0x30..=0x7e => body,
            _ => at + 1,
        }
    }

    fn span_at(&self, view: usize) -> Option<&Span> {
        let next = self.spans.partition_point(|span| span.view as usize <= view);
        self.spans[..next].last()
    }

    fn raw_start(&self, view: usize) -> usize {
        match self.span_at(view) {
            Some(span) if span.view as usize == view => span.from as usize,
            Some(span) => span.raw as usize + (view - span.view as usize),
            None => 0,
        }
    }

    fn raw_end(&self, view: usize) -> usize {
        let Some(last) = view.checked_sub(1) else { return 0 };
        self.span_at(last).map_or(0, |span| span.raw as usize + (last - span.view as usize) + 1)
    }

    /// What that is in the raw bytes: the escape sequences within stay.
    pub(super) fn edits(&self, found: &Found, edits: &mut Vec<Edit>) {
        let (start, end) = (self.raw_start(found.range.start), self.raw_end(found.range.end));
        let first = self.escapes.partition_point(|escape| escape.end <= start);
        let (mut at, mut mark) = (start, Some(found.place));
        for escape in self.escapes[first..].iter().take_while(|escape| escape.start < end) {
            if escape.start > at {
                edits.push(Edit { range: at..escape.start, mark: mark.take() });
            }
            at = escape.end;
        }
        if at < end {
            edits.push(Edit { range: at..end, mark: mark.take() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(raw: &[u8]) -> String {
        String::from_utf8_lossy(View::of(raw).text()).into_owned()
    }

    #[test]
    fn escape_sequences_and_backspaces_are_played_out() {
        assert_eq!(seen(b"a\x1b[1;31mb\x1b[0mc"), "abc");
        assert_eq!(seen(b"a\x1b]8;;http://x\x07b\x1b]8;;\x1b\\c"), "abc");
        assert_eq!(seen(b"a\x1b(Bb\x1b7c\x1b"), "abc");
        assert_eq!(seen(b"ax\x08bc\x00d"), "abcd");
        assert_eq!(seen("训x\x08\x08ab".as_bytes()), "ab");
        // Unfinished ones end with the line.
        assert_eq!(seen(b"a\x1b]0;title\nb\x1b[3\nc\x1bPq\rd"), "a\nb\nc\rd");
    }

    #[test]
    fn a_backspace_stays_in_its_line() {
        assert_eq!(seen(b"a\n\x08\x08b"), "a\nb");
    }
}
