//! The command can't tell that it is wrapped: what it is given, what becomes of its output, how it
//! ends, which signals it gets.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod environment;
mod given;
mod group;
mod interrupted;
mod killed;
mod lifetime;
mod output;
mod runs;
mod signals;
mod status;
mod streams;

use support::env::TestEnv;

/// An environment in which no run is long enough for a mail, so that we have nothing to say.
fn quiet() -> TestEnv {
    TestEnv::new().var("NOTIFY_DONE_MIN_DURATION", "1h")
}

/// Runs a shell script twice, with `$W` empty and with `$W` as our prefix; what it printed.
#[track_caller]
fn bare_and_wrapped(script: &str) -> (String, String) {
    let env = quiet();
    let run = |wrapper: &str| {
        let done = env.shell(script).var("W", wrapper).run();
        done.assert_code(0);
        String::from_utf8(done.stdout).unwrap()
    };
    let bare = run("");
    assert!(!bare.is_empty(), "a test that compares nothing");
    (bare, run(concat!(env!("CARGO_BIN_EXE_notify-done"), " --")))
}

#[track_caller]
fn assert_same(script: &str) {
    let (bare, wrapped) = bare_and_wrapped(script);
    assert_eq!(bare, wrapped, "bare is left, wrapped is right, of: {script}");
}
