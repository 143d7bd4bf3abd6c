//! Taking what waits in the outbox, and trying once to deliver each.
//!
//! The same path serves the first try of a new mail and `outbox flush`. What happened is told as
//! [`Event`]s, since the process that sends may not be the one that prints. What is done with one entry
//! is `round`'s.

use std::rc::Rc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::attempt::{Unready, Wait};
use super::choice::{accounts_for, scene};
use super::entry::{Entry, EntryId, Folder, Whose};
use super::event::{Event, Next, Tally};
use super::remake::Remake;
use super::schedule::{Urgency, expired, is_due};
use super::store::{Claim, Place, Store};
use crate::config::{Account, MailSettings, Mailbox, Secret};
use crate::deliver::diagnose::{Diagnosis, diagnose};
use crate::deliver::job::{Job, Ledger};
use crate::deliver::verdict::{Attempt, Class, Failure};
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
    /// These, in this order.
    These(Vec<EntryId>),
}

/// What to send and as whom.
#[derive(Debug)]
pub struct Plan<'a> {
    pub pick: Pick,
    pub urgency: Urgency,
    /// In the order of `notify.toml`.
    pub accounts: &'a [Account],
    /// `account` of the settings.
    pub preferred: Option<&'a str>,
    /// Recipients and sender's name for entries that don't say.
    pub mail: &'a MailSettings,
    /// How long to wait for an entry that another process is sending.
    pub wait: Duration,
    /// No entry is begun later than this after the first; None: all are.
    pub bound: Option<Duration>,
}

/// What stands in front of the body: for the header block.
#[derive(Debug)]
pub struct Letterhead<'a> {
    pub entry: &'a Entry,
    pub subject: &'a str,
    pub from: Mailbox,
    pub to: &'a [Mailbox],
    pub cc: &'a [Mailbox],
}

/// Reads an account's code.
pub type ReadSecret<'a> = &'a mut dyn FnMut(&Account) -> Result<Secret>;
/// Makes the header block, lines ending in CRLF.
pub type WriteHeaders<'a> = &'a mut dyn FnMut(&Letterhead<'_>) -> Result<Vec<u8>>;
/// Makes one try; `deliver::courier::Courier::attempt`.
pub type SendMail<'a> = &'a mut dyn FnMut(&Job<'_>, Ledger<'_>) -> Attempt;

/// Makes the body of a mail anew, not larger than the remake says.
pub type MakeSmaller<'a> = &'a mut dyn FnMut(&Entry, &Remake) -> Result<()>;

/// The world outside, as the caller gives it.
#[allow(missing_debug_implementations, reason = "closures have nothing to show")]
pub struct Hands<'a> {
    pub now: &'a mut dyn FnMut() -> Timestamp,
    pub secret: ReadSecret<'a>,
    pub headers: WriteHeaders<'a>,
    pub send: SendMail<'a>,
    pub smaller: MakeSmaller<'a>,
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
        Pick::These(ids) => ids.clone(),
        Pick::Only(id) if store.find(id)?.is_some() => vec![id.clone()],
        Pick::Only(id) => {
            return Err(Error::new(Kind::NotFound, format!("there is no mail {id} in the outbox"))
                .hint("`notify-done outbox list` shows what there is"));
        }
    };
    let begin = Instant::now();
    let mut drain = Drain {
        store,
        plan,
        hands,
        resting: Vec::new(),
        secrets: Vec::new(),
        logged_in: Vec::new(),
        told: Vec::new(),
        tally: Tally::default(),
    };
    let mut busy = Vec::new();
    for id in ids {
        if plan.bound.is_some_and(|bound| begin.elapsed() > bound) {
            drain.tally.later += 1;
            continue;
        }
        match drain.one(&id) {
            Ok(Had::Here) => {}
            Ok(Had::Elsewhere) => busy.push(id),
            Err(error) => drain.trouble(id, &error),
        }
    }
    // Last, so that several that drain at once share the work.
    for id in busy {
        if let Err(error) = drain.one_of_another(&id) {
            drain.trouble(id, &error);
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

/// An account that the next mail would fare no better with.
pub(super) struct Resting {
    pub account: String,
    /// When it may be used by itself; None: not before something is mended.
    pub until: Option<Timestamp>,
    pub failure: Failure,
}

/// In whose hands a mail was.
enum Had {
    /// Ours: it is done with.
    Here,
    /// Another process's.
    Elsewhere,
}

/// Why a mail isn't even begun.
struct Reason {
    account: String,
    diagnosis: Diagnosis,
    until: Option<Timestamp>,
    class: Class,
}

pub(super) struct Drain<'a, 'h> {
    pub store: &'a Store,
    pub plan: &'a Plan<'a>,
    pub hands: &'a mut Hands<'h>,
    /// A code that was refused must not be tried again for each mail that waits: providers lock
    /// accounts for that. Nor is each to wait for a server that doesn't answer.
    pub resting: Vec<Resting>,
    /// Codes by the account's name. A command that prints one may take a while.
    pub secrets: Vec<(String, Rc<Secret>)>,
    /// Accounts whose code was found good.
    pub logged_in: Vec<String>,
    /// Accounts of which it was said that they rest.
    pub told: Vec<String>,
    pub tally: Tally,
}

impl Drain<'_, '_> {
    fn one(&mut self, id: &EntryId) -> Result<Had> {
        if self.can_wait(id) {
            return Ok(Had::Here);
        }
        match self.store.claim(id)? {
            Some(claim) => self.keeping_it(claim).map(|()| Had::Here),
            None => Ok(Had::Elsewhere),
        }
    }

    /// Waits until another process is through with it; tries it, when that comes to nothing.
    fn one_of_another(&mut self, id: &EntryId) -> Result<()> {
        match self.wait_for(id)? {
            Some(claim) => self.keeping_it(claim),
            None => Ok(()),
        }
    }

    fn keeping_it(&mut self, claim: Claim) -> Result<()> {
        match claim.heartbeat() {
            Ok(_alive) => self.with_claim(claim),
            Err(error) => claim.settle(Folder::New).and(Err(error)),
        }
    }

    fn trouble(&mut self, entry: EntryId, error: &Error) {
        self.tally.left += 1;
        let hint = error.hints.first().cloned();
        (self.hands.events)(Event::Trouble { entry, message: error.to_string(), hint });
    }

    /// Is there nothing to be done with it now? Seen without taking it, so that thousands that wait cost
    /// nothing. Who asks for one entry is told why it waits.
    fn can_wait(&mut self, id: &EntryId) -> bool {
        let Ok(entry) = self.store.load(Folder::New, id) else { return false };
        // What a process that died has left unsaid is to be put right.
        if entry.in_flight.is_some() || !matches!(self.plan.pick, Pick::All(_)) {
            return false;
        }
        let now = (self.hands.now)();
        if !is_due(&entry, now, self.plan.urgency) {
            self.tally.later += 1;
            return true;
        }
        let accounts = accounts_for(&entry, self.plan.accounts, self.plan.preferred).unwrap_or_default();
        let Some(reason) = self.all_rest(&entry, &accounts) else { return false };
        if expired(&entry, now, reason.until.is_none()) {
            return false;
        }
        self.tally.kept += 1;
        self.tell_rest(&entry, &reason);
        true
    }

    /// Why none of these may be used now; None: one may.
    fn all_rest(&mut self, entry: &Entry, accounts: &[&Account]) -> Option<Reason> {
        let mut reason: Option<Reason> = None;
        for account in accounts.iter().filter(|account| !entry.refused_by.contains(&account.name)) {
            let Err(Unready::Rests(Wait { failure, until })) = self.ready(account) else { return None };
            let reason = reason.get_or_insert_with(|| {
                let diagnosis = diagnose(&failure, &scene(account));
                Reason { account: account.name.clone(), diagnosis, until, class: failure.class }
            });
            // The first says why, the earliest when.
            if until.is_some_and(|until| reason.until.is_none_or(|known| until < known)) {
                (reason.until, reason.class) = (until, failure.class);
            }
        }
        reason
    }

    /// Once for each account: it is the same for all that wait.
    fn tell_rest(&mut self, entry: &Entry, reason: &Reason) {
        if self.told.contains(&reason.account) {
            return;
        }
        self.told.push(reason.account.clone());
        let Reason { account, diagnosis, until, class } = reason;
        let (form, gave_up) = (entry.form, None);
        (self.hands.events)(Event::NotSent {
            entry: entry.id.clone(),
            account: Some(account.clone()),
            diagnosis: diagnosis.clone(),
            earlier: Vec::new(),
            refused: Vec::new(),
            kept: Folder::New,
            next: Next { tried: false, at: *until, class: Some(*class), form, gave_up },
        });
    }

    pub(super) fn resting(&self, account: &Account) -> Option<&Resting> {
        self.resting.iter().find(|resting| resting.account == account.name)
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

    pub(super) fn count(&mut self, folder: Option<Folder>) {
        *match folder {
            Some(Folder::Sent) => &mut self.tally.sent,
            Some(Folder::Failed) => &mut self.tally.failed,
            Some(Folder::New) => &mut self.tally.kept,
            Some(Folder::Held) | None => &mut self.tally.left,
        } += 1;
    }

    pub(super) fn settle(&mut self, claim: Claim, folder: Folder) -> Result<()> {
        claim.settle(folder)?;
        self.count(Some(folder));
        Ok(())
    }
}
