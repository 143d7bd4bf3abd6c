//! Job control: a real bash stops and goes on with the command as without us.

use super::{drive, quiet};

/// Scripts that the tests below share: each says its process id, and ends with 9 when it is let go
/// through the pipe `gate`.
const JOBS: &str = r#"
os.mkfifo("gate")
gate = os.open("gate", os.O_RDWR)
def let_go():
    os.write(gate, b"x")

HEAD = WAITING + '''
def on(signal_, say, then=lambda: None):
    signal.signal(signal_, lambda *_: (os.write(1, say + b"\\n"), then()))
gate = os.open("gate", os.O_RDONLY)
on(signal.SIGRTMIN, b"still heard")
on(signal.SIGCONT, b"going on")
'''
TAIL = '''
os.write(1, b"pid is %d here\\n" % os.getpid())
wait_for(gate)
os.read(gate, 1)
sys.exit(9)
'''
def write_job(name, between=""):
    open(name, "w").write(HEAD + between + TAIL)

write_job("plain.py")
write_job("slow_to_stop.py", '''
def stop():
    wait_for(gate)
    os.read(gate, 1)
    os.kill(os.getpid(), signal.SIGSTOP)
on(signal.SIGTSTP, b"asked to stop", stop)
''')
write_job("unstoppable.py", 'on(signal.SIGTSTP, b"asked to stop")')

def started(shell):
    shell.expect("pid is ")
    return int(shell.expect(" here"))

def assert_hears(shell, front):
    "The front has dealt with all signals before this one: a signalfd gives the lowest number first."
    os.kill(front, signal.SIGRTMIN)
    shell.expect("still heard")
    assert state(front) != "T", "stopped too early"
"#;

#[track_caller]
fn drive_jobs(script: &str) {
    drive(&quiet(), &format!("{JOBS}{script}"));
}

/// Catches a job that the shell can't stop, or that `fg` doesn't wake or doesn't end by its code.
///
/// Statement 30: under `script`, Ctrl-Z never reaches the shell's job.
#[test]
fn ctrl_z_stops_the_job_and_fg_and_bg_go_on() {
    drive_jobs(
        r#"
for wrapper in ALL:
    shell = Shell()
    shell.type(f"{wrapper}python3 plain.py\n")
    command = started(shell)
    for _ in range(3):
        shell.type("\x1a")
        shell.expect("Stopped")
        shell.expect("@> ")
        assert state(command) == "T", state(command)
        assert state(shell.job()) == "T", state(shell.job())
        shell.type("fg\n")
        shell.expect("going on")
    shell.type("\x1a")
    shell.expect("Stopped")
    shell.expect("@> ")
    shell.type("bg\n")
    shell.expect("going on")
    wait_until("both run", lambda: "T" not in (state(command), state(shell.job())))
    let_go()
    # bash tells of the end in its own time, with the next prompt or while it waits.
    shell.type("wait %1; echo code=$?.\n")
    shell.expect("code=9.")
    shell.close()
"#,
    );
}

/// Catches a shell that gets its prompt while the command still writes on the terminal.
///
/// Statement 28: a wrapper with no handler of its own (`tee`, `noti`, `runitor`) stops at once.
#[test]
fn ctrl_z_stops_us_only_when_the_command_has_stopped() {
    drive_jobs(
        r#"
for wrapper in OURS:
    shell = Shell()
    shell.type(f"{wrapper}python3 slow_to_stop.py\n")
    command, front = started(shell), shell.job()
    shell.type("\x1a")
    shell.expect("asked to stop")
    assert_hears(shell, front)
    let_go()
    shell.expect("Stopped")
    shell.expect("@> ")
    assert (state(command), state(front)) == ("T", "T"), (state(command), state(front))
    shell.type("fg\n")
    shell.expect("going on")
    let_go()
    shell.expect("@> ")
    shell.type("echo code=$?.\n")
    shell.expect("code=9.")
    shell.close()
"#,
    );
}

/// Catches a job that the shell takes for stopped though its command runs on.
///
/// Statement 29: `tee`, `noti` and `runitor` stop, and what the command writes then blocks it.
#[test]
fn a_command_that_catches_ctrl_z_runs_on_and_so_do_we() {
    drive_jobs(
        r#"
for wrapper in OURS:
    shell = Shell()
    shell.type(f"{wrapper}python3 unstoppable.py\n")
    command, front = started(shell), shell.job()
    for _ in range(3):
        shell.type("\x1a")
        shell.expect("asked to stop")
        assert_hears(shell, front)
    let_go()
    shell.expect("@> ")
    shell.type("echo code=$?.\n")
    shell.expect("code=9.")
    assert b"Stopped" not in shell.shown, shell.shown
    shell.close()
"#,
    );
}

/// Catches a front that raises TSTP: without a shell of the same session above it, the kernel throws
/// that away, and whoever waits for the stop waits for ever.
///
/// Statement 31.
#[test]
fn a_stop_is_seen_in_an_orphaned_group_too() {
    drive_jobs(
        r#"
for wrapper in BARE, WRAPPED, FULL:
    terminal = Terminal(wrapper + ["python3", "plain.py"])
    command = started(terminal)
    for _ in range(2):
        os.kill(command, signal.SIGSTOP)
        status = os.waitpid(terminal.pid, os.WUNTRACED)[1]
        assert os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGSTOP, status
        os.kill(terminal.pid, signal.SIGCONT)
        terminal.expect("going on")
    let_go()
    assert os.waitstatus_to_exitcode(terminal.wait()[0]) == 9
"#,
    );
}

/// Catches a scheduler's `kill -TSTP` that stops nothing, or only us.
///
/// Statement 32: under `noti` and `runitor` only the wrapper stops.
#[test]
fn a_script_suspends_the_command() {
    drive_jobs(
        r#"
import subprocess
for wrapper in BARE, WRAPPED:
    job = subprocess.Popen(wrapper + ["python3", "plain.py"], stdout=subprocess.PIPE, process_group=0)
    command = int(job.stdout.readline().split()[2])
    for _ in range(3):
        os.kill(job.pid, signal.SIGTSTP)
        status = os.waitpid(job.pid, os.WUNTRACED)[1]
        assert os.WIFSTOPPED(status), status
        assert state(command) == "T", state(command)
        os.kill(job.pid, signal.SIGCONT)
        assert job.stdout.readline() == b"going on\n"
    # A stop for all, when all have stopped: it is no sign that the others were woken since.
    os.kill(command, signal.SIGSTOP)
    status = os.waitpid(job.pid, os.WUNTRACED)[1]
    assert os.WIFSTOPPED(status), status
    os.killpg(job.pid, signal.SIGTSTP)
    os.kill(job.pid, signal.SIGCONT)
    assert job.stdout.readline() == b"going on\n"
    let_go()
    assert job.wait() == 9
"#,
    );
}

/// Catches a background job that takes the shell's input, or that gets an error for it.
///
/// Statement 33: `script` reads the terminal itself, and stops before its command has asked.
#[test]
fn a_read_in_the_background_stops_the_job() {
    drive(
        &quiet(),
        r#"
told = []
for wrapper in ALL:
    shell = Shell()
    shell.line(f"{wrapper}sh -c 'exec cat >copy' &")
    wait_until("the job stops", lambda: state(shell.job()) == "T")
    jobs = shell.line("jobs").replace(wrapper, "")
    told.append(jobs.split("\r\n")[1])
    shell.type("fg\n")
    shell.expect("cat >copy")
    shell.expect("\n")
    shell.type("for the job\n")
    wait_until("it has read", lambda: open("copy").read())
    # Only now, since a Ctrl-D that was typed before raw mode is no Ctrl-D after it.
    shell.type("\x04")
    shell.expect("@> ")
    shell.line("echo code=$?.")
    assert "code=0." in shell.shown.decode(), shell.shown
    assert open("copy").read() == "for the job\n", open("copy").read()
    shell.close()
assert len(set(told)) == 1 and "Stopped" in told[0], told
"#,
    );
}

/// Documents a difference: the pseudo-terminal isn't the command's controlling one, so the kernel
/// doesn't stop who writes there. Catches a job that hangs instead.
///
/// Statement 34.
#[test]
fn with_tostop_the_output_of_a_background_job_goes_on() {
    drive(
        &quiet(),
        r#"
shell = Shell()
shell.line("stty tostop")
shell.line("sh -c 'echo from the bare one' &")
wait_until("the bare job stops", lambda: state(shell.job()) == "T")
shell.line("kill -9 %1; wait %1")
shell.type(f"{ND} -- sh -c 'echo from our''s' &\n")
shell.expect("from ours\r\n")
shell.line("wait")
shell.close()
"#,
    );
}

/// Catches a front that is left behind, stopped or running, when its command stops again at once.
///
/// Statement 35.
#[test]
fn a_job_that_stops_again_and_again_is_followed() {
    drive(
        &quiet(),
        r#"
job = '''
import os, signal, sys, termios
modes = termios.tcgetattr(0)
went_on = 0
def count(*_):
    global went_on
    went_on += 1
    open("went_on", "w").write(str(went_on))
signal.signal(signal.SIGCONT, count)
while True:
    try:
        termios.tcsetattr(0, termios.TCSANOW, modes)
        break
    except termios.error:
        pass
sys.exit(9)
'''
open("job.py", "w").write(job)
def went_on():
    return os.path.exists("went_on") and open("went_on").read()
for wrapper in ALL:
    shell = Shell()
    shell.line(f"{wrapper}python3 job.py &")
    front = shell.job()
    wait_until("it stops", lambda: state(front) == "T")
    for n in range(1, 8):
        shell.line("bg")
        wait_until("it has gone on", lambda: went_on() == str(n))
        wait_until("it stops again", lambda: state(front) == "T")
    shell.line("fg")
    assert "code=9." in shell.line("echo code=$?."), shell.shown
    assert went_on() == "8", went_on()
    os.remove("went_on")
    shell.close()
"#,
    );
}

/// Catches a front that touches a terminal which is somebody else's just then.
///
/// Statement 36: a `script` that ends in the background sets its modes back over the shell's.
#[test]
fn a_job_in_the_background_leaves_the_terminals_modes() {
    drive_jobs(
        r#"
for wrapper in OURS:
    shell = Shell()
    shell.type(f"{wrapper}python3 plain.py\n")
    command = started(shell)
    shell.type("\x1a")
    shell.expect("Stopped")
    shell.expect("@> ")
    shell.line("stty -echo -icanon min 1 susp ^T")
    chosen = termios.tcgetattr(shell.tty)
    assert chosen != shell.modes
    shell.type("bg\n")
    shell.expect("going on")
    shell.resize(30, 90)
    shell.resize(31, 91)
    let_go()
    shell.type("wait %1; echo code=$?.\n")
    shell.expect("code=9.")
    assert termios.tcgetattr(shell.tty) == chosen
    shell.close()
"#,
    );
}

/// When a shell's job loses its last member whose parent is that shell, the kernel hangs up on what
/// is stopped in it: SIGHUP, then SIGCONT (`kill_orphaned_pgrp` of Linux, exit(3) of POSIX). Where no
/// such tie is cut the command stays stopped. Catches an end that nobody learns of.
///
/// Statement 38.
#[test]
fn killed_while_the_command_is_stopped() {
    drive_jobs(
        r#"
import glob, json, subprocess
def ended():
    records = [json.load(open(path)) for path in glob.glob(".local/state/notify-done/runs/*/run.json")]
    return [record["ended"]["end"] for record in records if "ended" in record]

shell = Shell()
shell.type(f"{ND} -- python3 plain.py\n")
command, front = started(shell), shell.job()
shell.type("\x1a")
shell.expect("Stopped")
shell.expect("@> ")
os.kill(front, signal.SIGKILL)
wait_until("the end is on record", ended)
assert ended()[0]["signaled"]["signal"] == signal.SIGHUP, ended()
shell.close()

job = subprocess.Popen(WRAPPED + ["python3", "plain.py"], stdout=subprocess.PIPE)
command = int(job.stdout.readline().split()[2])
os.kill(command, signal.SIGSTOP)
os.waitpid(job.pid, os.WUNTRACED)
job.kill()
job.wait()
assert state(command) == "T", state(command)
os.kill(command, signal.SIGCONT)
assert job.stdout.readline() == b"going on\n"
let_go()
wait_until("the end is on record", lambda: len(ended()) == 2)
assert {"exited": {"code": 9}} in ended(), ended()
"#,
    );
}

/// Catches a front that stays stopped, or a SIGCONT that it swallows, when somebody (a scheduler,
/// `cpulimit`, the OOM killer) stops, wakes or kills the command alone; also when its supervisor, its
/// monitor or both were killed before, and nobody but itself can see the command go on.
///
/// Statements 18, 30, 81.
#[test]
fn whoever_wakes_or_kills_a_stopped_command_wakes_us() {
    drive_jobs(
        r#"
def gone(pid, orphan):
    os.kill(pid, signal.SIGKILL)
    wait_until("it is gone", lambda: parent(orphan) != pid)
for wrapper in WRAPPED, FULL:
    for killed in "", "S", "M", "SM":
        if "M" in killed and wrapper != FULL: continue
        terminal = Terminal(wrapper + ["python3", "plain.py"])
        command, front = started(terminal), terminal.pid
        supervisor, monitor = children(front)[0], parent(command)
        if "S" in killed: gone(supervisor, command if wrapper == WRAPPED else monitor)
        if "M" in killed: gone(monitor, command)
        def stop():
            os.kill(command, signal.SIGSTOP)
            wait_until(f"it stops, {wrapper} {killed}", lambda: state(front) == "T")
        for _ in range(3):
            stop()
            os.kill(command, signal.SIGCONT)
            wait_until(f"it goes on, {wrapper} {killed}", lambda: state(front) != "T")
            terminal.expect("going on")
        # What woke us is dealt with; this one is the command's.
        assert_hears(terminal, front)
        os.kill(front, signal.SIGCONT)
        terminal.expect("going on")
        assert_hears(terminal, front)
        assert terminal.shown.count(b"going on") == 4, (wrapper, killed, terminal.shown)
        stop()
        os.kill(command, signal.SIGKILL)
        status, _ = terminal.wait()
        assert status == signal.SIGKILL, (wrapper, killed, status)
        terminal.assert_modes()
"#,
    );
}
