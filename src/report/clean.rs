//! What is said of a run, without what must not leave the machine. Pure.

use std::collections::HashMap;
use std::ops::Range;

use super::headline::Seen;
use super::model::{Line, Style};
use super::name::{display_command, short_name};
use super::text::one_line;
use crate::privacy::{MARK, Places, Redactor};
use crate::run::facts::Ci;
use crate::spool::tail::Stream;

/// Takes out of the run's texts, and counts.
pub(super) struct Clean<'a> {
    pub redactor: &'a Redactor,
    pub places: Places,
}

impl Clean<'_> {
    pub(super) fn text(&mut self, text: &str) -> String {
        let (clean, places) = self.redactor.text(text);
        self.places += places;
        clean.into_owned()
    }

    pub(super) fn line(&mut self, text: &str) -> String {
        one_line(&self.text(text))
    }

    /// The command line, and what one would call it. First its words by themselves, before quotes and
    /// escapes stand in them; then the whole.
    pub(super) fn command(&mut self, argv: &[String]) -> (String, String) {
        let (words, places) = self.redactor.words(argv);
        self.places += places;
        let command = self.text(&display_command(&words));
        let name = short_name(&words);
        let name = self.redactor.text(&name).0.into_owned();
        (command, name)
    }

    pub(super) fn ci(&mut self, ci: &Ci) -> Ci {
        let mut line = |text: &Option<String>| text.as_deref().map(|text| self.text(text));
        Ci {
            system: ci.system.clone(),
            name: line(&ci.name),
            branch: line(&ci.branch),
            commit: ci.commit.clone(),
            url: line(&ci.url),
        }
    }
}

/// Lines of the output as they were on the screen, of which some lose something. All of them are looked
/// at, though few are shown: a private key that began further up goes on in these.
#[derive(Debug)]
pub(super) struct CleanLines {
    /// By the whole text of the line.
    changed: HashMap<String, Changed>,
}

#[derive(Debug)]
struct Changed {
    text: String,
    cuts: Vec<Range<usize>>,
    places: Places,
}

impl CleanLines {
    pub(super) fn of(redactor: &Redactor, lines: &[Seen<'_>]) -> Self {
        let (mut out, mut err) = (redactor.lines(), redactor.lines());
        let mut changed = HashMap::new();
        for line in lines {
            let stream = if line.stream == Stream::Err { &mut err } else { &mut out };
            let (cuts, places) = stream.cuts(line.text);
            if !cuts.is_empty() {
                let text = without(line.text, &cuts);
                changed.insert(line.text.to_owned(), Changed { text, cuts, places });
            }
        }
        Self { changed }
    }

    /// The same lines, for who looks for something in them.
    pub(super) fn seen<'a>(&'a self, lines: &[Seen<'a>]) -> Vec<Seen<'a>> {
        let clean = |line: &Seen<'a>| self.changed.get(line.text).map_or(line.text, |changed| &changed.text);
        lines.iter().map(|line| Seen { stream: line.stream, text: clean(line) }).collect()
    }

    /// A line that is shown; gives how many places it lost.
    pub(super) fn line(&self, line: &mut Line) -> Places {
        let Some(Changed { text, cuts, places }) = self.changed.get(&line.text) else { return 0 };
        let moved = |(range, style): (Range<usize>, Style)| (moved(&range, cuts), style);
        let styles = std::mem::take(&mut line.styles).into_iter().map(moved);
        line.styles = styles.filter(|(range, _)| range.start < range.end).collect();
        line.text.clone_from(text);
        *places
    }
}

fn without(text: &str, cuts: &[Range<usize>]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for cut in cuts {
        out.push_str(&text[at..cut.start]);
        out.push_str(MARK);
        at = cut.end;
    }
    out.push_str(&text[at..]);
    out
}

/// Where a styled range is when the cuts have become marks: what it had of a cut's inside only, it loses.
fn moved(range: &Range<usize>, cuts: &[Range<usize>]) -> Range<usize> {
    // At the same place a cut's mark begins and what stood before it ends.
    let place = |at: usize, inside: fn(usize) -> usize| {
        let mut new = at;
        for cut in cuts.iter().take_while(|cut| cut.start < at) {
            if at < cut.end {
                // `new` is as far from the mark's beginning as `at` is from the cut's.
                return inside(new - (at - cut.start));
            }
            new = new + MARK.len() - cut.len();
        }
        new
    };
    place(range.start, |mark| mark + MARK.len())..place(range.end, |mark| mark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privacy::Options;

    fn shown(text: &str, styles: &[Range<usize>]) -> (String, Vec<String>, Places) {
        let redactor = Redactor::new(&Options::default());
        let style = Style { bold: true, ..Style::default() };
        let styles = styles.iter().map(|range| (range.clone(), style)).collect();
        let mut line = Line { stream: Stream::Out, text: text.to_owned(), styles };
        let seen = [Seen { stream: Stream::Out, text }];
        let places = CleanLines::of(&redactor, &seen).line(&mut line);
        let styled = line.styles.iter().map(|(range, _)| line.text[range.clone()].to_owned()).collect();
        (line.text, styled, places)
    }

    /// Catches colours that slip to other letters, or off a character's border, where something was taken
    /// out before them.
    #[test]
    fn colours_stay_where_they_were() {
        let text = "训练 password=hunter2 and token=abcdef0123456789 完成";
        let clean = "训练 password=[redacted] and token=[redacted] 完成";
        let (start, end) = (text.find("hunter2").unwrap(), text.find(" and").unwrap());
        let last = text.find("完成").unwrap();
        let range = |start: usize, end: usize| std::iter::once(start..end).collect::<Vec<_>>();
        for (styles, styled) in [
            (range(0, 6), "训练"),
            (range(0, text.len()), clean),
            (range(start, end), MARK),
            (range(start - 9, end), "password=[redacted]"),
            (range(start - 9, start + 2), "password="),
            (range(start + 2, end + 4), " and"),
            (range(last, text.len()), "完成"),
        ] {
            assert_eq!(shown(text, &styles), (clean.to_owned(), vec![styled.to_owned()], 2));
        }
        assert_eq!(shown(text, &range(start + 1, end - 1)).1, Vec::<String>::new());
    }

    /// Catches a key's lines that are shown because its first one isn't.
    #[test]
    fn a_key_goes_on_where_it_is_shown() {
        let redactor = Redactor::new(&Options::default());
        let key = "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn";
        let lines =
            ["-----BEGIN PRIVATE KEY-----", "between", key, "Ab3d", "-----END PRIVATE KEY-----", "end"];
        let streams = [Stream::Out, Stream::Err, Stream::Out, Stream::Out, Stream::Out, Stream::Out];
        let seen: Vec<_> = lines.iter().zip(streams).map(|(text, stream)| Seen { stream, text }).collect();
        let clean = CleanLines::of(&redactor, &seen);
        let texts: Vec<_> = clean.seen(&seen).iter().map(|line| line.text).collect();
        assert_eq!(texts, [lines[0], "between", MARK, MARK, lines[4], "end"]);
    }
}
