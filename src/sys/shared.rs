//! Memory that front and supervisor share: what has been read of the command's output and how far
//! each byte has got, so that the front can go on where a killed supervisor was.
#![allow(unsafe_code)]

use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

use super::process::Rusage;

/// Bytes that are under way per stream; a pipe's default capacity on Linux (pipe(7)).
pub const BUFFER: usize = 64 * 1024;

/// One stream's bytes under way. Cursors count from the start of the run; the buffer holds the
/// bytes `start..read`.
#[derive(Debug)]
#[repr(C)]
pub struct Transit {
    pub start: AtomicU64,
    pub read: AtomicU64,
    pub spooled: AtomicU64,
    pub delivered: AtomicU64,
    buffer: std::cell::UnsafeCell<[u8; BUFFER]>,
}

/// What both processes see.
#[derive(Debug)]
#[repr(C)]
pub struct Board {
    pub streams: [Transit; 2],
    /// Process id of the command; 0 until it is forked.
    pub command: AtomicI32,
    /// How the command ended, as soon as it was waited for: who waited may be killed next.
    pub end: EndNote,
    /// A mailer has been, or is just being, forked: nobody forks another.
    pub mailing: AtomicBool,
}

/// A wait status with its resource usage, written once.
#[derive(Debug, Default)]
#[repr(C)]
pub struct EndNote {
    known: AtomicBool,
    status: AtomicI32,
    user_micros: AtomicU64,
    system_micros: AtomicU64,
    peak_rss: AtomicU64,
}

impl EndNote {
    pub fn set(&self, status: i32, usage: Rusage) {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.status.store(status, Ordering::Relaxed);
        self.user_micros.store(micros(usage.user), Ordering::Relaxed);
        self.system_micros.store(micros(usage.system), Ordering::Relaxed);
        self.peak_rss.store(usage.peak_rss, Ordering::Relaxed);
        self.known.store(true, Ordering::Release);
    }

    pub fn get(&self) -> Option<(i32, Rusage)> {
        self.known.load(Ordering::Acquire).then(|| {
            let usage = Rusage {
                user: Duration::from_micros(self.user_micros.load(Ordering::Relaxed)),
                system: Duration::from_micros(self.system_micros.load(Ordering::Relaxed)),
                peak_rss: self.peak_rss.load(Ordering::Relaxed),
            };
            (self.status.load(Ordering::Relaxed), usage)
        })
    }
}

/// A mapping of a [`Board`] that survives fork as the same memory.
#[derive(Debug)]
pub struct SharedBoard(NonNull<Board>);

impl SharedBoard {
    pub fn new() -> io::Result<Self> {
        let size = NonZeroUsize::new(size_of::<Board>()).expect("the board is not empty");
        use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
        // SAFETY: a fresh anonymous mapping; the kernel fills it with zeros, which is a valid
        // Board (numbers, false and bytes only) and aligned to a page. Never unmapped, so it outlives
        // every reference.
        let at = unsafe {
            mmap_anonymous(None, size, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED)?
        };
        Ok(Self(at.cast()))
    }

    pub fn board(&self) -> &'static Board {
        // SAFETY: see `new`.
        unsafe { self.0.as_ref() }
    }
}

impl Transit {
    /// The buffer for a read, when nothing is under way. Only the one process that pumps calls it:
    /// the supervisor, or the front once the supervisor is dead.
    #[expect(clippy::mut_from_ref, reason = "one pumping process at a time, one thread each")]
    pub fn buffer(&self) -> &mut [u8; BUFFER] {
        // SAFETY: exclusive by the rule above.
        unsafe { &mut *self.buffer.get() }
    }

    /// Bytes `from..read` of the run, which must lie in the buffer.
    pub fn bytes_from(&self, from: u64) -> &[u8] {
        let start = self.start.load(Ordering::Acquire);
        let read = self.read.load(Ordering::Acquire);
        let range =
            usize::try_from(from - start).unwrap_or(BUFFER)..usize::try_from(read - start).unwrap_or(BUFFER);
        &self.buffer()[range]
    }
}
