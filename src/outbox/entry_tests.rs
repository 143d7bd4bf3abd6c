use super::*;

pub(crate) fn sample(id: &str) -> Entry {
    Entry {
        version: VERSION,
        id: EntryId::parse(id).unwrap(),
        run: Some(RunId("20261121T093000-1a2b3c4d".into())),
        created: "2026-11-21T09:30:00Z".parse().unwrap(),
        message_id: format!("<{id}@example.com>"),
        date: "2026-11-21T09:30:00Z".parse().unwrap(),
        utc_offset: 8 * 3600,
        subject: "✅ train.py succeeded".into(),
        addressing: Addressing::default(),
        recipients: None,
        attempts: Vec::new(),
        attempt_count: 0,
        in_flight: None,
        pinned: None,
        held: None,
        next_try: None,
        waits: None,
        rounds: 0,
        form: Form::Full,
        plain_subject: None,
        language: Language::Auto,
        refused_by: Vec::new(),
        gave_up: None,
        revived: None,
    }
}

fn to(addresses: &[&str]) -> Recipients {
    let mailbox = |a: &&str| Mailbox { name: None, address: (*a).to_owned() };
    Recipients::new(addresses.iter().map(mailbox).collect(), Vec::new(), Vec::new())
}

fn receipt() -> Reply {
    Reply { code: 250, text: "OK".into() }
}

#[test]
fn the_date_keeps_its_zone() {
    let mut entry = sample("a");
    assert_eq!(entry.zoned_date().strftime("%F %T %z").to_string(), "2026-11-21 17:30:00 +0800");
    entry.utc_offset = i32::MAX;
    assert_eq!(entry.zoned_date().strftime("%T %z").to_string(), "09:30:00 +0000");
}

/// Catches: a path made from an id that a user typed.
#[test]
fn ids_cant_leave_the_folder() {
    for bad in ["", "..", "a/b", "a.b", "x@y", &"a".repeat(81)] {
        assert_eq!(EntryId::parse(bad).unwrap_err().kind, Kind::Usage);
    }
    assert!(serde_json::from_str::<EntryId>("\"../x\"").is_err());
}

/// Catches: an address that stands in both To and Cc getting two mails.
#[test]
fn an_address_is_asked_once() {
    let mailbox = |a: &str| Mailbox { name: None, address: a.to_owned() };
    let all = Recipients::new(vec![mailbox("a@example.com")], vec![mailbox("A@Example.com")], vec![]);
    assert_eq!(all.pending(), ["a@example.com"]);
}

#[test]
fn only_those_in_flight_are_accepted() {
    let mut entry = sample("a");
    entry.record_verdicts(&to(&["a@example.com", "b@example.com"]), &[]);
    entry.record_body_sent("qq", vec!["b@example.com".into()], entry.created);
    entry.record_accepted(&receipt(), entry.created);
    assert_eq!(entry.recipients.as_ref().unwrap().pending(), ["a@example.com"]);
    assert_eq!(entry.standing(), Standing::Open);
    // The recipients are frozen: another choice changes nothing.
    entry.record_verdicts(&to(&["z@example.com"]), &[]);
    assert_eq!(entry.recipients.as_ref().unwrap().pending(), ["a@example.com"]);
}

/// Catches: a mail that may have arrived sent by another account, or thought delivered.
#[test]
fn an_interruption_pins_the_account() {
    let mut entry = sample("a");
    assert!(!entry.record_interruption());
    entry.record_verdicts(&to(&["a@example.com"]), &[]);
    entry.record_body_sent("qq", vec!["a@example.com".into()], entry.created);
    assert!(entry.record_interruption());
    assert_eq!((entry.pinned.as_deref(), entry.attempt_count), (Some("qq"), 1));
    assert_eq!(entry.standing(), Standing::Open);
    assert!(!entry.record_interruption());
}

#[test]
fn attempts_are_bounded_but_counted() {
    let mut entry = sample("a");
    let failure = Failure { stage: Stage::Connect, class: Class::Transient, cause: Cause::Closed };
    for n in 0..50 {
        let outcome = Outcome::Failed(failure.clone());
        entry.record_attempt(AttemptRecord {
            at: entry.created,
            account: "qq".into(),
            server: None,
            form: Form::Full,
            bytes: None,
            outcome,
            elapsed_ms: n,
        });
    }
    assert_eq!((entry.attempts.len(), entry.attempt_count), (20, 50));
    assert_eq!(entry.attempts[19].elapsed_ms, 49);
}

/// Catches: an entry of a newer version read as if it were ours, and then written back poorer.
#[test]
fn versions() {
    let newer = br#"{"version": 3, "id": {"new": true}}"#;
    let error = Entry::from_json(newer).unwrap_err();
    assert!(error.what.contains("newer") && !error.hints.is_empty());
    assert!(Entry::from_json(b"{\"version\": 1}").is_err());
    assert!(Entry::from_json(b"\0\0\0").is_err());
    let entry = sample("a");
    assert_eq!(Entry::from_json(&entry.to_json().unwrap()).unwrap(), entry);
}

/// Old states load for ever: these files are never changed, only added to.
#[test]
fn entries_written_by_version_1_load() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/outbox/v1");
    let mut names: Vec<_> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    assert_eq!(names.len(), 3);
    let entries: Vec<Entry> =
        names.iter().map(|path| Entry::from_json(&std::fs::read(path).unwrap()).unwrap()).collect();
    assert_eq!(entries[0].standing(), Standing::Open);
    assert_eq!(entries[0].in_flight.as_ref().unwrap().addresses, ["10001@qq.com"]);
    assert_eq!(entries[1].standing(), Standing::Open);
    assert_eq!(entries[1].addressing.to.as_ref().unwrap()[0].name.as_deref(), Some("李雷"));
    assert_eq!(entries[1].held, Some(HeldReason::NoAccount));
    assert_eq!(entries[2].standing(), Standing::Refused);
    assert_eq!((entries[2].attempt_count, entries[2].pinned.as_deref()), (7, Some("163")));
}

/// Catches: a mistyped address that no mending of notify.toml can put right, a mail sent again to who has it,
/// a mail that may have arrived sent by another account.
#[test]
fn a_mail_that_failed_can_be_tried_anew() {
    let now: Timestamp = "2026-11-28T09:30:00Z".parse().unwrap();
    let gone = RecipientVerdict::Refused { class: Class::Permanent, cause: Cause::Closed };
    let verdict = |address: &str| RecipientResult { address: address.into(), verdict: gone.clone() };
    let mut entry = sample("a");
    entry.record_verdicts(&to(&["mistyped@example.com"]), &[verdict("mistyped@example.com")]);
    (entry.rounds, entry.gave_up, entry.waits) = (12, Some(GaveUp::Refused), Some(Class::Permanent));
    entry.refused_by.push("qq".into());
    entry.form = Form::Plain;
    assert_eq!(entry.standing(), Standing::Refused);
    let mut revived = entry.clone();
    revived.revive(now);
    assert_eq!((revived.recipients, revived.revived, revived.rounds), (None, Some(now), 0));
    assert_eq!((revived.gave_up, revived.waits, revived.refused_by), (None, None, Vec::new()));
    assert_eq!(revived.form, Form::Plain, "what was taken for spam once is not sent so again");

    let mut half = sample("b");
    half.record_verdicts(&to(&["a@example.com", "b@example.com"]), &[verdict("b@example.com")]);
    half.record_body_sent("qq", vec!["a@example.com".into()], half.created);
    half.record_accepted(&receipt(), half.created);
    half.revive(now);
    assert_eq!(half.recipients.unwrap().pending(), ["b@example.com"]);

    entry.pinned = Some("qq".into());
    entry.revive(now);
    assert_eq!(entry.recipients.unwrap().pending(), ["mistyped@example.com"]);
    assert_eq!(entry.pinned.as_deref(), Some("qq"));
}

#[test]
fn each_form_has_its_subject() {
    let mut entry = sample("a");
    assert_eq!(entry.lesser_form(), None);
    entry.plain_subject = Some("train.py".into());
    assert_eq!((entry.lesser_form(), entry.subject_now()), (Some(Form::Plain), "✅ train.py succeeded"));
    entry.form = Form::Plain;
    assert_eq!((entry.lesser_form(), entry.subject_now()), (None, "train.py"));
}
