//! Text from outside made fit to show: no control characters, no tricks with direction, measured in
//! the columns of a terminal. Pure.

use unicode_width::UnicodeWidthChar;

/// Does this character show nothing, or disturb what stands around it?
///
/// Control characters (C0, DEL, C1), line and paragraph separators, the byte order mark, and the
/// bidirectional embeddings, overrides and isolates (UAX #9), with which a name can be made to read
/// as another one ("Trojan Source").
pub fn is_disturbing(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Columns that a character takes: 0, 1 or 2.
pub fn char_columns(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// The text on one line: line ends and tabs become one space, other disturbing characters go.
pub fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' if !out.ends_with(' ') => out.push(' '),
            c if is_disturbing(c) => {}
            c => out.push(c),
        }
    }
    out.trim().to_owned()
}

/// The text's lines, each by [`one_line`] but with its indentation; blank ones at the ends go, and
/// of several in a row one stays.
pub fn lines(text: &str) -> Vec<String> {
    let mut all: Vec<String> = text
        .trim()
        .lines()
        .map(|line| line.replace('\t', "    ").chars().filter(|c| !is_disturbing(*c)).collect::<String>())
        .map(|line| line.trim_end().to_owned())
        .collect();
    all.dedup_by(|a, b| a.is_empty() && b.is_empty());
    all
}

/// The text within `columns`; where it is cut, `…` is its last character.
///
/// A character without width counts as one here, so that the result is also bounded in characters.
pub fn cut(text: &str, columns: usize) -> String {
    let mut used = 0;
    // Where to cut, should there be more than fits: the last place with room for the ellipsis.
    let mut room_for_ellipsis = 0;
    for (at, c) in text.char_indices() {
        if used < columns {
            room_for_ellipsis = at;
        }
        used += char_columns(c).max(1);
        if used > columns {
            return format!("{}…", text[..room_for_ellipsis].trim_end());
        }
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a subject or a row that a name from outside breaks into two lines or turns around.
    #[test]
    fn one_line_has_neither_line_ends_nor_overrides() {
        assert_eq!(one_line("a\rb\r\nBcc: x\u{202e}y\u{7}\t z "), "a b Bcc: xy  z");
        assert_eq!(one_line("\n\n"), "");
    }

    #[test]
    fn lines_keep_their_indentation() {
        assert_eq!(lines("\n a\n\n\n\tb \n\n"), ["a", "", "    b"]);
    }

    /// Catches a cut inside a wide character, and one that grows past the limit by its ellipsis.
    #[test]
    fn cut_counts_columns() {
        assert_eq!(cut("train.py", 8), "train.py");
        assert_eq!(cut("train.py", 7), "train.…");
        assert_eq!(cut("训练脚本", 8), "训练脚本");
        assert_eq!(cut("训练脚本", 7), "训练脚…");
        assert_eq!(cut("训练脚本", 6), "训练…");
        assert_eq!(cut("a\u{301}\u{301}\u{301}b", 3).chars().count(), 3);
    }
}
