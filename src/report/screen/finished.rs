//! The lines that have left the screen, compactly: a window may hold many thousands. Pure.

use std::ops::Range;

use avt::{Color, Line as Row, Pen};

use super::clusters::{Clusters, NOTHING};
use crate::report::model::{Colour, Style};

/// Of a longer line the rest is left out, bytes. What is secret in a line is looked for in all of this.
pub const LINE: usize = 64 * 1024;
/// Of more lines the oldest go.
pub const LINES: usize = 20_000;
/// Of more text the oldest lines go, bytes. More than the window, since a tab may be eight blanks.
const TEXT: usize = 3 * 1024 * 1024;
/// In a row, more blank lines than this show nothing more.
const BLANKS: usize = 2;

#[derive(Debug, Default)]
pub struct Finished {
    text: String,
    styles: Vec<(Range<u32>, Style)>,
    lines: Vec<Entry>,
    blanks: usize,
    /// Where the line begins that hasn't ended, in `text` and `styles`.
    begun: (usize, usize),
    /// Where its first row stood in the log.
    begun_at: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Where in the log it was written, as far as that can be said: never less than the line's before.
    at: u64,
    text_end: u32,
    styles_end: u32,
}

/// A line as the screen had it, whole.
#[derive(Debug, Clone, Copy)]
pub struct Whole<'a> {
    pub at: u64,
    pub text: &'a str,
    /// Ranges of bytes behind `base`.
    styles: &'a [(Range<u32>, Style)],
    base: u32,
}

impl Whole<'_> {
    pub fn styles(&self) -> Vec<(Range<usize>, Style)> {
        let inside = |at: u32| (at.saturating_sub(self.base) as usize).min(self.text.len());
        self.styles
            .iter()
            .map(|(range, style)| (inside(range.start)..inside(range.end), *style))
            .filter(|(range, _)| !range.is_empty())
            .collect()
    }
}

impl Finished {
    /// Takes a row of the screen; one that was wrapped goes on in the next.
    pub fn row(&mut self, row: &Row, at: u64, clusters: &Clusters) {
        let at = *self.begun_at.get_or_insert(at);
        let cells = row.cells();
        let shown = if row.is_wrapped() {
            cells.len()
        } else {
            cells.iter().rposition(|cell| cell.char() != ' ').map_or(0, |last| last + 1)
        };
        let mut last: Option<Pen> = None;
        for cell in cells.iter().take(shown) {
            if cell.width() == 0 || cell.char() == NOTHING {
                continue;
            }
            if self.text.len() - self.begun.0 > LINE {
                break;
            }
            let start = self.text.len();
            match clusters.get(cell.char()) {
                Some(cluster) => self.text.push_str(cluster),
                None => self.text.push(cell.char()),
            }
            if last.as_ref() == Some(cell.pen()) {
                self.extend_style(start);
            } else {
                self.begin_style(start, style(cell.pen()));
            }
            last = Some(*cell.pen());
        }
        if !row.is_wrapped() {
            self.end(at);
        }
    }

    /// The style of the character before holds on.
    fn extend_style(&mut self, start: usize) {
        let end = offset(self.text.len());
        if self.styles.len() > self.begun.1
            && let Some((range, _)) = self.styles.last_mut()
            && range.end == offset(start)
        {
            range.end = end;
        }
    }

    fn begin_style(&mut self, start: usize, style: Style) {
        let end = offset(self.text.len());
        if self.styles.len() > self.begun.1
            && let Some((range, last)) = self.styles.last_mut()
            && range.end == offset(start)
            && *last == style
        {
            range.end = end;
        } else if style != Style::default() {
            self.styles.push((offset(start)..end, style));
        }
    }

    fn end(&mut self, at: u64) {
        let text_end = self.begun.0 + self.text[self.begun.0..].trim_end_matches(' ').len();
        self.text.truncate(text_end);
        self.begun_at = None;
        let is_blank = text_end == self.begun.0;
        // None before the first that says something: the screen's own empty rows.
        self.blanks = if is_blank { self.blanks + 1 } else { 0 };
        if is_blank && (self.lines.is_empty() || self.blanks > BLANKS) {
            self.styles.truncate(self.begun.1);
            return;
        }
        let at = self.lines.last().map_or(at, |before| before.at.max(at));
        self.lines.push(Entry { at, text_end: offset(text_end), styles_end: offset(self.styles.len()) });
        self.begun = (text_end, self.styles.len());
        if self.lines.len() >= 2 * LINES || self.text.len() > 2 * TEXT {
            self.forget(LINES, TEXT);
        }
    }

    /// Lets the oldest lines go.
    fn forget(&mut self, lines: usize, text: usize) {
        let over = offset(self.text.len().saturating_sub(text));
        let many = self.lines.len().saturating_sub(lines);
        let gone = many.max(self.lines.partition_point(|line| line.text_end <= over));
        let Some(last) = gone.checked_sub(1).and_then(|at| self.lines.get(at)).copied() else { return };
        self.text.drain(..last.text_end as usize);
        self.styles.drain(..last.styles_end as usize);
        for (range, _) in &mut self.styles {
            *range = range.start - last.text_end..range.end - last.text_end;
        }
        self.lines.drain(..gone);
        for line in &mut self.lines {
            line.text_end -= last.text_end;
            line.styles_end -= last.styles_end;
        }
        self.begun = (self.text.len(), self.styles.len());
    }

    /// No more rows come: ends a line that was wrapped, and leaves out blank ones at the end.
    pub fn close(&mut self, at: u64) {
        if self.begun_at.is_some() {
            self.end(at);
        }
        self.forget(LINES, TEXT);
        while self.count().checked_sub(1).is_some_and(|last| self.get(last).is_none_or(|l| l.text.is_empty()))
        {
            self.lines.pop();
        }
    }

    pub fn count(&self) -> usize {
        self.lines.len()
    }

    pub fn get(&self, index: usize) -> Option<Whole<'_>> {
        let entry = self.lines.get(index)?;
        let before = index.checked_sub(1).and_then(|before| self.lines.get(before));
        let (start, styles) = before.map_or((0, 0), |before| (before.text_end, before.styles_end));
        Some(Whole {
            at: entry.at,
            text: self.text.get(start as usize..entry.text_end as usize)?,
            styles: self.styles.get(styles as usize..entry.styles_end as usize)?,
            base: start,
        })
    }
}

/// No text here comes near 4 GiB.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn style(pen: &Pen) -> Style {
    Style {
        foreground: pen.foreground().map(colour),
        background: pen.background().map(colour),
        bold: pen.is_bold(),
        dim: pen.is_faint(),
        italic: pen.is_italic(),
        underline: pen.is_underline(),
        inverse: pen.is_inverse(),
    }
}

/// Of the 256, the first 16 are the terminal's own, and the rest are xterm's cube and greys.
fn colour(colour: Color) -> Colour {
    let level = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
    match colour {
        Color::RGB(rgb) => Colour::Rgb(rgb.r, rgb.g, rgb.b),
        Color::Indexed(n @ 0..=15) => Colour::Named(n),
        Color::Indexed(n @ 16..=231) => {
            let n = n - 16;
            Colour::Rgb(level(n / 36), level(n / 6 % 6), level(n % 6))
        }
        Color::Indexed(n) => {
            let grey = 8 + 10 * (n - 232);
            Colour::Rgb(grey, grey, grey)
        }
    }
}
