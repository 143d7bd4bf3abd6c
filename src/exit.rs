//! The table of exit codes: what a caller may rely on. Pure.

use crate::run::facts::End;

/// Our own failure before a command ran: a bad flag, nothing to run, `--strict` and a bad config.
/// Also when the command's status is lost, since whoever waited for it was killed: that must not look
/// like a success.
pub const OWN_FAILURE: i32 = 125;
/// The command was found but can't be executed, as env(1) has it.
pub const NOT_EXECUTABLE: i32 = 126;
/// The command wasn't found, as env(1) has it.
pub const NOT_FOUND: i32 = 127;
/// A subcommand did what it was asked.
pub const DONE: i32 = 0;
/// A subcommand didn't; the reason is on stderr.
pub const NOT_DONE: i32 = 1;
/// A subcommand was used wrongly.
pub const USAGE: i32 = 2;

/// How our process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    /// Die by the signal that killed the command, so that the caller's wait sees the same.
    Signal(i32),
}

/// The command's own end becomes ours.
pub fn for_end(end: End) -> Exit {
    match end {
        End::Exited { code } => Exit::Code(code),
        End::Signaled { signal, .. } | End::ToldToEnd { signal } => Exit::Signal(signal),
        End::NotStarted { errno } if errno == libc::ENOENT => Exit::Code(NOT_FOUND),
        End::NotStarted { .. } => Exit::Code(NOT_EXECUTABLE),
        // Never the end of a run that is being seen through; nobody knows its status.
        End::Interrupted { .. } => Exit::Code(OWN_FAILURE),
        // A pipe has passed its input on, whatever its writer's status was.
        End::Reported { .. } | End::Unknown => Exit::Code(DONE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exec_failures_are_those_of_env() {
        assert_eq!(for_end(End::NotStarted { errno: libc::ENOENT }), Exit::Code(127));
        assert_eq!(for_end(End::NotStarted { errno: libc::EACCES }), Exit::Code(126));
        assert_eq!(for_end(End::NotStarted { errno: libc::ENOEXEC }), Exit::Code(126));
    }
}
