//! One connection for several mails: when it is used again, when it is replaced, and that nothing is
//! sent twice or told as what it isn't.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::config::Tls;
use crate::deliver::responder::{Act, Mode, Responder, say};
use crate::deliver::testing::{Bench, failed, on, plain, receipt};
use crate::deliver::verdict::RecipientVerdict;

fn count(server: &Responder, verb: &str) -> usize {
    server.said().iter().filter(|line| line.starts_with(verb)).count()
}

/// Acts once, at the `nth` event (from 1) that begins with `event`.
fn at_the(nth: usize, event: &'static str, act: Option<Act>) -> impl Fn(&str) -> Option<Act> + Send + Sync {
    let seen = AtomicUsize::new(0);
    move |what| {
        let now = what.starts_with(event) && seen.fetch_add(1, Ordering::SeqCst) + 1 == nth;
        if now { act.clone() } else { None }
    }
}

/// Catches: a login for each of twenty notices that wait, a connection used for ever, or left open.
#[test]
fn twenty_mails_cost_one_login() {
    let (server, mut bench) = plain(|_| None);
    let mut courier = Courier::new();
    for _ in 0..21 {
        receipt(&bench.attempt_by(&mut courier, ""));
    }
    assert_eq!((count(&server, "AUTH"), count(&server, "MAIL"), count(&server, "QUIT")), (2, 21, 1));
    assert_eq!(server.taken().len(), 21);
    drop(courier);
    assert_eq!(count(&server, "QUIT"), 2);
    assert_eq!(count(&server, "RSET"), 0);
}

/// Catches: a mail sent as somebody else, or with a code that was replaced.
#[test]
fn another_account_or_code_gets_its_own_session() {
    let (server, mut bench) = plain(|_| None);
    let mut courier = Courier::new();
    receipt(&bench.attempt_by(&mut courier, ""));
    bench.secret = Secret::parse("other").unwrap();
    receipt(&bench.attempt_by(&mut courier, ""));
    bench.account.username = "10002@qq.com".into();
    receipt(&bench.attempt_by(&mut courier, ""));
    receipt(&bench.attempt_by(&mut courier, ""));
    let logins: Vec<String> = server.said().into_iter().filter(|line| line.starts_with("AUTH")).collect();
    let plain = |user: &str, code: &str| format!("AUTH PLAIN |{user}|{code}");
    assert_eq!(
        logins,
        [plain("10001@qq.com", "sesame"), plain("10001@qq.com", "other"), plain("10002@qq.com", "other")]
    );
    courier.hang_up();
    assert_eq!(count(&server, "QUIT"), 3);
    receipt(&bench.attempt_by(&mut courier, ""));
    assert_eq!(count(&server, "AUTH"), 4);
}

/// Catches: a mail reported as failed because an old connection had gone, or sent twice for it.
#[test]
fn a_kept_connection_that_died_is_replaced_in_silence() {
    let idle = || Some(Act::Say(b"250 ok\r\n421 idle\r\n".to_vec()));
    let garbage = || Some(Act::Say(b"what?\r\n".to_vec()));
    let gone = [
        at_the(1, ".", Some(Act::SayAndDrop(b"250 ok\r\n".to_vec()))),
        at_the(1, ".", idle()),
        at_the(2, "MAIL", Some(Act::Drop)),
        at_the(2, "MAIL", Some(Act::Hang)),
        at_the(2, "MAIL", garbage()),
        at_the(2, "MAIL", say("421 too many mails")),
        at_the(2, "MAIL", say("451 too many mails over this connection")),
        at_the(2, "MAIL", say("503 need EHLO and AUTH first")),
        at_the(2, "RCPT", Some(Act::Drop)),
        at_the(2, "RCPT", say("421 too many")),
    ];
    for (case, quirk) in gone.into_iter().enumerate() {
        let (server, mut bench) = plain(quirk);
        bench.account.timeout = Duration::from_secs(1);
        bench.to = vec!["a@example.com".into(), "b@example.com".into()];
        if case >= 8 {
            bench.to.truncate(1);
        }
        let mut courier = Courier::new();
        receipt(&bench.attempt_by(&mut courier, ""));
        bench.steps.clear();
        let attempt = bench.attempt_by(&mut courier, "");
        receipt(&attempt);
        assert_eq!(attempt.recipients.len(), bench.to.len(), "case {case}");
        assert!(attempt.recipients.iter().all(|to| to.verdict == RecipientVerdict::Accepted));
        assert_eq!(bench.steps, ["recipients", "body sent", "accepted"], "case {case}");
        assert_eq!((count(&server, "AUTH"), count(&server, "DATA")), (2, 2), "case {case}");
        // The first is counted although its connection was dropped: its 250 had been said.
        assert_eq!(server.taken().len(), if case == 0 { 1 } else { 2 }, "case {case}");
    }
}

/// Catches: a second try on a new connection after the mail may have been taken on the old one.
#[test]
fn what_was_settled_on_a_kept_connection_is_not_tried_again() {
    let cases = [
        (at_the(2, "DATA", Some(Act::Drop)), Stage::Data, false),
        (at_the(2, ".", Some(Act::Drop)), Stage::AfterDot, true),
        (at_the(2, ".", say("451 later")), Stage::AfterDot, false),
    ];
    for (quirk, stage, unknown) in cases {
        let (server, mut bench) = plain(quirk);
        let mut courier = Courier::new();
        receipt(&bench.attempt_by(&mut courier, ""));
        let attempt = bench.attempt_by(&mut courier, "");
        match &attempt.outcome {
            Outcome::Unknown(failure) => assert!(unknown && failure.stage == stage, "{failure:?}"),
            Outcome::Failed(failure) => assert!(!unknown && failure.stage == stage, "{failure:?}"),
            other => panic!("{other:?}"),
        }
        assert_eq!((count(&server, "AUTH"), count(&server, "DATA")), (1, 2));
    }
}

/// Catches: a throttled account that logs in again at once; a new connection that fails told as the
/// old one's failure.
#[test]
fn a_refusal_is_told_as_what_it_is() {
    let (server, mut bench) = plain(at_the(2, "MAIL", say("550 Ip frequency limited")));
    let mut courier = Courier::new();
    receipt(&bench.attempt_by(&mut courier, ""));
    let attempt = bench.attempt_by(&mut courier, "");
    assert_eq!((failed(&attempt).class, count(&server, "AUTH")), (Class::Throttled, 1));
    assert_eq!(count(&server, "QUIT"), 1, "who comes too often doesn't stay");
    // An old connection that is gone and a login that is refused now.
    let logins = AtomicUsize::new(0);
    let (server, mut bench) = plain(move |seen| match seen {
        "AUTH PLAIN" if logins.fetch_add(1, Ordering::SeqCst) > 0 => say("535 authentication failed"),
        "." => Some(Act::SayAndDrop(b"250 ok\r\n".to_vec())),
        _ => None,
    });
    let mut courier = Courier::new();
    receipt(&bench.attempt_by(&mut courier, ""));
    let attempt = bench.attempt_by(&mut courier, "");
    assert_eq!((failed(&attempt).stage, failed(&attempt).class), (Stage::Auth, Class::Credentials));
    assert_eq!(count(&server, "MAIL"), 1);
}

/// Catches: the recipients of a mail that was refused getting the next one.
#[test]
fn after_a_refusal_the_transaction_is_reset() {
    for (event, words) in
        [("RCPT", "550 Invalid User"), ("DATA", "451 later"), (".", "550 Mail content denied")]
    {
        let (server, mut bench) = plain(at_the(1, event, say(words)));
        let mut courier = Courier::new();
        bench.to = vec!["first@example.com".into()];
        failed(&bench.attempt_by(&mut courier, ""));
        bench.to = vec!["second@example.com".into()];
        receipt(&bench.attempt_by(&mut courier, ""));
        assert_eq!((count(&server, "AUTH"), count(&server, "RSET")), (1, 1), "{event}");
        let to: Vec<_> = server.taken().into_iter().map(|mail| mail.to).collect();
        assert_eq!(to, [["second@example.com"]], "{event}");
    }
    // A mail that couldn't even be begun leaves the session as it is.
    let (server, mut bench) = plain(|_| None);
    let mut courier = Courier::new();
    receipt(&bench.attempt_by(&mut courier, ""));
    let body = bench.body.clone();
    bench.body = "/nonexistent".into();
    assert_eq!(failed(&bench.attempt_by(&mut courier, "")).stage, Stage::Prepare);
    bench.body = body;
    receipt(&bench.attempt_by(&mut courier, ""));
    assert_eq!((count(&server, "AUTH"), count(&server, "RSET")), (1, 0));
}

/// Catches: a mail that waits for half a minute on a connection that a router has forgotten.
#[test]
fn one_that_was_silent_for_long_is_asked_first() {
    let (server, mut bench) = plain(on("RSET", Some(Act::Hang)));
    bench.account.timeout = Duration::from_secs(3);
    let mut courier = Courier::new();
    receipt(&bench.attempt_by(&mut courier, ""));
    courier.kept.as_mut().unwrap().since -= 2 * FRESH;
    let attempt = bench.attempt_by(&mut courier, "");
    receipt(&attempt);
    assert!(attempt.elapsed < Duration::from_secs(3), "{attempt:?}");
    assert_eq!((count(&server, "RSET"), count(&server, "AUTH")), (1, 2));
}

/// Catches: the next mail going to the port that failed, or a code sent in clear text by the reuse.
#[test]
fn a_fallback_that_worked_is_kept() {
    use crate::deliver::responder::{Certificate, server_config};
    let server = Responder::start(Mode::StartTls(server_config(Certificate::Good)), |_| None);
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let mut bench = Bench::new(closed, Tls::Implicit);
    bench.account.server.fallback = vec![Endpoint { port: server.port, tls: Tls::StartTls }];
    let mut courier = Courier::new();
    for _ in 0..2 {
        let attempt = bench.attempt_by(&mut courier, "");
        receipt(&attempt);
        assert_eq!(attempt.endpoint.port, server.port);
    }
    assert_eq!((count(&server, "AUTH"), server.taken().len()), (1, 2));
}
