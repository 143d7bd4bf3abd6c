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

/// Catches a signal that is lost, passed on twice, or that ends us.
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

/// Catches a double that the test above may not see: of a standard signal that is still pending
/// there is only one, real-time ones queue.
#[test]
fn a_signal_that_queues_is_passed_on_once() {
    let env = quiet();
    let script = "import os, signal\n\
        queued, last = signal.SIGRTMIN, signal.SIGRTMAX\n\
        signal.pthread_sigmask(signal.SIG_BLOCK, {queued, last})\n\
        os.write(1, b'ready\\n')\n\
        while (got := signal.sigwaitinfo({queued, last}).si_signo) != last: os.write(1, b'got one\\n')\n";
    env.write("waiter.py", script, 0o644);
    let run = env.notify_done(["--", "python3", "waiter.py"]).start();
    run.wait_for_stdout(b"ready\n");
    // nix's `Signal` has no real-time ones. The lowest number is taken first: the last comes last.
    for number in [34, 34, 64] {
        let mut kill = std::process::Command::new("kill");
        kill.args([format!("-{number}"), run.pid().to_string()]);
        env.command(kill).run().assert_code(0);
    }
    run.finish().assert_code(0).assert_stdout("ready\ngot one\ngot one\n");
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

/// Catches `nohup notify-done …` that dies, or whose command dies, when the terminal goes.
#[test]
fn an_ignored_hangup_stays_ignored() {
    let env = quiet();
    let mut gate = env.gate("gate");
    let run = listen(&env, "trap '' HUP;", "SIGUSR1");
    run.signal(Signal::SIGHUP);
    run.signal_group(Signal::SIGHUP);
    run.signal(Signal::SIGUSR1);
    run.wait_for_stdout(b"got SIGUSR1\n");
    gate.open();
    run.finish().assert_code(0).assert_stdout("ready\ngot SIGUSR1\nend\n");
}

/// Catches an echo: what the command sends to its parent must not come back to it.
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

/// Catches a front that doesn't stop (`fg` would find no job) or never goes on.
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
