//! Text as HTML text, laid out as it stands. Pure.

use crate::report::text::{char_columns, is_disturbing};

/// Unbroken characters after which a client may break the line: behind a mark that parts words, and
/// anywhere.
const BREAK_AFTER_MARK: usize = 8;
const BREAK_AFTER: usize = 20;
/// Options of so many characters stay whole. Longer ones may not fit beside the labels on a phone,
/// and shorter ones aren't worth the markup.
const UNBROKEN_OPTION: std::ops::RangeInclusive<usize> = 6..=16;

const OUR_NAME: &str = "notify-done";

/// Text as HTML text; fit for an attribute in double quotes, too.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        push_escaped(&mut out, c);
    }
    out
}

fn push_escaped(out: &mut String, c: char) {
    match c {
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '&' => out.push_str("&amp;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        c if is_disturbing(c) => {}
        c => out.push(c),
    }
}

/// [`escape`], and laid out as it stands: leading and repeated blanks are kept, long words may be
/// broken (`<wbr>`: unlike a zero-width space it isn't copied with the text), options aren't.
pub fn flow(text: &str) -> String {
    let mut flow = Flow::new();
    flow.push(text);
    flow.out
}

/// [`flow`] in pieces, for a line whose parts look different.
#[derive(Debug)]
pub struct Flow {
    pub out: String,
    after_blank: bool,
    /// Characters since the last place where the line may be broken, and the last of them.
    unbroken: usize,
    before: char,
}

impl Flow {
    pub fn new() -> Self {
        Self { out: String::new(), after_blank: true, unbroken: 0, before: ' ' }
    }

    pub fn push(&mut self, text: &str) {
        self.out.reserve(text.len() + text.len() / 4);
        for (i, word) in text.split(' ').enumerate() {
            if i > 0 {
                self.out.push_str(if self.after_blank { "&nbsp;" } else { " " });
                self.after_blank = true;
                self.unbroken = 0;
                self.before = ' ';
            }
            if stays_whole(word) {
                // Clients break behind any hyphen: `--fail-` and `at` would be two other words.
                self.out.push_str(&format!("<span style=\"white-space:nowrap\">{}</span>", escape(word)));
            } else {
                self.word(word);
            }
            self.after_blank &= word.is_empty();
        }
    }

    /// Where a piece ends that may have a background: a line's last blank would be dropped.
    pub fn keep_last_blank(&mut self) {
        if self.out.ends_with(' ') {
            self.out.pop();
            self.out.push_str("&nbsp;");
        }
    }

    fn word(&mut self, word: &str) {
        for c in word.chars() {
            match char_columns(c) {
                // Belongs to the character before it.
                0 => {}
                // Clients break between wide characters by themselves.
                2 => self.unbroken = 0,
                _ if self.unbroken >= BREAK_AFTER
                    || (self.unbroken >= BREAK_AFTER_MARK && parts(self.before)) =>
                {
                    self.out.push_str("<wbr>");
                    self.unbroken = 1;
                }
                _ => self.unbroken += 1,
            }
            push_escaped(&mut self.out, c);
            self.before = c;
        }
    }
}

fn stays_whole(word: &str) -> bool {
    word == OUR_NAME || is_short_option(word)
}

fn is_short_option(word: &str) -> bool {
    word.starts_with('-')
        && word.trim_start_matches('-').contains('-')
        && UNBROKEN_OPTION.contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_graphic())
}

fn parts(c: char) -> bool {
    "/_=&?,;:".contains(c)
}
