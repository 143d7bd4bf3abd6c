"""Programs that nobody here wrote, on a terminal: bare, wrapped, and with `--pty full`."""

import os
import shutil
import subprocess
import sys
import tempfile
import termios
import unittest
from pathlib import Path

import harness

os.environ.setdefault("ND", harness.binary())
sys.path.insert(0, str(harness.ROOT / "tests" / "support"))
import terminal as tty  # noqa: E402

# For programs that read keys or set modes through their output: vim by 1, less and bash by 2.
ON_ITS_OWN = tty.BARE, tty.FULL


def echoes(name, ancestor):
    """Does the terminal echo that the program of this name has, at `ancestor` or below?"""
    if Path(f"/proc/{ancestor}/comm").read_text() != name + "\n":
        return any(echoes(name, child) for child in tty.children(ancestor))
    own = os.open(f"/proc/{ancestor}/fd/0", os.O_RDONLY | os.O_NOCTTY)
    try:
        return bool(termios.tcgetattr(own)[3] & termios.ECHO)
    finally:
        os.close(own)


class TerminalTest(unittest.TestCase):
    """Each test in a home of its own; no run is long enough for a mail."""

    def setUp(self):
        place = tempfile.TemporaryDirectory(prefix="nd-tty-")
        self.addCleanup(place.cleanup)
        self.env = {
            "HOME": place.name,
            "XDG_STATE_HOME": place.name + "/state",
            "NOTIFY_DONE_MIN_DURATION": "1h",
            "TERM": "xterm",
            "LANG": "C.UTF-8",
            "LESS": "",
            "LESSHISTFILE": "-",
        }
        before = os.getcwd()
        os.chdir(place.name)
        self.addCleanup(os.chdir, before)

    def each_way(self, argv, wrappers=(tty.BARE, tty.WRAPPED, tty.FULL)):
        """The command bare, wrapped, and wrapped with a terminal of its own."""
        for wrapper in wrappers:
            yield tty.Terminal(wrapper + argv, env=self.env)

    def end(self, terminal, status=0):
        """It ends with this status, and leaves the terminal as it was; all that was shown."""
        self.assertEqual(os.waitstatus_to_exitcode(terminal.wait()[0]), status)
        terminal.assert_modes()
        return terminal.shown

    def assertAlike(self, shown):
        self.assertTrue(shown[0])
        for wrapped in shown[1:]:
            self.assertEqual(shown[0], wrapped)

    def test_less(self):
        Path("numbers").write_text("".join(f"line {n}\n" for n in range(1000)))
        shown = []
        for terminal in self.each_way(["less", "numbers"], ON_ITS_OWN):
            terminal.expect("line 22")
            terminal.type("G")
            terminal.expect("line 999")
            terminal.type("g/line 500\r")
            terminal.expect("line 522")
            terminal.type("q")
            shown.append(self.end(terminal))
        self.assertAlike(shown)

    def test_git_with_a_pager(self):
        git = ["git", "-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
        subprocess.run([*git, "init", "-q"], check=True)
        for n in range(20):
            subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", f"Change {n}"], check=True)
        shown = []
        for terminal in self.each_way(["git", "log"], ON_ITS_OWN):
            terminal.expect("Change 19")
            terminal.type("G")
            terminal.expect("Change 0")
            terminal.type("q")
            shown.append(self.end(terminal))
        self.assertAlike(shown)

    def test_vim(self):
        vim = shutil.which("vim.tiny") or shutil.which("vim")
        for wrapper in ON_ITS_OWN:
            with self.subTest(" ".join(wrapper)):
                shell = tty.Shell(env=self.env)
                shell.line(f"cd {os.getcwd()}")
                shell.type(" ".join([*wrapper, vim, "-u", "NONE", "-N", "-n", "text"]) + "\n")
                shell.expect('"text" ')
                shell.type("ifirst\x1b")
                shell.expect("first")
                shell.type("\x1a")
                shell.expect("Stopped")
                shell.expect(shell.PROMPT)
                self.assertIn(" icanon", shell.line("stty -a"))
                shell.type("fg\n")
                shell.expect("first")
                shell.resize(40, 100)
                shell.type("osecond\x1b:wq\r")
                shell.expect(shell.PROMPT)
                self.assertIn("code=0.", shell.line("echo code=$?."))
                shell.close()
                self.assertEqual(Path("text").read_text(), "first\nsecond\n")
                Path("text").unlink()

    def test_a_passphrase_is_asked_for(self):
        shown = []
        for terminal in self.each_way(["openssl", "passwd", "-5", "-salt", "abcdefgh"]):
            terminal.expect("Password: ")
            # It asks first and turns the echo off then.
            tty.wait_until("the echo is off", lambda: not echoes("openssl", terminal.pid))
            terminal.type("xyzzy-plugh\r")
            shown.append(self.end(terminal))
            self.assertNotIn(b"xyzzy", terminal.shown)
        self.assertAlike(shown)
        for log in Path("state").glob("notify-done/runs/*/log"):
            self.assertNotIn(b"xyzzy", log.read_bytes())

    def test_a_shell_with_jobs_of_its_own(self):
        shown = []
        argv = ["bash", "--norc", "--noprofile", "--noediting", "-i"]
        self.env["PS1"] = "$ "
        for terminal in self.each_way(argv, ON_ITS_OWN):
            def line(text):
                terminal.type(text + "\n")
                return terminal.expect("$ ")

            terminal.expect("$ ")
            # Stopped by itself, by a key, and by a read in the background.
            line("sh -c 'kill -STOP $$; echo ba''ck'")
            line("fg")
            terminal.type("sh -c 'echo wa''its; read x; echo it is $x'\n")
            terminal.expect("waits\r\n")
            terminal.type("\x1a")
            terminal.expect("Stopped")
            terminal.expect("$ ")
            terminal.type("fg\n")
            terminal.expect("\r\n")
            terminal.expect("\r\n")
            self.assertIn("it is typed", line("typed"))
            terminal.type("sh -c 'echo wa''its; read x'\n")
            terminal.expect("waits\r\n")
            terminal.type("\x03")
            terminal.expect("$ ")
            self.assertIn("code=130.", line("echo code=$?."))
            terminal.type("exit 3\n")
            shown.append(self.end(terminal, 3))
        self.assertAlike(shown)
