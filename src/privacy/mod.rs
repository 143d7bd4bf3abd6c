//! What must not leave the machine: finds it in texts and streams, and takes it out. Pure.
//!
//! - [`builtin`]: the tokens of known services, `password=…`, URLs with credentials, private keys.
//! - [`codes`]: the accounts' own authorization codes, in every form that a log may have them in.
//! - [`pattern`]: the user's regular expressions (`privacy.redact`).
//!
//! All of them look at a text line by line, where a carriage return ends a line too, as a terminal
//! would show it ([`view`]): without escape sequences, with backspaces played out. What is found is
//! replaced in the raw bytes by [`MARK`]; every other byte stays as it is.
//!
//! Lines of up to [`stream::LINE`] bytes are seen whole. A longer one is seen in windows that overlap
//! by [`stream::LONGEST`], so nothing up to that length gets through at a seam; what is longer is
//! taken out up to the next blank. What a program itself broke into two lines isn't found.

pub mod assigned;
pub mod builtin;
pub mod codes;
mod names;
pub mod pattern;
pub mod pem;
mod placeholder;
pub mod stream;
mod tokens;
mod view;

use std::borrow::Cow;
use std::ops::Range;

use builtin::{Builtins, Kind};
use codes::{Code, Codes};
use pattern::Pattern;
use pem::Pem;
use view::View;

/// What stands where something was taken out. The same in every language: it may stand in a log, in
/// code and in a name, and a reader's own tools look for one word.
pub const MARK: &str = "[redacted]";

/// How many places something was taken out of.
pub type Places = u64;

/// What is to be taken out.
#[derive(Debug, Default)]
pub struct Options<'a> {
    pub patterns: &'a [Pattern],
    /// Of the built-in set, what is to stay.
    pub keep: &'a [Kind],
    pub codes: &'a [Code<'a>],
}

/// Takes out of texts and streams what [`Options`] name. Holds the codes, zeroed when it is dropped.
pub struct Redactor {
    patterns: Vec<Pattern>,
    builtins: Builtins,
    codes: Codes,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

/// A range of a text that is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub range: Range<usize>,
    pub place: Place,
}

/// Is it one of its own, or the rest of one that has been counted?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Own,
    Rest,
}

/// A range of raw bytes that is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edit {
    range: Range<usize>,
    /// None: what stands before it has the mark already.
    mark: Option<Place>,
}

impl Redactor {
    pub fn new(options: &Options<'_>) -> Self {
        Self {
            patterns: options.patterns.to_vec(),
            builtins: Builtins::without(options.keep),
            codes: Codes::new(options.codes),
        }
    }

    /// A text of any number of lines.
    pub fn text<'a>(&self, text: &'a str) -> (Cow<'a, str>, Places) {
        match self.bytes(text.as_bytes()) {
            (Cow::Borrowed(_), places) => (Cow::Borrowed(text), places),
            // Whole characters go, but for a user's pattern that speaks of bytes.
            (Cow::Owned(bytes), places) => {
                let text = String::from_utf8(bytes)
                    .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
                (Cow::Owned(text), places)
            }
        }
    }

    /// Bytes of any number of lines, however long: the same as [`Self::redact_stream`].
    pub fn bytes<'a>(&self, bytes: &'a [u8]) -> (Cow<'a, [u8]>, Places) {
        self.lines().next(bytes)
    }

    /// For lines that come one by one: a private key goes over many.
    pub fn lines(&self) -> Lines<'_> {
        Lines { redactor: self, pem: Pem::default() }
    }

    /// The words of a command line. What follows `--password` goes, whatever it looks like.
    pub fn words(&self, words: &[String]) -> (Vec<String>, Places) {
        let mut places = 0;
        let mut out = Vec::with_capacity(words.len());
        let mut value_of = None;
        for word in words {
            let (clean, found) = match value_of.take() {
                Some(kind) if self.builtins.has(kind) && assigned::is_value(word, kind) => {
                    (Cow::Borrowed(MARK), 1)
                }
                _ => self.text(word),
            };
            places += found;
            out.push(clean.into_owned());
            value_of = assigned::option(word);
        }
        // `curl -u NAME:PASSWORD` and the like, told by their neighbours.
        for (at, range) in self.builtins.in_words(words) {
            if out[at] == words[at] {
                out[at] = format!("{}{MARK}{}", &words[at][..range.start], &words[at][range.end..]);
                places += 1;
            }
        }
        (out, places)
    }

    /// Where a text may be cut, if not at `at`: what is before may end at the range's start, what is behind
    /// may begin at its end. A half of what is to go, or a password whose name is cut off, would not be known.
    pub fn cut_around(&self, text: &[u8], at: usize) -> Range<usize> {
        let mut pem = Pem::default();
        self.edits(&text[..at], &mut pem);
        let at_line = at == 0 || matches!(text[at - 1], b'\n' | b'\r');
        // Between whole lines only a private key goes on.
        let reach = if at_line && !pem.is_inside() { 0 } else { stream::BEFORE };
        let (edits, _) = self.edits(text, &mut Pem::default());
        let mut cut = at..at;
        for Edit { range, .. } in edits {
            if range.start < at && range.end > at {
                cut.start = range.start;
            }
            if range.end > cut.end && range.start < cut.end + reach {
                cut.end = range.end;
            }
        }
        cut
    }

    /// What is to go of whole lines, or of a window of one.
    fn edits(&self, raw: &[u8], pem: &mut Pem) -> (Vec<Edit>, Option<View>) {
        if !view::is_needed(raw) {
            let found = self.find(raw, pem);
            return (found.into_iter().map(|f| Edit { range: f.range, mark: Some(f.place) }).collect(), None);
        }
        let view = View::of(raw);
        let mut edits = Vec::new();
        for found in self.find(view.text(), pem) {
            view.edits(&found, &mut edits);
        }
        for hidden in view.hidden() {
            let found = self.find(&raw[hidden.clone()], &mut Pem::default());
            edits.extend(found.into_iter().map(|found| Edit {
                range: hidden.start + found.range.start..hidden.start + found.range.end,
                mark: Some(found.place),
            }));
        }
        // What only looks like an escape sequence swallows the beginning of what follows.
        let mut whole = Vec::new();
        self.codes.find(raw, &mut whole);
        self.builtins.find_tokens(raw, &mut whole);
        edits.extend(whole.into_iter().map(|found| Edit { range: found.range, mark: Some(found.place) }));
        (without_overlap(edits), Some(view))
    }

    /// Finds in a text without escape sequences; sorted, without overlap.
    fn find(&self, text: &[u8], pem: &mut Pem) -> Vec<Found> {
        let mut found = Vec::new();
        self.codes.find(text, &mut found);
        self.builtins.find(text, pem, &mut found);
        for pattern in &self.patterns {
            pattern.find(text, &mut found);
        }
        merged(found)
    }
}

/// Ranges that touch something in common become one.
fn merged(mut found: Vec<Found>) -> Vec<Found> {
    if found.len() < 2 {
        return found;
    }
    found.sort_by_key(|f| (f.range.start, std::cmp::Reverse(f.range.end)));
    let mut out: Vec<Found> = Vec::with_capacity(found.len());
    for next in found {
        match out.last_mut() {
            Some(last) if next.range.start < last.range.end => {
                last.range.end = last.range.end.max(next.range.end);
            }
            _ => out.push(next),
        }
    }
    out
}

/// The same of ranges of raw bytes.
fn without_overlap(mut edits: Vec<Edit>) -> Vec<Edit> {
    edits.sort_by_key(|edit| (edit.range.start, std::cmp::Reverse(edit.range.end)));
    let mut out: Vec<Edit> = Vec::with_capacity(edits.len());
    for next in edits {
        match out.last_mut() {
            // What is inside of the rest of something has been counted with it.
            Some(last) if next.range.end <= last.range.end => {}
            Some(last) if next.range.start < last.range.end => {
                last.range.end = next.range.end;
                last.mark = last.mark.or(next.mark);
            }
            _ => out.push(next),
        }
    }
    out
}

/// Takes out of lines that belong together.
#[derive(Debug)]
pub struct Lines<'a> {
    redactor: &'a Redactor,
    pem: Pem,
}

impl Lines<'_> {
    /// What is to go of the next line, which is text without escape sequences: where, and how many places
    /// these are.
    pub fn cuts(&mut self, line: &str) -> (Vec<Range<usize>>, Places) {
        let (edits, _) = self.redactor.edits(line.as_bytes(), &mut self.pem);
        let places = edits.iter().filter(|edit| edit.mark == Some(Place::Own)).count();
        let whole = |range: Range<usize>| floor(line, range.start)..ceil(line, range.end);
        let mut cuts: Vec<Range<usize>> = Vec::with_capacity(edits.len());
        for range in edits.into_iter().map(|edit| whole(edit.range)) {
            match cuts.last_mut() {
                Some(last) if range.start < last.end => last.end = last.end.max(range.end),
                _ => cuts.push(range),
            }
        }
        (cuts, places as Places)
    }

    /// The next line, or several.
    pub fn next<'a>(&mut self, bytes: &'a [u8]) -> (Cow<'a, [u8]>, Places) {
        if bytes.len() > stream::WHOLE {
            let mut out = Vec::with_capacity(bytes.len());
            let done = stream::run(self.redactor, &mut self.pem, (&mut &bytes[..], &mut out));
            // A Vec takes all that is written.
            return (Cow::Owned(out), done.unwrap_or_default());
        }
        let (edits, _) = self.redactor.edits(bytes, &mut self.pem);
        if edits.is_empty() {
            return (Cow::Borrowed(bytes), 0);
        }
        let mut out = Vec::with_capacity(bytes.len());
        let places = apply(bytes, 0..bytes.len(), &edits, &mut |piece| out.extend_from_slice(piece));
        (Cow::Owned(out), places)
    }
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

/// A user's pattern may speak of single bytes; characters go whole.
fn ceil(text: &str, at: usize) -> usize {
    (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

/// Gives the pieces of `raw` within `range` that stay, with marks between.
fn apply(raw: &[u8], range: Range<usize>, edits: &[Edit], put: &mut dyn FnMut(&[u8])) -> Places {
    let (mut at, mut places) = (range.start, 0);
    for edit in edits {
        let start = edit.range.start.max(at);
        put(&raw[at..start]);
        if let Some(place) = edit.mark {
            put(MARK.as_bytes());
            places += Places::from(place == Place::Own);
        }
        at = edit.range.end.max(start);
    }
    put(&raw[at..range.end.max(at)]);
    places
}

#[cfg(test)]
mod generated_tests;
#[cfg(test)]
mod tests;
