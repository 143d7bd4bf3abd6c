//! `--pty full`: the command gets a terminal of its own as its controlling one, for programs that
//! draw the whole screen. This is the front's part, the relay: the real terminal in raw mode, what
//! is typed there passed on, Ctrl-Z and the window's size.
//!
//! ```text
//! shell ── F front ── S supervisor ──┬─ A monitor ── C command
//!            │  relay                └─ K keeper: leads C's session
//!            └── real terminal, raw ──▶ pseudo-terminal ──▶ pump (S)
//! ```
//!
//! [`super::monitor`] has the other side. Raw mode is set and left only while we are the
//! terminal's foreground. In the background the command's group isn't its own terminal's
//! foreground either: it is stopped when it reads or sets modes, as without us.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::Pid;

use super::link::{self, Message};
use super::monitor::{self, Order, Wake};
use crate::sys::clock::Mark;
use crate::sys::signals::Waiting;
use crate::sys::tty::{self, TerminalNote};
use crate::sys::{best_effort, fds, inherited};

/// What was written just before a stop is shown within this: a pseudo-terminal hands its bytes on
/// through a kernel worker, and the shell's prompt must come after them.
const SETTLES: Duration = Duration::from_millis(20);
/// A terminal that takes nothing (paused) holds the stop up no longer than this.
const SETTLES_AT_LAST: Duration = Duration::from_millis(500);
/// As much as a terminal itself keeps of what is typed: N_TTY_BUF_SIZE of Linux.
const TYPED: usize = 4096;

/// Can `--pty full` be had? It needs a controlling terminal that is our standard output: else there
/// is nowhere to draw, or (`… | less`) another program has the terminal.
pub fn applies() -> bool {
    is_ours(1)
}

/// Is it our controlling terminal, and was it open when we were started?
pub fn is_ours(fd: RawFd) -> bool {
    !inherited::was_closed(fd) && tty::is_controlling(fds::borrow(fd))
}

/// All that `--pty full` needs, made before any fork.
#[derive(Debug)]
pub struct Full {
    pub relay: Parts,
    pub session: Session,
    pub note: TerminalNote,
}

/// The front's part.
#[derive(Debug)]
pub struct Parts {
    real: OwnedFd,
    main: OwnedFd,
    monitor: OwnedFd,
    note: TerminalNote,
}

/// The part of the processes around the command.
#[derive(Debug)]
pub struct Session {
    pub real: OwnedFd,
    pub terminal: OwnedFd,
    pub front: OwnedFd,
    pub front_pid: Pid,
    pub note: TerminalNote,
    pub foreground: bool,
}

impl Full {
    /// Opens the pseudo-terminal: (all this, our side of it for the pump).
    ///
    /// # Errors
    /// When there is no pseudo-terminal or descriptor to be had.
    pub fn open() -> io::Result<(Self, OwnedFd)> {
        let real = tty::open_controlling()?;
        let (main, terminal) = tty::command_pty(&real)?;
        let (monitor, front) = link::pair()?;
        let note = TerminalNote::new()?;
        let session = Session {
            real: real.try_clone()?,
            terminal,
            front,
            front_pid: nix::unistd::getpid(),
            note,
            foreground: in_foreground(&real),
        };
        let relay = Parts { real, main: main.try_clone()?, monitor, note };
        Ok((Self { relay, session, note }, main))
    }
}

fn in_foreground(real: &OwnedFd) -> bool {
    nix::unistd::tcgetpgrp(real) == Ok(nix::unistd::getpgrp())
}

/// The real terminal; its modes are restored when this is dropped.
#[derive(Debug)]
struct RealTerminal {
    fd: OwnedFd,
    note: TerminalNote,
}

impl RealTerminal {
    /// Raw mode, if the terminal is ours to set. Is it in raw mode now?
    fn enter(&self) -> bool {
        let entered = in_foreground(&self.fd) && tty::set_raw(self.fd.as_fd(), self.note).is_ok();
        if !entered {
            self.note.is_restored();
        }
        entered
    }

    fn leave(&self) {
        if in_foreground(&self.fd) {
            tty::restore(self.fd.as_fd(), self.note);
        }
        self.note.is_restored();
    }
}

impl Drop for RealTerminal {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Who has to wake a command that is to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waker {
    Monitor,
    /// The monitor was killed: the front itself.
    Front(Wake),
}

/// Passes on what is typed, and stops and goes on with the command.
#[derive(Debug)]
pub struct Relay {
    real: RealTerminal,
    /// The other side of the command's terminal; None once the real one has hung up.
    main: Option<OwnedFd>,
    monitor: Option<OwnedFd>,
    /// Typed, not yet passed on; read on only when this is empty, so that who types faster than
    /// the command reads is held back by the real terminal as ever.
    typed: Vec<u8>,
    raw: bool,
    /// The command has stopped, then; we stop as soon as its last output is shown.
    stopped: Option<Mark>,
    /// We went on by a SIGCONT that is still to be read.
    woken: bool,
}

impl Relay {
    /// Sets raw mode, before the command can ask the terminal anything.
    pub fn new(Parts { real, main, monitor, note }: Parts) -> Self {
        let real = RealTerminal { fd: real, note };
        let raw = real.enter();
        let (main, monitor) = (Some(main), Some(monitor));
        Self { real, main, monitor, typed: Vec::new(), raw, stopped: None, woken: false }
    }

    /// The command's parent, once there is one.
    pub fn monitor(&self) -> Option<Pid> {
        self.real.note.monitor()
    }

    /// Does it live, as far as we have heard?
    pub fn hears_monitor(&self) -> bool {
        self.monitor.is_some()
    }

    /// What poll(2) should wait for, for [`Relay::turn`]. Until the command is `running` keys stay
    /// where they are: a Ctrl-C would find nobody.
    pub fn interests(&self, running: bool) -> [libc::pollfd; 3] {
        let of = |fd: Option<&OwnedFd>, events| libc::pollfd {
            fd: fd.map_or(-1, AsRawFd::as_raw_fd),
            events,
            revents: 0,
        };
        let room = running && self.raw && self.typed.is_empty();
        [
            of(self.monitor.as_ref(), libc::POLLIN),
            // Without an event to wait for it still tells of a hangup.
            of(self.main.as_ref().map(|_| &self.real.fd), if room { libc::POLLIN } else { 0 }),
            of(self.main.as_ref().filter(|_| !self.typed.is_empty()), libc::POLLOUT),
        ]
    }

    /// Does what poll(2) said of [`Relay::interests`].
    pub fn turn(&mut self, ready: &[libc::pollfd]) {
        let [monitor, real, main] = ready else { return };
        if monitor.revents != 0 {
            self.hear();
        }
        if real.revents & (libc::POLLHUP | libc::POLLERR) != 0 {
            self.main = None;
        } else if real.revents & libc::POLLIN != 0 {
            self.read();
        }
        if main.revents != 0 || real.revents != 0 {
            self.pass_on();
        }
    }

    fn hear(&mut self) {
        match self.monitor.as_ref().map(|monitor| link::hear(monitor.as_fd())) {
            Some(Ok(Some(Message::Stopped { signal }))) => self.command_stopped(signal),
            Some(Ok(Some(Message::Continued))) => self.command_continued(),
            Some(Ok(None)) => self.monitor = None,
            _ => {}
        }
    }

    fn read(&mut self) {
        // Somebody may have taken the terminal from us; a read would stop us.
        if !in_foreground(&self.real.fd) {
            self.raw = false;
            self.real.note.is_restored();
            return;
        }
        self.typed.resize(TYPED, 0);
        let count = nix::unistd::read(&self.real.fd, &mut self.typed);
        self.typed.truncate(count.unwrap_or(0));
        // In raw mode an end of input is no key but a hangup.
        if !matches!(count, Ok(1..) | Err(Errno::EAGAIN | Errno::EINTR)) {
            self.main = None;
        }
    }

    fn pass_on(&mut self) {
        let Some(main) = self.main.as_ref().filter(|_| !self.typed.is_empty()) else { return };
        match nix::unistd::write(main, &self.typed) {
            Ok(count) => drop(self.typed.drain(..count)),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            // Nobody has the command's terminal open any more.
            Err(_) => self.typed.clear(),
        }
    }

    /// A key that the real terminal took for a signal: it wasn't in raw mode (yet).
    pub fn key_signal(&self, signal: i32) {
        if let Some(main) = &self.main {
            best_effort(tty::signal_foreground(main.as_fd(), signal));
        }
    }

    /// Has the real terminal hung up? The kernel then tells the command, as its own terminal goes.
    pub fn hung_up(&self) -> bool {
        tty::has_hung_up(self.real.fd.as_fd())
    }

    /// Copies the size; the kernel tells the command if it is another.
    pub fn copy_size(&self) {
        if let (Some(main), Ok(size)) = (&self.main, fds::window_size(self.real.fd.as_fd())) {
            best_effort(fds::set_window_size(main.as_fd(), size));
        }
    }

    /// `signal`: 0 when it isn't known.
    pub fn command_stopped(&mut self, signal: i32) {
        let wants_terminal = matches!(signal, libc::SIGTTIN | libc::SIGTTOU);
        // A shell needn't tell a job that runs in the background that it is in the foreground now.
        if wants_terminal && self.real.enter() {
            self.raw = true;
            self.tell(Wake::IfStopped);
        } else {
            self.stopped = Some(Mark::now());
        }
    }

    pub fn command_continued(&mut self) {
        self.stopped = None;
    }

    /// How long the loop may sleep before [`Relay::tick`] has something to do.
    pub fn timeout(&self) -> Option<Duration> {
        let elapsed = self.stopped?.elapsed();
        // After the first wait it is asked again and again, for a short time.
        Some(if elapsed < SETTLES { SETTLES - elapsed } else { Duration::from_millis(5) })
    }

    /// Stops us when the command has stopped and its output is shown; returns when we are to go on.
    /// `stop` is [`Stopper::stop_with`](super::wake::Stopper::stop_with).
    pub fn tick(&mut self, command: Option<Pid>, stop: impl FnOnce(Pid, &dyn Fn()) -> bool) -> Option<Waker> {
        let elapsed = self.stopped?.elapsed();
        let pending = self.main.as_ref().is_some_and(|main| tty::is_readable(main.as_fd()));
        if elapsed < SETTLES || (pending && elapsed < SETTLES_AT_LAST) {
            return None;
        }
        self.stopped = None;
        if !stop(command?, &|| self.real.leave()) {
            return None;
        }
        // Who woke us tells whether the command needs it too. Not when the caller ignores SIGCONT.
        self.woken = Waiting::now().has(libc::SIGCONT);
        Some(self.go_on(if self.woken { Wake::Never } else { Wake::IfStopped }))
    }

    /// SIGCONT came, from somebody else than us.
    pub fn continued(&mut self) -> Waker {
        self.stopped = None;
        let wake = if std::mem::take(&mut self.woken) { Wake::IfStopped } else { Wake::Always };
        self.go_on(wake)
    }

    /// SIGCONT came from one of us, which saw the command go on. To wake that once more would undo what
    /// stopped it since.
    pub fn woken_by_us(&mut self) {
        self.woken = false;
    }

    fn go_on(&mut self, wake: Wake) -> Waker {
        if self.hung_up() {
            // No foreground is left; the command stays its own terminal's, to be hung up on too.
            return Waker::Monitor;
        }
        self.copy_size();
        self.raw = self.real.enter();
        self.tell(wake)
    }

    fn tell(&self, wake: Wake) -> Waker {
        match &self.monitor {
            Some(monitor) => {
                monitor::order(monitor.as_fd(), Order { foreground: self.raw, wake });
                Waker::Monitor
            }
            None => Waker::Front(wake),
        }
    }
}
