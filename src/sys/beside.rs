//! Processes beside us for a disk that doesn't answer. What waits for one can't be ended, not even by
//! SIGKILL, and keeps its descriptors for as long.
//!
//! They share our memory, as the canary does, which makes them cheap: to ask a disk takes 80 µs, to make
//! and end a releaser 30 µs (on a busy machine, where a run of `true` took 4 ms).
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::ffi::CString;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::unistd::Pid;

use super::clock::Mark;
use super::{bare, best_effort, ids, signals};

/// Their frames take less than 1 KiB, and no handler ever runs on them.
const STACK: usize = 8 * 1024;

#[repr(C, align(16))]
struct Stack(UnsafeCell<[u8; STACK]>);

impl Stack {
    fn new() -> Self {
        Self(UnsafeCell::new([0; STACK]))
    }
}

type Life = extern "C" fn(*mut libc::c_void) -> libc::c_int;

/// Makes a process that runs `life` on `stack`. It is waited for with `__WALL` only.
///
/// # Safety
/// Stack, argument and `end`, where there is one, must live until it has ended; `life` makes bare system
/// calls only, and touches nothing of ours that isn't atomic or its own.
unsafe fn start(
    life: Life,
    stack: &Stack,
    flags: libc::c_int,
    arg: *mut libc::c_void,
    end: Option<&AtomicU32>,
) -> io::Result<Pid> {
    if !bare::KNOWN {
        return Err(io::ErrorKind::Unsupported.into());
    }
    signals::with_all_blocked(|| {
        // SAFETY: the stack ends at a multiple of 16, as the ABIs want it; the rest is the caller's promise.
        let pid = unsafe {
            let top = stack.0.get().cast::<u8>().add(STACK);
            let none = std::ptr::null_mut::<libc::c_void>();
            let (flag, end) =
                end.map_or((0, std::ptr::null_mut()), |end| (libc::CLONE_CHILD_CLEARTID, end.as_ptr()));
            libc::clone(life, top.cast(), flags | flag | libc::CLONE_VM, arg, none, none, end)
        };
        if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(Pid::from_raw(pid)) }
    })
}

/// Waits for one that has ended, or is just about to.
fn reap(pid: Pid) -> bool {
    let mut status = 0;
    // SAFETY: the pointer is to a live variable. Interrupted never: no handler is installed.
    unsafe { libc::waitpid(pid.as_raw(), &raw mut status, libc::__WALL) == pid.as_raw() }
}

/// How long a disk may take to answer before something else is done. As long as for an answer during the run.
pub const PATIENCE: Duration = Duration::from_secs(2);

struct Question {
    stack: Stack,
    /// Folders, nearest first, and a name in each that isn't taken.
    places: Vec<(CString, CString)>,
    /// The kernel makes it 0, and wakes us, when the process ends: answered, or killed
    /// (CLONE_CHILD_CLEARTID of clone(2)).
    open: AtomicU32,
}

/// Does the disk on which `folder` lies, or is to be made, take a change? Asked by removing a file that
/// isn't there: that changes nothing, and waits where any change would.
///
/// True as well where nobody can be sent to ask.
pub fn disk_answers(folder: &Path) -> bool {
    let name = format!(".notify-done-asks-{}", ids::random_hex(8));
    let place = |folder: &Path| {
        let c = |path: &Path| CString::new(path.as_os_str().as_bytes()).ok();
        Some((c(folder)?, c(&folder.join(&name))?))
    };
    let places = folder.ancestors().filter_map(place).collect();
    let question = Box::new(Question { stack: Stack::new(), places, open: AtomicU32::new(1) });
    let question: &'static Question = Box::leak(question);
    let arg = std::ptr::from_ref(question).cast_mut().cast();
    // SAFETY: leaked until the process is reaped. It has descriptors of its own.
    let Ok(pid) = (unsafe { start(ask, &question.stack, 0, arg, Some(&question.open)) }) else { return true };
    let since = Mark::now();
    while question.open.load(Ordering::Acquire) != 0 {
        let left = PATIENCE.saturating_sub(since.elapsed());
        if left.is_zero() {
            // It never returns from that call to anything of ours.
            best_effort(signals::send_signal(pid, libc::SIGKILL));
            return false;
        }
        wait(&question.open, left);
    }
    if reap(pid) {
        // SAFETY: leaked above; nobody uses it any more.
        drop(unsafe { Box::from_raw(std::ptr::from_ref(question).cast_mut()) });
    }
    true
}

extern "C" fn ask(question: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `disk_answers` passes one that outlives this process.
    let question = unsafe { &*question.cast::<Question>() };
    let call = |number, args| {
        // SAFETY: takes numbers and strings that live.
        unsafe { bare::call(number, args) }
    };
    let here = libc::AT_FDCWD as usize;
    // While this hangs, the caller's pipes must be able to end.
    if call(libc::SYS_close_range, [0, u32::MAX as usize, 0, 0]) < 0 {
        // Before Linux 5.9. What matters is where standard output and error go.
        (0..256).for_each(|fd| {
            call(libc::SYS_close, [fd, 0, 0, 0]);
        });
    }
    for (folder, name) in &question.places {
        if call(libc::SYS_faccessat, [here, folder.as_ptr() as usize, libc::F_OK as usize, 0]) == 0 {
            call(libc::SYS_unlinkat, [here, name.as_ptr() as usize, 0, 0]);
            break;
        }
    }
    0
}

/// Lets go of what its maker holds, when that can't do so itself: a process that hangs in a system call keeps
/// its descriptors, and whoever reads a pipe to its end waits with it. It has the same descriptors and closes
/// some of them once it is told to, which must be after its maker was killed.
#[derive(Debug)]
pub struct Releaser {
    pid: Pid,
    keeper: Pid,
    hold: &'static Hold,
}

struct Hold {
    stack: Stack,
    fds: Vec<RawFd>,
    told: &'static AtomicU32,
    keeper: Pid,
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hold").field("fds", &self.fds).finish_non_exhaustive()
    }
}

impl Releaser {
    /// For these descriptors; `told` lies in memory that is shared with who tells.
    ///
    /// # Errors
    /// No process to spare, or a machine for which it isn't written.
    pub fn new(fds: Vec<RawFd>, told: &'static AtomicU32) -> io::Result<Self> {
        let keeper = nix::unistd::getpid();
        let hold: &'static Hold = Box::leak(Box::new(Hold { stack: Stack::new(), fds, told, keeper }));
        let arg = std::ptr::from_ref(hold).cast_mut().cast();
        let flags = libc::CLONE_FILES | libc::CLONE_FS;
        // SAFETY: leaked until the process is reaped.
        match unsafe { start(stand_by, &hold.stack, flags, arg, None) } {
            Ok(pid) => Ok(Self { pid, keeper, hold }),
            Err(e) => {
                // SAFETY: leaked above, and no process came to use it.
                drop(unsafe { Box::from_raw(std::ptr::from_ref(hold).cast_mut()) });
                Err(e)
            }
        }
    }
}

/// What it is told: to let go of them, or to go.
const LET_GO: u32 = 1;
const GO: u32 = 2;

/// Has the other process's [`Releaser`] let go.
pub fn release(told: &AtomicU32) {
    told.store(LET_GO, Ordering::Release);
    wake(told);
}

impl Drop for Releaser {
    fn drop(&mut self) {
        // A forked copy of its maker has a copy of the memory, and no releaser.
        if nix::unistd::getpid() == self.keeper {
            // Told, since kill(2) may be refused (a sandbox); and not to do what it is there for.
            best_effort(self.hold.told.compare_exchange(0, GO, Ordering::AcqRel, Ordering::Acquire));
            wake(self.hold.told);
            if !reap(self.pid) {
                return;
            }
        }
        // SAFETY: leaked in `new`; whoever used it is reaped.
        drop(unsafe { Box::from_raw(std::ptr::from_ref(self.hold).cast_mut()) });
    }
}

extern "C" fn stand_by(hold: *mut libc::c_void) -> libc::c_int {
    const NAME: &std::ffi::CStr = c"nd-releaser";
    // SAFETY: `new` passes one that outlives this process.
    let hold = unsafe { &*hold.cast::<Hold>() };
    let call = |number, args| {
        // SAFETY: takes numbers, and pointers to what lives.
        unsafe { bare::call(number, args) }
    };
    call(libc::SYS_prctl, [libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize, 0, 0]);
    // Our keeper may have died before the line above.
    if call(libc::SYS_getppid, [0; 4]) != hold.keeper.as_raw() as isize {
        return 0;
    }
    call(libc::SYS_prctl, [libc::PR_SET_NAME as usize, NAME.as_ptr() as usize, 0, 0]);
    while hold.told.load(Ordering::Acquire) == 0 {
        let word = hold.told.as_ptr() as usize;
        call(libc::SYS_futex, [word, libc::FUTEX_WAIT as usize, 0, 0]);
    }
    let let_go = hold.told.load(Ordering::Acquire) == LET_GO;
    for fd in hold.fds.iter().filter(|_| let_go) {
        call(libc::SYS_close, [*fd as usize, 0, 0, 0]);
    }
    0
}

/// FUTEX_WAKE, futex(2), of who may be in another process. Errno may become another's: nothing looks at it.
fn wake(word: &AtomicU32) {
    // SAFETY: the word is live; the call doesn't write to it. A null pointer is not read.
    unsafe { bare::call(libc::SYS_futex, [word.as_ptr() as usize, libc::FUTEX_WAKE as usize, 1, 0]) };
}

/// FUTEX_WAIT while the word is 1; may return early.
fn wait(word: &AtomicU32, at_most: Duration) {
    // SAFETY: a timespec is plain numbers.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    time.tv_nsec = at_most.subsec_nanos().into();
    time.tv_sec = libc::time_t::try_from(at_most.as_secs()).unwrap_or(0);
    let args = [word.as_ptr() as usize, libc::FUTEX_WAIT as usize, 1, &raw const time as usize];
    // SAFETY: word and time are live; the call doesn't write to them.
    unsafe { bare::call(libc::SYS_futex, args) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// Catches a question that leaves something behind, or isn't answered where the folder isn't there yet.
    #[test]
    fn a_disk_that_works_answers() {
        let dir = tempfile::tempdir().unwrap();
        assert!(disk_answers(dir.path()) && disk_answers(&dir.path().join("not/yet")));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(dir.path().metadata().unwrap().is_dir());
    }

    /// Catches an end that never comes for the reader of a pipe whose writer can't close it, and a process
    /// that is left behind.
    #[test]
    fn it_lets_go_of_what_its_maker_holds() {
        let told: &'static AtomicU32 = Box::leak(Box::new(AtomicU32::new(0)));
        let (read, write) = super::super::fds::pipe().unwrap();
        let releaser = Releaser::new(vec![std::os::fd::IntoRawFd::into_raw_fd(write)], told).unwrap();
        let pid = releaser.pid;
        release(told);
        assert_eq!(std::fs::File::from(read).read(&mut [0]).unwrap(), 0);
        drop(releaser);
        assert!(signals::send_signal(pid, 0).is_err());
    }
}
