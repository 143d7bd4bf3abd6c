//! The notices that nobody lived to make: of runs that were cut off with every process of ours, and
//! of those whose mailer was. Found by the next start and by `outbox flush`.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::claims::{Claim, Claims};
use super::common::Context;
use super::{notice, words};
use crate::config::Loaded;
use crate::error::{Error, Kind};
use crate::outbox::entry::EntryId;
use crate::outbox::store::Store;
use crate::render::i18n::Lang;
use crate::run::alive::{self, LOCK, Lookout, Turn};
use crate::run::facts::{Death, RunFacts, RunId, RunStart};
use crate::run::interrupted;
use crate::run::life::{Life, LockSeen};
use crate::run::mailer::Teller;
use crate::run::record::{FILE, Phase, RunRecord};
use crate::sys::fs::{Durability, create_private, open_ours, replace};
use crate::sys::paths::RUNS;
use crate::sys::{clock, paths};

/// Where nobody can tell, younger runs may still have a mailer at work.
const MAILER_IS_AT_IT: Duration = Duration::from_secs(60);

/// When another process is looking already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Who asked wants them made before going on.
    Wait,
    /// Then there is nothing to do here.
    Leave,
}

/// What was made.
#[derive(Debug, Default)]
pub struct Made {
    /// Those that may go out at once.
    ready: Vec<Ready>,
    /// How many could not be kept, each of which was told.
    pub not_kept: u32,
}

#[derive(Debug)]
struct Ready {
    store: Store,
    id: EntryId,
    loaded: Loaded,
    lang: Lang,
}

/// Makes those of all runs but `own`, and tries once to send each, by the notify.toml that its run was
/// given. In silence: nobody here is their reader's terminal. That of `own` is its mailer's, which may not
/// have begun: its front would go, and perhaps the container with it, while we still send.
pub fn make_and_send(context: &Context, own: &RunId) {
    let made = make(&context.for_others(), Some(own), Patience::Leave, &mut |_| {});
    for Ready { store, id, loaded, lang } in made.ready {
        notice::send_first(&store, &id, &loaded.settings, (lang, &mut Teller::silent()));
    }
}

/// Makes those of all runs but `own`, and tells of each that can't be kept, or not whole.
pub fn make(context: &Context, own: Option<&RunId>, patience: Patience, tell: &mut dyn FnMut(&str)) -> Made {
    let mut made = Made::default();
    for root in paths::existing_state_roots() {
        make_in(context, (&root, own), (patience, &mut *tell), &mut made);
    }
    made
}

fn make_in(
    context: &Context,
    (root, own): (&Path, Option<&RunId>),
    (patience, tell): (Patience, &mut dyn FnMut(&str)),
    made: &mut Made,
) {
    let lookout = Lookout::new(&root.join(RUNS));
    if open_runs(root, &lookout).is_empty() && Claims::of(root).is_empty() {
        return;
    }
    let _lock = match lock(root, patience) {
        Ok(Some(lock)) => lock,
        Ok(None) => return,
        Err(e) => {
            let error = Error::new(Kind::Storage, format!("can't write to {}", root.display())).because(e);
            tell(&notice::with_hints(&error));
            made.not_kept += 1;
            return;
        }
    };
    let of_another = |folder: &PathBuf| own.is_none_or(|own| !folder.ends_with(&own.0));
    for folder in open_runs(root, &lookout).into_iter().filter(of_another) {
        if let Some(error) = unreadable(&folder) {
            let lang = context.lang(&context.load().settings);
            tell(&words::not_kept(&notice::with_hints(&error), Some(&folder.join("log")), lang));
            made.not_kept += 1;
        }
        let Some(Missing { facts, record, _claim, _turn }) = look_at(&folder, root, &lookout) else {
            continue;
        };
        let mut context = context.for_run(record.overrides);
        context.root = Some(root.to_owned());
        let loaded = context.load();
        let lang = context.lang(&loaded.settings);
        match notice::make(&context, &facts, &loaded, lang) {
            Ok(notice::Made { store, held, why_less, .. }) => {
                if let Some(error) = why_less {
                    tell(&words::kept_with_less(&notice::with_hints(&error), lang));
                }
                if held.is_none() {
                    made.ready.push(Ready { store, id: notice::entry_id(&facts), loaded, lang });
                }
            }
            Err(error) => {
                made.not_kept += 1;
                tell(&notice::lost(&error, &facts, lang));
            }
        }
    }
}

/// The folders of runs for which something may be left to be done, oldest first.
fn open_runs(root: &Path, lookout: &Lookout) -> Vec<PathBuf> {
    Claims::of(root).recover(lookout);
    let entries = std::fs::read_dir(root.join(RUNS)).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|folder| folder.join(LOCK).is_file()).collect();
    found.sort();
    found
}

/// One process looks at a time, so that a flush knows what another has found. Held until it is
/// dropped. None: another process has it, and we don't wait.
///
/// On a file system without locks everybody gets it: that no two make the same notice hangs on the
/// claim.
fn lock(root: &Path, patience: Patience) -> io::Result<Option<File>> {
    let path = root.join("missing.lock");
    let file = match create_private(&path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            open_ours(&path)?;
            File::options().write(true).open(&path)?
        }
        made => made?,
    };
    let locked = match patience {
        Patience::Wait => file.lock().map_err(TryLockError::Error),
        Patience::Leave => file.try_lock(),
    };
    Ok((!matches!(locked, Err(TryLockError::WouldBlock))).then_some(file))
}

struct Missing {
    facts: RunFacts,
    record: RunRecord,
    _claim: Claim,
    _turn: Turn,
}

/// Does this run lack its notice? Then nobody else makes it as long as the answer lives.
fn look_at(folder: &Path, root: &Path, lookout: &Lookout) -> Option<Missing> {
    let why = match read(folder)? {
        // Its front lives: it has a mailer at work, or another one's end to hear of, and a terminal to
        // tell.
        RunRecord { phase: Phase::Ended(_), .. } if alive::lock_seen(folder) == LockSeen::Taken => {
            return None;
        }
        RunRecord { phase: Phase::Ended(_), .. } => None,
        RunRecord { underway, .. } => match lookout.life(folder, &underway?.owner) {
            Life::Dead(why) => Some(why),
            Life::Alive | Life::Unknown => return None,
        },
    };
    let turn = alive::try_turn(folder);
    if matches!(turn, Turn::Anothers) {
        return None;
    }
    // Before the claim takes it away.
    let last_sign = alive::last_sign(folder);
    let claim = Claims::of(root).take(folder)?;
    // Again: it may have ended as it should between the two looks, or another has found it dead.
    let record = read(folder)?;
    if matches!(turn, Turn::Unknown) && mailer_may_be_at_it(&record) {
        return None;
    }
    let record = match (&record.phase, why) {
        (Phase::Ended(_), _) => record,
        (Phase::Running(start), Some(why)) => cut_off(folder, (start, last_sign), &record, (why, lookout))?,
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
    Some(Missing { facts: facts.clone(), record, _claim: claim, _turn: turn })
}

/// Did it end a moment ago, and want a notice? In the future (the clock was set back) counts as now:
/// the next look will tell.
fn mailer_may_be_at_it(record: &RunRecord) -> bool {
    let Phase::Ended(facts) = &record.phase else { return false };
    let age = Duration::try_from(clock::now().duration_since(facts.ended)).unwrap_or_default();
    record.notice_due && age < MAILER_IS_AT_IT
}

/// Is this a dead run of which nobody can tell, since its record is damaged or a newer version's?
fn unreadable(folder: &Path) -> Option<Error> {
    if alive::lock_seen(folder) == LockSeen::Taken {
        return None;
    }
    let path = folder.join(FILE);
    match std::fs::read(&path) {
        // Killed before it was on record.
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => Some(Error::new(Kind::Storage, format!("can't read {}", path.display())).because(e)),
        Ok(json) => RunRecord::from_json(&json).err().map(|error| {
            error.hint(format!(
                "no mail can be made of {}: when you have what you need, remove it",
                folder.display()
            ))
        }),
    }
}

/// The run's record; None: it isn't there, or can't be read.
pub(super) fn read(folder: &Path) -> Option<RunRecord> {
    RunRecord::from_json(&std::fs::read(folder.join(FILE)).ok()?).ok()
}

/// Puts on record that the run was cut off, so that whoever dies from here on leaves a notice that is
/// due, and nobody judges the run again.
fn cut_off(
    folder: &Path,
    (start, last_sign): (&RunStart, Option<Duration>),
    record: &RunRecord,
    (why, lookout): (Death, &Lookout),
) -> Option<RunRecord> {
    let underway = record.underway.as_ref()?;
    let facts = interrupted::facts(folder, start, underway, last_sign, (why, &lookout.here));
    let due = underway.policy.wants(facts.end, facts.duration);
    let ended =
        RunRecord { underway: record.underway.clone(), ..RunRecord::ended(&facts, &record.overrides, due) };
    // Where that can't be written, the next look finds it as it is.
    replace(&folder.join(FILE), &ended.to_json(), Durability::Synced).ok()?;
    Some(ended)
}
