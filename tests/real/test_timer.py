"""The units of `outbox install-timer`, read by systemd itself."""

import os
import shutil
import subprocess
import tempfile
import unittest

import harness

# What systemd, cron and the shell each take for something of their own.
NAMES = ("plain", "a b", "50%", "$HOME ${x}", "it's", 'a "quote"', "back\\slash", "工作", "semi;colon #hash")


class TimerTest(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory(prefix="nd-timer-")
        self.addCleanup(place.cleanup)
        self.sandbox = harness.Sandbox(place.name)

    def install(self, program, env):
        """The folder of the units, as a systemd that says yes to all would have them installed."""
        fake = self.sandbox.dir / "bin"
        fake.mkdir(exist_ok=True)
        (fake / "systemctl").write_text("#!/bin/sh\nexit 0\n")
        (fake / "systemctl").chmod(0o755)
        env = {**self.sandbox.env, **env, "PATH": f"{fake}:{self.sandbox.env['PATH']}"}
        argv = [program, "outbox", "install-timer"]
        done = subprocess.run(argv, env=env, cwd=self.sandbox.home, capture_output=True, timeout=harness.LIMIT_SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.sandbox.home / ".config/systemd/user"

    def analyze(self, *arguments):
        argv = ["systemd-analyze", "--user", "--man=no", *arguments]
        env = {**os.environ, "XDG_RUNTIME_DIR": str(self.sandbox.runtime), "LC_ALL": "C.UTF-8"}
        return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=harness.LIMIT_SECONDS)

    def test_systemd_takes_the_units(self):
        """Catches: a key that systemd doesn't know, and a path that it reads as another, or not at all."""
        for name in NAMES:
            with self.subTest(name):
                folder = self.sandbox.dir / name
                folder.mkdir()
                program = folder / "notify-done"
                shutil.copy(harness.binary(), program)
                state = folder / "state"
                units = self.install(program, {"NOTIFY_DONE_STATE": str(state)})
                both = [units / "notify-done.service", units / "notify-done.timer"]
                seen = self.analyze("verify", *both)
                self.assertEqual((seen.returncode, seen.stdout + seen.stderr), (0, ""), both[0].read_text())
                # It finds the program where it is, and misses it where it isn't.
                program.unlink()
                seen = self.analyze("verify", both[0])
                if "/usr/bin/env" not in both[0].read_text():
                    self.assertNotEqual(seen.returncode, 0)
                    self.assertIn("notify-done is not executable", seen.stderr)

    def test_the_timer_comes_every_quarter_of_an_hour(self):
        """Catches: a calendar that systemd understands in another way."""
        units = self.install(harness.binary(), {})
        text = (units / "notify-done.timer").read_text()
        (calendar,) = [line.split("=", 1)[1] for line in text.splitlines() if line.startswith("OnCalendar=")]
        seen = self.analyze("calendar", "--base-time=2026-01-01 00:01:00 UTC", "--iterations=3", calendar)
        self.assertEqual(seen.returncode, 0, seen.stderr)
        for quarter in ("00:15:00", "00:30:00", "00:45:00"):
            self.assertIn(f"2026-01-01 {quarter} UTC", seen.stdout)


if __name__ == "__main__":
    unittest.main()
