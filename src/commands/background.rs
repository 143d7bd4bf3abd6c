//! Going on with what a first try left in the outbox: by the mailer for a while after its run, and
//! within a bound by each start. In silence: nobody's terminal is ours here.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::common::Context;
use super::missing;
use super::outbox::drain_telling;
use crate::config::{Loaded, Overrides, Settings};
use crate::outbox::drain::{Pick, Plan};
use crate::outbox::entry::{Entry, EntryId, Folder, Whose};
use crate::outbox::event::Tally;
use crate::outbox::schedule::{Urgency, is_past, untried_until};
use crate::outbox::store::Store;
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
        loop {
            let now = clock::now();
            let Some(next) = self.next(&ids(), patience, now) else { return };
            let due = next <= now;
            if due {
                send();
            }
            // By steps, since the clock may be set, the machine sleep, and others add theirs. What couldn't
            // be tried is still due: not at once again.
            let step = if due { LOOK } else { next.duration_since(now).min(LOOK) };
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

    /// Those in new/ whose time of being tried isn't over. By their ids, which begin with the time.
    fn young(&self, patience: SignedDuration) -> Vec<EntryId> {
        let (mut ids, now) = (self.store.list(Folder::New).unwrap_or_default(), clock::now());
        ids.reverse();
        let young = |id: &EntryId| {
            self.store.load(Folder::New, id).map_or(true, |entry| now.duration_since(born(&entry)) < patience)
        };
        ids.into_iter().take_while(young).collect()
    }

    /// When the first of these is due; None: none will be in its time.
    fn next(&self, ids: &[EntryId], patience: SignedDuration, now: Timestamp) -> Option<Timestamp> {
        let entries = ids.iter().filter_map(|id| self.store.load(Folder::New, id).ok());
        let in_time = |entry: Entry| due(&entry, now).filter(|at| at.duration_since(born(&entry)) < patience);
        entries.filter_map(in_time).min()
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
