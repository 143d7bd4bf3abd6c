//! The canary: a process that only sits in our process group and keeps what signals reach it.
//!
//! Nothing in a signal says whether it was sent to one process or to the group. But a signal to the
//! group reaches every member under one lock, the newest first (the kernel adds a process at the
//! head of its group's list): when we read ours, the canary, which is younger than we are, has had
//! its own already. What it doesn't hold was sent to us alone. And once we have had that lock ourselves,
//! what it told has reached us, too.
//!
//! It shares our memory (`CLONE_VM`) and our descriptors: no page table is copied, nothing of ours is
//! held open longer, and we ask it through two words of memory with futex(2), which needs neither a
//! descriptor nor /proc. It tells how often each signal came (real-time ones queue), and what it has
//! told is forgotten there. Who signals the canary itself makes us take the next signal of that number
//! for the group's; hence its name, which `pkill notify-done` doesn't match.
//!
//! Making it took 10 µs and ending it 13 µs, against 540 µs and 170 µs for fork(2) with 4 MiB in use
//! that were written to afterwards. A run of `true` takes 0.1 ms (3 to 5 %) longer with it.
//!
//! It sends no SIGCHLD and is waited for with `__WALL` only, so nobody takes it for another child.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::unistd::Pid;

use super::clock::Mark;
use super::signals::{self, SIGNALS};
use super::{bare, best_effort};

/// Its frames take less than 1 KiB, and no handler ever runs on them.
const STACK: usize = 8 * 1024;
/// It answers within some microseconds. What takes this long is stopped (a SIGSTOP for the group) or
/// dead.
const PROMPT: Duration = Duration::from_millis(20);
/// On a machine that is busy beyond measure.
const PATIENCE: Duration = Duration::from_millis(500);

/// As `ps -e` shows it: `pkill notify-done` isn't meant for it. 15 letters at most, PR_SET_NAME(2const).
const NAME: &CStr = c"nd-canary";

/// What both sides see.
#[repr(C, align(16))]
struct Cage {
    stack: UnsafeCell<[u8; STACK]>,
    /// Counts our questions.
    asked: AtomicU32,
    /// The last question that is answered.
    answered: AtomicU32,
    /// How often each signal came since the last answer.
    counts: [AtomicU32; SIGNALS],
    keeper: libc::pid_t,
}

/// Of one process, with one thread; killed and reaped when dropped there.
#[derive(Debug)]
pub struct Canary {
    pid: Pid,
    keeper: Pid,
    cage: NonNull<Cage>,
    questions: u32,
}

impl Canary {
    /// # Errors
    /// No process to spare, or a machine for which it isn't written (see `bare`).
    pub fn new() -> io::Result<Self> {
        if !bare::KNOWN {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let keeper = nix::unistd::getpid();
        // Not made by value: that would touch, and so take, every page of its stack, here and there.
        // SAFETY: the layout isn't empty. Zeros are a valid cage (numbers and bytes only), which
        // nobody else knows yet.
        let cage = unsafe {
            let raw = std::alloc::alloc_zeroed(std::alloc::Layout::new::<Cage>()).cast::<Cage>();
            let cage = NonNull::new(raw).ok_or(io::ErrorKind::OutOfMemory)?;
            (*cage.as_ptr()).keeper = keeper.as_raw();
            cage
        };
        let flags = libc::CLONE_VM | libc::CLONE_FILES | libc::CLONE_FS;
        let pid = signals::with_all_blocked(|| {
            // SAFETY: the stack is the cage's and used by nobody else; it ends at a multiple of 16,
            // as the ABIs want it. The cage lives until the canary is reaped. `sit` touches nothing
            // else of our memory, not even errno, which both would share.
            let pid = unsafe {
                let top = (*cage.as_ptr()).stack.get().cast::<u8>().add(STACK);
                libc::clone(sit, top.cast(), flags, cage.as_ptr().cast())
            };
            if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(Pid::from_raw(pid)) }
        });
        match pid {
            Ok(pid) => Ok(Self { pid, keeper, cage, questions: 0 }),
            Err(e) => {
                // SAFETY: allocated above as a Box would, and no process came to use it.
                drop(unsafe { Box::from_raw(cage.as_ptr()) });
                Err(e)
            }
        }
    }

    /// Which signals came since the last answer, as (number, how often); what we ourselves sent
    /// doesn't count. All of it has reached us when this returns. None: no answer can be had now.
    pub fn ask(&mut self) -> Option<Vec<(i32, u32)>> {
        let cage = self.cage();
        self.questions = self.questions.wrapping_add(1);
        cage.asked.store(self.questions, Ordering::Release);
        wake(&cage.asked);
        if !self.answers_within(PROMPT) {
            // Stopped together with us, and only we were told to go on. (Dead: ESRCH.)
            best_effort(signals::send_signal(self.pid, libc::SIGCONT));
            if self.is_dead() || !self.answers_within(PATIENCE) {
                return None;
            }
        }
        let_all_arrive();
        let took = |(signal, count): (usize, &AtomicU32)| {
            let count = count.swap(0, Ordering::Relaxed);
            (count > 0).then(|| (i32::try_from(signal).unwrap_or(0), count))
        };
        Some(cage.counts.iter().enumerate().filter_map(took).collect())
    }

    fn answers_within(&self, bound: Duration) -> bool {
        let answered = &self.cage().answered;
        let since = Mark::now();
        loop {
            let seen = answered.load(Ordering::Acquire);
            if seen == self.questions {
                return true;
            }
            let left = bound.saturating_sub(since.elapsed());
            if left.is_zero() {
                return false;
            }
            wait(answered, seen, left);
        }
    }

    /// Somebody killed it.
    pub fn is_dead(&self) -> bool {
        // SAFETY: siginfo_t is plain data, filled by the kernel; WNOWAIT leaves the child as it is.
        unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
            let id = libc::id_t::try_from(self.pid.as_raw()).unwrap_or(0);
            libc::waitid(libc::P_PID, id, &raw mut info, flags) != 0 || info.si_pid() == self.pid.as_raw()
        }
    }

    /// It dies while we do something else; dropping it waits for that.
    pub fn kill(&self) {
        best_effort(signals::send_signal(self.pid, libc::SIGKILL));
    }

    fn cage(&self) -> &'static Cage {
        // SAFETY: allocated by `new`, freed by `drop` only; no reference is kept beyond a call. All that
        // the canary changes is atomic or its own stack.
        unsafe { self.cage.as_ref() }
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        // A forked copy of us has a copy of the cage, and no canary.
        if nix::unistd::getpid() == self.keeper {
            // A sandbox that refuses it; the canary dies with us.
            if signals::send_signal(self.pid, libc::SIGKILL).is_err() {
                return;
            }
            let mut status = 0;
            // SAFETY: the pointer is to a live variable. Interrupted never: no handler is installed.
            if unsafe { libc::waitpid(self.pid.as_raw(), &raw mut status, libc::__WALL) } != self.pid.as_raw()
            {
                // Not known to be gone: its stack must stay.
                return;
            }
        }
        // SAFETY: allocated in `new` as a Box would; whoever used it is reaped.
        drop(unsafe { Box::from_raw(self.cage.as_ptr()) });
    }
}

/// Returns when whatever is being sent to a group at this moment has reached all of its members. To set
/// the group that we are in anyway changes nothing (a session's leader is even refused), but takes
/// for writing the lock that a sender holds for reading (`tasklist_lock`).
fn let_all_arrive() {
    let group = nix::unistd::getpgrp();
    // 0: it began outside of our process namespace, and 0 would mean a new one.
    if group.as_raw() > 0 {
        best_effort(nix::unistd::setpgid(Pid::from_raw(0), group));
    }
}

/// FUTEX_WAKE, futex(2).
fn wake(word: &AtomicU32) {
    let op = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word is live; the call doesn't write to it.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), op, 1) };
}

/// FUTEX_WAIT while the word is `seen`; may return early.
fn wait(word: &AtomicU32, seen: u32, at_most: Duration) {
    let op = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: a timespec is plain numbers.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    time.tv_nsec = at_most.subsec_nanos().into();
    time.tv_sec = libc::time_t::try_from(at_most.as_secs()).unwrap_or(0);
    // SAFETY: word and time are live; the call doesn't write to them.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), op, seen, &raw const time) };
}

/// The canary's whole life. Every signal is blocked; nothing here may set errno or panic.
extern "C" fn sit(cage: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `new` passes a cage that outlives this process.
    let cage = unsafe { &*cage.cast::<Cage>() };
    let arg = |n: libc::c_int| n as usize;
    // SAFETY: takes numbers only.
    unsafe { bare::call(libc::SYS_prctl, [arg(libc::PR_SET_PDEATHSIG), arg(libc::SIGKILL), 0, 0]) };
    // SAFETY: as above. Our keeper may have died before the line above.
    if unsafe { bare::call(libc::SYS_getppid, [0; 4]) } != cage.keeper as isize {
        return 0;
    }
    // SAFETY: the name is static, and this process's memory is our keeper's.
    unsafe { bare::call(libc::SYS_prctl, [arg(libc::PR_SET_NAME), NAME.as_ptr() as usize, 0, 0]) };
    let mut served = 0;
    loop {
        let asked = cage.asked.load(Ordering::Acquire);
        if asked == served {
            let op = arg(libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG);
            // SAFETY: the word is live; a null time means no limit.
            unsafe { bare::call(libc::SYS_futex, [cage.asked.as_ptr() as usize, op, asked as usize, 0]) };
            continue;
        }
        empty(cage);
        served = asked;
        cage.answered.store(asked, Ordering::Release);
        let op = arg(libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG);
        // SAFETY: the word is live.
        unsafe { bare::call(libc::SYS_futex, [cage.answered.as_ptr() as usize, op, 1, 0]) };
    }
}

/// Takes what is pending and counts it. In the canary.
fn empty(cage: &Cage) {
    /// Bytes of the kernel's signal set, which has 64 bits where `bare` is known.
    const SET: usize = 8;
    let all = u64::MAX;
    let at_once = [0u64; 2];
    let mut info = MaybeUninit::<libc::siginfo_t>::uninit();
    loop {
        // SAFETY: all three are live and of the size that the kernel takes them for (a timespec is
        // two 64-bit numbers).
        let signal = unsafe {
            let (set, time) = (&raw const all as usize, &raw const at_once as usize);
            bare::call(libc::SYS_rt_sigtimedwait, [set, info.as_mut_ptr() as usize, time, SET])
        };
        if signal <= 0 {
            return;
        }
        // SAFETY: filled by the kernel; `si_pid` reads a plain number, meaningful for kill(2)'s codes.
        let ours = unsafe {
            let info = info.assume_init_ref();
            info.si_code <= 0 && info.si_pid() == cage.keeper
        };
        if let (false, Some(count)) = (ours, cage.counts.get(signal as usize)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From another process: our own don't count.
    fn send(signal: i32, to: Pid) {
        let mut kill = std::process::Command::new("kill");
        assert!(kill.args([format!("-{signal}"), to.to_string()]).status().unwrap().success());
    }

    /// Catches a count that stays, one that is merged, a signal of ours that is taken for another's.
    #[test]
    fn it_tells_what_it_got_and_forgets_it() {
        let mut canary = Canary::new().unwrap();
        for signal in [libc::SIGTERM, libc::SIGTERM, 40, 40, 64] {
            send(signal, canary.pid);
        }
        signals::send_signal(canary.pid, libc::SIGUSR1).unwrap();
        assert_eq!(canary.ask(), Some(vec![(libc::SIGTERM, 1), (40, 2), (64, 1)]));
        assert_eq!(canary.ask(), Some(vec![]));
        send(libc::SIGSTOP, canary.pid);
        send(libc::SIGHUP, canary.pid);
        assert_eq!(canary.ask(), Some(vec![(libc::SIGHUP, 1)]));
    }

    /// Catches a wait for an answer that can't come, and a process that is left behind.
    #[test]
    fn a_dead_one_is_known_and_reaped() {
        let mut canary = Canary::new().unwrap();
        let pid = canary.pid;
        assert!(!canary.is_dead());
        canary.kill();
        let since = Mark::now();
        assert_eq!(canary.ask(), None);
        assert!(since.elapsed() < PATIENCE && canary.is_dead());
        drop(canary);
        assert!(signals::send_signal(pid, 0).is_err());
    }
}
