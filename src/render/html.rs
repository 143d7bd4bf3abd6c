//! The HTML body, as mail clients need it. Pure.
//!
//! What shapes it: Gmail clips at about 102 KB; Outlook on Windows knows no flex, `white-space` or
//! `overflow` and takes `max-width` on tables only; older Chinese clients drop `<style>` and classes.
//! So: nested tables, inline styles, six-digit colours, `<br>` and `&nbsp;`, nothing from outside;
//! `white-space:nowrap` and `text-indent` only where their lack does no harm.

use super::amount::Detail;
use super::content::{self, LogText, Shown};
use super::i18n::{Lang, Strings};
use crate::report::model::{Line, Report, Stream};
use crate::report::text::{char_columns, cut, is_disturbing, one_line};
use crate::run::facts::{End, Outcome};

/// The largest document, bytes.
pub const MAX_BYTES: usize = 80_000;
/// Unbroken characters after which a client may break the line: behind a mark that parts words, and
/// anywhere.
const BREAK_AFTER_MARK: usize = 8;
const BREAK_AFTER: usize = 20;
/// Options of so many characters stay whole. Longer ones may not fit beside the labels on a phone,
/// and shorter ones aren't worth the markup.
const UNBROKEN_OPTION: std::ops::RangeInclusive<usize> = 6..=16;
/// For what a section's frame says of its lines: their number, the legend.
const SLACK: usize = 256;
const PREHEADER_COLUMNS: usize = 110;

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
    let head = head(report, strings);
    let tail = tail(report, strings);
    let mut room = MAX_BYTES.saturating_sub(head.len() + tail.len());
    let mut sections = Vec::new();
    // The later part of a log is stderr, where the reasons stand: what it leaves goes to stdout.
    for (i, excerpt) in report.excerpts.iter().enumerate().rev() {
        let frame = section(&content::newest(excerpt, 0, strings, |_| 1), strings).len();
        let share = (room / (i + 1)).saturating_sub(frame + SLACK);
        let html = section(&content::newest(excerpt, share, strings, line_cost), strings);
        room = room.saturating_sub(html.len());
        sections.push(html);
    }
    sections.reverse();
    format!("{head}{}{tail}", sections.concat())
}

fn colour(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "#1a7f37",
        Outcome::Failure => "#c62828",
        Outcome::Unknown => "#44546a",
        Outcome::Interrupted => "#9a5b00",
    }
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
         <title>{title}</title></head>\n\
         <body style=\"margin:0;padding:0;background-color:#eef1f4;-webkit-text-size-adjust:100%\">\n\
         <div style=\"display:none;line-height:1px;max-height:0;max-width:0;opacity:0;overflow:hidden;\
         color:#57606a;mso-hide:all\">{preheader}</div>\n\
         <table {TABLE} bgcolor=\"#eef1f4\" style=\"background-color:#eef1f4\"><tr>\
         <td align=\"center\" style=\"padding:16px 8px\">\n{GHOST_OPEN}\
         <table {TABLE} bgcolor=\"#ffffff\" style=\"max-width:600px;table-layout:fixed;\
         background-color:#ffffff;border-radius:8px\">\n",
        tag = strings.tag,
        title = escape(&name),
        preheader = escape(&preheader(report, strings)),
    );
    band(&mut out, report, &name, strings);
    let note = content::note(report);
    if !note.is_empty() {
        row(&mut out, "20px 24px 0 24px", &note_box(&note, strings));
    }
    let tags = content::tags(report);
    if !tags.is_empty() {
        row(&mut out, "16px 24px 0 24px", &tag_chips(&tags));
    }
    row(&mut out, "16px 24px 4px 24px", &fact_table(&content::facts(report, strings), outcome, strings));
    if content::is_silent(report) {
        row(&mut out, "12px 24px 4px 24px", &para(strings.output.none, "#57606a"));
    }
    out
}

/// What a list of mails shows behind the subject: how it ended, and the last that it said.
fn preheader(report: &Report, strings: &Strings) -> String {
    let mut text = content::state(report.end, report.out_of_memory, strings);
    if !matches!(report.end, End::NotStarted { .. }) {
        text = format!("{text} · {}", content::duration(report, Detail::Exact, strings));
    }
    let last = report.excerpts.iter().rev().filter_map(|e| e.lines.last()).find(|l| !l.text.is_empty());
    if let Some(line) = last {
        text = format!("{text} · {}", one_line(&line.text));
    }
    cut(&text, PREHEADER_COLUMNS)
}

/// State, name, duration, host: what is seen on a phone without scrolling.
fn band(out: &mut String, report: &Report, name: &str, strings: &Strings) {
    let outcome = report.end.outcome();
    let colour = colour(outcome);
    let state = content::state(report.end, report.out_of_memory, strings);
    let word = match report.end {
        // It has the word in it.
        End::ToldToEnd { .. } => state.as_str(),
        _ => content::outcome_word(outcome, strings),
    };
    let told = if state == word { String::new() } else { format!(" · {}", escape(&state)) };
    let mut below = vec![content::value(&report.host)];
    if !matches!(report.end, End::NotStarted { .. }) {
        below.insert(0, content::duration(report, Detail::Exact, strings));
    }
    below.retain(|part| !part.is_empty());
    out.push_str(&format!(
        "<tr><td bgcolor=\"{colour}\" style=\"padding:20px 24px;background-color:{colour};\
         border-radius:8px 8px 0 0;{SANS};color:#ffffff;{BREAK}\">\
         <div style=\"font-size:16px;line-height:24px;font-weight:600;color:#ffffff\">{mark}&nbsp; {word}{told}</div>\
         <div style=\"font-size:26px;line-height:34px;font-weight:700;color:#ffffff\">{name}</div>\
         <div style=\"font-size:16px;line-height:24px;color:#ffffff\">{below}</div></td></tr>\n",
        mark = content::mark(outcome),
        word = capitalised(word),
        name = flow(name),
        below = flow(&below.join(" · ")),
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

fn para(text: &str, colour: &str) -> String {
    format!(
        "<div style=\"font-size:14px;line-height:22px;color:{colour};{SANS};{BREAK}\">{}</div>",
        flow(text)
    )
}

fn note_box(lines: &[String], strings: &Strings) -> String {
    let text: Vec<String> = lines.iter().map(|line| flow(line)).collect();
    format!(
        "<table {TABLE} style=\"table-layout:fixed\"><tr><td bgcolor=\"#fff8e1\" style=\"padding:10px 14px;\
         background-color:#fff8e1;border-left:4px solid #e0a800;{SANS};font-size:14px;line-height:22px;\
         color:#3d3200;{BREAK}\"><b>{}</b><br>{}</td></tr></table>",
        escape(strings.label.note),
        text.join("<br>")
    )
}

fn tag_chips(tags: &[String]) -> String {
    let mut out = String::new();
    for tag in tags {
        out.push_str(&format!(
            "<span style=\"display:inline-block;background-color:#e3ebf5;color:#1f3a5f;border-radius:10px;\
             padding:1px 10px;margin:0 6px 6px 0;{SANS};font-size:13px;line-height:20px\">{}</span> ",
            flow(tag)
        ));
    }
    out
}

fn fact_table(rows: &[(&str, String)], outcome: Outcome, strings: &Strings) -> String {
    let label = &strings.label;
    let mut out = format!("<table {TABLE} style=\"table-layout:fixed\">\n");
    for (name, value) in rows {
        let style = match *name {
            n if n == label.result => {
                format!("{SANS};font-size:14px;font-weight:600;color:{}", colour(outcome))
            }
            n if n == label.command || n == label.directory => format!("{MONO};font-size:13px;color:#1f2328"),
            _ => format!("{SANS};font-size:14px;color:#1f2328"),
        };
        out.push_str(&format!(
            "<tr><td width=\"96\" valign=\"top\" style=\"width:96px;padding:3px 8px 3px 0;{SANS};font-size:13px;\
             line-height:20px;color:#656d76\">{}</td><td valign=\"top\" style=\"padding:3px 0;\
             line-height:20px;{style};{BREAK}\">{}</td></tr>\n",
            escape(name).replace(' ', "&nbsp;"),
            flow(value)
        ));
    }
    out.push_str("</table>");
    out
}

fn section(shown: &Shown<'_>, strings: &Strings) -> String {
    let mut title = format!("<b style=\"color:#1f2328\">{}</b>", escape(&shown.heading));
    if shown.has_stderr {
        title
            .push_str(&format!("<br><span style=\"color:#b3261e\">{}</span>", escape(strings.output.legend)));
    }
    let mut body = String::new();
    if let Some(left_out) = &shown.left_out {
        body.push_str(&format!("<div style=\"color:#9aa7b5\">{}</div>\n", escape(left_out)));
    }
    // One colour for neighbouring lines of stderr: one for each would cost a third of the room.
    for run in shown.lines.chunk_by(|a, b| a.stream == b.stream) {
        let gutter = match (shown.has_stderr, run[0].stream) {
            (false, _) => "",
            (true, Stream::Err) => "!&nbsp;",
            (true, Stream::Out) => "&nbsp;&nbsp;",
        };
        let (open, close) = match run[0].stream {
            Stream::Out => ("", ""),
            Stream::Err => (ERR_OPEN, ERR_CLOSE),
        };
        body.push_str(open);
        for line in run {
            body.push_str(&output_line(gutter, &line.text));
        }
        body.push_str(close);
    }
    format!(
        "<tr><td style=\"padding:16px 24px 8px 24px;{SANS};font-size:13px;line-height:20px;color:#57606a\">{title}</td></tr>\n\
         <tr><td style=\"padding:0 12px\"><table {TABLE} style=\"table-layout:fixed\"><tr>\
         <td bgcolor=\"#1e2530\" style=\"padding:12px 12px 12px 26px;text-indent:-14px;background-color:#1e2530;\
         border-radius:6px;{MONO};font-size:12px;line-height:18px;color:#e6ebf1;{BREAK}\">{body}</td></tr></table></td></tr>\n"
    )
}

const ERR_OPEN: &str = "<div style=\"color:#ff9f95\">";
const ERR_CLOSE: &str = "</div>";

/// A block of its own, since it inherits the cell's hanging indent (as wide as the gutter): where a
/// client breaks a line, the rest stands clear of the gutter and isn't taken for a line.
fn output_line(gutter: &str, text: &str) -> String {
    // A block with nothing in it has no height.
    let empty = if gutter.is_empty() && text.is_empty() { "<br>" } else { "" };
    format!("<div>{gutter}{}{empty}</div>\n", flow(text))
}

/// The most that a line can take: its own text, gutter, block, and a colour to itself.
fn line_cost(line: &Line) -> usize {
    let colour = if line.stream == Stream::Err { ERR_OPEN.len() + ERR_CLOSE.len() } else { 0 };
    output_line("&nbsp;&nbsp;", &line.text).len() + colour
}

fn tail(report: &Report, strings: &Strings) -> String {
    let mut out = String::new();
    let logs = content::logs(report, strings);
    if !logs.is_empty() {
        let notes: Vec<String> = logs.iter().map(log_note).collect();
        row(&mut out, "16px 24px 4px 24px", &notes.concat());
    }
    let footer = [
        format!("{} {}", strings.label.run, content::value(&report.run_id)),
        (strings.why)(&content::value(&report.user), &content::value(&report.host)),
    ];
    out.push_str(&format!(
        "<tr><td style=\"padding:16px 24px 20px 24px;{SANS};font-size:12px;line-height:18px;color:#656d76;{BREAK}\">\
         <div style=\"border-top:1px solid #d8dee4;padding-top:12px;color:#656d76\">{}</div></td></tr>\n\
         </table>{GHOST_CLOSE}</td></tr></table>\n</body></html>\n",
        footer.map(|line| flow(&line)).join("<br>")
    ));
    out
}

fn log_note(log: &LogText) -> String {
    let mut out = format!(
        "<div style=\"font-size:14px;line-height:22px;color:#1f2328;padding-bottom:6px;{SANS};{BREAK}\">\
         <b>{}</b>&nbsp; {}",
        flow(&log.name),
        flow(&log.what)
    );
    for (more, colour) in [(&log.place, "#57606a"), (&log.trouble, "#b3261e")] {
        if let Some(more) = more {
            out.push_str(&format!("<br><span style=\"font-size:13px;color:{colour}\">{}</span>", flow(more)));
        }
    }
    out.push_str("</div>");
    out
}

/// Text as HTML text; fit for an attribute in double quotes, too.
fn escape(text: &str) -> String {
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
fn flow(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    let mut after_blank = true;
    for (i, word) in text.split(' ').enumerate() {
        if i > 0 {
            out.push_str(if after_blank { "&nbsp;" } else { " " });
            after_blank = true;
        }
        if is_short_option(word) {
            // Clients break behind any hyphen: `--fail-` and `at` would be two other words.
            out.push_str(&format!("<span style=\"white-space:nowrap\">{}</span>", escape(word)));
        } else {
            flow_word(&mut out, word);
        }
        after_blank &= word.is_empty();
    }
    out
}

fn is_short_option(word: &str) -> bool {
    word.starts_with('-')
        && word.trim_start_matches('-').contains('-')
        && UNBROKEN_OPTION.contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_graphic())
}

fn flow_word(out: &mut String, word: &str) {
    let mut unbroken = 0;
    let mut before = ' ';
    for c in word.chars() {
        match char_columns(c) {
            // Belongs to the character before it.
            0 => {}
            // Clients break between wide characters by themselves.
            2 => unbroken = 0,
            _ if unbroken >= BREAK_AFTER || (unbroken >= BREAK_AFTER_MARK && parts(before)) => {
                out.push_str("<wbr>");
                unbroken = 1;
            }
            _ => unbroken += 1,
        }
        push_escaped(out, c);
        before = c;
    }
}

fn parts(c: char) -> bool {
    "/_=&?,;:".contains(c)
}
