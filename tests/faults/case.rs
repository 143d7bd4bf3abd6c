//! One case: a notice is in the outbox, a flush meets the fault, the fault ends, the next flush delivers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use crate::support::env::{Output, TestEnv};
use crate::support::smtp::{Script, ScriptedServer, Stage, TlsMode};
use crate::table::{Class, Fault, Row};

const USER: &str = "10001@qq.com";
const CODE: &str = "abcdefghijklmnop";
/// The account's `timeout` where the server lets it wait; its other limits follow from it. What comes
/// before the fault has to be done within it, on a busy machine too.
pub const SHORT: Duration = Duration::from_secs(2);
/// No flush takes longer, whatever the server does: twenty times [`SHORT`] for the answer to a message, and
/// some room.
const PATIENCE: Duration = Duration::from_secs(90);
/// More than the buffers of a connection hold.
const LARGE: usize = 12 << 20;
const OTHERS: [&str; 3] = ["a@example.com", "b@example.com", "c@example.com"];

/// A notice as a run leaves it in the outbox: made once, copied for each case.
pub struct Notice {
    // Keeps the folder.
    _env: TestEnv,
    entry: PathBuf,
}

impl Notice {
    pub fn small() -> &'static Self {
        static NOTICE: OnceLock<Notice> = OnceLock::new();
        NOTICE.get_or_init(|| Self::of("echo done"))
    }

    fn large() -> &'static Self {
        static NOTICE: OnceLock<Notice> = OnceLock::new();
        // Random, so that it stays large however it is packed.
        NOTICE.get_or_init(|| Self::of(&format!("head -c {LARGE} /dev/urandom | base64")))
    }

    fn of(script: &str) -> Self {
        let env = TestEnv::new();
        // Without an account nothing is tried, and no process goes on trying in the background.
        env.notify_done(["--", "sh", "-c", script]).stderr_is_free().run().assert_code(0);
        let held = env.state().join("outbox/held");
        let entry = fs::read_dir(held).unwrap().next().unwrap().unwrap().path();
        Self { _env: env, entry }
    }

    /// Where a notice waits that was made before there was an account.
    pub fn copy_to(&self, env: &TestEnv) {
        copy_private(&self.entry, &env.state().join("outbox/held").join(self.entry.file_name().unwrap()));
    }
}

struct Case<'a> {
    row: &'a Row,
    server: ScriptedServer,
    env: TestEnv,
}

/// Runs it; panics where anything isn't as the row says.
pub fn run(row: &Row) {
    let mut case = Case::new(row);
    let first = case.meet_the_fault();
    case.check_words(&first);
    case.check_entry();
    case.check_server();
    case.check_list();
    case.after_the_fault();
    case.check_code_is_nowhere(&[&first]);
}

impl<'a> Case<'a> {
    fn new(row: &'a Row) -> Self {
        let script = row.fault.bend(good(row), row.at);
        let case = Self { row, server: ScriptedServer::start(script), env: TestEnv::new() };
        let notice = if row.large { Notice::large() } else { Notice::small() };
        notice.copy_to(&case.env);
        case
    }

    /// notify.toml, with this limit for each step, for a server that speaks so.
    fn configure(&self, tls: TlsMode, timeout: Option<Duration>) {
        let to: Vec<String> = OTHERS[..self.row.recipients].iter().map(|to| format!("{to:?}")).collect();
        let mut text = format!("[mail]\nto = [{}]\n", to.join(", "));
        text += &self.env.account("main", USER, CODE, (&self.server, tls));
        if let Some(timeout) = timeout {
            text += &format!("timeout = \"{}ms\"\n", timeout.as_millis());
        }
        if !self.row.auth.is_empty() {
            text += &format!("auth = \"{}\"\n", self.row.auth);
        }
        self.env.config(&text);
    }

    fn flush(&self) -> Output {
        self.env.notify_done(["outbox", "flush", "--all"]).limit(PATIENCE).stderr_is_free().run()
    }

    fn meet_the_fault(&mut self) -> Output {
        self.configure(self.row.client(), self.row.fault.is_slow().then_some(SHORT));
        match self.row.fault {
            Fault::Refuse => {
                self.server.go_down();
                let done = self.flush();
                self.server.come_up();
                done
            }
            Fault::Deaf => {
                self.server.go_deaf();
                let done = self.flush();
                self.server.come_up();
                done
            }
            _ => self.flush(),
        }
    }

    fn check_words(&self, done: &Output) {
        let said = words(done);
        let all_have_it = self.row.class == Class::Sent;
        done.assert_code(if all_have_it { 0 } else { 1 });
        let says = if self.lucky(&said) { "may have arrived" } else { self.row.says };
        assert!(said.contains(says), "{says:?} isn't in:\n{said}");
        assert!(!said.contains("panicked"), "{said}");
        assert_eq!(said.contains("mail sent to"), self.row.reached > 0, "{said}");
    }

    /// The row knows of two outcomes, and this is the other one.
    fn lucky(&self, said: &str) -> bool {
        self.row.or_unknown && said.contains("may have arrived")
    }

    fn entry(&self) -> (String, Value) {
        entry_of(&self.env)
    }

    fn check_entry(&self) {
        let (folder, entry) = self.entry();
        assert_eq!(folder, self.row.folder(), "{entry:#}");
        let attempt = entry["attempts"].as_array().unwrap().last().expect("a try is recorded");
        let outcome = &attempt["outcome"];
        let (kind, class) = match &outcome["accepted"] {
            Value::Null if outcome["failed"].is_object() => ("failed", &outcome["failed"]["class"]),
            Value::Null => ("unknown", &outcome["unknown"]["class"]),
            _ => ("accepted", &Value::Null),
        };
        let expected = match self.row.class {
            _ if self.row.reached > 0 => "accepted",
            Class::Unknown => "unknown",
            _ => "failed",
        };
        let lucky = self.row.or_unknown && kind == "unknown";
        assert!(kind == expected || lucky, "{kind} {entry:#}");
        if kind != "accepted" {
            assert!(class == self.row.class.name() || lucky, "{entry:#}");
        }
        let accepted = states(&entry, "accepted").len();
        assert_eq!(accepted, self.row.reached, "{entry:#}");
        // Whom nobody will take: only for good, and only whom the server refused so.
        let refused = states(&entry, "refused");
        let gone = if self.row.class.is_final() { self.row.recipients - self.row.reached } else { 0 };
        if self.row.reached > 0 || self.row.at == Stage::Rcpt(0) {
            assert_eq!(refused.len(), gone, "{entry:#}");
        }
    }

    fn check_server(&self) {
        let mut commands = self.server.commands();
        // What TLS looks like to a server that doesn't speak it.
        commands.retain(|line| {
            line.starts_with(|first: char| first.is_ascii_uppercase()) && !line.contains(char::is_control)
        });
        let heard = commands.iter().rev().find(|line| *line != "QUIT" && *line != "RSET");
        let heard = if self.server.received().is_empty() { heard.map_or("", String::as_str) } else { "." };
        assert!(
            heard.starts_with(self.row.last) && heard.is_empty() == self.row.last.is_empty(),
            "the last that the server heard is {heard:?}, not {:?}: {commands:#?}",
            self.row.last
        );
        self.check_protocol();
        // A login that was refused isn't tried again; a smaller mail may go by a connection of its own.
        let logins = self.server.logins();
        let refused = logins.iter().filter(|login| !login.accepted).count();
        assert!(refused <= 1 && logins.len() <= 2, "{logins:?}");
    }

    /// `outbox list` says why, in both languages where the row has both.
    fn check_list(&self) {
        let list = |lang: &str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_notify-done"));
            command.args(["outbox", "list"]);
            let done = self.env.command(command).var("LANG", lang).run();
            done.assert_code(0);
            String::from_utf8(done.stdout).unwrap()
        };
        let listed = list("C.UTF-8");
        if self.row.folder() == "sent" {
            assert_eq!(listed, "nothing waits in the outbox\n");
        } else if self.row.reached == 0 {
            let fits = listed.contains(self.row.says) || self.lucky(&listed);
            assert!(fits, "{:?} isn't in:\n{listed}", self.row.says);
        }
        if !self.row.zh.is_empty() {
            let listed = list("zh_CN.UTF-8");
            assert!(listed.contains(self.row.zh), "{:?} isn't in:\n{listed}", self.row.zh);
        }
    }

    /// The server is mended: what waits arrives, once and whole.
    fn after_the_fault(&self) {
        let on_the_wire = self.server.received().len();
        self.server.set_script(good(self.row));
        self.configure(self.row.tls, None);
        let (folder, before) = self.entry();
        let again: &[&str] =
            if folder == "failed" { &["retry", "--all-failed"] } else { &["flush", "--all"] };
        let args = ["outbox"].iter().chain(again);
        let done = self.env.notify_done(args).limit(PATIENCE).stderr_is_free().run();
        let (all, had) = (self.row.recipients, self.row.reached);
        let said = words(&done);
        done.assert_code(0);
        assert_eq!(said.contains("mail sent to"), had < all, "{said}");
        let (after, entry) = self.entry();
        assert_eq!((after.as_str(), states(&entry, "accepted").len()), ("sent", all), "{said}\n{entry:#}");
        let mails = self.server.received();
        let ids = self.server.message_ids();
        assert!(ids.len() == 1 && ids.keys().all(|id| *id == before["message_id"]), "{ids:?}, {before:#}");
        // Whom the second flush served, it served alone: who had it gets it no second time.
        let new: Vec<_> = mails[on_the_wire..].iter().flat_map(|mail| &mail.rcpts).collect();
        assert_eq!(new.len(), all - had, "{new:?}");
        // What the server took without our learning of it is sent again, with the same Message-ID.
        let most = if self.row.class == Class::Unknown { 2 } else { 1 };
        for to in &OTHERS[..all] {
            let got = mails.iter().filter(|m| m.accepted() && m.rcpts.iter().any(|rcpt| rcpt == to)).count();
            assert!((1..=most).contains(&got), "{to} got it {got} times");
        }
        self.check_protocol();
    }

    /// We break the protocol nowhere, unless the server isn't what notify.toml says.
    fn check_protocol(&self) {
        if self.row.client() == self.row.tls {
            self.server.assert_clean();
        }
    }

    fn check_code_is_nowhere(&self, outputs: &[&Output]) {
        let needles = [CODE.to_owned(), BASE64.encode(CODE), BASE64.encode(format!("\0{USER}\0{CODE}"))];
        let leaks = |bytes: &[u8]| needles.iter().any(|n| bytes.windows(n.len()).any(|w| w == n.as_bytes()));
        for output in outputs {
            assert!(!leaks(&output.stdout) && !leaks(output.stderr.as_bytes()), "the code is in {output:?}");
        }
        let config = self.env.config_path();
        let mut folders = vec![self.env.home()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(path);
                } else if path != config && !(self.row.large && path.ends_with("body.mime")) {
                    assert!(!leaks(&fs::read(&path).unwrap()), "the code is in {}", path.display());
                }
            }
        }
    }
}

fn good(row: &Row) -> Script {
    Script::qq().account(USER, CODE).tls(row.tls)
}

/// The one folder that has the entry, and the entry.
pub fn entry_of(env: &TestEnv) -> (String, Value) {
    let mut found = Vec::new();
    for folder in fs::read_dir(env.state().join("outbox")).unwrap().flatten() {
        // `tmp` is for what isn't whole yet, and empty between two runs.
        for entry in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            if entry.path().join("entry.json").exists() {
                found.push((folder.file_name().into_string().unwrap(), entry.path()));
            }
        }
    }
    assert_eq!(found.len(), 1, "{found:?}");
    let (folder, path) = found.remove(0);
    (folder, serde_json::from_slice(&fs::read(path.join("entry.json")).unwrap()).unwrap())
}

pub fn words(done: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&done.stdout), done.stderr)
}

/// The recipients that are in this state.
fn states(entry: &Value, state: &str) -> Vec<String> {
    let all = entry["recipients"]["states"].as_array();
    let those = all.into_iter().flatten().filter(|recipient| recipient["state"][state].is_object());
    those.map(|recipient| recipient["address"].to_string()).collect()
}

fn copy_private(from: &Path, to: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(to).unwrap();
    for file in fs::read_dir(from).unwrap().flatten() {
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

impl Row {
    /// Where the entry lies after the fault.
    fn folder(&self) -> &'static str {
        match self.class {
            Class::Sent => "sent",
            class if class.is_final() => "failed",
            _ => "new",
        }
    }
}
