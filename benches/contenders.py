"""Who runs side by side: the bare command, the wrappers that people use, and us."""

import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

MIB = 1 << 20


class Place:
    """The scratch folder of a session: what the wrappers write, and an environment for them that
    has nothing of the caller's but PATH."""

    def __init__(self, folder):
        self.dir = Path(folder)
        self.log = self.dir / "log"
        self.out = self.dir / "out"
        self.errors = self.dir / "errors"
        self.state = self.dir / "state"
        self.config = self.dir / "notify.toml"
        self.env = {
            "HOME": str(self.dir),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "SHELL": "/bin/sh",
            "TERM": "xterm",
            "NOTIFY_DONE_STATE": str(self.state),
            "NOTIFY_DONE_CONFIG": str(self.config),
        }
        # Nothing is sent in a benchmark; were it tried, nobody listens there.
        self.config.touch(mode=0o600)
        self.config.write_text(
            '[accounts.qq]\naddress = "12345@qq.com"\nauth_code = "abcdefghijklmnop"\n'
            'host = "127.0.0.1"\nport = 9\ntls = "none"\n'
        )

    def clean(self, keep_our_runs=False):
        """Removes what a run has left."""
        for path in (self.log, self.out, self.errors):
            path.unlink(missing_ok=True)
        if not keep_our_runs:
            shutil.rmtree(self.state / "runs", ignore_errors=True)

    def notices(self):
        """Mails that were made, sent or not: there should be none."""
        return [entry for entry in self.state.glob("outbox/*/*") if entry.parent.name != "tmp"]


@dataclass(frozen=True)
class Contender:
    name: str
    # The command line for a command; the place says where the log goes.
    wrap: Callable
    # What must be on PATH, and how to get it.
    program: Optional[str] = None
    install: str = ""
    # Where its log lies, once it has ended; None: it keeps none that could be checked.
    log: Optional[Callable] = None
    # How the probe is to read that log.
    log_options: tuple = ()
    # Both streams leave it as standard output.
    merges: bool = False
    # Shows nothing as long as the command succeeds.
    silent: bool = False
    # More output is left out: it would take hours, or all the memory.
    most_bytes: Optional[int] = None

    def missing(self):
        return self.program is not None and shutil.which(self.program) is None


def our_log(place):
    """The one log in the spool, else a path that isn't there."""
    logs = list(place.state.glob("runs/*/log"))
    return logs[0] if len(logs) == 1 else place.state / "runs" / "no single log"


def tee(command, place):
    # As a script has it, with the shell that it takes.
    return ["sh", "-c", '"$@" 2>&1 | tee "$0"', str(place.log), *command]


def script(command, place):
    return ["script", "-q", "-e", "-c", shlex.join(command), str(place.log)]


def contenders(binary, sink_url):
    """All of them; `binary` is ours, `sink_url` answers on loopback to those who notify by HTTP."""
    ping = ["runitor", "-api-url", sink_url, "-uuid", "00000000-0000-4000-8000-000000000000", "-no-start-ping", "--"]
    noti = ["env", f"NOTI_NTFY_URL={sink_url}", "NOTI_NTFY_TOPIC=bench", "noti", "--ntfy"]
    return [
        Contender("bare", lambda command, place: command),
        Contender("tee", tee, "tee", "part of coreutils", log=lambda place: place.log, merges=True),
        Contender(
            "script", script, "script", "apt-get install bsdutils", log=lambda place: place.log,
            log_options=("crlf", "framed"), merges=True, most_bytes=1024 * MIB,
        ),
        # It keeps all the output in memory.
        Contender(
            "chronic", lambda command, place: ["chronic", *command], "chronic", "apt-get install moreutils",
            silent=True, most_bytes=512 * MIB,
        ),
        Contender(
            "runitor", lambda command, place: [*ping, *command], "runitor",
            "https://github.com/bdd/runitor/releases", merges=True,
        ),
        Contender(
            "noti", lambda command, place: [*noti, *command], "noti",
            "https://github.com/variadico/noti/releases",
        ),
        Contender("us", lambda command, place: [binary, "--on", "failure", "--", *command], log=our_log),
    ]  # fmt: skip
