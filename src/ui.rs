//! The only place that prints. Results go to stdout, words about them to stderr with the prefix
//! `notify-done: `. A closed or full terminal is never an error, let alone a panic.

use std::io::{IsTerminal, Write};

use crate::config::Diagnostic;
use crate::error::Error;
use crate::sys::best_effort;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Loudness {
    /// `-q`: what is wrong, nothing else.
    Quiet,
    #[default]
    Normal,
    /// `-v`: also what went well, where nobody looks.
    Verbose,
}

#[derive(Debug, Clone, Copy)]
pub struct Ui {
    loudness: Loudness,
    /// Standard error is a terminal: someone looks.
    pub watched: bool,
}

impl Ui {
    pub fn new(loudness: Loudness) -> Self {
        Self { loudness, watched: std::io::stderr().is_terminal() }
    }

    /// Something went well: for who looks, or asked for it.
    pub fn note(&self, text: &str) {
        if self.loudness == Loudness::Verbose || (self.watched && self.loudness == Loudness::Normal) {
            self.words(text);
        }
    }

    /// What was asked for went well: said unless `-q`.
    pub fn done(&self, text: &str) {
        if self.loudness > Loudness::Quiet {
            self.words(text);
        }
    }

    /// Something is wrong or wants doing: always said.
    pub fn trouble(&self, text: &str) {
        self.words(text);
    }

    /// A block of text as it is, unless `-q`.
    pub fn block(&self, text: &str) {
        if self.loudness > Loudness::Quiet {
            err(text.trim_end());
        }
    }

    /// An error with its cause and what to do.
    pub fn error(&self, error: &Error) {
        self.words(&error.to_string());
        for hint in &error.hints {
            for line in hint.lines() {
                err(format!("  {line}").trim_end());
            }
        }
    }

    /// A finding about `notify.toml` or a variable.
    pub fn diagnostic(&self, diagnostic: &Diagnostic) {
        self.words(&diagnostic.to_string());
        if let Some(hint) = &diagnostic.hint {
            err(&format!("  {hint}"));
        }
    }

    fn words(&self, text: &str) {
        let mut lines = text.lines();
        err(&format!("notify-done: {}", lines.next().unwrap_or_default()));
        for line in lines {
            err(format!("  {line}").trim_end());
        }
    }
}

/// A result, to stdout.
///
/// # Errors
/// What writing said; a reader that has gone away is none.
pub fn result(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Bytes as they are, to stdout.
///
/// # Errors
/// What writing said; `BrokenPipe` when the reader has gone away.
pub fn raw(bytes: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush())
}

/// One write per line, so that lines of several processes don't mix within a line.
fn err(line: &str) {
    // Where it fails there is nowhere left to say it.
    best_effort(std::io::stderr().lock().write_all(format!("{line}\n").as_bytes()));
}
