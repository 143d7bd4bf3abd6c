"""A terminal that a test holds: what is typed on it, what it shows, how its modes are."""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

LIMIT_SECONDS = 30
ND = os.environ["ND"]
BARE, WRAPPED, FULL = [], [ND, "--"], [ND, "--pty", "full", "--"]
# The same for a line of shell.
OURS = [" ".join(WRAPPED) + " ", " ".join(FULL) + " "]
ALL = [""] + OURS

# For a job in Python that catches signals: a handler runs at once, while a plain read that begins
# just then would hold it up.
WAITING = """
import os, select, signal, sys
woken, wake = os.pipe()
os.set_blocking(wake, False)
signal.set_wakeup_fd(wake)
def wait_for(fd):
    while fd not in select.select([fd, woken], [], [])[0]:
        os.read(woken, 4096)
"""


# Says which of the keys' signals it got, until a line is typed; ends with 9.
LISTENER = WAITING + r"""
for name in ("SIGINT", "SIGQUIT"):
    signal.signal(getattr(signal, name), lambda n, _: os.write(1, b"got %d\n" % n))
os.write(1, b"ready\n")
wait_for(0)
sys.stdin.readline()
sys.exit(9)
"""


class Terminal:
    """Runs `argv` with the terminal as its controlling one, on the descriptors `on`; of 0, 1 and 2
    the others are a pipe (1, 2) or empty (0)."""

    def __init__(self, argv, on=(0, 1, 2), size=(24, 80), env=None):
        self.main, self.tty = pty.openpty()
        self.resize(*size)
        self.modes = termios.tcgetattr(self.tty)
        self.unread = b""
        self.shown = b""
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setsid()
                fcntl.ioctl(self.tty, termios.TIOCSCTTY, 0)
                for fd in range(3):
                    other = os.open("/dev/null", os.O_RDONLY) if fd == 0 else os.pipe()[1]
                    os.dup2(self.tty if fd in on else other, fd)
                os.closerange(3, 64)
                # Python ignores it.
                signal.signal(signal.SIGPIPE, signal.SIG_DFL)
                os.execvpe(argv[0], argv, {**os.environ, **(env or {})})
            finally:
                os._exit(99)

    def resize(self, rows, columns):
        """As a window's frame does: the foreground job gets SIGWINCH."""
        fcntl.ioctl(self.main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.main, text.encode())

    def type_signals(self):
        """Ctrl-C, Ctrl-\\ and Ctrl-C again, each of which LISTENER gets once before the next."""
        for key, got in ("\x03", "got 2"), ("\x1c", "got 3"), ("\x03", "got 2"):
            self.type(key)
            self.expect(got)

    def expect(self, wanted):
        """Waits until `wanted` is shown; returns what was shown before it since the last time."""
        wanted = wanted.encode()
        end = time.monotonic() + LIMIT_SECONDS
        while wanted not in self.unread:
            ready, _, _ = select.select([self.main], [], [], max(0, end - time.monotonic()))
            if not ready:
                sys.exit(f"{wanted!r} isn't shown; shown: {self.shown!r}")
            chunk = os.read(self.main, 65536)
            self.unread += chunk
            self.shown += chunk
        before, self.unread = self.unread.split(wanted, 1)
        return before.decode(errors="replace")

    def wait(self, limit=LIMIT_SECONDS):
        """Its end: (status as waitpid gives it, what was shown since the last `expect`)."""
        seen = b""
        child = os.pidfd_open(self.pid)
        while True:
            ready, _, _ = select.select([self.main, child], [], [], limit)
            if not ready:
                sys.exit(f"still running; shown: {self.shown!r}")
            if self.main not in ready:
                break
            chunk = os.read(self.main, 65536)
            self.unread += chunk
            self.shown += chunk
        os.close(child)
        status = os.waitpid(self.pid, 0)[1]
        # All that was written before this comes before it.
        os.write(self.tty, b"<the end>")
        return status, self.expect("<the end>")

    def assert_modes(self):
        now = termios.tcgetattr(self.tty)
        assert now == self.modes, f"modes were {self.modes}, are {now}"


class Shell(Terminal):
    """An interactive bash with job control."""

    PROMPT = "@> "

    def __init__(self, env=None, **more):
        argv = ["bash", "--norc", "--noprofile", "--noediting", "-i"]
        super().__init__(argv, env={**(env or {}), "PS1": self.PROMPT}, **more)
        self.expect(self.PROMPT)

    def line(self, text):
        """Types a line and waits for the next prompt; what was shown between."""
        self.type(text + "\n")
        return self.expect(self.PROMPT)

    def job(self):
        """The process of its only job."""
        (job,) = children(self.pid)
        return job

    def close(self):
        self.type("exit\n")
        self.wait()


def wait_until(what, reached):
    """For what nothing tells of but looking."""
    end = time.monotonic() + LIMIT_SECONDS
    while not reached():
        if time.monotonic() > end:
            sys.exit(f"{what}: didn't happen")
        time.sleep(0.002)


def run(argv, **more):
    """Runs it to its end: (status, what was shown)."""
    return Terminal(argv, **more).wait()


def state(pid):
    """The letter of /proc/PID/stat."""
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0]


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as listed:
        return [int(child) for child in listed.read().split()]


def parent(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return int(stat.read().rsplit(")", 1)[1].split()[1])
