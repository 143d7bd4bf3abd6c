//! May an account be used now, and one try with it.

use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;

use super::accounts::{Turn, tag};
use super::choice::accepted;
use super::drain::{Drain, Letterhead, Pick, Resting};
use super::entry::Recipients;
use super::event::Event;
use super::health::{Health, Permit};
use super::schedule::next_try;
use super::store::Claim;
use crate::config::{Account, Mailbox, Secret};
use crate::deliver::job::{Job, Progress};
use crate::deliver::verdict::{Attempt, Cause, Class, Failure, Outcome, Stage};
use crate::error::Error;

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

impl Drain<'_, '_> {
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
    pub(super) fn ready_in_turn(&mut self, account: &Account) -> std::result::Result<Ready, Unready> {
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
    pub(super) fn attempt_as(
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
}

pub(super) fn not_begun(account: &Account, failure: Failure) -> Attempt {
    let (outcome, endpoint) = (Outcome::Failed(failure), account.server.endpoint());
    Attempt { recipients: Vec::new(), outcome, endpoint, elapsed: Duration::ZERO }
}
