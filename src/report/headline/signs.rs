//! The table of what a failure's lines begin with or contain, and the pass over a writer's lines. Pure.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::source::Source;
use super::{Found, Kind, Rank, builds, python, shells, stacks, tests_run, words};

/// Reads what begins at a row: what it tells, and the row to go on with.
pub(super) type Reader = fn(&Source<'_>, usize) -> (Option<Found>, usize);

/// Where in a line a sign must stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// At its beginning, or after blanks.
    Start,
    /// It is the whole line.
    Whole,
    Anywhere,
}

#[derive(Clone, Copy)]
pub(super) enum Means {
    /// The line tells it itself.
    Line(Kind, u8),
    /// The line tells it, from the sign on: what stands before it is a place or a time.
    From(Kind, u8),
    /// Something in several lines, or that needs a closer look.
    Read(Reader),
    /// The same, of lines for which the first says yes; only the last of them is read, for it looks far back.
    ReadLast(fn(&str) -> bool, Reader),
}

pub(super) struct Sign {
    pub words: &'static str,
    pub place: Place,
    pub means: Means,
}

pub(super) const fn line(words: &'static str, place: Place, kind: Kind, weight: u8) -> Sign {
    Sign { words, place, means: Means::Line(kind, weight) }
}

pub(super) const fn from(words: &'static str, kind: Kind, weight: u8) -> Sign {
    Sign { words, place: Place::Anywhere, means: Means::From(kind, weight) }
}

pub(super) const fn read(words: &'static str, place: Place, reader: Reader) -> Sign {
    Sign { words, place, means: Means::Read(reader) }
}

pub(super) const fn read_last(words: &'static str, is_it: fn(&str) -> bool, reader: Reader) -> Sign {
    Sign { words, place: Place::Anywhere, means: Means::ReadLast(is_it, reader) }
}

const PYTHON: &[Sign] = &[
    read("Traceback (most recent call last)", Place::Anywhere, python::traceback),
    read("File \"", Place::Start, frame),
    read("> File \"", Place::Start, frame),
    line("Fatal Python error: ", Place::Start, Kind::Raised, 82),
];

/// A frame without a head: a syntax error, or the log was cut within the traceback.
fn frame(source: &Source<'_>, row: usize) -> (Option<Found>, usize) {
    if python::is_frame(source.text(row).trim()) { python::traceback(source, row) } else { (None, row + 1) }
}

static SIGNS: LazyLock<Vec<&'static Sign>> = LazyLock::new(|| {
    [PYTHON, stacks::SIGNS, builds::SIGNS, tests_run::SIGNS, shells::SIGNS, words::SIGNS]
        .into_iter()
        .flatten()
        .collect()
});

/// None never happens: the table is fixed, and a test builds it. Without it there is no headline, but a mail.
static AUTOMATON: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::new(SIGNS.iter().map(|sign| sign.words)).ok());

/// Adds all that one writer's lines tell.
pub(super) fn scan(source: &Source<'_>, found: &mut Vec<Found>) {
    let Some(automaton) = AUTOMATON.as_ref() else { return };
    let mut row = 0;
    let mut last = None;
    while row < source.rows.len() {
        let (this, next) = look_at(automaton, source, row, &mut last);
        found.extend(this);
        row = next.max(row + 1);
    }
    if let Some((row, reader)) = last {
        found.extend(reader(source, row).0);
    }
}

/// What a row tells: the heaviest of its signs, but that one which says "this is only a wrapper" and is the
/// more precise of the two stands.
fn look_at(
    automaton: &AhoCorasick,
    source: &Source<'_>,
    row: usize,
    last: &mut Option<(usize, Reader)>,
) -> (Option<Found>, usize) {
    let text = source.text(row);
    let begin = text.len() - text.trim_start().len();
    let mut best: Option<Told> = None;
    let mut goes_on = row + 1;
    let mut read: Option<Found> = None;
    let mut tried: Option<Reader> = None;
    for hit in automaton.find_overlapping_iter(text) {
        let sign = SIGNS[hit.pattern().as_usize()];
        let stands = match sign.place {
            Place::Anywhere => true,
            Place::Start => hit.start() == begin,
            Place::Whole => text.trim() == sign.words,
        };
        if !stands {
            continue;
        }
        let (rank, from) = match sign.means {
            Means::Line(kind, weight) => ((kind, weight), begin),
            Means::From(kind, weight) => ((kind, weight), hit.start()),
            // The same reader says the same of the same line.
            Means::Read(reader) if tried.is_none_or(|other| !std::ptr::fn_addr_eq(other, reader)) => {
                tried = Some(reader);
                let (found, next) = reader(source, row);
                goes_on = goes_on.max(next);
                if found.as_ref().is_some_and(|found| read.as_ref().is_none_or(|r| found.weight > r.weight)) {
                    read = found;
                }
                continue;
            }
            Means::Read(_) => continue,
            Means::ReadLast(is_it, reader) => {
                if is_it(text) {
                    *last = Some((row, reader));
                }
                continue;
            }
        };
        if rank.0 == Kind::Word && !words::is_meant(text, hit.range()) {
            continue;
        }
        let told = Told { rank, from, precise: sign.words.len() };
        if best.is_none_or(|best| told.stands_over(&best)) {
            best = Some(told);
        }
    }
    let read_weight = read.as_ref().map_or(0, |read| read.weight);
    match best.filter(|told| told.rank.1 > read_weight) {
        Some(told) => (Some(one(source, row, &told)), row + 1),
        None => (read, goes_on),
    }
}

/// What a sign makes of its line.
#[derive(Clone, Copy)]
struct Told {
    rank: Rank,
    /// Where in the line the text begins.
    from: usize,
    /// How long the sign is.
    precise: usize,
}

impl Told {
    fn stands_over(&self, other: &Self) -> bool {
        match (self.rank.0 == Kind::Wrapper, other.rank.0 == Kind::Wrapper) {
            (true, false) => self.precise > other.precise,
            (false, true) => self.precise >= other.precise,
            _ => self.rank.1 > other.rank.1,
        }
    }
}

/// A line that tells it itself, with those that are indented under it.
fn one(source: &Source<'_>, row: usize, told: &Told) -> Found {
    const MAX_UNDER: usize = 6;
    let last = source.rows.len().min(row + 1 + MAX_UNDER);
    let indented = |row: &usize| source.text(*row).starts_with([' ', '\t']);
    let under = (row + 1..last).take_while(indented).last().unwrap_or(row);
    // A time or a place before the sign is no part of the message.
    let before = source.text(row).trim_start().len() - source.text(row)[told.from..].len();
    let text = sentence(source, row).split_off(before);
    source.found(told.rank, text, row, row..under + 1)
}

/// A row's text; where it ends with a colon, with the next that isn't blank.
pub(super) fn sentence(source: &Source<'_>, row: usize) -> String {
    let text = source.text(row).trim();
    if !text.ends_with([':', '：']) {
        return text.to_owned();
    }
    let more = (row + 1..row + 4).map(|row| source.text(row).trim()).find(|text| !text.is_empty());
    more.map_or_else(|| text.to_owned(), |more| format!("{text} {more}"))
}

/// What is looked for, for tests that put it where it isn't expected.
#[cfg(test)]
pub(super) fn all_words() -> Vec<&'static str> {
    SIGNS.iter().map(|sign| sign.words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_makes_an_automaton() {
        assert!(AUTOMATON.is_some());
    }
}
