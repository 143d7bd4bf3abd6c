//! The exact words of subject, text body and terminal summary, in both languages.
//!
//! They are kept under `tests/data/render/`; `UPDATE=1 cargo test --test render` writes them anew, to
//! be read in the diff. The HTML of each case is left in `target/tmp/render/` to be looked at.

use std::fs;
use std::path::Path;

use notify_done::render::{Lang, MAX_HTML_BYTES, render, subject, terminal};
use notify_done::report::model::Report;

use crate::cases;

const LANGS: [(Lang, &str); 2] = [(Lang::En, "en"), (Lang::Zh, "zh")];

/// Catches any change of wording, order, alignment or of what is told at all.
#[test]
fn subject_text_and_summary_are_as_recorded() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/render");
    let mut wrong = Vec::new();
    for case in cases::all() {
        for (lang, code) in LANGS {
            let rendered = render(&case.report, lang, None);
            let summary = terminal::summary(&case.report, lang);
            let text = shortened(&rendered.text);
            let actual = format!("Subject: {}\n\n{text}\n==== terminal\n{summary}", rendered.subject);
            let path = data.join(format!("{}.{code}.txt", case.name));
            if std::env::var_os("UPDATE").is_some() {
                fs::write(&path, &actual).unwrap();
            }
            let expected = fs::read_to_string(&path).unwrap_or_default();
            if actual != expected {
                wrong.push(format!("{}:\n{actual}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "not as recorded:\n{}", wrong.join("\n"));
}

/// Without the middle of a long text, which is all alike.
fn shortened(text: &str) -> String {
    const ENDS: usize = 40;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    match lines.len().checked_sub(2 * ENDS) {
        None | Some(0) => text.to_owned(),
        Some(middle) => {
            format!("{}[{middle} lines]\n{}", lines[..ENDS].concat(), lines[ENDS + middle..].concat())
        }
    }
}

/// Catches: a plain form that promises a log it doesn't carry, or that a filter knows again by its subject.
#[test]
fn the_plain_form_is_as_recorded() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/render");
    let mut wrong = Vec::new();
    let cases = cases::all();
    for case in cases.iter().filter(|case| ["exit_code", "cut_log"].contains(&case.name)) {
        for (lang, code) in LANGS {
            let plain = notify_done::render::plain(&case.report, lang);
            let actual = format!("Subject: {}\n\n{}", plain.subject, plain.text);
            assert!(plain.subject.is_ascii() || code == "zh");
            let path = data.join(format!("{}.{code}.plain.txt", case.name));
            if std::env::var_os("UPDATE").is_some() {
                fs::write(&path, &actual).unwrap();
            }
            if actual != fs::read_to_string(&path).unwrap_or_default() {
                wrong.push(format!("{}:\n{actual}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "not as recorded:\n{}", wrong.join("\n"));
}

#[test]
fn the_summary_is_short_and_plain() {
    for case in cases::all() {
        for (lang, code) in LANGS {
            let summary = terminal::summary(&case.report, lang);
            assert!(summary.lines().count() <= 12, "{} {code}:\n{summary}", case.name);
            assert!(!summary.contains('\x1b'));
        }
    }
}

/// Not a check by itself: tests/real/test_mail_in_browser.py looks at them.
#[test]
fn the_pages_are_left_to_be_looked_at() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("render");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for case in cases::all() {
        for (lang, code) in LANGS {
            let page = folder.join(format!("{}.{code}.html", case.name));
            fs::write(page, render(&case.report, lang, None).html).unwrap();
        }
    }
}

/// Catches a fact that the HTML lacks, what mail clients don't take, and unescaped input.
#[test]
fn html_tells_the_same_and_uses_only_what_clients_know() {
    for case in cases::all() {
        for (lang, code) in LANGS {
            let rendered = render(&case.report, lang, None);
            let html = &rendered.html;
            assert!(html.len() <= MAX_HTML_BYTES);
            // What is hidden may be hidden in one way more, for who doesn't take the others.
            let body = html.replacen("opacity:0;overflow:hidden;", "opacity:0;", 1);
            for unknown in
                ["flex", "white-space:pre", "overflow:", "<pre", "<img", "@import", "<b>not", "url("]
            {
                assert!(!body.contains(unknown), "{} {code} has {unknown}", case.name);
            }
            assert!(colours(html).all(|colour| colour.len() == 6), "a colour without six digits");
            if case.name == "huge" {
                // The text has room for more lines than the HTML, and their numbers differ.
                continue;
            }
            let shown = crate::generated::visible_text(html);
            for fact in rendered.text.lines().flat_map(|line| line.split("  ")).map(str::trim) {
                let rule = fact.chars().all(|c| c == '-');
                let is_subject = !fact.is_empty() && rendered.subject.starts_with(fact);
                // What the text puts into one line, the HTML lays out.
                let heading = |begin| fact.split_once(begin).map(|(heading, _)| heading);
                let fact = heading(" (!").or_else(|| heading("（!")).unwrap_or(fact);
                let parts =
                    fact.split(": ").flat_map(|part| part.split("：")).flat_map(|part| part.split(", "));
                let label = &lang.strings().label;
                let label = [label.tags, label.log, label.attachments].contains(&fact);
                for part in parts.filter(|_| !rule && !is_subject && !label) {
                    // A long link is told in part; its `href` has all of it.
                    let part = if part.starts_with("https") { &part[..part.len().min(150)] } else { part };
                    assert!(shown.contains(part), "{} {code} lacks {part:?} in\n{shown}", case.name);
                }
            }
        }
    }
}

/// Catches a line of the log that loses its mark, or looks like two, where a narrow client wraps it; a
/// blank line that vanishes; and an option that is broken in two.
#[test]
fn lines_are_blocks_that_hang_from_their_mark() {
    let all = cases::all();
    let html = |name: &str| render(&all.iter().find(|c| c.name == name).unwrap().report, Lang::En, None).html;
    let failed = html("exit_code");
    assert!(failed.contains("<div>&nbsp;&nbsp;epoch 1 &nbsp;loss 2.3026</div>"), "{failed}");
    assert!(failed.contains("<div>!&nbsp;</div>"), "{failed}");
    assert_eq!(failed.matches("<div style=\"color:#ff9f95\">").count(), 1, "one colour for all of stderr");
    for option in ["--save-every", "--batch-size,", "--grad-accum"] {
        assert!(failed.contains(&format!("<span style=\"white-space:nowrap\">{option}</span>")), "{option}");
    }
    assert!(html("signal").contains("<div><br></div>"), "{}", html("signal"));
}

/// Catches a state that is told twice or not at all, parts of a log in the wrong order, input that is
/// read as an entity, and words that push the table wider than a phone.
#[test]
fn the_band_the_order_and_the_breaks_are_right() {
    let all = cases::all();
    let report = |name: &str| all.iter().find(|case| case.name == name).unwrap().report.clone();
    let html = |name: &str| render(&report(name), Lang::En, None).html;
    for (case, band) in [
        ("success", "✓</span>&nbsp; Succeeded</div>"),
        ("exit_code", "✗</span>&nbsp; Failed · exit 1</div>"),
        ("pipe_told_to_end", "!</span>&nbsp; Interrupted by SIGTERM (15)</div>"),
    ] {
        assert!(html(case).contains(band), "{}", html(case));
    }
    let began = html("not_started");
    assert!(began.contains("color:#ffffff\">gpu07</div>"), "what never ran took no time: {began}");
    let parts = html("two_parts");
    assert!(parts.find("step 1").unwrap() < parts.rfind("not bold").unwrap(), "{parts}");
    assert!(parts.contains("&lt;b&gt;not bold&lt;/b&gt; &amp; co"), "{parts}");
    assert!(html("success").contains("/data/checkpoints/<wbr>vit-b16/"), "{}", html("success"));
    let mut long = report("success");
    long.name = "x".repeat(50);
    let twenty = "x".repeat(20);
    let broken = format!(">{twenty}<wbr>{twenty}<wbr>{}<", "x".repeat(10));
    assert!(render(&long, Lang::En, None).html.contains(&broken));
}

fn colours(html: &str) -> impl Iterator<Item = &str> {
    let style = |before: &str| before.ends_with(':') || before.ends_with("solid ") || before.ends_with('"');
    html.match_indices('#').filter(move |(at, _)| style(&html[..*at])).map(|(at, _)| {
        let digits = &html[at + 1..];
        &digits[..digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len())]
    })
}

#[test]
fn a_template_is_filled_in() {
    let all = cases::all();
    let of = |case: &str, template: &str| {
        let case = all.iter().find(|c| c.name == case).unwrap();
        render(&case.report, Lang::En, Some(template)).subject
    };
    assert_eq!(
        of("signal", "[{host}] {icon} {name}: {state} {code} after {duration} ({user}, {run})"),
        "[gpu07] ❌ train.py: SIGKILL (9) 137 after 3h 12m (alice, 20261121T093000-1a2b3c4d)"
    );
    assert_eq!(of("not_started", "{command} {code} {{x}} {nope} {"), "pyhton train.py 127 {x} {nope} {");
    assert_eq!(of("pipe_unknown", "{title} {code}\r\nBcc: x"), "build ? Bcc: x");
    // Nothing left of it: the built-in one.
    assert_eq!(of("no_output", " \n"), "✅ make && ./x > out succeeded · 3h 12m · gpu07");
    assert_eq!(of("no_output", &"字".repeat(80)), format!("{}…", "字".repeat(59)));
}

#[test]
fn a_template_is_checked() {
    assert_eq!(subject::check_template("{{{name}}} {state} · {host} {{}}"), Ok(()));
    let unknown = subject::check_template("{name} {stat}").unwrap_err();
    assert!(unknown.contains("{stat}") && unknown.contains("{state}"), "{unknown}");
    assert!(subject::check_template("{name").unwrap_err().contains("{{"));
    assert!(subject::check_template("name}").unwrap_err().contains("}}"));
}

/// Catches a headline that pushes anything out of the subject or breaks it into lines, one that is told
/// with no room to tell it, and a template's dash with nothing behind it.
#[test]
fn the_headline_takes_what_the_rest_leaves() {
    let mut report = cases::all().remove(1).report;
    let subject = |report: &Report, template: Option<&str>| render(report, Lang::En, template).subject;
    report.headline = Some("ValueError:\ttoo\nlong ".to_owned() + &"训练".repeat(100));
    let cut = subject(&report, None);
    assert_eq!(unicode_width::UnicodeWidthStr::width(cut.as_str()), 120);
    assert!(cut.starts_with("❌ train.py · exit 1 · 3h 12m · gpu07 — ValueError: too long 训练"), "{cut}");
    report.name = "n".repeat(80);
    let full = subject(&report, None);
    assert!(full.ends_with(&format!("{} · exit 1 · 3h 12m · gpu07", "n".repeat(80))), "no room: {full}");
    report.name = "train.py".to_owned();
    report.headline = Some("KeyError: 'x'".to_owned());
    let template = Some("{icon} {name} — {headline}");
    assert_eq!(subject(&report, template), "❌ train.py — KeyError: 'x'");
    let plain = notify_done::render::plain(&report, Lang::En).subject;
    assert_eq!(plain, "2026-11-21 12:42 train.py, gpu07, exit 1: KeyError: 'x'");
    report.headline = None;
    assert_eq!(subject(&report, template), "❌ train.py");
    assert_eq!(subject(&report, Some("{headline} - {name} -")), "- train.py -");
}

/// Catches a preview line without the reason, or that goes on with the body's first words.
#[test]
fn the_preheader_tells_why_and_then_nothing() {
    let all = cases::all();
    let shown = |name: &str| {
        let case = all.iter().find(|case| case.name == name).unwrap();
        let html = render(&case.report, Lang::En, None).html;
        let hidden = html.split_once("mso-hide:all\">").unwrap().1;
        hidden.split_once("</div>").unwrap().0.to_owned()
    };
    let failed = shown("exit_code");
    assert!(failed.starts_with("exit 1 · 3h 12m 7s · RuntimeError: CUDA out of memory."), "{failed}");
    assert!(shown("signal").starts_with("SIGKILL (9) · 3h 12m 7s · shard 12/40"));
    for preheader in [failed, shown("no_output"), shown("long")] {
        // Lists of mails show up to 150 columns or so of it.
        assert!(unicode_width::UnicodeWidthStr::width(preheader.as_str()) >= 150, "{preheader}");
        assert!(preheader.ends_with("\u{a0}"));
    }
}

/// Catches a name that pushes state, duration and host out of the subject.
#[test]
fn a_long_name_leaves_room_for_the_rest() {
    let mut report = cases::all().remove(1).report;
    report.name = "训练".repeat(200);
    report.host = format!("{}.example.com", "h".repeat(200));
    let subject = render(&report, Lang::Zh, None).subject;
    assert_eq!(unicode_width::UnicodeWidthStr::width(subject.as_str()), 120);
    assert!(subject.starts_with("❌ 训练"));
    assert!(subject.ends_with(&format!("… · 退出码 1 · 3小时12分 · {}…", "h".repeat(39))), "{subject}");
}
