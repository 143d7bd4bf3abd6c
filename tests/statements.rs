//! Holds `docs/transparency.md` and the tests together: every numbered statement is named by a test.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::path::Path;

/// The numbers in what follows `Statement` or `Statements`: `16`, `16, 17`, `23 to 25`.
fn named(text: &str) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for rest in text.split("Statement").skip(1) {
        let rest = rest.strip_prefix('s').unwrap_or(rest);
        let end = rest.find(|c: char| !(c.is_ascii_digit() || " ,to".contains(c))).unwrap_or(rest.len());
        let (mut last, mut from) = (0, None);
        for word in rest[..end].split([' ', ',']) {
            match word.parse::<u32>() {
                Ok(n) => {
                    found.extend(from.take().unwrap_or(n)..=n);
                    last = n;
                }
                Err(_) if word == "to" => from = Some(last),
                Err(_) => {}
            }
        }
    }
    found
}

fn read_all(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_all(&path, into);
        } else if path.file_name().is_some_and(|name| name != "statements.rs")
            && path.extension().is_some_and(|ext| ext == "rs" || ext == "py")
        {
            into.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// Catches a statement that nobody tests (any more).
#[test]
fn every_statement_has_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(root.join("docs/transparency.md")).unwrap();
    let stated: BTreeSet<u32> =
        document.lines().filter_map(|line| line.split_once(". ")?.0.parse().ok()).collect();
    assert_eq!(stated, (1..=90).collect());
    let mut tests = String::new();
    read_all(&root.join("tests"), &mut tests);
    let missing: BTreeSet<u32> = &stated - &named(&tests);
    assert!(missing.is_empty(), "no test names the statements {missing:?}");
}

#[test]
fn numbers_are_read_as_people_write_them() {
    assert_eq!(named("/// Statement 46. Statements 23 to 25, 30"), [23, 24, 25, 30, 46].into());
}
