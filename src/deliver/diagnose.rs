//! From what happened to what it means: class, cause and fix in words. Pure.
//!
//! A reply is looked up by its words (`replies.rs`), then by its enhanced status code (`codes.rs`);
//! what neither knows falls to the class that RFC 5321 section 4.2.1 gives its code, with the
//! server's text shown (`words.rs`).

use serde::{Deserialize, Serialize};

use super::meanings::Meaning;
use super::verdict::{Cause, Class, Failure, Feature, Reply, Stage, TlsTrouble};
use super::{codes, replies, words};
use crate::config::provider::{self, Preset};

/// The same sentence in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    pub en: String,
    pub zh: String,
}

impl Text {
    pub(super) fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { en: en.into(), zh: zh.into() }
    }

    fn fill(&self, scene: &Scene<'_>) -> Self {
        let how = scene.how();
        Self { en: scene.fill(&self.en, &how.en), zh: scene.fill(&self.zh, &how.zh) }
    }
}

/// What it means and what to do, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    pub class: Class,
    pub cause: Text,
    pub fix: Text,
    /// The server's own words, code first, if it said any.
    pub reply: Option<Reply>,
}

/// Whom the words are about. No code is in here, so none can come out.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// NAME of `[accounts.NAME]`.
    pub account: &'a str,
    /// The account's address.
    pub address: &'a str,
    /// What AUTH says: the address, unless `username` is set.
    pub login: &'a str,
    pub host: &'a str,
    pub port: u16,
}

impl Scene<'_> {
    fn fill(&self, words: &str, how: &str) -> String {
        words
            .replace("{how}", how)
            .replace("{other_port}", &self.other_port().to_string())
            .replace("{account}", self.account)
            .replace("{address}", self.address)
            .replace("{login}", self.login)
            .replace("{host}", self.host)
            .replace("{port}", &self.port.to_string())
    }

    fn preset(&self) -> Option<&'static Preset> {
        let here = provider::PRESETS.iter().find(|preset| preset.host.eq_ignore_ascii_case(self.host));
        here.or_else(|| provider::preset_of(self.address, None))
    }

    /// How this provider's codes are made.
    fn how(&self) -> Text {
        match self.preset() {
            Some(preset) => Text::new(preset.help.en, preset.help.zh),
            None => words::make_code_anywhere(),
        }
    }

    /// A port that a firewall on the way may let through where it blocks this one. Each tells its TLS
    /// by itself (`provider.rs`).
    fn other_port(&self) -> u16 {
        let known = self.preset().filter(|preset| preset.host.eq_ignore_ascii_case(self.host));
        match (self.port, known) {
            (465, Some(preset)) if preset.starttls_port == 25 || preset.name == "qiye163" => 994,
            (465, _) => 587,
            _ => 465,
        }
    }
}

/// The class of a cause at a stage.
pub fn classify(stage: Stage, cause: &Cause) -> Class {
    match cause {
        Cause::Reply(reply) => match lookup(stage, reply) {
            // Whoever is to blame: a login that fails each minute gets an account locked.
            Some(m) if stage == Stage::Auth && reply.code != 421 && m.class == Class::Transient => {
                Class::Throttled
            }
            // RFC 4954 section 6: the credentials were refused, whatever else the words say.
            Some(m) if stage == Stage::Auth && reply.code == 535 && m.class == Class::Settings => {
                Class::Credentials
            }
            Some(m) => m.class,
            None => by_code(stage, reply),
        },
        // After the final "." only an explicit reply is an answer.
        _ if stage == Stage::AfterDot => Class::Unknown,
        Cause::Interrupted => Class::Unknown,
        Cause::ClearText | Cause::CaFile { .. } => Class::Settings,
        // Before the first recipient it is the account's own address or name that is wrong.
        Cause::BadAddress { .. } if stage < Stage::RcptTo => Class::Settings,
        Cause::TooLarge { .. } => Class::TooLarge,
        Cause::NotOffered(Feature::SmtpUtf8) | Cause::BadAddress { .. } => Class::Permanent,
        Cause::NotOffered(_) | Cause::Tls(TlsTrouble::NotTls) => Class::Settings,
        Cause::Tls(_)
        | Cause::Timeout { .. }
        | Cause::Unresolved { .. }
        | Cause::Unreachable { .. }
        | Cause::Closed
        | Cause::Broken { .. }
        | Cause::Malformed { .. }
        | Cause::Injected
        | Cause::Local { .. } => Class::Transient,
    }
}

/// The class of a reply that nobody has met yet (RFC 5321 section 4.2.1).
fn by_code(stage: Stage, reply: &Reply) -> Class {
    match reply.code {
        421 => Class::Transient,
        // Whatever the code: it is no accident that passes.
        _ if stage == Stage::Auth => Class::Credentials,
        // "Exceeded storage allocation": the mailbox's of the recipient, else the size of a mail
        // (RFC 1870 section 6.1).
        552 if stage == Stage::RcptTo => Class::Transient,
        552 if stage >= Stage::MailFrom => Class::TooLarge,
        500..=599 if stage >= Stage::MailFrom => Class::Permanent,
        // A greeting or EHLO of 5xx speaks of the server's state, not of this mail.
        _ => Class::Transient,
    }
}

/// Puts a failure into words.
pub fn diagnose(failure: &Failure, scene: &Scene<'_>) -> Diagnosis {
    diagnose_cause(failure.stage, failure.class, &failure.cause, scene)
}

/// Puts a cause into words; a refused recipient has no [`Failure`] of its own.
pub fn diagnose_cause(stage: Stage, class: Class, cause: &Cause, scene: &Scene<'_>) -> Diagnosis {
    let (cause_text, fix) = match cause {
        Cause::Reply(reply) => match lookup(stage, reply) {
            Some(m) => (Text::new(m.cause[0], m.cause[1]), Text::new(m.fix[0], m.fix[1])),
            None => words::unknown_reply(class, reply),
        },
        Cause::Tls(trouble) => words::tls(trouble),
        _ if class == Class::Unknown => words::unknown_answer(),
        other => words::of_connection(stage, other),
    };
    let reply = match cause {
        Cause::Reply(reply) => Some(reply.clone()),
        _ => None,
    };
    Diagnosis { class, cause: cause_text.fill(scene), fix: fix.fill(scene), reply }
}

/// There is no account to send with: `wanted` isn't in `notify.toml`, or nothing is.
pub fn no_account(wanted: Option<&str>) -> Diagnosis {
    let (cause, fix) = match wanted {
        Some(name) => (
            Text::new(
                format!("there is no account {name:?} in notify.toml"),
                format!("notify.toml 里没有账号 {name:?}"),
            ),
            Text::new(
                format!(
                    "write [accounts.{name}] into notify.toml, or give the account this name again: the mail is to go by it, or may have gone by it"
                ),
                format!(
                    "在 notify.toml 里写上 [accounts.{name}]，或把账号改回这个名字：这封邮件指定由它发送，或可能已由它发出"
                ),
            ),
        ),
        None => (
            Text::new("no account is set up", "还没有设置发信账号"),
            Text::new(
                "write [accounts.NAME] with address and auth_code into notify.toml, then run `notify-done outbox flush`",
                "在 notify.toml 里写上 [accounts.名字]、address 和 auth_code，然后运行 `notify-done outbox flush`",
            ),
        ),
    };
    Diagnosis { class: Class::Settings, cause, fix, reply: None }
}

fn lookup(stage: Stage, reply: &Reply) -> Option<&'static Meaning> {
    replies::known(stage, reply).or_else(|| codes::known(stage, reply))
}

#[cfg(test)]
#[path = "diagnose_tests.rs"]
mod tests;
