//! What a run holds and leaves: working folder, locks, flags, times, zombies.

use crate::killed::PROCESSES;
use crate::quiet;

/// Runs a script that has [`PROCESSES`] at hand; it must print exactly this.
#[track_caller]
fn assert_told(script: &str, told: &str) {
    let none: [&str; 0] = [];
    quiet().python(&format!("{PROCESSES}{script}"), none).run().assert_code(0).assert_stdout(told);
}

/// Statement 39. Catches a supervisor that keeps the caller's folder from being unmounted after the
/// command has left it.
#[test]
fn the_supervisor_leaves_the_working_folder() {
    let script = r#"
run = subprocess.Popen([ND, "--", "sh", "-c", "cd /usr; read x"], stdin=subprocess.PIPE)
supervisor, command = tree(run.pid)
until("the supervisor is elsewhere", lambda: os.readlink(f"/proc/{supervisor}/cwd") == "/")
run.communicate(b"\n", timeout=20)
print(run.returncode)
"#;
    assert_told(script, "0\n");
}

/// Statement 46. Catches a lock (`flock 9; job` with `9>lock`) that we hold on to when the command has
/// let go of it, or while the mail is made. Wrappers
/// that stay the parent (timeout, chronic) hold it.
#[test]
fn an_inherited_lock_is_the_commands_alone() {
    let script = r#"
import fcntl
def free():
    try:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
# Low, high, and where nearly no low number is free.
for number, more in (9, []), (600, []), (9, range(10, 250)):
    lock = os.open("lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    passed = [os.dup2(lock, number, inheritable=True)]
    os.close(lock)
    passed += [os.dup2(0, fd, inheritable=True) for fd in more]
    lets_go = "import os, sys; os.read(0, 1); os.close(int(sys.argv[1])); os.read(0, 1)"
    run = subprocess.Popen([ND, "--", sys.executable, "-c", lets_go, str(number)], stdin=subprocess.PIPE, pass_fds=passed)
    for fd in passed: os.close(fd)
    other = os.open("lock", os.O_RDWR)
    tree(run.pid)
    print("held", not free())
    run.stdin.write(b"\n"); run.stdin.flush()
    until("it is free", free)
    run.communicate(b"\n", timeout=20)
    os.close(other)
    print(run.returncode)
"#;
    assert_told(script, "held True\n0\nheld True\n0\nheld True\n0\n");
}

/// Statement 46. Catches a standard input that we keep open: who writes to it would never hear that the
/// command has closed it.
#[test]
fn a_closed_standard_input_is_seen_by_its_writer() {
    let script = r#"
import select
run = subprocess.Popen([ND, "--", "sh", "-c", "exec 0<&-; while test ! -e go; do :; done"], stdin=subprocess.PIPE)
poll = select.poll()
poll.register(run.stdin, 0)
print([event & select.POLLERR != 0 for _, event in poll.poll(20000)])
open("go", "w").close()
print(run.wait(20))
"#;
    assert_told(script, "[True]\n0\n");
}

/// Statements 48, 49. Catches O_NONBLOCK that we set for ourselves: on the caller's description it breaks
/// whoever writes to it next (the well-known `cat: write error: Resource temporarily unavailable`), on
/// the command's the command itself.
#[test]
fn nobody_gets_a_nonblocking_description_from_us() {
    let script = r#"
import fcntl, pty, socket
def flags(fd):
    return bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK)
def pair(kind):
    if kind == "socket":
        ours, theirs = socket.socketpair()
        return ours.detach(), theirs.detach()
    return os.pipe() if kind == "pipe" else pty.openpty()
show = "import fcntl, os; os.write({fd}, b'%d' % sum(bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK) << fd for fd in (0, 1, 2)))"
for kind in ("pipe", "pty", "socket"):
    for before in (False, True):
        reader, writer = pair(kind)
        told, tell = os.pipe()
        os.set_blocking(writer, not before)
        run = subprocess.Popen([ND, "--", "python3", "-c", show.format(fd=tell)], stdin=subprocess.DEVNULL, stdout=writer, stderr=writer, pass_fds=[tell])
        meanwhile = set()
        while run.poll() is None:
            meanwhile.add(flags(writer))
        os.close(tell)
        print(kind, before, run.returncode, meanwhile == {before}, flags(writer) == before, os.read(told, 9).decode())
        os.close(reader)
"#;
    let told: String = ["pipe", "pty", "socket"]
        .iter()
        .flat_map(|kind| [false, true].map(|before| (kind, if before { "True" } else { "False" })))
        .map(|(kind, before)| format!("{kind} {before} 0 True True 0\n"))
        .collect();
    assert_told(script, &told);
}

/// Statement 50. Catches a parent-death signal: the command would die with us.
#[test]
fn nobodys_death_is_the_commands() {
    let ask =
        "import ctypes; n = ctypes.c_int(-1); ctypes.CDLL(None).prctl(2, ctypes.byref(n)); print(n.value)";
    quiet().notify_done(["--", "python3", "-c", ask]).run().assert_code(0).assert_stdout("0\n");
}

/// Statement 51. Catches a front that doesn't wait for the supervisor, or that for the command: the
/// shell's `time` would show nothing, as with a command that is a daemon's child.
#[test]
fn the_shells_time_shows_the_commands_cpu() {
    let script = r#"
import resource
def cpu():
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
burn = "import time\nwhile time.process_time() < 0.4: pass"
for kill in (False, True):
    before = cpu()
    run = subprocess.Popen([ND, "--", "python3", "-c", burn + "\nif input(): pass"], stdin=subprocess.PIPE)
    supervisor, command = tree(run.pid)
    if kill:
        os.kill(supervisor, 9)
    run.communicate(b"\n", timeout=20)
    used = cpu() - before
    print(run.returncode, used > 0.39)
"#;
    assert_told(script, "0 True\n0 True\n");
}

/// Statement 52. Catches children that nobody waits for: orphans of the command's end up with us, a
/// subreaper, where without us init would have them.
#[test]
fn no_zombies_while_it_runs_nor_after_it() {
    let script = r#"
orphans = "for n in 1 2 3 4 5; do (true & true); done; echo; read x; for n in 1 2 3; do (true & true); done"
run = subprocess.Popen([ND, "--", "sh", "-c", orphans], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)
supervisor, command = tree(run.pid)
def group():
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == run.pid or int(fields[1]) in (run.pid, supervisor):
            found[int(pid)] = fields[0]
    return found
run.stdout.readline()
until("only its own are left", lambda: set(group()) >= {run.pid, command} and "Z" not in group().values())
run.communicate(b"\n", timeout=20)
print(run.returncode)
until("nobody is left", lambda: not group())
"#;
    assert_told(script, "0\n");
}
