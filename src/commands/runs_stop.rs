//! `notify-done runs stop`: asks the command of a run to end, as `kill` does.

use std::time::Duration;

use super::find::{self, State, View};
use crate::error::{Error, Kind, Result};
use crate::exit::{self, Exit};
use crate::run::alive::{here, still_runs};
use crate::run::life::Process;
use crate::sys::best_effort;
use crate::sys::clock::Mark;
use crate::sys::signals::PidFd;
use crate::ui::Ui;

/// What was killed can't refuse; it may take a moment in the kernel.
const DIES: Duration = Duration::from_secs(10);

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
    let handle = PidFd::open(nix::unistd::Pid::from_raw(command.pid)).map_err(cannot)?;
    // By descriptor, and looked at again behind it: never a stranger that got the number.
    if !still_runs(command) {
        return Err(ended(&view));
    }
    handle.send(libc::SIGTERM).map_err(cannot)?;
    // One that is stopped takes TERM only when it goes on.
    best_effort(handle.send(libc::SIGCONT));
    if ends_within(&handle, timeout) {
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
    best_effort(handle.send(libc::SIGKILL));
    if ends_within(&handle, DIES) {
        return Ok(told(&view, "was killed", ui));
    }
    Err(Error::new(Kind::Setup, format!("process {} was killed and is still there", command.pid))
        .because("the kernel hasn't let go of it (a disk or file server that hangs)"))
}

fn told(view: &View, what: &str, ui: &Ui) -> Exit {
    ui.note(&format!("the command of run {} {what}", view.id()));
    Exit::Code(exit::DONE)
}

fn ends_within(handle: &PidFd, timeout: Duration) -> bool {
    let since = Mark::now();
    loop {
        let left = timeout.saturating_sub(since.elapsed());
        if handle.has_ended(left) {
            return true;
        }
        if left.is_zero() {
            return false;
        }
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
