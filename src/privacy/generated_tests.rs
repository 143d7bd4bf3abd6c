//! Generated texts: nothing planted gets through, nothing else changes.

use std::io::{self, BufRead, Read};

use proptest::prelude::*;

use super::tests::{SECRETS, all, row};
use super::*;

const TOKENS: [&str; 6] = [
    concat!("gh", "p_0123456789abcdefghijABCDEFGHIJ012345"),
    concat!("AK", "IAIOSFODNN7EXAMPLE"),
    concat!("h", "f_abcdefghijklmnopqrstuvwxyzABCDEFGH"),
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    concat!("sk-an", "t-api03-abcdefghijklmnop_qrstuvwxyz-0123456789AA"),
    "abcdefghijklmnop",
];

fn redactor() -> Redactor {
    Redactor::new(&Options { codes: &[codes::Code { code: TOKENS[5] }], ..Options::default() })
}

/// Gives its bytes in pieces of these sizes, over and over.
struct Pieces<'a> {
    rest: &'a [u8],
    sizes: &'a [usize],
    turn: usize,
    /// What is left of the piece at hand.
    left: usize,
}

impl<'a> Pieces<'a> {
    fn new(rest: &'a [u8], sizes: &'a [usize]) -> Self {
        Self { rest, sizes, turn: 0, left: 0 }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(to)?;
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Pieces<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            self.left = self.sizes[self.turn % self.sizes.len()];
            self.turn += 1;
        }
        Ok(&self.rest[..self.left.min(self.rest.len())])
    }

    fn consume(&mut self, n: usize) {
        self.rest = &self.rest[n..];
        self.left -= n;
    }
}

fn contains(text: &[u8], needle: &str) -> bool {
    memchr::memmem::find(text, needle.as_bytes()).is_some()
}

/// Bytes as programs write them, and all others.
fn noise(most: usize) -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..most),
        2 => prop::collection::vec(prop_oneof![Just(b'\x1b'), Just(b'['), Just(b']'), Just(b'\x08'), Just(b'm'), Just(b'='), Just(b' '), Just(b'\r')], 0..most.min(200)),
        4 => prop::collection::vec(prop_oneof![Just(b'l'), Just(b'o'), Just(b' '), Just(b'\n'), Just(b'7')], 0..most),
    ];
    bytes.boxed()
}

/// Lines made of pieces of the table, of noise and of what stands between words.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => prop::sample::select(SECRETS).prop_map(|line| row(line).0.into_bytes()),
        2 => prop::sample::select(&[" ", "\n", "\r", "\r\n", "\"", "'", "=", ": ", ",", "\x1b[0m", "\x1b[31m", "password", "token", "://", "@"][..]).prop_map(|text| text.as_bytes().to_vec()),
        1 => noise(60),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Catches a token that survives at the border of a window, beside bytes that are no text, or behind
    /// half an escape sequence.
    #[test]
    fn what_is_planted_never_survives(
        before in noise(300), behind in noise(300), filling in 0..200_000_usize, filler in prop::sample::select(&b"x \n"[..]),
        token in prop::sample::select(&TOKENS[..]), edge in prop::sample::select(&[" ", "\n", "\"", "="][..]),
    ) {
        let mut text = before;
        text.extend(std::iter::repeat_n(filler, filling));
        text.extend_from_slice(edge.as_bytes());
        text.extend_from_slice(token.as_bytes());
        text.extend_from_slice(edge.as_bytes());
        text.extend_from_slice(&behind);
        let (clean, places) = redactor().bytes(&text);
        prop_assert!(!contains(&clean, token));
        prop_assert!(places >= 1);
    }

    /// Catches bytes that are lost or changed beside a token.
    #[test]
    fn all_else_stays_byte_for_byte(
        around in prop::collection::vec(prop::collection::vec(prop_oneof![Just(b'l'), Just(b' '), Just(b'\n'), Just(b'7'), Just(0xe8), Just(b'.')], 0..3000), 2..6),
        token in prop::sample::select(&TOKENS[..5]),
    ) {
        let planted = around.join(format!(" {token} ").as_bytes());
        let expected = around.join(format!(" {MARK} ").as_bytes());
        let (clean, places) = redactor().bytes(&planted);
        prop_assert_eq!(clean.as_ref(), expected.as_slice());
        prop_assert_eq!(places as usize, around.len() - 1);
    }

    /// Catches a stream whose output depends on how it comes, or differs from that of its lines.
    #[test]
    fn a_stream_is_its_lines(
        texts in prop::collection::vec(text(), 1..5), filling in prop_oneof![Just(0), 0..100_000_usize],
        sizes in prop::collection::vec(1..70_000_usize, 1..4),
    ) {
        let redactor = redactor();
        let text = texts.join(&vec![b'.'; filling][..]);
        let mut out = Vec::new();
        let places = redactor.redact_stream(&mut Pieces::new(&text, &sizes), &mut out).unwrap();
        let mut whole = Vec::new();
        let same = redactor.redact_stream(&mut &text[..], &mut whole).unwrap();
        prop_assert_eq!(&out, &whole);
        prop_assert_eq!(places, same);
        if filling < 30_000 {
            let mut lines = redactor.lines();
            let (mut joined, mut sum) = (Vec::new(), 0);
            for line in text.split_inclusive(|byte| *byte == b'\n') {
                let (clean, places) = lines.next(line);
                joined.extend_from_slice(&clean);
                sum += places;
            }
            prop_assert_eq!((joined, sum), (out, places));
        }
    }

    /// Catches a second look (the excerpt, when it has been drawn) that takes out more, or marks a mark.
    #[test]
    fn a_second_look_finds_nothing_new(line in prop::sample::select(SECRETS), before in "[a-z .]{0,20}", behind in "[a-z .]{0,20}") {
        let redactor = all();
        let text = format!("{before} {} {behind}", row(line).0);
        let once = redactor.text(&text).0.into_owned();
        prop_assert_eq!(redactor.text(&once), (once.as_str().into(), 0));
    }
}
