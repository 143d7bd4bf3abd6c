//! The text body: everything that the HTML says, in plain lines. Pure.

use unicode_width::UnicodeWidthStr;

use super::content::{self, Fit, Shown};
use super::i18n::{Lang, Strings};
use super::subject;
use crate::report::model::{Report, Stream};
use crate::report::text::is_disturbing;

/// Bytes of excerpts; older lines beyond that are left out. Text and HTML together must stay within
/// what the mail stage leaves room for (`mail::limits::MAX_BODIES`).
const EXCERPT_BYTES: usize = 64 * 1024;

pub fn text(report: &Report, lang: Lang) -> String {
    let strings = lang.strings();
    let mut out = String::new();
    line(&mut out, &subject::without_headline(report, lang));
    line(&mut out, "");
    if let Some(headline) = content::headline(report) {
        line(&mut out, &headline);
        line(&mut out, "");
    }
    let facts = content::facts(report, strings).into_iter().chain(content::ci_facts(report, strings));
    let mut rows: Vec<_> = facts.map(|fact| (fact.label, fact.value)).collect();
    let tags = content::tags(report);
    if !tags.is_empty() {
        rows.push((strings.label.tags, tags.join(", ")));
    }
    rows.push((strings.label.run, content::value(&report.run_id)));
    table(&mut out, &rows);
    let note = content::note(report);
    if !note.is_empty() {
        out.push_str(&format!("\n{}\n", strings.label.note));
        for text in note {
            line(&mut out, &format!("  {text}"));
        }
    }
    excerpts(&mut out, report, strings);
    logs(&mut out, report, strings);
    if let Some(redacted) = content::redacted(report, strings) {
        line(&mut out, "");
        line(&mut out, &redacted);
    }
    line(&mut out, "");
    line(&mut out, &(strings.why)(&content::value(&report.user), &content::value(&report.host)));
    out
}

/// A line, without blanks at its end: some gateways read them as a soft break (RFC 3676).
fn line(out: &mut String, text: &str) {
    out.push_str(text.trim_end());
    out.push('\n');
}

/// Labels and values in two columns; a wide character takes two.
pub fn table(out: &mut String, rows: &[(&str, String)]) {
    let widest = rows.iter().map(|(label, _)| label.width()).max().unwrap_or(0);
    for (label, value) in rows {
        let pad = " ".repeat(widest - label.width() + 2);
        line(out, &format!("{label}{pad}{value}"));
    }
}

fn excerpts(out: &mut String, report: &Report, strings: &Strings) {
    if content::is_silent(report) {
        out.push_str(&format!("\n{}\n", strings.output.none));
    }
    for excerpt in &report.excerpts {
        let room = EXCERPT_BYTES / report.excerpts.len();
        section(out, &content::shown(excerpt, room, strings, |line| line.text.len() + 3), strings);
    }
}

fn section(out: &mut String, shown: &Shown<'_>, strings: &Strings) {
    let legend = if shown.has_stderr { (strings.aside)(strings.output.legend) } else { String::new() };
    let heading = format!("{}{legend}", shown.heading);
    out.push_str(&format!("\n{heading}\n{}\n", "-".repeat(heading.width())));
    if let Some(failure) = &shown.failure {
        line(out, strings.output.further_up);
        lines(out, &failure.fit, shown.has_stderr);
        if let Some(between) = &failure.between {
            line(out, between);
        }
    }
    lines(out, &shown.fit, shown.has_stderr);
}

fn lines(out: &mut String, fit: &Fit<'_>, has_stderr: bool) {
    if let Some(left_out) = &fit.left_out {
        line(out, left_out);
    }
    for shown in fit.lines {
        let gutter = match (has_stderr, shown.stream) {
            (false, _) => "",
            (true, Stream::Err) => "! ",
            (true, Stream::Out) => "  ",
        };
        let text: String = shown.text.chars().filter(|c| !is_disturbing(*c)).collect();
        line(out, &format!("{gutter}{text}"));
    }
}

fn logs(out: &mut String, report: &Report, strings: &Strings) {
    let logs = content::logs(report, strings);
    if logs.is_empty() {
        return;
    }
    let heading = if report.files.is_empty() { strings.label.log } else { strings.label.attachments };
    out.push_str(&format!("\n{heading}\n"));
    for log in logs {
        let colon = if log.what.is_empty() { "" } else { strings.colon };
        line(out, &format!("  {}{colon}{}", log.name, log.what));
        for more in [log.place, log.trouble].into_iter().flatten() {
            line(out, &format!("    {more}"));
        }
    }
}
