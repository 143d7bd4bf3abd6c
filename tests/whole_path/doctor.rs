//! `notify-done doctor`: what it finds, and that it leaves things as they are.

use std::os::unix::fs::PermissionsExt;
use std::{fs, io};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::env::Output;
use crate::support::script::{Action, Script, Stage, TlsMode};
use crate::support::tls::Certificate;
use crate::{CODE, Scene, USER, contains, parse, qq};

fn doctor(scene: &Scene, args: &[&str], code: i32) -> Output {
    let done = scene.env.notify_done([&["doctor"], args].concat()).run();
    done.assert_code(code);
    done
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The page in English and in Chinese.
fn both(scene: &Scene, args: &[&str], code: i32) -> [String; 2] {
    ["en", "zh"].map(|lang| {
        let args = [&["doctor"], args].concat();
        let done = scene.env.notify_done(args).var("NOTIFY_DONE_LANG", lang).run();
        done.assert_code(code);
        text(&done)
    })
}

fn json(scene: &Scene, args: &[&str], code: i32) -> Value {
    let done = doctor(scene, &[args, &["--json"]].concat(), code);
    serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&done)))
}

/// The row of a step, and what stands under it.
#[track_caller]
fn row<'a>(page: &'a str, label: &str) -> (&'a str, &'a str) {
    // A mark may have more than one byte.
    let is_it =
        |line: &str| line.starts_with("  ") && line.chars().skip(4).collect::<String>().starts_with(label);
    let at = page.lines().position(is_it).unwrap_or_else(|| panic!("no {label} in:\n{page}"));
    let mut lines = page.lines().skip(at);
    let row = lines.next().unwrap();
    let below = page.split_once(row).unwrap().1.trim_start_matches('\n');
    let end = below.lines().take_while(|line| line.starts_with("      ")).map(|line| line.len() + 1).sum();
    (row, below.get(..end).unwrap_or(below))
}

#[track_caller]
fn assert_mark(page: &str, mark: char, label: &str) {
    let (row, _) = row(page, label);
    assert_eq!(row.trim_start().chars().next(), Some(mark), "{label} in:\n{page}");
}

/// Without blanks: however its lines are broken.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

/// All steps of an account that works, in their order.
const STEPS: [&str; 6] = ["DNS", "connection", "TLS", "greeting", "EHLO", "login"];

/// Columns, counted as a terminal does: those of Chinese take two.
fn columns(line: &str) -> usize {
    line.chars().map(|c| if ('\u{2e80}'..'\u{ffef}').contains(&c) { 2 } else { 1 }).sum()
}

/// Catches: a step left out, a mail sent unasked, a folder made where there was none, a page that is cut off
/// at the terminal's edge.
#[test]
fn all_is_well() {
    let scene = Scene::with("log.tail_lines = 100");
    let [page, chinese] = both(&scene, &[], 0);
    let mut before = 0;
    for step in ["notify.toml", "outbox", "code"].iter().chain(&STEPS) {
        assert_mark(&page, '✓', step);
        let at = page.find(row(&page, step).0).unwrap();
        assert!(at > before, "{step} is out of order in:\n{page}");
        before = at;
    }
    for part in [
        "(mode 0600, its folder 0",
        "log.tail_lines 100 (line 1)",
        "made when it is needed",
        "All is well: qq",
        "certificate of notify-done test server, by notify-done test CA, until",
    ] {
        assert!(squeezed(&page).contains(&squeezed(part)), "{part} in:\n{page}");
    }
    for part in ["一切正常", "✓ 登录", "权限 0600", "（第 1 行）"] {
        assert!(squeezed(&chinese).contains(&squeezed(part)), "{part} in:\n{chinese}");
    }
    for line in page.lines().chain(chinese.lines()) {
        assert!(columns(line) <= 100 && line.trim_end() == line, "{line:?}");
    }
    let ascii = scene.env.notify_done(["doctor"]).var("LANG", "C").run();
    assert!(text(&ascii).is_ascii() && text(&ascii).contains("  + login"), "{}", text(&ascii));
    assert!(!scene.env.state().exists());
    let elsewhere = fs::read_dir(scene.env.home().join("../runtime")).unwrap().count();
    assert_eq!(elsewhere, 0);
    assert_eq!(scene.server.logins().len(), 3);
    scene.received(0);
}

/// What goes wrong, at which step, and a part of the fix.
struct Case {
    script: Script,
    /// In place of what the account says.
    change: (&'static str, &'static str),
    steps: [&'static str; 2],
    fixes: [&'static str; 2],
}

fn case(script: Script, steps: [&'static str; 2], fixes: [&'static str; 2]) -> Case {
    Case { script, change: ("", ""), steps, fixes }
}

fn cases() -> Vec<Case> {
    let refused = "535 Login fail. Account is abnormal, service is not open";
    let (login, tls) = (["login", "登录"], ["TLS", "TLS 加密"]);
    vec![
        case(
            qq().certificate(Certificate::SelfSigned),
            tls,
            ["set accounts.qq.ca_file to its CA", "accounts.qq.ca_file 设为其"],
        ),
        case(qq().certificate(Certificate::Expired), tls, ["check this machine's clock", "检查本机时间"]),
        case(
            qq().certificate(Certificate::WrongHost),
            tls,
            ["accounts.qq.host to the name in the certificate", "证书上的名称"],
        ),
        case(qq().reply_at(Stage::Greeting, "554 no"), ["greeting", "问候"], ["fix: ", "办法："]),
        case(qq().at(Stage::Ehlo, Action::Drop), ["EHLO", "EHLO"], ["fix: ", "办法："]),
        case(
            qq().ehlo(&["mail", "SIZE 1000"]),
            login,
            ["set accounts.qq.auth = \"auto\"", "设 accounts.qq.auth = \"auto\""],
        ),
        case(qq().reply_at(Stage::Auth, refused), login, ["make a new authorization code", "重新生成授权码"]),
        case(qq().reply_at(Stage::Mail, "553 no"), ["sender", "发件人"], ["fix: ", "办法："]),
        case(
            qq().reply_at(Stage::Rcpt(0), "550 Mailbox not found"),
            ["recipient", "收件人"],
            ["fix: ", "办法："],
        ),
        Case {
            change: ("host = \"localhost\"", "host = \"localhost.invalid\"\ntimeout = \"6s\""),
            ..case(
                qq(),
                ["DNS", "域名解析"],
                ["correct accounts.qq.host|check the network", "改正 accounts.qq.host|检查网络"],
            )
        },
    ]
}

/// Catches: a fix that is missing or told at another step, one that is lost in translation, steps told as
/// made after the one that failed, a mail sent all the same.
#[test]
fn what_fails_is_told_with_its_fix() {
    for Case { script, change, steps, fixes } in cases() {
        let scene = Scene::new();
        scene.server.set_script(script);
        let config = fs::read_to_string(scene.env.config_path()).unwrap();
        scene.env.config(&config.replace(change.0, change.1));
        let pages = both(&scene, &["--verify", "b@example.com", "--send"], 1);
        let mut all = STEPS.iter().chain(&["sender", "recipient", "mail"]);
        let at = all.position(|step| *step == steps[0]).unwrap();
        for ((page, step), fix) in pages.iter().zip(steps).zip(fixes) {
            assert_mark(page, '✗', step);
            let below = squeezed(row(page, step).1);
            assert!(fix.split('|').any(|fix| below.contains(&squeezed(fix))), "{fix} at {step} in:\n{page}");
            assert_eq!(page.matches('✗').count(), 1, "{page}");
            let first = ["Mend this first: account qq, ", "请先解决：账号 qq 的"];
            assert!(first.iter().any(|first| page.contains(&format!("{first}{step}"))), "{page}");
            let after = page.split_once('✗').unwrap().1;
            let left = after.matches("not tried").count() + after.matches("未尝试").count();
            assert!(!after.contains('✓') && left == 8 - at, "{page}");
        }
        scene.received(0);
    }
    let mut scene = Scene::new();
    scene.server.go_down();
    let [page, chinese] = both(&scene, &[], 1);
    assert_mark(&page, '✗', "connection");
    let part = "fix: check accounts.qq.host and accounts.qq.port;";
    assert!(squeezed(&page).contains(&squeezed(part)), "{page}");
    assert!(squeezed(&chinese).contains("办法：检查accounts.qq.host和accounts.qq.port"), "{chinese}");
}

/// Catches: an expired certificate without the dates and the clock that tell who is wrong.
#[test]
fn an_expired_certificate_shows_its_dates() {
    let scene = Scene::new();
    scene.server.set_script(qq().certificate(Certificate::Expired));
    let [page, chinese] = both(&scene, &[], 1);
    assert!(page.contains("expired on 2020-12-31") && page.contains("this machine's clock says 2"), "{page}");
    assert!(chinese.contains("2020-12-31 过期") && chinese.contains("本机时间：2"), "{chinese}");
}

/// Catches: a code on a page that a user posts: in clear, in base64, in the words of a server that repeats it.
#[test]
fn no_page_shows_the_code() {
    let plain = STANDARD.encode(format!("\0{USER}\0{CODE}"));
    let forms = [CODE.to_owned(), STANDARD.encode(CODE), plain];
    for auth in ["plain", "login"] {
        for answer in ["235 ok", &format!("535 no: {}", forms.join(" "))] {
            let scene = Scene::new();
            scene.server.set_script(qq().reply_at(Stage::Auth, answer));
            let config = fs::read_to_string(scene.env.config_path()).unwrap();
            scene.env.config(&format!("{config}auth = \"{auth}\"\n"));
            let code = if answer.starts_with('2') { 0 } else { 1 };
            for args in [&["--transcript", "--send", "-v"][..], &["--transcript", "--json"]] {
                let done = doctor(&scene, args, code);
                let said = if args.contains(&"--json") {
                    "\"EHLO [127.0.0.1]\""
                } else {
                    "ms  send: EHLO [127.0.0.1]\n"
                };
                assert!(contains(&done.stdout, said) && contains(&done.stdout, "***"), "{}", text(&done));
                for form in &forms {
                    assert!(!contains(&done.stdout, form) && !done.stderr.contains(form), "{}", text(&done));
                }
            }
        }
    }
}

/// Catches: a mail that NetEase takes for spam, one by another sender, a second one, a file left behind.
#[test]
fn one_mail_goes_out_when_it_is_asked_for() {
    let scene = Scene::new();
    let temporary = scene.env.home().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let run = scene.env.notify_done(["doctor", "--send", "--transcript"]).var("TMPDIR", &temporary);
    let done = run.run();
    done.assert_code(0);
    let page = text(&done);
    assert_mark(&page, '✓', "mail");
    assert!(page.contains("taken for 10001@qq.com (250 OK: queued as.)"), "{page}");
    assert!(page.contains("send: [") && page.contains("reply: 250 OK: queued as."), "{page}");
    let mail = scene.mail();
    assert!(
        !mail.subject.to_lowercase().contains("test") && !mail.subject.contains("测试"),
        "{}",
        mail.subject
    );
    assert!(mail.subject.contains("gpu07") && mail.subject.contains("account qq"), "{}", mail.subject);
    let text = mail.text.as_deref().unwrap();
    assert!(
        text.contains("Account: qq") && text.contains("Host: gpu07") && text.contains("Time: 2"),
        "{text}"
    );
    let received = &scene.server.received()[0];
    assert_eq!((received.mail_from.as_str(), received.rcpts.as_slice()), (USER, &[USER.to_owned()][..]));
    assert!(contains(&received.data, &format!("From: <{USER}>\r\n")), "{:?}", received.data);
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
    assert!(!scene.env.state().exists());
}

/// Catches: a mail told as sent that was refused, or that comes later after all.
#[test]
fn a_mail_that_is_refused_is_told_and_not_kept() {
    let scene = Scene::new();
    scene.server.set_script(qq().reply_at(Stage::End, "550 Mail content denied"));
    let [page, chinese] = both(&scene, &["--send"], 1);
    assert_mark(&page, '✗', "mail");
    assert!(page.contains("fix: ") && page.contains("Mend this first: account qq, mail"), "{page}");
    assert!(chinese.contains("请先解决：账号 qq 的邮件"), "{chinese}");
    let mail = json(&scene, &["--send"], 1)["accounts"][0]["mail"].clone();
    assert_eq!((mail["state"].as_str(), mail["stage"].as_str()), (Some("failed"), Some("after_dot")));
    assert!(!scene.env.state().exists());
}

/// Catches: a further try promised, and `outbox drop` named, for a mail that is in no outbox.
#[test]
fn a_mail_whose_answer_is_lost_is_to_be_looked_for() {
    let scene = Scene::new();
    scene.server.set_script(qq().at(Stage::End, Action::Drop));
    let [page, chinese] = both(&scene, &["--send"], 1);
    let page = squeezed(&page);
    assert!(page.contains(&squeezed("fix: look whether it is in the mailbox; if not, try again")), "{page}");
    assert!(!page.contains("outboxdrop") && !page.contains("Message-ID"), "{page}");
    assert!(squeezed(&chinese).contains("请查看邮箱是否收到；如果没有，再试一次"), "{chinese}");
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[track_caller]
fn assert_keys(value: &Value, expected: &str) {
    let mut expected: Vec<&str> = expected.split_whitespace().collect();
    expected.sort_unstable();
    assert_eq!(keys(value), expected);
}

/// Catches: a key that is renamed, or missing where there is nothing to tell.
#[test]
fn the_keys_of_the_document_stay() {
    let scene = Scene::new();
    for (args, code) in [(&["--send", "--transcript", "--verify", "b@example.com"][..], 0), (&[], 1)] {
        if code == 1 {
            scene.server.set_script(qq().reply_at(Stage::Auth, "535 no"));
        }
        let document = json(&scene, args, code);
        assert_keys(&document, "ok version host time config state outbox accounts");
        assert_eq!(document["ok"], code == 0);
        assert_keys(&document["config"], "path expected named_by mode folder_mode settings findings");
        assert_keys(&document["config"]["settings"][0], "key value place");
        assert_keys(&document["state"], "folder exists mode passed_over");
        assert_keys(&document["outbox"], "waiting held failed error");
        let account = &document["accounts"][0];
        assert_keys(account, "name address host port tls ok auth_code before steps mail transcript");
        assert_keys(&account["auth_code"], "source warning error fix");
        assert_keys(&account["before"], "refused paused unreachable");
        let steps = account["steps"].as_array().unwrap();
        steps
            .iter()
            .for_each(|step| assert_keys(step, "stage state port tls elapsed_ms found diagnosis decides"));
        let stages: Vec<&str> = steps.iter().map(|step| step["stage"].as_str().unwrap()).collect();
        let known = ["resolve", "connect", "tls", "banner", "ehlo", "auth", "mail_from", "rcpt_to"];
        assert_eq!(stages, known[..stages.len()]);
        if code == 0 {
            assert_eq!(stages.len(), known.len());
            assert_keys(&account["mail"], "state to message_id elapsed_ms receipt stage diagnosis refused");
            assert_keys(&account["transcript"][0], "ms who text");
            assert_keys(
                &steps[2]["found"]["tls"]["chain"][0],
                "subject issuer not_before not_after days_left",
            );
        } else {
            assert!(account["mail"].is_null() && account["transcript"].is_null());
            let last = steps.last().unwrap();
            assert_eq!((last["state"].as_str(), last["decides"].as_bool()), (Some("failed"), Some(true)));
            assert_keys(&last["diagnosis"], "class cause fix reply");
        }
    }
    scene.env.config("nonsense = 1\n[accounts.qq]\naddress = 7\n");
    let document = json(&scene, &[], 1);
    assert_keys(&document["config"]["findings"][0], "unusable place key message fix");
}

/// Catches: a login of doctor's that isn't counted, so that notices hammer on with a code that was just
/// refused; a hold that stays when the login works again.
#[test]
fn logins_are_counted_and_a_good_one_ends_the_hold() {
    let scene = Scene::new();
    scene.server.set_script(qq().reply_at(Stage::Auth, "535 Login fail."));
    scene.env.notify_done(["--", "true"]).stderr_is_free().run().assert_code(0);
    assert_eq!(scene.kept(), [1, 0, 0, 0]);
    let count = |document: &Value| document["accounts"][0]["before"]["refused"]["count"].as_u64();
    assert_eq!(count(&json(&scene, &[], 1)), Some(1));
    let document = json(&scene, &[], 1);
    assert_eq!((count(&document), document["outbox"]["waiting"].as_u64()), (Some(2), Some(1)));
    let [page, _] = both(&scene, &[], 1);
    assert_mark(&page, '!', "earlier");
    scene.server.set_script(qq());
    let before = scene.server.logins().len();
    scene.env.notify_done(["outbox", "flush"]).stderr_is_free().run().assert_code(1);
    assert_eq!(scene.server.logins().len(), before, "held, as far as notices go");
    let [page, chinese] = both(&scene, &[], 0);
    assert!(page.contains("Notices that wait: 1. `notify-done outbox flush`"), "{page}");
    assert!(page.contains("that is over"), "{page}");
    assert!(chinese.contains("有 1 封通知在等待"), "{chinese}");
    assert!(json(&scene, &[], 0)["accounts"][0]["before"]["refused"].is_null());
    scene.flush();
    scene.received(1);
}

/// Catches: a code sent to where a mistaken notify.toml leads; a warning that counts as a failure.
#[test]
fn mistakes_in_the_settings_come_first() {
    let scene = Scene::with("[mail]\ntoo = \"a@example.com\"");
    let [page, _] = both(&scene, &[], 0);
    assert_mark(&page, '!', "warning");
    let made = scene.server.connections();
    let config = fs::read_to_string(scene.env.config_path()).unwrap();
    scene.env.config(&format!("log.attach = \"everything\"\n{config}"));
    let [page, chinese] = both(&scene, &["--send"], 1);
    assert_mark(&page, '✗', "mistake");
    assert_mark(&page, '-', "DNS");
    assert!(row(&page, "mistake").1.contains("fix: write one of: full, tail, none"), "{page}");
    assert!(page.contains("Mend this first: notify.toml: line 1."), "{page}");
    assert!(chinese.contains("请先解决：notify.toml：第 1 行。"), "{chinese}");
    assert_eq!(scene.server.connections(), made);
    // A file that others may write.
    scene.configure("");
    fs::set_permissions(scene.env.config_path(), fs::Permissions::from_mode(0o666)).unwrap();
    let [page, _] = both(&scene, &[], 1);
    assert_mark(&page, '✗', "notify.toml");
    assert!(page.contains("chmod 600"), "{page}");
    scene.received(0);
}

/// Catches: a code's file that others may write or read without a word.
#[test]
fn the_file_of_a_code_is_looked_at() {
    let scene = Scene::new();
    let file = scene.env.write("code", CODE, 0o600);
    let config = fs::read_to_string(scene.env.config_path()).unwrap();
    scene.env.config(&config.replace(&format!("\"{CODE}\""), "{ file = \"~/code\" }"));
    for (mode, mark, part, code) in
        [(0o600, '✓', "the file", 0), (0o644, '!', "mode 0644", 0), (0o666, '✗', "mode 0666", 1)]
    {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let [page, _] = both(&scene, &[], code);
        assert_mark(&page, mark, "code");
        let (row, below) = row(&page, "code");
        assert!(format!("{row}{below}").replace('\n', " ").contains(part), "{part} in:\n{page}");
    }
}

/// Catches: a program that prints the code found to have failed, where our parent ignores the end of its
/// children.
#[test]
fn a_program_that_prints_the_code_can_be_waited_for() {
    let scene = Scene::new();
    scene.env.write("code", CODE, 0o600);
    let config = fs::read_to_string(scene.env.config_path()).unwrap();
    scene.env.config(&config.replace(&format!("\"{CODE}\""), "{ command = \"cat ~/code\" }"));
    let script = "import os, signal\n\
                  signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n\
                  os.execv(os.environ['ND'], ['notify-done', 'doctor'])";
    let done = scene.env.python::<&str>(script, []).run();
    done.assert_code(0);
    assert_mark(&text(&done), '✓', "code");
}

#[test]
fn without_an_account_it_says_how_to_have_one() {
    let scene = Scene::without_account();
    let [page, chinese] = both(&scene, &[], 1);
    assert_mark(&page, '-', "notify.toml");
    assert!(page.contains("    [accounts.mine]\n") && page.contains("there is none"), "{page}");
    assert!(chinese.contains("请把下面三行写入") || chinese.contains("[accounts.mine]"), "{chinese}");
    let document = json(&scene, &[], 1);
    assert_eq!(document["accounts"], Value::Array(Vec::new()));
    let named =
        scene.env.notify_done(["doctor", "--account", "qq"]).says(&["no account is called `qq`"]).run();
    named.assert_code(1).assert_stdout("");
}

/// Catches: an account tried that wasn't asked for; one that works hidden behind one that doesn't.
#[test]
fn of_two_accounts_each_is_told() {
    let scene = Scene::new();
    let bad = scene.env.account("work", "nobody@qq.com", CODE, (&scene.server, TlsMode::Implicit));
    let config = fs::read_to_string(scene.env.config_path()).unwrap();
    scene.env.config(&format!("account = \"work\"\n{config}{bad}"));
    let page = text(&doctor(&scene, &[], 1));
    let order =
        ["Account work: ", "Account qq: ", "Mend this first: account work, login", "Account qq works."];
    let at = order.map(|part| page.find(part).unwrap_or_else(|| panic!("{part} in:\n{page}")));
    assert!(at.is_sorted(), "{page}");
    let made = scene.server.connections();
    let page = text(&doctor(&scene, &["--account", "qq"], 0));
    assert!(!page.contains("Account work"), "{page}");
    assert_eq!(scene.server.connections(), made + 1);
}

/// Catches: a state folder that can't be written and isn't told of.
#[test]
fn a_state_folder_that_cannot_be_used_is_told() {
    let scene = Scene::new();
    let blocked = scene.env.write("file", "", 0o600).join("state");
    let run = scene.env.notify_done(["doctor"]).var("NOTIFY_DONE_STATE", &blocked);
    let done = run.run();
    done.assert_code(1);
    let page = text(&done);
    assert_mark(&page, '✗', "state folder");
    for part in ["fix: make it writable, or set NOTIFY_DONE_STATE", "is used instead"] {
        assert!(squeezed(&page).contains(&squeezed(part)), "{part} in:\n{page}");
    }
    assert!(page.contains("Mend this first: the state folder"), "{page}");
    let made: io::Result<Vec<_>> = fs::read_dir(scene.env.home().join("../runtime")).unwrap().collect();
    assert!(made.unwrap().is_empty());
}

/// The last words of a test that has gone through the STARTTLS steps.
#[test]
fn starttls_has_its_own_steps() {
    let scene = Scene::new();
    scene.server.set_script(Script::netease().account(USER, CODE).tls(TlsMode::StartTls));
    scene.env.config(&scene.env.account("qq", USER, CODE, (&scene.server, TlsMode::StartTls)));
    let page = text(&doctor(&scene, &["--send", "--account", "qq"], 0));
    for step in ["DNS", "connection", "greeting", "EHLO", "STARTTLS", "TLS", "login", "mail"] {
        assert_mark(&page, '✓', step);
    }
    assert_eq!(page.matches("EHLO").count(), 2);
    assert!(parse::mail(&scene.received(1)[0].data).subject.contains("account qq"));
}
