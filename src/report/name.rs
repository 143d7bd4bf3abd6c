//! A command as a person would write it, and as they would call it. Pure.

use std::fmt::Write;

use super::programs::{self, Program, Role};
use super::text::{cut, is_disturbing, one_line};

/// The widest short name, columns.
pub const SHORT_COLUMNS: usize = 40;

/// The command line, quoted so that pasting it into a shell runs the same (POSIX.1-2024, 2.2).
///
/// What can't be shown, and bytes that weren't UTF-8 (`\xNN` in [`crate::run::facts::Origin`]),
/// stand in `$'…'`. An argument that holds the four characters `\xNN` with NN of 80 or more can't be
/// told from such a byte.
pub fn display_command(argv: &[String]) -> String {
    let mut words: Vec<String> = argv.iter().map(|word| quote(word)).collect();
    // Unquoted, a first word with `=` would be an assignment.
    if let (Some(first), Some(raw)) = (words.first_mut(), argv.first())
        && raw.contains('=')
        && first == raw
    {
        *first = format!("'{raw}'");
    }
    words.join(" ")
}

fn quote(word: &str) -> String {
    if word.chars().any(is_disturbing) || has_raw_byte(word) {
        return dollar_quote(word);
    }
    let plain = |c: char| if c.is_ascii() { is_plain(c) } else { c.is_alphanumeric() };
    // A leading `~` or (in zsh) `=` is expanded.
    if !word.is_empty() && !word.starts_with('=') && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c)
}

/// Does a byte that wasn't UTF-8 stand here? Such a byte is never below 80.
fn raw_byte(text: &str) -> Option<&str> {
    let digits = text.strip_prefix(r"\x")?.get(..2)?;
    u8::from_str_radix(digits, 16).is_ok_and(|byte| byte >= 0x80).then_some(digits)
}

fn has_raw_byte(word: &str) -> bool {
    word.match_indices('\\').any(|(at, _)| raw_byte(&word[at..]).is_some())
}

fn dollar_quote(word: &str) -> String {
    let mut out = String::from("$'");
    for (at, c) in word.char_indices() {
        match c {
            '\n' => out.push_str(r"\n"),
            '\t' => out.push_str(r"\t"),
            '\r' => out.push_str(r"\r"),
            '\'' => out.push_str(r"\'"),
            '\\' if raw_byte(&word[at..]).is_some() => out.push('\\'),
            '\\' => out.push_str(r"\\"),
            // Octal: of `\xNN` the standard doesn't say how many digits it takes.
            c if is_disturbing(c) => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    write!(out, r"\{byte:03o}").expect("writing to a String can't fail");
                }
            }
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// What one would call the job, at most [`SHORT_COLUMNS`] columns: `python -u train.py --lr 1` is
/// `train.py`, `nice make -j8 all` is `make all`, `sh -c 'make && ./x'` is its script.
pub fn short_name(argv: &[String]) -> String {
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let name = one_line(&call(&words, 0));
    if name.is_empty() { "command".to_owned() } else { cut(&name, SHORT_COLUMNS) }
}

/// Wrappers nest (`nohup nice uv run python -m …`), but not deeper than this.
const DEEPEST: usize = 12;

fn call(words: &[&str], depth: usize) -> String {
    let Some((&first, rest)) = words.split_first() else { return String::new() };
    let base = basename(first);
    if depth > DEEPEST {
        return base.to_owned();
    }
    let Some(program) = programs::find(base) else { return with_subcommand(base, rest, &[]) };
    // A wrapper without a command (`env` alone) names itself.
    let inner = |behind: &[&str]| Some(call(behind, depth + 1)).filter(|name| !name.is_empty());
    let found = match program.role {
        Role::Wrapper { operands } => inner(behind_options(program, rest, operands)),
        Role::Runner { subcommand } => {
            behind(rest, subcommand).and_then(|rest| inner(behind_options(program, rest, 0)))
        }
        Role::Launcher { subcommand: None } => launched(rest),
        Role::Launcher { subcommand: Some(word) } => behind(rest, word).and_then(launched),
        Role::Interpreter { module, code } => interpreted(program, base, rest, (module, code, depth)),
        Role::Shell => shell_script(program, rest),
        Role::Tool => None,
    };
    found.unwrap_or_else(|| match program.role {
        Role::Interpreter { .. } | Role::Shell => base.to_owned(),
        _ => with_subcommand(base, rest, program.valued),
    })
}

fn behind<'a, 'b>(words: &'a [&'b str], subcommand: &str) -> Option<&'a [&'b str]> {
    let at = words.iter().position(|word| !word.starts_with('-'))?;
    (words[at] == subcommand).then(|| &words[at + 1..])
}

/// The words behind the options, `NAME=value` assignments and `operands` further words.
fn behind_options<'a, 'b>(program: &Program, words: &'a [&'b str], mut operands: usize) -> &'a [&'b str] {
    let mut at = 0;
    while let Some(&word) = words.get(at) {
        if program.valued.contains(&word) {
            at += 2;
        } else if word == "--" {
            at += 1;
            break;
        } else if word.starts_with('-') || is_assignment(word) {
            at += 1;
        } else if operands > 0 {
            operands -= 1;
            at += 1;
        } else {
            break;
        }
    }
    words.get(at..).unwrap_or_default()
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
    })
}

/// A launcher's options are many and change from version to version; its script ends in `.py` or
/// is a module.
fn launched(words: &[&str]) -> Option<String> {
    let is_script = |word: &&str| word.ends_with(".py") && !word.starts_with('-');
    if let Some(script) = words.iter().find(|word| is_script(word)) {
        return Some(basename(script).to_owned());
    }
    let flag = words.iter().position(|word| matches!(*word, "-m" | "--module"))?;
    words.get(flag + 1).map(|module| (*module).to_owned())
}

type Options = (Option<&'static str>, Option<&'static str>, usize);

fn interpreted(program: &Program, base: &str, words: &[&str], options: Options) -> Option<String> {
    let (module, code, depth) = options;
    let mut at = 0;
    while let Some(&word) = words.get(at) {
        if Some(word) == module {
            let name = *words.get(at + 1)?;
            // `python -m torch.distributed.run train.py`
            let launches = programs::find(name).is_some_and(|p| matches!(p.role, Role::Launcher { .. }));
            return Some(if launches {
                call(&words[at + 1..], depth + 1)
            } else {
                basename(name).to_owned()
            });
        }
        if Some(word) == code {
            return Some(format!("{base} {word}"));
        }
        if !word.starts_with('-') {
            return Some(basename(word).to_owned());
        }
        at += if program.valued.contains(&word) { 2 } else { 1 };
    }
    None
}

/// `sh -c 'make && ./x'`: the script says what it does. Otherwise the script's file.
fn shell_script(program: &Program, words: &[&str]) -> Option<String> {
    let mut at = 0;
    let mut is_code = false;
    while let Some(&word) = words.get(at) {
        if program.valued.contains(&word) {
            at += 2;
            continue;
        }
        if !word.starts_with(['-', '+']) {
            return Some(if is_code { first_line(word) } else { basename(word).to_owned() });
        }
        // Short options are written together: `-lc`, `-euxc`.
        is_code |= word.starts_with('-') && !word.starts_with("--") && word.contains('c');
        at += 1;
    }
    None
}

/// The first line that does something: settings and comments come before it.
fn first_line(script: &str) -> String {
    let mut lines = script.lines().map(str::trim).filter(|line| !line.is_empty());
    let telling = |line: &&str| !line.starts_with('#') && !line.starts_with("set -");
    lines.clone().find(telling).or_else(|| lines.next()).unwrap_or_default().to_owned()
}

/// `cargo test`, `make all`, `npm run build`; `sleep 10` is `sleep`.
fn with_subcommand(base: &str, words: &[&str], valued: &[&str]) -> String {
    if base.contains('.') {
        return base.to_owned();
    }
    let mut at = 0;
    while let Some(&word) = words.get(at) {
        if valued.contains(&word) {
            // `-j 8`, but also a bare `-j`.
            at += if words.get(at + 1).is_some_and(|next| !is_subcommand(next)) || !is_optional(word) {
                2
            } else {
                1
            };
        } else if word == "--" {
            break;
        } else if word.starts_with(['-', '+']) || is_assignment(word) {
            at += 1;
        } else {
            let Some(next) = words.get(at).filter(|word| is_subcommand(word)) else { break };
            return match words.get(at + 1) {
                Some(what) if *next == "run" && is_subcommand(what) => format!("{base} run {what}"),
                _ => format!("{base} {next}"),
            };
        }
    }
    base.to_owned()
}

/// make's `-j` and `-l` stand alone as well.
fn is_optional(option: &str) -> bool {
    matches!(option, "-j" | "-l")
}

fn is_subcommand(word: &str) -> bool {
    word.len() <= 24
        && word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_:".contains(c))
}

fn basename(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(path)
}

#[cfg(test)]
#[path = "name_tests.rs"]
mod tests;
