"""Outboxes with entries that wait, and a server of which each word can be chosen: for the tests of the disk.

Entries are made by the program itself: a run whose mailer is killed while the server says nothing. Others
are copies of that one under ids of their own.
"""

import json
import re
import shutil
import signal
import socketserver
import subprocess
import threading
import time
from pathlib import Path

import harness
import kills

CODE = "abcdefghijklmnop"
ADDRESS = "10001@qq.com"


class Sink(socketserver.ThreadingTCPServer):
    """Takes mail for everybody but those that `refuse` names, and keeps what it took.

    It counts what it has taken when the "." has come, as servers do, whether or not its answer is read.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Session)
        self.changed = threading.Condition()
        self.reset()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def reset(self):
        # [(recipients, data)], in the order in which they were taken.
        self.taken = []
        # Address → the refusal that RCPT gets.
        self.refuse = {}
        # What is said to the words of a login: lines, given what was sent. None: nothing, for ever.
        self.auth = lambda sent: ["235 ok"]
        # What is said to MAIL, and in front of the receipt.
        self.mail = "ok"
        # Seconds between the "." and its answer.
        self.slow = 0
        # The largest mail that it takes, bytes, and whether it says so before it refuses a larger one.
        self.most = None
        self.says_most = False
        # Called when the "." has come, before the answer.
        self.at_dot = lambda: None
        # Says nothing at all, not even its greeting.
        self.silent = False
        self.connections = 0
        self.hangs = False
        self.after = threading.Event()

    @property
    def port(self):
        return self.server_address[1]

    def take(self, recipients, data):
        with self.changed:
            self.taken.append((recipients, data))
            self.changed.notify_all()

    def connected(self):
        with self.changed:
            self.connections += 1
            self.changed.notify_all()

    def wait_for_connection(self, seconds=30):
        with self.changed:
            if not self.changed.wait_for(lambda: self.connections, seconds):
                raise TimeoutError("nobody has connected")

    def wait_for_hang(self, seconds=30):
        with self.changed:
            if not self.changed.wait_for(lambda: self.hangs, seconds):
                raise TimeoutError("nobody has come as far as to log in")

    def per_recipient(self):
        """Address → [Message-ID of each mail that was taken for it]."""
        found = {}
        for recipients, data in list(self.taken):
            for address in recipients:
                found.setdefault(address, []).append(message_id(data))
        return found

    def close(self):
        self.after.set()
        self.shutdown()
        self.server_close()


class Session(socketserver.StreamRequestHandler):
    """As much of SMTP as the program speaks."""

    disable_nagle_algorithm = True

    def handle(self):
        try:
            self.server.connected()
            if self.server.silent:
                self.server.after.wait(60)
                return
            self.converse()
        except OSError:
            pass  # Whoever sent was killed.

    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def converse(self):
        sink, say = self.server, self.say
        recipients = []
        say("220 sink.example.com")
        while line := self.rfile.readline():
            verb, text = line[:4].upper().strip(), line.decode(errors="replace")
            if verb in (b"EHLO", b"HELO"):
                say("250-sink.example.com")
                if sink.says_most:
                    say(f"250-SIZE {sink.most}")
                say("250 AUTH PLAIN LOGIN")
            elif verb == b"AUTH":
                if not self.login(text):
                    return
            elif verb in (b"MAIL", b"RSET"):
                recipients = []
                say(f"250 {sink.mail}")
            elif verb == b"RCPT":
                address = re.search("<(.*?)>", text).group(1)
                refusal = sink.refuse.get(address)
                recipients += [] if refusal else [address]
                say(refusal or "250 ok")
            elif verb == b"DATA":
                if not recipients:
                    say("503 nobody to take it for")
                    continue
                say("354 go on")
                data = self.read_mail()
                if data is None:
                    return
                if sink.most and len(data) > sink.most:
                    say("552 5.3.4 message too big for us")
                    continue
                sink.take(recipients, data)
                sink.at_dot()
                if sink.slow:
                    time.sleep(sink.slow)
                say(f"250 {sink.mail} taken as receipt-{len(sink.taken)}")
            elif verb == b"QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")

    def login(self, line):
        sent = [line.strip()]
        if line.split()[1:2] == ["LOGIN"]:
            for challenge in ("VXNlcm5hbWU6", "UGFzc3dvcmQ6"):
                self.say(f"334 {challenge}")
                sent.append(self.rfile.readline().decode(errors="replace").strip())
        answer = self.server.auth(sent)
        if answer is None:
            with self.server.changed:
                self.server.hangs = True
                self.server.changed.notify_all()
            self.server.after.wait(60)
            return False
        for text in answer:
            self.say(text)
        return True

    def read_mail(self):
        """None: whoever sent it was killed, and it is no mail."""
        data = bytearray()
        while (part := self.rfile.readline()) != b".\r\n":
            if not part:
                return None
            data += part[1:] if part.startswith(b"..") else part
        return bytes(data)


def message_id(data):
    found = re.search(rb"^Message-ID: *(\S+)", data, re.M | re.I)
    return found.group(1).decode() if found else None


class Yard:
    """A home whose only account is at `sink`, and the outbox there."""

    def __init__(self, place, sink=None):
        self.sink = sink or Sink()
        self.sandbox = harness.Sandbox(place)
        # All processes of a run are found by this: see `kills.of_the_same_state`.
        self.sandbox.env["NOTIFY_DONE_STATE"] = str(self.sandbox.state)
        self.point_at(self.sink.port)

    def point_at(self, port):
        text = harness.account("sink", ADDRESS, CODE, port, "none", host="127.0.0.1")
        self.sandbox.write_config(text)

    def close(self):
        self.end_all()
        self.sink.close()

    @property
    def state(self):
        return self.sandbox.state

    @property
    def outbox(self):
        return self.state / "outbox"

    def end_all(self):
        """Ends whatever works for this home, by SIGKILL."""
        while left := list(kills.of_the_same_state(self.state)):
            kills.kill(*left)
            time.sleep(0.01)

    def entry_of_a_run(self, *options, job="echo first line; echo second line; exit 3"):
        """One entry in new/ of which nothing has been tried to the end; its folder."""
        before = set(self.outbox.glob("*/*"))
        self.sink.reset()
        self.sink.silent = True
        argv = ["--wait", "0s", *options, "--", "sh", "-c", job]
        self.sandbox.run(*argv)
        self.sink.wait_for_connection()
        self.end_all()
        self.sink.after.set()
        self.sink.reset()
        # What a dead process had taken is put back.
        self.sandbox.run("outbox", "list")
        found = [path for path in self.outbox.glob("new/*") if path not in before]
        if len(found) != 1:
            raise AssertionError(f"entries in new/: {found}; the outbox: {sorted(self.outbox.glob('*/*'))}")
        return found[0]

    def copies(self, entry, count, first=0):
        """`count` more entries like this one; their ids, of which the first ones sort before its own."""
        text = (entry / "entry.json").read_text()
        body = (entry / "body.mime").read_bytes()
        stem, tail = entry.name.rsplit("-", 1)
        ids = []
        for number in range(first, first + count):
            name = f"{stem}-{number:0{len(tail)}x}"
            folder = entry.parent / name
            folder.mkdir(mode=0o700)
            for path, content in (("entry.json", text.replace(entry.name, name).encode()), ("body.mime", body)):
                file = folder / path
                file.touch(mode=0o600)
                file.write_bytes(content)
            ids.append(name)
        return ids

    def in_folder(self, name):
        return sorted(path.name for path in (self.outbox / name).glob("*"))

    def start_flush(self, *options):
        argv = [harness.binary(), "outbox", "flush", *options]
        return subprocess.Popen(
            argv, env=self.sandbox.env, cwd=self.sandbox.home, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
