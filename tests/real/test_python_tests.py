"""Python's own tests of processes, signals and terminals, bare and wrapped: the same ones pass.

They come with Debian's libpython3.11-testsuite. (Python has test_tty from 3.12 on.)
"""

import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import harness
import programs

os.environ.setdefault("ND", harness.binary())
sys.path.insert(0, str(harness.ROOT / "tests" / "support"))
import terminal as tty  # noqa: E402

PYTHON = "/usr/bin/python3"
# The first takes most of a minute, and all the rest together as long.
PARTS = (
    ["test_signal"],
    ["test_subprocess", "test_pty", "test_openpty", "test_fork1", "test_popen", "test_wait3", "test_wait4",
     "test_threadsignals", "test_posix", "test_select", "test_poll", "test_fcntl", "test_getpass"],
)  # fmt: skip

# Says in a file how each test ended.
RUNNER = """
import json, os, sys, unittest
out, *names = sys.argv[1:]

class Noted(unittest.TextTestResult):
    def __init__(self, *more, **named):
        super().__init__(*more, **named)
        self.how = {}
    def startTest(self, test):
        super().startTest(test)
        self.how[test.id()] = 'passed'
    def note(self, test, how):
        self.how[test.id()] = how
    def addError(self, test, error):
        super().addError(test, error)
        self.note(test, 'error')
    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.note(test, 'failed')
    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note(test, 'skipped: ' + reason)
    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error:
            self.note(test, 'failed')

suite = unittest.defaultTestLoader.loadTestsFromNames(['test.' + name for name in names])
how = unittest.TextTestRunner(verbosity=2, resultclass=Noted).run(suite).how
with open(out, 'w') as file:
    json.dump(how, file)
sys.exit(not all(end == 'passed' or end.startswith('skipped') for end in how.values()))
"""


class PythonTestsTest(programs.ProgramTest):
    """Catches what only a test suite asks for: a signal's source, a child's group, a terminal's size."""

    def how_they_end(self, names, wrapper, place):
        """(status, how each test ended), with pipes, or a terminal of their own, as 1 and 2."""
        folder = Path(tempfile.mkdtemp(prefix=f"{place}-{names[0]}-", dir=self.place))
        noted = folder / "how.json"
        argv = [*wrapper, PYTHON, "-c", RUNNER, str(noted), *names]
        env = {**self.env, "TMPDIR": str(folder)}
        shown = folder / "shown"
        if place == "pipe":
            seen = programs.observe(argv, env, folder, err="same", limit=240)
            status = seen.status
            shown.write_bytes(seen.out)
        else:
            terminal = tty.Terminal(["sh", "-c", 'cd "$0" && exec "$@"', str(folder), *argv], env=env)
            status = os.waitstatus_to_exitcode(terminal.wait(240)[0])
            shown.write_bytes(terminal.shown)
            terminal.assert_modes()
        return status, json.loads(noted.read_text()) if noted.exists() else shown.read_text(errors="replace")[-4000:]

    def compare(self, names):
        """Where bare and wrapped differ: {place: (bare, wrapped)}; all ways side by side."""
        ways = [(names, wrapper, place) for place in ("pipe", "terminal") for wrapper in ([], programs.WRAPPER)]
        with ThreadPoolExecutor(len(ways)) as pool:
            ends = list(pool.map(lambda way: self.how_they_end(*way), ways))
        return {"pipe": ends[:2], "terminal": ends[2:]}

    def once_more(self, ended, names, wrapper, place):
        """Some of these tests fail now and then on a busy machine, bare as well. What we break fails
        each time."""
        for _ in range(2):
            if ended[0] == 0:
                break
            ended = self.how_they_end(names, wrapper, place)
        return ended

    def test_python(self):
        with ThreadPoolExecutor(len(PARTS)) as pool:
            found = list(pool.map(self.compare, PARTS))
        for names, ends in zip(PARTS, found):
            for place, (bare, wrapped) in ends.items():
                with self.subTest(f"{' '.join(names)} on a {place}"):
                    if bare != wrapped:
                        bare = self.once_more(bare, names, [], place)
                        wrapped = self.once_more(wrapped, names, programs.WRAPPER, place)
                    self.assertIsInstance(bare[1], dict, bare)
                    self.assertGreater(len(bare[1]), 20)
                    self.assertEqual(bare, wrapped)


class PythonProgramsTest(programs.ProgramTest):
    BAR = """
import sys, tqdm
for _ in tqdm.tqdm(range(300), miniters=7, mininterval=0, dynamic_ncols=True,
                   bar_format="{desc}{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}"):
    pass
tqdm.tqdm.write("done")
sys.exit(3)
"""
    # As a trainer loads its data: workers with queues and pipes of their own, one of which is killed.
    WORKERS = """
import multiprocessing, os, signal, sys

def square(n):
    return n * n

def work(jobs, done):
    for n in iter(jobs.get, None):
        done.put(n * n)

def main(how):
    context = multiprocessing.get_context(how)
    with context.Pool(3) as pool:
        print(how, sum(pool.imap_unordered(square, range(500), 7)), flush=True)
    jobs, done = context.Queue(), context.Queue()
    workers = [context.Process(target=work, args=(jobs, done), daemon=True) for _ in range(3)]
    for worker in workers:
        worker.start()
    for n in range(200):
        jobs.put(n)
    print(sum(done.get() for _ in range(200)), flush=True)
    # Not one that may hold a queue's lock just then.
    idle = context.Process(target=signal.pause)
    idle.start()
    os.kill(idle.pid, signal.SIGTERM)
    for _ in workers:
        jobs.put(None)
    for worker in [idle, *workers]:
        worker.join()
    print([worker.exitcode for worker in [idle, *workers]], flush=True)
    sys.exit(4)

if __name__ == "__main__":
    main(sys.argv[1])
"""
    CALLER = """
import os, shlex, signal, subprocess
w = shlex.split(os.environ["W"])
for end in ("exit 3", "kill -TERM $$", "kill -KILL $$"):
    print(subprocess.run([*w, "sh", "-c", "cat; echo err >&2; " + end], input=b"in", capture_output=True).returncode)
for sent in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
    child = subprocess.Popen([*w, "sh", "-c", "echo up; exec sleep 600"], stdout=subprocess.PIPE)
    child.stdout.readline()
    child.send_signal(sent)
    print(child.wait(), child.stdout.read())
child = subprocess.Popen([*w, "sh", "-c", "echo one; echo two >&2; echo three"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
print(child.communicate())
first = subprocess.Popen([*w, "seq", "1000"], stdout=subprocess.PIPE)
print(subprocess.check_output([*w, "tail", "-n", "1"], stdin=first.stdout), first.wait())
"""

    def test_bars(self):
        """Catches `\\r` that is changed, a width that is another, colours or bars that are lost."""
        seen = self.alike(f"$W {sys.executable} -c '{self.BAR}'; echo $?", err="same")
        self.assertIn(b"300/300", seen.out)
        shown = [tty.run([*wrapper, sys.executable, "-c", self.BAR], env=self.env, size=(20, 61)) for wrapper in (tty.BARE, tty.WRAPPED, tty.FULL)]
        self.assertIn("\r100%|", shown[0][1])
        for wrapped in shown[1:]:
            self.assertEqual(shown[0], wrapped)

    def test_trees_of_workers(self):
        """Catches children of the command's that are waited for, signalled or held open by us."""
        for how in ("fork", "spawn", "forkserver"):
            seen = self.alike(f"$W {PYTHON} workers.py {how}", make=lambda folder: (folder / "workers.py").write_text(self.WORKERS))
            self.assertEqual((seen.status, seen.err), (4, b""))
            self.assertIn(b"[-15, 0, 0, 0]", seen.out)

    def test_a_program_that_calls_us(self):
        """Statements 2, 16. Catches an end, a signal or an order that `subprocess` sees otherwise."""
        seen = self.alike(f"{PYTHON} caller.py # $W", make=lambda folder: (folder / "caller.py").write_text(self.CALLER))
        self.assertEqual((seen.status, seen.err), (0, b""))
        self.assertIn(b"-15 b''", seen.out)
