//! How the command ended is how we end.

use std::os::unix::process::ExitStatusExt;

use nix::sys::signal::Signal;

use crate::quiet;

#[test]
fn exit_codes_are_mirrored() {
    let env = quiet();
    for code in [0, 1, 2, 3, 42, 125, 126, 127, 128, 130, 137, 254, 255] {
        env.notify_done(["--", "sh", "-c", &format!("exit {code}")]).run().assert_code(code);
    }
}

/// Catches 128 + n in place of a death, which `wait` tells apart.
#[test]
fn death_by_a_signal_is_ours_too() {
    use Signal::*;
    let env = quiet();
    for signal in [
        SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGABRT, SIGFPE, SIGKILL, SIGSEGV, SIGPIPE, SIGTERM, SIGUSR1,
        SIGXCPU,
    ] {
        let kill = format!("ulimit -c 0; kill -{} $$", signal as i32);
        env.notify_done(["--", "sh", "-c", &kill]).run().assert_signal(signal);
    }
    // A real-time one, which has no name in most libraries.
    let done = env.notify_done(["--", "sh", "-c", "kill -40 $$"]).run();
    assert_eq!(done.status.signal(), Some(40), "{done:#?}");
}

/// Catches a second core, of our process, beside the command's.
#[test]
fn we_leave_no_core() {
    let env = quiet();
    let crash = "ulimit -c unlimited; exec $ND -- sh -c 'kill -SEGV $$'";
    let done = env.shell(crash).run();
    done.assert_signal(Signal::SIGSEGV);
    assert!(!done.status.core_dumped());
}

#[test]
fn what_cannot_run_ends_as_env_ends() {
    let env = quiet();
    env.write("plain", "no program", 0o644);
    env.write("no-interpreter", "#!/does/not/exist\n", 0o755);
    env.write("no-shebang", "echo ran; exit 4\n", 0o755);
    let cases = [
        (vec!["--", "no-such-command"], 127, "sh -c"),
        (vec!["--", "a && b"], 127, "notify-done -- sh -c 'a && b'"),
        (vec!["--", "echo 'a b' | cat"], 127, r"notify-done -- sh -c 'echo '\''a b'\'' | cat'"),
        (vec!["--", ""], 127, "can't run"),
        (vec!["--", "./plain"], 126, "chmod +x"),
        (vec!["--", "/"], 126, "can't run `/`"),
        (vec!["--", "./plain/x"], 126, "can't run"),
        (vec!["--", "./no-interpreter"], 127, "can't run"),
        (vec!["--no-such-flag", "--", "true"], 125, "--no-such-flag"),
        (vec!["--wait", "soon", "--", "true"], 125, "soon"),
        (vec!["--"], 125, "nothing to run"),
        (vec![], 125, "nothing to run"),
    ];
    for (args, code, says) in cases {
        let reference = ["-i", "PATH=/usr/bin:/bin"].iter().chain(args.iter().filter(|arg| **arg != "--"));
        let mut bare = std::process::Command::new("env");
        bare.args(reference);
        if code != 125 {
            env.command(bare).stderr_is_free().run().assert_code(code);
        }
        env.notify_done(&args).says(&["notify-done: ", says]).run().assert_code(code).assert_stdout("");
    }
    // As execvp(3) and the shell have it.
    env.notify_done(["--", "./no-shebang"]).run().assert_code(4).assert_stdout("ran\n");
}

/// Catches a command that runs in spite of --strict, and one that doesn't run without it.
#[test]
fn a_mistake_in_the_config_stops_only_the_strict() {
    let env = quiet();
    env.config("[notify]\non = \"sometimes\"\n");
    let says = ["notify.toml", "sometimes"];
    env.notify_done(["--strict", "--", "echo", "ran"]).says(&says).run().assert_code(125).assert_stdout("");
    env.notify_done(["--", "echo", "ran"]).says(&says).run().assert_code(0).assert_stdout("ran\n");
}
