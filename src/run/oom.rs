//! Was a process killed for want of memory? The kernel counts such kills per control group, so what
//! it counted at the start is compared with the end. Only names what happened; changes nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::facts::OutOfMemory;

/// The counter is read this long after the start: most short commands are through by then, and none
/// has had the time to take much memory. A kill before that is told as SIGKILL, without its reason.
const BEGINS: Duration = Duration::from_millis(10);

/// Watches a run for such kills.
#[derive(Debug, Default)]
pub enum Watch {
    #[default]
    NotYet,
    /// The kernel doesn't say.
    Blind,
    Since(Counter),
}

impl Watch {
    /// Notes the counter when it is time, `elapsed` after the start of the run; how long until then.
    /// `noted` is what it was then, plus one: for whoever goes on where a killed process was.
    pub fn begin(&mut self, elapsed: Duration, noted: &AtomicU64) -> Option<Duration> {
        if !matches!(self, Self::NotYet) {
            return None;
        }
        if elapsed < BEGINS {
            return Some(BEGINS - elapsed);
        }
        *self = Counter::read().map_or(Self::Blind, |counter| Self::Since(counter.since_noted(noted)));
        None
    }

    /// What was killed since; None: nothing that is known of.
    pub fn end(&self) -> Option<OutOfMemory> {
        match self {
            Self::Since(counter) => counter.more(),
            Self::NotYet | Self::Blind => None,
        }
    }
}

/// The counter of a control group, as it stood then.
#[derive(Debug)]
pub struct Counter {
    folder: PathBuf,
    version: Version,
    before: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

impl Version {
    /// Holds a line `oom_kill N`: Documentation/admin-guide/cgroup-v2.rst; for v1, Linux 4.13.
    fn counter(self) -> &'static str {
        match self {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        }
    }

    fn limit(self) -> &'static str {
        match self {
            Version::V1 => "memory.limit_in_bytes",
            Version::V2 => "memory.max",
        }
    }
}

impl Counter {
    /// The counter of the nearest group, ours or above it, that has one. None: the kernel
    /// doesn't say.
    fn read() -> Option<Self> {
        let groups = groups(&fs::read_to_string("/proc/self/cgroup").ok()?);
        let root = root();
        groups.iter().find_map(|(version, group)| {
            mounts(&root, *version).iter().find_map(|mount| {
                above(mount, group).into_iter().find_map(|folder| {
                    let before = count(&folder.join(version.counter()))?;
                    Some(Self { folder, version: *version, before })
                })
            })
        })
    }

    /// As it stood when it was first read; what it is now, if that is the first time.
    fn since_noted(self, noted: &AtomicU64) -> Self {
        let first = noted.compare_exchange(0, self.before + 1, Ordering::AcqRel, Ordering::Acquire);
        Self { before: first.map_or_else(|noted| noted - 1, |_| self.before), ..self }
    }

    /// What was killed since; None: nothing.
    fn more(&self) -> Option<OutOfMemory> {
        let kills = count(&self.folder.join(self.version.counter()))?.checked_sub(self.before)?;
        let limit = || parse_limit(&fs::read_to_string(self.folder.join(self.version.limit())).ok()?);
        (kills > 0).then(|| OutOfMemory { kills, limit: limit() })
    }
}

/// Debug builds take `NOTIFY_DONE_TEST_CGROUP` instead of the place where everybody mounts them:
/// nothing else makes the kernel's counters move without a real shortage.
fn root() -> PathBuf {
    #[cfg(debug_assertions)]
    if let Some(fixed) = std::env::var_os("NOTIFY_DONE_TEST_CGROUP") {
        return fixed.into();
    }
    PathBuf::from("/sys/fs/cgroup")
}

fn mounts(root: &Path, version: Version) -> Vec<PathBuf> {
    match version {
        Version::V1 => vec![root.join("memory")],
        // Beside v1 ("hybrid"), v2 lies one deeper.
        Version::V2 => vec![root.to_owned(), root.join("unified")],
    }
}

/// The group's folder and those above it. In a container without a namespace for groups the path is
/// the host's, and only its end, the mount itself, is there.
fn above(mount: &Path, group: &str) -> Vec<PathBuf> {
    let inner = mount.join(group.trim_start_matches('/'));
    inner.ancestors().take_while(|folder| folder.starts_with(mount)).map(Path::to_owned).collect()
}

fn count(file: &Path) -> Option<u64> {
    parse_count(&fs::read_to_string(file).ok()?)
}

/// The groups that may count memory, from /proc/PID/cgroup (cgroups(7)): v1's controller first,
/// since where it is mounted v2 has none.
fn groups(text: &str) -> Vec<(Version, String)> {
    let mut found: Vec<(Version, String)> = text
        .lines()
        .filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            let version = match controllers {
                "" => Version::V2,
                _ if controllers.split(',').any(|name| name == "memory") => Version::V1,
                _ => return None,
            };
            Some((version, path.to_owned()))
        })
        .collect();
    found.sort_by_key(|(version, _)| *version == Version::V2);
    found
}

fn parse_count(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// v2 says `max` where there is none, v1 the largest multiple of a page.
fn parse_limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|limit| *limit < (1 << 62))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches: short commands that wait for us to read files of the kernel's, and a counter that is
    /// read again later, so that kills before that are forgotten.
    #[test]
    fn the_counter_is_read_once_and_not_at_once() {
        let (mut watch, noted) = (Watch::default(), AtomicU64::new(0));
        assert_eq!(watch.begin(BEGINS / 2, &noted), Some(BEGINS / 2));
        assert!(matches!(watch, Watch::NotYet));
        assert_eq!(watch.begin(BEGINS, &noted), None);
        assert!(!matches!(watch, Watch::NotYet));
        let mut watch = Watch::Since(counter(7));
        watch.begin(2 * BEGINS, &noted);
        assert!(matches!(watch, Watch::Since(Counter { before: 7, .. })));
    }

    fn counter(before: u64) -> Counter {
        Counter { folder: "none".into(), version: Version::V2, before }
    }

    /// Catches: a front that takes the supervisor's place and counts only the kills since then.
    #[test]
    fn who_goes_on_counts_from_the_start() {
        let noted = AtomicU64::new(0);
        assert_eq!(counter(0).since_noted(&noted).before, 0);
        assert_eq!(counter(2).since_noted(&noted).before, 0);
    }

    /// Catches: v1's controllers taken by their place in the list, a named hierarchy taken for v2.
    #[test]
    fn the_group_that_counts_memory_is_found() {
        assert_eq!(groups("0::/user.slice/a:b.scope\n"), [(Version::V2, "/user.slice/a:b.scope".to_owned())]);
        let hybrid = "9:name=systemd:/\n4:cpu,memory:/docker/x\n1:cpuacct:/\n0::/u\n";
        let found = groups(hybrid);
        assert_eq!(found, [(Version::V1, "/docker/x".to_owned()), (Version::V2, "/u".to_owned())]);
        assert_eq!(
            groups("0::/u\n4:memory:/x\n3:name=memory:/y\n"),
            [(Version::V1, "/x".to_owned()), (Version::V2, "/u".to_owned())]
        );
        assert_eq!(groups("garbage"), []);
    }

    /// Catches: `oom_group_kill` or `oom_kill_disable` read for the counter.
    #[test]
    fn the_counter_is_the_line_of_that_name() {
        assert_eq!(parse_count("low 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 1\n"), Some(2));
        assert_eq!(parse_count("oom_kill_disable 0\nunder_oom 0\noom_kill 5\n"), Some(5));
        assert_eq!(parse_count("oom_kill_disable 0\nunder_oom 0\n"), None);
    }

    #[test]
    fn no_limit_is_none() {
        assert_eq!(parse_limit("max\n"), None);
        assert_eq!(parse_limit("9223372036854771712\n"), None);
        assert_eq!(parse_limit("1073741824\n"), Some(1 << 30));
    }

    /// Catches: a search that leaves the mount, or that doesn't look at the mount itself.
    #[test]
    fn the_search_goes_up_to_the_mount() {
        let up = above(Path::new("/m"), "/a/b");
        assert_eq!(up, ["/m/a/b", "/m/a", "/m"].map(PathBuf::from));
        assert_eq!(above(Path::new("/m"), "/"), [PathBuf::from("/m")]);
        assert_eq!(mounts(Path::new("/m"), Version::V1), ["/m/memory"].map(PathBuf::from));
        assert_eq!(mounts(Path::new("/m"), Version::V2), ["/m", "/m/unified"].map(PathBuf::from));
    }
}
