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
