//! fork, exec and wait, as the run's processes need them.
//!
//! std's `Command` can't be used: it loses SIGPIPE's and SIGCHLD's state, opens /dev/null on closed
//! descriptors, and makes itself the parent; here the supervisor is. Every fork happens while the
//! process has one thread.
#![allow(unsafe_code)]

use super::best_effort;
use super::shared::EndNote;
use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::unistd::Pid;

#[derive(Debug, Clone, Copy)]
pub enum Fork {
    Parent(Pid),
    Child,
}

/// fork(2). The caller has one thread only, so the child may do anything.
pub fn fork() -> io::Result<Fork> {
    // SAFETY: no thread exists before the mailer starts its runtime, and the mailer doesn't fork.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Parent { child } => Ok(Fork::Parent(child)),
        nix::unistd::ForkResult::Child => Ok(Fork::Child),
    }
}

/// A child that shares our memory until it becomes another program: `become_it` must end in exec or
/// [`leave`]. It costs less than half of a fork, whose copied page tables exec throws away.
///
/// It is vfork(2) with a stack of its own, but for this: the child first waits until `meanwhile` is
/// done here (or we were killed). Both have one allocator and one errno, so from here on we only make
/// system calls: `meanwhile` must not allocate, and must end by waiting until the child has exec'd or
/// ended, as the end of a pipe that closes on exec tells.
///
/// # Errors
/// When there is no process or no memory to be had.
pub fn fork_to_exec(
    image: &ExecImage,
    become_it: &mut dyn FnMut(),
    meanwhile: &mut dyn FnMut(Go<'_>),
) -> io::Result<Pid> {
    extern "C" fn child(start: *mut libc::c_void) -> libc::c_int {
        // SAFETY: the pointer is the one below, whose owner waits until we are gone.
        let start = unsafe { &mut *start.cast::<Start<'_>>() };
        start.wait();
        (start.become_it)();
        leave(127)
    }
    // execvpe(3) copies argv to its stack for a script without `#!`.
    let mut stack = vec![0_u128; (STACK + 2 * size_of_val(image.argv.as_slice())) / size_of::<u128>()];
    let go = AtomicU32::new(0);
    let mut start = Start { become_it, go: &go, parent: nix::unistd::getpid() };
    let flags = libc::CLONE_VM | libc::SIGCHLD;
    // SAFETY: the stack grows down from its end and is large enough; it and the closure live until the
    // child has its own memory, for which `meanwhile` waits. We have one thread, and do nothing
    // beside the child but system calls.
    let pid = unsafe {
        let top = stack.as_mut_ptr_range().end.cast();
        libc::clone(child, top, flags, (&raw mut start).cast())
    };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    meanwhile(Go(&go));
    Ok(Pid::from_raw(pid))
}

/// Lets the child of [`fork_to_exec`] go on.
#[derive(Debug)]
pub struct Go<'a>(&'a AtomicU32);

impl Go<'_> {
    pub fn go(self) {
        self.0.store(1, Ordering::Release);
        // SAFETY: FUTEX_WAKE takes an address, which lives, and a count; the rest is not read.
        unsafe { libc::syscall(libc::SYS_futex, self.0.as_ptr(), libc::FUTEX_WAKE, 1) };
    }
}

struct Start<'a> {
    become_it: &'a mut dyn FnMut(),
    go: &'a AtomicU32,
    parent: Pid,
}

impl Start<'_> {
    /// Until the parent says so, or can't any more.
    fn wait(&self) {
        let look_again = libc::timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        while self.go.load(Ordering::Acquire) == 0 && nix::unistd::getppid() == self.parent {
            let (at, wait) = (self.go.as_ptr(), libc::FUTEX_WAIT);
            // SAFETY: FUTEX_WAIT reads the number and the time, both of which live.
            unsafe { libc::syscall(libc::SYS_futex, at, wait, 0, &raw const look_again) };
        }
    }
}

/// Bytes; execvpe(3) needs a path's length of it, our own code little more.
const STACK: usize = 128 * 1024;

/// Ends a forked child at once: no destructors, no buffers of the parent's flushed twice.
pub fn leave(code: i32) -> ! {
    // SAFETY: _exit takes any number and doesn't return.
    unsafe { libc::_exit(code) }
}

/// argv and environment as exec wants them, made before the fork.
#[derive(Debug)]
pub struct ExecImage {
    argv: Vec<CString>,
    env: Vec<CString>,
}

impl ExecImage {
    /// `remove` are names taken out of our own environment, `set` are added at its end; everything
    /// else stays byte for byte, malformed entries too.
    ///
    /// # Errors
    /// `argv` is empty or holds a NUL byte (which no caller can have passed).
    pub fn new<S: AsRef<OsStr>>(argv: &[S], remove: &[String], set: &[(&str, &OsStr)]) -> io::Result<Self> {
        let argv: Vec<CString> =
            argv.iter().map(|arg| CString::new(arg.as_ref().as_bytes())).collect::<Result<_, _>>()?;
        if argv.is_empty() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let gone = |entry: &[u8]| {
            let names =
                remove.iter().map(String::as_bytes).chain(set.iter().map(|(name, _)| name.as_bytes()));
            names
                .into_iter()
                .any(|name| entry.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&b'=')))
        };
        let mut env: Vec<CString> =
            environment().into_iter().filter(|entry| !gone(entry.as_bytes())).collect();
        for (name, value) in set {
            env.push(CString::new([name.as_bytes(), b"=", value.as_bytes()].concat())?);
        }
        Ok(Self { argv, env })
    }

    /// execvpe(3): looks argv\[0\] up in PATH as a shell does. Returns only when that failed.
    pub fn exec(&self) -> nix::errno::Errno {
        let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
            strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
        };
        let (argv, env) = (pointers(&self.argv), pointers(&self.env));
        // SAFETY: both are null-terminated arrays of C strings that live until the call ends.
        unsafe { libc::execvpe(argv[0], argv.as_ptr(), env.as_ptr()) };
        nix::errno::Errno::last()
    }
}

/// Our environment as it lies in memory: std drops entries that have no `=`.
fn environment() -> Vec<CString> {
    let mut entries = Vec::new();
    // SAFETY: `environ` is null or a null-terminated array of C strings; nobody changes it, since
    // there is one thread.
    unsafe {
        let mut entry = libc::environ.cast_const();
        while !entry.is_null() && !(*entry).is_null() {
            entries.push(CStr::from_ptr(*entry).to_owned());
            entry = entry.add(1);
        }
    }
    entries
}

/// What waiting for a child told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It ended: the note has how.
    Ended,
    Stopped {
        signal: i32,
    },
    Continued,
}

/// The part of `struct rusage` that we tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rusage {
    pub user: Duration,
    pub system: Duration,
    /// Bytes; the kernel counts KiB.
    pub peak_rss: u64,
}

/// wait4(2) for one child, without blocking; None: nothing new. An end goes to `note` at once, since
/// it can be asked for only once.
pub fn check_child(pid: Pid, note: &EndNote) -> io::Result<Option<Change>> {
    if let Some((status, usage)) = peek_end(pid) {
        note.set(status, usage);
        // Noted, so nothing is lost whoever is killed now; it need not stay a zombie.
        best_effort(nix::sys::wait::waitpid(pid, None));
        return Ok(Some(Change::Ended));
    }
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    let flags = libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED;
    // SAFETY: both pointers are to live variables of the right type.
    let got = unsafe { libc::wait4(pid.as_raw(), &raw mut status, flags, usage.as_mut_ptr()) };
    if got < 0 {
        return Err(io::Error::last_os_error());
    }
    if got == 0 {
        return Ok(None);
    }
    if libc::WIFSTOPPED(status) {
        return Ok(Some(Change::Stopped { signal: libc::WSTOPSIG(status) }));
    }
    if libc::WIFCONTINUED(status) {
        return Ok(Some(Change::Continued));
    }
    // SAFETY: rusage is plain numbers; zeroed, then filled by the kernel.
    note.set(status, rusage(&unsafe { usage.assume_init() }));
    Ok(Some(Change::Ended))
}

fn rusage(usage: &libc::rusage) -> Rusage {
    let time = |t: libc::timeval| {
        Duration::from_secs(u64::try_from(t.tv_sec).unwrap_or(0))
            + Duration::from_micros(u64::try_from(t.tv_usec).unwrap_or(0))
    };
    let peak_rss = u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024;
    Rusage { user: time(usage.ru_utime), system: time(usage.ru_stime), peak_rss }
}

/// How a child ended, as a wait status, without reaping it: the system call that libc's waitid(3)
/// wraps also gives the resource usage, as a fifth argument (waitid(2), "C library/kernel
/// differences"). None: it hasn't ended, or the kernel won't say.
fn peek_end(pid: Pid) -> Option<(i32, Rusage)> {
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: both structs are plain data that the kernel fills; the fields read are those of SIGCHLD.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let mut usage: libc::rusage = std::mem::zeroed();
        let call = libc::SYS_waitid;
        if libc::syscall(call, libc::P_PID, pid.as_raw(), &raw mut info, flags, &raw mut usage) != 0
            || info.si_pid() != pid.as_raw()
        {
            return None;
        }
        let status = match info.si_code {
            libc::CLD_EXITED => (info.si_status() & 0xff) << 8,
            libc::CLD_KILLED => info.si_status(),
            libc::CLD_DUMPED => info.si_status() | 0x80,
            _ => return None,
        };
        Some((status, rusage(&usage)))
    }
}

/// Is it a child of ours that hasn't ended?
pub fn is_running_child(pid: Pid) -> bool {
    // SAFETY: siginfo_t is plain data, filled by the kernel; WNOWAIT leaves the child.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        let id = libc::id_t::try_from(pid.as_raw()).unwrap_or(0);
        libc::waitid(libc::P_PID, id, &raw mut info, flags) == 0 && info.si_pid() == 0
    }
}

/// A wait status in parts: the exit code, else the signal and whether it dumped core.
pub fn status_parts(status: i32) -> Result<i32, (i32, bool)> {
    if libc::WIFSIGNALED(status) {
        Err((libc::WTERMSIG(status), libc::WCOREDUMP(status)))
    } else {
        Ok(libc::WEXITSTATUS(status))
    }
}

/// Is the process stopped right now, by /proc/PID/stat? One that is hidden from us (another user's, with
/// `hidepid` of proc(5); no /proc in a chroot) counts as stopped: news of its stop is what asks.
pub fn is_stopped(pid: Pid) -> bool {
    match state(pid) {
        Some(state) => matches!(state, b'T' | b't'),
        None => super::signals::send_signal(pid, 0).map_or_else(is_refused, |()| true),
    }
}

fn is_refused(e: io::Error) -> bool {
    e.raw_os_error() == Some(libc::EPERM)
}

/// Does the process wait in the kernel? Not one that waits for nothing but a processor, as on a machine
/// that is too busy, nor one that somebody has stopped.
pub fn hangs(pid: Pid) -> bool {
    !matches!(state(pid), Some(b'R' | b'T'))
}

fn state(pid: Pid) -> Option<u8> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The state follows the name in parentheses, which may hold anything: proc_pid_stat(5).
    let after_name = &stat[stat.iter().rposition(|&b| b == b')')? + 1..];
    after_name.iter().find(|b| **b != b' ').copied()
}

/// The wait status of a process that has ended and that its parent hasn't waited for: field 52 of
/// proc_pid_stat(5), for whoever isn't its parent.
pub fn zombie_status(pid: Pid) -> Option<i32> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let after_name = &stat[stat.iter().rposition(|&b| b == b')')? + 1..];
    let fields: Vec<&str> = std::str::from_utf8(after_name).ok()?.split_whitespace().collect();
    // The state is the third field, and the first one here.
    if fields.first() == Some(&"Z") { fields.get(49)?.parse().ok() } else { None }
}

/// SIGCONT for a process that is stopped. One that isn't might lose a SIGTSTP by it that it is still
/// to read: each takes the other away, signal(7).
pub fn wake_if_stopped(pid: Pid) {
    if is_stopped(pid) {
        best_effort(super::signals::send_signal(pid, libc::SIGCONT));
    }
}

/// Does a signal wait there that was sent to the process (not to a thread), by /proc/PID/status?
pub fn has_pending(pid: Pid, signal: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let set =
        status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("ShdPnd:")?.trim(), 16).ok());
    let bit = u32::try_from(signal - 1).ok().and_then(|n| 1u64.checked_shl(n));
    set.zip(bit).is_some_and(|(set, bit)| set & bit != 0)
}

/// As much of a limit as the user may take: what the caller set for the command isn't meant for the
/// notice of its end.
pub fn raise_limits() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    for resource in [Resource::RLIMIT_FSIZE, Resource::RLIMIT_CPU, Resource::RLIMIT_NOFILE] {
        if let Ok((_, hard)) = getrlimit(resource) {
            best_effort(setrlimit(resource, hard, hard));
        }
    }
}

/// No core of this process, and no look into it by others of the user: prctl(2), `PR_SET_DUMPABLE`. A
/// limit of 0 wouldn't count where a program takes the cores.
pub fn forbid_core() {
    best_effort(nix::sys::prctl::set_dumpable(false));
}

/// Reaps whatever else has ended (orphans that a subreaper is given), but leaves `keep` alone.
pub fn reap_others(keep: Pid) {
    loop {
        // SAFETY: siginfo_t is plain data, filled by the kernel; WNOWAIT leaves the child.
        let pid = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
            if libc::waitid(libc::P_ALL, 0, &raw mut info, flags) != 0 {
                return;
            }
            info.si_pid()
        };
        if pid == 0 || pid == keep.as_raw() {
            return;
        }
        let reaped = nix::sys::wait::waitpid(Pid::from_raw(pid), Some(nix::sys::wait::WaitPidFlag::WNOHANG));
        if reaped.is_err() {
            return;
        }
    }
}

/// Waits until poll(2) has something or `timeout` is over; interrupted calls count as nothing.
pub fn poll(fds: &mut [libc::pollfd], timeout: Option<Duration>) -> io::Result<()> {
    let wait = timeout.map_or(-1, |t| i32::try_from(t.as_micros().div_ceil(1000)).unwrap_or(i32::MAX));
    let count = libc::nfds_t::try_from(fds.len()).unwrap_or(0);
    // SAFETY: the slice is live and as long as said.
    if unsafe { libc::poll(fds.as_mut_ptr(), count, wait) } < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
        fds.iter_mut().for_each(|fd| fd.revents = 0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches: another field taken for the status, and a status of what still runs.
    #[test]
    fn a_zombie_tells_how_it_ended() {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "read x; exit 3"]).stdin(std::process::Stdio::piped());
        let mut child = shell.spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        assert_eq!(zombie_status(pid), None);
        drop(child.stdin.take());
        while is_running_child(pid) {
            std::thread::yield_now();
        }
        assert_eq!(zombie_status(pid).map(status_parts), Some(Ok(3)));
        child.wait().unwrap();
    }

    /// Catches: a variable of the user's that is taken away because its name begins like one of ours.
    #[test]
    fn only_the_variable_of_that_name_goes() {
        let has_path = |remove: &str| {
            let image = ExecImage::new(&["x"], &[remove.to_owned()], &[]).unwrap();
            image.env.iter().any(|entry| entry.as_bytes().starts_with(b"PATH="))
        };
        assert!(has_path("PAT") && !has_path("PATH"));
    }
}
