"""The main job when things go badly on this side: the command's own result is never touched."""

import fcntl
import io
import os
import pty
import resource
import shutil
import socket
import subprocess
import termios
import threading
import time
import zipfile

import harness
import mailbox

JOB = ("--", "sh", "-c", "echo out; echo err >&2; exit 3")
# A megabyte on stdout, then a word on stderr.
MEGABYTE = ("--", "sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x; echo err >&2; exit 3")


# 6 MB of output, then a checkpoint of 100 KB on the same disk as our log.
FILL = (
    "head -c 6000000 /dev/zero | tr '\\0' x; "
    "head -c 100000 /dev/zero >\"$NOTIFY_DONE_STATE/../checkpoint\" && printf saved"
)


def with_mount(options, place, argv):
    """`argv` run where `place` is a file system of its own, in a mount namespace of its own."""
    script = f'mount -t tmpfs -o {options} none "$0" && shift 0 && exec "$@"'
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", "--mount", *user, "sh", "-c", script, str(place), *argv]


class HangingServer:
    """Accepts connections and never says a word."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.accepted = threading.Event()
        self.held = []
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def _serve(self):
        while True:
            try:
                self.held.append(self.listener.accept()[0])
            except OSError:
                return
            self.accepted.set()

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.held:
            connection.close()


class BadDaysTest(harness.RealTest):
    def run_mounted(self, options, *arguments):
        state = self.sandbox.dir / "state"
        state.mkdir(exist_ok=True)
        self.sandbox.env["NOTIFY_DONE_STATE"] = str(state / "notify-done")
        argv = with_mount(options, state, [harness.binary(), *arguments])
        done = subprocess.run(argv, env=self.sandbox.env, cwd=self.sandbox.home, capture_output=True, timeout=60)
        return harness.Result(done.returncode, done.stdout, done.stderr, 0)

    def test_a_full_disk(self):
        """Statement 88. Catches a command that is held up or fails because the log finds no room."""
        login = self.use("qq")
        result = self.run_mounted("size=256k", *MEGABYTE)
        self.assertEqual((result.status, len(result.stdout)), (3, 1_000_000), str(result))
        self.assertIn("err", result.err)
        (mail,) = self.mails("qq", login, 1)
        # What the disk took is attached; the mail says how much is missing, and why.
        self.assertRegex(mail.text, "(?i)no space left")
        # The job's own files find room: the log stops before the disk is full.
        result = self.run_mounted("size=4m", "--", "sh", "-c", FILL)
        self.assertEqual((result.status, result.stdout[-5:]), (0, b"saved"), result.err)
        self.assertGreater(len(mail.attachments["log.txt"]), 50_000)

    def test_a_read_only_home(self):
        """Statement 90. Catches a command that doesn't run because there is nowhere to write."""
        login = self.use("qq")
        result = self.run_mounted("ro", *JOB)
        self.assertEqual((result.status, result.stdout), (3, b"out\n"), str(result))
        self.assertTold(result, "can't write to .*notify-done", "read-only", "NOTIFY_DONE_STATE")
        (mail,) = self.mails("qq", login, 1)
        self.assertEqual(sorted(mail.attachments["log.txt"].split()), [b"err", b"out"])

    def test_a_home_that_does_not_exist(self):
        login = self.use("qq")
        home = self.sandbox.dir / "file" / "home"
        (self.sandbox.dir / "file").write_text("no folder can be made below a file")
        result = self.sandbox.run("--config", self.sandbox.config, *JOB, env={"HOME": str(home)}, cwd="/")
        self.assertEqual((result.status, result.stdout), (3, b"out\n"), str(result))
        self.assertTold(result, "can't write to", "NOTIFY_DONE_STATE")
        self.mails("qq", login, 1)

    def test_no_home_variable(self):
        login = self.use("qq")
        env = {key: value for key, value in self.sandbox.env.items() if key != "HOME"}
        env["NOTIFY_DONE_STATE"] = str(self.sandbox.dir / "state")
        argv = [harness.binary(), "--config", str(self.sandbox.config), *JOB]
        done = subprocess.run(argv, env=env, cwd="/", capture_output=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (3, b"out\n", b"err\n"))
        self.mails("qq", login, 1)

    def test_nowhere_to_write_at_all(self):
        """Not one place takes the notice: the command runs, and the loss is told."""
        self.use("qq")
        nowhere = "/proc/nowhere"
        env = {"NOTIFY_DONE_STATE": nowhere, "XDG_RUNTIME_DIR": nowhere, "TMPDIR": nowhere}
        argv = with_mount("ro", "/dev/shm", [harness.binary(), *JOB])
        done = subprocess.run(
            argv, env={**self.sandbox.env, **env}, cwd=self.sandbox.home, capture_output=True, timeout=60
        )
        result = harness.Result(done.returncode, done.stdout, done.stderr, 0)
        self.assertEqual((result.status, result.stdout), (3, b"out\n"), str(result))
        self.assertTold(result, "no log of this run is kept", "could not be kept", "NOTIFY_DONE_STATE")

    def test_what_another_user_planted_is_never_sent(self):
        """The places that are used when the home can't be written are open to all: whoever makes our
        folder there first could have us mail any file of the user's."""
        login = self.use("qq")
        self.down("qq")
        self.sandbox.env["NOTIFY_DONE_STATE"] = "/proc/nowhere"
        self.check_kept_in_runtime(self.sandbox.run(*JOB))
        (planted,) = self.runtime_folders()
        sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
        subprocess.run([*sudo, "chown", "-R", "54321", planted], check=True)
        self.addCleanup(subprocess.run, [*sudo, "chown", "-R", str(os.geteuid()), planted], check=True)
        self.servers.resume("qq")
        listed = self.sandbox.run("outbox", "list")
        self.assertEqual(listed.stdout, b"nothing waits in the outbox\n", str(listed))
        self.sandbox.run("outbox", "flush")
        self.mails("qq", login, 0)

    def check_kept_in_runtime(self, result):
        self.assertEqual((result.status, result.stdout), (3, b"out\n"), str(result))
        self.assertTold(result, "kept")

    def runtime_folders(self):
        return list(self.sandbox.runtime.iterdir())

    def test_a_limit_on_file_sizes(self):
        """Statement 89. `ulimit -f` hits our spool first; SIGXFSZ must not kill us."""
        login = self.use("qq")

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

        argv = [harness.binary(), *MEGABYTE]
        done = subprocess.run(
            argv, env=self.sandbox.env, cwd=self.sandbox.home, capture_output=True, timeout=60, preexec_fn=limit
        )
        self.assertEqual((done.returncode, len(done.stdout)), (3, 1_000_000), done.stderr)
        (mail,) = self.mails("qq", login, 1)
        self.assertRegex(mail.text, "(?i)file too large")

    def test_a_broken_config_warns_and_the_mail_is_held(self):
        login = self.use("qq")
        self.sandbox.config.write_text(self.sandbox.config.read_text().replace("port =", "port = \"many\" #") + "[mail]\nsubjct = \"x\"\n")
        result = self.sandbox.run(*JOB)
        self.assertEqual((result.status, result.stdout), (3, b"out\n"), str(result))
        self.assertTold(result, r"notify\.toml:\d+", "port", "subjct", "held", "notify-done outbox flush")
        self.mails("qq", login, 0)
        strict = self.sandbox.run("--strict", *JOB)
        self.assertEqual((strict.status, strict.stdout), (125, b""), str(strict))
        # Mended: the held one goes out.
        self.use("qq")
        flushed = self.sandbox.run("outbox", "flush")
        self.assertEqual(flushed.status, 0, str(flushed))
        self.mails("qq", login, 1)

    def test_ctrl_c_ends_the_wait_and_the_mail_is_kept(self):
        login = self.use("qq")
        config = self.sandbox.config.read_text()
        with HangingServer() as server:
            port = self.servers["qq"]["ports"]["implicit"]
            self.sandbox.config.write_text(config.replace(f"port = {port}", f"port = {server.port}"))
            status, shown, seconds = self.press_ctrl_c_when(server.accepted, "--wait", "100s", *JOB)
            self.assertEqual(status, 3, shown)
            self.assertLess(seconds, 20, shown)
            self.assertIn(b"notify-done outbox flush", shown)
        # The connection has broken, so the mailer ends its try and the notice waits.
        deadline = time.monotonic() + 30
        while "new" not in (listed := self.sandbox.run("outbox", "list").stdout.decode()):
            self.assertLess(time.monotonic(), deadline, listed)
            time.sleep(0.05)
        self.sandbox.config.write_text(config)
        flushed = self.sandbox.run("outbox", "flush")
        self.assertEqual(flushed.status, 0, str(flushed))
        self.mails("qq", login, 1)

    def press_ctrl_c_when(self, event, *arguments):
        main, terminal = pty.openpty()

        def take_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        begin = time.monotonic()
        child = subprocess.Popen(
            [harness.binary(), *arguments], env={**self.sandbox.env, "TERM": "xterm"}, cwd=self.sandbox.home,
            stdin=terminal, stdout=terminal, stderr=terminal, preexec_fn=take_terminal,
        )  # fmt: skip
        os.close(terminal)
        try:
            self.assertTrue(event.wait(30), "the mailer never connected")
            os.write(main, b"\x03")
            shown = harness.read_terminal(main, child, begin + 60)
        finally:
            os.close(main)
            if child.poll() is None:
                child.kill()
                child.wait()
        return child.returncode, shown, time.monotonic() - begin


class LargeLogTest(harness.RealTest):
    SIZE = 1 << 30

    def test_a_gibibyte_of_output(self):
        """Statement 56. One line of 1 GiB: catches a buffer that waits for its end."""
        free = shutil.disk_usage(self.sandbox.dir).free
        self.assertGreater(free, 4 * self.SIZE, "this test needs 4 GiB of disk")
        login = self.use("qq")
        with open(os.devnull, "wb") as sink:
            child = subprocess.Popen(
                [harness.binary(), "--wait", "120s", "--", "head", "-c", str(self.SIZE), "/dev/zero"],
                env=self.sandbox.env, cwd=self.sandbox.home, stdout=sink, stderr=subprocess.PIPE,
            )  # fmt: skip
            peak = 0
            while child.poll() is None:
                peak = max(peak, pss_of_ours())
                time.sleep(0.02)
        error = child.stderr.read().decode()
        child.stderr.close()
        self.assertEqual((child.returncode, error), (0, ""))
        print(f"1 GiB of output: {peak / 1024:.1f} MiB PSS at most, all our processes together, without the program itself", flush=True)
        self.assertGreater(peak, 0, "no process of ours was ever seen")
        self.assertLess(peak, 6 * 1024, "KiB of PSS")

        self.servers.settle("qq")
        (raw,) = mailbox.files(login["maildir"])
        self.assertLess(os.path.getsize(raw), 73_400_320)
        (mail,) = self.mails("qq", login, 1)
        with zipfile.ZipFile(io.BytesIO(mail.attachments["log.zip"])) as archive, archive.open("log.txt") as file:
            (info,) = archive.infolist()
            self.assertGreater(info.file_size, 100_000_000)
            notices = [line for line in file if b"bytes left out here" in line]
        self.assertEqual(len(notices), 1)
        (log,) = self.sandbox.state.glob("runs/*/log")
        self.assertEqual(log.stat().st_size, self.SIZE)
        for body in (mail.text, mail.html):
            # HTML may hold places where a long path can break.
            plain = body.replace("&#8203;", "").replace("<wbr>", "").replace("\u200b", "")
            self.assertIn("1.0 GiB", plain)
            self.assertIn(str(log), plain)
            self.assertRegex(plain, "left out|omitted")


def pss_of_ours():
    """KiB of PSS of all processes that run the binary under test, without the pages of files: those are the
    program's own, of which one that isn't optimised has 60 MB (the optimised one: benches/run memory)."""
    total = 0
    ours = os.path.realpath(harness.binary())
    for process in os.listdir("/proc"):
        if not process.isdigit():
            continue
        try:
            if os.readlink(f"/proc/{process}/exe") != ours:
                continue
            with open(f"/proc/{process}/smaps_rollup") as rollup:
                fields = {line.split()[0]: int(line.split()[1]) for line in rollup if "kB" in line}
            total += fields["Pss:"] - fields["Pss_File:"]
        except OSError:
            continue  # It has ended meanwhile.
    return total
