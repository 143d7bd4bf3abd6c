//! What must not leave the machine: from what a command prints and is called by to the bytes that the
//! server got, and what lies in the outbox.

use std::fs;

use crate::support::env::Output;
use crate::support::parse::{self, ParsedMail};
use crate::support::script::{Script, Stage};
use crate::support::smtp::Received;
use crate::{CODE, LONG, Scene, USER, contains, files, html, row, text};

/// One of each kind; the `~` is in none of them, and keeps those who look for leaked tokens from taking
/// ours for some.
const TOKENS: [&str; 12] = [
    "gh~p_0123456789abcdefghijABCDEFGHIJ012345",
    "gl~pat-abcDEF123_-456ghiJKL",
    "h~f_abcdefghijklmnopqrstuvwxyzABCDEFGH",
    "sk-pr~oj-abc_DEF-123456789012345678901234567890",
    "sk-an~t-api03-abcdefghijklmnop_qrstuvwxyz-0123456789AA",
    "AK~IAIOSFODNN7EXAMPLE",
    "LT~AI5tAbCdEfGhIjKlMnOpQr",
    "xo~xb-123456789012-123456789012-abcdefghijklmnopqrstuvwx",
    "np~m_abcdefghijklmnopqrstuvwxyz0123456789",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "tr0ub4dor-and-3",
    "c0rrecth0rse",
];

fn token(n: usize) -> String {
    TOKENS[n].replace('~', "")
}

/// Prints them all, half of them coloured and one in the middle of itself.
fn script() -> String {
    let mut lines = Vec::new();
    for n in 0..10 {
        let (token, to) = (token(n), if n % 2 == 0 { "" } else { " >&2" });
        lines.push(format!("printf 'using \\033[32m{token}\\033[0m now\\n'{to}"));
        let (one, two) = token.split_at(12);
        lines.push(format!("printf '{one}\\033[1m{two}\\033[0m\\r\\n'{to}"));
    }
    lines.push(format!("printf '\\033[1mpassword\\033[0m=\\033[31m{}\\033[0m\\n'", token(10)));
    lines.push(format!("echo 'postgres://bob:{}@db/x' >&2", token(11)));
    lines.push("printf -- '-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\\n-----END PRIVATE KEY-----\\n'".to_owned());
    lines.push("echo 'employee-4711 started 训练'; exit 3".to_owned());
    lines.join("\n")
}

/// What none of it may be found in: the wire, each part decoded, the outbox.
#[track_caller]
fn assert_hidden(scene: &Scene, received: &[Received], secrets: &[String]) {
    let mut seen: Vec<(String, Vec<u8>)> = Vec::new();
    for mail in received {
        seen.push(("the wire".to_owned(), mail.data.clone()));
        let parsed = parse::mail(&mail.data);
        seen.push(("the subject".to_owned(), parsed.subject.clone().into_bytes()));
        for part in [&parsed.text, &parsed.html].into_iter().flatten() {
            seen.push(("a body".to_owned(), part.replace("<wbr>", "").into_bytes()));
        }
        seen.extend(parsed.parts.iter().map(|part| ("a part".to_owned(), part.bytes())));
    }
    for file in files(&scene.env.state().join("outbox")) {
        seen.push((file.display().to_string(), fs::read(&file).unwrap()));
    }
    for (place, bytes) in &seen {
        for secret in secrets {
            assert!(!contains(bytes, secret), "{secret} in {place}:\n{}", String::from_utf8_lossy(bytes));
        }
    }
}

fn secrets() -> Vec<String> {
    let key = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC".to_owned();
    (0..12).map(token).chain([key, "employee-4711".to_owned()]).collect()
}

/// What of HTML is read.
fn without_tags(html: &str) -> String {
    let pieces = html.split('<').map(|piece| piece.split_once('>').map_or(piece, |(_, text)| text));
    pieces.collect::<String>().replace("&nbsp;", " ").replace("&#39;", "'")
}

#[track_caller]
fn run(scene: &Scene, options: &[&str]) -> Output {
    let title = format!("nightly {}", token(0));
    let note = format!("the key is {}\nand password: {}", token(2), token(10));
    let tag = format!("t-{}", token(5));
    // In a file, since half of a token in the command line is none.
    scene.env.write("script", script(), 0o600);
    let given = ["--title", &title, "--note", &note, "--tag", &tag, "--redact", "employee-[0-9]+"];
    let command = ["--", "sh", "script", "--token", &token(1), "--password", &token(11)];
    let args: Vec<&str> = given.iter().chain(options).chain(&command).copied().collect();
    let done = scene.env.notify_done(args).stderr_is_free().run();
    done.assert_code(3);
    done
}

/// Catches a token in any part of a mail, in either language, with the log and without.
#[test]
fn no_token_gets_into_a_mail() {
    for (lang, log) in [("en", "full"), ("zh", "none"), ("zh", "full"), ("en", "tail")] {
        let scene = Scene::new();
        let done = run(&scene, &["--lang", lang, "--log", log]);
        assert!(contains(&done.stdout, &token(0)), "what the command prints arrives as it is");
        let received = scene.received(1);
        assert_hidden(&scene, &received, &secrets());
        let mail = parse::mail(&received[0].data);
        assert!(mail.subject.contains("nightly [redacted]"), "{}", mail.subject);
        for body in [text(&mail).to_owned(), without_tags(&html(&mail))] {
            for part in [
                "using [redacted] now",
                "password=[redacted]",
                "postgres://bob:[redacted]@db/x",
                "[redacted] started 训练",
                "--password [redacted]",
                "-----BEGIN PRIVATE KEY-----",
            ] {
                assert!(body.replace('\'', "").contains(part), "{part} in:\n{body}");
            }
        }
        // Of the output 24, whether its log is counted or what is shown of it; of title, note, tag and the
        // command's words 6.
        let told = if lang == "en" { "30 places" } else { "30 处" };
        assert!(text(&mail).contains(told), "{}", text(&mail));
        if log != "none" {
            let log = String::from_utf8(mail.attachment("log.txt").bytes()).unwrap();
            assert!(log.contains("using \x1b[32m[redacted]\x1b[0m now\n"), "{log}");
            assert!(log.contains("\x1b[1mpassword\x1b[0m=\x1b[31m[redacted]\x1b[0m\n"), "{log}");
        }
        // The log on this machine stays as it was.
        let kept =
            files(&scene.env.state().join("runs")).into_iter().find(|path| path.ends_with("log")).unwrap();
        assert!(contains(&fs::read(kept).unwrap(), &token(0)));
    }
}

/// Catches the form for a provider that takes the other for spam: it is made by itself.
#[test]
fn the_plain_form_has_none_either() {
    let scene = Scene::new();
    let spam = Script::qq().account(USER, CODE).reply_at(Stage::End, "554 DT:SPM bizmail");
    scene.server.set_script(spam);
    run(&scene, &["--wait", "20s"]);
    scene.server.wait_for_mails(1, LONG);
    scene.server.set_script(Script::qq().account(USER, CODE));
    scene.env.notify_done(["outbox", "flush", "--all"]).stderr_is_free().run();
    let received: Vec<_> = scene.server.wait_for_mails(2, LONG);
    assert_hidden(&scene, &received, &secrets());
    let last = parse::mail(&received.last().unwrap().data);
    assert!(last.html.is_none() && text(&last).contains("using [redacted] now"), "{}", text(&last));
}

/// Catches a token in the name of a file that goes along; the file itself is the user's own choice.
#[test]
fn the_name_of_a_file_has_none() {
    let scene = Scene::new();
    let name = format!("out-{}.txt", token(0));
    scene.env.write(&name, "password=hunter2", 0o600);
    scene.env.notify_done(["--attach-file", &name, "--", "true"]).run().assert_code(0);
    let received = scene.received(1);
    assert_hidden(&scene, &received, &[token(0)]);
    let mail = parse::mail(&received[0].data);
    let file =
        mail.parts.iter().find(|part| part.filename.as_ref().is_some_and(|name| name.starts_with("out-")));
    assert_eq!(file.unwrap().bytes(), b"password=hunter2");
}

/// Catches a pipe whose text takes another way.
#[test]
fn a_pipe_too() {
    let scene = Scene::with("[privacy]\nredact = ['employee-\\d+']");
    let input = format!("a {}\nemployee-4711\nb password={}\n", token(0), token(10));
    scene.env.notify_done(["pipe", "--title", &token(6)]).stdin(input).run().assert_code(0);
    let received = scene.received(1);
    assert_hidden(&scene, &received, &secrets());
    assert!(text(&parse::mail(&received[0].data)).contains("b password=[redacted]"));
}

/// Catches a command that prints its own account's code: whole, as AUTH has it, and in a URL.
#[test]
fn the_accounts_own_code_never() {
    let scene = Scene::new();
    scene.env.write("code", CODE, 0o600);
    let script = "cat ~/code; echo; echo auth AGFiY2RlZmdoaWprbG1ub3A=; cut -c1-4 ~/code; tr a-z A-Z <~/code";
    let title = format!("x{CODE}");
    let args = ["--title", &title, "--", "sh", "-c", script, CODE];
    scene.env.notify_done(args).run().assert_code(0);
    let received = scene.received(1);
    assert_hidden(
        &scene,
        &received,
        &[CODE.to_owned(), "AGFiY2RlZmdoaWprbG1ub3A".to_owned(), "YWJjZGVmZ2hpamtsbW5vcA".to_owned()],
    );
    let mail = parse::mail(&received[0].data);
    assert!(
        mail.subject.contains("x[redacted]") && text(&mail).contains("auth [redacted]"),
        "{}",
        text(&mail)
    );
}

#[track_caller]
fn mail_of(scene: &Scene) -> ParsedMail {
    parse::mail(&scene.received(1)[0].data)
}

/// Catches a command line that is told all the same: in the subject, the bodies, the record of the notice.
#[test]
fn a_hidden_command_is_nowhere() {
    for (lang, head, options, name) in [
        ("en", "", &["--hide-command"][..], "command"),
        ("zh", "[privacy]\nhide_command = true", &[][..], "命令"),
        ("en", "", &["--hide-command", "--title", "nightly"][..], "nightly"),
    ] {
        let scene = Scene::with(head);
        let args = [
            options,
            &[
                "--lang",
                lang,
                "--subject",
                "{name}|{command}|{state}",
                "--",
                "sh",
                "-c",
                "echo 0utput; : c0mmand",
            ],
        ]
        .concat();
        scene.env.notify_done(args).run().assert_code(0);
        let received = scene.received(1);
        assert_hidden(&scene, &received, &["c0mmand".to_owned(), "sh -c".to_owned()]);
        let mail = parse::mail(&received[0].data);
        assert!(mail.subject.starts_with(&format!("{name}|")), "{}", mail.subject);
        assert!(text(&mail).contains("0utput"), "what it prints is told");
        let shown = scene.env.notify_done(["runs", "show"]).run();
        assert!(contains(&shown.stdout, "c0mmand"), "it is known on this machine");
    }
}

/// Catches a mail that goes out, or comes to lie in the outbox, with what should have been taken out of it:
/// the pattern is mended only later.
#[test]
fn a_pattern_that_cannot_be_used_holds_the_mail_and_its_texts() {
    let scene = Scene::with("[privacy]\nredact = ['employee-(']");
    let args = ["--note", "for employee-4711", "--", "echo", "employee-4711"];
    let done = scene
        .env
        .notify_done(args)
        .says(&["privacy.redact", "isn't a regular expression", "unclosed group"])
        .run();
    done.assert_code(0).assert_stdout("employee-4711\n");
    assert_eq!(scene.kept(), [0, 1, 0, 0]);
    assert_hidden(&scene, &[], &["employee-4711".to_owned()]);
    scene.configure("[privacy]\nredact = ['employee-[0-9]+']");
    scene.flush();
    let mail = mail_of(&scene);
    assert_hidden(&scene, &scene.server.received(), &["employee-4711".to_owned()]);
    assert!(text(&mail).contains("notify-done preview"), "{}", text(&mail));
    // Now that it can be used, the whole mail is to be had here.
    let seen = scene.env.notify_done(["preview"]).stderr_is_free().run();
    let path = String::from_utf8(seen.stdout)
        .unwrap()
        .lines()
        .find(|line| line.ends_with(".txt"))
        .unwrap()
        .to_owned();
    assert!(fs::read_to_string(path).unwrap().contains("for [redacted]"));
}

/// Catches a variable with such a pattern that is only warned of, and a flag with one that is used.
#[test]
fn so_does_one_in_the_environment_and_a_flag_is_refused() {
    let scene = Scene::new();
    let run = scene.env.notify_done(["--", "echo", "x"]).var("NOTIFY_DONE_REDACT", "(");
    run.says(&["NOTIFY_DONE_REDACT", "unclosed group"]).run().assert_code(0);
    assert_eq!(scene.kept(), [0, 1, 0, 0]);
    // Who makes it later knows of it, too.
    let shown = scene.env.notify_done(["preview"]).stderr_is_free().run();
    assert!(shown.stderr.contains("unclosed group"), "{}", shown.stderr);
    let refused = scene
        .env
        .notify_done(["--redact", "(", "--", "echo", "x"])
        .says(&["--redact", "unclosed group"])
        .run();
    refused.assert_code(125).assert_stdout("");
}

/// Catches a pattern of the start that a later process forgets: the run's own are on record.
#[test]
fn what_shows_a_run_later_knows_its_patterns() {
    let scene = Scene::with("[log]\nattach = \"none\"");
    let args = ["--redact", "employee-[0-9]+", "--", "echo", "employee-4711", &token(0)];
    scene.env.notify_done(args).run().assert_code(0);
    scene.received(1);
    for command in
        [&["runs", "show"][..], &["runs", "show", "--json"], &["runs", "list"], &["runs", "list", "--json"]]
    {
        let shown = scene.env.notify_done(command).run();
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(
            shown.contains("[redacted]") && !shown.contains("4711") && !shown.contains(&token(0)),
            "{shown}"
        );
    }
    scene.env.notify_done(["preview"]).stderr_is_free().run().assert_code(0);
    for file in files(&scene.env.state().join("runs"))
        .iter()
        .filter(|file| file.to_string_lossy().contains("preview"))
    {
        assert!(!contains(&fs::read(file).unwrap(), "4711"), "{}", file.display());
    }
}

/// Catches `privacy.keep` without effect.
#[test]
fn what_is_kept_by_its_name_stays() {
    let scene = Scene::with("[privacy]\nkeep = [\"aws\"]");
    scene.env.notify_done(["--", "echo", &token(5), &token(0)]).run().assert_code(0);
    let mail = mail_of(&scene);
    assert_eq!(row(&mail, "Command"), format!("echo {} '[redacted]'", token(5)));
}

/// Catches: half a secret sent, since the log was cut inside it; a line that is longer than what is looked for
/// a line's end has no better place.
#[test]
fn a_log_is_not_cut_inside_a_secret() {
    for hours in [0, 11, 23] {
        let scene = Scene::with("[log]\nmax_attachment = \"300 KiB\"\ntail_lines = 1");
        let line = "\"password\":\"ZqZqZqZqZqZqZqZqZqZqZqZqZqZqZqZqZqZqZqZqZqZqZqZq\",";
        let script = format!("printf '%{hours}s'; yes '{line}' | head -c 4000000 | tr -d '\\n'; exit 1");
        scene.env.notify_done(["--", "sh", "-c", &script]).stderr_is_free().run();
        let received = scene.received(1);
        let parsed = parse::mail(&received[0].data);
        let log =
            parsed.parts.iter().find(|part| part.bytes().len() > 20_000).expect("the log's ends").bytes();
        assert!(contains(&log, "bytes left out here") && contains(&log, "[redacted]"));
        assert!(!contains(&log, "qZ"), "{}", String::from_utf8_lossy(&log[..2000]));
    }
}
