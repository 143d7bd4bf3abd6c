//! The mail itself: headers, both bodies, attachment.

use crate::support::env::TestEnv;
use crate::support::parse;
use crate::support::smtp::{Script, ScriptedServer, TlsMode};
use crate::{LONG, Scene, USER, html, row, text};

#[test]
fn a_failed_command_as_qq_gets_it() {
    let scene = Scene::new();
    // The gap between the two is the mail's: with two pipes, order is that of arrival.
    let script = "echo out; echo err >&2; exit 3";
    let done = scene.env.notify_done(["--", "sh", "-c", script]).says(&["err\n"]).run();
    done.assert_code(3).assert_stdout("out\n");
    assert_eq!(done.stderr, "err\n");

    let received = scene.received(1).remove(0);
    assert_eq!((received.mail_from.as_str(), received.user.as_deref()), (USER, Some(USER)));
    assert_eq!((received.rcpts.as_slice(), received.over_tls), (&[USER.to_owned()][..], true));
    let mail = parse::mail(&received.data);
    assert_eq!((mail.from.as_slice(), mail.to.as_slice()), (&[USER.to_owned()][..], &[USER.to_owned()][..]));
    assert_eq!(mail.header("MIME-Version"), "1.0");
    assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
    let id = mail.header("Message-ID");
    assert!(id.starts_with('<') && id.ends_with("@qq.com>"), "{id}");
    assert!(mail.header("Date").ends_with("+0000"), "{}", mail.header("Date"));
    assert!(mail.subject.contains("exit 3") && mail.subject.starts_with('❌'), "{}", mail.subject);
    assert_eq!(
        mail.structure.trim_end(),
        "multipart/mixed\n  multipart/alternative\n    text/plain\n    text/html\n  text/plain"
    );
    assert_eq!(row(&mail, "Result"), "exit code 3");
    assert_eq!(row(&mail, "Directory"), scene.env.home().to_str().unwrap());
    for label in ["Command", "Duration", "Host", "User", "Started", "Ended", "CPU time", "Peak memory", "Run"]
    {
        assert!(!row(&mail, label).is_empty());
    }
    assert!(text(&mail).contains("\n! err\n") && text(&mail).contains("\n  out\n"), "{}", text(&mail));
    let html = html(&mail);
    for part in ["out", "err", "exit code 3", row(&mail, "Run"), row(&mail, "Duration")] {
        assert!(html.contains(part), "{part} in:\n{html}");
    }
    let log = String::from_utf8(mail.attachment("log.txt").bytes()).unwrap();
    assert!(log == "out\nerr\n" || log == "err\nout\n", "{log}");
    assert_eq!(scene.kept(), [0, 0, 1, 0]);
}

#[test]
fn chinese_by_starttls_as_163_gets_it() {
    let env = TestEnv::new();
    let user = "13800000000@163.com";
    let script = Script::netease().tls(TlsMode::StartTls).account(user, "ABCDEFGHIJKLMNOP");
    let server = ScriptedServer::start(script);
    let account = env.account("163", user, "ABCDEFGHIJKLMNOP", (&server, TlsMode::StartTls));
    env.config(&format!("lang = \"zh\"\n[mail]\nfrom_name = \"训练机, 一号\"\n{account}"));
    let args = ["--title", "训练 第7次", "--to", "张三 <zhang@example.com>", "--", "echo", "损失 0.1"];
    env.notify_done(args).run().assert_code(0).assert_stdout("损失 0.1\n");

    let received = server.wait_for_mails(1, LONG).remove(0);
    server.assert_clean();
    assert!(received.over_tls && received.rcpts == ["zhang@example.com"]);
    let head = received.data.split(|b| *b == b'\n').take_while(|line| *line != b"\r");
    assert!(head.flatten().all(u8::is_ascii), "headers are encoded: 163 takes no SMTPUTF8");
    let mail = parse::mail(&received.data);
    assert!(mail.subject.starts_with("✅ 训练 第7次 成功"), "{}", mail.subject);
    assert!(mail.header("From").contains("训练机, 一号") && mail.from == [user], "{}", mail.header("From"));
    assert!(mail.header("To").contains("张三"), "{}", mail.header("To"));
    assert_eq!(row(&mail, "结果"), "退出码 0");
    assert!(text(&mail).contains("损失 0.1") && mail.html.as_deref().unwrap().contains("损失 0.1"));
}

/// Catches: a CI run that isn't recorded at the start, a token in its link.
#[test]
fn within_ci_the_mail_leads_to_its_run() {
    let scene = Scene::new();
    let ci = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_SERVER_URL", "https://x-access-token:ghs_0123@git.example.com"),
        ("GITHUB_REPOSITORY", "alice/vit"),
        ("GITHUB_RUN_ID", "42"),
        ("GITHUB_WORKFLOW", "nightly"),
        ("GITHUB_REF_NAME", "main"),
        ("GITHUB_SHA", "ffac537e6cbbf934b08745a378932722df287a53"),
    ];
    let run = scene.env.notify_done(["--", "echo", "hello"]);
    ci.iter().fold(run, |run, (name, value)| run.var(name, value)).run().assert_code(0);
    let mail = scene.mail();
    assert_eq!(row(&mail, "CI run"), "GitHub Actions · alice/vit · nightly");
    assert_eq!(row(&mail, "Branch"), "main · ffac537e");
    let link = "https://git.example.com/alice/vit/actions/runs/42";
    assert_eq!(row(&mail, "Link"), link);
    assert!(mail.html.as_deref().unwrap().contains(&format!("href=\"{link}\"")));
    let shown = String::from_utf8(scene.env.notify_done(["runs", "show"]).run().stdout).unwrap();
    assert!(shown.contains(link), "{shown}");
    assert!(!shown.contains("ghs_0123") && !text(&mail).contains("ghs_0123"));
}

/// Catches: a time in the wrong zone, or in the zone of whoever sends it later.
#[test]
fn who_where_and_when() {
    let scene = Scene::new();
    let run = scene.env.notify_done(["--", "true"]);
    // POSIX TZ: eight hours east of UTC.
    run.var("NOTIFY_DONE_TEST_CLOCK", "2026-11-21T20:30:00Z").var("TZ", "CST-8").run().assert_code(0);
    let mail = parse::mail(&scene.received(1).remove(0).data);
    assert_eq!(mail.header("Date"), "Sun, 22 Nov 2026 04:30:00 +0800");
    assert_eq!((row(&mail, "Host"), row(&mail, "User")), ("gpu07", "ann"));
    assert_eq!(row(&mail, "Started"), "2026-11-22 04:30:00 +08:00");
    assert!(row(&mail, "Run").starts_with("20261121T203000000000-"), "{}", row(&mail, "Run"));
    assert!(mail.subject.ends_with(" · gpu07"), "{}", mail.subject);
}

/// Catches every conversion on the way: line ends, dots at a line's start, long lines, bytes that
/// are no text, a missing last line end.
#[test]
fn the_attachment_is_the_output_byte_for_byte() {
    let scene = Scene::new();
    // With all letters in their order the account's code would be among them, and be taken out.
    let mut bytes: Vec<u8> = (0..=255).filter(|byte| *byte != b'h').collect();
    bytes.extend_from_slice(b"\r\n.\r\n..\r\nlone\rcr\n\n.\n\x1b[31mred\x1b[0m\n50%\r100%\n");
    bytes.extend(std::iter::repeat_n(b'x', 200_000));
    bytes.extend((0..=255).rev().cycle().take(100_003));
    bytes.extend_from_slice("\n最后一行".as_bytes());
    scene.env.write("data", &bytes, 0o644);
    scene.run(&["--", "cat", "data"], 0).assert_stdout(&bytes);
    let mail = scene.mail();
    assert!(mail.attachment("log.txt").bytes() == bytes, "{} bytes", mail.attachment("log.txt").size);
    assert!(text(&mail).contains("最后一行"));
}

#[test]
fn death_silence_and_what_cannot_start_are_told() {
    let scene = Scene::new();
    let killed = scene.env.notify_done(["--", "sh", "-c", "kill -9 $$"]).run();
    killed.assert_signal(nix::sys::signal::Signal::SIGKILL);
    let mail = scene.mail();
    assert!(row(&mail, "Result").starts_with("killed by SIGKILL"), "{}", text(&mail));
    assert!(text(&mail).contains("It wrote no output."), "{}", text(&mail));
    assert_eq!(mail.structure.trim_end(), "multipart/alternative\n  text/plain\n  text/html");

    // Nobody looks at stderr here, so a typo in a nightly job is mailed as well.
    scene.env.notify_done(["--", "no-such-job"]).says(&["no-such-job"]).run().assert_code(127);
    let mail = parse::mail(&scene.received(2)[1].data);
    assert!(mail.subject.contains("command not found"), "{}", mail.subject);
}

/// Catches a text of the command's that gets into the header or the HTML as markup.
#[test]
fn what_the_command_says_is_only_shown() {
    let scene = Scene::new();
    let title = "x\r\nBcc: evil@example.com";
    scene.run(&["--title", title, "--note", "<b>&", "--", "echo", "<script>alert(1)</script>"], 0);
    let received = scene.received(1).remove(0);
    assert_eq!(received.rcpts, [USER]);
    let mail = parse::mail(&received.data);
    assert!(mail.headers.iter().all(|(name, _)| name != "Bcc"), "{:?}", mail.headers);
    let html = mail.html.as_deref().unwrap();
    assert!(!html.contains("<script") && html.contains("&lt;b&gt;&amp;"), "{html}");
    assert!(text(&mail).contains("<script>alert(1)</script>"));
}
