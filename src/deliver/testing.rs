//! For this stage's tests: a mail on disk and an account, against a [`Responder`].

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::courier::Courier;
use super::job::{Job, Progress};
use super::responder::{Act, Mode, Responder, authority};
use super::verdict::*;
use crate::config::{Account, Auth, Secret, Server, Tls};
use crate::error::{Error, Kind};

const LIMIT: Duration = Duration::from_secs(20);
pub(super) const HEADERS: &[u8] = b"From: <10001@qq.com>\r\nSubject: hello\r\n";
pub(super) const BODY: &[u8] = b"MIME-Version: 1.0\r\n\r\nline\r\n.dot\r\n..\r\n.\r\nlast\r\n";

/// A mail on disk and an account to send it with.
pub(super) struct Bench {
    _folder: tempfile::TempDir,
    pub(super) body: PathBuf,
    pub(super) account: Account,
    pub(super) secret: Secret,
    pub(super) to: Vec<String>,
    pub(super) steps: Vec<String>,
}

impl Bench {
    pub(super) fn new(port: u16, tls: Tls) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let body = folder.path().join("body.mime");
        std::fs::write(&body, BODY).unwrap();
        let server = Server {
            host: "localhost".into(),
            port,
            tls,
            fallback: Vec::new(),
            auth: Auth::Auto,
            ca_file: Some(authority().file.clone()),
            hello_name: None,
            max_message: 50 << 20,
        };
        let account = Account {
            name: "qq".into(),
            address: "10001@qq.com".into(),
            secret: None,
            username: "10001@qq.com".into(),
            server,
            timeout: LIMIT,
        };
        Self {
            _folder: folder,
            body,
            account,
            secret: Secret::parse("sesame").unwrap(),
            to: vec!["a@example.com".into()],
            steps: Vec::new(),
        }
    }

    /// Steps whose record fails when `fail` is its name.
    pub(super) fn attempt_failing(&mut self, fail: &str) -> Attempt {
        self.attempt_by(&mut Courier::new(), fail)
    }

    pub(super) fn attempt_by(&mut self, courier: &mut Courier, fail: &str) -> Attempt {
        let job = Job {
            account: &self.account,
            secret: &self.secret,
            recipients: &self.to,
            headers: HEADERS.to_vec(),
            body: &self.body,
        };
        let steps = &mut self.steps;
        courier.attempt(&job, &mut |progress| {
            let step = match progress {
                Progress::Recipients(_) => "recipients",
                Progress::BodySent => "body sent",
                Progress::Accepted(_) => "accepted",
            };
            steps.push(step.to_owned());
            if step == fail { Err(Error::new(Kind::Storage, "the disk is full")) } else { Ok(()) }
        })
    }

    pub(super) fn attempt(&mut self) -> Attempt {
        self.attempt_failing("")
    }
}

pub(super) fn plain(quirk: impl Fn(&str) -> Option<Act> + Send + Sync + 'static) -> (Responder, Bench) {
    let server = Responder::start(Mode::Plain, quirk);
    let bench = Bench::new(server.port, Tls::None);
    (server, bench)
}

pub(super) fn on(
    event: &'static str,
    act: Option<Act>,
) -> impl Fn(&str) -> Option<Act> + Send + Sync + 'static {
    move |seen| if seen.starts_with(event) { act.clone() } else { None }
}

#[track_caller]
pub(super) fn failed(attempt: &Attempt) -> &Failure {
    match &attempt.outcome {
        Outcome::Failed(failure) => failure,
        other => panic!("expected a failure, got {other:?}"),
    }
}

#[track_caller]
pub(super) fn receipt(attempt: &Attempt) -> String {
    match &attempt.outcome {
        Outcome::Accepted { receipt } => receipt.to_string(),
        other => panic!("expected success, got {other:?}"),
    }
}

/// Makes the body so large.
pub(super) fn grow(body: &Path, to: u64) {
    let mut file = std::fs::File::create(body).unwrap();
    file.write_all(b"\r\n").unwrap();
    let line = [[b'x'; 76].as_slice(), b"\r\n"].concat();
    let block = line.repeat(1000);
    while file.metadata().unwrap().len() < to {
        file.write_all(&block).unwrap();
    }
}
