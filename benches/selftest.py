"""Does the kit see what it should? Run by `benches/run --smoke`, which sets PROBE, and SINK where mail is
measured."""

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import figures
import mail
import measure
from contenders import Place

PROBE = None
SINK = None
LINE = 80


def written(kind, count):
    return subprocess.run([PROBE, "write", kind, str(count)], capture_output=True, check=True).stdout


def complete(stream, *arguments):
    done = subprocess.run([PROBE, "drain", *arguments], input=stream, capture_output=True, check=True)
    return json.loads(done.stdout)["complete"]


class TheChecker(unittest.TestCase):
    def test_takes_what_was_written(self):
        """Catches a checker that refuses everything."""
        for kind, count in (("lines", 200), ("blocks", 3)):
            self.assertTrue(complete(written(kind, count), kind, str(count)), kind)

    def test_sees_every_damage(self):
        """Catches a checker that only counts bytes: then the figure of a wrapper that loses output would count."""
        whole = written("lines", 200)
        lines = [whole[n : n + LINE] for n in range(0, len(whole), LINE)]
        flipped = bytearray(whole)
        flipped[5003] ^= 1
        damages = {
            "lost": lines[:50] + lines[51:],
            "lost at the end": lines[:-1],
            "cut": [whole[:-1]],
            "doubled": lines[:50] + lines[49:],
            "swapped": [*lines[:50], lines[51], lines[50], *lines[52:]],
            "changed": [bytes(flipped)],
            "too much": [*lines, b"x"],
            "nothing": [],
        }
        for name, parts in damages.items():
            self.assertFalse(complete(b"".join(parts), "lines", "200"), name)

    def test_sees_a_lost_block_by_its_head_alone(self):
        """Catches heads that all look alike."""
        whole, block = written("blocks", 4), 65536
        self.assertTrue(complete(whole, "blocks", "4", "heads"))
        self.assertFalse(complete(whole[:block] + whole[2 * block :] + whole[:block], "blocks", "4", "heads"))

    def test_knows_scripts_frame_and_returns(self):
        """Catches a frame that hides missing output: `script` writes a heading and a closing line."""
        shown = written("lines", 20).replace(b"\n", b"\r\n")
        framed = b"Script started on 2026-01-01\n" + shown + b"\nScript done on 2026-01-01\n"
        self.assertTrue(complete(framed, "lines", "20", "crlf", "framed"))
        self.assertFalse(complete(framed.replace(shown[:82], b""), "lines", "20", "crlf", "framed"))

    def test_takes_two_streams_in_any_order_but_whole(self):
        """Catches a sum that a lost and a doubled line leave alone."""
        done = subprocess.run([PROBE, "write", "alt", "100"], capture_output=True, check=True)
        self.assertTrue(complete(done.stdout, "out", "50"))
        self.assertTrue(complete(done.stderr, "err", "50"))
        self.assertTrue(complete(done.stderr + done.stdout, "either", "100"))
        self.assertFalse(complete(done.stdout + done.stdout, "either", "100"))


class ARun(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="bench-selftest-")
        self.addCleanup(folder.cleanup)
        self.place = Place(folder.name)

    def run_shell(self, text, *readers):
        sink = measure.Sink("pipe" if readers else "null", readers)
        return measure.run(PROBE, ["sh", "-c", text], sink, self.place, 30)

    def test_is_void_when_the_wrapper_fails_or_speaks(self):
        """Catches figures of a wrapper that didn't run at all."""
        self.assertEqual(self.run_shell("true").faults, [])
        self.assertIn("ended with 3", self.run_shell("exit 3").faults[0])
        self.assertIn("no account", self.run_shell("echo no account >&2").faults[0])

    def test_hears_of_output_that_got_lost(self):
        """Catches a drain whose verdict nobody asks for."""
        reader = ("drain", "lines", "10")
        self.assertTrue(self.run_shell(f"{PROBE} write lines 10", reader).streams[0]["complete"])
        self.assertFalse(self.run_shell(f"{PROBE} write lines 9", reader).streams[0]["complete"])

    def test_counts_what_is_left_behind(self):
        """Catches a wrapper that lets an orphan do its work: its CPU time would be nobody's."""
        measure.adopt_orphans()
        work = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"
        self.assertGreater(self.run_shell(f"({work}) & exit 0").cpu, 0.5 * self.run_shell(work).cpu)

    def test_that_hangs_is_ended(self):
        """Catches a session that waits for ever, and one that leaves the hanging process there."""
        with self.assertRaises(measure.TookTooLong):
            measure.run(PROBE, ["sleep", "1000"], measure.Sink("null"), self.place, 1)
        self.assertEqual(measure.descendants(), set())

    def test_on_a_terminal_is_on_a_terminal(self):
        """Catches a `tty` benchmark that measures a pipe."""
        sink = measure.Sink("tty", (("drain", "lines", "5", "crlf"),))
        text = f"test -t 0 && test -t 1 && : >/dev/tty && exec {PROBE} write lines 5"
        run = measure.run(PROBE, ["sh", "-c", text], sink, self.place, 30)
        self.assertEqual((run.faults, run.streams[0]["complete"]), ([], True))


class TheSink(unittest.TestCase):
    def test_sees_every_damage(self):
        """Catches a sink that only counts mails: then the figure of a sender that sends half would count."""
        if SINK is None:
            self.skipTest("no mail is measured")
        folder = tempfile.TemporaryDirectory(prefix="bench-selftest-")
        self.addCleanup(folder.cleanup)
        sent, expected = Path(folder.name, "sent"), Path(folder.name, "expected")
        sent.write_bytes(written("lines", 3000))
        whole = sent.read_bytes()
        changed = bytearray(whole)
        changed[100_003] ^= 1
        sink = mail.Sink(SINK, "plain", os.sched_getaffinity(0))
        self.addCleanup(sink.close)
        for name, content, complete in (
            ("whole", whole, True),
            ("cut", whole + written("lines", 1), False),
            ("changed", bytes(changed), False),
            ("another", whole[::-1], False),
        ):
            expected.write_bytes(content)
            sink.expect(expected)
            letter = mail.Letter(sink.port, sent, None)
            subprocess.run(mail.smtplib(letter), check=True)
            self.assertEqual(sink.line()["complete"], complete, name)


class TheFigures(unittest.TestCase):
    def test_ratios_are_of_the_same_round(self):
        """Catches a ratio of medians: a machine that slows down in between would change it."""
        rounds = figures.Rounds(["us", "tee"])
        for ours, theirs in ((1, 2), (10, 20), (300, 100), (None, 1), (5, 10)):
            rounds.add("us", None if ours is None else {"wall": ours})
            rounds.add("tee", {"wall": theirs})
        self.assertEqual(rounds.ratio("us", "tee", "wall"), figures.Spread(0.5, 0.5, 1.125))

    def test_a_goal_is_judged_as_it_is_shown(self):
        """Catches `1.00, not met`."""
        goal = figures.Goal("x", "x", "wall", "bare", 1.0)
        self.assertEqual(figures.verdict(goal, figures.Spread(1, 1.004, 1)), "met")
        self.assertEqual(figures.verdict(goal, figures.Spread(1, 1.2, 2)), "not met: 20 % over")
        self.assertEqual(figures.verdict(goal, None), "not measured")

    def test_a_goal_is_in_doubt_where_others_took_the_cpu(self):
        """Catches a wall time that a busy machine made, shown as one that was reached."""
        rounds = figures.Rounds(["us", "tee"])
        rounds.add("us", {"wall": 1.0, "cpu": 1.0})
        rounds.add("tee", {"wall": 2.0, "cpu": 2.0})
        shown = {what: said for what, _, _, said in figures.goals({"blocks-pipe": rounds}, {"blocks-pipe"})}
        self.assertEqual(shown, {"blocks to a pipe: wall": "met (disturbed)", "blocks to a pipe: CPU": "met"})
