//! What the steps tell, of servers as they should be and of others; and what the transcript shows.

use super::*;
use crate::config::{Auth, Tls};
use crate::deliver::responder::{Certificate as Kind, Mode, Responder, say, server_config};
use crate::deliver::testing::{Bench, on};
use crate::deliver::transcript::Who;
use crate::deliver::verdict::{Class, TlsTrouble};

fn stages(steps: &[Step]) -> Vec<Stage> {
    steps.iter().map(|step| step.stage).collect()
}

fn tls_of(steps: &[Step]) -> &TlsFacts {
    let found = steps.iter().find_map(|step| match &step.found {
        Some(Found::Tls(facts)) => Some(facts),
        _ => None,
    });
    found.expect("a step tells of TLS")
}

/// Catches: a step that isn't told, or told without what it found; a mail sent by a probe.
#[test]
fn all_steps_of_a_good_server() {
    let config = server_config(Kind::Good);
    for (mode, tls) in
        [(Mode::Implicit(config.clone()), Tls::Implicit), (Mode::StartTls(config.clone()), Tls::StartTls)]
    {
        let server = Responder::start(mode, |_| None);
        let bench = Bench::new(server.port, tls);
        let recipients = ["a@example.com".to_owned(), "b@example.com".to_owned()];
        let steps = probe(&bench.account, Reach::Verify(&bench.secret, &recipients), None);
        assert!(steps.iter().all(|step| step.failure.is_none() && step.found.is_some()), "{steps:?}");
        use Stage::{Auth, Banner, Connect, Ehlo, MailFrom, RcptTo, Resolve, StartTls, Tls as Shake};
        let expected = match tls {
            Tls::Implicit => vec![Resolve, Connect, Shake, Banner, Ehlo, Auth, MailFrom, RcptTo, RcptTo],
            _ => {
                vec![Resolve, Connect, Banner, Ehlo, StartTls, Shake, Ehlo, Auth, MailFrom, RcptTo, RcptTo]
            }
        };
        assert_eq!(stages(&steps), expected);
        let facts = tls_of(&steps);
        assert_eq!(facts.version.as_deref(), Some("TLSv1_3"));
        assert!(facts.cipher.as_ref().unwrap().starts_with("TLS13_"));
        assert_eq!((facts.chain.len(), facts.chain[0].issuer.as_str()), (1, "CN=a test's own CA"));
        assert!(facts.chain[0].days_left > 300);
        assert!(server.said().contains(&"RSET".to_owned()) && server.taken().is_empty());
        let json = serde_json::to_value(&steps).unwrap();
        assert_eq!(json[1]["stage"], "connect");
        assert!(json[1]["found"]["connected"].as_str().unwrap().ends_with(&server.port.to_string()));
    }
}

/// Catches: an expired certificate without its date, which is all that one needs to know.
#[test]
fn a_bad_certificate_is_shown() {
    let server = Responder::start(Mode::Implicit(server_config(Kind::Expired)), |_| None);
    let steps = probe(&Bench::new(server.port, Tls::Implicit).account, Reach::Hello, None);
    assert_eq!(stages(&steps), [Stage::Resolve, Stage::Connect, Stage::Tls]);
    let failure = steps[2].failure.as_ref().unwrap();
    assert_eq!(failure.cause, Cause::Tls(TlsTrouble::Expired));
    let facts = tls_of(&steps);
    assert_eq!(facts.version, None);
    assert_eq!(facts.chain[0].not_after.to_string(), "2002-01-01T00:00:00Z");
    assert!(facts.chain[0].days_left < -8000);
}

/// Catches: the first port's failure lost when the second works, a login tried without being asked
/// for, a refused one tried again.
#[test]
fn each_endpoint_is_told_and_the_first_refusal_is_the_end() {
    let good = Responder::start(Mode::StartTls(server_config(Kind::Good)), on("AUTH", say("535 no")));
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let mut bench = Bench::new(closed, Tls::Implicit);
    let second = Endpoint { port: good.port, tls: Tls::StartTls };
    bench.account.server.fallback = vec![second];
    let steps = probe(&bench.account, Reach::Hello, None);
    assert_eq!(stages(&steps)[..3], [Stage::Resolve, Stage::Connect, Stage::Resolve]);
    assert_eq!(steps[1].failure.as_ref().unwrap().stage, Stage::Connect);
    let last = steps.last().unwrap();
    assert_eq!((last.endpoint, last.stage, &last.failure), (second, Stage::Ehlo, &None));
    assert!(!good.said().iter().any(|line| line.starts_with("AUTH")));
    let steps = probe(&bench.account, Reach::Login(&bench.secret), None);
    let last = steps.last().unwrap();
    assert_eq!((last.stage, last.failure.as_ref().unwrap().class), (Stage::Auth, Class::Credentials));
    assert_eq!(good.said().iter().filter(|line| line.starts_with("AUTH")).count(), 1);
}

/// Catches: a code in the transcript, in any of its forms and whoever said it; a line left out.
#[test]
fn the_transcript_shows_all_but_the_code() {
    for auth in [Auth::Plain, Auth::Login] {
        let server = Responder::start(Mode::Plain, on("RCPT", say("550 no: sesame c2VzYW1l")));
        let mut bench = Bench::new(server.port, Tls::None);
        bench.account.server.auth = auth;
        let recorder = Recorder::new();
        let steps = probe(&bench.account, Reach::Verify(&bench.secret, &bench.to), Some(recorder.clone()));
        assert_eq!(steps.last().unwrap().failure.as_ref().unwrap().stage, Stage::RcptTo);
        let transcript = recorder.transcript();
        let us = transcript.lines.iter().filter(|line| line.who == Who::Us).map(|line| line.text.as_str());
        let login: &[&str] = match auth {
            Auth::Plain => &["AUTH PLAIN ***"],
            _ => &["AUTH LOGIN", "***", "***"],
        };
        let rest = ["MAIL FROM:<10001@qq.com>", "RCPT TO:<a@example.com>", "QUIT"];
        assert_eq!(us.collect::<Vec<_>>(), [&["EHLO [127.0.0.1]"], login, &rest].concat());
        let shown = transcript.to_string();
        assert!(
            shown.contains("reply: 250-SIZE 73400320") && shown.contains("reply: 550 no: *** ***"),
            "{shown}"
        );
        assert!(shown.contains("connect: 127.0.0.1:") || shown.contains("connect: [::1]:"), "{shown}");
        for form in ["sesame", "c2VzYW1l", "AHNlc2FtZQ"] {
            assert!(!shown.contains(form) && !format!("{transcript:?}").contains(form), "{shown}");
        }
    }
}

/// Catches: a body in the transcript of a real mail.
#[test]
fn a_mails_body_is_only_counted() {
    let server = Responder::start(Mode::Implicit(server_config(Kind::Good)), |_| None);
    let mut bench = Bench::new(server.port, Tls::Implicit);
    let recorder = Recorder::new();
    bench.attempt_by(&mut crate::deliver::courier::Courier::recording(recorder.clone()), "");
    let shown = recorder.transcript().to_string();
    let size =
        std::fs::metadata(&bench.body).unwrap().len() as usize + crate::deliver::testing::HEADERS.len();
    assert!(
        shown.contains(&format!("send: [{size} bytes]\n")) && shown.contains("  tls: TLSv1_3, TLS13_"),
        "{shown}"
    );
    assert!(shown.contains("reply: 250 OK: queued as.") && !shown.contains("MIME-Version"), "{shown}");
    assert_eq!(server.taken().len(), 1);
}
