//! Two accounts: when the second sends in place of the first, and when it must not; and what an account
//! that was refused is spared.

use std::time::Duration;

use crate::case::{Notice, SHORT, entry_of, words};
use crate::support::env::{Output, TestEnv};
use crate::support::parse;
use crate::support::smtp::Stage::{self, Auth, Body, Data, Ehlo, End, Greeting, Handshake, Mail, Quit, Rcpt};
use crate::support::smtp::{Received, Script, ScriptedServer, TlsMode};
use crate::support::tls::Certificate;
use crate::table::Fault::{self, Cert, Drop, HalfDrop, Hang, Offers, Raw, Refuse, Reply};
use Who::{First, Nobody, Second};

const FIRST: &str = "10001@qq.com";
const SECOND: &str = "20002@163.com";
const CODE: &str = "abcdefghijklmnop";
const OTHER_CODE: &str = "ponmlkjihgfedcba";
const TO: &str = "a@example.com";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    First,
    Second,
    Nobody,
}

/// The first account's fault, who sends the notice in that flush, and who in the next, after the fault.
struct Row {
    at: Stage,
    fault: Fault,
    now: Who,
    then: Who,
}

const fn row(at: Stage, fault: Fault, now: Who, then: Who) -> Row {
    Row { at, fault, now, then }
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    //  the first's   fault                                  now      then
    row(Greeting,     Refuse,                                Second,  Nobody),
    row(Greeting,     Hang,                                  Second,  Nobody),
    row(Greeting,     Reply("421 too busy"),                 Second,  Nobody),
    row(Handshake,    Cert(Certificate::SelfSigned),         Second,  Nobody),
    row(Handshake,    Cert(Certificate::Expired),            Second,  Nobody),
    row(Ehlo,         Offers(&["localhost", "SIZE 100000"]), Second,  Nobody),
    row(Auth,         Reply("535 Error: authentication failed"), Second, Nobody),
    row(Auth,         Drop,                                  Second,  Nobody),
    row(Mail,         Reply("550 Sender frequency limited"), Second,  Nobody),
    row(Mail,         Reply("554 MI:STC 163 smtp1"),         Second,  Nobody),
    row(Mail,         Reply("550 not you"),                  Second,  Nobody),
    row(Rcpt(0),      Reply("450 mailbox busy"),             Second,  Nobody),
    row(Data,         Drop,                                  Second,  Nobody),
    row(End,          Reply("451 try later"),                Second,  Nobody),
    row(End,          Reply("554 DT:SPM 163 smtp12"),        Second,  Nobody),
    row(End,          Reply("554 no"),                       Second,  Nobody),
    // It may have arrived: the second would send it under another name.
    row(End,          Drop,                                  Nobody,  First),
    row(End,          Hang,                                  Nobody,  First),
    row(End,          HalfDrop,                              Nobody,  First),
    row(End,          Raw(b"what?\r\n"),                     Nobody,  First),
    row(Body,         Hang,                                  Nobody,  First),
    // It is delivered.
    row(Quit,         Drop,                                  First,   Nobody),
    row(Quit,         Reply("550 no"),                       First,   Nobody),
];

struct Scene {
    first: ScriptedServer,
    second: ScriptedServer,
    env: TestEnv,
}

impl Scene {
    fn new(script: Script) -> Self {
        let second = Script::netease().account(SECOND, OTHER_CODE);
        let (first, second) = (ScriptedServer::start(script), ScriptedServer::start(second));
        let scene = Self { first, second, env: TestEnv::new() };
        Notice::small().copy_to(&scene.env);
        scene
    }

    /// Both accounts, with this limit for each step of the first.
    fn configure(&self, timeout: Duration) {
        let first = self.env.account("first", FIRST, CODE, (&self.first, TlsMode::Implicit));
        let second = self.env.account("second", SECOND, OTHER_CODE, (&self.second, TlsMode::Implicit));
        let limit = timeout.as_secs();
        self.env.config(&format!("[mail]\nto = \"{TO}\"\n{first}timeout = \"{limit}s\"\n{second}"));
    }

    /// The first account alone, with this code.
    fn configure_first(&self, code: &str) {
        let first = self.env.account("first", FIRST, code, (&self.first, TlsMode::Implicit));
        self.env.config(&format!("[mail]\nto = \"{TO}\"\n{first}"));
    }

    fn flush(&self, more: &[&str], code: i32) -> Output {
        let args = ["outbox", "flush"].iter().chain(more);
        let done = self.env.notify_done(args).stderr_is_free().run();
        done.assert_code(code);
        done
    }

    fn folder(&self) -> String {
        entry_of(&self.env).0
    }

    fn logins(&self) -> usize {
        self.first.logins().len()
    }
}

fn good() -> Script {
    Script::qq().account(FIRST, CODE)
}

/// Who handed in these, by the header and by the envelope.
fn sender(mails: &[Received]) -> String {
    assert_eq!(mails.len(), 1, "{mails:?}");
    let from = parse::mail(&mails[0].data).from;
    assert_eq!((from.len(), &from[0]), (1, &mails[0].mail_from));
    from[0].clone()
}

fn check(row: &Row) {
    let mut scene = Scene::new(row.fault.bend(good(), row.at));
    scene.configure(if row.fault.is_slow() { SHORT } else { Duration::from_secs(30) });
    if matches!(row.fault, Refuse) {
        scene.first.go_down();
    }
    scene.flush(&["--all"], if row.now == Nobody { 1 } else { 0 });
    let at_the_first = scene.first.received().len();
    let by_the_second = scene.second.received();
    assert_eq!(by_the_second.len(), usize::from(row.now == Second));
    if row.now == Second {
        assert_eq!(sender(&by_the_second), SECOND);
        assert!(scene.first.received().iter().all(|mail| !mail.accepted()));
    } else {
        assert_eq!(scene.second.connections(), 0, "the second account has nothing to do with it");
    }
    assert_eq!(scene.folder(), if row.now == Nobody { "new" } else { "sent" });
    if matches!(row.fault, Refuse) {
        scene.first.come_up();
    }
    scene.first.set_script(good());
    scene.flush(&["--all"], 0);
    assert_eq!(scene.folder(), "sent");
    let more = scene.first.received().split_off(at_the_first);
    assert_eq!(
        (more.len(), scene.second.received().len()),
        (usize::from(row.then == First), usize::from(row.now == Second))
    );
    // The same mail, whoever sends it and however often.
    let ids: Vec<_> =
        scene.first.message_ids().into_keys().chain(scene.second.message_ids().into_keys()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
    scene.first.assert_clean();
    scene.second.assert_clean();
}

/// Catches: a notice that waits though another account could send it, one under another account's name,
/// and one that arrives twice since nobody knew whether it had arrived.
#[test]
fn the_second_account_sends_what_the_first_certainly_did_not() {
    let failures = crate::in_parallel(ROWS, |row| format!("{:?}, {:?}", row.at, row.fault), check);
    crate::say(&format!("two accounts: {} cases, {} failed", ROWS.len(), failures.len()));
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Catches: a login that was refused and is made again for each mail, each flush and each run.
#[test]
fn a_refused_login_is_spared_until_something_changes() {
    let scene = Scene::new(good().reply_at(Auth, "535 Error: authentication failed"));
    scene.configure_first(CODE);
    scene.flush(&["--all"], 1);
    assert_eq!(scene.logins(), 1);
    // It isn't tried by a flush, nor by another run with a notice of its own.
    scene.flush(&[], 1);
    scene.env.notify_done(["--", "true"]).stderr_is_free().run().assert_code(0);
    assert_eq!(scene.logins(), 1);
    // Who insists gets it tried, once for both mails.
    scene.flush(&["--all"], 1);
    assert_eq!(scene.logins(), 2);
    // A code that has changed is tried at once.
    scene.first.set_script(Script::qq().account(FIRST, OTHER_CODE));
    scene.configure_first(OTHER_CODE);
    scene.flush(&[], 0);
    assert_eq!((scene.logins(), scene.first.received().len()), (3, 2));
    assert_eq!(scene.first.message_ids().len(), 2);
}

/// Catches: a provider that asked for less mail and gets the same again at the next flush.
#[test]
fn a_throttled_account_is_left_alone() {
    let scene = Scene::new(good().reply_at(Mail, "550 Sender frequency limited"));
    scene.configure_first(CODE);
    let said = words(&scene.flush(&["--all"], 1));
    assert!(said.contains("too often"), "{said}");
    scene.first.set_script(good());
    let before = scene.first.connections();
    scene.flush(&[], 1);
    assert_eq!(scene.first.connections(), before);
    scene.flush(&["--all"], 0);
    assert_eq!(scene.first.received().len(), 1);
}

/// Catches: the same mail sent again to a provider that took it for spam.
#[test]
fn what_was_taken_for_spam_goes_out_as_text() {
    let scene = Scene::new(good().reply_at(End, "554 DT:SPM 163 smtp12"));
    scene.configure_first(CODE);
    scene.flush(&["--all"], 1);
    assert_eq!(scene.folder(), "new");
    scene.first.set_script(good());
    scene.flush(&["--all"], 0);
    let mails = scene.first.received();
    let (full, plain) = (parse::mail(&mails[0].data), parse::mail(&mails[1].data));
    assert!(full.parts.len() > 1 && full.html.is_some());
    assert_eq!((plain.parts.len(), plain.html.is_some()), (1, false), "{}", plain.structure);
    assert_ne!(full.subject, plain.subject);
    assert_eq!(mails[0].message_id(), mails[1].message_id());
}
