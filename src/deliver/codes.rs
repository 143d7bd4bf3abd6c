//! Enhanced status codes (RFC 3463, with the registry of RFC 5248): what the class, subject and
//! detail in front of an unknown text tell. Pure.

use super::meanings::{self as m, Meaning};
use super::verdict::{Reply, Stage};

/// What the code means; None: there is none, or it tells no more than the reply's first digit.
pub(super) fn known(stage: Stage, reply: &Reply) -> Option<&'static Meaning> {
    let (subject, detail) = parse(reply)?;
    let lasting = reply.code / 100 == 5;
    if stage == Stage::Auth {
        return of_login(subject, detail).filter(|_| lasting);
    }
    Some(match (subject, detail) {
        (1, 7 | 8) if lasting => &m::SENDER_REFUSED,
        (1, 0..=6 | 10) if lasting && stage == Stage::MailFrom => &m::SENDER_REFUSED,
        (1, 3) if lasting => &m::BAD_RECIPIENT,
        (1, 0..=6 | 10) if lasting => &m::NO_SUCH_USER,
        (2, 1) if lasting && stage == Stage::MailFrom => &m::SENDER_REFUSED,
        (2, 1) if lasting => &m::MAILBOX_OFF,
        (2, 2) => &m::MAILBOX_FULL,
        (2, 3) | (3, 4) if lasting => &m::TOO_LARGE,
        (3, 1) => &m::SERVER_FULL,
        (3, 0 | 2 | 5) | (4, 1 | 3 | 5) if !lasting => &m::SERVER_FAULT,
        (5, 3) => &m::TOO_MANY_RECIPIENTS,
        (6, 7 | 9) if lasting => &m::ASCII_ONLY,
        (6, _) if lasting => &m::POLICY,
        (7, 1) if lasting => match stage {
            Stage::MailFrom => &m::SENDER_REFUSED,
            Stage::RcptTo => &m::UNWANTED,
            _ if stage > Stage::RcptTo => &m::POLICY,
            _ => return None,
        },
        (7, 2) if lasting && stage == Stage::RcptTo => &m::UNWANTED,
        (7, 8 | 9) => &m::LOGIN_FIRST,
        (7, 10 | 11) => &m::NEEDS_TLS,
        (7, 20..=27) if lasting => &m::NOT_AUTHORIZED,
        (7, 28) => &m::LESS_MAIL,
        _ => return None,
    })
}

/// RFC 4954 section 6, and RFC 5248's registry.
fn of_login(subject: u16, detail: u16) -> Option<&'static Meaning> {
    Some(match (subject, detail) {
        (5, 4) | (7, 4) => &m::LOGIN_KIND,
        (7, 8 | 9 | 12) => &m::WRONG_CODE,
        (7, 10 | 11) => &m::NEEDS_TLS,
        (7, 13) => &m::DISABLED,
        _ => return None,
    })
}

/// Subject and detail of the code that the text begins with, if its class is the reply's own: a
/// server that contradicts itself is taken at its three digits.
fn parse(reply: &Reply) -> Option<(u16, u16)> {
    let word = reply.text.split_whitespace().next()?;
    // Some appliances (IronPort) write a hash in front of it.
    let mut parts = word.trim_start_matches('#').split('.').map(|part| {
        // RFC 3463 section 2: up to three digits.
        let digits = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        part.parse::<u16>().ok().filter(|_| digits)
    });
    let (class, subject, detail) = (parts.next()??, parts.next()??, parts.next()??);
    (parts.next().is_none() && class == reply.code / 100).then_some((subject, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(stage: Stage, words: &str) -> Option<&'static Meaning> {
        let (code, text) = words.split_once(' ').unwrap();
        known(stage, &Reply { code: code.parse().unwrap(), text: text.to_owned() })
    }

    /// Catches: a code in the middle of the text, an IP address or a version taken for one.
    #[test]
    fn only_a_code_in_front_counts() {
        assert_eq!(of(Stage::RcptTo, "550 5.1.1 x"), Some(&m::NO_SUCH_USER));
        assert_eq!(of(Stage::RcptTo, "550 #5.1.1"), Some(&m::NO_SUCH_USER));
        for words in [
            "550 x 5.1.1",
            "550 5.1.1.2 x",
            "550 5.1 x",
            "550 5.1.1234 x",
            "550 5.1.x",
            "550 +5.1.1",
            "550 4.1.1 x",
            "450 5.1.1 x",
            "550 ",
        ] {
            assert_eq!(of(Stage::RcptTo, words), None, "{words}");
        }
    }

    /// Catches: a refusal for now that is taken for one for ever.
    #[test]
    fn what_is_temporary_stays_so() {
        for subject in 0..8 {
            for detail in 0..40 {
                for stage in [Stage::MailFrom, Stage::RcptTo, Stage::AfterDot] {
                    if let Some(meaning) = of(stage, &format!("450 4.{subject}.{detail} x")) {
                        assert!(meaning.class.retryable(), "4.{subject}.{detail}: {meaning:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn each_code_has_its_meaning() {
        use Stage::{AfterDot, Auth, Banner, MailFrom, RcptTo};
        let rows = [
            (RcptTo, "550 5.1.2 x", &m::NO_SUCH_USER),
            (RcptTo, "501 5.1.3 x", &m::BAD_RECIPIENT),
            (RcptTo, "550 5.1.6 x", &m::NO_SUCH_USER),
            (RcptTo, "556 5.1.10 x", &m::NO_SUCH_USER),
            (MailFrom, "550 5.1.0 x", &m::SENDER_REFUSED),
            (MailFrom, "501 5.1.7 x", &m::SENDER_REFUSED),
            (RcptTo, "550 5.1.8 x", &m::SENDER_REFUSED),
            (RcptTo, "550 5.2.1 x", &m::MAILBOX_OFF),
            (MailFrom, "550 5.2.1 x", &m::SENDER_REFUSED),
            (RcptTo, "552 5.2.2 x", &m::MAILBOX_FULL),
            (RcptTo, "452 4.2.2 x", &m::MAILBOX_FULL),
            (AfterDot, "552 5.2.3 x", &m::TOO_LARGE),
            (AfterDot, "552 5.3.4 x", &m::TOO_LARGE),
            (MailFrom, "452 4.3.1 x", &m::SERVER_FULL),
            (Banner, "421 4.3.2 x", &m::SERVER_FAULT),
            (RcptTo, "452 4.5.3 x", &m::TOO_MANY_RECIPIENTS),
            (RcptTo, "553 5.6.7 x", &m::ASCII_ONLY),
            (AfterDot, "554 5.6.0 x", &m::POLICY),
            (MailFrom, "550 5.7.1 x", &m::SENDER_REFUSED),
            (RcptTo, "550 5.7.1 x", &m::UNWANTED),
            (RcptTo, "550 5.7.2 x", &m::UNWANTED),
            (AfterDot, "550 5.7.1 x", &m::POLICY),
            (AfterDot, "550 5.7.23 x", &m::NOT_AUTHORIZED),
            (AfterDot, "550 5.7.26 x", &m::NOT_AUTHORIZED),
            (AfterDot, "421 4.7.28 x", &m::LESS_MAIL),
            (Auth, "535 5.7.8 x", &m::WRONG_CODE),
            (Auth, "534 5.7.9 x", &m::WRONG_CODE),
            (Auth, "538 5.7.11 x", &m::NEEDS_TLS),
            (Auth, "525 5.7.13 x", &m::DISABLED),
            (Auth, "504 5.5.4 x", &m::LOGIN_KIND),
            (MailFrom, "530 5.7.8 x", &m::LOGIN_FIRST),
        ];
        for (stage, words, meaning) in rows {
            assert_eq!(of(stage, words), Some(meaning), "{words}");
        }
        for (stage, words) in [
            (Auth, "454 4.7.8 x"),
            (RcptTo, "550 5.0.0 x"),
            (RcptTo, "450 4.1.1 x"),
            (RcptTo, "550 5.5.1 x"),
            (AfterDot, "550 5.7.0 x"),
            (Banner, "554 5.7.1 x"),
            (MailFrom, "554 5.3.3 x"),
        ] {
            assert_eq!(of(stage, words), None, "{words}");
        }
    }
}
