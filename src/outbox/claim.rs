//! Who is sending an entry: claims by rename, and whether their owners are alive.
//!
//! flock may be local to a host on NFS and Lustre, so it proves nothing there; a rename of a folder
//! succeeds for one process only, everywhere. The claim's name says who made it, and its mtime is
//! its heartbeat. Only the same boot and PID namespace may call an owner dead by its pid.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;

use crate::sys::machine::started as start_time;

/// How often a claim's mtime is renewed.
pub const HEARTBEAT: Duration = Duration::from_secs(30);
/// A silence after which the claim of a process that can't be looked at is given up.
const STALE: Duration = Duration::from_secs(600);
/// The same for an earlier boot of this host. Its processes are gone; but cloned machines that
/// share a name and a folder look like this too, and those have a heartbeat.
const STALE_BOOT: Duration = Duration::from_secs(120);

/// Who made a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    host: String,
    /// The beginning of the boot id; empty: unknown.
    boot: String,
    /// Inode of the PID namespace; 0: unknown.
    pidns: u64,
    pid: u32,
    /// Start time of the process, clock ticks since boot: pids are used again.
    start: u64,
    /// Tells the claims of one process apart.
    serial: u64,
}

impl Owner {
    /// This process, for one more claim. Read anew each time: a forked child is another owner.
    pub fn this() -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let pid = std::process::id();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self {
            host: host_name(),
            boot: boot.chars().filter(char::is_ascii_hexdigit).take(12).collect(),
            pidns: fs::metadata("/proc/self/ns/pid").map_or(0, |meta| meta.ino()),
            pid,
            start: start_time(pid).unwrap_or(0),
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// As part of a folder's name; has no `@`.
    pub fn name(&self) -> String {
        let Self { host, boot, pidns, pid, start, serial } = self;
        format!("{host}.{boot}.{pidns}.{pid}.{start}.{serial}")
    }

    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('.');
        let owner = Self {
            host: parts.next()?.to_owned(),
            boot: parts.next()?.to_owned(),
            pidns: parts.next()?.parse().ok()?,
            pid: parts.next()?.parse().ok()?,
            start: parts.next()?.parse().ok()?,
            serial: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(owner)
    }
}

/// Letters, digits and `-` of the host's name, so that it fits into an [`Owner`]'s name.
fn host_name() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    let clean = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    name.to_string_lossy().chars().take(64).map(clean).collect()
}

/// May the claim with this owner's name and this silence be taken away?
pub fn abandoned(name: &str, silence: Duration) -> bool {
    let (me, Some(owner)) = (Owner::this(), Owner::parse(name)) else {
        return silence > STALE;
    };
    if me.boot.is_empty() || me.pidns == 0 || me.start == 0 {
        // Without /proc nobody can be looked at.
        return silence > STALE;
    }
    if owner.boot == me.boot && owner.pidns == me.pidns {
        return start_time(owner.pid) != Some(owner.start);
    }
    let earlier_boot = owner.host == me.host && owner.boot != me.boot && !owner.boot.is_empty();
    silence > if earlier_boot { STALE_BOOT } else { STALE }
}

/// Renews a folder's mtime by the clock of its filesystem.
///
/// # Errors
/// When the folder is gone or can't be changed.
pub fn touch(folder: &Path) -> io::Result<()> {
    let folder = File::open(folder)?;
    futimens(&folder, &TimeSpec::UTIME_OMIT, &TimeSpec::UTIME_NOW).map_err(io::Error::from)
}

/// Renews a claim until it is dropped.
#[derive(Debug)]
pub struct Heartbeat {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heartbeat {
    /// # Errors
    /// When no thread can be started.
    pub fn start(folder: PathBuf) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name("heartbeat".to_owned())
            .spawn(move || beat(&folder, &stopped))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

fn beat(folder: &Path, stopped: &Receiver<()>) {
    while stopped.recv_timeout(HEARTBEAT) == Err(RecvTimeoutError::Timeout) {
        // A claim that is gone was taken away; the next record of the attempt finds out.
        if touch(folder).is_err() {
            return;
        }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // It can't panic, and there is nobody to tell in a destructor.
            thread.join().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Catches: a live claim taken away, a dead one kept for ever, a used-again pid believed.
    #[test]
    fn who_may_be_called_dead() {
        let me = Owner::this();
        assert_eq!(Owner::parse(&me.name()).unwrap(), me);
        assert!(!abandoned(&me.name(), 100 * MINUTE), "alive, however long it is silent");
        let reused = Owner { start: me.start + 1, ..me.clone() };
        assert!(abandoned(&reused.name(), Duration::ZERO));
        let elsewhere = Owner { pidns: me.pidns + 1, ..me.clone() };
        assert!(!abandoned(&elsewhere.name(), 9 * MINUTE), "another container");
        assert!(abandoned(&elsewhere.name(), 11 * MINUTE));
        let rebooted = Owner { boot: "000000000000".into(), ..me.clone() };
        assert!(!abandoned(&rebooted.name(), MINUTE));
        assert!(abandoned(&rebooted.name(), 3 * MINUTE));
        let other_host = Owner { host: "other".into(), ..rebooted };
        assert!(!abandoned(&other_host.name(), 9 * MINUTE));
        assert!(abandoned(&other_host.name(), 11 * MINUTE));
        assert!(!abandoned("who.is.this", 9 * MINUTE));
        assert!(abandoned("who.is.this", 11 * MINUTE));
    }

    /// Catches: a killed mailer that nobody has reaped yet blocking its entry.
    #[test]
    fn a_zombie_is_dead() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        let info = nix::sys::wait::waitid(
            nix::sys::wait::Id::Pid(nix::unistd::Pid::from_raw(pid.cast_signed())),
            nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT,
        );
        info.unwrap();
        assert_eq!(start_time(pid), None);
        child.wait().unwrap();
        assert!(start_time(std::process::id()).is_some());
    }
}
