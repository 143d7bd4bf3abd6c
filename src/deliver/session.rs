//! A connection to a server, from EHLO to QUIT: saying commands by lettre's transport, and logging in.

use std::error::Error as StdError;
use std::fmt::{Debug, Display};
use std::io;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::Quit;
use lettre::transport::smtp::extension::ClientId;
use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncWrite};

use super::connect::{
    ask_for_tls, at, clear_text_is_safe, connect, expect, failure, hello, io_cause, secure, within,
};
use super::ehlo::Offers;
use super::job::{Job, Limits};
use super::stream::{TapHandle, Wire};
use super::verdict::{Cause, Failure, Feature, Reply, Stage};
use crate::config::{Auth, Tls};

/// A connection that has said EHLO, encrypted as the account wants it.
pub(super) struct Session {
    pub(super) connection: AsyncSmtpConnection,
    pub(super) tap: TapHandle,
    pub(super) offers: Offers,
    pub(super) limits: Limits,
    peer: SocketAddr,
    encrypted: bool,
    /// Nothing can be said any more, not even QUIT.
    pub(super) dead: bool,
}

impl Session {
    pub(super) async fn open(job: &Job<'_>) -> std::result::Result<Self, Failure> {
        let server = &job.account.server;
        let hello = hello(server.hello_name.as_deref()).map_err(at(Stage::Prepare))?;
        let limits = Limits::within(job.account.timeout);
        let tcp = connect(&server.host, server.port, &limits).await?;
        let peer = tcp.peer_addr().map_err(|error| failure(Stage::Connect, io_cause(&error)))?;
        let wire = Wire::new(tcp, peer);
        match server.tls {
            Tls::None => Self::greet(wire, &hello, limits, false).await,
            Tls::Implicit => Self::greet(secure(wire, job, &limits).await?, &hello, limits, true).await,
            Tls::StartTls => {
                let wire = secure(ask_for_tls(wire, &hello, &limits).await?, job, &limits).await?;
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
        S: AsyncRead + AsyncWrite + Send + Sync + Unpin + Debug + 'static,
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
        S: AsyncRead + AsyncWrite + Send + Sync + Unpin + Debug + 'static,
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
    pub(super) async fn say(
        &mut self,
        stage: Stage,
        command: impl Display,
    ) -> std::result::Result<Reply, Failure> {
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

    pub(super) async fn login(&mut self, job: &Job<'_>) -> std::result::Result<(), Failure> {
        if !self.encrypted && !clear_text_is_safe(self.peer.ip()) {
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
        let (user, code) = (&job.account.username, job.secret.expose());
        let forms = [BASE64.encode(format!("\0{user}\0{code}")), BASE64.encode(code), code.to_owned()];
        self.tap.with(|tap| tap.conceal(forms.into_iter().map(SecretString::from).collect()));
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
    pub(super) fn go_on(&mut self, stage: Stage, reply: &Reply) -> std::result::Result<(), Failure> {
        self.first_digit(stage, reply, 3)
    }

    /// Demands a completion (2yz).
    pub(super) fn done(&mut self, stage: Stage, reply: &Reply) -> std::result::Result<(), Failure> {
        self.first_digit(stage, reply, 2)
    }

    fn first_digit(&mut self, stage: Stage, reply: &Reply, digit: u16) -> std::result::Result<(), Failure> {
        if reply.code / 100 == digit {
            return Ok(());
        }
        self.dead = true;
        Err(failure(stage, Cause::Malformed { detail: format!("out of step: {reply}") }))
    }

    /// Says goodbye. What the server makes of it changes nothing: QQ often just closes.
    pub(super) async fn close(mut self) {
        if !self.dead {
            // An open transaction is dropped by it too (RFC 5321 section 4.1.1.10).
            drop(within(self.limits.quit, self.connection.command(Quit)).await);
        }
    }
}

pub(super) fn lettre_cause(error: &lettre::transport::smtp::Error, tap: &TapHandle) -> Cause {
    if let Some(status) = error.status() {
        let code = u16::from(status);
        // A refused EHLO is followed by lettre's own QUIT, whose reply the tap then holds.
        let tapped = tap.with(|tap| tap.reply()).filter(|reply| reply.code / 100 == code / 100);
        let text = || tap.with(|tap| tap.hide(&error.source().map(ToString::to_string).unwrap_or_default()));
        return Cause::Reply(tapped.unwrap_or_else(|| Reply { code, text: text() }));
    }
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return io_cause(io);
        }
        source = inner.source();
    }
    if tap.with(|tap| tap.eof) {
        Cause::Closed
    } else {
        Cause::Malformed { detail: tap.with(|tap| tap.hide(&error.to_string())) }
    }
}
