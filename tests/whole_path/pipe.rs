//! `… | notify-done pipe`.

use std::fs;

use nix::sys::signal::Signal;

use crate::{Scene, row, text};

/// Catches a pipe that takes its own notice for one that nobody makes, and ends, in a container with all
/// that it is in, while a process that nobody waits for still sends it.
#[test]
fn a_pipe_ends_when_its_mail_is_sent_however_short_it_is() {
    let scene = Scene::new();
    // A place of its own for each: no earlier run's mailer looks about there.
    let script = "for i in $(seq 60); do : | NOTIFY_DONE_STATE=~/state$i $ND pipe -v; done";
    let done = scene.env.shell(script).stderr_is_free().run();
    done.assert_code(0);
    let told: Vec<&str> = done.stderr.lines().collect();
    assert!(told.len() == 60 && told.iter().all(|line| line.contains("mail sent to")), "{}", done.stderr);
    assert_eq!(scene.server.received().len(), 60);
}

#[test]
fn a_pipe_passes_all_on_and_mails_at_its_end() {
    let scene = Scene::new();
    // The other way round the account's code would be among them, and be taken out.
    let input: Vec<u8> = (0..=255).rev().cycle().take(300_000).collect();
    let run = scene.env.notify_done(["pipe", "--title", "build"]).stdin(input.clone()).run();
    run.assert_code(0).assert_stdout(&input);
    let mail = scene.mail();
    assert!(mail.attachment("log.txt").bytes() == input);
    assert!(mail.subject.contains("build"), "{}", mail.subject);
    assert!(row(&mail, "Result").starts_with("not known"), "{}", text(&mail));
}

/// Catches `NOTIFY_DONE=off` that still mails, keeps a log, changes a byte, or waits for lines.
#[test]
fn switched_off_it_is_cat() {
    let scene = Scene::new();
    let input: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let run = scene.env.notify_done(["pipe", "--status", "3", "--no-such"]).var("NOTIFY_DONE", "off");
    run.stdin("x").stderr_is_free().run().assert_code(2).assert_stdout("");
    let run = scene.env.notify_done(["pipe", "--status", "3"]).var("NOTIFY_DONE", "off");
    run.stdin(input.clone()).run().assert_code(0).assert_stdout(&input);
    let mut gate = scene.env.gate("gate");
    let run = scene.env.shell("(printf one; read x <gate; echo two) | NOTIFY_DONE=off $ND pipe").start();
    run.wait_for_stdout(b"one");
    gate.open();
    run.finish().assert_code(0).assert_stdout("onetwo\n");
    let script = "export NOTIFY_DONE=off; { yes; echo $? >st; } | $ND pipe | head -n1; cat st";
    scene.env.shell(script).run().assert_stdout("y\n141\n");
    // A reader that goes ends it as it ends `cat`.
    let script = "export NOTIFY_DONE=off; yes | { $ND pipe; echo $? >st; } | head -n1; cat st";
    scene.env.shell(script).run().assert_stdout("y\n141\n");
    let ignored = format!("trap '' PIPE; {}", script.replace("yes |", "yes 2>/dev/null |"));
    scene.env.shell(&ignored).run().assert_stdout("y\n0\n");
    assert!(scene.server.connections() == 0 && !scene.env.state().exists());
}

/// Catches a pipe that waits for its end before it passes anything on.
#[test]
fn what_comes_is_passed_on_at_once() {
    let scene = Scene::new();
    let mut gate = scene.env.gate("gate");
    let run = scene.env.shell("(echo one; read x <gate; echo two) | $ND pipe").start();
    run.wait_for_stdout(b"one\n");
    gate.open();
    run.finish().assert_stdout("one\ntwo\n");
    assert_eq!(scene.mail().attachment("log.txt").bytes(), b"one\ntwo\n");
}

#[test]
fn a_status_is_taken_from_where_it_is_given() {
    let cases = [
        (&["--status", "0"][..], "✅", "exit code 0, as reported"),
        (&["--status", "2"], "❌", "exit code 2, as reported"),
        (&["--status-file", "st"], "❌", "exit code 7, as reported"),
    ];
    for (args, icon, result) in cases {
        let scene = Scene::new();
        let script = format!("(echo x; echo 7 >st) | $ND pipe {}", args.join(" "));
        scene.env.shell(&script).run().assert_code(0).assert_stdout("x\n");
        let mail = scene.mail();
        assert!(mail.subject.starts_with(icon), "{args:?}: {}", mail.subject);
        assert!(row(&mail, "Result").starts_with(result), "{args:?}: {}", text(&mail));
    }
}

/// Catches a guess where the status isn't known, and a mail that isn't sent then.
#[test]
fn a_status_file_that_says_nothing_is_named() {
    let cases =
        [(None, "st"), (Some("oops\n"), "oops"), (Some("256"), "256"), (Some("-1"), "-1"), (Some(""), "st")];
    for (content, named) in cases {
        let scene = Scene::new();
        if let Some(content) = content {
            scene.env.write("st", content, 0o644);
        }
        let args = ["pipe", "--status-file", "st", "--on", "failure"];
        scene.env.notify_done(args).stdin("x").says(&["st", named, "echo $?"]).run().assert_code(0);
        assert!(row(&scene.mail(), "Result").starts_with("not known"), "{content:?}");
    }
}

#[test]
fn on_counts_what_was_reported() {
    let scene = Scene::new();
    let piped = |args: &[&str]| {
        let all = ["pipe"].iter().chain(args);
        scene.env.notify_done(all).stdin("x").run().assert_code(0).assert_stdout("x");
    };
    piped(&["--on", "failure", "--status", "0"]);
    assert_eq!((scene.server.connections(), scene.kept()), (0, [0; 4]));
    piped(&["--on", "failure", "--status", "1"]);
    scene.received(1);
}

/// Catches an input that isn't read to its end when the reader has gone: the log would lack it.
#[test]
fn a_reader_that_goes_ends_the_writer_as_without_us() {
    let scene = Scene::new();
    let script = "{ yes; echo $? >st; } | $ND pipe | head -n1; cat st";
    scene.env.shell(script).run().assert_stdout("y\n141\n");
    scene.received(1);
    assert_eq!(fs::read_to_string(scene.env.home().join("st")).unwrap(), "141\n");
}

/// Catches: a pipe that was told to end and says that all went well, by its status and in its mail. A
/// writer that goes on meanwhile is what `timeout`, a cancelled CI job or Ctrl-C twice leave.
#[test]
fn told_to_end_it_keeps_the_notice_and_ends_by_that_signal() {
    let cases = [
        (Signal::SIGTERM, "", "❗", "the pipe was interrupted by SIGTERM (15); how its writer fared"),
        (Signal::SIGHUP, "", "❗", "the pipe was interrupted by SIGHUP (1); how its writer fared"),
        (Signal::SIGTERM, "--status 3", "❌", "exit code 3, as reported"),
    ];
    for (signal, args, icon, result) in cases {
        let scene = Scene::new();
        let mut gate = scene.env.gate("gate");
        // The pipe is the process that the test started: its parent's end is the test's to see.
        let script = format!("mkfifo in; (exec >in; echo x; read y <gate) & exec $ND pipe {args} <in");
        let run = scene.env.shell(&script).start();
        run.wait_for_stdout(b"x\n");
        run.signal(signal);
        let mail = scene.mail();
        gate.open();
        run.finish().assert_signal(signal).assert_stdout("x\n");
        assert!(mail.subject.starts_with(icon), "{}", mail.subject);
        assert!(row(&mail, "Result").starts_with(result), "{}", text(&mail));
        assert_eq!(mail.attachment("log.txt").bytes(), b"x\n");
    }
}

/// Catches: a signal that the caller ignores (nohup, a background job) ending the pipe all the same,
/// since a blocked signal arrives even if it is ignored.
#[test]
fn what_the_caller_ignores_does_not_end_a_pipe() {
    let scene = Scene::new();
    let mut gate = scene.env.gate("gate");
    let script = "trap '' HUP; mkfifo in; (exec >in; echo x; read y <gate; echo z) & exec $ND pipe <in";
    let run = scene.env.shell(script).start();
    run.wait_for_stdout(b"x\n");
    run.signal(Signal::SIGHUP);
    gate.open();
    run.finish().assert_code(0).assert_stdout("x\nz\n");
    assert_eq!(scene.mail().attachment("log.txt").bytes(), b"x\nz\n");
}
