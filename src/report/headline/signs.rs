//! The table of what a failure's lines begin with or contain, and the pass over a writer's lines. Pure.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::source::Source;
use super::{Found, Kind, builds, python, shells, stacks, tests_run, words};

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
    /// Something in several lines, or that needs a closer look.
    Read(Reader),
}

pub(super) struct Sign {
    pub words: &'static str,
    pub place: Place,
    pub means: Means,
}

pub(super) const fn line(words: &'static str, place: Place, kind: Kind, weight: u8) -> Sign {
    Sign { words, place, means: Means::Line(kind, weight) }
}

pub(super) const fn read(words: &'static str, place: Place, reader: Reader) -> Sign {
    Sign { words, place, means: Means::Read(reader) }
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
    while row < source.rows.len() {
        let (this, next) = look_at(automaton, source, row);
        found.extend(this);
        row = next.max(row + 1);
    }
}

/// What a row tells: the heaviest of its signs.
fn look_at(automaton: &AhoCorasick, source: &Source<'_>, row: usize) -> (Option<Found>, usize) {
    let text = source.text(row);
    let begin = text.len() - text.trim_start().len();
    let mut best: Option<(Kind, u8)> = None;
    let mut goes_on = row + 1;
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
        match sign.means {
            Means::Line(kind, weight) => {
                if best.is_none_or(|(_, other)| weight > other)
                    && (kind != Kind::Word || words::is_meant(text, hit.range()))
                {
                    best = Some((kind, weight));
                }
            }
            // The same reader says the same of the same line.
            Means::Read(reader) if tried.is_none_or(|other| !std::ptr::fn_addr_eq(other, reader)) => {
                tried = Some(reader);
                let (found, next) = reader(source, row);
                if found.is_some() {
                    return (found, next);
                }
                goes_on = goes_on.max(next);
            }
            Means::Read(_) => {}
        }
    }
    let found = best.map(|(kind, weight)| one(source, row, kind, weight));
    (found, if best.is_some() { row + 1 } else { goes_on })
}

/// A line that tells it itself, with those that are indented under it.
fn one(source: &Source<'_>, row: usize, kind: Kind, weight: u8) -> Found {
    const MAX_UNDER: usize = 6;
    let last = source.rows.len().min(row + 1 + MAX_UNDER);
    let indented = |row: &usize| source.text(*row).starts_with([' ', '\t']);
    let under = (row + 1..last).take_while(indented).last().unwrap_or(row);
    source.found((kind, weight), sentence(source, row), row, row..under + 1)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_makes_an_automaton() {
        assert!(AUTOMATON.is_some());
    }
}
