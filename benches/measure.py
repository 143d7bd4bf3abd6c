"""One run of one command under one wrapper: starts it, drains it, and says what it cost."""

import ctypes
import json
import mmap
import os
import pty
import signal
import subprocess
import termios
import time
from dataclasses import dataclass, field

PR_SET_CHILD_SUBREAPER = 36
# How often memory is looked at, seconds.
SAMPLE_SECONDS = 0.02
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass
class Run:
    """What one run cost; seconds."""

    wall: float
    # The wrapper, the command and all that they left behind, but not the reader.
    cpu: float
    drain_cpu: float = 0.0
    # What everybody else took of the same CPUs meanwhile; the system's counters make it coarse.
    others: float = 0.0
    # Peak of the sum of PSS of all processes but the command, bytes; None where it wasn't looked at.
    memory: int | None = None
    samples: int = 0
    # What a reader said of each stream; what it says of the way of a line.
    streams: list = field(default_factory=list)
    # Why the figures don't count.
    faults: list = field(default_factory=list)


@dataclass(frozen=True)
class Sink:
    """Where a wrapper's standard output goes: null, file, pipe or tty. `readers` are the probe's
    arguments, one per stream; a second stream is standard error on a pipe of its own."""

    kind: str
    readers: tuple = ()
    # Standard error goes where standard output goes.
    merged: bool = False


class TookTooLong(Exception):
    pass


def adopt_orphans():
    """What a wrapper leaves behind becomes our child, so that it is waited for and counted."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def touch_memory(size):
    """In a virtual machine that hands free memory back to its host, a log's first pages cost ten
    times a page's usual price. This buys them beforehand, for each run alike."""
    if size > 0:
        mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE).close()


def descendants():
    """Our children, theirs, and so on."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stat:
                    parents[int(name)] = int(stat.read().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                pass  # It has just ended.
    found = {os.getpid()}
    while True:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        if not more:
            return found - {os.getpid()}
        found |= more


def kill_descendants():
    """Until there are none: one that is killed may leave others to us."""
    while alive := descendants():
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        # At least one of them is our own child. Not for all: one just forked is still to be killed.
        os.waitpid(-1, 0)


def reap():
    """Waits for all our children; the CPU seconds they took."""
    cpu = 0.0
    while True:
        try:
            _, _, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return cpu
        cpu += usage.ru_utime + usage.ru_stime


def pss(probe):
    """Sum of the proportional set sizes of all wrapper processes, bytes: shared pages count once."""
    total = 0
    for pid in descendants():
        try:
            if os.readlink(f"/proc/{pid}/exe") == probe:
                continue
            with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as rollup:
                total += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:")) * 1024
        except (FileNotFoundError, ProcessLookupError, StopIteration):
            pass  # It has just ended.
    return total


class Reader:
    """A probe that drains one stream and says what came."""

    def __init__(self, probe, arguments, source):
        self.report, its_end = os.pipe()
        self.pid = os.posix_spawn(
            probe, [probe, *arguments], dict(os.environ),
            file_actions=[(os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_DUP2, its_end, 1)],
        )  # fmt: skip
        os.close(its_end)
        os.close(source)

    def wait(self):
        """Its verdict and its CPU seconds."""
        _, _, usage = os.wait4(self.pid, 0)
        with os.fdopen(self.report, "rb") as report:
            said = report.read()
        verdict = json.loads(said) if said else {"complete": False, "error": "the reader failed"}
        return verdict, usage.ru_utime + usage.ru_stime


class Stage:
    """The descriptors of one run, and who reads them."""

    def __init__(self, probe, sink, place):
        self.ours, self.readers = [], []
        if sink.kind == "tty":
            main, terminal = pty.openpty()
            termios.tcsetwinsize(terminal, (50, 132))
            self.ours.append(terminal)
            self.readers.append(Reader(probe, sink.readers[0], main))
            # A session leader that opens a terminal gets it as its controlling one.
            actions = [
                (os.POSIX_SPAWN_OPEN, 0, os.ttyname(terminal), os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, 0, 1),
            ]
        else:
            actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
            if sink.kind == "pipe":
                actions.append((os.POSIX_SPAWN_DUP2, self.pipe(probe, sink.readers[0]), 1))
            else:
                path = os.devnull if sink.kind == "null" else str(place.out)
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
                actions.append((os.POSIX_SPAWN_OPEN, 1, path, flags, 0o600))
        if sink.merged:
            actions.append((os.POSIX_SPAWN_DUP2, 1, 2))
        elif len(sink.readers) == 2:
            actions.append((os.POSIX_SPAWN_DUP2, self.pipe(probe, sink.readers[1]), 2))
        else:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            actions.append((os.POSIX_SPAWN_OPEN, 2, str(place.errors), flags, 0o600))
        self.actions = actions

    def pipe(self, probe, arguments):
        source, end = os.pipe()
        self.ours.append(end)
        self.readers.append(Reader(probe, arguments, source))
        return end

    def start(self, argv, env):
        pid = os.posix_spawnp(
            argv[0], argv, env, file_actions=self.actions, setsid=True,
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT],
        )  # fmt: skip
        for fd in self.ours:
            os.close(fd)
        return pid


def run(probe, argv, sink, place, limit, look=None):
    """Runs `argv`; `limit` in seconds. The wall time is from its start until it has ended and all
    it wrote has been read. `look` watches its memory.

    # Errors
    `TookTooLong`, with everything killed.
    """

    def late(*_):
        raise TookTooLong(f"{argv} ran for more than {limit} s")

    stage = Stage(probe, sink, place)
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(limit)
    cpus = os.sched_getaffinity(0)
    try:
        so_far, begin = busy(cpus), time.monotonic()
        pid = stage.start(argv, place.env)
        memory, samples = look(pid) if look else (None, 0)
        _, status, usage = os.wait4(pid, 0)
        said = [reader.wait() for reader in stage.readers]
        wall = time.monotonic() - begin
        cpu = usage.ru_utime + usage.ru_stime + reap()
        used = busy(cpus) - so_far
    except BaseException:
        signal.alarm(0)
        kill_descendants()
        raise
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    drain_cpu = sum(spent for _, spent in said)
    verdicts = [verdict for verdict, _ in said]
    result = Run(wall, cpu, drain_cpu, used - cpu - drain_cpu, memory, samples, verdicts)
    if status != 0:
        result.faults.append(f"it ended with {os.waitstatus_to_exitcode(status)}")
    if place.errors.exists() and (words := place.errors.read_text(errors="replace").strip()):
        result.faults.append(f"it said: {words[:300]}")
    return result


def watch(pid, probe):
    """Looks at the memory until `pid` has ended (and leaves it to be waited for)."""
    peak = samples = 0
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        peak = max(peak, pss(probe))
        samples += 1
        time.sleep(SAMPLE_SECONDS)
    return peak, samples


def check_file(probe, path, arguments):
    """What the probe says of a file."""
    if not path.is_file():
        return {"complete": False, "error": f"no {path}"}
    with open(path, "rb") as source:
        done = subprocess.run([probe, *arguments], stdin=source, capture_output=True, text=True)
    return json.loads(done.stdout) if done.stdout else {"complete": False, "error": done.stderr.strip()}


def busy(cpus):
    """CPU seconds that these CPUs have spent so far on anything at all, the host's share included."""
    spent = 0
    with open("/proc/stat", encoding="utf-8") as stat:
        for line in stat:
            name, *ticks = line.split()
            if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cpus:
                user, nice, system, _idle, _wait, irq, soft, steal = map(int, ticks[:8])
                spent += user + nice + system + irq + soft + steal
    return spent / TICKS_PER_SECOND


def quietest_cpu(seconds=1.0):
    """The CPU that is used least just now, of those we may use."""
    cpus = sorted(os.sched_getaffinity(0))
    before = {cpu: busy({cpu}) for cpu in cpus}
    time.sleep(seconds)
    return min(cpus, key=lambda cpu: busy({cpu}) - before[cpu])
