//! The front: the shell's job. It passes signals on, stops and goes on with the command, and takes
//! the supervisor's place if that is killed.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::unistd::Pid;

use super::facts::{End, RunStart};
use super::flow::Log;
use super::full::{Relay, Waker};
use super::link::{self, Message};
use super::mailer::{Job, Link, Policy, Teller, Word};
use super::pump::Pump;
use super::start::{Verdict, VerdictPipe};
use super::supervisor::{self, Mailing, Role, Run};
use super::wiring::{Channel, PtyMode, Wiring, copy_window_size};
use crate::config::Overrides;
use crate::error::{Error, Kind, Result};
use crate::spool::room::Limits;
use crate::spool::writer::SpoolWriter;
use crate::sys::clock::Mark;
use crate::sys::process::{self, ExecImage, Fork};
use crate::sys::shared::SharedBoard;
use crate::sys::signals::{self, PidFd, SignalState};
use crate::sys::{best_effort, fds};

/// What a run needs to know beforehand.
#[derive(Debug)]
pub struct Request<'a> {
    pub start: RunStart,
    pub image: &'a ExecImage,
    pub pty: PtyMode,
    /// The run's folder, made; None: nowhere to write, the command runs all the same.
    pub folder: Option<PathBuf>,
    /// How large the log may become.
    pub limits: Limits,
    pub policy: Policy,
    /// What flags and environment asked for, for the record.
    pub overrides: Overrides,
}

/// How the front's part of the run ended.
#[derive(Debug)]
pub struct Ended {
    pub end: End,
    /// Where the mailer can be heard, if one is at work.
    pub mailer: Option<Link>,
    /// For the wait that follows: INT, TERM and HUP arrive here.
    pub signals: Forwarder,
}

/// Runs the command. Returns in the front only, when the command has ended and every byte that it
/// wrote is delivered.
///
/// # Errors
/// `Setup` when processes or pipes can't be had: no command ran, and the signals are as they were,
/// so that the caller can still exec it in our place.
pub fn run<'a>(request: Request<'_>, job: &'a mut Job<'a>) -> Result<Ended> {
    let watched = signals::watched_set();
    let signals = SignalState::take_over(&watched).map_err(|e| setup("block signals", &e))?;
    if nix::sys::prctl::set_child_subreaper(true).is_err() {
        // Before Linux 3.4: if the supervisor is killed, its status is lost; all else works.
    }
    let ended = run_with(request, job, (signals, &watched));
    if ended.is_err() {
        // Kept over an exec: prctl(2).
        best_effort(nix::sys::prctl::set_child_subreaper(false));
        signals.give_back();
    }
    ended
}

fn run_with<'a>(
    request: Request<'_>,
    job: &'a mut Job<'a>,
    (signals, watched): (SignalState, &SigSet),
) -> Result<Ended> {
    let Request { start, image, pty, folder, limits, policy, overrides } = request;
    let clock = Mark::now();
    let signal_fd = SignalFd::with_flags(watched, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .map_err(|e| setup("watch signals", &e.into()))?;
    let mut wiring = Wiring::plan(pty).map_err(|e| setup("open pipes for the command's output", &e))?;
    let channels = std::mem::take(&mut wiring.channels);
    let board = SharedBoard::new().map_err(|e| setup("share memory", &e))?;
    let spool = match &folder {
        Some(folder) if !channels.is_empty() => {
            Some(SpoolWriter::new(folder, clock, limits, &board.board().spool))
        }
        _ => None,
    };
    let (ours, theirs) = link::pair().map_err(|e| setup("open a socket", &e))?;
    let (words_in, words_out) = fds::pipe().map_err(|e| setup("open a pipe", &e))?;
    let pump = Pump::new(channels, spool, board.board()).map_err(|e| setup("open pipes", &e))?;
    let verdict = VerdictPipe::new().map_err(|e| setup("open a pipe", &e))?;
    let words = Some(words_out);
    let mut run = Run {
        start,
        clock,
        folder,
        board,
        signals,
        pump,
        wiring,
        policy,
        overrides,
        job,
        words,
        verdict,
        dying: None,
    };
    let relay = run.wiring.full.relay.take().map(Relay::new);
    let supervisor = match process::fork().map_err(|e| setup("fork", &e))? {
        Fork::Child => {
            drop(ours);
            supervisor::supervise(run, image, &theirs)
        }
        Fork::Parent(supervisor) => supervisor,
    };
    drop(theirs);
    run.wiring.command_ends.clear();
    run.verdict.only_hear();
    run.wiring.full.session = None;
    let mut forwarder = Forwarder::new(signal_fd, relay);
    forwarder.supervisor = Some(supervisor);
    let (end, mailing) = watch(&mut run, &mut forwarder, supervisor, &ours)?;
    // The terminal is the caller's again before anything is said on it.
    forwarder.relay = None;
    let mailer = (mailing != Mailing::NotDue).then(|| Link::new(words_in));
    if let (Mailing::Here(facts), Some(words)) = (mailing, run.words.take()) {
        // Not one process more to be had: the mail is made here, its words heard after it.
        let mut teller = Teller::new(words);
        (run.job)(&facts, &mut teller);
        teller.say(&Word::Done);
    }
    Ok(Ended { end, mailer, signals: forwarder })
}

fn setup(what: &str, e: &io::Error) -> Error {
    Error::new(Kind::Setup, format!("can't {what}"))
        .because(e)
        .hint("`ulimit -a` shows the limits of this shell")
}

/// The front's loop while the supervisor lives; its successor when that dies.
fn watch(
    run: &mut Run<'_>,
    forwarder: &mut Forwarder,
    supervisor: Pid,
    link: &OwnedFd,
) -> Result<(End, Mailing)> {
    loop {
        let mut fds = vec![forwarder.fd(), link.as_raw_fd()]
            .into_iter()
            .map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 })
            .chain(forwarder.interests())
            .collect::<Vec<_>>();
        let timeout = forwarder.timeout().into_iter().chain(run.pump.spool.as_ref().map(|_| LOOK)).min();
        if process::poll(&mut fds, timeout).is_err() {
            continue;
        }
        forwarder.tick();
        forwarder.turn(&fds[2..]);
        if hangs(run) {
            // It never returns to its own code, so we go on without waiting for its end, which may
            // take as long as the disk does.
            best_effort(signals::send_signal(supervisor, libc::SIGKILL));
            run.dying = Some(supervisor);
            return take_over(run, forwarder, Log::Stuck);
        }
        if fds[0].revents != 0 {
            forwarder.know(run.board.board().command.load(Ordering::Acquire));
            forwarder.handle_all(&run.pump.channels);
            process::reap_others(supervisor);
        }
        if fds[1].revents == 0 {
            continue;
        }
        match link::hear(link.as_fd()) {
            Ok(Some(Message::OwnFailure { errno })) => {
                wait_for(supervisor);
                return Err(setup("start the command", &io::Error::from_raw_os_error(errno)));
            }
            Ok(Some(Message::Started)) => forwarder.know(run.board.board().command.load(Ordering::Acquire)),
            Ok(Some(Message::Stopped { .. })) => {
                forwarder.command_stopped(&run.board.board().front_stops);
            }
            Ok(Some(Message::Continued)) => forwarder.command_continued(),
            Ok(Some(Message::ReaderGone { channel })) => {
                run.pump.let_go(channel);
            }
            Ok(Some(Message::Ended { end, mailer })) => {
                wait_for(supervisor);
                return Ok((end, if mailer { Mailing::Forked } else { Mailing::NotDue }));
            }
            Ok(None) => {
                wait_for(supervisor);
                return take_over(run, forwarder, Log::Answers);
            }
            Err(_) => {}
        }
    }
}

/// So that the shell's `time` counts what the command used: times of children are added up when
/// they are waited for.
fn wait_for(child: Pid) {
    while matches!(nix::sys::wait::waitpid(child, None), Err(nix::errno::Errno::EINTR)) {}
}

/// The supervisor was killed: the kernel has given us the command, we go on where it was.
fn take_over(run: &mut Run<'_>, forwarder: &mut Forwarder, log: Log) -> Result<(End, Mailing)> {
    // Whoever could still become the command holds the other end of this until it has, so that
    // after its end the board is right.
    let refused = run.verdict.hear();
    let command = run.board.board().command.load(Ordering::Acquire);
    if refused.is_none() && command == 0 {
        return Err(setup("start the command", &io::Error::from_raw_os_error(libc::ECHILD)));
    }
    let ended = match refused {
        Some(Verdict::OwnFailure(errno)) => {
            return Err(setup("start the command", &io::Error::from_raw_os_error(errno)));
        }
        Some(Verdict::Refused(errno)) => (End::NotStarted { errno: errno as i32 }, None),
        None => {
            forwarder.know(command);
            run.pump.take_over(log).map_err(|e| setup("go on", &e))?;
            supervisor::see_through(run, &mut Role::Front(forwarder))
        }
    };
    let mailing = supervisor::conclude(run, ended, None);
    Ok((ended.0, mailing))
}

/// Has the supervisor waited too long for the log's disk?
fn hangs(run: &Run<'_>) -> bool {
    let since = run.board.board().spool.waiting_since.load(Ordering::Acquire);
    since > 0 && run.clock.elapsed() > Duration::from_millis(since) + PATIENCE
}

/// A disk that takes longer than this is not waited for: the output goes on without it.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the front looks whether the supervisor hangs.
const LOOK: Duration = Duration::from_millis(500);

/// A command that was told to go on with us is seen to do so within this.
const GOES_ON_BY_ITSELF: Duration = Duration::from_millis(50);

/// Passes on to the command what was sent to us alone.
#[derive(Debug)]
pub struct Forwarder {
    signals: SignalFd,
    command: Option<Pid>,
    handle: Option<PidFd>,
    stopped: bool,
    supervisor: Option<Pid>,
    /// Signals that came before the command did.
    early: Vec<i32>,
    /// We were told to go on while the command was stopped, then.
    told_to_go_on: Option<Mark>,
    /// With `--pty full`.
    relay: Option<Relay>,
}

impl Forwarder {
    pub fn new(signals: SignalFd, relay: Option<Relay>) -> Self {
        Self {
            signals,
            command: None,
            handle: None,
            stopped: false,
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

    fn know(&mut self, command: i32) {
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
    /// leave us stopped behind. The supervisor wakes us when it sees the command go on; `stops` tells
    /// it that we may be between the look and the stop. It is set before the look: either we see the
    /// command go on, or the supervisor, which sees that first, finds it set.
    pub fn command_stopped(&mut self, stops: &AtomicBool) {
        if let Some(relay) = &mut self.relay {
            relay.command_stopped(0);
            return;
        }
        stops.store(true, Ordering::SeqCst);
        if self.command.is_some_and(process::is_stopped) {
            self.stopped = true;
            self.told_to_go_on = None;
            best_effort(signals::send_signal(nix::unistd::getpid(), libc::SIGSTOP));
        }
        stops.store(false, Ordering::SeqCst);
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
        let relay = self.relay.as_ref().and_then(Relay::timeout);
        told.into_iter().chain(relay).min()
    }

    /// Wakes the command when only we were told to go on.
    pub fn tick(&mut self) {
        let command = self.command;
        if let Some(relay) = &mut self.relay {
            if relay.tick(command) == Some(Waker::Front) {
                self.pass_on(libc::SIGCONT);
            }
        } else if self.timeout().is_some_and(|left| left.is_zero()) {
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
        if let Some(relay) = &self.relay {
            let ours = [self.command, self.supervisor, relay.monitor()];
            if !ours.iter().flatten().any(|pid| pid.as_raw() == sender) {
                self.handle_with_relay(signal, from_kernel);
            }
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
            // A stopped job isn't told of a window that changes, and looks when it goes on: maybe
            // before us, so it is told once more.
            if copy_window_size(channels) {
                best_effort(killpg(nix::unistd::getpgrp(), Signal::SIGWINCH));
            }
            // A shell's `fg` continues the whole group, the command too, and then ours would come
            // late: the command may have been stopped again. Only if it stays stopped it needs us.
            self.told_to_go_on = self.stopped.then(Mark::now);
            return;
        }
        self.pass_on(signal);
    }

    /// The command is in a session of its own: what the terminal sends reaches only us.
    fn handle_with_relay(&mut self, signal: i32, from_kernel: bool) {
        let Some(relay) = &mut self.relay else { return };
        match signal {
            libc::SIGWINCH if from_kernel => relay.copy_size(),
            libc::SIGINT | libc::SIGQUIT | libc::SIGTSTP if from_kernel => relay.key_signal(signal),
            libc::SIGHUP if from_kernel && relay.hung_up() => {}
            libc::SIGCONT => {
                if relay.continued() == Some(Waker::Front) {
                    self.pass_on(signal);
                }
            }
            _ => self.pass_on(signal),
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
