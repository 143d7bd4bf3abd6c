//! What a runtime says when a program dies: Rust, Go, Java, Node, .NET, C and C++, sanitizers, and others. Pure.

use super::Found;
use super::Kind::{First, Memory, Message, Raised, Wrapper};
use super::signs::Place::{Anywhere, Start, Whole};
use super::signs::{Sign, from, line, read, sentence};
use super::source::Source;

pub(super) const SIGNS: &[Sign] = &[
    // Rust
    read("panicked at ", Anywhere, rust_panic),
    line("memory allocation of ", Start, Memory, 80),
    line("fatal runtime error: ", Start, Raised, 78),
    // Go
    read("panic: ", Start, go_panic),
    read("fatal error: ", Start, go_panic),
    line("exit status ", Start, Wrapper, 22),
    // Java, Node, .NET
    read("  at ", Anywhere, stack),
    read("Exception in thread \"", Start, stack_head),
    line("Error: Could not find or load main class", Start, Raised, 80),
    line("Error: Unable to access jarfile", Start, Raised, 80),
    line("# There is insufficient memory for the Java Runtime", Start, Memory, 85),
    read("# A fatal error has been detected by the Java Runtime", Start, jvm_crash),
    line("FATAL ERROR: ", Anywhere, Memory, 84),
    read("UnhandledPromiseRejection: ", Anywhere, rejection),
    line("Unhandled exception. ", Start, Raised, 78),
    line("Error [ERR_", Start, Raised, 78),
    // C, C++
    read("terminate called ", Anywhere, terminate),
    read("terminating due to uncaught exception", Anywhere, terminate),
    read("terminating with uncaught exception", Anywhere, terminate),
    read("Assertion `", Anywhere, assertion),
    read("Assertion failed: ", Anywhere, assertion),
    line("double free or corruption", Anywhere, Raised, 80),
    line("free(): ", Anywhere, Raised, 80),
    line("munmap_chunk(): invalid", Anywhere, Raised, 80),
    line("malloc(): ", Anywhere, Raised, 80),
    line("corrupted size vs. prev_size", Anywhere, Raised, 80),
    line("*** stack smashing detected ***", Anywhere, Raised, 80),
    line("*** buffer overflow detected ***", Anywhere, Raised, 80),
    line("error while loading shared libraries: ", Anywhere, Raised, 80),
    line("symbol lookup error: ", Anywhere, Raised, 80),
    // The sanitizers' and valgrind's.
    read("Sanitizer: ", Anywhere, sanitizer),
    line(": runtime error: ", Anywhere, First, 78),
    // CUDA and its libraries, from programs that aren't Python's.
    line("CUDA out of memory", Anywhere, Memory, 76),
    line("CUDA error", Anywhere, Raised, 72),
    line("cudaError", Anywhere, Raised, 66),
    line("CUBLAS_STATUS_", Anywhere, Raised, 66),
    line("CUDNN_STATUS_", Anywhere, Raised, 66),
    line("RESOURCE_EXHAUSTED: ", Anywhere, Memory, 72),
    line("NCCL WARN ", Anywhere, Message, 45),
    from("Watchdog caught collective operation timeout", Raised, 82),
    // Fortran, R, Julia, MATLAB, Octave
    line("Fortran runtime error: ", Start, Raised, 80),
    line("forrtl: severe ", Start, Raised, 80),
    line("ERROR STOP", Start, Raised, 70),
    line("Program received signal ", Start, Raised, 68),
    read("Error in ", Start, r_error),
    line("Execution halted", Whole, Wrapper, 30),
    read("ERROR: LoadError: ", Start, julia),
    read("Error using ", Start, matlab),
    line("Unrecognized function or variable ", Start, Raised, 76),
    line("Undefined function or variable ", Start, Raised, 76),
    line("MATLAB is exiting because of fatal error", Anywhere, Raised, 70),
    // Perl, PHP, Ruby, Lua, Elixir
    line("Can't locate ", Start, Raised, 74),
    line("PHP Fatal error: ", Start, Raised, 80),
    line("PHP Parse error: ", Start, Raised, 80),
    line("lua: ", Start, Raised, 66),
    line("** (", Start, Raised, 70),
];

type Read = (Option<Found>, usize);

/// Both forms: `panicked at 'boom', src/main.rs:2:5`, and since 1.73 with the message on the next line.
fn rust_panic(source: &Source<'_>, row: usize) -> Read {
    let text = source.text(row);
    let Some((before, rest)) = text.split_once("panicked at ") else { return (None, row + 1) };
    let thread = before.split('\'').nth(1).unwrap_or("main");
    let (message, place, last) = if rest.starts_with('\'') {
        let mut joined = rest.to_owned();
        let mut last = row;
        while !joined.contains("', ") && last < row + 6 && last + 1 < source.rows.len() {
            last += 1;
            joined = format!("{joined} {}", source.text(last).trim());
        }
        let (message, place) = joined.rsplit_once("', ").unwrap_or((&joined, ""));
        (message.trim_start_matches('\'').to_owned(), place.to_owned(), last)
    } else if let Some(place) = rest.trim_end().strip_suffix(':') {
        let mut last = row + 1;
        let mut message = source.text(last).trim().to_owned();
        while ["left: ", "right: "].iter().any(|side| source.text(last + 1).trim().starts_with(side)) {
            last += 1;
            message = format!("{message} {}", source.text(last).trim());
        }
        (message, place.to_owned(), last)
    } else {
        return (None, row + 1);
    };
    let place = if place.is_empty() { String::new() } else { format!(" ({place})") };
    // A test's name, or that of a thread somebody named.
    let whose = if thread.contains("::") { format!("{thread} ") } else { String::new() };
    let text = format!("{whose}panicked: {message}{place}");
    let last = last.min(source.rows.len() - 1);
    (Some(source.found((First, 80), text, row, row..last + 1)), last + 1)
}

fn go_panic(source: &Source<'_>, row: usize) -> Read {
    const NEAR: usize = 12;
    let text = source.text(row);
    let goroutine = (row + 1..row + NEAR).find(|row| source.text(*row).starts_with("goroutine "));
    let Some(goroutine) = goroutine else {
        let kind = (!text.starts_with(' ')).then_some((First, 62));
        let found =
            kind.map(|(kind, weight)| source.found((kind, weight), sentence(source, row), row, row..row + 1));
        return (found, row + 1);
    };
    // Frames come in pairs, `main.f(…)` and an indented place; goroutines with a blank line between.
    let is_trace = |row: &usize| {
        let text = source.text(*row);
        text.is_empty()
            || text.starts_with([' ', '\t'])
            || text.starts_with("goroutine ")
            || text.starts_with("created by ")
            || text.ends_with(')')
    };
    let end = (goroutine..source.rows.len()).take_while(is_trace).last().unwrap_or(goroutine);
    let mut found = source.found((First, 80), text.trim().to_owned(), row, row..(goroutine + 4).min(end + 1));
    found.whole.end = source.rows[end].at + 1;
    (Some(found), end + 1)
}

/// `Exception in thread "main" …`, with or without frames under it.
fn stack_head(source: &Source<'_>, row: usize) -> Read {
    if (row + 1..row + 12).any(|row| is_at(source.text(row))) {
        return (None, row + 1);
    }
    let text = without_head(source.text(row).trim()).to_owned();
    (Some(source.found((Raised, 78), text, row, row..row + 1)), row + 1)
}

/// A line `    at place`: the exception stands before the first of them, and its root cause among them.
fn stack(source: &Source<'_>, row: usize) -> Read {
    const MAX_ABOVE: usize = 12;
    const MAX_ROWS: usize = 2000;
    if !is_at(source.text(row)) {
        return (None, row + 1);
    }
    let goes_on = |row: &usize| {
        let text = source.text(*row).trim();
        is_at(source.text(*row))
            || ["Caused by: ", "... ", "Suppressed: ", "[cause]: ", "---> "]
                .iter()
                .any(|w| text.starts_with(w))
            || source.text(*row).starts_with([' ', '\t'])
    };
    let end = (row..source.rows.len().min(row + MAX_ROWS)).take_while(goes_on).last().unwrap_or(row) + 1;
    let above = (row.saturating_sub(MAX_ABOVE)..row).rev();
    let Some(head) = above.take_while(|row| !is_at(source.text(*row))).find(|r| is_thrown(source.text(*r)))
    else {
        return (None, end);
    };
    let is_cause =
        |row: &usize| ["Caused by: ", "[cause]: "].iter().any(|w| source.text(*row).trim().starts_with(w));
    let key = (row..end).rev().find(is_cause).unwrap_or(head);
    let text = without_head(source.text(key).trim());
    let text = text.strip_suffix(" {").unwrap_or(text).to_owned();
    let shown = key.min(head)..end.min(key + 4).max(key + 1);
    let shown = if key - head >= 8 { key..shown.end } else { shown };
    let mut found = source.found((Raised, 78), text, key, shown);
    found.whole = source.rows[head].at..source.rows[end - 1].at + 1;
    (Some(found), end)
}

fn is_at(text: &str) -> bool {
    let trimmed = text.trim_start();
    trimmed.len() + 2 <= text.len()
        && trimmed.starts_with("at ")
        && trimmed.contains(['(', ':', '<', '.', '/'])
}

fn without_head(text: &str) -> &str {
    let text = match text.strip_prefix("Exception in thread \"") {
        Some(rest) => rest.split_once("\" ").map_or(text, |(_, thrown)| thrown),
        None => text,
    };
    ["Caused by: ", "[cause]: ", "Uncaught ", "Unhandled exception. "]
        .iter()
        .find_map(|head| text.strip_prefix(head))
        .unwrap_or(text)
}

/// `java.io.IOException: text`, `Error [ERR_X]: text`, `Uncaught TypeError: text`.
fn is_thrown(text: &str) -> bool {
    let text = text.trim();
    let thrown = without_head(text);
    if thrown.len() != text.len() {
        return true;
    }
    let name = thrown.split([':', ' ', '[', '(']).next().unwrap_or_default();
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "._$".contains(c));
    is_name && ["Error", "Exception", "Throwable", "Fault"].iter().any(|end| name.ends_with(end))
}

fn jvm_crash(source: &Source<'_>, row: usize) -> Read {
    let signal = (row + 1..row + 6).find(|row| source.text(*row).contains(" at pc="));
    let Some(signal) = signal else { return (None, row + 1) };
    let what = source.text(signal).trim_start_matches(['#', ' ']).split(" at pc=").next().unwrap_or_default();
    let text = format!("fatal error in the Java Runtime: {what}");
    (Some(source.found((Raised, 82), text, signal, row..signal + 1)), signal + 1)
}

/// `terminate called after throwing an instance of 'std::bad_alloc'`, and `what():` under it.
fn terminate(source: &Source<'_>, row: usize) -> Read {
    let text = source.text(row);
    let kind = match (text.split_once("instance of '"), text.split_once("exception of type ")) {
        (Some((_, rest)), _) => rest.split('\'').next(),
        (None, Some((_, rest))) => Some(rest.trim()),
        (None, None) => None,
    };
    let Some(kind) = kind else {
        return (Some(source.found((Raised, 72), text.trim().to_owned(), row, row..row + 1)), row + 1);
    };
    let what = (row + 1..row + 4).find(|row| source.text(*row).trim_start().starts_with("what():"));
    let (text, last) = match what {
        Some(at) => match source.text(at).trim_start()["what():".len()..].trim() {
            what if what == kind => (what.to_owned(), at),
            what => (format!("{kind}: {what}"), at),
        },
        None => (kind.to_owned(), row),
    };
    let of = if kind == "std::bad_alloc" { Memory } else { Raised };
    (Some(source.found((of, 80), text, row, row..last + 1)), last + 1)
}

/// assert(3), also on a GPU, where each thread writes one.
fn assertion(source: &Source<'_>, row: usize) -> Read {
    let text = source.text(row).trim();
    if !text.contains(" failed") && !text.contains("Assertion failed: ") {
        return (None, row + 1);
    }
    if text.contains("thread: [") {
        let file = text.split(": ").next().unwrap_or_default();
        let file = file.rsplit('/').next().unwrap_or_default();
        let what = text.find("Assertion").map_or("", |at| &text[at..]);
        return (Some(source.found((First, 60), format!("{file}: {what}"), row, row..row + 1)), row + 1);
    }
    (Some(source.found((First, 80), text.to_owned(), row, row..row + 1)), row + 1)
}

/// The report's `SUMMARY:` says it best; without one, its head.
fn sanitizer(source: &Source<'_>, row: usize) -> Read {
    const MAX_REPORT: usize = 100;
    let text = source.text(row).trim();
    if let Some(summary) = text.strip_prefix("SUMMARY: ") {
        return (Some(source.found((First, 84), summary.to_owned(), row, row..row + 1)), row + 1);
    }
    if !text.contains("ERROR: ") && !text.contains("WARNING: ") {
        return (None, row + 1);
    }
    let end = source.rows.len().min(row + MAX_REPORT);
    let summary = (row + 1..end).find(|row| source.text(*row).starts_with("SUMMARY: "));
    let what = summary.and_then(|row| source.text(row).strip_prefix("SUMMARY: ")).unwrap_or(text);
    let mut found = source.found((First, 84), what.to_owned(), row, row..(row + 6).min(end));
    let last = summary.unwrap_or(row);
    found.whole.end = source.rows[last].at + 1;
    (Some(found), last + 1)
}

fn julia(source: &Source<'_>, row: usize) -> Read {
    let text = sentence(source, row).replace("ERROR: ", "").replace("LoadError: ", "");
    let end = (row + 1..row + 60).find(|row| source.text(*row).starts_with("in expression starting at "));
    let mut found = source.found((Raised, 80), text, row, row..row + 1);
    if let Some(end) = end.filter(|end| *end < source.rows.len()) {
        found.whole.end = source.rows[end].at + 1;
    }
    (Some(found), end.map_or(row + 1, |end| end + 1))
}

/// `UnhandledPromiseRejection: … with the reason "x".] {`: many words, and the reason last.
fn rejection(source: &Source<'_>, row: usize) -> Read {
    let text = source.text(row).trim();
    let reason = text.split_once("with the reason ").map_or(text, |(_, reason)| reason);
    let reason = reason.trim_start_matches('[').trim_end_matches(['{', ' ', ']', '.']);
    if reason.starts_with("UnhandledPromiseRejection") {
        return (None, row + 1);
    }
    (
        Some(source.found((Raised, 80), format!("UnhandledPromiseRejection: {reason}"), row, row..row + 1)),
        row + 1,
    )
}

/// R's `Error in f(x) : text`; MATLAB's `Error in f (line 3)` is a frame.
fn r_error(source: &Source<'_>, row: usize) -> Read {
    let text = source.text(row).trim();
    let weight = if text.contains("(line ") && text.ends_with(')') { 30 } else { 74 };
    (Some(source.found((Raised, weight), sentence(source, row), row, row..row + 1)), row + 1)
}

fn matlab(source: &Source<'_>, row: usize) -> Read {
    let (head, said) = (source.text(row).trim(), source.text(row + 1).trim());
    let text = if said.is_empty() { head.to_owned() } else { format!("{head}: {said}") };
    (Some(source.found((Raised, 76), text, row, row..row + 2)), row + 1)
}
