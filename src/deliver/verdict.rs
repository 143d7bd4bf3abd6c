//! What came of an attempt: the stage it reached, what the server said, per recipient. Pure.
//!
//! All of it is kept in an entry's `entry.json`; names in JSON never change.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Endpoint;
use crate::error::Error;

/// A server's reply: three digits and its text, lines joined with a space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    pub code: u16,
    pub text: String,
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.code, self.text)
    }
}

/// Where in the dialogue something happened, in the order of the dialogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// On our side, before the first packet: the code, the body file, the account.
    Prepare,
    Resolve,
    Connect,
    Tls,
    Banner,
    Ehlo,
    StartTls,
    Auth,
    MailFrom,
    RcptTo,
    Data,
    /// While the message is written, before the final ".".
    Body,
    /// From the final "." to its reply.
    AfterDot,
    Quit,
}

/// What kind of failure it is: it decides whether and when to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Passes by itself: try again soon.
    Transient,
    /// The provider wants less mail: an hour at least.
    Throttled,
    /// The account has sent all that it may in a day: tomorrow.
    DailyLimit,
    /// The login was refused: the account waits until its code changes.
    Credentials,
    /// The account's settings don't fit its server: waits until they are mended.
    Settings,
    /// The provider dislikes the content: the same mail would be refused again.
    Content,
    /// Larger than the server takes: a smaller one may pass.
    TooLarge,
    /// No later try can succeed.
    Permanent,
    /// The message was handed over whole and the answer was lost: it may have arrived.
    Unknown,
}

impl Class {
    /// Is the mail worth keeping for another try as it is?
    pub fn retryable(self) -> bool {
        !matches!(self, Class::Content | Class::TooLarge | Class::Permanent)
    }

    /// Does it concern the account and its server as a whole, so that the next mail would fare the
    /// same at this `stage`?
    pub fn blocks_account(self, stage: Stage) -> bool {
        let before_the_mail = stage > Stage::Prepare && stage <= Stage::Auth;
        let says_so =
            matches!(self, Class::Credentials | Class::Settings | Class::Throttled | Class::DailyLimit);
        before_the_mail || says_so
    }
}

/// What a server's TLS is not good for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsTrouble {
    /// Self-signed, or signed by someone unknown here.
    UnknownIssuer,
    Expired,
    NotValidYet,
    WrongName,
    /// The port answers in clear text.
    NotTls,
    /// The server knows no TLS 1.2 or later.
    TooOld,
    Other(String),
}

/// Something that the server would have to offer and doesn't.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    StartTls,
    /// No AUTH mechanism that the account allows; `offered` is what it has.
    Auth {
        offered: Vec<String>,
    },
    /// For an address that isn't ASCII (RFC 6531).
    SmtpUtf8,
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The server refused.
    Reply(Reply),
    /// No answer within this many milliseconds.
    Timeout {
        after_ms: u64,
    },
    /// The host's name has no address; in the system's words.
    Unresolved {
        detail: String,
    },
    /// No address of the host took the connection; in the system's words.
    Unreachable {
        detail: String,
    },
    /// The connection ended before the reply.
    Closed,
    /// Any other failure of the connection.
    Broken {
        detail: String,
    },
    Tls(TlsTrouble),
    /// The server's words make no sense as SMTP.
    Malformed {
        detail: String,
    },
    /// Bytes in clear text came after the go-ahead for TLS: someone on the way may have put them there.
    Injected,
    NotOffered(Feature),
    /// `tls = "none"` and the server isn't on this machine.
    ClearText,
    /// The certificates of `ca_file` can't be used.
    CaFile {
        detail: String,
    },
    /// Larger than the server takes; bytes.
    TooLarge {
        bytes: u64,
        limit: u64,
    },
    /// An address or name that can't be written into an SMTP command.
    BadAddress {
        text: String,
    },
    /// Something on this machine: the code, a file of ours, the disk.
    Local {
        detail: String,
        /// What to do about it, if that is known.
        hint: Option<String>,
    },
    /// An earlier process ended after the last byte of the message, before the reply was recorded.
    Interrupted,
}

impl Cause {
    /// Something on this machine that says itself what to do.
    pub fn local(error: &Error) -> Self {
        Cause::Local { detail: error.to_string(), hint: error.hints.first().cloned() }
    }
}

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub stage: Stage,
    pub class: Class,
    pub cause: Cause,
}

impl Failure {
    /// May the same host take the mail at another port? Only as long as nothing was said of the
    /// account, and never after a certificate that isn't to be trusted: whoever shows it stands
    /// between us and the host at every port.
    pub fn another_port_may_do(&self) -> bool {
        let early = self.stage >= Stage::Connect && self.stage < Stage::Auth;
        let distrust = match &self.cause {
            Cause::Tls(trouble) => !matches!(trouble, TlsTrouble::NotTls | TlsTrouble::TooOld),
            Cause::Injected | Cause::CaFile { .. } | Cause::BadAddress { .. } | Cause::Local { .. } => true,
            _ => false,
        };
        // Who is told to come less often doesn't come again at once.
        let unwelcome = matches!(self.class, Class::Throttled | Class::DailyLimit);
        early && !distrust && !unwelcome
    }

    /// The server's reply, if it was one that failed the step.
    pub fn reply(&self) -> Option<&Reply> {
        match &self.cause {
            Cause::Reply(reply) => Some(reply),
            _ => None,
        }
    }
}

/// What the server said to one RCPT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecipientVerdict {
    /// Taken for this transaction; delivered once the message is accepted.
    Accepted,
    Refused {
        class: Class,
        cause: Cause,
    },
}

/// A recipient and its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipientResult {
    pub address: String,
    pub verdict: RecipientVerdict,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The server took the message for every recipient whose verdict is accepted.
    Accepted { receipt: Reply },
    /// It certainly didn't.
    Failed(Failure),
    /// Nobody knows: the answer to "." was lost (RFC 5321 section 4.5.3.2.6 warns of duplicates).
    Unknown(Failure),
}

/// An attempt as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Those that RCPT was answered for, in order.
    pub recipients: Vec<RecipientResult>,
    pub outcome: Outcome,
    /// Where it ended: the account's own, or one of its fallbacks.
    pub endpoint: Endpoint,
    /// From the name's resolution to the answer, by the monotonic clock.
    pub elapsed: Duration,
}
