//! Whatever the command wrote and whatever things are called: nothing panics, grows past its budget,
//! or gets into the HTML as markup.

use notify_done::render::{Lang, MAX_HTML_BYTES, render, terminal};
use notify_done::report::model::{Carried, Report, Stream};
use notify_done::run::facts::{End, Holds, PartTrouble};
use unicode_width::UnicodeWidthStr;

use crate::cases::{facts, log, report, tail};

/// xorshift64* (Vigna 2016): the same every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> usize {
        usize::try_from(self.next() % limit).unwrap()
    }

    /// Bytes that are likely to hurt: markup, escapes, redraws, broken and wide characters.
    fn bytes(&mut self, longest: u64) -> Vec<u8> {
        const PIECES: [&[u8]; 20] = [
            b"<script>",
            b"</td>",
            b"\"",
            b"'",
            b"&",
            b"\x1b[31m",
            b"\x1b]0;t",
            b"\r",
            b"\x08",
            b"\t",
            b"\x00",
            b"\xff\xfe",
            b"   ",
            "训练".as_bytes(),
            "\u{202e}".as_bytes(),
            "e\u{301}".as_bytes(),
            "👩‍🚀".as_bytes(),
            b"\n",
            b"{name}",
            b"word",
        ];
        let mut out = Vec::new();
        for _ in 0..self.below(longest) {
            match self.below(3) {
                0 => out.push(self.next().to_le_bytes()[0]),
                _ => out.extend_from_slice(PIECES[self.below(20)]),
            }
        }
        out
    }

    fn text(&mut self, longest: u64) -> String {
        String::from_utf8_lossy(&self.bytes(longest)).into_owned()
    }

    fn report(&mut self) -> Report {
        let end = match self.below(6) {
            0 => End::Exited { code: i32::try_from(self.below(256)).unwrap() },
            1 => End::Signaled { signal: i32::try_from(self.below(70)).unwrap(), core_dumped: true },
            2 => End::Reported { code: -1 },
            3 => End::NotStarted { errno: i32::try_from(self.below(200)).unwrap() },
            4 => End::ToldToEnd { signal: i32::try_from(self.below(70)).unwrap() },
            _ => End::Unknown,
        };
        let argv: Vec<String> = (0..self.below(5)).map(|_| self.text(60)).collect();
        let mut facts = facts(&argv.iter().map(String::as_str).collect::<Vec<_>>(), end);
        facts.start.title = (self.below(2) == 0).then(|| self.text(80));
        facts.start.note = (self.below(2) == 0).then(|| self.text(900));
        facts.start.tags = (0..self.below(15)).map(|_| self.text(30)).collect();
        facts.start.host = self.text(40);
        facts.start.user = self.text(40);
        facts.start.cwd = self.text(200);
        let mut tails = Vec::new();
        let mut logs = Vec::new();
        for _ in 0..self.below(3) {
            let mut part = tail(Holds::Both, self.next() >> 20, &[]);
            for _ in 0..self.below(120) {
                let stream = if self.below(2) == 0 { Stream::Out } else { Stream::Err };
                part.push(stream, &self.bytes(300));
                part.push(stream, b"\n");
            }
            tails.push(part);
            let mut note = log("log.txt", Holds::Both, self.next(), Carried::Whole);
            note.path = self.text(300);
            note.trouble = Some(PartTrouble::Gap { bytes: self.next(), errno: 5 });
            logs.push(note);
        }
        report(&facts, tails, logs)
    }
}

/// What a reader sees: tags out, entities back, soft breaks and blanks as in the text body.
pub fn visible_text(html: &str) -> String {
    let body = html.split_once("<body").expect("there is a body").1;
    let mut out = String::new();
    for (i, piece) in body.split('<').enumerate() {
        let (tag, text) = if i == 0 { ("", "") } else { piece.split_once('>').expect("a tag ends") };
        if !matches!(tag, "wbr" | "b" | "/b" | "/span") && !tag.starts_with("span") {
            out.push('\n');
        }
        out.push_str(text);
    }
    for (entity, character) in
        [("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
    {
        out = out.replace(entity, character);
    }
    out
}

/// Every tag is one of ours, opened and closed in order: input that got in as markup shows.
fn assert_well_formed(html: &str) {
    let mut open = Vec::new();
    for piece in html.split('<').skip(1) {
        let tag = piece.split_once('>').expect("a tag ends").0;
        let name = tag.split(' ').next().expect("split gives one piece");
        match name {
            "!DOCTYPE" | "!--[if" | "![endif]--" | "meta" | "br" | "wbr" => {}
            "html" | "head" | "title" | "style" | "body" | "div" | "table" | "tr" | "td" | "b" | "span"
            | "a" => {
                open.push(name);
            }
            closing => assert_eq!(closing.strip_prefix('/'), open.pop(), "in <{tag}>"),
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

fn check(report: &Report, template: Option<&str>) {
    for lang in [Lang::En, Lang::Zh] {
        let rendered = render(report, lang, template);
        assert!(rendered.html.len() <= MAX_HTML_BYTES, "{} bytes of HTML", rendered.html.len());
        assert_well_formed(&rendered.html);
        assert!(rendered.subject.width() <= 120 && !rendered.subject.is_empty());
        let summary = terminal::summary(report, lang);
        assert!(summary.lines().count() <= 12);
        for text in [&rendered.html, &rendered.text, &summary, &rendered.subject] {
            assert!(!text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'));
        }
        assert!(!rendered.subject.contains('\n'));
    }
}

#[test]
fn random_input_does_no_harm() {
    let mut random = Random(0x6e6f_7469_6679);
    for _ in 0..300 {
        let report = random.report();
        let template = (random.below(3) == 0).then(|| random.text(40));
        check(&report, template.as_deref());
    }
}

/// Catches a budget that holds for usual input only: everything at its longest, every character at
/// its most expensive, and yet the last line is there.
#[test]
fn the_largest_input_keeps_the_budget_and_the_newest_lines() {
    let worst = "\" ".repeat(100_000);
    let mut facts = facts(&["x"], End::Exited { code: 1 });
    facts.start.title = Some(worst.clone());
    facts.start.note = Some(worst.clone());
    facts.start.tags = vec![worst.clone(); 100];
    facts.start.host = worst.clone();
    facts.start.user = worst.clone();
    facts.start.cwd = worst.clone();
    let argv = vec![worst.clone(); 20];
    facts.start.origin = notify_done::run::facts::Origin::Command { argv };
    let mut note = log(&worst, Holds::Stdout, u64::MAX, Carried::Whole);
    note.path = worst.clone();
    let mut tails = Vec::new();
    for (holds, stream) in [(Holds::Stdout, Stream::Out), (Holds::Stderr, Stream::Err)] {
        let mut lines = vec![(stream, &worst[..65_536]); 300];
        lines.push((stream, "the last line"));
        tails.push(tail(holds, 1, &lines));
    }
    let report = report(&facts, tails, vec![note; 9]);
    check(&report, None);
    let rendered = render(&report, Lang::En, None);
    assert_eq!(visible_text(&rendered.html).matches("the last line").count(), 2 + 1, "and in the preheader");
    assert_eq!(rendered.text.matches("the last line").count(), 2);
    assert!(rendered.html.contains("left out here"));
    assert!(rendered.text.len() < 400_000);
}

/// Catches a cost of a line that leaves out what stands around it, and room that is given to the
/// oldest lines: the long old ones go, as many of the short new ones as there is room for stay.
#[test]
fn short_new_lines_stay_where_long_old_ones_go() {
    let facts = facts(&["x"], End::Exited { code: 1 });
    let long = "old ".repeat(120);
    let mut lines = vec![(Stream::Out, long.as_str()); 300];
    lines.extend((0..2000).flat_map(|_| [(Stream::Out, "new"), (Stream::Err, "new")]));
    let report = report(&facts, vec![tail(Holds::Both, 0, &lines)], Vec::new());
    check(&report, None);
    let html = render(&report, Lang::En, None).html;
    let shown = visible_text(&html);
    assert!(!shown.contains("old"));
    assert!(shown.matches("! new").count() > 400, "{} bytes", html.len());
    assert!(html.len() > MAX_HTML_BYTES - 8000, "room is left: {} bytes", html.len());
}
