"""One mail with an attachment, handed to a sink on loopback: who sends it, and what that costs.

The sink (`benches/sink.rs`) runs on other CPUs than the sender, so that what it costs is nobody's; it
compares the attachment with the file, byte for byte."""

import json
import os
import select
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

import measure

HERE = Path(__file__).resolve().parent
FROM, TO = "12345@qq.com", "b@example.com"
# What a mail with this attachment may have beside it, bytes.
AROUND = 64 * 1024
# How often the size of a sender's processes is looked at, seconds. The kernel keeps the peak (VmHWM),
# so that only the last of these before its end is lost.
LOOK_SECONDS = 0.0005
# The longest that the sink may take to say what came, seconds.
PATIENCE = 10

# `email` and `smtplib` as their documentation has them: HOST PORT FILE [CA].
SMTPLIB = """
import smtplib, ssl, sys
from email.message import EmailMessage
host, port, path, *ca = sys.argv[1:]
message = EmailMessage()
message["From"], message["To"], message["Subject"] = "{0}", "{1}", "job done"
message.set_content("exit status 0\\n")
with open(path, "rb") as file:
    message.add_attachment(file.read(), maintype="text", subtype="plain", filename="job.log")
context = ssl.create_default_context(cafile=ca[0]) if ca else None
client = smtplib.SMTP_SSL(host, int(port), context=context) if ca else smtplib.SMTP(host, int(port))
with client:
    client.send_message(message)
""".format(FROM, TO)

# A whole message on standard output, for senders that attach nothing by themselves: FILE.
WHOLE = """
printf '%s\\n' 'From: {0}' 'To: {1}' 'Subject: job done' 'MIME-Version: 1.0' \\
    'Content-Type: multipart/mixed; boundary="=-=bench=-="' '' '--=-=bench=-=' \\
    'Content-Type: text/plain' '' 'exit status 0' '--=-=bench=-=' 'Content-Type: text/plain' \\
    'Content-Disposition: attachment; filename="job.log"' 'Content-Transfer-Encoding: base64' ''
base64 "$1"
printf '%s\\n' '--=-=bench=-=--'
""".format(FROM, TO)


@dataclass(frozen=True)
class Letter:
    """What is to be sent where."""

    port: int
    # The attachment.
    file: Path
    # Whom to trust; None: no TLS.
    ca: Optional[Path]


@dataclass(frozen=True)
class Sender:
    name: str
    command: Callable
    program: Optional[str] = None
    install: str = ""
    # What it says when all went well.
    says: str = ""

    def missing(self):
        return self.program is not None and shutil.which(self.program) is None


def smtplib(letter):
    ca = [str(letter.ca)] if letter.ca else []
    return [sys.executable, "-c", SMTPLIB, "127.0.0.1", str(letter.port), str(letter.file), *ca]


def msmtp(letter):
    tls = ["--tls=on", "--tls-starttls=off", f"--tls-trust-file={letter.ca}"] if letter.ca else []
    send = ["msmtp", "-C", "/dev/null", "--host=127.0.0.1", f"--port={letter.port}", *tls, f"--from={FROM}", TO]
    return ["sh", "-c", f'{{ {WHOLE} }} | {{ shift; exec "$@"; }}', "sh", str(letter.file), *send]


def swaks(letter):
    tls = ["--tls-on-connect", "--tls-verify", "--tls-ca-path", str(letter.ca)] if letter.ca else []
    return [
        "swaks", "--server", f"127.0.0.1:{letter.port}", "--from", FROM, "--to", TO, "--h-Subject", "job done",
        "--body", "exit status 0", "--attach-type", "text/plain", "--attach", f"@{letter.file}", "--hide-all", *tls,
    ]  # fmt: skip


def curl(letter):
    scheme, ca = ("smtps", ["--cacert", str(letter.ca)]) if letter.ca else ("smtp", [])
    return [
        "curl", "-s", *ca, f"{scheme}://127.0.0.1:{letter.port}", "--mail-from", FROM, "--mail-rcpt", TO,
        "-H", f"From: {FROM}", "-H", f"To: {TO}", "-H", "Subject: job done", "-F", "=exit status 0;type=text/plain",
        "-F", f"file=@{letter.file};type=text/plain;encoder=base64",
    ]  # fmt: skip


def senders(binary):
    return [
        Sender("smtplib", smtplib),
        Sender("swaks", swaks, "swaks", "apt-get install swaks"),
        Sender("msmtp", msmtp, "msmtp", "apt-get install msmtp"),
        Sender("curl", curl, "curl", "apt-get install curl"),
        Sender("us", lambda letter: [binary, "outbox", "flush"], says="mail sent to"),
    ]


class SinkFailed(Exception):
    pass


class Sink:
    """A sink that runs, on `cpus`. It ends with us, whatever becomes of us."""

    def __init__(self, program, kind, cpus):
        ours = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cpus)
        rope, self.rope = os.pipe()
        self.said, says = os.pipe()
        # By a shell that ends at once, before orphans come to us: whoever waits for all that a sender
        # left behind must not wait for the sink.
        launch = ["sh", "-c", 'exec 3<&0; "$@" <&3 3<&- & :', "sh", program, kind]
        subprocess.run(launch, stdout=says, stdin=rope, check=True)
        os.sched_setaffinity(0, ours)
        os.close(rope)
        os.close(says)
        self.unread = b""
        about = self.line()
        self.port, self.pem = about["port"], about["pem"]

    def line(self):
        """What it says next."""
        while b"\n" not in self.unread:
            if not select.select([self.said], [], [], PATIENCE)[0]:
                raise SinkFailed("the sink says nothing")
            more = os.read(self.said, 65536)
            if not more:
                raise SinkFailed("the sink has ended")
            self.unread += more
        line, _, self.unread = self.unread.partition(b"\n")
        return json.loads(line)

    def expect(self, file):
        os.write(self.rope, f"{file}\n".encode())
        self.line()

    def spill(self):
        """Leaves out what it said of a mail whose sender failed."""
        while self.unread or select.select([self.said], [], [], 0)[0]:
            self.line()

    def close(self):
        os.close(self.rope)
        os.close(self.said)


class PostOffice:
    """The sinks, the attachments, and a notice of ours for each, as a run leaves it."""

    def __init__(self, program, cpus, ours):
        """`cpus` there are; the senders run on `ours`, or on all. Before orphans come to us."""
        free = cpus - {ours}
        self.apart = ours is not None and bool(free)
        self.sinks = {kind: Sink(program, kind, free if self.apart else cpus) for kind in ("plain", "tls")}
        self.kept = {}

    def prepare(self, binary, probe, place, benchmark):
        """The attachment and our notice with it: made once for each size."""
        if benchmark.count not in self.kept:
            file = place.dir / f"job-{benchmark.count}.log"
            command = [probe, "write", "lines", str(benchmark.count)]
            with open(file, "wb") as out:
                subprocess.run(command, stdout=out, check=True)
            self.kept[benchmark.count] = file, kept_notice(binary, command, place, file)
        ca = place.dir / "sink.pem"
        ca.write_text(self.sinks["tls"].pem)
        file, notice = self.kept[benchmark.count]
        sink = self.sinks[benchmark.sink]
        sink.expect(file)
        return Letter(sink.port, file, ca if benchmark.sink == "tls" else None), notice

    def run(self, letter, notice, sender, place, limit, watch):
        """One mail by one sender."""
        sink = next(sink for sink in self.sinks.values() if sink.port == letter.port)
        sink.spill()
        if sender.name == "us":
            lay_out(notice, letter, place)
        run = measure.run("", sender.command(letter), measure.Sink("null"), place, limit, peak if watch else None)
        run.faults = [fault for fault in run.faults if not (sender.says and sender.says in fault)]
        if not run.faults:
            run.faults += sink_faults(sink, letter)
        if sender.name == "us" and (left := [entry for entry in place.notices() if entry.parent.name != "sent"]):
            run.faults.append(f"it is still in the outbox: {left}")
        place.errors.unlink(missing_ok=True)
        return run

    def close(self):
        for sink in self.sinks.values():
            sink.close()


def sink_faults(sink, letter):
    """What is wrong with the mail that came."""
    try:
        said = sink.line()
    except SinkFailed as error:
        return [str(error)]
    if not said["complete"]:
        return [f"the mail: {said['why']}"]
    # Base64 is four thirds and a line end in 78 bytes.
    expected = letter.file.stat().st_size * 4 / 3 * 78 / 76
    return [] if said["bytes"] < expected + AROUND else [f"the mail has {said['bytes']} bytes"]


def kept_notice(binary, command, place, file):
    """The entry that a run without an account leaves, as it waits when there is one."""
    config, state = place.config.read_text(), place.dir / "no-account"
    place.config.write_text("")
    env = place.env | {"NOTIFY_DONE_STATE": str(state)}
    subprocess.run([binary, "-q", "--", *command], env=env, stdout=subprocess.DEVNULL, check=True)
    # What it left behind may still be at it.
    measure.reap()
    place.config.write_text(config)
    (entry,) = state.glob("outbox/held/*")
    kept = place.dir / f"notice-{file.name}" / entry.name
    shutil.copytree(entry, kept)
    about = json.loads((kept / "entry.json").read_text())
    about["held"] = None
    (kept / "entry.json").write_text(json.dumps(about))
    shutil.rmtree(state)
    return kept


def lay_out(notice, letter, place):
    """Our state folder with the one notice in it, and an account for the sink."""
    shutil.rmtree(place.state, ignore_errors=True)
    new = place.state / "outbox" / "new"
    for folder in (place.state, place.state / "outbox", new):
        folder.mkdir(mode=0o700)
    shutil.copytree(notice, new / notice.name)
    tls = f'tls = "implicit"\nca_file = "{letter.ca}"\n' if letter.ca else 'tls = "none"\n'
    place.config.write_text(
        f'[mail]\nto = "{TO}"\n[accounts.qq]\naddress = "{FROM}"\nauth_code = "abcdefghijklmnop"\n'
        f'host = "127.0.0.1"\nport = {letter.port}\n{tls}'
    )


def peak(pid):
    """The largest of a sender's processes, bytes (and how often they were looked at); leaves it to be
    waited for."""
    most = looks = 0
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        for one in measure.descendants():
            most = max(most, high_water(one))
        looks += 1
        time.sleep(LOOK_SECONDS)
    return most, looks


def high_water(pid):
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as status:
            return next((int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:")), 0)
    except (FileNotFoundError, ProcessLookupError):
        return 0  # It has just ended.
