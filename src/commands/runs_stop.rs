//! `notify-done runs stop`: asks the command of a run to end, as `kill` does.

use std::time::Duration;

use nix::unistd::Pid;

use super::find::{self, State, View};
use crate::error::{Error, Kind, Result};
use crate::exit::{self, Exit};
use crate::run::alive::{here, still_runs};
use crate::run::life::Process;
use crate::sys::best_effort;
use crate::sys::clock::Mark;
use crate::sys::signals::{self, PidFd};
use crate::ui::Ui;

/// What was killed can't refuse; it may take a moment in the kernel.
const DIES: Duration = Duration::from_secs(10);
/// How often a process that can't be waited for is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Sends TERM to the command and waits up to `timeout` for its end; with `kill`, KILL after that.
/// Its notice comes as ever.
///
/// # Errors
/// `NotFound` when no run, or no single one, is meant; `Setup` when it doesn't run here or may not
/// be signalled.
pub fn run(id: Option<&str>, (kill, timeout): (bool, Duration), ui: &Ui) -> Result<Exit> {
    let view = match id {
        Some(id) => find::find(Some(id))?,
        None => the_only_one()?,
    };
    let command = command_of(&view)?;
    let cannot = |e: std::io::Error| {
        Error::new(Kind::Setup, format!("can't signal process {} of run {}", command.pid, view.id()))
            .because(e)
    };
    let target = Target::of(command);
    // Looked at again behind the descriptor: never a stranger that got the number.
    if !still_runs(command) {
        return Err(ended(&view));
    }
    target.send(libc::SIGTERM).map_err(cannot)?;
    // One that is stopped takes TERM only when it goes on.
    best_effort(target.send(libc::SIGCONT));
    if target.ends_within(timeout) {
        return Ok(told(&view, "has ended", ui));
    }
    if !kill {
        let name = format!("the command of run {} (process {}) goes on", view.id(), command.pid);
        let hint = format!("it can't ignore this: notify-done runs stop --kill {}", view.id());
        let asked = humantime::format_duration(timeout);
        return Err(Error::new(Kind::Setup, name)
            .because(format!("it was asked to end {asked} ago"))
            .hint(hint));
    }
    best_effort(target.send(libc::SIGKILL));
    if target.ends_within(DIES) {
        return Ok(told(&view, "was killed", ui));
    }
    Err(Error::new(Kind::Setup, format!("process {} was killed and is still there", command.pid))
        .because("the kernel hasn't let go of it (a disk or file server that hangs)"))
}

fn told(view: &View, what: &str, ui: &Ui) -> Exit {
    ui.note(&format!("the command of run {} {what}", view.id()));
    Exit::Code(exit::DONE)
}

/// The command, by descriptor where the kernel has those (Linux 5.3, no sandbox that refuses unknown
/// calls), else by its number and the time of its start.
struct Target {
    process: Process,
    handle: Option<PidFd>,
}

impl Target {
    fn of(process: Process) -> Self {
        Self { process, handle: PidFd::open(Pid::from_raw(process.pid)).ok() }
    }

    fn send(&self, signal: i32) -> std::io::Result<()> {
        match &self.handle {
            Some(handle) => handle.send(signal),
            None => signals::send_signal(Pid::from_raw(self.process.pid), signal),
        }
    }

    fn ends_within(&self, timeout: Duration) -> bool {
        let since = Mark::now();
        while still_runs(self.process) {
            let left = timeout.saturating_sub(since.elapsed());
            if left.is_zero() {
                return false;
            }
            match &self.handle {
                Some(handle) if handle.has_ended(left) => return true,
                Some(_) => {}
                None => std::thread::sleep(left.min(LOOK)),
            }
        }
        true
    }
}

fn the_only_one() -> Result<View> {
    let running = |view: &View| matches!(view.state, State::Running) && command_of(view).is_ok();
    let mut views: Vec<View> =
        find::all().into_iter().filter_map(|(_, view)| view.ok()).filter(running).collect();
    match (views.len(), views.pop()) {
        (1, Some(view)) => Ok(view),
        (0, _) | (_, None) => Err(Error::new(Kind::NotFound, "no run goes on here")
            .hint("`notify-done runs list` shows the runs that are kept")),
        (count, Some(last)) => {
            let error = Error::new(Kind::NotFound, format!("{count} runs go on here: say which"));
            let all = views.iter().chain([&last]);
            let line =
                |view: &View| format!("{}  {}", view.id(), super::runs_show::name(view.record.start()));
            Err(all.fold(error, |error, view| error.hint(line(view))))
        }
    }
}

/// The command's process, if it still runs and this is where it does.
fn command_of(view: &View) -> Result<Process> {
    let Some(owner) = view.record.underway.as_ref().map(|underway| &underway.owner) else {
        return Err(ended(view));
    };
    if !owner.place.is_here(&here()) {
        let (id, host) = (view.id(), &view.record.start().host);
        return Err(Error::new(Kind::Setup, format!("run {id} doesn't run here"))
            .because(format!("it was started on {host}, or in another container or before a restart"))
            .hint("stop it there, with the same command"));
    }
    let Some(command) = owner.command else {
        return Err(Error::new(Kind::Setup, format!("run {} is a pipe", view.id()))
            .because("the program that writes into it isn't ours to end")
            .hint("end that program; the run ends with it"));
    };
    if still_runs(command) { Ok(command) } else { Err(ended(view)) }
}

fn ended(view: &View) -> Error {
    Error::new(Kind::NotFound, format!("the command of run {} has ended already", view.id()))
}
