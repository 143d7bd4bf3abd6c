//! The notices that nobody lived to make: of runs that were cut off with every process of ours, and
//! of those whose mailer was. Found by the next start and by `outbox flush`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::common::Context;
use super::notice;
use crate::outbox::entry::EntryId;
use crate::outbox::store::Store;
use crate::run::alive::{self, LOCK, Lookout};
use crate::run::facts::RunFacts;
use crate::run::interrupted;
use crate::run::life::Life;
use crate::run::mailer::Teller;
use crate::run::record::{FILE, Phase, RunRecord};
use crate::sys::fs::{Durability, create_private, open_ours, replace};
use crate::sys::{clock, paths};

/// Younger runs may still have a mailer at work.
const MAILER_IS_AT_IT: Duration = Duration::from_secs(60);

/// When another process is looking already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Who asked wants them made before going on.
    Wait,
    /// Then there is nothing to do here.
    Leave,
}

/// Makes them and tries once to send each. In silence: nobody here is their reader's terminal.
pub fn make_and_send(context: &Context) {
    let silent = &mut Teller::silent();
    for (store, id) in make(context, Patience::Leave, silent) {
        let loaded = context.load();
        notice::send_first(&store, &id, &loaded.settings, (context.lang(&loaded.settings), silent));
    }
}

/// Makes them; those that may go out at once.
pub fn make(context: &Context, patience: Patience, tell: &mut Teller) -> Vec<(Store, EntryId)> {
    let roots = paths::existing_state_roots();
    roots.iter().flat_map(|root| make_in(context, root, (patience, &mut *tell))).collect()
}

fn make_in(
    context: &Context,
    root: &Path,
    (patience, tell): (Patience, &mut Teller),
) -> Vec<(Store, EntryId)> {
    let candidates = candidates(&root.join("runs"));
    if candidates.is_empty() {
        return Vec::new();
    }
    // One at a time: looking for an entry and making it are two steps.
    let Some(_lock) = lock(root, patience) else { return Vec::new() };
    let lookout = Lookout::new(&root.join("runs"));
    let missing = candidates.iter().filter_map(|folder| look_at(folder, root, &lookout));
    let mut made = Vec::new();
    for Missing { facts, record } in missing {
        let context = context.for_run(record.overrides, root);
        let loaded = context.load();
        let lang = context.lang(&loaded.settings);
        if let Some((store, None)) = notice::make(&context, &facts, &loaded, (lang, &mut *tell)) {
            made.push((store, notice::entry_id(&facts)));
        }
    }
    made
}

/// The folders of runs for which something may be left to be done: those that still have a lock.
fn candidates(runs: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(runs).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|folder| folder.join(LOCK).is_file()).collect();
    // Oldest first.
    found.sort();
    found
}

/// Held until it is dropped. None: another process has it, and we don't wait.
///
/// On a file system without locks everybody gets it. Two that look there in the same second may make
/// the same notice, under the same Message-ID, by which mailboxes know a double.
fn lock(root: &Path, patience: Patience) -> Option<File> {
    let path = root.join("missing.lock");
    let file = match create_private(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            let options = std::fs::OpenOptions::new().write(true).to_owned();
            open_ours(&path).and_then(|_| options.open(&path)).ok()?
        }
        made => made.ok()?,
    };
    let locked = match patience {
        Patience::Wait => file.lock().map_err(std::fs::TryLockError::Error),
        Patience::Leave => file.try_lock(),
    };
    (!matches!(locked, Err(std::fs::TryLockError::WouldBlock))).then_some(file)
}

struct Missing {
    facts: RunFacts,
    record: RunRecord,
}

/// Does this run lack its notice? One that was cut off is put on record as ended first, so that
/// whoever dies from here on leaves a notice that is due, and nobody judges the run again.
fn look_at(folder: &Path, root: &Path, lookout: &Lookout) -> Option<Missing> {
    let read = || RunRecord::from_json(&std::fs::read(folder.join(FILE)).ok()?).ok();
    let record = read()?;
    if let (Phase::Running(_), Some(underway)) = (&record.phase, &record.underway) {
        let Life::Dead(why) = lookout.life(folder, &underway.owner) else { return None };
        // Again: between the two looks it may have ended as it should.
        let record = read()?;
        if let (Phase::Running(start), Some(underway)) = (&record.phase, &record.underway) {
            let facts = interrupted::facts(folder, start, underway, (why, &lookout.here));
            let due = underway.policy.wants(facts.end, facts.duration);
            let ended = RunRecord {
                underway: record.underway.clone(),
                ..RunRecord::ended(&facts, &record.overrides, due)
            };
            replace(&folder.join(FILE), &ended.to_json(), Durability::Synced).ok()?;
            if !due {
                alive::settle(folder);
            }
            return due
                .then_some(Missing { facts, record: ended })
                .filter(|missing| is_missing(missing, root));
        }
    }
    let record = read()?;
    let Phase::Ended(facts) = &record.phase else { return None };
    if !record.notice_due {
        alive::settle(folder);
        return None;
    }
    // In the future (the clock was set back): a mailer may be at it, the next look will tell.
    let age = Duration::try_from(clock::now().duration_since(facts.ended)).unwrap_or_default();
    let missing = Missing { facts: facts.clone(), record };
    (age >= MAILER_IS_AT_IT && is_missing(&missing, root)).then_some(missing)
}

/// Is there no entry for it? If there is, that is noted, so that nobody need look again.
fn is_missing(Missing { facts, record }: &Missing, root: &Path) -> bool {
    let kept = notice::kept_before(facts).is_some();
    if kept {
        notice::note_kept(root, facts, &record.overrides);
    }
    !kept
}
