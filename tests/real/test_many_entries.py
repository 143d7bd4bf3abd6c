"""Outboxes with very many entries: sent once each by however many processes, and in nobody's way.

NOTIFY_DONE_DRAIN_ALL=1: 1,000 entries are drained by eight processes of which some are killed, too.
NOTIFY_DONE_LIST_MS=100: the longest that `outbox list` of 10,000 entries may take; not asked for otherwise,
since a machine that is busy would break it: then its system calls are counted.
"""

import os
import random
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from collections import Counter

import harness
import kills
import outboxes

PROCESSES = 8
MANY = 1000
VERY_MANY = 10_000
ALL = "NOTIFY_DONE_DRAIN_ALL" in os.environ
LIST_MS = os.environ.get("NOTIFY_DONE_LIST_MS")
# To open, look at, read and close a file, with something to spare; and to list a folder.
CALLS_PER_ENTRY = 10
SEED = int(os.environ.get("NOTIFY_DONE_DRAIN_SEED", time.time_ns() % 1_000_000))


class ManyEntriesTest(unittest.TestCase):
    def setUp(self):
        # In memory: how long a disk takes to sync ten times for each mail is another matter.
        place = tempfile.TemporaryDirectory(prefix="nd-many-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.addCleanup(place.cleanup)
        self.yard = outboxes.Yard(place.name)
        self.addCleanup(self.yard.close)

    def fill(self, count):
        """`count` entries in new/; their ids."""
        entry = self.yard.entry_of_a_run("--log", "none", job="exit 3")
        return [entry.name, *self.yard.copies(entry, count - 1)]

    def start_all(self):
        return [self.yard.start_flush() for _ in range(PROCESSES)]

    def finish(self, flush):
        try:
            return flush.communicate(timeout=600)[1].decode(errors="replace")
        except subprocess.TimeoutExpired:
            flush.kill()
            raise

    def mails(self):
        return Counter(outboxes.message_id(data) for _, data in self.yard.sink.taken)

    def check_all_sent(self, ids):
        self.assertEqual(self.yard.in_folder("sent"), sorted(ids))
        left = {name: self.yard.in_folder(name) for name in ("tmp", "new", "sending", "held", "failed")}
        self.assertEqual(left, {name: [] for name in left})

    def test_eight_processes_drain_a_thousand(self):
        """Catches: a claim that two can make, one that nobody makes because each takes it for the
        other's, an entry that is sent again while it moves."""
        ids = self.fill(MANY)
        begin = time.monotonic()
        flushes = self.start_all()
        errors = [self.finish(flush) for flush in flushes]
        seconds = time.monotonic() - begin
        mails = self.mails()
        by = sorted(error.count("mail sent to") for error in errors)
        print(f"{PROCESSES} processes, {MANY} entries: {mails.total()} mails, {len(mails)} ids, in {seconds:.1f} s; "
              f"sent by each: {by}", flush=True)  # fmt: skip
        self.assertEqual((mails.total(), len(mails)), (MANY, MANY), [n for n, count in mails.items() if count > 1][:5])
        self.check_all_sent(ids)
        self.assertEqual([flush.returncode for flush in flushes], [0] * PROCESSES, "\n".join(errors)[:3000])

    def test_some_of_the_eight_are_killed(self):
        """Catches: an entry that died with its sender, or is taken from one that lives."""
        count = MANY if ALL else 200
        ids = self.fill(count)
        # So that most of them are waiting for an answer when another begins, and looks for the dead.
        self.yard.sink.slow = 0.05
        rng = random.Random(SEED)
        flushes, killed, doomed = self.start_all(), 0, set()
        # Each time so many more mails have arrived, one is killed and another begins.
        for share in range(1, 8):
            target = count * share // 9 + rng.randrange(count // 20)
            kills.wait_until("more mails", lambda: len(self.yard.sink.taken) >= target, harness.LIMIT_SECONDS)
            alive = [flush for flush in flushes if flush.poll() is None]
            if alive:
                victim = rng.choice(alive)
                doomed |= self.kill(victim)
                killed += 1
                flushes.append(self.yard.start_flush())
        for flush in flushes:
            self.finish(flush)
        last = self.yard.sandbox.run("outbox", "flush", "--all")
        mails = self.mails()
        again = {number: times for number, times in mails.items() if times > 1}
        print(f"{PROCESSES} processes, {count} entries, {killed} killed, seed {SEED}: {mails.total()} mails, "
              f"{len(mails)} ids, {len(again)} sent again by another after a kill", flush=True)  # fmt: skip
        self.assertEqual(len(mails), count)
        for number, times in again.items():
            entry = number[1:].split("@")[0]
            self.assertEqual(times, 2, number)
            self.assertIn(entry, doomed, "its sender lives")
            self.assertIn("unknown", (self.yard.outbox / "sent" / entry / "entry.json").read_text())
        self.check_all_sent(ids)
        self.assertEqual(last.status, 0, str(last))

    def kill(self, victim):
        """The entries that it was sending: their folders say who has them, claim.rs."""
        victim.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, victim.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        taken = {name.split("@")[0] for name in self.yard.in_folder("sending") if f".{victim.pid}." in name}
        victim.kill()
        return taken

    def calls(self, *arguments):
        """How many system calls that makes, of all its processes together, by name; and its seconds."""
        trace = self.yard.sandbox.dir / "counts"
        argv = ["strace", "-f", "-c", "-o", trace, harness.binary(), *arguments]
        done = subprocess.run(argv, env=self.yard.sandbox.env, cwd=self.yard.sandbox.home, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=harness.LIMIT_SECONDS)  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+)(?: +\d+)? +(\w+)$", trace.read_text(), re.M)
        return Counter({name: int(number) for number, name in rows if name != "total"})

    def fewest(self, *arguments):
        """How often processes look for one another isn't always the same."""
        return min((self.calls(*arguments) for _ in range(7)), key=Counter.total)

    def quickest(self, *arguments):
        """Milliseconds of wall time, and of CPU: the best of some."""
        best = (float("inf"), float("inf"))
        for _ in range(7):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds = self.yard.sandbox.run(*arguments).seconds
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            best = tuple(map(min, best, (seconds * 1000, cpu * 1000)))
        return best

    def test_ten_thousand_entries_are_in_nobodys_way(self):
        """Catches: a start that looks at what waits, a list that asks for each entry more than it shows."""
        run = ("--on", "failure", "--", "true")
        self.yard.sandbox.run(*run)
        entry = self.yard.entry_of_a_run("--log", "none", job="exit 3")
        shutil.rmtree(self.yard.state / "runs")
        none, none_ms = self.fewest(*run), self.quickest(*run)
        self.yard.copies(entry, VERY_MANY - 1)
        full, full_ms = self.fewest(*run), self.quickest(*run)
        more = {name: full[name] - none[name] for name in full if full[name] > none[name]}
        whole = ["outbox", "list", *(["--all"] if "--all" in self.yard.sandbox.run("outbox", "list", "--help").stdout.decode() else [])]
        listed = self.yard.sandbox.run(*whole)
        lines = sum(" new " in line for line in listed.stdout.decode().splitlines())
        self.assertEqual((listed.status, lines), (0, VERY_MANY), listed.err)
        listing, list_ms, short_ms = self.calls(*whole), self.quickest(*whole), self.quickest("outbox", "list")
        print(
            f"a run beside one entry: {none.total()} calls, {none_ms[0]:.1f} ms; beside {VERY_MANY}: {full.total()}, "
            f"{full_ms[0]:.1f} ms; `outbox list`: {short_ms[0]:.0f} ms, {short_ms[1]:.0f} of CPU; `{' '.join(whole)}`: "
            f"{list_ms[0]:.0f} ms, {list_ms[1]:.0f} of CPU, {listing.total()} calls: "
            + ", ".join(f"{number} {name}" for name, number in listing.most_common(6)),
            flush=True,
        )
        self.assertLess(full.total() - none.total(), 30, more)
        self.assertLess(listing.total(), CALLS_PER_ENTRY * VERY_MANY)
        if LIST_MS:
            self.assertLess(short_ms[0], float(LIST_MS), "ms for `outbox list`")
