//! Passes on to the command what was sent to the front.

use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::signalfd::{SignalFd, siginfo};
use nix::unistd::Pid;

use super::wiring::{Channel, copy_window_size};
use crate::sys::clock::Mark;
use crate::sys::process;
use crate::sys::signals::{self, PidFd};
use crate::sys::{best_effort, fds};

/// A command that was told to go on with us is seen to do so within this.
const GOES_ON_BY_ITSELF: Duration = Duration::from_millis(50);

/// Passes on to the command what was sent to us alone.
#[derive(Debug)]
pub struct Forwarder {
    signals: SignalFd,
    command: Option<Pid>,
    handle: Option<PidFd>,
    stopped: bool,
    pub supervisor: Option<Pid>,
    /// Signals that came before the command did.
    early: Vec<i32>,
    /// We were told to go on while the command was stopped, then.
    told_to_go_on: Option<Mark>,
}

impl Forwarder {
    pub fn new(signals: SignalFd) -> Self {
        Self {
            signals,
            command: None,
            handle: None,
            stopped: false,
            supervisor: None,
            early: Vec::new(),
            told_to_go_on: None,
        }
    }

    pub fn fd(&self) -> i32 {
        self.signals.as_raw_fd()
    }

    pub fn know(&mut self, command: i32) {
        if self.command.is_none() && command > 0 {
            let pid = Pid::from_raw(command);
            self.command = Some(pid);
            // A descriptor, so that a signal never hits a stranger that got the number later.
            self.handle = PidFd::open(pid).ok();
            for signal in std::mem::take(&mut self.early) {
                self.pass_on(signal);
            }
        }
    }

    fn pass_on(&mut self, signal: i32) {
        // That it has ended meanwhile is no error.
        match (&self.handle, self.command) {
            (Some(handle), _) => best_effort(handle.send(signal)),
            // Before Linux 5.3, and in sandboxes that refuse unknown calls. The supervisor may have
            // waited for it a moment ago; numbers aren't used again that fast.
            (None, Some(command)) => best_effort(signals::send_signal(command, signal)),
            (None, None) => self.early.push(signal),
        }
    }

    /// The command has stopped: we stop as well, so that the shell gets its prompt. SIGSTOP, since
    /// a TSTP of our own would be thrown away in an orphaned process group.
    ///
    /// The news may be old: a command that was woken meanwhile (`kill -CONT`, a scheduler) must not
    /// leave us stopped behind. The supervisor wakes us when it sees the command go on.
    pub fn command_stopped(&mut self) {
        if self.command.is_some_and(process::is_stopped) {
            self.stopped = true;
            self.told_to_go_on = None;
            best_effort(signals::send_signal(nix::unistd::getpid(), libc::SIGSTOP));
        }
    }

    pub fn command_continued(&mut self) {
        self.stopped = false;
        self.told_to_go_on = None;
    }

    /// How long the loop may sleep before [`Forwarder::tick`] has something to do.
    pub fn timeout(&self) -> Option<Duration> {
        self.told_to_go_on.map(|since| GOES_ON_BY_ITSELF.saturating_sub(since.elapsed()))
    }

    /// Wakes the command when only we were told to go on.
    pub fn tick(&mut self) {
        if self.timeout().is_some_and(|left| left.is_zero()) {
            self.told_to_go_on = None;
            if self.stopped && self.command.is_some_and(process::is_stopped) {
                self.pass_on(libc::SIGCONT);
            }
        }
    }

    /// Takes all signals that wait and passes on what is the command's.
    pub fn handle_all(&mut self, channels: &[Channel]) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            self.handle(&info, channels);
        }
    }

    /// After the end of the run: did someone ask us to end the wait?
    pub fn asks_to_end(&mut self) -> bool {
        let mut asked = false;
        while let Ok(Some(info)) = self.signals.read_signal() {
            let signal = i32::try_from(info.ssi_signo).unwrap_or(0);
            asked |= matches!(signal, libc::SIGINT | libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT);
        }
        asked
    }

    fn handle(&mut self, info: &siginfo, channels: &[Channel]) {
        let signal = i32::try_from(info.ssi_signo).unwrap_or(0);
        let sender = i32::try_from(info.ssi_pid).unwrap_or(0);
        // The kernel's own (from the terminal) reached the whole group, the command too.
        let from_kernel = info.ssi_code > 0;
        if signal == libc::SIGCHLD || sender == nix::unistd::getpid().as_raw() {
            return;
        }
        if signal == libc::SIGWINCH && from_kernel {
            self.window_changed(channels);
        }
        // What the command or the supervisor sent us is an answer to us, not for the command.
        let ours = [self.command, self.supervisor].iter().flatten().any(|pid| pid.as_raw() == sender);
        if from_kernel || ours {
            return;
        }
        if signal == libc::SIGCONT {
            // A shell's `fg` continues the whole group, the command too, and then ours would come
            // late: the command may have been stopped again. Only if it stays stopped it needs us.
            self.told_to_go_on = self.stopped.then(Mark::now);
            return;
        }
        self.pass_on(signal);
    }

    /// The terminal told the command before us, when the pseudo-terminal still had the old size:
    /// copy it, then tell the foreground group once more.
    fn window_changed(&self, channels: &[Channel]) {
        copy_window_size(channels);
        let Some(terminal) = channels.iter().find(|c| c.terminal).and_then(|c| c.sink.as_ref()) else {
            return;
        };
        if let Ok(group) = nix::unistd::tcgetpgrp(fds::borrow(terminal.as_raw()))
            && nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGWINCH).is_err()
        {
            // The group has ended meanwhile.
        }
    }
}
