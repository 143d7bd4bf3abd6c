"""What the real tests share: the servers, an environment of their own, and the program's binary."""

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import tempfile
import termios
import time
import unittest
from dataclasses import dataclass
from pathlib import Path

import mailbox
import servers

ROOT = Path(__file__).resolve().parents[2]
# The longest that any call may take; what hangs is killed and shown.
LIMIT_SECONDS = 120

_running = None


def all_servers():
    """The servers, started once for all tests; `shut_down` ends them."""
    global _running
    if _running is None:
        _running = servers.Servers().__enter__()
    return _running


def shut_down():
    global _running
    if _running is not None:
        _running, ending = None, _running
        ending.__exit__(None, None, None)


def binary():
    """The program under test: NOTIFY_DONE_BIN, else what `cargo build` made last."""
    chosen = os.environ.get("NOTIFY_DONE_BIN")
    built = [ROOT / "target" / profile / "notify-done" for profile in ("release", "debug")]
    candidates = [Path(chosen)] if chosen else sorted(filter(Path.exists, built), key=os.path.getmtime)
    if not candidates or not os.access(candidates[-1], os.X_OK):
        raise AssertionError("no binary: `cargo build`, or set NOTIFY_DONE_BIN to its path")
    return str(candidates[-1].resolve())


@dataclass
class Result:
    status: int
    stdout: bytes
    stderr: bytes
    seconds: float

    @property
    def err(self):
        return self.stderr.decode(errors="replace")

    def __str__(self):
        return (
            f"status {self.status} after {self.seconds:.2f} s\n"
            f"stdout: {self.stdout[:2000]!r}\nstderr:\n{self.err[:20000]}"
        )


class Sandbox:
    """A home of its own and an environment with nothing of the caller's but PATH."""

    def __init__(self, place):
        self.dir = Path(place)
        self.home = self.dir / "home"
        self.home.mkdir()
        # Where notices are kept when the home can't be written: not in the machine's own places.
        self.runtime = self.dir / "runtime"
        self.runtime.mkdir(mode=0o700)
        self.env = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "XDG_RUNTIME_DIR": str(self.runtime),
            # What goes on in the background would outlive the test.
            "NOTIFY_DONE_KEEP_TRYING": "0s",
        }

    @property
    def config(self):
        return self.home / ".config" / "notify-done" / "notify.toml"

    @property
    def state(self):
        return self.home / ".local" / "state" / "notify-done"

    def write_config(self, *accounts, head=""):
        """Writes notify.toml; `accounts` are texts from `account`."""
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.touch(mode=0o600)
        self.config.chmod(0o600)
        self.config.write_text(head + "\n".join(accounts))

    def write_code(self, code, name="code"):
        """Puts an authorization code into a file of mode 0600 and returns its path."""
        path = self.home / name
        path.touch(mode=0o600)
        path.write_text(code + "\n")
        return path

    def run(self, *arguments, stdin=b"", env=None, cwd=None, limit=LIMIT_SECONDS):
        """Runs the program; neither of its outputs is a terminal."""
        argv = [binary(), *map(str, arguments)]
        begin = time.monotonic()
        try:
            done = subprocess.run(
                argv, input=stdin, env={**self.env, **(env or {})}, cwd=cwd or self.home,
                capture_output=True, timeout=limit,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise AssertionError(
                f"{argv} runs after {limit} s; stdout: {error.stdout!r}\nstderr: {error.stderr!r}"
            ) from None
        return Result(done.returncode, done.stdout, done.stderr, time.monotonic() - begin)

    def run_on_terminal(self, *arguments, env=None, limit=LIMIT_SECONDS):
        """Runs it with a terminal on all three descriptors; what it shows is in `stdout`."""
        main, terminal = pty.openpty()

        def take_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        begin = time.monotonic()
        child = subprocess.Popen(
            [binary(), *map(str, arguments)], env={**self.env, "TERM": "xterm", **(env or {})},
            cwd=self.home, stdin=terminal, stdout=terminal, stderr=terminal, preexec_fn=take_terminal,
        )  # fmt: skip
        os.close(terminal)
        try:
            shown = read_terminal(main, child, begin + limit)
        finally:
            os.close(main)
            if child.poll() is None:
                child.kill()
                child.wait()
        return Result(child.returncode, shown, b"", time.monotonic() - begin)


def read_terminal(main, child, end):
    """What the terminal shows until `child` ends: others may hold the terminal for longer."""
    shown = b""
    child_fd = os.pidfd_open(child.pid)
    try:
        while True:
            ready, _, _ = select.select([main, child_fd], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise AssertionError(f"still running at the limit; shown: {shown!r}")
            if main in ready:
                try:
                    shown += os.read(main, 65536)
                    continue
                except OSError:  # EIO: nobody has the terminal open any more.
                    child.wait()
                    return shown
            child.wait()
            return shown
    finally:
        os.close(child_fd)


def account(name, address, code, port, tls="implicit", ca_file=None, host="localhost"):
    """`[accounts.NAME]`. `code`: the code itself, or the path of a file with it."""
    secret = f'{{ file = "{code}" }}' if isinstance(code, Path) else f'"{code}"'
    lines = [
        f"[accounts.{name}]",
        f'address = "{address}"',
        f"auth_code = {secret}",
        f'host = "{host}"',
        f"port = {port}",
        f'tls = "{tls}"',
    ]
    if ca_file:
        lines.append(f'ca_file = "{ca_file}"')
    return "\n".join(lines) + "\n"


def wait_until_alone(place, limit=10):
    """Waits until no process with this folder in its environment is left, or until a test's own that lasts
    longer has had its time."""
    end = time.monotonic() + limit
    while time.monotonic() < end and any(map(lambda it: os.fsencode(place) in it, environments())):
        time.sleep(0.02)


def environments():
    for process in os.listdir("/proc"):
        if process.isdigit() and int(process) != os.getpid():
            try:
                with open(f"/proc/{process}/environ", "rb") as environ:
                    yield environ.read()
            except OSError:
                continue  # It has ended meanwhile, or is another user's.


class RealTest(unittest.TestCase):
    """A test with the servers (mailboxes empty, all up) and a sandbox of its own."""

    maxDiff = None

    def setUp(self):
        self.servers = all_servers()
        for name in ("qq", "163"):
            for login in self.servers[name]["accounts"]:
                mailbox.clear(login["maildir"])
        place = tempfile.TemporaryDirectory(prefix="nd-home-")
        self.addCleanup(place.cleanup)
        # A mailer lives on for a moment behind its run, and would write into what is being removed.
        self.addCleanup(wait_until_alone, place.name)
        self.sandbox = Sandbox(place.name)

    def use(self, name, port="implicit", **changes):
        """Writes a notify.toml with the first account of server `name`; returns that account."""
        server = self.servers[name]
        login = server["accounts"][0]
        fields = {
            "name": f"a{name}",
            "address": login["address"],
            "code": self.sandbox.write_code(login["code"]),
            "port": server["ports"][port],
            "tls": "starttls" if port == "starttls" else "implicit",
            "ca_file": self.servers.ca_file,
            **changes,
        }
        self.sandbox.write_config(account(**fields))
        return login

    def down(self, name):
        """Takes the server down until `self.servers.resume(name)` or the end of the test."""
        self.servers.pause(name)
        self.addCleanup(self.servers.resume, name)

    def mails(self, name, login, count):
        """Exactly `count` mails lie in the mailbox, and no more are on their way."""
        self.servers.settle(name)
        found = mailbox.mails(login["maildir"])
        self.assertEqual(len(found), count, [(mail.subject, mail.message["Message-ID"], mail.message["Received"]) for mail in found])
        return found

    def assertTold(self, result, *patterns):
        """Each pattern is found in what the program said; case doesn't matter."""
        for pattern in patterns:
            self.assertIsNotNone(re.search(pattern, result.err, re.IGNORECASE), f"{pattern!r} in:\n{result}")


if __name__ == "__main__":
    sys.exit("the tests are run by tests/real/run.py")
