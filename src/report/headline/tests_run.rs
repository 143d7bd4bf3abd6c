//! Summaries of test runs: pytest, unittest, cargo test, go test, jest, mocha, ctest. Pure.

use super::Found;
use super::Kind::{First, Summary, Wrapper};
use super::signs::Place::{Anywhere, Start};
use super::signs::{Sign, line, read, read_last};
use super::source::Source;

pub(super) const SIGNS: &[Sign] = &[
    read_last(" failed", is_pytest_end, pytest),
    read_last(" error", is_pytest_end, pytest),
    read_last("FAILED (", is_unittest_end, unittest),
    line("test result: FAILED. ", Start, Wrapper, 50),
    read("--- FAIL: ", Start, go_test),
    read("● ", Start, jest),
    read(" failing", Anywhere, mocha),
    read("The following tests FAILED:", Start, ctest),
    read("not ok ", Start, tap),
];

type Read = (Option<Found>, usize);

/// `=== 1 failed, 2 passed in 0.1s ===`, with -q without the signs.
fn is_pytest_end(text: &str) -> bool {
    let counts = text.trim().trim_matches(['=', ' ']);
    let is_number = |text: &str| text.as_bytes().first().is_some_and(u8::is_ascii_digit);
    is_number(counts)
        && counts.split(" in ").nth(1).is_some_and(is_number)
        && counts.split([',', ' ']).any(|word| ["failed", "error", "errors"].contains(&word))
}

/// pytest's last line, and the first test that its summary names.
fn pytest(source: &Source<'_>, row: usize) -> Read {
    const MAX_SUMMARY: usize = 400;
    let counts = source.text(row).trim().trim_matches(['=', ' ']);
    let named = |row: &usize| ["FAILED ", "ERROR "].iter().any(|w| source.text(*row).starts_with(w));
    let first = row.saturating_sub(MAX_SUMMARY);
    let head = (first..row).rev().find(|row| source.text(*row).contains("short test summary info"));
    let test = head.and_then(|head| (head + 1..row).find(named));
    let raised = test.and_then(|test| reason(source, test));
    let (key, text) = match test {
        Some(test) => {
            let why = raised.map_or(String::new(), |row| format!(" - {}", source.text(row)[1..].trim()));
            (raised.unwrap_or(test), format!("{}{why} ({counts})", source.text(test).trim()))
        }
        None => (row, counts.to_owned()),
    };
    let shown = if raised.is_some() { key.saturating_sub(3)..key + 1 } else { key..row + 1 };
    let mut found = source.found((Summary, 86), text, key, shown);
    found.whole.end = source.rows[row].at + 1;
    (Some(found), row + 1)
}

/// The summary has no reason of a file that couldn't be read: it stands above, behind an `E`.
fn reason(source: &Source<'_>, test: usize) -> Option<usize> {
    const MAX_REPORT: usize = 400;
    if source.text(test).contains(" - ") {
        return None;
    }
    (test.saturating_sub(MAX_REPORT)..test).rev().find(|row| source.text(*row).starts_with("E   "))
}

fn is_unittest_end(text: &str) -> bool {
    text.trim().strip_prefix("FAILED (").is_some_and(|rest| rest.ends_with(')') && rest.contains('='))
}

/// `FAILED (failures=1)`, and the first test that failed with what it raised.
fn unittest(source: &Source<'_>, row: usize) -> Read {
    const MAX_REPORT: usize = 2000;
    let text = source.text(row).trim();
    let counts = text.strip_prefix("FAILED (").and_then(|rest| rest.strip_suffix(')')).unwrap_or(text);
    let is_test = |row: &usize| {
        let is_head = ["FAIL: ", "ERROR: "].iter().any(|head| source.text(*row).starts_with(head));
        // A test's description may stand on the next line.
        is_head && (row + 1..row + 3).any(|row| source.text(row).starts_with("-----"))
    };
    let first = row.saturating_sub(MAX_REPORT);
    let begins =
        (first..row).rev().find(|row| source.text(*row).starts_with("=====") && !is_further(source, *row));
    let test = (begins.unwrap_or(first)..row).find(is_test);
    let Some(test) = test else {
        return (Some(source.found((Summary, 84), text.to_owned(), row, row..row + 1)), row + 1);
    };
    let raised = (test + 1..row.min(test + 400)).find(|row| {
        let text = source.text(*row);
        let name = text.split([':', ' ']).next().unwrap_or_default();
        !text.starts_with(' ') && (name.ends_with("Error") || name.ends_with("Exception"))
    });
    let key = raised.unwrap_or(test);
    let what = raised.map_or(String::new(), |row| format!(": {}", source.text(row).trim()));
    let text = format!("{}{what} ({counts})", source.text(test).trim());
    (Some(source.found((Summary, 86), text, key, test..key + 1)), row + 1)
}

/// Does another report of the same run stand before this one?
fn is_further(source: &Source<'_>, row: usize) -> bool {
    (row.saturating_sub(60)..row).any(|row| source.text(row).starts_with("====="))
}

/// `--- FAIL: TestX (0.00s)`, and what it said, which is indented under it.
fn go_test(source: &Source<'_>, row: usize) -> Read {
    let Some(head) = source.text(row).trim().strip_prefix("--- FAIL: ") else { return (None, row + 1) };
    let name = head.split(' ').next().unwrap_or_default();
    let said = (row + 1..row + 6)
        .map(|row| source.text(row))
        .take_while(|text| text.starts_with([' ', '\t']))
        .find(|text| !text.trim().starts_with("--- FAIL: "));
    let text = match said {
        Some(said) => format!("FAIL: {name}: {}", said.trim()),
        None => format!("FAIL: {name}"),
    };
    let end = row + 1 + usize::from(said.is_some());
    (Some(source.found((First, 80), text, row, row..end)), end)
}

/// `● sum › adds numbers`, then a sentence, then the code.
fn jest(source: &Source<'_>, row: usize) -> Read {
    let test = source.text(row).trim().trim_start_matches("● ");
    let said = (row + 1..source.rows.len().min(row + 6)).find(|row| !source.text(*row).trim().is_empty());
    let Some(said) = said.filter(|row| source.text(*row).starts_with("    ")) else { return (None, row + 1) };
    let text = format!("{test}: {}", source.text(said).trim());
    let end = (said..source.rows.len().min(said + 12)).take_while(|r| {
        let text = source.text(*r);
        text.trim().is_empty() || text.starts_with("  ")
    });
    let end = end.last().unwrap_or(said) + 1;
    (Some(source.found((First, 80), text, row, row..end)), end)
}

/// `  1 failing`, then `  1) suite test:` and what was raised.
fn mocha(source: &Source<'_>, row: usize) -> Read {
    let text = source.text(row).trim();
    let count = text.strip_suffix(" failing").unwrap_or_default();
    if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return (None, row + 1);
    }
    let first =
        (row + 1..source.rows.len().min(row + 6)).find(|row| source.text(*row).trim().starts_with("1) "));
    let Some(first) = first else {
        return (Some(source.found((Summary, 78), text.to_owned(), row, row..row + 1)), row + 1);
    };
    let mut end = first + 1;
    let mut words = vec![source.text(first).trim()[3..].to_owned()];
    while end < source.rows.len().min(first + 6) && !words.last().is_some_and(|word| word.ends_with(':')) {
        words.push(source.text(end).trim().to_owned());
        end += 1;
    }
    let said = (end..source.rows.len().min(end + 4)).find(|row| !source.text(*row).trim().is_empty());
    words.extend(said.map(|row| source.text(row).trim().to_owned()));
    let text = format!("{} ({text})", words.join(" "));
    let end = said.map_or(end, |row| row + 1);
    (Some(source.found((Summary, 84), text, said.unwrap_or(first), row..end)), end)
}

fn ctest(source: &Source<'_>, row: usize) -> Read {
    let end = (row + 1..source.rows.len()).take_while(|row| source.text(*row).contains(" - ")).last();
    let Some(end) = end else { return (None, row + 1) };
    let tests: Vec<&str> = (row + 1..=end.min(row + 3)).map(|row| source.text(row).trim()).collect();
    let text = format!("tests failed: {}", tests.join(", "));
    (Some(source.found((Summary, 76), text, row + 1, row..end + 1)), end + 1)
}

/// The Test Anything Protocol, as `node --test` writes it.
fn tap(source: &Source<'_>, row: usize) -> Read {
    let text = source.text(row).trim();
    let numbered = text.as_bytes().get("not ok ".len()).is_some_and(u8::is_ascii_digit);
    if !numbered || text.contains("# TODO") || text.contains("# SKIP") {
        return (None, row + 1);
    }
    let error = (row + 1..row + 12).find(|row| source.text(*row).trim().starts_with("error: "));
    let said = |row: usize| match source.text(row).trim()["error: ".len()..].trim() {
        // YAML's block: what is said stands below.
        "|-" | "|" | ">-" => {
            let below = (row + 1..row + 6).map(|row| source.text(row).trim()).filter(|text| !text.is_empty());
            below.take(2).collect::<Vec<_>>().join(" ")
        }
        said => said.trim_matches('\'').to_owned(),
    };
    let what = error.map_or(String::new(), |row| format!(": {}", said(row)));
    // The block's own two lines, which may have a blank one between them.
    let end = error.map_or(row + 1, |row| (row + 4).min(source.rows.len()));
    (Some(source.found((First, 70), format!("{text}{what}"), row, row..end)), end)
}
