"""Statement 84 with a real shortage: a control group of our own, too small for what runs in it."""

import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import harness

LIMIT = 64 << 20
# Takes memory until it is killed; the bound is for a group that doesn't hold.
EATER = "x = []\nfor _ in range(1024): x.append(bytearray(b'x' * (1 << 20)))"


def make_group():
    """A group that may use LIMIT bytes; None, said loudly, where the machine doesn't let us."""
    root = Path("/sys/fs/cgroup")
    name = f"notify-done-test-{os.getpid()}"
    if (root / "memory" / "memory.limit_in_bytes").exists():
        group, limits = root / "memory" / name, ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
    else:
        group, limits = root / name, ("memory.max", "memory.swap.max")
    try:
        group.mkdir()
    except OSError as error:
        return skip(f"no group can be made: {error}")
    try:
        (group / limits[0]).write_text(str(LIMIT))
        if (group / limits[1]).exists():
            (group / limits[1]).write_text("0" if limits[1] == "memory.swap.max" else str(LIMIT))
    except OSError as error:
        group.rmdir()
        return skip(f"the group takes no limit: {error}")
    return group


def skip(why):
    """Containers mostly forbid this; the test of the words runs everywhere (tests/command)."""
    print(f"\nSKIP: the real kill for want of memory was NOT tested here: {why}", file=sys.stderr)


def remove(group):
    end = time.monotonic() + 30
    while True:
        try:
            return group.rmdir()
        except OSError:
            # The last process may still be on its way out.
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


class MemoryTest(unittest.TestCase):
    """Needs no mail servers."""

    def setUp(self):
        place = tempfile.TemporaryDirectory(prefix="nd-home-")
        self.addCleanup(place.cleanup)
        self.box = harness.Sandbox(place.name)

    def end_in(self, group, *command):
        """What is known of a run of `command`, all of it in `group`."""
        procs = group / "cgroup.procs"
        script = f'echo $$ >"{procs}"; exec "$ND" -q --min-duration 1h -- "$@"'
        env = {**self.box.env, "ND": harness.binary()}
        done = subprocess.run(
            ["sh", "-c", script, "sh", *command],
            env=env, cwd=self.box.home, timeout=60, capture_output=True,
        )  # fmt: skip
        shown = json.loads(self.box.run("runs", "show", "--json").stdout)
        return done, shown

    def test_a_kill_for_want_of_memory_is_counted(self):
        group = make_group()
        if group is None:
            return
        try:
            done, run = self.end_in(group, sys.executable, "-c", EATER)
            self.assertEqual((done.returncode, run["signal"]), (-9, 9), done)
            self.assertEqual(run["out_of_memory"], {"kills": 1, "limit": LIMIT})
            # A child is killed, the command ends by itself.
            done, run = self.end_in(group, "sh", "-c", f"{sys.executable} -c \"{EATER}\"; exit 5")
            self.assertEqual((done.returncode, run["exit_code"]), (5, 5), done)
            self.assertEqual(run["out_of_memory"]["kills"], 1)
            # None is left over from before.
            _, run = self.end_in(group, "true")
            self.assertIsNone(run["out_of_memory"])
        finally:
            remove(group)
