//! One mail over one session: envelope and message. The one place that decides what counts as
//! delivered.

use lettre::Address;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{MailBodyParameter, MailParameter};

use super::body::Message;
use super::connect::{at, failure, io_cause, within};
use super::diagnose::classify;
use super::job::{Job, Ledger, Progress};
use super::session::{Session, out_of_step};
use super::verdict::{Cause, Class, Failure, Feature, Outcome, RecipientResult, RecipientVerdict, Stage};
use super::wire::Written;

/// A cause on this machine that no [`crate::error::Error`] tells.
pub(super) fn local(detail: String) -> Cause {
    Cause::Local { detail, hint: None }
}

pub(super) fn parse_address(address: &str) -> Result<Address, Cause> {
    address.parse().map_err(|_| Cause::BadAddress { text: address.to_owned() })
}

fn unreadable(job: &Job<'_>, error: &std::io::Error) -> Cause {
    local(format!("can't read {}: {error}", job.body.display()))
}

/// A job with what of it can fail before the first packet.
pub(super) struct Mailing<'a> {
    job: &'a Job<'a>,
    from: Address,
    message: Message<'a>,
}

impl<'a> Mailing<'a> {
    pub(super) fn prepare(job: &'a Job<'a>) -> Result<Self, Failure> {
        let prepare = at(Stage::Prepare);
        // Without the body there is nothing to say to a server.
        let message =
            Message::open(&job.headers, job.body).map_err(|error| prepare(unreadable(job, &error)))?;
        let from = parse_address(&job.account.address).map_err(&prepare)?;
        Ok(Self { job, from, message })
    }
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
    /// MAIL to the answer after the final ".".
    pub(super) async fn deliver(
        &mut self,
        mail: &Mailing<'_>,
        recipients: &mut Vec<RecipientResult>,
        ledger: Ledger<'_>,
    ) -> Result<Outcome, Failure> {
        self.begin(mail).await?;
        for address in mail.job.recipients {
            let verdict = self.recipient(address).await?;
            recipients.push(RecipientResult { address: address.clone(), verdict });
        }
        let kept = ledger(Progress::Recipients(recipients));
        kept.map_err(|error| failure(Stage::RcptTo, Cause::local(&error)))?;
        if let Some(failure) = nobody_left(recipients) {
            return Err(failure);
        }
        self.message(mail, ledger).await
    }

    /// MAIL with its parameters.
    async fn begin(&mut self, mail: &Mailing<'_>) -> Result<(), Failure> {
        let Mailing { job, from, message } = mail;
        let mut parameters = Vec::new();
        let bytes = message.size;
        let offered = self.offers.size.filter(|limit| *limit > 0);
        // What is known of the provider counts where it says nothing, or more than it takes.
        let limit = offered.unwrap_or(u64::MAX).min(job.account.server.max_message);
        if bytes > limit {
            return Err(failure(Stage::MailFrom, Cause::TooLarge { bytes, limit }));
        }
        if self.offers.size.is_some() {
            parameters.push(MailParameter::Size(usize::try_from(bytes).unwrap_or(usize::MAX)));
        }
        if self.offers.eightbitmime {
            let unreadable = |error: std::io::Error| failure(Stage::Prepare, unreadable(job, &error));
            if message.is_8bit().map_err(unreadable)? {
                parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
            }
        }
        let foreign = |text: &str| !text.is_ascii();
        if foreign(&job.account.address) || job.recipients.iter().any(|to| foreign(to)) {
            if self.offers.smtputf8 {
                parameters.push(MailParameter::SmtpUtfEight);
            } else if foreign(&job.account.address) {
                return Err(failure(Stage::MailFrom, Cause::NotOffered(Feature::SmtpUtf8)));
            }
        }
        let answer = self.say(Stage::MailFrom, Mail::new(Some(from.clone()), parameters)).await?;
        self.done(Stage::MailFrom, &answer)
    }

    /// RCPT; a refusal is this recipient's alone, as long as the server listens.
    async fn recipient(&mut self, address: &str) -> Result<RecipientVerdict, Failure> {
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
            Ok(answer) => self.done(Stage::RcptTo, &answer).map(|()| RecipientVerdict::Accepted),
            Err(failure) if !self.dead => {
                Ok(RecipientVerdict::Refused { class: failure.class, cause: failure.cause })
            }
            Err(failure) => Err(failure),
        }
    }

    /// DATA, the message, and the answer to its end.
    async fn message(&mut self, mail: &Mailing<'_>, ledger: Ledger<'_>) -> Result<Outcome, Failure> {
        let answer = self.say(Stage::Data, Data).await?;
        self.go_on(Stage::Data, &answer)?;
        // Until its answer is here, nothing else can be said: not even QUIT.
        self.dead = true;
        let limit = self.limits.data(mail.message.size);
        within(limit, self.write(mail)).await.map_err(at(Stage::Body))??;
        ledger(Progress::BodySent).map_err(|error| failure(Stage::Body, Cause::local(&error)))?;
        if self.wire.spoke().await {
            // It would be taken for the answer to the ".".
            return Err(self.interrupted(Cause::Closed).await);
        }
        self.wire.note_command(&format!("[{} bytes]", mail.message.size));
        self.wire.note_command(".");
        let cause = match within(self.limits.answer, self.wire.ask(b".\r\n")).await {
            Ok(Ok(answer)) if answer.digit() == 2 => {
                self.dead = false;
                let receipt = answer.reply();
                // A failure to record is the ledger's owner's to tell: the mail is out.
                self.dead = ledger(Progress::Accepted(&receipt)).is_err();
                return Ok(Outcome::Accepted { receipt });
            }
            Ok(Ok(answer)) if answer.digit() == 3 => out_of_step(&answer.reply()),
            Ok(Ok(refusal)) => {
                self.dead = refusal.code == 421;
                Cause::Reply(refusal.reply())
            }
            Ok(Err(error)) => io_cause(&error),
            Err(timeout) => timeout,
        };
        let failure = failure(Stage::AfterDot, cause);
        let unknown = failure.class == Class::Unknown;
        Ok(if unknown { Outcome::Unknown(failure) } else { Outcome::Failed(failure) })
    }

    /// Writes all of the message but the line with the ".".
    async fn write(&mut self, mail: &Mailing<'_>) -> Result<(), Failure> {
        let mut pieces = mail.message.pieces();
        loop {
            let unreadable = |error: std::io::Error| failure(Stage::Body, unreadable(mail.job, &error));
            let written = match pieces.next().map_err(unreadable)? {
                Some(piece) => within(self.limits.data_base, self.wire.write_part(piece)).await,
                None => {
                    let flushed = within(self.limits.data_base, self.wire.flush()).await;
                    if let Ok(Ok(Written::All)) = flushed {
                        return Ok(());
                    }
                    flushed
                }
            };
            match written {
                Ok(Ok(Written::All)) => {}
                Ok(Ok(Written::Interrupted)) => return Err(self.interrupted(Cause::Closed).await),
                Ok(Err(error)) => return Err(self.interrupted(io_cause(&error)).await),
                Err(timeout) => return Err(failure(Stage::Body, timeout)),
            }
        }
    }

    /// A server that refuses in the middle of the message says why and closes: the write fails, and
    /// the reason waits to be read. `otherwise`: when it doesn't.
    async fn interrupted(&mut self, otherwise: Cause) -> Failure {
        let cause = match within(self.limits.quit, self.wire.reply()).await {
            Ok(Ok(answer)) if answer.digit() >= 4 => Cause::Reply(answer.reply()),
            Ok(Ok(answer)) => out_of_step(&answer.reply()),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::InvalidData => io_cause(&error),
            _ => otherwise,
        };
        failure(Stage::Body, cause)
    }
}
