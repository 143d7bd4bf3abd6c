"""A real job under the program: a scikit-learn training that succeeds, raises, or is killed."""

import os
import signal
import subprocess
from collections import Counter
from pathlib import Path

import harness

TRAIN = Path(__file__).with_name("train.py")
PYTHON = harness.ROOT / "target" / "test-venv" / "bin" / "python"
# One thread: the figures don't depend on the machine's cores, and a small machine isn't slowed.
ENV = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def argv(*options):
    return [str(PYTHON), str(TRAIN), *options]


def lines_with(text, part):
    return [line for line in text.splitlines() if part in line]


class TrainingTest(harness.RealTest):
    def setUp(self):
        if not PYTHON.exists():
            self.fail(f"{PYTHON} isn't there: tests/real/install.sh makes it")
        super().setUp()
        self.login = self.use("qq")

    def bare(self, *options):
        """The training by itself, in the same place."""
        return subprocess.run(
            argv(*options), env={**self.sandbox.env, **ENV}, cwd=self.sandbox.home,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=harness.LIMIT_SECONDS,
        )  # fmt: skip

    def start(self, *command):
        """Starts a command in the sandbox, to be killed; nothing of it outlives the test."""
        child = subprocess.Popen(
            command, env={**self.sandbox.env, **ENV}, cwd=self.sandbox.home,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.addCleanup(self.end, child)
        return child

    def end(self, child):
        for pid in self.trainings():
            os.kill(pid, signal.SIGKILL)
        if child.poll() is None:
            child.kill()
        child.communicate()

    def trainings(self):
        """The processes that run train.py in this sandbox; not those that only wrap it."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                words = (place / "cmdline").read_bytes().split(b"\0")
                if words[:2] == [os.fsencode(word) for word in argv()] and (place / "cwd").samefile(self.sandbox.home):
                    found.append(int(place.name))
            except OSError:  # It has ended meanwhile.
                continue
        return found

    def kill_when_waiting(self, child):
        """Kills the training itself, as the kernel does when memory is out; returns its stdout."""
        shown = b""
        while not shown.endswith(b"waiting\n"):
            line = child.stdout.readline()
            self.assertTrue(line, f"it ended after {shown!r}: {child.stderr.read() if not line else ''}")
            shown += line
        (pid,) = self.trainings()
        os.kill(pid, signal.SIGKILL)
        rest, _ = child.communicate(timeout=harness.LIMIT_SECONDS)
        return shown + rest

    def the_mail(self):
        (mail,) = self.mails("qq", self.login, 1)
        self.assertEqual(list(mail.attachments), ["log.txt"])
        (spool,) = self.sandbox.state.glob("runs/*/log")
        self.assertEqual(mail.attachments["log.txt"], spool.read_bytes())
        return mail

    def check_log(self, mail, stdout, stderr):
        """It holds what both streams got, no byte more or less; the order between them is free."""
        log = mail.attachments["log.txt"]
        self.assertEqual(Counter(log), Counter(stdout + stderr))
        at = 0
        for line in stdout.splitlines():
            at = log.find(line, at) + len(line)
            self.assertGreaterEqual(at, len(line), f"{line!r} is missing in {log!r}")

    def check_bar(self, mail, percent):
        """tqdm draws its bar dozens of times: the mail shows its last state, marked as stderr's."""
        self.assertGreater(mail.attachments["log.txt"].count(b"\repochs:"), 3)
        bars = lines_with(mail.text, "epochs:")
        self.assertEqual(len(bars), 1, mail.text)
        self.assertRegex(bars[0], rf"^! epochs: +{percent}%\|")
        self.assertEqual(mail.html.count("!&nbsp;epochs:"), 1)
        for line in lines_with(mail.text, "accuracy="):
            self.assertTrue(line.startswith("  epoch="), line)

    def test_succeeding(self):
        bare = self.bare()
        result = self.sandbox.run("--", *argv(), env=ENV)
        self.assertEqual((result.status, result.stdout), (0, bare.stdout), str(result))
        self.assertEqual(bare.returncode, 0)
        mail = self.the_mail()
        self.assertRegex(mail.subject, r"^✅ train\.py ")
        last = bare.stdout.decode().splitlines()[-1]
        self.assertRegex(last, r"^best accuracy 0\.9\d+$")
        for body in (mail.text, mail.html):
            self.assertIn(last, body)
        self.check_bar(mail, 100)
        self.check_log(mail, result.stdout, result.stderr)

    def test_raising(self):
        bare = self.bare("--fail-at", "5")
        result = self.sandbox.run("--", *argv("--fail-at", "5"), env=ENV)
        self.assertEqual((result.status, result.stdout), (1, bare.stdout), str(result))
        self.assertEqual(bare.returncode, 1)
        mail = self.the_mail()
        self.assertRegex(mail.subject, r"^❌ train\.py · exit 1 · ")
        raised = bare.stderr.decode().splitlines()[-1]
        self.assertRegex(raised, "^ValueError: cannot reshape array")
        self.assertIn(f"! {raised}\n", mail.text)
        self.assertIn(raised, mail.html)
        self.check_bar(mail, 33)
        self.check_log(mail, result.stdout, result.stderr)

    def test_killed(self):
        bare = self.start(*argv("--hang-at", "4"))
        bare_stdout = self.kill_when_waiting(bare)
        wrapped = self.start(harness.binary(), "--", *argv("--hang-at", "4"))
        stdout = self.kill_when_waiting(wrapped)
        self.assertEqual((wrapped.returncode, stdout), (bare.returncode, bare_stdout))
        self.assertEqual(bare.returncode, -signal.SIGKILL)
        mail = self.the_mail()
        self.assertRegex(mail.subject, r"^❌ train\.py · SIGKILL")
        for body in (mail.text, mail.html):
            self.assertIn("SIGKILL", body)
            self.assertIn("waiting", body)
        # tqdm redraws ten times a second at most, and wasn't asked for a last time.
        self.check_bar(mail, r"\d+")
