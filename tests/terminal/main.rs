//! On a terminal: the command finds one as without us, Ctrl-C and Ctrl-Z are its own, and the
//! terminal is left as it was. Driven by `support/terminal.py`, which holds the terminal.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod full;
mod jobs;
mod seen;

use std::fs;

use support::env::TestEnv;

/// Runs `script` (Python, with all of `support/terminal.py`); its assertions are the test.
#[track_caller]
fn drive(env: &TestEnv, script: &str) {
    let prelude = concat!(
        "import sys\nsys.dont_write_bytecode = True\nsys.path.insert(0, '",
        env!("CARGO_MANIFEST_DIR"),
        "/tests/support')\nfrom terminal import *\n"
    );
    env.python::<&str>(&format!("{prelude}{script}"), []).run().assert_code(0);
}

/// No run is long enough for a mail, so that we have nothing to say.
fn quiet() -> TestEnv {
    TestEnv::new().var("NOTIFY_DONE_MIN_DURATION", "1h")
}

/// The only log that was kept.
fn log(env: &TestEnv) -> Vec<u8> {
    let runs: Vec<_> = fs::read_dir(env.state().join("runs")).unwrap().collect();
    assert_eq!(runs.len(), 1);
    fs::read(runs[0].as_ref().unwrap().path().join("log")).unwrap()
}
