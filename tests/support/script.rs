//! What the scripted server does, step by step.

use std::time::Duration;

use super::tls::Certificate;

/// When the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// From the first byte.
    Implicit,
    /// After STARTTLS; AUTH is offered before it too, as QQ and 163 do.
    StartTls,
    Plain,
}

/// Whose greeting, EHLO and replies are imitated (the words are those of the providers).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Qq,
    NetEase,
}

/// A step of the dialogue, named by what the server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// In place of the TLS handshake.
    Handshake,
    Greeting,
    Ehlo,
    /// EHLO behind STARTTLS; where the script says nothing of it, it is answered as the first is.
    EhloAgain,
    /// HELO; where the script says nothing of it, it is answered as EHLO is.
    Helo,
    StartTls,
    /// The n-th challenge of AUTH, from 0: LOGIN has two.
    Challenge(usize),
    /// The verdict on a login.
    Auth,
    Mail,
    /// The n-th recipient of a transaction, from 0.
    Rcpt(usize),
    /// The answer to DATA.
    Data,
    /// While the message comes, after its first line.
    Body,
    /// The answer to the final dot; the message is already kept.
    End,
    Rset,
    Quit,
}

/// What happens at a stage in place of the usual reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// This reply (`550 …`; several lines by `\n`); a refusal means what it says.
    Reply(String),
    /// These bytes, whatever they are: garbage, GBK, two replies at once.
    Raw(Vec<u8>),
    /// Nothing more is said or taken; the connection stays open until the client or the test ends.
    Hang,
    /// The connection is closed without a word.
    Drop,
    /// Half of the reply, then silence.
    HalfThenHang,
    /// Half of the reply, then the connection is closed.
    HalfThenDrop,
    /// The usual reply, a byte at a time with this pause after each.
    Trickle(Duration),
    /// The usual reply in one line of this many bytes.
    LongLine(usize),
    /// The usual reply behind this many lines that say that it goes on.
    ManyLines(usize),
    /// The usual reply, its lines ended by LF alone.
    BareLf,
    /// These bytes as soon as the client has said something more; then all is taken in silence until it goes.
    /// (Closing on bytes that nobody reads would take the answer back: RFC 9293 section 3.6.1.)
    Last(Vec<u8>),
}

impl Action {
    /// What goes over the wire in place of `answer`, which is `usual` unless the action is a reply.
    pub(super) fn bytes(&self, answer: &str) -> Vec<u8> {
        let wire = format!("{}\r\n", answer.replace('\n', "\r\n"));
        let code = answer.get(..3).unwrap_or("250");
        match self {
            Self::Raw(bytes) | Self::Last(bytes) => bytes.clone(),
            Self::LongLine(length) => format!("{code} {}\r\n", "x".repeat(*length)).into_bytes(),
            Self::ManyLines(count) => [format!("{code}-more\r\n").repeat(*count), wire].concat().into_bytes(),
            Self::BareLf => wire.replace('\r', "").into_bytes(),
            Self::Reply(_) | Self::Trickle(_) => wire.into_bytes(),
            Self::Hang | Self::Drop | Self::HalfThenHang | Self::HalfThenDrop => Vec::new(),
        }
    }
}

/// What the server does; the last word on a stage counts.
#[derive(Debug, Clone)]
pub struct Script {
    pub(super) tls: TlsMode,
    pub(super) certificate: Certificate,
    pub(super) style: Style,
    pub(super) accounts: Vec<(String, String)>,
    pub(super) ehlo: Vec<String>,
    /// Bytes on the wire; what comes with a larger SIZE= or is longer gets 552.
    pub(super) max_message: usize,
    actions: Vec<(Stage, Action)>,
}

impl Script {
    /// smtp.qq.com: implicit TLS, SIZE 73400320, no accounts yet.
    pub fn qq() -> Self {
        let ehlo = ["smtp.qq.com", "PIPELINING", "SIZE 73400320"];
        let auth = ["AUTH LOGIN PLAIN XOAUTH XOAUTH2", "AUTH=LOGIN", "MAILCOMPRESS", "SMTPUTF8", "8BITMIME"];
        Self::new(Style::Qq, 73_400_320, ehlo.iter().chain(&auth))
    }

    /// smtp.163.com: implicit TLS, no SIZE and no SMTPUTF8, 50 MiB at most.
    pub fn netease() -> Self {
        let ehlo = ["mail", "AUTH LOGIN PLAIN XOAUTH2", "AUTH=LOGIN PLAIN XOAUTH2"];
        let more = ["coremail 1Uxr2xKj7kG0xkI17xGrUDI0s8FY2U3Uj8Cz28x1UUUUU", "ID", "8BITMIME"];
        Self::new(Style::NetEase, 50 << 20, ehlo.iter().chain(&more))
    }

    fn new<'a>(style: Style, max_message: usize, ehlo: impl Iterator<Item = &'a &'a str>) -> Self {
        Self {
            tls: TlsMode::Implicit,
            certificate: Certificate::Good,
            style,
            accounts: Vec::new(),
            ehlo: ehlo.map(ToString::to_string).collect(),
            max_message,
            actions: Vec::new(),
        }
    }

    #[must_use]
    pub fn tls(mut self, mode: TlsMode) -> Self {
        self.tls = mode;
        self
    }

    #[must_use]
    pub fn certificate(mut self, certificate: Certificate) -> Self {
        self.certificate = certificate;
        self
    }

    /// Lets `user` log in with `code`.
    #[must_use]
    pub fn account(mut self, user: &str, code: &str) -> Self {
        self.accounts.push((user.to_owned(), code.to_owned()));
        self
    }

    /// Lines of EHLO without code: the name first, then keywords (STARTTLS comes by `tls`).
    #[must_use]
    pub fn ehlo(mut self, lines: &[&str]) -> Self {
        self.ehlo = lines.iter().map(ToString::to_string).collect();
        self
    }

    /// Bytes of a message that are taken at most. EHLO doesn't change with it.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    #[must_use]
    pub fn at(mut self, stage: Stage, action: Action) -> Self {
        self.actions.push((stage, action));
        self
    }

    /// `reply_at(Stage::Rcpt(1), "550 no such user")`.
    #[must_use]
    pub fn reply_at(self, stage: Stage, reply: &str) -> Self {
        self.at(stage, Action::Reply(reply.to_owned()))
    }

    /// What the client is told at `stage`; empty where nothing is said, or nothing that is a reply.
    pub(super) fn answer(&self, stage: Stage, usual: &str) -> String {
        match self.action(stage) {
            None | Some(Action::Trickle(_) | Action::LongLine(_) | Action::ManyLines(_) | Action::BareLf) => {
                usual.to_owned()
            }
            Some(Action::Reply(reply)) => reply.clone(),
            Some(Action::Raw(bytes) | Action::Last(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            Some(Action::Hang | Action::Drop | Action::HalfThenHang | Action::HalfThenDrop) => String::new(),
        }
    }

    pub(super) fn action(&self, stage: Stage) -> Option<&Action> {
        let said = |stage| self.actions.iter().rev().find(|(at, _)| *at == stage).map(|(_, action)| action);
        let as_ehlo = matches!(stage, Stage::Helo | Stage::EhloAgain);
        said(stage).or_else(|| said(Stage::Ehlo).filter(|_| as_ehlo))
    }
}
