//! Several mails in a row over one connection: twenty notices that wait shouldn't cost twenty logins,
//! for which providers lock accounts.

use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use super::connect::{failure, within};
use super::job::{Job, Ledger, Progress};
use super::recorder::Recorder;
use super::session::{Lookout, Session};
use super::smtp::{Mailing, local};
use super::verdict::{Attempt, Cause, Class, Failure, Outcome, RecipientResult, Stage};
use crate::config::{Account, Endpoint, Secret, Server};

/// Mails that go over one connection. Servers end those that go on and on.
const MAILS: u32 = 20;
/// A connection that was silent for longer is asked whether it is alive before a mail is begun.
const FRESH: Duration = Duration::from_secs(5);

/// Carries mails to their servers, one after another. It keeps the connection of the last one open,
/// logged in, for the next by the same account; dropped, it says goodbye.
#[derive(Debug, Default)]
pub struct Courier {
    runtime: Option<Runtime>,
    recorder: Option<Recorder>,
    kept: Option<Kept>,
}

/// A session that waits for the next mail.
struct Kept {
    session: Session,
    endpoint: Endpoint,
    login: Login,
    /// Mails that it has carried.
    mails: u32,
    /// The last transaction didn't end in a 250: the server may be in the middle of it.
    unfinished: bool,
    since: Instant,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept")
            .field("endpoint", &self.endpoint)
            .field("mails", &self.mails)
            .finish_non_exhaustive()
    }
}

/// As whom, where and how: only for the very same is a session used again.
struct Login {
    server: Server,
    username: String,
    secret: Secret,
    timeout: Duration,
}

impl Login {
    fn of(job: &Job<'_>) -> Self {
        let Account { server, username, timeout, .. } = job.account;
        Self {
            server: server.clone(),
            username: username.clone(),
            secret: job.secret.clone(),
            timeout: *timeout,
        }
    }

    fn fits(&self, job: &Job<'_>) -> bool {
        let Account { server, username, timeout, .. } = job.account;
        self.server == *server
            && self.username == *username
            && self.timeout == *timeout
            && self.secret.expose() == job.secret.expose()
    }
}

/// What came of a transaction, and the session if it can go on.
struct Done {
    outcome: Result<Outcome, Failure>,
    endpoint: Endpoint,
    kept: Option<Kept>,
}

impl Courier {
    pub fn new() -> Self {
        Self::default()
    }

    /// One that takes all down that is said.
    pub fn recording(recorder: Recorder) -> Self {
        Self { runtime: None, recorder: Some(recorder), kept: None }
    }

    /// Makes one try at handing the mail over. Never panics or hangs: every step has its limit.
    ///
    /// A kept connection that turns out dead, or unwilling, before anything of the mail was settled
    /// is replaced by a new one, and what happens there is told. From then on nothing is tried twice.
    pub fn attempt(&mut self, job: &Job<'_>, ledger: Ledger<'_>) -> Attempt {
        let begin = Instant::now();
        let mut recipients = Vec::new();
        let (kept, recorder) = (self.kept.take(), self.recorder.clone());
        let done = match self.runtime() {
            Ok(runtime) => runtime.block_on(carry((kept, recorder), job, &mut recipients, ledger)),
            Err(failure) => {
                Done { outcome: Err(failure), endpoint: job.account.server.endpoint(), kept: None }
            }
        };
        self.kept = done.kept;
        let outcome = done.outcome.unwrap_or_else(Outcome::Failed);
        Attempt { recipients, outcome, endpoint: done.endpoint, elapsed: begin.elapsed() }
    }

    /// Ends the connection that is kept, if there is one: for who won't send again soon.
    pub fn hang_up(&mut self) {
        if let (Some(kept), Some(runtime)) = (self.kept.take(), &self.runtime) {
            runtime.block_on(kept.session.close());
        }
    }

    fn runtime(&mut self) -> Result<&Runtime, Failure> {
        if self.runtime.is_none() {
            let made = Builder::new_current_thread().enable_all().build();
            let cause = |error| local(format!("can't wait for the network: {error}"));
            self.runtime = Some(made.map_err(|error| failure(Stage::Prepare, cause(error)))?);
        }
        Ok(self.runtime.as_ref().expect("made above"))
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.hang_up();
        // Dropping a runtime waits for its threads, and a getaddrinfo that hangs has one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn carry(
    (kept, mut recorder): (Option<Kept>, Option<Recorder>),
    job: &Job<'_>,
    recipients: &mut Vec<RecipientResult>,
    ledger: Ledger<'_>,
) -> Done {
    let endpoint = job.account.server.endpoint();
    let mail = match Mailing::prepare(job) {
        Ok(mail) => mail,
        Err(failure) => return Done { outcome: Err(failure), endpoint, kept },
    };
    if let Some(kept) = usable(kept, job).await {
        let mut settled = false;
        let note = &mut |progress: Progress<'_>| {
            settled = true;
            ledger(progress)
        };
        let done = kept.transact(&mail, recipients, note).await;
        match &done.outcome {
            Err(failure) if !settled && may_be_its_age(failure) => {
                recipients.clear();
                if let Some(kept) = done.kept {
                    kept.session.close().await;
                }
            }
            _ => return done,
        }
    }
    let (opened, endpoint) = open_anywhere(job.account, &mut recorder).await;
    let mut session = match opened {
        Ok(session) => session,
        Err(failure) => return Done { outcome: Err(failure), endpoint, kept: None },
    };
    if let Err(failure) = session.login(job.account, job.secret).await {
        session.close().await;
        return Done { outcome: Err(failure), endpoint, kept: None };
    }
    let login = Login::of(job);
    let kept = Kept { session, endpoint, login, mails: 0, unfinished: false, since: Instant::now() };
    kept.transact(&mail, recipients, ledger).await
}

/// The session that was kept, if it may carry this mail and is alive.
async fn usable(kept: Option<Kept>, job: &Job<'_>) -> Option<Kept> {
    let mut kept = kept?;
    if !kept.login.fits(job) {
        kept.session.close().await;
        return None;
    }
    // It closed, or says that it will: nothing that it says unasked is an answer.
    if kept.session.wire.spoke().await {
        return None;
    }
    if kept.unfinished || kept.since.elapsed() > FRESH {
        kept.session.wire.note_command("RSET");
        let answer = within(kept.session.limits.connect, kept.session.wire.ask(b"RSET\r\n")).await;
        if !matches!(answer, Ok(Ok(answer)) if answer.digit() == 2) {
            return None;
        }
    }
    Some(kept)
}

/// Could it be that the server wants no more mail over this connection, or forgot us, rather than
/// that it dislikes the mail? A limit on how often we come isn't mended by coming again.
fn may_be_its_age(failure: &Failure) -> bool {
    match &failure.cause {
        Cause::Reply(reply) if failure.stage == Stage::RcptTo => reply.code == 421,
        Cause::Reply(_) => {
            failure.stage == Stage::MailFrom && !matches!(failure.class, Class::Throttled | Class::DailyLimit)
        }
        Cause::Closed
        | Cause::Broken { .. }
        | Cause::Timeout { .. }
        | Cause::Malformed { .. }
        | Cause::Tls(_) => failure.stage <= Stage::RcptTo,
        _ => false,
    }
}

impl Kept {
    async fn transact(
        mut self,
        mail: &Mailing<'_>,
        recipients: &mut Vec<RecipientResult>,
        ledger: Ledger<'_>,
    ) -> Done {
        let outcome = self.session.deliver(mail, recipients, ledger).await;
        self.mails += 1;
        self.since = Instant::now();
        let failure = match &outcome {
            Ok(Outcome::Accepted { .. }) => None,
            Ok(Outcome::Failed(failure) | Outcome::Unknown(failure)) | Err(failure) => Some(failure),
        };
        self.unfinished = failure.is_some();
        let unwelcome = failure.is_some_and(|failure| failure.class.blocks_account(failure.stage));
        let endpoint = self.endpoint;
        if self.session.dead || unwelcome || self.mails >= MAILS {
            self.session.close().await;
            return Done { outcome, endpoint, kept: None };
        }
        Done { outcome, endpoint, kept: Some(self) }
    }
}

/// Opens a session at the account's own endpoint or at one of its fallbacks, and says at which. When
/// none will do, the failure that got furthest is told, the first of equals.
async fn open_anywhere(account: &Account, lookout: &mut dyn Lookout) -> (Result<Session, Failure>, Endpoint) {
    let mut told: Option<(Failure, Endpoint)> = None;
    for endpoint in account.server.endpoints() {
        match Session::open(account, endpoint, lookout).await {
            Ok(session) => return (Ok(session), endpoint),
            Err(failure) if !failure.another_port_may_do() => return (Err(failure), endpoint),
            Err(failure) if told.as_ref().is_none_or(|(told, _)| told.stage < failure.stage) => {
                told = Some((failure, endpoint));
            }
            Err(_) => {}
        }
    }
    let (failure, endpoint) = told.expect("there is one endpoint at least");
    (Err(failure), endpoint)
}

#[cfg(test)]
#[path = "courier_tests.rs"]
mod tests;
