"""Programs that nobody here wrote, bare and wrapped: what they print, how they end, what they make.

Keys and whole screens are in test_terminals.py; shell scripts made at random in test_scripts.py.
"""

import os
import re
import shutil
import sys

import harness
import programs
from programs import at_most

os.environ.setdefault("ND", harness.binary())
sys.path.insert(0, str(harness.ROOT / "tests" / "support"))
import terminal as tty  # noqa: E402
from test_terminals import echoes  # noqa: E402

# Each waits until all four are there: one that is alone ends with 1.
TOGETHER = """
touch "here.$1"
for _ in $(seq 2000); do
    set -- here.*
    [ $# -ge 4 ] && exit 0
    sleep 0.01
done
echo "only $# at once" >&2
exit 1
"""
MAKEFILE = """
all: one two three four
one two three four:
	@sh ./together $@ && echo made $@
"""


def sorted_lines(output):
    return b"\n".join(sorted(output.split(b"\n")))


def without_pids(output):
    """bash names the process of a job that was killed, strace that of its child."""
    return re.sub(rb"\b[0-9]{2,}\b", b"N", output)


class MakeTest(programs.ProgramTest):
    """Statement 44. Catches descriptors that don't reach the command: make then says "jobserver
    unavailable: using -j1", and one thing is made after another."""

    def fill(self, folder):
        (folder / "together").write_text(TOGETHER)
        (folder / "part.mk").write_text(MAKEFILE)
        (folder / "Makefile").write_text("all:\n\t+@$(W) $(MAKE) --no-print-directory -f part.mk\n")

    def check(self, script):
        seen = self.alike(script, make=self.fill, clean=sorted_lines)
        self.assertEqual((seen.status, seen.err), (0, b""))
        self.assertEqual(seen.out.split(b"\n"), [b"", b"made four", b"made one", b"made three", b"made two"])

    def test_a_make_below_us(self):
        self.check("$W make -j4")

    def test_a_make_that_starts_us(self):
        self.check("make -j4")

    def test_a_failure_ends_it(self):
        def fill(folder):
            (folder / "Makefile").write_text("all: bad never\nbad:\n\t@$(W) sh -c 'kill -TERM $$$$'\nnever: bad\n\ttouch $@\n")

        seen = self.alike("$W make -k; echo status $?", make=fill)
        self.assertIn(b"Terminated", seen.err)
        self.assertEqual(seen.out.splitlines()[-1], b"status 2")


class ShellToolTest(programs.ProgramTest):
    """What people put in front of commands, and commands in front of us."""

    def test_yes_and_head(self):
        # Statement 58; script and unbuffer hang here.
        seen = self.alike("$W yes | head -n 3; echo ${PIPESTATUS[*]}")
        self.assertEqual(seen.out, b"y\ny\ny\n141 0\n")
        seen = self.alike("yes | $W head -n 3; echo ${PIPESTATUS[*]}; yes | head -n 100000 | $W tail -n 1")
        self.assertEqual(seen.out, b"y\ny\ny\n141 0\ny\n")

    def test_timeout(self):
        # A sleeper that is left behind makes these fail (programs.LIMIT_SECONDS).
        with at_most(30):
            seen = self.alike("timeout 0.3 $W sleep 600; echo $?")
            self.assertEqual(seen.out, b"124\n")
            self.alike("timeout --foreground -s INT 0.3 $W sleep 600; echo $?")
            self.alike("$W timeout 0.3 sleep 600; echo $?")
            seen = self.alike("timeout --preserve-status 0.3 $W bash -c 'trap \"echo told; exit 5\" TERM; sleep 600 & wait'; echo $?")
            self.assertEqual(seen.out, b"told\n5\n")
            self.alike("timeout 9 $W true; timeout 9 $W false; echo $?; timeout 9 $W ./nothing; echo $?", clean=without_pids_and_us)

    def test_nohup_setsid_and_env(self):
        # Statements 19, 43.
        self.alike("nohup $W bash -c 'kill -HUP $$; echo alive' 2>/dev/null")
        self.alike("$W nohup bash -c 'kill -HUP $$; echo alive; exit 3'")
        self.alike("setsid -w $W bash -c 'echo in; ps -o sid= -p $$ | grep -qw $(ps -o sid= -p $PPID); exit 4'; echo $?")
        self.alike("$W setsid -w bash -c 'exit 4'; echo $?; $W setsid bash -c 'echo on its own'; :")
        self.alike("$W nice -n 5 ionice -c 3 nice; nice -n 3 $W nice; $W stdbuf -oL echo x; $W env -i A=b /usr/bin/env")
        self.alike("env -i NOTIFY_DONE_STATE=$NOTIFY_DONE_STATE NOTIFY_DONE_MIN_DURATION=1h $W /usr/bin/env | grep -v ^NOTIFY_DONE_RUN=")
        self.alike("(cd /; ulimit -n 64; umask 077; exec $W sh -c 'pwd; ulimit -n; umask')")

    def test_from_cron(self):
        # No HOME, no terminal, little in PATH, the input empty; the output goes into cron's mail.
        cron = "env -i PATH=/usr/bin:/bin LOGNAME=ann SHELL=/bin/sh NOTIFY_DONE_STATE=$NOTIFY_DONE_STATE NOTIFY_DONE_MIN_DURATION=1h "
        for out in ("pipe", "socket", "closed"):
            self.alike(cron + "$W sh -c 'cat; tty; echo out; echo err >&2; exit 9' </dev/null", out=out, err="same")

    def test_xargs(self):
        def nameless(output):
            return re.sub(rb"xargs: \S+: ", b"xargs: it: ", output)

        seen = self.alike("seq 40 | xargs -P4 -n1 $W sh -c 'echo $0; echo e$0 >&2'", clean=sorted_lines)
        self.assertEqual(len(seen.out.split()), 40)
        seen = self.alike("seq 4 | xargs -P4 -n1 $W sh ./together && echo at once", make=MakeTest.fill.__get__(self))
        self.assertEqual((seen.out, seen.err), (b"at once\n", b""))
        for end in ("exit 3", "exit 255", "kill -TERM $$", "./nothing"):
            self.alike(f"seq 3 | xargs -n1 $W sh -c '{end}'; echo $?", clean=nameless)
        # xargs reads on while its children have /dev/null.
        self.alike("seq 3 | xargs -I{} $W sh -c 'echo {}; cat'")

    def test_find(self):
        def fill(folder):
            for name in ("a", "b c", "d\ne", "f\udcff"):
                (folder / name).write_text(name.encode("utf-8", "surrogateescape").hex())

        for how in (r"-exec $W sha256sum {} \;", "-exec $W sha256sum {} +", r"-execdir $W cat {} \; -delete"):
            self.alike(f"find . -type f {how} | sort", make=fill)
        self.alike("find . -type f -exec $W false {} +; echo $?", make=fill)

    def test_loops_of_jobs(self):
        seen = self.alike("for n in 1 2 3 4 5 6 7 8; do $W sh -c \"exit $n\" & all+=($!); done; for job in ${all[@]}; do wait $job; echo $?; done")
        self.assertEqual(seen.out.split(), [b"%d" % n for n in range(1, 9)])
        self.alike("seq 5 | while read x; do $W echo $x; done; $W cat", stdin=("file", b"of the caller\n"))
        self.alike("echo a b c | while read -d ' ' x; do $W sh -c 'read y; echo $y' < <(echo $x); done")

    def test_jobs_of_a_script(self):
        # Statements 28, 30: job control without a terminal.
        script = """
        set -m
        state() { until grep -q "^State:.$2" /proc/$1/status; do sleep 0.01; done; }
        $W sh -c 'kill -STOP $$; echo back; exit 6' &
        job=$!
        state $job T; jobs %1 | grep -o Stopped
        fg %1 >/dev/null; echo $?
        $W sleep 600 &
        kill -STOP %1; state $! T; kill -CONT %1; state $! S; kill -TERM %1; wait %1; echo $?
        """
        with at_most(40):
            seen = self.alike(script, clean=without_pids)
        self.assertEqual(seen.out, b"Stopped\nback\n6\nN\n")

    def test_a_stop_that_is_over_at_once(self):
        """Statement 28. Catches a front that stops when its command goes on already, and that nobody
        wakes; and one that stays stopped when its stopped command is killed."""
        stop = """
        n=0
        while [ $n -lt 100 ]; do
            n=$((n + 1))
            (until grep -q '^State:.T' /proc/$$/status; do :; done; kill -CONT $$) &
            kill -STOP $$
            wait $!
        done
        echo went on
        (until grep -q '^State:.T' /proc/$$/status; do :; done; kill -KILL $$) &
        kill -STOP $$
        """
        seen = self.alike(stop)
        self.assertEqual((seen.status, seen.out), (-9, b"went on\n"))

    def test_time(self):
        # Statements 2, 51.
        busy = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done"
        for end in ("exit 0", "exit 3", "kill -TERM $$"):
            self.alike(f"/usr/bin/time -f 'status %x' $W sh -c 'echo x; {end}'; echo $?; $W /usr/bin/time -f 'status %x' sh -c '{end}'; echo $?")
        self.alike(f"TIMEFORMAT=%U; t=$( {{ time $W sh -c '{busy}'; }} 2>&1 ); [ $t != 0.000 ] && echo counted")
        self.alike(f"/usr/bin/time -o spent -f %U $W sh -c '{busy}'; grep -qv 0.00 spent && echo counted; rm spent")

    def test_script(self):
        def same_ends(output):
            return output.replace(b"\r\n", b"\n")

        run = "sh -c 'tty -s && echo terminal; echo err >&2; exit 3'"
        self.alike(f"script -qec \"$W {run}\" log </dev/null; echo $?; rm log", clean=same_ends)
        self.alike(f"$W script -qec \"{run}\" log </dev/null; echo $?; sed 1d log; rm log", clean=same_ends)

    def test_other_users(self):
        shutil.copy(harness.binary(), self.place / "nd")
        other = f"env HOME={self.place / 'home'} NOTIFY_DONE_STATE=/tmp/nd-other-$$ NOTIFY_DONE_MIN_DURATION=1h " + str(self.place / "nd") + " --"
        for switch in ("sudo -n -u nobody", "sudo -n su -s /bin/sh nobody -c '\"$0\" \"$@\"' --", "sudo -n runuser -u nobody --", "sudo -n"):
            for command in ("id -un", "sh -c 'echo $0 err >&2; kill -TERM $$'", "sh -c 'cat; exit 7'"):
                bare = None
                for script in (f"{switch} {command}", f"{switch} {other} {command}", f"$W {switch} {command}"):
                    wrapper = " ".join(programs.WRAPPER)
                    tidy = "; status=$?; sudo -n rm -rf /tmp/nd-other-$$; exit $status"
                    seen = programs.observe(
                        ["bash", "-c", script + tidy], {**self.env, "W": wrapper}, self.fresh(), stdin=("pipe", b"given\n")
                    )
                    seen.err = without_pids(re.sub(rb"^bash: line 1:.*?(Terminated).*", rb"\1", seen.err, flags=re.DOTALL))
                    bare = bare or seen
                    self.assertEqual(bare, seen, script)
                self.assertTrue(bare.out or bare.status, bare)

    def test_debuggers(self):
        def without_noise(output):
            kept = [line for line in output.split(b"\n") if not re.match(rb"\[(Detaching|Thread|Attaching)|Using host|warning:", line)]
            return without_pids(b"\n".join(kept))

        # Below us; what we are is seen only from outside.
        self.alike("$W gdb -nx -batch -ex run -ex 'p $_exitcode' --args sh -c 'echo out; exit 3'; echo $?", clean=without_noise)
        self.alike("gdb -nx -batch -ex run --args $W sh -c 'echo out; exit 3' | grep -c 'code 03'", clean=without_noise)
        job = "sh -c 'echo out; (echo err >&2); kill -TERM $$'"
        self.alike(f"$W strace -f -o trace -e trace=none {job}; echo $?; rm trace", clean=without_pids)
        seen = self.alike(f"strace -f -o trace -e trace=all $W {job}; echo $?; rm trace", clean=without_pids)
        self.assertEqual(seen.out, b"out\nN\n")

    def test_bats_and_busybox(self):
        def fill(folder):
            (folder / "some.bats").write_text(
                '@test "good" { run $W sh -c "echo a; exit 3"; [ "$status" = 3 ]; [ "$output" = a ]; }\n'
                '@test "bad" { $W false; }\n'
                '@test "descriptor" { $W sh -c "echo \'# seen\' >&3"; }\n'
            )

        seen = self.alike("$W bats --tap some.bats; echo $?", make=fill)
        self.assertIn(b"# seen\n", seen.out)
        self.assertIn(b"not ok 2 bad", seen.out)
        self.alike("$W ls -la /proc/self/fd/ | wc -l; seq 9 | $W sed -n 3,5p | $W tr 3 x; $W sh -c 'echo $0'; echo $?", shell=("busybox", "sh", "-c"))


def without_pids_and_us(output):
    """Who couldn't find a command says so in words of its own: env's, timeout's, ours."""
    return re.sub(rb"^.*nothing.*\n(  .*\n)*", b"not found\n", output, flags=re.MULTILINE)


class LargeDataTest(programs.ProgramTest):
    """Statement 55. Catches a byte that is lost, doubled or out of place between programs that
    read and write each in its own way."""

    def test_pipelines(self):
        seen = self.alike(
            "set -o pipefail; seq 400000 | $W sort -rn | $W awk '{print $1, $1 * 2; if (NR % 1000 == 0) print NR >\"/dev/stderr\"}' 2>seen"
            " | $W sed 's/7/seven/g' | $W perl -ne 'print; print STDERR \"$.\\n\" unless $. % 100000' | $W tee copy | $W gzip -n | sha256sum; wc seen; sha256sum copy"
        )
        self.assertEqual(seen.status, 0)

    def test_archives(self):
        def fill(folder):
            source = folder / "source"
            source.mkdir()
            for n in range(30):
                (source / str(n)).write_bytes(os.urandom(100) * 3000 if n == 0 else bytes([n]) * n * 10_000)
            (source / "0").write_bytes(bytes(range(256)) * 20_000)
            for path in [*source.iterdir(), source]:
                os.utime(path, (1_600_000_000, 1_600_000_000))

        self.alike(
            "set -eo pipefail; $W tar --sort=name --owner=0 --group=0 -cf - source | $W gzip -n >packed; mkdir out; "
            "$W gzip -dc packed | $W tar -xf - -C out; $W cmp -l source/0 out/source/0; tar -cf - source | $W tar -tvf - | sort",
            make=fill,
        )

    def test_binary_to_each_kind_of_output(self):
        for out in ("pipe", "file", "socket"):
            for err in ("pipe", "file", "null", "same"):
                seen = self.alike("$W head -c 3000000 /dev/zero | $W tr '\\0' '\\377'; $W dd if=/dev/zero bs=1 count=3 status=none >&2", out=out, err=err)
                self.assertGreaterEqual(len(seen.out), 3_000_000)


class GitTest(programs.ProgramTest):
    def setUp(self):
        super().setUp()
        for who in ("AUTHOR", "COMMITTER"):
            self.env |= {f"GIT_{who}_NAME": "Ann", f"GIT_{who}_EMAIL": "ann@example.com", f"GIT_{who}_DATE": "1600000000 +0000"}
        self.env |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_ADVICE": "0"}

    HISTORY = """
    set -e
    git init -q -b main from
    cd from
    for n in $(seq 9); do echo $n >>numbers; git add .; git commit -q -m "Change $n"; done
    """

    def test_what_it_runs_and_what_runs_it(self):
        seen = self.alike(self.HISTORY + """
        $W git bisect start HEAD HEAD~7 >/dev/null
        $W git bisect run $W sh -c '! grep -q 5 numbers' | grep 'first bad'
        git bisect reset 2>/dev/null
        $W git rebase -q --exec "$W git log --oneline -n 1" HEAD~3 2>&1 | tr '\\r' '\\n' | sed '/Executing: /d'
        GIT_EDITOR="$W sed -i s/Change/Changed/" $W git commit -q --amend
        git hash-object numbers | $W git cat-file --batch
        cd ..
        $W git clone -q --no-local from to
        $W git -C to fsck --strict
        $W git -C to push -q origin HEAD:refs/heads/other
        git -C from log --format=%H --all; rm -rf from to
        """)
        self.assertEqual(seen.status, 0, seen)
        self.assertIn(b"is the first bad commit", seen.out)

    def test_a_pager_on_a_terminal(self):
        self.fresh()
        programs.observe(["bash", "-c", self.HISTORY], self.env, self.work)
        os.chdir(self.work)
        self.addCleanup(os.chdir, "/")
        for command in (["log", "--oneline"], ["diff", "HEAD~2"], ["branch", "-v"]):
            git = ["git", "-C", "from", "-c", "core.pager=sed s/^/page:/", "-c", "color.ui=auto", *command]
            shown = [tty.run([*wrapper, *git], env=self.env) for wrapper in (tty.BARE, tty.WRAPPED, tty.FULL)]
            self.assertEqual(shown[0][0], 0)
            self.assertRegex(shown[0][1], "page:.*\x1b\\[")
            for wrapped in shown[1:]:
                self.assertEqual(shown[0], wrapped)


class PromptTest(programs.ProgramTest):
    """Statement 75. A prompt on /dev/tty while 0, 1 and 2 lead elsewhere, as `ssh` and `git` have it."""

    ASK = (
        "import getpass, sys; word = getpass.getpass('Word: '); open('word', 'w').write(word); "
        "print('asked', sys.stdin.readline().strip()); sys.exit(5)"
    )

    def test_on_the_terminal_that_is_not_our_output(self):
        ask = f"/usr/bin/python3 -c \"{self.ASK}\""
        for script in (f"{ask}", f"echo piped | $W {ask} | cat; exit ${{PIPESTATUS[1]}}", f"$W {ask} >out 2>err <<<given; status=$?; cat out err; exit $status"):
            seen = []
            # `--pty full` is for a terminal that is the standard output.
            wrappers = [tty.BARE, tty.WRAPPED] if "$W" in script else [tty.BARE, tty.WRAPPED, tty.FULL]
            for wrapper in wrappers:
                os.chdir(self.fresh())
                self.addCleanup(os.chdir, "/")
                inside = "$W" in script
                argv = ["bash", "-c", script]
                terminal = tty.Terminal(argv if inside else [*wrapper, *argv], env={**self.env, "W": " ".join(wrapper)})
                terminal.expect("Word: ")
                # It asks once the echo is off.
                terminal.type("xyzzy\n")
                if not inside:
                    # When it turns the echo on again, what is typed ahead is thrown away.
                    terminal.expect("\n")
                    tty.wait_until("the echo is on", lambda: echoes("python3", terminal.pid))
                    terminal.type("typed\n")
                status, _ = terminal.wait()
                terminal.assert_modes()
                self.assertNotIn(b"xyzzy", terminal.shown)
                seen.append((os.waitstatus_to_exitcode(status), (self.work / "word").read_text(), terminal.shown))
            self.assertEqual(seen[0][:2], (5, "xyzzy"))
            for wrapped in seen[1:]:
                self.assertEqual(seen[0], wrapped, script)
