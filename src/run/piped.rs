//! `… | notify-done pipe`: no command of ours, only its output passing through. One process does
//! it all; the writer's end is the end of its input.

use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::facts::{End, Holds, LogPart, PartTrouble, RunFacts, RunStart};
use super::forward::Forwarder;
use super::front::Ended;
use super::mailer::{Job, Link, Policy, Teller, Word, fork_mailer};
use super::pump::Pump;
use super::record::{FILE, RunRecord};
use super::wiring::Channel;
use crate::config::Overrides;
use crate::error::{Error, Kind, Result};
use crate::spool::index::Origin;
use crate::spool::writer::SpoolWriter;
use crate::sys::best_effort;
use crate::sys::clock::{self, Mark};
use crate::sys::fds::{self, Sink};
use crate::sys::fs::{Durability, replace};
use crate::sys::process;
use crate::sys::shared::SharedBoard;
use crate::sys::signals::{self, SignalState};

/// What a pipe needs to know beforehand.
pub struct Request<'a> {
    pub start: RunStart,
    pub folder: Option<PathBuf>,
    pub policy: Policy,
    /// What flags and environment asked for, for the record.
    pub overrides: &'a Overrides,
    /// Asked when the input has ended: how did its writer fare?
    pub status: &'a dyn Fn() -> End,
}

/// Passes stdin to stdout until it ends.
///
/// # Errors
/// `Setup` when there is no stdin or pipes can't be had.
pub fn run(request: &Request<'_>, job: &mut Job<'_>) -> Result<Ended> {
    let failed = |what: &str, e: io::Error| Error::new(Kind::Setup, format!("can't {what}")).because(e);
    let clock = Mark::now();
    // Ctrl-C is for the writer: it ends, so does our input. Asked twice, or told to end, we stop.
    let watched = signals::signal_set(&[libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGHUP]);
    SignalState::take_over(&watched).map_err(|e| failed("block signals", e))?;
    let signals = SignalFd::with_flags(&watched, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .map_err(|e| failed("watch signals", e.into()))?;
    let spool = request.folder.as_deref().and_then(|folder| SpoolWriter::create(folder, clock).ok());
    if let Some(folder) = &request.folder {
        let record = RunRecord::running(&request.start, request.overrides).to_json();
        // A full disk is told when the mail is made.
        best_effort(replace(&folder.join(FILE), &record, Durability::Atomic));
    }
    let board = SharedBoard::new().map_err(|e| failed("share memory", e))?;
    let channel = channel().map_err(|e| failed("read standard input", e))?;
    let mut pump = Pump::new(vec![channel], spool, board.board());
    pass(&mut pump, &signals);

    let log = request.folder.as_deref().zip(pump.spool.as_ref()).map(|(folder, spool)| {
        let gap = spool.gap();
        let trouble = (gap.bytes > 0).then_some(PartTrouble::Gap { bytes: gap.bytes, errno: gap.errno });
        let path = folder.join("log");
        LogPart { path, holds: Holds::Both, start: 0, end: spool.len(), spooled: true, trouble }
    });
    let facts = RunFacts {
        start: request.start.clone(),
        ended: clock::now(),
        duration: clock.elapsed(),
        end: (request.status)(),
        usage: None,
        log: log.into_iter().collect(),
    };
    let due = request.policy.wants(facts.end, facts.duration);
    if let Some(folder) = &request.folder {
        let record = RunRecord::ended(&facts, request.overrides, due).to_json();
        best_effort(replace(&folder.join(FILE), &record, Durability::Atomic));
    }
    drop(pump);
    let mailer = if due { Some(start_mailer(job, &facts)?) } else { None };
    Ok(Ended { end: facts.end, mailer, signals: Forwarder::new(signals) })
}

fn start_mailer(job: &mut Job<'_>, facts: &RunFacts) -> Result<Link> {
    let (hear, tell) = fds::pipe().map_err(|e| Error::new(Kind::Setup, "can't open a pipe").because(e))?;
    if fork_mailer(job, facts, &tell).is_err() {
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

fn pass(pump: &mut Pump, signals: &SignalFd) {
    let mut asked = 0;
    while !pump.finished() {
        let mut fds = vec![libc::pollfd { fd: signals.as_raw_fd(), events: libc::POLLIN, revents: 0 }];
        fds.extend(pump.interests());
        if process::poll(&mut fds, None).is_err() {
            continue;
        }
        while let Ok(Some(info)) = signals.read_signal() {
            let polite = matches!(i32::try_from(info.ssi_signo), Ok(libc::SIGINT | libc::SIGQUIT));
            asked += if polite && info.ssi_code > 0 { 1 } else { 2 };
        }
        if asked >= 2 {
            return;
        }
        pump.turn_all(&fds[1..], &mut |_| {});
    }
}
