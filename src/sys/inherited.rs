//! What the caller gave us, noted before Rust's runtime changes it.
//!
//! std (or [`settle`]) opens /dev/null on a closed 0, 1 or 2 and ignores SIGPIPE before `main`. The command must
//! find all three and SIGPIPE as the caller left them, so their state is read in `.init_array`,
//! which runs earlier.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

static CLOSED: AtomicU8 = AtomicU8::new(0);
static PIPE_IGNORED: AtomicU8 = AtomicU8::new(0);

// SAFETY: the loader calls every pointer in `.init_array` once, on the main thread, before main;
// the function uses only async-signal-safe libc calls and atomics, nothing of std's runtime.
#[used]
#[unsafe(link_section = ".init_array")]
static NOTE: extern "C" fn() = note;

extern "C" fn note() {
    for fd in 0..3 {
        // SAFETY: F_GETFD on any number is harmless.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            CLOSED.fetch_or(1 << fd, Relaxed);
        }
    }
    // SAFETY: sigaction is plain data, valid when zeroed; a null new action only reads.
    let ignored = unsafe {
        let mut old: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGPIPE, std::ptr::null(), &raw mut old) == 0
            && old.sa_sigaction == libc::SIG_IGN
    };
    PIPE_IGNORED.store(u8::from(ignored), Relaxed);
}

/// Was descriptor 0, 1 or 2 closed when we were started?
pub fn was_closed(fd: i32) -> bool {
    (0..3).contains(&fd) && CLOSED.load(Relaxed) & (1 << fd) != 0
}

/// What std's entry does beside, and we rely on: no descriptor of ours gets the number of a standard
/// one, and a reader that has gone is an error, not a signal.
pub fn settle() {
    for fd in (0..3).filter(|&fd| was_closed(fd)) {
        // SAFETY: a constant path. The lowest free number is given, which is `fd`; if there is no
        // /dev/null, the descriptor stays closed, as it was.
        let opened = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
        debug_assert!(opened == fd || opened < 0);
    }
    super::signals::set_disposition(nix::sys::signal::Signal::SIGPIPE, nix::sys::signal::SigHandler::SigIgn);
}

/// Before an exec in our place: closes what the caller had closed.
pub fn close_again() {
    (0..3).filter(|&fd| was_closed(fd)).for_each(super::fds::close);
}

/// Was SIGPIPE ignored when we were started?
pub fn sigpipe_was_ignored() -> bool {
    PIPE_IGNORED.load(Relaxed) != 0
}
