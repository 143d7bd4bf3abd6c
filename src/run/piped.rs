//! `… | notify-done pipe`: no command of ours, only its output passing through. One process does
//! it all; the writer's end is the end of its input.

use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::alive::Pulse;
use super::facts::{End, Holds, RunFacts, RunStart};
use super::forward::Forwarder;
use super::front::Ended;
use super::mailer::{self, Job, Link, Policy, Teller, Word, fork_mailer};
use super::pump::Pump;
use super::record::{FILE, LogSource, RunRecord, Underway};
use super::wiring::Channel;
use crate::config::Overrides;
use crate::error::{Error, Kind, Result};
use crate::spool::index::Origin;
use crate::spool::room::Limits;
use crate::spool::writer::SpoolWriter;
use crate::sys::best_effort;
use crate::sys::clock::{self, Mark};
use crate::sys::fds::{self, Sink};
use crate::sys::fs::{Durability, create, replace};
use crate::sys::process::{self, Fork};
use crate::sys::shared::SharedBoard;
use crate::sys::signals::{self, SignalState};

/// What a pipe needs to know beforehand.
pub struct Request<'a> {
    pub start: RunStart,
    pub folder: Option<PathBuf>,
    /// How large the log may become.
    pub limits: Limits,
    pub policy: Policy,
    /// What flags and environment asked for, for the record.
    pub overrides: &'a Overrides,
    /// What is left to be done for other runs, once this one is on record; in a process of its own.
    pub for_others: &'a dyn Fn(),
    /// Asked when the input has ended: how did its writer fare?
    pub status: &'a dyn Fn() -> End,
}

/// What came of a pipe.
#[derive(Debug)]
pub struct Passed {
    pub ended: Ended,
    /// The signal that told us to end before the input did.
    pub told_by: Option<i32>,
}

/// Passes stdin to stdout until it ends, or until we are told to.
///
/// # Errors
/// `Setup` when there is no stdin or pipes can't be had.
pub fn run(request: &Request<'_>, job: &mut Job<'_>) -> Result<Passed> {
    let failed = |what: &str, e: io::Error| Error::new(Kind::Setup, format!("can't {what}")).because(e);
    let clock = Mark::now();
    let watched = signals::ending_set();
    SignalState::take_over(&watched).map_err(|e| failed("block signals", e))?;
    let signals = SignalFd::with_flags(&watched, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .map_err(|e| failed("watch signals", e.into()))?;
    let mut pulse = Pulse::begin(request.folder.as_deref(), clock, request.policy.min_duration);
    if let Some(folder) = &request.folder {
        record_durably(request, folder, &pulse);
    }
    let board = SharedBoard::new().map_err(|e| failed("share memory", e))?.board();
    let channel = channel().map_err(|e| failed("read standard input", e))?;
    let new_spool = |folder| SpoolWriter::new(folder, clock, request.limits, &board.spool);
    let spool = request.folder.as_deref().map(new_spool);
    let mut pump = Pump::new(vec![channel], spool, board).map_err(|e| failed("open pipes", e))?;
    let told_by = pass(&mut pump, (&mut pulse, clock), &signals);
    let end = match ((request.status)(), told_by) {
        (End::Unknown, Some(signal)) => End::ToldToEnd { signal },
        (end, _) => end,
    };
    pump.finish();
    let log = request.folder.as_deref().map(|folder| pump.log_part(folder, Holds::Both));
    let facts = RunFacts {
        start: request.start.clone(),
        ended: clock::now(),
        duration: clock.elapsed(),
        end,
        usage: None,
        out_of_memory: None,
        log: log.into_iter().collect(),
    };
    let due = request.policy.wants(facts.end, facts.duration);
    if let Some(folder) = &request.folder {
        let record = RunRecord::ended(&facts, request.overrides, due).to_json();
        if replace(&folder.join(FILE), &record, Durability::Atomic).is_ok() && !due {
            pulse.end();
        }
    }
    drop(pump);
    let mailer = if due { Some(start_mailer(job, &facts)?) } else { None };
    let signals = Forwarder::new(signals, None);
    Ok(Passed { ended: Ended { end, mailer, signals, lock: pulse }, told_by })
}

fn start_mailer(job: &mut Job<'_>, facts: &RunFacts) -> Result<Link> {
    let (hear, tell) = fds::pipe().map_err(|e| Error::new(Kind::Setup, "can't open a pipe").because(e))?;
    if fork_mailer(job, facts, &tell, &[]).is_err() {
        // No process to spare: the mail is made here, its words heard after it.
        let mut teller = Teller::new(tell);
        job(facts, &mut teller);
        teller.say(&Word::Done);
    }
    Ok(Link::new(hear))
}

fn channel() -> io::Result<Channel> {
    let source = fds::borrow(0).try_clone_to_owned()?;
    let out = fds::borrow(1);
    let sink =
        if crate::sys::inherited::was_closed(1) { None } else { Some(Sink::open(out, fds::kind(out)?)?) };
    let one_reader = sink.is_some() && fds::is_anonymous_pipe(out);
    Ok(Channel { origin: Origin::Merged, source: Some(source), sink, terminal: false, one_reader })
}

/// As of a command (`supervisor`): by a process of its own, that then looks after other runs. Forked
/// twice, since nobody here waits for children.
fn record_durably(request: &Request<'_>, folder: &Path, pulse: &Pulse) {
    // One process is front and supervisor in one.
    let me = nix::unistd::getpid();
    let Ok(fork) = process::fork() else { return };
    if let Fork::Parent(child) = fork {
        best_effort(nix::sys::wait::waitpid(child, None));
        return;
    }
    if !matches!(process::fork(), Ok(Fork::Child)) {
        process::leave(0);
    }
    fds::detach_standard(&[0, 1, 2]);
    fds::close_all_but(&[]);
    mailer::step_aside();
    let log = LogSource { path: folder.join("log"), holds: Holds::Both, start: 0, inode: None };
    let underway = Underway { owner: pulse.owner(me, None), policy: request.policy, log: vec![log] };
    let record = RunRecord::running(&request.start, request.overrides, underway).to_json();
    // A full disk is told when the mail is made. The end may be on record before: that one stays.
    for durability in [Durability::Atomic, Durability::Synced] {
        best_effort(create(&folder.join(FILE), &record, durability));
    }
    pulse.sign();
    (request.for_others)();
    process::leave(0)
}

/// Ctrl-C is for the writer: it ends, and so does our input. Asked twice, or told to end by someone,
/// we stop; by which signal.
fn pass(pump: &mut Pump, (pulse, clock): (&mut Pulse, Mark), signals: &SignalFd) -> Option<i32> {
    let mut asked = 0;
    while !pump.finished() {
        let mut fds = vec![libc::pollfd { fd: signals.as_raw_fd(), events: libc::POLLIN, revents: 0 }];
        fds.extend(pump.interests());
        let next_beat = pulse.beat(clock.elapsed());
        if process::poll(&mut fds, next_beat).is_err() {
            continue;
        }
        while let Ok(Some(info)) = signals.read_signal() {
            let signal = info.ssi_signo.cast_signed();
            let polite = matches!(signal, libc::SIGINT | libc::SIGQUIT) && info.ssi_code > 0;
            asked += if polite { 1 } else { 2 };
            if asked >= 2 {
                return Some(signal);
            }
        }
        pump.turn_all(&fds[1..], &mut |_| {});
    }
    None
}
