use super::*;
use crate::report::model::{Colour, Stream};

const NO_REDACTION: fn(&mut Line) = |_| {};

fn excerpt_of(pieces: &[(Stream, &str)], wanted: usize) -> Excerpt {
    let mut tail = RawTail::empty(Holds::Both, 0);
    pieces.iter().for_each(|(stream, text)| tail.push(*stream, text.as_bytes()));
    Played::new(&tail).excerpt(wanted, None, &mut { NO_REDACTION })
}

/// All lines of what one stream wrote, as text.
fn shown(bytes: &[u8]) -> Vec<String> {
    let mut tail = RawTail::empty(Holds::Both, 0);
    tail.push(Stream::Out, bytes);
    let excerpt = Played::new(&tail).excerpt(1000, None, &mut { NO_REDACTION });
    excerpt.lines.into_iter().map(|line| line.text).collect()
}

#[track_caller]
fn one(bytes: &[u8]) -> String {
    let lines = shown(bytes);
    assert!(lines.len() <= 1, "{lines:?}");
    lines.into_iter().next().unwrap_or_default()
}

fn texts(excerpt: &Excerpt) -> Vec<(Stream, &str)> {
    excerpt.lines.iter().map(|line| (line.stream, line.text.as_str())).collect()
}

#[test]
fn a_progress_bar_shows_its_last_state() {
    assert_eq!(one(b" 0%|   |\r 50%|#  |\r100%|###| 2/2"), "100%|###| 2/2");
    assert_eq!(one(b"plain\r\n"), "plain");
    assert_eq!(one(b"a\r\x1b[32m\x1b[0m\r"), "a");
}

#[test]
fn a_bar_taken_away_is_gone() {
    assert_eq!(one(b"100%|###|\r         \r"), "");
    assert_eq!(one(b"Compiling x\r\x1b[2K"), "");
    assert_eq!(one(b"Compiling x\r\x1b[KFinished"), "Finished");
}

#[test]
fn backspaces_rub_out() {
    assert_eq!(one(b"1/3\x08\x08\x082/3\x08\x08\x083/3"), "3/3");
    assert_eq!(one(b"\x08\x08ab"), "ab");
}

#[test]
fn escapes_controls_and_overrides_go() {
    assert_eq!(one(b"\x1b[1;31merror\x1b[0m: \x1b]8;;http://x\x07y\x1b]8;;\x07\x00\x7f"), "error: y");
    assert_eq!(one("a\u{202e}b\u{2066}c\u{85}d\u{2028}".as_bytes()), "abcd");
    assert_eq!(one(b"cut off \x1b[3"), "cut off");
}

#[test]
fn tabs_stop_at_columns_of_eight() {
    assert_eq!(one("\ta\t训练\tb".as_bytes()), "        a       训练    b");
    // Also where the screen ends: two columns that ran together would be another word.
    let wide = one("x\t".repeat(60).as_bytes());
    assert_eq!(wide.split_whitespace().count(), 60);
    assert_eq!(wide.len(), 59 * 8 + 1);
}

/// Catches a token that no pattern finds, since the screen's edge or the cut went through it.
#[test]
fn a_long_line_is_one_until_it_has_been_redacted() {
    let long = format!("{} token=abc {}", "x".repeat(40_000), "训".repeat(3000));
    let mut tail = RawTail::empty(Holds::Both, 0);
    tail.push(Stream::Out, format!("{long}\nnext\n").as_bytes());
    let mut seen = Vec::new();
    let excerpt = Played::new(&tail).excerpt(9, None, &mut |line: &mut Line| seen.push(line.text.clone()));
    assert_eq!(seen, [long.as_str(), "next"]);
    assert_eq!(excerpt.lines[0].text, format!("{}…", "x".repeat(499)));
}

#[test]
fn long_lines_are_cut() {
    let cut = one("训".repeat(400).as_bytes());
    assert_eq!(cut.chars().count(), 250);
    assert!(cut.ends_with('…'));
    assert_eq!(one("x".repeat(500).as_bytes()), "x".repeat(500));
    assert_eq!(Played::new(&whole(&vec![b'x'; 1 << 20])).seen()[0].text.len(), 64 * 1024 + 1);
}

fn whole(bytes: &[u8]) -> RawTail {
    let mut tail = RawTail::empty(Holds::Both, 0);
    tail.push(Stream::Out, bytes);
    tail
}

#[test]
fn blank_lines_at_the_ends_are_dropped_and_few_kept() {
    assert_eq!(shown(b"\n\na\n\nb\n\n\n\n\nc\n  \n\n"), ["a", "", "b", "", "", "c"]);
}

/// Catches lines mixed up by a bar on the other stream, and a bar shown where it began.
#[test]
fn a_bar_on_stderr_is_no_part_of_the_lines_between() {
    let excerpt = excerpt_of(
        &[
            (Stream::Err, "bar 0%"),
            (Stream::Out, "epoch 1\nepo"),
            (Stream::Err, "\rbar 50%"),
            (Stream::Out, "ch 2\n"),
            (Stream::Err, "\rbar 100%"),
            (Stream::Out, "waiting"),
        ],
        9,
    );
    let (out, err) = (Stream::Out, Stream::Err);
    assert_eq!(texts(&excerpt), [(out, "epoch 1"), (out, "epoch 2"), (err, "bar 100%"), (out, "waiting")]);
    assert_eq!(excerpt.skipped_bytes, 0);
}

#[test]
fn streams_keep_their_order() {
    let mut pieces = Vec::new();
    let texts_of: Vec<String> = (0..400).map(|n| format!("line {n}\n")).collect();
    for (n, text) in texts_of.iter().enumerate() {
        pieces.push((if n % 3 == 0 { Stream::Err } else { Stream::Out }, text.as_str()));
    }
    let excerpt = excerpt_of(&pieces, 1000);
    let numbers: Vec<String> = excerpt.lines.iter().map(|line| format!("{}\n", line.text)).collect();
    assert_eq!(numbers, texts_of);
}

/// Catches garbage where a stream's character was cut by the other stream's bytes.
#[test]
fn a_character_may_come_in_two_pieces() {
    let bytes = "训练".as_bytes();
    let mut tail = RawTail::empty(Holds::Both, 0);
    tail.push(Stream::Out, &bytes[..2]);
    tail.push(Stream::Err, b"x\n");
    tail.push(Stream::Out, &bytes[2..]);
    let excerpt = Played::new(&tail).excerpt(9, None, &mut { NO_REDACTION });
    assert_eq!(texts(&excerpt), [(Stream::Err, "x"), (Stream::Out, "训练")]);
}

/// Catches bars of several rows (docker pull, rich, nested tqdm) told once per frame.
#[test]
fn moves_over_rows_are_played() {
    assert_eq!(
        shown(b"one\ntwo 1%\nthree 1%\n\x1b[2A\r\x1b[Ktwo 9%\n\x1b[Kthree 9%\n"),
        ["one", "two 9%", "three 9%"]
    );
    let nested = "a: 1\n\rb: 1\x1b[A\ra: 2\n\rb: 2\x1b[A\ra: 3\n\rb: 3\n".as_bytes();
    assert_eq!(shown(nested), ["a: 3", "b: 3"]);
}

/// Catches a failure that is lost because the program, or a stray byte, cleared the screen.
#[test]
fn what_was_cleared_is_kept() {
    assert_eq!(shown(b"Error: no\r\n\x1b[H\x1b[2J\x1b[3Jwatching\r\n"), ["Error: no", "watching"]);
    assert_eq!(shown(b"Error: no\n\x1bcnext\n"), ["Error: no", "next"]);
    assert_eq!(
        shown(b"Error: no\n\x1b#8\x1b]0;title\nnext\n\x1bPq\nlast\n"),
        ["Error: no", "", "next", "", "last"]
    );
    assert_eq!(shown(b"\x1b[1;5rone\ntwo\n\x1b[24;1Hthree\nfour\n"), ["one", "two", "", "", "three", "four"]);
}

/// Catches vim's screen in the mail, and nothing of a program that was killed with one.
#[test]
fn another_screen_goes_as_it_came() {
    assert_eq!(shown(b"before\r\n\x1b[?1049h\x1b[Htext\r\n~\x1b[?1049lafter\r\n"), ["before", "after"]);
    assert_eq!(
        shown(b"before\r\n\x1b[?1049h\x1b[HEvery 2s\r\nutil 98%"),
        ["before", "", "Every 2s", "util 98%"]
    );
}

#[test]
fn colours_are_kept() {
    let styles = |bytes: &[u8]| {
        let excerpt = Played::new(&whole(bytes)).excerpt(9, None, &mut { NO_REDACTION });
        excerpt.lines.into_iter().map(|line| (line.text, line.styles)).next_back().unwrap_or_default()
    };
    let plain = Style::default();
    let (text, found) =
        styles(b"a \x1b[1;31merr\x1b[0m: \x1b[38;5;208mx\x1b[48;2;1;2;3my\x1b[m \x1b[2;3;4;7mz");
    assert_eq!(text, "a err: xy z");
    let orange = Some(Colour::Rgb(255, 135, 0));
    assert_eq!(
        found,
        [
            (2..5, Style { foreground: Some(Colour::Named(1)), bold: true, ..plain }),
            (7..8, Style { foreground: orange, ..plain }),
            (8..9, Style { foreground: orange, background: Some(Colour::Rgb(1, 2, 3)), ..plain }),
            (10..11, Style { dim: true, italic: true, underline: true, inverse: true, ..plain }),
        ]
    );
    let (_, found) = styles(b"\x1b[92ma\x1b[38;5;9mb\x1b[38;5;244mc\x1b[38:2::9:8:7md");
    let colours: Vec<_> = found.into_iter().map(|(_, style)| style.foreground).collect();
    let grey = Colour::Rgb(128, 128, 128);
    assert_eq!(colours, [Colour::Named(10), Colour::Named(9), grey, Colour::Rgb(9, 8, 7)].map(Some));
    // Of what is cut off, and of blanks that go, nothing is left.
    let (text, found) = styles(format!("\x1b[31m{}   ", "训".repeat(400)).as_bytes());
    assert!(matches!(found.as_slice(), [(range, _)] if *range == (0..249 * 3)), "{found:?}");
    assert!(text.is_char_boundary(249 * 3));
}

/// Catches a letter without its accent, a family torn apart, and columns that are off behind them.
#[test]
fn characters_of_several_parts_are_whole() {
    for text in ["cafe\u{301} x", "👨\u{200d}👩\u{200d}👧 x", "⚠\u{fe0f} x", "ก็ x", "न\u{94d}द x", "🇩🇪 x"]
    {
        assert_eq!(one(text.as_bytes()), text);
    }
    // The mark takes no column: what overwrites the letter takes it away.
    assert_eq!(one("e\u{301}bc\r\x1b[Cx".as_bytes()), "e\u{301}xc");
    assert_eq!(one("训\u{fe00}bc\r\x1b[2Cx".as_bytes()), "训\u{fe00}xc");
    // A wide one that has no room at the edge goes to the next row without a gap.
    let edge = format!("{}训练", "x".repeat(199));
    assert_eq!(one(edge.as_bytes()), edge);
    assert_eq!(one("\u{100000}\u{34000}".as_bytes()), "\u{fffd}\u{fffd}");
}

#[test]
fn other_encodings_are_read_line_by_line() {
    let gbk = encoding_rs::GBK.encode("训练完成\n").0.into_owned();
    let log = [b"caf\xe9 \n".as_slice(), &gbk, "准备好了\n".as_bytes()].concat();
    assert_eq!(shown(&log), ["caf\u{fffd}", "训练完成", "准备好了"]);
    let powershell: Vec<u8> = "\u{feff}错误 1\r\nok\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(shown(&powershell), ["错误 1", "ok"]);
}

#[test]
fn only_the_last_lines_are_shown_and_the_rest_is_counted() {
    let excerpt = excerpt_of(&[(Stream::Out, "one\ntwo\nthree\n")], 2);
    assert_eq!(texts(&excerpt), [(Stream::Out, "two"), (Stream::Out, "three")]);
    assert_eq!(excerpt.skipped_bytes, 4);
}

fn numbered(count: usize) -> Played {
    let text: String = (0..count).map(|n| format!("{n}\n")).collect();
    Played::new(&whole(text.as_bytes()))
}

/// Catches a failure that scrolled away, one shown twice, and one that fills the mail.
#[test]
fn a_failure_further_up_is_shown() {
    let parts = |lines: Range<usize>| {
        let excerpt = numbered(100).excerpt(10, Some(&lines), &mut { NO_REDACTION });
        let text = |lines: &[Line]| lines.iter().map(|line| line.text.clone()).collect::<Vec<_>>().join(" ");
        (excerpt.failure.map(|f| (text(&f.lines), f.lines_between)), text(&excerpt.lines))
    };
    let last = "90 91 92 93 94 95 96 97 98 99".to_owned();
    assert_eq!(parts(40..42), (Some(("39 40 41 42".to_owned(), 47)), last.clone()));
    assert_eq!(parts(0..1), (Some(("0 1".to_owned(), 88)), last.clone()));
    assert_eq!(parts(93..95), (None, last.clone()));
    assert_eq!(parts(85..86), (None, format!("84 85 86 87 88 89 {last}")));
    assert_eq!(parts(88..93), (None, format!("87 88 89 {last}")));
    let (failure, _) = parts(20..60);
    assert_eq!(failure, Some(("47 48 49 50 51 52 53 54 55 56 57 58 59 60".to_owned(), 29)));
    assert_eq!(parts(5..5), (None, last));
}
