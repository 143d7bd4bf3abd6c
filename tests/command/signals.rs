//! Signals sent to us reach the command, once, as if it had been asked itself.

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use crate::quiet;
use crate::support::env::{Running, TestEnv};
use crate::support::wait::wait_until;

/// Says `ready`, then `got NAME` for each signal named in its arguments, until its gate opens.
const LISTENER: &str = "import os, signal, sys\n\
for name in sys.argv[2:]:\n\
\x20   signal.signal(getattr(signal, name), lambda n, _: os.write(1, b'got %s\\n' % signal.Signals(n).name.encode()))\n\
gate = os.open(sys.argv[1], os.O_RDONLY)\n\
os.write(1, b'ready\\n')\n\
os.read(gate, 3)\n\
os.write(1, b'end\\n')\n";

fn listen(env: &TestEnv, before: &str, names: &str) -> Running {
    env.write("listener.py", LISTENER, 0o644);
    let run = env.shell(&format!("{before} exec $ND -- python3 listener.py gate {names}")).start();
    run.wait_for_stdout(b"ready\n");
    run
}

/// Statements 16, 18. Catches a signal that is lost, passed on twice, or that ends us (`nohup`, `script`).
#[test]
fn what_is_sent_to_us_reaches_the_command_once() {
    use Signal::*;
    let env = quiet();
    let mut gate = env.gate("gate");
    let signals = [SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGINT, SIGQUIT, SIGALRM, SIGWINCH];
    let names: Vec<&str> = signals.iter().map(|signal| signal.as_str()).collect();
    let run = listen(&env, "", &names.join(" "));
    let mut expected = "ready\n".to_owned();
    for signal in signals {
        run.signal(signal);
        // The next is sent when this one has arrived: a double would come before it.
        run.wait_for_stdout(format!("got {}\n", signal.as_str()).as_bytes());
        expected.push_str(&format!("got {}\n", signal.as_str()));
    }
    gate.open();
    run.finish().assert_code(0).assert_stdout(expected + "end\n");
}

/// Statements 16, 18. Catches a double that the test above may not see: of a standard signal that is
/// still pending there is only one, real-time ones queue. And a real-time signal that is forgotten.
#[test]
fn each_signal_that_queues_is_passed_on_once() {
    let env = quiet();
    let script = "import os, signal\n\
        last = signal.SIGRTMAX\n\
        every = set(range(signal.SIGRTMIN, last + 1))\n\
        signal.pthread_sigmask(signal.SIG_BLOCK, every)\n\
        os.write(1, b'ready\\n')\n\
        while (got := signal.sigwaitinfo(every).si_signo) != last: os.write(1, b'%d\\n' % got)\n";
    env.write("waiter.py", script, 0o644);
    let run = env.notify_done(["--", "python3", "waiter.py"]).start();
    run.wait_for_stdout(b"ready\n");
    let mut expected = "ready\n".to_owned();
    // nix's `Signal` has no real-time ones. The lowest number is taken first: the last comes last.
    for number in 34..64 {
        expected.push_str(&format!("{number}\n{number}\n"));
    }
    let mut kill = std::process::Command::new("python3");
    let send = "import os, sys\nfor n in range(34, 65):\n  for _ in range(2): os.kill(int(sys.argv[1]), n)";
    kill.args(["-c", send, &run.pid().to_string()]);
    env.command(kill).run().assert_code(0);
    run.finish().assert_code(0).assert_stdout(expected);
}

/// Catches the command's default action being ours: we must die of it after the command only.
#[test]
fn a_signal_that_kills_the_command_kills_us() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1] {
        let env = quiet();
        let _gate = env.gate("gate");
        let run = listen(&env, "", "");
        run.signal(signal);
        run.finish().assert_signal(signal).assert_stdout("ready\n");
    }
}

/// Statement 19. Catches `nohup notify-done …` that dies, or whose command dies, when the terminal
/// goes; and a job in a script's background (INT and QUIT are ignored there) that a Ctrl-C ends.
#[test]
fn what_was_ignored_stays_ignored() {
    let env = quiet();
    let mut gate = env.gate("gate");
    let run = listen(&env, "trap '' HUP INT QUIT USR1 USR2;", "SIGUSR1 SIGALRM");
    for ignored in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGUSR2] {
        run.signal(ignored);
        run.signal_group(ignored);
    }
    // What the command doesn't ignore any more was still ours to ignore. The last is the highest
    // number: with it the others would have come.
    run.signal(Signal::SIGUSR1);
    run.signal(Signal::SIGALRM);
    run.wait_for_stdout(b"got SIGALRM\n");
    gate.open();
    run.finish().assert_code(0).assert_stdout("ready\ngot SIGALRM\nend\n");
}

/// Statement 20. Catches an echo: what the command sends to its parent must not come back to it.
#[test]
fn what_the_command_sends_us_is_not_sent_back() {
    let env = quiet();
    let mut gate = env.gate("gate");
    let script = "import os, signal\n\
        signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b'echo\\n'))\n\
        signal.signal(signal.SIGUSR2, lambda *_: os.write(1, b'from outside\\n'))\n\
        os.kill(os.getpgrp(), signal.SIGUSR1)\n\
        os.write(1, b'ready\\n')\n\
        os.read(os.open('gate', os.O_RDONLY), 3)\n";
    env.write("sender.py", script, 0o644);
    let run = env.notify_done(["--", "python3", "sender.py"]).start();
    run.wait_for_stdout(b"ready\n");
    run.signal(Signal::SIGUSR2);
    run.wait_for_stdout(b"from outside\n");
    gate.open();
    run.finish().assert_code(0).assert_stdout("ready\nfrom outside\n");
}

/// Statements 18, 32. Catches a front that doesn't stop (`fg` would find no job) or never goes on.
#[test]
fn stopping_and_going_on_are_the_commands() {
    let env = quiet();
    let mut gate = env.gate("gate");
    let run = listen(&env, "", "SIGCONT");
    let mut expected = "ready\n".to_owned();
    for _ in 0..2 {
        run.signal(Signal::SIGTSTP);
        let mut seen = None;
        wait_until("our process stops", || {
            seen = waitpid(run.pid(), Some(WaitPidFlag::WUNTRACED | WaitPidFlag::WNOHANG)).ok();
            seen != Some(WaitStatus::StillAlive)
        });
        assert_eq!(seen, Some(WaitStatus::Stopped(run.pid(), Signal::SIGSTOP)));
        run.signal(Signal::SIGCONT);
        expected.push_str("got SIGCONT\n");
        // A TSTP sent before this would take the CONT back: signal(7), "flushed".
        run.wait_for_stdout(expected.as_bytes());
    }
    gate.open();
    run.finish().assert_code(0).assert_stdout(expected + "end\n");
}

/// Statement 26. Catches a SIGCHLD that is taken for the command's end, or passed on.
#[test]
fn a_false_sigchld_changes_nothing() {
    let env = quiet();
    let mut gate = env.gate("gate");
    let run = listen(&env, "", "SIGCHLD SIGUSR1");
    for _ in 0..100 {
        run.signal(Signal::SIGCHLD);
    }
    run.signal(Signal::SIGUSR1);
    run.wait_for_stdout(b"got SIGUSR1\n");
    gate.open();
    run.finish().assert_code(0).assert_stdout("ready\ngot SIGUSR1\nend\n");
}

/// Statement 22. Catches a signal by number after the command was waited for: the number may be a
/// stranger's by then. `timeout` and `nohup`-like wrappers in shell use the number.
#[test]
fn nothing_is_signalled_by_a_number_that_may_be_anothers() {
    let env = quiet();
    // Signals rain on us from before the command's end until our own.
    let script = r#"
import os, re, signal, subprocess, sys, time
ND = os.environ["ND"]
calls = "kill,tkill,tgkill,pidfd_open,pidfd_send_signal,wait4"
run = subprocess.Popen(["strace", "-f", "-o", "trace", "-e", "trace=" + calls, "-e", "signal=none", ND, "--",
                        "sh", "-c", "trap 'echo got' USR1; echo ready; until read x; do :; done; exit 3"],
                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
assert run.stdout.readline() == b"ready\n"
kids = lambda pid: [int(kid) for kid in open(f"/proc/{pid}/task/{pid}/children").read().split()]
front = kids(run.pid)[0]
command = kids(kids(front)[0])[0]
os.kill(front, signal.SIGUSR1)
assert run.stdout.readline() == b"got\n"
waited = time.monotonic() + 30
run.stdin.write(b"\n")
while True:
    try: os.kill(front, signal.SIGUSR1)
    except ProcessLookupError: break
    if run.poll() is not None: break
    assert time.monotonic() < waited
assert run.wait(30) == 3, run.returncode
trace = open("trace").read()
assert re.search(rf"pidfd_open\({command}, 0", trace) and "pidfd_send_signal(" in trace, trace
assert re.search(rf"wait4\({command}, .*= {command}|wait4 resumed.*= {command}", trace), trace
by_number = re.findall(rf"\b(?:kill|tkill)\({command},.*|tgkill\(\d+, {command}.*", trace)
assert not by_number, by_number
"#;
    let none: [&str; 0] = [];
    env.python(script, none).run().assert_code(0);
}

/// Statement 18. Catches an alarm that was set before we were exec'd (`perl -e 'alarm 9; exec …'`, a
/// common way to bound a command's time): the timer is ours then, and must still end the command.
#[test]
fn an_alarm_of_the_callers_is_the_commands() {
    let env = quiet();
    let script = "import os, signal\n\
        signal.setitimer(signal.ITIMER_REAL, 0.3)\n\
        os.execv(os.environ['ND'], ['nd', '--', 'sleep', '60'])";
    env.python::<&str>(script, []).run().assert_signal(Signal::SIGALRM);
}
