//! One mail, one account, one connection. Only this file and `session.rs` drive lettre's transport;
//! `stream.rs` and `connect.rs` borrow a trait and a type from it.
//!
//! lettre is driven command by command over a connection of our own (`stream.rs`), because its
//! `send` gives the whole mail up at the first refused recipient, bounds only the TCP connect in
//! time, and can't tell a loss before the final "." from one after it.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use lettre::Address;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::MailParameter;

use super::connect::{at, failure, within};
use super::diagnose::classify;
use super::job::{Job, Ledger, Progress};
use super::pieces::Pieces;
use super::session::{Session, lettre_cause};
use super::verdict::{
    Attempt, Cause, Class, Failure, Feature, Outcome, RecipientResult, RecipientVerdict, Reply, Stage,
};
use crate::sys::fs::open_ours;

/// [`attempt`] for callers without a runtime: makes one for the time of the call.
pub fn attempt_blocking(job: &Job<'_>, ledger: Ledger<'_>) -> Attempt {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let cause = local(format!("can't wait for the network: {error}"));
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
        kept.map_err(|error| failure(Stage::RcptTo, Cause::local(&error)))?;
        if let Some(failure) = nobody_left(recipients) {
            return Err(failure);
        }
        session.message(job, body, size, ledger).await
    }
    .await;
    session.close().await;
    outcome
}

/// A cause on this machine that no [`crate::error::Error`] tells.
fn local(detail: String) -> Cause {
    Cause::Local { detail, hint: None }
}

fn open_body(job: &Job<'_>) -> std::result::Result<(File, u64), Cause> {
    let file = open_ours(job.body).and_then(|file| file.metadata().map(|meta| (file, meta.len())));
    match file {
        Ok((file, len)) => Ok((file, len + job.headers.len() as u64)),
        Err(error) => Err(local(format!("can't read {}: {error}", job.body.display()))),
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
    Some(worst.unwrap_or_else(|| failure(Stage::RcptTo, local("the mail has no recipient".to_owned()))))
}

impl Session {
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
        let finish = |read: io::Result<()>| {
            let kept = read
                .map_err(|error| local(format!("can't read {}: {error}", job.body.display())))
                .and_then(|()| ledger(Progress::BodySent).map_err(|error| Cause::local(&error)));
            if kept.is_err() {
                // lettre ends the message after the last piece, whatever we say.
                tap.with(|tap| tap.cut = true);
            }
            ending.set(match kept {
                Ok(()) => Ending::Whole,
                Err(cause) => Ending::Cut(cause),
            });
        };
        let pieces = Pieces::new(job.headers.clone(), body, finish);
        let answer = within(self.limits.data(size), self.connection.message_iter(pieces)).await;
        let whole = match ending.into_inner() {
            Ending::Cut(cause) => {
                self.dead = true;
                return Err(failure(Stage::Body, cause));
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
    Cut(Cause),
}
