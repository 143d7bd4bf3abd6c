//! From the supervisor to the command: forks it, or with `--pty full` the processes around it, and
//! finds out whether exec took place.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering;

use nix::errno::Errno;

use super::monitor;
use super::supervisor::Run;
use crate::sys::process::{self, ExecImage};
use crate::sys::{best_effort, fds};

/// How the start went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Running,
    /// exec said no.
    Refused(Errno),
}

/// What the command's process says before it is the command, or why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// exec said no.
    Refused(Errno),
    /// We lack what that takes: an errno.
    OwnFailure(i32),
}

/// Comes over a pipe that closes on exec: nothing, when the command runs.
#[derive(Debug)]
pub struct VerdictPipe {
    hear: OwnedFd,
    tell: Option<OwnedFd>,
    /// Its number, which stays what it is in a child that shares our memory.
    tell_number: RawFd,
}

impl VerdictPipe {
    pub fn new() -> io::Result<Self> {
        let (hear, tell) = fds::pipe()?;
        let tell_number = tell.as_raw_fd();
        Ok(Self { hear, tell: Some(tell), tell_number })
    }

    /// Lets go of the command's end.
    pub fn only_hear(&mut self) {
        self.tell = None;
    }

    /// Tells the supervisor, or its successor.
    pub fn tell(&self, verdict: Verdict) {
        let (kind, errno) = match verdict {
            Verdict::Refused(errno) => (0, errno as i32),
            Verdict::OwnFailure(errno) => (1, errno),
        };
        let [a, b, c, d] = errno.to_ne_bytes();
        let told = nix::unistd::write(fds::borrow(self.tell_number), &[kind, a, b, c, d]);
        debug_assert!(told.is_ok(), "someone reads until we are gone");
    }

    /// Waits until there is a command, or can't be one any more.
    pub fn hear(&self) -> Option<Verdict> {
        let mut told = [0; 5];
        loop {
            match nix::unistd::read(&self.hear, &mut told) {
                Ok(5) => {
                    let [kind, a, b, c, d] = told;
                    let errno = i32::from_ne_bytes([a, b, c, d]);
                    return Some(if kind == 0 {
                        Verdict::Refused(Errno::from_raw(errno))
                    } else {
                        Verdict::OwnFailure(errno)
                    });
                }
                Err(Errno::EINTR) => {}
                _ => return None,
            }
        }
    }
}

/// The command's process, up to its exec.
///
/// # Errors
/// When we lack what that takes (processes, descriptors): not the command's fault.
pub fn start_command(run: &mut Run<'_>, image: &ExecImage) -> io::Result<Start> {
    let session = run.wiring.full.session.take();
    let verdict = std::cell::Cell::new(None);
    if let Some(session) = &session {
        monitor::start(run, session, image)?;
        run.verdict.only_hear();
        verdict.set(run.verdict.hear());
    } else {
        let ends = std::mem::take(&mut run.wiring.command_ends);
        let pipe = run.verdict.tell.take();
        let shared = &*run;
        let pid = process::fork_to_exec(image, &mut || become_command(shared, image), &mut |command| {
            // Only now: the command stays in the front's session and group, which we outlive. It isn't
            // the command yet, so it can't kill its group, us in it.
            best_effort(nix::unistd::setsid());
            command.go();
            pipe.iter().chain(&ends).for_each(|end| fds::close(end.as_raw_fd()));
            verdict.set(shared.verdict.hear());
            if verdict.get().is_some() {
                // Reaps the process that couldn't become the command, and is on our memory until then.
                let pid = shared.board.board().command.load(Ordering::Acquire);
                best_effort(nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None));
            }
        })?;
        // Closed above, without touching the memory that the command still shared.
        std::mem::forget((pipe, ends));
        run.board.board().command.store(pid.as_raw(), Ordering::Release);
    }
    drop(session);
    run.wiring.command_ends.clear();
    match verdict.take() {
        // Killed on the way, so that nobody could tell.
        None if run.board.board().command.load(Ordering::Acquire) == 0 => {
            Err(io::Error::from_raw_os_error(libc::ECHILD))
        }
        None => Ok(Start::Running),
        Some(Verdict::OwnFailure(errno)) => Err(io::Error::from_raw_os_error(errno)),
        Some(Verdict::Refused(errno)) => Ok(Start::Refused(errno)),
    }
}

/// In the new process: becomes the command, or tells why not.
pub fn become_command(run: &Run<'_>, image: &ExecImage) -> ! {
    // If our parent is killed now, its successor finds the command by this.
    run.board.board().command.store(nix::unistd::getpid().as_raw(), Ordering::Release);
    run.wiring.install();
    run.signals.give_back();
    let errno = image.exec();
    run.verdict.tell(Verdict::Refused(errno));
    process::leave(if errno == Errno::ENOENT { 127 } else { 126 })
}
