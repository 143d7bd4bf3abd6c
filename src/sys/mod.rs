//! Leaves that touch the system: clock, ids, files, places, the host, and the few system calls
//! that need `unsafe`. Nothing here knows of runs or mails.

pub mod clock;
pub mod fds;
pub mod fs;
pub mod host;
pub mod ids;
pub mod inherited;
pub mod paths;
pub mod process;
pub mod shared;
