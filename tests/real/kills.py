"""Runs of the program that are killed at an instant chosen at random, and what became of them.

Each run is of the real program with a job that writes numbered lines to both streams. Something is
killed by SIGKILL (the front, a child of it, its whole process group, front and supervisor, nothing);
afterwards there must be exactly one mail, with the true status and the complete log. The choices come
from a seed, which is printed: the same seed makes the same choices, not the same instants.
"""

import email
import email.policy
import json
import os
import random
import re
import signal
import socketserver
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import harness

# Who is killed, and how often.
TARGETS = {"front": 5, "child": 6, "group": 3, "both": 3, "mailer": 2, "nobody": 1}
LIMIT = 60
LINES = 30_000

# Lines in a hurry, a pause, lines one by one; then the end that was asked for.
JOB = r"""
sleep {pause}
seq -f 'o %.0f' 1 {half}
i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo "e $i" >&2; [ $((i % 10)) -gt 0 ] || sleep 0.02; done
seq -f 'o %.0f' {next} {lines}
{end}
"""


class Sink(socketserver.ThreadingTCPServer):
    """Takes mail for everybody and keeps it, by Message-ID."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), Session)
        self.changed = threading.Condition()
        self.mails = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def take(self, data):
        mail = email.message_from_bytes(data, policy=email.policy.default)
        with self.changed:
            self.mails.append(mail)
            self.changed.notify_all()

    def of(self, title):
        """The mails of the run with this title."""
        return [mail for mail in self.mails if title in mail["Subject"]]

    def wait_for(self, title, seconds):
        with self.changed:
            self.changed.wait_for(lambda: self.of(title), seconds)
            return self.of(title)


class Session(socketserver.StreamRequestHandler):
    """As much of SMTP as the program speaks."""

    disable_nagle_algorithm = True

    def handle(self):
        try:
            self.converse()
        except OSError:
            pass  # Whoever sent was killed.

    def converse(self):
        say = lambda line: self.wfile.write(line.encode() + b"\r\n")
        say("220 sink.example.com")
        while line := self.rfile.readline():
            verb = line.split()[0].upper() if line.split() else b""
            if verb == b"EHLO":
                say("250-sink.example.com")
                say("250 AUTH PLAIN LOGIN")
            elif verb == b"AUTH":
                say("235 ok")
            elif verb == b"DATA":
                say("354 go on")
                data = bytearray()
                while (part := self.rfile.readline()) != b".\r\n":
                    if not part:
                        return  # Whoever sent it was killed: it is no mail.
                    data += part[1:] if part.startswith(b"..") else part
                say("250 taken")
                self.server.take(bytes(data))
            elif verb == b"QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")


@dataclass
class Outcome:
    """What was found wrong; and what is right but counted."""

    wrong: list = field(default_factory=list)
    target: str = ""
    # Was a mailer killed? One that dies between the server's last word and noting it sends again, with
    # the same Message-ID: nobody can know better (RFC 5321 4.5.4.1, RFC 1047).
    mailer: bool = False
    sent_again: bool = False
    interrupted: bool = False


def children(pid):
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def kill(*pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def strike(target, front, rng):
    """Kills the target; what dies by itself first is left. Was it a mailer?"""
    pid = front.pid
    if target == "front":
        kill(pid)
    elif target == "child":
        if found := children(pid):
            victim = rng.choice(found)
            mailer = is_mailer(victim)
            kill(victim)
            return mailer
    elif target == "group":
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    elif target == "both":
        found = children(pid)
        mailer = any(map(is_mailer, found))
        kill(pid, *found)
        return mailer
    elif target == "mailer":
        # In a session of its own and no child of the front's: found by what it has in its environment.
        # The command is the oldest child of its parent, and like one of ours until it is executed.
        commands = {pid for kid in children(pid) for pid in children(kid)[:1]}
        found = set(of_the_same_state(front.state)) - {pid} - set(children(pid)) - commands
        if found:
            kill(rng.choice(sorted(found)))
        return bool(found)
    return False


def is_mailer(pid):
    """It leads a session and has no children; nor has a supervisor whose command has ended."""
    try:
        return os.getsid(pid) == pid and not children(pid)
    except ProcessLookupError:
        return False


def of_the_same_state(state):
    """Every process of the program that works for this run."""
    wanted = f"NOTIFY_DONE_STATE={state}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes() and os.readlink(folder / "exe") == harness.binary():
                yield int(folder.name)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            pass


def owners(state):
    """Front and supervisor of the run that is on record there, if they live: without their memory they
    show no environment, and have their locks still."""
    for record in (state / "runs").glob("*/run.json"):
        underway = json.loads(record.read_bytes()).get("underway") or {}
        for process in (underway.get("owner", {}).get(who) for who in ("front", "supervisor")):
            try:
                stat = Path(f"/proc/{process['pid']}/stat").read_text() if process else ") Z"
            except (FileNotFoundError, ProcessLookupError):
                continue
            if stat.rsplit(")", 1)[1].split()[0] not in "ZX":
                yield process["pid"]


def wait_until(what, condition, seconds=LIMIT):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} didn't happen within {seconds} s")
        time.sleep(0.01)


def one_run(number, seed, sink):
    """One run and its kill, by the choices that `seed` makes."""
    rng = random.Random(f"{seed}/{number}")
    target = rng.choices(list(TARGETS), weights=TARGETS.values())[0]
    code = rng.randrange(1, 256)
    by_signal = rng.random() < 0.25
    end = "kill -TERM $$" if by_signal else f"exit {code}"
    lines = rng.choice([100, 3000, LINES])
    delay = rng.uniform(0, 0.35) if lines == LINES else rng.uniform(0, 0.2)
    merged = rng.random() < 0.5
    outcome = Outcome(target=target)
    with tempfile.TemporaryDirectory(prefix="nd-kill-") as place:
        title = f"kill-{seed}-{number}-"
        pause = 0.2 if target == "both" else 0
        job = JOB.format(half=lines // 2, next=lines // 2 + 1, lines=lines, end=end, pause=pause)
        front, read = start(Path(place), title, job, merged, sink)
        if target == "both":
            # What is killed before its run is on record is no run to anybody: see RECORDS.
            wait_until("the record", lambda: list((front.state / "runs").glob("*/run.json")))
        time.sleep(delay)
        outcome.mailer = strike(target, front, rng)
        out, err = read()
        front.wait()
        settle(front, sink, title, outcome)
        if not list((front.state / "runs").glob("*/run.json")) and not (out or err):
            # Killed before there was a command: each one writes something.
            if sink.of(title):
                outcome.wrong.append("no run, and yet output or a mail")
            return outcome
        output = Output(lines, merged)
        status = "SIGTERM" if by_signal else f"exit code {code}"
        judge(outcome, sink.of(title), output, status, streams(front.state))
        # Whoever reads has all of it, once, unless nobody was left to pass it on.
        if target in ("front", "child", "mailer", "nobody") and (out, err) != (output.out, output.err):
            outcome.wrong.append(f"passed on {len(out)} and {len(err)} bytes")
        if target in ("child", "mailer", "nobody") and front.returncode != (-signal.SIGTERM if by_signal else code):
            outcome.wrong.append(f"the front ended with {front.returncode}")
    return outcome


def start(place, title, job, merged, sink):
    home = place / "home"
    home.mkdir()
    config = home / "notify.toml"
    config.touch(mode=0o600)
    config.write_text(harness.account("sink", "10001@qq.com", "code", sink.server_address[1], "none", host="127.0.0.1"))
    env = {
        "HOME": str(home), "PATH": os.environ["PATH"], "NOTIFY_DONE_STATE": str(place / "state"),
        "NOTIFY_DONE_CONFIG": str(config), "LANG": "C.UTF-8", "XDG_RUNTIME_DIR": str(home),
    }  # fmt: skip
    front = subprocess.Popen(
        [harness.binary(), "--title", title, "--", "sh", "-c", job], env=env, cwd=home, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT if merged else subprocess.PIPE, process_group=0,
    )  # fmt: skip
    front.state, front.environment = place / "state", env
    parts = [b"", b""]

    def drain(n, pipe):
        parts[n] = pipe.read()

    pipes = [(0, front.stdout)] + ([] if merged else [(1, front.stderr)])
    readers = [threading.Thread(target=drain, args=pair) for pair in pipes]
    for reader in readers:
        reader.start()

    def read():
        for reader in readers:
            reader.join(LIMIT)
        return parts

    return front, read


def settle(front, sink, title, outcome):
    """Waits until nothing of the run is at work; a flush then finds what was left behind, once."""
    # One look may miss a process that another has just made before it ended.
    at_work = lambda: any(list(of_the_same_state(front.state)) for _ in range(3)) or any(owners(front.state))
    wait_until("the end of all processes", lambda: not at_work())
    for _ in range(2):
        flush = subprocess.run(
            [harness.binary(), "outbox", "flush"], env=front.environment, cwd="/", capture_output=True, timeout=LIMIT
        )
        if flush.returncode != 0:
            outcome.wrong.append(f"flush: {flush.stderr.decode(errors='replace')}")


class Output:
    """What the job writes: to each reader, and as the log has it."""

    def __init__(self, lines, merged):
        numbers = [b"o %d\n" % n for n in range(1, lines + 1)]
        first, rest = b"".join(numbers[: lines // 2]), b"".join(numbers[lines // 2 :])
        err = b"".join(b"e %d\n" % n for n in range(1, 41))
        self.out, self.err = (first + err + rest, b"") if merged else (first + rest, err)

    def is_whole(self, log):
        return log == (self.out, self.err)

    def is_begun(self, log):
        return self.out.startswith(log[0]) and self.err.startswith(log[1])


def streams(state):
    """The log of the only run, split by its index (src/spool/index.rs): standard output, error."""
    (folder,) = (state / "runs").iterdir()
    try:
        log, index = (folder / "log").read_bytes(), (folder / "index").read_bytes()
    except FileNotFoundError:
        return b"", b"", b""
    records = [index[at : at + 16] for at in range(16, len(index) - 15, 16)]
    starts = [(int.from_bytes(record[:8], "little"), record[15]) for record in records]
    out, err = bytearray(), bytearray()
    for (start, origin), (end, _) in zip(starts, starts[1:] + [(len(log), 0)]):
        (err if origin == 2 else out).extend(log[start:end])
    return bytes(out), bytes(err), log


def judge(outcome, mails, output, status, log):
    if len(mails) == 2 and outcome.mailer and mails[0]["Message-ID"] == mails[1]["Message-ID"]:
        outcome.sent_again = True
    elif len(mails) != 1:
        outcome.wrong.append(f"{len(mails)} mails")
        return
    text = mails[0].get_body(("plain",)).get_content()
    result = re.search(r"^Result +(.*)$", text, re.M).group(1)
    outcome.interrupted = result.startswith("status unknown")
    attached = b"".join(part.get_payload(decode=True) for part in mails[0].iter_attachments())
    if attached != log[2]:
        outcome.wrong.append(f"{len(attached)} bytes are attached of a log of {len(log[2])}")
    # Where nobody was left to see the end, or the command was killed with us, the log ends early.
    early = (outcome.target == "both" and outcome.interrupted) or (outcome.target == "group" and "SIGKILL" in result)
    if not early and status not in result:
        outcome.wrong.append(f"`{result}` for {status}")
    if not (output.is_begun(log[:2]) if early else output.is_whole(log[:2])):
        outcome.wrong.append(f"a log of {len(log[0])} and {len(log[1])} bytes for {len(output.out)} and {len(output.err)}")
