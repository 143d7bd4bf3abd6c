//! What the output looked like: played on a terminal that only exists in memory. Pure.
//!
//! # Why `avt`
//!
//! It is asciinema's emulator, made for just this: turning recordings into text. Compared with `vt100`
//! 0.18, `alacritty_terminal` 0.26 and wezterm's (as `tattoy-wezterm-term`), on a screen of 200 × 100,
//! built for size as we are, 1 MiB of each:
//!
//! | | `avt` 0.19 | `vt100` | `alacritty_terminal` |
//! |---|---|---|---|
//! | log lines, redraws by CR, one line | 32, 18, 23 ms | 69, 13, 21 ms | 23, 6, 13 ms |
//! | only line ends | 144 ms | 2,031 ms | 25 ms |
//! | memory | 0.6 MiB | 1.0 MiB | 7.5 MiB (rows are cached) |
//! | panics in 200,000 random inputs on screens of 1 to 40 columns | none | 3,594 | 20,726 |
//! | crates it brings | none | vte and 5 more | 30, with ptys and signals |
//! | what scrolls away | handed over, row by row | as text with SGR | to be fetched |
//!
//! (wezterm's needs nearly 300 crates and wasn't measured.) `avt` tells which rows are one line (soft
//! wraps), and takes functions one by one, so that what would lose text or cost too much is left out
//! here, before it gets there. What it lacks, combining characters, [`clusters`] supplies.
//!
//! # What is otherwise than on a terminal
//!
//! A mail must not lose lines for a stray byte. So: a string (OSC, DCS) ends at the line's end; clearing
//! the screen (`ED 2`, `RIS`) moves its rows to those that have scrolled away; lines are wrapped always;
//! the bytes C1 are no controls; a line feed also returns the carriage, since pipes have none;
//! tabs stop at eight columns, and go on over a soft wrap.

mod clusters;
pub mod decode;
mod finished;
mod size;

use std::collections::VecDeque;

use avt::parser::{DecMode, EdScope, Function, State};
use avt::{Observation, Observer, Parser, ScreenKind, Terminal};

use crate::report::text::{char_columns, is_disturbing};
use crate::spool::tail::{RawTail, Stream};
use clusters::{Clusters, NOTHING};
use finished::LINE;
pub use finished::{Finished, LINES, Whole};
use size::Size;

const TAB: usize = 8;
/// Cells that may be touched by all that prints, scrolls and erases: a log of the window's size touches a
/// third. What costs more is played from further down on, so that its end is right.
const WORK: usize = 12 * 1024 * 1024;
/// So little isn't cut further: instead, what is dear is left out once the work is used up.
const LEAST: usize = 64 * 1024;
/// By so much it is told whether a stream is UTF-16, bytes.
const SAMPLE: usize = 4096;

/// Plays what a stream wrote; gives its lines, with blank ones at both ends left out.
pub fn play(tail: &RawTail, stream: Stream) -> Finished {
    let mut from = tail.bytes.len() - last_lines(&tail.bytes);
    let size = Size::of(tail.bytes.get(from..).unwrap_or_default());
    loop {
        let left = tail.bytes.len() - from;
        let mut screen = Screen::new(size);
        let is_last = left <= LEAST;
        screen.play(tail, stream, from, is_last);
        if !screen.is_exhausted() || is_last {
            return screen.finish(tail.skipped_bytes + tail.bytes.len() as u64);
        }
        from += left - left / 4;
        from += memchr::memchr2(b'\n', b'\r', tail.bytes.get(from..).unwrap_or_default())
            .filter(|end| *end < left / 8)
            .map_or(0, |end| end + 1);
    }
}

/// How many bytes the last [`LINES`] lines have; blank ones that follow others are none.
fn last_lines(bytes: &[u8]) -> usize {
    let ends = memchr::memrchr_iter(b'\n', bytes);
    let telling = ends.filter(|end| !matches!(bytes.get(end.wrapping_sub(1)), Some(b'\n')));
    telling.skip(LINES).map(|end| end + 1).next().map_or(bytes.len(), |start| bytes.len() - start)
}

struct Screen {
    terminal: Terminal,
    parser: Parser,
    rows: usize,
    columns: usize,
    shown: Shown,
    /// The region that scrolls, where it isn't the whole screen: its first and last row.
    region: Option<(usize, usize)>,
    /// Line feeds since something else came.
    feeds: usize,
    work: usize,
}

/// What the emulator tells of.
struct Shown {
    finished: Finished,
    clusters: Clusters,
    /// Where each row of the screen was last written to in the log.
    written: VecDeque<u64>,
    now: u64,
}

impl Observer for &mut Shown {
    type Output = ();

    fn evicted(&mut self, _: &mut Observation<'_>, row: &avt::Line) {
        let at = self.written.pop_front().unwrap_or(self.now);
        self.written.push_back(self.now);
        self.finished.row(row, at, &self.clusters);
    }

    fn end(&mut self, _: &mut Observation<'_>) {}
}

impl Screen {
    fn new(size: Size) -> Self {
        let Size { columns, rows } = size;
        let mut screen = Self {
            terminal: new_terminal(size),
            parser: Parser::new(),
            rows,
            columns,
            shown: Shown {
                finished: Finished::default(),
                clusters: Clusters::default(),
                written: VecDeque::from(vec![0; rows]),
                now: 0,
            },
            region: None,
            feeds: 0,
            work: WORK,
        };
        // At the bottom, where a shell's prompt mostly is: there is room to move up.
        screen.run(Function::Cup(row_number(rows - 1), 1));
        screen
    }

    fn is_exhausted(&self) -> bool {
        self.work == 0
    }

    fn play(&mut self, tail: &RawTail, stream: Stream, from: usize, is_last: bool) {
        let pieces = || {
            tail.of(stream).filter(|(start, piece)| start + piece.len() > from).map(|(start, piece)| {
                let skipped = from.saturating_sub(start);
                (start + skipped, piece.get(skipped..).unwrap_or_default())
            })
        };
        let sample: Vec<u8> = pieces().flat_map(|(_, piece)| piece).take(SAMPLE).copied().collect();
        if decode::utf16(&sample).is_some() {
            let all: Vec<u8> = pieces().flat_map(|(_, piece)| piece).copied().collect();
            self.shown.now = tail.skipped_bytes + from as u64;
            let text = decode::utf16(&all).unwrap_or_default();
            text.split_inclusive(|byte| *byte == b'\n').for_each(|line| self.feed(line));
            return;
        }
        let mut line = Vec::new();
        for (mut at, piece) in pieces() {
            for part in piece.split_inclusive(|byte| *byte == b'\n') {
                if self.is_exhausted() && !is_last {
                    return;
                }
                // The screen is blank already; there may be a million of them.
                if self.feeds > 2 * self.rows && matches!(part, b"\n" | b"\r\n") && line.is_empty() {
                    at += part.len();
                    continue;
                }
                // A line stands where its last piece begins.
                self.shown.now = tail.skipped_bytes + at as u64;
                at += part.len();
                if part.ends_with(b"\n") && line.is_empty() && part.len() <= LINE {
                    self.feed(part);
                    continue;
                }
                for chunk in part.chunks(LINE) {
                    line.extend_from_slice(chunk);
                    let whole = if line.ends_with(b"\n") { line.len() } else { whole_characters(&line) };
                    if line.ends_with(b"\n") || line.len() >= LINE {
                        self.feed(&line[..whole]);
                        line.drain(..whole);
                    }
                }
            }
        }
        self.feed(&line);
    }

    fn feed(&mut self, bytes: &[u8]) {
        let text = decode::decode(bytes);
        let mut rest = text.as_ref();
        while !rest.is_empty() {
            if self.parser.state == State::Ground {
                let plain = rest.bytes().take_while(|byte| matches!(byte, b' '..=b'~')).count();
                // The last may have a mark upon it.
                let plain = if plain < rest.len() { plain.saturating_sub(1) } else { plain };
                if plain > 0 {
                    self.print_all(&rest[..plain]);
                    rest = &rest[plain..];
                }
            }
            let mut chars = rest.chars();
            let Some(c) = chars.next() else { break };
            rest = chars.as_str();
            if self.parser.state == State::Ground && c >= ' ' {
                let marks = if rest.starts_with(|next: char| next >= '\u{300}') {
                    rest.find(|c| !is_mark(c)).unwrap_or(rest.len())
                } else {
                    0
                };
                self.print(c, &rest[..marks]);
                rest = &rest[marks..];
            } else {
                self.control(c);
            }
        }
    }

    /// Only printable ASCII.
    fn print_all(&mut self, text: &str) {
        let start = self.touch();
        self.feeds = 0;
        self.terminal.execute_with(text.chars().map(Function::Print), &mut self.shown);
        self.spend(text.len());
        for row in start..=self.terminal.cursor().row {
            self.stamp(row);
        }
    }

    fn print(&mut self, c: char, marks: &str) {
        if is_disturbing(c) || (is_mark(c) && marks.is_empty()) {
            return;
        }
        let c = if Clusters::is_reserved(c) { char::REPLACEMENT_CHARACTER } else { c };
        let c = if marks.is_empty() { c } else { self.shown.clusters.stand_in(c, marks) };
        self.feeds = 0;
        if char_columns(c) == 2 && self.terminal.cursor().col + 1 == self.columns {
            self.run(Function::Print(NOTHING));
        }
        let before = self.terminal.cursor().col;
        self.touch();
        self.run(Function::Print(c));
        self.touch();
        // A wrapped line takes a row more.
        let wrapped = self.terminal.cursor().col < before;
        self.spend(if wrapped { self.columns } else { 2 });
    }

    /// The row where the cursor is has been written to just now.
    fn touch(&mut self) -> usize {
        let row = self.terminal.cursor().row;
        self.stamp(row);
        row
    }

    fn stamp(&mut self, row: usize) {
        if self.terminal.active_screen_kind() == ScreenKind::Primary
            && let Some(written) = self.shown.written.get_mut(row)
        {
            *written = self.shown.now;
        }
    }

    fn control(&mut self, c: char) {
        if ('\u{80}'..'\u{a0}').contains(&c) {
            return;
        }
        let in_string = matches!(
            self.parser.state,
            State::OscString
                | State::SosPmApcString
                | State::DcsEntry
                | State::DcsParam
                | State::DcsIntermediate
                | State::DcsPassthrough
                | State::DcsIgnore
        );
        if c == '\n' && in_string {
            // CAN: what ends any sequence.
            self.parser.feed('\u{18}');
        }
        if let Some(function) = self.parser.feed(c) {
            self.function(function);
        }
    }

    fn function(&mut self, function: Function) {
        let cursor = self.terminal.cursor();
        let below = self.rows.saturating_sub(cursor.row);
        let (row, screen) = (self.columns, self.columns * self.rows);
        // Moving rows about is cheap beside filling them.
        let height = self.rows;
        let rows = |n: u16| usize::from(n).clamp(1, height) * row + height;
        let is_feed = matches!(function, Function::Lf | Function::Nel | Function::Cr);
        match function {
            Function::Lf | Function::Nel => return self.line_feed(),
            Function::Ht => return self.tab(cursor.col),
            Function::Ris => return self.reset(),
            Function::Print(c) => return self.print(c, ""),
            Function::Decstbm(top, bottom) => self.set_region(top, bottom),
            Function::Decstr => self.region = None,
            // Fills the screen with E; or what loses text or columns for good after a stray byte.
            Function::Decaln | Function::Hts | Function::Tbc(_) | Function::Ctc(_) => return,
            Function::Sm(_) | Function::Rm(_) => return,
            Function::Decset(ref modes) | Function::Decrst(ref modes) => {
                let modes = modes.as_slice();
                let switches = |mode: &DecMode| {
                    matches!(mode, DecMode::AltScreenBuffer | DecMode::SaveCursorAltScreenBuffer)
                };
                let cost = modes.iter().filter(|mode| switches(mode)).count() * screen;
                if modes.contains(&DecMode::AutoWrap) || !self.spend(cost) {
                    return;
                }
            }
            Function::Ed(EdScope::Below) if !self.spend(below * row) => return,
            Function::Ed(EdScope::Above | EdScope::All) if !self.spend(2 * screen) => return,
            Function::Il(n) | Function::Dl(n) | Function::Su(n) | Function::Sd(n) if !self.spend(rows(n)) => {
                return;
            }
            Function::Rep(n) => {
                let n = usize::from(n).clamp(1, self.columns);
                if self.spend(n) {
                    self.touch();
                    self.run(Function::Rep(u16::try_from(n).unwrap_or(1)));
                    self.touch();
                }
                return;
            }
            Function::Ri | Function::El(_) | Function::Ech(_) | Function::Ich(_) | Function::Dch(_)
                if !self.spend(row) =>
            {
                return;
            }
            _ => {}
        }
        self.feeds = if is_feed { self.feeds } else { 0 };
        self.run(function);
    }

    /// To the next row, and to its beginning.
    fn line_feed(&mut self) {
        self.feeds += 1;
        let row = self.terminal.cursor().row;
        // The screen is all blank, and what comes off it as well.
        if self.feeds > 2 * self.rows || !self.spend(self.columns) {
            return self.run(Function::Cr);
        }
        if self.terminal.active_screen_kind() == ScreenKind::Primary {
            self.run(Function::Cr);
            self.keep_what_would_be_lost(row);
        }
        self.run(Function::Lf);
    }

    /// A region in the screen's middle lets go what scrolls off it; and beneath one nothing scrolls.
    fn keep_what_would_be_lost(&mut self, row: usize) {
        let Some((top, bottom)) = self.region else { return };
        if row == bottom && top > 0 {
            let Shown { finished, clusters, now, .. } = &mut self.shown;
            if let Some(line) = self.terminal.primary_screen().line(top) {
                finished.row(line, *now, clusters);
            }
        } else if row > bottom && row + 1 == self.rows {
            self.region = None;
            self.run(Function::Decstbm(0, 0));
            self.run(Function::Cup(row_number(row), 1));
        }
    }

    fn set_region(&mut self, top: u16, bottom: u16) {
        let top = usize::from(top.max(1)) - 1;
        let bottom = if bottom == 0 { self.rows } else { usize::from(bottom) } - 1;
        // As the emulator does.
        if top < bottom && bottom < self.rows {
            self.region = (top > 0 || bottom + 1 < self.rows).then_some((top, bottom));
        }
    }

    fn tab(&mut self, column: usize) {
        let next = (column / TAB + 1) * TAB;
        if next < self.columns {
            return self.run(Function::Ht);
        }
        // On a terminal it would stick to the edge, and run into what comes next.
        self.print_all("        ".get(..next - column).unwrap_or_default());
    }

    /// The screen as it was at first, but what stood on it is kept.
    fn reset(&mut self) {
        if !self.spend(2 * self.columns * self.rows) {
            return;
        }
        self.leave_alternate();
        self.region = None;
        for function in [Function::Decstr, Function::Ed(EdScope::All), Function::Cup(1, 1)] {
            self.run(function);
        }
    }

    fn leave_alternate(&mut self) {
        self.run(Function::Decrst(avt::parser::DecModes::from(vec![DecMode::AltScreenBuffer])));
    }

    fn run(&mut self, function: Function) {
        self.terminal.execute_with(function, &mut self.shown);
    }

    /// May this be done? Once the work is used up, nothing that costs is.
    fn spend(&mut self, cells: usize) -> bool {
        self.work = self.work.saturating_sub(cells);
        self.work > 0
    }

    /// What stands on the screen at the end also has been shown.
    fn finish(self, end: u64) -> Finished {
        let Shown { mut finished, clusters, written, .. } = self.shown;
        for (row, line) in self.terminal.primary_screen().visible_lines().enumerate() {
            finished.row(line, written.get(row).copied().unwrap_or(end), &clusters);
        }
        // A program that was killed with the screen to itself (`watch`, `htop`) didn't clear up.
        if self.terminal.active_screen_kind() == ScreenKind::Alternate {
            for line in self.terminal.screen().visible_lines() {
                finished.row(line, end, &clusters);
            }
        }
        finished.close(end);
        finished
    }
}

fn new_terminal(size: Size) -> Terminal {
    Terminal::new(size.columns, size.rows).expect("a screen has rows and columns")
}

/// As control sequences count them.
fn row_number(row: usize) -> u16 {
    u16::try_from(row + 1).unwrap_or(u16::MAX)
}

/// Does it stand upon the character before it?
fn is_mark(c: char) -> bool {
    c >= '\u{300}' && char_columns(c) == 0 && !is_disturbing(c)
}

/// How much of this can be decoded by itself: up to behind the last byte that is no part of a character
/// in any encoding.
fn whole_characters(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte < 0x30).map_or(bytes.len(), |last| last + 1)
}
