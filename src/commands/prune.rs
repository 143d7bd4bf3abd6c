//! Removes runs and receipts that have been kept long enough, so that logs never fill the disk.
//! The mailer does it after its mail, when nobody waits.

use std::collections::HashSet;
use std::fs::{DirEntry, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::notice::run_of;
use crate::config::LogSettings;
use crate::outbox::{entry::Folder, store::Store};
use crate::run::alive::lock_seen;
use crate::run::facts::RunId;
use crate::run::life::LockSeen;
use crate::run::record::{FILE, Phase, RunRecord};
use crate::sys::ids::is_timed_id;
use crate::sys::paths::RUNS;

/// A run's folder without a record, in which nothing was written for this long, is nobody's: the
/// record is there within seconds unless the disk is full.
const NOBODYS: Duration = Duration::from_secs(86_400);

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
/// waiting, what is left of runs that never got a record, and receipts. What can't be read or
/// removed stays: tidying up is never worth an error.
pub fn prune(root: &Path, store: &Store, keep: &Keep<'_>, now: Timestamp) {
    let Some(waiting) = waiting_runs(store) else { return };
    let mut total = 0;
    for run in newest_first(&root.join(RUNS)) {
        let size = size_of(&run);
        total += size;
        let surplus = match ended(&run) {
            Some(ended) => age(ended, now) > keep.age || total > keep.size,
            None => is_nobodys(&run, now),
        };
        let told = id_of(&run).is_none_or(|id| id == keep.newest.0 || waiting.contains(id));
        if surplus && !told && std::fs::remove_dir_all(&run).is_ok() {
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
    let mut notices = store.sending().ok()?;
    for folder in [Folder::New, Folder::Held, Folder::Failed] {
        notices.extend(store.list(folder).ok()?);
    }
    Some(notices.iter().map(|notice| run_of(notice).to_owned()).collect())
}

/// A run's folder bears its id.
fn id_of(run: &Path) -> Option<&str> {
    run.file_name()?.to_str()
}

/// Ids sort by time.
fn newest_first(runs: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = entries(runs).map(|entry| entry.path()).collect();
    folders.sort_by(|a, b| b.file_name().cmp(&a.file_name()));
    folders
}

fn entries(folder: &Path) -> impl Iterator<Item = DirEntry> {
    std::fs::read_dir(folder).into_iter().flatten().flatten()
}

/// Bytes on the disk: a log whose middle was taken out is longer than what it takes. What can't be
/// asked has gone meanwhile.
fn size_of(run: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    /// st_blocks counts these, whatever the file system's own are: stat(2).
    const BLOCK: u64 = 512;
    entries(run).filter_map(|entry| entry.metadata().ok()).map(|meta| meta.blocks() * BLOCK).sum()
}

/// Is it what a run left that died before it had a record? Whatever else lies there (the root may be
/// a folder of the user's) is none of our business.
fn is_nobodys(run: &Path, now: Timestamp) -> bool {
    let named = id_of(run).is_some_and(is_timed_id);
    let no_record = matches!(run.join(FILE).symlink_metadata(), Err(e) if e.kind() == ErrorKind::NotFound);
    if !named || !no_record || lock_seen(run) == LockSeen::Taken {
        return false;
    }
    // A time that can't be had proves nothing: then the folder stays.
    let written = |meta: Metadata| Timestamp::try_from(meta.modified().ok()?).ok();
    let inside = entries(run).filter_map(|entry| written(entry.metadata().ok()?));
    let last = run.symlink_metadata().ok().and_then(written).into_iter().chain(inside).max();
    last.is_some_and(|last| age(last, now) > NOBODYS)
}

/// The end of a run; None while it runs, while its notice isn't in the outbox, or when its record
/// can't be read.
fn ended(run: &Path) -> Option<Timestamp> {
    match RunRecord::from_json(&std::fs::read(run.join(FILE)).ok()?).ok()? {
        RunRecord { notice_due: false, phase: Phase::Ended(facts), .. } => Some(facts.ended),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    use nix::fcntl::{Flock, FlockArg};

    use crate::outbox::entry::tests::sample;
    use crate::run::alive::LOCK;
    use crate::run::facts::{End, Origin, RunFacts, RunStart};

    fn make_run(root: &Path, id: &str, ended: Option<&str>, bytes: usize) {
        let folder = root.join("runs").join(id);
        std::fs::create_dir_all(&folder).unwrap();
        let start = RunStart {
            ci: None,
            attach: Default::default(),
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
        make_run(dir.path(), "2-surplus", Some("2026-03-01T00:00:00Z"), 1_000_000);
        make_run(dir.path(), "3-new", Some("2026-03-01T00:00:00Z"), 1_000_000);
        // A log that was cut by `log.max_size` takes less than its length.
        make_run(dir.path(), "4-newest", Some("2026-03-01T00:00:00Z"), 10);
        let log = dir.path().join("runs/4-newest/log");
        File::options().write(true).open(log).unwrap().set_len(1 << 30).unwrap();
        let newest = RunId("4-newest".into());
        let keep = Keep { age: Duration::from_secs(30 * 86_400), size: 1_200_000, newest: &newest };
        prune(dir.path(), &store, &keep, "2026-03-02T00:00:00Z".parse().unwrap());
        let expected = ["4-newest", "3-new", "0-running"];
        assert_eq!(left(dir.path()), expected);
    }

    /// Catches: room that runs without a record take for ever; and the removal of one that is being
    /// written, that somebody holds, or that is no run of ours at all.
    #[test]
    fn what_has_no_record_goes_after_a_day_unless_it_is_held() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("outbox")).unwrap();
        let [dead, fresh, held] = ["a", "b", "c"].map(|end| format!("20260101T000000000000-0000000{end}"));
        let now: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
        for (name, hours) in [(&dead, 25), (&fresh, 23), (&held, 25), (&"my-experiment".to_owned(), 1000)] {
            let folder = dir.path().join(RUNS).join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("log"), "x").unwrap();
            std::fs::write(folder.join(LOCK), "").unwrap();
            let then = std::time::SystemTime::from(now - jiff::SignedDuration::from_hours(hours));
            for path in [folder.join("log"), folder.join(LOCK), folder] {
                File::open(path).unwrap().set_modified(then).unwrap();
            }
        }
        let lock = File::open(dir.path().join(RUNS).join(&held).join(LOCK)).unwrap();
        let holder = Flock::lock(lock, FlockArg::LockExclusive).unwrap();
        let newest = RunId(String::new());
        let keep = Keep { age: Duration::MAX, size: u64::MAX, newest: &newest };
        prune(dir.path(), &store, &keep, now);
        assert_eq!(left(dir.path()), ["my-experiment".to_owned(), held.clone(), fresh.clone()]);
        drop(holder);
        let newest = RunId(held.clone());
        let told = Keep { age: keep.age, size: keep.size, newest: &newest };
        prune(dir.path(), &store, &told, now);
        assert_eq!(left(dir.path()), ["my-experiment".to_owned(), held, fresh.clone()], "just told of");
        prune(dir.path(), &store, &keep, now);
        assert_eq!(left(dir.path()), ["my-experiment".to_owned(), fresh]);
    }

    /// Catches: a log removed whose mail hasn't gone out and says where it lies, or whose notice isn't
    /// even made; a record that can't be read taken for none; and more removed than must be.
    #[test]
    fn what_is_still_needed_stays() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("outbox")).unwrap();
        let now: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
        let old = Some("2026-01-01T00:00:00Z");
        for (id, folder) in [("1-new", Folder::New), ("2-held", Folder::Held), ("3-failed", Folder::Failed)] {
            make_run(dir.path(), id, old, 10);
            let pending = store.begin(&sample(id).id).unwrap();
            store.commit(pending, &sample(id), folder).unwrap();
        }
        make_run(dir.path(), "4-due", old, 10);
        let record = dir.path().join("runs/4-due").join(FILE);
        let json = std::fs::read_to_string(&record).unwrap();
        std::fs::write(&record, json.replace("\"notice_due\": false", "\"notice_due\": true")).unwrap();
        let odd = "20260101T000000000000-00000001";
        make_run(dir.path(), odd, old, 10);
        let folder = dir.path().join(RUNS).join(odd);
        std::fs::write(folder.join(FILE), "not ours").unwrap();
        let then = std::time::SystemTime::from(now - jiff::SignedDuration::from_hours(1000));
        for path in [folder.join("log"), folder.join(FILE), folder] {
            File::open(path).unwrap().set_modified(then).unwrap();
        }
        make_run(dir.path(), "5-gone", old, 10);
        let newest = RunId(String::new());
        let keep = Keep { age: Duration::from_secs(86_400), size: u64::MAX, newest: &newest };
        prune(dir.path(), &store, &keep, now);
        assert_eq!(left(dir.path()), ["4-due", "3-failed", odd, "2-held", "1-new"]);
        // The large one goes, and makes room for the smaller one before it.
        for (id, bytes) in [("6-small", 400_000), ("7-large", 1_000_000), ("8-new", 400_000)] {
            make_run(dir.path(), id, Some("2026-03-02T00:00:00Z"), bytes);
        }
        prune(dir.path(), &store, &Keep { size: 1_200_000, ..keep }, now);
        assert_eq!(left(dir.path())[..2], ["8-new", "6-small"]);
    }

    /// Catches: receipts that are kept for ever, or not at all.
    #[test]
    fn receipts_go_when_they_are_old() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path().join("outbox")).unwrap();
        let entry = sample("a");
        store.commit(store.begin(&entry.id).unwrap(), &entry, Folder::Sent).unwrap();
        let newest = RunId(String::new());
        let keep = Keep { age: Duration::from_secs(86_400), size: u64::MAX, newest: &newest };
        let after = |hours| entry.created + jiff::SignedDuration::from_hours(hours);
        prune(dir.path(), &store, &keep, after(24));
        assert_eq!(store.list(Folder::Sent).unwrap().len(), 1);
        prune(dir.path(), &store, &keep, after(25));
        assert_eq!(store.list(Folder::Sent).unwrap(), []);
    }
}
