//! Python's tracebacks: plain, chained, of groups, boxed by rich, spread by loguru, of notebooks; also without
//! their head (a syntax error, or the log was cut there). Pure.

use std::ops::Range;

use super::source::Source;
use super::{Found, Kind};

const HEAD: &str = "Traceback (most recent call last)";
/// More lines of one traceback are not looked at.
const MAX_ROWS: usize = 3000;
/// Lines of others that may stand within one: a progress bar, another thread.
const MAX_STRANGERS: usize = 8;
/// Lines of a message that are taken for its own: indented ones, and others, which may be anybody's.
const MAX_MESSAGE: usize = 24;
const MAX_AT_MARGIN: usize = 4;

/// Exceptions that only say that another one was raised elsewhere.
const WRAPPERS: &[&str] = &[
    "ChildFailedError",
    "CalledProcessError",
    "RemoteTraceback",
    "_RemoteTraceback",
    "ProcessRaisedException",
    "ProcessExitedException",
    "UnfilteredStackTrace",
    "SimplifiedTraceback",
    "RayTaskError",
    "TrainingFailedError",
    "HydraException",
    "PapermillExecutionError",
    "CellExecutionError",
];

/// What the others of a group see when one of them is gone.
const KNOCK_ON: &[&str] = &[
    "BrokenPipeError",
    "ConnectionResetError",
    "EOFError",
    "Connection reset by peer",
    "Connection closed by peer",
    "Broken pipe",
    "remote process exited",
    "Connection was likely closed",
    "DistNetworkError",
    "socketProgress",
];

/// Reads the traceback whose head, or first frame, is row `from`. Also says where to read on.
pub(super) fn traceback(source: &Source<'_>, from: usize) -> (Option<Found>, usize) {
    let text = source.text(from);
    if text.trim_start().starts_with("+ Exception Group ") {
        return group(source, from);
    }
    let Some(column) = text.find(HEAD) else { return plain(source, from, from, "") };
    let before = &text[..column];
    if before.contains('─') || before.trim_start().starts_with("+-") {
        return boxed(source, from, before);
    }
    if let Some(name) = notebook_name(before) {
        return notebook(source, from, name);
    }
    // What stands in front of each line is taken off; of a logger's message it stands only here.
    let before = before.strip_suffix("Original ").unwrap_or(before);
    let tag =
        if !before.trim().is_empty() && source.text(from + 1).starts_with(before) { before } else { "" };
    plain(source, from, from + 1, tag)
}

fn plain(source: &Source<'_>, from: usize, begin: usize, tag: &str) -> (Option<Found>, usize) {
    let without_tag = |row: usize| source.text(row).strip_prefix(tag).unwrap_or(source.text(row));
    let head = without_tag(from);
    // A head that a logger wrote stands behind its words: then the exception stands at the margin.
    let depth = if head.trim_start().starts_with(HEAD) { indent(head) } else { 0 };
    let depth = if begin == from { indent(head).saturating_sub(2) } else { depth };
    let (mut frame, mut strangers) = (from, 0);
    let end = source.rows.len().min(from + MAX_ROWS);
    for row in begin..end {
        let text = without_tag(row);
        let trimmed = text.trim();
        if trimmed.is_empty() || trimmed.starts_with("[Previous line repeated") {
            continue;
        }
        if text.contains(HEAD) {
            return (None, row);
        }
        if is_frame(trimmed) {
            frame = row;
        } else if indent(text) > depth {
            continue;
        } else if is_exception(trimmed) && (begin > from || is_named_so(trimmed)) {
            let (message, last) = message(source, row, tag);
            return (Some(raised(source, from, frame..row, (message, last))), row + 1);
        } else {
            strangers += 1;
            if strangers > MAX_STRANGERS {
                return (None, row);
            }
        }
    }
    (None, end)
}

fn raised(
    source: &Source<'_>,
    from: usize,
    frame_to_key: Range<usize>,
    (text, last): (String, usize),
) -> Found {
    let (kind, weight) = rank(source, from, &text);
    // torchrun's report names the signal in its last lines.
    let key = if text.contains("ChildFailedError: Signal ") { last } else { frame_to_key.end };
    let text = match text.split(':').next() {
        // Python says of these only in the frame where they are.
        Some("SyntaxError" | "IndentationError" | "TabError") => {
            let place = source.text(frame_to_key.start).trim().trim_start_matches("File ");
            let file = place.split("\", line ").next().and_then(|path| path.rsplit(['/', '"']).next());
            let line = place.split(", ").nth(1).unwrap_or_default();
            format!("{text} ({}, {line})", file.unwrap_or_default())
        }
        _ => text,
    };
    let mut found = source.found((kind, weight), text, key, frame_to_key.start..last + 1);
    found.whole.start = source.rows[from].at;
    found
}

/// How much an exception tells.
fn rank(source: &Source<'_>, from: usize, text: &str) -> (Kind, u8) {
    let name = text.split(':').next().unwrap_or_default();
    let name = name.rsplit('.').next().unwrap_or_default();
    let before = source.text(from.saturating_sub(1));
    if name == "KeyboardInterrupt" {
        return (Kind::Interrupt, 60);
    }
    if before.starts_with("Exception ignored in") || before.contains("--- Logging error ---") {
        return (Kind::Message, 25);
    }
    if text.contains("exited unexpectedly") && text.contains("DataLoader worker") {
        return (Kind::Raised, 70);
    }
    if name == "ChildFailedError" && text.contains("Signal ") {
        return (Kind::Raised, 62);
    }
    if WRAPPERS.contains(&name) || text.contains(": Caught ") && text.contains(" in ") {
        return (Kind::Wrapper, 45);
    }
    if KNOCK_ON.iter().any(|sign| text.contains(sign)) {
        return (Kind::Raised, 66);
    }
    if before.starts_with("Task exception was never retrieved") {
        return (Kind::Raised, 66);
    }
    (Kind::Raised, 80)
}

/// The exception at `row` with what of its message stands in further lines and tells more, and the last line
/// that belongs to it.
fn message(source: &Source<'_>, row: usize, tag: &str) -> (String, usize) {
    let line = |row: usize| {
        let text = source.text(row);
        text.strip_prefix(tag).unwrap_or(text).trim()
    };
    let mut text = line(row).to_owned();
    let mut last = row;
    let mut at_margin = 0;
    while last + 1 < source.rows.len() && last - row < MAX_MESSAGE && belongs(line(last + 1)) {
        at_margin += usize::from(!source.text(last + 1).starts_with(' '));
        if at_margin > MAX_AT_MARGIN {
            break;
        }
        last += 1;
    }
    let rest = || (row + 1..source.rows.len().min(row + 40)).map(line);
    let signal = || (row + 1..row + 40).find(|row| line(*row).starts_with("traceback : Signal "));
    if let Some(signal) = text.ends_with("ChildFailedError:").then(signal).flatten() {
        last = signal;
        // What torchrun says of a process that a signal killed, in a report of many lines.
        text = format!("{text} {}", line(signal).trim_start_matches("traceback : "));
    } else if text.ends_with("Graph execution error:") {
        // TensorFlow: what follows is where the graph was built; the reason stands behind that.
        let node = rest().position(|text| text.starts_with("Node: ")).map(|at| at + 1);
        let reason = node.or_else(|| rest().position(|text| text.starts_with("OOM when ")));
        text = reason.map_or_else(|| text.clone(), |at| format!("{text} {}", line(row + at + 1)));
    } else if let Some(short) = nccl(&text) {
        let last = rest().position(|text| text.starts_with("Last error:"));
        text = last.map_or_else(|| short.clone(), |at| format!("{short}: {}", line(row + at + 2)));
    } else if text.ends_with(':') || text.contains("validation error") {
        for more in rest().take_while(|text| is_message(text)).filter(|text| !text.is_empty()).take(2) {
            text = format!("{text} {more}");
            if !text.ends_with(':') && !text.contains("validation error") {
                break;
            }
        }
    }
    (text, last)
}

/// `NCCL error in: FILE:LINE, what it is (run with …), NCCL version N`, without what tells nothing.
fn nccl(text: &str) -> Option<String> {
    let (name, rest) = text.split_once("NCCL error in: ")?;
    let (_, what) = rest.split_once(", ")?;
    let what = what.split([',', '(']).next().unwrap_or(what).trim();
    Some(format!("{name}NCCL error: {what}"))
}

fn is_message(line: &str) -> bool {
    !line.contains(HEAD) && !is_frame(line) && !is_link(line)
}

fn belongs(line: &str) -> bool {
    !line.is_empty() && is_message(line)
}

/// What stands between the tracebacks of a chain.
fn is_link(line: &str) -> bool {
    line.starts_with("During handling of the above exception")
        || line.starts_with("The above exception was the direct cause")
}

pub(super) fn is_frame(trimmed: &str) -> bool {
    let trimmed = trimmed.strip_prefix("> ").unwrap_or(trimmed);
    trimmed.starts_with("File \"") && trimmed.contains("\", line ")
}

/// `ValueError`, `a.b.Error: text`, `KeyError: 'x'`.
fn is_exception(trimmed: &str) -> bool {
    let name = trimmed.split(':').next().unwrap_or_default();
    let after = &trimmed[name.len()..];
    if !(after.is_empty() || after == ":" || after.starts_with(": ")) || name.len() > 160 {
        return false;
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_name = |c: char| c.is_alphanumeric() || "_.<>".contains(c);
    name.chars().all(is_name) && last.starts_with(|c: char| c.is_uppercase() || c == '_')
        || ["Error", "Exception"].iter().any(|end| last.ends_with(end)) && name.chars().all(is_name)
        // socket.timeout, queue.Empty, zlib.error
        || name.contains('.') && ["error", "timeout", "herror", "gaierror"].contains(&last)
}

/// The names of all exceptions of Python's own end so, and most others.
fn is_named_so(trimmed: &str) -> bool {
    let name = trimmed.split(':').next().unwrap_or_default();
    ["Error", "Exception", "Interrupt", "Exit", "Warning", "Group", "Iteration"]
        .iter()
        .any(|end| name.ends_with(end))
}

fn indent(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// rich's: the exception stands under the box.
fn boxed(source: &Source<'_>, from: usize, before: &str) -> (Option<Found>, usize) {
    let end = source.rows.len().min(from + MAX_ROWS);
    let mut frame = from;
    let tag = before.split(['╭', '+', '─']).next().unwrap_or_default();
    let tag = if tag.trim().is_empty() { "" } else { tag };
    for row in from + 1..end {
        let text = source.text(row).trim_start();
        if text.contains(HEAD) {
            return (None, row);
        }
        if text.contains('❱') {
            frame = row;
        }
        if text.starts_with('╰') || text.starts_with("+--") {
            let under = (row + 1..end.min(row + 4)).find(|row| is_exception(source.text(*row).trim()));
            let Some(key) = under else { return (None, row + 1) };
            let (text, last) = message(source, key, tag);
            return (Some(raised(source, from, frame..key, (text, last))), key + 1);
        }
    }
    (None, end)
}

/// `ValueError                 Traceback (most recent call last)`, as IPython heads it.
fn notebook_name(before: &str) -> Option<&str> {
    let name = before.trim();
    (before.ends_with("  ") && before.starts_with(name) && is_exception(name) && !name.is_empty())
        .then_some(name)
}

fn notebook(source: &Source<'_>, from: usize, name: &str) -> (Option<Found>, usize) {
    let end = source.rows.len().min(from + MAX_ROWS);
    let mut frame = from;
    for row in from + 1..end {
        let text = source.text(row);
        if text.contains(HEAD) {
            return (None, row);
        }
        if text.starts_with("---->") {
            frame = row;
        }
        if text.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(':')) {
            let (text, last) = message(source, row, "");
            return (Some(raised(source, from, frame..row, (text, last))), row + 1);
        }
    }
    (None, end)
}

/// An exception group: its own line, and the first exception in it that is none itself.
fn group(source: &Source<'_>, from: usize) -> (Option<Found>, usize) {
    let end = source.rows.len().min(from + MAX_ROWS);
    let (mut own, mut leaf, mut row) = (None, None, from + 1);
    while row < end {
        let text = source.text(row).trim_start();
        if !text.starts_with(['|', '+']) {
            break;
        }
        let inner = text.trim_start_matches('|');
        let inner = inner.strip_prefix(' ').unwrap_or(inner);
        if !inner.starts_with(' ') && is_exception(inner.trim()) {
            let is_group = inner.contains(" sub-exception");
            if own.is_none() {
                own = Some((row, inner.trim()));
            } else if leaf.is_none() && !is_group {
                leaf = Some((row, inner.trim()));
            }
        }
        row += 1;
    }
    let Some((own_row, own)) = own else { return (None, row) };
    let (key, text) = match leaf {
        Some((leaf_row, leaf)) => (leaf_row, format!("{own}: {leaf}")),
        None => (own_row, own.to_owned()),
    };
    let mut found = source.found((Kind::Raised, 80), text, key, own_row.min(key)..key + 1);
    found.whole = source.rows[from].at..source.rows[row - 1].at + 1;
    (Some(found), row)
}
