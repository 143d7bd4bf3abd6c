//! The notices that nobody lived to make: of runs that were cut off with every process of ours, and
//! of those whose mailer was. Found by the next start and by `outbox flush`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::common::Context;
use super::notice;
use crate::outbox::entry::EntryId;
use crate::outbox::store::Store;
use crate::run::alive::{self, Claim, Lookout};
use crate::run::facts::{Death, RunFacts, RunStart};
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
    let lookout = Lookout::new(&root.join("runs"));
    if open_runs(root, &lookout).is_empty() {
        return Vec::new();
    }
    let Some(_lock) = lock(root, patience) else { return Vec::new() };
    let mut made = Vec::new();
    for folder in open_runs(root, &lookout) {
        let Some(Missing { facts, record, _claim }) = look_at(&folder, root, &lookout) else { continue };
        let context = context.for_run(record.overrides, root);
        let loaded = context.load();
        let lang = context.lang(&loaded.settings);
        if let Some((store, None)) = notice::make(&context, &facts, &loaded, (lang, &mut *tell)) {
            made.push((store, notice::entry_id(&facts)));
        }
    }
    made
}

/// The folders of runs for which something may be left to be done, oldest first.
fn open_runs(root: &Path, lookout: &Lookout) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root.join("runs")).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|folder| lookout.is_open(folder)).collect();
    found.sort();
    found
}

/// One process looks at a time, so that a flush knows what another has found. Held until it is
/// dropped. None: another process has it, and we don't wait.
///
/// On a file system without locks everybody gets it: that no two make the same notice hangs on the
/// claim.
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
    _claim: Claim,
}

/// Does this run lack its notice? Then nobody else makes it as long as the answer lives.
fn look_at(folder: &Path, root: &Path, lookout: &Lookout) -> Option<Missing> {
    let why = match read(folder)? {
        record if mailer_may_be_at_it(&record) => return None,
        RunRecord { phase: Phase::Ended(_), .. } => None,
        RunRecord { underway, .. } => match lookout.life(folder, &underway?.owner) {
            Life::Dead(why) => Some(why),
            Life::Alive | Life::Unknown => return None,
        },
    };
    let claim = Claim::take(folder)?;
    // Again: it may have ended as it should between the two looks, or another has found it dead.
    let record = read(folder)?;
    if mailer_may_be_at_it(&record) {
        return None;
    }
    let record = match (&record.phase, why) {
        (Phase::Ended(_), _) => record,
        (Phase::Running(start), Some(why)) => cut_off(folder, start, &record, (why, lookout))?,
        (Phase::Running(_), None) => return None,
    };
    let Phase::Ended(facts) = &record.phase else { return None };
    if !record.notice_due {
        alive::settle(folder);
        return None;
    }
    if notice::kept_before(facts).is_some() {
        // Noted, so that nobody need look again.
        notice::note_kept(root, facts, &record.overrides);
        return None;
    }
    Some(Missing { facts: facts.clone(), record, _claim: claim })
}

/// Did it end a moment ago, and want a notice? In the future (the clock was set back) counts as now:
/// the next look will tell.
fn mailer_may_be_at_it(record: &RunRecord) -> bool {
    let Phase::Ended(facts) = &record.phase else { return false };
    let age = Duration::try_from(clock::now().duration_since(facts.ended)).unwrap_or_default();
    record.notice_due && age < MAILER_IS_AT_IT
}

fn read(folder: &Path) -> Option<RunRecord> {
    RunRecord::from_json(&std::fs::read(folder.join(FILE)).ok()?).ok()
}

/// Puts on record that the run was cut off, so that whoever dies from here on leaves a notice that is
/// due, and nobody judges the run again.
fn cut_off(
    folder: &Path,
    start: &RunStart,
    record: &RunRecord,
    (why, lookout): (Death, &Lookout),
) -> Option<RunRecord> {
    let underway = record.underway.as_ref()?;
    let facts = interrupted::facts(folder, start, underway, (why, &lookout.here));
    let due = underway.policy.wants(facts.end, facts.duration);
    let ended =
        RunRecord { underway: record.underway.clone(), ..RunRecord::ended(&facts, &record.overrides, due) };
    // Where that can't be written, the next look finds it as it is.
    replace(&folder.join(FILE), &ended.to_json(), Durability::Synced).ok()?;
    Some(ended)
}
