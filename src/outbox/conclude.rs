//! The end of a round: what is recorded and told, and where the entry goes.

use super::choice::{accepted, refusals, scene, worst};
use super::drain::Drain;
use super::entry::{Entry, Folder, GaveUp, Standing, State};
use super::event::{Event, Next};
use super::round::{Round, Tried};
use super::schedule::{counts, expired, next_form, next_try};
use super::store::Claim;
use crate::config::Account;
use crate::deliver::diagnose::{Diagnosis, Scene, diagnose};
use crate::deliver::verdict::{Class, Outcome, RecipientResult};
use crate::error::Result;

impl Drain<'_, '_> {
    /// The round came to an end with this account: the mail is delivered, or may be, or nobody is left
    /// who would take it.
    pub(super) fn finish(
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
    pub(super) fn put_off(&mut self, mut claim: Claim, mut round: Round) -> Result<()> {
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
    pub(super) fn without_account(&mut self, mut claim: Claim, diagnosis: Diagnosis) -> Result<()> {
        let entry = &mut claim.entry;
        entry.gave_up = expired(entry, (self.hands.now)(), true).then_some(GaveUp::Expired);
        let kept = if entry.gave_up.is_some() { Folder::Failed } else { Folder::New };
        let (entry, next) = (entry.id.clone(), next_of(entry, false));
        let (earlier, refused) = (Vec::new(), Vec::new());
        (self.hands.events)(Event::NotSent { entry, account: None, diagnosis, earlier, refused, kept, next });
        self.settle(claim, kept)
    }

    pub(super) fn finish_delivered(&mut self, claim: Claim) -> Result<()> {
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

fn next_of(entry: &Entry, tried: bool) -> Next {
    Next { tried, at: entry.next_try, class: entry.waits, form: entry.form, gave_up: entry.gave_up }
}
