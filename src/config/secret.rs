//! The authorization code: where it comes from, and a type that never shows it.

use std::path::PathBuf;

use secrecy::SecretString;

/// Where an account's authorization code is read from.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// Written into notify.toml.
    Literal(Secret),
    /// The name of an environment variable.
    Env(String),
    File(PathBuf),
    /// Run by `sh -c`; the first line of its output.
    Command(String),
}

/// A code; `Debug` shows `[REDACTED]`, the memory is zeroed when dropped.
#[derive(Debug, Clone)]
pub struct Secret(pub SecretString);
