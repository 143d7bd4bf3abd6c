//! Taking what waits in the outbox, and trying once to deliver each.
//!
//! The same path serves the first try of a new mail and `outbox flush`. What happened is told as
//! [`Event`]s, since the process that sends may not be the one that prints.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::choice::{accepted, account_for, choose_recipients, contact, refusals, scene, worst};
use super::entry::{AttemptRecord, Entry, EntryId, Folder, Recipients, Standing, State, Whose};
use super::event::{Event, Tally};
use super::schedule::next_try;
use super::store::{Claim, Place, Store};
use crate::config::{Account, MailSettings, Mailbox, Secret};
use crate::deliver::diagnose::{Diagnosis, diagnose, no_account};
use crate::deliver::job::{Job, Ledger, Progress};
use crate::deliver::verdict::{Attempt, Cause, Class, Failure, Outcome, Stage};
use crate::error::{Error, Kind, Result};

/// How often to look whether another process has finished with an entry.
const LOOK: Duration = Duration::from_millis(100);
/// How often to look whether that process has died: nobody is called dead within seconds, and the
/// look writes to the disk.
const LOOK_FOR_DEAD: Duration = Duration::from_secs(2);

/// Which entries of new/ to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick {
    /// All of these, the oldest first.
    All(Whose),
    Only(EntryId),
}

/// What to send and as whom.
#[derive(Debug)]
pub struct Plan<'a> {
    pub pick: Pick,
    /// In the order of `notify.toml`.
    pub accounts: &'a [Account],
    /// `account` of the settings.
    pub preferred: Option<&'a str>,
    /// Recipients and sender's name for entries that don't say.
    pub mail: &'a MailSettings,
    /// How long to wait for an entry that another process is sending.
    pub wait: Duration,
}

/// What stands in front of the body: for the header block.
#[derive(Debug)]
pub struct Letterhead<'a> {
    pub entry: &'a Entry,
    pub from: Mailbox,
    pub to: &'a [Mailbox],
    pub cc: &'a [Mailbox],
}

/// Reads an account's code.
pub type ReadSecret<'a> = &'a mut dyn FnMut(&Account) -> Result<Secret>;
/// Makes the header block, lines ending in CRLF.
pub type WriteHeaders<'a> = &'a mut dyn FnMut(&Letterhead<'_>) -> Result<Vec<u8>>;
/// Makes one try; `deliver::smtp::attempt_blocking`.
pub type SendMail<'a> = &'a mut dyn FnMut(&Job<'_>, Ledger<'_>) -> Attempt;

/// The world outside, as the caller gives it.
#[allow(missing_debug_implementations, reason = "closures have nothing to show")]
pub struct Hands<'a> {
    pub now: &'a mut dyn FnMut() -> Timestamp,
    pub secret: ReadSecret<'a>,
    pub headers: WriteHeaders<'a>,
    pub send: SendMail<'a>,
    pub events: &'a mut dyn FnMut(Event),
}

/// Tries each entry that is picked once. An entry that can't be read or recorded stops none of the
/// others.
///
/// # Errors
/// `Storage` when the outbox itself can't be read; `NotFound` when the entry asked for isn't there.
pub fn drain(store: &Store, plan: &Plan<'_>, hands: &mut Hands<'_>) -> Result<Tally> {
    store.recover()?;
    let ids = match &plan.pick {
        Pick::All(whose) => waiting(store, plan, whose)?,
        Pick::Only(id) if store.find(id)?.is_some() => vec![id.clone()],
        Pick::Only(id) => {
            return Err(Error::new(Kind::NotFound, format!("there is no mail {id} in the outbox"))
                .hint("`notify-done outbox list` shows what there is"));
        }
    };
    let mut drain = Drain { store, plan, hands, blocked: Vec::new(), tally: Tally::default() };
    for id in ids {
        if let Err(error) = drain.one(&id) {
            drain.tally.left += 1;
            let hint = error.hints.first().cloned();
            (drain.hands.events)(Event::Trouble { entry: id, message: error.to_string(), hint });
        }
    }
    Ok(drain.tally)
}

/// What lies in new/, and what others are sending if they are to be waited for.
fn waiting(store: &Store, plan: &Plan<'_>, whose: &Whose) -> Result<Vec<EntryId>> {
    let mut ids = store.list(Folder::New)?;
    if plan.wait > Duration::ZERO {
        ids.extend(store.sending()?);
        ids.sort();
        ids.dedup();
    }
    if *whose != Whose::Anyones {
        ids.retain(|id| whose.has(store.peek(id).as_ref()));
    }
    Ok(ids)
}

struct Drain<'a, 'h> {
    store: &'a Store,
    plan: &'a Plan<'a>,
    hands: &'a mut Hands<'h>,
    /// Accounts that the next mail would fare no better with, and why. A code that was refused
    /// must not be tried again for each mail that waits: providers lock accounts for that.
    blocked: Vec<(String, Failure)>,
    tally: Tally,
}

impl Drain<'_, '_> {
    fn one(&mut self, id: &EntryId) -> Result<()> {
        let claim = match self.store.claim(id)? {
            Some(claim) => claim,
            None => match self.wait_for(id)? {
                Some(claim) => claim,
                None => return Ok(()),
            },
        };
        match claim.heartbeat() {
            Ok(_alive) => self.with_claim(claim),
            Err(error) => claim.settle(Folder::New).and(Err(error)),
        }
    }

    /// Another process has it. Waits until it has finished; when it comes back unsent, it is ours.
    fn wait_for(&mut self, id: &EntryId) -> Result<Option<Claim>> {
        let begin = Instant::now();
        let (mut told, mut recovered) = (false, begin);
        loop {
            let place = self.store.find(id)?;
            if place == Some(Place::In(Folder::New))
                && let Some(claim) = self.store.claim(id)?
            {
                return Ok(Some(claim));
            }
            let busy = matches!(place, Some(Place::Sending | Place::In(Folder::New)));
            if !busy || begin.elapsed() >= self.plan.wait {
                let now_in = match place {
                    Some(Place::In(folder)) => Some(folder),
                    Some(Place::Sending) | None => None,
                };
                self.count(now_in);
                (self.hands.events)(Event::Elsewhere { entry: id.clone(), now_in });
                return Ok(None);
            }
            if !told {
                told = true;
                (self.hands.events)(Event::Waiting { entry: id.clone() });
            }
            // There is nothing to be woken by: the other may be on another host.
            std::thread::sleep(LOOK);
            if recovered.elapsed() >= LOOK_FOR_DEAD {
                self.store.recover()?;
                recovered = Instant::now();
            }
        }
    }

    fn count(&mut self, folder: Option<Folder>) {
        *match folder {
            Some(Folder::Sent) => &mut self.tally.sent,
            Some(Folder::Failed) => &mut self.tally.failed,
            Some(Folder::New) => &mut self.tally.kept,
            Some(Folder::Held) | None => &mut self.tally.left,
        } += 1;
    }

    fn with_claim(&mut self, mut claim: Claim) -> Result<()> {
        // Needs no record of its own: until the next one, the disk says the same as before.
        claim.entry.record_interruption();
        // A process may have ended between the record of the answer and the move.
        match claim.entry.standing() {
            Standing::Delivered => return self.finish_delivered(claim),
            Standing::Refused => return self.settle(claim, Folder::Failed),
            Standing::Open => {}
        }
        let account = match account_for(&claim.entry, self.plan.accounts, self.plan.preferred) {
            Ok(account) => account,
            Err(missing) => return self.not_tried(claim, None, no_account(missing.as_deref())),
        };
        let blocked = self.blocked.iter().find(|(name, _)| *name == account.name);
        if let Some((_, failure)) = blocked {
            let diagnosis = diagnose(failure, &scene(account));
            return self.not_tried(claim, Some(account.name.clone()), diagnosis);
        }
        let recipients = claim.entry.recipients.clone().unwrap_or_else(|| {
            let (asked, mail) = (&claim.entry.addressing, self.plan.mail);
            choose_recipients(asked, mail, &account.address)
        });
        let attempt = self.attempt(&mut claim, account, &recipients);
        self.record(claim, account, attempt)
    }

    fn attempt(&mut self, claim: &mut Claim, account: &Account, recipients: &Recipients) -> Attempt {
        let entry = &claim.entry;
        let from_name = entry.addressing.from_name.clone().or_else(|| self.plan.mail.from_name.clone());
        let from = Mailbox { name: from_name, address: account.address.clone() };
        let head = Letterhead { entry, from, to: &recipients.to, cc: &recipients.cc };
        let prepared =
            (self.hands.secret)(account).map_err(|error| (Class::Settings, error)).and_then(|secret| {
                let headers = (self.hands.headers)(&head).map_err(|error| (Class::Transient, error))?;
                Ok((secret, headers))
            });
        let (secret, headers) = match prepared {
            Ok(prepared) => prepared,
            Err((class, error)) => {
                let failure = Failure { stage: Stage::Prepare, class, cause: Cause::local(&error) };
                let outcome = Outcome::Failed(failure);
                return Attempt { recipients: Vec::new(), outcome, elapsed: Duration::ZERO };
            }
        };
        let pending = recipients.pending();
        (self.hands.events)(Event::Started {
            entry: claim.entry.id.clone(),
            account: account.name.clone(),
            host: account.server.host.clone(),
            recipients: pending.clone(),
        });
        let body = claim.body();
        let job = Job { account, secret: &secret, recipients: &pending, headers, body: &body };
        let now = &mut *self.hands.now;
        let mut taken = Vec::new();
        (self.hands.send)(&job, &mut |progress| {
            match progress {
                Progress::Recipients(results) => {
                    taken = accepted(results);
                    claim.entry.record_verdicts(recipients, results);
                }
                Progress::BodySent => claim.entry.record_body_sent(&account.name, taken.clone(), now()),
                Progress::Accepted(receipt) => claim.entry.record_accepted(receipt, now()),
            }
            claim.save()
        })
    }

    fn record(&mut self, mut claim: Claim, account: &Account, attempt: Attempt) -> Result<()> {
        let now = (self.hands.now)();
        let Attempt { recipients: results, outcome, elapsed } = attempt;
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let name = account.name.clone();
        claim.entry.record_attempt(AttemptRecord {
            at: now,
            account: name.clone(),
            server: Some(contact(account)),
            form: claim.entry.form,
            outcome: outcome.clone(),
            elapsed_ms,
        });
        let class = worst(&outcome, &results);
        let kept = match (claim.entry.standing(), class) {
            (Standing::Delivered, _) => Folder::Sent,
            (Standing::Refused, _) => Folder::Failed,
            (Standing::Open, Some(class)) if !class.retryable() => Folder::Failed,
            (Standing::Open, _) => Folder::New,
        };
        claim.entry.next_try = match (kept, class) {
            (Folder::New, Some(class)) => next_try(class, claim.entry.attempt_count, now),
            _ => None,
        };
        if let Outcome::Failed(failure) = &outcome
            && failure.class.blocks_account(failure.stage)
        {
            self.blocked.push((name.clone(), failure.clone()));
        }
        let (entry, next) = (claim.entry.id.clone(), claim.entry.next_try);
        let scene = scene(account);
        let event = match outcome {
            Outcome::Failed(failure) => {
                let (diagnosis, refused) = (diagnose(&failure, &scene), refusals(&results, &scene));
                Event::NotSent { entry, account: Some(name), diagnosis, refused, kept, next_try: next }
            }
            Outcome::Unknown(failure) => {
                Event::Unknown { entry, account: name, diagnosis: diagnose(&failure, &scene), kept }
            }
            Outcome::Accepted { receipt } => {
                let sent = accepted(&results);
                let refused = refusals(&results, &scene);
                if refused.is_empty() {
                    let receipt = receipt.to_string();
                    Event::Sent { entry, account: name, recipients: sent, receipt, elapsed_ms }
                } else {
                    Event::PartlySent { entry, account: name, sent, refused, kept }
                }
            }
        };
        // Told before it is moved: that the server took it is true even if our disk then fails.
        (self.hands.events)(event);
        self.settle(claim, kept)
    }

    /// Nothing was tried: the account is missing, or its code was refused for an earlier mail.
    fn not_tried(&mut self, claim: Claim, account: Option<String>, diagnosis: Diagnosis) -> Result<()> {
        let (entry, kept) = (claim.entry.id.clone(), Folder::New);
        let next_try = claim.entry.next_try;
        let refused = Vec::new();
        (self.hands.events)(Event::NotSent { entry, account, diagnosis, refused, kept, next_try });
        self.settle(claim, kept)
    }

    fn finish_delivered(&mut self, claim: Claim) -> Result<()> {
        let states = claim.entry.recipients.iter().flat_map(|recipients| &recipients.states);
        let (mut recipients, mut by) = (Vec::new(), (String::new(), String::new()));
        for recipient in states {
            if let State::Accepted { account, receipt, .. } = &recipient.state {
                recipients.push(recipient.address.clone());
                by = (account.clone(), receipt.to_string());
            }
        }
        let entry = claim.entry.id.clone();
        let (account, receipt) = by;
        (self.hands.events)(Event::Sent { entry, account, recipients, receipt, elapsed_ms: 0 });
        self.settle(claim, Folder::Sent)
    }

    fn settle(&mut self, claim: Claim, folder: Folder) -> Result<()> {
        claim.settle(folder)?;
        self.count(Some(folder));
        Ok(())
    }
}
