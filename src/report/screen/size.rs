//! How large the screen was, as far as the output tells. Pure.
//!
//! The log doesn't record it, and a pipe has none. What isn't moved over looks the same on any: soft
//! wraps are joined again. So it is as wide as the widest line that is drawn over, and as high as the
//! lowest row that is named.

/// Columns: more than most terminals have, so that what was one row there is one here.
const COLUMNS: usize = 200;
/// A wider line that is redrawn is garbled, as on a terminal. Each row costs so many cells.
const WIDEST: usize = 800;
/// Rows, where none is named: a program that moves up moves within its own screen.
const ROWS: usize = 80;
/// A row beyond is a program asking how many there are (`CSI 999;999H`).
const HIGHEST: usize = 200;
const LOWEST: usize = 24;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// A multiple of eight, so that tabs stop at the same columns in each row of a wrapped line.
    pub columns: usize,
    pub rows: usize,
}

impl Size {
    /// Fit for this output.
    pub fn of(bytes: &[u8]) -> Self {
        let moves = moves(bytes);
        let mut widest = 0;
        for line in bytes.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if widest >= WIDEST || line.len() <= widest.max(COLUMNS) {
                continue;
            }
            let redrawn = || memchr::memchr2(b'\r', 0x08, line).is_some();
            if moves.up || redrawn() {
                let drawn = |segment: &[u8]| segment.iter().filter(|byte| **byte != 0x08).count();
                widest = widest.max(line.split(|byte| *byte == b'\r').map(drawn).max().unwrap_or(0));
            }
        }
        let columns = (widest + 1).clamp(COLUMNS, WIDEST).next_multiple_of(8);
        let rows = moves.lowest.map_or(ROWS, |row| row.max(LOWEST));
        Self { columns, rows }
    }
}

#[derive(Debug, Default)]
struct Moves {
    /// Does the cursor go back to rows above?
    up: bool,
    /// The lowest row named by its number.
    lowest: Option<usize>,
}

/// Looks for control sequences that move the cursor (ECMA-48: CUU, CPL, CUP, HVP, VPA; DECSTBM).
fn moves(bytes: &[u8]) -> Moves {
    let mut moves = Moves::default();
    for at in memchr::memmem::find_iter(bytes, b"\x1b[") {
        let body = bytes.get(at + 2..).unwrap_or_default();
        let Some(end) = body.iter().take(16).position(|byte| (0x40..=0x7e).contains(byte)) else { continue };
        let parameter = |n: usize| {
            let field = body.get(..end)?.split(|byte| *byte == b';').nth(n)?;
            std::str::from_utf8(field).ok()?.parse::<usize>().ok().filter(|row| (2..=HIGHEST).contains(row))
        };
        let row = match body.get(end) {
            Some(b'A' | b'F') => {
                moves.up = true;
                None
            }
            Some(b'H' | b'f' | b'd') => parameter(0),
            Some(b'r') => parameter(1),
            _ => None,
        };
        moves.up |= row.is_some();
        moves.lowest = moves.lowest.max(row);
    }
    moves
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches: a bar wider than the screen, whose redraws would go on beneath each other; a long line
    /// that makes the screen wide for nothing; apt's bar, drawn in the middle of what it stands under.
    #[test]
    fn as_large_as_what_is_drawn_over() {
        let size = |text: &str| Size::of(text.as_bytes());
        let usual = Size { columns: COLUMNS, rows: ROWS };
        assert_eq!(size(""), usual);
        assert_eq!(size(&"x".repeat(5000)), usual);
        assert_eq!(size(&format!("{}\r\nx\ry", "x".repeat(5000))), usual);
        assert_eq!(size(&format!("{0}\r{0}\r", "x".repeat(300))).columns, 304);
        assert_eq!(size(&format!("{0}\x1b[2A", "x".repeat(300))).columns, 312);
        assert_eq!(size(&format!("{}\r9", "x".repeat(5000))).columns, WIDEST);
        assert_eq!(size("\x1b[0;23r\x1b[24;0f\x1b[0;24r").rows, 24);
        assert_eq!(size("\x1b[999;999H\x1b[41;1H").rows, 41);
        assert_eq!(size("\x1b[H\x1b[2J").rows, ROWS);
    }
}
