//! The signs of life that a run gives, and looking for those of others.
//!
//! A run's folder has a file `lock`, locked by flock(2) through one open description that front and
//! supervisor share; nobody else has it, so it is free when both are gone, however they went. Its
//! mtime is a sign of life for other machines, renewed once a minute; its content is the time since
//! the start by the monotonic clock, so that the length of a dead run doesn't hang on the wall clock.
//! The file goes when nothing is left to be done for the run: a folder without one needs no look.

use std::cell::OnceCell;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::life::{BEAT, Life, Lock, LockSeen, Owner, Place, Process, Seen, judge};
use crate::sys::clock::Mark;
use crate::sys::fs::{create_private, open_ours};
use crate::sys::process::{self, Fork};
use crate::sys::{best_effort, fds, host, ids, machine};

pub const LOCK: &str = "lock";

/// The lock and the heartbeat of a run of ours.
#[derive(Debug)]
pub struct Pulse {
    file: Option<File>,
    path: PathBuf,
    clock: Mark,
    front: Pid,
    heart: Heartbeat,
}

impl Pulse {
    /// Takes the lock of `folder`; to be called in the front, before it forks. Without a folder, or
    /// where the file can't be made, the run goes on and gives no sign of life.
    ///
    /// An extra sign comes at `mark`: a length that matters for whether the end is worth a mail.
    pub fn begin(folder: Option<&Path>, clock: Mark, mark: Duration) -> Self {
        let path = folder.map(|folder| folder.join(LOCK)).unwrap_or_default();
        let file = folder.and_then(|_| create_private(&path).ok());
        let first = if mark.is_zero() { BEAT } else { BEAT.min(mark) };
        let heart = Heartbeat { next: file.as_ref().map(|_| first), mark, beater: None };
        let file = file.filter(|file| file.try_lock().is_ok());
        Self { file, path, clock, front: nix::unistd::getpid(), heart }
    }

    /// The lock's descriptor, for a process that closes all others; -1: there is none.
    pub fn fd(&self) -> RawFd {
        self.file.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// Gives a sign of life when one is due, `elapsed` after the start; how long until the next one.
    /// A process of its own does it: a file server that hangs must not hold the output up.
    pub fn beat(&mut self, elapsed: Duration) -> Option<Duration> {
        let left = self.heart.next?.saturating_sub(elapsed);
        if !left.is_zero() {
            return Some(left);
        }
        if self.heart.is_free_at(elapsed)
            && let Ok(fork) = process::fork()
        {
            match fork {
                Fork::Parent(child) => self.heart.beater = Some(child),
                Fork::Child => {
                    fds::detach_standard(&[0, 1, 2]);
                    fds::close_all_but(&[]);
                    self.sign();
                    process::leave(0)
                }
            }
        }
        self.heart.next.map(|next| next.saturating_sub(elapsed))
    }

    /// Notes in the file how long the run has gone on. Opens it anew: who calls this need not, and
    /// mostly must not, hold the lock.
    pub fn sign(&self) {
        let options = OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW).to_owned();
        let Ok(file) = options.open(&self.path) else { return };
        let line = format!("{:020}\n", self.clock.elapsed().as_micros());
        if file.write_all_at(line.as_bytes(), 0).is_err() {
            // A full disk: the time of the sign, if not its content.
            best_effort(touch(&file));
        }
    }

    /// The run has ended, and nothing is left to be done for it.
    pub fn end(&self) {
        if self.file.is_some() {
            // Else the next look finds nothing to do and removes it.
            best_effort(std::fs::remove_file(&self.path));
        }
    }

    /// What the run notes of itself.
    pub fn owner(&self, supervisor: Pid, command: Option<Pid>) -> Owner {
        Owner {
            place: here(),
            lock: if self.file.is_some() { Lock::Held } else { Lock::Unsupported },
            front: noted(self.front),
            supervisor: noted(supervisor),
            command: command.and_then(noted),
        }
    }
}

/// Nothing is left to be done for the run in this folder, which another process saw end.
pub fn settle(folder: &Path) {
    // The lock last: as long as it is there, another look finishes this.
    for name in [MAKING, LOCK] {
        // Gone already, or the next look finds nothing to do and removes it.
        best_effort(std::fs::remove_file(folder.join(name)));
    }
}

/// Who makes the notice of a run that has ended holds this file's lock, until the notice is kept.
const MAKING: &str = "making";

/// Whose turn it is to make a run's notice.
#[derive(Debug)]
pub enum Turn {
    /// Ours, as long as this lives.
    Ours(File),
    /// Another process is at it.
    Anothers,
    /// The file system doesn't tell.
    Unknown,
}

/// Is nobody making the notice of the run in this folder? Then it is our turn.
pub fn try_turn(folder: &Path) -> Turn {
    match turn_file(folder).map(|file| (file.try_lock(), file)) {
        Ok((Ok(()), file)) => Turn::Ours(file),
        Ok((Err(TryLockError::WouldBlock), _)) => Turn::Anothers,
        Ok((Err(TryLockError::Error(_)), _)) | Err(_) => Turn::Unknown,
    }
}

/// Waits for our turn, which is over when the file is dropped. None: nobody can tell.
pub fn wait_for_turn(folder: &Path) -> Option<File> {
    turn_file(folder).ok().filter(|file| file.lock().is_ok())
}

fn turn_file(folder: &Path) -> io::Result<File> {
    let path = folder.join(MAKING);
    create_private(&path).or_else(|e| match e.kind() {
        io::ErrorKind::AlreadyExists => open_ours(&path),
        _ => Err(e),
    })
}

fn touch(file: &File) -> io::Result<()> {
    Ok(futimens(file, &TimeSpec::UTIME_OMIT, &TimeSpec::UTIME_NOW)?)
}

/// When the next sign of life is due, since the start; None: never.
#[derive(Debug)]
struct Heartbeat {
    next: Option<Duration>,
    mark: Duration,
    /// The process that gave, or still gives, the last one.
    beater: Option<Pid>,
}

impl Heartbeat {
    /// Sets the next time. False: the last one is still at it (a file server that hangs).
    fn is_free_at(&mut self, elapsed: Duration) -> bool {
        let regular = elapsed + BEAT;
        self.next = Some(if elapsed < self.mark { regular.min(self.mark) } else { regular });
        // Whoever reaps our children may have been quicker, which is an error here and fine.
        let still = |pid| waitpid(pid, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive);
        !self.beater.is_some_and(still)
    }
}

/// What tells a process from one that gets its number later.
pub fn noted(pid: Pid) -> Option<Process> {
    let number = u32::try_from(pid.as_raw()).ok()?;
    Some(Process { pid: pid.as_raw(), started: machine::started(number)? })
}

/// Is this the process that was noted, and not one that got its number later?
pub fn still_runs(process: Process) -> bool {
    u32::try_from(process.pid).ok().and_then(machine::started) == Some(process.started)
}

pub fn here() -> Place {
    Place {
        boot: machine::boot_id(),
        pid_namespace: machine::pid_namespace(),
        machine: machine::machine_id(),
        host: host::name(),
    }
}

/// Looks at the runs of one folder `runs/`.
#[derive(Debug)]
pub struct Lookout {
    pub here: Place,
    runs: PathBuf,
    /// By the clock that sets mtimes: a file server's may differ from ours.
    now: OnceCell<Option<SystemTime>>,
}

impl Lookout {
    pub fn new(runs: &Path) -> Self {
        Self { here: here(), runs: runs.to_owned(), now: OnceCell::new() }
    }

    /// How it stands with the run in `folder`, by what it noted of itself. Its record must be read
    /// (again) after this: a run may end properly at any moment.
    pub fn life(&self, folder: &Path, owner: &Owner) -> Life {
        let lock = lock_seen(folder);
        let is_here = owner.place.is_here(&self.here);
        // A lock can be lost: a state folder that was copied while it ran, a file server's that restarted.
        let mut its_own = owner.front.iter().chain(&owner.supervisor);
        if is_here && its_own.any(|process| still_runs(*process)) {
            return Life::Alive;
        }
        let by_lock = is_here && owner.lock == Lock::Held;
        let silence =
            if by_lock || lock == LockSeen::Taken { None } else { self.silence(&folder.join(LOCK)) };
        judge(owner, &self.here, Seen { lock, silence })
    }

    /// Since the file was last touched. None: there is no file, or no clock to compare it with (a file
    /// system that can't be written).
    pub fn silence(&self, file: &Path) -> Option<Duration> {
        let last = std::fs::metadata(file).and_then(|meta| meta.modified()).ok()?;
        let now = (*self.now.get_or_init(|| server_time(&self.runs).ok()))?;
        // From the future: certainly not silent.
        Some(now.duration_since(last).unwrap_or(Duration::ZERO))
    }
}

/// Does somebody hold the lock of this run?
pub fn lock_seen(folder: &Path) -> LockSeen {
    let Ok(file) = open_ours(&folder.join(LOCK)) else { return LockSeen::Unknown };
    // Shared, so that two who look don't take each other for the run.
    match file.try_lock_shared() {
        Ok(()) => LockSeen::Free,
        Err(TryLockError::WouldBlock) => LockSeen::Taken,
        Err(TryLockError::Error(_)) => LockSeen::Unknown,
    }
}

fn server_time(runs: &Path) -> io::Result<SystemTime> {
    let probe = runs.join(format!(".clock.{}", ids::random_hex(8)));
    let time = create_private(&probe).and_then(|file| file.metadata()?.modified());
    best_effort(std::fs::remove_file(&probe));
    time
}

/// How long the run had gone on at its last sign of life; None: it gave none.
pub fn last_sign(folder: &Path) -> Option<Duration> {
    let text = std::fs::read_to_string(folder.join(LOCK)).ok()?;
    text.trim().parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches: two lookers that take each other for the run, a lock that dies with the process that
    /// took it while another still has it, one that outlives both.
    #[test]
    fn the_lock_is_taken_as_long_as_one_of_them_has_it() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(lock_seen(dir.path()), LockSeen::Unknown);
        let pulse = Pulse::begin(Some(dir.path()), Mark::now(), Duration::ZERO);
        let second = fds::borrow(pulse.fd()).try_clone_to_owned().unwrap();
        assert_eq!(lock_seen(dir.path()), LockSeen::Taken);
        // As a process that ends: it closes, and unlocks nothing.
        drop(pulse);
        assert_eq!(lock_seen(dir.path()), LockSeen::Taken);
        drop(second);
        let look = File::open(dir.path().join(LOCK)).unwrap();
        look.try_lock_shared().unwrap();
        assert_eq!(lock_seen(dir.path()), LockSeen::Free);
    }

    /// Catches: a beat that waits for the regular one while a length that decides passes by.
    #[test]
    fn beats_come_each_minute_and_at_the_length_that_decides() {
        let seconds = Duration::from_secs;
        let mut heart = Heartbeat { next: Some(BEAT), mark: seconds(90), beater: None };
        for (at, next) in [(60, 90), (90, 150), (151, 211)] {
            assert!(heart.is_free_at(seconds(at)));
            assert_eq!(heart.next, Some(seconds(next)));
        }
        let dir = tempfile::tempdir().unwrap();
        let first = |mark| {
            best_effort(std::fs::remove_file(dir.path().join(LOCK)));
            Pulse::begin(Some(dir.path()), Mark::now(), mark).heart.next
        };
        let begun = [Duration::ZERO, seconds(10), seconds(90)].map(first);
        assert_eq!(begun, [BEAT, seconds(10), BEAT].map(Some));
        assert_eq!(Pulse::begin(None, Mark::now(), seconds(10)).heart.next, None);
    }

    /// Catches: a process more for each minute that a file server hangs.
    #[test]
    fn no_beat_begins_while_another_is_at_it() {
        let mut beater = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(beater.id()).unwrap());
        let mut heart = Heartbeat { next: Some(BEAT), mark: Duration::ZERO, beater: Some(pid) };
        assert!(!heart.is_free_at(BEAT));
        assert_eq!(heart.next, Some(2 * BEAT));
        beater.kill().unwrap();
        beater.wait().unwrap();
        assert!(heart.is_free_at(2 * BEAT));
    }

    /// Catches: two that make the same notice at once, and one that takes its turn for another's.
    #[test]
    fn one_at_a_time_makes_a_notice() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let Turn::Ours(turn) = try_turn(dir.path()) else { panic!("nobody is at it") };
            assert!(matches!(try_turn(dir.path()), Turn::Anothers));
            drop(turn);
            let turn = wait_for_turn(dir.path()).unwrap();
            assert!(matches!(try_turn(dir.path()), Turn::Anothers));
            drop(turn);
        }
        assert!(matches!(try_turn(&dir.path().join("gone")), Turn::Unknown));
    }

    /// Catches: a run that is called dead because its file server's clock was set back.
    #[test]
    fn a_sign_from_the_future_is_no_silence() {
        let dir = tempfile::tempdir().unwrap();
        let sign = File::create_new(dir.path().join(LOCK)).unwrap();
        let lookout = Lookout::new(dir.path());
        let hour = Duration::from_secs(3600);
        let now = server_time(dir.path()).unwrap();
        sign.set_modified(now + hour).unwrap();
        assert_eq!(lookout.silence(&dir.path().join(LOCK)), Some(Duration::ZERO));
        sign.set_modified(now - hour).unwrap();
        let silence = lookout.silence(&dir.path().join(LOCK)).unwrap();
        assert!((hour..2 * hour).contains(&silence), "{silence:?}");
        assert_eq!(lookout.silence(&dir.path().join("gone")), None);
    }

    #[test]
    fn a_sign_tells_for_how_long() {
        let dir = tempfile::tempdir().unwrap();
        let pulse = Pulse::begin(Some(dir.path()), Mark::now(), Duration::ZERO);
        assert_eq!(last_sign(dir.path()), None);
        pulse.sign();
        let first = last_sign(dir.path()).unwrap();
        pulse.sign();
        assert!(first < last_sign(dir.path()).unwrap());
    }
}
