//! Signals: their state as the caller left it and as we need it, and sending them.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;

use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal};
use nix::unistd::Pid;

use super::process::leave;

/// One more than the highest number of a signal: arrays that are indexed by it.
pub const SIGNALS: usize = 65;

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

/// The signals that ask for an end, less what the caller had ignored: a blocked signal comes to us
/// even then.
pub fn ending_set() -> SigSet {
    let ending = [libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGHUP];
    raw_set(ending.into_iter().filter(|&s| !is_ignored(s)))
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

/// For who runs no command of the user's. Who was started with SIGCHLD ignored could wait for no child:
/// the kernel reaps them unasked (waitpid(2)), and a program that prints a code would fail with ECHILD.
pub fn heed_children() {
    set_disposition(Signal::SIGCHLD, SigHandler::SigDfl);
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

/// For a process of ours that has long waits between pieces of work: from now on TERM is put off, until
/// a wait ([`heed_term`]) lets it end us, so that a machine that shuts down needn't wait for us.
pub fn put_term_off() {
    set_mask(SigmaskHow::SIG_BLOCK, &raw_set([libc::SIGTERM].into_iter()));
    set_disposition(Signal::SIGTERM, SigHandler::SigDfl);
}

/// See [`put_term_off`].
pub fn heed_term(wait: impl FnOnce()) {
    set_mask(SigmaskHow::SIG_UNBLOCK, &raw_set([libc::SIGTERM].into_iter()));
    wait();
    set_mask(SigmaskHow::SIG_BLOCK, &raw_set([libc::SIGTERM].into_iter()));
}

/// For a forked process of ours that is there until a hangup.
pub fn end_by_hangup() {
    set_disposition(Signal::SIGHUP, SigHandler::SigDfl);
    set_mask(SigmaskHow::SIG_UNBLOCK, &raw_set([libc::SIGHUP].into_iter()));
}

/// Runs `work` with every signal blocked; a process that it makes begins that way.
pub fn with_all_blocked<T>(work: impl FnOnce() -> T) -> T {
    let mut before = SigSet::empty();
    let done =
        nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before));
    debug_assert!(done.is_ok(), "fails only for an unknown `how`: sigprocmask(2)");
    let result = work();
    set_mask(SigmaskHow::SIG_SETMASK, &before);
    result
}

/// The blocked signals that wait for us, of any number: sigpending(2).
#[derive(Debug, Clone, Copy)]
pub struct Waiting(libc::sigset_t);

impl Waiting {
    pub fn now() -> Self {
        let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: sigpending fills the set (plain data, and empty when zeroed).
        unsafe {
            libc::sigpending(set.as_mut_ptr());
            Self(set.assume_init())
        }
    }

    pub fn has(&self, signal: i32) -> bool {
        // SAFETY: sigismember reads the set and takes any number.
        unsafe { libc::sigismember(&raw const self.0, signal) == 1 }
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
    super::process::forbid_core();
    if let Ok(known) = Signal::try_from(signal)
        && !matches!(known, Signal::SIGKILL | Signal::SIGSTOP)
    {
        set_disposition(known, SigHandler::SigDfl);
    }
    set_mask(SigmaskHow::SIG_UNBLOCK, &raw_set([signal].into_iter()));
    drop(send_signal(nix::unistd::getpid(), signal));
    leave(128 + signal)
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

    /// Waits up to `within` for its end: pidfd_open(2), "poll". Being interrupted counts as a wait.
    pub fn has_ended(&self, within: std::time::Duration) -> bool {
        use std::os::fd::AsRawFd;
        let mut fds = [libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 }];
        super::process::poll(&mut fds, Some(within)).is_ok() && fds[0].revents != 0
    }
}
