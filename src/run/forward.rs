//! Passes on to the command what was sent to the front alone.
//!
//! The command is in our process group, so what was sent to the group (by the terminal, `kill -PGRP`,
//! `timeout`, a CI's cancel) it has got itself. Nothing in a signal tells that; we know it
//! by the canary (`sys::canary`), which holds what the whole group was sent. It is made as soon as the
//! command runs; what came before, or where there is no canary, is passed on: better twice than never
//! (but for the kernel's own, which are nearly always the terminal's, for the group).
//!
//! Somebody may also sweep over our processes one by one. `pkill -f notify-done` hits the canary too,
//! but never the command; so what the supervisor, which left the group, holds as well is passed on.
//! (A service manager that signals every process of a control group reaches the command itself: then
//! it comes twice.)
//!
//! The canary is asked *after* we read a signal, since it has the group's before we have them. What
//! it holds beyond what we read waits for us by then, and is noted (`Held`).

use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::sys::signalfd::{SignalFd, siginfo};
use nix::unistd::{Pid, getpgid, getpgrp, getpid};

use super::full::{Relay, Waker};
use super::monitor::Wake;
use super::wake::{Parent, Stopper};
use super::wiring::{Channel, copy_window_size};
use crate::sys::canary::Canary;
use crate::sys::clock::Mark;
use crate::sys::process;
use crate::sys::shared::Board;
use crate::sys::signals::{self, PidFd, SIGNALS, Waiting};
use crate::sys::{best_effort, fds};

/// A command that was told to go on with us is seen to do so within this.
const GOES_ON_BY_ITSELF: Duration = Duration::from_millis(50);
/// Signals that are judged together: in a storm there is always one more.
const BATCH: usize = 64;

/// Whom a signal reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The command has its own.
    Group,
    Alone,
    Unclear,
}

/// Passes signals on to the command.
#[derive(Debug)]
pub struct Forwarder {
    signals: SignalFd,
    command: Option<Pid>,
    handle: Option<PidFd>,
    canary: Option<Canary>,
    held: Held,
    stopped: bool,
    stopper: Stopper,
    /// None: there is none (any more).
    pub supervisor: Option<Pid>,
    /// Signals that came before the command did.
    early: Vec<i32>,
    /// We were told to go on while the command was stopped, then.
    told_to_go_on: Option<Mark>,
    /// With `--pty full`.
    pub relay: Option<Relay>,
}

impl Forwarder {
    pub fn new(signals: SignalFd, relay: Option<Relay>) -> Self {
        Self {
            signals,
            command: None,
            handle: None,
            canary: None,
            held: Held::default(),
            stopped: false,
            stopper: Stopper::default(),
            supervisor: None,
            early: Vec::new(),
            told_to_go_on: None,
            relay,
        }
    }

    /// What poll(2) should wait for besides the signals, for [`Forwarder::turn`].
    pub fn interests(&self) -> Vec<libc::pollfd> {
        let running = self.command.is_some();
        self.relay.iter().flat_map(|relay| relay.interests(running)).collect()
    }

    /// Does what poll(2) said of [`Forwarder::interests`].
    pub fn turn(&mut self, ready: &[libc::pollfd]) {
        if let Some(relay) = &mut self.relay {
            relay.turn(ready);
        }
    }

    pub fn fd(&self) -> i32 {
        self.signals.as_raw_fd()
    }

    /// Looks for the command's process id, until there is one.
    pub fn know(&mut self, board: &Board) {
        let command = board.command.load(Ordering::Acquire);
        if self.command.is_none() && command > 0 {
            let pid = Pid::from_raw(command);
            // A descriptor, so that a signal never hits a stranger that got the number later.
            self.handle = PidFd::open(pid).ok();
            if board.end.get().is_some() {
                // It may have been waited for, and the number be a stranger's already.
                self.handle = None;
                return;
            }
            self.command = Some(pid);
            // With a relay the command is in another group: what ours is sent is always passed on.
            self.canary = if self.relay.is_none() { Canary::new().ok() } else { None };
            for signal in std::mem::take(&mut self.early) {
                self.pass_on(signal);
            }
        }
    }

    /// The command has ended: nothing is passed on from now. The canary dies during `meanwhile`.
    pub fn command_ended(&mut self, meanwhile: impl FnOnce()) {
        self.canary.iter().for_each(Canary::kill);
        meanwhile();
        self.canary = None;
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

    /// The command has stopped: we stop as well, so that the shell gets its prompt.
    pub fn command_stopped(&mut self, board: &Board) {
        if let Some(relay) = &mut self.relay {
            relay.command_stopped(0);
            return;
        }
        let parent = if self.supervisor.is_some() { Parent::Another } else { Parent::Front };
        if self.command.is_some_and(|command| self.stopper.stop_with(command, board, parent, || {})) {
            self.stopped = true;
            self.told_to_go_on = None;
        }
    }

    pub fn command_continued(&mut self) {
        self.stopped = false;
        self.told_to_go_on = None;
        if let Some(relay) = &mut self.relay {
            relay.command_continued();
        }
    }

    /// How long the loop may sleep before [`Forwarder::tick`] has something to do.
    pub fn timeout(&self) -> Option<Duration> {
        let told = self.told_to_go_on.map(|since| GOES_ON_BY_ITSELF.saturating_sub(since.elapsed()));
        told.into_iter().chain(self.relay.as_ref().and_then(Relay::timeout)).min()
    }

    /// Wakes the command when only we were told to go on.
    pub fn tick(&mut self, board: &Board) {
        if let Some(relay) = &mut self.relay {
            let has_parent = self.supervisor.is_some() || relay.hears_monitor();
            let parent = if has_parent { Parent::Another } else { Parent::Front };
            let stop = |command, leave: &dyn Fn()| self.stopper.stop_with(command, board, parent, leave);
            if let Some(waker) = relay.tick(self.command, stop) {
                self.wake_command(waker);
            }
        } else if self.timeout().is_some_and(|left| left.is_zero()) {
            self.told_to_go_on = None;
            if self.stopped && self.command.is_some_and(process::is_stopped) {
                self.pass_on(libc::SIGCONT);
            }
        }
    }

    /// Where there is no monitor to do it.
    fn wake_command(&mut self, waker: Waker) {
        let is_due = match waker {
            Waker::Monitor | Waker::Front(Wake::Never) => false,
            Waker::Front(Wake::IfStopped) => self.command.is_some_and(process::is_stopped),
            Waker::Front(Wake::Always) => true,
        };
        if is_due {
            self.pass_on(libc::SIGCONT);
        }
    }

    /// Takes all signals that wait and passes on what is the command's.
    pub fn handle_all(&mut self, channels: &[Channel]) {
        loop {
            let batch = self.read_some();
            if batch.is_empty() {
                return;
            }
            let asked = self.ask_canary(&batch);
            let waiting = Waiting::now();
            for info in &batch {
                let signal = number(info);
                let reach = if asked { self.held.reach(signal) } else { Reach::Unclear };
                self.handle(info, reach, channels);
            }
            self.held.settle(|signal| waiting.has(signal));
        }
    }

    fn read_some(&self) -> Vec<siginfo> {
        std::iter::from_fn(|| self.signals.read_signal().ok().flatten()).take(BATCH).collect()
    }

    /// Has the canary told what it holds?
    fn ask_canary(&mut self, batch: &[siginfo]) -> bool {
        let Some(canary) = &mut self.canary else { return false };
        if batch.iter().all(|info| number(info) == libc::SIGCHLD) {
            return false;
        }
        let told = canary.ask();
        if told.is_none() && canary.is_dead() {
            // What it held is lost; the next signals are judged by another.
            self.canary = Canary::new().ok();
        }
        told.map(|told| self.held.add(&told)).is_some()
    }

    /// After the end of the run: did someone ask us to end the wait?
    pub fn asks_to_end(&mut self) -> bool {
        let mut asked = false;
        while let Ok(Some(info)) = self.signals.read_signal() {
            asked |= matches!(number(&info), libc::SIGINT | libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT);
        }
        asked
    }

    fn handle(&mut self, info: &siginfo, reach: Reach, channels: &[Channel]) {
        let signal = number(info);
        let sender = Pid::from_raw(i32::try_from(info.ssi_pid).unwrap_or(0));
        let from_kernel = info.ssi_code > 0;
        if signal == libc::SIGCHLD || sender == getpid() {
            return;
        }
        if let Some(relay) = &mut self.relay {
            let ours = [self.command, self.supervisor, relay.monitor()];
            if !ours.contains(&Some(sender)) && !self.stopper.is_watcher(sender) {
                self.handle_with_relay(signal, from_kernel);
            } else if signal == libc::SIGCONT {
                relay.woken_by_us();
            }
            return;
        }
        if from_kernel {
            self.handle_kernels_own(signal, reach, channels);
            return;
        }
        if self.is_of_the_command(sender) {
            return;
        }
        // A stopped job isn't told of a window that changes, and looks when it goes on: maybe before
        // us, so it is told once more.
        if signal == libc::SIGCONT && copy_window_size(channels) {
            best_effort(killpg(getpgrp(), Signal::SIGWINCH));
        }
        match (self.concerning_command(signal, reach), signal) {
            (Reach::Group, _) => {}
            // A shell's `fg` continues the whole group, the command too, and then ours would come
            // late: the command may have been stopped again. Only if it stays stopped it needs us.
            (Reach::Unclear, libc::SIGCONT) => self.told_to_go_on = self.stopped.then(Mark::now),
            (Reach::Alone | Reach::Unclear, _) => self.pass_on(signal),
        }
    }

    /// The command is in a session of its own: what the terminal sends reaches only us.
    fn handle_with_relay(&mut self, signal: i32, from_kernel: bool) {
        let Some(relay) = &mut self.relay else { return };
        match signal {
            libc::SIGWINCH if from_kernel => relay.copy_size(),
            libc::SIGINT | libc::SIGQUIT | libc::SIGTSTP if from_kernel => relay.key_signal(signal),
            libc::SIGHUP if from_kernel && relay.hung_up() => {}
            libc::SIGCONT => {
                let waker = relay.continued();
                self.wake_command(waker);
            }
            _ => self.pass_on(signal),
        }
    }

    /// What the terminal sends reached the whole group, unless it came before there was a command. But
    /// a timer that the caller set before it exec'd us (`perl -e 'alarm 9; exec …'`), and the hangup of
    /// a session that we lead (`ssh -t host notify-done …`), are for us alone: the command's.
    fn handle_kernels_own(&mut self, signal: i32, reach: Reach, channels: &[Channel]) {
        if signal == libc::SIGWINCH {
            self.window_changed(channels);
        } else if self.command.is_none() || reach == Reach::Alone {
            self.pass_on(signal);
        }
    }

    /// What the command or one of our processes sent us is an answer to us, not for the command. So is what
    /// the command's group sent us, where that isn't ours (there a script's `kill %1` comes from, too).
    fn is_of_the_command(&self, sender: Pid) -> bool {
        let group = || self.command.and_then(|command| getpgid(Some(command)).ok());
        [self.command, self.supervisor].contains(&Some(sender))
            || self.stopper.is_watcher(sender)
            || group().is_some_and(|group| group != getpgrp() && getpgid(Some(sender)) == Ok(group))
    }

    /// What reached our group reached the command only if it is still there, and by kill(2) to the
    /// group only if the supervisor hasn't got it as well.
    fn concerning_command(&self, signal: i32, reach: Reach) -> Reach {
        if reach != Reach::Group {
            return reach;
        }
        if self.command.is_some_and(|command| getpgid(Some(command)) != Ok(getpgrp())) {
            Reach::Alone
        } else if self.supervisor.is_some_and(|pid| process::has_pending(pid, signal)) {
            Reach::Unclear
        } else {
            Reach::Group
        }
    }

    /// The terminal told the command before us, when the pseudo-terminal still had the old size:
    /// copy it, then tell the foreground group once more.
    fn window_changed(&self, channels: &[Channel]) {
        copy_window_size(channels);
        let Some(terminal) = channels.iter().find(|c| c.terminal).and_then(|c| c.sink.as_ref()) else {
            return;
        };
        if let Ok(group) = nix::unistd::tcgetpgrp(fds::borrow(terminal.as_raw())) {
            // That the group has ended meanwhile is no error.
            best_effort(killpg(group, Signal::SIGWINCH));
        }
    }
}

fn number(info: &siginfo) -> i32 {
    i32::try_from(info.ssi_signo).unwrap_or(0)
}

fn queues(signal: i32) -> bool {
    signal >= libc::SIGRTMIN()
}

/// Signals of the group's of which ours is being judged, or waits to be read.
#[derive(Debug)]
struct Held([u32; SIGNALS]);

impl Default for Held {
    fn default() -> Self {
        Self([0; SIGNALS])
    }
}

impl Held {
    const STOPS: [i32; 3] = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];

    fn count(&mut self, signal: i32) -> &mut u32 {
        let at = usize::try_from(signal).unwrap_or(0);
        &mut self.0[if at < SIGNALS { at } else { 0 }]
    }

    fn has(&mut self, signal: i32) -> bool {
        *self.count(signal) > 0
    }

    /// What the canary has told.
    fn add(&mut self, told: &[(i32, u32)]) {
        told.iter().for_each(|&(signal, count)| *self.count(signal) += count);
    }

    /// Where one that we read came from; of those that queue, it is one less. A stop takes a waiting
    /// SIGCONT back and the other way round (signal(7)), there as here.
    fn reach(&mut self, signal: i32) -> Reach {
        if self.has(signal) {
            if queues(signal) {
                *self.count(signal) -= 1;
            }
            return Reach::Group;
        }
        match signal {
            // Stopped and woken: the command, too, has nothing but the SIGCONT.
            libc::SIGTSTP if self.has(libc::SIGCONT) => Reach::Group,
            // Either woken and stopped again, or stopped long ago and only we were told to go on.
            libc::SIGCONT if Self::STOPS.iter().any(|&stop| self.has(stop)) => Reach::Unclear,
            _ => Reach::Alone,
        }
    }

    /// After all that was read has been judged. What doesn't wait for us was judged, or taken back.
    /// Standard signals merge: one that was judged may stand for several of the group's, unless
    /// another waits, which came between our reading and the answer.
    fn settle(&mut self, waits: impl Fn(i32) -> bool) {
        for (signal, count) in (0..).zip(&mut self.0) {
            if !waits(signal) || [libc::SIGTTIN, libc::SIGTTOU].contains(&signal) {
                *count = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libc::{SIGCONT, SIGTERM, SIGTSTP, SIGTTIN, SIGUSR1};

    /// Catches a stale mark, for which the next signal that is ours alone would be lost.
    #[test]
    fn what_was_judged_is_forgotten() {
        let mut held = Held::default();
        held.add(&[(SIGTERM, 1), (SIGUSR1, 1)]);
        assert_eq!(held.reach(SIGTERM), Reach::Group);
        held.settle(|signal| signal == SIGUSR1);
        assert_eq!((held.reach(SIGTERM), held.reach(SIGUSR1)), (Reach::Alone, Reach::Group));
    }

    /// Catches a double: a second to the group between our reading and the canary's answer, which is
    /// one there with the first.
    #[test]
    fn one_mark_stands_for_another_of_ours_that_waits_already() {
        let mut held = Held::default();
        held.add(&[(SIGTERM, 1)]);
        assert_eq!(held.reach(SIGTERM), Reach::Group);
        held.settle(|_| true);
        assert_eq!(held.reach(SIGTERM), Reach::Group);
        // What wasn't the group's doesn't become so by waiting.
        assert_eq!(held.reach(SIGUSR1), Reach::Alone);
    }

    #[test]
    fn what_queues_is_counted() {
        let signal = libc::SIGRTMIN();
        let mut held = Held::default();
        held.add(&[(signal, 3)]);
        assert_eq!(held.reach(signal), Reach::Group);
        held.settle(|_| true);
        let reached: Vec<Reach> = (0..3).map(|_| held.reach(signal)).collect();
        assert_eq!(reached, [Reach::Group, Reach::Group, Reach::Alone]);
    }

    /// Catches a stop sent after the shell has woken the job, and a job that isn't woken.
    #[test]
    fn stopping_and_going_on_take_each_other_back() {
        let mut held = Held::default();
        held.add(&[(SIGCONT, 1)]);
        assert_eq!((held.reach(SIGTSTP), held.reach(SIGCONT)), (Reach::Group, Reach::Group));
        held.settle(|_| false);
        held.add(&[(SIGTTIN, 1)]);
        assert_eq!(held.reach(SIGCONT), Reach::Unclear);
        held.settle(|_| true);
        assert_eq!(held.reach(SIGCONT), Reach::Alone);
    }
}
