//! The supervisor: parent of the command, pumps its output, waits for it, and starts the mailer.
//! Also the front's second life: if the supervisor is killed, the front runs the same code.

use std::cell::OnceCell;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus};
use nix::unistd::{Pid, getppid};

use super::alive::Pulse;
use super::facts::{End, Holds, LogPart, RunFacts, RunStart, Usage};
use super::forward::Forwarder;
use super::hung::Hung;
use super::link::{self, Mailer, Message};
use super::mailer::{self, Job, Policy, Teller};
use super::oom;
use super::pump::Pump;
use super::record::{FILE, LogSource, RunRecord, Underway};
use super::start::{Start, VerdictPipe, start_command};
use super::wake::wake_front;
use super::wiring::{OwnFile, Wiring, spool_holds};
use crate::config::Overrides;
use crate::sys::beside::Releaser;
use crate::sys::clock::{self, Mark};
use crate::sys::fs::{Durability, create, replace};
use crate::sys::process::{self, Change, ExecImage, Fork};
use crate::sys::shared::SharedBoard;
use crate::sys::signals::{self, SignalState};
use crate::sys::{best_effort, fds};

/// The run is on record this long after the start, and that on the disk; a shorter run has its end on
/// record instead. First so that it outlives our processes, when most short commands are through; then
/// so that it outlives the machine. (The promise is a second.)
const RECORDS: [(Duration, Durability); 2] =
    [(Duration::from_millis(10), Durability::Atomic), (Duration::from_millis(500), Durability::Synced)];
/// A pseudo-terminal hands its bytes on through a kernel worker, so "nothing there" is believed
/// only after this long.
const TERMINAL_SETTLES: Duration = Duration::from_millis(20);

/// How long a reader that takes nothing may hold up the end of a command that was killed. Without us it
/// wouldn't at all: `terminate(); wait()` with a full pipe returns.
const READER_HOLDS_UP: Duration = Duration::from_secs(1);
/// The same where without us the command would have ended, killed or not, before its reader had taken
/// anything: `wait()` first and then read is fine with a pipe that has room for all.
const READER_IS_DUE: Duration = Duration::from_millis(100);
/// How often a command that isn't our child is looked at.
pub(super) const LOOK_FOR_THE_END: Duration = Duration::from_millis(100);

/// A run under way: what front and supervisor both hold.
pub struct Run<'a> {
    pub start: RunStart,
    pub clock: Mark,
    /// `state/runs/<id>`; None when no place could be written.
    pub folder: Option<PathBuf>,
    pub board: SharedBoard,
    pub signals: SignalState,
    pub pump: Pump,
    pub wiring: Wiring,
    pub policy: Policy,
    pub overrides: Overrides,
    pub job: &'a mut Job<'a>,
    /// The mailer's words to the front.
    pub words: Option<OwnedFd>,
    pub pulse: Pulse,
    pub memory: oom::Watch,
    /// What is left to be done for others, once this run is on record.
    pub for_others: &'a dyn Fn(),
    pub verdict: VerdictPipe,
    /// In the front: a supervisor that was killed because it hung, and may not have ended yet. Until
    /// then the command isn't our child.
    pub dying: Option<Pid>,
}

/// Who runs the code.
pub enum Role<'a> {
    Supervisor {
        front: &'a OwnedFd,
        /// The front's process.
        pid: Pid,
        releaser: &'a OnceCell<Option<Releaser>>,
    },
    /// The supervisor was killed; signals are the front's to pass on meanwhile.
    Front(&'a mut Forwarder),
}

/// Forks the command, leaves the front's session, and sees the run through. In the forked
/// supervisor; never returns.
pub fn supervise(mut run: Run<'_>, image: &ExecImage, front: &OwnedFd) -> ! {
    let pid = getppid();
    let releaser = OnceCell::new();
    let started = start_command(&mut run, image);
    // Done already where the command is our own child: [`start_command`].
    best_effort(nix::unistd::setsid());
    best_effort(nix::unistd::chdir("/"));
    fds::detach_standard(&[0, 1, 2]);
    let end = match started {
        Err(e) => {
            link::tell(front.as_fd(), Message::OwnFailure { errno: e.raw_os_error().unwrap_or(libc::EIO) });
            process::leave(0)
        }
        Ok(Start::Running) => {
            link::tell(front.as_fd(), Message::Started);
            keep_only(&run, &[front.as_raw_fd(), run.pulse.fd()]);
            see_through(&mut run, &mut Role::Supervisor { front, pid, releaser: &releaser })
        }
        Ok(Start::Refused(errno)) => (End::NotStarted { errno: errno as i32 }, None),
    };
    stand_by(&run, &releaser);
    let mailing = conclude(&mut run, end, Some(front));
    drop(releaser);
    let mailer = match mailing {
        Mailing::NotDue => Mailer::Nobody,
        Mailing::Forked => Mailer::Itself,
        Mailing::Here(_) => Mailer::Supervisor,
    };
    link::tell(front.as_fd(), Message::Ended { end: end.0, mailer });
    if let Mailing::Here(facts) = mailing
        && let Some(words) = run.words.take()
    {
        mailer::work(run.job, &facts, &words, &[]);
    }
    process::leave(0)
}

/// A kept descriptor of the caller's would hold a lock or a pipe open for as long as we live.
fn keep_only(run: &Run<'_>, also: &[i32]) {
    let mut keep = also.to_vec();
    keep.extend(run.words.as_ref().map(AsRawFd::as_raw_fd));
    keep.extend(run.pump.fds());
    keep.extend(run.wiring.own_files.iter().map(OwnFile::fd));
    fds::close_all_but(&keep);
}

/// Pumps until the command has ended and all that it wrote before is delivered.
pub fn see_through(run: &mut Run<'_>, role: &mut Role<'_>) -> (End, Option<Usage>) {
    let command = Pid::from_raw(run.board.board().command.load(Ordering::Acquire));
    let own_signals = match role {
        // Nobody else waits for our children, so failing here leaves nothing to fall back on.
        Role::Supervisor { .. } => SignalFd::with_flags(&signals::child_set(), flags()).ok(),
        Role::Front(_) => None,
    };
    let mut end = None;
    let mut records: &[_] = if run.folder.is_some() { &RECORDS } else { &[] };
    // Asking costs system calls: only when a child has something to tell.
    let mut news = true;
    loop {
        if end.is_none() && news {
            end = check_command(run, command, role);
        }
        let elapsed = run.clock.elapsed();
        if end.is_some() {
            run.board.board().end_time.note(elapsed, clock::now());
        }
        if let Some(((at, durability), later)) = records.split_first()
            && end.is_none()
            && elapsed >= *at
        {
            record(run, *durability);
            records = later;
        }
        let look_in = run.memory.begin(elapsed, &run.board.board().kills_before);
        let beat_in = run.pulse.beat(elapsed);
        let record_in = records.first().filter(|_| end.is_none()).map(|(at, _)| at.saturating_sub(elapsed));
        let timeout = [patience(run, end), record_in, beat_in, look_in, forwarders_timeout(run, role)];
        let timeout = timeout.into_iter().flatten().min();
        let signal_fd = match role {
            Role::Supervisor { .. } => own_signals.as_ref().map_or(-1, AsRawFd::as_raw_fd),
            Role::Front(forwarder) => forwarder.fd(),
        };
        let mut fds = vec![libc::pollfd { fd: signal_fd, events: libc::POLLIN, revents: 0 }];
        fds.extend(run.pump.interests());
        let pumps = 1..fds.len();
        if let Role::Front(forwarder) = role {
            fds.extend(forwarder.interests());
        }
        if process::poll(&mut fds, timeout).is_err() {
            continue;
        }
        if let Role::Front(forwarder) = role {
            forwarder.tick(run.board.board());
            forwarder.turn(&fds[pumps.end..]);
        }
        news = fds[0].revents != 0 || signal_fd < 0 || run.dying.is_some();
        if fds[0].revents != 0 {
            take_signals(run, role, own_signals.as_ref());
            process::reap_others(command);
        }
        let moved = turn_all(run, role, &fds[pumps]);
        if let Some(end) = end
            && !moved
            && fds[0].revents == 0
            && (run.pump.all_delivered() || patience(run, Some(end)) == Some(Duration::ZERO))
        {
            return end;
        }
    }
}

/// Once the command has ended: how long its last bytes may still be on their way.
fn patience(run: &Run<'_>, ended: Option<(End, Option<Usage>)>) -> Option<Duration> {
    let (end, _) = ended?;
    if !run.pump.all_delivered() {
        let killed = matches!(end, End::Signaled { .. });
        let at_most = if run.pump.would_fit() { READER_IS_DUE } else { READER_HOLDS_UP };
        (killed || at_most == READER_IS_DUE).then(|| at_most.saturating_sub(run.pump.idle()))
    } else if run.pump.has_open_terminal() {
        Some(TERMINAL_SETTLES)
    } else {
        Some(Duration::ZERO)
    }
}

fn forwarders_timeout(run: &Run<'_>, role: &Role<'_>) -> Option<Duration> {
    let Role::Front(forwarder) = role else { return None };
    // While the supervisor is still dying, nobody tells us of the command's end.
    forwarder.timeout().into_iter().chain(run.dying.map(|_| LOOK_FOR_THE_END)).min()
}

fn flags() -> SfdFlags {
    SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC
}

fn take_signals(run: &Run<'_>, role: &mut Role<'_>, own: Option<&SignalFd>) {
    match role {
        Role::Supervisor { .. } => while own.is_some_and(|fd| matches!(fd.read_signal(), Ok(Some(_)))) {},
        Role::Front(forwarder) => forwarder.handle_all(&run.pump.channels),
    }
}

/// Before anything is written to the disk: without it, should that hang, a reader of our output would have
/// to wait for it.
fn stand_by(run: &Run<'_>, releaser: &OnceCell<Option<Releaser>>) {
    let sinks = run.pump.sinks();
    if !sinks.is_empty() {
        releaser.get_or_init(|| Releaser::new(sinks, &run.board.board().let_go).ok());
    }
}

fn turn_all(run: &mut Run<'_>, role: &Role<'_>, ready: &[libc::pollfd]) -> bool {
    if let Role::Supervisor { releaser, .. } = role
        && ready.iter().any(|fd| fd.revents & libc::POLLIN != 0)
    {
        stand_by(run, releaser);
    }
    run.pump.turn_all(ready, &mut |channel| {
        if let Role::Supervisor { front, .. } = role {
            link::tell(front.as_fd(), Message::Over { channel });
        }
    })
}

fn check_command(run: &Run<'_>, command: Pid, role: &mut Role<'_>) -> Option<(End, Option<Usage>)> {
    let board = run.board.board();
    let monitor = run.wiring.full.note.and_then(|note| note.monitor());
    let mut asked_again = false;
    loop {
        if let Some((status, usage)) = board.end.get() {
            // A command that is stopped can be killed.
            if let Role::Supervisor { pid, .. } = role {
                wake_front(board, *pid, || getppid() == *pid);
            }
            // It ends at once when it has noted this: its times are the command's, for `time`.
            best_effort(monitor.map(|monitor| nix::sys::wait::waitpid(monitor, None)).transpose());
            let end = end_of(status);
            let process::Rusage { user, system, peak_rss } = usage;
            return Some((end, Some(Usage { user, system, peak_rss })));
        }
        match process::check_child(command, &board.end) {
            Ok(Some(Change::Ended)) => {}
            Ok(Some(Change::Stopped { signal })) => match role {
                Role::Supervisor { front, .. } => link::tell(front.as_fd(), Message::Stopped { signal }),
                Role::Front(forwarder) => forwarder.command_stopped(board),
            },
            Ok(Some(Change::Continued)) => match role {
                Role::Supervisor { front, pid, .. } => {
                    link::tell(front.as_fd(), Message::Continued);
                    wake_front(board, *pid, || getppid() == *pid);
                }
                Role::Front(forwarder) => forwarder.command_continued(),
            },
            Ok(None) => return None,
            // The command is the monitor's child. If that was killed it is ours now, or noted.
            Err(_) if monitor.is_some_and(process::is_running_child) => return None,
            Err(_) if monitor.is_some() && !asked_again => asked_again = true,
            Err(_) => return unseen_end(run, command),
        }
    }
}

/// The end of a command that isn't our child.
fn unseen_end(run: &Run<'_>, command: Pid) -> Option<(End, Option<Usage>)> {
    let still_dying = run.dying.is_some_and(|supervisor| {
        nix::sys::wait::waitpid(supervisor, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive)
    });
    if still_dying {
        return process::zombie_status(command).map(|status| (end_of(status), None));
    }
    // It may have become our child since we asked.
    match process::check_child(command, &run.board.board().end) {
        Ok(_) => None,
        // Whoever waited for it was killed within the system call: nobody knows any more.
        Err(_) => Some((End::Unknown, None)),
    }
}

fn end_of(status: i32) -> End {
    match process::status_parts(status) {
        Ok(code) => End::Exited { code },
        Err((signal, core_dumped)) => End::Signaled { signal, core_dumped },
    }
}

/// A disk may take long, and must not hold the output up: a process of its own asks it, which holds
/// nothing that a reader could wait for. When all is on the disk it looks after the runs that nobody
/// lived to see the end of, which may take it longer: no run waits for that.
fn record(run: &Run<'_>, durability: Durability) {
    let Some(folder) = &run.folder else { return };
    let supervisor = nix::unistd::getpid();
    // Without a process to spare there is no early record: the end's own follows.
    if let Ok(Fork::Child) = process::fork() {
        fds::detach_standard(&[0, 1, 2]);
        let command = Pid::from_raw(run.board.board().command.load(Ordering::Acquire));
        let owner = run.pulse.owner(supervisor, Some(command));
        let underway = Underway { owner, policy: run.policy, log: log_sources(run) };
        fds::close_all_but(&[]);
        let record = RunRecord::running(&run.start, &run.overrides, underway);
        // The end may be on record before this is through: that one stays.
        let written = create(&folder.join(FILE), &record.to_json(), durability);
        run.pulse.sign();
        if durability == Durability::Synced {
            mailer::step_aside();
            (run.for_others)();
        }
        process::leave(i32::from(written.is_err()))
    }
}

/// For what may wait for a disk that hangs: in a process that holds nothing that a reader could wait for.
/// Without a process to spare it isn't done: no mail is due then, only `runs list` lacks the end.
fn in_a_process_of_its_own(also: &[i32], work: impl FnOnce()) {
    if let Ok(Fork::Child) = process::fork() {
        fds::detach_standard(&[0, 1, 2]);
        fds::close_all_but(also);
        work();
        process::leave(0)
    }
}

/// What became of the mail.
#[derive(Debug, PartialEq)]
pub enum Mailing {
    NotDue,
    Forked,
    /// No process to spare: the caller does the mailer's work itself.
    Here(Box<RunFacts>),
}

/// The end of the run: facts on record, the mailer and, where needed, the holder forked.
pub fn conclude(run: &mut Run<'_>, (end, usage): (End, Option<Usage>), front: Option<&OwnedFd>) -> Mailing {
    run.pump.record_ahead();
    run.pump.finish();
    let seen = run.board.board().end_time.get();
    let (duration, ended) = seen.unwrap_or_else(|| (run.clock.elapsed(), clock::now()));
    let facts = RunFacts {
        start: run.start.clone(),
        ended,
        duration,
        end,
        usage,
        out_of_memory: run.memory.end(),
        log: log_parts(run),
    };
    let due = run.policy.wants(end, facts.duration);
    let mut mailing = Mailing::NotDue;
    let hung = run.dying.map(Hung::new);
    // The lock too: until the end is on record the run mustn't be found dead, which its processes are as
    // soon as the disk answers.
    let needs: Vec<i32> = run.pump.in_flight_fds().into_iter().chain([run.pulse.fd()]).collect();
    match &hung {
        None => {
            // If the front finds us waiting here, it goes on without us.
            let note = &run.board.board().spool;
            note.wait_from(run.clock.elapsed());
            keep(run, &facts, due);
            note.answered();
        }
        Some(hung) if !due => in_a_process_of_its_own(&needs, || {
            hung.wait_and_keep(run, &facts, due);
        }),
        Some(_) => {}
    }
    if due && let Some(words) = run.words.take() {
        // Noted before the fork: whoever takes our place forks no second one. If this one never
        // came to be, its words end without a `Done`, and the front makes the notice itself.
        let claimed = run.board.board().mailing.swap(true, Ordering::AcqRel);
        // A disk that hangs is waited for by the mailer, never by the front.
        let mut job = |facts: &RunFacts, teller: &mut Teller| match &hung {
            None => (run.job)(facts, teller),
            Some(hung) => {
                let facts = hung.wait_and_keep(run, facts, due);
                (run.job)(&facts, teller);
            }
        };
        let forked = if claimed {
            Ok(())
        } else {
            mailer::fork_mailer(&mut job, &facts, &words, if hung.is_some() { &needs } else { &[] })
        };
        mailing = match forked {
            Ok(()) => Mailing::Forked,
            Err(_) => Mailing::Here(Box::new(facts)),
        };
        run.words = Some(words);
    }
    if !run.pump.finished() {
        hold_on(run, front);
    }
    mailing
}

/// Puts the end on record.
pub(super) fn keep(run: &Run<'_>, facts: &RunFacts, due: bool) {
    let Some(folder) = &run.folder else { return };
    let record = RunRecord::ended(facts, &run.overrides, due).to_json();
    // A full disk is told by the mailer, which has the facts in memory.
    if replace(&folder.join(FILE), &record, Durability::Atomic).is_ok() && !due {
        run.pulse.end();
    }
}

/// A grandchild still has the output: a process of its own passes on what it writes, so that the
/// front can end as the command did.
fn hold_on(run: &mut Run<'_>, front: Option<&OwnedFd>) {
    if !matches!(process::fork(), Ok(Fork::Child)) {
        return;
    }
    run.words = None;
    // What comes now is no part of the run, and may go on for months.
    run.pump.spool = None;
    best_effort(nix::unistd::setsid());
    fds::detach_standard(&[0, 1, 2]);
    keep_only(run, &[]);
    debug_assert!(front.is_none_or(|fd| nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETFD).is_err()));
    while !run.pump.finished() {
        let mut fds = run.pump.interests();
        if process::poll(&mut fds, None).is_err() {
            break;
        }
        run.pump.turn_all(&fds, &mut |_| {});
    }
    process::leave(0)
}

/// Where the log is growing.
fn log_sources(run: &Run<'_>) -> Vec<LogSource> {
    let mut sources: Vec<LogSource> = run.wiring.own_files.iter().map(OwnFile::source).collect();
    if let (Some(holds), Some(folder), Some(_)) =
        (spool_holds(&run.pump.channels), &run.folder, &run.pump.spool)
    {
        sources.push(LogSource { path: folder.join("log"), holds, start: 0, inode: None });
    }
    sources.sort_by_key(|source| source.holds == Holds::Stderr);
    sources
}

pub(super) fn log_parts(run: &Run<'_>) -> Vec<LogPart> {
    let mut parts: Vec<LogPart> = run.wiring.own_files.iter().map(OwnFile::part).collect();
    if let (Some(holds), Some(folder)) = (spool_holds(&run.pump.channels), &run.folder) {
        parts.push(run.pump.log_part(folder, holds));
    }
    parts.sort_by_key(|part| part.holds == Holds::Stderr);
    parts
}
