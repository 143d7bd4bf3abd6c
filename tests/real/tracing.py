"""Kills a program before any one of its system calls: ptrace(2) from Python.

strace(1) can do it too (`-e inject=CALL:signal=KILL:when=N`), but it counts for each thread and each call by
itself and can't be told which thread is meant: of two threads that both call mmap, the one that gets to its
nth first hides the other's. Here a point is a thread (by the order of their making), a call, and which one
of that thread it is. The call at which the program dies isn't executed (syscall_trace_enter in the kernel).
"""

import ctypes
import os
import signal
import subprocess
from collections import Counter
from dataclasses import dataclass

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long

TRACEME, SYSCALL, SETOPTIONS, GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420E
# TRACESYSGOOD, TRACEFORK, TRACEVFORK, TRACECLONE, TRACEEXEC; EXITKILL: nothing is left stopped behind us.
OPTIONS = 1 | 2 | 4 | 8 | 16 | 1 << 20
# waitpid(2): threads too, and only what this thread of ours traces.
WALL, WNOTHREAD = 0x40000000, 0x20000000
SYSCALL_STOP = signal.SIGTRAP | 0x80
ENTRY = 1


class SyscallInfo(ctypes.Structure):
    _fields_ = [
        ("op", ctypes.c_uint8), ("pad", ctypes.c_uint8 * 3), ("arch", ctypes.c_uint32), ("ip", ctypes.c_uint64),
        ("sp", ctypes.c_uint64), ("number", ctypes.c_uint64), ("args", ctypes.c_uint64 * 6),
    ]  # fmt: skip


@dataclass(frozen=True)
class Point:
    """The `nth` call `number` (from 1) of the thread that was made `thread`th (from 0)."""

    thread: int
    number: int
    nth: int


@dataclass
class Call:
    point: Point
    # What its first two arguments point to, if that is readable: a path, or data.
    texts: list
    # What its first argument is open on, if it is a descriptor.
    file: str

    def touches(self, place):
        """Is it about something below that folder, by path or by descriptor?"""
        below = [os.fsencode(place), *([] if str(place).endswith("/") else [os.fsencode(f"{place}/")])]
        named = any(text.split(b"\0")[0].startswith(below[-1]) or text.split(b"\0")[0] == below[0] for text in self.texts)
        return named or f"{self.file}/".startswith(f"{place}/")


def ptrace(request, pid, address=0, data=0):
    done = libc.ptrace(request, pid, address, data)
    if done < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"ptrace {request}: {os.strerror(error)}")
    return done


class Traced:
    """One run of a program under the tracer; `Traced(argv, …).run(visit)`.

    `visit(pid, point, info)` is asked at each call, before it is made; True: the program dies there."""

    def __init__(self, argv, env, cwd, out):
        def trace_me():
            libc.ptrace(TRACEME, 0, 0, 0)

        # Returns when the program is executed: its first stop.
        self.process = subprocess.Popen(
            argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=trace_me
        )
        self.threads = {self.process.pid: 0}
        self.counts = Counter()
        self.killed = False

    def run(self, visit):
        """Its status, as subprocess has it."""
        leader = self.process.pid
        os.waitpid(leader, WALL)
        ptrace(SETOPTIONS, leader, 0, OPTIONS)
        ptrace(SYSCALL, leader)
        while True:
            pid, status = os.waitpid(-1, WALL | WNOTHREAD)
            if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                if pid == leader:
                    self.process.returncode = os.waitstatus_to_exitcode(status)
                    return self.process.returncode
                continue
            self.threads.setdefault(pid, len(self.threads))
            stopped_by = os.WSTOPSIG(status)
            if stopped_by == SYSCALL_STOP and self.at_call(pid, visit):
                self.killed = True
                os.kill(leader, signal.SIGKILL)
                continue
            # Stops of the tracer's own are no signals of the program's.
            own = stopped_by in (SYSCALL_STOP, signal.SIGTRAP, signal.SIGSTOP)
            try:
                ptrace(SYSCALL, pid, 0, 0 if own else stopped_by)
            except ProcessLookupError:
                pass  # Killed meanwhile.

    def at_call(self, pid, visit):
        info = SyscallInfo()
        try:
            ptrace(GET_SYSCALL_INFO, pid, ctypes.sizeof(info), ctypes.addressof(info))
        except ProcessLookupError:
            return False
        if info.op != ENTRY:
            return False
        thread = self.threads[pid]
        self.counts[thread, info.number] += 1
        return visit(pid, Point(thread, info.number, self.counts[thread, info.number]), info)


def record(argv, env, cwd, out=subprocess.DEVNULL):
    """Every call of a run that nothing happens to, and its status."""
    calls = []

    def visit(pid, point, info):
        calls.append(Call(point, [read(pid, info.args[n]) for n in (0, 1)], opened(pid, info.args[0])))
        return False

    status = Traced(argv, env, cwd, out).run(visit)
    return calls, status


def kill_at(point, argv, env, cwd, out=subprocess.DEVNULL):
    """Was the point reached, and the program killed there?"""
    traced = Traced(argv, env, cwd, out)
    traced.run(lambda pid, here, info: here == point)
    return traced.killed


def read(pid, address):
    try:
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            memory.seek(address)
            return memory.read(512)
    except (OSError, ValueError, OverflowError):
        return b""


def opened(pid, descriptor):
    try:
        return os.readlink(f"/proc/{pid}/fd/{descriptor}") if descriptor < 1024 else ""
    except OSError:
        return ""
