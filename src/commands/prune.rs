//! Removes runs and receipts that have been kept long enough, so that logs never fill the disk.
//! The mailer does it after its mail, when nobody waits.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use crate::config::LogSettings;
use crate::outbox::{entry::Folder, store::Store};
use crate::run::alive;
use crate::run::facts::RunId;
use crate::run::life::LockSeen;
use crate::run::record::{FILE, Phase, RunRecord};
use crate::sys::clock;

/// What may go.
#[derive(Debug)]
pub struct Keep<'a> {
    pub age: Duration,
    /// Bytes of runs together.
    pub size: u64,
    /// The run whose mail has just told where its log lies: it stays, however large.
    pub newest: &'a RunId,
}

impl<'a> Keep<'a> {
    pub fn of(log: &LogSettings, newest: &'a RunId) -> Self {
        Self { age: log.keep, size: log.keep_size, newest }
    }
}

/// Keeps the newest within `keep` and removes the rest: runs that have ended and whose mail isn't
/// waiting, and receipts. What can't be read or removed stays: tidying up is never worth an error.
pub fn prune(root: &Path, store: &Store, keep: &Keep<'_>, now: Timestamp) {
    let Some(waiting) = waiting_runs(store) else { return };
    let mut total = 0;
    for run in newest_first(&root.join("runs")) {
        let size = size_of(&run);
        total += size;
        let Some((id, ended)) = ended(&run) else {
            if never_began(&run) && std::fs::remove_dir_all(&run).is_ok() {
                total -= size;
            }
            continue;
        };
        let surplus = age(ended, now) > keep.age || total > keep.size;
        if surplus && id != keep.newest.0 && !waiting.contains(&id) && std::fs::remove_dir_all(&run).is_ok() {
            total -= size;
        }
    }
    // Receipts that can't be listed stay: see above.
    for id in store.list(Folder::Sent).unwrap_or_default() {
        if store.load(Folder::Sent, &id).is_ok_and(|entry| age(entry.created, now) > keep.age)
            && store.forget(Folder::Sent, &id).is_err()
        {
            return;
        }
    }
}

/// A time in the future (the clock was set back) counts as now: what it belongs to stays.
fn age(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

/// Runs whose mail hasn't gone out: it says where the whole log lies. None when that can't be told.
fn waiting_runs(store: &Store) -> Option<HashSet<String>> {
    // A notice bears its run's id.
    let mut runs: HashSet<String> = store.sending().ok()?.iter().map(ToString::to_string).collect();
    for folder in [Folder::New, Folder::Held, Folder::Failed] {
        runs.extend(store.list(folder).ok()?.iter().map(ToString::to_string));
    }
    Some(runs)
}

/// Ids sort by time.
fn newest_first(runs: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(runs).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    folders.sort_by(|a, b| b.file_name().cmp(&a.file_name()));
    folders
}

fn size_of(run: &Path) -> u64 {
    let entries = std::fs::read_dir(run).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len()).sum()
}

/// Id and end of a run; None while it runs, while its notice isn't in the outbox, or when its record
/// can't be read.
fn ended(run: &Path) -> Option<(String, Timestamp)> {
    match RunRecord::from_json(&std::fs::read(run.join(FILE)).ok()?).ok()? {
        RunRecord { notice_due: false, phase: Phase::Ended(facts), .. } => {
            Some((facts.start.id.0, facts.ended))
        }
        _ => None,
    }
}

/// A run that was killed before it was on record, half a second after its start, or that never came
/// to be. A day is more than any clock is off.
fn never_began(run: &Path) -> bool {
    const DAY: Duration = Duration::from_secs(86_400);
    let old = |meta: std::fs::Metadata| {
        let age = meta.modified().ok().and_then(|at| Timestamp::try_from(at).ok());
        age.is_some_and(|at| self::age(at, clock::now()) > DAY)
    };
    !run.join(FILE).exists()
        && alive::lock_seen(run) == LockSeen::Free
        && std::fs::metadata(run.join(alive::LOCK)).is_ok_and(old)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::facts::{End, Origin, RunFacts, RunStart};

    fn make_run(root: &Path, id: &str, ended: Option<&str>, bytes: usize) {
        let folder = root.join("runs").join(id);
        std::fs::create_dir_all(&folder).unwrap();
        let start = RunStart {
            id: RunId(id.to_owned()),
            origin: Origin::Pipe,
            title: None,
            note: None,
            tags: Vec::new(),
            host: "h".into(),
            user: "u".into(),
            cwd: "/".into(),
            started: "2026-01-01T00:00:00Z".parse().unwrap(),
        };
        let facts = RunFacts {
            start: start.clone(),
            ended: ended.unwrap_or("2026-01-01T00:00:00Z").parse().unwrap(),
            duration: Duration::ZERO,
            end: End::Unknown,
            usage: None,
            out_of_memory: None,
            log: Vec::new(),
        };
        let mut record = RunRecord::ended(&facts, &Default::default(), false);
        if ended.is_none() {
            record.phase = Phase::Running(start);
        }
        std::fs::write(folder.join(FILE), record.to_json()).unwrap();
        std::fs::write(folder.join("log"), vec![b'x'; bytes]).unwrap();
    }

    fn left(root: &Path) -> Vec<String> {
        let names = newest_first(&root.join("runs"));
        names.iter().map(|run| run.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn old_and_surplus_runs_go_and_a_running_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("outbox")).unwrap();
        make_run(dir.path(), "1-old", Some("2026-01-01T00:00:00Z"), 10);
        make_run(dir.path(), "0-running", None, 10);
        make_run(dir.path(), "2-surplus", Some("2026-03-01T00:00:00Z"), 10_000);
        make_run(dir.path(), "3-new", Some("2026-03-01T00:00:00Z"), 10_000);
        make_run(dir.path(), "4-newest", Some("2026-03-01T00:00:00Z"), 10);
        let newest = RunId("4-newest".into());
        let keep = Keep { age: Duration::from_secs(30 * 86_400), size: 12_000, newest: &newest };
        let lock = |id: &str, at: Option<std::time::SystemTime>| {
            let folder = dir.path().join("runs").join(id);
            std::fs::create_dir_all(&folder).unwrap();
            let file = crate::sys::fs::create_private(&folder.join(alive::LOCK)).unwrap();
            at.map_or(Ok(()), |at| file.set_modified(at)).unwrap();
            file
        };
        let long_ago = Some(std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        lock("5-never-began", long_ago);
        lock("6-just-beginning", None);
        let taken = lock("7-clock-was-wrong", long_ago);
        taken.try_lock().unwrap();
        prune(dir.path(), &store, &keep, "2026-03-02T00:00:00Z".parse().unwrap());
        let expected = ["7-clock-was-wrong", "6-just-beginning", "4-newest", "3-new", "0-running"];
        assert_eq!(left(dir.path()), expected);
    }
}
