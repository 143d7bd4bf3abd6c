"""Runs a program and notes all that can be seen of it, so that bare and wrapped can be compared."""

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
import unittest
from dataclasses import dataclass
from pathlib import Path

import harness

WRAPPER = [harness.binary(), "--"]
# The longest that a program and all that it has started may take. It is much more than any needs, and
# less than what they are asked to sleep: a sleeper that is left behind is seen.
LIMIT_SECONDS = 60
# What standard output and error can be.
KINDS = ("pipe", "file", "null", "socket", "closed")
# Beyond the descriptors that scripts use and shells keep for themselves.
HIGH_FD = 60


@dataclass
class Seen:
    """All that a caller can see. `status` is negative for a death by a signal; `unread` is what was
    left of the standard input; `files` is what lies in the working folder afterwards."""

    status: int
    out: bytes
    err: bytes
    unread: bytes
    files: dict


class Sink:
    """What one of a program's outputs leads to, and what arrives there."""

    def __init__(self, kind):
        self.held = b""
        self.reader = None
        self.end = None
        self.file = None
        if kind == "pipe":
            source, self.end = os.pipe()
            self._collect(source)
        elif kind == "socket":
            ours, theirs = socket.socketpair()
            self.end = theirs.detach()
            self._collect(ours.detach())
        elif kind == "file":
            self.file = tempfile.NamedTemporaryFile(prefix="nd-sink-")
            self.end = os.open(self.file.name, os.O_RDWR)
        elif kind == "null":
            self.end = os.open("/dev/null", os.O_WRONLY)
        else:
            assert kind == "closed", kind

    def _collect(self, source):
        def read():
            pieces = []
            # A socket is reset when its other end is closed with bytes unread: never here.
            while piece := os.read(source, 65536):
                pieces.append(piece)
            os.close(source)
            self.held = b"".join(pieces)

        self.reader = threading.Thread(target=read, daemon=True)
        self.reader.start()

    def started(self):
        """The program has its own copy of our end."""
        if self.end is not None:
            os.close(self.end)

    def bytes(self):
        if self.reader:
            self.reader.join(LIMIT_SECONDS)
            assert not self.reader.is_alive(), "somebody still holds this output"
        if self.file:
            self.held = Path(self.file.name).read_bytes()
            self.file.close()
        return self.held


class Input:
    """A standard input, as a file or a pipe, of which one can see what was left."""

    def __init__(self, kind, content):
        if kind == "file":
            with tempfile.TemporaryFile() as file:
                self.end = os.dup(file.fileno())
            os.write(self.end, content)
            os.lseek(self.end, 0, os.SEEK_SET)
        else:
            # It must fit into the pipe: nobody goes on writing.
            self.end, ours = os.pipe()
            os.write(ours, content)
            os.close(ours)

    def unread(self):
        with os.fdopen(self.end, "rb", buffering=0) as rest:
            return rest.read()


def tree(folder):
    """Every file below `folder`: mode and content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            content = os.readlink(path)
        else:
            content = path.read_bytes() if stat.S_ISREG(mode) else None
        found[str(path.relative_to(folder))] = (oct(mode), content)
    return found


def observe(argv, env, cwd, out="pipe", err="pipe", stdin=("pipe", b""), limit=LIMIT_SECONDS):
    """Runs it in a session of its own, and waits for it and for all that it leaves behind.

    `err` may be "same": on one description with `out`."""
    standard_input = Input(*stdin)
    sinks = [Sink(out)] if err == "same" else [Sink(out), Sink(err)]
    ends = [sinks[0].end, sinks[-1].end]
    # Whatever is descended from the program holds this; its end is the end of all of them.
    alive, kept = os.pipe()
    high = fcntl.fcntl(kept, fcntl.F_DUPFD_CLOEXEC, HIGH_FD)
    os.close(kept)

    def prepare():
        # CI may have started us in the background, where these two are ignored.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)
        for fd, end in zip((1, 2), ends):
            if end is None:
                os.close(fd)

    child = subprocess.Popen(
        argv, env=env, cwd=cwd, stdin=standard_input.end, stdout=ends[0], stderr=ends[1],
        pass_fds=(high,), start_new_session=True, preexec_fn=prepare,
    )  # fmt: skip
    os.close(high)
    for sink in sinks:
        sink.started()
    try:
        wait_for_all(child, alive, limit)
    finally:
        os.close(alive)
    outputs = [sink.bytes() for sink in sinks]
    return Seen(child.returncode, outputs[0], outputs[-1], standard_input.unread(), tree(Path(cwd)))


def wait_for_all(child, alive, limit):
    ended = threading.Event()

    def read():
        os.read(alive, 1)
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    if not ended.wait(limit):
        left = subprocess.run(["ps", "-s", str(child.pid), "-o", "pid,stat,args"], capture_output=True, text=True)
        subprocess.run(["pkill", "-KILL", "-s", str(child.pid)], check=False)
        ended.wait(LIMIT_SECONDS)
        child.wait()
        raise AssertionError(f"{child.args} is there after {limit} s:\n{left.stdout}")
    child.wait(LIMIT_SECONDS)


class ProgramTest(unittest.TestCase):
    """Each test in a home of its own; no run is long enough for a mail, so we have nothing to say."""

    maxDiff = 4000

    def setUp(self):
        place = tempfile.TemporaryDirectory(prefix="nd-programs-")
        self.addCleanup(place.cleanup)
        self.place = Path(place.name)
        # Some programs here are another user's for a while.
        self.place.chmod(0o755)
        home = self.place / "home"
        home.mkdir()
        self.work = self.place / "work"
        self.env = {
            "HOME": str(home),
            "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "TERM": "xterm",
            "NOTIFY_DONE_STATE": str(self.place / "state"),
            "NOTIFY_DONE_MIN_DURATION": "1h",
        }

    def fresh(self):
        """The working folder, always at the same place and empty."""
        if self.work.exists():
            shutil.rmtree(self.work)
        self.work.mkdir()
        return self.work

    def ways(self, argv, script):
        """(name, argv, `$W`) bare, with us around the whole, around what the script asks for, both."""
        inside = " ".join(WRAPPER)
        yield "bare", argv, ""
        yield "whole", [*WRAPPER, *argv], ""
        if "$W" in script:
            yield "inside", argv, inside
            yield "both", [*WRAPPER, *argv], inside

    def alike(self, script, shell=("bash", "-c"), make=None, clean=None, **more):
        """Runs a script in each of the `ways`; `make` fills the folder first, `clean` takes out of the
        outputs what differs from run to run anyway. Returns what was seen of the bare run."""
        bare = None
        for name, argv, wrapper in self.ways([*shell, script], script):
            folder = self.fresh()
            if make:
                make(folder)
            seen = observe(argv, {**self.env, "W": wrapper}, folder, **more)
            if clean:
                seen.out, seen.err = clean(seen.out), clean(seen.err)
            if bare is None:
                bare = seen
            else:
                self.assertEqual(bare, seen, f"bare is left, wrapped ({name}) is right, of {script}")
        return bare


@contextlib.contextmanager
def at_most(seconds):
    """For what must not wait for a sleeper."""
    begin = time.monotonic()
    yield
    assert time.monotonic() - begin < seconds, "it has waited"
