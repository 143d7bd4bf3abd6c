//! The front: the shell's job. It passes signals on, stops and goes on with the command, and takes
//! the supervisor's place if that is killed.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use super::alive::Pulse;
use super::facts::{End, RunStart};
use super::flow::Log;
use super::forward::Forwarder;
use super::full::Relay;
use super::link::{self, Mailer, Message};
use super::mailer::{Job, Link, Policy, Teller, Word};
use super::oom;
use super::pump::Pump;
use super::start::{Verdict, VerdictPipe};
use super::supervisor::{self, Mailing, Role, Run};
use super::wiring::{PtyMode, Wiring};
use crate::config::Overrides;
use crate::error::{Error, Kind, Result};
use crate::spool::room::Limits;
use crate::spool::writer::SpoolWriter;
use crate::sys::clock::{self, Mark};
use crate::sys::process::{self, ExecImage, Fork};
use crate::sys::shared::SharedBoard;
use crate::sys::signals::{self, SignalState};
use crate::sys::{beside, best_effort, fds};

/// What a run needs to know beforehand.
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
    /// What is left to be done for other runs, once this one is on record; in a process of its own.
    pub for_others: &'a dyn Fn(),
}

/// How the front's part of the run ended.
#[derive(Debug)]
pub struct Ended {
    pub end: End,
    /// Where the mailer can be heard, if one is at work.
    pub mailer: Option<Link>,
    /// For the wait that follows: INT, TERM and HUP arrive here.
    pub signals: Forwarder,
    /// Shows that we live.
    pub lock: Pulse,
}

/// Runs the command. Returns in the front only, when the command has ended and every byte that it
/// wrote is delivered.
///
/// # Errors
/// `Setup` when processes or pipes can't be had: no command ran, and the signals are as they were,
/// so that the caller can still exec it in our place.
pub fn run<'a>(request: Request<'a>, job: &'a mut Job<'a>) -> Result<Ended> {
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
    request: Request<'a>,
    job: &'a mut Job<'a>,
    (signals, watched): (SignalState, &SigSet),
) -> Result<Ended> {
    let Request { start, image, pty, folder, limits, policy, overrides, for_others } = request;
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
    let pulse = Pulse::begin(folder.as_deref(), clock, policy.min_duration);
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
        pulse,
        memory: oom::Watch::default(),
        for_others,
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
    Ok(Ended { end, mailer, signals: forwarder, lock: run.pulse })
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
    let mut patience = Patience::default();
    loop {
        let mut fds = vec![forwarder.fd(), link.as_raw_fd()]
            .into_iter()
            .map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 })
            .chain(forwarder.interests())
            .collect::<Vec<_>>();
        let timeout = forwarder.timeout().into_iter().chain(run.folder.as_ref().map(|_| LOOK)).min();
        if process::poll(&mut fds, timeout).is_err() {
            continue;
        }
        forwarder.tick(run.board.board());
        forwarder.turn(&fds[2..]);
        look_for_an_unseen_end(run);
        let waiting_since = run.board.board().spool.waiting_since.load(Ordering::Acquire);
        if patience.is_over(waiting_since, run.clock.elapsed()) && process::hangs(supervisor) {
            // It never returns to its own code, so we go on without waiting for its end, which may
            // take as long as the disk does.
            best_effort(signals::send_signal(supervisor, libc::SIGKILL));
            beside::release(&run.board.board().let_go);
            run.dying = Some(supervisor);
            return take_over(run, forwarder, Log::Stuck);
        }
        if fds[0].revents != 0 {
            forwarder.know(run.board.board());
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
            Ok(Some(Message::Started)) => {
                forwarder.know(run.board.board());
                let_go_of_the_callers();
            }
            Ok(Some(Message::Stopped { .. })) => {
                forwarder.command_stopped(run.board.board());
            }
            Ok(Some(Message::Continued)) => forwarder.command_continued(),
            Ok(Some(Message::Over { channel })) => {
                run.pump.let_go(channel);
            }
            Ok(Some(Message::Ended { end, mailer })) => {
                forwarder.command_ended(|| {
                    if mailer != Mailer::Supervisor {
                        wait_for(supervisor);
                    }
                });
                return Ok((end, if mailer == Mailer::Nobody { Mailing::NotDue } else { Mailing::Forked }));
            }
            Ok(None) => {
                wait_for(supervisor);
                return take_over(run, forwarder, Log::Answers);
            }
            Err(_) => {}
        }
    }
}

/// They are the command's now: a lock, a pipe that it lets go of must be free. Standard error is kept for
/// what we have to say ourselves.
fn let_go_of_the_callers() {
    fds::detach_standard(&[0, 1]);
    fds::close_inherited();
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
            forwarder.supervisor = None;
            forwarder.know(run.board.board());
            let_go_of_the_callers();
            // An error would have the command executed once more. It means that there is no descriptor for a
            // pipe in place of one that hangs with the log, and then none of its bytes are wanted.
            best_effort(run.pump.take_over(log));
            let ended = supervisor::see_through(run, &mut Role::Front(forwarder));
            forwarder.command_ended(|| {});
            ended
        }
    };
    let mailing = supervisor::conclude(run, ended, None);
    Ok((ended.0, mailing))
}

/// A disk that takes longer than [`Patience::LOOKS`] looks is not waited for: the output goes on without
/// it.
#[derive(Debug, Default)]
struct Patience {
    /// What the supervisor waits for: [`crate::sys::shared::SpoolNote::waiting_since`].
    waiting_since: u64,
    last_look: Duration,
    looks: u32,
}

impl Patience {
    const LOOKS: u32 = 4;

    /// Has the supervisor waited too long for the log's disk? By our own looks: a clock goes on while
    /// all of us stand still (a container that is paused, a machine that is moved).
    fn is_over(&mut self, waiting_since: u64, now: Duration) -> bool {
        if waiting_since == 0 || waiting_since != self.waiting_since {
            *self = Self { waiting_since, last_look: now, looks: 0 };
        } else if now.saturating_sub(self.last_look) >= LOOK {
            self.last_look = now;
            self.looks += 1;
        }
        self.looks >= Self::LOOKS
    }
}

/// While the supervisor waits for the disk nobody else sees when the command ends.
fn look_for_an_unseen_end(run: &Run<'_>) {
    let since = run.board.board().spool.waiting_since.load(Ordering::Acquire);
    if since == 0 || run.clock.elapsed() <= Duration::from_millis(since) + BRIEF {
        return;
    }
    let board = run.board.board();
    let command = Pid::from_raw(board.command.load(Ordering::Acquire));
    if board.end.get().is_some() || process::zombie_status(command).is_some() {
        board.end_time.note(run.clock.elapsed(), clock::now());
    }
}

/// No wait worth a look at the command.
const BRIEF: Duration = Duration::from_millis(100);
/// How often the front looks whether the supervisor hangs.
const LOOK: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches: a supervisor that is killed, and its log cut off, because all of us had been stopped while
    /// it wrote; and one that may hang for ever.
    #[test]
    fn only_a_wait_that_we_have_watched_counts() {
        let at = Duration::from_millis;
        let mut patience = Patience::default();
        assert!(!patience.is_over(7, at(10)));
        assert!(!patience.is_over(7, at(3_600_000)), "stood still");
        let mut looks = (1..=20).map(|n| patience.is_over(7, at(3_600_000 + 100 * n)));
        assert_eq!(looks.position(|over| over), Some(14));
        assert!(!patience.is_over(8, at(3_700_000)) && !patience.is_over(0, at(3_800_000)));
    }
}
