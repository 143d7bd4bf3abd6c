"""A sender that dies at any of its system calls, or whose disk refuses any of them: each mail comes once.

One `outbox flush` sends an entry that waits in new/. It is killed before each call that it makes from its
first look at the outbox to its end, in any of its threads (tracing.py); then `outbox flush` is run again,
with nothing but what is on the disk. For each recipient the server counts the Message-IDs: one. Two, of the
same Message-ID, are right only where the program died between the final "." and the record of the answer:
nobody can know better (RFC 1047); those are counted, and the entry must say "unknown".

NOTIFY_DONE_EVERY_CALL_ALL=1 tries every call; else of those that only ask the kernel for something of the
process's own (memory, descriptors, the clock) one in FEW is tried, and in the scene of a slow server only
what comes from the final "." on.
"""

import email
import email.policy
import io
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import harness
import kills
import outboxes
import tracing

AT_ONCE = 3
FEW = 8
# Of the many calls that read a log and write a mail anew fewer still, but for these.
FEWER = 160
TELLING = ("mkdir", "rmdir", "rename", "unlink", "unlinkat", "fsync")
ALL = "NOTIFY_DONE_EVERY_CALL_ALL" in os.environ
FLUSH = ("outbox", "flush")
TAKEN, NEVER, LATER = "taken@example.com", "never@example.com", "later@example.com"
# Which calls on the outbox a disk may refuse, and how.
ERRORS = {
    "EIO": ["write", "fsync", "rename", "unlink", "mkdir", "rmdir", "openat", "read", "statx", "utimensat", "getdents64"],
    "ENOSPC": ["write", "fsync", "rename", "mkdir", "openat"],
}
# What fails for good, from some moment on: on a disk that is full, has become read-only, or is broken.
FOR_GOOD = {
    "ENOSPC": [("fsync", "mkdir"), ("fsync",)],
    "EROFS": [("rename", "mkdir", "rmdir", "unlink", "utimensat")],
    "EIO": [("rename",), ("fsync",), ("unlink",)],
}


@dataclass
class Scene:
    """What is to be sent, and how the server takes it."""

    recipients: tuple
    refuse: dict = field(default_factory=dict)
    slow: float = 0
    # What the run says.
    job: str = "echo first line; echo second line; exit 3"
    # The largest mail that the server takes, and whether it says so in its EHLO.
    most: int = None
    says_most: bool = False

    def wanted(self):
        return set(self.recipients) - {NEVER}


ONE = Scene((TAKEN,))
THREE = Scene((TAKEN, NEVER, LATER), {NEVER: "550 5.1.1 no such user", LATER: "450 4.2.1 come back later"})
SLOW = Scene((TAKEN,), slow=0.1)
# Logs that pack to mails of 1.3 and of 2.1 MB: the second is halved twice.
SAYS_LIMIT = Scene((TAKEN,), job="head -c 1000000 /dev/urandom | base64", most=600_000, says_most=True)
HIDES_LIMIT = Scene((TAKEN,), job="head -c 1600000 /dev/urandom | base64", most=600_000)


class Yard(outboxes.Yard):
    """A yard in which the same entry can wait again and again."""

    def __init__(self, place, scene):
        super().__init__(place)
        self.scene = scene
        # Mails that came in the plain form.
        self.plain = 0
        options = [part for address in scene.recipients for part in ("--to", address)]
        self.entry = self.entry_of_a_run(*options, job=scene.job)
        self.begin = self.sandbox.dir / "begin"
        shutil.copytree(self.state, self.begin)

    def reset(self):
        self.end_all()
        shutil.rmtree(self.state)
        shutil.copytree(self.begin, self.state)
        self.sink.reset()
        self.sink.refuse = dict(self.scene.refuse)
        self.sink.slow = self.scene.slow
        self.sink.most, self.sink.says_most = self.scene.most, self.scene.says_most

    def argv(self):
        return [harness.binary(), *FLUSH]

    def clean_run(self):
        """The calls from the first look at the outbox on."""
        self.reset()
        calls, _ = tracing.record(self.argv(), self.sandbox.env, self.sandbox.home)
        first = next(n for n, call in enumerate(calls) if call.touches(self.outbox))
        return calls[first:]

    def names(self):
        """Number → name of each system call, as strace(1) has them."""
        self.reset()
        trace = self.sandbox.dir / "names"
        subprocess.run(
            ["strace", "-f", "-n", "-qq", "-o", trace, *self.argv()], env=self.sandbox.env, cwd=self.sandbox.home,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=harness.LIMIT_SECONDS, check=False,
        )  # fmt: skip
        found = re.findall(r"^\d+ +\[ *(\d+)\] (\w+)\(", trace.read_text(errors="replace"), re.M)
        return {int(number): name for number, name in found}

    def restart(self):
        """Flushes until all is sent; what is wrong then, and whether a mail was sent again."""
        noted = self.recorded_receipts()
        wrong = []
        flushes = [self.sandbox.run(*FLUSH, "--all")]
        self.sink.refuse.pop(LATER, None)
        self.sink.slow = 0
        flushes += [self.sandbox.run(*FLUSH, "--all") for _ in range(2)]
        left = [f"{name}/{entry}" for name in ("tmp", "new", "sending") for entry in self.in_folder(name)]
        if left:
            wrong.append(f"{left} are left: {[str(flush) for flush in flushes]}")
        if "nothing waits" not in flushes[-1].err:
            wrong.append(f"the last flush: {flushes[-1]}")
        got, again = self.sink.per_recipient(), False
        for address in self.scene.wanted():
            ids = got.pop(address, [])
            if len(ids) == 2 and ids[0] == ids[1] and self.says_unknown() and address not in noted:
                again = True
            elif len(ids) != 1:
                wrong.append(f"{len(ids)} mails to {address}, {len(set(ids))} ids; on record at the death: {noted}")
        if got:
            wrong.append(f"mails to {list(got)}")
        for _, data in self.sink.taken:
            if self.scene.most:
                wrong += self.wrong_with_smaller(data)
            elif not data.rstrip().endswith(b"--"):
                wrong.append(f"not whole: {data[-80:]!r}")
        if rests := self.rests():
            wrong.append(f"rests in the outbox: {rests}")
        return wrong, again

    def rests(self):
        """What lies in the outbox and is nobody's any more."""
        known = {"entry.json", "body.mime", "plain.mime"}
        found = [path for folder in ("tmp", "new", "sending", "sent", "failed", "held") for path in (self.outbox / folder).glob("*/*")]
        return [str(path.relative_to(self.outbox)) for path in found if path.name not in known]

    def wrong_with_smaller(self, data):
        """Is it the mail made smaller, whole, with the log's ends as they were? Or its plain form: that holds
        the end of the log in its text."""
        mail = email.message_from_bytes(data, policy=email.policy.default)
        wrong = [str(defect) for part in mail.walk() for defect in part.defects]
        (log,) = [path.read_bytes() for path in self.begin.glob("runs/*/log")]
        last = log.splitlines()[-1].decode()
        text = mail.get_body(("plain",)).get_content()
        if last not in text:
            wrong.append(f"the last line isn't in its text: {text}")
        zips = [part for part in mail.iter_attachments() if part.get_filename() == "log.zip"]
        if not zips:
            self.plain += 1
            return wrong + ([] if mail.get_content_type() == "text/plain" else ["neither a log nor the plain form"])
        with zipfile.ZipFile(io.BytesIO(zips[0].get_content())) as packed:
            got = packed.read("log.txt")
        head, told, tail = re.split(rb"\n+(===== notify-done: [^\n]* =====)\n+", got)
        if not (log.startswith(head) and log.endswith(tail) and len(head) > 1000 and len(tail) > 1000):
            wrong.append(f"not the log: {head[:80]!r}, {told!r}, {tail[-80:]!r}")
        if "left out" not in text:
            wrong.append(f"it doesn't say that it is cut: {text}")
        return wrong

    def entries(self):
        for path in self.outbox.glob("*/*/entry.json"):
            yield json.loads(path.read_text())

    def recorded_receipts(self):
        """For whom the disk says that a server took it."""
        found = set()
        for entry in self.entries():
            for recipient in (entry["recipients"] or {}).get("states", []):
                found |= {recipient["address"]} if "accepted" in json.dumps(recipient["state"]) else set()
        return found

    def says_unknown(self):
        return any("unknown" in json.dumps(attempt["outcome"]) for entry in self.entries() for attempt in entry["attempts"])


@dataclass
class Tried:
    points: int = 0
    not_reached: int = 0
    again: int = 0
    kinds: Counter = field(default_factory=Counter)
    bad: list = field(default_factory=list)


class EveryCallTest(unittest.TestCase):
    def in_yards(self, scene, work, tasks):
        """`work(yard, task, tried)` for each task, by some yards at once; all that was tried together."""
        tasks, total = list(tasks), Tried()

        def worker(mine):
            with tempfile.TemporaryDirectory(prefix="nd-call-") as place:
                yard, tried = Yard(place, scene), Tried()
                try:
                    for task in mine:
                        work(yard, task, tried)
                finally:
                    yard.close()
                return tried

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for tried in pool.map(worker, [tasks[n::AT_ONCE] for n in range(AT_ONCE)]):
                total.points += tried.points
                total.not_reached += tried.not_reached
                total.again += tried.again
                total.kinds += tried.kinds
                total.bad += tried.bad
        return total

    def look(self, scene):
        """The calls of a clean run, and their names."""
        with tempfile.TemporaryDirectory(prefix="nd-call-") as place:
            yard = Yard(place, scene)
            try:
                names, calls = yard.names(), yard.clean_run()
                self.assertEqual(yard.restart(), ([], False), "nothing was killed")
                return names, calls, [call.touches(yard.outbox) for call in calls]
            finally:
                yard.close()

    def kill_everywhere(self, what, scene, calls, names, whole=None):
        """`whole`: all calls, of which these are few."""
        def kill(yard, call, tried):
            name = names.get(call.point.number, call.point.number)
            yard.reset()
            if not tracing.kill_at(call.point, yard.argv(), yard.sandbox.env, yard.sandbox.home):
                # How often it waits for the server differs from run to run.
                tried.not_reached += 1
                return
            tried.points += 1
            tried.kinds[name] += 1
            wrong, again = yard.restart()
            tried.again += again
            tried.bad += [f"killed at {name}, {call.point}: {'; '.join(wrong)}"] if wrong else []

        tried = self.in_yards(scene, kill, calls)
        print(
            f"every call, {what}: killed at {tried.points} calls of {len(tried.kinds)} kinds "
            f"({tried.not_reached} weren't made again); {tried.again} times sent again under the same Message-ID",
            flush=True,
        )
        self.assertEqual(tried.bad, [], "\n".join(tried.bad))
        self.assertGreater(tried.points, 0.9 * len(calls), "hardly any call was made again")
        # The record of the answer comes first: no call more than that takes may leave it unknown.
        in_doubt = until_recorded(whole or calls, names)
        self.assertLessEqual(tried.again, len(in_doubt) + 2, in_doubt)

    def chosen(self, calls, touching):
        """All, or all that anybody outside can tell, and some of the rest."""
        if ALL:
            return calls
        outside = [on_disk or is_network(call) for call, on_disk in zip(calls, touching)]
        return [call for n, call in enumerate(calls) if outside[n] or n % FEW == 0]

    def test_one_recipient(self):
        """Catches: an answer that isn't on record before the next step, a claim of a dead process that
        nobody takes up, a body that goes before the receipt stands."""
        names, calls, touching = self.look(ONE)
        self.kill_everywhere("one recipient", ONE, self.chosen(calls, touching), names)

    def test_three_recipients(self):
        """One is taken, one refused for good, one for now. Catches: a retry that goes to all of them
        again, a refusal that is forgotten with the process."""
        names, calls, touching = self.look(THREE)
        self.kill_everywhere("three recipients", THREE, self.chosen(calls, touching), names)

    def test_a_server_slow_to_answer(self):
        """Catches: a wait for the answer to "." from which a death leaves no trace."""
        names, calls, _ = self.look(SLOW)
        self.kill_everywhere("slow answer", SLOW, calls if ALL else calls[final_dot(calls) :], names)
        self.kill_while_it_waits()

    def kill_while_it_waits(self):
        with tempfile.TemporaryDirectory(prefix="nd-call-") as place:
            yard = Yard(place, SLOW)
            try:
                yard.reset()
                flush = yard.start_flush()
                yard.sink.at_dot = lambda: kills.kill(flush.pid)
                flush.communicate(timeout=harness.LIMIT_SECONDS)
                yard.sink.at_dot = lambda: None
                wrong, again = yard.restart()
                self.assertEqual((wrong, again), ([], True))
            finally:
                yard.close()

    def test_a_mail_that_is_made_smaller(self):
        """The server finds it too large, so it is made again with less of the log, while it is being sent.
        Catches: a body that is half the old and half the new one, a mail that is lost or doubled since it
        changed, what was being written left in the outbox for ever."""
        for what, scene in (("limit said", SAYS_LIMIT), ("limit not said", HIDES_LIMIT)):
            with self.subTest(what):
                names, calls, touching = self.look(scene)
                chosen = [
                    call for n, (call, on_disk) in enumerate(zip(calls, touching))
                    if ALL or n % FEWER == 0 or n == final_dot(calls)
                    or (n % FEW == 0 and on_disk and names.get(call.point.number) == "write")
                    or (names.get(call.point.number) in TELLING and is_remake(call))
                ]  # fmt: skip
                self.kill_everywhere(f"made smaller, {what}", scene, chosen, names, calls)

    def test_a_disk_that_refuses_to_make_it_smaller(self):
        """Catches: a mail that waits for ever for a disk that is full, or has become read-only, only because it
        is to be made again; one that goes out half."""
        names, calls, touching = self.look(SAYS_LIMIT)
        on_disk = [
            (names.get(call.point.number), call.point.nth, is_remake(call))
            for call, touches in zip(calls, touching) if touches and call.point.thread == 0
        ]  # fmt: skip
        tasks = [
            [(name, error, str(nth))] for error, kinds in ERRORS.items() for name, nth, remakes in on_disk
            if remakes and name in kinds and (ALL or name in TELLING or name == "openat" or nth % FEW == 0)
        ]  # fmt: skip
        first = next(n for n, (_, _, remakes) in enumerate(on_disk) if remakes)
        for error, groups in FOR_GOOD.items():
            of_remake = [(name, nth) for name, nth, _ in on_disk[first:]]
            tasks += [task for group in groups for task in list(from_each_moment_on(of_remake, error, group))[: None if ALL else 2]]
        self.refuse_everywhere("errors while it is made smaller", SAYS_LIMIT, tasks)

    def test_a_disk_that_refuses(self):
        """Catches: a mail that goes out although it can't be noted that it may have, one that is lost
        because the disk refused to move it, and an error that ends in two mails."""
        names, calls, touching = self.look(ONE)
        on_disk = [
            (names.get(call.point.number), call.point.nth) for call, touches in zip(calls, touching)
            if touches and call.point.thread == 0
        ]  # fmt: skip
        tasks = [
            [(name, error, str(nth))] for error, kinds in ERRORS.items() for name, nth in on_disk if name in kinds
        ]
        for error, groups in FOR_GOOD.items():
            tasks += [task for group in groups for task in from_each_moment_on(on_disk, error, group)]
        self.refuse_everywhere("errors", ONE, tasks)

    def refuse_everywhere(self, what, scene, tasks):
        def refuse(yard, task, tried):
            yard.reset()
            trace = yard.sandbox.dir / "trace"
            faults = [part for name, error, when in task for part in ("-e", f"inject={name}:error={error}:when={when}")]
            kinds = ",".join(name for name, _, _ in task)
            done = subprocess.run(
                ["strace", "-f", "-qq", "-o", trace, "-e", f"trace={kinds}", *faults, *yard.argv()],
                env=yard.sandbox.env, cwd=yard.sandbox.home, stdin=subprocess.DEVNULL, capture_output=True,
                timeout=harness.LIMIT_SECONDS,
            )  # fmt: skip
            if "(INJECTED)" not in trace.read_text(errors="replace"):
                tried.not_reached += 1
                return
            tried.points += 1
            tried.kinds[task[0][0]] += 1
            wrong, again = yard.restart()
            wrong += [f"it ended with {done.returncode}"] if done.returncode not in (0, 1) else []
            tried.again += again
            tried.bad += [f"{task}: {'; '.join(wrong)}; before that: {done.stderr.decode()}"] if wrong else []

        tried = self.in_yards(scene, refuse, tasks)
        print(
            f"every call, {what}: {tried.points} refusals of {len(tried.kinds)} kinds of calls "
            f"({tried.not_reached} weren't made again); {tried.again} times sent again under the same Message-ID",
            flush=True,
        )
        self.assertEqual(tried.bad, [], "\n".join(tried.bad))
        self.assertGreater(tried.points, 0.9 * len(tasks))


def from_each_moment_on(calls, error, group):
    """For each call of a group, the faults by which it and all later ones of the group fail."""
    for n, (name, _) in enumerate(calls):
        if name in group:
            later = {}
            for kind, nth in calls[n:]:
                later.setdefault(kind, nth)
            yield [(kind, error, f"{later[kind]}+") for kind in group if kind in later]


def final_dot(calls):
    """Where the end of the mail is sent, for the last time."""
    for n, call in reversed(list(enumerate(calls))):
        if is_network(call) and any(text.startswith((b"\r\n.\r\n", b".\r\n")) for text in call.texts):
            return n
    raise AssertionError("no call that sends the final dot was seen")


def until_recorded(calls, names):
    """The calls after the end of the mail, up to that which puts the answer on record."""
    after = calls[final_dot(calls) + 1 :]
    recorded = next(n for n, call in enumerate(after) if names.get(call.point.number, "").startswith("rename"))
    asked = [call for call in after[:recorded] if any(text.startswith(b"QUIT") for text in call.texts)]
    assert not asked, f"the answer isn't on record when the next word is said: {asked[0].point}"
    return after[: recorded + 1]


def is_remake(call):
    """Is it about a body that is made again?"""
    return "/remake" in f"{call.file}{call.texts}"


def is_network(call):
    return call.file.startswith("socket:")
