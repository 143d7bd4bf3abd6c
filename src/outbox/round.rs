//! One entry's round over the accounts: whom to try, in which form, and what follows from each try. The
//! try itself is `attempt`'s, the end of the round `conclude`'s.

use jiff::Timestamp;

use super::attempt::{Unready, Wait, not_begun};
use super::choice::{accounts_for, choose_recipients, contact, scene};
use super::drain::Drain;
use super::entry::{AttemptRecord, Contact, Entry, Folder, GaveUp, Recipients, Standing};
use super::event::{Earlier, Event};
use super::remake::{MOST_REMAKES, Target};
use super::schedule::{counts, next_try};
use super::store::Claim;
use crate::config::Account;
use crate::deliver::diagnose::{Diagnosis, Scene, diagnose, no_account};
use crate::deliver::verdict::{Attempt, Class, Outcome, RecipientResult};
use crate::error::Result;

/// What an account made of the mail.
pub(super) struct Tried {
    pub account: String,
    pub diagnosis: Diagnosis,
    pub results: Vec<RecipientResult>,
}

/// A round while it goes on.
pub(super) struct Round {
    /// Was anything tried?
    pub tried: bool,
    /// Does it count for backoff and expiry?
    pub counts: bool,
    /// The last refusal, not told yet.
    pub last: Option<Tried>,
    /// Those before it.
    pub earlier: Vec<Earlier>,
    /// The first account that had to wait.
    pub rested: Option<Tried>,
    /// When an account may take it after all: the class that decides on that, and the time unless it
    /// follows from the number of rounds.
    pub waits: Vec<(Class, Option<Option<Timestamp>>)>,
    /// Someone took it for spam, who may take a lesser form.
    pub spam: bool,
    /// Those who found it too large, and may take a smaller mail or a lesser form.
    pub too_large: Vec<(String, Target)>,
    /// How often it was made smaller.
    pub remakes: u32,
    /// The disk doesn't take what was learnt: nobody else is asked in this round.
    pub unrecorded: bool,
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
            remakes: 0,
            unrecorded: false,
        }
    }

    /// The earliest time at which an account may take it, and why then. `None`: no account ever will.
    pub(super) fn next(&self, rounds: u32, now: Timestamp) -> Option<(Class, Option<Timestamp>)> {
        let when = |(class, at): &(Class, Option<Option<Timestamp>>)| {
            (*class, at.unwrap_or_else(|| next_try(*class, rounds, now)))
        };
        // "Never by itself" comes last.
        self.waits.iter().map(when).min_by_key(|(_, at)| at.unwrap_or(Timestamp::MAX))
    }
}

/// Does the round end with this attempt?
pub(super) enum Step {
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
        while !round.unrecorded && !round.too_large.is_empty() && self.step_down(&mut claim, &mut round) {
            let found = std::mem::take(&mut round.too_large);
            let found = |account: &&&Account| found.iter().any(|(name, _)| *name == account.name);
            let again: Vec<&Account> = accounts.iter().filter(found).copied().collect();
            if let Some((account, outcome, results)) =
                self.go_round(&mut claim, (&again, &recipients), &mut round)
            {
                return self.finish(claim, account, (outcome, results));
            }
        }
        self.put_off(claim, round)
    }

    /// Makes the mail smaller for those who found it too large: first with less of its log, each time for who
    /// takes most; then as the lesser form. False: there is none.
    fn step_down(&mut self, claim: &mut Claim, round: &mut Round) -> bool {
        let Some(form) = claim.entry.lesser_form() else { return false };
        let target = round.too_large.iter().map(|(_, target)| *target).max_by_key(|target| target.bytes());
        if round.remakes < MOST_REMAKES
            && target.is_some_and(|target| claim.make_smaller(target, self.hands.smaller))
        {
            round.remakes += 1;
            return true;
        }
        claim.entry.form = form;
        true
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
                Step::NextAccount if round.unrecorded => return None,
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

    /// Records what an attempt came to, and says what follows for the round.
    fn learn(
        &mut self,
        claim: &mut Claim,
        (account, attempt): (&Account, Attempt),
        round: &mut Round,
    ) -> Step {
        let Attempt { recipients: results, outcome, endpoint, elapsed } = attempt;
        let name = account.name.clone();
        let bytes = Some(claim.size()).filter(|bytes| *bytes > 0);
        claim.entry.record_attempt(AttemptRecord {
            at: (self.hands.now)(),
            account: name.clone(),
            server: Some(Contact { port: endpoint.port, ..contact(account) }),
            form: claim.entry.form,
            bytes,
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
            Class::TooLarge if lesser => {
                round.too_large.push((name.clone(), Target::of(&failure.cause, claim.size())));
            }
            Class::Content | Class::TooLarge | Class::Permanent => claim.entry.refused_by.push(name.clone()),
            class => {
                let rests = self.resting(account).map(|resting| resting.until);
                let fixed = rests.filter(|_| class != Class::Transient && class != Class::Settings);
                round.waits.push((class, fixed));
            }
        }
        let diagnosis = diagnose(failure, &Scene { port: endpoint.port, ..scene(account) });
        round.last = Some(Tried { account: name, diagnosis, results });
        // Another account must not send it before this is on record. A disk that can't take that is told
        // when the round is over; what the others say is for the next one.
        if claim.save().is_err() {
            round.unrecorded = true;
            round.waits.push((Class::Transient, None));
        }
        Step::NextAccount
    }
}
