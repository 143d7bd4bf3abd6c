//! The dialogue against a scripted server: what goes over the wire, and every way it can fail.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::responder::{Act, Certificate, Mode, OFFERS, Responder, say, server_config};
use super::testing::{BODY, Bench, HEADERS, failed, grow, on, plain, receipt};
use super::verdict::*;
use crate::config::{Auth, Tls};

/// Long enough for a busy machine to reach the stage that hangs.
const SHORT: Duration = Duration::from_secs(1);

/// Catches: dots not doubled, an extra line at the end, SIZE or EHLO's name wrong, steps recorded
/// out of order, a second AUTH.
#[test]
fn the_bytes_on_the_wire() {
    let (server, mut bench) = plain(|_| None);
    let attempt = bench.attempt();
    assert_eq!(receipt(&attempt), "250 OK: queued as.");
    assert_eq!(bench.steps, ["recipients", "body sent", "accepted"]);
    let size = HEADERS.len() + BODY.len();
    assert_eq!(
        server.said(),
        [
            "EHLO [127.0.0.1]".to_owned(),
            "AUTH PLAIN |10001@qq.com|sesame".to_owned(),
            format!("MAIL FROM:<10001@qq.com> SIZE={size}"),
            "RCPT TO:<a@example.com>".to_owned(),
            "DATA".to_owned(),
            "QUIT".to_owned(),
        ]
    );
    let taken = server.taken();
    assert_eq!(
        (taken[0].from.as_str(), taken[0].to.as_slice()),
        ("10001@qq.com", &["a@example.com".to_owned()][..])
    );
    let expected: &[u8] =
        b"From: <10001@qq.com>\r\nSubject: hello\r\nMIME-Version: 1.0\r\n\r\nline\r\n..dot\r\n...\r\n..\r\nlast\r\n";
    assert_eq!(taken[0].raw, expected);
}

/// Catches: a dot or CRLF that falls on the edge of a piece.
#[test]
fn the_edges_of_pieces_change_nothing() {
    for shift in 0..4 {
        let (server, mut bench) = plain(|_| None);
        let mut body = b"\r\n".to_vec();
        while body.len() < 64 * 1024 - 70 + shift {
            body.push(b'x');
        }
        for _ in 0..40 {
            body.extend_from_slice(b"\r\n.\r\n..");
        }
        while body.len() < 200 * 1024 {
            body.extend_from_slice(b"y\r\n.z\r\n");
        }
        std::fs::write(&bench.body, &body).unwrap();
        receipt(&bench.attempt());
        let raw = &server.taken()[0].raw;
        let mut unstuffed = Vec::new();
        for line in raw.split_inclusive(|b| *b == b'\n') {
            unstuffed.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        }
        assert!(unstuffed == [HEADERS, &body].concat(), "shift {shift}");
    }
}

#[test]
fn implicit_tls_and_starttls_deliver() {
    let config = server_config(Certificate::Good);
    for (mode, tls) in
        [(Mode::Implicit(config.clone()), Tls::Implicit), (Mode::StartTls(config.clone()), Tls::StartTls)]
    {
        let server = Responder::start(mode, |_| None);
        let mut bench = Bench::new(server.port, tls);
        receipt(&bench.attempt());
        assert_eq!(server.taken().len(), 1);
        let said = server.said();
        let auth = said.iter().position(|line| line.starts_with("AUTH")).unwrap();
        let ehlos = said[..auth].iter().filter(|line| line.starts_with("EHLO")).count();
        assert_eq!(ehlos, if tls == Tls::StartTls { 2 } else { 1 }, "{said:?}");
    }
}

/// Catches: a code sent where there is no TLS.
#[test]
fn no_code_without_tls() {
    // A server that doesn't offer STARTTLS.
    let server = Responder::start(Mode::Plain, |_| None);
    let mut bench = Bench::new(server.port, Tls::StartTls);
    let attempt = bench.attempt();
    assert_eq!(failed(&attempt).cause, Cause::NotOffered(Feature::StartTls));
    assert_eq!(failed(&attempt).class, Class::Settings);
    // One that says more in clear than it was asked for.
    let config = server_config(Certificate::Good);
    let injected = Some(Act::Say(b"220 go ahead\r\n250 injected\r\n".to_vec()));
    let server2 = Responder::start(Mode::StartTls(config), on("STARTTLS", injected));
    bench.account.server.port = server2.port;
    assert_eq!(failed(&bench.attempt()).cause, Cause::Injected);
    for said in [server.said(), server2.said()] {
        assert!(!said.iter().any(|line| line.starts_with("AUTH")), "{said:?}");
    }
}

#[test]
fn bad_certificates_are_told_apart() {
    let cases = [
        (Certificate::SelfSigned, TlsTrouble::UnknownIssuer),
        (Certificate::OtherName, TlsTrouble::WrongName),
        (Certificate::Expired, TlsTrouble::Expired),
    ];
    for (certificate, trouble) in cases {
        for implicit in [true, false] {
            let config = server_config(certificate);
            let (mode, tls) = match implicit {
                true => (Mode::Implicit(config), Tls::Implicit),
                false => (Mode::StartTls(config), Tls::StartTls),
            };
            let server = Responder::start(mode, |_| None);
            let attempt = Bench::new(server.port, tls).attempt();
            let failure = failed(&attempt);
            assert_eq!((failure.stage, &failure.cause), (Stage::Tls, &Cause::Tls(trouble.clone())));
        }
    }
    let (server, mut bench) = plain(|_| None);
    bench.account.server.tls = Tls::Implicit;
    assert_eq!(failed(&bench.attempt()).cause, Cause::Tls(TlsTrouble::NotTls));
    bench.account.server.ca_file = Some(PathBuf::from("/nonexistent/ca.pem"));
    let attempt = bench.attempt();
    let failure = failed(&attempt);
    assert_eq!(failure.class, Class::Settings);
    assert!(matches!(&failure.cause, Cause::CaFile { detail } if detail.contains("/nonexistent/ca.pem")));
    assert!(server.taken().is_empty());
}

/// Catches: a server that quotes what it refused, and the code on the terminal and in entry.json.
#[test]
fn a_reply_that_repeats_the_code_is_told_without_it() {
    use base64::Engine as _;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let (both, code) = (encode("\x0010001@qq.com\0sesame"), encode("sesame"));
    let (_server, mut bench) = plain(on("AUTH", say(&format!("535 no: AUTH PLAIN {both}, {code}, sesame!"))));
    let reply = failed(&bench.attempt()).reply().unwrap().to_string();
    assert_eq!(reply, "535 no: AUTH PLAIN ***, ***, ***!");
    // Nor when what it says is no reply at all.
    let (_server, mut bench) = plain(on("AUTH", say(&format!("AUTH PLAIN {both} sesame"))));
    let told = format!("{:?}", failed(&bench.attempt()));
    assert!(told.contains("***") && !told.contains(&both) && !told.contains("sesame"), "{told}");
}

/// Catches: a second mechanism tried after a refusal, or `auth` of the account ignored.
#[test]
fn the_right_mechanism_once() {
    let (server, mut bench) = plain(on("CODE", say("535 Error: authentication failed")));
    bench.account.server.auth = Auth::Login;
    let attempt = bench.attempt();
    let failure = failed(&attempt);
    assert_eq!((failure.stage, failure.class), (Stage::Auth, Class::Credentials));
    assert_eq!(failure.reply().unwrap().to_string(), "535 Error: authentication failed");
    assert_eq!(server.said(), ["EHLO [127.0.0.1]", "AUTH LOGIN", "USER 10001@qq.com", "CODE sesame", "QUIT"]);
    let (server, mut bench) = plain(on("EHLO", say("250-x\r\n250 AUTH LOGIN")));
    receipt(&bench.attempt());
    assert!(server.said().contains(&"AUTH LOGIN".to_owned()));
    bench.account.server.auth = Auth::Plain;
    let attempt = bench.attempt();
    let offered = vec!["LOGIN".to_owned()];
    assert_eq!(failed(&attempt).cause, Cause::NotOffered(Feature::Auth { offered }));
}

/// Catches: a server that asks for what AUTH PLAIN has said already left waiting; a mechanism other
/// than the preset's first.
#[test]
fn a_server_that_takes_no_initial_response() {
    let (server, mut bench) = plain(on("AUTH PLAIN", say("334 ")));
    receipt(&bench.attempt());
    assert!(server.said().contains(&"BOTH |10001@qq.com|sesame".to_owned()), "{:?}", server.said());
    let (server, mut bench) = plain(|seen| match seen {
        "AUTH PLAIN" => say("334 "),
        "BOTH" => say("535 no"),
        _ => None,
    });
    assert_eq!(failed(&bench.attempt()).class, Class::Credentials);
    assert_eq!(server.said().iter().filter(|line| line.starts_with("AUTH")).count(), 1);
    let (server, mut bench) = plain(|_| None);
    bench.account.server.auth = Auth::LoginFirst;
    receipt(&bench.attempt());
    assert!(server.said().contains(&"AUTH LOGIN".to_owned()));
}

#[test]
fn refusals_carry_stage_class_and_words() {
    let cases = [
        ("CONNECT", "554 no", Stage::Banner, Class::Transient),
        ("EHLO", "554 no", Stage::Ehlo, Class::Transient),
        (
            "AUTH PLAIN",
            "535 Login Fail. Please enter your authorization code to login.",
            Stage::Auth,
            Class::Credentials,
        ),
        ("AUTH PLAIN", "454 whatever", Stage::Auth, Class::Credentials),
        ("AUTH PLAIN", "550 \u{9519}", Stage::Auth, Class::Credentials),
        (
            "MAIL",
            "501 mail from address must be same as authorization user",
            Stage::MailFrom,
            Class::Settings,
        ),
        ("MAIL", "553 Mail from must equal authorized user", Stage::MailFrom, Class::Settings),
        ("MAIL", "571 beyond the RFC", Stage::MailFrom, Class::Permanent),
        ("RCPT", "550 Invalid User", Stage::RcptTo, Class::Permanent),
        ("RCPT", "451 later", Stage::RcptTo, Class::Transient),
        ("DATA", "421 closing", Stage::Data, Class::Transient),
        (".", "550 Mail content denied", Stage::AfterDot, Class::Content),
        (".", "550 Ip frequency limited", Stage::AfterDot, Class::Throttled),
        (".", "452 disk", Stage::AfterDot, Class::Transient),
    ];
    for (event, words, stage, class) in cases {
        let (server, mut bench) = plain(on(event, say(words)));
        let attempt = bench.attempt();
        let failure = failed(&attempt);
        assert_eq!((failure.stage, failure.class), (stage, class), "{words}");
        assert_eq!(failure.reply().unwrap().to_string(), words);
        assert!(server.taken().is_empty());
    }
}

/// Catches: GBK bytes hiding the code; a bare LF or a bare code waited at for ever.
#[test]
fn odd_replies_keep_their_code() {
    let gbk = Act::Say(b"535-\xc8\xcf\xd6\xa4\r\n535 \xca\xa7\xb0\xdc\r\n".to_vec());
    let (_server, mut bench) = plain(on("AUTH PLAIN", Some(gbk)));
    let attempt = bench.attempt();
    assert_eq!(failed(&attempt).reply().unwrap().to_string(), "535 认证 失败");
    let bare = |seen: &str| match seen {
        "CONNECT" => Some(Act::Say(b"220\n".to_vec())),
        "AUTH PLAIN" => Some(Act::Say(b"235\r\n".to_vec())),
        "." => Some(Act::Say(b"250-a\n250 b\n".to_vec())),
        _ => None,
    };
    let (_server, mut bench) = plain(bare);
    assert_eq!(receipt(&bench.attempt()), "250 a b");
}

#[test]
fn one_recipient_of_two_is_refused() {
    let (server, mut bench) = plain(on("RCPT TO:<nobody@", say("550 Invalid User")));
    bench.to = vec!["nobody@example.com".into(), "a@example.com".into(), "not an address".into()];
    let attempt = bench.attempt();
    receipt(&attempt);
    let verdicts: Vec<_> = attempt.recipients.iter().map(|r| &r.verdict).collect();
    assert!(matches!(verdicts[0], RecipientVerdict::Refused { class: Class::Permanent, .. }));
    assert_eq!(verdicts[1], &RecipientVerdict::Accepted);
    assert!(matches!(verdicts[2], RecipientVerdict::Refused { cause: Cause::BadAddress { .. }, .. }));
    assert_eq!(server.taken()[0].to, ["a@example.com"]);
}

#[test]
fn lost_before_the_dot_is_failed_after_it_unknown() {
    for act in [Act::Drop, Act::Say(b"what?\r\n".to_vec())] {
        let (_server, mut bench) = plain(on(".", Some(act)));
        let attempt = bench.attempt();
        assert!(matches!(&attempt.outcome, Outcome::Unknown(f) if f.class == Class::Unknown), "{attempt:?}");
        assert_eq!(bench.steps, ["recipients", "body sent"]);
    }
    let (_server, mut bench) = plain(|seen| {
        let bytes: usize = seen.strip_prefix("BODY ")?.parse().unwrap();
        (bytes > 1 << 20).then_some(Act::Drop)
    });
    grow(&bench.body, 16 << 20);
    let attempt = bench.attempt();
    let failure = failed(&attempt);
    assert_eq!(
        (failure.stage, failure.class, &failure.cause),
        (Stage::Body, Class::Transient, &Cause::Closed)
    );
    assert_eq!(bench.steps, ["recipients"]);
}

/// Catches: the 250 thrown away because of what came after it.
#[test]
fn after_the_250_nothing_matters() {
    for act in [Act::Drop, Act::Hang, Act::Say(b"garbage\r\n".to_vec())] {
        let (_server, mut bench) = plain(on("QUIT", Some(act)));
        let begin = Instant::now();
        receipt(&bench.attempt());
        assert!(begin.elapsed() < Duration::from_secs(5));
    }
}

/// Catches: a step without a limit, which would keep a prompt waiting for ever.
#[test]
fn silence_at_any_stage_ends() {
    let stages = [
        ("CONNECT", Stage::Banner),
        ("EHLO", Stage::Ehlo),
        ("AUTH PLAIN", Stage::Auth),
        ("MAIL", Stage::MailFrom),
        ("RCPT", Stage::RcptTo),
        ("DATA", Stage::Data),
        ("BODY", Stage::Body),
    ];
    let attempt = |event: &'static str| {
        let (_server, mut bench) = plain(on(event, Some(Act::Hang)));
        bench.account.timeout = SHORT;
        if event == "BODY" {
            // More than the buffers of a connection hold.
            grow(&bench.body, 16 << 20);
        }
        bench.attempt()
    };
    std::thread::scope(|scope| {
        for (event, stage) in stages {
            scope.spawn(move || {
                let attempt = attempt(event);
                let failure = failed(&attempt);
                assert_eq!(failure.stage, stage, "{failure:?}");
                assert!(matches!(failure.cause, Cause::Timeout { .. }), "{failure:?}");
                assert_eq!(failure.class, Class::Transient);
            });
        }
        scope.spawn(|| assert!(matches!(attempt(".").outcome, Outcome::Unknown(_))));
        scope.spawn(|| {
            // A port that accepts and says nothing, asked for TLS.
            let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let mut bench = Bench::new(silent.local_addr().unwrap().port(), Tls::Implicit);
            bench.account.timeout = SHORT;
            assert_eq!(failed(&bench.attempt()).stage, Stage::Tls);
        });
    });
}

/// Catches: memory that a server can fill with a line that never ends.
#[test]
fn a_line_without_end_is_refused() {
    for event in ["CONNECT", "EHLO", "MAIL"] {
        let (_server, mut bench) = plain(on(event, Some(Act::Say(vec![b'2'; 8 << 20]))));
        let attempt = bench.attempt();
        let failure = failed(&attempt);
        assert!(
            matches!(&failure.cause, Cause::Malformed { detail } if detail.contains("4096")),
            "{failure:?}"
        );
    }
    let (_server, mut bench) = plain(on("CONNECT", Some(Act::Say(b"250-x\r\n".repeat(100_000)))));
    assert!(matches!(&failed(&bench.attempt()).cause, Cause::Malformed { .. }));
}

#[test]
fn a_host_that_isnt_there() {
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let mut bench = Bench::new(closed, Tls::Implicit);
    let attempt = bench.attempt();
    assert_eq!(failed(&attempt).stage, Stage::Connect);
    assert!(matches!(&failed(&attempt).cause, Cause::Unreachable { detail } if detail.contains("refused")));
    bench.account.server.host = "no.such.host.invalid".into();
    let attempt = bench.attempt();
    assert_eq!(failed(&attempt).stage, Stage::Resolve);
}

/// Catches: a message that our disk cut short, or whose record failed, completed by a ".".
#[test]
fn without_a_record_no_dot_is_sent() {
    for (step, stage) in [("recipients", Stage::RcptTo), ("body sent", Stage::Body)] {
        let (server, mut bench) = plain(|_| None);
        let attempt = bench.attempt_failing(step);
        let failure = failed(&attempt);
        assert_eq!((failure.stage, failure.class), (stage, Class::Transient));
        assert!(matches!(&failure.cause, Cause::Local { detail, .. } if detail == "the disk is full"));
        assert!(server.taken().is_empty());
    }
    let (server, mut bench) = plain(|_| None);
    receipt(&bench.attempt_failing("accepted"));
    assert_eq!(server.taken().len(), 1);
    bench.body = bench.body.parent().unwrap().to_owned();
    assert!(matches!(&failed(&bench.attempt()).cause, Cause::Local { .. }), "a folder can't be read");
    assert_eq!(server.taken().len(), 1);
}

#[test]
fn a_refusal_in_the_middle_of_the_message_is_read() {
    let (_server, mut bench) = plain(|seen| {
        let bytes: usize = seen.strip_prefix("BODY ")?.parse().unwrap();
        (bytes > 100_000).then(|| Act::SayAndDrop(b"552 exceeded mailsize limit\r\n".to_vec()))
    });
    grow(&bench.body, 16 << 20);
    let attempt = bench.attempt();
    let failure = failed(&attempt);
    assert_eq!(failure.stage, Stage::Body);
    // The kernel may throw the reply away with the connection; then it is a loss, never a success.
    match &failure.cause {
        Cause::Reply(reply) => assert_eq!((reply.code, failure.class), (552, Class::TooLarge)),
        other => assert_eq!(other, &Cause::Closed),
    }
}

/// Catches: a refusal in mid-message that waits until the server's patience ends, and a reply that
/// nobody asked for taken for the answer to the ".": the mail would be lost as delivered.
#[test]
fn what_the_server_says_before_the_dot_is_no_answer_to_it() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let once = |words: &'static str| {
        let said = AtomicBool::new(false);
        plain(move |seen| {
            let bytes: usize = seen.strip_prefix("BODY ")?.parse().unwrap();
            (bytes > 100_000 && !said.swap(true, Ordering::SeqCst)).then(|| say(words).unwrap())
        })
    };
    let (server, mut bench) = once("552 exceeded mailsize limit");
    grow(&bench.body, 16 << 20);
    let attempt = bench.attempt();
    assert_eq!(failed(&attempt).reply().unwrap().to_string(), "552 exceeded mailsize limit");
    assert_eq!((failed(&attempt).stage, server.taken().len()), (Stage::Body, 0));
    let after_354 = Some(Act::Say(b"354 go on\r\n250 OK: queued as.\r\n".to_vec()));
    let (server, mut bench) = plain(on("DATA", after_354));
    let attempt = bench.attempt();
    assert_eq!(failed(&attempt).stage, Stage::Body);
    assert!(matches!(&failed(&attempt).cause, Cause::Malformed { detail } if detail.contains("250")));
    assert!(server.taken().is_empty());
}

/// Catches: an old server given up because it doesn't know EHLO; a 554 or 421 answered by HELO.
#[test]
fn helo_where_ehlo_is_unknown() {
    for words in ["500 what?", "502 no", "504 no", "550 no"] {
        let (server, mut bench) = plain(on("EHLO", say(words)));
        let attempt = bench.attempt();
        // Who doesn't know EHLO has no AUTH either.
        assert_eq!(failed(&attempt).cause, Cause::NotOffered(Feature::Auth { offered: vec![] }), "{words}");
        assert_eq!(server.said(), ["EHLO [127.0.0.1]", "HELO [127.0.0.1]", "QUIT"]);
    }
    for words in ["554 no", "451 later", "421 busy"] {
        let (server, mut bench) = plain(on("EHLO", say(words)));
        assert_eq!(failed(&bench.attempt()).reply().unwrap().to_string(), words);
        assert!(!server.said().iter().any(|line| line.starts_with("HELO")), "{words}");
    }
    let (_server, mut bench) = plain(|seen| match seen.split(' ').next() {
        Some("EHLO") => say("550 the reason"),
        Some("HELO") => say("503 another"),
        _ => None,
    });
    assert_eq!(failed(&bench.attempt()).reply().unwrap().to_string(), "550 the reason");
}

/// Catches: 8BITMIME declared without need or without the server's offer, or not at all.
#[test]
fn eight_bits_are_declared() {
    let body = |bench: &Bench| std::fs::write(&bench.body, "\r\n名\r\n").unwrap();
    let (server, mut bench) = plain(|_| None);
    body(&bench);
    receipt(&bench.attempt());
    assert!(server.said().iter().any(|line| line.ends_with(" BODY=8BITMIME")), "{:?}", server.said());
    let (server, mut bench) = plain(on("EHLO", say("250-x\r\n250 AUTH PLAIN")));
    body(&bench);
    receipt(&bench.attempt());
    assert!(server.said().contains(&"MAIL FROM:<10001@qq.com>".to_owned()));
    let (server, mut bench) = plain(on("EHLO", say("250-x\r\n250-SMTPUTF8\r\n250 AUTH PLAIN")));
    bench.to = vec!["用户@example.com".into()];
    receipt(&bench.attempt());
    assert!(server.said().contains(&"MAIL FROM:<10001@qq.com> SMTPUTF8".to_owned()));
}

#[test]
fn too_large_and_foreign_addresses_are_said_beforehand() {
    let (server, mut bench) = plain(on("EHLO", say("250-x\r\n250-SIZE 20\r\n250 AUTH PLAIN")));
    let attempt = bench.attempt();
    assert!(matches!(failed(&attempt).cause, Cause::TooLarge { limit: 20, .. }));
    assert!(!server.said().iter().any(|line| line.starts_with("MAIL")));
    let (_server, mut bench) = plain(|_| None);
    bench.to = vec!["用户@example.com".into()];
    let attempt = bench.attempt();
    assert_eq!(failed(&attempt).cause, Cause::NotOffered(Feature::SmtpUtf8));
    assert!(OFFERS.contains("SIZE"));
}
