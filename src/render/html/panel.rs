//! The panel with the output: the last lines, and those further up that tell of the failure. Pure.

use super::flow::{Flow, escape, flow};
use super::paint::{self, PANEL, hex, plain_colour};
use super::theme::{INK, SOFT, WARNING};
use super::{BREAK, MONO, SANS, TABLE};
use crate::render::content::{self, Fit, Shown};
use crate::render::i18n::Strings;
use crate::report::model::{Excerpt, Line, Stream};

/// For what a section's frame says of its lines: their number, the legend.
const SLACK: usize = 256;
/// What we say within the panel, beside the output's own words.
const ASIDE: &str = "<div style=\"color:#9aa7b5\">";
const EMPTY_GUTTER: &str = "&nbsp;&nbsp;";

/// Which lines have their colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Paint {
    All,
    /// Only so many of the newest: there is no room for more.
    Newest(usize),
}

/// The rows of an excerpt in at most `room` bytes, as long as its frame fits in. Colours are dropped
/// before lines are, and those of the oldest lines first.
pub fn section(excerpt: &Excerpt, room: usize, strings: &Strings) -> String {
    let plain = |line: &Line| line_cost(line, &output_line(EMPTY_GUTTER, line, false));
    let bare = frame(&content::shown(excerpt, 0, strings, plain), (Paint::All, Paint::All), strings).len();
    let room = room.saturating_sub(bare + SLACK);
    let shown = content::shown(excerpt, room, strings, plain);
    let further_up = shown.failure.as_ref().map_or(&[][..], |failure| failure.fit.lines);
    let used: usize = further_up.iter().chain(shown.fit.lines).map(plain).sum();
    let mut left = room.saturating_sub(used);
    let failure = painted(further_up, &mut left);
    let last = painted(shown.fit.lines, &mut left);
    frame(&shown, (failure, last), strings)
}

/// Gives lines their colours out of what is left, the newest first.
fn painted(lines: &[Line], left: &mut usize) -> Paint {
    let extra = |line: &Line| match line.styles.is_empty() {
        true => 0,
        false => {
            let (with, without) =
                (output_line(EMPTY_GUTTER, line, true), output_line(EMPTY_GUTTER, line, false));
            with.len().saturating_sub(without.len())
        }
    };
    for (count, line) in lines.iter().rev().enumerate() {
        match left.checked_sub(extra(line)) {
            Some(rest) => *left = rest,
            None => return Paint::Newest(count),
        }
    }
    Paint::All
}

fn frame(shown: &Shown<'_>, (failure_paint, paint): (Paint, Paint), strings: &Strings) -> String {
    let mut title = format!("<b class=\"nd-ink\" style=\"color:{INK}\">{}</b>", escape(&shown.heading));
    if shown.has_stderr {
        title.push_str(&format!(
            "<br><span class=\"nd-warn\" style=\"color:{WARNING}\">{}</span>",
            escape(strings.output.legend)
        ));
    }
    let mut body = String::new();
    if let Some(failure) = &shown.failure {
        aside(&mut body, strings.output.further_up);
        lines(&mut body, &failure.fit, shown.has_stderr, failure_paint);
        if let Some(between) = &failure.between {
            aside(&mut body, between);
        }
    }
    lines(&mut body, &shown.fit, shown.has_stderr, paint);
    let panel = hex(PANEL);
    format!(
        "<tr><td class=\"nd-soft\" style=\"padding:16px 20px 8px 20px;{SANS};font-size:13px;line-height:20px;color:{SOFT}\">{title}</td></tr>\n\
         <tr><td style=\"padding:0 8px\"><table {TABLE} style=\"table-layout:fixed\"><tr>\
         <td class=\"nd-panel\" bgcolor=\"{panel}\" style=\"padding:12px 12px 12px 26px;text-indent:-14px;background-color:{panel};\
         border-radius:6px;{MONO};font-size:12px;line-height:18px;color:{};{BREAK}\">{body}</td></tr></table></td></tr>\n",
        hex(plain_colour(Stream::Out))
    )
}

fn aside(out: &mut String, text: &str) {
    out.push_str(&format!("{ASIDE}{}</div>\n", flow(text)));
}

fn lines(out: &mut String, fit: &Fit<'_>, has_stderr: bool, paint: Paint) {
    if let Some(left_out) = &fit.left_out {
        aside(out, left_out);
    }
    let first_painted = match paint {
        Paint::All => 0,
        Paint::Newest(count) => fit.lines.len() - count,
    };
    // One colour for neighbouring lines of stderr: one for each would cost a third of the room.
    let mut at = 0;
    for run in fit.lines.chunk_by(|a, b| a.stream == b.stream) {
        let gutter = match (has_stderr, run[0].stream) {
            (false, _) => "",
            (true, Stream::Err) => "!&nbsp;",
            (true, Stream::Out) => EMPTY_GUTTER,
        };
        if run[0].stream == Stream::Err {
            out.push_str(&err_open());
        }
        for line in run {
            out.push_str(&output_line(gutter, line, at >= first_painted));
            at += 1;
        }
        if run[0].stream == Stream::Err {
            out.push_str("</div>");
        }
    }
}

fn err_open() -> String {
    format!("<div style=\"color:{}\">", hex(plain_colour(Stream::Err)))
}

/// A block of its own, since it inherits the cell's hanging indent (as wide as the gutter): where a
/// client breaks a line, the rest stands clear of the gutter and isn't taken for a line.
fn output_line(gutter: &str, line: &Line, painted: bool) -> String {
    // A block with nothing in it has no height.
    let empty = if gutter.is_empty() && line.text.is_empty() { "<br>" } else { "" };
    if !painted {
        return format!("<div>{gutter}{}{empty}</div>\n", flow(&line.text));
    }
    let mut text = Flow::new();
    for (css, piece) in paint::pieces(line) {
        if css.is_empty() {
            text.push(piece);
        } else {
            text.out.push_str(&format!("<span style=\"{css}\">"));
            text.push(piece);
            text.keep_last_blank();
            text.out.push_str("</span>");
        }
    }
    format!("<div>{gutter}{}{empty}</div>\n", text.out)
}

/// The most that a line can take: its block, and a colour to itself.
fn line_cost(line: &Line, block: &str) -> usize {
    let colour = if line.stream == Stream::Err { err_open().len() + "</div>".len() } else { 0 };
    block.len() + colour
}
