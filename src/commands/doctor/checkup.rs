//! What a checkup found, as data: the document of `--json`, and what the page is made of. Every key is
//! always there; `null` where there is nothing to tell. Pure.

use jiff::Timestamp;
use serde::Serialize;

use crate::config::{Diagnostic, Severity, Source, Tls};
use crate::deliver::diagnose::Diagnosis;
use crate::deliver::probe::{Found, Step};
use crate::deliver::transcript::Transcript;
use crate::deliver::verdict::Stage;

/// All of it.
#[derive(Debug, Serialize)]
pub struct Checkup {
    /// Nothing is wrong that would keep a mail back.
    pub ok: bool,
    pub version: &'static str,
    pub host: String,
    /// By this machine's clock.
    pub time: Timestamp,
    pub config: Config,
    pub state: State,
    pub outbox: Outbox,
    /// In the order in which they are tried.
    pub accounts: Vec<AccountReport>,
}

/// The settings.
#[derive(Debug, Serialize)]
pub struct Config {
    /// The file that was read.
    pub path: Option<String>,
    /// Where it is looked for.
    pub expected: Option<String>,
    pub named_by: NamedBy,
    /// Permissions, octal; `null`: there is no file.
    pub mode: Option<String>,
    pub folder_mode: Option<String>,
    /// What isn't left at its default.
    pub settings: Vec<Setting>,
    pub findings: Vec<Finding>,
}

/// Who said where notify.toml is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum NamedBy {
    #[serde(rename = "--config")]
    Flag,
    #[serde(rename = "NOTIFY_DONE_CONFIG")]
    Variable,
    #[serde(rename = "default")]
    Nobody,
}

/// A key and its value.
#[derive(Debug, Serialize)]
pub struct Setting {
    pub key: String,
    /// `null`: it can't be used, or isn't to be shown.
    pub value: Option<String>,
    /// `notify.toml:3`, the whole path; or a variable's name.
    pub place: String,
}

/// Something about the settings.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// Keeps mails back; else it is a warning.
    pub unusable: bool,
    pub place: String,
    pub key: Option<String>,
    pub message: String,
    pub fix: Option<String>,
}

impl From<&Diagnostic> for Finding {
    fn from(found: &Diagnostic) -> Self {
        Self {
            unusable: found.severity == Severity::Unusable,
            place: found.place.clone(),
            key: found.key.clone(),
            message: found.message.clone(),
            fix: found.hint.clone(),
        }
    }
}

/// Where runs and notices are kept.
#[derive(Debug, Default, Serialize)]
pub struct State {
    /// In use, or to be made; `null`: nowhere can be written.
    pub folder: Option<String>,
    pub exists: bool,
    pub mode: Option<String>,
    /// The user's own place, when it can't be used.
    pub passed_over: Option<PassedOver>,
}

#[derive(Debug, Serialize)]
pub struct PassedOver {
    pub folder: String,
    pub why: String,
}

/// What is kept.
#[derive(Debug, Default, Serialize)]
pub struct Outbox {
    /// In `new` and `sending`.
    pub waiting: usize,
    pub held: usize,
    pub failed: usize,
    /// Why a folder can't be read.
    pub error: Option<String>,
}

/// An account, and how far one gets with it.
#[derive(Debug, Serialize)]
pub struct AccountReport {
    pub name: String,
    pub address: String,
    pub host: String,
    pub port: u16,
    pub tls: Tls,
    pub ok: bool,
    pub auth_code: AuthCode,
    pub before: Before,
    pub steps: Vec<StepReport>,
    /// `null` without `--send`.
    pub mail: Option<Mail>,
    /// `null` without `--transcript`.
    pub transcript: Option<Transcript>,
}

/// Where the authorization code is from, and whether it can be had.
#[derive(Debug, Serialize)]
pub struct AuthCode {
    pub source: Option<String>,
    pub warning: Option<String>,
    pub error: Option<String>,
    pub fix: Option<String>,
}

/// What was known of the account from before.
#[derive(Debug, Default, Serialize)]
pub struct Before {
    pub refused: Option<Refused>,
    pub paused: Option<Paused>,
    /// When it was found unreachable, if nobody has reached it since.
    pub unreachable: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
pub struct Refused {
    /// Logins in a row.
    pub count: u32,
    pub last: Timestamp,
    /// When a notice tries again by itself; `null`: not before the code changes.
    pub next: Option<Timestamp>,
    pub diagnosis: Diagnosis,
}

#[derive(Debug, Serialize)]
pub struct Paused {
    pub until: Timestamp,
    pub diagnosis: Diagnosis,
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Went {
    Ok,
    Failed,
    NotTried,
}

/// A step of the dialogue.
#[derive(Debug, Serialize)]
pub struct StepReport {
    pub stage: Stage,
    pub state: Went,
    pub port: u16,
    pub tls: Tls,
    pub elapsed_ms: Option<u64>,
    pub found: Option<Found>,
    pub diagnosis: Option<Diagnosis>,
    /// It failed, and no other port did either: the account's failure.
    pub decides: bool,
}

/// The mail of `--send`.
#[derive(Debug, Serialize)]
pub struct Mail {
    pub state: Went,
    pub to: Vec<String>,
    pub message_id: Option<String>,
    pub elapsed_ms: Option<u64>,
    /// What the server said when it took the mail.
    pub receipt: Option<String>,
    /// Where it failed.
    pub stage: Option<Stage>,
    pub diagnosis: Option<Diagnosis>,
    /// Recipients that were refused, though others were not.
    pub refused: Vec<RefusedRecipient>,
}

#[derive(Debug, Serialize)]
pub struct RefusedRecipient {
    pub address: String,
    pub diagnosis: Diagnosis,
}

impl AccountReport {
    /// The step that failed for good.
    pub fn decisive(&self) -> Option<&StepReport> {
        self.steps.iter().find(|step| step.decides)
    }

    /// Does the account log in?
    pub fn logs_in(&self) -> bool {
        self.steps.iter().any(|step| step.stage == Stage::Auth && step.state == Went::Ok)
    }
}

/// Which of the steps is the failure of all: the one that no other port mends, else the one that got
/// furthest, the first of equals, as a mail has it. None: they came to a good end.
pub fn deciding(steps: &[Step]) -> Option<usize> {
    let last = steps.last()?.failure.as_ref()?;
    if !last.another_port_may_do() {
        return Some(steps.len() - 1);
    }
    let failed = steps.iter().enumerate().filter(|(_, step)| step.failure.is_some());
    failed.rev().max_by_key(|(_, step)| step.stage).map(|(at, _)| at)
}

/// The stages that are still to come at the endpoint of the last of these steps.
pub fn not_reached(done: &[Step], plan: &[Stage]) -> Vec<Stage> {
    let Some(last) = done.last() else { return plan.to_vec() };
    let here = done.iter().filter(|step| step.endpoint == last.endpoint && step.stage != Stage::Prepare);
    plan.iter().skip(here.count()).copied().collect()
}

/// The stages at an endpoint, in their order.
pub fn stages(tls: Tls, asks_recipient: bool) -> Vec<Stage> {
    use Stage::{Auth, Banner, Connect, Ehlo, MailFrom, RcptTo, Resolve, StartTls, Tls as Handshake};
    let mut stages = match tls {
        Tls::Implicit => vec![Resolve, Connect, Handshake, Banner, Ehlo, Auth],
        Tls::StartTls => vec![Resolve, Connect, Banner, Ehlo, StartTls, Handshake, Ehlo, Auth],
        Tls::None => vec![Resolve, Connect, Banner, Ehlo, Auth],
    };
    if asks_recipient {
        stages.extend([MailFrom, RcptTo]);
    }
    stages
}

/// `notify.toml:3`, or the variable's name.
pub fn place_of(source: &Source) -> String {
    match source {
        Source::Default => "the default".to_owned(),
        Source::File { path, line } => format!("{}:{line}", path.display()),
        Source::Env(name) => name.clone(),
        Source::Flag(flag) => (*flag).to_owned(),
    }
}

impl Checkup {
    /// Is nothing wrong that would keep a mail back?
    pub fn is_well(&self) -> bool {
        let settings = !self.config.findings.iter().any(|finding| finding.unusable);
        let disk =
            self.state.folder.is_some() && self.state.passed_over.is_none() && self.outbox.error.is_none();
        let accounts = !self.accounts.is_empty() && self.accounts.iter().all(|account| account.ok);
        settings && disk && accounts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Endpoint;
    use crate::deliver::verdict::{Cause, Class, Failure, TlsTrouble};

    fn step(port: u16, stage: Stage, cause: Option<Cause>) -> Step {
        let failure = cause.map(|cause| Failure { stage, class: Class::Transient, cause });
        let endpoint = Endpoint { port, tls: if port == 587 { Tls::StartTls } else { Tls::Implicit } };
        Step { endpoint, stage, elapsed_ms: 1, found: None, failure }
    }

    /// Catches: the closed second port told as the reason when the first had answered; a bad certificate
    /// hidden behind it; an account with a good second port told as broken.
    #[test]
    fn the_failure_that_counts() {
        let closed = || Some(Cause::Closed);
        let mut steps = vec![
            step(465, Stage::Resolve, None),
            step(465, Stage::Connect, None),
            step(465, Stage::Banner, closed()),
            step(587, Stage::Resolve, None),
            step(587, Stage::Connect, closed()),
        ];
        assert_eq!(deciding(&steps), Some(2));
        steps.push(step(587, Stage::Tls, Some(Cause::Tls(TlsTrouble::Expired))));
        assert_eq!(deciding(&steps), Some(5));
        steps.push(step(587, Stage::Auth, None));
        assert_eq!(deciding(&steps), None);
        assert_eq!(deciding(&[]), None);
        let equal = [step(465, Stage::Connect, closed()), step(587, Stage::Connect, closed())];
        assert_eq!(deciding(&equal), Some(0));
    }

    /// Catches: steps that were made told as not tried, and those of another port counted.
    #[test]
    fn what_was_not_reached() {
        let steps = [
            step(465, Stage::Resolve, None),
            step(465, Stage::Connect, Some(Cause::Closed)),
            step(587, Stage::Resolve, None),
            step(587, Stage::Connect, None),
            step(587, Stage::Banner, None),
            step(587, Stage::Ehlo, None),
            step(587, Stage::StartTls, Some(Cause::Closed)),
        ];
        let plan = stages(Tls::StartTls, true);
        let left = [Stage::Tls, Stage::Ehlo, Stage::Auth, Stage::MailFrom, Stage::RcptTo];
        assert_eq!(not_reached(&steps, &plan), left);
        let prepare = [step(465, Stage::Prepare, Some(Cause::Closed))];
        assert_eq!(not_reached(&prepare, &plan), plan);
    }
}
