//! Notices that are made or sent long after their run: by which notify.toml, and what is still true.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::support::smtp::{Script, ScriptedServer, TlsMode};
use crate::{LONG, Scene, contains, parse, text};

const OTHER: &str = "10002@qq.com";
const OTHER_CODE: &str = "ponmlkjihgfedcba";

/// A second mailbox at a server of its own, in `work's file.toml`.
struct Other {
    server: ScriptedServer,
    file: PathBuf,
}

impl Other {
    fn new(scene: &Scene) -> Self {
        let server = ScriptedServer::start(Script::qq().account(OTHER, OTHER_CODE));
        let account = scene.env.account("work", OTHER, OTHER_CODE, (&server, TlsMode::Implicit));
        Self { server, file: scene.env.write("work's file.toml", account, 0o600) }
    }
}

/// The folder of the only run.
fn only_run(scene: &Scene) -> PathBuf {
    let mut runs = fs::read_dir(scene.env.state().join("runs")).unwrap();
    let run = runs.next().unwrap().unwrap().path();
    assert!(runs.next().is_none());
    run
}

/// As if every process of the run had been killed before its notice was in the outbox, long ago.
fn forget_the_notice(scene: &Scene, run: &Path) {
    let id = run.file_name().unwrap();
    for folder in ["new", "held", "sent", "failed"] {
        let entry = scene.env.state().join("outbox").join(folder).join(id);
        if entry.is_dir() {
            fs::remove_dir_all(entry).unwrap();
        }
    }
    let record = run.join("run.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    json["notice_due"] = true.into();
    json["ended"]["ended"] = "2026-01-01T00:00:00Z".into();
    fs::write(&record, json.to_string()).unwrap();
    // It goes when nothing is left to be done.
    fs::write(run.join("lock"), "").unwrap();
}

/// Catches a notice that goes out by the wrong mailbox, because the flush reads the usual file.
#[test]
fn a_notice_goes_by_the_file_that_its_run_was_given() {
    let mut scene = Scene::new();
    let mut other = Other::new(&scene);
    scene.server.go_down();
    other.server.go_down();
    let given = other.file.to_str().unwrap();
    let run = |args: &[&str]| {
        let done = scene.env.notify_done(args).says(&["`notify-done outbox flush`"]).run();
        done.assert_code(0);
    };
    run(&["--title", "usual", "--", "true"]);
    // Nobody waits for an account that was unreachable a moment ago, unless asked to.
    run(&["--title", "work", "--wait", "30s", "--config", "work's file.toml", "--", "true"]);
    // The variable counts as well: whoever set it may not be there when the notice goes out.
    let by_variable = scene.env.notify_done(["--title", "variable", "--wait", "30s", "--", "true"]);
    by_variable.var("NOTIFY_DONE_CONFIG", given).stderr_is_free().run().assert_code(0);
    let listed = scene.run(&["outbox", "list"], 0);
    let quoted = given.replace('\'', r"'\''");
    assert!(contains(&listed.stdout, &format!("    --config '{quoted}'\n")), "{listed:?}");
    scene.server.come_up();
    other.server.come_up();
    scene.flush();
    assert!(scene.mail().subject.contains("usual"));
    let mails = other.server.wait_for_mails(2, LONG);
    // In any order: a server that was unreachable isn't waited for, so the last run's mailer may still try.
    let came = |title: &str| mails.iter().any(|mail| parse::mail(&mail.data).subject.contains(title));
    assert!(came("work") && came("variable"));
    scene.settled();
    assert!(mails.iter().all(|mail| mail.rcpts == [OTHER]));
    assert_eq!(scene.kept(), [0, 0, 3, 0]);
}

/// Catches a mistake in one file that keeps the notices of another back, and a notice that can't go
/// out for ever, since its file is gone.
#[test]
fn a_file_that_is_gone_is_told_and_another_can_be_named() {
    let mut scene = Scene::new();
    let other = Other::new(&scene);
    scene.server.go_down();
    scene.env.notify_done(["--title", "usual", "--", "true"]).stderr_is_free().run().assert_code(0);
    other.server.set_script(Script::qq().account(OTHER, "another-code-all"));
    let args = ["--title", "work", "--config", "work's file.toml", "--", "true"];
    scene.env.notify_done(args).stderr_is_free().run().assert_code(0);
    fs::remove_file(&other.file).unwrap();
    scene.server.come_up();
    let says = ["work'\\''s file.toml'", "doesn't exist", "`notify-done outbox flush --config FILE`"];
    scene.env.notify_done(["outbox", "flush"]).says(&says).run().assert_code(1);
    assert!(scene.mail().subject.contains("usual"));
    assert_eq!(scene.kept(), [1, 0, 1, 0]);
    let usual = scene.env.config_path();
    let flush = ["outbox", "flush", "--config", usual.to_str().unwrap()];
    scene.env.notify_done(flush).stderr_is_free().run().assert_code(0);
    assert!(parse::mail(&scene.received(2)[1].data).subject.contains("work"));
    assert_eq!(scene.kept(), [0, 0, 2, 0]);
}

/// Catches a hint that leads to the usual file, when the flush was told another.
#[test]
fn the_hints_of_a_flush_name_the_file_that_it_was_given() {
    let mut scene = Scene::new();
    let mut other = Other::new(&scene);
    scene.server.go_down();
    other.server.go_down();
    scene.env.notify_done(["--", "true"]).stderr_is_free().run().assert_code(0);
    let quoted = other.file.to_str().unwrap().replace('\'', r"'\''");
    let hint = format!("`notify-done outbox flush --config '{quoted}'`");
    let done =
        scene.env.notify_done(["outbox", "flush", "--config", "work's file.toml"]).says(&[&hint]).run();
    done.assert_code(1);
    scene.env.write("work's file.toml", "", 0o600);
    let done =
        scene.env.notify_done(["outbox", "flush", "--config", "work's file.toml"]).says(&[&hint]).run();
    done.assert_code(1);
}

/// Catches a notice made later by other settings than its run's.
#[test]
fn a_notice_that_is_made_later_goes_by_the_runs_file_too() {
    let scene = Scene::new();
    let other = Other::new(&scene);
    scene.run(&["--config", "work's file.toml", "--", "true"], 0);
    other.server.wait_for_mails(1, LONG);
    scene.settled();
    forget_the_notice(&scene, &only_run(&scene));
    scene.flush();
    other.server.wait_for_mails(2, LONG);
    assert!(scene.server.received().is_empty());
}

/// Catches: a notice of another run that goes out by the mailbox of the run that found it missing.
#[test]
fn a_run_makes_the_notices_of_others_by_their_own_file() {
    let scene = Scene::new();
    let other = Other::new(&scene);
    scene.run(&["--", "true"], 0);
    scene.received(1);
    forget_the_notice(&scene, &only_run(&scene));
    scene.run(&["--config", "work's file.toml", "--", "true"], 0);
    other.server.wait_for_mails(1, LONG);
    scene.received(2);
    assert_eq!(other.server.received().len(), 1);
}

/// Catches: a notice that is made a second time while its own mailer is at it.
#[test]
fn a_notice_that_another_makes_is_left_to_it() {
    let scene = Scene::new();
    scene.run(&["--", "true"], 0);
    scene.received(1);
    let run = only_run(&scene);
    forget_the_notice(&scene, &run);
    let turn = fs::File::create(run.join("making")).unwrap();
    turn.lock().unwrap();
    scene.flush();
    scene.received(1);
    drop(turn);
    scene.flush();
    scene.received(2);
}

/// Catches bodies that promise the whole log when its end is gone by the time the mail is made.
#[test]
fn a_log_that_has_shrunk_is_told_in_the_bodies() {
    let scene = Scene::new();
    let script = "for n in 1 2 3 4; do echo line $n; done";
    for (lang, says) in [("en", "the last 14 B are lost"), ("zh", "末尾 14 B 已丢失")] {
        let before = scene.server.received().len();
        scene.run(&["--lang", lang, "--", "sh", "-c", script], 0);
        scene.received(before + 1);
        let run = only_run(&scene);
        forget_the_notice(&scene, &run);
        fs::OpenOptions::new().write(true).open(run.join("log")).unwrap().set_len(14).unwrap();
        scene.flush();
        let mail = parse::mail(&scene.received(before + 2)[before + 1].data);
        assert_eq!(mail.attachment("log.txt").bytes(), b"line 1\nline 2\n");
        let html = crate::html(&mail);
        for body in [text(&mail), &html] {
            assert!(body.contains(says) && !body.contains("28 B"), "{body}");
        }
        fs::remove_dir_all(run).unwrap();
    }
    scene.run(&["--", "sh", "-c", script], 0);
    scene.received(5);
    let run = only_run(&scene);
    forget_the_notice(&scene, &run);
    fs::remove_file(run.join("log")).unwrap();
    scene.flush();
    let mail = parse::mail(&scene.received(6)[5].data);
    assert!(text(&mail).contains("could not be read any more"), "{}", text(&mail));
}

/// Catches: two flushes that both find that a run has no notice, and both make one.
#[test]
fn two_flushes_at_once_make_one_notice() {
    let scene = Scene::new();
    scene.run(&["--", "true"], 0);
    scene.received(1);
    let run = only_run(&scene);
    for sent in 2..6 {
        forget_the_notice(&scene, &run);
        let start = || scene.env.notify_done(["outbox", "flush"]).stderr_is_free().start();
        for flush in [start(), start(), start()] {
            flush.finish().assert_code(0);
        }
        scene.received(sent);
    }
}

/// Catches a flush that says "nothing waits" and 0 when a notice could not even be kept.
#[test]
fn a_notice_that_cannot_be_kept_is_told_by_the_flush() {
    let scene = Scene::new();
    scene.run(&["--", "true"], 0);
    scene.received(1);
    let run = only_run(&scene);
    forget_the_notice(&scene, &run);
    let script = "trap '' XFSZ; ulimit -f 0; exec $ND outbox flush";
    let done = scene.env.shell(script).var("TMPDIR", scene.env.home()).stderr_is_free().run();
    // The last place that was tried, and the only one outside the test's own folder.
    let mark = scene
        .env
        .state()
        .as_os_str()
        .as_bytes()
        .iter()
        .fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    let place = format!("/dev/shm/notify-done-{}-{mark:08x}", nix::unistd::geteuid());
    fs::remove_dir_all(place).unwrap();
    done.assert_code(1);
    for says in ["could not be kept", "ulimit -f"] {
        assert!(done.stderr.contains(says), "{}", done.stderr);
    }
    // It isn't lost: where there is room again, it goes out.
    scene.flush();
    scene.received(2);
}

/// Catches a file name that isn't UTF-8 (a GBK one) killing us: its path stands in the run's record.
#[test]
fn names_that_are_not_utf8_harm_nothing() {
    let scene = Scene::new();
    let state = scene.env.home().join(OsStr::from_bytes(b"st\xce\xd2"));
    let script = "exec $ND -- sh -c 'echo out; exit 3' >\"$(printf '\\316\\322')\"";
    let run = scene.env.shell(script).var("NOTIFY_DONE_STATE", &state);
    run.run().assert_code(3);
    let mail = parse::mail(&scene.server.wait_for_mails(1, LONG)[0].data);
    assert_eq!(mail.attachment("stdout.txt").bytes(), b"out\n");
    let settings = scene.env.home().join(OsStr::from_bytes(b"\xce\xd2.toml"));
    fs::rename(scene.env.config_path(), &settings).unwrap();
    let run =
        scene.env.shell("exec $ND --config \"$(printf '\\316\\322.toml')\" -- sh -c 'echo out; exit 3'");
    run.var("NOTIFY_DONE_STATE", &state).run().assert_code(3).assert_stdout("out\n");
    scene.server.wait_for_mails(2, LONG);
}
