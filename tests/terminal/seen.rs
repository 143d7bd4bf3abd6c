//! What the command finds on a terminal, what is shown, and how the terminal is left.

use std::fs;

use super::{drive, log, quiet};
use crate::support::env::TestEnv;
use crate::support::wait::wait_until;

/// Statement 65: `chronic` and `runitor` give pipes.
#[test]
fn what_is_a_terminal_is_one_to_the_command() {
    drive(
        &quiet(),
        r#"
probe = ["python3", "-c", "import os; open('seen', 'w').write(repr([os.isatty(n) for n in range(3)]))"]
for which in range(8):
    on = [fd for fd in range(3) if which & 1 << fd]
    seen = []
    for wrapper in BARE, WRAPPED:
        status, _ = run(wrapper + probe, on=on)
        assert status == 0, (on, wrapper, status)
        seen.append(open("seen").read())
    assert seen == [repr([fd in on for fd in range(3)])] * 2, (on, seen)
"#,
    );
}

#[test]
fn pty_off_gives_a_pipe_and_leaves_stdin() {
    drive(
        &quiet(),
        r#"
probe = "import os; open('seen', 'w').write(repr([os.isatty(n) for n in range(3)]))"
assert run([ND, "--pty", "off", "--", "python3", "-c", probe])[0] == 0
assert open("seen").read() == "[True, False, False]", open("seen").read()
"#,
    );
}

/// Statements 66, 67: `unbuffer` leaves the pseudo-terminal at 80 by 24 for good.
/// Catches a command that draws for another window than there is.
#[test]
fn the_size_of_the_window_is_passed_on() {
    drive(
        &quiet(),
        r#"
probe = WAITING + r'''
import os, signal, sys
def tell(*_):
    columns, lines = os.get_terminal_size(1)
    os.write(1, b"%d x %d\n" % (lines, columns))
signal.signal(signal.SIGWINCH, tell)
tell()
wait_for(0)
sys.stdin.readline()
'''
terminal = Terminal(WRAPPED + ["python3", "-c", probe], size=(33, 101))
terminal.expect("33 x 101")
terminal.resize(50, 120)
terminal.expect("50 x 120")
terminal.resize(20, 60)
terminal.expect("20 x 60")
terminal.type("\n")
assert terminal.wait()[0] == 0
"#,
    );
}

/// Catches a command that, back in the foreground, still draws for the window of before.
///
/// Statement 67.
#[test]
fn a_window_that_changed_while_the_command_was_stopped_is_found() {
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
for wrapper in "", f"{ND} --":
    shell = Shell()
    shell.type(f"{wrapper} python3 job.py\n")
    shell.expect("24 x 80")
    shell.type("\x1a")
    shell.expect("Stopped")
    shell.expect("@> ")
    shell.resize(30, 90)
    shell.type("fg\n")
    shell.expect("30 x 90")
    shell.line("")
    shell.close()
"#,
    );
}

/// Statement 15.
/// Catches a Ctrl-C that ends us before the command, or that reaches it twice.
#[test]
fn ctrl_c_is_the_commands_and_comes_once() {
    drive(
        &quiet(),
        r#"
terminal = Terminal(WRAPPED + ["python3", "-c", LISTENER])
terminal.expect("ready")
terminal.type_signals()
terminal.type("\n")
status, _ = terminal.wait()
assert os.waitstatus_to_exitcode(status) == 9, status
assert terminal.shown.count(b"got ") == 3, terminal.shown
terminal.assert_modes()

terminal = Terminal(WRAPPED + ["sh", "-c", "echo ready; read x"])
terminal.expect("ready")
terminal.type("\x03")
status, _ = terminal.wait()
assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGINT, status
"#,
    );
}

/// Statements 71, 72: `script`, killed by SIGKILL, leaves the terminal raw.
/// Catches raw mode, echo or a size that stays behind, whatever ends us.
#[test]
fn the_terminals_modes_are_never_touched() {
    drive(
        &quiet(),
        r#"
for script in "exit 3", "kill -TERM $$", "kill -KILL $$":
    terminal = Terminal(WRAPPED + ["sh", "-c", script])
    terminal.wait()
    terminal.assert_modes()
terminal = Terminal(WRAPPED + ["sh", "-c", "echo ready; read x; exit 3"])
terminal.expect("ready")
terminal.assert_modes()
os.kill(terminal.pid, signal.SIGKILL)
terminal.wait()
terminal.assert_modes()
# What the command itself sets is its own, and stays as without us.
modes = []
for wrapper in BARE, WRAPPED:
    terminal = Terminal(wrapper + ["stty", "-echo"])
    terminal.wait()
    modes.append(termios.tcgetattr(terminal.tty))
assert modes[0] == modes[1] != terminal.modes, modes
"#,
    );
}

/// Statement 74: `script -c` keeps `\r\n` in its log.
/// Catches line ends that are made twice (`\r\r\n`), once too few (a stair), or get into the log.
#[test]
fn lines_end_as_without_us_and_the_log_is_as_written() {
    let env = quiet();
    drive(
        &env,
        r#"
script = ["sh", "-c", r"printf 'one\ntwo\n50%%\r100%%\n\ttab\n'; echo err >&2; printf end"]
bare, wrapped = run(script), run(WRAPPED + script)
assert bare == wrapped == (0, "one\r\ntwo\r\n50%\r100%\r\n\ttab\r\nerr\r\nend"), (bare, wrapped)
"#,
    );
    assert_eq!(log(&env), b"one\ntwo\n50%\r100%\n\ttab\nerr\nend");
}

/// Statement 69.
/// Catches a pseudo-terminal that is closed before the kernel has handed over what was written.
#[test]
fn what_is_written_just_before_the_end_arrives() {
    let env = quiet();
    drive(
        &env,
        r#"
job = "import os; [os.write(1, b'%09d\\n' % n) for n in range(10000)]; os._exit(5)"
status, shown = run(WRAPPED + ["python3", "-c", job])
assert os.waitstatus_to_exitcode(status) == 5
assert shown == "".join(f"{n:09}\r\n" for n in range(10000)), (len(shown), shown[-100:])
"#,
    );
    assert_eq!(log(&env).len(), 100_000);
}

/// Catches an end of the pseudo-terminal (EIO on Linux) that is taken for a failure, or for the end
/// of the command.
///
/// Statement 68: `unbuffer` ends here, with the command still running.
#[test]
fn a_command_that_closes_its_terminal_goes_on() {
    drive(
        &quiet(),
        r#"
script = "echo before; exec >&- 2>&-; read x; echo $x >copy; exit 5"
terminal = Terminal(WRAPPED + ["sh", "-c", script])
terminal.expect("before\r\n")
terminal.type("typed\n")
status, _ = terminal.wait()
assert os.waitstatus_to_exitcode(status) == 5, status
assert open("copy").read() == "typed\n"
"#,
    );
}

/// Catches an end that is told while the terminal still holds back what was written.
///
/// Statement 70.
#[test]
fn what_a_paused_terminal_holds_back_comes_before_the_end() {
    let env = quiet();
    drive(
        &env,
        r#"
job = r'''
import os
open("pid", "w").write(str(os.getpid()))
for n in range(4000):
    os.write(1, b"%09d\n" % n)
os._exit(5)
'''
# Nobody reads from the terminal yet: it takes some KB, the pseudo-terminal some more, so the command
# waits within its writes, then a part is read until it has ended.
terminal = Terminal(WRAPPED + ["python3", "-c", job])
command = None
def gone():
    global command
    command = command or (os.path.exists("pid") and open("pid").read())
    return command and not os.path.exists(f"/proc/{command}")
def read_some():
    if not select.select([terminal.main], [], [], 0)[0]:
        return gone()
    terminal.shown += os.read(terminal.main, 100)
    return gone()
wait_until("the command ends", read_some)
assert state(terminal.pid) != "Z", "the front has ended before all was shown"
assert b"000003999" not in terminal.shown
before = terminal.shown.decode()
status, rest = terminal.wait()
assert os.waitstatus_to_exitcode(status) == 5, status
assert before + rest == "".join(f"{n:09}\r\n" for n in range(4000)), (len(before), len(rest))
"#,
    );
    assert_eq!(log(&env).len(), 40_000);
}

/// Catches output of a window that isn't the controlling terminal (`>/dev/pts/7`) which is lost, drawn
/// for the wrong size, or sent to the wrong one.
///
/// Statement 73.
#[test]
fn a_terminal_that_is_not_the_controlling_one_is_passed_through() {
    drive(
        &quiet(),
        r#"
probe = "import os; print(os.isatty(1), os.get_terminal_size(1)); print('there'); print('here', file=open('/dev/tty', 'w'))"
for wrapper in "", f"{ND} -- ":
    other, other_tty = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 11, 44, 0, 0))
    status, shown = run(["sh", "-c", f"{wrapper}python3 -c \"{probe}\" >{os.ttyname(other_tty)}"])
    assert (status, shown) == (0, "here\r\n"), (status, shown)
    got = os.read(other, 1000).decode()
    assert got == "True os.terminal_size(columns=44, lines=11)\r\nthere\r\n", got
"#,
    );
}

/// Statement 75: what runs the command in a session of its own (`setsid`) takes the terminal away.
/// Catches a controlling terminal that isn't the real one: `ssh`, `sudo`, `git` ask there.
#[test]
fn a_password_is_asked_on_the_real_terminal_and_not_kept() {
    let env = quiet();
    drive(
        &env,
        r#"
job = "import getpass; word = getpass.getpass('Word: '); print('it has', len(word), 'letters')"
for redirection in "", "</dev/null", "| cat":
    command = f"{ND} -- python3 -c \"{job}\" {redirection}"
    terminal = Terminal(["sh", "-c", command])
    terminal.expect("Word: ")
    terminal.type("xyzzy-plugh\n")
    terminal.expect("it has 11 letters")
    assert terminal.wait()[0] == 0
    assert b"xyzzy" not in terminal.shown, terminal.shown
    terminal.assert_modes()
"#,
    );
    for run in fs::read_dir(env.state().join("runs")).unwrap() {
        let kept = fs::read(run.unwrap().path().join("log")).unwrap();
        assert!(!kept.windows(5).any(|part| part == b"xyzzy"));
        assert!(kept.ends_with(b"it has 11 letters\n"), "{}", String::from_utf8_lossy(&kept));
    }
}

#[test]
fn the_summary_comes_after_the_commands_output() {
    drive(
        &TestEnv::new(),
        r#"
status, shown = run(WRAPPED + ["sh", "-c", "echo first; echo last >&2; exit 2"])
assert os.waitstatus_to_exitcode(status) == 2
assert shown.startswith("first\r\nlast\r\n"), shown
for part in "exit code 2", "notify.toml", "[accounts.mine]", "notify-done preview":
    assert shown.count(part) >= 1, (part, shown)
assert "\r\r\n" not in shown, shown
# A typo is said at once, and is no news for the mailbox.
status, shown = run(WRAPPED + ["no-such-command"])
assert os.waitstatus_to_exitcode(status) == 127
assert "can't run `no-such-command`" in shown and "exit code" not in shown, shown
"#,
    );
}

/// Statement 37: the wrappers that die of the hangup say nothing of the end (`noti`, `knockknock`).
/// Catches a notice that dies with the terminal: closing the window mustn't lose it.
#[test]
fn a_closed_window_hangs_up_on_the_command_and_the_notice_is_kept() {
    let env = TestEnv::new();
    // It doesn't read from the terminal, which would end by itself.
    let _gate = env.gate("gate");
    drive(
        &env,
        r#"
terminal = Terminal(["sh", "-c", f"{ND} --title closed -- sh -c 'echo ready; read x <gate'; exit 0"])
terminal.expect("ready")
os.close(terminal.main)
os.close(terminal.tty)
os.waitpid(terminal.pid, 0)
"#,
    );
    let held = env.state().join("outbox/held");
    wait_until("the notice is kept", || fs::read_dir(&held).is_ok_and(|found| found.count() == 1));
    let listed = env.notify_done(["outbox", "list"]).run();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("closed") && listed.contains("SIGHUP"), "{listed}");
    assert_eq!(log(&env), b"ready\n");
}

/// Statement 15. Catches a Ctrl-C that is lost because the command isn't there yet.
#[test]
fn an_early_ctrl_c_ends_the_command() {
    drive(
        &quiet(),
        r#"
import random
random.seed(seed := int(time.time()))
for n in range(60):
    terminal = Terminal(["sh", "-c", f"trap - INT; printf begun; exec {ND} -- sleep 60"])
    terminal.expect("begun")
    end = time.monotonic() + random.random() * 0.006
    while time.monotonic() < end: pass
    terminal.type("\x03")
    status, _ = terminal.wait()
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGINT, (n, seed, status)
"#,
    );
}

/// Statement 37. Catches a hangup that is kept from the command: where we lead the session (`ssh -t host
/// notify-done …`, `xterm -e`), the kernel tells us alone.
#[test]
fn the_hangup_of_a_session_that_we_lead_reaches_the_command() {
    let env = quiet();
    let _gate = env.gate("gate");
    drive(
        &env,
        r#"
terminal = Terminal(WRAPPED + ["sh", "-c", "trap 'echo got it >hangup; exit' HUP; echo ready; read x <gate"])
terminal.expect("ready")
os.close(terminal.main)
os.close(terminal.tty)
wait_until("the command is told", lambda: os.path.exists("hangup") and open("hangup").read() == "got it\n")
os.waitpid(terminal.pid, 0)
"#,
    );
}
