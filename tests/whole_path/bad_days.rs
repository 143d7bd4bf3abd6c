//! Servers that refuse, vanish or hang: the command's status is ours at once, the mail is kept or
//! goes out once, and the words name cause and fix.

use std::time::Duration;

use crate::support::smtp::{Action, Stage};
use crate::{LONG, Scene, USER, contains, parse, qq};

#[test]
fn one_refused_recipient_keeps_nothing_from_the_others() {
    let scene = Scene::new();
    scene.server.set_script(qq().reply_at(Stage::Rcpt(1), "550 Mailbox not found"));
    let args = ["--to", "good@example.com", "--to", "gone@example.com", "--", "sh", "-c", "exit 3"];
    let says = ["sent to good@example.com", "not to:\n  gone@example.com"];
    scene.env.notify_done(args).says(&says).run().assert_code(3);
    assert_eq!(scene.received(1)[0].rcpts, ["good@example.com"]);
    // Nothing is left that could reach the good one twice.
    scene.server.set_script(qq());
    scene.env.notify_done(["outbox", "flush"]).stderr_is_free().run();
    let to_good =
        scene.server.received().iter().filter(|mail| mail.rcpts.contains(&"good@example.com".into())).count();
    assert_eq!(to_good, 1);
}

#[test]
fn all_recipients_refused_is_failed_for_good() {
    let scene = Scene::new();
    scene.server.set_script(qq().reply_at(Stage::Rcpt(0), "550 Mailbox not found"));
    scene
        .env
        .notify_done(["--to", "gone@example.com", "--", "true"])
        .says(&["gone@example.com", "550"])
        .run()
        .assert_code(0);
    assert_eq!(scene.kept(), [0, 0, 0, 1]);
    let listed = scene.run(&["outbox", "list"], 0);
    assert!(contains(&listed.stdout, "failed") && contains(&listed.stdout, "550"), "{listed:?}");
}

/// Catches a second mail with an id of its own: the mailbox couldn't tell that it is a double.
#[test]
fn an_answer_that_is_lost_is_sent_again_under_the_same_id() {
    let scene = Scene::new();
    scene.server.set_script(qq().at(Stage::End, Action::Drop));
    scene.env.notify_done(["--", "false"]).says(&["may have arrived", "outbox flush"]).run().assert_code(1);
    assert_eq!((scene.server.received().len(), scene.kept()), (1, [1, 0, 0, 0]));
    scene.server.set_script(qq());
    scene.flush();
    let mails = scene.received(2);
    assert_eq!(mails[0].message_id(), mails[1].message_id());
    assert!(mails[0].data == mails[1].data, "the very same mail");
    assert_eq!(scene.kept(), [0, 0, 1, 0]);
}

/// Catches a wait beyond its bound, and a mail that is forgotten when the wait is over.
#[test]
fn a_server_that_hangs_holds_nobody_up() {
    let mut scene = Scene::new();
    scene.server.set_script(qq().at(Stage::Greeting, Action::Hang));
    for (wait, least, most) in [("0s", 0, 10), ("1s", 1, 11)] {
        let done = scene.env.notify_done(["--wait", wait, "--", "sh", "-c", "exit 3"]).stderr_is_free().run();
        done.assert_code(3);
        let bounds = Duration::from_secs(least)..Duration::from_secs(most);
        assert!(bounds.contains(&done.duration), "--wait {wait} took {:?}", done.duration);
    }
    scene.server.wait_for_connections(2, LONG);
    scene.server.go_down();
    scene.settled();
    assert_eq!(scene.kept(), [2, 0, 0, 0]);
    scene.server.set_script(qq());
    scene.server.come_up();
    scene.flush();
    scene.received(2);
}

/// Catches a Ctrl-C or a TERM during the wait that is taken for the command's, or is ignored.
#[test]
fn a_signal_ends_the_wait_with_the_commands_status() {
    use nix::sys::signal::Signal;
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let mut scene = Scene::new();
        scene.server.set_script(qq().at(Stage::Greeting, Action::Hang));
        let run = scene.env.notify_done(["--", "sh", "-c", "exit 3"]).stderr_is_free().start();
        scene.server.wait_for_connections(1, LONG);
        run.signal(signal);
        run.finish().assert_code(3);
        scene.server.go_down();
        scene.settled();
        assert_eq!(scene.kept(), [1, 0, 0, 0], "{signal}");
    }
}

#[test]
fn a_server_that_is_down_gets_it_once_when_it_is_up() {
    let mut scene = Scene::new();
    scene.server.go_down();
    let says = ["localhost", "kept", "outbox flush"];
    let done = scene.env.notify_done(["--", "sh", "-c", "echo out; exit 3"]).says(&says).run();
    done.assert_code(3).assert_stdout("out\n");
    assert_eq!(scene.kept(), [1, 0, 0, 0]);
    let failed = scene.env.notify_done(["outbox", "flush"]).says(&["localhost", "kept"]).run();
    failed.assert_code(1);
    scene.server.come_up();
    scene.flush();
    scene.flush();
    let received = scene.received(1).remove(0);
    assert!(parse::mail(&received.data).subject.contains("exit 3"));
    assert_eq!((received.rcpts[0].as_str(), scene.kept()), (USER, [0, 0, 1, 0]));
}

/// Catches two processes that take the same mail.
#[test]
fn two_flushes_at_once_send_once() {
    let mut scene = Scene::new();
    scene.server.go_down();
    for _ in 0..4 {
        scene.env.notify_done(["--", "true"]).stderr_is_free().run().assert_code(0);
    }
    scene.server.set_script(qq().at(Stage::Greeting, Action::Trickle(Duration::from_millis(2))));
    scene.server.come_up();
    let start = || scene.env.notify_done(["outbox", "flush"]).stderr_is_free().start();
    let flushes = [start(), start(), start()];
    for flush in flushes {
        flush.finish().assert_code(0);
    }
    scene.received(4);
    assert!(scene.server.message_ids().values().all(|count| *count == 1), "{:?}", scene.server.message_ids());
    assert_eq!(scene.kept(), [0, 0, 4, 0]);
}

/// Catches a reply that is shown raw, garbled, or not at all.
#[test]
fn refusals_are_quoted_with_what_they_mean() {
    let cases = [
        (Stage::End, "554 DT:SPM 163 smtp", "554", [1, 0, 0, 0]),
        (Stage::End, "421 Service busy", "421", [1, 0, 0, 0]),
        (Stage::Mail, "501 Mail from address must be same as authorization user", "501", [1, 0, 0, 0]),
        (Stage::Greeting, "554 \u{1b}[31mgo away", "go away", [0, 0, 0, 0]),
    ];
    for (stage, reply, quoted, kept) in cases {
        let scene = Scene::new();
        scene.server.set_script(qq().reply_at(stage, reply));
        let done = scene.env.notify_done(["--", "false"]).says(&[quoted]).run();
        done.assert_code(1);
        assert!(!done.stderr.contains('\u{1b}'), "{}", done.stderr);
        // Which folder a refused greeting leads to is the providers' table's to say.
        assert!(kept == [0; 4] || scene.kept() == kept, "{reply}: {:?}\n{}", scene.kept(), done.stderr);
        assert_eq!(scene.kept().iter().sum::<usize>(), 1, "{reply}");
    }
}

/// Statement 89. Catches: a limit on file sizes, meant for the command, that kills us or costs the notice.
#[test]
fn a_limit_on_file_sizes_costs_no_notice() {
    let scene = Scene::new();
    let script = "ulimit -S -f 0; exec $ND -- echo x";
    scene.env.shell(script).stderr_is_free().run().assert_code(0).assert_stdout("x\n");
    // The disk took nothing: the end of the output is told all the same.
    let mail = scene.mail();
    assert!(crate::text(&mail).contains("\nx\n"), "{}", crate::text(&mail));
}

/// Catches: an account that a provider locks since forty jobs end at once, each of which makes a login with the
/// same stale code.
#[test]
fn of_many_that_end_at_once_one_logs_in_with_a_stale_code() {
    let scene = Scene::with("[notify]\nkeep_trying = \"0s\"");
    scene.server.set_script(qq().reply_at(Stage::Auth, "535 Error: authentication failed"));
    let begin = || scene.env.notify_done(["--", "sleep", "0.5"]).stderr_is_free().start();
    let runs: Vec<_> = (0..10).map(|_| begin()).collect();
    for run in runs {
        let done = run.finish();
        done.assert_code(0);
        assert!(done.stderr.contains("authorization code"), "{}", done.stderr);
    }
    assert_eq!((scene.kept(), scene.server.logins().len()), ([10, 0, 0, 0], 1));
}
