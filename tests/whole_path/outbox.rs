//! What is kept, what is said of it, and how it goes out later.

use std::fs;

use crate::{Scene, contains, parse};

/// Three notices kept while there is no account, oldest first.
fn held() -> Scene {
    let scene = Scene::without_account();
    for title in ["first", "second", "third"] {
        let says = ["notify.toml", "[accounts.mine]", "address = ", "auth_code = ", "preview", title];
        let done = scene.env.notify_done(["--title", title, "--", "sh", "-c", "exit 2"]).says(&says).run();
        done.assert_code(2);
        let config = scene.env.config_path();
        assert!(done.stderr.contains(config.to_str().unwrap()), "{}", done.stderr);
    }
    assert_eq!(scene.kept(), [0, 3, 0, 0]);
    scene
}

#[test]
fn what_was_kept_without_an_account_goes_out_newest_first() {
    let scene = held();
    scene.env.notify_done(["outbox", "flush"]).says(&["[accounts.mine]"]).run().assert_code(1);
    assert_eq!(scene.kept(), [0, 3, 0, 0]);
    scene.configure("");
    scene.flush();
    assert!(parse::mail(&scene.received(1)[0].data).subject.contains("third"));
    assert_eq!(scene.kept(), [0, 2, 1, 0]);
    scene.env.notify_done(["outbox", "flush", "-v"]).says(&["2 older notices", "--all"]).run();
    scene.env.notify_done(["outbox", "flush", "--all"]).stderr_is_free().run().assert_code(0);
    let mails = scene.received(3);
    let subjects: Vec<_> = mails[1..].iter().map(|mail| parse::mail(&mail.data).subject).collect();
    assert!(subjects[0].contains("first") && subjects[1].contains("second"), "{subjects:?}");
    assert!(mails.iter().all(|mail| mail.rcpts == [crate::USER]));
    assert_eq!(scene.kept(), [0, 0, 3, 0]);
}

/// Catches a run whose summary nobody sees, because another process that looks for missing notices was
/// quicker to keep its notice than its own mailer.
#[test]
fn a_notice_that_another_process_has_kept_is_told_too() {
    let scene = held();
    let mut go = scene.env.gate("go");
    let script = "echo $NOTIFY_DONE_RUN >run; echo ready; read x <go; exit 2";
    let says = ["[accounts.mine]", "preview", "told"];
    let run = scene.env.notify_done(["--title", "told", "--", "sh", "-c", script]).says(&says).start();
    run.wait_for_stdout(b"ready");
    let id = fs::read_to_string(scene.env.home().join("run")).unwrap();
    let folder = scene.env.state().join("outbox/held");
    let other = &scene.ids("held")[0];
    fs::create_dir(folder.join(id.trim())).unwrap();
    for file in ["body.mime", "entry.json"] {
        let text = fs::read_to_string(folder.join(other).join(file)).unwrap();
        fs::write(folder.join(id.trim()).join(file), text.replace(other.as_str(), id.trim())).unwrap();
    }
    go.open();
    run.finish().assert_code(2);
    assert_eq!(scene.kept(), [0, 4, 0, 0]);
}

#[test]
fn the_list_says_what_is_kept_and_why() {
    let scene = held();
    let listed = String::from_utf8(scene.run(&["outbox", "list"], 0).stdout).unwrap();
    assert_eq!(listed.matches("held").count(), 3, "{listed}");
    assert!(listed.find("first") < listed.find("second") && listed.contains("no usable account"), "{listed}");
    for id in scene.ids("held") {
        assert!(listed.contains(&id), "{id} in:\n{listed}");
    }
    let mut scene = Scene::new();
    scene.run(&["outbox", "list"], 0).assert_stdout("nothing waits in the outbox\n");
    scene.server.go_down();
    scene.env.notify_done(["--title", "kept one", "--", "true"]).stderr_is_free().run().assert_code(0);
    let listed = String::from_utf8(scene.run(&["outbox", "list"], 0).stdout).unwrap();
    assert!(["new", "kept one", "1 × qq: ", "refused"].iter().all(|part| listed.contains(part)), "{listed}");
}

/// Catches words in another language than notify.toml asks for.
#[test]
fn the_outbox_speaks_the_language_of_notify_toml() {
    let scene = Scene::with("lang = \"zh\"");
    scene.run(&["outbox", "list"], 0).assert_stdout("没有等待发送的邮件\n");
    let speaks = |args: &[&str], says: &str| {
        scene.env.notify_done(args).says(&[says]).run();
    };
    speaks(&["outbox", "flush"], "没有等待发送的邮件");
    scene.run(&["--", "true"], 0);
    speaks(&["preview", "-v"], "的邮件：");
    scene.env.config("lang = \"zh\"\n");
    speaks(&["outbox", "flush"], "还没有配置邮箱");
    scene.env.config("lang = \"zh\"\n[notify]\non = \"sometimes\"\n");
    speaks(&["outbox", "flush"], "notify.toml 有误");
}

#[test]
fn a_preview_shows_the_mail_that_is_kept() {
    let scene = Scene::without_account();
    let done = scene.env.notify_done(["--", "sh", "-c", "echo shown; exit 2"]).stderr_is_free().run();
    let run = done.stderr.lines().find_map(|line| line.strip_prefix("Run")).unwrap().trim().to_owned();
    scene.env.notify_done(["--title", "newer", "--", "true"]).stderr_is_free().run().assert_code(0);
    let preview = |args: &[&str]| {
        let written = String::from_utf8(scene.run(args, 0).stdout).unwrap();
        let paths: Vec<&str> = written.lines().collect();
        assert!(paths.len() == 2 && paths[0].ends_with(".html") && paths[1].ends_with(".txt"), "{written}");
        [0, 1].map(|n| fs::read_to_string(paths[n]).unwrap().replace("<wbr>", ""))
    };
    let [html, text] = preview(&["preview", &run]);
    for part in ["shown", "exit code 2", &run] {
        assert!(html.contains(part) && text.contains(part), "{part} in:\n{text}");
    }
    let [html, text] = preview(&["preview", "--lang", "zh"]);
    assert!(html.contains("newer") && text.contains("newer") && text.contains("退出码 0"), "{text}");
}

/// Catches a preview that isn't the mail.
#[test]
fn a_preview_is_what_is_sent() {
    let scene = Scene::new();
    // What the run was told counts, as it does in the mail.
    let script = "echo first; echo out; exit 2";
    scene.run(&["--note", "n", "--tail", "1", "--lang", "zh", "--", "sh", "-c", script], 2);
    let paths = String::from_utf8(scene.run(&["preview"], 0).stdout).unwrap();
    let paths: Vec<&str> = paths.lines().collect();
    let mail = scene.mail();
    let unix = |text: &Option<String>| text.as_deref().unwrap().replace("\r\n", "\n");
    assert_eq!(fs::read_to_string(paths[1]).unwrap().trim_end(), unix(&mail.text).trim_end());
    assert_eq!(fs::read_to_string(paths[0]).unwrap().trim_end(), unix(&mail.html).trim_end());
}

#[test]
fn a_run_that_is_not_there_is_said() {
    let scene = Scene::without_account();
    scene
        .env
        .notify_done(["preview"])
        .says(&["no run", "notify-done -- "])
        .run()
        .assert_code(1)
        .assert_stdout("");
    scene.env.notify_done(["--", "true"]).stderr_is_free().run().assert_code(0);
    for id in ["20200101T000000-00000000", "../../../etc", "", "."] {
        scene.env.notify_done(["preview", id]).says(&["no run", id]).run().assert_code(1).assert_stdout("");
    }
    let run = fs::read_dir(scene.env.state().join("runs")).unwrap().next().unwrap().unwrap();
    fs::write(run.path().join("run.json"), "{ garbage").unwrap();
    let id = run.file_name().into_string().unwrap();
    scene.env.notify_done(["preview", &id]).says(&["run.json"]).run().assert_code(1).assert_stdout("");
}

/// Catches one broken entry that keeps the others from going out, or that is deleted in silence.
#[test]
fn a_broken_entry_is_said_and_stops_no_other() {
    let mut scene = Scene::new();
    scene.server.go_down();
    for _ in 0..2 {
        scene.env.notify_done(["--", "true"]).stderr_is_free().run().assert_code(0);
    }
    let broken = scene.ids("new").into_iter().min().unwrap();
    fs::write(scene.env.state().join("outbox/new").join(&broken).join("entry.json"), "{ garbage").unwrap();
    assert!(contains(&scene.run(&["outbox", "list"], 0).stdout, &broken));
    scene.server.come_up();
    let done = scene.env.notify_done(["outbox", "flush"]).says(&[&broken]).run();
    done.assert_code(1);
    scene.received(1);
    assert_eq!(scene.ids("new"), [broken]);
    // The same where it waits for an account.
    let scene = Scene::without_account();
    scene.env.notify_done(["--", "true"]).stderr_is_free().run().assert_code(0);
    let broken = scene.ids("held").remove(0);
    fs::write(scene.env.state().join("outbox/held").join(&broken).join("entry.json"), "{ garbage").unwrap();
    scene.configure("");
    scene.env.notify_done(["outbox", "flush"]).says(&[&broken]).run().assert_code(1);
    assert_eq!(scene.ids("held"), [broken]);
}

/// Catches silence that leaves who asked in doubt, and an error where there is none.
#[test]
fn a_flush_with_nothing_to_do_is_done() {
    let scene = Scene::new();
    scene
        .env
        .notify_done(["outbox", "flush", "-v"])
        .says(&["nothing waits in the outbox"])
        .run()
        .assert_code(0);
    assert_eq!(scene.server.connections(), 0);
}

/// Catches a config that is read at the start only: it can be mended while the command runs.
#[test]
fn notify_toml_is_read_again_when_the_mail_is_made() {
    let scene = Scene::without_account();
    let mut gate = scene.env.gate("gate");
    let run = scene.env.shell("exec $ND -- sh -c 'echo on; read x <gate'").start();
    run.wait_for_stdout(b"on\n");
    scene.configure("");
    gate.open();
    run.finish().assert_code(0);
    scene.received(1);
}

#[test]
fn a_mistake_in_notify_toml_holds_the_mail_until_it_is_mended() {
    let scene = Scene::with("[notify]\non = \"sometimes\"");
    let says = ["notify.toml:2", "sometimes", "outbox flush"];
    scene.env.notify_done(["--", "sh", "-c", "exit 5"]).says(&says).run().assert_code(5);
    assert_eq!((scene.kept(), scene.server.connections()), ([0, 1, 0, 0], 0));
    scene.env.notify_done(["outbox", "flush"]).says(&["sometimes"]).run().assert_code(1);
    scene.configure("");
    scene.flush();
    scene.received(1);
}
