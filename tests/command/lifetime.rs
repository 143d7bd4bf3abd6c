//! When a run ends, and what may outlive it.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::killed::PROCESSES;
use crate::quiet;
use crate::support::env::TestEnv;
use crate::support::parse;
use crate::support::smtp::{Action, Script, ScriptedServer, Stage, TlsMode};

/// Statement 78. Catches waiting for a daemon, or for the end of what it has inherited: the end is that
/// of the process that was started.
#[test]
fn a_daemon_does_not_hold_us() {
    let env = quiet();
    let _gate = env.gate("gate");
    let daemon =
        "setsid sh -c \"trap '' HUP; read x <gate; echo late >done\" </dev/null >/dev/null 2>&1 & exit 4";
    env.write("daemon.sh", daemon, 0o644);
    let script = "$ND -- sh daemon.sh; echo \"ended $?\"; test -e done || echo go >gate; \
        until test -e done; do :; done";
    env.shell(script).run().assert_code(0).assert_stdout("ended 4\n");
}

/// Statement 79. Catches a prompt that waits for a server: beyond the bound that `--wait` states, and at
/// all with 0.
#[test]
fn the_mail_holds_the_prompt_no_longer_than_stated() {
    let env = TestEnv::new();
    let script = Script::qq().account("10001@qq.com", "abcdefghijklmnop").at(Stage::Greeting, Action::Hang);
    let mut server = ScriptedServer::start(script);
    env.config(&env.account("qq", "10001@qq.com", "abcdefghijklmnop", (&server, TlsMode::Implicit)));
    for (wait, least, most) in [("0s", 0.0, 5.0), ("1s", 1.0, 9.0)] {
        let done = env.notify_done(["--wait", wait, "--", "sh", "-c", "exit 3"]).stderr_is_free().run();
        done.assert_code(3);
        let took = done.duration.as_secs_f64();
        assert!((least..most).contains(&took), "{took} s with --wait {wait}");
    }
    server.wait_for_connections(2, Duration::from_secs(20));
    server.go_down();
}

/// Statement 82. Catches a supervisor in the caller's process group: `kill -9 -PGRP` would leave nobody
/// to tell.
#[test]
fn the_whole_group_killed_is_told() {
    let env = TestEnv::new();
    let server = ScriptedServer::start(Script::qq().account("10001@qq.com", "abcdefghijklmnop"));
    env.config(&env.account("qq", "10001@qq.com", "abcdefghijklmnop", (&server, TlsMode::Implicit)));
    let _gate = env.gate("gate");
    let run = env.notify_done(["--", "sh", "-c", "echo first; read x <gate"]).stderr_is_free().start();
    run.wait_for_stdout(b"first\n");
    run.signal_group(Signal::SIGKILL);
    run.finish().assert_signal(Signal::SIGKILL).assert_stdout("first\n");
    let mails = server.wait_for_mails(1, Duration::from_secs(30));
    let mail = parse::mail(&mails[0].data);
    let text = mail.text.as_deref().unwrap();
    assert!(text.contains("killed by SIGKILL"), "{text}");
}

/// Statement 64. Catches a hang of who waits for the command first and then reads, which is fine as long as
/// the pipe has room: spliced pieces take a page of it each, so that 16 short lines fill it.
#[test]
fn who_waits_before_it_reads_sees_the_end() {
    let script = r#"
import signal
job = r"""
import os, select
os.read(0, 1)
for n in range(50):
    os.write(1, b"%d\n" % n)
    # So that each is a piece of its own.
    select.select([], [], [], 0.005)
os._exit(6)
"""
for killed in False, True:
    run = subprocess.Popen([ND, "--", "python3", "-c", job], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    supervisor, command = tree(run.pid)
    if killed:
        os.kill(supervisor, signal.SIGKILL)
        until("the command is the front's", lambda: command in kids(run.pid))
    run.stdin.write(b"x")
    print(run.wait(30), run.stdout.read().split() == [b"%d" % n for n in range(50)])
"#;
    let none: [&str; 0] = [];
    quiet()
        .python(&format!("{PROCESSES}{script}"), none)
        .run()
        .assert_code(0)
        .assert_stdout("6 True\n6 True\n");
}

/// Statement 2. Catches a front that waits for a reader who never reads, though the command was killed
/// (without us `terminate(); wait()` returns at once), and output that is lost when it doesn't wait.
#[test]
fn killed_while_nobody_reads() {
    let script = r#"
import glob, pty, socket, tty
# Each line is another, so that none is taken for the next.
count = "n=0; while :; do n=$((n+1)); echo $n; done"
for kind in ("pipe", "socket", "pty"):
    if kind == "socket":
        ours, theirs = (end.detach() for end in socket.socketpair())
    else:
        ours, theirs = os.pipe() if kind == "pipe" else pty.openpty()
    if kind == "pty":
        tty.setraw(theirs)
    run = subprocess.Popen([ND, "--", "sh", "-c", count], stdout=theirs)
    os.close(theirs)
    supervisor, command = tree(run.pid)
    def blocked():
        return any(where in open(f"/proc/{command}/wchan").read() for where in ("pipe_write", "wait_woken"))
    until("it waits for its reader", blocked)
    run.terminate()
    print(kind, run.wait(20), end=" ")
    got = read_to_end(ours)
    (name,) = glob.glob(".local/state/notify-done/runs/*/log")
    log = open(name, "rb").read()
    os.rename(name, kind)
    print(len(got) > 0 and (got.startswith(log) if kind == "pty" else got == log))
"#;
    let none: [&str; 0] = [];
    let told = "pipe -15 True\nsocket -15 True\npty -15 True\n";
    quiet().python(&format!("{PROCESSES}{script}"), none).run().assert_code(0).assert_stdout(told);
}
