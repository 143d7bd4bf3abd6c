//! The whole path: from `notify-done -- …` to the bytes that the server got, read by something that
//! isn't ours.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod addressing;
mod bad_days;
mod config;
mod doctor;
mod later;
mod logs;
mod mail;
mod outbox;
mod outbox_hand;
mod outbox_watch;
mod pipe;
mod privacy;
mod size;
mod timer;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use support::env::{Output, TestEnv};
use support::parse::{self, ParsedMail};
use support::smtp::{Received, Script, ScriptedServer, TlsMode};
use support::wait::wait_until;

const USER: &str = "10001@qq.com";
const CODE: &str = "abcdefghijklmnop";
/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);

/// A home with an account, and the server that the account is for.
struct Scene {
    // First, so that nothing is being sent any more when the home is removed.
    server: ScriptedServer,
    env: TestEnv,
}

fn qq() -> Script {
    Script::qq().account(USER, CODE)
}

impl Scene {
    /// `[accounts.qq]` at a server that behaves like QQ's.
    fn new() -> Self {
        Self::with("")
    }

    /// The same, with more lines of notify.toml in front.
    fn with(head: &str) -> Self {
        let scene = Self::without_account();
        scene.configure(head);
        scene
    }

    fn without_account() -> Self {
        Self { server: ScriptedServer::start(qq()), env: TestEnv::new() }
    }

    fn configure(&self, head: &str) {
        let account = self.env.account("qq", USER, CODE, (&self.server, TlsMode::Implicit));
        self.env.config(&format!("{head}\n{account}"));
    }

    /// Runs our program with these arguments; it must exit by `code` and say nothing of its own.
    #[track_caller]
    fn run(&self, args: &[&str], code: i32) -> Output {
        let done = self.env.notify_done(args).run();
        done.assert_code(code);
        done
    }

    /// All that came, when `count` did and no more is on its way.
    #[track_caller]
    fn received(&self, count: usize) -> Vec<Received> {
        let mails = self.server.wait_for_mails(count, LONG);
        self.settled();
        assert_eq!(self.server.received().len(), count, "{:?}", self.server.message_ids());
        self.server.assert_clean();
        mails
    }

    /// The only mail that came, parsed.
    #[track_caller]
    fn mail(&self) -> ParsedMail {
        parse::mail(&self.received(1)[0].data)
    }

    /// Waits until no process has an entry in hand.
    fn settled(&self) {
        wait_until("nothing is being sent any more", || self.ids("sending").is_empty());
    }

    /// The entries in a folder of the outbox.
    fn ids(&self, folder: &str) -> Vec<String> {
        let Ok(found) = fs::read_dir(self.env.state().join("outbox").join(folder)) else { return Vec::new() };
        found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// How many entries are in new, held, sent, failed.
    fn kept(&self) -> [usize; 4] {
        ["new", "held", "sent", "failed"].map(|folder| self.ids(folder).len())
    }

    /// Sends what is kept; all must go out.
    fn flush(&self) -> Output {
        let done = self.env.notify_done(["outbox", "flush"]).stderr_is_free().run();
        done.assert_code(0);
        done
    }
}

/// All files below a folder.
fn files(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Does `bytes` contain `part`?
fn contains(bytes: &[u8], part: &str) -> bool {
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}

fn text(mail: &ParsedMail) -> &str {
    mail.text.as_deref().unwrap()
}

/// The HTML body without its invisible break points.
fn html(mail: &ParsedMail) -> String {
    mail.html.as_deref().unwrap().replace("<wbr>", "")
}

/// The value of a row of the text body.
#[track_caller]
fn row<'a>(mail: &'a ParsedMail, label: &str) -> &'a str {
    let found = text(mail).lines().find_map(|line| line.strip_prefix(label));
    found.unwrap_or_else(|| panic!("no {label} in:\n{}", text(mail))).trim()
}
