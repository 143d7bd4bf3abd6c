//! Who gets it, from whom, with what on top: flags, variables, notify.toml, in this order.

use crate::support::parse;
use crate::support::smtp::{Script, ScriptedServer, TlsMode};
use crate::{LONG, Scene, USER, contains, row, text};

#[test]
fn recipients_of_all_kinds_get_it_and_bcc_is_not_seen() {
    let scene = Scene::with("[mail]\nto = \"file@example.com\"");
    let args = [
        "--to",
        "a@example.com",
        "--to",
        "名字 <b@example.com>",
        "--cc",
        "c@example.com",
        "--bcc",
        "secret@example.com",
        "--",
        "true",
    ];
    scene.run(&args, 0);
    let received = scene.received(1).remove(0);
    assert_eq!(received.rcpts, ["a@example.com", "b@example.com", "c@example.com", "secret@example.com"]);
    assert!(!contains(&received.data, "secret@"), "Bcc is in the mail");
    let mail = parse::mail(&received.data);
    assert_eq!(mail.to, ["a@example.com", "b@example.com"]);
    assert_eq!(mail.header("Cc"), "c@example.com");
}

#[test]
fn title_note_tags_subject_and_name_are_the_users() {
    let scene = Scene::new();
    let args = [
        "--title",
        "sweep 7",
        "--note",
        "lr 3e-4\nsecond line",
        "--tag",
        "vit",
        "--tag",
        "seed 1",
        "--subject",
        "[{code}] {name} on {user} {{x}}",
        "--from-name",
        "机器",
        "--",
        "sh",
        "-c",
        "exit 5",
    ];
    scene.run(&args, 5);
    let mail = scene.mail();
    assert_eq!(mail.subject, format!("[5] sweep 7 on {} {{x}}", row(&mail, "User")));
    assert_eq!(row(&mail, "Tags"), "vit, seed 1");
    assert!(text(&mail).contains("  lr 3e-4\n  second line\n"), "{}", text(&mail));
    assert!(mail.header("From").contains("机器"), "{}", mail.header("From"));
    let html = mail.html.as_deref().unwrap();
    assert!(["vit", "seed 1", "lr 3e-4"].iter().all(|part| html.contains(part)), "{html}");
}

/// Catches a precedence that is wrong anywhere: each setting is given in all places above its own.
#[test]
fn flags_go_over_variables_and_variables_over_the_file() {
    let scene = Scene::with(
        "lang = \"zh\"\n[mail]\nto = \"file@example.com\"\ncc = \"file-cc@example.com\"\nsubject = \"from file\"",
    );
    let run = |args: &[&str]| {
        let env = [("NOTIFY_DONE_TO", "var@example.com, two@example.com"), ("NOTIFY_DONE_LANG", "en")];
        let run = scene.env.notify_done(args.iter().chain(&["--", "true"]));
        env.iter().fold(run, |run, (name, value)| run.var(name, value)).run().assert_code(0);
    };
    run(&[]);
    run(&["--to", "flag@example.com", "--subject", "from flag", "--lang", "zh"]);
    let mails = scene.received(2);
    assert_eq!(mails[0].rcpts, ["var@example.com", "two@example.com", "file-cc@example.com"]);
    assert_eq!(mails[1].rcpts, ["flag@example.com", "file-cc@example.com"]);
    let [first, second] = [&mails[0], &mails[1]].map(|mail| parse::mail(&mail.data));
    assert_eq!((first.subject.as_str(), second.subject.as_str()), ("from file", "from flag"));
    assert!(text(&first).contains("exit code 0") && text(&second).contains("退出码 0"));
}

/// Catches a variable that isn't read, or whose mistake is swallowed.
#[test]
fn a_variable_that_cannot_be_used_is_named() {
    let scene = Scene::new();
    let says = ["NOTIFY_DONE_TAIL", "many"];
    let run = scene.env.notify_done(["--", "echo", "ran"]).var("NOTIFY_DONE_TAIL", "many").says(&says).run();
    run.assert_code(0).assert_stdout("ran\n");
    scene.received(1);
}

#[test]
fn the_account_asked_for_sends() {
    let scene = Scene::new();
    let other = "13800000000@163.com";
    let second = ScriptedServer::start(Script::netease().account(other, "QRSTUVWXYZABCDEF"));
    let more = scene.env.account("other", other, "QRSTUVWXYZABCDEF", (&second, TlsMode::Implicit));
    scene.configure(&more);
    scene.run(&["--account", "qq", "--", "true"], 0);
    scene.received(1);
    scene.run(&["--", "true"], 0);
    let mail = second.wait_for_mails(1, LONG).remove(0);
    assert_eq!(
        (mail.mail_from.as_str(), mail.rcpts[0].as_str()),
        (other, other),
        "its own address is the default"
    );
    assert_eq!(scene.server.received().len(), 1);

    // A name that isn't there: kept, and said.
    let says = ["nobody", "qq"];
    scene.env.notify_done(["--account", "nobody", "--", "true"]).says(&says).run().assert_code(0);
    assert_eq!((scene.server.received().len(), second.received().len()), (1, 1));
    assert_eq!(scene.kept()[0] + scene.kept()[1], 1, "{:?}", scene.kept());
}

/// Catches a mail for an end that isn't worth one, and none for one that is.
#[test]
fn on_and_min_duration_decide_whether_there_is_a_mail() {
    let scene = Scene::new();
    scene.run(&["--on", "failure", "--", "true"], 0);
    scene.run(&["--on", "success", "--", "false"], 1);
    scene.run(&["--min-duration", "1h", "--", "false"], 1);
    assert_eq!((scene.server.connections(), scene.kept()), (0, [0; 4]));
    scene.run(&["--on", "failure", "--", "false"], 1);
    scene.run(&["--on", "success", "--min-duration", "0s", "--", "true"], 0);
    let subjects: Vec<_> = scene.received(2).iter().map(|mail| parse::mail(&mail.data).subject).collect();
    assert!(subjects[0].starts_with('❌') && subjects[1].starts_with('✅'), "{subjects:?}");
    assert_eq!(scene.server.logins()[0].user, USER);
}
