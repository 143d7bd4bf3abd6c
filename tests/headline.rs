//! Real logs and what is told of them: `tests/data/logs`.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};

use notify_done::report::excerpt::excerpt;
use notify_done::report::headline::{Headline, MAX_LINES, Seen, headline};
use notify_done::report::model::Stream;
use notify_done::run::facts::{End, Holds};
use notify_done::spool::tail::{RawLine, RawTail};

struct Log {
    name: String,
    end: End,
    /// None: nothing is told.
    headline: Option<String>,
    lines: Vec<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/logs")
}

/// A log's lines as the mail shows them: played out, without escapes.
fn lines_of(bytes: &[u8]) -> Vec<String> {
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let lines =
        body.split(|byte| *byte == b'\n').map(|line| RawLine { stream: Stream::Out, bytes: line.to_vec() });
    let tail = RawTail { holds: Holds::Both, skipped_bytes: 0, lines: lines.collect() };
    excerpt(&tail).lines.into_iter().map(|line| line.text).collect()
}

fn end_of(text: &str) -> End {
    match text.strip_prefix("signal ") {
        Some(signal) => End::Signaled { signal: signal.parse().unwrap(), core_dumped: false },
        None => End::Exited { code: text.parse().unwrap() },
    }
}

fn logs() -> Vec<Log> {
    let table = std::fs::read_to_string(folder().join("logs.tsv")).unwrap();
    let row = |line: &str| {
        let [name, end, headline, _from] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let bytes = std::fs::read(folder().join(format!("{name}.log"))).unwrap();
        let headline = (headline != "-").then(|| headline.to_owned());
        Log { name: name.to_owned(), end: end_of(end), headline, lines: lines_of(&bytes) }
    };
    table.lines().filter(|line| !line.starts_with('#')).map(row).collect()
}

fn seen(lines: &[String], stream: Stream) -> Vec<Seen<'_>> {
    lines.iter().map(|text| Seen { stream, text }).collect()
}

fn told(lines: &[String], stream: Stream, end: End) -> Option<Headline> {
    headline(&seen(lines, stream), end, None)
}

/// Catches: a program's way of failing that isn't known, a wrapper told instead of the cause, lines that don't
/// show it.
#[test]
fn every_log_tells_what_its_table_says() {
    let mut wrong = Vec::new();
    for log in logs() {
        for stream in [Stream::Out, Stream::Err] {
            let told = told(&log.lines, stream, log.end);
            if told.as_ref().map(|told| &told.text) != log.headline.as_ref() {
                let text = told.as_ref().map_or("-", |told| &told.text);
                wrong.push(format!("{}\t{text}", log.name));
                break;
            }
            if let Some(told) = told
                && let Some(bad) = unfit(&told, &log.lines)
            {
                wrong.push(format!("{}: {bad}", log.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// What is wrong with the lines that explain a headline: they must hold a good part of its words.
fn unfit(told: &Headline, lines: &[String]) -> Option<String> {
    if told.lines.is_empty() || told.lines.len() > MAX_LINES || told.lines.end > lines.len() {
        return Some(format!("lines {:?} of {}", told.lines, lines.len()));
    }
    let shown = lines[told.lines.clone()].join(" ");
    let words = told.text.split([' ', '…']).map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
    let words: Vec<&str> = words.filter(|word| word.len() > 2).collect();
    let there = words.iter().filter(|word| shown.contains(*word)).count();
    (there * 2 < words.len()).then(|| format!("{} isn't in {shown}", told.text))
}

/// Catches "error" in the output of what went well told as a failure.
#[test]
fn success_has_no_headline() {
    for log in logs() {
        for end in [End::Exited { code: 0 }, End::Reported { code: 0 }, End::NotStarted { errno: 2 }] {
            assert_eq!(told(&log.lines, Stream::Err, end), None, "{}", log.name);
        }
    }
}
