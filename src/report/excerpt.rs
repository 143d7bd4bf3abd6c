//! The end of the output as a person would have read it. Pure.
//!
//! Each line is played out by itself: progress bars that redraw with carriage returns or backspaces
//! show their last state, escape sequences are taken out.

use super::model::{Excerpt, Line};
use super::text::{char_columns, is_disturbing};
use crate::spool::tail::RawTail;

/// The widest line that is shown, columns.
pub const MAX_COLUMNS: usize = 500;
const TAB: usize = 8;

/// The raw end of a log as printable lines; blank ones at its end are left out.
pub fn excerpt(tail: &RawTail) -> Excerpt {
    let mut lines: Vec<Line> = tail
        .lines
        .iter()
        .map(|raw| Line { stream: raw.stream, text: play(&raw.bytes), styles: Vec::new() })
        .collect();
    while lines.last().is_some_and(|line| line.text.is_empty()) {
        lines.pop();
    }
    Excerpt { holds: tail.holds, failure: None, lines, skipped_bytes: tail.skipped_bytes }
}

/// One line (no line end) as a terminal would have left it.
pub fn play(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    // From the last redraw back to one that drew something; a redraw of blanks or an erased line
    // is something: that is how tqdm takes its bar away.
    let mut last = "";
    for segment in text.rsplit('\r') {
        last = segment;
        if erases(segment) || !strip(segment).is_empty() {
            break;
        }
    }
    lay_out(last)
}

/// Does it contain "erase in line" (EL, ECMA-48 8.3.41) as progress bars send it?
fn erases(segment: &str) -> bool {
    ["\x1b[K", "\x1b[0K", "\x1b[2K"].iter().any(|el| segment.contains(el))
}

/// Takes the escape sequences out, plays backspaces, expands tabs, and cuts at [`MAX_COLUMNS`].
fn lay_out(segment: &str) -> String {
    let mut cells: Vec<char> = Vec::new();
    let mut column = 0;
    // strip_ansi_escapes drops every control character but the line feed, so the ones that mean
    // something are cut at before it sees them.
    for (i, field) in segment.split('\t').enumerate() {
        if i > 0 {
            let blanks = TAB - column % TAB;
            cells.resize(cells.len() + blanks, ' ');
            column += blanks;
        }
        for (k, piece) in field.split('\x08').enumerate() {
            if k > 0 {
                column -= cells.pop().map_or(0, char_columns);
            }
            for c in strip(piece).chars().filter(|c| !is_disturbing(*c)) {
                cells.push(c);
                column += char_columns(c);
            }
        }
    }
    let line: String = cells.into_iter().collect();
    super::text::cut(line.trim_end(), MAX_COLUMNS)
}

/// Takes the escape sequences out. A line may hold tens of thousands of empty pieces: they cost
/// nothing here.
fn strip(piece: &str) -> String {
    if piece.is_empty() { String::new() } else { strip_ansi_escapes::strip_str(piece) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::Stream;
    use crate::run::facts::Holds;
    use crate::spool::tail::RawLine;

    #[test]
    fn a_progress_bar_shows_its_last_state() {
        assert_eq!(play(b" 0%|   |\r 50%|#  |\r100%|###| 2/2"), "100%|###| 2/2");
        // The terminal's \r\n, whose \n the reader took: the line stands.
        assert_eq!(play(b"plain\r"), "plain");
        assert_eq!(play(b"a\r\x1b[32m\x1b[0m\r"), "a");
    }

    #[test]
    fn a_bar_taken_away_is_gone() {
        assert_eq!(play(b"100%|###|\r         \r"), "");
        assert_eq!(play(b"Compiling x\r\x1b[2K"), "");
        assert_eq!(play(b"Compiling x\r\x1b[KFinished"), "Finished");
    }

    #[test]
    fn backspaces_rub_out() {
        assert_eq!(play(b"1/3\x08\x08\x082/3\x08\x08\x083/3"), "3/3");
        assert_eq!(play(b"\x08\x08ab"), "ab");
    }

    #[test]
    fn escapes_controls_and_overrides_go() {
        assert_eq!(play(b"\x1b[1;31merror\x1b[0m: \x1b]8;;http://x\x07y\x1b]8;;\x07\x00\x7f"), "error: y");
        assert_eq!(play("a\u{202e}b\u{2066}c\u{85}d\u{2028}".as_bytes()), "abcd");
        assert_eq!(play(b"cut off \x1b[3"), "cut off");
    }

    #[test]
    fn tabs_stop_at_columns_of_eight() {
        assert_eq!(play("\ta\t训练\tb".as_bytes()), "        a       训练    b");
    }

    #[test]
    fn bad_utf8_is_shown_as_such() {
        assert_eq!(play(b"caf\xe9 \xd1\xb5\xc1\xb7"), "caf\u{fffd} \u{475}\u{fffd}\u{fffd}");
    }

    #[test]
    fn long_lines_are_cut() {
        let cut = play("训".repeat(400).as_bytes());
        assert_eq!(cut.chars().count(), 250);
        assert!(cut.ends_with('…'));
        assert_eq!(play("x".repeat(500).as_bytes()), "x".repeat(500));
    }

    #[test]
    fn blank_lines_at_the_end_are_dropped_others_kept() {
        let line = |s: &str| RawLine { stream: Stream::Out, bytes: s.into() };
        let tail = RawTail {
            holds: Holds::Both,
            skipped_bytes: 7,
            lines: vec![line(""), line("a"), line(""), line("b"), line("  "), line("")],
        };
        let excerpt = excerpt(&tail);
        assert_eq!(excerpt.lines.iter().map(|l| l.text.as_str()).collect::<Vec<_>>(), ["", "a", "", "b"]);
        assert_eq!(excerpt.skipped_bytes, 7);
    }
}
