//! Signals to the whole process group: the command has its own, and ours isn't a second one.

use crate::quiet;
use crate::support::env::TestEnv;

/// What the scripts share: a wrapped command in a group of its own that writes down what it gets.
/// `TAKER` counts by sender: what we passed on comes from our process.
const PRELUDE: &str = r#"
import contextlib, os, random, signal, subprocess, sys, time
ND = os.environ["ND"]
TAKER = r'''
import os, signal, sys
numbers = {int(n) for n in sys.argv[1].split(",")}
every = numbers | {signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, every)
front = os.getpgrp()
if len(sys.argv) > 2: exec(sys.argv[2])
os.write(1, b"ready\n")
own = passed_on = 0
while True:
    # A test that fails leaves nothing behind for long.
    info = signal.sigtimedwait(every, 60)
    if info is None or info.si_signo == signal.SIGTERM: break
    if info.si_pid == front: passed_on += 1
    else: own += 1
    os.write(1, b".")
os.write(1, b"own %d passed on %d\n" % (own, passed_on))
'''
class Taken:
    def __init__(self, numbers, more="", wrapper=[ND, "--"]):
        self.run = subprocess.Popen(wrapper + ["python3", "-c", TAKER, ",".join(map(str, numbers)), more],
                                    stdout=subprocess.PIPE, bufsize=0, start_new_session=True)
        self.front = self.run.pid
        self.until(b"ready\n")
    def until(self, wanted):
        seen = b""
        while not seen.endswith(wanted):
            byte = self.run.stdout.read(1)
            assert byte, (wanted, seen)
            seen += byte
    def kids(self, pid=None):
        pid = pid or self.front
        return [int(kid) for kid in open(f"/proc/{pid}/task/{pid}/children").read().split()]
    def supervisor(self):
        return self.kids()[0]
    def canary(self):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            for kid in self.kids():
                if open(f"/proc/{kid}/comm").read() == "nd-canary\n": return kid
        sys.exit("there is no canary")
    def settled(self):
        # We, then the command, have nothing left to take or to judge: what is sent now doesn't merge,
        # and is last.
        # The oldest child is the command; younger ones come and go.
        command = self.kids(self.supervisor())[0]
        for pid, waits_in in (self.front, "poll"), (command, "sig"):
            end = time.monotonic() + 20
            while pending(pid) or waits_in not in open(f"/proc/{pid}/wchan").read():
                assert time.monotonic() < end, (pid, pending(pid), waits_in)
    def counts(self):
        self.settled()
        os.kill(self.front, signal.SIGTERM)
        self.until(b"own ")
        own, rest = self.run.stdout.read().split(b" passed on ")
        assert self.run.wait(20) == 0, self.run.returncode
        return int(own), int(rest)
def pending(pid):
    lines = open(f"/proc/{pid}/status").read().splitlines()
    return any(int(line.split()[1], 16) for line in lines if line.startswith(("ShdPnd", "SigPnd")))
USR1, RT = signal.SIGUSR1, signal.SIGRTMIN
"#;

/// Runs a script that asserts by itself.
#[track_caller]
fn drive(env: &TestEnv, script: &str) {
    let none: [&str; 0] = [];
    env.python(&format!("{PRELUDE}{script}"), none).run().assert_code(0);
}

/// Statements 17, 27. Catches a second signal, passed on to a command that has its own: of 10,000,
/// whatever CPU it comes from. What can't tell the two apart (`timeout --foreground`, `dumb-init
/// --single-child`, most wrappers) doubles each. The real-time one queues, so that no double hides.
#[test]
fn a_signal_to_the_group_reaches_the_command_once() {
    drive(
        &quiet(),
        r#"
for number in USR1, RT:
    for cpu in sorted(os.sched_getaffinity(0)) [:2]:
        taken = Taken([number])
        os.sched_setaffinity(0, {cpu})
        taken.canary()
        for _ in range(2500):
            os.killpg(taken.front, number)
            taken.until(b".")
        os.sched_setaffinity(0, range(os.cpu_count()))
        assert taken.counts() == (2500, 0), (number, cpu)
"#,
    );
}

/// Statements 16, 17, 27. Catches one lost or doubled while both kinds come mixed, as fast as they
/// can be sent.
#[test]
fn in_a_storm_each_is_passed_on_as_it_was_sent() {
    drive(
        &quiet(),
        r#"
seed = int(time.time())
random.seed(seed)
taken = Taken([RT])
taken.canary()
group = alone = 0
for _ in range(1500):
    if random.random() < 0.5:
        os.killpg(taken.front, RT)
        group += 1
    else:
        os.kill(taken.front, RT)
        alone += 1
counts = taken.counts()
assert counts == (group, alone), (counts, group, alone, seed)

# Those that merge, from two processes at once: never more than without us, and some.
for send in os.killpg, os.kill:
    taken = Taken([USR1])
    taken.canary()
    senders = []
    for _ in range(2):
        senders.append(os.fork())
        if senders[-1] == 0:
            for _ in range(2000): send(taken.front, USR1)
            os._exit(0)
    for sender in senders: os.waitpid(sender, 0)
    own, passed_on = taken.counts()
    if send == os.killpg: assert 1 <= own <= 4000 and passed_on == 0, (own, passed_on)
    else: assert own == 0 and 1 <= passed_on <= 4000, (own, passed_on)
"#,
    );
}

/// Statement 17. Catches a TERM too many for a job that takes the second as "at once": `timeout`
/// sends one to its child and one to the group, and so do CONTs.
#[test]
fn timeout_ends_the_command_as_without_us() {
    drive(
        &quiet(),
        r#"
counter = r'''
import os, signal, sys, time
got = {signal.SIGTERM: 0, signal.SIGCONT: 0}
def count(number, _): got[number] += 1
for number in got: signal.signal(number, count)
signal.pthread_sigmask(signal.SIG_UNBLOCK, got)
end = time.monotonic() + 20
while not all(got.values()) and time.monotonic() < end: time.sleep(0.01)
# A double would come now.
end = time.monotonic() + 0.2
while time.monotonic() < end: time.sleep(0.01)
print(*got.values())
'''
# Until they are handled, however long the start takes.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCONT})
for wrapper in [], [ND, "--"]:
    done = subprocess.run(["timeout", "0.5", *wrapper, "python3", "-c", counter], stdout=subprocess.PIPE)
    counts = [int(n) for n in done.stdout.split()]
    assert done.returncode == 124 and len(counts) == 2 and all(1 <= n <= 2 for n in counts), (wrapper, done)
"#,
    );
}

/// Statement 20. Catches an echo of what the command, or a process of its, sends to its whole group.
#[test]
fn what_the_command_sends_to_its_group_is_not_echoed() {
    drive(
        &quiet(),
        r#"
for how in "os.kill(0, 10)", "import subprocess; subprocess.run(['sh', '-c', 'kill -USR1 0; :'])":
    script = f"import time\nwhile len(open(f'/proc/{{front}}/task/{{front}}/children').read().split()) < 2: pass\n{how}"
    taken = Taken([USR1], script.replace("sh', '-c', '", "sh', '-c', 'trap : USR1; "))
    taken.until(b".")
    assert taken.counts() == (1, 0), how
"#,
    );
}

/// Statement 21. Catches a command that has left our group (`setsid`, a shell with job control) and
/// hears nothing any more, or hears its own answer.
#[test]
fn a_command_in_a_group_of_its_own_gets_the_signal_by_its_id() {
    drive(
        &quiet(),
        r#"
answer = """
until, alive = os.pipe()
if os.fork() == 0:
    os.close(alive)
    while len(open(f"/proc/{front}/task/{front}/children").read().split()) < 2: pass
    # Not before it has said that it is ready.
    while "sig" not in open(f"/proc/{os.getppid()}/wchan").read(): pass
    os.kill(front, signal.SIGUSR1)
    os.write(1, b"answered")
    # Who has ended is in no group.
    os.read(until, 1)
    os._exit(0)
"""
for leave in "os.setpgid(0, 0)", "os.setsid()":
    taken = Taken([USR1], leave + answer)
    taken.until(b"answered")
    taken.canary()
    # One that is sent while another waits is the same one.
    taken.settled()
    for send in os.killpg, os.kill, os.killpg:
        send(taken.front, USR1)
        taken.until(b".")
    assert taken.counts() == (0, 3), leave
"#,
    );
}

/// Statement 16. Catches a TERM that is taken for the group's because all of our processes have it:
/// `pkill -f notify-done`, `kill $(pidof notify-done)`.
#[test]
fn a_sweep_over_our_processes_ends_the_command() {
    drive(
        &quiet(),
        r#"
for _ in range(20):
    taken = Taken([USR1])
    for pid in taken.front, taken.supervisor(), taken.canary():
        # The first may have done it already.
        with contextlib.suppress(ProcessLookupError): os.kill(pid, signal.SIGTERM)
    taken.until(b"own ")
    assert taken.run.wait(20) == 0
"#,
    );
}

/// Statements 16, 17. Catches a front that hangs, or loses signals, because its canary was killed or
/// is stopped; and one that isn't replaced.
#[test]
fn without_an_answer_of_the_canarys_signals_are_passed_on() {
    drive(
        &quiet(),
        r#"
taken = Taken([USR1])
os.kill(taken.canary(), signal.SIGKILL)
os.kill(taken.front, USR1)
taken.until(b".")
taken.settled()
taken.canary()
os.killpg(taken.front, USR1)
taken.until(b".")
taken.settled()
os.kill(taken.canary(), signal.SIGSTOP)
os.kill(taken.front, USR1)
taken.until(b".")
taken.settled()
# All of us stopped, and only we are woken.
os.killpg(taken.front, signal.SIGSTOP)
os.kill(taken.front, signal.SIGCONT)
os.kill(taken.front, USR1)
taken.until(b".")
assert taken.counts() == (1, 3)
"#,
    );
}

/// Statement 52. Catches a canary that outlives us, as a zombie or as an orphan.
#[test]
fn no_canary_is_left_behind() {
    drive(
        &quiet(),
        r#"
import ctypes
# What is orphaned becomes ours: PR_SET_CHILD_SUBREAPER.
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
for ending in signal.SIGTERM, signal.SIGKILL:
    taken = Taken([USR1])
    canary, supervisor = taken.canary(), taken.supervisor()
    command = taken.kids(supervisor)[0]
    os.kill(taken.front, ending)
    taken.run.wait(20)
    if ending == signal.SIGKILL:
        # It dies with us, and only then is it another's to wait for.
        assert os.waitpid(canary, 0)[1] == signal.SIGKILL
        os.kill(command, signal.SIGTERM)
        os.waitpid(supervisor, 0)
    assert not os.path.exists(f"/proc/{canary}"), ending
"#,
    );
}
