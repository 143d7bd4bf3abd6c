//! Is a run alive? Judged from what it noted of itself and from what can be seen of it now. Pure.
//!
//! The lock of its folder is proof where the kernel that keeps it is ours to ask: same boot, same PID
//! namespace. Elsewhere (another machine on the same file server, another container) a lock may be
//! local to its host, so that a free one proves nothing; there only a long silence does.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::facts::Death;

/// A run's sign of life comes this often.
pub const BEAT: Duration = Duration::from_secs(60);
/// After this long a silence a run that nobody can look at is given up.
pub const SILENT: Duration = Duration::from_secs(15 * 60);
/// The same for an earlier boot of what seems to be this machine. It is gone, then; but the nodes of
/// a cluster that were cloned from one image, machine id and all, look like this too, and those
/// still give signs of life.
pub const SILENT_BOOT: Duration = Duration::from_secs(150);

/// Where a run runs, and as which processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub place: Place,
    pub lock: Lock,
    pub front: Option<Process>,
    pub supervisor: Option<Process>,
    /// None for a pipe.
    pub command: Option<Process>,
}

/// A place where process ids have one meaning. An empty text: unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub boot: String,
    pub pid_namespace: String,
    pub machine: String,
    pub host: String,
}

impl Place {
    /// Does a process id, and a lock, mean the same here and there?
    pub fn is_here(&self, here: &Place) -> bool {
        !self.boot.is_empty()
            && !self.pid_namespace.is_empty()
            && (&self.boot, &self.pid_namespace) == (&here.boot, &here.pid_namespace)
    }

    /// The same machine, as far as names tell, started anew.
    fn is_earlier_boot_of(&self, here: &Place) -> bool {
        let same_machine =
            !self.machine.is_empty() && (&self.machine, &self.host) == (&here.machine, &here.host);
        same_machine && !self.boot.is_empty() && !here.boot.is_empty() && self.boot != here.boot
    }
}

/// Did the file system give the run the lock of its folder?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lock {
    Held,
    /// It has no locks (Lustre without `flock`, some FUSE): the signs of life must do.
    Unsupported,
}

/// A process whose id may have been given to another since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub pid: i32,
    /// Clock ticks from boot to its start.
    pub started: u64,
}

/// What can be seen of a run now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub lock: LockSeen,
    /// Since the last sign of life, by the file server's clock; None: can't be told.
    pub silence: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockSeen {
    /// Somebody holds it.
    Taken,
    Free,
    /// It can't be asked for.
    Unknown,
}

/// How it stands with a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    Alive,
    Dead(Death),
    /// Too early to say.
    Unknown,
}

/// Judges a run. One that may be alive is never called dead: its notice would be a false one.
pub fn judge(owner: &Owner, here: &Place, seen: Seen) -> Life {
    if seen.lock == LockSeen::Taken {
        // Only its own processes ever take it for longer than a look.
        return Life::Alive;
    }
    let silent_for = |least| seen.silence.is_some_and(|silence| silence >= least);
    if owner.place.is_here(here) && owner.lock == Lock::Held {
        return if seen.lock == LockSeen::Free { Life::Dead(Death::Killed) } else { Life::Unknown };
    }
    if owner.place.is_earlier_boot_of(here) {
        return if silent_for(SILENT_BOOT) { Life::Dead(Death::Rebooted) } else { Life::Unknown };
    }
    if silent_for(SILENT) { Life::Dead(Death::Silent) } else { Life::Unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(boot: &str, pid_namespace: &str, machine: &str, host: &str) -> Place {
        let [boot, pid_namespace, machine, host] = [boot, pid_namespace, machine, host].map(str::to_owned);
        Place { boot, pid_namespace, machine, host }
    }

    fn judged(there: Place, lock: Lock, (seen, minutes): (LockSeen, u64)) -> Life {
        let owner = Owner { place: there, lock, front: None, supervisor: None, command: None };
        let here = place("boot", "pid:[1]", "machine", "host");
        judge(&owner, &here, Seen { lock: seen, silence: Some(Duration::from_secs(60 * minutes)) })
    }

    const DAY: u64 = 24 * 60;

    /// Catches: a quiet run called dead for its silence, a killed one that is waited for.
    #[test]
    fn here_the_lock_alone_decides() {
        let here = || place("boot", "pid:[1]", "machine", "host");
        assert_eq!(judged(here(), Lock::Held, (LockSeen::Taken, DAY)), Life::Alive);
        assert_eq!(judged(here(), Lock::Held, (LockSeen::Free, 0)), Life::Dead(Death::Killed));
        assert_eq!(judged(here(), Lock::Held, (LockSeen::Unknown, DAY)), Life::Unknown);
    }

    /// Catches: a free lock believed where the file system keeps none.
    #[test]
    fn without_locks_only_silence_tells() {
        let here = || place("boot", "pid:[1]", "machine", "host");
        assert_eq!(judged(here(), Lock::Unsupported, (LockSeen::Free, 14)), Life::Unknown);
        assert_eq!(judged(here(), Lock::Unsupported, (LockSeen::Free, 15)), Life::Dead(Death::Silent));
    }

    /// Catches: a free lock of another host or container believed, when it is only not visible here.
    #[test]
    fn elsewhere_only_silence_tells_but_a_lock_that_is_seen_is_life() {
        let elsewhere = [
            place("other", "pid:[1]", "other", "host2"),
            place("boot", "pid:[2]", "machine", "host"),
            place("", "", "", ""),
        ];
        for there in elsewhere {
            assert_eq!(judged(there.clone(), Lock::Held, (LockSeen::Free, 14)), Life::Unknown);
            assert_eq!(judged(there.clone(), Lock::Held, (LockSeen::Free, 15)), Life::Dead(Death::Silent));
            assert_eq!(judged(there, Lock::Held, (LockSeen::Taken, DAY)), Life::Alive);
        }
    }

    /// Catches: cloned machines that call each other's runs dead at once.
    #[test]
    fn an_earlier_boot_is_dead_unless_it_still_beats() {
        let before = || place("earlier", "pid:[1]", "machine", "host");
        assert_eq!(judged(before(), Lock::Held, (LockSeen::Free, 2)), Life::Unknown);
        assert_eq!(judged(before(), Lock::Held, (LockSeen::Free, 3)), Life::Dead(Death::Rebooted));
        let renamed = place("earlier", "pid:[1]", "machine", "host2");
        assert_eq!(judged(renamed, Lock::Held, (LockSeen::Free, 3)), Life::Unknown);
    }

    /// Catches: two places that say nothing of themselves taken for one, and a silence that nobody can
    /// measure taken for a long one.
    #[test]
    fn what_is_not_known_proves_nothing() {
        let judged = |there: Place, here: Place, silence: Option<Duration>| {
            let lock = Lock::Held;
            let owner = Owner { place: there, lock, front: None, supervisor: None, command: None };
            judge(&owner, &here, Seen { lock: LockSeen::Free, silence })
        };
        let three_minutes = Some(Duration::from_secs(3 * 60));
        for (there, here) in [
            (place("", "", "machine", "host"), place("", "", "machine", "host")),
            (place("boot", "", "machine", "host"), place("boot", "", "machine", "host")),
            (place("", "pid:[1]", "machine", "host"), place("boot", "pid:[1]", "machine", "host")),
            (place("earlier", "pid:[1]", "machine", "host"), place("", "pid:[1]", "machine", "host")),
            (place("earlier", "pid:[1]", "", "host"), place("boot", "pid:[1]", "", "host")),
        ] {
            assert_eq!(judged(there.clone(), here, three_minutes), Life::Unknown, "{there:?}");
        }
        let here = || place("boot", "pid:[1]", "machine", "host");
        assert_eq!(judged(place("other", "pid:[1]", "other", "host"), here(), None), Life::Unknown);
    }
}
