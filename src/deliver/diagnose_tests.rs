use super::*;
use crate::deliver::replies::{ROWS, row_for};

const SCENE: Scene<'static> =
    Scene { account: "main", address: "10001@qq.com", login: "10001@qq.com", host: "smtp.qq.com", port: 465 };

/// A line of `tests/data/replies/replies.tsv`.
struct Recorded {
    stage: Stage,
    reply: Reply,
    class: Class,
    cause: Text,
    fix: Text,
}

/// Every reply that is known from the wild, word for word.
fn recorded() -> Vec<Recorded> {
    fn named<T: serde::de::DeserializeOwned>(name: &str) -> T {
        serde_json::from_value(name.into()).unwrap()
    }
    let lines = include_str!("../../tests/data/replies/replies.tsv").lines();
    let lines = lines.filter(|line| !line.starts_with("# "));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let [stage, code, text, class, cause, fix, cause_zh, fix_zh, source] = cells[..] else {
                panic!("not nine cells: {line}");
            };
            assert!(!source.is_empty(), "{line}");
            let reply = Reply { code: code.parse().unwrap(), text: text.to_owned() };
            let (cause, fix) = (Text::new(cause, cause_zh), Text::new(fix, fix_zh));
            Recorded { stage: named(stage), reply, class: named(class), cause, fix }
        })
        .collect()
}

/// Catches: a reply that is taken for another, and one whose fix doesn't say what to do.
#[test]
fn replies_from_the_wild() {
    let all = recorded();
    assert!(all.len() >= 200, "{}", all.len());
    for Recorded { stage, reply, class, cause, fix } in all {
        let what = Cause::Reply(reply.clone());
        assert_eq!(classify(stage, &what), class, "{reply}");
        let told = diagnose_cause(stage, class, &what, &SCENE);
        for (told, part) in [
            (&told.cause.en, &cause.en),
            (&told.cause.zh, &cause.zh),
            (&told.fix.en, &fix.en),
            (&told.fix.zh, &fix.zh),
        ] {
            assert!(!part.is_empty() && told.contains(part.as_str()), "{reply}: {told:?} lacks {part:?}");
        }
        complete(&told, &reply.to_string());
    }
}

/// Catches: a token of NetEase's page that nobody wrote down, or that is found only at its own place
/// in the recorded text.
#[test]
fn every_token_of_netease_is_known_wherever_it_stands() {
    let all = recorded();
    let tokens = include_str!("../../tests/data/replies/netease-tokens.txt").lines();
    for line in tokens.filter(|line| !line.starts_with("# ")) {
        let (code, token) = line.split_once(' ').unwrap();
        let at = all.iter().find(|it| it.reply.code.to_string() == code && it.reply.text.contains(token));
        let it = at.unwrap_or_else(|| panic!("no recorded reply has {line}"));
        for text in
            [token.to_owned(), format!("{token},163 smtp1"), format!("Error: {token}"), format!("{token}.")]
        {
            let reply = Reply { code: it.reply.code, text };
            assert_eq!(classify(it.stage, &Cause::Reply(reply.clone())), it.class, "{reply}");
        }
    }
}

/// Both languages, no placeholder left. Nor does a cause or fix say that it is tried again: beside
/// "given up" that would be untrue.
fn complete(diagnosis: &Diagnosis, what: &str) {
    for text in [&diagnosis.cause, &diagnosis.fix] {
        assert!(!text.en.is_empty() && !text.zh.is_empty(), "{what}");
        for words in [&text.en, &text.zh] {
            assert!(!words.contains(['{', '}']), "{what}: {words}");
            assert!(!["tried again", "自动重试"].iter().any(|no| words.contains(no)), "{what}: {words}");
        }
    }
}

/// Catches: a row that another before it always hides.
#[test]
fn every_row_is_reached() {
    let all = recorded();
    for row in ROWS {
        let met =
            all.iter().any(|it| row_for(it.stage, &it.reply).is_some_and(|found| std::ptr::eq(found, row)));
        assert!(met, "no known reply meets {row:?}");
    }
}

#[test]
fn every_other_cause_has_words() {
    let detail = || "why".to_owned();
    let causes = [
        (Stage::Resolve, Cause::Unresolved { detail: detail() }, Class::Transient, "smtp.qq.com"),
        (Stage::Connect, Cause::Unreachable { detail: detail() }, Class::Transient, "465"),
        (Stage::Connect, Cause::Timeout { after_ms: 10_000 }, Class::Transient, "10 s at the connection"),
        (Stage::Ehlo, Cause::Timeout { after_ms: 29_001 }, Class::Transient, "30 s at the introduction"),
        (Stage::Tls, Cause::Tls(TlsTrouble::UnknownIssuer), Class::Transient, "self-signed"),
        (Stage::Tls, Cause::Tls(TlsTrouble::Expired), Class::Transient, "expired"),
        (Stage::Tls, Cause::Tls(TlsTrouble::NotValidYet), Class::Transient, "yet"),
        (Stage::Tls, Cause::Tls(TlsTrouble::WrongName), Class::Transient, "another name"),
        (Stage::Tls, Cause::Tls(TlsTrouble::NotTls), Class::Settings, "without TLS"),
        (Stage::Tls, Cause::Tls(TlsTrouble::TooOld), Class::Transient, "1.2"),
        (Stage::Tls, Cause::Tls(TlsTrouble::Other(detail())), Class::Transient, "why"),
        (Stage::Data, Cause::Closed, Class::Transient, "early"),
        (Stage::Body, Cause::Broken { detail: detail() }, Class::Transient, "why"),
        (Stage::Banner, Cause::Malformed { detail: detail() }, Class::Transient, "why"),
        (Stage::StartTls, Cause::Injected, Class::Transient, "tampering"),
        (Stage::StartTls, Cause::NotOffered(Feature::StartTls), Class::Settings, "STARTTLS"),
        (
            Stage::Auth,
            Cause::NotOffered(Feature::Auth { offered: vec!["GSSAPI".into()] }),
            Class::Settings,
            "GSSAPI",
        ),
        (Stage::RcptTo, Cause::NotOffered(Feature::SmtpUtf8), Class::Permanent, "ASCII"),
        (Stage::Auth, Cause::ClearText, Class::Settings, "this machine"),
        (Stage::Tls, Cause::CaFile { detail: detail() }, Class::Settings, "why"),
        (Stage::MailFrom, Cause::TooLarge { bytes: 9, limit: 8 }, Class::TooLarge, "9 bytes"),
        (Stage::Prepare, Cause::BadAddress { text: "x".into() }, Class::Settings, "\"x\""),
        (Stage::RcptTo, Cause::BadAddress { text: "x".into() }, Class::Permanent, "\"x\""),
        (Stage::Body, Cause::Local { detail: detail(), hint: None }, Class::Transient, "why"),
        (Stage::AfterDot, Cause::Interrupted, Class::Unknown, "may have arrived"),
        (Stage::AfterDot, Cause::Closed, Class::Unknown, "may have arrived"),
        (Stage::AfterDot, Cause::Timeout { after_ms: 1 }, Class::Unknown, "may have arrived"),
    ];
    for (stage, cause, class, part) in causes {
        assert_eq!(classify(stage, &cause), class, "{cause:?}");
        let diagnosis = diagnose(&Failure { stage, class, cause: cause.clone() }, &SCENE);
        assert!(diagnosis.cause.en.contains(part), "{cause:?}: {}", diagnosis.cause.en);
        complete(&diagnosis, &format!("{cause:?}"));
    }
}

fn fix_of(stage: Stage, cause: Cause, scene: &Scene<'_>) -> Text {
    diagnose_cause(stage, classify(stage, &cause), &cause, scene).fix
}

/// Catches: "check the network" where the name is misspelt, and the other way round.
#[test]
fn no_network_isnt_a_wrong_name() {
    let about = |detail: &str| {
        let cause = Cause::Unresolved { detail: detail.to_owned() };
        diagnose_cause(Stage::Resolve, Class::Transient, &cause, &SCENE)
    };
    for detail in [
        "failed to lookup address information: Name or service not known",
        "failed to lookup address information: No address associated with hostname",
        "failed to lookup address information: Name does not resolve",
    ] {
        let told = about(detail);
        assert!(told.cause.en.contains("no server of the name") && told.cause.zh.contains("没有名为"));
        assert!(told.fix.en.contains("accounts.main.host"), "{}", told.fix.en);
    }
    for detail in ["failed to lookup address information: Temporary failure in name resolution", "Try again"]
    {
        let told = about(detail);
        assert!(told.cause.en.contains("no network") && told.cause.zh.contains("没有网络"), "{detail}");
        assert!(told.fix.en.contains("getent hosts smtp.qq.com"), "{}", told.fix.en);
    }
}

/// Catches: an advice to change the port to the one that is blocked, or to one that the provider
/// doesn't have.
#[test]
fn a_blocked_port_has_another() {
    let scene = |address, host, port| Scene { address, host, port, ..SCENE };
    let refused = || Cause::Unreachable { detail: "Connection refused (os error 111)".to_owned() };
    for (scene, port) in [
        (SCENE, 587),
        (scene("10001@qq.com", "smtp.qq.com", 587), 465),
        (scene("a@163.com", "smtp.163.com", 465), 994),
        (scene("a@163.com", "smtp.163.com", 994), 465),
        (scene("a@163.com", "SMTP.163.COM", 25), 465),
        (scene("a@example.com", "smtphz.qiye.163.com", 465), 994),
        (scene("a@163.com", "localhost", 465), 587),
    ] {
        for cause in [refused(), Cause::Timeout { after_ms: 10_000 }] {
            let fix = fix_of(Stage::Connect, cause, &scene);
            let key = format!("accounts.main.port = {port}");
            assert!(fix.en.contains(&key) && fix.zh.contains(&key), "{scene:?}: {fix:?}");
        }
    }
    let nowhere = Cause::Unreachable { detail: "Network is unreachable (os error 101)".to_owned() };
    let fix = fix_of(Stage::Connect, nowhere, &SCENE);
    assert!(fix.en.contains("way out to the internet") && !fix.en.contains("587"), "{fix:?}");
}

/// Catches: a Gmail user who is sent to the settings of QQ.
#[test]
fn how_to_make_a_code_is_the_providers_own() {
    let refused = || Cause::Reply(Reply { code: 535, text: "authentication failed".to_owned() });
    let of = |address, host| fix_of(Stage::Auth, refused(), &Scene { address, host, ..SCENE });
    let qq = of("10001@qq.com", "smtp.qq.com");
    assert!(qq.zh.contains("设置 → 账号") && qq.en.contains("生成授权码"), "{qq:?}");
    assert!(of("a@gmail.com", "smtp.gmail.com").en.contains("App passwords"));
    // A domain of one's own, told by the server; and a known address behind a server of one's own.
    assert!(of("a@example.com", "smtp.exmail.qq.com").zh.contains("腾讯企业邮箱"));
    assert!(of("a@163.com", "localhost").zh.contains("网易邮箱"));
    assert!(of("a@example.com", "mail.example.com").zh.contains("授权码或客户端专用密码"));
}

/// The clock comes first: a wrong one makes every certificate look expired.
#[test]
fn a_certificate_out_of_time_asks_for_the_clock() {
    for trouble in [TlsTrouble::Expired, TlsTrouble::NotValidYet] {
        let fix = fix_of(Stage::Tls, Cause::Tls(trouble), &SCENE);
        assert!(fix.en.starts_with("check this machine's clock first") && fix.zh.contains("先检查本机时间"));
    }
}
