//! Which machine, boot and PID namespace this is, and when a process began: what tells whether a
//! process id that somebody noted still means the same process.

use std::fs;

/// The id of this boot of the kernel (proc_sys_kernel(5)); empty: /proc doesn't say.
pub fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// The PID namespace (`pid:[4026531836]`, namespaces(7)); empty: unknown.
pub fn pid_namespace() -> String {
    let link = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.to_string_lossy().into_owned()
}

/// The id of the installation (machine-id(5)); empty: it has none. Images that were cloned share it.
pub fn machine_id() -> String {
    let read = |path| fs::read_to_string(path).ok().map(|id| id.trim().to_owned());
    read("/etc/machine-id").or_else(|| read("/var/lib/dbus/machine-id")).unwrap_or_default()
}

/// When a process began, clock ticks since boot (field 22 of proc_pid_stat(5)): ids are used again.
/// None: no such process, or one that has ended and isn't reaped.
pub fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in parentheses, which may hold spaces and parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    (!matches!(state, "Z" | "X" | "x")).then(|| fields.nth(18)?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches: a program that is taken for another, or for a dead one, for what it is called.
    #[test]
    fn a_name_may_hold_anything() {
        let dir = tempfile::tempdir().unwrap();
        let sleeps = |name: &str| {
            let path = dir.path().join(name);
            std::os::unix::fs::symlink("/bin/sleep", &path).unwrap();
            std::process::Command::new(path).arg("60").spawn().unwrap()
        };
        let mut all = [sleeps("plain"), sleeps("a) Z b"), sleeps("(c) S 1 (")];
        let seen = all.each_ref().map(|child| started(child.id()));
        for child in &mut all {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let now = seen[0].unwrap();
        // Clock ticks, 100 a second.
        assert!(seen.iter().all(|at| at.is_some_and(|at| at.abs_diff(now) < 6000)), "{seen:?}");
        assert_eq!(all.map(|child| started(child.id())), [None; 3]);
    }
}
