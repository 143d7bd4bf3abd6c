use super::*;

const SCENE: Scene<'static> =
    Scene { account: "main", address: "10001@qq.com", login: "10001@qq.com", host: "smtp.qq.com", port: 465 };

fn reply(words: &str) -> Cause {
    let (code, text) = words.split_once(' ').unwrap();
    Cause::Reply(Reply { code: code.parse().unwrap(), text: text.to_owned() })
}

/// Every reply that is known from the wild, word for word: stage, class, a word of cause and fix.
const WILD: &[(Stage, &str, Class, &str, &str)] = &[
    (
        Stage::Auth,
        "535 Login Fail. Please enter your authorization code to login. More information in http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=28&&no=1001256",
        Class::Credentials,
        "not its password",
        "auth_code",
    ),
    (
        Stage::Auth,
        "535 Login fail. Account is abnormal, service is not open, password is incorrect, login frequency limited, or system is busy. More information at https://help.mail.qq.com/detail/108/1023",
        Class::Credentials,
        "revoked",
        "new authorization code",
    ),
    (
        Stage::Auth,
        "535 Error: authentication failed",
        Class::Credentials,
        "refused the authorization code",
        "new authorization code",
    ),
    (
        Stage::Auth,
        "535 authentication failed, system busy",
        Class::Credentials,
        "flagged",
        "auth = \"login\"",
    ),
    (Stage::Auth, "550 User has no permission", Class::Credentials, "SMTP service", "new authorization code"),
    (Stage::MailFrom, "550 User has no permission", Class::Settings, "doesn't let", "web"),
    (
        Stage::MailFrom,
        "501 mail from address must be same as authorization user",
        Class::Settings,
        "sender",
        "accounts.main.address",
    ),
    (
        Stage::MailFrom,
        "553 Mail from must equal authorized user",
        Class::Settings,
        "sender",
        "accounts.main.address",
    ),
    (
        Stage::RcptTo,
        "553 Local user only,126 smtp8,DsmowAC3",
        Class::Settings,
        "sender",
        "accounts.main.address",
    ),
    (
        Stage::MailFrom,
        "553 authentication is required",
        Class::Settings,
        "wants a login",
        "accounts.main.auth",
    ),
    (
        Stage::MailFrom,
        "503 Error: need EHLO and AUTH first !",
        Class::Settings,
        "wants a login",
        "accounts.main.auth",
    ),
    (Stage::Auth, "502 Error: auth command not implemented", Class::Settings, "465", "implicit"),
    (
        Stage::AfterDot,
        "550 The \"From\" header is missing or invalid. Please follow RFC5322, RFC2047, RFC822 standard protocol.",
        Class::Permanent,
        "can't read the sender",
        "from_name",
    ),
    (
        Stage::AfterDot,
        "550 Mail content denied. http://service.mail.qq.com/",
        Class::Content,
        "spam",
        "--title",
    ),
    (
        Stage::AfterDot,
        "550 Ip frequency limited. http://service.mail.qq.com/",
        Class::Throttled,
        "too often",
        "an hour",
    ),
    (Stage::MailFrom, "550 Sender frequency limited", Class::Throttled, "too often", "an hour"),
    (Stage::RcptTo, "550 Domain frequency limited", Class::Throttled, "too often", "an hour"),
    (Stage::Banner, "550 Connection frequency limited", Class::Throttled, "too often", "an hour"),
    (
        Stage::RcptTo,
        "550 Mailbox unavailable or access denied",
        Class::Throttled,
        "recipient gets too much",
        "an hour",
    ),
    (
        Stage::AfterDot,
        "554 DT:SPM 163 smtp12,EMCowABXX,please see http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.1",
        Class::Content,
        "spam",
        "--title",
    ),
    (Stage::AfterDot, "451 DT:SPM ,please try again", Class::Throttled, "tried again", "an hour"),
    (Stage::Banner, "421 HL:REP 163 smtp10", Class::Throttled, "less mail", "an hour"),
    (Stage::Banner, "421 HL:ICC 163 smtp10", Class::Throttled, "less mail", "an hour"),
    (Stage::Banner, "421 HL:IFC", Class::Throttled, "less mail", "an hour"),
    (Stage::Banner, "421 HL:MEP", Class::Throttled, "less mail", "an hour"),
    (Stage::MailFrom, "450 MI:CEL", Class::Throttled, "less mail", "an hour"),
    (Stage::MailFrom, "450 MI:DMC", Class::Throttled, "less mail", "an hour"),
    (Stage::MailFrom, "451 MI:DMC", Class::Throttled, "less mail", "an hour"),
    (Stage::MailFrom, "450 MI:CCL", Class::Throttled, "less mail", "an hour"),
    (Stage::RcptTo, "450 RP:DRC", Class::Throttled, "more recipients", "fewer"),
    (Stage::RcptTo, "450 RP:CCL", Class::Throttled, "less mail", "an hour"),
    (Stage::AfterDot, "450 DT:RBL", Class::Settings, "network", "another network"),
    (Stage::Banner, "450 WM:BLI", Class::Settings, "network", "another network"),
    (Stage::MailFrom, "450 WM:BLU", Class::Settings, "network", "another account"),
    (
        Stage::Auth,
        "451 Requested mail action not taken: too much fail authentication",
        Class::Throttled,
        "stopped logins",
        "auth_code",
    ),
    (Stage::MailFrom, "451 MI:SFQ", Class::Throttled, "less mail", "an hour"),
    (Stage::RcptTo, "451 RP:QRC", Class::Throttled, "less mail", "an hour"),
    (Stage::RcptTo, "451 RP:CEL", Class::Throttled, "less mail", "an hour"),
    (
        Stage::AfterDot,
        "451 Requested action aborted: local error in processing",
        Class::Transient,
        "fault of its own",
        "tried again",
    ),
    (Stage::MailFrom, "500 Error: bad syntaxU", Class::Settings, "understand", "hello_name"),
    (Stage::Ehlo, "550 MI:NHD", Class::Settings, "understand", "hello_name"),
    (Stage::MailFrom, "550 MI:IMF", Class::Permanent, "sender", "from_name"),
    (Stage::MailFrom, "550 MI:SPF", Class::Settings, "network", "another"),
    (Stage::AfterDot, "550 MI:DMA", Class::Settings, "network", "another"),
    (Stage::MailFrom, "550 MI:STC", Class::Throttled, "in a day", "tomorrow"),
    (Stage::MailFrom, "554 MI:STC", Class::Throttled, "in a day", "tomorrow"),
    (Stage::RcptTo, "550 RP:FRL", Class::Settings, "forwards", "accounts.main.host"),
    (Stage::RcptTo, "550 RP:RCL", Class::Throttled, "more recipients", "fewer"),
    (Stage::RcptTo, "550 RP:TRC", Class::Throttled, "in a day", "tomorrow"),
    (Stage::AfterDot, "550 DT:SPM", Class::Content, "spam", "white list"),
    (Stage::RcptTo, "550 Invalid User: nobody@163.com", Class::Permanent, "doesn't exist", "`to`"),
    (Stage::MailFrom, "550 User in blacklist", Class::Settings, "doesn't let", "another account"),
    (Stage::MailFrom, "550 User suspended", Class::Settings, "doesn't let", "another account"),
    (Stage::RcptTo, "550 too much recipient", Class::Throttled, "more recipients", "fewer"),
    (Stage::AfterDot, "552 Illegal Attachment", Class::Content, "kind of attachment", ".zip"),
    (
        Stage::AfterDot,
        "552 Requested mail action aborted: exceeded mailsize limit",
        Class::Permanent,
        "larger",
        "max_attachment",
    ),
    (
        Stage::MailFrom,
        "553 Requested action not taken: NULL sender is not allowed",
        Class::Permanent,
        "sender",
        "from_name",
    ),
    (
        Stage::RcptTo,
        "553 Requested action not taken: no smtp MX only",
        Class::Settings,
        "network",
        "submission",
    ),
    (Stage::AfterDot, "554 DT:SUM", Class::Settings, "envelope", "accounts.main.address"),
    (
        Stage::Auth,
        "554 IP is rejected, smtp auth error limit exceed",
        Class::Throttled,
        "stopped logins",
        "auth_code",
    ),
    (Stage::Banner, "554 HL:IHU", Class::Throttled, "less mail", "an hour"),
    (Stage::Banner, "554 HL:IPB", Class::Settings, "network", "another"),
    (Stage::MailFrom, "554 MI:SPB", Class::Settings, "network", "another"),
    (Stage::Banner, "554 IP in blacklist", Class::Settings, "network", "another"),
    // Unknown ones fall to the RFC's class and show the server's words.
    (
        Stage::AfterDot,
        "599 We do not like Mondays",
        Class::Permanent,
        "599 We do not like Mondays",
        "another account",
    ),
    (
        Stage::AfterDot,
        "499 We do not like Mondays",
        Class::Transient,
        "499 We do not like Mondays",
        "tried again",
    ),
    (Stage::Banner, "554 Go away", Class::Transient, "554 Go away", "tried again"),
    (Stage::Auth, "500 {host} what", Class::Credentials, "500 'host' what", "auth_code"),
];

#[test]
fn replies_from_the_wild() {
    for (stage, words, class, cause_part, fix_part) in WILD {
        let cause = reply(words);
        assert_eq!(classify(*stage, &cause), *class, "{words}");
        let diagnosis = diagnose_cause(*stage, *class, &cause, &SCENE);
        assert!(diagnosis.cause.en.contains(cause_part), "{words}: {}", diagnosis.cause.en);
        assert!(diagnosis.fix.en.contains(fix_part), "{words}: {}", diagnosis.fix.en);
        complete(&diagnosis, words);
    }
}

/// Both languages, no placeholder left.
fn complete(diagnosis: &Diagnosis, what: &str) {
    for text in [&diagnosis.cause, &diagnosis.fix] {
        assert!(!text.en.is_empty() && !text.zh.is_empty(), "{what}");
        for words in [&text.en, &text.zh] {
            assert!(!words.contains(['{', '}']), "{what}: {words}");
        }
    }
}

/// Catches: a row that another before it always hides.
#[test]
fn every_row_is_reached() {
    for row in ROWS {
        let met = WILD.iter().any(|(stage, words, ..)| match reply(words) {
            Cause::Reply(reply) => lookup(*stage, &reply).is_some_and(|found| std::ptr::eq(found, row)),
            _ => false,
        });
        assert!(met, "no known reply meets {row:?}");
    }
}

#[test]
fn every_other_cause_has_words() {
    let detail = || "why".to_owned();
    let causes = [
        (Stage::Resolve, Cause::Unresolved { detail: detail() }, Class::Transient, "smtp.qq.com"),
        (Stage::Connect, Cause::Unreachable { detail: detail() }, Class::Transient, "465"),
        (Stage::Connect, Cause::Timeout { after_ms: 10_000 }, Class::Transient, "10 s"),
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
        (Stage::MailFrom, Cause::TooLarge { bytes: 9, limit: 8 }, Class::Permanent, "9 bytes"),
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
