//! Which process makes the notice of a dead run: `state/claims/<run>@<owner>` is the run's `lock`, moved
//! there by a rename, which succeeds for one process only on every file system. The name says who has
//! it, so that the claim of a process that was killed is given back at once.

use std::io;
use std::path::{Path, PathBuf};

use super::missing::read;
use crate::outbox::claim::{Owner, abandoned, touch};
use crate::run::alive::{LOCK, Lookout};
use crate::run::record::{Phase, RunRecord};
use crate::sys::best_effort;
use crate::sys::fs::private_dir;
use crate::sys::paths::RUNS;

/// The claims of one state root.
#[derive(Debug)]
pub struct Claims {
    folder: PathBuf,
    runs: PathBuf,
}

impl Claims {
    pub fn of(root: &Path) -> Self {
        Self { folder: root.join("claims"), runs: root.join(RUNS) }
    }

    /// Is nobody making a notice?
    pub fn is_empty(&self) -> bool {
        std::fs::read_dir(&self.folder).into_iter().flatten().next().is_none()
    }

    /// Gives back what processes had that died over it.
    pub fn recover(&self, lookout: &Lookout) {
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let Some((run, owner)) = name.to_str().and_then(|name| name.split_once('@')) else { continue };
            if !lookout.silence(&path).is_some_and(|silence| abandoned(owner, silence)) {
                continue;
            }
            let run = self.runs.join(run);
            // The run may be gone: then nobody asks for the claim any more.
            best_effort(if run.is_dir() {
                std::fs::rename(&path, run.join(LOCK))
            } else {
                std::fs::remove_file(&path)
            });
        }
    }

    /// Makes it ours to make the notice of the run in this folder. None: another was quicker.
    pub fn take(&self, run: &Path) -> Option<Claim> {
        private_dir(&self.folder).ok()?;
        let owner = Owner::this().name();
        let claimed = self.folder.join(format!("{}@{owner}", run.file_name()?.to_str()?));
        let lock = run.join(LOCK);
        // Touched before the rename: the claim must not look old from its first moment.
        let taken = touch(&lock).and_then(|()| std::fs::rename(&lock, &claimed));
        // An NFS server that lost its answer says "not found" to the repetition of a rename that went
        // well.
        let ours = match taken {
            Ok(()) => true,
            Err(e) => e.kind() == io::ErrorKind::NotFound && claimed.is_file(),
        };
        ours.then(|| Claim { run: run.to_owned(), claimed })
    }
}

/// A dead run whose notice this process, and no other, is about to make. Dropped while something is
/// left to be done for the run, it is put back.
#[derive(Debug)]
pub struct Claim {
    run: PathBuf,
    claimed: PathBuf,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let settled = |record: RunRecord| !record.notice_due && matches!(record.phase, Phase::Ended(_));
        // What can't be moved is given back by `recover`, once this process has ended.
        best_effort(if read(&self.run).is_some_and(settled) {
            std::fs::remove_file(&self.claimed)
        } else {
            std::fs::rename(&self.claimed, self.run.join(LOCK))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::time::{Duration, SystemTime};

    use crate::run::facts::{End, Origin, RunFacts, RunId, RunStart};
    use crate::run::record::FILE;

    fn record(notice_due: bool) -> Vec<u8> {
        let started = "2026-01-01T00:00:00Z".parse().unwrap();
        let start = RunStart {
            ci: None,
            attach: Default::default(),
            id: RunId("run".into()),
            origin: Origin::Pipe,
            title: None,
            note: None,
            tags: Vec::new(),
            host: "h".into(),
            user: "u".into(),
            cwd: "/".into(),
            started,
        };
        let facts = RunFacts {
            start,
            ended: started,
            duration: Duration::ZERO,
            end: End::Unknown,
            usage: None,
            out_of_memory: None,
            log: Vec::new(),
        };
        RunRecord::ended(&facts, &Default::default(), notice_due).to_json()
    }

    /// Catches: a claim that two get, one that is lost with who had it or kept from the others for
    /// minutes, one taken from who is at it.
    #[test]
    fn one_of_many_gets_the_claim() {
        let root = tempfile::tempdir().unwrap();
        let run = root.path().join("runs/run");
        std::fs::create_dir_all(&run).unwrap();
        let write = |name: &str, content: &[u8]| std::fs::write(run.join(name), content).unwrap();
        write(LOCK, b"");
        write(FILE, &record(true));
        let claims = Claims::of(root.path());
        let open = || {
            claims.recover(&Lookout::new(&root.path().join(RUNS)));
            run.join(LOCK).exists()
        };
        let claim = claims.take(&run).unwrap();
        assert!(claims.take(&run).is_none() && !open());
        drop(claim);
        assert!(open(), "there is still something to be done");

        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let claim = claims.take(&run).unwrap();
        let mine = claim.claimed.to_str().unwrap().to_owned();
        let its = mine.replace(&format!(".{}.", std::process::id()), &format!(".{}.", child.id()));
        std::fs::rename(&mine, its).unwrap();
        assert!(open(), "its owner is dead");
        drop(claim);

        let claim = claims.take(&run).unwrap();
        write(FILE, &record(false));
        drop(claim);
        assert!(!open(), "settled is settled");
        assert_eq!(std::fs::read_dir(root.path().join("claims")).unwrap().count(), 0);
    }

    /// Catches: a claim of another machine's taken away while it may be at it, or never.
    #[test]
    fn a_claim_from_elsewhere_is_given_back_after_a_silence() {
        let root = tempfile::tempdir().unwrap();
        let (run, folder) = (root.path().join("runs/run"), root.path().join("claims"));
        std::fs::create_dir_all(&run).unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        let claimed = folder.join("run@other.0123456789ab.1.1.1.0");
        std::fs::write(&claimed, "").unwrap();
        for (minutes, back) in [(9, false), (11, true)] {
            let then = SystemTime::from(crate::sys::clock::now()) - Duration::from_secs(60 * minutes);
            File::options().write(true).open(&claimed).unwrap().set_modified(then).unwrap();
            Claims::of(root.path()).recover(&Lookout::new(&root.path().join(RUNS)));
            assert_eq!((run.join(LOCK).exists(), claimed.exists()), (back, !back), "{minutes}");
        }
    }
}
