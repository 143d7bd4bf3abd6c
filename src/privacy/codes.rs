//! The accounts' own authorization codes, in the forms in which a log may have them. Pure.
//!
//! Found by the first four bytes of each form, then compared: so no automaton keeps a copy of a code
//! that nobody zeroes.

use aho_corasick::packed::Searcher;
use aho_corasick::{AhoCorasick, Input, Span};
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use secrecy::zeroize::Zeroizing;

use super::{Found, Place};

/// Bytes by which a form is found.
const FRAGMENT: usize = 4;
/// A shorter code is looked for as a word by itself: else it would be found in anything.
const SURE: usize = 8;

/// A code, and the login that it goes with.
#[derive(Clone, Copy)]
pub struct Code<'a> {
    pub code: &'a str,
}

impl std::fmt::Debug for Code<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Code")
    }
}

struct Form {
    text: Zeroizing<Vec<u8>>,
    stands: Stands,
}

/// What may stand beside it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    Anywhere,
    /// Neither letter nor digit may stand beside it.
    Alone,
    /// It is a part of a text in base64, all of which goes: its edges hold some bits of the code.
    InBase64,
}

/// Looks for them with vector instructions where the machine has any.
enum Fragments {
    Packed(Searcher),
    Automaton(AhoCorasick),
}

impl Fragments {
    fn new(fragments: &[[u8; FRAGMENT]]) -> Option<Self> {
        if fragments.is_empty() {
            return None;
        }
        let automaton = || AhoCorasick::new(fragments).expect("some hundred fragments are few");
        Some(Searcher::new(fragments).map_or_else(|| Self::Automaton(automaton()), Self::Packed))
    }

    /// The next one from `from` on: where, and which.
    fn find(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        let span = Span { start: from, end: text.len() };
        let hit = match self {
            Self::Packed(searcher) => searcher.find_in(text, span),
            Self::Automaton(automaton) => automaton.find(Input::new(text).span(span)),
        }?;
        Some((hit.start(), hit.pattern().as_usize()))
    }
}

#[derive(Default)]
pub(super) struct Codes {
    forms: Vec<Form>,
    fragments: Option<Fragments>,
    /// Which forms begin with each fragment.
    of_fragment: Vec<Vec<usize>>,
}

impl Codes {
    pub(super) fn new(codes: &[Code<'_>]) -> Self {
        let mut forms: Vec<Form> = Vec::new();
        for code in codes {
            for form in forms_of(code.code.as_bytes()) {
                if !forms.iter().any(|known| known.text == form.text) {
                    forms.push(form);
                }
            }
        }
        let mut fragments: Vec<[u8; FRAGMENT]> = Vec::new();
        let mut of_fragment: Vec<Vec<usize>> = Vec::new();
        for (n, form) in forms.iter().enumerate() {
            let Some(fragment) = form.text.first_chunk::<FRAGMENT>() else { continue };
            match fragments.iter().position(|known| known == fragment) {
                Some(at) => of_fragment[at].push(n),
                None => {
                    fragments.push(*fragment);
                    of_fragment.push(vec![n]);
                }
            }
        }
        let automaton = Fragments::new(&fragments);
        Self { forms, fragments: automaton, of_fragment }
    }

    pub(super) fn find(&self, text: &[u8], found: &mut Vec<Found>) {
        let Some(automaton) = &self.fragments else { return };
        let mut from = 0;
        while let Some((at, fragment)) = automaton.find(text, from) {
            let fits = |n: &&usize| self.forms[**n].stands_at(text, at);
            let longest =
                self.of_fragment[fragment].iter().filter(fits).max_by_key(|n| self.forms[**n].text.len());
            from = at + 1;
            if let Some(n) = longest {
                let range = self.forms[*n].range(text, at);
                from = range.end.max(from);
                found.push(Found { range, place: Place::Own });
            }
        }
    }
}

impl Form {
    fn stands_at(&self, text: &[u8], at: usize) -> bool {
        let end = at + self.text.len();
        text.get(at..end).is_some_and(|found| found == self.text.as_slice())
            && (self.stands != Stands::Alone
                || !(at.checked_sub(1).is_some_and(|before| text[before].is_ascii_alphanumeric())
                    || text.get(end).is_some_and(u8::is_ascii_alphanumeric)))
    }

    fn range(&self, text: &[u8], at: usize) -> std::ops::Range<usize> {
        /// A longer text in base64 loses only so much around the code.
        const AROUND: usize = 256;
        let end = at + self.text.len();
        if self.stands != Stands::InBase64 {
            return at..end;
        }
        let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(byte);
        let before =
            text[at.saturating_sub(AROUND)..at].iter().rev().take_while(|b| is_base64(b) && **b != b'=');
        let behind = text[end..].iter().take(AROUND).take_while(|b| is_base64(b));
        at - before.count()..end + behind.count()
    }
}

fn forms_of(code: &[u8]) -> Vec<Form> {
    if code.len() < FRAGMENT {
        return Vec::new();
    }
    let stands = if code.len() < SURE { Stands::Alone } else { Stands::Anywhere };
    let mut forms = vec![Form { text: Zeroizing::new(code.to_vec()), stands }];
    if code.len() == 16 && code.iter().all(u8::is_ascii_alphanumeric) {
        // As web pages show it.
        forms.push(spelled(
            code.len() + 3,
            code.chunks(4)
                .enumerate()
                .flat_map(|(n, group)| (n > 0).then_some(b' ').into_iter().chain(group.iter().copied())),
        ));
    }
    for digits in [b"0123456789abcdef", b"0123456789ABCDEF"] {
        let hex = |byte: &u8| [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]];
        forms.push(spelled(code.len() * 2, code.iter().flat_map(hex)));
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let percent = |byte: &u8| {
            let plain = unreserved(*byte);
            let [high, low] = hex(byte);
            let escaped = [b'%', high, low];
            (plain.then_some(*byte)).into_iter().chain(escaped.into_iter().filter(move |_| !plain))
        };
        forms.push(spelled(code.len() * 3, code.iter().flat_map(percent)));
    }
    let escaped =
        |byte: &u8| matches!(*byte, b'"' | b'\\').then_some(b'\\').into_iter().chain(std::iter::once(*byte));
    forms.push(spelled(code.len() * 2, code.iter().flat_map(escaped)));
    (0..3).for_each(|before| forms.extend(in_base64(code, before)));
    forms.retain(|form| form.text.len() >= SURE || form.stands == Stands::Alone);
    forms
}

/// `room`: so much that it never moves while it grows, leaving a copy behind.
fn spelled(room: usize, bytes: impl Iterator<Item = u8>) -> Form {
    let mut text = Zeroizing::new(Vec::with_capacity(room));
    text.extend(bytes);
    Form { text, stands: Stands::Anywhere }
}

/// The letters that hang on nothing but the code, `before` bytes into a text in base64: so AUTH PLAIN
/// and AUTH LOGIN have it, and an `Authorization: Basic`. In the alphabets of RFC 4648, 4 and 5.
fn in_base64(code: &[u8], before: usize) -> Vec<Form> {
    let mut raw = Zeroizing::new(Vec::with_capacity(before + code.len()));
    raw.resize(before, 0);
    raw.extend_from_slice(code);
    let mut text = Zeroizing::new(vec![0; raw.len() * 4 / 3 + 4]);
    let Ok(length) = BASE64_STANDARD_NO_PAD.encode_slice(raw.as_slice(), &mut text) else {
        return Vec::new();
    };
    let (first, last) = ((before * 8).div_ceil(6), raw.len() * 8 / 6);
    let letters = &text[first..last.min(length)];
    let url_safe = letters.iter().map(|letter| match letter {
        b'+' => b'-',
        b'/' => b'_',
        other => *other,
    });
    let forms = [spelled(letters.len(), letters.iter().copied()), spelled(letters.len(), url_safe)];
    forms.into_iter().map(|form| Form { stands: Stands::InBase64, ..form }).collect()
}
