"""After a session that used authorization codes in every way, none is anywhere but where the user put it."""

import base64
import os
import resource
import secrets
import signal
import string
import subprocess
import tempfile
from pathlib import Path

import harness
import hunt
import kills
import outboxes

# Its environment goes into the log, and so into the mail.
JOB = ("--", "sh", "-c", "env; tr '\\0' ' ' </proc/$$/cmdline; tr '\\0' '\\n' </proc/$$/environ; exit 3")


# As QQ's and 163's are; and as a server of one's own may have them: see `memory_of`.
USUAL, LONG = 16, 48


def new_code(length=USUAL):
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(length))


def echo(sent):
    """Refuses, and tells the whole world what it was sent: as it came, and what it means."""
    plain = [base64.b64decode(word) for line in sent for word in line.split()[-1:] if len(word) % 4 == 0]
    words = [text.decode(errors="replace").replace("\0", " ") for text in plain]
    again = [base64.b64encode(word.encode()).decode() for text in words for word in text.split()]
    said = [*sent, *words, *again]
    return [*(f"535-no: {text}" for text in said), "535 5.7.8 " + " ".join(said)]


class Session(outboxes.Yard):
    """Accounts in every way in which there may be one, each with a code of its own."""

    def __init__(self, place, servers):
        self.hunt, self.accounts, self.own, self.sinks, self.said = hunt.Hunt(), [], set(), [], []
        super().__init__(place)
        self.servers = servers
        self.config_text = []
        self.number, self.length = 20000, USUAL
        self.own.add(self.sandbox.config)

    def sink_with(self, **words):
        sink = outboxes.Sink()
        for name, value in words.items():
            setattr(sink, name, value)
        self.sinks.append(sink)
        return sink

    def account(self, name, source, sink, auth="auto", **server):
        """`source`: literal, env, file or command. `server`: what differs for a real one."""
        self.number += 1
        code = server.get("code") or new_code(self.length)
        address = server.get("address") or f"{self.number}@qq.com"
        self.hunt.look_for(f"{name}'s", code, address)
        quoted = f'"{code}"'
        if source == "env":
            self.sandbox.env[f"NOTIFY_DONE_{name.upper()}_CODE"] = code
            quoted = f'{{ env = "NOTIFY_DONE_{name.upper()}_CODE" }}'
        elif source in ("file", "command"):
            path = self.sandbox.write_code(code, f"code-of-{name}")
            self.own.add(path)
            quoted = f'{{ file = "{path}" }}' if source == "file" else f'{{ command = "cat {path}" }}'
        lines = {
            "address": f'"{address}"', "auth_code": quoted, "auth": f'"{auth}"',
            "host": '"localhost"' if server else '"127.0.0.1"', "port": server.get("port") or sink.port,
            "tls": f'"{server.get("tls", "none")}"',
        }  # fmt: skip
        if server:
            lines["ca_file"] = f'"{self.servers.ca_file}"'
        self.config_text.append(f"[accounts.{name}]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items()))
        self.sandbox.write_config(*self.config_text)
        return code

    def do(self, *arguments, stdin=b"", limit=60):
        done = self.sandbox.run(*arguments, stdin=stdin, limit=limit)
        self.said.append(done)
        self.hunt.search(f"stdout of {arguments}", done.stdout)
        self.hunt.search(f"stderr of {arguments}", done.stderr)
        return done

    def close(self):
        super().close()
        for sink in self.sinks:
            sink.close()


class SecretHuntTest(harness.RealTest):
    def setUp(self):
        super().setUp()
        place = tempfile.TemporaryDirectory(prefix="nd-hunt-")
        self.addCleanup(place.cleanup)
        self.session = Session(place.name, self.servers)
        self.addCleanup(self.session.close)

    def report(self, what):
        found = self.session.hunt
        print(
            f"secret hunt, {what}: {len(found.needles)} codes in {sum(map(len, found.needles.values()))} forms; searched "
            f"{found.files} files, {found.mails} mails, {found.processes} processes, {found.bytes:,} bytes: "
            f"{len(found.found)} found",
            flush=True,
        )
        self.assertEqual(found.found, [])

    def test_a_session_that_uses_the_code_in_every_way(self):
        """Catches: a code in a record, a log, an error, a mail, a server's words that are kept, the
        command's environment, or the arguments of a process."""
        session = self.session
        good, echoing = session.sink_with(), session.sink_with(auth=echo)
        for name, source, auth in (
            ("one", "literal", "plain"), ("two", "env", "login"), ("three", "file", "plain"), ("four", "command", "login"),
        ):  # fmt: skip
            session.account(f"{name}", source, good, auth)
            session.account(f"{name}no", source, echoing, auth)
        # Takes the code, and quotes it in every answer after that.
        for name, auth in (("five", "plain"), ("six", "login")):
            sink = session.sink_with()
            code = session.account(name, "literal", sink, auth)
            sink.mail = f"{code} {base64.b64encode(code.encode()).decode()}"
        for name, server in (("qq", "implicit"), ("163", "starttls")):
            login = self.servers[name]["accounts"][0]
            port = {"port": self.servers[name]["ports"][server], "tls": server, "address": login["address"]}
            session.account(f"real{name}", "file", None, code=login["code"], **port)
            session.account(f"wrong{name}", "literal", None, code=new_code(), **port)
        names = [name.removesuffix("'s") for name in session.hunt.needles]
        # Names in upper case are what a shell takes; only those with a code in them are taken away.
        variables = [name for name in session.sandbox.env if name.endswith("_CODE")]
        for name in names:
            session.do("--account", name, "--wait", "20s", *JOB)
        session.do("pipe", "--account", "two", "--title", "piped", stdin=b"through a pipe\n")
        session.do("-v", "--account", "twono", "--wait", "20s", *JOB)
        session.end_all()
        for line in (
            "outbox flush", "outbox flush --all", "outbox list", "outbox list --all --json", "runs list", "runs list --json",
            "runs show", "runs show --json", "runs log", "preview",
        ):  # fmt: skip
            session.do(*line.split())
        if session.sandbox.run("doctor", "--help").status == 0:
            for name in names:
                session.do("doctor", "--account", name, "--transcript", "--send")
        session.end_all()
        mails = [data for sink in session.sinks for _, data in sink.taken]
        for name in ("qq", "163"):
            self.servers.settle(name)
            mails += [path.read_bytes() for path in harness.mailbox.files(self.servers[name]["accounts"][0]["maildir"])]
        self.assertGreaterEqual(len(mails), 8, [str(done) for done in session.said])
        for data in mails:
            session.hunt.search_mail(data)
            for variable in variables:
                self.assertNotIn(variable.encode(), b"".join(hunt.parts(data)))
        session.hunt.search_folder(session.sandbox.dir, but=session.own)
        self.report("a whole session")

    def hang(self, session, name):
        """A server that says nothing to AUTH, and the account there."""
        sink = session.sink_with(auth=lambda sent: None)
        session.account(name, "file", sink)
        return sink

    def test_processes_while_a_server_hangs(self):
        """Catches: a code in the arguments or the environment of a process of ours or of the command, a
        core dump that has it."""
        session = self.session
        sink = self.hang(session, "hung")
        session.account("other", "env", sink)
        argv = [harness.binary(), "--account", "hung", "--wait", "60s", "--", "sh", "-c", "echo ready; sleep 0.1; exit 3"]
        unlimited = lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
        place = session.sandbox.home / "here"
        place.mkdir()
        with subprocess.Popen(argv, env=session.sandbox.env, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, preexec_fn=unlimited) as front:  # fmt: skip
            sink.wait_for_hang()
            ours = set(kills.of_the_same_state(session.state))
            self.assertGreaterEqual(len(ours), 2, "front and mailer")
            for pid in ours:
                # What the user has exported is in the environment that he has given us.
                session.hunt.search_process(pid, but=["other's"])
            cores = {Path(f"/proc/{pid}/cwd").resolve() / name for pid in ours for name in ("core", f"core.{pid}")}
            cores = {core for core in cores if not core.exists()}
            for pid in ours:
                try:
                    os.kill(pid, signal.SIGABRT)
                except ProcessLookupError:
                    pass
            session.end_all()
            out, err = front.communicate(timeout=30)
        for core in filter(Path.exists, cores):
            session.hunt.search(core, core.read_bytes())
            core.unlink()
        session.hunt.search("stdout", out)
        session.hunt.search("stderr", err)
        session.hunt.search_folder(session.sandbox.dir, but=session.own)
        self.report("processes and core dumps")

    def test_no_core_of_a_sender(self):
        """Catches: a sender that may be dumped, wherever this machine puts its cores."""
        session = self.session
        sink = self.hang(session, "hung")
        with_entry = ["--account", "hung", "--wait", "0s", "--", "sh", "-c", "exit 3"]
        session.sandbox.run(*with_entry)
        sink.wait_for_hang()
        session.end_all()
        sink.hangs = False
        unlimited = lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
        flush = subprocess.Popen([harness.binary(), "outbox", "flush", "--all"], env=session.sandbox.env, cwd=session.sandbox.home,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=unlimited)  # fmt: skip
        sink.wait_for_hang()
        os.kill(flush.pid, signal.SIGABRT)
        _, status = os.waitpid(flush.pid, 0)
        flush.returncode = 0
        self.assertTrue(os.WIFSIGNALED(status), status)
        self.assertFalse(os.WCOREDUMP(status), "it was dumped")
        session.hunt.search_folder(session.sandbox.dir, but=session.own)
        self.report("no core")

    def test_memory_while_it_waits_to_try_again(self):
        """Catches: a code in the memory of a process that stays behind for an hour and needs none."""
        session = self.session
        session.length = LONG
        for name, source in (("first", "file"), ("second", "command")):
            sink = session.sink_with()
            session.account(name, source, sink, "plain" if source == "file" else "login")
            # After the login, so that the code was used.
            sink.refuse = {"later@example.com": "451 4.3.0 a moment, please"}
        session.sandbox.env["NOTIFY_DONE_KEEP_TRYING"] = "1h"
        for name in ("first", "second"):
            session.do("--account", name, "--to", "later@example.com", "--wait", "30s", "--", "sh", "-c", "exit 3")
            # The front and whoever it had work for it have gone: the mailer stays.
            staying = lambda: set(kills.of_the_same_state(session.state))
            kills.wait_until("all but the mailer's end", lambda: len(staying()) == 1)
            for pid in staying():
                session.hunt.search_process(pid)
                places = session.hunt.memory_of(pid)
                session.hunt.found += [f"{code} in the memory of {pid}: {where}" for code, where in places.items()]
            session.end_all()
        self.report("memory of a mailer that waits")

    def test_memory_of_a_sender(self):
        """While a process sends it has the code of each account that it used, once. Catches: what was made
        of it for the dialogue, or read with it, and lies about."""
        session = self.session
        session.length = LONG
        good = session.sink_with()
        for name, auth in (("first", "plain"), ("second", "login")):
            session.account(name, "file", good, auth)
        session.account("third", "command", good, "plain")
        sink = self.hang(session, "hung")
        usual = session.sandbox.config.read_text()
        # All wait, the one whose server hangs last.
        down = ("port = 1" if line.startswith("port") else line for line in usual.splitlines())
        session.sandbox.config.write_text("\n".join(down))
        for name in ("first", "second", "third", "hung"):
            session.do("--account", name, "--wait", "20s", "--", "sh", "-c", "exit 3")
            session.end_all()
        session.sandbox.config.write_text(usual)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        argv = [harness.binary(), "outbox", "flush", "--all"]
        with subprocess.Popen(argv, env=session.sandbox.env, cwd=session.sandbox.home, **quiet) as flush:
            sink.wait_for_hang()
            found = session.hunt.memory_of(flush.pid)
            session.hunt.processes += 1
            kills.kill(flush.pid)
        self.assertEqual(len(good.taken), 3)
        # It is being used: else this test looks in the wrong place.
        self.assertIn("hung's", found)
        print(f"in the memory of a sender: {found}", flush=True)
        once = [["1 × 24 letters in [heap]"], []]
        used = {name: places for name, places in found.items() if name != "hung's"}
        session.hunt.found += [f"{name} in memory: {places}" for name, places in used.items() if places not in once]
        self.report("memory of a sender")
