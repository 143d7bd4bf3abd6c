//! A supervisor that was killed because it waited for the log's disk: what is left to be done when that
//! answers. In a process that nobody waits for.

use nix::sys::wait::{WaitPidFlag, WaitStatus};
use nix::unistd::Pid;

use super::alive;
use super::facts::RunFacts;
use super::life::Process;
use super::supervisor::{LOOK_FOR_THE_END, Run, keep, log_parts};
use crate::sys::process;

/// It may not have ended yet.
pub struct Hung(Option<Process>);

impl Hung {
    /// In its parent, which alone can tell it from a process that has its number since.
    pub fn new(pid: Pid) -> Self {
        let alive = nix::sys::wait::waitpid(pid, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive);
        Self(alive.then(|| alive::noted(pid)).flatten())
    }

    /// Waits until it has ended, which is as long as the disk takes; then puts what the log lacks there,
    /// and the end on record. The facts as they are now.
    pub fn wait_and_keep(&self, run: &mut Run<'_>, facts: &RunFacts, due: bool) -> RunFacts {
        // Nobody would tell us: it is no child of the process that does this.
        while self.0.is_some_and(|it| {
            alive::still_runs(it) && process::zombie_status(Pid::from_raw(it.pid)).is_none()
        }) {
            std::thread::sleep(LOOK_FOR_THE_END);
        }
        run.pump.ask_disk_again();
        let facts = RunFacts { log: log_parts(run), ..facts.clone() };
        keep(run, &facts, due);
        facts
    }
}
