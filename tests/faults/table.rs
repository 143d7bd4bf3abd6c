//! The cases: what goes wrong where, what it means, what the user reads, how far the server heard us.
//!
//! The expected values follow from issue and standard: what passes by itself is tried again (RFC 5321
//! section 4.2.1: 4yz, and everything before the mail was spoken of), a refused login is the
//! account's matter whatever its code, a 5yz for the mail is final unless the provider's words are
//! known to mean something else, and after the final dot only an answer is an answer (section
//! 4.5.3.2.6). After the 250 nothing matters any more.
//!
//! Longer than other files, since a row is a line.

use std::fmt;
use std::time::Duration;

use crate::support::smtp::Stage::{Auth, Body, Challenge, Data, Ehlo, EhloAgain, End, Greeting, Handshake};
use crate::support::smtp::Stage::{Helo, Mail, Quit, Rcpt, StartTls};
use crate::support::smtp::TlsMode::{self, Implicit, Plain, StartTls as ByStartTls};
use crate::support::smtp::{Action, Script, Stage};
use crate::support::tls::{self, Certificate};
use Class::{
    Content, Credentials, DailyLimit, Permanent, Sent, Settings, Throttled, TooLarge, Transient, Unknown,
};
use Fault::{
    BareLf, Bytewise, Cert, Client, Deaf, Drop, Gbk, HalfDrop, HalfHang, Hang, Last, Limit, LongLine,
};
use Fault::{ManyLines, Offers, Raw, Refuse, Reply, Slow, Stop, Tls10Alert, Tls10Hello};

/// What an attempt comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Sent,
    Transient,
    Throttled,
    DailyLimit,
    Credentials,
    Settings,
    Content,
    TooLarge,
    Permanent,
    Unknown,
}

impl Class {
    /// As entry.json has it.
    pub fn name(self) -> &'static str {
        match self {
            Sent => "sent",
            Transient => "transient",
            Throttled => "throttled",
            DailyLimit => "daily_limit",
            Credentials => "credentials",
            Settings => "settings",
            Content => "content",
            TooLarge => "too_large",
            Permanent => "permanent",
            Unknown => "unknown",
        }
    }

    /// The same mail won't be sent again by itself. (A smaller one was sent at once, and refused too.)
    pub fn is_final(self) -> bool {
        matches!(self, Permanent | TooLarge)
    }
}

/// What goes wrong, in place of the usual reply or on the way to it.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Nobody listens.
    Refuse,
    /// Packets are dropped.
    Deaf,
    Hang,
    Drop,
    /// The usual reply, a byte at a time, too slow for the limit.
    Slow,
    /// The usual reply, a byte at a time.
    Bytewise,
    /// These bytes.
    Raw(&'static [u8]),
    /// These bytes, and from then on silence: `support::script::Action::Last`.
    Last(&'static [u8]),
    /// The same, to be waited for until a limit ends it.
    Stop(&'static [u8]),
    /// This code and words in GBK.
    Gbk(&'static str),
    /// One line of 8 MiB.
    LongLine,
    /// 100,000 lines that say that more come.
    ManyLines,
    Reply(&'static str),
    HalfHang,
    HalfDrop,
    BareLf,
    Cert(Certificate),
    Tls10Hello,
    Tls10Alert,
    /// The lines of EHLO.
    Offers(&'static [&'static str]),
    /// No larger message is taken, of so many bytes; EHLO doesn't say so.
    Limit(usize),
    /// notify.toml says this of the server, which is as its column says.
    Client(TlsMode),
}

/// 登录失败: "login failed".
const IN_GBK: &[u8] = b"\xb5\xc7\xc2\xbc\xca\xa7\xb0\xdc";

impl Fault {
    /// Some limit of ours ends it.
    pub fn is_slow(&self) -> bool {
        matches!(self, Deaf | Hang | Slow | HalfHang | Stop(_) | Client(TlsMode::StartTls))
    }

    /// The script with the fault in it, at this step.
    pub fn bend(&self, script: Script, at: Stage) -> Script {
        // HELO is for a server that doesn't know EHLO.
        let script = if at == Helo { script.reply_at(Ehlo, "502 what?") } else { script };
        match *self {
            Cert(certificate) => script.certificate(certificate),
            Offers(lines) => script.ehlo(lines),
            Limit(bytes) => script.max_message(bytes),
            _ => match self.action() {
                Some(action) => script.at(at, action),
                None => script,
            },
        }
    }

    fn action(&self) -> Option<Action> {
        Some(match *self {
            Hang => Action::Hang,
            Drop => Action::Drop,
            // Three bytes are too many.
            Slow => Action::Trickle(crate::case::SHORT / 2),
            Bytewise => Action::Trickle(Duration::from_millis(1)),
            Raw(bytes) => Action::Raw(bytes.to_vec()),
            Last(bytes) | Stop(bytes) => Action::Last(bytes.to_vec()),
            Gbk(code) => Action::Raw([code.as_bytes(), b" ", IN_GBK, b"\r\n"].concat()),
            LongLine => Action::LongLine(8 << 20),
            ManyLines => Action::ManyLines(100_000),
            Reply(reply) => Action::Reply(reply.to_owned()),
            HalfHang => Action::HalfThenHang,
            HalfDrop => Action::HalfThenDrop,
            BareLf => Action::BareLf,
            Tls10Hello => Action::Last(tls::tls10_server_hello()),
            Tls10Alert => Action::Last(tls::tls10_alert()),
            Refuse | Deaf | Cert(_) | Offers(_) | Limit(_) | Client(_) => return None,
        })
    }
}

#[derive(Debug)]
pub struct Row {
    pub at: Stage,
    pub fault: Fault,
    /// The server's.
    pub tls: TlsMode,
    pub class: Class,
    /// A part of what the user reads.
    pub says: &'static str,
    /// How the last command that the server heard begins, QUIT apart; `.`: the whole message.
    pub last: &'static str,
    /// A part of what `outbox list` says in Chinese.
    pub zh: &'static str,
    /// `auth` of the account.
    pub auth: &'static str,
    pub large: bool,
    pub recipients: usize,
    /// How many of them have the mail after the first flush.
    pub reached: usize,
    /// Whether the end of the connection is seen before the final dot is a matter of luck.
    pub or_unknown: bool,
}

#[expect(clippy::too_many_arguments, reason = "a column of the table each")]
const fn row(
    at: Stage,
    fault: Fault,
    tls: TlsMode,
    class: Class,
    says: &'static str,
    last: &'static str,
) -> Row {
    let reached = matches!(class, Sent) as usize;
    Row {
        at,
        fault,
        tls,
        class,
        says,
        last,
        zh: "",
        auth: "",
        large: false,
        recipients: 1,
        reached,
        or_unknown: false,
    }
}

impl Row {
    const fn zh(mut self, words: &'static str) -> Self {
        self.zh = words;
        self
    }

    const fn auth(mut self, auth: &'static str) -> Self {
        self.auth = auth;
        self
    }

    const fn large(mut self) -> Self {
        self.large = true;
        self
    }

    /// Three recipients, of whom so many have the mail after the first flush.
    const fn three(mut self, reached: usize) -> Self {
        self.recipients = 3;
        self.reached = reached;
        self
    }

    const fn or_unknown(mut self) -> Self {
        self.or_unknown = true;
        self
    }

    /// What `notify.toml` takes the server for.
    pub fn client(&self) -> TlsMode {
        if let Client(mode) = self.fault { mode } else { self.tls }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, fault, tls, class, auth, recipients, large, .. } = self;
        write!(f, "{at:?}, {fault:?}, {tls:?}, to {recipients}, auth {auth:?}, large {large}: {class:?}")
    }
}

/// The replies of the dialogue, each of which is bent in every way there is.
pub const REPLIES: &[Stage] =
    &[Greeting, Ehlo, StartTls, Challenge(0), Challenge(1), Auth, Mail, Rcpt(0), Rcpt(1), Data, End, Quit];

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for group in [
        CONNECTING,
        HANDSHAKE,
        GREETING,
        EHLO,
        STARTTLS,
        CHALLENGES,
        LOGIN,
        MAIL,
        RECIPIENT,
        SECOND_OF_THREE,
        DATA,
        BODY,
        END,
        QUIT,
    ] {
        rows.extend(group());
    }
    rows
}

type Group = fn() -> Vec<Row>;

const SILENT_GREETING: &str = "silent for 2 s at its greeting";
const SILENT_EHLO: &str = "silent for 2 s at the introduction (EHLO)";
const SILENT_MAIL: &str = "silent for 2 s at the sender's address";
const SILENT_RCPT: &str = "silent for 2 s at the recipients' addresses";
const SILENT_DATA: &str = "silent for 2 s at the start of the message";
const SILENT_LOGIN: &str = "silent for 2 s at the login";
const SILENT_TLS: &str = "silent for 2 s at the TLS handshake";
const CLOSED: &str = "ended the connection early";
const CLOSED_ZH: &str = "提前断开了连接";
const NO_SMTP: &str = "doesn't speak SMTP as expected";
const NO_SMTP_ZH: &str = "没有按 SMTP 应答";
const LONG: &str = "a line of more than";
const MANY: &str = "a reply of more than";
const MAYBE: &str = "may have arrived";
const MAYBE_ZH: &str = "邮件可能已送达";
const GBK_SHOWN: &str = "登录失败";
const NO_TLS: &str = "answers without TLS";
const TOO_OLD: &str = "knows no TLS 1.2 or later";
const SENT: &str = "mail sent to a@example.com";
const GARBAGE: &[u8] = b"\x00\xff\xfe what is this?\r\n";
const HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
/// The alert `handshake_failure`.
const TLS_FATAL: &[u8] = &[21, 3, 3, 0, 2, 2, 40];
/// The head of a record that never comes whole.
const PART_OF_A_RECORD: &[u8] = &[22, 3, 3, 0, 90, 2, 0, 0];

//  at           fault                          server      class      what the user reads         last heard
#[rustfmt::skip]
const CONNECTING: Group = || vec![
    row(Greeting, Refuse,                       Implicit,   Transient, "nothing answers at port", "").zh("端口没有服务应答"),
    row(Greeting, Refuse,                       ByStartTls, Transient, "nothing answers at port", ""),
    row(Greeting, Refuse,                       Plain,      Transient, "nothing answers at port", ""),
    row(Greeting, Deaf,                         Implicit,   Transient, "was silent for 1 s at the connection", "").zh("建立连接时"),
    row(Greeting, Deaf,                         Plain,      Transient, "was silent for 1 s at the connection", ""),
    // What notify.toml says doesn't fit the server.
    row(Greeting, Client(Implicit),             ByStartTls, Settings,  NO_TLS, "").zh("没有使用 TLS"),
    row(Greeting, Client(Implicit),             Plain,      Settings,  NO_TLS, ""),
    row(Greeting, Client(ByStartTls),           Implicit,   Transient, SILENT_GREETING, ""),
    row(Ehlo,     Client(ByStartTls),           Plain,      Settings,  "offers no STARTTLS", "EHLO").zh("不支持 STARTTLS"),
];

#[rustfmt::skip]
const HANDSHAKE: Group = || {
    let mut rows = Vec::new();
    for (tls, last) in [(Implicit, ""), (ByStartTls, "STARTTLS")] {
        rows.extend([
            row(Handshake, Hang,                           tls, Transient, SILENT_TLS, last).zh("TLS 握手时 2 秒没有响应"),
            row(Handshake, Drop,                           tls, Transient, CLOSED, last),
            row(Handshake, Stop(PART_OF_A_RECORD),         tls, Transient, SILENT_TLS, last),
            row(Handshake, Raw(b"220 in clear text\r\n"),  tls, Settings,  NO_TLS, last).zh("没有使用 TLS"),
            row(Handshake, Last(HTTP),                     tls, Settings,  NO_TLS, last),
            row(Handshake, Last(GARBAGE),                  tls, Settings,  NO_TLS, last),
            row(Handshake, Last(TLS_FATAL),                tls, Transient, "TLS with localhost failed", last).zh("TLS 连接失败"),
            row(Handshake, Tls10Hello,                     tls, Transient, TOO_OLD, last),
            row(Handshake, Tls10Alert,                     tls, Transient, TOO_OLD, last).zh("不支持 TLS 1.2"),
            row(Handshake, Cert(Certificate::SelfSigned),  tls, Transient, "self-signed or its issuer isn't trusted", last).zh("自签名"),
            row(Handshake, Cert(Certificate::Expired),     tls, Transient, "certificate of localhost has expired", last).zh("证书已过期"),
            row(Handshake, Cert(Certificate::NotYetValid), tls, Transient, "isn't valid yet", last).zh("尚未生效"),
            row(Handshake, Cert(Certificate::WrongHost),   tls, Transient, "for another name than localhost", last).zh("与 localhost 不符"),
        ]);
    }
    rows
};

#[rustfmt::skip]
const GREETING: Group = || vec![
    row(Greeting, Hang,                         Implicit,   Transient, SILENT_GREETING, "").zh("问候时 2 秒没有响应"),
    row(Greeting, Hang,                         ByStartTls, Transient, SILENT_GREETING, ""),
    row(Greeting, Hang,                         Plain,      Transient, SILENT_GREETING, ""),
    row(Greeting, Drop,                         Implicit,   Transient, CLOSED, "").zh(CLOSED_ZH),
    row(Greeting, Drop,                         ByStartTls, Transient, CLOSED, ""),
    row(Greeting, Slow,                         Implicit,   Transient, SILENT_GREETING, ""),
    row(Greeting, Slow,                         ByStartTls, Transient, SILENT_GREETING, ""),
    row(Greeting, Bytewise,                     Implicit,   Sent,      SENT, "."),
    row(Greeting, Bytewise,                     ByStartTls, Sent,      SENT, "."),
    row(Greeting, Raw(GARBAGE),                 Implicit,   Transient, NO_SMTP, "").zh(NO_SMTP_ZH),
    row(Greeting, Raw(HTTP),                    Plain,      Transient, NO_SMTP, ""),
    row(Greeting, Raw(b"\x16\x03\x01\x00\x05\n"), Plain,   Transient, NO_SMTP, ""),
    row(Greeting, Gbk("554"),                   Implicit,   Transient, GBK_SHOWN, "").zh(GBK_SHOWN),
    row(Greeting, Gbk("220"),                   ByStartTls, Sent,      SENT, "."),
    row(Greeting, LongLine,                     Implicit,   Transient, LONG, ""),
    row(Greeting, LongLine,                     ByStartTls, Transient, LONG, ""),
    row(Greeting, ManyLines,                    Implicit,   Transient, MANY, ""),
    row(Greeting, ManyLines,                    ByStartTls, Transient, MANY, ""),
    row(Greeting, Reply("421 too busy"),        Implicit,   Transient, "421 too busy", ""),
    row(Greeting, Reply("554 no service"),      Implicit,   Transient, "554 no service", ""),
    row(Greeting, Reply("554 no service"),      ByStartTls, Transient, "554 no service", ""),
    row(Greeting, Reply("354 go ahead"),        Implicit,   Transient, "354 go ahead", ""),
    row(Greeting, Reply("250 hello"),           Implicit,   Sent,      SENT, "."),
    row(Greeting, HalfHang,                     Implicit,   Transient, SILENT_GREETING, ""),
    row(Greeting, HalfDrop,                     Implicit,   Transient, CLOSED, ""),
    row(Greeting, BareLf,                       Implicit,   Sent,      SENT, "."),
    row(Greeting, Reply("550 Connection frequency limited"), Implicit, Throttled, "too often", "").zh("过于频繁"),
    row(Greeting, Reply("421 HL:ICC 163 smtp"), Implicit,   Throttled, "wants less mail", ""),
    row(Greeting, Reply("554 IP in blacklist"), Implicit,   Settings,  "takes no mail from this machine's network", ""),
];

#[rustfmt::skip]
const EHLO: Group = || vec![
    row(Ehlo,     Hang,                         Implicit,   Transient, SILENT_EHLO, "EHLO").zh("2 秒没有响应"),
    row(Ehlo,     Hang,                         ByStartTls, Transient, SILENT_EHLO, "EHLO"),
    row(Ehlo,     Drop,                         Implicit,   Transient, CLOSED, "EHLO"),
    row(Ehlo,     Drop,                         Plain,      Transient, CLOSED, "EHLO"),
    row(Ehlo,     Slow,                         Implicit,   Transient, SILENT_EHLO, "EHLO"),
    row(Ehlo,     Bytewise,                     Implicit,   Sent,      SENT, "."),
    row(Ehlo,     Raw(GARBAGE),                 Implicit,   Transient, NO_SMTP, "EHLO"),
    row(Ehlo,     Raw(b"250-localhost\r\n450 AUTH PLAIN\r\n"), Implicit, Transient, "450 localhost", "EHLO"),
    row(Ehlo,     Gbk("421"),                   Implicit,   Transient, GBK_SHOWN, "EHLO"),
    row(Ehlo,     LongLine,                     Implicit,   Transient, LONG, "EHLO").zh(NO_SMTP_ZH),
    row(Ehlo,     ManyLines,                    Implicit,   Transient, MANY, "EHLO"),
    row(Ehlo,     ManyLines,                    ByStartTls, Transient, MANY, "EHLO"),
    row(Ehlo,     Reply("421 too busy"),        Implicit,   Transient, "421 too busy", "EHLO"),
    row(Ehlo,     Reply("354 go ahead"),        Implicit,   Transient, "354 go ahead", "EHLO"),
    row(Ehlo,     HalfHang,                     Implicit,   Transient, SILENT_EHLO, "EHLO"),
    row(Ehlo,     HalfDrop,                     Implicit,   Transient, CLOSED, "EHLO"),
    row(Ehlo,     BareLf,                       Implicit,   Sent,      SENT, "."),
    // RFC 5321 section 3.2: whoever doesn't know EHLO is asked by HELO. But then there is no login.
    row(Ehlo,     Reply("502 what?"),           Implicit,   Transient, "502 what?", "HELO"),
    row(Helo,     Reply("250 localhost"),       Implicit,   Settings,  "offers no login that fits", "HELO"),
    row(Helo,     Hang,                         Implicit,   Transient, "502 what?", "HELO"),
    row(Helo,     Drop,                         Implicit,   Transient, "502 what?", "HELO"),
    // What is offered.
    row(Ehlo,     Offers(&["localhost", "SIZE 100"]), Implicit, Settings, "offers no login that fits", "EHLO").zh("没有可用的登录方式"),
    row(Ehlo,     Offers(&["localhost", "AUTH XOAUTH2"]), Implicit, Settings, "XOAUTH2", "EHLO"),
    row(Ehlo,     Offers(&["localhost", "AUTH LOGIN"]), Implicit, Settings, "offers no login that fits", "EHLO").auth("plain"),
    row(Ehlo,     Offers(&["localhost", "AUTH PLAIN"]), Implicit, Settings, "offers no login that fits", "EHLO").auth("login"),
    row(Ehlo,     Offers(&["localhost", "AUTH LOGIN"]), Implicit, Sent, SENT, "."),
    row(Ehlo,     Offers(&["localhost", "AUTH=PLAIN"]), Implicit, Sent, SENT, "."),
    row(Ehlo,     Offers(&["localhost", "AUTH PLAIN", "SIZE 20"]), Implicit, TooLarge, "takes 20", "AUTH PLAIN").zh("只接受 20 字节"),
    row(Ehlo,     Offers(&["localhost", "AUTH PLAIN", "SIZE 0"]), Implicit, Sent, SENT, "."),
    // The text alone is small enough.
    row(Ehlo,     Offers(&["localhost", "AUTH PLAIN", "SIZE 100000"]), Implicit, Sent, SENT, ".").large(),
    // Once more, behind STARTTLS.
    row(EhloAgain, Hang,                        ByStartTls, Transient, SILENT_EHLO, "EHLO"),
    row(EhloAgain, Drop,                        ByStartTls, Transient, CLOSED, "EHLO"),
    row(EhloAgain, Raw(GARBAGE),                ByStartTls, Transient, NO_SMTP, "EHLO"),
    row(EhloAgain, LongLine,                    ByStartTls, Transient, LONG, "EHLO"),
    row(EhloAgain, Reply("421 too busy"),       ByStartTls, Transient, "421 too busy", "EHLO"),
    row(EhloAgain, Reply("250 AUTH PLAIN"),     ByStartTls, Settings,  "offers no login that fits", "EHLO"),
    row(EhloAgain, HalfDrop,                    ByStartTls, Transient, CLOSED, "EHLO"),
    row(EhloAgain, Bytewise,                    ByStartTls, Sent,      SENT, "."),
];

#[rustfmt::skip]
const STARTTLS: Group = || vec![
    row(StartTls, Hang,                         ByStartTls, Transient, SILENT_TLS, "STARTTLS"),
    row(StartTls, Drop,                         ByStartTls, Transient, CLOSED, "STARTTLS"),
    row(StartTls, Slow,                         ByStartTls, Transient, SILENT_TLS, "STARTTLS"),
    row(StartTls, Bytewise,                     ByStartTls, Sent,      SENT, "."),
    row(StartTls, Raw(GARBAGE),                 ByStartTls, Transient, NO_SMTP, "STARTTLS"),
    row(StartTls, Gbk("454"),                   ByStartTls, Transient, GBK_SHOWN, "STARTTLS"),
    row(StartTls, LongLine,                     ByStartTls, Transient, LONG, "STARTTLS"),
    row(StartTls, ManyLines,                    ByStartTls, Transient, MANY, "STARTTLS"),
    row(StartTls, Reply("454 TLS not available"), ByStartTls, Transient, "454 TLS not available", "STARTTLS"),
    row(StartTls, Reply("502 not implemented"), ByStartTls, Transient, "502 not implemented", "STARTTLS"),
    row(StartTls, Reply("354 go ahead"),        ByStartTls, Transient, "354 go ahead", "STARTTLS"),
    row(StartTls, HalfHang,                     ByStartTls, Transient, SILENT_TLS, "STARTTLS"),
    row(StartTls, HalfDrop,                     ByStartTls, Transient, CLOSED, "STARTTLS"),
    row(StartTls, BareLf,                       ByStartTls, Sent,      SENT, "."),
    // Someone on the way speaks for the server, before TLS.
    row(StartTls, Raw(b"220 go\r\n250 injected\r\n"), ByStartTls, Transient, "tampering", "STARTTLS").zh("可能有人在中间篡改"),
    row(StartTls, Raw(b"220 go\r\n250 AUTH "),  ByStartTls, Transient, "tampering", "STARTTLS"),
];

/// What AUTH LOGIN asks: first the user, then the code.
#[rustfmt::skip]
const CHALLENGES: Group = || {
    let mut rows = Vec::new();
    for n in 0..2 {
        rows.extend([
            row(Challenge(n), Hang,                    Implicit, Transient,   SILENT_LOGIN, "AUTH LOGIN").zh("登录时 2 秒没有响应"),
            row(Challenge(n), Drop,                    Implicit, Transient,   CLOSED, "AUTH LOGIN"),
            row(Challenge(n), Slow,                    Implicit, Transient,   SILENT_LOGIN, "AUTH LOGIN"),
            row(Challenge(n), Bytewise,                Implicit, Sent,        SENT, "."),
            row(Challenge(n), Raw(GARBAGE),            Implicit, Transient,   NO_SMTP, "AUTH LOGIN"),
            row(Challenge(n), Gbk("535"),              Implicit, Credentials, GBK_SHOWN, "AUTH LOGIN"),
            row(Challenge(n), LongLine,                Implicit, Transient,   LONG, "AUTH LOGIN"),
            row(Challenge(n), ManyLines,               Implicit, Transient,   MANY, "AUTH LOGIN"),
            row(Challenge(n), Reply("421 too busy"),   Implicit, Transient,   "421 too busy", "AUTH LOGIN"),
            row(Challenge(n), Reply("454 later"),      Implicit, Credentials, "454 later", "AUTH LOGIN"),
            row(Challenge(n), Reply("504 not that"),   Implicit, Credentials, "504 not that", "AUTH LOGIN"),
            // A success that comes too early is none; a challenge that makes no sense is one.
            row(Challenge(n), Reply("235 welcome"),    Implicit, Transient,   NO_SMTP, "AUTH LOGIN"),
            row(Challenge(n), Reply("334 !?"),         Implicit, Sent,        SENT, "."),
            row(Challenge(n), HalfHang,                Implicit, Transient,   SILENT_LOGIN, "AUTH LOGIN"),
            row(Challenge(n), HalfDrop,                Implicit, Transient,   CLOSED, "AUTH LOGIN"),
            row(Challenge(n), BareLf,                  Implicit, Sent,        SENT, "."),
        ].map(|row| row.auth("login")));
    }
    rows
};

/// The verdict on the login.
#[rustfmt::skip]
const LOGIN: Group = || {
    const QQ_NOW: &str = "535 Login fail. Account is abnormal, service is not open, password is incorrect, login frequency limited, or system is busy. More information at https://help.mail.qq.com/detail/108/1023";
    const QQ_ONCE: &str = "535 Login Fail. Please enter your authorization code to login. More information in http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=28&&no=1001256";
    vec![
    row(Auth,     Hang,                         Implicit,   Transient, SILENT_LOGIN, "AUTH PLAIN"),
    row(Auth,     Drop,                         Implicit,   Transient, CLOSED, "AUTH PLAIN"),
    row(Auth,     Drop,                         ByStartTls, Transient, CLOSED, "AUTH PLAIN"),
    row(Auth,     Slow,                         Implicit,   Transient, SILENT_LOGIN, "AUTH PLAIN"),
    row(Auth,     Bytewise,                     Implicit,   Sent,      SENT, "."),
    row(Auth,     Raw(GARBAGE),                 Implicit,   Transient, NO_SMTP, "AUTH PLAIN"),
    row(Auth,     Gbk("535"),                   Implicit,   Credentials, GBK_SHOWN, "AUTH PLAIN").zh(GBK_SHOWN),
    row(Auth,     Gbk("235"),                   Implicit,   Sent,      SENT, "."),
    row(Auth,     LongLine,                     Implicit,   Transient, LONG, "AUTH PLAIN"),
    row(Auth,     ManyLines,                    Implicit,   Transient, MANY, "AUTH PLAIN"),
    row(Auth,     Reply("421 too busy"),        Implicit,   Transient, "421 too busy", "AUTH PLAIN"),
    row(Auth,     Reply("454 Temporary failure"), Implicit, Credentials, "454 Temporary failure", "AUTH PLAIN"),
    row(Auth,     Reply("535 no"),              Implicit,   Credentials, "535 no", "AUTH PLAIN"),
    row(Auth,     Reply("535 no"),              Implicit,   Credentials, "535 no", "AUTH LOGIN").auth("login"),
    row(Auth,     Reply("334 and now?"),        Implicit,   Credentials, "501 that was one too many", "AUTH PLAIN"),
    row(Auth,     Reply("334 and now?"),        Implicit,   Transient, "334 and now?", "AUTH LOGIN").auth("login"),
    row(Auth,     HalfHang,                     Implicit,   Transient, SILENT_LOGIN, "AUTH PLAIN"),
    row(Auth,     HalfDrop,                     Implicit,   Transient, CLOSED, "AUTH PLAIN"),
    row(Auth,     BareLf,                       Implicit,   Sent,      SENT, "."),
    // It repeats what it was sent.
    row(Auth,     Reply("535 wrong: abcdefghijklmnop"), Implicit, Credentials, "535 wrong: ***", "AUTH PLAIN"),
    row(Auth,     Reply("535 AUTH PLAIN ADEwMDAxQHFxLmNvbQBhYmNkZWZnaGlqa2xtbm9w"), Implicit, Credentials, "535 AUTH PLAIN ***", "AUTH PLAIN"),
    // As seen in the wild.
    row(Auth,     Reply(QQ_NOW),                Implicit,   Credentials, "the authorization code is wrong or revoked", "AUTH PLAIN").zh("授权码错误或已失效"),
    row(Auth,     Reply(QQ_NOW),                ByStartTls, Credentials, "the authorization code is wrong or revoked", "AUTH PLAIN"),
    row(Auth,     Reply(QQ_ONCE),               Implicit,   Credentials, "not its password", "AUTH PLAIN").zh("而不是登录密码"),
    row(Auth,     Reply("535 Error: authentication failed"), Implicit, Credentials, "refused the authorization code", "AUTH PLAIN").zh("拒绝了 10001@qq.com 的授权码"),
    row(Auth,     Reply("535 authentication failed, system busy"), Implicit, Credentials, "has flagged", "AUTH PLAIN"),
    row(Auth,     Reply("550 User has no permission"), Implicit, Credentials, "SMTP service of 10001@qq.com is off", "AUTH PLAIN").zh("没有开启 SMTP 服务"),
    row(Auth,     Reply("451 too much fail authentication"), Implicit, Throttled, "stopped logins for a while", "AUTH PLAIN"),
    row(Auth,     Reply("554 smtp auth error limit exceed"), Implicit, Throttled, "stopped logins for a while", "AUTH PLAIN").zh("暂时禁止登录"),
    row(Auth,     Reply("502 Error: auth command not implemented"), Implicit, Settings, "takes no login in this mode", "AUTH PLAIN"),
    ]
};

#[rustfmt::skip]
const MAIL: Group = || vec![
    row(Mail,     Hang,                         Implicit,   Transient, SILENT_MAIL, "MAIL"),
    row(Mail,     Drop,                         Implicit,   Transient, CLOSED, "MAIL"),
    row(Mail,     Slow,                         Implicit,   Transient, SILENT_MAIL, "MAIL"),
    row(Mail,     Bytewise,                     Implicit,   Sent,      SENT, "."),
    row(Mail,     Raw(GARBAGE),                 Implicit,   Transient, NO_SMTP, "MAIL"),
    row(Mail,     Gbk("550"),                   Implicit,   Permanent, GBK_SHOWN, "MAIL"),
    row(Mail,     Gbk("250"),                   Implicit,   Sent,      SENT, "."),
    row(Mail,     LongLine,                     Implicit,   Transient, LONG, "MAIL"),
    row(Mail,     ManyLines,                    Implicit,   Transient, MANY, "MAIL"),
    row(Mail,     Reply("421 too busy"),        Implicit,   Transient, "421 too busy", "MAIL"),
    row(Mail,     Reply("451 back later"),      Implicit,   Transient, "said: 451 back later", "MAIL").zh("的回复：451 back later"),
    row(Mail,     Reply("451 greylisted"),      ByStartTls, Transient, "451 greylisted", "MAIL").zh("灰名单"),
    row(Mail,     Reply("452 4.3.1 no storage"), Plain,     Transient, "452 4.3.1 no storage", "MAIL"),
    row(Mail,     Reply("550 not you"),         Implicit,   Permanent, "550 not you", "MAIL"),
    row(Mail,     Reply("571 not you"),         ByStartTls, Permanent, "571 not you", "MAIL"),
    row(Mail,     Reply("354 go ahead"),        Implicit,   Transient, "354 go ahead", "MAIL"),
    row(Mail,     HalfHang,                     Implicit,   Transient, SILENT_MAIL, "MAIL"),
    row(Mail,     HalfDrop,                     Implicit,   Transient, CLOSED, "MAIL"),
    row(Mail,     BareLf,                       Implicit,   Sent,      SENT, "."),
    row(Mail,     Reply("501 mail from address must be same as authorization user"), Implicit, Settings, "wants the sender to be the mailbox that logged in", "MAIL").zh("要求发件人就是登录的邮箱"),
    row(Mail,     Reply("553 Mail from must equal authorized user"), Implicit, Settings, "wants the sender to be the mailbox that logged in", "MAIL"),
    row(Mail,     Reply("553 authentication is required"), Implicit, Settings, "wants a login before mail", "MAIL"),
    row(Mail,     Reply("550 User has no permission"), Implicit, Settings, "doesn't let 10001@qq.com send", "MAIL"),
    row(Mail,     Reply("550 Sender frequency limited"), Implicit, Throttled, "sends too often", "MAIL").zh("发信过于频繁"),
    row(Mail,     Reply("451 MI:SFQ 163 smtp1"), Implicit,  Throttled, "wants less mail", "MAIL"),
    row(Mail,     Reply("554 MI:STC 163 smtp1"), Implicit,  DailyLimit, "in a day", "MAIL").zh("今天的发信量已达"),
    row(Mail,     Reply("552 exceeded mailsize limit"), Implicit, TooLarge, "larger than localhost takes", "MAIL"),
];

#[rustfmt::skip]
const RECIPIENT: Group = || vec![
    row(Rcpt(0),  Hang,                         Implicit,   Transient, SILENT_RCPT, "RCPT"),
    row(Rcpt(0),  Drop,                         Implicit,   Transient, CLOSED, "RCPT"),
    row(Rcpt(0),  Slow,                         Implicit,   Transient, SILENT_RCPT, "RCPT"),
    row(Rcpt(0),  Bytewise,                     Implicit,   Sent,      SENT, "."),
    row(Rcpt(0),  Raw(GARBAGE),                 Implicit,   Transient, NO_SMTP, "RCPT"),
    row(Rcpt(0),  Gbk("550"),                   Implicit,   Permanent, GBK_SHOWN, "RCPT"),
    row(Rcpt(0),  LongLine,                     Implicit,   Transient, LONG, "RCPT"),
    row(Rcpt(0),  ManyLines,                    Implicit,   Transient, MANY, "RCPT"),
    row(Rcpt(0),  Reply("421 too busy"),        Implicit,   Transient, "421 too busy", "RCPT"),
    row(Rcpt(0),  Reply("450 mailbox busy"),    Implicit,   Transient, "450 mailbox busy", "RCPT"),
    row(Rcpt(0),  Reply("550 no"),              Implicit,   Permanent, "550 no", "RCPT"),
    row(Rcpt(0),  Reply("251 will forward"),    Implicit,   Sent,      SENT, "."),
    row(Rcpt(0),  Reply("354 go ahead"),        Implicit,   Transient, "354 go ahead", "RCPT"),
    row(Rcpt(0),  HalfHang,                     Implicit,   Transient, SILENT_RCPT, "RCPT"),
    row(Rcpt(0),  HalfDrop,                     Implicit,   Transient, CLOSED, "RCPT"),
    row(Rcpt(0),  BareLf,                       Implicit,   Sent,      SENT, "."),
    row(Rcpt(0),  Reply("550 Invalid User"),    Implicit,   Permanent, "this recipient doesn't exist", "RCPT").zh("收件人不存在"),
    row(Rcpt(0),  Reply("550 Mailbox unavailable or access denied"), Implicit, Throttled, "gets too much mail", "RCPT").zh("近期收信过多"),
    row(Rcpt(0),  Reply("450 RP:DRC 163 smtp1"), Implicit,  Throttled, "recipients at once", "RCPT"),
    row(Rcpt(0),  Reply("550 RP:TRC 163 smtp1"), Implicit,  DailyLimit, "in a day", "RCPT"),
    row(Rcpt(0),  Reply("553 Local user only,126 smtp8"), Implicit, Settings, "wants the sender to be the mailbox that logged in", "RCPT"),
];

/// A fault that concerns one recipient leaves the others alone; one of the connection concerns all.
#[rustfmt::skip]
const SECOND_OF_THREE: Group = || vec![
    row(Rcpt(1),  Hang,                         Implicit,   Transient, SILENT_RCPT, "RCPT TO:<b@").three(0),
    row(Rcpt(1),  Drop,                         Implicit,   Transient, CLOSED, "RCPT TO:<b@").three(0),
    row(Rcpt(1),  Slow,                         Implicit,   Transient, SILENT_RCPT, "RCPT TO:<b@").three(0),
    row(Rcpt(1),  Bytewise,                     Implicit,   Sent,      SENT, ".").three(3),
    row(Rcpt(1),  Raw(GARBAGE),                 Implicit,   Transient, NO_SMTP, "RCPT TO:<b@").three(0),
    row(Rcpt(1),  Gbk("550"),                   Implicit,   Permanent, GBK_SHOWN, ".").three(2),
    row(Rcpt(1),  LongLine,                     Implicit,   Transient, LONG, "RCPT TO:<b@").three(0),
    row(Rcpt(1),  ManyLines,                    Implicit,   Transient, MANY, "RCPT TO:<b@").three(0),
    row(Rcpt(1),  Reply("421 too busy"),        Implicit,   Transient, "421 too busy", "RCPT TO:<b@").three(0),
    row(Rcpt(1),  Reply("450 mailbox busy"),    Implicit,   Transient, "b@example.com: localhost said: 450 mailbox busy", ".").three(2),
    row(Rcpt(1),  Reply("550 no"),              Implicit,   Permanent, "b@example.com: localhost said: 550 no", ".").three(2),
    row(Rcpt(1),  Reply("550 no"),              ByStartTls, Permanent, "b@example.com: localhost said: 550 no", ".").three(2),
    row(Rcpt(1),  Reply("251 will forward"),    Implicit,   Sent,      SENT, ".").three(3),
    row(Rcpt(1),  HalfHang,                     Implicit,   Transient, SILENT_RCPT, "RCPT TO:<b@").three(0),
    row(Rcpt(1),  HalfDrop,                     Implicit,   Transient, CLOSED, "RCPT TO:<b@").three(0),
    row(Rcpt(1),  BareLf,                       Implicit,   Sent,      SENT, ".").three(3),
    row(Rcpt(1),  Reply("550 Invalid User"),    Implicit,   Permanent, "b@example.com: this recipient doesn't exist", ".").three(2),
    row(Rcpt(1),  Reply("550 Mailbox unavailable or access denied"), Implicit, Throttled, "b@example.com: this recipient gets too much mail", ".").three(2),
    row(Rcpt(2),  Reply("452 too many recipients"), Implicit, Throttled, "c@example.com: more recipients at once", ".").three(2),
    row(Rcpt(0),  Reply("550 Invalid User"),    Implicit,   Permanent, "a@example.com: this recipient doesn't exist", ".").three(2),
];

#[rustfmt::skip]
const DATA: Group = || vec![
    row(Data,     Hang,                         Implicit,   Transient, SILENT_DATA, "DATA"),
    row(Data,     Drop,                         Implicit,   Transient, CLOSED, "DATA").zh(CLOSED_ZH),
    row(Data,     Slow,                         Implicit,   Transient, SILENT_DATA, "DATA"),
    row(Data,     Bytewise,                     Implicit,   Sent,      SENT, "."),
    row(Data,     Raw(GARBAGE),                 Implicit,   Transient, NO_SMTP, "DATA"),
    row(Data,     Gbk("451"),                   Implicit,   Transient, GBK_SHOWN, "DATA"),
    row(Data,     Gbk("354"),                   Implicit,   Sent,      SENT, "."),
    row(Data,     LongLine,                     Implicit,   Transient, LONG, "DATA"),
    row(Data,     ManyLines,                    Implicit,   Transient, MANY, "DATA"),
    row(Data,     Reply("421 too busy"),        Implicit,   Transient, "421 too busy", "DATA"),
    row(Data,     Reply("451 try later"),       Implicit,   Transient, "451 try later", "DATA"),
    row(Data,     Reply("554 no valid recipients"), Implicit, Permanent, "554 no valid recipients", "DATA"),
    row(Data,     Reply("250 fine"),            Implicit,   Transient, "250 fine", "DATA"),
    row(Data,     HalfHang,                     Implicit,   Transient, SILENT_DATA, "DATA"),
    row(Data,     HalfDrop,                     Implicit,   Transient, CLOSED, "DATA"),
    row(Data,     BareLf,                       Implicit,   Sent,      SENT, "."),
];

/// While the message is on its way. A small one is in the system's buffers at once, dot and all: then
/// nobody can know.
#[rustfmt::skip]
const BODY: Group = || vec![
    row(Body,     Drop,                         Implicit,   Transient, CLOSED, "DATA").large(),
    row(Body,     Drop,                         Plain,      Transient, CLOSED, "DATA").large(),
    row(Body,     Drop,                         Implicit,   Transient, CLOSED, "DATA").or_unknown(),
    row(Body,     Hang,                         Implicit,   Unknown,   MAYBE, "DATA"),
    row(Body,     Last(b"452 disk full\r\n"),   Implicit,   Transient, "452 disk full", "DATA"),
    row(Body,     Last(b"452 disk full\r\n"),   Implicit,   Transient, "452 disk full", "DATA").large(),
    row(Body,     Last(b"554 no\r\n"),          Plain,      Permanent, "554 no", "DATA"),
    row(Body,     Last(b"552 exceeded mailsize limit\r\n"), Implicit, TooLarge, "larger than localhost takes", "DATA").large(),
    row(Body,     Last(GARBAGE),                Implicit,   Transient, NO_SMTP, "DATA").or_unknown(),
];

/// After the final dot.
#[rustfmt::skip]
const END: Group = || vec![
    row(End,      Hang,                         Implicit,   Unknown,   MAYBE, ".").zh(MAYBE_ZH),
    row(End,      Drop,                         Implicit,   Unknown,   MAYBE, ".").zh(MAYBE_ZH),
    row(End,      Drop,                         ByStartTls, Unknown,   MAYBE, "."),
    row(End,      Drop,                         Plain,      Unknown,   MAYBE, "."),
    row(End,      Drop,                         Implicit,   Unknown,   MAYBE, ".").large(),
    row(End,      Drop,                         Implicit,   Unknown,   MAYBE, ".").three(0),
    row(End,      Slow,                         Implicit,   Sent,      SENT, "."),
    row(End,      Bytewise,                     Implicit,   Sent,      SENT, "."),
    row(End,      Bytewise,                     Implicit,   Sent,      SENT, ".").large(),
    row(End,      Raw(GARBAGE),                 Implicit,   Unknown,   MAYBE, "."),
    row(End,      Gbk("250"),                   Implicit,   Sent,      SENT, "."),
    row(End,      Gbk("550"),                   Implicit,   Permanent, GBK_SHOWN, ".").zh(GBK_SHOWN),
    row(End,      Gbk("451"),                   Implicit,   Transient, GBK_SHOWN, "."),
    row(End,      LongLine,                     Implicit,   Unknown,   MAYBE, "."),
    row(End,      ManyLines,                    Implicit,   Unknown,   MAYBE, "."),
    row(End,      Reply("421 too busy"),        Implicit,   Transient, "421 too busy", "."),
    row(End,      Reply("451 try later"),       Implicit,   Transient, "451 try later", "."),
    row(End,      Reply("452 disk full"),       Implicit,   Transient, "452 disk full", ".").large(),
    row(End,      Reply("554 no"),              Implicit,   Permanent, "554 no", "."),
    row(End,      Reply("354 go on"),           Implicit,   Unknown,   MAYBE, "."),
    row(End,      Raw(b"250-ok\r\nqueued\r\n"), Implicit,  Unknown,   MAYBE, "."),
    row(End,      Raw(b"250 ok\r\n421 closing\r\n"), Implicit, Sent,   SENT, "."),
    row(End,      HalfHang,                     Implicit,   Unknown,   MAYBE, "."),
    row(End,      HalfDrop,                     Implicit,   Unknown,   MAYBE, "."),
    row(End,      BareLf,                       Implicit,   Sent,      SENT, "."),
    row(End,      Reply("550 Mail content denied. http://service.mail.qq.com/"), Implicit, Content, "takes the mail for spam", ".").zh("是垃圾邮件"),
    row(End,      Reply("554 DT:SPM 163 smtp12,see http://mail.163.com/help/help_spam_16.htm"), Implicit, Content, "takes the mail for spam", "."),
    row(End,      Reply("451 DT:SPM ,please try again"), Implicit, Transient, "sent again in some minutes", "."),
    row(End,      Reply("552 Illegal Attachment"), Implicit, Content,  "this kind of attachment", ".").zh("不接受这种附件"),
    row(End,      Reply("552 exceeded mailsize limit"), Implicit, TooLarge, "larger than localhost takes", ".").zh("超过了 localhost 的大小限制"),
    row(End,      Limit(100_000),               Implicit,   Sent,      SENT, ".").large(),
    row(End,      Reply("554 DT:SUM 163 smtp1"), Implicit,  Settings,  "isn't the one that it was handed in with", "."),
    row(End,      Reply("550 Ip frequency limited"), Implicit, Throttled, "too often", "."),
    row(End,      Reply("550 The \"From\" header is missing or invalid."), Implicit, Permanent, "can't read the sender", "."),
];

/// The mail is through by then: nothing of this is the user's concern.
#[rustfmt::skip]
const QUIT: Group = || vec![
    row(Quit,     Hang,                         Implicit,   Sent,      SENT, "."),
    row(Quit,     Hang,                         Plain,      Sent,      SENT, "."),
    row(Quit,     Drop,                         Implicit,   Sent,      SENT, "."),
    row(Quit,     Slow,                         Implicit,   Sent,      SENT, "."),
    row(Quit,     Bytewise,                     Implicit,   Sent,      SENT, "."),
    row(Quit,     Raw(GARBAGE),                 Implicit,   Sent,      SENT, "."),
    row(Quit,     Gbk("221"),                   Implicit,   Sent,      SENT, "."),
    row(Quit,     LongLine,                     Implicit,   Sent,      SENT, "."),
    row(Quit,     ManyLines,                    Implicit,   Sent,      SENT, "."),
    row(Quit,     Reply("421 too busy"),        Implicit,   Sent,      SENT, "."),
    row(Quit,     Reply("550 no"),              Implicit,   Sent,      SENT, "."),
    row(Quit,     Reply("354 go on"),           Implicit,   Sent,      SENT, "."),
    row(Quit,     HalfHang,                     Implicit,   Sent,      SENT, "."),
    row(Quit,     HalfDrop,                     Implicit,   Sent,      SENT, "."),
    row(Quit,     BareLf,                       Implicit,   Sent,      SENT, "."),
];
