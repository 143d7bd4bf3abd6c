#!/usr/bin/env python3
"""Real mail servers on loopback, for tests: Postfix with Dovecot SASL, as QQ and as 163 behave.

    servers.py start --dir DIR          start all; one JSON document on stdout when every port greets
    servers.py stop --dir DIR [--remove]    end every process; --remove: the folder too
    servers.py pause NAME --dir DIR     the server NAME (qq, 163) goes down, its mail stays
    servers.py resume NAME --dir DIR    it comes back on the same ports
    servers.py settle NAME --dir DIR    wait until its queue is empty: all mail is in the Maildirs

or, from Python, `with Servers() as servers: ...`. Postfix is only started by root: the class uses
sudo where the caller isn't root.

Nothing leaves the machine: the servers listen on 127.0.0.1, have no SMTP client at all, and take
mail for their own accounts only. Everything lies in DIR; the system's own Postfix isn't touched.

Where they differ from the providers:
- A refused sender reads `501 <a@b>: Sender address rejected: mail from address must be same as
  authorization user` (QQ says the last words alone), and the same pattern with 163's 553.
- A refused login starts with Postfix's words and ends with the provider's.
- Only the envelope sender is held to the login. The providers look at the From header too.
- 163's `username:` in lower case, its `coremail` and `ID` keywords and QQ's XOAUTH aren't there.
"""

import argparse
import contextlib
import json
import os
import pwd
import random
import secrets
import shutil
import signal
import socket
import ssl
import string
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from configs import PORTS, PROVIDERS, Failed, command, make_certificates, write_dovecot, write_postfix

START_SECONDS = 30
STOP_SECONDS = 10
# A path to a socket has 107 bytes; Dovecot's longest name below DIR takes about 40.
LONGEST_DIR = 64


# --- starting ------------------------------------------------------------------------------------


def start(root):
    """Starts everything below `root` and returns the description that `start` prints."""
    if os.geteuid() != 0:
        raise Failed("only root can start Postfix: run this as root or by sudo")
    check_place(root)
    stop(root)
    for name in ("ca", "dovecot", "mail"):
        (root / name).mkdir(exist_ok=True)
    make_certificates(root / "ca")
    owner = mail_owner()
    state = {"dir": str(root), "ca_file": str(root / "ca" / "ca.pem"), "servers": {}}
    ports = free_ports(len(PROVIDERS) * len(PORTS))
    for name, provider in PROVIDERS.items():
        state["servers"][name] = describe(root, name, provider, ports)
        write_postfix(root, name, provider, state["servers"][name], owner)
    write_dovecot(root, state)
    save(root, state, owner)
    try:
        command("dovecot", "-c", str(root / "dovecot" / "dovecot.conf"))
        state["dovecot_pid"] = read_pid(dovecot_pid_file(root))
        for name in PROVIDERS:
            state["servers"][name]["pid"] = start_postfix(root, name)
        for name in PROVIDERS:
            wait_for_banners(root, state["servers"][name])
    except BaseException:
        stop(root)
        raise
    save(root, state, owner)
    return state


def check_place(root):
    """Postfix and Dovecot drop privileges, so every folder down to `root` must let them through."""
    root.mkdir(mode=0o755, parents=True, exist_ok=True)
    if len(os.fsencode(root)) > LONGEST_DIR:
        raise Failed(f"{root} is too long for the servers' sockets: at most {LONGEST_DIR} bytes")
    os.chmod(root, 0o755)
    for folder in [root, *root.parents]:
        if not folder.stat().st_mode & 0o001:
            raise Failed(f"{folder} can't be entered by the servers' users: choose another --dir")


def mail_owner():
    """Who owns the Maildirs: the person behind sudo, so that their tests can read them; else nobody."""
    uid = int(os.environ.get("SUDO_UID", "0"))
    return pwd.getpwuid(uid) if uid else pwd.getpwnam("nobody")


def free_ports(count):
    """Ports below the kernel's range for outgoing connections: nobody takes them during a pause."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    candidates = list(range(min(20000, low - 2000), low))
    random.shuffle(candidates)
    found = []
    for port in candidates:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(port)
        if len(found) == count:
            return found
    raise Failed(f"fewer than {count} free ports below {low}")


def describe(root, name, provider, ports):
    letters = string.ascii_lowercase
    return {
        "host": "localhost",
        "ports": {port: ports.pop() for port in PORTS},
        "max_message": provider["max_message"],
        "accounts": [
            {
                "address": address,
                "code": "".join(secrets.choice(letters) for _ in range(16)),
                "maildir": str(root / "mail" / address),
            }
            for address in provider["accounts"]
        ],
    }


def start_postfix(root, name):
    """Returns the pid of Postfix's master."""
    try:
        command("postfix", "-c", str(root / name / "conf"), "start")
    except Failed as error:
        raise Failed(f"{error}\n{tail(root / name / 'log' / 'mail.log')}") from None
    return read_pid(postfix_pid_file(root, name))


def postfix_pid_file(root, name):
    return root / name / "queue" / "pid" / "master.pid"


def dovecot_pid_file(root):
    return root / "dovecot" / "run" / "master.pid"


# --- waiting and stopping ------------------------------------------------------------------------


def wait_until(what, condition, seconds):
    """Asks `condition` until it is true; there is nothing to be woken by in another process."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failed(f"{what} didn't happen within {seconds} s")
        time.sleep(0.02)


def wait_for_banners(root, server):
    for port, (_, implicit) in PORTS.items():
        number = server["ports"][port]
        try:
            wait_until(f"a banner on port {number}", lambda: greets(number, implicit), START_SECONDS)
        except Failed as error:
            logs = sorted(root.glob("*/log/mail.log"))
            raise Failed("\n".join([str(error), *map(tail, [*logs, root / "dovecot" / "log"])])) from None


def greets(port, implicit):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            if not implicit:
                return connection.recv(4) == b"220 "
            # Two of the certificates are bad on purpose; only the greeting is asked for here.
            with ssl._create_unverified_context().wrap_socket(connection) as tls:
                return tls.recv(4) == b"220 "
    except OSError:
        return False


def stop(root):
    """Ends every process that was started below `root`, however it came to be left. Idempotent."""
    for name in PROVIDERS:
        stop_group(postfix_pid_file(root, name), root)
    stop_group(dovecot_pid_file(root), root)


def stop_group(pid_file, root):
    """A master leads its process group; its children are in it, also after the master is dead."""
    pid = read_pid(pid_file)
    if pid is None or not group_below(pid, root):
        return
    for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, number)
        with contextlib.suppress(Failed):
            wait_until("the end", lambda: not group_below(pid, root), seconds)
            pid_file.unlink(missing_ok=True)
            return
    raise Failed(f"process group {pid} survives SIGKILL")


def group_below(group, root):
    """Live processes of the group `group` that belong to `root`: a pid may have been given out again."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError):
            state, _, pgrp = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) != group or state == "Z":
                continue
            about = (entry / "cmdline").read_bytes() + b"\0" + (entry / "environ").read_bytes()
            if os.fsencode(f"{root}/") in about + b"\0" + os.readlink(os.fsencode(entry / "cwd")):
                found.append(int(entry.name))
    return found


def read_pid(path):
    with contextlib.suppress(FileNotFoundError, ValueError):
        return int(path.read_text())
    return None


def pause(root, name):
    """The ports refuse connections when this returns."""
    stop_group(postfix_pid_file(root, name), root)
    for number in load(root)["servers"][name]["ports"].values():
        wait_until(f"port {number} closing", lambda: refuses(number), STOP_SECONDS)


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def resume(root, name):
    state = load(root)
    if not greets(state["servers"][name]["ports"]["starttls"], False):
        state["servers"][name]["pid"] = start_postfix(root, name)
        save(root, state, mail_owner())
    wait_for_banners(root, state["servers"][name])


def settle(root, name):
    """Returns when no mail is in the queue: what was accepted is in a Maildir or has bounced."""
    queue = root / name / "queue"
    waiting = ("incoming", "active", "deferred", "maildrop")

    def empty():
        files = (path for folder in waiting for path in (queue / folder).rglob("*"))
        return not any(path.is_file() for path in files)

    wait_until(f"the queue of {name} emptying", empty, 60)


# --- small things --------------------------------------------------------------------------------


def tail(path, count=30):
    with contextlib.suppress(FileNotFoundError):
        return f"--- {path}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-count:])
    return f"--- {path}: not there"


def save(root, state, owner):
    """Has the codes in it: for the tests' user alone."""
    path = root / "servers.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(state, indent=2) + "\n")
    os.chown(path, owner.pw_uid, owner.pw_gid)


def load(root):
    try:
        return json.loads((root / "servers.json").read_text())
    except FileNotFoundError:
        raise Failed(f"no servers were started in {root}") from None


class Servers:
    """All servers, running within a `with`; `state` is what `start` printed."""

    def __enter__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="nd-mail-"))
        try:
            self.state = json.loads(self._call("start"))
        except BaseException:
            self._call("stop", "--remove")
            raise
        return self

    def __exit__(self, *_):
        self._call("stop", "--remove")

    @property
    def ca_file(self):
        return self.state["ca_file"]

    def __getitem__(self, name):
        """The server `name`: host, ports, accounts."""
        return self.state["servers"][name]

    def pause(self, name):
        self._call("pause", name)

    def resume(self, name):
        self._call("resume", name)

    def settle(self, name):
        self._call("settle", name)

    def _call(self, *arguments):
        argv = [] if os.geteuid() == 0 else ["sudo", "-n"]
        argv += [sys.executable, "-B", __file__, *arguments, "--dir", str(self.dir)]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"servers.py {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("start", "stop", "pause", "resume", "settle"):
        sub = commands.add_parser(name)
        if name in ("pause", "resume", "settle"):
            sub.add_argument("name", choices=PROVIDERS)
        if name == "stop":
            sub.add_argument("--remove", action="store_true")
        sub.add_argument("--dir", required=True, type=lambda text: Path(text).absolute())
    arguments = parser.parse_args()
    try:
        if arguments.command == "start":
            print(json.dumps(start(arguments.dir), indent=2))
        elif arguments.command == "stop":
            stop(arguments.dir)
            if arguments.remove:
                shutil.rmtree(arguments.dir, ignore_errors=True)
        else:
            {"pause": pause, "resume": resume, "settle": settle}[arguments.command](
                arguments.dir, arguments.name
            )
    except Failed as error:
        sys.exit(f"servers.py: {error}")


if __name__ == "__main__":
    main()
