//! The subject. Pure.

use super::amount::{self, Detail};
use super::content::{self, icon, state};
use super::i18n::Lang;
use crate::report::model::Report;
use crate::report::text::{cut, one_line};
use crate::run::facts::{End, Outcome};
use unicode_width::UnicodeWidthStr;

/// The widest subject, columns.
pub const MAX_COLUMNS: usize = 120;
/// A host's name is cut here, so that there is room for the command's.
const HOST_COLUMNS: usize = 40;
/// A headline with less room than this tells nothing, and isn't told.
const LEAST_HEADLINE: usize = 16;
const NAMES: [&str; 11] =
    ["state", "icon", "name", "command", "duration", "host", "user", "code", "title", "run", "headline"];

/// One line of at most [`MAX_COLUMNS`]: `✅ train.py succeeded · 3h 12m · gpu07`,
/// `❌ train.py · exit 1 · 3h 12m · gpu07 — RuntimeError: CUDA out of memory`, or the user's template
/// filled in. A template that comes out blank gives the built-in subject.
///
/// `{name}` and `{title}` are what names the run, `{command}` is the whole command line, `{code}` the
/// status as a shell has it (128 + a signal; `?` where nobody knows it), `{headline}` what went wrong
/// (nothing where nothing did: a dash or the like before it at the end goes too); `{{` and `}}` are
/// braces.
pub fn subject(report: &Report, lang: Lang, template: Option<&str>) -> String {
    template
        .map(|template| cut(&one_line(&fill(template, report, lang)), MAX_COLUMNS))
        .filter(|subject| !subject.is_empty())
        .unwrap_or_else(|| built_in(report, lang))
}

/// The subject of the plain form: it shares neither the signs nor the order of words with the other one,
/// and no two runs have the same. Changing the subject alone is known to have helped at NetEase.
pub fn plain(report: &Report, lang: Lang) -> String {
    let state = state(report.end, report.out_of_memory, lang.strings());
    let host = cut(&one_line(&report.host), HOST_COLUMNS);
    let when = report.ended.strftime("%Y-%m-%d %H:%M");
    let rest = if host.is_empty() { format!(", {state}") } else { format!(", {host}, {state}") };
    let room = MAX_COLUMNS.saturating_sub(rest.width() + 17);
    let subject = format!("{when} {}{rest}", cut(&one_line(&report.name), room));
    // In ASCII, if what it tells is: without an ellipsis.
    with_headline(subject, ": ", report).trim_end_matches('…').to_owned()
}

/// The headline takes what the rest leaves: state, name and duration are never cut for it.
fn with_headline(subject: String, between: &str, report: &Report) -> String {
    let room = MAX_COLUMNS.saturating_sub(subject.width() + between.width());
    match content::headline(report) {
        Some(headline) if room >= LEAST_HEADLINE => format!("{subject}{between}{}", cut(&headline, room)),
        _ => subject,
    }
}

fn built_in(report: &Report, lang: Lang) -> String {
    with_headline(without_headline(report, lang), " — ", report)
}

/// The built-in subject of a text that tells the headline by itself.
pub fn without_headline(report: &Report, lang: Lang) -> String {
    let strings = lang.strings();
    let outcome = report.end.outcome();
    let state = state(report.end, report.out_of_memory, strings);
    let host = cut(&one_line(&report.host), HOST_COLUMNS);
    // A success, an unknown end and an interruption read as a sentence, a failure tells its reason beside the name.
    let mut rest = match outcome {
        Outcome::Success | Outcome::Unknown | Outcome::Interrupted => format!(" {state}"),
        Outcome::Failure => format!(" · {state}"),
    };
    if !matches!(report.end, End::NotStarted { .. }) {
        rest = format!("{rest} · {}", content::duration(report, Detail::Compact, strings));
    }
    if !host.is_empty() {
        rest = format!("{rest} · {host}");
    }
    let icon = icon(outcome);
    let room = MAX_COLUMNS.saturating_sub(icon.width() + 1 + rest.width());
    let name = cut(&one_line(&report.name), room);
    format!("{icon} {name}{rest}")
}

/// A piece of a template.
enum Piece<'a> {
    Text(&'a str),
    /// The name between the braces.
    Placeholder(&'a str),
    /// A brace without its partner.
    Stray(&'a str),
}

fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        out.push(Piece::Text(&rest[..at]));
        let brace = &rest[at..=at];
        let after = &rest[at + 1..];
        if let Some(after) = after.strip_prefix(brace) {
            out.push(Piece::Text(brace));
            rest = after;
        } else if brace == "{"
            && let Some((name, after)) = after.split_once('}')
            && !name.contains('{')
        {
            out.push(Piece::Placeholder(name));
            rest = after;
        } else {
            out.push(Piece::Stray(brace));
            rest = after;
        }
    }
    out.push(Piece::Text(rest));
    out
}

fn fill(template: &str, report: &Report, lang: Lang) -> String {
    let mut out = String::new();
    for piece in pieces(template) {
        match piece {
            Piece::Text(text) | Piece::Stray(text) => out.push_str(text),
            Piece::Placeholder(name) => match placeholder(name, report, lang) {
                Some(value) => out.push_str(&value),
                None => out.push_str(&format!("{{{name}}}")),
            },
        }
    }
    if template.trim_end().ends_with("{headline}") && content::headline(report).is_none() {
        out.truncate(out.trim_end_matches([' ', '—', '–', '-', '·', ':', '：', '|', ',', '，']).len());
    }
    out
}

fn placeholder(name: &str, report: &Report, lang: Lang) -> Option<String> {
    let strings = lang.strings();
    Some(match name {
        "state" => state(report.end, report.out_of_memory, strings),
        "icon" => icon(report.end.outcome()).to_owned(),
        "name" | "title" => report.name.clone(),
        "command" => report.command.clone().unwrap_or_else(|| report.name.clone()),
        "duration" => amount::duration(report.duration, Detail::Compact, &strings.units),
        "host" => report.host.clone(),
        "user" => report.user.clone(),
        "code" => code(report.end),
        "run" => report.run_id.clone(),
        "headline" => content::headline(report).unwrap_or_default(),
        _ => return None,
    })
}

/// The exit status as a shell would have it; `?` where it isn't known.
fn code(end: End) -> String {
    match end {
        End::Exited { code } | End::Reported { code } => code.to_string(),
        End::Signaled { signal, .. } => (128 + signal).to_string(),
        End::NotStarted { errno: nix::libc::ENOENT } => "127".to_owned(),
        End::NotStarted { .. } => "126".to_owned(),
        End::Unknown | End::ToldToEnd { .. } | End::Interrupted { .. } => "?".to_owned(),
    }
}

/// Is this a template that [`subject`] fills in as it was meant?
///
/// # Errors
/// What is wrong, and what would be right: an unknown placeholder, a brace without its partner.
/// [`subject`] leaves such things as they stand.
pub fn check_template(template: &str) -> Result<(), String> {
    for piece in pieces(template) {
        match piece {
            Piece::Placeholder(name) if !NAMES.contains(&name) => {
                return Err(format!(
                    "unknown placeholder {{{name}}}; known are {}",
                    NAMES.map(|name| format!("{{{name}}}")).join(" ")
                ));
            }
            Piece::Stray(brace) => {
                return Err(format!("a lone `{brace}`; write `{brace}{brace}` for the character itself"));
            }
            Piece::Placeholder(_) | Piece::Text(_) => {}
        }
    }
    Ok(())
}
