//! The table of known replies: words of the text → meaning. Pure.
//!
//! Matched before the code, because providers send the same words with different codes. The first row
//! that fits is taken: NetEase's tokens stand first, special rows before general ones. Each reply that
//! a row was made for stands in `tests/data/replies/replies.tsv` with its source; to add one, add it
//! there, and a row here if the test fails.

use super::meanings::{self as m, Meaning};
use super::verdict::{Reply, Stage};

/// Where in the dialogue a row may match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    Any,
    /// In answer to AUTH.
    Auth,
    /// After AUTH went well.
    Later,
    Sender,
    Recipient,
}

impl At {
    fn fits(self, stage: Stage) -> bool {
        match self {
            At::Any => true,
            At::Auth => stage == Stage::Auth,
            At::Later => stage > Stage::Auth,
            At::Sender => stage == Stage::MailFrom,
            At::Recipient => stage == Stage::RcptTo,
        }
    }
}

/// A known reply.
#[derive(Debug)]
pub(super) struct Row {
    at: At,
    /// The code's first digit; 0: any.
    digit: u16,
    /// Lower case; one of them in the text is enough. What `&` joins must all be there. Each part
    /// stands there as a whole: no letter or digit goes on at its ends.
    words: &'static [&'static str],
    meaning: &'static Meaning,
}

impl Row {
    fn fits(&self, stage: Stage, code: u16, text: &str) -> bool {
        self.at.fits(stage)
            && (self.digit == 0 || self.digit == code / 100)
            && self.words.iter().any(|words| words.split('&').all(|word| has_whole(text, word)))
    }
}

/// The row for a reply; None: nobody has met it yet.
pub(super) fn row_for(stage: Stage, reply: &Reply) -> Option<&'static Row> {
    let text = plain(&reply.text);
    ROWS.iter().find(|row| row.fits(stage, reply.code, &text))
}

pub(super) fn known(stage: Stage, reply: &Reply) -> Option<&'static Meaning> {
    row_for(stage, reply).map(|row| row.meaning)
}

/// In lower case, single spaces, and without the enhanced code that Gmail and others repeat in each
/// line: joined, it would stand in the middle of a sentence.
fn plain(text: &str) -> String {
    let text = text.to_lowercase();
    let mut words = text.split_whitespace();
    let code = words.clone().next().filter(|word| word.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
    let first = words.next().into_iter();
    first.chain(words.filter(|word| Some(*word) != code)).collect::<Vec<_>>().join(" ")
}

/// Does `word` stand in `text` so that no ASCII letter or digit touches its own first or last one?
/// Chinese has no spaces between words: there it is enough to be in it.
fn has_whole(text: &str, word: &str) -> bool {
    let joined = |own: Option<char>, beside: Option<char>| {
        let alphanumeric = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        alphanumeric(own) && alphanumeric(beside)
    };
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (text[..at].chars().next_back(), text[at + word.len()..].chars().next());
        !joined(word.chars().next(), before) && !joined(word.chars().next_back(), after)
    })
}

const fn row(at: At, digit: u16, words: &'static [&'static str], meaning: &'static Meaning) -> Row {
    Row { at, digit, words, meaning }
}

pub(super) static ROWS: &[Row] = &[
    // NetEase's tokens: the same one comes with different codes.
    row(At::Any, 4, &["dt:spm&please try again"], &m::SPAM_SOON),
    row(At::Any, 4, &["dt:spm"], &m::SPAM_LATER),
    row(At::Any, 0, &["dt:spm"], &m::SPAM),
    row(At::Any, 0, &["mi:stc", "rp:trc"], &m::DAY_IS_FULL),
    row(
        At::Any,
        0,
        &["hl:rep", "hl:icc", "hl:ifc", "hl:ifq", "hl:mep", "hl:ihu", "mi:dmc", "mi:sfq", "rp:qrc"],
        &m::LESS_MAIL,
    ),
    row(At::Any, 0, &["mi:cel", "mi:ccl", "rp:ccl", "rp:cel"], &m::TOO_MANY_COMMANDS),
    row(At::Any, 0, &["rp:drc", "rp:rcl", "too much recipient"], &m::TOO_MANY_RECIPIENTS),
    row(At::Any, 0, &["dt:rbl", "wm:bli", "hl:ipb", "ip in blacklist"], &m::NETWORK),
    row(At::Any, 0, &["wm:blu", "mi:spb"], &m::STOPPED),
    row(At::Any, 0, &["mi:spf", "mi:dma"], &m::NOT_AUTHORIZED),
    row(At::Any, 0, &["mi:nhd", "bad syntaxu"], &m::HELLO),
    row(At::Any, 0, &["mi:imf", "null sender"], &m::UNREADABLE_FROM),
    row(At::Any, 0, &["dt:sum"], &m::ENVELOPE_DIFFERS),
    row(At::Any, 0, &["rp:frl"], &m::NO_RELAY),
    row(At::Any, 0, &["no smtp mx only"], &m::WRONG_SERVER),
    row(At::Any, 0, &["illegal attachment"], &m::BAD_ATTACHMENT),
    row(
        At::Any,
        0,
        &["too much fail authentication", "auth error limit exceed", "authentication failure[1]"],
        &m::LOGINS_STOPPED,
    ),
    // The login.
    row(At::Auth, 0, &["please enter your authorization code", "授权码"], &m::WANTS_CODE),
    row(At::Auth, 0, &["account is abnormal", "service is not open"], &m::CODE_OR_SERVICE),
    row(At::Auth, 0, &["authentication failed, system busy"], &m::FLAGGED),
    row(At::Auth, 0, &["user has no permission", "uc_login_source_not_allowed"], &m::SERVICE_OFF),
    row(
        At::Auth,
        0,
        &["too many login attempts", "authenticate too many times", "thread limit exceeded"],
        &m::TOO_MANY_LOGINS,
    ),
    row(
        At::Auth,
        0,
        &["application-specific password required", "username and password not accepted"],
        &m::APP_PASSWORD,
    ),
    row(At::Auth, 0, &["log in via your web browser", "web login required"], &m::LOGIN_ON_WEB),
    row(
        At::Auth,
        0,
        &[
            "basic authentication is disabled",
            "smtpclientauthentication is disabled",
            "did not meet the criteria to be authenticated",
        ],
        &m::NO_PASSWORDS,
    ),
    row(At::Auth, 0, &["unrecognized authentication type"], &m::LOGIN_KIND),
    // Not in minutes, whoever is to blame: each login that fails counts.
    row(
        At::Auth,
        4,
        &["temporary authentication failure", "auth error", "temporary system problem", "local error"],
        &m::LOGIN_DOWN,
    ),
    row(
        At::Auth,
        5,
        &[
            "authentication failed",
            "authentication failure",
            "authentication unsuccessful",
            "authentication required",
            "authentication is required",
            "incorrect authentication data",
            "login fail",
            "auth failed",
            "auth error",
            "验证失败",
            "认证失败",
            "登录失败",
            "密码错误",
        ],
        &m::WRONG_CODE,
    ),
    row(
        At::Any,
        0,
        &[
            "auth command not implemented",
            "auth command used when not advertised",
            "authentication not enabled",
        ],
        &m::NO_LOGIN_HERE,
    ),
    row(At::Any, 0, &["must issue a starttls command first"], &m::NEEDS_TLS),
    row(
        At::Any,
        0,
        &[
            "need ehlo and auth",
            "authentication is required",
            "authentication required",
            "client not authenticated",
            "client was not authenticated",
            "not logged in",
            "relay check local fail",
        ],
        &m::LOGIN_FIRST,
    ),
    // A day's limit, and too often. "Daily limit" stands before the recipients' "limit" and "quota".
    row(
        At::Any,
        0,
        &[
            "daily user sending quota exceeded",
            "daily user sending limit exceeded",
            "daily limit",
            "24-hour sending limit",
            "submissionquotaexceededexception",
            "sending quota exceeded",
            "the number of rcpt attempts is achieved",
            "per 24 hours",
            "messages per day",
            "当日发信量",
        ],
        &m::DAY_IS_FULL,
    ),
    row(
        At::Any,
        0,
        &[
            "frequency limited",
            "frequency limit",
            "reject by behaviour spam",
            "the total of rcpts is achieved",
            "频率",
            "过于频繁",
        ],
        &m::TOO_OFTEN,
    ),
    // In answer to one mail too many, not one that is wrong: it may come later, whatever the digit.
    row(
        At::Any,
        5,
        &["rate limit", "rate limited", "rate-limited", "emails per hour", "messages per hour"],
        &m::TOO_OFTEN,
    ),
    row(At::Any, 4, &["unsolicited mail"], &m::LESS_MAIL),
    row(
        At::Any,
        0,
        &[
            "mailbox unavailable or access denied",
            "receiving mail too quickly",
            "receiving email too quickly",
            "receiving mail at a rate",
            "receiving email at a rate",
        ],
        &m::RECIPIENT_BUSY,
    ),
    row(At::Any, 0, &["too many recipients", "out of allow rcpt numbers"], &m::TOO_MANY_RECIPIENTS),
    row(At::Any, 4, &["too many concurrent", "too many connections", "server busy"], &m::BUSY),
    // The account and the sender.
    row(
        At::Later,
        0,
        &[
            "user has no permission",
            "user suspended",
            "user in blacklist",
            "user is locked",
            "isn't allowed to send email",
            "bad outbound sender",
            "outboundspamexception",
        ],
        &m::STOPPED,
    ),
    row(
        At::Any,
        0,
        &[
            "mail from address must be same",
            "mail from must equal",
            "local user only",
            "does not have permissions to send as",
            "sendasdenied",
            "sendasdeniedexception",
            "not owned by user",
            "doesn't conform with authentication",
            "is non-local account",
            "sender is unvalidated",
        ],
        &m::OTHER_SENDER,
    ),
    row(At::Sender, 5, &["invalid input from", "bad address syntax"], &m::BAD_OWN_ADDRESS),
    row(At::Later, 0, &["\"from\" header is missing or invalid"], &m::UNREADABLE_FROM),
    // The message.
    row(
        At::Later,
        5,
        &[
            "exceeded mailsize limit",
            "message size exceeds",
            "exceeds fixed maximum message size",
            "message size limit",
            "message size limits",
            "message too large",
            "message is too long",
            "attachment is too long",
            "length of data content",
            "length of attach",
        ],
        &m::TOO_LARGE,
    ),
    row(At::Later, 5, &["potential security issue"], &m::BAD_ATTACHMENT),
    row(At::Later, 5, &["virus"], &m::VIRUS),
    row(
        At::Later,
        5,
        &[
            "mail content denied",
            "inappropriate words or content",
            "suspected spam",
            "unsolicited mail",
            "anti-spam engine",
            "reject by content spam",
            "too many same size mails",
            "垃圾邮件",
        ],
        &m::SPAM,
    ),
    // The way.
    row(At::Any, 0, &["black ip", "blocked using", "rbl deny"], &m::NETWORK),
    row(At::Later, 5, &["dmarc check failed"], &m::NOT_AUTHORIZED),
    row(At::Any, 0, &["mailfrom account is a local account"], &m::WRONG_SERVER),
    row(
        At::Any,
        5,
        &[
            "relay access denied",
            "relaying denied",
            "relay not permitted",
            "unable to relay",
            "host denies relay",
        ],
        &m::NO_RELAY,
    ),
    // QQ finds a bad EHLO so, as late as at MAIL; in answer to a login or a recipient it is that one's.
    row(At::Auth, 5, &["bad syntax"], &m::LOGIN_KIND),
    row(At::Recipient, 5, &["bad syntax"], &m::BAD_RECIPIENT),
    row(At::Any, 5, &["bad syntax", "helo command rejected", "helohost error"], &m::HELLO),
    // Recipients.
    row(
        At::Later,
        0,
        &[
            "mailbox is full",
            "mailbox full",
            "quota exceeded",
            "over quota",
            "out of storage space",
            "空间不足",
        ],
        &m::MAILBOX_FULL,
    ),
    row(At::Later, 0, &["greylisted", "greylisting"], &m::GREYLISTED),
    row(At::Recipient, 5, &["isn't allowed to receive email", "is disabled"], &m::MAILBOX_OFF),
    row(At::Later, 5, &["rejected by recipients"], &m::UNWANTED),
    row(At::Recipient, 5, &["bad address syntax", "bad recipient address syntax"], &m::BAD_RECIPIENT),
    // In answer to MAIL it is the sender who is unknown: nothing is wrong with the recipients.
    row(
        At::Sender,
        5,
        &["user unknown", "unknown user", "user not found", "no such user", "does not exist", "用户不存在"],
        &m::SENDER_REFUSED,
    ),
    row(
        At::Later,
        5,
        &[
            "invalid user",
            "user unknown",
            "unknown user",
            "user not found",
            "user not exist",
            "no such user",
            "mailbox not found",
            "does not exist",
            "dosn't exist",
            "isn't a local account",
            "用户不存在",
        ],
        &m::NO_SUCH_USER,
    ),
    row(At::Recipient, 5, &["mailbox unavailable"], &m::NO_SUCH_USER),
    // The server.
    row(At::Any, 4, &["insufficient system storage"], &m::SERVER_FULL),
    row(
        At::Any,
        4,
        &[
            "local error",
            "temporary system problem",
            "out of memory",
            "queue unavailable",
            "database temporary error",
        ],
        &m::SERVER_FAULT,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches: `MI:STC` found in another word, or not found before a comma or at the end.
    #[test]
    fn a_word_is_whole() {
        for text in ["mi:stc", "550 mi:stc.", "x,mi:stc,y", "(mi:stc)", "mi:stcx mi:stc", "错误mi:stc错误"]
        {
            assert!(has_whole(text, "mi:stc"), "{text}");
        }
        for text in ["ami:stc", "mi:stcx", "mi:stc2", "mi: stc", ""] {
            assert!(!has_whole(text, "mi:stc"), "{text}");
        }
        assert!(has_whole("请使用授权码登录", "授权码") && has_whole("526 failure[1]x", "failure[1]"));
    }

    #[test]
    fn a_repeated_code_is_left_out() {
        assert_eq!(plain("5.7.0 A potential  5.7.0 security 5.7.0"), "5.7.0 a potential security");
        assert_eq!(plain("the the\n5.7.0 5.7.0 x"), "the the 5.7.0 5.7.0 x");
        assert_eq!(plain(""), "");
    }

    /// Words are compared in lower case.
    #[test]
    fn the_table_is_in_lower_case() {
        for row in ROWS {
            assert!(row.words.iter().all(|word| *word == word.to_lowercase()), "{row:?}");
        }
    }
}
