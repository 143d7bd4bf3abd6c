//! `--pty full`: programs that draw the whole screen, and the terminal as it was afterwards.

use std::fs;

use super::{drive, log, quiet};
use crate::support::env::TestEnv;
use crate::support::wait::wait_until;

/// Catches a pseudo-terminal that is only half of one: no job control on it, another on /dev/tty.
///
/// Statements 65, 66, 75.
#[test]
fn the_command_has_a_whole_terminal() {
    drive(
        &quiet(),
        r#"
probe = '''
import os
said = [[os.isatty(n) for n in range(3)], os.tcgetpgrp(1) == os.getpgrp(), os.get_terminal_size(1)]
tty = os.open("/dev/tty", os.O_RDWR)
said += [os.tcgetpgrp(tty) == os.getpgrp(), os.get_terminal_size(tty)]
open("seen", "w").write(repr(said))
os.write(tty, b"shown\\n")
'''
for on in (0, 1, 2), (0, 1), (1, 2), (1,):
    seen = []
    for wrapper in BARE, FULL:
        assert run(wrapper + ["python3", "-c", probe], on=on, size=(33, 101)) == (0, "shown\r\n")
        seen.append(open("seen").read())
    assert seen[0] == seen[1] and "columns=101, lines=33" in seen[0], (on, seen)
"#,
    );
}

/// Catches keys that don't arrive one by one, and output that is changed on its way.
#[test]
fn a_curses_program_draws_and_reads_keys() {
    drive(
        &quiet(),
        r#"
program = '''
import curses, sys
def main(screen):
    screen.addstr(3, 5, "draws a picture")
    screen.refresh()
    keys = []
    while not keys or keys[-1] != "q":
        keys.append(screen.getkey())
        screen.addstr(4, 5, "keys: " + " ".join(keys) + ".")
        screen.refresh()
    return keys
print(curses.wrapper(main))
'''
shown = []
for wrapper in BARE, FULL:
    terminal = Terminal(wrapper + ["python3", "-c", program], env={"TERM": "xterm"})
    terminal.expect("draws a picture")
    for key, seen in ("a", "a."), ("\x1bOA", "KEY_UP."), ("\x04", "\x04."):
        terminal.type(key)
        terminal.expect(".")
    terminal.type("q")
    status, _ = terminal.wait()
    assert status == 0, status
    terminal.assert_modes()
    shown.append(terminal.shown)
assert b"['a', 'KEY_UP', '\\x04', 'q']" in shown[0], shown[0]
assert shown[0] == shown[1], shown
"#,
    );
}

/// Catches a Ctrl-C that ends us and leaves the command, or that comes twice.
///
/// Statement 15.
#[test]
fn keys_are_signals_once() {
    drive(
        &quiet(),
        r#"
terminal = Terminal(FULL + ["python3", "-c", LISTENER])
terminal.expect("ready")
terminal.type_signals()
os.kill(terminal.pid, signal.SIGINT)
terminal.expect("got 2")
terminal.type("\r")
assert os.waitstatus_to_exitcode(terminal.wait()[0]) == 9
assert terminal.shown.count(b"got ") == 4, terminal.shown
terminal = Terminal(FULL + ["sh", "-c", "echo ready; read x"])
terminal.expect("ready")
terminal.type("\x03")
status, _ = terminal.wait()
assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGINT, status
terminal.assert_modes()
"#,
    );
}

/// Catches raw mode that stays behind: no echo, a prompt that doesn't take Enter.
///
/// Statements 71, 72: `script` leaves it when it is killed.
#[test]
fn the_terminals_modes_are_as_before_after_every_end() {
    drive(
        &quiet(),
        r#"
for script, status in ("exit 3", 3 << 8), ("kill -TERM $$", 15), ("kill -KILL $$", 9), ("stty -echo raw", 0):
    terminal = Terminal(FULL + ["sh", "-c", script])
    assert terminal.wait()[0] == status, (script, status)
    terminal.assert_modes()
terminal = Terminal(FULL + ["no-such-command"])
assert terminal.wait()[0] == 127 << 8
terminal.assert_modes()

JOB = FULL + ["sh", "-c", "echo $PPID $$.; read x; echo got $x; exit 9"]
def start():
    terminal = Terminal(JOB)
    monitor, command = map(int, terminal.expect(".").split())
    assert termios.tcgetattr(terminal.tty) != terminal.modes
    return terminal, monitor, command

terminal, monitor, command = start()
os.kill(terminal.pid, signal.SIGKILL)
terminal.wait()
wait_until("the modes are restored", lambda: termios.tcgetattr(terminal.tty) == terminal.modes)
assert state(command) == "S", "the command is harmed"
os.kill(command, signal.SIGKILL)

# The supervisor, or the monitor: the run goes on, keys too, and its status is the true one.
for which in "supervisor", "monitor":
    terminal, monitor, command = start()
    os.kill(parent(monitor) if which == "supervisor" else monitor, signal.SIGKILL)
    wait_until("it is gone", lambda: parent(command if which == "monitor" else monitor) in (terminal.pid, parent(monitor)) if which == "supervisor" else parent(command) != monitor)
    terminal.type("on\r")
    status, shown = terminal.wait()
    assert os.waitstatus_to_exitcode(status) == 9 and "got on" in shown, (which, status, shown)
    terminal.assert_modes()
"#,
    );
}

/// Catches a command that draws for the window of before.
///
/// Statement 67.
#[test]
fn the_size_of_the_window_is_passed_on() {
    drive(
        &quiet(),
        r#"
job = WAITING + r'''
import os, signal, sys
def tell(*_):
    columns, lines = os.get_terminal_size(1)
    os.write(1, b"%d x %d\n" % (lines, columns))
signal.signal(signal.SIGWINCH, tell)
signal.signal(signal.SIGCONT, tell)
tell()
wait_for(0)
sys.stdin.readline()
'''
open("job.py", "w").write(job)
shell = Shell()
shell.type(" ".join(FULL) + " python3 job.py\n")
shell.expect("24 x 80")
for size in (50, 120), (20, 60):
    shell.resize(*size)
    shell.expect(f"{size[0]} x {size[1]}")
shell.type("\x1a")
shell.expect("Stopped")
shell.expect("@> ")
shell.resize(30, 90)
shell.type("fg\n")
shell.expect("30 x 90")
shell.type("\r")
shell.expect("@> ")
# Each change is told once: one WINCH, or for the last a WINCH and a CONT.
assert shell.shown.count(b"50 x 120") == shell.shown.count(b"20 x 60") == 1, shell.shown
shell.close()
"#,
    );
}

/// Catches a prompt in the middle of what the program draws when it leaves the screen.
///
/// Statement 71.
#[test]
fn a_stop_comes_after_the_last_output_with_the_modes_of_before() {
    drive(
        &quiet(),
        r#"
job = WAITING + '''
import os, signal, sys
def stop(*_):
    os.write(1, b"x" * 5000 + b"leaves the screen")
    os.kill(os.getpid(), signal.SIGSTOP)
signal.signal(signal.SIGTSTP, stop)
os.write(1, b"ready")
wait_for(0)
sys.stdin.readline()
'''
open("job.py", "w").write(job)
shell = Shell()
for _ in range(5):
    before = termios.tcgetattr(shell.tty)
    shell.line("stty -a >modes")
    shell.type(" ".join(FULL) + " python3 job.py\n")
    shell.expect("ready")
    shell.type("\x1a")
    until = shell.expect("Stopped")
    assert "leaves the screen" in until, until
    shell.expect("@> ")
    shell.line("stty -a >after; cmp modes after && echo s''ame")
    assert b"same\r\n" in shell.shown, shell.shown
    shell.type("fg\n")
    shell.expect("job.py\r\n")
    shell.type("\r")
    shell.expect("@> ")
shell.close()
"#,
    );
}

/// Catches a job that takes the terminal from the shell, and one that `fg` can't give it.
///
/// Statement 36.
#[test]
fn started_in_the_background_it_waits_for_fg() {
    drive(
        &quiet(),
        r#"
shell = Shell()
modes = "stty -a >modes"
shell.line(modes)
shell.line("mkfifo gate")
ours = " ".join(FULL)
# It never asks: it runs and ends in the background.
shell.type(f"{ours} sh -c 'echo be''gun; read x <gate; exit 9' &\n")
shell.expect("begun")
shell.line("stty -a >after; cmp modes after && echo s''ame")
assert b"same\r\n" in shell.shown, shell.shown
shell.line("echo >gate; wait %1; echo code=$?.")
assert b"code=9." in shell.shown, shell.shown
# It asks later, when it is in the foreground: bash's `fg` sends a job that runs no signal.
shell.type(f"{ours} sh -c 'echo wa''its; read x <gate; echo as''ks; read x; echo got $x.; exit 7' &\n")
shell.expect("waits")
shell.type("\nfg\n")
shell.expect("exit 7'\r\n")
# bash names the job before it gives it the terminal.
wait_until("it has the terminal", lambda: os.tcgetpgrp(shell.main) != shell.pid)
open("gate", "w").write("\n")
shell.expect("asks")
shell.type("this\r")
shell.expect("got this.")
shell.expect("@> ")
assert "code=7." in shell.line("echo code=$?.")
shell.close()
"#,
    );
}

/// Catches a leader that ends with the command and takes its terminal along: what the command has
/// left behind would be hung up on.
#[test]
fn what_the_command_leaves_behind_keeps_the_terminal_and_its_cpu_is_counted() {
    let env = quiet();
    drive(
        &env,
        r#"
os.mkfifo("gate")
gate = os.open("gate", os.O_RDWR)
shell = Shell()
shell.line("TIMEFORMAT='used %U.'")
spin = "python3 -c 'sum(range(10000000))'"
shell.type("time " + " ".join(FULL) + f" sh -c \"{spin}; (read x; ec''ho late) <gate & exit 9\"\n")
shell.expect("used ")
assert float(shell.expect(".").replace("", "") + "." + shell.expect("\r\n").rstrip(".")) > 0.05
shell.expect("@> ")
os.write(gate, b"\n")
shell.expect("late")
# Nor is one hung up on that has nothing of the terminal open.
left = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
open("left", "w").write(f"{os.getpid()} {os.getsid(0)}.")
os.read(0, 1)
"""
open("left.py", "w").write(left)
shell.line(" ".join(FULL) + " sh -c 'python3 left.py <gate >out 2>&1 & while ! test -s left; do :; done'")
process, leader = open("left").read().rstrip(".").split()
wait_until("the session ends", lambda: not os.path.exists(f"/proc/{leader}"))
(pending,) = [line for line in open(f"/proc/{process}/status") if line.startswith("ShdPnd:")]
assert int(pending.split()[1], 16) == 0, pending
os.write(gate, b"x")
shell.close()
"#,
    );
}

/// Catches a command that outlives its window unawares, and a notice that is lost with it.
///
/// Statement 37.
#[test]
fn a_closed_window_hangs_up_on_the_command() {
    let env = TestEnv::new();
    let _gate = env.gate("gate");
    drive(
        &env,
        r#"
job = WAITING + '''
import os, signal, sys
gate = os.open("gate", os.O_RDWR)
def hung_up(*_):
    open("hung", "a").write("up ")
    sys.exit(4)
signal.signal(signal.SIGHUP, hung_up)
print("ready", flush=True)
wait_for(gate)
'''
open("job.py", "w").write(job)
terminal = Terminal(["sh", "-c", f"{OURS[1]} python3 job.py; exit 0"])
terminal.expect("ready")
os.close(terminal.main)
os.close(terminal.tty)
os.waitpid(terminal.pid, 0)
wait_until("the command was told", lambda: os.path.exists("hung"))
"#,
    );
    let held = env.state().join("outbox/held");
    wait_until("the notice is kept", || fs::read_dir(&held).is_ok_and(|found| found.count() == 1));
    assert!(log(&env).starts_with(b"ready\r\n"));
}

/// Catches a summary that runs down like stairs, and raw mode that stays because a mail is made.
///
/// Statements 71, 74.
#[test]
fn what_is_said_at_the_end_is_said_on_the_terminal_of_before() {
    drive(
        &TestEnv::new(),
        r#"
terminal = Terminal(FULL + ["sh", "-c", "echo drawn; exit 3"])
status, shown = terminal.wait()
assert os.waitstatus_to_exitcode(status) == 3
assert "exit code 3" in shown and "\n" not in shown.replace("\r\n", ""), shown
terminal.assert_modes()
"#,
    );
}

/// Catches a full-screen mode where there is no screen, and a change of mind that nobody is told.
#[test]
fn without_a_terminal_to_draw_on_it_is_as_auto() {
    drive(
        &quiet(),
        r#"
terminal = Terminal(FULL + ["sh", "-c", "test -t 0 && ! test -t 1 && test -t 2"], on=(0, 2))
status, shown = terminal.wait()
assert status == 0, (status, shown)
assert shown.count("--pty full") == 1 and "standard output" in shown, shown
"#,
    );
}
