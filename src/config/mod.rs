//! The settings: `notify.toml`, the environment and the flags, merged into [`Settings`] with where
//! each value came from. The types here are what the other stages take; each takes its own part.
//!
//! A broken file never stops a run (decision: the job comes first): every finding is a
//! [`Diagnostic`], the rest of the file is used.

mod account;
pub mod file;
pub mod keys;
pub mod load;
pub mod merge;
pub mod path_json;
pub mod provider;
pub mod read_secret;
mod recover;
pub mod secret;
pub mod values;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use merge::{OfRun, Provenance};
pub use provider::{Auth, Endpoint, Server, Tls};
pub use secret::{Secret, SecretSource};

use crate::privacy::builtin::Kind;
use crate::privacy::pattern::Pattern;

/// Everything, resolved. Handed out in parts: no stage takes the whole.
#[derive(Debug, Clone)]
pub struct Settings {
    pub lang: Language,
    /// `account = "NAME"`: the account to begin with; else the first in the file.
    pub account: Option<String>,
    /// In the order of the file, which is the order of failing over.
    pub accounts: Vec<Account>,
    pub mail: MailSettings,
    pub notify: NotifySettings,
    pub log: LogSettings,
    pub privacy: PrivacySettings,
}

impl Settings {
    /// Names of the environment variables that carry a code: the command doesn't get them.
    pub fn code_variables(&self) -> impl Iterator<Item = &str> {
        self.accounts.iter().filter_map(|account| match &account.secret {
            Some(SecretSource::Env(name)) => Some(name.as_str()),
            _ => None,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// By the locale (LC_ALL, LC_MESSAGES, LANG).
    #[default]
    Auto,
    En,
    Zh,
}

/// `a@b.c` or `名字 <a@b.c>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    pub name: Option<String>,
    /// The bare address, checked when parsed.
    pub address: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailSettings {
    /// Empty: the account's own address.
    pub to: Vec<Mailbox>,
    pub cc: Vec<Mailbox>,
    pub bcc: Vec<Mailbox>,
    pub from_name: Option<String>,
    /// The subject's template; None: the built-in one.
    pub subject: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifySettings {
    pub on: On,
    pub min_duration: Duration,
    pub wait: Wait,
    /// A mail that wasn't sent is tried again in the background for so long after its run.
    pub keep_trying: Duration,
}

/// Which ends are worth a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum On {
    #[default]
    Always,
    Failure,
    Success,
}

/// How long the prompt may wait for the first try of the mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Wait {
    #[default]
    Auto,
    For(Duration),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// Lines at the end of the output that the mail's body shows.
    pub tail_lines: u32,
    pub attach: Attach,
    /// Bytes of log that may be attached, before encoding; None: what the provider takes.
    pub max_attachment: Option<u64>,
    /// A longer log loses its middle on the disk, bytes.
    pub max_size: u64,
    /// The log pauses while the file system has less free than this, bytes; None: 1 GiB or 5 %.
    pub reserve: Option<u64>,
    /// Finished runs are kept this long …
    pub keep: Duration,
    /// … and no more than this many bytes of them together.
    pub keep_size: u64,
}

/// What a mail must not carry.
#[derive(Debug, Clone, Default)]
pub struct PrivacySettings {
    /// What matches is taken out; those of file, environment and flags together.
    pub redact: Vec<Pattern>,
    /// Of the built-in set, what stays.
    pub keep: Vec<Kind>,
    pub command: CommandLine,
    pub wishes: Wishes,
}

/// May a mail tell the command line?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CommandLine {
    #[default]
    Shown,
    Hidden,
}

/// Is it known what the user wants kept out of mails?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wishes {
    #[default]
    Known,
    /// Something of it can't be read. A mail that is made now, and goes out when the settings are
    /// mended, must not carry what should have been taken out of it.
    Unreadable,
}

/// What of the log goes with the mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Attach {
    /// All of it, as far as the provider takes it.
    #[default]
    Full,
    /// The excerpt in the body only … as an attachment too.
    Tail,
    None,
}

/// A login at a provider.
#[derive(Debug, Clone)]
pub struct Account {
    /// NAME of `[accounts.NAME]`.
    pub name: String,
    pub address: String,
    /// None: the file has none or an unusable one (a diagnostic says so).
    pub secret: Option<SecretSource>,
    /// What AUTH says; the address unless `username` is set.
    pub username: String,
    pub server: Server,
    /// How long one step of the dialogue may take: a command and its answer, the TLS handshake. What
    /// may take longer (the message itself) is reckoned from it.
    pub timeout: Duration,
}

/// An account's `timeout` where it says none.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// What flags or environment variables asked for; recorded with the run, and laid over
/// `notify.toml` again when the mail is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overrides {
    /// The notify.toml that `--config` or `NOTIFY_DONE_CONFIG` named, absolute; None: the usual one.
    #[serde(with = "path_json::option")]
    pub config: Option<PathBuf>,
    pub to: Option<Vec<Mailbox>>,
    pub cc: Option<Vec<Mailbox>>,
    pub bcc: Option<Vec<Mailbox>>,
    pub from_name: Option<String>,
    pub subject: Option<String>,
    pub account: Option<String>,
    pub lang: Option<Language>,
    pub on: Option<On>,
    pub min_duration: Option<Duration>,
    pub wait: Option<Wait>,
    pub keep_trying: Option<Duration>,
    pub tail_lines: Option<u32>,
    pub attach: Option<Attach>,
    /// Patterns as they were written; these come to those of a lower layer. One that can't be used is
    /// found when they are merged, by whoever makes the mail.
    pub redact: Option<Vec<String>>,
    pub hide_command: Option<bool>,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Default,
    File {
        path: PathBuf,
        line: usize,
    },
    /// The variable's name.
    Env(String),
    /// The flag, with its dashes.
    Flag(&'static str),
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The rest is used and mail goes out (an unknown key).
    Warning,
    /// A value can't be used: the command runs, the mail is held until it is mended.
    Unusable,
}

/// Something about `notify.toml` or an environment variable that the user should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// `/home/u/.config/notify-done/notify.toml:12` or the variable's name.
    pub place: String,
    /// The key with its tables: `accounts.qq.port`.
    pub key: Option<String>,
    /// What is wrong with it.
    pub message: String,
    /// The fix.
    pub hint: Option<String>,
}

impl fmt::Display for Diagnostic {
    /// Where, which key, what is wrong; without the fix.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// The outcome of loading.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub settings: Settings,
    /// The file that was read; None: there is none.
    pub path: Option<PathBuf>,
    /// Where the file is or would be looked for: shown to a user who has none.
    pub expected_path: Option<PathBuf>,
    /// What the file set; the environment's and the flags' layers can be laid over it.
    pub provenance: Provenance,
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// Is there a finding that keeps mail from going out?
    pub fn unusable(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity == Severity::Unusable)
    }
}
