//! From the supervisor to the command: forks it, or with `--pty full` the processes around it, and
//! finds out whether exec took place.

use std::io;
use std::os::fd::OwnedFd;
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
}

impl VerdictPipe {
    pub fn new() -> io::Result<Self> {
        let (hear, tell) = fds::pipe()?;
        Ok(Self { hear, tell: Some(tell) })
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
        let told = self.tell.as_ref().map(|pipe| nix::unistd::write(pipe, &[kind, a, b, c, d]));
        debug_assert!(told.is_some_and(|told| told.is_ok()), "someone reads until we are gone");
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
    let mut child = None;
    if let Some(session) = &session {
        monitor::start(run, session, image)?;
    } else {
        let pid = process::fork_to_exec(image, &mut || become_command(run, image))?;
        run.board.board().command.store(pid.as_raw(), Ordering::Release);
        child = Some(pid);
    }
    drop(session);
    run.wiring.command_ends.clear();
    run.verdict.only_hear();
    match run.verdict.hear() {
        // Killed on the way, so that nobody could tell.
        None if run.board.board().command.load(Ordering::Acquire) == 0 => {
            Err(io::Error::from_raw_os_error(libc::ECHILD))
        }
        None => Ok(Start::Running),
        Some(Verdict::OwnFailure(errno)) => Err(io::Error::from_raw_os_error(errno)),
        Some(Verdict::Refused(errno)) => {
            // Reaps the process that couldn't become the command.
            if let Some(pid) = child {
                best_effort(nix::sys::wait::waitpid(pid, None));
            }
            Ok(Start::Refused(errno))
        }
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
