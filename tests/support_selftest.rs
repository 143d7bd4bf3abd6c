//! The tests' own tools are tried by Python's smtplib: a fault that the scripted server doesn't show
//! or doesn't see would make every test that builds on it worthless.

mod support;

use std::fs;
use std::process::Command;
use std::time::Duration;

use support::env::{Output, TestEnv};
use support::parse;
use support::smtp::{Action, Script, ScriptedServer, Stage, TlsMode};
use support::tls::{self, Certificate};

const USER: &str = "10001@qq.com";
const CODE: &str = "abcdefghijklmnop";
const SOON: Duration = Duration::from_secs(20);

/// Sends one mail and prints what came of it. argv: port, mode, mechanism, CA file, timeout.
const CLIENT: &str = r#"
import smtplib, ssl, sys
port, mode, mechanism, ca, timeout = sys.argv[1:]
data = sys.stdin.buffer.read()
context = ssl.create_default_context(cafile=ca)
try:
    if mode == "implicit":
        client = smtplib.SMTP_SSL("localhost", int(port), context=context, timeout=float(timeout))
    else:
        client = smtplib.SMTP("localhost", int(port), timeout=float(timeout))
    if mode == "starttls":
        client.starttls(context=context)
    client.ehlo("client.example.com")
    client.esmtp_features["auth"] = mechanism
    client.login("10001@qq.com", "abcdefghijklmnop")
    refused = client.sendmail("10001@qq.com", ["a@example.com", "b@example.com"], data)
    print("sent", sorted(refused.items()))
    client.quit()
except Exception as error:
    print(type(error).__name__, error)
"#;

const MAIL: &[u8] = b"From: 10001@qq.com\r\nTo: a@example.com\r\nSubject: =?utf-8?q?=C3=A4?=\r\n\
    Date: Sat, 21 Nov 2026 03:00:00 +0000\r\nMessage-ID: <1@example.com>\r\nMIME-Version: 1.0\r\n\
    \r\n.dot\r\n..\r\nend\r\n";

fn qq() -> Script {
    Script::qq().account(USER, CODE)
}

fn client(env: &TestEnv, server: &ScriptedServer, mode: &str, mechanism: &str) -> Output {
    patient_client(env, server, (mode, mechanism), "30")
}

/// `seconds`: how long it waits for each answer.
fn patient_client(env: &TestEnv, server: &ScriptedServer, how: (&str, &str), seconds: &str) -> Output {
    let mut python = Command::new("python3");
    python.args(["-c", CLIENT, &server.port().to_string(), how.0, how.1]);
    python.arg(env.home().join("ca.pem")).arg(seconds);
    env.command(python).stdin(MAIL).run()
}

/// What the client printed after its attempt against `script` (implicit TLS, PLAIN).
fn outcome(script: Script) -> (String, ScriptedServer) {
    outcome_within(script, "30")
}

fn outcome_within(script: Script, seconds: &str) -> (String, ScriptedServer) {
    let server = ScriptedServer::start(script);
    let output = patient_client(&TestEnv::new(), &server, ("implicit", "PLAIN"), seconds);
    (String::from_utf8_lossy(&output.stdout).into_owned(), server)
}

#[test]
fn a_mail_arrives_in_every_mode_by_every_mechanism() {
    let env = TestEnv::new();
    let modes = [(TlsMode::Implicit, "implicit"), (TlsMode::StartTls, "starttls"), (TlsMode::Plain, "plain")];
    for script in [qq(), Script::netease().account(USER, CODE)] {
        for (tls, mode) in modes {
            for mechanism in ["PLAIN", "LOGIN"] {
                let server = ScriptedServer::start(script.clone().tls(tls));
                client(&env, &server, mode, mechanism).assert_code(0).assert_stdout("sent []\n");
                let mail = server.wait_for_mails(1, SOON).remove(0);
                assert_eq!(mail.data, MAIL, "dot-stuffing is undone, nothing else");
                assert_eq!(mail.rcpts, ["a@example.com", "b@example.com"]);
                assert_eq!((mail.mail_from.as_str(), mail.user.as_deref()), (USER, Some(USER)));
                assert_eq!((mail.ehlo.as_str(), mail.over_tls), ("client.example.com", mode != "plain"));
                assert!(mail.accepted());
                assert_eq!(server.logins()[0].mechanism, mechanism);
                assert_eq!(
                    server.message_ids().into_iter().collect::<Vec<_>>(),
                    [("<1@example.com>".into(), 1)]
                );
                server.assert_clean();
            }
        }
    }
}

#[test]
fn refusals_are_those_of_the_script() {
    let (said, server) = outcome(qq().reply_at(Stage::Rcpt(1), "550 Mailbox unavailable or access denied"));
    assert_eq!(said, "sent [('b@example.com', (550, b'Mailbox unavailable or access denied'))]\n");
    assert_eq!(server.received()[0].rcpts, ["a@example.com"]);

    let (said, server) = outcome(Script::qq());
    assert!(said.starts_with("SMTPAuthenticationError (535, b'Login fail. Account is abnormal"), "{said}");
    assert!(!server.logins()[0].accepted && server.received().is_empty());

    let (said, _) = outcome(qq().max_message(20));
    assert!(said.contains("552"), "{said}");

    let (said, server) = outcome(qq().reply_at(Stage::End, "554 DT:SPM"));
    assert!(said.contains("554"), "{said}");
    assert!(!server.received()[0].accepted());
}

#[test]
fn faults_reach_the_client() {
    let timed_out = "TimeoutError";
    // The end of the line matters: a silent server makes it "…closed: … timed out".
    let gone = "Connection unexpectedly closed\n";
    let cases = [
        (Stage::Handshake, Action::Hang, timed_out),
        (Stage::Handshake, Action::Raw(b"220 no TLS here\r\n".to_vec()), "SSLError"),
        (Stage::Greeting, Action::Hang, "timed out"),
        (Stage::Greeting, Action::Raw(b"\xc4\xe3\xba\xc3\r\n".to_vec()), "SMTPConnectError"),
        (Stage::Ehlo, Action::HalfThenDrop, gone),
        (Stage::Auth, Action::Drop, gone),
        (Stage::Mail, Action::HalfThenHang, "timed out"),
        (Stage::End, Action::Drop, gone),
        (Stage::Greeting, Action::Trickle(Duration::from_millis(5)), "sent []"),
        (Stage::Greeting, Action::LongLine(8 << 20), "Line too long"),
        (Stage::Mail, Action::LongLine(8 << 20), "Line too long"),
        (Stage::Greeting, Action::ManyLines(100), "sent []"),
        (Stage::Mail, Action::BareLf, "sent []"),
        (Stage::Handshake, Action::Last(tls::tls10_alert()), "PROTOCOL_VERSION"),
        (Stage::Handshake, Action::Last(tls::tls10_server_hello()), "UNSUPPORTED_PROTOCOL"),
        (Stage::Body, Action::Last(b"452 full\r\n".to_vec()), "452, b'full'"),
        (Stage::Helo, Action::Drop, "sent []"),
    ];
    for (stage, action, expected) in cases {
        let seconds =
            if matches!(action, Action::Hang | Action::HalfThenHang | Action::Last(_)) { "1" } else { "30" };
        let (said, server) = outcome_within(qq().at(stage, action.clone()), seconds);
        assert!(said.contains(expected), "{stage:?} {action:?}: {said}");
        // What came before the fault is known, and no more than that.
        let arrived = usize::from(matches!(stage, Stage::End) || expected == "sent []");
        assert_eq!(server.received().len(), arrived, "{stage:?} {action:?}");
    }
}

/// Each of LOGIN's challenges can be bent alone; so can the EHLO behind STARTTLS.
#[test]
fn each_challenge_and_each_hello_is_a_step_of_its_own() {
    let env = TestEnv::new();
    let said = |script: Script, mode: &str| {
        let server = ScriptedServer::start(script);
        let output = client(&env, &server, mode, "LOGIN");
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            server.commands().concat(),
            server.logins().len(),
        )
    };
    // Python's smtplib names the user in AUTH itself: only the second challenge is left.
    let (words, _, logins) = said(qq().reply_at(Stage::Challenge(1), "534 too weak"), "implicit");
    assert!(words.contains("534"), "{words}");
    assert_eq!(logins, 0);
    let (words, _, _) = said(qq().reply_at(Stage::Challenge(0), "504 no such"), "implicit");
    assert_eq!(words, "sent []\n");
    let (words, commands, _) =
        said(qq().tls(TlsMode::StartTls).at(Stage::EhloAgain, Action::Drop), "starttls");
    assert!(words.contains("closed") && commands.contains("STARTTLS"), "{words} {commands}");
}

/// Catches: a deaf port that takes connections, or refuses them at once.
#[test]
fn a_deaf_port_takes_nobody() {
    let mut server = ScriptedServer::start(qq());
    server.go_deaf();
    let output = patient_client(&TestEnv::new(), &server, ("implicit", "PLAIN"), "0.3");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("timed out"), "{said}");
    server.come_up();
    client(&TestEnv::new(), &server, "implicit", "PLAIN").assert_stdout("sent []\n");
}

#[test]
fn the_connection_can_be_cut_in_the_body() {
    let (said, server) = outcome(qq().at(Stage::Body, Action::Drop));
    assert!(!said.contains("sent"), "{said}");
    assert!(server.received().is_empty());
    server.wait_for_command("data", SOON);
}

#[test]
fn certificates_are_as_bad_as_they_say() {
    let cases = [
        (Certificate::SelfSigned, "self-signed"),
        (Certificate::WrongHost, "Hostname mismatch"),
        (Certificate::Expired, "certificate has expired"),
        (Certificate::NotYetValid, "not yet valid"),
    ];
    for (certificate, expected) in cases {
        let (said, _) = outcome(qq().certificate(certificate));
        assert!(said.contains(expected), "{certificate:?}: {said}");
    }
}

#[test]
fn it_goes_down_and_comes_up_on_the_same_port() {
    let env = TestEnv::new();
    let mut server = ScriptedServer::start(qq().at(Stage::Greeting, Action::Drop));
    server.go_down();
    let refused = client(&env, &server, "implicit", "PLAIN");
    assert!(String::from_utf8_lossy(&refused.stdout).contains("ConnectionRefusedError"));
    server.come_up();
    server.set_script(qq());
    client(&env, &server, "implicit", "PLAIN").assert_stdout("sent []\n");
    assert_eq!(server.connections(), 1);
}

#[test]
fn breaches_of_the_protocol_are_noted() {
    let script = "import socket, sys\n\
        s = socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=10)\n\
        f = s.makefile('rb')\n\
        f.readline()\n\
        def ask(line):\n    \
            s.sendall(line)\n    \
            while f.readline()[3:4] == b'-': pass\n\
        ask(b'EHLO x\\n')\n\
        ask(b'AUTH PLAIN ADEwMDAxQHFxLmNvbQBhYmNkZWZnaGlqa2xtbm9w\\r\\n')\n\
        ask(b'MAIL FROM:<10001@qq.com>\\r\\n')\n\
        ask(b'RCPT TO:<a@example.com>\\r\\n')\n\
        ask(b'DATA\\r\\n')\n\
        ask(b'a\\n' + b'x' * 999 + b'\\r\\n\\xc3\\xa4\\r\\nc\\rd\\0\\r\\n.\\r\\n')\n";
    let env = TestEnv::new();
    let server = ScriptedServer::start(qq().tls(TlsMode::StartTls));
    let mut python = Command::new("python3");
    python.args(["-c", script, &server.port().to_string()]);
    env.command(python).run().assert_code(0);
    let violations = server.violations().join("\n");
    for part in
        ["command line ends with a bare LF", "AUTH in the clear", "1 of the message: ends with a bare LF"]
            .iter()
            .chain(&["longer than 998", "8-bit", "bare CR", "NUL"])
    {
        assert!(violations.contains(part), "{part} in:\n{violations}");
    }
    assert_eq!(server.received().len(), 1);
    let commands = server.commands();
    assert!(!commands.concat().contains("ADEw") && commands.contains(&"AUTH PLAIN …".to_owned()));
}

#[test]
fn the_parser_decodes_and_objects() {
    let mail = parse::mail(MAIL);
    assert_eq!((mail.subject.as_str(), mail.from), ("ä", vec![USER.to_owned()]));
    assert_eq!(mail.text.as_deref(), Some(".dot\n..\nend\n"));
    assert_eq!(mail.parts[0].bytes(), b".dot\n..\nend\n");
    let text = String::from_utf8_lossy(MAIL);
    for (broken, complaint) in [
        (text.replace("Date:", "X-Date:"), "Date"),
        (text.replace("end\r\n", "end\n"), "CRLF"),
        (text.replace("end", &"x".repeat(999)), "999 bytes"),
    ] {
        let why = parse::try_mail(broken.as_bytes()).expect_err(complaint);
        assert!(why.contains(complaint), "{why}");
    }
}

#[test]
fn a_run_is_hermetic_and_limited() {
    let env = TestEnv::new().var("CHOSEN", "1");
    let mut command = Command::new("env");
    command.env("LEAKED", "1");
    let output = env.command(command).run();
    let mut names: Vec<_> = output.stdout.split(|b| *b == b'\n').filter(|line| !line.is_empty()).collect();
    names.sort_unstable();
    let names: Vec<_> = names.iter().map(|l| l.split(|b| *b == b'=').next().unwrap_or_default()).collect();
    let ours: Vec<&[u8]> = vec![
        b"CHOSEN",
        b"HOME",
        b"LANG",
        b"NOTIFY_DONE_KEEP_TRYING",
        b"NOTIFY_DONE_TEST_HOST",
        b"PATH",
        b"TZ",
        b"USER",
        b"XDG_RUNTIME_DIR",
    ];
    assert_eq!(names, ours);

    env.config("[mail]\n");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(env.config_path()).expect("it was written").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);

    let mut sleeper = Command::new("sh");
    sleeper.args(["-c", "echo on its way; exec sleep 600"]);
    let run = env.command(sleeper).limit(Duration::from_millis(300));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.run()));
    let words = *panicked.expect_err("the limit").downcast::<String>().expect("fail() formats");
    assert!(words.contains("still open") && words.contains("on its way"), "{words}");

    let mut noisy = Command::new("sh");
    noisy.args(["-c", "echo surprise >&2"]);
    let run = env.command(noisy);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.run()));
    assert!(panicked.is_err(), "stderr was to be empty");
}
