//! The user's own regular expressions (`privacy.redact`). Pure.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

use super::{Found, MARK, Place};

/// A compiled one may take this much memory.
const MOST_MEMORY: usize = 4 << 20;
/// The group that names what is to go, where that isn't the whole match.
const GROUP: &str = "secret";

/// A regular expression that is fit for use. `Debug` doesn't show it: it may be the secret itself.
#[derive(Clone)]
pub struct Pattern {
    regex: Regex,
    has_group: bool,
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pattern")
    }
}

/// Why a pattern can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    Empty,
    /// It matches everywhere, even where there is nothing.
    MatchesNothing,
    TooLarge,
    /// What the parser says of it; it doesn't quote the pattern.
    Syntax(String),
}

impl Pattern {
    /// The syntax is that of the `regex` crate, which takes time in proportion to the text, whatever
    /// the pattern.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn new(text: &str) -> Result<Self, Unfit> {
        if text.trim().is_empty() {
            return Err(Unfit::Empty);
        }
        let regex =
            RegexBuilder::new(text).size_limit(MOST_MEMORY).dfa_size_limit(MOST_MEMORY).build().map_err(
                |e| match e {
                    regex::Error::CompiledTooBig(_) => Unfit::TooLarge,
                    other => Unfit::Syntax(reason(&other)),
                },
            )?;
        if regex.is_match(b"") {
            return Err(Unfit::MatchesNothing);
        }
        let has_group = regex.capture_names().flatten().any(|name| name == GROUP);
        Ok(Self { regex, has_group })
    }

    /// Finds in each line by itself.
    pub(super) fn find(&self, text: &[u8], found: &mut Vec<Found>) {
        let mut start = 0;
        while start < text.len() {
            let end = memchr::memchr2(b'\n', b'\r', &text[start..]).map_or(text.len(), |n| start + n);
            if end > start {
                self.find_in_line(&text[start..end], start, found);
            }
            start = end + 1;
        }
    }

    fn find_in_line(&self, line: &[u8], offset: usize, found: &mut Vec<Found>) {
        let mut put = |start: usize, end: usize| {
            if start < end && !is_marked(line, start, end) {
                found.push(Found { range: offset + start..offset + end, place: Place::Own });
            }
        };
        if self.has_group {
            for captures in self.regex.captures_iter(line) {
                captures.name(GROUP).into_iter().for_each(|m| put(m.start(), m.end()));
            }
        } else {
            self.regex.find_iter(line).for_each(|m| put(m.start(), m.end()));
        }
    }
}

/// Does it lie within a mark of ours? It would be marked again at each look.
fn is_marked(line: &[u8], start: usize, end: usize) -> bool {
    let from = end.saturating_sub(MARK.len());
    let to = (start + MARK.len()).min(line.len());
    from <= start
        && line[from..to].windows(MARK.len()).enumerate().any(|(at, piece)| {
            piece == MARK.as_bytes() && from + at <= start && end <= from + at + MARK.len()
        })
}

/// The parser's words without its picture of the pattern.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    last.trim().trim_start_matches("error: ").to_owned()
}
