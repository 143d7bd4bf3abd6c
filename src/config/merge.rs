//! Defaults < file < environment < flags, and where each value came from. Pure: the environment is
//! looked up through a function.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::PossibleValue;

use super::account;
use super::file::place;
use super::keys::FileConfig;
use super::values::{self, BadValue};
use super::{
    Attach, CommandLine, Diagnostic, Language, LogSettings, MailSettings, Mailbox, NotifySettings, On,
    Overrides, PrivacySettings, Settings, Severity, Source, Wait, Wishes,
};
use crate::cli::Pty;

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            tail_lines: 50,
            attach: Attach::Full,
            max_attachment: None,
            max_size: 8 << 30,
            reserve: None,
            keep: Duration::from_secs(30 * 86_400),
            keep_size: 8 << 30,
        }
    }
}

/// One key that the environment and a flag can set.
struct Overridable {
    key: &'static str,
    variable: &'static str,
    flag: &'static str,
    is_set: fn(&Overrides) -> bool,
}

const OVERRIDABLE: &[Overridable] = &[
    Overridable { key: "mail.to", variable: "NOTIFY_DONE_TO", flag: "--to", is_set: |o| o.to.is_some() },
    Overridable { key: "mail.cc", variable: "NOTIFY_DONE_CC", flag: "--cc", is_set: |o| o.cc.is_some() },
    Overridable { key: "mail.bcc", variable: "NOTIFY_DONE_BCC", flag: "--bcc", is_set: |o| o.bcc.is_some() },
    Overridable {
        key: "mail.from_name",
        variable: "NOTIFY_DONE_FROM_NAME",
        flag: "--from-name",
        is_set: |o| o.from_name.is_some(),
    },
    Overridable {
        key: "mail.subject",
        variable: "NOTIFY_DONE_SUBJECT",
        flag: "--subject",
        is_set: |o| o.subject.is_some(),
    },
    Overridable {
        key: "account",
        variable: "NOTIFY_DONE_ACCOUNT",
        flag: "--account",
        is_set: |o| o.account.is_some(),
    },
    Overridable { key: "lang", variable: "NOTIFY_DONE_LANG", flag: "--lang", is_set: |o| o.lang.is_some() },
    Overridable { key: "notify.on", variable: "NOTIFY_DONE_ON", flag: "--on", is_set: |o| o.on.is_some() },
    Overridable {
        key: "notify.min_duration",
        variable: "NOTIFY_DONE_MIN_DURATION",
        flag: "--min-duration",
        is_set: |o| o.min_duration.is_some(),
    },
    Overridable {
        key: "notify.wait",
        variable: "NOTIFY_DONE_WAIT",
        flag: "--wait",
        is_set: |o| o.wait.is_some(),
    },
    Overridable {
        key: "notify.keep_trying",
        variable: "NOTIFY_DONE_KEEP_TRYING",
        flag: "--keep-trying",
        is_set: |o| o.keep_trying.is_some(),
    },
    Overridable {
        key: "log.tail_lines",
        variable: "NOTIFY_DONE_TAIL",
        flag: "--tail",
        is_set: |o| o.tail_lines.is_some(),
    },
    Overridable {
        key: "log.attach",
        variable: "NOTIFY_DONE_LOG",
        flag: "--log",
        is_set: |o| o.attach.is_some(),
    },
    Overridable {
        key: "privacy.redact",
        variable: "NOTIFY_DONE_REDACT",
        flag: "--redact",
        is_set: |o| o.redact.is_some(),
    },
    Overridable {
        key: "privacy.hide_command",
        variable: "NOTIFY_DONE_HIDE_COMMAND",
        flag: "--hide-command",
        is_set: |o| o.hide_command.is_some(),
    },
];

struct Environment<'a> {
    lookup: &'a dyn Fn(&str) -> Option<OsString>,
    diagnostics: Vec<Diagnostic>,
}

impl Environment<'_> {
    /// The variable of a key, as text; an empty one counts as unset.
    fn text(&mut self, key: &str) -> Option<(&'static str, String)> {
        let known = OVERRIDABLE.iter().find(|known| known.key == key)?;
        Some((known.variable, self.raw(known.variable, Some(key))?))
    }

    fn raw(&mut self, variable: &str, key: Option<&str>) -> Option<String> {
        match (self.lookup)(variable)?.into_string() {
            Ok(text) if text.is_empty() => None,
            Ok(text) => Some(text),
            Err(_) => {
                let fix = format!("set {variable} again in a UTF-8 terminal");
                self.warn(variable, key, BadValue::new("isn't valid UTF-8; it is ignored", fix));
                None
            }
        }
    }

    /// A variable that is no setting: of this run alone.
    fn of_run<T>(&mut self, variable: &str, read: fn(&str) -> Result<T, BadValue>) -> Option<T> {
        let text = self.raw(variable, None)?;
        match read(&text) {
            Ok(value) => Some(value),
            Err(bad) => {
                self.warn(variable, None, BadValue::new(format!("{}; it is ignored", bad.what), bad.fix));
                None
            }
        }
    }

    fn value<T>(&mut self, key: &str, read: fn(&str) -> Result<T, BadValue>) -> Option<T> {
        let (variable, text) = self.text(key)?;
        match read(&text) {
            Ok(value) => Some(value),
            Err(bad) => {
                let bad = BadValue::new(format!("{}; it is ignored", bad.what), bad.fix);
                self.warn(variable, Some(key), bad);
                None
            }
        }
    }

    /// A comma-separated list; an address that can't be used costs that address only.
    fn mailboxes(&mut self, key: &str) -> Option<Vec<Mailbox>> {
        let (variable, text) = self.text(key)?;
        let mut usable = Vec::new();
        for piece in values::split_list(&text) {
            match piece.parse() {
                Ok(mailbox) => usable.push(mailbox),
                Err(BadValue { what, fix }) => {
                    self.warn(variable, Some(key), BadValue::new(format!("{what}; it is left out"), fix));
                }
            }
        }
        Some(usable).filter(|list| !list.is_empty())
    }

    /// Patterns, one to a line: a comma may stand in one. Whether they can be used is seen when they are
    /// merged; what isn't text is passed on as a pattern that can't, for a mail without them would tell
    /// what they are to hide.
    fn patterns(&mut self, key: &str) -> Option<Vec<String>> {
        let known = OVERRIDABLE.iter().find(|known| known.key == key)?;
        let Ok(text) = (self.lookup)(known.variable)?.into_string() else { return Some(vec![String::new()]) };
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        Some(lines.map(str::to_owned).collect()).filter(|list: &Vec<String>| !list.is_empty())
    }

    /// A switch that hides something: what is neither yes nor no hides it.
    fn hides(&mut self, key: &str) -> Option<bool> {
        let known = OVERRIDABLE.iter().find(|known| known.key == key)?;
        let text = (self.lookup)(known.variable).filter(|text| !text.is_empty())?;
        match values::yes_or_no(&text.to_string_lossy()) {
            Ok(hides) => Some(hides),
            Err(BadValue { what, fix }) => {
                self.warn(known.variable, Some(key), BadValue::new(format!("{what}; it counts as 1"), fix));
                Some(true)
            }
        }
    }

    fn warn(&mut self, variable: &str, key: Option<&str>, bad: BadValue) {
        self.diagnostics.push(Diagnostic {
            severity: Severity::Warning,
            place: variable.to_owned(),
            key: key.map(str::to_owned),
            message: bad.what,
            hint: Some(bad.fix),
        });
    }
}

/// Is this environment variable one that sets a setting?
pub fn is_setting(variable: &str) -> bool {
    OVERRIDABLE.iter().any(|overridable| overridable.variable == variable) || OF_A_RUN.contains(&variable)
}

/// The variables of the flags that belong to one run and are no key of notify.toml.
const OF_A_RUN: [&str; 6] = [
    "NOTIFY_DONE_TITLE",
    "NOTIFY_DONE_NOTE",
    "NOTIFY_DONE_TAG",
    "NOTIFY_DONE_ATTACH_FILE",
    "NOTIFY_DONE_PTY",
    "NOTIFY_DONE_STRICT",
];

/// How long a mail that wasn't sent is tried again in the background.
const KEEP_TRYING: Duration = Duration::from_secs(3600);

/// What the environment says of one run, for flags that weren't given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfRun {
    pub title: Option<String>,
    pub note: Option<String>,
    pub tags: Vec<String>,
    pub attach_files: Vec<String>,
    pub pty: Option<Pty>,
    pub strict: bool,
}

/// What the variables of a run ask for; one that can't be used is a warning, as in [`env_overrides`].
pub fn env_of_run(lookup: &dyn Fn(&str) -> Option<OsString>) -> (OfRun, Vec<Diagnostic>) {
    let mut env = Environment { lookup, diagnostics: Vec::new() };
    let [title, note, tag, attach_file, pty, strict] = OF_A_RUN;
    let list = |text: &str| Ok(values::split_list(text).into_iter().map(str::to_owned).collect());
    let of_run = OfRun {
        title: env.of_run(title, values::one_line),
        note: env.of_run(note, |text| Ok(text.to_owned())),
        tags: env.of_run(tag, list).unwrap_or_default(),
        attach_files: env.of_run(attach_file, list).unwrap_or_default(),
        pty: env.of_run(pty, pty_mode),
        strict: env.of_run(strict, values::yes_or_no).unwrap_or_default(),
    };
    (of_run, env.diagnostics)
}

fn pty_mode(text: &str) -> Result<Pty, BadValue> {
    Pty::from_str(text, false).map_err(|_| {
        let names: Vec<_> = Pty::value_variants().iter().filter_map(ValueEnum::to_possible_value).collect();
        let names: Vec<_> = names.iter().map(PossibleValue::get_name).collect();
        BadValue::new(
            format!("{} isn't a mode", values::quoted(text)),
            format!("write one of: {}", names.join(", ")),
        )
    })
}

/// What the `NOTIFY_DONE_…` variables ask for. One that can't be used is a warning: the run was
/// started with it, often by a script that nobody watches, and the mail matters more.
pub fn env_overrides(lookup: &dyn Fn(&str) -> Option<OsString>) -> (Overrides, Vec<Diagnostic>) {
    let mut env = Environment { lookup, diagnostics: Vec::new() };
    let overrides = Overrides {
        // Made absolute by who may ask for the working folder.
        config: None,
        to: env.mailboxes("mail.to"),
        cc: env.mailboxes("mail.cc"),
        bcc: env.mailboxes("mail.bcc"),
        from_name: env.value("mail.from_name", values::one_line),
        subject: env.value("mail.subject", values::one_line),
        account: env.value("account", values::one_line),
        lang: env.value("lang", Language::from_str),
        on: env.value("notify.on", On::from_str),
        min_duration: env.value("notify.min_duration", values::duration),
        wait: env.value("notify.wait", Wait::from_str),
        keep_trying: env.value("notify.keep_trying", values::duration),
        tail_lines: env.value("log.tail_lines", values::tail_lines),
        attach: env.value("log.attach", Attach::from_str),
        redact: env.patterns("privacy.redact"),
        hide_command: env.hides("privacy.hide_command"),
    };
    (overrides, env.diagnostics)
}

impl Overrides {
    /// These where they say something, else those of the layer below: `flags.or(env)`.
    #[must_use]
    pub fn or(self, lower: Overrides) -> Overrides {
        Overrides {
            config: self.config.or(lower.config),
            to: self.to.or(lower.to),
            cc: self.cc.or(lower.cc),
            bcc: self.bcc.or(lower.bcc),
            from_name: self.from_name.or(lower.from_name),
            subject: self.subject.or(lower.subject),
            account: self.account.or(lower.account),
            lang: self.lang.or(lower.lang),
            on: self.on.or(lower.on),
            min_duration: self.min_duration.or(lower.min_duration),
            wait: self.wait.or(lower.wait),
            keep_trying: self.keep_trying.or(lower.keep_trying),
            tail_lines: self.tail_lines.or(lower.tail_lines),
            attach: self.attach.or(lower.attach),
            redact: both(self.redact, lower.redact),
            hide_command: self.hide_command.or(lower.hide_command),
        }
    }
}

/// A pattern more never lets a lower layer's through.
fn both(upper: Option<Vec<String>>, lower: Option<Vec<String>>) -> Option<Vec<String>> {
    let (Some(mut upper), Some(lower)) = (upper.clone(), lower.clone()) else { return upper.or(lower) };
    upper.extend(lower);
    Some(upper)
}

/// Where each key's value came from: for `doctor`, and for messages that point at the right place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    sources: BTreeMap<String, Source>,
}

impl Provenance {
    /// What the file set.
    pub fn of_file(file: &FileConfig) -> Self {
        let source = |line: &usize| Source::File { path: file.path.clone(), line: *line };
        Self { sources: file.lines.iter().map(|(key, line)| (key.clone(), source(line))).collect() }
    }

    /// Lays the environment over it.
    #[must_use]
    pub fn with_env(self, env: &Overrides) -> Self {
        self.with(env, |known| Source::Env(known.variable.to_owned()))
    }

    /// Lays the flags over it.
    #[must_use]
    pub fn with_flags(self, flags: &Overrides) -> Self {
        self.with(flags, |known| Source::Flag(known.flag))
    }

    fn with(mut self, overrides: &Overrides, source: fn(&Overridable) -> Source) -> Self {
        for known in OVERRIDABLE.iter().filter(|known| (known.is_set)(overrides)) {
            self.sources.insert(known.key.to_owned(), source(known));
        }
        self
    }

    /// All that isn't left at its default, by key.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.sources.iter().map(|(key, source)| (key.as_str(), source))
    }

    /// Where the value of `mail.to`, `accounts.qq.port`, … came from.
    pub fn source(&self, key: &str) -> Source {
        self.sources.get(key).cloned().unwrap_or(Source::Default)
    }
}

/// Lays the overrides over the file over the defaults, and settles each account's server.
///
/// An account that has no usable address or server is left out of `accounts`, and a diagnostic says
/// so. A text set to "" counts as not set: it takes back what a lower layer says.
pub fn resolve(file: &FileConfig, over: &Overrides) -> (Settings, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let accounts = file
        .accounts
        .iter()
        .filter_map(|account| account::resolve(file, account, &mut diagnostics))
        .collect();
    let pick = |over: &Option<String>, file: &Option<String>| {
        over.clone().or_else(|| file.clone()).filter(|text| !text.trim().is_empty())
    };
    let list = |over: &Option<Vec<Mailbox>>, file: &Option<Vec<Mailbox>>| {
        over.clone().or_else(|| file.clone()).unwrap_or_default()
    };
    let log = LogSettings::default();
    let account = pick(&over.account, &file.account);
    diagnostics.extend(account.as_deref().and_then(|name| no_such_account(file, over, name)));
    let settings = Settings {
        lang: over.lang.or(file.lang).unwrap_or_default(),
        account,
        accounts,
        mail: MailSettings {
            to: list(&over.to, &file.to),
            cc: list(&over.cc, &file.cc),
            bcc: list(&over.bcc, &file.bcc),
            from_name: pick(&over.from_name, &file.from_name),
            subject: pick(&over.subject, &file.subject),
        },
        notify: NotifySettings {
            on: over.on.or(file.on).unwrap_or_default(),
            min_duration: over.min_duration.or(file.min_duration).unwrap_or_default(),
            wait: over.wait.or(file.wait).unwrap_or_default(),
            keep_trying: over.keep_trying.or(file.keep_trying).unwrap_or(KEEP_TRYING),
        },
        log: LogSettings {
            tail_lines: over.tail_lines.or(file.tail_lines).unwrap_or(log.tail_lines),
            attach: over.attach.or(file.attach).unwrap_or(log.attach),
            max_attachment: file.max_attachment.unwrap_or(log.max_attachment),
            max_size: file.max_size.unwrap_or(log.max_size),
            reserve: file.reserve.unwrap_or(log.reserve),
            keep: file.keep.unwrap_or(log.keep),
            keep_size: file.keep_size.unwrap_or(log.keep_size),
        },
        privacy: privacy(file, over, &mut diagnostics),
    };
    (settings, diagnostics)
}

/// The patterns of all layers together.
fn privacy(file: &FileConfig, over: &Overrides, diagnostics: &mut Vec<Diagnostic>) -> PrivacySettings {
    let mut redact = file.redact.clone().unwrap_or_default();
    let mut wishes = if file.privacy_unreadable { Wishes::Unreadable } else { Wishes::Known };
    for text in over.redact.iter().flatten() {
        match values::pattern(text) {
            Ok(pattern) => redact.push(pattern),
            Err(BadValue { what, fix }) => {
                wishes = Wishes::Unreadable;
                diagnostics.push(Diagnostic {
                    severity: Severity::Unusable,
                    // Which of the two it was, the merged overrides don't tell.
                    place: "--redact or NOTIFY_DONE_REDACT".to_owned(),
                    key: Some("privacy.redact".to_owned()),
                    message: what,
                    hint: Some(fix),
                });
            }
        }
    }
    let hides = over.hide_command.or(file.hide_command).unwrap_or_default();
    PrivacySettings {
        redact,
        keep: file.keep_kinds.clone().unwrap_or_default(),
        command: if hides { CommandLine::Hidden } else { CommandLine::Shown },
        wishes,
    }
}

fn no_such_account(file: &FileConfig, over: &Overrides, name: &str) -> Option<Diagnostic> {
    if file.accounts.iter().any(|account| account.name == name) || !file.lost_lines.is_empty() {
        return None;
    }
    let there: Vec<&str> = file.accounts.iter().map(|account| account.name.as_str()).collect();
    let hint = match there.as_slice() {
        [] => format!(
            "there is no account yet: add [accounts.{name}] with address and auth_code to notify.toml"
        ),
        names => format!("write one of: {}", names.join(", ")),
    };
    let place = match (&over.account, file.lines.get("account")) {
        (None, Some(line)) => place(&file.path, *line),
        // Which of the two it was, the merged overrides don't tell.
        _ => "--account or NOTIFY_DONE_ACCOUNT".to_owned(),
    };
    Some(Diagnostic {
        severity: Severity::Unusable,
        place,
        key: Some("account".to_owned()),
        message: format!("no account is called {}", values::quoted(name)),
        hint: Some(hint),
    })
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
