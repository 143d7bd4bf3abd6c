//! `--pty full`, the command's side: the processes between supervisor and command.
//!
//! * **K**, the keeper, leads the session that has the command's terminal, and does nothing else: a
//!   leader's end hangs up its terminal, and programs that the command left behind may need it. When
//!   all of us have let go of the terminal's other side, because the real one has hung up or all is
//!   over, the kernel sends the leader SIGHUP; it dies of that, and so the foreground is hung up on.
//! * **A**, the monitor, is the command's parent in that session: without one, the kernel would throw
//!   its Ctrl-Z away (an orphaned process group). It notes the command's end on the board before it
//!   reaps it, and tells the front of stops. It is a child of the supervisor (a subreaper), which so
//!   counts the command's CPU time, and is given the command if the monitor is killed.
//!
//! If the front is killed, the monitor restores the real terminal's modes, unless a shell already
//! has. Nobody types then any more; what the command writes is still passed on.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::sys::signal::Signal;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getpgrp, getpid, tcsetpgrp};

use super::full::Session;
use super::link::{self, Message};
use super::start::{self, Verdict};
use super::supervisor::Run;
use super::wake;
use crate::sys::process::{self, Change, ExecImage, Fork};
use crate::sys::shared::Board;
use crate::sys::signals;
use crate::sys::{best_effort, fds, tty};

/// What the front tells the monitor when it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Is the run the real terminal's foreground? So will be the command at its own.
    pub foreground: bool,
    pub wake: Wake,
}

/// Is the command sent SIGCONT?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Wake {
    Never = 0,
    /// Only we were stopped, or only our news of it are old.
    IfStopped = 1,
    /// Somebody sent it to us.
    Always = 2,
}

/// Tells the monitor. That it's gone is seen by who listens to it.
pub fn order(monitor: BorrowedFd<'_>, Order { foreground, wake }: Order) {
    use nix::sys::socket::{MsgFlags, send};
    let bytes = [u8::from(foreground), wake as u8];
    best_effort(send(monitor.as_raw_fd(), &bytes, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT));
}

/// The next order; None when the front is gone.
///
/// # Errors
/// `WouldBlock` when there is none now.
fn hear(front: BorrowedFd<'_>) -> io::Result<Option<Order>> {
    use nix::sys::socket::{MsgFlags, recv};
    let mut bytes = [0u8; 2];
    match recv(front.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
        Ok(0) | Err(nix::errno::Errno::ECONNRESET) => Ok(None),
        Ok(_) => {
            let wake = match bytes[1] {
                0 => Wake::Never,
                1 => Wake::IfStopped,
                _ => Wake::Always,
            };
            Ok(Some(Order { foreground: bytes[0] == 1, wake }))
        }
        Err(e) => Err(e.into()),
    }
}

/// Starts keeper, monitor and command. In the supervisor.
///
/// # Errors
/// When there is no process to be had. What fails later is told through the pipe of the verdict.
pub fn start(run: &Run<'_>, session: &Session, image: &ExecImage) -> io::Result<()> {
    // Before Linux 3.4: if the monitor is killed, its status is lost; all else works.
    best_effort(nix::sys::prctl::set_child_subreaper(true));
    match process::fork()? {
        Fork::Child => keep(run, session, image),
        Fork::Parent(_) => Ok(()),
    }
}

/// The keeper.
fn keep(run: &Run<'_>, session: &Session, image: &ExecImage) -> ! {
    let started = lead_session(session).and_then(|()| process::fork()).and_then(|fork| match fork {
        Fork::Parent(between) => {
            best_effort(nix::sys::wait::waitpid(between, None));
            Ok(())
        }
        // Ends at once, so that the monitor becomes the supervisor's child.
        Fork::Child => match process::fork() {
            Ok(Fork::Child) => watch_over(run, session, image),
            Ok(Fork::Parent(_)) => process::leave(0),
            Err(e) => give_up(run, &e),
        },
    });
    if let Err(e) = started {
        give_up(run, &e);
    }
    let_go(&[]);
    signals::end_by_hangup();
    loop {
        best_effort(process::poll(&mut [], None));
    }
}

fn lead_session(session: &Session) -> io::Result<()> {
    nix::unistd::setsid()?;
    tty::take_as_controlling(session.terminal.as_fd())
}

/// Tells the supervisor that there will be no command, for want of something of ours.
fn give_up(run: &Run<'_>, e: &io::Error) -> ! {
    run.verdict.tell(Verdict::OwnFailure(e.raw_os_error().unwrap_or(libc::EIO)));
    process::leave(0)
}

/// Keeps nothing of the caller's but these.
fn let_go(keep: &[i32]) {
    best_effort(nix::unistd::chdir("/"));
    fds::detach_standard(&[0, 1, 2]);
    fds::close_all_but(keep);
}

/// The monitor.
fn watch_over(run: &Run<'_>, session: &Session, image: &ExecImage) -> ! {
    session.note.set_monitor(getpid());
    // Before the command, which may end at once.
    let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
    let children = match SignalFd::with_flags(&signals::child_set(), flags) {
        Ok(children) => children,
        Err(e) => give_up(run, &e.into()),
    };
    let command = match process::fork() {
        Ok(Fork::Child) => {
            // SIGTTOU is still blocked, so that this is no reason to be stopped.
            best_effort(nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0)));
            if session.foreground {
                best_effort(tcsetpgrp(&session.terminal, getpid()));
            }
            start::become_command(run, image)
        }
        Ok(Fork::Parent(command)) => command,
        Err(e) => give_up(run, &e),
    };
    let board = run.board.board();
    let mut monitor = Monitor { session, board, command, foreground: session.foreground, front: true };
    let keep = [&session.real, &session.terminal, &session.front].map(AsRawFd::as_raw_fd);
    let_go(&[&keep[..], &[children.as_raw_fd()]].concat());
    loop {
        while let Ok(Some(change)) = process::check_child(command, &board.end) {
            monitor.tell(change);
        }
        let front = if monitor.front { session.front.as_raw_fd() } else { -1 };
        let of = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut ask = [of(children.as_raw_fd()), of(front)];
        if process::poll(&mut ask, None).is_err() {
            continue;
        }
        while matches!(children.read_signal(), Ok(Some(_))) {}
        if ask[1].revents != 0 {
            monitor.listen();
        }
    }
}

struct Monitor<'a> {
    session: &'a Session,
    board: &'static Board,
    command: Pid,
    /// Is the command the foreground of its terminal, as far as we have put it there?
    foreground: bool,
    /// Does the front live?
    front: bool,
}

impl Monitor<'_> {
    fn tell(&self, change: Change) {
        match change {
            Change::Ended => {
                // What it left behind isn't the foreground any more, as without us: the end of the
                // session is no hangup for it.
                best_effort(tcsetpgrp(&self.session.terminal, getpgrp()));
                // A command that is stopped can be killed.
                self.wake_front();
                process::leave(0)
            }
            Change::Stopped { signal } => link::tell(self.session.front.as_fd(), Message::Stopped { signal }),
            Change::Continued if self.front => {
                link::tell(self.session.front.as_fd(), Message::Continued);
                self.wake_front();
            }
            Change::Continued => {}
        }
    }

    fn wake_front(&self) {
        let front = self.session.front.as_fd();
        wake::wake_front(self.board, self.session.front_pid, || self.front && !tty::has_hung_up(front));
    }

    fn listen(&mut self) {
        match hear(self.session.front.as_fd()) {
            Ok(Some(order)) => self.obey(order),
            Ok(None) => {
                self.front = false;
                tty::restore(self.session.real.as_fd(), self.session.note);
            }
            Err(_) => {}
        }
    }

    fn obey(&mut self, Order { foreground, wake }: Order) {
        let group = nix::unistd::getpgid(Some(self.command));
        if foreground != self.foreground {
            self.foreground = foreground;
            let front = if foreground { group } else { Ok(getpgrp()) };
            best_effort(front.and_then(|group| tcsetpgrp(&self.session.terminal, group)));
        }
        if wake == Wake::Always || (wake == Wake::IfStopped && process::is_stopped(self.command)) {
            best_effort(group.and_then(|group| nix::sys::signal::killpg(group, Signal::SIGCONT)));
        }
    }
}
