//! fork, exec, wait and signals, as the run's processes need them.
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
use std::time::Duration;

use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal};
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

/// The signal state that the command must find, saved before we change ours.
#[derive(Debug, Clone, Copy)]
pub struct SignalState {
    mask: SigSet,
    child_was_ignored: bool,
    file_size_was_ignored: bool,
}

/// Signals that are passed on to the command when somebody sends them to us.
pub fn forwarded_signals() -> impl Iterator<Item = i32> {
    let classic = [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGTERM,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGALRM,
        libc::SIGVTALRM,
        libc::SIGPROF,
        libc::SIGWINCH,
        libc::SIGCONT,
        libc::SIGTSTP,
        libc::SIGURG,
        libc::SIGIO,
        libc::SIGPWR,
        libc::SIGABRT,
        libc::SIGTRAP,
        libc::SIGSYS,
        libc::SIGXCPU,
        libc::SIGSTKFLT,
    ];
    classic.into_iter().chain(libc::SIGRTMIN()..=libc::SIGRTMAX())
}

/// A set of raw signal numbers; nix's `Signal` has no real-time ones.
fn raw_set(signals: impl Iterator<Item = i32>) -> SigSet {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set, sigaddset takes any number.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        SigSet::from_sigset_t_unchecked(set.assume_init())
    }
}

fn is_ignored(signal: i32) -> bool {
    // SAFETY: a null new action only reads; the struct is plain data.
    unsafe {
        let mut old: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut old) == 0 && old.sa_sigaction == libc::SIG_IGN
    }
}

/// The signals that the front watches: those it forwards, less what the caller had ignored
/// (nohup, a background shell), and SIGCHLD.
pub fn watched_set() -> SigSet {
    raw_set(forwarded_signals().filter(|&s| !is_ignored(s)).chain([libc::SIGCHLD]))
}

/// A set of these signals.
pub fn signal_set(signals: &[i32]) -> SigSet {
    raw_set(signals.iter().copied())
}

/// Only SIGCHLD, for the supervisor.
pub fn child_set() -> SigSet {
    raw_set([libc::SIGCHLD].into_iter())
}

impl SignalState {
    /// Blocks what we watch and makes SIGCHLD waitable; returns what the command must get back.
    ///
    /// SIGTTOU is blocked too, so that a word on stderr from the background isn't a stop.
    pub fn take_over(watched: &SigSet) -> io::Result<Self> {
        let child_was_ignored = is_ignored(libc::SIGCHLD);
        if child_was_ignored {
            set_disposition(Signal::SIGCHLD, SigHandler::SigDfl);
        }
        // A limit on file sizes (`ulimit -f`) is told to us as EFBIG: the spool must not kill us.
        let file_size_was_ignored = is_ignored(libc::SIGXFSZ);
        set_disposition(Signal::SIGXFSZ, SigHandler::SigIgn);
        let mut block = *watched;
        block.add(Signal::SIGTTOU);
        let mut mask = SigSet::empty();
        nix::sys::signal::sigprocmask(SigmaskHow::SIG_BLOCK, Some(&block), Some(&mut mask))?;
        Ok(Self { mask, child_was_ignored, file_size_was_ignored })
    }

    /// In the forked command, just before exec: the mask and the dispositions that the caller had.
    pub fn give_back(&self) {
        if self.child_was_ignored {
            set_disposition(Signal::SIGCHLD, SigHandler::SigIgn);
        }
        if !self.file_size_was_ignored {
            set_disposition(Signal::SIGXFSZ, SigHandler::SigDfl);
        }
        restore_sigpipe();
        set_mask(SigmaskHow::SIG_SETMASK, &self.mask);
    }
}

/// SIGPIPE as the caller left it, for an exec without a fork.
pub fn restore_sigpipe() {
    let pipe = if super::inherited::sigpipe_was_ignored() { SigHandler::SigIgn } else { SigHandler::SigDfl };
    set_disposition(Signal::SIGPIPE, pipe);
}

/// Sets SIG_DFL or SIG_IGN; our own signals never have handlers.
pub fn set_disposition(signal: Signal, to: SigHandler) {
    // SAFETY: only SIG_DFL and SIG_IGN are passed, no function of ours runs in signal context.
    let done = unsafe { nix::sys::signal::signal(signal, to) };
    debug_assert!(done.is_ok(), "KILL and STOP are never passed here");
}

/// For a forked process of ours that lives on by itself: nothing blocked, but deaf to the signals
/// that ask politely for an end, since its work is short and a notice hangs on it.
pub fn work_undisturbed() {
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM] {
        set_disposition(signal, SigHandler::SigIgn);
    }
    set_mask(SigmaskHow::SIG_SETMASK, &SigSet::empty());
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

fn set_mask(how: SigmaskHow, set: &SigSet) {
    let done = nix::sys::signal::sigprocmask(how, Some(set), None);
    debug_assert!(done.is_ok(), "fails only for an unknown `how`: sigprocmask(2)");
}

/// kill(2) for any signal number; nix's `Signal` has no real-time ones.
pub fn send_signal(pid: Pid, signal: i32) -> io::Result<()> {
    // SAFETY: kill takes any two numbers.
    match unsafe { libc::kill(pid.as_raw(), signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Dies by `signal`, as the command did: no core of ours, default action, unblocked.
/// Where that can't kill (PID 1, an ignored default), ends with 128+n as a shell reports it.
pub fn die_by(signal: i32) -> ! {
    // Without it there is a second core beside the command's: untidy, no reason not to go on.
    best_effort(nix::sys::prctl::set_dumpable(false));
    if let Ok(known) = Signal::try_from(signal)
        && !matches!(known, Signal::SIGKILL | Signal::SIGSTOP)
    {
        set_disposition(known, SigHandler::SigDfl);
    }
    set_mask(SigmaskHow::SIG_UNBLOCK, &raw_set([signal].into_iter()));
    drop(send_signal(nix::unistd::getpid(), signal));
    leave(128 + signal)
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
    let usage = unsafe { usage.assume_init() };
    let time = |t: libc::timeval| {
        Duration::from_secs(u64::try_from(t.tv_sec).unwrap_or(0))
            + Duration::from_micros(u64::try_from(t.tv_usec).unwrap_or(0))
    };
    let peak_rss = u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024;
    note.set(status, Rusage { user: time(usage.ru_utime), system: time(usage.ru_stime), peak_rss });
    Ok(Some(Change::Ended))
}

/// A wait status in parts: the exit code, else the signal and whether it dumped core.
pub fn status_parts(status: i32) -> Result<i32, (i32, bool)> {
    if libc::WIFSIGNALED(status) {
        Err((libc::WTERMSIG(status), libc::WCOREDUMP(status)))
    } else {
        Ok(libc::WEXITSTATUS(status))
    }
}

/// Is the process stopped right now, by /proc/PID/stat?
pub fn is_stopped(pid: Pid) -> bool {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the name in parentheses, which may hold anything: proc_pid_stat(5).
    let after_name = stat.iter().rposition(|&b| b == b')').map_or(&[][..], |at| &stat[at + 1..]);
    matches!(after_name.iter().find(|b| **b != b' '), Some(b'T' | b't'))
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

/// Closes every descriptor from 3 on, but for `keep`.
///
/// The owners of the closed ones must never be dropped afterwards: callers end by [`leave`].
pub fn close_all_but(keep: &[i32]) {
    let mut keep: Vec<u32> =
        keep.iter().filter_map(|&fd| u32::try_from(fd).ok()).filter(|&fd| fd > 2).collect();
    keep.sort_unstable();
    let mut from = 3u32;
    for fd in keep.into_iter().chain([u32::MAX]) {
        if fd > from {
            close_range(from, fd - 1);
        }
        from = fd.saturating_add(1);
    }
}

fn close_range(first: u32, last: u32) {
    // SAFETY: closes numbers only; by the contract of `close_all_but` nobody uses them again.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } == 0 {
        return;
    }
    // Before Linux 5.9, and in sandboxes that refuse unknown calls.
    let open: Vec<i32> = std::fs::read_dir("/proc/self/fd")
        .map(|dir| dir.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect())
        .unwrap_or_else(|_| (3..1024).collect());
    for fd in open.into_iter().filter(|&fd| u32::try_from(fd).is_ok_and(|fd| (first..=last).contains(&fd))) {
        // SAFETY: as above; closing a number that is not open is harmless.
        unsafe { libc::close(fd) };
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

/// A process by descriptor: a signal through it never hits a stranger that got the number later.
#[derive(Debug)]
pub struct PidFd(std::os::fd::OwnedFd);

impl PidFd {
    /// pidfd_open(2), Linux 5.3.
    pub fn open(pid: Pid) -> io::Result<Self> {
        use std::os::fd::{FromRawFd, OwnedFd};
        // SAFETY: the call takes two numbers; a result that isn't negative is a fresh descriptor
        // (close-on-exec) that nobody else owns.
        unsafe {
            let fd = libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0);
            let fd = i32::try_from(fd).unwrap_or(-1);
            if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(Self(OwnedFd::from_raw_fd(fd))) }
        }
    }

    /// # Errors
    /// ESRCH when the process has ended and was waited for.
    pub fn send(&self, signal: i32) -> io::Result<()> {
        use std::os::fd::AsRawFd;
        let no_info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: a null siginfo asks the kernel to make one, as kill(2) does.
        match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), signal, no_info, 0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
