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

START_SECONDS = 30
STOP_SECONDS = 10
# Not in everybody's PATH, but where Debian puts the servers.
SYSTEM_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
# A path to a socket has 107 bytes; Dovecot's longest name below DIR takes about 40.
LONGEST_DIR = 64

DOMAINS = "qq.com foxmail.com 163.com 126.com example.com"

# Keywords that Postfix would announce and the provider doesn't.
PROVIDERS = {
    "qq": {
        "accounts": ["10001@qq.com", "10002@qq.com"],
        "max_message": 73400320,
        "hidden": "etrn, vrfy, dsn, enhancedstatuscodes, chunking, silent-discard",
        "mismatch": "501 mail from address must be same as authorization user",
        "no_auth": "503 Error: need EHLO and AUTH first !",
        "footers": {
            535: "Login fail. Account is abnormal, service is not open, password is incorrect, "
            "login frequency limited, or system is busy. "
            "More information at https://help.mail.qq.com/detail/108/1023",
        },
    },
    "163": {
        "accounts": ["13800000000@163.com", "13800000001@163.com"],
        "max_message": 50 * 1024 * 1024,
        "hidden": "size, etrn, vrfy, dsn, enhancedstatuscodes, chunking, smtputf8, silent-discard",
        "mismatch": "553 Mail from must equal authorized user",
        "no_auth": "553 authentication is required",
        "footers": {552: "exceeded mailsize limit", 535: "Error: authentication failed"},
    },
}

# port name → (certificate, TLS from the first byte?)
PORTS = {
    "implicit": ("good", True),
    "starttls": ("good", False),
    "self_signed": ("self_signed", True),
    "wrong_host": ("wrong_host", True),
}


class Failed(Exception):
    """The servers can't do what was asked; the text says why and what helps."""


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


def make_certificates(place):
    """A CA of our own, and what it did and didn't sign."""
    openssl = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    openssl += ["-nodes", "-days", "30"]
    local = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"
    leaf = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth"]

    def make(name, subject, *more):
        key, cert = place / f"{name}.key", place / f"{name}.pem"
        command(*openssl, "-keyout", str(key), "-out", str(cert), "-subj", subject, *more)
        # Postfix takes the key first, then the certificate, from one file.
        chain = place / f"{name}.chain"
        chain.touch(mode=0o600)
        chain.write_bytes(key.read_bytes() + cert.read_bytes())

    make("ca", "/CN=notify-done test CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    signed = [*leaf, "-CA", str(place / "ca.pem"), "-CAkey", str(place / "ca.key")]
    make("good", "/CN=localhost", "-addext", local, *signed)
    make("wrong_host", "/CN=mail.example.com", "-addext", "subjectAltName=DNS:mail.example.com", *signed)
    make("self_signed", "/CN=localhost", "-addext", local, *leaf)


# --- Postfix -------------------------------------------------------------------------------------


def write_postfix(root, name, provider, server, owner):
    home = root / name
    for folder, user in (("conf", "root"), ("queue", "root"), ("data", "postfix"), ("log", "root")):
        (home / folder).mkdir(parents=True, exist_ok=True)
        shutil.chown(home / folder, user)
    for account in server["accounts"]:
        maildir = Path(account["maildir"])
        for folder in ("", "tmp", "new", "cur"):
            (maildir / folder).mkdir(exist_ok=True)
            os.chown(maildir / folder, owner.pw_uid, owner.pw_gid)
    conf = home / "conf"
    addresses = [account["address"] for account in server["accounts"]]
    lines(conf / "mailboxes", (f"{address} {address}/" for address in addresses))
    lines(conf / "logins", (f"{address} own_{i}" for i, address in enumerate(addresses)))
    lines(conf / "no_auth", [f"/^/ {provider['no_auth']}"])
    for i, address in enumerate(addresses):
        exact = address.replace(".", r"\.")
        lines(conf / f"own_{i}", [f"/^{exact}$/ OK", f"/^/ {provider['mismatch']}"])
    footers = provider["footers"].items()
    lines(conf / "footers", (f"/^{code}/ \\c. {text}" for code, text in footers))
    (conf / "main.cf").write_text(main_cf(root, home, provider, addresses, owner))
    (conf / "master.cf").write_text(master_cf(root, server))


def lines(path, content):
    path.write_text("".join(f"{line}\n" for line in content))


def main_cf(root, home, provider, addresses, owner):
    conf = home / "conf"
    classes = [f"own_{i}" for i in range(len(addresses))]
    own = "\n".join(f"{name} = check_sender_access regexp:{conf}/{name}" for name in classes)
    return f"""compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
maillog_file = {home}/log/mail.log
maillog_file_prefixes = {home}/log
syslog_name = notify-done-{home.name}

# Loopback only, no way out: no relay, and master.cf has no SMTP client.
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
myhostname = localhost
mydestination =
relay_domains =
relayhost =
default_transport = error:nothing is relayed by a test server
local_transport = error:nothing is local
relay_transport = error:nothing is relayed by a test server
fast_flush_domains =
alias_maps =
virtual_alias_maps =

# Every account is a Maildir; headers arrive as they were sent.
virtual_mailbox_domains = {DOMAINS}
virtual_mailbox_base = {root}/mail
virtual_mailbox_maps = texthash:{conf}/mailboxes
virtual_transport = virtual
virtual_uid_maps = static:{owner.pw_uid}
virtual_gid_maps = static:{owner.pw_gid}
virtual_mailbox_limit = 0
local_header_rewrite_clients =

message_size_limit = {provider["max_message"]}
smtpd_discard_ehlo_keywords = {provider["hidden"]}
smtpd_error_sleep_time = 0

smtpd_tls_chain_files = {root}/ca/good.chain
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
smtpd_tls_loglevel = 1

# Like both providers: AUTH is offered before TLS too, so a client that gives its code away shows.
smtpd_tls_auth_only = no
smtpd_sasl_auth_enable = yes
broken_sasl_auth_clients = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {root}/dovecot/sasl
smtpd_sasl_service = {home.name}
smtpd_reject_footer_maps = regexp:{conf}/footers

# The sender is the login, said at MAIL FROM, in the provider's words.
smtpd_delay_reject = no
smtpd_restriction_classes = {", ".join(classes)}
{own}
smtpd_sender_restrictions =
    check_sasl_access texthash:{conf}/logins,
    check_sender_access regexp:{conf}/no_auth
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = reject_unauth_destination
"""


def master_cf(root, server):
    text = ""
    for port, (certificate, implicit) in PORTS.items():
        text += f"127.0.0.1:{server['ports'][port]} inet n - n - - smtpd\n"
        text += f"  -o smtpd_tls_chain_files={root}/ca/{certificate}.chain\n"
        if implicit:
            text += "  -o smtpd_tls_wrappermode=yes\n  -o smtpd_tls_security_level=encrypt\n"
    return (
        text
        + """cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""
    )


def start_postfix(root, name):
    """Returns the pid of Postfix's master."""
    try:
        command("postfix", "-c", str(root / name / "conf"), "start")
    except Failed as error:
        raise Failed(f"{error}\n{tail(root / name / 'log' / 'mail.log')}") from None
    return read_pid(postfix_pid_file(root, name))


def postfix_pid_file(root, name):
    return root / name / "queue" / "pid" / "master.pid"


# --- Dovecot -------------------------------------------------------------------------------------


def write_dovecot(root, state):
    """Logins only. `%s` is Postfix's smtpd_sasl_service: an account belongs to one provider."""
    home = root / "dovecot"
    for folder in ("run", "state"):
        (home / folder).mkdir(exist_ok=True)
    for name, server in state["servers"].items():
        codes = home / f"codes-{name}"
        codes.touch(mode=0o640)
        lines(codes, (f"{a['address']}:{{PLAIN}}{a['code']}" for a in server["accounts"]))
        shutil.chown(codes, "root", "dovecot")
    version = command("dovecot", "--version").split()[0]
    modern = tuple(int(n) for n in version.split(".")[:2]) >= (2, 4)
    if modern:
        head = f"dovecot_config_version = {version}\ndovecot_storage_version = {version}\n"
        clear = "auth_allow_cleartext = yes"
        passdb = f"passdb passwd-file {{\n  passwd_file_path = {home}/codes-%{{protocol}}\n}}"
    else:
        head = ""
        clear = "disable_plaintext_auth = no"
        passdb = f"passdb {{\n  driver = passwd-file\n  args = {home}/codes-%s\n}}"
    (home / "dovecot.conf").write_text(f"""{head}base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
protocols =
ssl = no
{clear}
auth_mechanisms = plain login
auth_failure_delay = 0
auth_verbose = yes
{passdb}
service auth {{
  unix_listener {home}/sasl {{
    mode = 0660
    user = postfix
    group = postfix
  }}
}}
# No delay that grows with each wrong code from 127.0.0.1: tests send many.
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
""")


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


def command(*argv):
    """Runs it and returns what it printed; Failed, with its words, when it doesn't end well."""
    env = {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8"}
    try:
        # To a file: a daemon that it leaves behind would hold a pipe open.
        with tempfile.TemporaryFile() as output:
            status = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            output.seek(0)
            text = output.read().decode(errors="replace")
    except FileNotFoundError:
        raise Failed(f"{argv[0]} isn't installed: run tests/real/install.sh") from None
    if status.returncode != 0:
        raise Failed(f"`{' '.join(argv)}` ended with {status.returncode}:\n{text}")
    return text


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
        argv += [sys.executable, __file__, *arguments, "--dir", str(self.dir)]
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
