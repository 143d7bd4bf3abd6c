use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::report::text::{char_columns, is_disturbing};

/// Lines of the real logs, a few hundred.
fn real_lines() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/logs");
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "log") {
            let log = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
            lines.extend(log.lines().take(60).map(str::to_owned));
        }
    }
    lines.sort();
    lines.dedup();
    lines
}

/// A sign of the table, alone, within other text, cut, or with something in front.
fn sign() -> impl Strategy<Value = String> {
    let glue = select(vec![
        "",
        " ",
        "  ",
        "x",
        ": ",
        "'",
        "', ",
        "[rank0]: ",
        "#9 1.2 ",
        "错",
        "12:00:00 ",
        "=",
        "0",
    ]);
    (glue.clone(), select(signs::all_words()), glue, any::<proptest::sample::Index>()).prop_map(
        |(before, words, after, cut)| {
            let line = format!("{before}{words}{after}");
            let at = cut.index(line.len() + 1);
            // Mostly whole.
            if at % 3 == 0 && line.is_char_boundary(at) { line[..at].to_owned() } else { line }
        },
    )
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(real_lines()),
        3 => sign(),
        1 => (sign(), sign()).prop_map(|(a, b)| a + &b),
        1 => any::<String>(),
        1 => Just(String::new()),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        (1..256).prop_map(|code| End::Exited { code }),
        (1..65).prop_map(|signal| End::Signaled { signal, core_dumped: false }),
        any::<i32>().prop_map(|code| End::Reported { code }),
        Just(End::Unknown),
        Just(End::ToldToEnd { signal: 15 }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Catches a panic, a range that isn't there, a headline of two lines or without end, on any output.
    #[test]
    fn any_output_has_a_fit_headline_or_none(
        lines in vec((line(), any::<bool>()), 0..40),
        end in end(),
        kills in proptest::option::of(1..3u64),
    ) {
        let seen: Vec<Seen<'_>> = lines
            .iter()
            .map(|(text, err)| Seen { stream: if *err { Stream::Err } else { Stream::Out }, text })
            .collect();
        let memory = kills.map(|kills| OutOfMemory { kills, limit: None });
        if let Some(told) = headline(&seen, end, memory) {
            prop_assert!(!told.text.is_empty() && !told.text.contains(is_disturbing));
            let columns: usize = told.text.chars().map(|c| char_columns(c).max(1)).sum();
            prop_assert!(columns <= MAX_COLUMNS, "{columns}: {}", told.text);
            prop_assert!(!told.lines.is_empty() && told.lines.len() <= MAX_LINES, "{:?}", told.lines);
            prop_assert!(told.lines.end <= lines.len(), "{:?} of {}", told.lines, lines.len());
        }
        for success in [End::Exited { code: 0 }, End::Reported { code: 0 }, End::NotStarted { errno: 2 }] {
            prop_assert_eq!(headline(&seen, success, memory), None);
        }
    }
}
