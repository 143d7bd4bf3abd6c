//! Leaves that touch the system: clock, ids, files, places, the host, and the few system calls
//! that need `unsafe`. Nothing here knows of runs or mails.

mod bare;
pub mod beside;
pub mod canary;
pub mod clock;
pub mod fds;
pub mod fs;
pub mod host;
pub mod ids;
pub mod inherited;
pub mod machine;
pub mod paths;
pub mod pipes;
pub mod process;
pub mod schedule;
pub mod shared;
pub mod signals;
pub mod tty;
pub mod users;

/// Takes a result whose failure changes nothing that could be mended; the place says why.
pub fn best_effort<T, E>(result: Result<T, E>) {
    drop(result);
}
