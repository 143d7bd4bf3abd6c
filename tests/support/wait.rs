//! How the two sides of a test wait for each other.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// A named pipe; who reads from it waits until the test opens the gate.
pub struct Gate(File);

impl Gate {
    pub fn new(path: &Path) -> Self {
        nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).expect("the folder can be written");
        // For both, so that neither side's open() waits for the other.
        Self(OpenOptions::new().read(true).write(true).open(path).expect("it was just made"))
    }

    /// Lets one reader through.
    pub fn open(&mut self) {
        self.0.write_all(b"go\n").expect("a line fits into a pipe");
    }
}

/// Waits until `reached`; panics after 30 s. For what nothing tells of but looking.
#[track_caller]
pub fn wait_until(what: &str, mut reached: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !reached() {
        assert!(Instant::now() < end, "{what}: didn't happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}
