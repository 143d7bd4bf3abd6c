//! One mail, one account, one connection: the only file that knows lettre's transport.
//!
//! lettre is driven command by command over a connection of our own (`stream.rs`), because its
//! `send` gives the whole mail up at the first refused recipient, bounds only the TCP connect in
//! time, and can't tell a loss before the final "." from one after it.

use std::cell::Cell;
use std::error::Error as StdError;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lettre::Address;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Quit, Rcpt};
use lettre::transport::smtp::extension::{ClientId, MailParameter};
use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::diagnose::classify;
use super::ehlo::Offers;
use super::stream::{TapHandle, Wire};
use super::tls;
use super::verdict::{
    Attempt, Cause, Class, Failure, Feature, Outcome, RecipientResult, RecipientVerdict, Reply, Stage,
};
use crate::config::{Account, Auth, Secret, Tls};
use crate::error::Result;

/// Bytes of the message that are read and written at a time.
const PIECE: usize = 64 * 1024;
/// Addresses of a host that are tried.
const MAX_ADDRESSES: usize = 8;

/// How long each step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Resolving the name; and connecting, for each address.
    pub connect: Duration,
    /// Each command and its reply, the greeting, the TLS handshake.
    pub step: Duration,
    /// The whole message and the answer to its end …
    pub data_base: Duration,
    /// … plus this for each MiB of it.
    pub data_per_mib: Duration,
    /// QUIT, and a reply that may be waiting after a write failed.
    pub quit: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            step: Duration::from_secs(30),
            // Servers scan a mail before they answer. A slow uplink (0.5 Mbit/s) takes 17 s a MiB.
            data_base: Duration::from_secs(120),
            data_per_mib: Duration::from_secs(20),
            quit: Duration::from_secs(2),
        }
    }
}

/// What is to be sent, and as whom.
#[derive(Debug)]
pub struct Job<'a> {
    pub account: &'a Account,
    pub secret: &'a Secret,
    /// Bare addresses.
    pub recipients: &'a [String],
    /// Header lines with CRLF that stand before the body file's own.
    pub headers: Vec<u8>,
    /// The rest of the message: more headers, a blank line and the body, lines ending in CRLF.
    pub body: &'a Path,
    pub limits: &'a Limits,
}

/// A point that must be durable before the dialogue goes on.
#[derive(Debug)]
pub enum Progress<'a> {
    /// Every RCPT has its answer: from here on the recipients are frozen.
    Recipients(&'a [RecipientResult]),
    /// The last byte was written; the final "." follows. Until the next step is recorded, a crash
    /// leaves it unknown whether the mail arrived.
    BodySent,
    /// The server took it. Recorded before QUIT.
    Accepted(&'a Reply),
}

/// Records a [`Progress`]; an error stops the transaction, before the final "." without a trace.
pub type Ledger<'a> = &'a mut dyn FnMut(Progress<'_>) -> Result<()>;

/// [`attempt`] for callers without a runtime: makes one for the time of the call.
pub fn attempt_blocking(job: &Job<'_>, ledger: Ledger<'_>) -> Attempt {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let cause = Cause::Local { detail: format!("can't wait for the network: {error}") };
            let outcome = Outcome::Failed(failure(Stage::Prepare, cause));
            return Attempt { recipients: Vec::new(), outcome, elapsed: Duration::ZERO };
        }
    };
    let attempt = runtime.block_on(attempt(job, ledger));
    // Dropping a runtime waits for its threads, and a getaddrinfo that hangs has one.
    runtime.shutdown_background();
    attempt
}

/// Makes one try at handing the mail over. Never panics or hangs: every step has its limit.
pub async fn attempt(job: &Job<'_>, ledger: Ledger<'_>) -> Attempt {
    let begin = Instant::now();
    let mut recipients = Vec::new();
    let outcome = match transact(job, &mut recipients, ledger).await {
        Ok(outcome) => outcome,
        Err(failure) => Outcome::Failed(failure),
    };
    Attempt { recipients, outcome, elapsed: begin.elapsed() }
}

fn failure(stage: Stage, cause: Cause) -> Failure {
    Failure { stage, class: classify(stage, &cause), cause }
}

fn at(stage: Stage) -> impl Fn(Cause) -> Failure {
    move |cause| failure(stage, cause)
}

async fn transact(
    job: &Job<'_>,
    recipients: &mut Vec<RecipientResult>,
    ledger: Ledger<'_>,
) -> std::result::Result<Outcome, Failure> {
    let prepare = at(Stage::Prepare);
    // Opened first: without it there is nothing to say to a server.
    let (body, size) = open_body(job).map_err(&prepare)?;
    let from = parse_address(&job.account.address).map_err(&prepare)?;
    let mut session = Session::open(job).await?;
    let outcome = async {
        session.login(job).await?;
        session.envelope(job, &from, size, recipients).await?;
        let kept = ledger(Progress::Recipients(recipients));
        if let Err(error) = kept {
            return Err(local(Stage::RcptTo, &error));
        }
        if let Some(failure) = nobody_left(recipients) {
            return Err(failure);
        }
        session.message(job, body, size, ledger).await
    }
    .await;
    session.close().await;
    outcome
}

fn local(stage: Stage, error: &crate::error::Error) -> Failure {
    failure(stage, Cause::Local { detail: error.to_string() })
}

fn open_body(job: &Job<'_>) -> std::result::Result<(File, u64), Cause> {
    let file = File::open(job.body).and_then(|file| file.metadata().map(|meta| (file, meta.len())));
    match file {
        Ok((file, len)) => Ok((file, len + job.headers.len() as u64)),
        Err(error) => Err(Cause::Local { detail: format!("can't read {}: {error}", job.body.display()) }),
    }
}

fn parse_address(address: &str) -> std::result::Result<Address, Cause> {
    address.parse().map_err(|_| Cause::BadAddress { text: address.to_owned() })
}

/// When no recipient was taken: the failure of all of them, the one worth a retry if there is one.
fn nobody_left(recipients: &[RecipientResult]) -> Option<Failure> {
    let mut worst = None;
    for result in recipients {
        match &result.verdict {
            RecipientVerdict::Accepted => return None,
            RecipientVerdict::Refused { class, cause } => {
                if worst.is_none() || class.retryable() {
                    worst = Some(Failure { stage: Stage::RcptTo, class: *class, cause: cause.clone() });
                }
            }
        }
    }
    Some(worst.unwrap_or_else(|| {
        failure(Stage::RcptTo, Cause::Local { detail: "the mail has no recipient".to_owned() })
    }))
}

/// A connection that has said EHLO, encrypted as the account wants it.
struct Session {
    connection: AsyncSmtpConnection,
    tap: TapHandle,
    offers: Offers,
    limits: Limits,
    peer: SocketAddr,
    encrypted: bool,
    /// Nothing can be said any more, not even QUIT.
    dead: bool,
}

impl Session {
    async fn open(job: &Job<'_>) -> std::result::Result<Self, Failure> {
        let server = &job.account.server;
        let hello = hello(server.hello_name.as_deref()).map_err(at(Stage::Prepare))?;
        let limits = *job.limits;
        let tcp = connect(&server.host, server.port, &limits).await?;
        let peer = tcp.peer_addr().map_err(|error| failure(Stage::Connect, io_cause(&error)))?;
        let wire = Wire::new(tcp, peer);
        match server.tls {
            Tls::None => Self::greet(wire, &hello, limits, false).await,
            Tls::Implicit => Self::greet(secure(wire, job).await?, &hello, limits, true).await,
            Tls::StartTls => {
                let wire = secure(ask_for_tls(wire, &hello, &limits).await?, job).await?;
                // The greeting was said in clear: lettre gets another one, and says EHLO again.
                Self::hand_over(wire, &hello, limits, true).await
            }
        }
    }

    async fn greet<S>(
        mut wire: Wire<S>,
        hello: &ClientId,
        limits: Limits,
        encrypted: bool,
    ) -> std::result::Result<Self, Failure>
    where
        S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug + 'static,
    {
        expect(&mut wire, Stage::Banner, 2, &limits).await?;
        Self::hand_over(wire, hello, limits, encrypted).await
    }

    async fn hand_over<S>(
        mut wire: Wire<S>,
        hello: &ClientId,
        limits: Limits,
        encrypted: bool,
    ) -> std::result::Result<Self, Failure>
    where
        S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug + 'static,
    {
        wire.greet_again();
        let (tap, peer) = (wire.tap(), wire.peer());
        let opening = AsyncSmtpConnection::connect_with_transport(Box::new(wire), hello);
        let connection = within(limits.step, opening)
            .await
            .map_err(at(Stage::Ehlo))?
            .map_err(|error| failure(Stage::Ehlo, lettre_cause(&error, &tap)))?;
        let offers = tap.with(|tap| Offers::parse(tap.lines()));
        Ok(Self { connection, tap, offers, limits, peer, encrypted, dead: false })
    }

    /// Says one command; a negative reply is a failure.
    async fn say(&mut self, stage: Stage, command: impl Display) -> std::result::Result<Reply, Failure> {
        let answer = within(self.limits.step, self.connection.command(command)).await;
        let cause = match answer {
            Ok(Ok(_)) => match self.tap.with(|tap| tap.reply()) {
                Some(reply) => return Ok(reply),
                None => Cause::Malformed { detail: "no reply".to_owned() },
            },
            Ok(Err(error)) => lettre_cause(&error, &self.tap),
            Err(cause) => cause,
        };
        // After 421 the server closes (RFC 5321 section 3.8); after anything but a reply the
        // dialogue is out of step.
        self.dead = !matches!(&cause, Cause::Reply(reply) if reply.code != 421);
        Err(failure(stage, cause))
    }

    async fn login(&mut self, job: &Job<'_>) -> std::result::Result<(), Failure> {
        if !self.encrypted && !self.peer.ip().to_canonical().is_loopback() {
            return Err(failure(Stage::Auth, Cause::ClearText));
        }
        let offers = |name: &str| self.offers.auth.iter().any(|offered| offered == name);
        let plain = match job.account.server.auth {
            Auth::Auto | Auth::Plain if offers("PLAIN") => true,
            Auth::Auto | Auth::Login if offers("LOGIN") => false,
            _ => {
                let feature = Feature::Auth { offered: self.offers.auth.clone() };
                return Err(failure(Stage::Auth, Cause::NotOffered(feature)));
            }
        };
        let (user, code) = (&job.account.username, job.secret.0.expose_secret());
        // Once and by one mechanism: QQ ends a connection that tries a second, and counts both.
        let reply = if plain {
            let both = BASE64.encode(format!("\0{user}\0{code}"));
            self.say(Stage::Auth, format_args!("AUTH PLAIN {both}\r\n")).await?
        } else {
            // What the challenges say differs between servers; their order doesn't.
            let asked = self.say(Stage::Auth, "AUTH LOGIN\r\n").await?;
            self.go_on(Stage::Auth, &asked)?;
            let asked = self.say(Stage::Auth, format_args!("{}\r\n", BASE64.encode(user))).await?;
            self.go_on(Stage::Auth, &asked)?;
            self.say(Stage::Auth, format_args!("{}\r\n", BASE64.encode(code))).await?
        };
        self.done(Stage::Auth, &reply)
    }

    /// Demands an intermediate reply (3yz).
    fn go_on(&mut self, stage: Stage, reply: &Reply) -> std::result::Result<(), Failure> {
        self.first_digit(stage, reply, 3)
    }

    /// Demands a completion (2yz).
    fn done(&mut self, stage: Stage, reply: &Reply) -> std::result::Result<(), Failure> {
        self.first_digit(stage, reply, 2)
    }

    fn first_digit(&mut self, stage: Stage, reply: &Reply, digit: u16) -> std::result::Result<(), Failure> {
        if reply.code / 100 == digit {
            return Ok(());
        }
        self.dead = true;
        Err(failure(stage, Cause::Malformed { detail: format!("out of step: {reply}") }))
    }

    /// MAIL, and RCPT for each; goes on past refused ones as long as the server listens.
    async fn envelope(
        &mut self,
        job: &Job<'_>,
        from: &Address,
        size: u64,
        recipients: &mut Vec<RecipientResult>,
    ) -> std::result::Result<(), Failure> {
        let mut parameters = Vec::new();
        if let Some(limit) = self.offers.size {
            if limit > 0 && size > limit {
                return Err(failure(Stage::MailFrom, Cause::TooLarge { bytes: size, limit }));
            }
            parameters.push(MailParameter::Size(usize::try_from(size).unwrap_or(usize::MAX)));
        }
        let foreign = |text: &str| !text.is_ascii();
        if foreign(&job.account.address) || job.recipients.iter().any(|to| foreign(to)) {
            if self.offers.smtputf8 {
                parameters.push(MailParameter::SmtpUtfEight);
            } else if foreign(&job.account.address) {
                return Err(failure(Stage::MailFrom, Cause::NotOffered(Feature::SmtpUtf8)));
            }
        }
        let reply = self.say(Stage::MailFrom, Mail::new(Some(from.clone()), parameters)).await?;
        self.done(Stage::MailFrom, &reply)?;
        for address in job.recipients {
            let verdict = self.recipient(address).await?;
            recipients.push(RecipientResult { address: address.clone(), verdict });
        }
        Ok(())
    }

    async fn recipient(&mut self, address: &str) -> std::result::Result<RecipientVerdict, Failure> {
        let refused = |cause: Cause| {
            let class = classify(Stage::RcptTo, &cause);
            Ok(RecipientVerdict::Refused { class, cause })
        };
        let parsed = match parse_address(address) {
            Ok(parsed) => parsed,
            Err(cause) => return refused(cause),
        };
        if !address.is_ascii() && !self.offers.smtputf8 {
            return refused(Cause::NotOffered(Feature::SmtpUtf8));
        }
        match self.say(Stage::RcptTo, Rcpt::new(parsed, Vec::new())).await {
            Ok(reply) => self.done(Stage::RcptTo, &reply).map(|()| RecipientVerdict::Accepted),
            Err(failure) if !self.dead => {
                Ok(RecipientVerdict::Refused { class: failure.class, cause: failure.cause })
            }
            Err(failure) => Err(failure),
        }
    }

    /// DATA, the message, and the answer to its end.
    async fn message(
        &mut self,
        job: &Job<'_>,
        body: File,
        size: u64,
        ledger: Ledger<'_>,
    ) -> std::result::Result<Outcome, Failure> {
        let reply = self.say(Stage::Data, Data).await?;
        self.go_on(Stage::Data, &reply)?;
        let ending = Cell::new(Ending::Writing);
        let tap = self.tap.clone();
        let pieces = Pieces {
            headers: Some(job.headers.clone()),
            file: body,
            carry: Vec::new(),
            finish: |read: io::Result<()>| {
                let kept = read
                    .map_err(|error| format!("can't read {}: {error}", job.body.display()))
                    .and_then(|()| ledger(Progress::BodySent).map_err(|error| error.to_string()));
                if kept.is_err() {
                    // lettre ends the message after the last piece, whatever we say.
                    tap.with(|tap| tap.cut = true);
                }
                ending.set(match kept {
                    Ok(()) => Ending::Whole,
                    Err(detail) => Ending::Cut(detail),
                });
            },
        };
        let mib = u32::try_from(size >> 20).unwrap_or(u32::MAX);
        let limit = self.limits.data_base + self.limits.data_per_mib.saturating_mul(mib);
        let answer = within(limit, self.connection.message_iter(pieces)).await;
        let whole = match ending.into_inner() {
            Ending::Cut(detail) => {
                self.dead = true;
                return Err(failure(Stage::Body, Cause::Local { detail }));
            }
            Ending::Whole => true,
            Ending::Writing => false,
        };
        let outcome = self.answer(answer, whole).await;
        if let Outcome::Accepted { receipt } = &outcome {
            // A failure to record is the ledger's owner's to tell: the mail is out.
            if ledger(Progress::Accepted(receipt)).is_err() {
                self.dead = true;
            }
        }
        Ok(outcome)
    }

    async fn answer(
        &mut self,
        answer: std::result::Result<
            std::result::Result<lettre::transport::smtp::response::Response, lettre::transport::smtp::Error>,
            Cause,
        >,
        whole: bool,
    ) -> Outcome {
        let stage = if whole { Stage::AfterDot } else { Stage::Body };
        let cause = match answer {
            Ok(Ok(_)) => match self.tap.with(|tap| tap.reply()) {
                Some(receipt) if receipt.code / 100 == 2 => return Outcome::Accepted { receipt },
                Some(other) => Cause::Malformed { detail: format!("out of step: {other}") },
                None => Cause::Malformed { detail: "no reply".to_owned() },
            },
            Ok(Err(error)) => match lettre_cause(&error, &self.tap) {
                cause @ Cause::Reply(_) => cause,
                cause => self.pending_refusal().await.map_or(cause, Cause::Reply),
            },
            Err(cause) => cause,
        };
        self.dead = !whole || !matches!(&cause, Cause::Reply(reply) if reply.code != 421);
        let failure = failure(stage, cause);
        if failure.class == Class::Unknown { Outcome::Unknown(failure) } else { Outcome::Failed(failure) }
    }

    /// A server that refuses in the middle of the message says why and closes: the write fails, and
    /// the reason waits to be read.
    async fn pending_refusal(&mut self) -> Option<Reply> {
        let waiting = within(self.limits.quit, self.connection.read_response()).await;
        match waiting {
            Ok(Err(error)) if error.status().is_some() => self.tap.with(|tap| tap.reply()),
            _ => None,
        }
    }

    /// Says goodbye. What the server makes of it changes nothing: QQ often just closes.
    async fn close(mut self) {
        if !self.dead {
            // An open transaction is dropped by it too (RFC 5321 section 4.1.1.10).
            drop(within(self.limits.quit, self.connection.command(Quit)).await);
        }
    }
}

/// How the writing of the message ended.
#[derive(Debug, Default)]
enum Ending {
    /// It didn't.
    #[default]
    Writing,
    /// All was handed over and recorded: the final "." may be written.
    Whole,
    /// The rest can't be had or recorded: the "." must not be written.
    Cut(String),
}

/// The message in pieces. It holds back the last CRLF, because lettre ends the message with
/// `CRLF "." CRLF` and one CRLF of it is the last line's.
struct Pieces<F> {
    headers: Option<Vec<u8>>,
    file: File,
    carry: Vec<u8>,
    finish: F,
}

impl<F: FnMut(io::Result<()>)> Iterator for Pieces<F> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if let Some(headers) = self.headers.take()
            && !headers.is_empty()
        {
            return Some(self.hold_back(headers));
        }
        let mut piece = Vec::with_capacity(PIECE + 2);
        piece.append(&mut self.carry);
        let held = piece.len();
        let read = (&self.file).take(PIECE as u64).read_to_end(&mut piece);
        match read {
            Ok(0) if held == 0 || piece == b"\r\n" => {
                (self.finish)(Ok(()));
                None
            }
            // A lone CR at the very end: no message of ours ends so, but its byte isn't ours to drop.
            Ok(0) => Some(piece),
            Ok(_) => Some(self.hold_back(piece)),
            Err(error) => {
                (self.finish)(Err(error));
                None
            }
        }
    }
}

impl<F> Pieces<F> {
    fn hold_back(&mut self, mut piece: Vec<u8>) -> Vec<u8> {
        let held = match piece.as_slice() {
            [.., b'\r', b'\n'] => 2,
            [.., b'\r'] => 1,
            _ => 0,
        };
        self.carry = piece.split_off(piece.len() - held);
        piece
    }
}

fn hello(name: Option<&str>) -> std::result::Result<ClientId, Cause> {
    match name {
        None => Ok(ClientId::Ipv4(Ipv4Addr::LOCALHOST)),
        Some(name) if !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(ClientId::Domain(name.to_owned()))
        }
        Some(name) => Err(Cause::BadAddress { text: name.to_owned() }),
    }
}

async fn within<T>(limit: Duration, step: impl Future<Output = T>) -> std::result::Result<T, Cause> {
    let after_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    timeout(limit, step).await.map_err(|_| Cause::Timeout { after_ms })
}

async fn connect(host: &str, port: u16, limits: &Limits) -> std::result::Result<TcpStream, Failure> {
    let found = within(limits.connect, tokio::net::lookup_host((host, port)))
        .await
        .map_err(at(Stage::Resolve))?
        .map_err(|error| failure(Stage::Resolve, Cause::Unresolved { detail: error.to_string() }))?;
    let mut last = Cause::Unresolved { detail: "it has no address".to_owned() };
    for address in found.take(MAX_ADDRESSES) {
        match within(limits.connect, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                // Commands are small and each waits for its answer. Only speed is lost without.
                tcp.set_nodelay(true).ok();
                return Ok(tcp);
            }
            Ok(Err(error)) => last = Cause::Unreachable { detail: error.to_string() },
            Err(cause) => last = cause,
        }
    }
    let stage = if matches!(last, Cause::Unresolved { .. }) { Stage::Resolve } else { Stage::Connect };
    Err(failure(stage, last))
}

/// Reads a reply and demands its first digit.
async fn expect<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    stage: Stage,
    digit: u16,
    limits: &Limits,
) -> std::result::Result<(), Failure> {
    let reply = within(limits.step, wire.reply())
        .await
        .map_err(at(stage))?
        .map_err(|error| failure(stage, io_cause(&error)))?;
    if reply.code / 100 == digit { Ok(()) } else { Err(failure(stage, Cause::Reply(reply))) }
}

/// Greeting, EHLO and STARTTLS in clear (RFC 3207); no word of the account is said before TLS.
async fn ask_for_tls(
    mut wire: Wire<TcpStream>,
    hello: &ClientId,
    limits: &Limits,
) -> std::result::Result<Wire<TcpStream>, Failure> {
    let broken = |stage| move |error: io::Error| failure(stage, io_cause(&error));
    expect(&mut wire, Stage::Banner, 2, limits).await?;
    wire.say(&format!("EHLO {hello}")).await.map_err(broken(Stage::Ehlo))?;
    expect(&mut wire, Stage::Ehlo, 2, limits).await?;
    if !wire.tap().with(|tap| Offers::parse(tap.lines())).starttls {
        return Err(failure(Stage::StartTls, Cause::NotOffered(Feature::StartTls)));
    }
    wire.say("STARTTLS").await.map_err(broken(Stage::StartTls))?;
    expect(&mut wire, Stage::StartTls, 2, limits).await?;
    if wire.has_unread() {
        return Err(failure(Stage::StartTls, Cause::Injected));
    }
    Ok(wire)
}

async fn secure(
    wire: Wire<TcpStream>,
    job: &Job<'_>,
) -> std::result::Result<Wire<tokio_rustls::client::TlsStream<TcpStream>>, Failure> {
    let server = &job.account.server;
    let config = tls::client_config(server.ca_file.as_deref()).map_err(at(Stage::Tls))?;
    let name = rustls::pki_types::ServerName::try_from(server.host.clone())
        .map_err(|_| failure(Stage::Tls, Cause::BadAddress { text: server.host.clone() }))?;
    let peer = wire.peer();
    let handshake = TlsConnector::from(config).connect(name, wire.into_inner());
    let stream = within(job.limits.step, handshake)
        .await
        .map_err(at(Stage::Tls))?
        .map_err(|error| failure(Stage::Tls, io_cause(&error)))?;
    Ok(Wire::new(stream, peer))
}

fn io_cause(error: &io::Error) -> Cause {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return Cause::Tls(tls::trouble(tls));
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => Cause::Closed,
        io::ErrorKind::InvalidData => Cause::Malformed { detail: error.to_string() },
        _ => Cause::Broken { detail: error.to_string() },
    }
}

fn lettre_cause(error: &lettre::transport::smtp::Error, tap: &TapHandle) -> Cause {
    if let Some(status) = error.status() {
        let code = u16::from(status);
        // A refused EHLO is followed by lettre's own QUIT, whose reply the tap then holds.
        let tapped = tap.with(|tap| tap.reply()).filter(|reply| reply.code / 100 == code / 100);
        let text = || error.source().map(ToString::to_string).unwrap_or_default();
        return Cause::Reply(tapped.unwrap_or_else(|| Reply { code, text: text() }));
    }
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return io_cause(io);
        }
        source = inner.source();
    }
    if tap.with(|tap| tap.eof) { Cause::Closed } else { Cause::Malformed { detail: error.to_string() } }
}
