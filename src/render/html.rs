//! The HTML body, as mail clients need it. Pure.
//!
//! What shapes it: Gmail clips at about 102 KB; Outlook on Windows knows no flex, `white-space` or
//! `overflow` and takes `max-width` on tables only; older Chinese clients drop `<style>` and classes.
//! So: nested tables, inline styles, six-digit colours, `<br>` and `&nbsp;`, nothing from outside;
//! `white-space:nowrap` and `text-indent` only where their lack does no harm.

mod flow;
mod paint;
mod panel;
mod theme;

use unicode_width::UnicodeWidthStr;

use self::flow::{escape, flow};
use self::theme::{CARD, INK, LINK, NOTE, NOTE_INK, PAGE, RULE, SOFT, STYLE, TAG, TAG_INK, WARNING};
use super::amount::Detail;
use super::content::{self, Fact, Kind, LogText};
use super::i18n::{Lang, Strings};
use crate::report::model::Report;
use crate::report::text::{cut, one_line};
use crate::run::facts::{End, Outcome};

/// The largest document, bytes.
pub const MAX_BYTES: usize = 80_000;
/// If what stands around the output takes more, long texts in it are cut shorter. It never does but for
/// characters that take six bytes each, in texts as long as they get.
const MOST_AROUND: usize = 50_000;
/// What is said of the attachments takes no more.
const NOTES_BYTES: usize = 24_000;
const PREHEADER_COLUMNS: usize = 130;
/// A list of mails shows at most so much behind the subject; what the preheader leaves of it is filled
/// with nothing, so that the body isn't shown there once more.
const LISTED_COLUMNS: usize = 170;
/// Shows nothing and is as wide as a blank: joiner, non-joiner, no-break space.
const NOTHING: &str = "\u{34f}\u{200c}\u{a0}";
/// What stands above the fold on a phone has to leave room for the rest there.
const BAND_HOST_COLUMNS: usize = 60;
/// A longer name is set smaller.
const SHORT_NAME_COLUMNS: usize = 36;
const LINK_COLUMNS: usize = 200;

const SANS: &str = "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,'Helvetica Neue',\
                    'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',Arial,sans-serif";
const MONO: &str = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',\
                    'Noto Sans Mono CJK SC',monospace";
/// Long words break: at 360 px no line may push the table wider.
const BREAK: &str = "word-break:break-word;overflow-wrap:anywhere";
const TABLE: &str = "role=\"presentation\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" width=\"100%\"";

// Outlook on Windows takes no max-width beside a width in per cent; the others see a comment.
const GHOST_OPEN: &str = "<!--[if mso]><table role=\"presentation\" width=\"600\"><tr><td><![endif]-->\n";
const GHOST_CLOSE: &str = "\n<!--[if mso]></td></tr></table><![endif]-->";

/// The document. Excerpts get the room that the rest leaves; their oldest lines are left out, and it
/// says so.
pub fn html(report: &Report, lang: Lang) -> String {
    let strings = lang.strings();
    let (mut head, mut tail) = (self::head(report, strings), self::tail(report, strings));
    if head.len() + tail.len() > MOST_AROUND {
        let brief = content::brief(report);
        (head, tail) = (self::head(&brief, strings), self::tail(&brief, strings));
    }
    let mut room = MAX_BYTES.saturating_sub(head.len() + tail.len());
    let mut sections = Vec::new();
    // The later part of a log is stderr, where the reasons stand: what it leaves goes to stdout.
    for (i, excerpt) in report.excerpts.iter().enumerate().rev() {
        let html = panel::section(excerpt, room / (i + 1), strings);
        room = room.saturating_sub(html.len());
        sections.push(html);
    }
    sections.reverse();
    format!("{head}{}{tail}", sections.concat())
}

fn head(report: &Report, strings: &Strings) -> String {
    let outcome = report.end.outcome();
    let name = cut(&one_line(&report.name), content::NAME_COLUMNS);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"{tag}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <meta name=\"supported-color-schemes\" content=\"light dark\">\
         <meta name=\"format-detection\" content=\"telephone=no,date=no,address=no,email=no,url=no\">\
         <title>{title}</title>{STYLE}</head>\n\
         <body class=\"nd-page\" style=\"margin:0;padding:0;background-color:{PAGE};-webkit-text-size-adjust:100%\">\n\
         <div style=\"display:none;line-height:1px;max-height:0;max-width:0;opacity:0;overflow:hidden;\
         color:#57606a;mso-hide:all\">{preheader}</div>\n\
         <table {TABLE} class=\"nd-page\" bgcolor=\"{PAGE}\" style=\"background-color:{PAGE}\"><tr>\
         <td align=\"center\" style=\"padding:16px 8px\">\n{GHOST_OPEN}\
         <table {TABLE} class=\"nd-card\" bgcolor=\"{CARD}\" style=\"max-width:600px;table-layout:fixed;\
         background-color:{CARD};border-radius:8px\">\n",
        tag = strings.tag,
        title = escape(&name),
        preheader = escape(&preheader(report, strings)),
    );
    band(&mut out, report, &name, strings);
    headline(&mut out, report);
    let note = content::note(report);
    if !note.is_empty() {
        row(&mut out, "20px 20px 0 20px", &note_box(&note, strings));
    }
    let tags = content::tags(report);
    if !tags.is_empty() {
        row(&mut out, "16px 20px 0 20px", &tag_chips(&tags));
    }
    let mut facts = content::facts(report, strings);
    facts.extend(content::ci_facts(report, strings));
    row(&mut out, "16px 20px 4px 20px", &fact_table(&facts, outcome));
    if content::is_silent(report) {
        row(&mut out, "12px 20px 4px 20px", &para(strings.output.none));
    }
    out
}

/// What a list of mails shows behind the subject: how it ended, and why, else the last that it said.
fn preheader(report: &Report, strings: &Strings) -> String {
    let mut text = content::state(report.end, report.out_of_memory, strings);
    if !matches!(report.end, End::NotStarted { .. }) {
        text = format!("{text} · {}", content::duration(report, Detail::Exact, strings));
    }
    let last = || report.excerpts.iter().rev().filter_map(|e| e.lines.last()).find(|l| !l.text.is_empty());
    let why = content::headline(report).or_else(|| last().map(|line| one_line(&line.text)));
    if let Some(why) = why {
        text = format!("{text} · {why}");
    }
    let text = cut(&text, PREHEADER_COLUMNS);
    let rest = LISTED_COLUMNS.saturating_sub(text.width());
    format!("{text}{}", NOTHING.repeat(rest))
}

/// State, name, duration, host: what is seen on a phone without scrolling.
fn band(out: &mut String, report: &Report, name: &str, strings: &Strings) {
    let outcome = report.end.outcome();
    let colour = theme::look(outcome).colour;
    let state = content::state(report.end, report.out_of_memory, strings);
    let word = match report.end {
        // It has the word in it.
        End::ToldToEnd { .. } => state.as_str(),
        _ => content::outcome_word(outcome, strings),
    };
    let told = if state == word { String::new() } else { format!(" · {}", escape(&state)) };
    let mut below = vec![cut(&content::value(&report.host), BAND_HOST_COLUMNS)];
    if !matches!(report.end, End::NotStarted { .. }) {
        below.insert(0, content::duration(report, Detail::Exact, strings));
    }
    below.retain(|part| !part.is_empty());
    let size = match name.width() <= SHORT_NAME_COLUMNS {
        true => "font-size:26px;line-height:34px",
        false => "font-size:18px;line-height:26px",
    };
    out.push_str(&format!(
        "<tr><td bgcolor=\"{colour}\" style=\"padding:18px 20px;background-color:{colour};\
         border-radius:8px 8px 0 0;{SANS};color:#ffffff;{BREAK}\">\
         <div style=\"font-size:16px;line-height:24px;font-weight:600;color:#ffffff\">\
         <span style=\"display:inline-block;width:24px;height:24px;border-radius:12px;background-color:#ffffff;\
         color:{colour};text-align:center;font-size:15px\">{mark}</span>&nbsp; {word}{told}</div>\
         <div style=\"{size};font-weight:700;color:#ffffff\">{name}</div>\
         <div style=\"font-size:16px;line-height:24px;color:#ffffff\">{below}</div></td></tr>\n",
        mark = content::mark(outcome),
        word = capitalised(word),
        name = flow(name),
        below = flow(&below.join(" · ")),
    ));
}

/// What went wrong, right below the band and as wide as it.
fn headline(out: &mut String, report: &Report) {
    let Some(headline) = content::headline(report) else { return };
    let look = theme::look(report.end.outcome());
    out.push_str(&format!(
        "<tr><td class=\"{class}-box\" bgcolor=\"{tint}\" style=\"padding:14px 20px;background-color:{tint};\
         {MONO};font-size:14px;line-height:21px;font-weight:700;color:{ink};{BREAK}\">{text}</td></tr>\n",
        class = look.class,
        tint = look.tint,
        ink = look.tint_ink,
        text = flow(&headline),
    ));
}

/// A word of ours at the start of a line.
fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn row(out: &mut String, padding: &str, inner: &str) {
    out.push_str(&format!("<tr><td style=\"padding:{padding};{SANS}\">{inner}</td></tr>\n"));
}

fn para(text: &str) -> String {
    format!(
        "<div class=\"nd-soft\" style=\"font-size:14px;line-height:22px;color:{SOFT};{SANS};{BREAK}\">{}</div>",
        flow(text)
    )
}

fn note_box(lines: &[String], strings: &Strings) -> String {
    let text: Vec<String> = lines.iter().map(|line| flow(line)).collect();
    format!(
        "<table {TABLE} style=\"table-layout:fixed\"><tr><td class=\"nd-note\" bgcolor=\"{NOTE}\" style=\"padding:10px 14px;\
         background-color:{NOTE};border-left:4px solid #e0a800;{SANS};font-size:14px;line-height:22px;\
         color:{NOTE_INK};{BREAK}\"><b>{}</b><br>{}</td></tr></table>",
        escape(strings.label.note),
        text.join("<br>")
    )
}

fn tag_chips(tags: &[String]) -> String {
    let mut out = String::new();
    for tag in tags {
        out.push_str(&format!(
            "<span class=\"nd-tag\" style=\"display:inline-block;background-color:{TAG};color:{TAG_INK};border-radius:10px;\
             padding:1px 10px;margin:0 6px 6px 0;{SANS};font-size:13px;line-height:20px\">{}</span> ",
            flow(tag)
        ));
    }
    out
}

fn fact_table(facts: &[Fact], outcome: Outcome) -> String {
    let look = theme::look(outcome);
    let mut out = format!("<table {TABLE} style=\"table-layout:fixed\">\n");
    for Fact { label, value, kind } in facts {
        let (class, style) = match kind {
            Kind::Result => {
                (look.class, format!("{SANS};font-size:14px;font-weight:600;color:{}", look.colour))
            }
            Kind::Code => ("nd-ink", format!("{MONO};font-size:13px;color:{INK}")),
            Kind::Plain | Kind::Link => ("nd-ink", format!("{SANS};font-size:14px;color:{INK}")),
        };
        let value = match kind {
            Kind::Link => format!(
                "<a class=\"nd-link\" href=\"{}\" style=\"color:{LINK}\">{}</a>",
                escape(value),
                flow(&cut(value, LINK_COLUMNS))
            ),
            _ => flow(value),
        };
        out.push_str(&format!(
            "<tr><td class=\"nd-soft\" width=\"90\" valign=\"top\" style=\"width:90px;padding:3px 8px 3px 0;{SANS};font-size:13px;\
             line-height:20px;color:{SOFT}\">{}</td><td class=\"{class}\" valign=\"top\" style=\"padding:3px 0;\
             line-height:20px;{style};{BREAK}\">{value}</td></tr>\n",
            escape(label).replace(' ', "&nbsp;"),
        ));
    }
    out.push_str("</table>");
    out
}

fn tail(report: &Report, strings: &Strings) -> String {
    let mut out = String::new();
    let notes = log_notes(&content::logs(report, strings));
    if !notes.is_empty() {
        row(&mut out, "16px 20px 4px 20px", &notes);
    }
    if let Some(redacted) = content::redacted(report, strings) {
        row(&mut out, "8px 20px 4px 20px", &para(&redacted));
    }
    let footer = [
        format!("{} {}", strings.label.run, content::value(&report.run_id)),
        (strings.why)(&content::value(&report.user), &content::value(&report.host)),
    ];
    out.push_str(&format!(
        "<tr><td style=\"padding:16px 20px 20px 20px;{SANS};font-size:12px;line-height:18px;{BREAK}\">\
         <div class=\"nd-soft nd-rule\" style=\"border-top:1px solid {RULE};padding-top:12px;color:{SOFT}\">{}</div></td></tr>\n\
         </table>{GHOST_CLOSE}</td></tr></table>\n</body></html>\n",
        footer.map(|line| flow(&line)).join("<br>")
    ));
    out
}

/// As many as there is room for; the text tells of all.
fn log_notes(logs: &[LogText]) -> String {
    let mut out = String::new();
    for log in logs {
        let note = log_note(log);
        if out.len() + note.len() > NOTES_BYTES {
            out.push_str(&para("…"));
            break;
        }
        out.push_str(&note);
    }
    out
}

fn log_note(log: &LogText) -> String {
    let mut out = format!(
        "<div class=\"nd-ink\" style=\"font-size:14px;line-height:22px;color:{INK};padding-bottom:6px;{SANS};{BREAK}\">\
         <b>{}</b>&nbsp; {}",
        flow(&log.name),
        flow(&log.what)
    );
    for (more, class, colour) in [(&log.place, "nd-soft", SOFT), (&log.trouble, "nd-warn", WARNING)] {
        if let Some(more) = more {
            out.push_str(&format!(
                "<br><span class=\"{class}\" style=\"font-size:13px;color:{colour}\">{}</span>",
                flow(more)
            ));
        }
    }
    out.push_str("</div>");
    out
}
