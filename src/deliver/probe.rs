//! How far one gets with an account, step by step, without sending a mail: for `notify-done doctor`.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lettre::transport::smtp::commands::{Mail, Rcpt, Rset};
use rustls::pki_types::CertificateDer;
use serde::Serialize;

use super::connect::failure;
use super::ehlo::Offers;
use super::recorder::Recorder;
use super::reply::{Answer, harmless};
use super::session::{Lookout, Seen, Session};
use super::smtp::{local, parse_address};
use super::tls::{Presented, version_and_cipher};
use super::verdict::{Cause, Failure, Reply, Stage};
use super::wire::Wire;
use crate::config::{Account, Endpoint, Secret};
use crate::sys::clock;

/// Longest name in a certificate that is shown, bytes.
const LONGEST_NAME: usize = 300;

/// How far to go.
#[derive(Debug, Clone, Copy)]
pub enum Reach<'a> {
    /// To EHLO: needs no code.
    Hello,
    /// To AUTH.
    Login(&'a Secret),
    /// Also asks whether these would be taken as recipients (MAIL, RCPT, RSET).
    Verify(&'a Secret, &'a [String]),
}

/// One step that was made, or the one that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    pub endpoint: Endpoint,
    pub stage: Stage,
    pub elapsed_ms: u64,
    /// What it brought to light; a failed step may have something to show, too.
    pub found: Option<Found>,
    pub failure: Option<Failure>,
}

/// What a step found, as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// In the order in which they are tried.
    Addresses(Vec<IpAddr>),
    /// Which of them connected.
    Connected(SocketAddr),
    Tls(TlsFacts),
    /// The server's words.
    Said(Reply),
    Offers(Offers),
    /// A recipient that was asked about, and the answer; a refused one is a failure.
    Recipient {
        address: String,
        reply: Reply,
    },
}

/// What the handshake came to. Without version and cipher it failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TlsFacts {
    /// `TLSv1_3`.
    pub version: Option<String>,
    /// `TLS13_AES_256_GCM_SHA384`.
    pub cipher: Option<String>,
    /// As the server shows them, its own first.
    pub chain: Vec<Certificate>,
}

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Certificate {
    pub subject: String,
    pub issuer: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// Whole days until `not_after` by this machine's clock; negative: it has expired.
    pub days_left: i64,
}

/// Makes the steps, one after the other, to the first that fails: then at the account's next
/// endpoint, as a real mail would. The last step is the one that failed, or the last there is.
/// Never hangs: every step has its limit.
pub fn probe(account: &Account, reach: Reach<'_>, recorder: Option<Recorder>) -> Vec<Step> {
    let endpoint = account.server.endpoint();
    let presented = Presented::default();
    let mut prober = Prober { steps: Vec::new(), endpoint, since: Instant::now(), recorder, presented };
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            runtime.block_on(prober.walk(account, reach));
            // A getaddrinfo that hangs has a thread.
            runtime.shutdown_background();
        }
        Err(error) => {
            let cause = local(format!("can't wait for the network: {error}"));
            prober.step(Stage::Prepare, None, Some(failure(Stage::Prepare, cause)));
        }
    }
    prober.steps
}

/// Takes the steps down as they are made.
struct Prober {
    steps: Vec<Step>,
    endpoint: Endpoint,
    /// When the last step ended.
    since: Instant,
    recorder: Option<Recorder>,
    presented: Presented,
}

impl Prober {
    fn step(&mut self, stage: Stage, found: Option<Found>, failure: Option<Failure>) {
        let elapsed: Duration = self.since.elapsed();
        self.since = Instant::now();
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.steps.push(Step { endpoint: self.endpoint, stage, elapsed_ms, found, failure });
    }

    fn failed(&mut self, failure: Failure) {
        let chain = chain(&self.presented.chain());
        let shown = failure.stage == Stage::Tls && !chain.is_empty();
        let found = shown.then_some(Found::Tls(TlsFacts { version: None, cipher: None, chain }));
        self.step(failure.stage, found, Some(failure));
    }

    async fn walk(&mut self, account: &Account, reach: Reach<'_>) {
        for endpoint in account.server.endpoints() {
            self.endpoint = endpoint;
            self.presented = Presented::default();
            match Session::open(account, endpoint, self).await {
                Ok(session) => return self.log_in(session, account, reach).await,
                Err(failure) => {
                    let go_on = failure.another_port_may_do();
                    self.failed(failure);
                    if !go_on {
                        return;
                    }
                }
            }
        }
    }

    async fn log_in(&mut self, mut session: Session, account: &Account, reach: Reach<'_>) {
        let (secret, recipients) = match reach {
            Reach::Hello => return session.close().await,
            Reach::Login(secret) => (secret, &[][..]),
            Reach::Verify(secret, recipients) => (secret, recipients),
        };
        match session.login(account, secret).await {
            Ok(answer) => {
                self.seen(Seen::Said(Stage::Auth, &answer));
                if !recipients.is_empty()
                    && let Err(failure) = self.verify(&mut session, account, recipients).await
                {
                    self.failed(failure);
                }
            }
            Err(failure) => self.failed(failure),
        }
        session.close().await;
    }

    async fn verify(
        &mut self,
        session: &mut Session,
        account: &Account,
        recipients: &[String],
    ) -> Result<(), Failure> {
        let bad = |stage| move |cause: Cause| failure(stage, cause);
        let from = parse_address(&account.address).map_err(bad(Stage::MailFrom))?;
        let answer = session.say(Stage::MailFrom, Mail::new(Some(from), Vec::new())).await?;
        self.seen(Seen::Said(Stage::MailFrom, &answer));
        for address in recipients {
            let to = parse_address(address).map_err(bad(Stage::RcptTo))?;
            let answer = session.say(Stage::RcptTo, Rcpt::new(to, Vec::new())).await?;
            let found = Found::Recipient { address: address.clone(), reply: answer.reply() };
            self.step(Stage::RcptTo, Some(found), None);
        }
        // The transaction ends here, whatever the server says to that.
        session.say(Stage::Quit, Rset).await.ok();
        Ok(())
    }
}

impl Lookout for Prober {
    fn recorder(&self) -> Option<Recorder> {
        self.recorder.clone()
    }

    fn presented(&self) -> Option<Presented> {
        Some(self.presented.clone())
    }

    fn seen(&mut self, what: Seen<'_>) {
        let (stage, found) = match what {
            Seen::Addresses(all) => {
                (Stage::Resolve, Found::Addresses(all.iter().map(SocketAddr::ip).collect()))
            }
            Seen::Connected(peer) => (Stage::Connect, Found::Connected(peer)),
            Seen::Encrypted(wire) => (Stage::Tls, Found::Tls(self.tls_facts(wire))),
            Seen::Said(stage, answer) => (stage, said(answer)),
            Seen::Offers(offers) => (Stage::Ehlo, Found::Offers(offers.clone())),
        };
        self.step(stage, Some(found), None);
    }
}

impl Prober {
    fn tls_facts(&self, wire: &Wire) -> TlsFacts {
        let (version, cipher) = version_and_cipher(wire.tls());
        TlsFacts { version, cipher, chain: chain(&self.presented.chain()) }
    }
}

fn said(answer: &Answer) -> Found {
    Found::Said(answer.reply())
}

/// Those that can be read.
fn chain(shown: &[CertificateDer<'_>]) -> Vec<Certificate> {
    let now = clock::now();
    shown.iter().filter_map(|certificate| facts(certificate, now)).collect()
}

fn facts(certificate: &[u8], now: Timestamp) -> Option<Certificate> {
    let (_, read) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let time = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp()).ok();
    let not_after = time(read.validity().not_after)?;
    Some(Certificate {
        subject: harmless(&read.subject().to_string(), LONGEST_NAME),
        issuer: harmless(&read.issuer().to_string(), LONGEST_NAME),
        not_before: time(read.validity().not_before)?,
        not_after,
        days_left: (not_after.as_second() - now.as_second()).div_euclid(86_400),
    })
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
