//! A mail in the outbox as JSON. Every key is always there; `null` where there is nothing to tell.

use jiff::Timestamp;
use serde::Serialize;

use super::super::common::text_of;
use super::super::words::{diagnosis_of, scene};
use super::words::place_name;
use crate::config::Mailbox;
use crate::deliver::diagnose::{Diagnosis, Scene, diagnose_cause};
use crate::deliver::verdict::{Class, Outcome, Stage};
use crate::outbox::entry::{AttemptRecord, Entry, EntryId, Form, GaveUp, HeldReason, Recipient, State};
use crate::outbox::look::Seen;
use crate::outbox::store::Place;
use crate::render::i18n::Lang;

/// One mail.
#[derive(Debug, Serialize)]
pub struct Json<'a> {
    id: &'a EntryId,
    /// `new`, `sending`, `held`, `sent`, `failed`
    state: &'static str,
    /// Why it can't be read; then all that its record would tell is `null`
    error: Option<String>,
    folder: String,
    /// What is sent; `null` when it isn't there (any more)
    body: Option<Body>,
    #[serde(flatten)]
    record: Record<'a>,
}

#[derive(Debug, Serialize)]
struct Body {
    path: String,
    bytes: u64,
}

/// What its record tells.
#[derive(Debug, Default, Serialize)]
struct Record<'a> {
    /// The run that it tells of
    run: Option<&'a str>,
    created: Option<Timestamp>,
    message_id: Option<&'a str>,
    /// As it is sent now
    subject: Option<&'a str>,
    /// `full`, `plain`
    form: Option<Form>,
    /// The account that was asked for
    account: Option<&'a str>,
    /// The only account that may send it, since it may have arrived through that
    pinned: Option<&'a str>,
    /// Accounts that will not take it
    refused_by: Option<&'a [String]>,
    /// The notify.toml that its run was given
    config: Option<String>,
    /// `no_account`, `config`, `passed_over`
    held: Option<HeldReason>,
    /// `refused`, `expired`
    gave_up: Option<GaveUp>,
    /// When it is tried again by itself, at the earliest
    next_try: Option<Timestamp>,
    /// The class of failure that decides on that
    waits: Option<Class>,
    rounds: Option<u32>,
    /// When somebody had it tried anew
    revived: Option<Timestamp>,
    to: Option<&'a [Mailbox]>,
    cc: Option<&'a [Mailbox]>,
    bcc: Option<&'a [Mailbox]>,
    /// `null`: not fixed yet
    recipients: Option<Vec<JsonRecipient<'a>>>,
    attempt_count: Option<u32>,
    /// The last ones, newest last; in a list only the last one
    attempts: Option<Vec<Attempt<'a>>>,
}

#[derive(Debug, Serialize)]
struct JsonRecipient<'a> {
    address: &'a str,
    /// `pending`, `accepted`, `refused`
    state: &'static str,
    account: Option<&'a str>,
    at: Option<Timestamp>,
    /// What the server said when it took the mail; names its queue
    receipt: Option<String>,
    refusal: Option<Diagnosis>,
}

#[derive(Debug, Serialize)]
struct Attempt<'a> {
    at: Timestamp,
    account: &'a str,
    address: Option<&'a str>,
    host: Option<&'a str>,
    port: Option<u16>,
    form: Form,
    /// Of the body as it was then: one that was too large is made again with less in it
    bytes: Option<u64>,
    /// `accepted`, `failed`, `unknown`
    outcome: &'static str,
    /// Where in the dialogue it failed
    stage: Option<Stage>,
    receipt: Option<String>,
    /// Class, cause and fix in both languages, the server's reply
    diagnosis: Option<Diagnosis>,
    elapsed_ms: u64,
}

/// Which tries are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tries {
    /// As many as are kept.
    Kept,
    /// In a list: thousands of mails with twenty each would be hundreds of megabytes.
    Last,
}

/// The mail as it was seen.
pub fn of<'a>(id: &'a EntryId, seen: &'a Seen, tries: Tries) -> Json<'a> {
    let entry = seen.entry.as_ref();
    Json {
        id,
        state: place_name(seen.place),
        error: entry.err().map(ToString::to_string),
        folder: text_of(seen.folder.as_os_str()),
        body: entry.ok().and_then(|entry| body(seen, entry.form)),
        record: entry.map(|entry| record(entry, tries)).unwrap_or_default(),
    }
}

/// The state of an entry that has been looked for.
pub fn state(place: Option<Place>) -> Option<&'static str> {
    place.map(place_name)
}

fn body(seen: &Seen, form: Form) -> Option<Body> {
    let path = seen.body(form);
    let bytes = path.symlink_metadata().ok()?.len();
    Some(Body { path: text_of(path.as_os_str()), bytes })
}

fn record(entry: &Entry, tries: Tries) -> Record<'_> {
    let left_out = match tries {
        Tries::Kept => 0,
        Tries::Last => entry.attempts.len().saturating_sub(1),
    };
    let recipients = entry.recipients.as_ref();
    let asked = &entry.addressing;
    Record {
        run: entry.run.as_ref().map(|run| run.0.as_str()),
        created: Some(entry.created),
        message_id: Some(&entry.message_id),
        subject: Some(entry.subject_now()),
        form: Some(entry.form),
        account: asked.account.as_deref(),
        pinned: entry.pinned.as_deref(),
        refused_by: Some(&entry.refused_by),
        config: asked.config.as_ref().map(|file| text_of(file.as_os_str())),
        held: entry.held,
        gave_up: entry.gave_up,
        next_try: entry.next_try,
        waits: entry.waits,
        rounds: Some(entry.rounds),
        revived: entry.revived,
        to: either(recipients.map(|r| &r.to), &asked.to),
        cc: either(recipients.map(|r| &r.cc), &asked.cc),
        bcc: either(recipients.map(|r| &r.bcc), &asked.bcc),
        recipients: recipients.map(|all| all.states.iter().map(|r| recipient(r, entry)).collect()),
        attempt_count: Some(entry.attempt_count),
        attempts: Some(entry.attempts[left_out..].iter().map(attempt).collect()),
    }
}

/// What is asked for, until it is fixed.
fn either<'a>(fixed: Option<&'a Vec<Mailbox>>, asked: &'a Option<Vec<Mailbox>>) -> Option<&'a [Mailbox]> {
    fixed.or(asked.as_ref()).map(Vec::as_slice)
}

fn recipient<'a>(recipient: &'a Recipient, entry: &'a Entry) -> JsonRecipient<'a> {
    let nothing = JsonRecipient {
        address: &recipient.address,
        state: "pending",
        account: None,
        at: None,
        receipt: None,
        refusal: None,
    };
    match &recipient.state {
        State::Pending => nothing,
        State::Accepted { account, at, receipt } => JsonRecipient {
            state: "accepted",
            account: Some(account),
            at: Some(*at),
            receipt: Some(receipt.to_string()),
            ..nothing
        },
        State::Refused { .. } => {
            JsonRecipient { state: "refused", refusal: refusal(recipient, entry, Lang::En), ..nothing }
        }
    }
}

/// What it means that a recipient was refused.
pub fn refusal(recipient: &Recipient, entry: &Entry, lang: Lang) -> Option<Diagnosis> {
    let State::Refused { class, cause } = &recipient.state else { return None };
    let nobody = Scene { account: "", address: "", login: "", host: "", port: 0 };
    let scene = entry.attempts.last().map_or(nobody, |attempt| scene(attempt, lang));
    Some(diagnose_cause(Stage::RcptTo, *class, cause, &scene))
}

fn attempt(attempt: &AttemptRecord) -> Attempt<'_> {
    let server = attempt.server.as_ref();
    let (outcome, stage, receipt) = match &attempt.outcome {
        Outcome::Accepted { receipt } => ("accepted", None, Some(receipt.to_string())),
        Outcome::Failed(failure) => ("failed", Some(failure.stage), None),
        Outcome::Unknown(failure) => ("unknown", Some(failure.stage), None),
    };
    Attempt {
        at: attempt.at,
        account: &attempt.account,
        address: server.map(|server| server.address.as_str()),
        host: server.map(|server| server.host.as_str()),
        port: server.map(|server| server.port),
        form: attempt.form,
        bytes: attempt.bytes,
        outcome,
        stage,
        receipt,
        diagnosis: diagnosis_of(attempt, Lang::En),
        elapsed_ms: attempt.elapsed_ms,
    }
}
