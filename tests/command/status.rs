//! How the command ended is how we end.

use std::os::unix::process::ExitStatusExt;

use nix::sys::signal::Signal;

use crate::quiet;

/// Statement 1. Catches a code that means something to us (125 to 127, 128 + n) turned into another.
#[test]
fn exit_codes_are_mirrored() {
    let env = quiet();
    for code in 0..=255 {
        env.notify_done(["--", "sh", "-c", &format!("exit {code}")]).run().assert_code(code);
    }
}

/// Statement 2. Catches 128 + n in place of a death, which `wait` tells apart (`runitor`, `noti`).
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

/// Statement 3. Catches a second core, of our process, beside the command's.
#[test]
fn we_leave_no_core() {
    let env = quiet();
    let crash = "ulimit -c unlimited; exec $ND -- sh -c 'kill -SEGV $$'";
    let done = env.shell(crash).run();
    done.assert_signal(Signal::SIGSEGV);
    assert!(!done.status.core_dumped());
}

/// Statements 5, 6, 7, 11. Catches one failure taken for another, and words of ours in the log of what
/// never ran.
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
        (vec!["--", "a|b"], 127, "notify-done -- sh -c 'a|b'"),
        (vec!["--", "ls -l"], 127, "notify-done -- sh -c 'ls -l'"),
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
    let runs = std::fs::read_dir(env.state().join("runs")).unwrap().map(|run| run.unwrap().path());
    let logged: Vec<_> = runs.filter(|run| run.join("log").exists()).collect();
    assert!(logged.is_empty(), "a log of what never ran: {logged:?}");
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
    let env = quiet().var("NOTIFY_DONE_LANG", "cn");
    let strict = env.notify_done(["--strict", "--", "echo", "ran"]).says(&["NOTIFY_DONE_LANG", "cn"]);
    strict.run().assert_code(125).assert_stdout("");
}

/// Statement 10. Catches a lookup of our own: a file that isn't executable ends it too early, an empty
/// entry of PATH isn't the working folder, `$0` is another one.
#[test]
fn the_command_is_found_as_without_us() {
    let script = "mkdir a b\n\
        printf '#!/bin/sh\\necho a \"$0\" $1\\n' >a/x; printf '#!/bin/sh\\necho b \"$0\" $1\\n' >b/x; chmod 755 b/x\n\
        export PATH=$PWD/a:nowhere:$PWD/b:$PATH\n\
        W=${W:-env}\n\
        $W x 1; $W b/x 2; cd b; PATH=:$PATH $W x 3; PATH=$PATH: $W ./x 4\n\
        $W sh -c 'tr \"\\0\" \" \" </proc/$$/cmdline; :'; cd ..; rm -r a b";
    crate::assert_same(script);
}

/// Statement 4. Catches a signal that can't kill us, since the caller had it ignored or blocked: then
/// we would end with 128 + n, or hang.
#[test]
fn what_was_ignored_or_blocked_kills_us_all_the_same() {
    let env = quiet();
    let dies = "import os, signal\n\
        signal.signal(signal.SIGTERM, signal.SIG_DFL)\n\
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})\n\
        os.kill(os.getpid(), signal.SIGTERM)";
    env.write("dies.py", dies, 0o644);
    for before in [
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})",
    ] {
        let script = format!(
            "import os, signal\n{before}\nos.execv(os.environ['ND'], ['nd', '--', 'python3', 'dies.py'])"
        );
        env.python::<&str>(&script, []).run().assert_signal(Signal::SIGTERM);
    }
}

/// Statement 12. Catches a lost status: where SIGCHLD is ignored, the kernel reaps by itself, and
/// `wait` fails (std's `Command` with it).
#[test]
fn a_caller_that_ignores_sigchld_changes_nothing() {
    let env = quiet();
    for (ends, code) in [("exit 7", 7), ("exit 0", 0)] {
        let script = "import os, signal, sys\n\
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n\
            os.execv(os.environ['ND'], ['nd', '--', 'sh', '-c', sys.argv[1]])";
        env.python(script, [ends]).run().assert_code(code);
    }
}

/// Statement 13. Catches a stranger's end taken for the command's: children that the shell had before
/// it exec'd us, one that has ended, one that ends during the run, one that outlives it.
#[test]
fn inherited_children_are_not_the_command() {
    let env = quiet();
    let _gates = [env.gate("early"), env.gate("late")];
    let script = "sh -c 'exit 3' & \
        { read x <early; echo >during; exit 4; } & \
        { read x <late; } & \
        exec $ND -- sh -c 'echo >early; until test -e during; do :; done; echo its end; echo >late; exit 7'";
    env.shell(script).run().assert_code(7).assert_stdout("its end\n");
}

/// Statement 14. Catches a first process of a container that can't end (nobody dies by a signal there),
/// doesn't pass signals on, or waits for orphans instead of the command.
#[test]
fn as_the_first_process_of_a_container() {
    let env = quiet();
    let inside = |job: &str| {
        let user = if nix::unistd::geteuid().is_root() { "" } else { "--user --map-root-user" };
        env.shell(&format!("exec unshare {user} --pid --fork --mount-proc $ND -- sh -c '{job}'"))
    };
    inside("exit 5").run().assert_code(5);
    inside("kill -TERM $$").run().assert_code(128 + 15);
    inside("kill -40 $$").run().assert_code(128 + 40);
    inside("(sh -c \"exit 9\" &); sh -c : ; exit 6").run().assert_code(6);
    // From outside, whose numbers mean nothing inside. (A shell's `read` may miss a trap.)
    let waiter = "import os, signal\n\
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n\
        os.write(1, b'ready\\n')\n\
        os.write(1, b'got %d\\n' % signal.sigwait({signal.SIGTERM}))\n\
        os._exit(8)";
    env.write("waiter.py", waiter, 0o644);
    let run = inside("exec python3 waiter.py").start();
    run.wait_for_stdout(b"ready\n");
    let children = format!("/proc/{0}/task/{0}/children", run.pid());
    let first = std::fs::read_to_string(children).unwrap();
    let first = nix::unistd::Pid::from_raw(first.split_whitespace().next().unwrap().parse().unwrap());
    nix::sys::signal::kill(first, Signal::SIGTERM).unwrap();
    run.finish().assert_code(8).assert_stdout("ready\ngot 15\n");
}
