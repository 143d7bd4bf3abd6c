"""Statements 81, 85, 88: whatever call our processes die at or the disk refuses, there is one mail.

strace(1) kills every process at its nth call of one kind, or fails that call in every process; each
process counts for itself, so that the successors of one that died meet the same. Then nothing is left
but what is on the disk, and `outbox flush` must make exactly one mail of it. Not killed: what never
came to be on record. A second mail, with the same Message-ID, is right only where a mailer died
between the server's last word and noting it: nobody can know better (RFC 1047).

NOTIFY_DONE_CRASH_ALL=1 tries each n; else of the calls that come by the dozen only some are tried.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor

import harness
import kills

AT_ONCE = 3
# The calls that leave something on the disk or at the server.
CALLS = ["rename", "linkat", "unlink", "unlinkat", "mkdir", "rmdir", "fsync", "flock", "utimensat", "write", "sendto", "openat"]
ERRORS = {"EIO": CALLS[:9] + ["openat"], "ENOSPC": ["rename", "mkdir", "fsync"]}
# Goes on until the run is on record, if it ever is.
JOB = 'echo first; i=0; while [ $i -lt 40 ] && ! ls "$RUNS"/*/run.json; do i=$((i+1)); sleep 0.02; done >/dev/null 2>&1; exit 3'
STEPS = {"openat": 5, "write": 2, "sendto": 2}
MOST = 200


class Scene:
    """A home, a server, and what lies there at the beginning."""

    def __init__(self, place, arguments):
        self.sink = kills.Sink()
        self.sandbox = harness.Sandbox(place)
        self.sandbox.env["RUNS"] = str(self.sandbox.state / "runs")
        # All processes of a run are found by this: see `of_the_same_state`.
        self.sandbox.env["NOTIFY_DONE_STATE"] = str(self.sandbox.state)
        port = self.sink.server_address[1]
        self.sandbox.write_config(harness.account("sink", "10001@qq.com", "code", port, "none", host="127.0.0.1"))
        self.arguments = arguments
        self.begin = self.sandbox.dir / "begin"

    def close(self):
        self.sink.shutdown()
        self.sink.server_close()

    def reset(self):
        shutil.rmtree(self.sandbox.state, ignore_errors=True)
        for left in self.sandbox.runtime.iterdir():
            shutil.rmtree(left)
        if self.begin.exists():
            shutil.copytree(self.begin, self.sandbox.state)
        self.sink.mails.clear()

    def begin_with_a_dead_run(self):
        """One of which nobody has told yet."""
        argv = [harness.binary(), "--", "sh", "-c", "echo first; read x"]
        with subprocess.Popen(argv, env=self.sandbox.env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as front:
            kills.wait_until("its record", lambda: list(self.sandbox.state.glob("runs/*/run.json")))
            kills.wait_until("its processes", lambda: kills.children(front.pid))
            kills.kill(front.pid, *kills.children(front.pid))
        self.wait_for_all()
        shutil.copytree(self.sandbox.state, self.begin)

    def wait_for_all(self):
        at_work = lambda: any(list(kills.of_the_same_state(self.sandbox.state)) for _ in range(3))
        kills.wait_until("the end of all processes", lambda: not at_work())

    def try_once(self, call, fault, n):
        """What is wrong afterwards, and did any process make so many calls?"""
        self.reset()
        trace = self.sandbox.dir / "trace"
        argv = ["strace", "-f", "-qq", "-o", trace, "-e", f"trace={call}", "-e", f"inject={call}:{fault}:when={n}"]
        done = subprocess.run(
            [*argv, harness.binary(), *self.arguments], env=self.sandbox.env, cwd=self.sandbox.home,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=harness.LIMIT_SECONDS,
        )  # fmt: skip
        self.wait_for_all()
        on_record = list(self.sandbox.state.glob("runs/*/run.json"))
        flushes = [self.sandbox.run("outbox", "flush") for _ in range(2)]
        wrong = [str(flush) for flush in flushes if flush.status != 0]
        wrong += self.mails_wrong(len(on_record)) + self.left_behind()
        if fault.startswith("error") and "flush" not in self.arguments and (done.returncode, done.stdout) != (3, b"first\n"):
            wrong.append(f"the command: {done}")
        made = re.findall(rf"^(\d+) +{call}\(", trace.read_text(), re.M)
        return wrong, any(made.count(pid) >= n for pid in set(made))

    def mails_wrong(self, on_record):
        roots = [self.sandbox.state, *self.sandbox.runtime.iterdir()]
        entries = [json.loads(entry.read_text()) for root in roots for entry in root.glob("outbox/*/*/entry.json")]
        again = sum("unknown" in attempt["outcome"] for entry in entries for attempt in entry["attempts"])
        mails = self.sink.mails
        if not on_record:
            return [f"{len(mails)} mails of no run"] if mails and not entries else []
        ids = {mail["Message-ID"] for mail in mails}
        return [] if len(ids) == 1 and len(mails) <= 1 + again else [f"{len(mails)} mails, {len(ids)} ids, {again} unknown"]

    def left_behind(self):
        wrong = []
        for folder in self.sandbox.state.glob("runs/*"):
            # What a process had just made, or couldn't remove, goes with the run.
            names = {path.name for path in folder.iterdir() if not path.name.startswith(".run.json.")}
            if (folder / "run.json").exists():
                wrong += [f"{name} is left" for name in names - {"run.json", "log", "index", "making"}]
                wrong += ["a notice is due"] if json.loads((folder / "run.json").read_text())["notice_due"] else []
        for place in ("claims", "outbox/tmp", "outbox/sending", "outbox/new"):
            wrong += [f"{path} is left" for path in self.sandbox.state.glob(f"{place}/*")]
        return wrong


class CrashPointsTest(unittest.TestCase):
    def check(self, arguments, dead_run=False):
        steps = {} if "NOTIFY_DONE_CRASH_ALL" in os.environ else STEPS
        faults = [(call, "signal=KILL") for call in CALLS]
        faults += [(call, f"error={error}") for error, calls in ERRORS.items() for call in calls]

        def sweep(call, fault):
            with tempfile.TemporaryDirectory(prefix="nd-crash-") as place:
                scene = Scene(place, arguments)
                tried, bad = 0, []
                try:
                    if dead_run:
                        scene.begin_with_a_dead_run()
                    for n in range(1, MOST, steps.get(call, 1)):
                        wrong, made = scene.try_once(call, fault, n)
                        bad += [f"{call}, {fault}, {n}: {'; '.join(wrong)}"] if wrong else []
                        tried += 1
                        if not made:
                            break
                finally:
                    scene.close()
                return tried, bad

        with ThreadPoolExecutor(AT_ONCE) as pool:
            results = list(pool.map(lambda fault: sweep(*fault), faults))
        print(sum(tried for tried, _ in results), "crash points", flush=True)
        bad = [line for _, lines in results for line in lines]
        self.assertEqual(bad, [], "\n".join(bad))

    def test_a_run(self):
        """Catches: a notice that is lost with a process of ours, or kept in a second place because the
        first only seemed to refuse it, and so sent twice."""
        self.check(["--wait", "60s", "--", "sh", "-c", JOB])

    def test_a_flush(self):
        """Catches: a flush that takes a dead run's notice with it when it is killed, so that the next one
        says that nothing waits."""
        self.check(["outbox", "flush"], dead_run=True)

    def test_a_disk_without_hard_links(self):
        """Catches: a run that isn't on record before its end where there are none (FAT, some of FUSE)."""
        with tempfile.TemporaryDirectory(prefix="nd-crash-") as place:
            scene = Scene(place, [])
            self.addCleanup(scene.close)
            argv = ["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=linkat", "-e", "inject=linkat:error=EPERM"]
            argv += [harness.binary(), "--wait", "60s", "--", "sh", "-c", "read x"]
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            with subprocess.Popen(argv, env=scene.sandbox.env, stdin=subprocess.PIPE, **quiet):
                # The command ends with its input, at the end of this block.
                kills.wait_until("its record", lambda: list(scene.sandbox.state.glob("runs/*/run.json")))
            scene.wait_for_all()
            self.assertEqual(len(scene.sink.mails), 1)
