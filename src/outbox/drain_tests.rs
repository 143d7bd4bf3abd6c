//! From the outbox to a server's hands, and what is left on disk whatever happens.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::drain::*;
use super::entry::tests::sample;
use super::entry::{Entry, Folder, Form, Recipients, Whose};
use super::event::{Event, Next, Tally};
use super::remake::Remake;
use super::schedule::Urgency;
use super::store::*;
use super::store_tests::{dead_owner, id, open, put};
use crate::config::{Account, Auth, MailSettings, Mailbox, Secret, Server, Tls};
use crate::deliver::courier::Courier;
use crate::deliver::job::{Job, Ledger, Progress};
use crate::deliver::responder::{Act, Mode, Responder, say};
use crate::deliver::verdict::*;
use crate::error::{Error, Kind, Result};

const NOW: &str = "2026-11-21T12:00:00Z";

pub(super) fn account(name: &str, port: u16) -> Account {
    let address = format!("{name}@qq.com");
    Account {
        name: name.into(),
        address: address.clone(),
        secret: None,
        username: address,
        server: Server {
            host: "127.0.0.1".into(),
            port,
            tls: Tls::None,
            fallback: Vec::new(),
            auth: Auth::Auto,
            ca_file: None,
            hello_name: None,
            max_message: 50 << 20,
        },
        timeout: Duration::from_secs(30),
    }
}

pub(super) fn mailboxes(addresses: &[&str]) -> Vec<Mailbox> {
    addresses.iter().map(|a| Mailbox { name: None, address: (*a).to_owned() }).collect()
}

pub(super) fn settings(to: &[&str]) -> MailSettings {
    MailSettings { to: mailboxes(to), cc: vec![], bcc: vec![], from_name: None, subject: None }
}

/// A store with its surroundings.
pub(super) type Remaker = dyn FnMut(&Entry, &Remake) -> Result<()>;

pub(super) struct Bench {
    _folder: tempfile::TempDir,
    pub(super) store: Store,
    pub(super) accounts: Vec<Account>,
    pub(super) preferred: Option<String>,
    pub(super) mail: MailSettings,
    pub(super) pick: Pick,
    pub(super) urgency: Urgency,
    pub(super) now: Timestamp,
    pub(super) wait: Duration,
    events: RefCell<Vec<Event>>,
    /// Done when the next thing is told.
    pub(super) then: RefCell<Option<Box<dyn FnOnce()>>>,
    /// Makes a mail anew; at first it can't.
    pub(super) smaller: RefCell<Box<Remaker>>,
}

impl Bench {
    pub(super) fn new(accounts: Vec<Account>, entries: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        for name in entries {
            put(&store, name, Folder::New);
        }
        Self {
            _folder: folder,
            store,
            accounts,
            preferred: None,
            mail: settings(&[]),
            pick: Pick::All(Whose::Anyones),
            urgency: Urgency::Asked,
            now: NOW.parse().unwrap(),
            wait: Duration::ZERO,
            events: RefCell::default(),
            then: RefCell::default(),
            smaller: RefCell::new(Box::new(|_, _| Err(Error::new(Kind::NotFound, "no run")))),
        }
    }

    pub(super) fn root(&self) -> &Path {
        self._folder.path()
    }

    pub(super) fn drain_with(
        &self,
        secret: &mut dyn FnMut(&Account) -> Result<Secret>,
        send: &mut dyn FnMut(&Job<'_>, Ledger<'_>) -> Attempt,
    ) -> Result<Tally> {
        let plan = Plan {
            pick: self.pick.clone(),
            accounts: &self.accounts,
            preferred: self.preferred.as_deref(),
            mail: &self.mail,
            wait: self.wait,
            urgency: self.urgency,
            bound: None,
        };
        let mut hands = Hands {
            now: &mut || self.now,
            secret,
            headers: &mut |head| {
                let to: Vec<&str> = head.to.iter().map(|m| m.address.as_str()).collect();
                let (id, from, to) = (&head.entry.message_id, &head.from.address, to.join(", "));
                let subject = head.subject;
                let lines =
                    format!("From: <{from}>\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: {id}\r\n");
                Ok(lines.into_bytes())
            },
            send,
            events: &mut |event| {
                self.events.borrow_mut().push(event);
                if let Some(then) = self.then.take() {
                    then();
                }
            },
            smaller: &mut |entry, remake| self.smaller.borrow_mut()(entry, remake),
        };
        drain(&self.store, &plan, &mut hands)
    }

    pub(super) fn drain(&self) -> Tally {
        self.drain_with(&mut |_| Ok(Secret::parse("sesame").unwrap()), &mut |job, ledger| {
            Courier::new().attempt(job, ledger)
        })
        .unwrap()
    }

    /// The events since the last call; each survives JSON, since it travels through a pipe.
    pub(super) fn events(&self) -> Vec<Event> {
        let events = self.events.take();
        for event in &events {
            let json = serde_json::to_string(event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), *event);
        }
        events
    }

    pub(super) fn last(&self) -> Event {
        self.events().pop().expect("an event")
    }

    pub(super) fn load(&self, folder: Folder, name: &str) -> Entry {
        self.store.load(folder, &id(name)).unwrap()
    }
}

pub(super) fn tally(sent: u32, kept: u32, failed: u32, left: u32) -> Tally {
    Tally { sent, kept, later: 0, failed, left }
}

pub(super) fn on(
    event: &'static str,
    act: Option<Act>,
) -> impl Fn(&str) -> Option<Act> + Send + Sync + 'static {
    move |seen| if seen.starts_with(event) { act.clone() } else { None }
}

/// A port of loopback that nobody listens on.
pub(super) fn closed_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

#[test]
fn delivered_once_and_kept_as_a_receipt() {
    let server = Responder::start(Mode::Plain, |_| None);
    let bench = Bench::new(vec![account("10001", server.port)], &["b", "a"]);
    assert_eq!(bench.drain(), tally(2, 0, 0, 0));
    let events = bench.events();
    assert!(
        matches!(&events[0], Event::Started { entry, recipients, .. }
        if *entry == id("a") && recipients == &["10001@qq.com"]),
        "the oldest first: {events:?}"
    );
    assert!(matches!(&events[1], Event::Sent { receipt, recipients, .. }
        if receipt == "250 OK: queued as." && recipients == &["10001@qq.com"]));
    let entry = bench.load(Folder::Sent, "a");
    assert!(matches!(&entry.attempts[0].outcome, Outcome::Accepted { receipt } if receipt.code == 250));
    assert_eq!((entry.in_flight, entry.next_try, entry.attempt_count), (None, None, 1));
    assert!(!bench.store.body(Folder::Sent, &id("a"), Form::Full).exists());
    assert_eq!(bench.drain(), tally(0, 0, 0, 0));
    let taken = server.taken();
    assert_eq!(taken.len(), 2);
    let text = String::from_utf8(taken[0].raw.clone()).unwrap();
    assert_eq!(
        text,
        "From: <10001@qq.com>\r\nTo: 10001@qq.com\r\nSubject: ✅ train.py succeeded\r\nMessage-ID: <a@example.com>\r\nMIME-Version: 1.0\r\n\r\nhello\r\n"
    );
}

/// Catches: a mail lost, or sent twice, because the server was down at first.
#[test]
fn a_server_that_comes_back_gets_it_once() {
    let mut bench = Bench::new(vec![account("10001", closed_port())], &["a", "b"]);
    assert_eq!(bench.drain(), tally(0, 2, 0, 0));
    let events = bench.events();
    assert_eq!(events.len(), 2, "only one of the two tries a dead server: {events:?}");
    let Event::NotSent { diagnosis, kept, next, .. } = &events[1] else { panic!("{events:?}") };
    assert_eq!((diagnosis.class, *kept), (Class::Transient, Folder::New));
    assert_eq!(next.at, Some("2026-11-21T12:01:00Z".parse().unwrap()));
    assert!(diagnosis.cause.en.contains("127.0.0.1"), "{diagnosis:?}");
    let server = Responder::start(Mode::Plain, |_| None);
    bench.accounts = vec![account("10001", server.port)];
    assert_eq!(bench.drain(), tally(2, 0, 0, 0));
    assert_eq!(bench.drain(), tally(0, 0, 0, 0));
    assert_eq!(server.taken().len(), 2);
    assert_eq!(bench.load(Folder::Sent, "a").attempt_count, 2);
}

/// Catches: one bad code tried for every mail that waits, which gets accounts locked.
#[test]
fn a_refused_code_is_tried_once_a_drain() {
    let server = Responder::start(Mode::Plain, on("AUTH", say("535 Error: authentication failed")));
    let bench = Bench::new(vec![account("10001", server.port)], &["a", "b", "c"]);
    assert_eq!(bench.drain(), tally(0, 3, 0, 0));
    assert_eq!(server.said().iter().filter(|line| line.starts_with("AUTH")).count(), 1);
    let events = bench.events();
    let refused =
        |e: &&Event| matches!(e, Event::NotSent { diagnosis, .. } if diagnosis.class == Class::Credentials);
    assert_eq!(events.iter().filter(refused).count(), 1, "said once, not for each");
    assert_eq!(bench.load(Folder::New, "b").attempt_count, 0);
}

#[test]
fn a_recipient_that_will_never_take_it_fails_alone() {
    let server = Responder::start(Mode::Plain, on("RCPT TO:<gone@", say("550 Invalid User")));
    let mut bench = Bench::new(vec![account("10001", server.port)], &["a"]);
    bench.mail = settings(&["gone@example.com", "a@example.com"]);
    assert_eq!(bench.drain(), tally(0, 0, 1, 0));
    let Event::PartlySent { sent, refused, kept, .. } = bench.last() else { panic!() };
    assert_eq!((sent.as_slice(), kept), (&["a@example.com".to_owned()][..], Folder::Failed));
    assert_eq!(refused[0].address, "gone@example.com");
    assert!(refused[0].diagnosis.cause.en.contains("doesn't exist"));
    assert_eq!(server.taken()[0].to, ["a@example.com"]);
}

/// Catches: those who have the mail getting it again with those who don't; `to` changed meanwhile.
#[test]
fn only_those_who_wait_are_asked_again() {
    let busy = std::sync::atomic::AtomicBool::new(true);
    let server = Responder::start(Mode::Plain, move |seen| {
        let this = seen.starts_with("RCPT TO:<b@");
        (this && busy.swap(false, std::sync::atomic::Ordering::SeqCst)).then(|| say("450 busy")).flatten()
    });
    let mut bench = Bench::new(vec![account("10001", server.port)], &["a"]);
    bench.mail = settings(&["a@example.com", "b@example.com"]);
    assert_eq!(bench.drain(), tally(0, 1, 0, 0));
    assert!(matches!(bench.last(), Event::PartlySent { kept: Folder::New, .. }));
    assert!(bench.load(Folder::New, "a").next_try.is_some());
    bench.mail = settings(&["z@example.com"]);
    assert_eq!(bench.drain(), tally(1, 0, 0, 0));
    let to: Vec<_> = server.taken().into_iter().map(|taken| taken.to).collect();
    assert_eq!(to, [["a@example.com"], ["b@example.com"]]);
}

/// Catches: a mail that may have arrived sent again under another sender.
#[test]
fn an_unknown_answer_pins_the_account() {
    let dropping = Responder::start(Mode::Plain, on(".", Some(Act::Drop)));
    let other = Responder::start(Mode::Plain, |_| None);
    let mut bench = Bench::new(vec![account("10001", dropping.port), account("10002", other.port)], &["a"]);
    assert_eq!(bench.drain(), tally(0, 1, 0, 0));
    assert!(matches!(bench.last(), Event::Unknown { kept: Folder::New, .. }));
    bench.preferred = Some("10002".into());
    bench.accounts[0] = account("10001", closed_port());
    assert_eq!(bench.drain(), tally(0, 1, 0, 0));
    assert!(other.taken().is_empty());
    let healed = Responder::start(Mode::Plain, |_| None);
    bench.accounts[0] = account("10001", healed.port);
    assert_eq!(bench.drain(), tally(1, 0, 0, 0));
    assert_eq!((healed.taken().len(), other.taken().len()), (1, 0));
    // Without that account it waits.
    let bench = Bench { accounts: vec![account("10002", other.port)], ..bench };
    put(&bench.store, "b", Folder::New);
    let mut claim = bench.store.claim(&id("b")).unwrap().unwrap();
    claim.entry.pinned = Some("10001".into());
    claim.settle(Folder::New).unwrap();
    assert_eq!(bench.drain(), tally(0, 1, 0, 0));
    assert!(other.taken().is_empty());
}

/// A process ends at a point of the attempt: its claim stays, with what it had recorded.
fn crash(bench: &Bench, name: &str, change: impl FnOnce(&mut Entry)) {
    let outbox = bench.root().join("outbox");
    let mut entry = sample(name);
    entry.recipients = Some(Recipients::new(mailboxes(&["a@example.com"]), vec![], vec![]));
    change(&mut entry);
    fs::write(outbox.join("new").join(name).join("entry.json"), entry.to_json().unwrap()).unwrap();
    let claim = outbox.join("sending").join(format!("{name}@{}", dead_owner()));
    fs::rename(outbox.join("new").join(name), claim).unwrap();
}

#[test]
fn crashes_in_every_phase_of_an_attempt() {
    let first = Responder::start(Mode::Plain, |_| None);
    let other = Responder::start(Mode::Plain, |_| None);
    let accounts = vec![account("10001", first.port), account("10002", other.port)];
    let receipt = Reply { code: 250, text: "OK".into() };
    let at: Timestamp = NOW.parse().unwrap();
    let here = || vec!["a@example.com".to_owned()];
    // Before the last byte: nothing happened.
    let bench = Bench::new(accounts.clone(), &["a"]);
    crash(&bench, "a", |_| {});
    assert_eq!(bench.drain(), tally(1, 0, 0, 0));
    assert_eq!((first.taken().len(), other.taken().len()), (1, 0));
    // After it: unknown, so the same account tries again.
    let bench = Bench::new(accounts.clone(), &["a"]);
    crash(&bench, "a", |entry| entry.record_body_sent("10002", here(), at));
    assert_eq!(bench.drain(), tally(1, 0, 0, 0));
    assert_eq!((first.taken().len(), other.taken().len()), (1, 1));
    let entry = bench.load(Folder::Sent, "a");
    assert_eq!((entry.attempt_count, entry.pinned.as_deref()), (2, Some("10002")));
    assert!(matches!(&entry.attempts[0].outcome, Outcome::Unknown(f) if f.cause == Cause::Interrupted));
    // After the answer was recorded: done, nothing is sent, though the body may be gone.
    let bench = Bench::new(accounts, &["a"]);
    fs::remove_file(bench.store.body(Folder::New, &id("a"), Form::Full)).unwrap();
    crash(&bench, "a", |entry| {
        entry.record_body_sent("10002", here(), at);
        entry.record_accepted(&receipt, at);
    });
    assert_eq!(bench.drain(), tally(1, 0, 0, 0));
    assert!(matches!(bench.last(), Event::Sent { account, recipients, .. }
        if account == "10002" && recipients == here()));
    assert_eq!((first.taken().len(), other.taken().len()), (1, 1));
}

#[test]
fn without_an_account_or_a_code_it_is_kept() {
    let mut bench = Bench::new(vec![], &["a"]);
    assert_eq!(bench.drain(), tally(0, 1, 0, 0));
    let Event::NotSent { account: None, diagnosis, .. } = bench.last() else { panic!() };
    assert!(diagnosis.cause.en.contains("no account") && diagnosis.fix.en.contains("[accounts.NAME]"));
    bench.accounts = vec![account("10001", 1)];
    bench.preferred = Some("typo".into());
    assert_eq!(bench.drain(), tally(0, 1, 0, 0));
    let Event::NotSent { diagnosis, .. } = bench.last() else { panic!() };
    assert!(diagnosis.cause.en.contains("\"typo\""), "{diagnosis:?}");
    bench.preferred = None;
    let no_code =
        &mut |_: &Account| Err(Error::new(Kind::Secret, "can't read code.txt").hint("make it readable"));
    let tally_of = bench.drain_with(no_code, &mut |_, _| panic!("must not be sent")).unwrap();
    assert_eq!(tally_of, tally(0, 1, 0, 0));
    let Event::NotSent { diagnosis, .. } = bench.last() else { panic!() };
    assert_eq!(diagnosis.cause.en, "can't read code.txt");
    assert!(diagnosis.fix.en.starts_with("make it readable"));
    assert_eq!(bench.load(Folder::New, "a").recipients, None, "nobody was asked, nothing is frozen");
}

#[test]
fn what_no_later_try_can_help_goes_to_failed() {
    let server = Responder::start(Mode::Plain, on(".", say("550 Mail content denied")));
    let bench = Bench::new(vec![account("10001", server.port)], &["a"]);
    assert_eq!(bench.drain(), tally(0, 0, 1, 0));
    assert!(matches!(bench.last(), Event::NotSent { kept: Folder::Failed, next: Next { at: None, .. }, .. }));
    assert!(bench.store.body(Folder::Failed, &id("a"), Form::Full).exists());
}

#[test]
fn an_unreadable_entry_stops_none_of_the_others() {
    let server = Responder::start(Mode::Plain, |_| None);
    let bench = Bench::new(vec![account("10001", server.port)], &["a", "b"]);
    fs::write(bench.root().join("outbox/new/a/entry.json"), "{}").unwrap();
    assert_eq!(bench.drain(), tally(1, 0, 0, 1));
    assert!(matches!(&bench.events()[0], Event::Trouble { entry, message, .. }
        if *entry == id("a") && message.contains("new/a/entry.json")));
    assert_eq!(fs::read_to_string(bench.root().join("outbox/new/a/entry.json")).unwrap(), "{}");
}

#[test]
fn one_entry_or_all_the_oldest_first() {
    let server = Responder::start(Mode::Plain, |_| None);
    let mut bench = Bench::new(vec![account("10001", server.port)], &["a", "b", "c"]);
    bench.pick = Pick::Only(id("b"));
    assert_eq!(bench.drain(), tally(1, 0, 0, 0));
    bench.pick = Pick::All(Whose::Anyones);
    assert_eq!(bench.drain(), tally(2, 0, 0, 0));
    let order: Vec<_> =
        server.taken().iter().map(|t| t.raw[..].windows(15).any(|w| w == b"<a@example.com>")).collect();
    assert_eq!(order, [false, true, false]);
    bench.pick = Pick::Only(id("nothing"));
    let missing = bench.drain_with(&mut |_| panic!(), &mut |_, _| panic!()).unwrap_err();
    assert_eq!(missing.kind, Kind::NotFound);
}

/// Catches: a flush that says "nothing to do" while another process is failing with the entry.
#[test]
fn it_waits_for_another_process() {
    let server = Responder::start(Mode::Plain, |_| None);
    let mut bench = Bench::new(vec![account("10001", server.port)], &["a", "b"]);
    bench.wait = Duration::from_secs(20);
    for (name, ends_in, sent) in [("a", Folder::Sent, 0), ("b", Folder::New, 1)] {
        bench.pick = if name == "a" { Pick::Only(id(name)) } else { Pick::All(Whose::Anyones) };
        let mut theirs = bench.store.claim(&id(name)).unwrap();
        // The other settles as soon as it is waited for.
        let seen = RefCell::new(Vec::new());
        let plan = Plan {
            pick: bench.pick.clone(),
            accounts: &bench.accounts,
            preferred: None,
            mail: &bench.mail,
            wait: bench.wait,
            urgency: Urgency::Asked,
            bound: None,
        };
        let mut hands = Hands {
            now: &mut || NOW.parse().unwrap(),
            secret: &mut |_| Ok(Secret::parse("sesame").unwrap()),
            headers: &mut |_| Ok(Vec::new()),
            send: &mut |job, ledger| Courier::new().attempt(job, ledger),
            smaller: &mut |_, _| Err(Error::new(Kind::NotFound, "no run")),
            events: &mut |event| {
                if let Event::Waiting { .. } = event {
                    theirs.take().expect("waits once").settle(ends_in).unwrap();
                }
                seen.borrow_mut().push(event);
            },
        };
        assert_eq!(drain(&bench.store, &plan, &mut hands).unwrap(), tally(1, 0, 0, 0));
        assert_eq!(server.taken().len(), sent);
        let seen = seen.take();
        let elsewhere = matches!(&seen[1], Event::Elsewhere { now_in: Some(Folder::Sent), .. });
        assert_eq!(elsewhere, ends_in == Folder::Sent, "{seen:?}");
    }
    // Not for ever.
    put(&bench.store, "c", Folder::New);
    let _theirs = bench.store.claim(&id("c")).unwrap();
    (bench.pick, bench.wait) = (Pick::Only(id("c")), Duration::ZERO);
    assert_eq!(bench.drain(), tally(0, 0, 0, 1));
    assert!(matches!(bench.last(), Event::Elsewhere { now_in: None, .. }));
}

/// Catches: eight that drain side by side and take as long as one, since each waits for the mail that another
/// is sending instead of taking the next.
#[test]
fn what_is_free_is_sent_before_it_waits() {
    let server = Responder::start(Mode::Plain, |_| None);
    let mut bench = Bench::new(vec![account("10001", server.port)], &["a", "b"]);
    let _theirs = bench.store.claim(&id("a")).unwrap().unwrap();
    bench.wait = Duration::from_millis(1);
    assert_eq!(bench.drain(), tally(1, 0, 0, 1));
    let names = bench.events().into_iter().map(|event| match event {
        Event::Sent { entry, .. } => format!("sent {entry}"),
        Event::Waiting { entry } => format!("waits for {entry}"),
        _ => String::new(),
    });
    assert_eq!(names.filter(|name| !name.is_empty()).collect::<Vec<_>>(), ["sent b", "waits for a"]);
}

/// Catches: two processes draining side by side both sending a mail.
#[test]
fn many_drain_at_once_and_each_mail_goes_once() {
    const MAILS: usize = 40;
    let server = Responder::start(Mode::Plain, |_| None);
    let names: Vec<String> = (0..MAILS).map(|n| format!("m{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    for name in &names {
        put(&store, name, Folder::New);
    }
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut bench = Bench::new(vec![account("10001", server.port)], &[]);
                bench.store = open(root.path());
                bench.drain();
            });
        }
    });
    let mut seen: Vec<String> = server
        .taken()
        .iter()
        .map(|taken| {
            let text = String::from_utf8(taken.raw.clone()).unwrap();
            let at = text.find("Message-ID: <").unwrap() + 13;
            text[at..at + 3].to_owned()
        })
        .collect();
    seen.sort();
    assert_eq!(seen, names);
    assert_eq!(store.list(Folder::Sent).unwrap().len(), MAILS);
}

/// Catches: a full disk after the 250 making a delivered mail look undelivered.
#[test]
fn a_receipt_that_cant_be_written_still_counts_as_sent() {
    /// A folder stands in the place of entry.json, and no rename replaces that by a file.
    fn cant_be_replaced(body: &std::path::Path) {
        let entry = body.with_file_name("entry.json");
        fs::remove_file(&entry).unwrap();
        fs::create_dir(&entry).unwrap();
    }

    let bench = Bench::new(vec![account("10001", 1)], &["a"]);
    let root = bench.root().to_owned();
    let accepts = &mut |job: &Job<'_>, ledger: Ledger<'_>| {
        let recipients =
            vec![RecipientResult { address: job.recipients[0].clone(), verdict: RecipientVerdict::Accepted }];
        ledger(Progress::Recipients(&recipients)).unwrap();
        ledger(Progress::BodySent).unwrap();
        cant_be_replaced(job.body);
        let receipt = Reply { code: 250, text: "OK".into() };
        ledger(Progress::Accepted(&receipt)).unwrap_err();
        let endpoint = job.account.server.endpoint();
        Attempt { recipients, outcome: Outcome::Accepted { receipt }, endpoint, elapsed: Duration::ZERO }
    };
    bench.drain_with(&mut |_| Ok(Secret::parse("sesame").unwrap()), accepts).unwrap();
    assert!(bench.events().iter().any(|event| matches!(event, Event::Trouble { .. })));
    assert!(!root.join("outbox/new/a").exists());
    assert_eq!(bench.store.list(Folder::Sent).unwrap(), [id("a")]);
    // One that wasn't delivered goes back to where the next try finds it.
    put(&bench.store, "b", Folder::New);
    let refuses = &mut |job: &Job<'_>, _: Ledger<'_>| {
        cant_be_replaced(job.body);
        let failure = Failure { stage: Stage::AfterDot, class: Class::Content, cause: Cause::Closed };
        let endpoint = job.account.server.endpoint();
        Attempt { recipients: vec![], outcome: Outcome::Failed(failure), endpoint, elapsed: Duration::ZERO }
    };
    bench.drain_with(&mut |_| Ok(Secret::parse("sesame").unwrap()), refuses).unwrap();
    assert_eq!(bench.store.list(Folder::New).unwrap(), [id("b")]);
}
