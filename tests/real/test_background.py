"""What goes on after a first try that failed: in the background, by the next start, without anybody's help.

Takes a minute, since the first pause does.
"""

import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import harness
import kills


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class BackgroundTest(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory(prefix="nd-background-")
        self.addCleanup(self.place.cleanup)
        self.sandbox = harness.Sandbox(self.place.name)
        # Its processes are found by this.
        self.sandbox.env["NOTIFY_DONE_STATE"] = str(self.sandbox.state)
        self.sandbox.env["NOTIFY_DONE_KEEP_TRYING"] = "1h"
        self.port = free_port()
        self.configure()
        self.addCleanup(self.end_all)

    def configure(self, **more):
        account = harness.account("sink", "10001@qq.com", "abcdefghijklmnop", self.port, "none", host="127.0.0.1")
        self.sandbox.write_config(account + "".join(f"{key} = {value}\n" for key, value in more.items()))

    def processes(self):
        return list(kills.of_the_same_state(self.sandbox.state))

    def end_all(self):
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)

    def entries(self, folder):
        return list(self.sandbox.state.glob(f"outbox/{folder}/*/entry.json"))

    def test_a_mail_goes_out_by_itself_when_its_server_is_back(self):
        """Catches: a notice that waits for somebody to come and ask for it; a process for each that waits; one
        that never ends."""
        for title in ("first", "second"):
            done = self.sandbox.run("--title", title, "--wait", "30s", "--", "true")
            self.assertIn("tried again at", done.err, done)
        kills.wait_until("one process that waits for both", lambda: len(self.processes()) == 1)
        with kills.Sink(self.port) as sink:
            for title in ("first", "second"):
                self.assertEqual(len(sink.wait_for(title, 100)), 1, title)
            kills.wait_until("its end", lambda: not self.processes())
            self.assertEqual((len(sink.mails), len(self.entries("sent"))), (2, 2))
            sink.shutdown()

    def test_who_shuts_the_machine_down_is_not_kept_waiting(self):
        """Catches: a process that is deaf to TERM for an hour: systemd waits 90 s for such."""
        self.sandbox.run("--wait", "30s", "--", "true")
        kills.wait_until("the process that waits", lambda: len(self.processes()) == 1)
        kills.wait_until("its wait", self.heeds_term)
        os.kill(self.processes()[0], signal.SIGTERM)
        kills.wait_until("its end", lambda: not self.processes(), 5)
        self.assertEqual(len(self.entries("new")), 1)

    def test_who_can_do_nothing_sleeps(self):
        """Catches: a process that goes round and round at full speed, and deaf to TERM, since notify.toml was
        broken after its first try."""
        self.sandbox.run("--wait", "30s", "--", "true")
        kills.wait_until("the process that waits", lambda: len(self.processes()) == 1)
        (entry,) = self.entries("new")
        entry.write_text(entry.read_text().replace('"next_try": "20', '"next_try": "19'))
        self.sandbox.write_config("nonsense = [")
        # Nothing shows that it has looked: it does each half a minute.
        time.sleep(32)
        (pid,) = self.processes()
        fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
        self.assertLess((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), 1)
        os.kill(pid, signal.SIGTERM)
        kills.wait_until("its end", lambda: not self.processes(), 5)
        self.assertEqual(len(self.entries("new")), 1)

    def test_a_flush_that_fails_does_not_end_it(self):
        """Catches: a mail that nobody tries any more, since somebody flushed in vain at the moment when the process
        that waits for it looked whether there still is one."""
        self.sandbox.run("--wait", "30s", "--", "true")
        kills.wait_until("the process that waits", lambda: len(self.processes()) == 1)
        (pid,) = self.processes()
        silent = socket.socket()
        silent.bind(("127.0.0.1", self.port))
        silent.listen()
        self.addCleanup(silent.close)
        # Longer than between two looks.
        self.configure(timeout='"35s"')
        self.sandbox.run("outbox", "flush")
        self.assertEqual(len(self.entries("new")), 1)
        self.assertEqual(self.processes(), [pid])

    def heeds_term(self):
        for pid in self.processes():
            status = dict(line.split(":\t") for line in open(f"/proc/{pid}/status") if ":\t" in line)
            blocked, ignored = (int(status[key], 16) >> (signal.SIGTERM - 1) & 1 for key in ("SigBlk", "SigIgn"))
            return not blocked and not ignored
        return False

    def test_the_next_start_sends_what_is_due(self):
        """Catches: a notice of last week that goes out when the next run, of three days, has ended."""
        self.sandbox.env["NOTIFY_DONE_KEEP_TRYING"] = "0s"
        self.sandbox.run("--title", "earlier", "--wait", "30s", "--", "true")
        (entry,) = self.entries("new")
        entry.write_text(entry.read_text().replace('"next_try": "20', '"next_try": "19'))
        with kills.Sink(self.port) as sink:
            argv = [harness.binary(), "--title", "later", "--", "sh", "-c", "read x"]
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            with subprocess.Popen(argv, env=self.sandbox.env, stdin=subprocess.PIPE, **quiet) as front:
                self.assertEqual(len(sink.wait_for("earlier", 60)), 1)
                self.assertIsNone(front.poll(), "while the next run goes on")
            self.assertEqual(len(sink.wait_for("later", 60)), 1)
            self.assertEqual(len(sink.mails), 2)
            sink.shutdown()

    def test_the_next_start_tells_of_what_was_given_up(self):
        """Catches: a notice that is given up in the background, of which nobody ever hears."""
        self.sandbox.env["NOTIFY_DONE_KEEP_TRYING"] = "0s"
        self.sandbox.run("--wait", "30s", "--", "true")
        (entry,) = self.entries("new")
        text = entry.read_text().replace('"next_try": "20', '"next_try": "19')
        text = text.replace('"created": "20', '"created": "19').replace('"rounds": 1', '"rounds": 9')
        entry.write_text(text)
        # A command of a few milliseconds is over before anybody looks about.
        until_then = 'until ls "$0"/outbox/failed/*/entry.json; do sleep 0.02; done >/dev/null 2>&1'
        done = self.sandbox.run("--on", "failure", "--", "sh", "-c", until_then, self.sandbox.state)
        self.assertEqual(done.err, "")
        kills.wait_until("the end of the last try", lambda: not self.processes())
        done = self.sandbox.run("--on", "failure", "--", "true")
        self.assertIn("1 of your notices could not be delivered", done.err)
        done = self.sandbox.run("--on", "failure", "--", "true")
        self.assertEqual(done.err, "", "told once")
        listed = self.sandbox.run("outbox", "list").stdout.decode()
        self.assertIn("outbox retry", listed)
        with kills.Sink(self.port) as sink:
            done = self.sandbox.run("outbox", "retry", "--all-failed")
            self.assertEqual((done.status, len(sink.mails)), (0, 1), done)
            sink.shutdown()

    def test_who_was_unreachable_is_not_waited_for(self):
        """Catches: a shell prompt that comes back late after each of twenty short runs, since the network is
        down."""
        silent = socket.socket()
        silent.bind(("127.0.0.1", self.port))
        silent.listen()
        self.addCleanup(silent.close)
        self.configure(timeout='"1s"')
        self.sandbox.env["NOTIFY_DONE_KEEP_TRYING"] = "0s"
        done = self.sandbox.run_on_terminal("--", "true")
        self.assertGreater(done.seconds, 0.9, "waited for the first")
        kills.wait_until("its end", lambda: not self.processes())
        done = self.sandbox.run_on_terminal("--", "true")
        self.assertLess(done.seconds, 0.9, done)
        self.assertIn(b"no mail server could be reached a moment ago", done.stdout)
        kills.wait_until("its end", lambda: not self.processes())
        self.assertEqual(len(self.entries("new")), 2)
