//! Characters with what is set upon them, as one cell of the screen. Pure.
//!
//! A cell of the emulator holds one `char`. A base with combining marks, a variation selector or a joiner
//! stands there as a character that nobody has: of plane 16 (private use) where the base is narrow, of the
//! unassigned end of plane 3 (which is wide) where it is wide.

use std::collections::BTreeMap;

use crate::report::text::char_columns;

/// Stands in a cell that shows nothing: a wide character had no room there and is in the next row.
pub const NOTHING: char = '\u{10fffd}';

const NARROW: u32 = 0x10_0000;
const WIDE: u32 = 0x3_4000;
/// Different ones; of more, the marks are lost. The planes have room for more, the memory is the limit.
const MOST: usize = 8192;
/// Marks upon one character; more are noise.
const MARKS: usize = 16;

#[derive(Debug, Default)]
pub struct Clusters {
    found: BTreeMap<String, char>,
    narrow: Vec<String>,
    wide: Vec<String>,
}

impl Clusters {
    /// The character that stands for `base` with these marks.
    pub fn stand_in(&mut self, base: char, marks: &str) -> char {
        let mut cluster = String::from(base);
        cluster.extend(marks.chars().take(MARKS));
        if let Some(found) = self.found.get(&cluster) {
            return *found;
        }
        let (list, first) =
            if char_columns(base) == 2 { (&mut self.wide, WIDE) } else { (&mut self.narrow, NARROW) };
        let Some(c) = u32::try_from(list.len()).ok().and_then(|n| char::from_u32(first + n)) else {
            return base;
        };
        if list.len() >= MOST {
            return base;
        }
        list.push(cluster.clone());
        self.found.insert(cluster, c);
        c
    }

    /// What a stand-in stands for.
    pub fn get(&self, c: char) -> Option<&str> {
        let c = u32::from(c);
        let (list, first) = if c >= NARROW {
            (&self.narrow, NARROW)
        } else if (WIDE..0x4_0000).contains(&c) {
            (&self.wide, WIDE)
        } else {
            return None;
        };
        list.get((c - first) as usize).map(String::as_str)
    }

    /// Would this character be taken for a stand-in?
    pub fn is_reserved(c: char) -> bool {
        let c = u32::from(c);
        c >= NARROW || (WIDE..0x4_0000).contains(&c)
    }
}
