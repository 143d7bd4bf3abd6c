//! The command's output passes through: all of it, in order, no sooner and no later than without us.

use std::fs;

use crate::support::smtp::{Action, Script, ScriptedServer, Stage, TlsMode};
use crate::support::wait::wait_until;
use crate::{assert_same, quiet};
use std::time::Duration;

/// Statement 61. Catches two pipes where the caller has one description: the order of the writes would be lost.
#[test]
fn alternating_writes_on_one_description_stay_in_order() {
    let writes = "import os\nfor n in range(5000): os.write(1 + n % 2, b'%d\\n' % n)";
    let expected: String = (0..5000).map(|n| format!("{n}\n")).collect();
    let script = format!("exec $ND -- python3 -c \"{writes}\" 2>&1");
    quiet().shell(&script).run().assert_code(0).assert_stdout(expected);
}

#[test]
fn a_hundred_megabytes_arrive_intact() {
    assert_same("$W sh -c 'yes 0123456789abcdef | head -c 100000000' | sha256sum");
}

/// Statement 58. Catches a command that hears of its reader's end late or never; script(1) and unbuffer
/// hang here.
#[test]
fn a_reader_that_goes_ends_the_command_as_without_us() {
    assert_same("{ $W yes; echo $? >st; } | head -n1; cat st");
    // Ignored SIGPIPE: the command gets EPIPE instead, and says so.
    assert_same(
        "trap '' PIPE; { $W sh -c 'while echo x; do :; done' 2>/dev/null; echo $? >st; } | head -n1; cat st",
    );
}

/// Statements 76, 77. Catches waiting for the end of the pipe where only the command's end counts, and output that
/// is lost when we have ended.
#[test]
fn a_grandchild_holds_nothing_up_and_still_is_heard() {
    let env = quiet();
    let _gate = env.gate("gate");
    let script = "$ND -- sh -c '(read x <gate; echo later) & echo now'; echo \"ended $?\"; echo go >gate";
    env.shell(script).run().assert_code(0).assert_stdout("now\nended 0\nlater\n");
}

/// Statement 80. Catches a mailer or a waiting front that holds the caller's standard output: `| cat` would
/// hang for as long as the mail does.
#[test]
fn a_reader_sees_the_end_though_the_mail_hangs() {
    let env = crate::support::env::TestEnv::new();
    let script = Script::qq().account("10001@qq.com", "abcdefghijklmnop").at(Stage::Greeting, Action::Hang);
    let mut server = ScriptedServer::start(script);
    env.config(&env.account("qq", "10001@qq.com", "abcdefghijklmnop", (&server, TlsMode::Implicit)));
    let run = env.shell("$ND --wait 50s -- echo x | (cat; echo no more >&2)").stderr_is_free().start();
    run.wait_for_stderr("no more");
    assert_eq!(run.stderr_so_far(), "no more\n", "the wait was over already");
    server.wait_for_connections(1, Duration::from_secs(20));
    server.go_down();
    let done = run.finish();
    assert!(done.stderr.contains("outbox flush"), "{}", done.stderr);
    done.assert_stdout("x\n");
}

/// Statement 64. Catches a buffer without bounds: a command whose reader is slow must be held back.
#[test]
fn a_slow_reader_holds_the_command_back() {
    let env = quiet();
    let mut gate = env.gate("gate");
    // Nothing can be written for half a second, or all 64 MiB were: either way it tells.
    let writer = "import os, select\n\
        os.set_blocking(1, False)\n\
        written, poll = 0, select.poll()\n\
        poll.register(1, select.POLLOUT)\n\
        while written < 64 << 20 and poll.poll(500):\n\
        \x20   try: written += os.write(1, bytes(65536))\n\
        \x20   except BlockingIOError: pass\n\
        open('told.tmp', 'w').write(str(written)); os.rename('told.tmp', 'told')\n\
        os.set_blocking(1, True)\n\
        while written < 64 << 20: written += os.write(1, bytes(65536))\n";
    env.write("writer.py", writer, 0o644);
    let run = env.shell("$ND -- python3 writer.py | (read x <gate; wc -c)").start();
    let told = env.home().join("told");
    wait_until("the writer says how far it came", || told.exists());
    let held_at: u64 = fs::read_to_string(told).unwrap().parse().unwrap();
    assert!(held_at < 1 << 20, "{held_at} bytes were taken though nobody read");
    gate.open();
    run.finish().assert_stdout(format!("{}\n", 64 << 20));
}
