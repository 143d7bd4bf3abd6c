//! A connection to a server, from its greeting to QUIT.

use std::fmt::Display;
use std::net::SocketAddr;

use lettre::transport::smtp::commands::{Ehlo, Quit, Starttls};
use lettre::transport::smtp::extension::ClientId;
use rustls::pki_types::ServerName;

use super::connect::{at, dial, failure, handshake_cause, hello, io_cause, resolve, within};
use super::ehlo::Offers;
use super::job::Limits;
use super::recorder::Recorder;
use super::reply::Answer;
use super::tls::{self, Presented};
use super::verdict::{Cause, Failure, Feature, Reply, Stage};
use super::wire::Wire;
use crate::config::{Account, Endpoint, Tls};

/// Something that happened while a session was opened.
pub(super) enum Seen<'a> {
    Addresses(&'a [SocketAddr]),
    Connected(SocketAddr),
    Encrypted(&'a Wire),
    Said(Stage, &'a Answer),
    Offers(&'a Offers),
}

/// Who looks on while a session is opened.
pub(super) trait Lookout {
    /// What takes the dialogue down.
    fn recorder(&self) -> Option<Recorder> {
        None
    }

    /// What gets the server's certificates, also bad ones.
    fn presented(&self) -> Option<Presented> {
        None
    }

    fn seen(&mut self, _what: Seen<'_>) {}
}

impl Lookout for Option<Recorder> {
    fn recorder(&self) -> Option<Recorder> {
        self.clone()
    }
}

/// A connection that has said EHLO, encrypted as the endpoint has it.
pub(super) struct Session {
    pub(super) wire: Wire,
    pub(super) offers: Offers,
    pub(super) limits: Limits,
    /// Nothing can be said any more, not even QUIT.
    pub(super) dead: bool,
}

impl Session {
    /// Connects, and says all that comes before AUTH. No word of the account is said before TLS.
    pub(super) async fn open(
        account: &Account,
        endpoint: Endpoint,
        lookout: &mut dyn Lookout,
    ) -> Result<Self, Failure> {
        let server = &account.server;
        let hello = hello(server.hello_name.as_deref()).map_err(at(Stage::Prepare))?;
        let limits = Limits::within(account.timeout);
        let addresses = resolve(&server.host, endpoint.port, &limits).await?;
        lookout.seen(Seen::Addresses(&addresses));
        let tcp = dial(addresses, &limits).await?;
        let wire = Wire::new(tcp, lookout.recorder());
        let wire = wire.map_err(|error| failure(Stage::Connect, io_cause(&error)))?;
        lookout.seen(Seen::Connected(wire.peer()));
        let mut session = Self { wire, offers: Offers::default(), limits, dead: false };
        if endpoint.tls == Tls::Implicit {
            session = session.encrypt(account, lookout).await?;
        }
        let greeting = session.greeting().await?;
        lookout.seen(Seen::Said(Stage::Banner, &greeting));
        session.hello(&hello).await?;
        lookout.seen(Seen::Offers(&session.offers));
        if endpoint.tls == Tls::StartTls {
            let granted = session.ask_for_tls().await?;
            lookout.seen(Seen::Said(Stage::StartTls, &granted));
            session = session.encrypt(account, lookout).await?;
            // What was offered in clear may be anybody's words (RFC 3207 section 4.2).
            session.hello(&hello).await?;
            lookout.seen(Seen::Offers(&session.offers));
        }
        Ok(session)
    }

    async fn greeting(&mut self) -> Result<Answer, Failure> {
        let greeting = within(self.limits.step, self.wire.reply()).await;
        let answer = self.positive(Stage::Banner, greeting)?;
        self.done(Stage::Banner, &answer)?;
        Ok(answer)
    }

    /// EHLO; HELO where the server doesn't know that (RFC 5321 section 3.2).
    async fn hello(&mut self, name: &ClientId) -> Result<(), Failure> {
        let refused = match self.say(Stage::Ehlo, Ehlo::new(name.clone())).await {
            Ok(answer) => {
                self.offers = Offers::parse(answer.lines.iter().map(String::as_str));
                return self.first_digit(Stage::Ehlo, &answer, 2);
            }
            Err(failure) => failure,
        };
        // 554 is for us, not for the verb; 421 and 4xx are for later.
        if !refused.reply().is_some_and(|reply| reply.code / 100 == 5 && reply.code != 554) {
            return Err(refused);
        }
        self.offers = Offers::default();
        match self.say(Stage::Ehlo, format_args!("HELO {name}\r\n")).await {
            Ok(answer) => self.first_digit(Stage::Ehlo, &answer, 2),
            Err(_) => Err(refused),
        }
    }

    async fn ask_for_tls(&mut self) -> Result<Answer, Failure> {
        if !self.offers.starttls {
            return Err(failure(Stage::StartTls, Cause::NotOffered(Feature::StartTls)));
        }
        let answer = self.say(Stage::StartTls, Starttls).await?;
        self.first_digit(Stage::StartTls, &answer, 2)?;
        if self.wire.has_unread() {
            return Err(failure(Stage::StartTls, Cause::Injected));
        }
        Ok(answer)
    }

    async fn encrypt(self, account: &Account, lookout: &mut dyn Lookout) -> Result<Self, Failure> {
        let server = &account.server;
        let config =
            tls::client_config(server.ca_file.as_deref(), lookout.presented()).map_err(at(Stage::Tls))?;
        let name = ServerName::try_from(server.host.clone())
            .map_err(|_| failure(Stage::Tls, Cause::BadAddress { text: server.host.clone() }))?;
        let wire = within(self.limits.step, self.wire.encrypt(config, name))
            .await
            .map_err(at(Stage::Tls))?
            .map_err(|error| failure(Stage::Tls, handshake_cause(&error)))?;
        lookout.seen(Seen::Encrypted(&wire));
        Ok(Self { wire, offers: Offers::default(), ..self })
    }

    /// Says one command, its CRLF included; a negative answer is a failure.
    pub(super) async fn say(&mut self, stage: Stage, command: impl Display) -> Result<Answer, Failure> {
        let command = command.to_string();
        self.say_as(stage, command.as_bytes(), &command).await
    }

    /// The same for what must not be shown, nor lie about in a string; `shown` stands for it.
    pub(super) async fn say_as(
        &mut self,
        stage: Stage,
        command: &[u8],
        shown: &str,
    ) -> Result<Answer, Failure> {
        self.wire.note_command(shown);
        let answer = within(self.limits.step, self.wire.ask(command)).await;
        self.positive(stage, answer)
    }

    fn positive(
        &mut self,
        stage: Stage,
        answer: Result<std::io::Result<Answer>, Cause>,
    ) -> Result<Answer, Failure> {
        let cause = match answer {
            Ok(Ok(answer)) if answer.digit() < 4 => return Ok(answer),
            Ok(Ok(refusal)) => Cause::Reply(refusal.reply()),
            Ok(Err(error)) => io_cause(&error),
            Err(timeout) => timeout,
        };
        // After 421 the server closes (RFC 5321 section 3.8); after anything but a reply the
        // dialogue is out of step.
        self.dead |= !matches!(&cause, Cause::Reply(reply) if reply.code != 421);
        Err(failure(stage, cause))
    }

    /// Demands an intermediate reply (3yz).
    pub(super) fn go_on(&mut self, stage: Stage, answer: &Answer) -> Result<(), Failure> {
        self.first_digit(stage, answer, 3)
    }

    /// Demands a completion (2yz).
    pub(super) fn done(&mut self, stage: Stage, answer: &Answer) -> Result<(), Failure> {
        self.first_digit(stage, answer, 2)
    }

    fn first_digit(&mut self, stage: Stage, answer: &Answer, digit: u16) -> Result<(), Failure> {
        if answer.digit() == digit {
            return Ok(());
        }
        self.dead = true;
        Err(failure(stage, out_of_step(&answer.reply())))
    }

    /// Says goodbye. What the server makes of it changes nothing: QQ often just closes.
    pub(super) async fn close(mut self) {
        if !self.dead {
            // An open transaction is dropped by it too (RFC 5321 section 4.1.1.10).
            let quit = Quit.to_string();
            self.wire.note_command(&quit);
            drop(within(self.limits.quit, self.wire.ask(quit.as_bytes())).await);
        }
    }
}

/// A reply of a kind that has no meaning where it came.
pub(super) fn out_of_step(reply: &Reply) -> Cause {
    Cause::Malformed { detail: format!("out of step: {reply}") }
}
