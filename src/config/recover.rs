//! Leaves out of a text the lines that aren't TOML, so that the rest can be used. Pure.
//!
//! The TOML parser's own recovery isn't enough: it ends at a key without `=`, and it makes up values
//! for what it can't read.

use std::ops::RangeInclusive;

use secrecy::zeroize::Zeroizing;
use toml::de::DeTable;

/// After as many findings as this the text is no TOML at all, and more would help nobody.
pub(super) const MOST_FINDINGS: usize = 8;
/// The command waits while a text is mended: no more attempts than this.
const MOST_ROUNDS: usize = 32;
/// How far above an error the value that causes it is looked for, in lines: an unclosed bracket is
/// only noticed below.
const LOOK_BACK: usize = 50;
/// A text larger than this isn't looked back in: each step parses all of it up to there.
const LARGEST_LOOK_BACK: usize = 64 * 1024;

/// What is left of a text.
#[derive(Debug)]
pub(super) struct Recovered {
    /// As long as the original, line for line and byte for byte; None: no TOML could be made of it.
    pub text: Option<Zeroizing<String>>,
    pub findings: Vec<Broken>,
    /// Lines that were left out, from 1.
    pub lost_lines: Vec<usize>,
}

/// Lines that had to go.
#[derive(Debug)]
pub(super) struct Broken {
    /// Where the mistake begins.
    pub line: usize,
    /// What the parser says; it quotes nothing of the text.
    pub message: String,
    pub hint: &'static str,
}

/// Takes broken lines out until the rest is TOML.
pub(super) fn recover(text: &str) -> Recovered {
    // A code may stand in it: what is freed is zeroed.
    let mut rest = Zeroizing::new(text.to_owned());
    let (mut findings, mut lost_lines) = (Vec::<Broken>::new(), Vec::<usize>::new());
    // Where the last value of several lines was cut off.
    let mut torn = None;
    let mut rounds = 0;
    while let Some((noticed, message)) = first_error(&rest) {
        let lines = broken_lines(&rest, noticed);
        let first = *lines.start();
        let fresh: Vec<usize> = lines.clone().filter(|line| !lost_lines.contains(line)).collect();
        rounds += 1;
        if fresh.is_empty() || findings.len() == MOST_FINDINGS || rounds > MOST_ROUNDS {
            return Recovered { text: None, findings, lost_lines };
        }
        // The end of a value of several lines is the rest of the same mistake, not another one.
        let is_rest = torn.is_some_and(|end| first == end + 1);
        if !is_rest {
            let hint = hint_for(&rest, &lines, &message);
            let elsewhere =
                if noticed == first { String::new() } else { format!(" (noticed on line {noticed})") };
            let message = message + &elsewhere;
            findings.push(Broken { line: first, message, hint });
        }
        torn = (is_rest || first != *lines.end()).then_some(*lines.end());
        rest = without(&rest, &lines);
        lost_lines.extend(fresh);
    }
    Recovered { text: Some(rest), findings, lost_lines }
}

/// The line of the parser's first complaint, and its words.
fn first_error(text: &str) -> Option<(usize, String)> {
    let error = DeTable::parse(text).err()?;
    let mut offset = error.span().map_or(0, |span| span.start).min(text.len());
    // At the very end of the text the last line with something on it is meant.
    if text.as_bytes()[offset..].iter().all(u8::is_ascii_whitespace) {
        offset = text.as_bytes()[..offset].trim_ascii_end().len();
    }
    let line = text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1;
    Some((line, error.message().to_owned()))
}

/// From where the broken statement begins to where it was noticed; only its first line, if what
/// follows can be read without it (a bracket that was never closed).
fn broken_lines(text: &str, noticed: usize) -> RangeInclusive<usize> {
    let first = statement_start(text, noticed);
    let opener = first..=first;
    match first_error(&without(text, &opener)) {
        Some((next, _)) if next <= noticed => first..=noticed,
        _ => opener,
    }
}

/// The nearest line at or above `noticed` before which all is valid: there the statement begins.
fn statement_start(text: &str, noticed: usize) -> usize {
    if text.len() > LARGEST_LOOK_BACK {
        return noticed;
    }
    let starts: Vec<usize> =
        std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let above = (1..=noticed).rev().take(LOOK_BACK);
    above.into_iter().find(|line| DeTable::parse(&text[..starts[line - 1]]).is_ok()).unwrap_or(noticed)
}

/// The text with these lines blanked, byte for byte.
fn without(text: &str, lines: &RangeInclusive<usize>) -> Zeroizing<String> {
    let mut rest = Zeroizing::new(String::with_capacity(text.len()));
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let body = line.trim_end_matches(['\r', '\n']);
        if lines.contains(&(index + 1)) {
            rest.push_str(&blank(body, index + 1));
            rest.push_str(&line[body.len()..]);
        } else {
            rest.push_str(line);
        }
    }
    rest
}

/// A broken table header becomes the header of a table that nobody reads: its keys must not fall
/// into the table above.
fn blank(line: &str, number: usize) -> String {
    let header = format!("[_{number}]");
    let is_header = line.trim_start().starts_with('[') && header.len() <= line.len();
    let header = if is_header { header } else { String::new() };
    format!("{header}{}", " ".repeat(line.len() - header.len()))
}

fn hint_for(text: &str, lines: &RangeInclusive<usize>, message: &str) -> &'static str {
    let mut broken = text.lines().skip(lines.start() - 1).take(lines.end() - lines.start() + 1);
    if broken.any(|line| line.contains(['“', '”', '‘', '’', '＂', '＝', '［', '］', '，'])) {
        return "type the quotes, brackets, commas and = with an English keyboard: \" [ ] , =";
    }
    match message {
        "duplicate key" => "it is written twice: remove or rename one of the two",
        _ => "write key = \"value\", [table] or # comment, and close each quote and bracket",
    }
}
