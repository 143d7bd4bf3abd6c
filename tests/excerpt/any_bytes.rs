//! Whatever the bytes: no panic, nothing that disturbs, within the limits.

use notify_done::report::excerpt::{MAX_COLUMNS, Played};
use notify_done::report::model::Line;
use notify_done::report::text::{char_columns, is_disturbing};
use notify_done::run::facts::Holds;
use notify_done::spool::tail::{RawTail, Stream};
use proptest::prelude::*;

/// What a line may have, bytes: more of it isn't looked through for secrets.
const LINE: usize = 64 * 1024 + 64;

/// Bytes likely to hurt: text of all widths, controls, sequences with odd numbers, and any bytes at all.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![
        Just(String::new()),
        Just("0".to_owned()),
        (0..300u32).prop_map(|n| n.to_string()),
        Just("65535".to_owned()),
        Just("99999999999".to_owned())
    ];
    let parameters = prop::collection::vec(number, 0..4).prop_map(|numbers| numbers.join(";"));
    let sequence = (prop_oneof![Just(""), Just("?"), Just(">")], parameters, 0x40..0x7f_u8)
        .prop_map(|(mark, numbers, end)| format!("\x1b[{mark}{numbers}{}", char::from(end)).into_bytes());
    let mode = (prop::sample::select(vec![5, 6, 7, 25, 47, 1047, 1048, 1049]), prop::bool::ANY)
        .prop_map(|(mode, set)| format!("\x1b[?{mode}{}", if set { 'h' } else { 'l' }).into_bytes());
    let text = prop::sample::select(vec![
        "训练",
        "e\u{301}\u{302}",
        "👨\u{200d}👩\u{200d}👧",
        "\u{fe0f}",
        "\u{202e}",
        "\u{200b}",
        "ﷺ",
        "\u{100001}",
        "\u{34001}",
        "\u{10fffd}",
        "\u{9b}31m",
        "\u{2028}",
        "100%|███| ",
        "\x1b]0;t",
        "\x1bPq",
        "\x1b7",
        "\x1b8",
        "\x1bM",
        "\x1bc",
        "\x1b#8",
        "\x1b(0",
        "\x1b)0",
        "\x0e",
        "\x0f",
        "\x1bD",
        "\x1bE",
    ]);
    prop_oneof![
        4 => "[ -~]{0,40}".prop_map(String::into_bytes),
        4 => text.prop_map(|text| text.as_bytes().to_vec()),
        6 => sequence,
        2 => mode,
        3 => prop::sample::select(b"\n\n\n\r\r\x08\t\x0b\x0c\x00\x07\x7f\x18".to_vec()).prop_map(|byte| vec![byte]),
        1 => "\\PC{0,20}".prop_map(|text| encoding_rs::GBK.encode(&text).0.into_owned()),
        2 => prop::collection::vec(any::<u8>(), 0..30),
        1 => (1..400usize, 0x20..0x7f_u8).prop_map(|(count, byte)| vec![byte; count]),
    ]
}

fn check_line(line: &Line) {
    assert!(!line.text.contains(is_disturbing), "{:?}", line.text);
    assert!(line.text.chars().map(|c| char_columns(c).max(1)).sum::<usize>() <= MAX_COLUMNS);
    assert!(!line.text.ends_with(' '), "{:?}", line.text);
    let mut before = 0;
    for (range, _) in &line.styles {
        assert!(before <= range.start && range.start < range.end && range.end <= line.text.len());
        assert!(line.text.is_char_boundary(range.start) && line.text.is_char_boundary(range.end));
        before = range.end;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Catches a panic, which would lose the mail, and whatever gets past the screen.
    #[test]
    fn any_bytes_make_lines(
        pieces in prop::collection::vec((prop::bool::weighted(0.3), piece()), 0..80),
        wanted in 0..60usize,
        failure in (0..100usize, 0..20usize),
        skipped in 0..1u64 << 50,
    ) {
        let mut tail = RawTail::empty(Holds::Both, skipped);
        for (err, bytes) in &pieces {
            tail.push(if *err { Stream::Err } else { Stream::Out }, bytes);
        }
        let played = Played::new(&tail);
        let seen = played.seen();
        assert!(seen.iter().all(|line| line.text.len() <= LINE && !line.text.contains(is_disturbing)));
        let lines = failure.0.min(seen.len())..(failure.0 + failure.1).min(seen.len());
        let mut whole = 0;
        let excerpt = played.excerpt(wanted, Some(&lines), &mut |_: &mut Line| whole += 1);
        excerpt.lines.iter().for_each(check_line);
        assert!(excerpt.lines.len() <= wanted + 17);
        let further = excerpt.failure.as_ref().map_or(0, |failure| failure.lines.len());
        assert!(further <= 14);
        assert_eq!(whole, excerpt.lines.len() + further);
        excerpt.failure.iter().flat_map(|failure| &failure.lines).for_each(check_line);
        let end = skipped + tail.bytes.len() as u64;
        assert!((skipped..=end).contains(&excerpt.skipped_bytes));
    }
}
