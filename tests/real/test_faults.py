"""Statements 60, 88, 89: faults that the kernel or a disk deal out.

strace(1) makes system calls fail (`-e inject=`); a disk that hangs is an ext4 in a loop device, frozen.
"""

import contextlib
import os
import re
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

import harness
import kills

OUT = b"".join(b"%d\n" % n for n in range(1, 30_001))
JOB = "seq 1 30000; echo err >&2; exit 3"
# A line every quarter of a second, for five seconds.
SLOWLY = "i=0; while [ $i -lt 20 ]; do i=$((i+1)); echo line $i; sleep 0.25; done; exit 3"
LINES = b"".join(b"line %d\n" % n for n in range(1, 21))
GAP = 4  # src/spool/index.rs

# Stops and wakes the command of its argument, three times.
SUSPEND = r"""
import os, signal, subprocess, sys
job = [sys.argv[1], "-q", "--on", "success", "--", "sh", "-c", "echo $$; read x; exit 9"]
run = subprocess.Popen(job, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
command = int(run.stdout.readline())
signal.alarm(30)
for _ in range(3):
    os.kill(command, signal.SIGSTOP)
    assert os.WIFSTOPPED(os.waitpid(run.pid, os.WUNTRACED)[1])
    os.kill(command, signal.SIGCONT)
    assert os.WIFCONTINUED(os.waitpid(run.pid, os.WCONTINUED)[1])
    print("stopped goes on", end=" ")
run.stdin.write(b"\n")
print(run.wait())
"""


def sudo():
    return [] if os.geteuid() == 0 else ["sudo", "-n"]


class FaultsTest(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory(prefix="nd-fault-")
        self.addCleanup(place.cleanup)
        self.sandbox = harness.Sandbox(place.name)
        self.sink = kills.Sink()
        self.addCleanup(self.sink.server_close)
        self.addCleanup(self.sink.shutdown)
        port = self.sink.server_address[1]
        self.sandbox.write_config(harness.account("sink", "10001@qq.com", "code", port, "none", host="127.0.0.1"))
        self.number = 0

    def run_traced(self, inject, job, stdout=subprocess.PIPE):
        """The job under strace with a fault; what strace saw, the run's result and its mail's text."""
        self.number += 1
        title, trace = f"run-{self.number}-", self.sandbox.dir / "trace"
        call = inject.split(":")[0]
        argv = ["strace", "-f", "-qq", "-ttt", "-o", trace, "-e", f"trace={call}", "-e", f"inject={inject}"]
        argv += [harness.binary(), "--wait", "60s", "--title", title, "--", "sh", "-c", job]
        done = subprocess.run(
            argv, env=self.sandbox.env, cwd=self.sandbox.home, stdin=subprocess.DEVNULL,
            stdout=stdout, stderr=subprocess.PIPE, timeout=harness.LIMIT_SECONDS,
        )  # fmt: skip
        (mail,) = self.sink.wait_for(title, 60)
        self.assertEqual(done.returncode, 3, done.stderr)
        return trace.read_text(), done, mail.get_body(("plain",)).get_content()

    def log(self):
        """Log and index of the newest run."""
        state = Path(self.sandbox.env.get("NOTIFY_DONE_STATE", self.sandbox.state))
        folder = max((state / "runs").iterdir())
        return [(folder / name).read_bytes() if (folder / name).exists() else b"" for name in ("log", "index")]

    def test_interrupted_calls_lose_nothing(self):
        """Statement 60. Catches EINTR taken for an end, or for "nothing written"."""
        for call in ("splice", "tee", "poll", "pwrite64", "waitid", "wait4"):
            for stdout in (subprocess.PIPE, subprocess.DEVNULL, None):
                with self.subTest(call=call, stdout=stdout):
                    self.check_interrupted(f"{call}:error=EINTR:when=1+2", stdout)

    def check_interrupted(self, inject, stdout):
        if stdout is None:
            got = []
            ours, theirs = socket.socketpair()
            reader = threading.Thread(target=lambda: got.append(b"".join(iter(lambda: ours.recv(65536), b""))))
            reader.start()
            _, done, text = self.run_traced(inject, JOB, theirs)
            theirs.close()
            reader.join()
            ours.close()
            out = got[0]
        else:
            _, done, text = self.run_traced(inject, JOB, stdout)
            out = done.stdout or OUT
        self.assertTrue(out == OUT, f"{len(out)} bytes")
        self.assertEqual(done.stderr, b"err\n")
        log = self.log()[0]
        at = len(os.path.commonprefix([log.replace(b"err\n", b""), OUT]))
        self.assertTrue(log.replace(b"err\n", b"") == OUT, f"the log: {len(log)} bytes, {log[at - 40 : at + 40]} at {at}")
        self.assertNotIn("missing", text)

    def test_a_kernel_that_refuses(self):
        """Statement 60. Catches output that is thrown away with the way that it took, as if its reader had
        gone; a front that waits for a canary which it can't end; a disk that is taken for dead since who was
        to ask it was killed."""
        for inject in ("splice:error=EINVAL:when=2+3", "tee:error=EINVAL:when=2", "kill:error=EPERM", "unlinkat:signal=KILL"):
            with self.subTest(inject):
                _, done, text = self.run_traced(inject, JOB)
                self.assertTrue(done.stdout == OUT and done.stderr == b"err\n", str(done)[:300])
                self.assertTrue(self.log()[0].replace(b"err\n", b"") == OUT)
                self.assertNotIn("missing", text)

    def test_no_process_for_the_mailer(self):
        """Statement 79. Catches a prompt that waits for the mail because the supervisor itself makes it."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            self.sandbox.write_config(harness.account("sink", "10001@qq.com", "code", port, "none", host="127.0.0.1"))
            gate = self.sandbox.dir / "gate"
            os.mkfifo(gate)
            argv = [harness.binary(), "--wait", "1s", "--", "sh", "-c", 'read x <"$0"; exit 3', gate]
            run = subprocess.Popen(argv, env=self.sandbox.env, cwd=self.sandbox.home, stderr=subprocess.PIPE)
            parents = []

            def the_command_runs():
                parents[:] = [pid for pid in kills.children(run.pid) if kills.children(pid)]
                return parents

            kills.wait_until("the command runs", the_command_runs)
            argv = [*sudo(), "strace", "-qq", "-o", self.sandbox.dir / "trace", "-e", "inject=clone:error=EAGAIN"]
            tracer = subprocess.Popen([*argv, "-p", str(parents[0])])
            status = Path(f"/proc/{parents[0]}/status")
            kills.wait_until("strace is there", lambda: "TracerPid:\t0\n" not in status.read_text())
            gate.write_text("go\n")
            said = run.stderr.readline()
        # The supervisor outlives the front, until the server is gone.
        self.assertEqual(run.wait(harness.LIMIT_SECONDS), 3)
        run.stderr.close()
        tracer.wait(harness.LIMIT_SECONDS)
        self.assertIn(b"still under way", said)

    def test_where_proc_tells_nothing(self):
        """Statements 28, 30. Catches a front that runs on when its command stops, since it can't look
        (a `sudo` under hidepid, a chroot without /proc): a shell would never give its prompt."""
        argv = ["sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh", "python3", "-c", SUSPEND, harness.binary()]
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        done = subprocess.run(
            ["unshare", "--mount", *user, *argv], env=self.sandbox.env, cwd=self.sandbox.home,
            stdout=subprocess.PIPE, timeout=harness.LIMIT_SECONDS,
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stdout), (0, b"stopped goes on " * 3 + b"9\n"))

    def test_a_disk_that_refuses(self):
        """Statements 88, 89. Catches output that suffers from the log's disk, and a log that has less than
        the mail says."""
        words = {"ENOSPC": "no space left", "EIO": "i(nput)?/o(utput)?", "EDQUOT": "quota", "EFBIG": "too large"}
        for error, said in words.items():
            with self.subTest(error):
                _, done, text = self.run_traced(f"pwrite64:error={error}", JOB)
                self.assertTrue(done.stdout == OUT and done.stderr == b"err\n", str(done)[:300])
                self.assertEqual(self.log()[0], b"")
                self.assertRegex(text, f"(?i)missing.*{said}")
        # Both the way from the command and that to the disk fail.
        _, done, text = self.run_traced("splice:error=ENOSPC:when=2+3", JOB, subprocess.DEVNULL)
        self.assertEqual(done.stderr, b"err\n")

    def test_a_disk_that_takes_bytes_again(self):
        """Statement 88. Catches a disk that is asked at every line, or never again, and an end of the output
        that is gone when it answers."""
        trace, done, text = self.run_traced("pwrite64:error=ENOSPC:when=2..3", SLOWLY)
        self.assertEqual(done.stdout, LINES)
        log, index = self.log()
        self.assertEqual(log, LINES)
        self.assertNotIn("missing", text)
        records = [index[at : at + 16] for at in range(16, len(index) - 15, 16)]
        self.assertIn(GAP, [record[15] for record in records])
        refused = [float(line.split()[1]) for line in trace.splitlines() if "ENOSPC" in line]
        self.assertEqual(len(refused), 2, trace)
        self.assertGreaterEqual(refused[1] - refused[0], 1.9, trace)

    def test_a_disk_that_hangs_in_a_call(self):
        """Statement 88. Catches output, or an end, that waits for the log's disk; and a log that never gets
        what was kept in memory."""
        _, done, text = self.run_traced("pwrite64:delay_enter=15s:when=3", SLOWLY)
        self.assertEqual(done.stdout, LINES)
        self.assertNotIn("missing", text)
        self.assertEqual(self.log()[0], LINES)
        seconds = re.search(r"^Duration +([\d.]+)s", text, re.M)
        self.assertLess(float(seconds.group(1)), 12, "the job takes 5 s")

    def test_a_disk_that_hangs_for_good(self):
        """Statement 88. The same where not even SIGKILL ends the call, as with a dead NFS server: catches a
        front that waits for a supervisor that can't end, or writes to that disk itself; a log without what
        was written meanwhile, a mail without its end, and a duration that has our own waiting in it."""
        with frozen_disk(self.sandbox.dir) as disk:
            if disk is None:
                print("no loop device to be had: a disk that hangs for good was not tried", flush=True)
                return
            state = disk.folder / "state"
            self.sandbox.env["NOTIFY_DONE_STATE"] = str(state)
            much = b"".join(b"%d\n" % n for n in range(1, 200_001))
            for job, out in (
                (SLOWLY, LINES),
                ("exit 3", b""),
                ("echo the end; exit 3", b"the end\n"),
                ("echo a; sleep 4; seq 200000; exit 3", b"a\n" + much),
            ):
                with self.subTest(job):
                    self.check_hanging(disk, "echo first; read x; " + job, b"first\n" + out)

    def test_a_disk_that_hangs_before_the_start(self):
        """Statement 88. Catches a command that waits for the disk on which its log is to be."""
        with frozen_disk(self.sandbox.dir) as disk:
            if disk is None:
                print("no loop device to be had: a disk that hangs before the start was not tried", flush=True)
                return
            spare = self.sandbox.dir / "spare"
            spare.mkdir(mode=0o700)
            self.sandbox.env |= {"NOTIFY_DONE_STATE": str(disk.folder / "state"), "XDG_RUNTIME_DIR": str(spare)}
            for title in ("not-yet-made", "in-use"):
                with self.subTest(title):
                    self.check_frozen_start(disk, title)
                    argv = [harness.binary(), "--on", "failure", "--", "true"]
                    subprocess.run(argv, env=self.sandbox.env, check=True, timeout=30)
                    self.assertTrue((disk.folder / "state" / "runs").is_dir())

    def check_frozen_start(self, disk, title):
        disk.freeze()
        try:
            began = time.monotonic()
            # Not `run`, which would wait for ever for what it can't kill.
            front = subprocess.Popen(
                [harness.binary(), "--wait", "30s", "--title", title, "--", "sh", "-c", "echo out; exit 3"],
                env=self.sandbox.env, cwd=self.sandbox.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            out, said = front.communicate(timeout=30)
            self.assertEqual((front.returncode, out), (3, b"out\n"))
            self.assertIn(b"doesn't answer", said)
            (mail,) = self.sink.wait_for(title, 30)
            text = mail.get_body(("plain",)).get_content()
            self.assertRegex(text, "exit code 3")
            self.assertIn(str(self.sandbox.dir / "spare"), text)
            self.assertLess(time.monotonic() - began, 20)
        finally:
            disk.thaw()
            front.communicate()

    def check_hanging(self, disk, job, out):
        self.number += 1
        title = f"run-{self.number}-"
        began = time.monotonic()
        front = subprocess.Popen(
            [harness.binary(), "--wait", "1s", "--title", title, "--", "sh", "-c", job], env=self.sandbox.env,
            cwd=self.sandbox.home, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.assertEqual(front.stdout.readline(), b"first\n")
        got = []
        reader = threading.Thread(target=lambda: got.append(front.stdout.read()))
        reader.start()
        kills.wait_until("the log has it", lambda: any(log.stat().st_size for log in disk.folder.glob("state/runs/*/log")))
        disk.freeze()
        frozen = time.monotonic() - began
        try:
            front.stdin.write(b"go\n")
            front.stdin.flush()
            self.assertEqual(front.wait(30), 3)
            # `| cat` must end with it.
            reader.join(10)
            ended = not reader.is_alive()
            said = front.stderr.read() if ended else b""
        finally:
            disk.thaw()
        reader.join()
        self.assertTrue(ended, "the reader waits for the disk")
        self.assertTrue(b"first\n" + got[0] == out, len(got[0]))
        front.stdin.close()
        front.stderr.close()
        front.stdout.close()
        self.assertIn(b"still under way", said)
        (mail,) = self.sink.wait_for(title, 30)
        text = mail.get_body(("plain",)).get_content()
        self.assertRegex(text, "exit code 3")
        log = self.log()[0]
        if len(out) < 65536:
            self.assertEqual(log, out)
            self.assertNotIn("missing", text)
        else:
            self.assertTrue(log.startswith(b"first\na\n") and log.endswith(out[-60_000:]), len(log))
            self.assertRegex(text, "(?i)missing.*timed out")
        self.assertIn(out.split()[-1].decode(), text)
        if "sleep" not in job:
            length = re.search(r"^Duration +([\d.]+)(ms|s)", text, re.M)
            seconds = float(length.group(1)) / (1000 if length.group(2) == "ms" else 1)
            self.assertLess(seconds, frozen + 1)
        state = self.sandbox.env["NOTIFY_DONE_STATE"]
        kills.wait_until("all have ended", lambda: not list(kills.of_the_same_state(state)))
        for run in (disk.folder / "state" / "runs").iterdir():
            record = (run / "run.json").read_text()
            self.assertRegex(record, '"notice_due": *false')
        subprocess.run([*sudo(), "rm", "-rf", state], check=True)


class Disk:
    def __init__(self, folder):
        self.folder = folder

    def freeze(self):
        subprocess.run([*sudo(), "fsfreeze", "--freeze", self.folder], check=True)

    def thaw(self):
        subprocess.run([*sudo(), "fsfreeze", "--unfreeze", self.folder], check=True)


@contextlib.contextmanager
def frozen_disk(place):
    """A file system that can be frozen; None where there is no loop device."""
    image, folder = Path(place) / "image", Path(place) / "disk"
    folder.mkdir()
    with open(image, "wb") as file:
        file.truncate(64 << 20)
    tools = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "root_owner", image], check=True, env=tools)
    mounted = subprocess.run([*sudo(), "mount", "-o", "loop", image, folder], capture_output=True)
    if mounted.returncode != 0:
        yield None
        return
    try:
        yield Disk(folder)
    finally:
        kills.wait_until("it is free", lambda: subprocess.run([*sudo(), "umount", folder], capture_output=True).returncode == 0)
