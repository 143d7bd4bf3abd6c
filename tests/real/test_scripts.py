"""Shell scripts made at random, bare and wrapped, their outputs led to each kind of place.

NOTIFY_DONE_SCRIPTS is how many are made (default 60), NOTIFY_DONE_SCRIPT_SEED makes the choices.
By hand, a thousand: NOTIFY_DONE_SCRIPTS=1000 tests/real/run.py test_scripts
"""

import os
import random
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import programs

SHELLS = (["bash", "-c"], ["sh", "-c"], ["busybox", "sh", "-c"])
# A script reads some of it, or nothing, or all.
GIVEN = b"".join(b"given %d\n" % n for n in range(200))
# Those that end a process; and those that it can catch.
DEADLY = ("TERM", "KILL", "HUP", "INT", "USR1", "USR2", "ALRM", "PIPE", "ABRT", "SEGV", "QUIT")
CAUGHT = ("TERM", "HUP", "USR1", "USR2", "ALRM", "INT", "QUIT", "CONT", "WINCH", "URG")
AT_ONCE = 4
# A script may have a race of its own in spite of all: what bare shows in one of so many runs is no fault.
BARE_AGAIN = 30


class Maker:
    """Makes scripts whose every byte of output is determined: who writes at the same time as others
    is waited for first."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.words = 0
        # Whoever waits for the end of the whole script: at most one.
        self.straggler = False

    def word(self):
        self.words += 1
        return f"w{self.words}"

    def to(self):
        return self.random.choice(["", "", " >&2", " >>made", " 2>&1", " >/dev/null"])

    def script(self):
        count = self.random.randint(3, 9)
        lines = ["trap '' PIPE"] if self.random.random() < 0.1 else []
        lines += [self.statement(0) for _ in range(count)] + [self.ending()]
        return "\n".join(lines)

    def statement(self, depth):
        makers = [
            self.say, self.say, self.say, self.binary, self.large, self.read, self.child, self.pipeline,
            self.subshell, self.background, self.redirect, self.status,
        ]  # fmt: skip
        if depth == 0:
            # In a subshell `$$` is somebody else, who would write at the same time.
            makers += [self.straggle, self.close, self.trap, self.trap, self.stop]
        if depth > 2:
            makers = [self.say]
        return self.random.choice(makers)(depth)

    def say(self, _):
        return self.random.choice([f"echo {self.word()}", f"printf {self.word()}"]) + self.to()

    def binary(self, _):
        octal = "".join(f"\\{self.random.randrange(256):03o}" for _ in range(self.random.randint(1, 20)))
        return f"printf '{octal}'{self.to()}"

    def large(self, _):
        size = self.random.choice([4095, 65536, 65537, 200_000])
        return f"head -c {size} /dev/zero 2>/dev/null | tr '\\0' {self.random.choice('abc')}{self.to()}"

    def read(self, _):
        return self.random.choice(
            ["read x; echo \"$x\"", "head -n 2", "cat", "cat >&2", "(read x; echo got $x)", "exec </dev/null", "wc -c | tr -d ' '"]
        )

    def child(self, depth):
        end = self.random.choice([f"exit {self.random.randrange(256)}", f"kill -{self.random.choice(DEADLY)} $$", ":"])
        return f"sh -c 'echo {self.word()}{self.to()}; {end}' {self.word()} 2>/dev/null\necho $?{self.to()}" if depth else f"(sh -c 'echo {self.word()}; {end}') 2>/dev/null; echo $?"

    def pipeline(self, _):
        return self.random.choice(
            ["seq 1000 2>/dev/null | sort -n | tail -n 3", "yes 2>/dev/null | head -n 4", "echo abc | tr a-c A-C | cat >&2", "seq 5 2>/dev/null | while read n; do echo $n; done"]
        ) + self.to()

    def trap(self, _):
        name = self.random.choice(CAUGHT)
        return self.random.choice([
            f"trap 'echo {self.word()}' {name}; kill -{name} $$; echo {self.word()}",
            f"trap '' {name}; kill -{name} $$; sh -c 'kill -{name} $$; echo {self.word()}'; trap - {name}",
            f"trap 'echo {self.word()}; exit {self.random.randrange(256)}' EXIT",
        ])  # fmt: skip

    def subshell(self, depth):
        inner = "; ".join(self.statement(depth + 1) for _ in range(self.random.randint(1, 3)))
        return f"({inner}\n){self.to()}" if "\n" not in inner else f"(\n{inner}\n){self.to()}"

    def background(self, depth):
        return f"(\n{self.statement(depth + 1)}\n) </dev/null & wait $!; echo $?"

    def redirect(self, _):
        return self.random.choice([
            "exec 3>&1 1>&2 2>&3 3>&-", "exec 4>&1; echo four >&4; exec 4>&-", "exec 2>&1",
            "exec 5>made; echo five >&5", "{ echo brace; echo brace >&2; } 2>&1", "exec 1>&1",
        ])  # fmt: skip

    def close(self, _):
        return self.random.choice(["exec 1>&-", "exec 2>&-", "exec 0<&-", "(exec >&-; echo lost) 2>/dev/null; echo $?"])

    def status(self, _):
        return self.random.choice(["false; echo $?", "./nothing 2>/dev/null; echo $?", "! true; echo $?", "(exit 200); echo $?"])

    def stop(self, _):
        """Stops itself; its child wakes it."""
        return (
            "( until grep -q '^State:.T' /proc/$$/status; do :; done; kill -CONT $$ ) </dev/null >/dev/null 2>&1 &\n"
            f"kill -STOP $$; wait $!; echo {self.word()}"
        )

    def straggle(self, _):
        """Writes when the script has ended and nobody is left who holds the pipe's other end."""
        if self.straggler:
            return ":"
        self.straggler = True
        return f"mkfifo gate; (exec 9<gate; read x <&9; echo {self.word()}; echo {self.word()} >&2) </dev/null & exec 9>gate"

    def ending(self):
        kill = f"kill -{self.random.choice(DEADLY)}"
        endings = [
            ":", f"exit {self.random.randrange(256)}", f"exit {self.random.randrange(256)}", f"{kill} $$",
            f"exec sh -c 'echo {self.word()}; exit {self.random.randrange(256)}'",
            f"exec sh -c 'echo {self.word()} >&2; {kill} $$'", "exec ./nothing", "cat; false",
        ]  # fmt: skip
        if not self.straggler:
            # bash may or may not live to see that the straggler was killed as well.
            endings += [f"{kill} 0", f"trap 'echo {self.word()}; exit 3' TERM; kill -TERM 0; echo {self.word()}"]
        return self.random.choice(endings)


def without_pids(output):
    """bash names the process that a signal has killed."""
    return re.sub(rb"(: line \d+: +)\d+ ", rb"\1PID ", output)


def places(chooser):
    """Four pairs of places for the two outputs: no kind twice for one of them, the last pair on one
    description."""
    first, second = (chooser.sample(programs.KINDS, 5) for _ in range(2))
    return [*zip(first[:2], second[:2]), (first[2], second[2]), (chooser.choice(first[3:]), "same")]


class ScriptTest(programs.ProgramTest):
    """Statements 1, 2, 20, 24, 25, 47, 53, 55, 61, 76, 77. Catches what no test was written for."""

    def test_made_at_random(self):
        count = int(os.environ.get("NOTIFY_DONE_SCRIPTS", "60"))
        seed = int(os.environ.get("NOTIFY_DONE_SCRIPT_SEED", random.randrange(1 << 32)))
        print(f"seed {seed}, {count} scripts", flush=True)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            wrong = [bad for found in pool.map(lambda number: self.compare(seed, number), range(count)) for bad in found]
        self.assertEqual(len(wrong), 0, f"seed {seed}\n" + "\n\n".join(wrong[:5]))

    def compare(self, seed, number):
        """What is wrong with this script, for each pair of places."""
        maker = Maker(f"{seed}/{number}")
        script = maker.script()
        shell = maker.random.choice(SHELLS)
        stdin = (maker.random.choice(["file", "pipe"]), GIVEN)
        wrong = []
        for out, err in places(maker.random):
            def run(wrapper):
                work = self.place / f"work-{number}"
                work.mkdir()
                seen = programs.observe([*wrapper, *shell, script], self.env, work, out, err, stdin)
                seen.out, seen.err = without_pids(seen.out), without_pids(seen.err)
                shutil.rmtree(work)
                return seen

            bare, wrapped = run([]), run(programs.WRAPPER)
            if bare == wrapped or any(run([]) == wrapped for _ in range(BARE_AGAIN)):
                continue
            for what in ("status", "out", "err", "unread", "files"):
                was, now = getattr(bare, what), getattr(wrapped, what)
                if was != now:
                    wrong.append(
                        f"script {number} ({shell[0]}, stdout {out}, stderr {err}, stdin {stdin[0]}):\n{script}\n"
                        f"{what} bare: {str(was)[:1500]}\n{what} wrapped: {str(now)[:1500]}"
                    )
        return wrong
