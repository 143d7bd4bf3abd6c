//! A provider's other ports: when they are tried, and when on no account.

use super::responder::{Act, Certificate, Mode, Responder, say, server_config};
use super::testing::{Bench, failed, on, receipt};
use super::verdict::*;
use crate::config::{Endpoint, Tls};

/// An account whose own endpoint is `first`, with `second` behind it.
fn with_fallback(first: (u16, Tls), second: (u16, Tls)) -> Bench {
    let mut bench = Bench::new(first.0, first.1);
    bench.account.server.fallback = vec![Endpoint { port: second.0, tls: second.1 }];
    bench
}

/// Catches: a preset's other ports never tried, or one whose port the words don't tell.
#[test]
fn what_fails_before_auth_is_tried_at_the_next_port() {
    let config = server_config(Certificate::Good);
    let starttls = Responder::start(Mode::StartTls(config.clone()), |_| None);
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let in_clear = Responder::start(Mode::Plain, |_| None);
    let quirks = [on("CONNECT", say("554 no")), on("CONNECT", Some(Act::Drop)), on("EHLO", say("421 busy"))];
    let odd = quirks.map(|quirk| Responder::start(Mode::Implicit(config.clone()), quirk));
    let mut firsts = vec![(closed, Tls::Implicit), (in_clear.port, Tls::Implicit)];
    firsts.push((in_clear.port, Tls::StartTls));
    firsts.extend(odd.iter().map(|server| (server.port, Tls::Implicit)));
    for (tried, first) in firsts.into_iter().enumerate() {
        let mut bench = with_fallback(first, (starttls.port, Tls::StartTls));
        let attempt = bench.attempt();
        receipt(&attempt);
        assert_eq!(attempt.endpoint, Endpoint { port: starttls.port, tls: Tls::StartTls });
        assert_eq!(starttls.taken().len(), tried + 1);
    }
    assert!(!in_clear.said().iter().any(|line| line.starts_with("AUTH")));
}

/// Catches: a code handed to whoever stands between us and the host, or given out twice.
#[test]
fn distrust_and_a_refused_login_are_the_end() {
    let second = Responder::start(Mode::StartTls(server_config(Certificate::Good)), |_| None);
    for kind in [Certificate::SelfSigned, Certificate::OtherName, Certificate::Expired] {
        let first = Responder::start(Mode::Implicit(server_config(kind)), |_| None);
        let attempt = with_fallback((first.port, Tls::Implicit), (second.port, Tls::StartTls)).attempt();
        assert_eq!(failed(&attempt).stage, Stage::Tls);
        assert_eq!(attempt.endpoint.port, first.port);
    }
    let config = server_config(Certificate::Good);
    for (event, words, stage) in [
        ("AUTH", "535 Error: authentication failed", Stage::Auth),
        ("AUTH", "421 busy", Stage::Auth),
        ("MAIL", "451 later", Stage::MailFrom),
        ("CONNECT", "550 Ip frequency limited", Stage::Banner),
    ] {
        let first = Responder::start(Mode::Implicit(config.clone()), on(event, say(words)));
        let attempt = with_fallback((first.port, Tls::Implicit), (second.port, Tls::StartTls)).attempt();
        assert_eq!((failed(&attempt).stage, attempt.endpoint.port), (stage, first.port), "{words}");
    }
    assert!(second.said().is_empty(), "{:?}", second.said());
}

/// Catches: a certificate that expired told as "connection refused", because that came last.
#[test]
fn when_no_port_will_do_the_furthest_is_told() {
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let silent = Responder::start(Mode::Plain, on("CONNECT", say("554 go away")));
    let mut bench = with_fallback((silent.port, Tls::StartTls), (closed, Tls::Implicit));
    let attempt = bench.attempt();
    assert_eq!((failed(&attempt).stage, attempt.endpoint.port), (Stage::Banner, silent.port));
    let mut bench = with_fallback((closed, Tls::Implicit), (silent.port, Tls::StartTls));
    let attempt = bench.attempt();
    assert_eq!((failed(&attempt).stage, attempt.endpoint.port), (Stage::Banner, silent.port));
    assert!(!silent.said().iter().any(|line| line.starts_with("AUTH")));
}
