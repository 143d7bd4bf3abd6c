//! What the command is given: arguments, environment, descriptors, signal state, limits.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::{assert_same, bare_and_wrapped, quiet};

/// Statements 8, 9. Catches arguments that pass through text, a shell, or our own parser.
#[test]
fn arguments_arrive_byte_for_byte() {
    let strange: [&[u8]; 9] =
        [b"\xff\xfe\x80", b"", b" ", b"--", b"--to", b"-v", b"$HOME `x` '", b"\n", b"*"];
    let mut args = ["--", "sh", "-c", "cat /proc/$$/cmdline; :", "name"].map(OsStr::new).to_vec();
    args.extend(strange.map(OsStr::from_bytes));
    let mut expected = b"sh\0-c\0cat /proc/$$/cmdline; :\0name\0".to_vec();
    for arg in strange {
        expected.extend_from_slice(arg);
        expected.push(0);
    }
    quiet().notify_done(args).run().assert_code(0).assert_stdout(expected);
}

/// Statements 9, 43. Catches a variable of ours too many, one lost, another order, and a value that isn't UTF-8.
#[test]
fn the_environment_is_the_callers_and_one_variable() {
    let env = quiet().var("NOT_TEXT", OsStr::from_bytes(b"\xff=\xfe\n")).var("EMPTY", "");
    let bare = env.shell("exec cat /proc/self/environ").run();
    let wrapped = env.shell("exec $ND -- cat /proc/self/environ").run();
    let (ours, rest): (Vec<&[u8]>, Vec<&[u8]>) =
        wrapped.stdout.split(|b| *b == 0).partition(|entry| entry.starts_with(b"NOTIFY_DONE_RUN="));
    assert_eq!(rest, bare.stdout.split(|b| *b == 0).collect::<Vec<_>>());
    let run = String::from_utf8_lossy(ours.first().unwrap().strip_prefix(b"NOTIFY_DONE_RUN=").unwrap());
    assert!(ours.len() == 1 && env.state().join("runs").join(&*run).is_dir(), "{run}");
}

/// Statements 39 to 42. Catches a limit that we raise for ourselves, a niceness or a processor of ours.
#[test]
fn place_limits_and_priority_are_the_callers() {
    let show = "pwd -P; umask; nice; cat /proc/self/limits /proc/self/oom_score_adj; grep Cpus_allowed: /proc/self/status";
    let narrow = "import os, sys\n\
        os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])\n\
        open('/proc/self/oom_score_adj', 'w').write('321')\n\
        os.execvp(sys.argv[1], sys.argv[1:])";
    assert_same(&format!(
        "mkdir -p a && cd a && umask 027 && ulimit -n 77 && ulimit -c 0 && ulimit -f 100000 && nice -n 3 python3 -c \"{narrow}\" $W sh -c '{show}'"
    ));
}

/// Catches a session or a process group of the command's own: then Ctrl-C, `fg` and the shell's
/// job table would be off.
#[test]
fn the_command_is_in_the_callers_job() {
    let same =
        "export P=$$; exec $W awk '{ print ($5 == ENVIRON[\"P\"]), ($6 == ENVIRON[\"S\"]) }' /proc/self/stat";
    assert_same(&format!("S=$(awk '{{print $6}}' /proc/self/stat); export S; {same}"));
    let (bare, _) = bare_and_wrapped(&format!("S=$(awk '{{print $6}}' /proc/self/stat); export S; {same}"));
    assert_eq!(bare, "1 1\n");
}

/// Prints, as a descriptor of its own shows it, which descriptors are open and on what.
const DESCRIPTORS: &str = "import os\n\
def name(fd):\n\
\x20   try: return os.readlink(f'/proc/self/fd/{fd}').split(':')[0]\n\
\x20   except OSError: return None\n\
os.write(5, repr([(fd, name(fd) if fd > 2 else bool(name(fd))) for fd in range(64) if name(fd)]).encode())\n";

/// Statements 44, 45, 47. Catches a descriptor of ours that leaks into the command, one of the caller's that doesn't
/// arrive, and a closed 0, 1 or 2 that isn't closed any more, in all eight combinations.
#[test]
fn descriptors_are_those_of_the_caller() {
    let env = quiet();
    let probe = env.write("probe.py", DESCRIPTORS, 0o644);
    let seen = |wrapper: &str, closing: &str| {
        let script =
            format!("exec 5>seen 7<probe.py 9>>other; {closing} exec {wrapper} python3 {}", probe.display());
        env.shell(&script).run().assert_code(0);
        std::fs::read_to_string(env.home().join("seen")).unwrap()
    };
    for closed in 0..8 {
        let closing: String = [(1, "exec <&-; "), (2, "exec >&-; "), (4, "exec 2>&-; ")]
            .iter()
            .filter(|(bit, _)| closed & bit != 0)
            .map(|(_, text)| *text)
            .collect();
        let bare = seen("", &closing);
        assert!(bare.contains("seen") && bare.contains("probe.py") && bare.contains("other"), "{bare}");
        assert_eq!(bare, seen("$ND --", &closing), "with {closing}");
    }
}

/// Statements 23, 24, 25. Catches Rust's own SIGPIPE, a mask of ours that stays, SIGCHLD or SIGXFSZ changed for us.
#[test]
fn signals_are_ignored_and_blocked_as_by_the_caller() {
    let probe = "grep -E '^(Sig(Blk|Ign|Cgt|Pnd)|ShdPnd)' /proc/self/status";
    for ignored in ["", "PIPE", "CHLD", "XFSZ", "HUP INT QUIT TERM", "PIPE CHLD XFSZ HUP TTOU USR1 WINCH"] {
        let trap = if ignored.is_empty() { String::new() } else { format!("trap '' {ignored}; ") };
        assert_same(&format!("{trap}exec $W {probe}"));
    }
    let blocked = "import os, signal, sys\n\
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM, signal.SIGCHLD, signal.SIGTTOU})\n\
        os.execvp(sys.argv[1], sys.argv[1:])";
    assert_same(&format!("exec python3 -c '{blocked}' $W {probe}"));
}

/// Statements 53, 54. Catches reading ahead of the command, as ssh(1) does in such a loop.
#[test]
fn stdin_is_left_to_the_command() {
    let env = quiet();
    let loops = "while read x; do $ND -- echo \"$x\"; done";
    env.shell(loops).stdin("a\nb\nc\n").run().assert_code(0).assert_stdout("a\nb\nc\n");
    env.shell("$ND -- head -c 2; cat").stdin("abcd").run().assert_code(0).assert_stdout("abcd");
}

/// Catches a trace of us where we were asked to stay away.
#[test]
fn off_is_off() {
    let env = quiet().var("NOTIFY_DONE", "off");
    let script =
        "export P=$$; exec $ND --title x -- sh -c 'test $$ = $P && test -z \"$NOTIFY_DONE_RUN\" && exit 9'";
    env.shell(script).run().assert_code(9).assert_stdout("");
    assert!(!env.state().exists());
    let closed = "for n in 0 1 2; do test -e /dev/fd/$n || echo $n >>closed; done";
    env.shell(&format!("$ND -- sh -c '{closed}' <&- >&- 2>&-; cat closed")).run().assert_stdout("0\n1\n2\n");
    let ignored = "exec $ND -- grep -E '^Sig(Blk|Ign)' /proc/self/status";
    let wrapped = env.shell(ignored).run();
    env.shell(&ignored.replace("$ND --", "")).run().assert_stdout(wrapped.stdout);
}
