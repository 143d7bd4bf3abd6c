//! The HTML as a real parser understands it: what came from outside is text, all of it, and nothing
//! else.

use std::collections::BTreeSet;

use notify_done::render::{Lang, MAX_HTML_BYTES, render};
use notify_done::report::model::{Carried, Colour, Excerpt, FurtherUp, Line, Report, Stream, Style};
use notify_done::report::text::is_disturbing;
use notify_done::run::facts::{Ci, End, Holds};
use proptest::prelude::*;
use scraper::{ElementRef, Html, Selector};

use crate::cases::{facts, log, report};

/// What hurts a renderer: markup, entities, quotes, what a browser reads as a scheme, characters that
/// are wide, joined, invisible or turn the text around.
const PIECES: [&str; 24] = [
    "<script>alert(1)</script>",
    "</td></tr></table>",
    "<!--",
    "-->",
    "<![endif]-->",
    "\"",
    "'",
    "&",
    "&lt;",
    "&#60;",
    "<",
    ">",
    " ",
    "  ",
    "--fail-at",
    "style=\"color:red\"",
    "javascript:alert(1)",
    "训练",
    "é",
    "e\u{301}",
    "👩‍🚀",
    "\u{202e}",
    "\u{1b}[31m",
    "a-word-that-is-much-longer-than-a-line-of-a-phone/and/a/path",
];

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![3 => prop::sample::select(&PIECES[..]).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn colour() -> impl Strategy<Value = Option<Colour>> {
    prop::option::of(prop_oneof![
        any::<u8>().prop_map(Colour::Named),
        any::<[u8; 3]>().prop_map(|[r, g, b]| Colour::Rgb(r, g, b)),
    ])
}

fn style() -> impl Strategy<Value = Style> {
    (colour(), colour(), any::<[bool; 5]>()).prop_map(
        |(foreground, background, [bold, dim, italic, underline, inverse])| Style {
            foreground,
            background,
            bold,
            dim,
            italic,
            underline,
            inverse,
        },
    )
}

fn line() -> impl Strategy<Value = Line> {
    // Ranges as they come, also such as no excerpt has.
    let styles = prop::collection::vec((0..40_usize, 0..40_usize, style()), 0..4);
    (any::<bool>(), text(), styles).prop_map(|(err, text, styles)| {
        let stream = if err { Stream::Err } else { Stream::Out };
        let styles = styles.into_iter().map(|(start, end, style)| (start..end, style)).collect();
        Line { stream, text, styles }
    })
}

fn excerpt() -> impl Strategy<Value = Excerpt> {
    let lines = || prop::collection::vec(line(), 1..6);
    let failure = prop::option::of((lines(), 0..9_usize))
        .prop_map(|failure| failure.map(|(lines, lines_between)| FurtherUp { lines, lines_between }));
    (lines(), failure, any::<u64>()).prop_map(|(lines, failure, skipped_bytes)| Excerpt {
        holds: Holds::Both,
        failure,
        lines,
        skipped_bytes,
    })
}

fn ci() -> impl Strategy<Value = Ci> {
    let optional = || prop::option::of(text());
    let url = prop::option::of((
        prop::sample::select(&["https://ci.example.com/", "javascript:", "http://a:b@h/", ""][..]),
        text(),
    ))
    .prop_map(|url| url.map(|(begin, rest)| format!("{begin}{rest}")));
    (text(), optional(), optional(), optional(), url).prop_map(|(system, name, branch, commit, url)| Ci {
        system,
        name,
        branch,
        commit,
        url,
    })
}

fn any_report() -> impl Strategy<Value = Report> {
    let texts = prop::collection::vec(text(), 8);
    let rest = (prop::option::of(text()), prop::option::of(ci()), prop::collection::vec(text(), 0..3));
    (texts, rest, prop::collection::vec(excerpt(), 0..3), 0..3_u64).prop_map(
        |(texts, (headline, ci, tags), excerpts, redacted)| {
            let mut texts = texts.into_iter();
            let mut next = move || texts.next().expect("there are eight");
            let mut note = log("log.txt", Holds::Both, 77, Carried::Whole);
            note.path = next();
            note.attachment = Some(next());
            Report {
                run_id: next(),
                name: next(),
                command: Some(next()),
                host: next(),
                user: next(),
                cwd: next(),
                note: Some(tags.join("\n")),
                headline,
                ci,
                tags,
                excerpts,
                logs: vec![note],
                redacted,
                ..report(&facts(&["x"], End::Exited { code: 1 }), Vec::new(), Vec::new())
            }
        },
    )
}

fn all<'a>(html: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    html.select(&Selector::parse(selector).unwrap()).collect()
}

fn told(element: ElementRef<'_>) -> String {
    element.text().collect::<String>().replace('\u{a0}', " ")
}

/// As a browser shows it: what disturbs isn't in it.
fn seen(text: &str) -> String {
    text.chars().filter(|c| !is_disturbing(*c)).map(|c| if c == '\u{a0}' { ' ' } else { c }).collect()
}

/// Nothing but our own elements, attributes and style sheets.
fn assert_ours(html: &Html, report: &Report) {
    const TAGS: &str = "html head meta title style body div table tbody tr td b span br wbr a";
    const ATTRIBUTES: &str = "lang charset name content class style role cellpadding cellspacing border width bgcolor align valign href";
    let tags: BTreeSet<_> = TAGS.split(' ').collect();
    let attributes: BTreeSet<_> = ATTRIBUTES.split(' ').collect();
    for element in all(html, "*") {
        let name = element.value().name();
        assert!(tags.contains(name), "<{name}>");
        for (attribute, value) in element.value().attrs() {
            assert!(attributes.contains(attribute), "<{name} {attribute}>");
            if attribute == "href" {
                assert!(value.starts_with("https://") || value.starts_with("http://"), "{value}");
                assert!(value.bytes().all(|b| b.is_ascii_graphic()) && !value.contains('@'), "{value}");
                let given = report.ci.as_ref().and_then(|ci| ci.url.as_deref()).unwrap();
                assert_eq!(Some(value.to_owned()), notify_done::run::ci::safe_link(given));
            } else {
                let ours = |c: char| c.is_ascii_alphanumeric() || "#:;,.-=%' ".contains(c);
                assert!(value.chars().all(ours), "<{name} {attribute}={value:?}>");
            }
        }
    }
    assert!(all(html, "style").len() == 1 && all(html, "script").is_empty());
    // Conditional comments for Outlook are the only ones.
    let comments = html.tree.values().filter_map(scraper::Node::as_comment);
    assert_eq!(comments.filter(|comment| comment.contains("[if mso]")).count(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Catches: input that becomes an element, an attribute, an entity or a comment; text that is
    /// lost, doubled or changed by colours; a link that isn't one.
    #[test]
    fn what_comes_from_outside_is_text(report in any_report()) {
        for lang in [Lang::En, Lang::Zh] {
            let source = render(&report, lang, None).html;
            let html = Html::parse_document(&source);
            prop_assert!(html.errors.is_empty(), "{:?}\n{source}", html.errors);
            assert_ours(&html, &report);
            let panels: Vec<String> = all(&html, "td.nd-panel").into_iter().map(told).collect();
            prop_assert_eq!(panels.len(), report.excerpts.len());
            for (excerpt, panel) in report.excerpts.iter().zip(&panels) {
                let failure = excerpt.failure.iter().flat_map(|failure| &failure.lines);
                let mut rest = panel.as_str();
                // In order, each with its gutter's mark before it.
                for line in failure.chain(&excerpt.lines) {
                    let text = seen(&line.text);
                    let at = rest.find(&text);
                    prop_assert!(at.is_some(), "{text:?} isn't in {rest:?}");
                    rest = &rest[at.unwrap() + text.len()..];
                }
            }
            let cells: Vec<String> = all(&html, "td").into_iter().map(told).collect();
            for value in [&report.host, &report.cwd, report.command.as_ref().unwrap()] {
                let value = seen(&notify_done::report::text::one_line(value));
                prop_assert!(cells.contains(&value), "{value:?} isn't among {cells:?}");
            }
        }
    }
}

fn worst(piece: &str, columns: usize) -> String {
    piece.repeat(columns)
}

/// Catches: a budget that holds only for usual input. Every text is as long as it gets and each
/// character of the output has a look of its own, of the most expensive kinds.
#[test]
fn the_budget_holds_for_the_worst() {
    for piece in ["<", "\"", "&", "👩", "a\u{301}", "训", "\u{200d}"] {
        let text = worst(piece, 500);
        let mut facts = facts(&["x"], End::Exited { code: 1 });
        for field in [&mut facts.start.host, &mut facts.start.user, &mut facts.start.cwd] {
            *field = worst(piece, 5000);
        }
        facts.start.tags = vec![worst(piece, 500); 50];
        facts.start.note = Some(worst(piece, 5000));
        facts.start.title = Some(worst(piece, 5000));
        facts.start.ci = Some(Ci {
            system: worst(piece, 5000),
            name: Some(worst(piece, 5000)),
            branch: Some(worst(piece, 5000)),
            commit: Some(worst(piece, 5000)),
            url: Some(format!("https://ci.example.com/{}", worst("\"", 900))),
        });
        let mut note = log("log.txt", Holds::Both, u64::MAX, Carried::Whole);
        (note.path, note.attachment) = (worst(piece, 5000), Some(worst(piece, 5000)));
        let styles: Vec<_> = text
            .char_indices()
            .enumerate()
            .map(|(i, (at, c))| {
                let byte = u8::try_from(i % 256).unwrap();
                let foreground = Some(Colour::Rgb(byte, 255 - byte, 77));
                let background = Some(Colour::Rgb(255 - byte, byte, byte));
                let style = Style {
                    foreground,
                    background,
                    bold: true,
                    italic: true,
                    underline: true,
                    ..Style::default()
                };
                (at..at + c.len_utf8(), style)
            })
            .collect();
        let line = Line { stream: Stream::Err, text, styles };
        let last = Line { stream: Stream::Out, text: "the last line".to_owned(), styles: Vec::new() };
        let mut lines = vec![line.clone(); 400];
        lines.push(last);
        let failure = Some(FurtherUp { lines: vec![line; 400], lines_between: usize::MAX });
        let excerpt = Excerpt { holds: Holds::Both, failure, lines, skipped_bytes: u64::MAX };
        let report = Report {
            command: Some(worst(piece, 5000)),
            headline: Some(worst(piece, 5000)),
            redacted: u64::MAX,
            excerpts: vec![excerpt.clone(), excerpt],
            ..report(&facts, Vec::new(), vec![note; 9])
        };
        for lang in [Lang::En, Lang::Zh] {
            let rendered = render(&report, lang, None);
            assert!(rendered.html.len() <= MAX_HTML_BYTES, "{} bytes of {piece:?}", rendered.html.len());
            assert!(rendered.text.len() <= 150_000, "{} bytes of text of {piece:?}", rendered.text.len());
            let html = Html::parse_document(&rendered.html);
            let panels: Vec<String> = all(&html, "td.nd-panel").into_iter().map(told).collect();
            assert_eq!(panels.len(), 2, "{piece:?}");
            assert!(panels.iter().all(|panel| panel.contains("the last line")), "{piece:?}: {panels:?}");
        }
    }
}

/// Catches: lines that are dropped for the sake of colours, and colours that are dropped without need.
#[test]
fn colours_go_before_lines_do() {
    let red = Style { foreground: Some(Colour::Named(1)), ..Style::default() };
    let line = |n: usize| {
        let text = format!("line {n} {}", "x ".repeat(20));
        let styles = (0..text.len()).step_by(2).map(|at| (at..at + 1, red)).collect();
        Line { stream: Stream::Out, text, styles }
    };
    let shown = |count: usize| {
        let lines = (0..count).map(line).collect();
        let excerpt = Excerpt { holds: Holds::Both, failure: None, lines, skipped_bytes: 0 };
        let facts = facts(&["x"], End::Exited { code: 1 });
        let report = Report { excerpts: vec![excerpt], ..report(&facts, Vec::new(), Vec::new()) };
        render(&report, Lang::En, None).html
    };
    let html = shown(500);
    assert!(!html.contains("left out here") && html.contains("line 0 x"), "{}", html.len());
    // The newest are coloured, the oldest aren't.
    let coloured = html.matches("color:#ff7b72").count();
    assert!(coloured > 100 && coloured < 500 * 20, "{coloured}");
    assert!(html.rfind("color:#ff7b72").unwrap() > html.find("line 498").unwrap_or(0));
    assert_eq!(
        shown(9).matches("color:#ff7b72").count(),
        (0..9).map(|n| line(n).styles.len()).sum::<usize>()
    );
}
