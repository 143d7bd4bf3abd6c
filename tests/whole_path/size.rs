//! A mail is never larger than what its server takes; what had to be left out is said; the user's files go
//! with it.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::support::smtp::{Action, Received, ScriptedServer, Stage, TlsMode};
use crate::{LONG, Scene, USER, contains, html, parse, qq, text};

const OTHER: &str = "10002@qq.com";

/// Lines that pack to a quarter, as a training's do.
fn training(bytes: usize) -> Vec<u8> {
    let mut state: u64 = 88_172_645_463_325_252;
    let mut out = Vec::with_capacity(bytes + 100);
    for step in 0.. {
        if out.len() >= bytes {
            break;
        }
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let (loss, speed) = (state % 1_000_000, state / 7 % 100_000);
        writeln!(out, "step {step:08} | loss 0.{loss:06} | {speed:05} samples/s | lr 3e-4").unwrap();
    }
    out
}

/// The one file in an archive, as Python reads it.
pub fn unzipped(bytes: &[u8], folder: &Path) -> Vec<u8> {
    let path = folder.join("got.zip");
    fs::write(&path, bytes).unwrap();
    let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n\
                  (info,) = z.infolist()\nsys.stdout.buffer.write(z.read(info))";
    let done = std::process::Command::new("python3").args(["-c", script]).arg(&path).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    done.stdout
}

/// Catches: a large log that goes as text of many megabytes, or as an archive that holds something else.
#[test]
fn a_large_log_goes_as_a_zip() {
    let scene = Scene::new();
    let whole = training(3 << 20);
    scene.env.write("data", &whole, 0o644);
    scene.run(&["--", "cat", "data"], 0);
    let mail = scene.mail();
    let part = mail.attachment("log.zip");
    assert_eq!((part.content_type.as_str(), mail.parts.len()), ("application/zip", 3));
    assert!(part.size * 3 < whole.len() as u64, "{}", part.size);
    assert!(unzipped(&part.bytes(), &scene.env.home()) == whole);
    for body in [text(&mail), &html(&mail)] {
        assert!(body.contains("attached as a .zip of") && body.contains("complete (3.0 MiB)"), "{body}");
    }
    // Nothing of its making is left.
    assert!(!crate::files(&scene.env.state()).iter().any(|path| path.ends_with("parts")));
}

/// Catches: a log lost whole where most of it would have been taken; a mail that is sent twice, or under two
/// ids.
#[test]
fn what_the_server_finds_too_large_goes_with_less_of_the_log() {
    for at in [Stage::Mail, Stage::End] {
        let scene = Scene::new();
        let whole = training(5 << 20);
        scene.env.write("data", &whole, 0o644);
        // What it takes it doesn't say; a dot that is refused comes when all was sent.
        let script = qq().ehlo(&["smtp.qq.com", "AUTH LOGIN PLAIN"]).max_message(600_000);
        let script = if at == Stage::Mail {
            script.ehlo(&["smtp.qq.com", "SIZE", "AUTH LOGIN PLAIN"])
        } else {
            script
        };
        scene.server.set_script(script);
        scene.run(&["--", "cat", "data"], 0);
        scene.settled();
        let taken: Vec<_> = scene.server.received().into_iter().filter(Received::accepted).collect();
        assert_eq!(taken.len(), 1);
        assert!(taken[0].data.len() < 600_000);
        let mail = parse::mail(&taken[0].data);
        let body = text(&mail);
        assert!(body.contains("left out") && body.contains("whole log on"), "{body}");
        let log = unzipped(&mail.attachment("log.zip").bytes(), &scene.env.home());
        assert!(log.starts_with(&whole[..100]) && log.ends_with(&whole[whole.len() - 100..]));
        assert!(!mail.subject.starts_with("train"), "{}", mail.subject);
        assert_eq!(scene.kept(), [0, 0, 1, 0]);
        let ids = scene.server.message_ids();
        assert_eq!(ids.len(), 1, "{ids:?}");
    }
}

/// Catches: a limit that EHLO says overrun, or the notice given up for it.
#[test]
fn a_limit_that_leaves_no_room_for_a_log_is_kept() {
    let scene = Scene::new();
    scene.env.write("data", training(5 << 20), 0o644);
    scene
        .server
        .set_script(qq().ehlo(&["smtp.qq.com", "SIZE 100000", "AUTH LOGIN PLAIN"]).max_message(100_000));
    scene.run(&["--", "cat", "data"], 0);
    let mails = scene.received(1);
    assert!(mails[0].data.len() <= 100_000);
    let mail = parse::mail(&mails[0].data);
    assert!(text(&mail).contains("not attached (5.0 MiB)"), "{}", text(&mail));
    assert!(mail.html.is_some(), "the bodies are as they were");
}

/// Catches: a second account with a smaller limit that never gets the mail, or one that gets it too large.
#[test]
fn the_next_account_may_take_less() {
    let scene = Scene::without_account();
    let second = ScriptedServer::start(
        qq().account(OTHER, crate::CODE)
            .ehlo(&["smtp.qq.com", "SIZE 700000", "AUTH LOGIN PLAIN"])
            .max_message(700_000),
    );
    let first = scene.env.account("first", USER, crate::CODE, (&scene.server, TlsMode::Implicit));
    let other = scene.env.account("second", OTHER, crate::CODE, (&second, TlsMode::Implicit));
    scene.env.config(&format!("{first}\n{other}"));
    scene.server.set_script(qq().at(Stage::Mail, Action::Reply("550 Sender frequency limited".into())));
    scene.env.write("data", training(5 << 20), 0o644);
    scene.env.notify_done(["--", "cat", "data"]).stderr_is_free().run().assert_code(0);
    let mails = second.wait_for_mails(1, LONG);
    scene.settled();
    assert_eq!(second.received().len(), 1);
    assert!(mails[0].data.len() <= 700_000, "{}", mails[0].data.len());
    let mail = parse::mail(&mails[0].data);
    assert!(text(&mail).contains("left out") && mail.attachment("log.zip").size > 100_000, "{}", text(&mail));
}

/// Catches: a notice that hangs on a log that is gone.
#[test]
fn without_its_log_it_goes_in_the_plain_form() {
    let mut scene = Scene::new();
    scene.env.write("data", training(5 << 20), 0o644);
    scene.server.go_down();
    scene.env.notify_done(["--", "cat", "data"]).stderr_is_free().run().assert_code(0);
    scene.settled();
    for path in crate::files(&scene.env.state().join("runs")) {
        if path.ends_with("log") {
            fs::remove_file(path).unwrap();
        }
    }
    scene.server.set_script(qq().max_message(300_000));
    scene.server.come_up();
    scene.flush();
    let taken: Vec<_> = scene.server.received().into_iter().filter(Received::accepted).collect();
    assert_eq!(taken.len(), 1);
    let mail = parse::mail(&taken[0].data);
    assert!(mail.html.is_none() && text(&mail).contains("plain text"), "{}", text(&mail));
}

/// Sets the run's end an hour back, as if all that happens now happened long after it.
fn long_ago(scene: &Scene) {
    for path in crate::files(&scene.env.state().join("runs")) {
        if path.ends_with("run.json") {
            let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            let ended: jiff::Timestamp = record["ended"]["ended"].as_str().unwrap().parse().unwrap();
            record["ended"]["ended"] = (ended - jiff::SignedDuration::from_hours(1)).to_string().into();
            fs::write(&path, record.to_string()).unwrap();
        }
    }
}

/// The only mail that was taken.
#[track_caller]
fn taken(scene: &Scene) -> parse::ParsedMail {
    let taken: Vec<_> = scene.server.received().into_iter().filter(Received::accepted).collect();
    assert_eq!(taken.len(), 1);
    parse::mail(&taken[0].data)
}

/// Catches: what the next run wrote into the same file, or a file of the user's that is another by now, mailed
/// as this run's.
#[test]
fn what_was_written_since_is_not_this_runs() {
    for rewritten in ["log", "plot.txt"] {
        let mut scene = Scene::new();
        scene.env.write("data", training(3 << 20), 0o644);
        scene.env.write("plot.txt", "the first plot\n", 0o644);
        scene.server.go_down();
        let to = if rewritten == "log" { ">log" } else { "" };
        let script = format!("\"$ND\" --attach-file plot.txt -- cat data {to}");
        scene.env.shell(&script).stderr_is_free().run().assert_code(0);
        scene.settled();
        long_ago(&scene);
        fs::write(scene.env.home().join(rewritten), "another's\n".repeat(1 << 20)).unwrap();
        scene.server.set_script(qq().max_message(600_000));
        scene.server.come_up();
        scene.flush();
        let mail = taken(&scene);
        assert!(!text(&mail).contains("another's"), "{}", text(&mail));
        if rewritten == "log" {
            assert!(mail.html.is_none() && text(&mail).contains("plain text"), "{}", text(&mail));
            assert!(text(&mail).contains("samples/s"), "with the last lines: {}", text(&mail));
        } else {
            assert!(text(&mail).contains("plot.txt") && text(&mail).contains("changed after the run"));
            assert_eq!(mail.parts.iter().filter(|part| part.disposition.is_some()).count(), 1, "the log");
        }
    }
}

/// Catches: a mail made anew by other settings than the user's, who may want something kept out of it: his can't
/// be read now.
#[test]
fn without_its_settings_it_isnt_made_anew() {
    let mut scene = Scene::new();
    scene.env.write("data", training(3 << 20), 0o644);
    scene.env.write("own.toml", fs::read(scene.env.config_path()).unwrap(), 0o600);
    scene.server.go_down();
    let args = ["--config", "own.toml", "--", "cat", "data"];
    scene.env.notify_done(args).stderr_is_free().run().assert_code(0);
    scene.settled();
    scene.env.write("own.toml", "[log]\nattach = maybe\n", 0o600);
    scene.server.set_script(qq().max_message(600_000));
    scene.server.come_up();
    let config = scene.env.config_path();
    let args = ["outbox", "flush", "--config", config.to_str().unwrap()];
    scene.env.notify_done(args).stderr_is_free().run();
    let mail = taken(&scene);
    assert!(mail.html.is_none() && text(&mail).contains("plain text"), "{}", text(&mail));
}

/// Catches: files made by the run that don't come, or under another name; one that is missing and isn't
/// told of; a command that fails for a file.
#[test]
fn files_that_were_asked_for_come_with_it() {
    let scene = Scene::new();
    scene.env.write("old.txt", "from before\n", 0o644);
    let script = "mkdir plots 'my plots'; printf png1 >plots/loss.png; printf png2 >plots/曲线.png; \
                  printf bat >run.bat; mkfifo fifo; echo done; exit 3";
    let args = [
        "--attach-file",
        "old.txt",
        "--attach-file",
        "plots/*.png",
        "--attach-file",
        "run.bat",
        "--attach-file",
        "fifo",
        "--attach-file",
        "gone.csv",
        "--attach-file",
        "*.pt",
        "--attach-file",
        "my plots",
        "--attach-file",
        "/dev/zero",
        "--",
        "sh",
        "-c",
        script,
    ];
    scene.run(&args, 3);
    let mail = scene.mail();
    assert_eq!(mail.attachment("log.txt").bytes(), b"done\n");
    assert_eq!(mail.attachment("old.txt").bytes(), b"from before\n");
    assert_eq!(mail.attachment("loss.png").bytes(), b"png1");
    assert_eq!(mail.attachment("loss.png").content_type, "image/png");
    assert_eq!(mail.attachment("曲线.png").bytes(), b"png2");
    assert_eq!(unzipped(&mail.attachment("run.bat.zip").bytes(), &scene.env.home()), b"bat");
    assert_eq!(mail.parts.iter().filter(|part| part.disposition.is_some()).count(), 5);
    for body in [text(&mail), &html(&mail)] {
        for told in [
            "no such file",
            "no file fits this pattern",
            "it is a folder",
            "a device, a pipe",
            "refuse files of such a name",
            "曲线.png",
        ] {
            assert!(body.contains(told), "{told} in {body}");
        }
    }
    // Another time by the variable, in Chinese.
    scene
        .env
        .notify_done(["--lang", "zh", "--", "true"])
        .var("NOTIFY_DONE_ATTACH_FILE", "old.txt, none.csv")
        .run();
    let mail = parse::mail(&scene.received(2)[1].data);
    assert_eq!(mail.attachment("old.txt").bytes(), b"from before\n");
    assert!(text(&mail).contains("没有这个文件"), "{}", text(&mail));
}

/// Catches: a preview that isn't what is sent, one that waits for the browser, and one that says nothing
/// where there is none.
#[test]
fn the_preview_is_the_mail() {
    let scene = Scene::new();
    let whole = training(2 << 20);
    scene.env.write("data", &whole, 0o644);
    scene.env.write("a.csv", "1,2\n", 0o644);
    scene.run(&["--attach-file", "a.csv", "--cc", "b@example.com", "--", "cat", "data"], 0);
    let sent = scene.mail();
    let done = scene.env.notify_done(["preview", "--eml"]).stderr_is_free().run();
    done.assert_code(0);
    let paths: Vec<String> = String::from_utf8(done.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(paths.len(), 3, "{paths:?}");
    let eml = parse::mail(&fs::read(&paths[2]).unwrap());
    assert_eq!((&eml.headers, &eml.structure), (&sent.headers, &sent.structure));
    assert_eq!((&eml.text, &eml.html), (&sent.text, &sent.html));
    assert!(eml.attachment("log.zip").bytes() == sent.attachment("log.zip").bytes());
    let run = Path::new(&paths[2]).parent().unwrap();
    let mut left: Vec<_> =
        fs::read_dir(run).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    left.retain(|name| name.starts_with("preview"));
    left.sort();
    assert_eq!(left, ["preview.eml", "preview.html", "preview.txt"]);

    // $BROWSER gets the page, and isn't waited for.
    let shown = scene.env.home().join("shown");
    let browser = scene.env.write(
        "browser",
        format!("#!/bin/sh\necho noise; echo \"$1\" >{0}.part; mv {0}.part {0}; sleep 1000", shown.display()),
        0o755,
    );
    let done = scene.env.notify_done(["preview", "--open"]).var("BROWSER", &browser).stderr_is_free().run();
    done.assert_code(0);
    assert!(!contains(&done.stdout, "noise"));
    crate::wait_until("the browser has the page", || shown.exists());
    assert_eq!(fs::read_to_string(&shown).unwrap().trim(), paths[0]);
    let none = scene.env.notify_done(["preview", "--open"]).says(&["scp", "preview.html"]).run();
    none.assert_code(0);
}

/// Catches: a mail made anew in the language of whoever sends it, a timer's, say.
#[test]
fn it_is_made_anew_in_its_own_language() {
    let mut scene = Scene::new();
    scene.env.write("data", training(2 << 20), 0o644);
    scene.server.go_down();
    let run = scene.env.notify_done(["--", "cat", "data"]).var("LANG", "zh_CN.UTF-8");
    run.stderr_is_free().run().assert_code(0);
    scene.env.wait_until_alone();
    scene
        .server
        .set_script(qq().ehlo(&["smtp.qq.com", "SIZE 400000", "AUTH LOGIN PLAIN"]).max_message(400_000));
    scene.server.come_up();
    scene.flush();
    let mail = scene.mail();
    assert!(mail.attachment("log.zip").size < 400_000);
    assert!(text(&mail).contains("命令") && mail.subject.contains("成功"), "{}", text(&mail));
}
