//! A message in the outbox: what is kept of it and how it changes. Pure.
//!
//! The state of an entry as a whole is the folder that it lies in; what is here is what a later try
//! has to know. The JSON is versioned, and every version ever written can be read.

use std::path::PathBuf;

use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};
use serde::{Deserialize, Serialize};

use crate::config::{Language, Mailbox, path_json};
use crate::deliver::verdict::{
    Cause, Class, Failure, Outcome, RecipientResult, RecipientVerdict, Reply, Stage,
};
use crate::error::{Error, Kind, Result};
use crate::run::facts::RunId;

pub use super::recipients::{Recipient, Recipients, State};

/// The version that is written. 2: forms, rounds, why it waits, why it was given up.
pub const VERSION: u32 = 2;
/// Attempts that are kept in detail.
const KEPT_ATTEMPTS: usize = 20;

/// The id of an entry; sorts by the time of its making. Safe as the name of a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntryId(String);

impl EntryId {
    /// # Errors
    /// `Usage` unless it is 1 to 80 letters, digits and `-`: it becomes part of a path.
    pub fn parse(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if text.is_empty() || text.len() > 80 || !text.bytes().all(fits) {
            return Err(Error::new(Kind::Usage, format!("{text:?} is no id of a mail in the outbox"))
                .hint("`notify-done outbox list` shows the ids"));
        }
        Ok(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for EntryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for EntryId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(text)
    }
}

impl From<EntryId> for String {
    fn from(id: EntryId) -> Self {
        id.0
    }
}

/// Whom it is for and from, as far as flags and environment of the run said. None: what
/// `notify.toml` says when the mail is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Addressing {
    /// The notify.toml that the run was given, absolute; None: the usual one.
    #[serde(with = "path_json::option")]
    pub config: Option<PathBuf>,
    /// NAME of the account asked for.
    pub account: Option<String>,
    pub to: Option<Vec<Mailbox>>,
    pub cc: Option<Vec<Mailbox>>,
    pub bcc: Option<Vec<Mailbox>>,
    pub from_name: Option<String>,
}

/// The message was written whole and the answer isn't recorded yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    pub account: String,
    pub at: Timestamp,
    /// The recipients that RCPT had accepted.
    pub addresses: Vec<String>,
}

/// A try that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    pub at: Timestamp,
    pub account: String,
    /// With whom it was; None: a process that ended in between has noted it (`record_interruption`).
    #[serde(default)]
    pub server: Option<Contact>,
    #[serde(default)]
    pub form: Form,
    /// Of the body that was to be sent, which may have been made smaller since; None: not known.
    #[serde(default)]
    pub bytes: Option<u64>,
    pub outcome: Outcome,
    pub elapsed_ms: u64,
}

/// In which form the message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// As it was made: text, HTML and the attachments.
    #[default]
    Full,
    /// The text alone under another subject: for a provider that takes the full mail for spam or finds
    /// it too large.
    Plain,
}

/// Why an entry lies in `failed/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GaveUp {
    /// Each account, or each recipient, has refused it for good.
    Refused,
    /// It was tried for days (`schedule::expired`).
    Expired,
}

/// Whom an attempt spoke to as whom: for the words about it, later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    pub host: String,
    pub port: u16,
    pub address: String,
    pub login: String,
}

/// Where an entry rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Folder {
    New,
    Held,
    Sent,
    Failed,
}

impl Folder {
    pub fn name(self) -> &'static str {
        match self {
            Folder::New => "new",
            Folder::Held => "held",
            Folder::Sent => "sent",
            Folder::Failed => "failed",
        }
    }
}

/// Which notices, by the notify.toml that their run was given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    Anyones,
    /// Of runs that were given this file; None: of those that were given none.
    Under(Option<PathBuf>),
}

impl Whose {
    /// An entry that can't be read counts as one that names no file.
    pub fn has(&self, entry: Option<&Entry>) -> bool {
        match self {
            Whose::Anyones => true,
            Whose::Under(file) => entry.and_then(|entry| entry.addressing.config.as_ref()) == file.as_ref(),
        }
    }
}

/// Why an entry lies in `held/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldReason {
    /// There is no account to send it with.
    NoAccount,
    /// `notify.toml` has an unusable value.
    Config,
    /// There was no account, and when there was one, a newer notice went out in its place.
    PassedOver,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub version: u32,
    pub id: EntryId,
    /// The run that it tells of; None: `notify-done send`.
    pub run: Option<RunId>,
    pub created: Timestamp,
    /// With its angle brackets; the same for all tries.
    pub message_id: String,
    /// For the Date header; the same for all tries.
    pub date: Timestamp,
    /// East of UTC, seconds: the Date shows the time where the run was.
    #[serde(default)]
    pub utc_offset: i32,
    pub subject: String,
    pub addressing: Addressing,
    /// None: not fixed yet.
    #[serde(default)]
    pub recipients: Option<Recipients>,
    /// Newest last; older ones are only counted.
    #[serde(default)]
    pub attempts: Vec<AttemptRecord>,
    #[serde(default)]
    pub attempt_count: u32,
    #[serde(default)]
    pub in_flight: Option<InFlight>,
    /// The mail may have arrived through this account: no other may send it, lest it come twice
    /// with different senders.
    #[serde(default)]
    pub pinned: Option<String>,
    #[serde(default)]
    pub held: Option<HeldReason>,
    /// Not before this; None: nothing is to be waited for.
    #[serde(default)]
    pub next_try: Option<Timestamp>,
    /// The class of the failure that `next_try` follows from.
    #[serde(default)]
    pub waits: Option<Class>,
    /// Rounds over the accounts that were made when they were due: what backoff and expiry go by, since
    /// somebody who flushes by hand ten times in a minute has not waited.
    #[serde(default)]
    pub rounds: u32,
    #[serde(default)]
    pub form: Form,
    /// The subject of [`Form::Plain`]; None: the entry has no such form.
    #[serde(default)]
    pub plain_subject: Option<String>,
    /// What it is written in, for who makes it anew; `auto`: an older one doesn't say.
    #[serde(default)]
    pub language: Language,
    /// Accounts that will not take this mail, in any form.
    #[serde(default)]
    pub refused_by: Vec<String>,
    #[serde(default)]
    pub gave_up: Option<GaveUp>,
    /// When it was taken out of `failed/` again; None: never. Its age counts from here.
    #[serde(default)]
    pub revived: Option<Timestamp>,
}

/// Where an entry stands as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Someone still waits for it.
    Open,
    /// All have it.
    Delivered,
    /// Nobody waits any more, and not all have it.
    Refused,
}

impl Entry {
    /// Reads an entry.
    ///
    /// # Errors
    /// `Storage` when it isn't one, or a newer notify-done wrote it.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Probe {
            version: u32,
        }
        let unreadable = |error: serde_json::Error| {
            Error::new(Kind::Storage, "this isn't a mail of the outbox that can be read").because(error)
        };
        let Probe { version } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if version > VERSION {
            return Err(Error::new(
                Kind::Storage,
                format!("a newer notify-done wrote it (format {version}, known is {VERSION})"),
            )
            .hint("use that newer notify-done on this outbox"));
        }
        serde_json::from_slice(bytes).map_err(unreadable)
    }

    /// # Errors
    /// `Storage`, if a time in it can't be written.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(self).map_err(|error| {
            Error::new(Kind::Storage, format!("can't write mail {}", self.id)).because(error)
        })?;
        json.push(b'\n');
        Ok(json)
    }

    /// Fixes the recipients if they aren't, and notes those that will never take it.
    pub fn record_verdicts(&mut self, chosen: &Recipients, results: &[RecipientResult]) {
        let recipients = self.recipients.get_or_insert_with(|| chosen.clone());
        for result in results {
            if let RecipientVerdict::Refused { class, cause } = &result.verdict
                && !class.retryable()
                && let Some(known) = recipients.states.iter_mut().find(|r| r.address == result.address)
            {
                known.state = State::Refused { class: *class, cause: cause.clone() };
            }
        }
    }

    /// The message was written whole; the final "." follows.
    pub fn record_body_sent(&mut self, account: &str, addresses: Vec<String>, at: Timestamp) {
        self.in_flight = Some(InFlight { account: account.to_owned(), at, addresses });
    }

    /// The server took it for those in flight. Said twice, the second changes nothing.
    pub fn record_accepted(&mut self, receipt: &Reply, at: Timestamp) {
        let Some(flight) = self.in_flight.take() else { return };
        let states = self.recipients.iter_mut().flat_map(|recipients| &mut recipients.states);
        for recipient in states.filter(|r| flight.addresses.contains(&r.address)) {
            recipient.state =
                State::Accepted { account: flight.account.clone(), at, receipt: receipt.clone() };
        }
    }

    /// Notes how a try ended, and what follows from it for the next.
    pub fn record_attempt(&mut self, record: AttemptRecord) {
        match &record.outcome {
            Outcome::Accepted { receipt } => {
                let receipt = receipt.clone();
                self.record_accepted(&receipt, record.at);
            }
            Outcome::Failed(_) => self.in_flight = None,
            Outcome::Unknown(_) => {
                self.in_flight = None;
                self.pinned = Some(record.account.clone());
            }
        }
        self.attempt_count = self.attempt_count.saturating_add(1);
        self.attempts.push(record);
        let surplus = self.attempts.len().saturating_sub(KEPT_ATTEMPTS);
        self.attempts.drain(..surplus);
    }

    /// An earlier process ended between the last byte and the record of the answer: nobody knows
    /// whether the mail arrived. True if that was so.
    pub fn record_interruption(&mut self) -> bool {
        let Some(flight) = self.in_flight.take() else { return false };
        let outcome = Outcome::Unknown(Failure {
            stage: Stage::AfterDot,
            class: Class::Unknown,
            cause: Cause::Interrupted,
        });
        self.record_attempt(AttemptRecord {
            at: flight.at,
            account: flight.account,
            server: None,
            form: self.form,
            bytes: None,
            outcome,
            elapsed_ms: 0,
        });
        true
    }

    /// The subject of the form that it has now.
    pub fn subject_now(&self) -> &str {
        match (self.form, &self.plain_subject) {
            (Form::Plain, Some(subject)) => subject,
            _ => &self.subject,
        }
    }

    /// The form to try when a provider doesn't like the one it has.
    pub fn lesser_form(&self) -> Option<Form> {
        (self.form == Form::Full && self.plain_subject.is_some()).then_some(Form::Plain)
    }

    /// As if it had never been tried: everything that was refused for good may have been mended. Whoever
    /// has the mail keeps it; when nobody has, the recipients are chosen anew, since the mistake may
    /// have been in them. An account that may have delivered it stays the only one to send it.
    pub fn revive(&mut self, now: Timestamp) {
        let anyone = |recipients: &Recipients| {
            recipients.states.iter().any(|r| matches!(r.state, State::Accepted { .. }))
        };
        if self.pinned.is_none() && !self.recipients.as_ref().is_some_and(anyone) {
            self.recipients = None;
        }
        for recipient in self.recipients.iter_mut().flat_map(|recipients| &mut recipients.states) {
            if matches!(recipient.state, State::Refused { .. }) {
                recipient.state = State::Pending;
            }
        }
        self.revived = Some(now);
        self.rounds = 0;
        self.refused_by.clear();
        (self.gave_up, self.next_try, self.waits, self.held) = (None, None, None, None);
    }

    /// The date where the run was; in UTC if the offset recorded is none.
    pub fn zoned_date(&self) -> Zoned {
        let offset = Offset::from_seconds(self.utc_offset).unwrap_or(Offset::UTC);
        self.date.to_zoned(TimeZone::fixed(offset))
    }

    pub fn standing(&self) -> Standing {
        let Some(recipients) = &self.recipients else { return Standing::Open };
        let mut refused = false;
        for recipient in &recipients.states {
            match recipient.state {
                State::Pending => return Standing::Open,
                State::Refused { .. } => refused = true,
                State::Accepted { .. } => {}
            }
        }
        if refused || recipients.states.is_empty() { Standing::Refused } else { Standing::Delivered }
    }
}

#[cfg(test)]
#[path = "entry_tests.rs"]
pub(crate) mod tests;
