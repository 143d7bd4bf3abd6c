//! Terminals for `--pty full`: one of the command's own as its controlling terminal, and the real
//! one in raw mode meanwhile.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use nix::fcntl::OFlag;
use nix::sys::termios::{self, SetArg, Termios};
use nix::unistd::Pid;

/// Opens our own description of our controlling terminal, which never blocks.
///
/// # Errors
/// ENXIO when there is none: tty(4).
pub fn open_controlling() -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    Ok(nix::fcntl::open("/dev/tty", flags, nix::sys::stat::Mode::empty())?)
}

/// Is it the terminal of our session? Others answer ENOTTY: TIOCGSID in ioctl_tty(2).
pub fn is_controlling(fd: BorrowedFd<'_>) -> bool {
    termios::tcgetsid(fd).is_ok()
}

/// Makes it the controlling terminal of the session that we lead.
///
/// # Errors
/// EPERM when we lead none, or have one already.
pub fn take_as_controlling(terminal: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: TIOCSCTTY takes a number: 0, not to steal it from another session.
    match unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sends a signal to the foreground of a pseudo-terminal, by its other side: what its keys would do.
pub fn signal_foreground(main: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: TIOCSIG takes the signal's number: ioctl_tty(2).
    match unsafe { libc::ioctl(main.as_raw_fd(), libc::TIOCSIG, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Has the terminal's other side gone for good?
pub fn has_hung_up(terminal: BorrowedFd<'_>) -> bool {
    asked_at_once(terminal, 0) & (libc::POLLHUP | libc::POLLERR) != 0
}

/// Is there something to read right now?
pub fn is_readable(fd: BorrowedFd<'_>) -> bool {
    asked_at_once(fd, libc::POLLIN) & libc::POLLIN != 0
}

fn asked_at_once(fd: BorrowedFd<'_>, events: libc::c_short) -> libc::c_short {
    let mut ask = [libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 }];
    match super::process::poll(&mut ask, Some(std::time::Duration::ZERO)) {
        Ok(()) => ask[0].revents,
        Err(_) => 0,
    }
}

/// What several processes know of a run with `--pty full`: who looks after the command, and whether
/// the real terminal is in raw mode.
#[derive(Debug)]
#[repr(C)]
struct Shared {
    monitor: AtomicI32,
    raw: AtomicBool,
    modes: std::cell::UnsafeCell<libc::termios>,
}

/// A handle of memory that survives fork as the same memory.
#[derive(Debug, Clone, Copy)]
pub struct TerminalNote(NonNull<Shared>);

impl TerminalNote {
    pub fn new() -> io::Result<Self> {
        use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
        let size = std::num::NonZeroUsize::new(size_of::<Shared>()).expect("it has fields");
        // SAFETY: a fresh mapping of zeros, which are a valid `Shared` (numbers and false only),
        // aligned to a page; never unmapped, so it outlives every handle.
        let at = unsafe {
            mmap_anonymous(None, size, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED)?
        };
        Ok(Self(at.cast()))
    }

    fn shared(&self) -> &Shared {
        // SAFETY: see `new`.
        unsafe { self.0.as_ref() }
    }

    /// The process that is the command's parent; None before there is one.
    pub fn monitor(&self) -> Option<Pid> {
        Some(self.shared().monitor.load(Ordering::Acquire)).filter(|&pid| pid > 0).map(Pid::from_raw)
    }

    pub fn set_monitor(&self, pid: Pid) {
        self.shared().monitor.store(pid.as_raw(), Ordering::Release);
    }

    /// The modes to be restored, if the terminal is in raw mode by our doing.
    pub fn modes(&self) -> Option<Termios> {
        // SAFETY: written before `raw` was set, and by the front alone; others look only once it is
        // dead.
        self.shared().raw.load(Ordering::Acquire).then(|| unsafe { *self.shared().modes.get() }.into())
    }

    /// Before raw mode is set. The front's alone.
    pub fn will_be_raw(&self, modes: &Termios) {
        self.shared().raw.store(false, Ordering::Release);
        // SAFETY: see `modes`.
        unsafe { *self.shared().modes.get() = modes.clone().into() };
        self.shared().raw.store(true, Ordering::Release);
    }

    /// After the modes were restored, or are no longer ours to restore. The front's alone.
    pub fn is_restored(&self) {
        self.shared().raw.store(false, Ordering::Release);
    }
}

/// Raw mode over these modes: what is typed goes to the command's terminal as it is.
fn raw(modes: &Termios) -> Termios {
    let mut raw = modes.clone();
    termios::cfmakeraw(&mut raw);
    raw
}

/// Is the terminal in the raw mode that we set over `modes`? A shell that has taken it back since
/// has set its own.
fn is_ours(terminal: BorrowedFd<'_>, modes: &Termios) -> bool {
    let ours = raw(modes);
    termios::tcgetattr(terminal).is_ok_and(|now| {
        now.input_flags == ours.input_flags
            && now.output_flags == ours.output_flags
            && now.local_flags == ours.local_flags
    })
}

/// Sets raw mode and notes what was before.
///
/// # Errors
/// EIO when the terminal has hung up.
pub fn set_raw(terminal: BorrowedFd<'_>, note: TerminalNote) -> io::Result<()> {
    if note.modes().is_some_and(|modes| is_ours(terminal, &modes)) {
        return Ok(());
    }
    let modes = termios::tcgetattr(terminal)?;
    note.will_be_raw(&modes);
    // Not after a drain, which waits for as long as the terminal is paused; not with a flush, which
    // throws away what was typed.
    Ok(termios::tcsetattr(terminal, SetArg::TCSANOW, &raw(&modes))?)
}

/// Sets the modes of before, unless somebody else has set others.
pub fn restore(terminal: BorrowedFd<'_>, note: TerminalNote) {
    if let Some(modes) = note.modes().filter(|modes| is_ours(terminal, modes)) {
        // It fails only when the terminal has hung up.
        super::best_effort(termios::tcsetattr(terminal, SetArg::TCSANOW, &modes));
    }
}

/// A pseudo-terminal for a command that gets it as its controlling one: (our side, which never
/// blocks; the command's), modes and size as of `real`.
pub fn command_pty(real: &OwnedFd) -> io::Result<(OwnedFd, OwnedFd)> {
    let modes = termios::tcgetattr(real)?;
    super::fds::open_pty(real.as_fd(), &modes, OFlag::O_NONBLOCK)
}
