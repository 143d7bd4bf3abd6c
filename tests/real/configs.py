"""What the real servers are told: certificates, Postfix's and Dovecot's configuration, per provider.

Only writes files below the servers' folder; `servers.py` starts and stops what reads them."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

# Not in everybody's PATH, but where Debian puts the servers.
SYSTEM_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
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


# --- certificates -------------------------------------------------------------------------------


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

    authority = ["-addext", "basicConstraints=critical,CA:TRUE"]
    make("ca", "/CN=notify-done test CA", *authority, "-addext", "keyUsage=critical,keyCertSign,cRLSign")
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
# All ports share the tickets' key: a session of the good one, resumed, would pass on the bad ones.
tls_ssl_options = NO_TICKET

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
    # 2.4 (Debian 13) renamed much; it takes a configuration of the first 2.4 for good.
    modern = tuple(int(n) for n in version.split(".")[:2]) >= (2, 4)
    if modern:
        head = "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n"
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


