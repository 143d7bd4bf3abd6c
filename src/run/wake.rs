//! The front stops when the command does, and must go on when the command does, whoever woke it
//! (`kill -CONT`, a scheduler, a debugger), and when a command that is stopped is killed.
//!
//! Who sees that is the command's parent: the supervisor, or the monitor. It wakes the front then. If
//! both are gone the front itself is the command's parent, and has a watcher for as long as it is stopped.

use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::unistd::{Pid, getpid, getppid};

use crate::sys::clock::Mark;
use crate::sys::process::{self, Fork};
use crate::sys::shared::Board;
use crate::sys::{best_effort, fds, signals};

/// A front that is about to stop does so within this, if it gets to run at all.
const FRONT_STOPS_WITHIN: Duration = Duration::from_secs(1);
/// How often a watcher looks.
const WATCH: Duration = Duration::from_millis(20);

/// Has the command another parent of ours, which wakes us?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    Another,
    Front,
}

/// The front's stops.
#[derive(Debug, Default)]
pub struct Stopper {
    /// The last watcher: its SIGCONT is for us, not for the command.
    watcher: Option<Pid>,
}

impl Stopper {
    /// Stops us, by SIGSTOP, since a TSTP of our own would be thrown away in an orphaned process group.
    /// Returns when we have gone on.
    ///
    /// The news of the command's stop may be old: one that was woken meanwhile must not leave us stopped
    /// behind. [`Board::front_stops`] says that we may be between the look and the stop. It is set
    /// before the look: either we see the command go on (`false`), or who sees that first finds it set.
    pub fn stop_with(&mut self, command: Pid, board: &Board, parent: Parent, before: impl FnOnce()) -> bool {
        board.front_stops.store(true, Ordering::SeqCst);
        let stops = process::is_stopped(command);
        if stops {
            before();
            // Without a process to spare nobody but a shell's `fg` wakes us.
            self.watcher = if parent == Parent::Front { watch(command, board) } else { None };
            best_effort(signals::send_signal(getpid(), libc::SIGSTOP));
        }
        board.front_stops.store(false, Ordering::SeqCst);
        if let (true, Some(watcher)) = (stops, self.watcher) {
            best_effort(signals::send_signal(watcher, libc::SIGKILL));
            best_effort(nix::sys::wait::waitpid(watcher, None));
        }
        stops
    }

    /// Is it who woke us?
    pub fn is_watcher(&self, sender: Pid) -> bool {
        self.watcher == Some(sender)
    }
}

/// A process that wakes us when the command isn't stopped any more. It is out of reach for what stops
/// the command's group.
fn watch(command: Pid, board: &Board) -> Option<Pid> {
    let front = getpid();
    match process::fork() {
        Ok(Fork::Parent(watcher)) => Some(watcher),
        Ok(Fork::Child) => {
            best_effort(nix::unistd::setsid());
            fds::detach_standard(&[0, 1, 2]);
            fds::close_all_but(&[]);
            while process::is_stopped(command) && getppid() == front {
                std::thread::sleep(WATCH);
            }
            wake_front(board, front, || getppid() == front);
            process::leave(0)
        }
        Err(_) => None,
    }
}

/// The command goes on or has ended: so shall the front, which may have stopped with it, or with the
/// whole group. One that is just about to stop can't be woken yet, so we look until it is through.
pub fn wake_front(board: &Board, front: Pid, lives: impl Fn() -> bool) {
    let began = Mark::now();
    while lives() {
        process::wake_if_stopped(front);
        if !board.front_stops.load(Ordering::SeqCst) || began.elapsed() >= FRONT_STOPS_WITHIN {
            return;
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}
