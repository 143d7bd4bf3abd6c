//! One account on trial: its code, the way to its server, and with `--send` a mail.

use std::io::Write;
use std::path::PathBuf;

use super::checkup::{
    AccountReport, AuthCode, Before, Mail, Paused, Refused, RefusedRecipient, StepReport, Went, deciding,
    not_reached, stages,
};
use super::values;
use super::words::{look_for_it, test_mail};
use crate::config::read_secret::read_secret;
use crate::config::{Account, Endpoint, Mailbox, Secret, Settings};
use crate::deliver::courier::Courier;
use crate::deliver::diagnose::{Diagnosis, Scene, diagnose, diagnose_cause};
use crate::deliver::job::Job;
use crate::deliver::probe::{Reach, Step, probe};
use crate::deliver::recorder::Recorder;
use crate::deliver::verdict::{Attempt, Cause, Class, Failure, Outcome, RecipientVerdict, Stage};
use crate::error::{Error, Kind, Result};
use crate::mail::compose::compose_plain;
use crate::mail::draft::{Draft, header_block, message_id};
use crate::outbox::accounts::{Login, Showed};
use crate::outbox::store::Store;
use crate::render::i18n::Lang;
use crate::sys::{best_effort, clock, fs, host, ids};

/// What is wanted of each account.
#[derive(Debug)]
pub struct Wish {
    /// Asked about by RCPT.
    pub recipients: Vec<String>,
    pub end: EndOfIt,
    pub dialogue: Dialogue,
    /// Of the mail.
    pub lang: Lang,
}

/// What follows a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndOfIt {
    Nothing,
    Mail,
}

/// Whether the dialogue is taken down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialogue {
    Forgotten,
    Shown,
}

/// What accounts are tried with.
#[derive(Debug)]
pub struct Examiner<'a> {
    pub settings: &'a Settings,
    /// The outboxes that there are: they know what was learnt of an account before.
    pub stores: &'a [Store],
    pub wish: Wish,
}

impl Examiner<'_> {
    /// Gets as far as one gets.
    pub fn examine(&self, account: &Account) -> AccountReport {
        let mut report = self.blank(account);
        let Some(secret) = read_code(account, &mut report.auth_code) else {
            report.steps = self.none_tried(account);
            report.mail = self.mail_not_sent(account);
            return report;
        };
        let recorder = (self.wish.dialogue == Dialogue::Shown).then(Recorder::new);
        let logins = self.begin(account, &secret);
        let reach = match self.wish.recipients.as_slice() {
            [] => Reach::Login(&secret),
            recipients => Reach::Verify(&secret, recipients),
        };
        let steps = probe(account, reach, recorder.clone());
        let decides = deciding(&steps);
        let failure = decides.and_then(|at| steps[at].failure.as_ref());
        self.learn(account, &logins, failure.map_or(Showed::LoggedIn, Showed::Failed));
        report.ok = failure.is_none();
        report.steps = self.told(account, &steps, decides);
        report.mail = match (failure, self.wish.end) {
            (None, EndOfIt::Mail) => Some(self.send(account, &secret, recorder.clone())),
            _ => self.mail_not_sent(account),
        };
        report.ok &=
            report.mail.as_ref().is_none_or(|mail| mail.state == Went::Ok && mail.refused.is_empty());
        report.transcript = recorder.map(|recorder| recorder.transcript());
        report
    }

    /// What is told of it when it isn't tried at all: its settings come first.
    pub fn leave_alone(&self, account: &Account) -> AccountReport {
        let steps = self.none_tried(account);
        AccountReport { steps, mail: self.mail_not_sent(account), ..self.blank(account) }
    }

    fn blank(&self, account: &Account) -> AccountReport {
        AccountReport {
            name: account.name.clone(),
            address: account.address.clone(),
            host: account.server.host.clone(),
            port: account.server.port,
            tls: account.server.tls,
            ok: false,
            auth_code: AuthCode {
                source: account.secret.as_ref().map(values::secret),
                warning: None,
                error: None,
                fix: None,
            },
            before: self.before(account),
            steps: Vec::new(),
            mail: None,
            transcript: None,
        }
    }

    fn before(&self, account: &Account) -> Before {
        let now = clock::now();
        let scene = scene(account, account.server.port);
        let mut before = Before::default();
        for health in self.stores.iter().map(|store| store.health(account)) {
            let refused = health.refusal.as_ref().map(|refusal| Refused {
                count: refusal.count,
                last: refusal.last,
                next: refusal.next_login(),
                diagnosis: diagnose(&refusal.failure, &scene),
            });
            let pause = health.pause.as_ref().filter(|pause| pause.until > now);
            let paused =
                pause.map(|pause| Paused { until: pause.until, diagnosis: diagnose(&pause.failure, &scene) });
            before.refused = before.refused.or(refused);
            before.paused = before.paused.or(paused);
            before.unreachable = before.unreachable.or(health.unreachable);
        }
        before
    }

    /// Asked for by a person: nothing that an account waits for holds it back.
    fn begin(&self, account: &Account, secret: &Secret) -> Vec<Login> {
        self.stores.iter().map(|store| store.begin_login(account, secret, clock::now())).collect()
    }

    fn learn(&self, account: &Account, logins: &[Login], showed: Showed<'_>) {
        for (store, login) in self.stores.iter().zip(logins) {
            store.end_login(account, login, showed, clock::now());
        }
    }

    fn told(&self, account: &Account, steps: &[Step], decides: Option<usize>) -> Vec<StepReport> {
        let mut told: Vec<StepReport> = steps.iter().map(|step| told(account, step)).collect();
        if let Some(at) = decides {
            told[at].decides = true;
        }
        if let Some(last) = steps.last().filter(|last| last.failure.is_some()) {
            let plan = stages(last.endpoint.tls, !self.wish.recipients.is_empty());
            let left = not_reached(steps, &plan).into_iter();
            told.extend(left.map(|stage| not_tried(stage, last.endpoint)));
        }
        told
    }

    fn none_tried(&self, account: &Account) -> Vec<StepReport> {
        let endpoint = account.server.endpoint();
        let plan = stages(endpoint.tls, !self.wish.recipients.is_empty());
        plan.into_iter().map(|stage| not_tried(stage, endpoint)).collect()
    }

    fn mail_not_sent(&self, account: &Account) -> Option<Mail> {
        (self.wish.end == EndOfIt::Mail).then(|| self.no_mail(account))
    }

    fn no_mail(&self, account: &Account) -> Mail {
        Mail {
            state: Went::NotTried,
            to: self.recipients(account).into_iter().map(|to| to.address).collect(),
            message_id: None,
            elapsed_ms: None,
            receipt: None,
            stage: None,
            diagnosis: None,
            refused: Vec::new(),
        }
    }

    /// Where its notices go; those who get copies of them are spared.
    fn recipients(&self, account: &Account) -> Vec<Mailbox> {
        match self.settings.mail.to.as_slice() {
            [] => vec![Mailbox { name: None, address: account.address.clone() }],
            to => to.to_vec(),
        }
    }

    /// Straight to the server, not through the outbox: what fails here is told at once, and must not
    /// come hours later, or by another account.
    fn send(&self, account: &Account, secret: &Secret, recorder: Option<Recorder>) -> Mail {
        let mut mail = self.no_mail(account);
        let message_id = message_id(&ids::timed_id(clock::now()), domain_of(&account.address));
        let letter = match Letter::write(self, account, &message_id) {
            Ok(letter) => letter,
            Err(error) => {
                fail(&mut mail, &local(&error), &scene(account, account.server.port));
                return mail;
            }
        };
        let logins = self.begin(account, secret);
        let Letter { headers, body } = letter;
        let job = Job { account, secret, recipients: &mail.to, headers, body: &body };
        let mut courier = recorder.map_or_else(Courier::new, Courier::recording);
        let attempt = courier.attempt(&job, &mut |_| Ok(()));
        courier.hang_up();
        best_effort(std::fs::remove_file(&body));
        mail.message_id = Some(message_id);
        let showed = of_attempt(&mut mail, &attempt, &scene(account, attempt.endpoint.port));
        self.learn(account, &logins, showed);
        mail
    }
}

fn of_attempt<'a>(mail: &mut Mail, attempt: &'a Attempt, scene: &Scene<'_>) -> Showed<'a> {
    mail.elapsed_ms = Some(u64::try_from(attempt.elapsed.as_millis()).unwrap_or(u64::MAX));
    for result in &attempt.recipients {
        if let RecipientVerdict::Refused { class, cause } = &result.verdict {
            let diagnosis = diagnose_cause(Stage::RcptTo, *class, cause, scene);
            mail.refused.push(RefusedRecipient { address: result.address.clone(), diagnosis });
        }
    }
    match &attempt.outcome {
        Outcome::Accepted { receipt } => {
            mail.state = Went::Ok;
            mail.receipt = Some(receipt.to_string());
            Showed::Delivered
        }
        Outcome::Failed(failure) | Outcome::Unknown(failure) => {
            fail(mail, failure, scene);
            Showed::Failed(failure)
        }
    }
}

fn fail(mail: &mut Mail, failure: &Failure, scene: &Scene<'_>) {
    mail.state = Went::Failed;
    mail.stage = Some(failure.stage);
    let mut diagnosis = diagnose(failure, scene);
    if failure.class == Class::Unknown {
        diagnosis.fix = look_for_it();
    }
    mail.diagnosis = Some(diagnosis);
}

/// A mail that is ready to go.
struct Letter {
    headers: Vec<u8>,
    body: PathBuf,
}

impl Letter {
    fn write(examiner: &Examiner<'_>, account: &Account, message_id: &str) -> Result<Self> {
        let now = clock::now().to_zoned(jiff::tz::TimeZone::system());
        let (subject, text) = test_mail(&account.name, &host::name(), &now, examiner.wish.lang);
        let name = examiner.settings.mail.from_name.clone();
        let headers = header_block(&Draft {
            message_id: message_id.to_owned(),
            date: now,
            from: Mailbox { name, address: account.address.clone() },
            to: examiner.recipients(account),
            cc: Vec::new(),
            subject,
        })?;
        let body = std::env::temp_dir().join(format!("notify-done-{}.mime", ids::random_hex(16)));
        let unwritable = |e: std::io::Error| {
            Error::new(Kind::Storage, format!("can't write {}", body.display()))
                .because(e)
                .hint("set TMPDIR to a folder that can be written")
        };
        let mut file = fs::create_private(&body).map_err(unwritable)?;
        let written = compose_plain(&mut file, &text).and_then(|()| file.flush().map_err(unwritable));
        if let Err(error) = written {
            best_effort(std::fs::remove_file(&body));
            return Err(error);
        }
        Ok(Self { headers, body })
    }
}

fn local(error: &Error) -> Failure {
    Failure { stage: Stage::Prepare, class: Class::Transient, cause: Cause::local(error) }
}

/// None: it can't be had, and `told` says why.
fn read_code(account: &Account, told: &mut AuthCode) -> Option<Secret> {
    let read = match &account.secret {
        Some(source) => read_secret(source),
        None => Err(crate::commands::outbox::no_code(account)),
    };
    match read {
        Ok(read) => {
            told.warning = read.warning;
            Some(read.secret)
        }
        Err(error) => {
            told.error = Some(error.to_string());
            told.fix = error.hints.into_iter().next();
            None
        }
    }
}

fn told(account: &Account, step: &Step) -> StepReport {
    let diagnosis: Option<Diagnosis> =
        step.failure.as_ref().map(|failure| diagnose(failure, &scene(account, step.endpoint.port)));
    StepReport {
        stage: step.stage,
        state: if step.failure.is_some() { Went::Failed } else { Went::Ok },
        port: step.endpoint.port,
        tls: step.endpoint.tls,
        elapsed_ms: Some(step.elapsed_ms),
        found: step.found.clone(),
        diagnosis,
        decides: false,
    }
}

fn not_tried(stage: Stage, endpoint: Endpoint) -> StepReport {
    StepReport {
        stage,
        state: Went::NotTried,
        port: endpoint.port,
        tls: endpoint.tls,
        elapsed_ms: None,
        found: None,
        diagnosis: None,
        decides: false,
    }
}

fn scene(account: &Account, port: u16) -> Scene<'_> {
    Scene {
        account: &account.name,
        address: &account.address,
        login: &account.username,
        host: &account.server.host,
        port,
    }
}

fn domain_of(address: &str) -> Option<&str> {
    address.rsplit_once('@').map(|(_, domain)| domain)
}
