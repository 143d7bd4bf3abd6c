//! What went wrong, why, and what to do about it.
//!
//! One type for every stage: a [`Kind`] that code decides on, a sentence that names the thing, the
//! cause underneath, and hints that name the fix. It is printed in one place, `ui.rs`.

use std::fmt;

/// What code may decide on; the words are for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The command line can't be understood.
    Usage,
    /// A value in `notify.toml`, the environment or a flag can't be used.
    Config,
    /// The authorization code can't be had.
    Secret,
    /// A file or folder of ours can't be read or written.
    Storage,
    /// The processes of a run couldn't be set up; no command ran.
    Setup,
    /// What was asked for isn't there (a run, an entry, an account).
    NotFound,
    /// A mail couldn't be made or delivered.
    Delivery,
}

/// An error: kind, what happened, why, and what to do.
#[derive(Debug)]
pub struct Error {
    pub kind: Kind,
    /// One sentence without a full stop, naming the thing: `can't read /etc/notify.toml`.
    pub what: String,
    /// The cause, in the words of whoever said it (the system, a library, a server).
    pub cause: Option<String>,
    /// What the user can do, most useful first.
    pub hints: Vec<String>,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), cause: None, hints: Vec::new() }
    }

    /// Adds the cause underneath.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// Adds what the user can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(cause) = &self.cause {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
