//! Going on with what a first try left in the outbox: by the mailer for a while after its run, and
//! within a bound by each start. In silence: nobody's terminal is ours here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::common::Context;
use super::missing;
use super::outbox::drain_telling;
use crate::config::{Loaded, Overrides, Settings};
use crate::deliver::verdict::Class;
use crate::outbox::drain::{Pick, Plan};
use crate::outbox::entry::{Entry, EntryId, Folder, Whose};
use crate::outbox::event::Tally;
use crate::outbox::schedule::{Urgency, is_past, next_try, untried_until};
use crate::outbox::store::{Place, Store};
use crate::run::facts::RunId;
use crate::sys::fs::{create_private, open_ours};
use crate::sys::{best_effort, clock, paths, process, signals};

/// What lies there from earlier is sent for so long, when a run begins and after its own mail.
const BOUND: Duration = Duration::from_secs(60);
/// How often to look for what other processes have put there.
const LOOK: SignedDuration = SignedDuration::from_secs(30);
/// A process's last look at the outbox, and its end, take less.
const LAST_LOOK: Duration = Duration::from_secs(2);
/// There while some process waits for what becomes due.
const LOCK: &str = "background.lock";

/// What a run does for others once it is on record: makes the notices that nobody lived to make, and
/// sends what is due of what lies in the outbox.
pub fn look_after_others(context: &Context, own: &RunId) {
    missing::make_and_send(context, own);
    for root in paths::existing_state_roots() {
        let outbox = root.join("outbox");
        // Nothing is made where nothing is.
        let waits =
            std::fs::read_dir(outbox.join(Folder::New.name())).is_ok_and(|mut new| new.next().is_some());
        if waits && let Ok(store) = Store::open(outbox) {
            Background::new(context, &store).send_what_is_due();
        }
    }
}

/// Who has the code that a mail needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeOf {
    /// It is in the environment of this one, and another may lack it.
    ThisProcess,
    Anybody,
}

/// The outbox of a state folder.
#[derive(Debug)]
pub struct Background<'a> {
    context: &'a Context,
    store: &'a Store,
}

impl<'a> Background<'a> {
    pub fn new(context: &'a Context, store: &'a Store) -> Self {
        Self { context, store }
    }

    /// Sends what is due, each by the notify.toml that its run was given.
    pub fn send_what_is_due(&self) {
        let Ok(files) = self.store.files_named() else { return };
        for file in files {
            let Some(settings) = self.settings_for(file.as_deref()) else { continue };
            self.drain(Pick::All(Whose::Under(file)), &settings);
        }
    }

    /// Waits for `own` and its like to become due, and tries them, until they are through or
    /// `keep_trying` is over since they were made.
    ///
    /// One process does it for all: the others leave theirs to it, unless it may lack the code that
    /// theirs need.
    pub fn keep_trying(&self, own: &EntryId, code: CodeOf, keep_trying: Duration) {
        let Ok(patience) = SignedDuration::try_from(keep_trying) else { return };
        signals::put_term_off();
        if code == CodeOf::ThisProcess {
            self.serve(|| vec![own.clone()], patience, || self.send_own(own));
            return;
        }
        let Some(_lock) = self.lock() else { return };
        self.serve(|| self.young(patience), patience, || self.send_what_is_due());
    }

    /// By the settings as they are now, with what its run was told.
    fn send_own(&self, own: &EntryId) {
        let loaded = self.context.load();
        if !loaded.unusable() {
            self.drain(Pick::Only(own.clone()), &loaded.settings);
        }
    }

    /// Sends what becomes due of these, until none will in its time.
    fn serve(&self, ids: impl Fn() -> Vec<EntryId>, patience: SignedDuration, send: impl Fn()) {
        let mut vain = Vain::default();
        loop {
            let now = clock::now();
            let Some(next) = next(&self.waiting(&ids(), now), &vain, patience, now) else { return };
            if next <= now {
                send();
                let now = clock::now();
                vain.note(&self.waiting(&ids(), now), now);
                continue;
            }
            // By steps, since the clock may be set, the machine sleep, and others add theirs.
            let step = next.duration_since(now).min(LOOK);
            signals::heed_term(|| best_effort(process::poll(&mut [], Duration::try_from(step).ok())));
        }
    }

    fn drain(&self, pick: Pick, settings: &Settings) -> Tally {
        let plan = Plan {
            pick,
            urgency: Urgency::Due,
            accounts: &settings.accounts,
            preferred: settings.account.as_deref(),
            mail: &settings.mail,
            wait: Duration::ZERO,
            bound: Some(BOUND),
        };
        let lang = self.context.lang(settings);
        // What can't be read now is found again.
        let tally = drain_telling(self.store, &plan, lang, &mut |_| {}).unwrap_or_default();
        if tally.failed > 0 {
            self.store.note_untold();
        }
        tally
    }

    /// None: nothing can be sent by these settings.
    fn settings_for(&self, file: Option<&Path>) -> Option<Settings> {
        let context = self.context.for_others().for_run(Overrides::default());
        let context = match file {
            Some(file) => context.with_config(file),
            None => context,
        };
        let loaded: Loaded = context.load();
        (!loaded.unusable() && !loaded.settings.accounts.is_empty()).then_some(loaded.settings)
    }

    /// Those that wait or are being sent, and whose time of being tried isn't over. By their ids, which begin with the time.
    fn young(&self, patience: SignedDuration) -> Vec<EntryId> {
        // What can't be read now is looked for again in a while, or by the next start.
        let (mut ids, now) = (self.store.list(Folder::New).unwrap_or_default(), clock::now());
        ids.extend(self.store.sending().unwrap_or_default());
        ids.sort_by(|one, other| other.cmp(one));
        ids.dedup();
        let age = |id: &EntryId| {
            self.store.load(Folder::New, id).ok().map(|entry| now.duration_since(born(&entry)))
        };
        // Those from before the clock was set back come first.
        let from_now = ids.into_iter().skip_while(|id| age(id).is_some_and(|age| age <= -patience));
        from_now.take_while(|id| age(id).is_none_or(|age| age < patience)).collect()
    }

    /// Those of these that will be due by themselves, or may be: what another process is sending comes back
    /// if that fails, or dies.
    fn waiting(&self, ids: &[EntryId], now: Timestamp) -> Vec<Waiting> {
        let of = |id: &EntryId| {
            let seen = self.store.look(id, Place::In(Folder::New)).ok()??;
            let entry = seen.entry.ok()?;
            let due = match seen.place {
                Place::In(Folder::New) => due(&entry, now)?,
                Place::Sending => now,
                Place::In(_) => return None,
            };
            Some(Waiting { due, born: born(&entry), id: entry.id })
        };
        ids.iter().filter_map(of).collect()
    }

    /// None: another process has it. Asked twice, since that one may have had its last look just before
    /// ours was there.
    fn lock(&self) -> Option<File> {
        self.try_lock().or_else(|| {
            signals::heed_term(|| best_effort(process::poll(&mut [], Some(LAST_LOOK))));
            self.try_lock()
        })
    }

    fn try_lock(&self) -> Option<File> {
        let path = self.store.beside(LOCK);
        let file = match create_private(&path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                open_ours(&path).and_then(|_| File::options().write(true).open(&path)).ok()?
            }
            made => made.ok()?,
        };
        // Where there are no locks each waits for itself: claims keep them apart.
        (!matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock))).then_some(file)
    }
}

/// An entry that waits for its time.
#[derive(Debug)]
struct Waiting {
    id: EntryId,
    due: Timestamp,
    born: Timestamp,
}

/// What was due and still is after a try: its account rests or is gone, notify.toml can't be used, the
/// disk is full, another process has it. How often, and when it is tried again.
#[derive(Debug, Default)]
struct Vain(BTreeMap<EntryId, (u32, Timestamp)>);

impl Vain {
    /// Notes what is still due when all that was due has been tried.
    fn note(&mut self, waiting: &[Waiting], now: Timestamp) {
        let mut before = std::mem::take(&mut self.0);
        for Waiting { id, .. } in waiting.iter().filter(|waiting| waiting.due <= now) {
            let tries = before.remove(id).map_or(0, |(tries, _)| tries).saturating_add(1);
            let again = next_try(Class::Transient, tries, now).unwrap_or(Timestamp::MAX);
            self.0.insert(id.clone(), (tries, again));
        }
    }
}

/// When the first of these is to be tried; None: none is in its time.
fn next(waiting: &[Waiting], vain: &Vain, patience: SignedDuration, now: Timestamp) -> Option<Timestamp> {
    let tried = |Waiting { id, due, .. }: &Waiting| match vain.0.get(id) {
        Some((_, again)) if *due <= now && !is_past(*again, now) => *again,
        _ => (*due).max(now),
    };
    // A clock that was set back makes none wait for years.
    let in_time = |born: Timestamp, at: Timestamp| at.duration_since(born).abs() < patience;
    waiting
        .iter()
        .map(|it| (it.born, tried(it)))
        .filter(|(born, at)| in_time(*born, *at))
        .map(|(_, at)| at)
        .min()
}

/// Since when it is tried.
fn born(entry: &Entry) -> Timestamp {
    entry.revived.unwrap_or(entry.created)
}

/// When it is to be tried again; None: not by itself.
fn due(entry: &Entry, now: Timestamp) -> Option<Timestamp> {
    match entry.next_try {
        Some(next) if is_past(next, now) => Some(now),
        Some(next) => Some(next),
        None => untried_until(entry),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    fn waiting(id: &str, due: i64) -> Waiting {
        Waiting { id: EntryId::parse(id).unwrap(), due: at(due), born: at(0) }
    }

    /// Catches: a process that goes round and round at full speed, deaf to TERM, for a mail that is due and
    /// that nobody can send: notify.toml is broken, or its account rests or is gone.
    #[test]
    fn what_was_tried_in_vain_is_tried_further_and_further_apart() {
        let (mut vain, mut now, mut tries) = (Vain::default(), at(1), Vec::new());
        let all = |now| [waiting("stuck", 1), Waiting { due: now, ..waiting("stuck-too", 1) }];
        while let Some(next) = next(&all(now), &vain, HOUR, now) {
            if next <= now {
                tries.push(now.as_second() / 60);
                vain.note(&all(now), now);
            }
            now = next;
        }
        assert_eq!(tries, [1, 2, 4, 8, 16, 32]);
    }

    /// Catches: a mail that waits longer since another can't be sent, a count that outlives its reason.
    #[test]
    fn the_others_are_tried_when_they_are_due() {
        let mut vain = Vain::default();
        for minute in [1, 2, 4, 8] {
            vain.note(&[waiting("stuck", 1), waiting("later", 20)], at(minute));
        }
        let both = |later| [waiting("stuck", 1), waiting("later", later)];
        assert_eq!(next(&both(10), &vain, HOUR, at(9)), Some(at(10)));
        assert_eq!(next(&both(10), &vain, HOUR, at(11)), Some(at(11)));
        assert_eq!(next(&both(20), &vain, HOUR, at(9)), Some(at(16)));
        vain.note(&[waiting("stuck", 17)], at(16));
        vain.note(&[waiting("stuck", 17)], at(17));
        assert_eq!(next(&[waiting("stuck", 17)], &vain, HOUR, at(17)), Some(at(18)));
    }

    /// Catches: a process that stays for a year since the clock was set back by one, or leaves at once for a
    /// clock that was put right by seconds.
    #[test]
    fn a_clock_that_is_set_ends_it() {
        let vain = Vain::default();
        assert_eq!(next(&[waiting("a", 1)], &vain, HOUR, at(-1)), Some(at(1)));
        assert_eq!(next(&[waiting("a", -100)], &vain, HOUR, at(-100)), None);
        assert_eq!(next(&[waiting("a", 1)], &vain, HOUR, at(60)), None);
    }
}
