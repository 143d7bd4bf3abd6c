//! The end of the output as a person would have read it. Pure.
//!
//! Each stream is played on a screen of its own ([`super::screen`]), since a progress bar on stderr is no
//! part of the lines that stdout puts between; the lines are then put in the order in which they were
//! written. What is shown of them goes through three steps, in this order: whole lines are taken, are
//! redacted ([`Redact`]), and only then are cut to what there is room for.

use std::ops::Range;

use super::headline::Seen;
use super::model::{Excerpt, FurtherUp, Line, Style};
use super::screen::{Finished, play};
use super::text::cut;
use crate::run::facts::Holds;
use crate::spool::tail::{RawTail, Stream};

/// The widest line that is shown, columns.
pub const MAX_COLUMNS: usize = 500;
/// Lines of a failure that are shown where it stands further up.
const FAILURE_LINES: usize = 14;
/// Of them, around those that tell of it.
const CONTEXT: usize = 1;
/// A gap of so few lines is shown rather than told.
const SMALL_GAP: usize = 3;

/// Takes out of a whole line what must not be shown. It sees every line that will be, once, before it is
/// cut: up to 64 KiB.
pub type Redact<'a> = dyn FnMut(&mut Line) + 'a;

/// The lines of the end of a part, as they were on the screen.
#[derive(Debug)]
pub struct Played {
    holds: Holds,
    out: Finished,
    err: Finished,
    order: Vec<(Stream, u32)>,
    /// Bytes of the part before the window, and all of them.
    window: Range<u64>,
}

impl Played {
    pub fn new(tail: &RawTail) -> Self {
        let (out, err) = (play(tail, Stream::Out), play(tail, Stream::Err));
        let order = merge(&out, &err);
        let window = tail.skipped_bytes..tail.skipped_bytes + tail.bytes.len() as u64;
        Self { holds: tail.holds, out, err, order, window }
    }

    pub fn holds(&self) -> Holds {
        self.holds
    }

    /// All lines, to be looked through.
    pub fn seen(&self) -> Vec<Seen<'_>> {
        let text = |stream, at| self.of(stream).get(at as usize).map_or("", |line| line.text);
        self.order.iter().map(|(stream, at)| Seen { stream: *stream, text: text(*stream, *at) }).collect()
    }

    fn of(&self, stream: Stream) -> &Finished {
        match stream {
            Stream::Out => &self.out,
            Stream::Err => &self.err,
        }
    }

    /// The last `wanted` lines, and those of `failure` where they stand further up.
    pub fn excerpt(&self, wanted: usize, failure: Option<&Range<usize>>, redact: &mut Redact<'_>) -> Excerpt {
        let all = self.order.len();
        let mut first = all.saturating_sub(wanted);
        let mut further = failure.and_then(|lines| further_up(lines, first));
        if let Some(lines) = further.clone().filter(|lines| first - lines.end <= SMALL_GAP) {
            first = lines.start;
            further = None;
        }
        let mut show = |lines: Range<usize>| -> Vec<Line> {
            let whole = lines.filter_map(|index| self.line(index));
            whole
                .map(|mut line| {
                    redact(&mut line);
                    fit(line)
                })
                .collect()
        };
        let failure = further.map(|lines| FurtherUp { lines_between: first - lines.end, lines: show(lines) });
        Excerpt { holds: self.holds, failure, lines: show(first..all), skipped_bytes: self.skipped(first) }
    }

    fn line(&self, index: usize) -> Option<Line> {
        let (stream, at) = *self.order.get(index)?;
        let whole = self.of(stream).get(at as usize)?;
        Some(Line { stream, text: whole.text.to_owned(), styles: whole.styles() })
    }

    /// Bytes before the line of this index.
    fn skipped(&self, index: usize) -> u64 {
        let at = |index: usize| {
            let (stream, at) = self.order.get(index)?;
            Some(self.of(*stream).get(*at as usize)?.at)
        };
        match index {
            // Blank lines or a bar's former states are nothing that is missing.
            0 => self.window.start,
            _ => at(index).unwrap_or(self.window.end).clamp(self.window.start, self.window.end),
        }
    }
}

/// Both streams' lines in the order in which they were written.
fn merge(out: &Finished, err: &Finished) -> Vec<(Stream, u32)> {
    let mut order = Vec::with_capacity(out.count() + err.count());
    let (mut next_out, mut next_err) = (0, 0);
    loop {
        let at = |of: &Finished, index: usize| of.get(index).map(|line| line.at);
        let stream = match (at(out, next_out), at(err, next_err)) {
            (None, None) => return order,
            (Some(out), Some(err)) if out <= err => Stream::Out,
            (Some(_), None) => Stream::Out,
            _ => Stream::Err,
        };
        let next = if stream == Stream::Out { &mut next_out } else { &mut next_err };
        order.push((stream, u32::try_from(*next).unwrap_or(u32::MAX)));
        *next += 1;
    }
}

/// What of `lines`, with what stands around them, is before `first`.
fn further_up(lines: &Range<usize>, first: usize) -> Option<Range<usize>> {
    if lines.is_empty() || lines.start >= first {
        return None;
    }
    let start = lines.start.saturating_sub(CONTEXT);
    let end = (lines.end + CONTEXT).min(first);
    // Of a longer one its end: there most programs say what it was.
    Some(start.max(end.saturating_sub(FAILURE_LINES))..end)
}

/// Cuts a line to what is shown.
fn fit(line: Line) -> Line {
    let Line { stream, text, styles } = line;
    let shown = cut(&text, MAX_COLUMNS);
    // Where it was cut, the last character is an ellipsis and no part of what was styled.
    let end = if shown.len() == text.len() { text.len() } else { shown.len() - '…'.len_utf8() };
    let inside = |(range, style): (Range<usize>, Style)| (range.start.min(end)..range.end.min(end), style);
    let styles = styles.into_iter().map(inside).filter(|(range, _)| !range.is_empty()).collect();
    Line { stream, text: shown, styles }
}

#[cfg(test)]
#[path = "excerpt_tests.rs"]
mod tests;
