//! Compilers, what drives them, and package managers. Pure.

use super::Found;
use super::Kind::{First, Message, Raised, Wrapper};
use super::signs::Place::{Anywhere, Start, Whole};
use super::signs::{Sign, line, read, sentence};
use super::source::Source;

pub(super) const SIGNS: &[Sign] = &[
    // gcc, clang, javac, tsc, go, swiftc, nvcc
    read(": error: ", Anywhere, compiler),
    read(": fatal error: ", Anywhere, compiler),
    read(": error TS", Anywhere, compiler),
    read(" error C", Anywhere, compiler),
    read(": error CS", Anywhere, compiler),
    read(": 错误：", Anywhere, compiler),
    read(": 致命错误：", Anywhere, compiler),
    read(": undefined: ", Anywhere, go_build),
    read(".go:", Anywhere, go_build),
    line(": undefined reference to ", Anywhere, First, 76),
    line("对“", Anywhere, First, 76),
    line("multiple definition of ", Anywhere, First, 76),
    line("cannot find -l", Anywhere, First, 76),
    line("collect2: ", Start, Wrapper, 42),
    line("ptxas fatal", Start, First, 76),
    line("nvcc fatal", Start, First, 76),
    // Rust
    read("error[E", Start, rustc),
    read("error: ", Start, rustc),
    line("error: could not compile ", Start, Wrapper, 45),
    line("error: aborting due to ", Start, Wrapper, 45),
    // make, ninja, cmake, scons, bazel, meson
    read("*** ", Anywhere, make),
    line("FAILED: ", Start, Wrapper, 48),
    line("ninja: build stopped: ", Start, Wrapper, 40),
    line("ninja: error: ", Start, First, 70),
    read("CMake Error", Start, cmake),
    line("-- Configuring incomplete, errors occurred!", Start, Wrapper, 40),
    line("scons: *** ", Start, Wrapper, 40),
    line("meson.build:", Start, First, 50),
    // Java's
    read("[ERROR] ", Start, maven),
    read("* What went wrong:", Start, gradle),
    // JavaScript's
    read("npm ERR! ", Start, npm),
    read("npm error ", Start, npm),
    line("ELIFECYCLE", Anywhere, Wrapper, 35),
    line("ERR_PNPM_", Start, Message, 68),
    line("ERROR in ", Start, First, 68),
    line("error Command failed with exit code ", Start, Wrapper, 35),
    line("Module not found: ", Start, First, 70),
    line("[vite]", Start, Message, 30),
    // Python's
    line("ERROR: Could not find a version that satisfies ", Start, First, 72),
    line("ERROR: No matching distribution found for ", Start, Raised, 70),
    line("ERROR: Could not install packages due to ", Start, Raised, 74),
    line("ERROR: Failed building wheel for ", Start, Raised, 60),
    line("error: subprocess-exited-with-error", Start, Wrapper, 40),
    line("error: metadata-generation-failed", Start, Wrapper, 40),
    line("error: command '", Start, Wrapper, 46),
    line("× ", Start, Message, 50),
    line("ResolutionImpossible", Anywhere, Raised, 70),
    line("PackagesNotFoundError: ", Start, Raised, 76),
    line("LaTeX Error: ", Anywhere, First, 74),
    line("! Undefined control sequence", Start, First, 74),
    line("E: Unable to locate package", Start, First, 70),
    line("E: ", Start, Message, 48),
    line("terraform: ", Whole, Message, 20),
];

type Read = (Option<Found>, usize);

/// Lines that a compiler writes under its message: the place, the code, a caret.
fn detail(source: &Source<'_>, row: usize, most: usize) -> usize {
    let last = source.rows.len().min(row + 1 + most);
    let is_detail = |row: &usize| {
        let text = source.text(*row);
        text.starts_with([' ', '\t', '|', '>']) || text.as_bytes().first().is_some_and(u8::is_ascii_digit)
    };
    (row + 1..last).take_while(is_detail).last().unwrap_or(row) + 1
}

/// `main.c:3:5: error: …`, `a.ts(3,5): error TS2322: …`, `A.java:3: error: …`; also `ld: error: …`.
fn compiler(source: &Source<'_>, row: usize) -> Read {
    let text = source.text(row).trim();
    let signs = [": error", ": fatal error: ", " error C", ": 错误：", ": 致命错误："];
    let Some(at) = signs.iter().filter_map(|sign| text.find(sign)).min() else { return (None, row + 1) };
    let place = &text[..at];
    let has_line = place.rsplit([':', '(', ',']).next().is_some_and(|number| {
        let digits = number.trim_end_matches(')');
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    // No place in a file: a program's own message, as argparse's `train.py: error: …`.
    let (kind, weight) = match (has_line, place.contains(' ')) {
        _ if ["srun", "sbatch", "slurmstepd"].contains(&place) => return (None, row + 1),
        _ if text.ends_with("(use -v to see invocation)") => (Wrapper, 42),
        (true, _) => (First, 80),
        (false, false) => (First, 62),
        (false, true) => (Message, 52),
    };
    let end = detail(source, row, 6);
    (Some(source.found((kind, weight), sentence(source, row), row, row..end)), end)
}

/// `./main.go:5:2: undefined: x`, `vet: ./a.go:3:1: …`; not a log's `main.go:5: starting`.
fn go_build(source: &Source<'_>, row: usize) -> Read {
    let text = source.text(row).trim();
    let place = text.strip_prefix("vet: ").unwrap_or(text);
    let Some((file, rest)) = place.split_once(".go:") else { return (None, row + 1) };
    let mut parts = rest.splitn(3, ':');
    let mut is_number =
        || parts.next().is_some_and(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
    let above = source.text(row.wrapping_sub(1));
    let after_package = above.starts_with("# ") || above.contains(".go:");
    if file.contains([' ', '\t']) || !(is_number() && is_number()) || !after_package {
        return (None, row + 1);
    }
    (Some(source.found((First, 78), text.to_owned(), row, row..row + 1)), row + 1)
}

/// rustc's and cargo's: the place stands on the next line (`  --> src/main.rs:2:5`).
fn rustc(source: &Source<'_>, row: usize) -> Read {
    let text = source.text(row).trim();
    let wrapped =
        ["could not compile ", "aborting due to ", "test failed, ", "subprocess-exited", "command '"];
    let said = text.strip_prefix("error: ").unwrap_or_default();
    if wrapped.iter().any(|begin| said.starts_with(begin)) || text.starts_with("error: metadata-gen") {
        let weight = if said.starts_with("command '") { 46 } else { 42 };
        return (Some(source.found((Wrapper, weight), sentence(source, row), row, row..row + 1)), row + 1);
    }
    let end = detail(source, row, 11);
    let place = source.text(row + 1).trim().strip_prefix("--> ");
    let (text, weight) = match place {
        Some(place) => (format!("{text} ({place})"), 80),
        None => (sentence(source, row), if text.starts_with("error[") { 80 } else { 56 }),
    };
    let kind = if weight == 80 { First } else { Message };
    (Some(source.found((kind, weight), text, row, row..end)), end)
}

/// `make[1]: *** [Makefile:12: all] Error 2` comes of what stands before; `*** No rule to make target` doesn't.
fn make(source: &Source<'_>, row: usize) -> Read {
    let text = source.text(row).trim();
    let Some((before, rest)) = text.split_once("*** ") else { return (None, row + 1) };
    let place = before.trim_end().strip_suffix(':').unwrap_or_default();
    let name = place.split(['[', ':']).next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    let is_place =
        place.rsplit(':').next().is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    if !["make", "gmake", "mingw32-make"].contains(&name) && !is_place {
        return (None, row + 1);
    }
    let (kind, weight) = match rest {
        // The innermost of several makes is the nearest to the cause.
        rest if rest.starts_with('[') => (Wrapper, 40 + u8::from(place.contains('['))),
        rest if rest.starts_with("Waiting for ") || rest.starts_with("正在等待") => (Wrapper, 20),
        _ => (First, 72),
    };
    (Some(source.found((kind, weight), text.to_owned(), row, row..row + 1)), row + 1)
}

fn cmake(source: &Source<'_>, row: usize) -> Read {
    let end = detail(source, row, 11);
    let head = source.text(row).trim();
    let said = (row + 1..end).map(|row| source.text(row).trim()).skip_while(|text| text.is_empty());
    let said: Vec<&str> = said.take_while(|text| !text.is_empty()).collect();
    let text = if head.ends_with(':') { format!("{head} {}", said.join(" ")) } else { head.to_owned() };
    (Some(source.found((First, 78), text, row, row..end)), end)
}

fn maven(source: &Source<'_>, row: usize) -> Read {
    let text = source.text(row).trim();
    let said = text["[ERROR]".len()..].trim();
    let noise =
        ["-> [Help", "[Help", "To see the full", "Re-run Maven", "For more information", "COMPILATION ERROR"];
    if said.is_empty() || noise.iter().any(|begin| said.starts_with(begin)) {
        return (None, row + 1);
    }
    let has_place = said.starts_with('/') && said.contains(":[");
    let (kind, weight) = match said {
        _ if has_place => (First, 80),
        said if said.starts_with("Failed to execute goal") => (Wrapper, 48),
        _ => (Message, 50),
    };
    (Some(source.found((kind, weight), said.to_owned(), row, row..row + 1)), row + 1)
}

fn gradle(source: &Source<'_>, row: usize) -> Read {
    let end = (row + 1..source.rows.len().min(row + 10)).take_while(|r| !source.text(*r).is_empty()).last();
    let Some(end) = end else { return (None, row + 1) };
    let text: Vec<&str> = (row + 1..=end.min(row + 2)).map(|row| source.text(row).trim()).collect();
    (Some(source.found((Wrapper, 60), text.join(" "), row + 1, row..end + 1)), end + 1)
}

/// npm writes a block of lines: codes and paths, then a sentence, then where its log is.
fn npm(source: &Source<'_>, row: usize) -> Read {
    const MAX_BLOCK: usize = 60;
    let said = |row: usize| {
        let text = source.text(row);
        text.strip_prefix("npm ERR!").or_else(|| text.strip_prefix("npm error")).map(str::trim)
    };
    let last = source.rows.len().min(row + MAX_BLOCK);
    let end = (row..last).take_while(|row| said(*row).is_some()).last().unwrap_or(row) + 1;
    let is_told = |said: &str| {
        let word = said.split(' ').next().unwrap_or_default();
        let labels =
            ["code", "errno", "path", "syscall", "dest", "command", "workspace", "cwd", "signal", "location"];
        !said.is_empty() && !labels.contains(&word)
    };
    let code = (row..end).filter_map(said).find_map(|said| said.strip_prefix("code "));
    let told = (row..end).find(|row| said(*row).is_some_and(is_told)).unwrap_or(row);
    let text = said(told).unwrap_or_default();
    let is_wrapper = code
        .is_some_and(|code| code == "ELIFECYCLE" || code.bytes().all(|byte| byte.is_ascii_digit()))
        || text.starts_with("Lifecycle script")
        || text.starts_with("Test failed.");
    // Newer ones repeat the code at the beginning of each line.
    let after_code = code.and_then(|code| text.strip_prefix(&code.to_lowercase())).map(str::trim);
    let text = match (code, after_code) {
        (Some(code), Some(said)) if !is_wrapper => format!("npm error: {code}: {said}"),
        (Some(code), None) if !is_wrapper && !text.contains(code) => format!("npm error: {code}: {text}"),
        _ => format!("npm error: {text}"),
    };
    let (kind, weight) = if is_wrapper { (Wrapper, 38) } else { (First, 70) };
    (Some(source.found((kind, weight), text, told, row..end)), end)
}
