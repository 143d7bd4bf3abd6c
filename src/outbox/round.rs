//! One entry's round over the accounts: whom to try, in which form, and what follows from it.

use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;

use super::accounts::{Turn, tag};
use super::choice::{accepted, accounts_for, choose_recipients, contact, refusals, scene, worst};
use super::drain::{Drain, Letterhead, Pick, Resting};
use super::entry::{AttemptRecord, Contact, Entry, Folder, GaveUp, Recipients, Standing, State};
use super::event::{Earlier, Event, Next};
use super::health::{Health, Permit};
use super::schedule::{counts, expired, next_form, next_try};
use super::store::Claim;
use crate::config::{Account, Mailbox, Secret};
use crate::deliver::diagnose::{Diagnosis, Scene, diagnose, no_account};
use crate::deliver::job::{Job, Progress};
use crate::deliver::verdict::{Attempt, Cause, Class, Failure, Outcome, RecipientResult, Stage};
use crate::error::{Error, Result};

/// What an account that may be used is used with.
pub(super) struct Ready {
    secret: Rc<Secret>,
    health: Health,
    tag: String,
    turn: Option<Turn>,
}

/// Why an account isn't used.
pub(super) enum Unready {
    /// It has to wait.
    Rests(Wait),
    /// Its code can't be had.
    Failed(Failure),
}

/// What an account waits for.
pub(super) struct Wait {
    pub failure: Failure,
    /// None: nothing comes by itself.
    pub until: Option<Timestamp>,
}

/// What an account made of the mail.
struct Tried {
    account: String,
    diagnosis: Diagnosis,
    results: Vec<RecipientResult>,
}

/// A round while it goes on.
struct Round {
    /// Was anything tried?
    tried: bool,
    /// Does it count for backoff and expiry?
    counts: bool,
    /// The last refusal, not told yet.
    last: Option<Tried>,
    /// Those before it.
    earlier: Vec<Earlier>,
    /// The first account that had to wait.
    rested: Option<Tried>,
    /// When an account may take it after all: the class that decides on that, and the time unless it
    /// follows from the number of rounds.
    waits: Vec<(Class, Option<Option<Timestamp>>)>,
    /// Someone took it for spam, who may take a lesser form.
    spam: bool,
    /// Those who found it too large, and may take a lesser form.
    too_large: Vec<String>,
}

impl Round {
    fn begin(entry: &Entry, now: Timestamp) -> Self {
        Self {
            tried: false,
            counts: counts(entry, now),
            last: None,
            earlier: Vec::new(),
            rested: None,
            waits: Vec::new(),
            spam: false,
            too_large: Vec::new(),
        }
    }

    /// The earliest time at which an account may take it, and why then. `None`: no account ever will.
    fn next(&self, rounds: u32, now: Timestamp) -> Option<(Class, Option<Timestamp>)> {
        let when = |(class, at): &(Class, Option<Option<Timestamp>>)| {
            (*class, at.unwrap_or_else(|| next_try(*class, rounds, now)))
        };
        // "Never by itself" comes last.
        self.waits.iter().map(when).min_by_key(|(_, at)| at.unwrap_or(Timestamp::MAX))
    }
}

/// Does the round end with this attempt?
enum Step {
    Over(Outcome, Vec<RecipientResult>),
    NextAccount,
}

impl Drain<'_, '_> {
    pub(super) fn with_claim(&mut self, mut claim: Claim) -> Result<()> {
        // Needs no record of its own: until the next one, the disk says the same as before.
        claim.entry.record_interruption();
        // A process may have ended between the record of the answer and the move.
        match claim.entry.standing() {
            Standing::Delivered => return self.finish_delivered(claim),
            Standing::Refused => {
                claim.entry.gave_up = Some(GaveUp::Refused);
                return self.settle(claim, Folder::Failed);
            }
            Standing::Open => {}
        }
        let plan = self.plan;
        let accounts = match accounts_for(&claim.entry, plan.accounts, plan.preferred) {
            Ok(accounts) => accounts,
            Err(missing) => return self.without_account(claim, no_account(missing.as_deref())),
        };
        let recipients = claim.entry.recipients.clone().unwrap_or_else(|| {
            // "To myself" is the mailbox of who is asked first, whoever sends it in the end.
            choose_recipients(&claim.entry.addressing, plan.mail, &accounts[0].address)
        });
        let mut round = Round::begin(&claim.entry, (self.hands.now)());
        let over = self.go_round(&mut claim, (&accounts, &recipients), &mut round);
        if let Some((account, outcome, results)) = over {
            return self.finish(claim, account, (outcome, results));
        }
        let smaller = claim.entry.lesser_form().filter(|_| !round.too_large.is_empty());
        if let Some(form) = smaller {
            claim.entry.form = form;
            let found = std::mem::take(&mut round.too_large);
            let again: Vec<&Account> = accounts.into_iter().filter(|a| found.contains(&a.name)).collect();
            if let Some((account, outcome, results)) =
                self.go_round(&mut claim, (&again, &recipients), &mut round)
            {
                return self.finish(claim, account, (outcome, results));
            }
        }
        self.put_off(claim, round)
    }

    /// Tries one account after the other. Some: the one with which it came to an end.
    fn go_round<'a>(
        &mut self,
        claim: &mut Claim,
        (accounts, recipients): (&[&'a Account], &Recipients),
        round: &mut Round,
    ) -> Option<(&'a Account, Outcome, Vec<RecipientResult>)> {
        for account in accounts {
            if claim.entry.refused_by.contains(&account.name) {
                continue;
            }
            match self.try_account(claim, (account, recipients), round) {
                Step::Over(outcome, results) => return Some((account, outcome, results)),
                Step::NextAccount => {}
            }
        }
        None
    }

    fn try_account(
        &mut self,
        claim: &mut Claim,
        (account, recipients): (&Account, &Recipients),
        round: &mut Round,
    ) -> Step {
        let ready = match self.ready_in_turn(account) {
            Ok(ready) => Ok(ready),
            Err(Unready::Failed(failure)) => Err(failure),
            Err(Unready::Rests(Wait { failure, until })) => {
                round.waits.push((failure.class, Some(until)));
                let diagnosis = diagnose(&failure, &scene(account));
                let (account, results) = (account.name.clone(), Vec::new());
                round.rested.get_or_insert(Tried { account, diagnosis, results });
                return Step::NextAccount;
            }
        };
        if let Some(Tried { account: from, diagnosis, .. }) = round.last.take()
            && from != account.name
        {
            let (entry, to) = (claim.entry.id.clone(), account.name.clone());
            round.earlier.push(Earlier { account: from.clone(), diagnosis: diagnosis.clone() });
            (self.hands.events)(Event::FailedOver { entry, account: from, to, diagnosis });
        }
        round.tried = true;
        let attempt = match ready {
            Ok(ready) => self.attempt_as(claim, (account, ready), recipients),
            Err(failure) => not_begun(account, failure),
        };
        self.learn(claim, (account, attempt), round)
    }

    /// May this account be used now?
    pub(super) fn ready(&mut self, account: &Account) -> std::result::Result<Ready, Unready> {
        if let Some(Resting { until, failure, .. }) = self.resting(account) {
            return Err(Unready::Rests(Wait { until: *until, failure: failure.clone() }));
        }
        let secret = match self.secrets.iter().find(|(name, _)| *name == account.name) {
            Some((_, secret)) => secret.clone(),
            None => {
                let secret =
                    Rc::new((self.hands.secret)(account).map_err(|error| self.no_secret(account, &error))?);
                self.secrets.push((account.name.clone(), secret.clone()));
                secret
            }
        };
        let health = self.store.health(account);
        let tag = tag(&health, account, &secret);
        match health.permit(&tag, (self.hands.now)(), self.plan.urgency) {
            Permit::Go => Ok(Ready { secret, health, tag, turn: None }),
            Permit::Wait { until, failure } => {
                let (name, rests) = (account.name.clone(), failure.clone());
                self.resting.push(Resting { account: name, until, failure: rests });
                Err(Unready::Rests(Wait { failure, until }))
            }
        }
    }

    /// May this account be used now, as far as others know who log in at this moment?
    fn ready_in_turn(&mut self, account: &Account) -> std::result::Result<Ready, Unready> {
        let ready = self.ready(account)?;
        let unreachable = ready.health.is_unreachable((self.hands.now)());
        if unreachable || self.logged_in.contains(&account.name) {
            return Ok(ready);
        }
        let turn = self.store.turn();
        let ready = self.ready(account)?;
        Ok(Ready { turn, ..ready })
    }

    /// Its code can't be had: nor can it for the next mail, and asking may take a while, or somebody's
    /// passphrase. That is a failure of the mail that is asked for. For what else lies there it isn't:
    /// the code may be in the environment of another process, that has left it to us.
    fn no_secret(&mut self, account: &Account, error: &Error) -> Unready {
        let failure = Failure { stage: Stage::Prepare, class: Class::Settings, cause: Cause::local(error) };
        let resting = Resting { account: account.name.clone(), until: None, failure: failure.clone() };
        self.resting.push(resting);
        match self.plan.pick {
            Pick::Only(_) | Pick::These(_) => Unready::Failed(failure),
            Pick::All(_) => Unready::Rests(Wait { failure, until: None }),
        }
    }

    /// Tries one account, and notes what that shows of it.
    fn attempt_as(
        &mut self,
        claim: &mut Claim,
        (account, ready): (&Account, Ready),
        recipients: &Recipients,
    ) -> Attempt {
        // Another's comes when what this one shows is noted.
        let Ready { secret, health: before, tag, mut turn } = ready;
        let mut health = before.clone();
        if health.reserve(&tag, (self.hands.now)()) {
            self.store.save_health(account, &health);
        }
        let reserved = health.clone();
        let attempt = self.attempt(claim, (account, &secret), recipients, &mut turn);
        if !attempt.recipients.is_empty() && !self.logged_in.contains(&account.name) {
            self.logged_in.push(account.name.clone());
        }
        health.learn(&before, &attempt, &tag, (self.hands.now)());
        if health != reserved {
            self.store.save_health(account, &health);
        }
        if let Outcome::Failed(failure) = &attempt.outcome
            && failure.class.blocks_account(failure.stage)
        {
            let by_class = next_try(failure.class, claim.entry.rounds + 1, (self.hands.now)());
            let until = match failure.class {
                Class::Credentials => health.next_use(),
                _ => health.next_use().or(by_class),
            };
            let (account, failure) = (account.name.clone(), failure.clone());
            self.resting.push(Resting { account, until, failure });
        }
        attempt
    }

    fn attempt(
        &mut self,
        claim: &mut Claim,
        (account, secret): (&Account, &Secret),
        recipients: &Recipients,
        turn: &mut Option<Turn>,
    ) -> Attempt {
        let entry = &claim.entry;
        let from_name = entry.addressing.from_name.clone().or_else(|| self.plan.mail.from_name.clone());
        let from = Mailbox { name: from_name, address: account.address.clone() };
        let subject = entry.subject_now();
        let head = Letterhead { entry, subject, from, to: &recipients.to, cc: &recipients.cc };
        let headers = match (self.hands.headers)(&head) {
            Ok(headers) => headers,
            Err(error) => {
                let (stage, class) = (Stage::Prepare, Class::Transient);
                return not_begun(account, Failure { stage, class, cause: Cause::local(&error) });
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
        let job = Job { account, secret, recipients: &pending, headers, body: &body };
        let now = &mut *self.hands.now;
        let mut taken = Vec::new();
        (self.hands.send)(&job, &mut |progress| {
            match progress {
                Progress::Recipients(results) => {
                    // The login went well: nobody need wait for the mail.
                    turn.take();
                    taken = accepted(results);
                    claim.entry.record_verdicts(recipients, results);
                }
                Progress::BodySent => claim.entry.record_body_sent(&account.name, taken.clone(), now()),
                Progress::Accepted(receipt) => claim.entry.record_accepted(receipt, now()),
            }
            claim.save()
        })
    }

    /// Records what an attempt came to, and says what follows for the round.
    fn learn(
        &mut self,
        claim: &mut Claim,
        (account, attempt): (&Account, Attempt),
        round: &mut Round,
    ) -> Step {
        let Attempt { recipients: results, outcome, endpoint, elapsed } = attempt;
        let name = account.name.clone();
        claim.entry.record_attempt(AttemptRecord {
            at: (self.hands.now)(),
            account: name.clone(),
            server: Some(Contact { port: endpoint.port, ..contact(account) }),
            form: claim.entry.form,
            outcome: outcome.clone(),
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        });
        let Outcome::Failed(failure) = &outcome else { return Step::Over(outcome, results) };
        if claim.entry.standing() != Standing::Open {
            return Step::Over(outcome, results);
        }
        let lesser = claim.entry.lesser_form().is_some();
        match failure.class {
            Class::Content if lesser => round.spam = true,
            Class::TooLarge if lesser => round.too_large.push(name.clone()),
            Class::Content | Class::TooLarge | Class::Permanent => claim.entry.refused_by.push(name.clone()),
            class => {
                let rests = self.resting(account).map(|resting| resting.until);
                let fixed = rests.filter(|_| class != Class::Transient && class != Class::Settings);
                round.waits.push((class, fixed));
            }
        }
        let diagnosis = diagnose(failure, &Scene { port: endpoint.port, ..scene(account) });
        round.last = Some(Tried { account: name, diagnosis, results });
        // Another account must not send it before this is on record; a disk that can't take that is told
        // when the round is over.
        if claim.save().is_err() {
            return Step::Over(outcome, round.last.take().map(|tried| tried.results).unwrap_or_default());
        }
        Step::NextAccount
    }

    /// The round came to an end with this account: the mail is delivered, or may be, or nobody is left
    /// who would take it.
    fn finish(
        &mut self,
        mut claim: Claim,
        account: &Account,
        (outcome, results): (Outcome, Vec<RecipientResult>),
    ) -> Result<()> {
        let now = (self.hands.now)();
        let class = worst(&outcome, &results);
        let entry = &mut claim.entry;
        let mut kept = match (entry.standing(), class) {
            (Standing::Delivered, _) => Folder::Sent,
            (Standing::Refused, _) => Folder::Failed,
            (Standing::Open, Some(class)) if !class.retryable() => Folder::Failed,
            (Standing::Open, _) => Folder::New,
        };
        (entry.next_try, entry.waits, entry.gave_up) = (None, None, None);
        match kept {
            Folder::New => {
                entry.rounds += u32::from(counts(entry, now));
                entry.waits = class;
                entry.next_try = class.and_then(|class| next_try(class, entry.rounds, now));
                if expired(entry, now, false) {
                    (entry.gave_up, kept) = (Some(GaveUp::Expired), Folder::Failed);
                }
            }
            Folder::Failed => entry.gave_up = Some(GaveUp::Refused),
            Folder::Sent | Folder::Held => {}
        }
        let next = next_of(entry, true);
        let port = entry.attempts.last().and_then(|attempt| Some(attempt.server.as_ref()?.port));
        let scene = Scene { port: port.unwrap_or(account.server.port), ..scene(account) };
        let (entry, name) = (entry.id.clone(), account.name.clone());
        let refused = refusals(&results, &scene);
        let event = match outcome {
            Outcome::Failed(failure) => {
                let diagnosis = diagnose(&failure, &scene);
                Event::NotSent {
                    entry,
                    account: Some(name),
                    diagnosis,
                    earlier: Vec::new(),
                    refused,
                    kept,
                    next,
                }
            }
            Outcome::Unknown(failure) => {
                Event::Unknown { entry, account: name, diagnosis: diagnose(&failure, &scene), kept, next }
            }
            Outcome::Accepted { receipt } if refused.is_empty() => Event::Sent {
                entry,
                account: name,
                recipients: accepted(&results),
                receipt: receipt.to_string(),
                elapsed_ms: claim.entry.attempts.last().map_or(0, |attempt| attempt.elapsed_ms),
            },
            Outcome::Accepted { .. } => {
                Event::PartlySent { entry, account: name, sent: accepted(&results), refused, kept }
            }
        };
        // Told before it is moved: that the server took it is true even if our disk then fails.
        (self.hands.events)(event);
        self.settle(claim, kept)
    }

    /// No account has taken it in this round.
    fn put_off(&mut self, mut claim: Claim, mut round: Round) -> Result<()> {
        let now = (self.hands.now)();
        let entry = &mut claim.entry;
        entry.rounds += u32::from(round.tried && round.counts);
        if round.spam {
            // Another account may have asked for the lesser form in this round: to whom took the full one
            // for spam it is new all the same.
            entry.form = entry.lesser_form().unwrap_or(entry.form);
            round.waits.push((Class::Content, Some(next_form(now))));
        }
        let next = round.next(entry.rounds, now);
        entry.waits = next.map(|(class, _)| class);
        entry.next_try = next.and_then(|(_, at)| at);
        entry.gave_up = match next {
            None => Some(GaveUp::Refused),
            Some((_, at)) => expired(entry, now, at.is_none()).then_some(GaveUp::Expired),
        };
        let kept = if entry.gave_up.is_some() { Folder::Failed } else { Folder::New };
        // Nobody was asked, if those who have not refused it yet are gone from notify.toml.
        let told = round.last.or(round.rested).or_else(|| self.last_refusal(&claim.entry));
        let entry = &mut claim.entry;
        if let Some(Tried { account, diagnosis, results }) = told {
            let scene = self.plan.accounts.iter().find(|known| known.name == account).map(scene);
            let refused = scene.map(|scene| refusals(&results, &scene)).unwrap_or_default();
            let (next, entry) = (next_of(entry, round.tried), entry.id.clone());
            self.told.push(account.clone());
            let (account, earlier) = (Some(account), round.earlier);
            (self.hands.events)(Event::NotSent { entry, account, diagnosis, earlier, refused, kept, next });
        }
        self.settle(claim, kept)
    }

    /// Why the entry was refused when it was tried last.
    fn last_refusal(&self, entry: &Entry) -> Option<Tried> {
        entry.attempts.iter().rev().find_map(|attempt| {
            let Outcome::Failed(failure) = &attempt.outcome else { return None };
            let account = self.plan.accounts.iter().find(|known| known.name == attempt.account)?;
            let (account, diagnosis) = (account.name.clone(), diagnose(failure, &scene(account)));
            Some(Tried { account, diagnosis, results: Vec::new() })
        })
    }

    /// There is nobody to send it with. It doesn't wait for ever for an account that isn't there any more.
    fn without_account(&mut self, mut claim: Claim, diagnosis: Diagnosis) -> Result<()> {
        let entry = &mut claim.entry;
        entry.gave_up = expired(entry, (self.hands.now)(), true).then_some(GaveUp::Expired);
        let kept = if entry.gave_up.is_some() { Folder::Failed } else { Folder::New };
        let (entry, next) = (entry.id.clone(), next_of(entry, false));
        let (earlier, refused) = (Vec::new(), Vec::new());
        (self.hands.events)(Event::NotSent { entry, account: None, diagnosis, earlier, refused, kept, next });
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
}

fn not_begun(account: &Account, failure: Failure) -> Attempt {
    let (outcome, endpoint) = (Outcome::Failed(failure), account.server.endpoint());
    Attempt { recipients: Vec::new(), outcome, endpoint, elapsed: Duration::ZERO }
}

fn next_of(entry: &Entry, tried: bool) -> Next {
    Next { tried, at: entry.next_try, class: entry.waits, form: entry.form, gave_up: entry.gave_up }
}
