//! Failing over, holding accounts, lesser forms and giving up: against real sockets, with a clock of our
//! own.

use std::fs;

use jiff::SignedDuration;

use super::drain::Pick;
use super::drain_tests::{Bench, account, closed_port, on, settings, tally};
use super::entry::{Folder, Form, GaveUp};
use super::event::{Event, Tally};
use super::schedule::Urgency;
use super::store_tests::{id, put};
use crate::config::Secret;
use crate::deliver::courier::Courier;
use crate::deliver::responder::{Act, Mode, Responder, say};
use crate::deliver::verdict::{Class, Outcome};
use crate::error::{Error, Kind};

fn sends() -> Responder {
    Responder::start(Mode::Plain, |_| None)
}

fn refuses(event: &'static str, reply: &str) -> Responder {
    Responder::start(Mode::Plain, on(event, say(reply)))
}

fn logins(server: &Responder) -> usize {
    server.said().iter().filter(|line| line.starts_with("AUTH")).count()
}

/// Gives the entry a second form.
fn with_plain(bench: &Bench, name: &str) {
    let mut claim = bench.store.claim(&id(name)).unwrap().unwrap();
    claim.entry.plain_subject = Some("train.py".into());
    claim.settle(Folder::New).unwrap();
    fs::write(bench.store.body(Folder::New, &id(name), Form::Plain), "\r\nplain\r\n").unwrap();
}

fn later(bench: &mut Bench, minutes: i64) {
    bench.now += SignedDuration::from_mins(minutes);
}

/// Catches: a From that isn't the login's (QQ and 163 refuse that), a mail to the second account's own box
/// where the first one's is meant, one that no account or both send.
#[test]
fn the_next_account_sends_what_the_first_does_not_take() {
    for (event, reply) in [
        ("CONNECT", "554 no"),
        ("AUTH", "535 Error: authentication failed"),
        ("MAIL", "501 mail from address must be same as authorization user"),
        ("MAIL", "550 Sender frequency limited"),
        ("RCPT", "550 Ip frequency limited"),
        (".", "550 Mail content denied"),
        (".", "554 anything else"),
        (".", "451 local error"),
        (".", "552 exceeded mailsize limit"),
    ] {
        let (first, second) = (refuses(event, reply), sends());
        let bench = Bench::new(vec![account("10001", first.port), account("10002", second.port)], &["a"]);
        assert_eq!(bench.drain(), tally(1, 0, 0, 0), "{reply}");
        let events = bench.events();
        let over = |e: &Event| matches!(e, Event::FailedOver { account, to, .. } if account == "10001" && to == "10002");
        assert_eq!(events.iter().filter(|e| over(e)).count(), 1, "{reply}: {events:?}");
        let taken = second.taken();
        assert_eq!((taken.len(), taken[0].from.as_str()), (1, "10002@qq.com"), "{reply}");
        assert_eq!(taken[0].to, ["10001@qq.com"], "{reply}");
        assert!(taken[0].raw.starts_with(b"From: <10002@qq.com>"));
        assert!(first.taken().is_empty());
        let entry = bench.load(Folder::Sent, "a");
        assert_eq!((entry.attempt_count, entry.form), (2, Form::Full), "{reply}");
    }
    // A connection that breaks, too.
    let (first, second) = (Responder::start(Mode::Plain, on("DATA", Some(Act::Drop))), sends());
    let bench = Bench::new(
        vec![account("10001", closed_port()), account("10003", first.port), account("10002", second.port)],
        &["a"],
    );
    assert_eq!(bench.drain(), tally(1, 0, 0, 0));
    assert_eq!(bench.load(Folder::Sent, "a").attempt_count, 3);
}

/// Catches: the account that one counts on not named, when none took the mail.
#[test]
fn when_none_takes_it_each_is_named() {
    let first = refuses("AUTH", "535 Error: authentication failed");
    let bench = Bench::new(vec![account("10001", first.port), account("10002", closed_port())], &["a"]);
    assert_eq!(bench.drain(), tally(0, 1, 0, 0));
    let Event::NotSent { account, diagnosis, earlier, .. } = bench.last() else { panic!() };
    assert_eq!((account.as_deref(), diagnosis.class), (Some("10002"), Class::Transient));
    assert_eq!((earlier.len(), earlier[0].account.as_str()), (1, "10001"));
    assert_eq!(earlier[0].diagnosis.class, Class::Credentials);
}

/// Catches: `--account` forgotten when failing over, the others never asked.
#[test]
fn the_account_asked_for_is_the_first() {
    let (first, second) = (sends(), refuses("MAIL", "550 Sender frequency limited"));
    let mut bench = Bench::new(vec![account("10001", first.port), account("10002", second.port)], &["a"]);
    bench.preferred = Some("10002".into());
    assert_eq!(bench.drain(), tally(1, 0, 0, 0));
    assert_eq!(first.taken()[0].to, ["10002@qq.com"]);
}

/// Catches: a stale code tried again by each run (one is on record with 2,724 failed logins), a new code
/// that has to wait, an insistent user who is refused.
#[test]
fn a_refused_login_is_held_across_drains() {
    let server = refuses("AUTH", "535 Login fail. Account is abnormal");
    let mut bench = Bench::new(vec![account("10001", server.port)], &["a"]);
    bench.urgency = Urgency::Due;
    assert_eq!(bench.drain(), tally(0, 1, 0, 0));
    assert_eq!(logins(&server), 1);
    for _ in 0..59 {
        later(&mut bench, 1);
        bench.drain();
    }
    assert_eq!(logins(&server), 1, "held for an hour");
    let Event::NotSent { next, diagnosis, .. } = bench.last() else { panic!() };
    assert!(!next.tried && next.at == Some("2026-11-21T13:00:00Z".parse().unwrap()));
    assert_eq!((next.class, diagnosis.class), (Some(Class::Credentials), Class::Credentials));
    later(&mut bench, 1);
    bench.drain();
    assert_eq!(logins(&server), 2);
    assert_eq!(bench.load(Folder::New, "a").attempt_count, 2, "what was held was no attempt");
    // Another notice is held as well, and its first try is.
    put(&bench.store, "b", Folder::New);
    later(&mut bench, 1);
    bench.urgency = Urgency::Asked;
    bench.drain();
    assert_eq!(logins(&server), 2);
    bench.urgency = Urgency::Forced;
    bench.drain();
    assert_eq!(logins(&server), 3, "asked for");
    // With another code at once.
    bench.urgency = Urgency::Due;
    let sent = bench
        .drain_with(&mut |_| Ok(crate::config::Secret::parse("another").unwrap()), &mut |job, ledger| {
            crate::deliver::courier::Courier::new().attempt(job, ledger)
        })
        .unwrap();
    assert_eq!((sent.kept, logins(&server)), (2, 4));
    let state = fs::read_dir(bench.root().join("outbox/accounts")).unwrap().next().unwrap().unwrap();
    let state = fs::read_to_string(state.path()).unwrap();
    assert!(!state.contains("another") && !state.contains("sesame"), "{state}");
}

/// Catches: an account that was asked to wait used by the next mail or the next run.
#[test]
fn a_throttled_account_rests_across_drains() {
    let server = refuses("MAIL", "550 Ip frequency limited");
    let mut bench = Bench::new(vec![account("10001", server.port)], &["a", "b"]);
    let mails = |server: &Responder| server.said().iter().filter(|s| s.starts_with("MAIL")).count();
    assert_eq!(bench.drain(), tally(0, 2, 0, 0));
    later(&mut bench, 59);
    assert_eq!(bench.drain(), tally(0, 2, 0, 0));
    assert_eq!(mails(&server), 1);
    // With another account beside it nothing waits.
    let second = sends();
    bench.accounts.push(account("10002", second.port));
    assert_eq!(bench.drain(), tally(2, 0, 0, 0));
    assert_eq!((mails(&server), second.taken().len()), (1, 2));
    assert_eq!(second.taken()[0].to, ["10001@qq.com"]);
}

/// Catches: a recipient whose mailbox gets too much hammered by each flush, or an account that waits for him.
#[test]
fn a_recipient_that_asks_to_wait_is_waited_for_alone() {
    let server = refuses("RCPT TO:<full@", "550 Mailbox unavailable or access denied");
    let mut bench = Bench::new(vec![account("10001", server.port)], &["a"]);
    bench.mail = settings(&["full@example.com"]);
    assert_eq!(bench.drain(), tally(0, 1, 0, 0));
    put(&bench.store, "b", Folder::New);
    bench.mail = settings(&["a@example.com"]);
    later(&mut bench, 30);
    assert_eq!(bench.drain(), Tally { later: 1, ..tally(1, 0, 0, 0) });
    later(&mut bench, 31);
    assert_eq!(bench.drain(), tally(0, 1, 0, 0));
}

/// Catches: a mail taken for spam that is sent again as it was, or at once, or not at all.
#[test]
fn spam_is_sent_in_a_lesser_form_later() {
    let full = std::sync::atomic::AtomicBool::new(true);
    let server = Responder::start(Mode::Plain, move |seen| {
        let first = seen == "." && full.swap(false, std::sync::atomic::Ordering::SeqCst);
        first.then(|| say("554 DT:SPM 163 smtp12,abc")).flatten()
    });
    let mut bench = Bench::new(vec![account("10001", server.port)], &["a"]);
    with_plain(&bench, "a");
    assert_eq!(bench.drain(), tally(0, 1, 0, 0));
    let Event::NotSent { next, kept, .. } = bench.last() else { panic!() };
    assert_eq!((next.form, next.class, kept), (Form::Plain, Some(Class::Content), Folder::New));
    assert_eq!(next.at, Some("2026-11-21T12:02:00Z".parse().unwrap()));
    later(&mut bench, 1);
    assert_eq!(bench.drain().later, 1, "not at once, even when asked");
    later(&mut bench, 1);
    assert_eq!(bench.drain(), tally(1, 0, 0, 0));
    let raw = String::from_utf8(server.taken()[0].raw.clone()).unwrap();
    assert!(raw.contains("Subject: train.py\r\n") && raw.ends_with("\r\nplain\r\n"), "{raw}");
    let entry = bench.load(Folder::Sent, "a");
    let forms: Vec<Form> = entry.attempts.iter().map(|attempt| attempt.form).collect();
    assert_eq!(forms, [Form::Full, Form::Plain]);
    assert!(!bench.store.body(Folder::Sent, &id("a"), Form::Plain).exists());
    // There is no form below that one.
    let server = refuses(".", "554 DT:SPM 163 smtp12,abc");
    let mut bench = Bench::new(vec![account("10001", server.port)], &["a"]);
    with_plain(&bench, "a");
    bench.drain();
    later(&mut bench, 2);
    assert_eq!(bench.drain(), tally(0, 0, 1, 0));
    let Event::NotSent { next, kept: Folder::Failed, .. } = bench.last() else { panic!() };
    assert_eq!(next.gave_up, Some(GaveUp::Refused));
    assert_eq!(bench.load(Folder::Failed, "a").gave_up, Some(GaveUp::Refused));
}

/// Catches: a notice lost because its log was too large.
#[test]
fn too_large_is_sent_in_a_lesser_form_at_once() {
    let server = Responder::start(Mode::Plain, |seen| {
        let large = seen.starts_with("MAIL") && seen.contains("SIZE=") && !seen.contains("SIZE=9");
        large.then(|| say("552 exceeded mailsize limit")).flatten()
    });
    let bench = Bench::new(vec![account("10001", server.port)], &["a"]);
    with_plain(&bench, "a");
    assert_eq!(bench.drain(), tally(1, 0, 0, 0), "{:?}", bench.events());
    let events = bench.events();
    assert!(!events.iter().any(|e| matches!(e, Event::FailedOver { .. })));
    assert_eq!(bench.load(Folder::Sent, "a").form, Form::Plain);
}

/// Catches: a mail given up, or sent by the next account while nobody knows that it was refused, since the disk
/// was full just when the refusal was to be recorded.
#[test]
fn a_refusal_that_cant_be_recorded_puts_it_off() {
    for reply in ["554 DT:SPM 163 smtp12,abc", "552 exceeded mailsize limit", "550 Mail content denied"] {
        let (first, second) = (refuses(".", reply), sends());
        let mut bench = Bench::new(vec![account("10001", first.port), account("10002", second.port)], &["a"]);
        with_plain(&bench, "a");
        let sending = bench.root().join("outbox/sending");
        let done = bench.drain_with(&mut |_| Ok(Secret::parse("sesame").unwrap()), &mut |job, ledger| {
            let attempt = Courier::new().attempt(job, ledger);
            let claimed = fs::read_dir(&sending).unwrap().next().unwrap().unwrap().path();
            let (record, aside) = (claimed.join("entry.json"), claimed.join("aside"));
            fs::rename(&record, &aside).unwrap();
            fs::create_dir_all(record.join("in the way")).unwrap();
            *bench.then.borrow_mut() = Some(Box::new(move || {
                fs::remove_dir_all(&record).unwrap();
                fs::rename(&aside, &record).unwrap();
            }));
            attempt
        });
        assert_eq!(done.unwrap(), tally(0, 1, 0, 0), "{reply}");
        assert_eq!(second.said(), [""; 0], "{reply}");
        later(&mut bench, 5);
        assert_eq!(bench.drain(), tally(1, 0, 0, 0), "{reply}");
    }
}

/// Makes bodies of exactly what is asked for, but never less than `least`; and notes what was asked.
fn remakes(bench: &Bench, least: u64) -> std::rc::Rc<std::cell::RefCell<Vec<u64>>> {
    use std::io::Write;
    let asked = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let note = asked.clone();
    *bench.smaller.borrow_mut() = Box::new(move |_, remake| {
        note.borrow_mut().push(remake.most);
        let bytes = remake.most.max(least) as usize;
        fs::create_dir(remake.parts()).unwrap();
        (&remake.body).write_all(&[b"\r\n".as_slice(), &vec![b'x'; bytes - 4], b"\r\n"].concat()).unwrap();
        Ok(())
    });
    asked
}

fn with_body(bench: &Bench, name: &str, bytes: usize) {
    with_plain(bench, name);
    let body = [b"\r\n".as_slice(), &vec![b'x'; bytes - 4], b"\r\n"].concat();
    fs::write(bench.store.body(Folder::New, &id(name), Form::Full), body).unwrap();
}

/// The SIZE that a MAIL says.
fn size_of(line: &str) -> Option<u64> {
    let size = line.split_once("SIZE=")?.1;
    size.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The SIZE of each MAIL that was said.
fn sizes(server: &Responder) -> Vec<u64> {
    server.said().iter().filter(|line| line.starts_with("MAIL")).filter_map(|line| size_of(line)).collect()
}

/// Catches: a log left out whole where half of it would have been taken; one that is made smaller for ever.
#[test]
fn what_is_too_large_is_halved_until_it_is_taken() {
    let server = Responder::start(Mode::Plain, |seen| {
        (size_of(seen).is_some_and(|size| size > 400)).then(|| say("552 exceeded mailsize limit")).flatten()
    });
    let bench = Bench::new(vec![account("10001", server.port)], &["a"]);
    with_body(&bench, "a", 1600);
    let asked = remakes(&bench, 0);
    assert_eq!(bench.drain(), tally(1, 0, 0, 0), "{:?}", bench.events());
    assert_eq!(*asked.borrow(), [800, 400, 200]);
    assert_eq!(sizes(&server).len(), 4, "{:?}", server.said());
    let entry = bench.load(Folder::Sent, "a");
    assert_eq!((entry.form, entry.attempt_count), (Form::Full, 4));
    assert!(
        !bench.root().join("outbox/sent/a/remake").exists()
            && !bench.store.body(Folder::Sent, &id("a"), Form::Full).exists()
    );

    // With all left out but the words it still is: then the plain form.
    let bench = Bench::new(vec![account("10001", server.port)], &["a"]);
    with_body(&bench, "a", 1600);
    let asked = remakes(&bench, 700);
    assert_eq!(bench.drain(), tally(1, 0, 0, 0), "{:?}", bench.events());
    assert_eq!(*asked.borrow(), [800, 400, 350]);
    assert_eq!(bench.load(Folder::Sent, "a").form, Form::Plain);
}

/// Catches: logins and uploads without end for a server that refuses whatever comes; a mail that is lost then,
/// or whose record doesn't say how it was made smaller.
#[test]
fn a_server_that_refuses_every_size_is_asked_so_often_and_no_more() {
    let server = refuses(".", "552 too much");
    let bench = Bench::new(vec![account("10001", server.port)], &["a"]);
    with_body(&bench, "a", 1 << 20);
    let asked = remakes(&bench, 0);
    assert_eq!(bench.drain(), tally(0, 0, 1, 0), "{:?}", bench.events());
    assert_eq!(*asked.borrow(), [19, 18, 17, 16, 15, 14].map(|bits| 1 << bits));
    let entry = bench.load(Folder::Failed, "a");
    assert_eq!((entry.form, entry.gave_up), (Form::Plain, Some(GaveUp::Refused)));
    let bytes: Vec<u64> = entry.attempts.iter().map(|attempt| attempt.bytes.unwrap()).collect();
    assert_eq!(bytes, [1 << 20, 1 << 19, 1 << 18, 1 << 17, 1 << 16, 1 << 15, 1 << 14, 9]);
    // The body that is kept is the last one; nothing else is.
    let kept = fs::metadata(bench.store.body(Folder::Failed, &id("a"), Form::Full)).unwrap();
    assert_eq!(kept.len(), 1 << 14);
    assert!(!bench.root().join("outbox/failed/a/remake").exists());
}

/// Catches: a mail made smaller again and again for a mailbox that takes none of any size now.
#[test]
fn a_full_mailbox_is_no_reason_to_make_it_smaller() {
    for reply in ["552 5.2.2 x", "552 Mailbox full", "552 Requested mail action aborted: quota exceeded"] {
        let server = refuses(".", reply);
        let bench = Bench::new(vec![account("10001", server.port)], &["a"]);
        with_body(&bench, "a", 1600);
        let asked = remakes(&bench, 0);
        assert_eq!(bench.drain(), tally(0, 1, 0, 0), "{reply}");
        assert_eq!(*asked.borrow(), [0; 0], "{reply}");
        assert_eq!(bench.load(Folder::New, "a").attempt_count, 1, "{reply}");
    }
}

/// Catches: a limit that the server says guessed at, or the mail made smaller for who would have taken more.
#[test]
fn a_limit_that_is_said_is_used() {
    let offers = |size: &str| {
        let size = size.to_owned();
        Responder::start(Mode::Plain, move |seen| {
            let ehlo = format!("250-localhost\r\n250-AUTH PLAIN LOGIN\r\n250 SIZE {size}\r\n");
            seen.starts_with("EHLO").then(|| Some(Act::Say(ehlo.clone().into_bytes()))).flatten()
        })
    };
    let (first, second) = (offers("500"), offers("900"));
    let bench = Bench::new(vec![account("10001", first.port), account("10002", second.port)], &["a"]);
    with_body(&bench, "a", 1600);
    let asked = remakes(&bench, 0);
    *bench.smaller.borrow_mut() = {
        use std::io::Write;
        let asked = asked.clone();
        Box::new(move |_, remake| {
            asked.borrow_mut().push(remake.most);
            let middle = vec![b'x'; remake.most as usize - 300];
            (&remake.body).write_all(&[b"\r\n".as_slice(), &middle, b"\r\n"].concat()).unwrap();
            Ok(())
        })
    };
    assert_eq!(bench.drain(), tally(1, 0, 0, 0), "{:?}", bench.events());
    assert_eq!(*asked.borrow(), [900]);
    assert_eq!((first.taken().len(), second.taken().len()), (0, 1));
    assert_eq!(sizes(&first), [0u64; 0], "it needn't even be asked");
}

/// Catches: a notice that isn't sent since it can't be made anew: the run is gone, or the disk is full.
#[test]
fn what_cant_be_made_anew_goes_in_the_lesser_form_at_once() {
    let server = Responder::start(Mode::Plain, |seen| {
        let large = seen.starts_with("MAIL") && seen.contains("SIZE=1");
        large.then(|| say("552 exceeded mailsize limit")).flatten()
    });
    let bench = Bench::new(vec![account("10001", server.port)], &["a"]);
    with_body(&bench, "a", 1600);
    *bench.smaller.borrow_mut() = Box::new(|_, remake| {
        fs::create_dir(remake.parts()).unwrap();
        Err(Error::new(Kind::Storage, "no space"))
    });
    assert_eq!(bench.drain(), tally(1, 0, 0, 0), "{:?}", bench.events());
    assert_eq!(bench.load(Folder::Sent, "a").form, Form::Plain);
    assert!(!bench.root().join("outbox/sent/a/remake").exists());
}

/// Catches: a mail that no account ever takes tried for ever; one that was tried by hand ten times given
/// up too soon; the reason forgotten.
#[test]
fn after_days_and_rounds_it_is_given_up() {
    let mut bench = Bench::new(vec![account("10001", closed_port())], &["a"]);
    bench.urgency = Urgency::Asked;
    for _ in 0..20 {
        bench.drain();
    }
    assert_eq!(bench.load(Folder::New, "a").rounds, 1);
    bench.urgency = Urgency::Due;
    let begin = bench.now;
    let mut tries = Vec::new();
    while let Ok(entry) = bench.store.load(Folder::New, &id("a")) {
        let next = entry.next_try.unwrap();
        bench.now = next - SignedDuration::from_secs(1);
        assert_eq!(bench.drain(), Tally { later: 1, ..tally(0, 0, 0, 0) });
        bench.now = next;
        bench.drain();
        tries.push(bench.now.duration_since(begin).as_mins());
    }
    assert_eq!(tries[..8], [1, 3, 7, 15, 31, 63, 127, 255]);
    let days = tries.last().unwrap() / 60 / 24;
    assert!((4..=6).contains(&days), "{tries:?}");
    let entry = bench.load(Folder::Failed, "a");
    assert_eq!(entry.gave_up, Some(GaveUp::Expired));
    assert!(
        matches!(&entry.attempts.last().unwrap().outcome, Outcome::Failed(f) if f.class == Class::Transient)
    );
    let Event::NotSent { next, kept: Folder::Failed, .. } = bench.last() else { panic!() };
    assert_eq!(next.gave_up, Some(GaveUp::Expired));
}

/// Catches: notices that wait for ever behind a login that isn't tried any more.
#[test]
fn behind_a_held_login_it_is_given_up_after_days() {
    let server = refuses("AUTH", "535 Error: authentication failed");
    let mut bench = Bench::new(vec![account("10001", server.port)], &["a"]);
    bench.urgency = Urgency::Due;
    let mut hours = 0;
    while bench.drain().failed == 0 {
        hours += 1;
        assert!(hours < 24 * 7, "still there");
        later(&mut bench, 60);
    }
    assert_eq!((logins(&server), hours), (4, 5 * 24 - 2), "made at 9:30, first tried at 12:00");
    assert_eq!(bench.load(Folder::Failed, "a").gave_up, Some(GaveUp::Expired));
}

/// Catches: a mail given up though the account that took it for spam was never asked to take the lesser form,
/// since another wanted that one for its size.
#[test]
fn who_took_it_for_spam_is_asked_again_when_another_found_it_too_large() {
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    let (full, large) = (AtomicBool::new(true), AtomicBool::new(true));
    let first = Responder::start(Mode::Plain, move |seen| {
        (seen == "." && full.swap(false, SeqCst)).then(|| say("554 DT:SPM 163 smtp12,abc")).flatten()
    });
    let second = Responder::start(Mode::Plain, move |seen| match seen {
        "." => say("554 anything else"),
        _ if seen.starts_with("MAIL") && large.swap(false, SeqCst) => say("552 exceeded mailsize limit"),
        _ => None,
    });
    let mut bench = Bench::new(vec![account("10001", first.port), account("10002", second.port)], &["a"]);
    with_plain(&bench, "a");
    assert_eq!(bench.drain(), tally(0, 1, 0, 0), "{:?}", bench.events());
    assert_eq!(bench.load(Folder::New, "a").refused_by, ["10002"]);
    later(&mut bench, 2);
    assert_eq!(bench.drain(), tally(1, 0, 0, 0));
    assert_eq!(first.taken().len(), 1);
}

/// Catches: a mail that goes to failed/ without a word, since those who would still take it are gone from
/// notify.toml.
#[test]
fn what_is_given_up_unasked_is_told() {
    let (first, second) = (refuses(".", "554 anything else"), refuses("MAIL", "451 later"));
    let mut bench = Bench::new(vec![account("10001", first.port), account("10002", second.port)], &["a"]);
    assert_eq!(bench.drain(), tally(0, 1, 0, 0));
    bench.accounts.pop();
    later(&mut bench, 1);
    bench.events();
    assert_eq!(bench.drain(), tally(0, 0, 1, 0));
    let Event::NotSent { account, diagnosis, kept: Folder::Failed, .. } = bench.last() else { panic!() };
    assert_eq!(account.as_deref(), Some("10001"));
    assert_eq!(diagnosis.reply.unwrap().text, "anything else");
}

/// Catches: a mail that waits for ever for an account that was taken out of notify.toml.
#[test]
fn behind_an_account_that_is_gone_it_is_given_up_after_days() {
    let server = sends();
    let mut bench = Bench::new(vec![account("10002", server.port)], &["a"]);
    let mut claim = bench.store.claim(&id("a")).unwrap().unwrap();
    claim.entry.pinned = Some("10001".into());
    claim.settle(Folder::New).unwrap();
    assert_eq!(bench.drain(), tally(0, 1, 0, 0));
    later(&mut bench, 5 * 24 * 60);
    assert_eq!(bench.drain(), tally(0, 0, 1, 0));
    let Event::NotSent { account: None, next, diagnosis, .. } = bench.last() else { panic!() };
    assert_eq!(next.gave_up, Some(GaveUp::Expired));
    assert!(diagnosis.cause.en.contains("\"10001\""));
    assert!(server.taken().is_empty());
}

/// Catches: thousands of claims, each synced to the disk, for nothing.
#[test]
fn what_has_to_wait_is_not_touched() {
    let server = refuses("AUTH", "535 Error: authentication failed");
    let names: Vec<String> = (0..30).map(|n| format!("m{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let bench = Bench::new(vec![account("10001", server.port)], &names);
    let stamp = |name: &str| {
        let file = bench.root().join("outbox/new").join(name).join("entry.json");
        fs::metadata(file).unwrap().modified().unwrap()
    };
    let before = stamp("m29");
    assert_eq!(bench.drain(), tally(0, 30, 0, 0));
    assert_eq!(before, stamp("m29"));
    assert_eq!(bench.events().len(), 2);
}

/// Catches: a code that can't be read asked for (a command, a passphrase) by each mail that waits.
#[test]
fn a_code_that_cant_be_had_is_asked_for_once() {
    let (second, mut asked) = (sends(), 0);
    let mut bench =
        Bench::new(vec![account("10001", closed_port()), account("10002", second.port)], &["a", "b"]);
    bench.mail = settings(&["a@example.com"]);
    bench.pick = Pick::All(super::entry::Whose::Anyones);
    let tally_of = bench.drain_with(
        &mut |account| {
            if account.name == "10001" {
                asked += 1;
                return Err(Error::new(Kind::Secret, "can't read code.txt"));
            }
            Ok(crate::config::Secret::parse("sesame").unwrap())
        },
        &mut |job, ledger| crate::deliver::courier::Courier::new().attempt(job, ledger),
    );
    assert_eq!((tally_of.unwrap(), asked), (tally(2, 0, 0, 0), 1));
}
