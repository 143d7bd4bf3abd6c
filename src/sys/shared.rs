//! Memory that front and supervisor share: how far each byte of the command's output has got, so that
//! the front can go on where a killed supervisor was.
#![allow(unsafe_code)]

use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use super::process::Rusage;

/// Bytes that are under way per stream; a pipe's default capacity on Linux (pipe(7)).
pub const BUFFER: usize = 64 * 1024;

/// One stream's bytes under way. All counts begin at the start of the run and only grow; what they
/// mean is `run::flow`'s.
#[derive(Debug)]
#[repr(C)]
pub struct Transit {
    /// The system call that may have happened without being counted: a `run::flow::Step`.
    pub step: AtomicU32,
    /// Which way the bytes take: a `run::flow::Way`.
    pub way: AtomicU32,
    /// Taken from the command.
    pub taken: AtomicU64,
    /// Copied for the log.
    pub copied: AtomicU64,
    /// In the log, or counted as missing from it.
    pub recorded: AtomicU64,
    /// With the reader.
    pub delivered: AtomicU64,
    /// The count at which the buffer's content begins.
    pub start: AtomicU64,
    /// In the buffer up to here.
    pub loaded: AtomicU64,
    buffer: std::cell::UnsafeCell<[u8; BUFFER]>,
}

/// What the spool's writer must not forget when it is killed.
#[derive(Debug)]
#[repr(C)]
pub struct SpoolNote {
    /// Bytes in the log.
    pub len: AtomicU64,
    /// How the last ones were written; the writer's own.
    pub call: AtomicU32,
    /// Bytes that the disk didn't take.
    pub missing: AtomicU64,
    /// Its first reason, an errno; 0: nothing is missing.
    pub errno: AtomicI32,
    /// Since when the writer has waited for the disk, milliseconds after the start of the run plus
    /// one; 0: it doesn't.
    pub waiting_since: AtomicU64,
    /// The range that was taken out of the log's middle, once it was too large.
    pub cut: [AtomicU64; 2],
    /// Bytes that ever went into the buffer of what is missing; its end is here modulo [`BUFFER`].
    pub kept: AtomicU64,
    /// The first so many of them need not be kept any more: they are in the log.
    pub settled: AtomicU64,
    buffer: std::cell::UnsafeCell<[u8; BUFFER]>,
}

/// What both processes see.
#[derive(Debug)]
#[repr(C)]
pub struct Board {
    pub streams: [Transit; 2],
    pub spool: SpoolNote,
    /// Process id of the command; 0 until it is forked.
    pub command: AtomicI32,
    /// How the command ended, as soon as it was waited for: who waited may be killed next.
    pub end: EndNote,
    /// The kernel's counter of kills for want of memory at the start, plus one; 0: not read yet.
    pub kills_before: AtomicU64,
    pub end_time: EndTime,
    /// 1: who hangs in place of the supervisor, which was killed, lets go of the caller's output.
    pub let_go: AtomicU32,
    /// A mailer has been, or is just being, forked: nobody forks another.
    pub mailing: AtomicBool,
    /// The front stops, or is just about to: whoever wakes it must look until this is over.
    pub front_stops: AtomicBool,
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

/// When the command was first seen to have ended: what is done afterwards may take longer than it did.
#[derive(Debug, Default)]
#[repr(C)]
pub struct EndTime {
    /// Microseconds since the start of the run, plus one; 0: it wasn't seen.
    elapsed: AtomicU64,
    /// Microseconds since 1970 by the wall clock.
    wall: AtomicI64,
}

impl EndTime {
    /// Notes it, unless it is noted.
    pub fn note(&self, elapsed: Duration, wall: Timestamp) {
        if self.elapsed.load(Ordering::Acquire) == 0 {
            let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX - 1) + 1;
            self.wall.store(wall.as_microsecond(), Ordering::Relaxed);
            self.elapsed.store(micros, Ordering::Release);
        }
    }

    pub fn get(&self) -> Option<(Duration, Timestamp)> {
        let micros = self.elapsed.load(Ordering::Acquire).checked_sub(1)?;
        let wall = Timestamp::from_microsecond(self.wall.load(Ordering::Relaxed)).ok()?;
        Some((Duration::from_micros(micros), wall))
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
    /// The buffer. Only the one process that pumps calls it: the supervisor, or the front once the
    /// supervisor is dead.
    #[expect(clippy::mut_from_ref, reason = "one pumping process at a time, one thread each")]
    pub fn buffer(&self) -> &mut [u8; BUFFER] {
        // SAFETY: exclusive by the rule above.
        unsafe { &mut *self.buffer.get() }
    }
}

impl SpoolNote {
    /// The disk is asked something, `now` after the start of the run.
    pub fn wait_from(&self, now: Duration) {
        let millis = u64::try_from(now.as_millis()).unwrap_or(u64::MAX - 1) + 1;
        self.waiting_since.store(millis, Ordering::Release);
    }

    /// It has answered.
    pub fn answered(&self) {
        self.waiting_since.store(0, Ordering::Release);
    }

    /// Where the end of what is missing is kept; the same rule as for [`Transit::buffer`].
    #[expect(clippy::mut_from_ref, reason = "one pumping process at a time, one thread each")]
    pub fn buffer(&self) -> &mut [u8; BUFFER] {
        // SAFETY: exclusive by the rule above.
        unsafe { &mut *self.buffer.get() }
    }
}
