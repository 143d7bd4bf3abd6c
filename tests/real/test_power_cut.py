"""A power cut at any moment between a run's end and the receipt of its notice: nothing half is sent, and
nothing is lost that was kept.

A real run whose server is down, and a real `outbox flush` that delivers its notice, are recorded with all that
they write. The disk as a power cut may have left it (powercut.py says what that means) is then laid out
again and again, and what `outbox flush` makes of it is looked at. The choices come from a seed, which is
printed. Beside it lies the entry of another run, which must go out whatever has become of this one.

NOTIFY_DONE_POWER_CUTS=5000 lays out so many; NOTIFY_DONE_POWER_SEED=N makes the same choices again.
"""

import json
import os
import random
import shutil
import subprocess
import tempfile
import time
import unittest
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import harness
import kills
import mailbox
import outboxes
import powercut

CUTS = int(os.environ.get("NOTIFY_DONE_POWER_CUTS", "300"))
SEED = int(os.environ.get("NOTIFY_DONE_POWER_SEED", time.time_ns() % 1_000_000))
AT_ONCE = 3
# Long enough for the run to be on record for sure: a second after its start.
JOB = "echo first line; sleep 1.3; echo second line >&2; exit 3"


class Yard(outboxes.Yard):
    """A yard in which a run was recorded."""

    def __init__(self, place, used):
        super().__init__(place)
        self.root = self.sandbox.home / ".local"
        self.other = self.entry_of_another_run()
        self.root.mkdir(exist_ok=True)
        if used:
            # The folders are there since long ago.
            self.state.mkdir(parents=True)
            self.sandbox.run("--on", "failure", "--", "true")
            (self.state / "outbox").mkdir(mode=0o700)
            self.sandbox.run("outbox", "list")
            for run in self.state.glob("runs/*"):
                shutil.rmtree(run)
        self.record()

    def entry_of_another_run(self):
        """Taken away, to be laid beside each state; its mail, whole."""
        entry = self.entry_of_a_run(job="echo other; exit 4")
        place = self.sandbox.dir / "other"
        shutil.copytree(entry, place / entry.name)
        self.sandbox.run("outbox", "flush")
        ((_, self.other_mail),) = self.sink.taken
        shutil.rmtree(self.root)
        return place / entry.name

    def record(self):
        disk = powercut.Disk(self.root)
        self.sink.reset()
        # Nobody listens there: a first try that fails.
        self.point_at(1)
        self.trace(disk, "--wait", "30s", "--", "sh", "-c", JOB)
        self.point_at(self.sink.port)
        self.trace(disk, "outbox", "flush", "--all")
        ((_, self.mail),) = self.sink.taken
        (entry,) = self.outbox.glob("sent/*")
        self.entry = entry.name
        self.kept = disk.named_since(f"outbox/new/{entry.name}")[0]
        self.recorded = disk.there_since(f"runs/{entry.name}/run.json")
        self.disk = disk

    def trace(self, disk, *arguments):
        trace = self.sandbox.dir / "trace"
        argv = [*powercut.strace(trace), harness.binary(), *arguments]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(argv, env=self.sandbox.env, cwd=self.sandbox.home, **quiet) as running:
            ended = lambda: running.poll() is not None
            kills.wait_until("its start", lambda: ended() or kills.children(running.pid))
            kills.wait_until("its end", lambda: ended() or not kills.children(running.pid))
            # What stays behind to try again later isn't waited for.
            kills.wait_until("its first try", lambda: ended() or self.has_tried())
            self.end_all()
        disk.play(powercut.read(trace.read_text()))

    def has_tried(self):
        entries = [*self.outbox.glob("new/*/entry.json"), *self.outbox.glob("sent/*/entry.json")]
        try:
            return any(json.loads(path.read_text())["attempts"] for path in entries)
        except (FileNotFoundError, ValueError):
            return False

    def receipt_is_there(self):
        """Does the disk say, anywhere, that the server took it?"""
        if list(self.outbox.glob(f"sent/{self.entry}")):
            return True
        return any(b"receipt-" in path.read_bytes() for path in self.outbox.glob(f"*/{self.entry}*/entry.json"))

    def run_is_there(self):
        """Could a flush make the notice of the run anew? None: its record is there, and damaged."""
        for path in self.state.glob("runs/*/run.json"):
            if (path.parent / "lock").exists():
                try:
                    return json.loads(path.read_bytes()).get("version") is not None
                except ValueError:
                    return None
        return False


def not_whole(data):
    """Why it is no whole mail; None: it is."""
    try:
        mailbox.parse(data.replace(b"\r\n", b"\n"))
    except mailbox.Defective as error:
        return f"half a mail was sent: {error}"
    return None


class PowerCutTest(unittest.TestCase):
    def cut(self, what, used, count):
        seed = f"{SEED}/{what}"

        def worker(number):
            with tempfile.TemporaryDirectory(prefix="nd-cut-") as place:
                yard, counts, bad = Yard(place, used), Counter(), []
                try:
                    self.assertIsNotNone(yard.kept, "the entry's name is never synced")
                    self.assertIsNotNone(yard.recorded, "the run's record is never synced")
                    self.assertEqual(len(yard.disk.dots), 1, yard.disk.dots)
                    for crash in powercut.crashes(yard.disk, count // AT_ONCE, f"{seed}/{number}"):
                        wrong = self.judge(yard, crash, counts)
                        bad += [f"{crash.way} at {crash.now} of {yard.disk.last}: {line}" for line in wrong]
                finally:
                    yard.close()
                return counts, bad, len(yard.disk.moments())

        with ThreadPoolExecutor(AT_ONCE) as pool:
            results = list(pool.map(worker, range(AT_ONCE)))
        counts = sum((counts for counts, _, _ in results), Counter())
        bad = [line for _, lines, _ in results for line in lines]
        states = counts.pop("states")
        found = ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))
        print(f"power cut, {what}: seed {SEED}; {states} states at {results[0][2]} moments: {found}", flush=True)
        self.assertEqual(bad, [], f"{len(bad)} wrong:\n" + "\n".join(bad[:10]))
        self.assertGreater(counts["kept and sent"], 0)

    def judge(self, yard, crash, counts):
        counts["states"] += 1
        crash.lay_out()
        told = yard.receipt_is_there()
        there = yard.run_is_there()
        in_outbox = any(list(yard.outbox.glob(f"{name}/{yard.entry}*")) for name in ("new", "sending"))
        beside = yard.outbox / "new" / yard.other.name
        beside.parent.mkdir(parents=True, exist_ok=True)
        for folder in (yard.state, yard.outbox, beside.parent):
            folder.chmod(0o700)
        shutil.copytree(yard.other, beside)
        yard.sink.reset()
        flushes = [yard.sandbox.run("outbox", "flush", "--all") for _ in range(2)]
        errors = "".join(flush.err for flush in flushes)
        mails = {}
        for _, data in yard.sink.taken:
            mails.setdefault(outboxes.message_id(data), []).append(data)
        wrong = []
        if mails.pop(outboxes.message_id(yard.other_mail), None) != [yard.other_mail]:
            wrong.append(f"the other run's mail didn't come, once: {errors}")
        # The notice of a run that was cut off, made anew, has an id of its own, after the run's.
        ours = [data for number, several in mails.items() if yard.entry in number for data in several]
        wrong += [f"a mail of nobody's: {list(mails)}"] if any(yard.entry not in number for number in mails) else []
        wrong += [half for data in ours if (half := not_whole(data))]
        kept = crash.now >= yard.kept
        if kept and any(data != yard.mail for data in ours):
            wrong.append("it isn't the mail that was kept")
        wanted = self.wanted(yard, crash, counts, (told, there, kept or in_outbox))
        if len(ours) not in wanted:
            wrong.append(f"{len(ours)} mails, not {wanted}: kept {kept}, receipt {told}, run {there}, in the outbox {in_outbox}: {errors}")
        if there is None and not kept and not ours and "damaged" not in errors:
            wrong.append(f"a damaged record isn't told: {errors}")
        left = [f"{name}/{entry}" for name in ("tmp", "new", "sending") for entry in yard.in_folder(name)]
        if left:
            wrong.append(f"{left} are left: {errors}")
        return wrong

    def wanted(self, yard, crash, counts, seen):
        """How many mails a flush may send."""
        told, there, kept = seen
        dot = crash.now >= yard.disk.dots[0]
        if told:
            counts["sent before"] += 1
            return (0,)
        if kept:
            counts["sent again, unknown" if dot else "kept and sent"] += 1
            return (1,)
        if there:
            counts["made anew from the run"] += 1
            return (1,)
        if there is None:
            # Its end is put over its beginning without a sync, since the outbox has it a moment later.
            counts["told, the run's record being damaged"] += 1
            return (0,)
        on_record = crash.now >= yard.recorded
        counts["on record, and lost" if on_record else "before there was anything"] += 1
        return (1,) if on_record else (0, 1)

    def test_a_used_outbox(self):
        """Catches: a rename before the bytes are synced, a folder that isn't synced after it, a receipt
        that isn't on the disk when the claim goes back."""
        self.cut("a used outbox", True, CUTS)

    def test_the_first_notice_ever(self):
        """Catches: an entry that is synced in folders whose own names aren't."""
        self.cut("the first notice ever", False, CUTS // 3)

    def test_damage_in_an_entry(self):
        """Files as no power cut should leave them. Catches: half a mail sent, a damaged entry that
        stops the others or isn't told."""
        rng = random.Random(f"{SEED}/damage")
        counts = Counter()
        with tempfile.TemporaryDirectory(prefix="nd-cut-") as place:
            yard = outboxes.Yard(place)
            self.addCleanup(yard.close)
            entry = yard.entry_of_a_run()
            whole = (entry / "entry.json").read_bytes()
            begin = yard.sandbox.dir / "begin"
            # One that is sent before it, and one that is sent after it.
            others = yard.copies(entry, 1) + yard.copies(entry, 1, first=0xFFFFFFFF)
            shutil.copytree(yard.state, begin)
            for number in range(max(20, CUTS // 10)):
                shutil.rmtree(yard.state)
                shutil.copytree(begin, yard.state)
                yard.sink.reset()
                how = self.damage(entry / "entry.json", whole, rng)
                counts[how] += 1
                flush = yard.sandbox.run("outbox", "flush", "--all")
                ids = [outboxes.message_id(data) for _, data in yard.sink.taken]
                self.assertEqual([number.split("@")[0][1:] for number in ids], others, f"{how}: {flush}")
                self.assertEqual(flush.status, 1, f"{how}: {flush}")
                self.assertIn(entry.name, flush.err, f"{how}: it isn't told")
                self.assertTrue(entry.exists(), f"{how}: it was removed")
        print(f"damaged entries: {sum(counts.values())}, told and left alone: {dict(counts)}", flush=True)

    def damage(self, path, whole, rng):
        how = rng.choice(["empty", "cut", "zeros", "garbage", "gone"])
        at = rng.randrange(1, len(whole) - 2)
        rest = len(whole) - at
        content = {
            "empty": b"", "cut": whole[:at], "zeros": whole[:at] + bytes(rest), "garbage": whole[:at] + rng.randbytes(rest)
        }  # fmt: skip
        if how == "gone":
            path.unlink()
        else:
            path.write_bytes(content[how])
        return how
