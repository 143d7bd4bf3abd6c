//! What a user does to the mails in the outbox by hand, and what he and his programs are told of them.

use std::fs;

use serde_json::Value;

use crate::support::env::Output;
use crate::support::script::{Action, Stage};
use crate::support::wait::wait_until;
use crate::{Scene, USER, contains, parse, qq};

const NO_SUCH_USER: &str = "550 Mailbox not found";

/// A run whose mail is refused for good.
fn refused(scene: &Scene, title: &str) {
    scene.server.set_script(qq().reply_at(Stage::Rcpt(0), NO_SUCH_USER));
    scene.env.notify_done(["--title", title, "--", "true"]).stderr_is_free().run().assert_code(0);
    scene.server.set_script(qq());
}

fn outbox(scene: &Scene, args: &[&str], code: i32) -> Output {
    let done = scene.env.notify_done([&["outbox"], args].concat()).stderr_is_free().run();
    done.assert_code(code);
    done
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// One document and nothing else.
fn json(scene: &Scene, args: &[&str], code: i32) -> Value {
    let done = outbox(scene, &[args, &["--json"]].concat(), code);
    serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&done)))
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[track_caller]
fn assert_keys(value: &Value, expected: &[&str]) {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(keys(value), expected);
}

/// Catches: a mail that was given up without its reason and the way out; one that goes out a second time.
#[test]
fn what_was_given_up_says_why_and_is_tried_again() {
    let scene = Scene::new();
    refused(&scene, "refused one");
    assert_eq!(scene.kept(), [0, 0, 0, 1]);
    let id = scene.ids("failed").remove(0);
    let way_out = format!("`notify-done outbox retry {id}`");
    let listed = text(&outbox(&scene, &["list"], 0));
    for part in ["failed", "refused one", "1 × qq: ", "given up: ", &way_out] {
        assert!(listed.contains(part), "{part} in:\n{listed}");
    }
    let short = id.split_once('-').unwrap().1;
    let shown = text(&outbox(&scene, &["show", short], 0));
    for part in ["refused one", &id, USER, "Mailbox not found", "localhost:", "body.mime", "Tries: 1\n"] {
        assert!(shown.contains(part), "{part} in:\n{shown}");
    }
    let retried = scene.env.notify_done(["outbox", "retry", short]).says(&["mail sent to"]).run();
    retried.assert_code(0).assert_stdout("");
    assert!(scene.mail().subject.contains("refused one"));
    assert_eq!(scene.kept(), [0, 0, 1, 0]);
    let again = scene.env.notify_done(["outbox", "retry", short]).says(&["has been sent", "double"]).run();
    again.assert_code(1).assert_stdout("");
    let dropped = scene.env.notify_done(["outbox", "drop", short]).says(&["has been sent"]).run();
    dropped.assert_code(1);
    assert_eq!(scene.kept(), [0, 0, 1, 0]);
    scene.received(1);
    // Its receipt is told only to who asks for it.
    scene.run(&["outbox", "list"], 0).assert_stdout("nothing waits in the outbox\n");
    let all = text(&outbox(&scene, &["list", "--all"], 0));
    assert!(all.contains("sent") && all.contains("taken by the server (250"), "{all}");
}

/// Catches: a retry that sends what nobody asked for, and one that stops at the first that it can't find.
#[test]
fn a_retry_sends_these_and_no_others() {
    // Else a mailer that still tries may send the one that waits.
    let mut scene = Scene::with("[notify]\nkeep_trying = \"0s\"");
    refused(&scene, "first");
    refused(&scene, "second");
    refused(&scene, "third");
    scene.server.go_down();
    scene.env.notify_done(["--title", "waits", "--", "true"]).stderr_is_free().run().assert_code(0);
    scene.server.come_up();
    let failed = scene.ids("failed").into_iter().min().unwrap();
    let args = ["outbox", "retry", "no-such-mail", &failed, &failed];
    scene.env.notify_done(args).says(&["no mail `no-such-mail`"]).run().assert_code(1);
    assert!(scene.mail().subject.contains("first"));
    outbox(&scene, &["retry", "--all-failed"], 0);
    let subjects: Vec<_> = scene.received(3).iter().map(|mail| parse::mail(&mail.data).subject).collect();
    assert!(subjects[1].contains("second") && subjects[2].contains("third"), "{subjects:?}");
    assert_eq!(scene.kept(), [1, 0, 3, 0]);
    scene.env.notify_done(["outbox", "retry", "--all-failed"]).says(&["no mail was given up"]).run();
    // One that waits is tried at once.
    outbox(&scene, &["retry", &scene.ids("new").remove(0)], 0);
    assert_eq!(scene.kept(), [0, 0, 4, 0]);
}

/// Catches: a mail that fails again and is told as done, or that is gone.
#[test]
fn a_retry_that_fails_again_is_not_done() {
    let scene = Scene::new();
    refused(&scene, "refused one");
    scene.server.set_script(qq().reply_at(Stage::Rcpt(0), NO_SUCH_USER));
    let done = scene.env.notify_done(["outbox", "retry", "--all-failed"]).says(&["can't be sent"]).run();
    done.assert_code(1);
    assert_eq!(scene.kept(), [0, 0, 0, 1]);
    // Nor is it where there is nothing to send it with: then it waits.
    scene.env.config("");
    scene
        .env
        .notify_done(["outbox", "retry", "--all-failed"])
        .says(&["[accounts.mine]"])
        .run()
        .assert_code(1);
    assert_eq!(scene.kept(), [1, 0, 0, 0]);
}

/// Catches: another mail dropped than the one named, and a mail dropped without a word.
#[test]
fn what_is_dropped_is_named_and_gone() {
    let mut scene = Scene::new();
    refused(&scene, "first");
    refused(&scene, "second");
    scene.server.go_down();
    scene.env.notify_done(["--title", "third", "--", "true"]).stderr_is_free().run().assert_code(0);
    let mut failed = scene.ids("failed");
    failed.sort();
    let says = ["dropped", &failed[0], "first"];
    scene.env.notify_done(["outbox", "drop", &failed[0]]).says(&says).run().assert_code(0).assert_stdout("");
    assert_eq!(scene.ids("failed"), [failed[1].clone()]);
    scene.env.notify_done(["outbox", "drop", &failed[0]]).says(&["no mail"]).run().assert_code(1);
    scene.env.notify_done(["outbox", "drop", "-q", "--all-failed"]).run().assert_code(0);
    assert_eq!(scene.kept(), [1, 0, 0, 0]);
    // One that can't be read, too: nothing else gets rid of it.
    let waits = scene.ids("new").remove(0);
    fs::write(scene.env.state().join("outbox/new").join(&waits).join("entry.json"), "{ garbage").unwrap();
    outbox(&scene, &["drop", &waits], 0);
    assert_eq!(scene.kept(), [0; 4]);
    scene.server.come_up();
    scene.flush();
    scene.received(0);
}

/// Catches: a mail pulled away under the process that sends it.
#[test]
fn what_is_being_sent_is_left_alone() {
    let scene = Scene::new();
    scene.server.set_script(qq().at(Stage::End, Action::Hang));
    let args = ["--wait", "0s", "--title", "under way", "--", "true"];
    scene.env.notify_done(args).stderr_is_free().run().assert_code(0);
    scene.server.wait_for_mails(1, crate::LONG);
    let id = scene.ids("sending").remove(0).split_once('@').unwrap().0.to_owned();
    for command in ["retry", "drop"] {
        let done = scene.env.notify_done(["outbox", command, &id]).says(&["is sending mail"]).run();
        done.assert_code(1);
    }
    let listed = text(&outbox(&scene, &["list"], 0));
    assert!(listed.contains("sending  ") && listed.contains("under way"), "{listed}");
    assert!(text(&outbox(&scene, &["show"], 0)).contains("a process is sending it now"));
    assert_eq!(scene.ids("sending").len(), 1);
}

/// Catches a list that scrolls away what matters, or leaves mails out without a word.
#[test]
fn a_long_list_shows_the_newest_and_says_so() {
    let scene = Scene::without_account();
    scene.env.notify_done(["--title", "kept", "--", "true"]).stderr_is_free().run().assert_code(0);
    let template = scene.ids("held").remove(0);
    let from = scene.env.state().join("outbox/held").join(&template);
    let json_of = fs::read_to_string(from.join("entry.json")).unwrap();
    let ids: Vec<String> = (0..53).map(|n| format!("20260101T0000{n:02}000000-0000{n:04}")).collect();
    for id in &ids {
        let folder = scene.env.state().join("outbox/new").join(id);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("entry.json"), json_of.replace(&template, id)).unwrap();
    }
    let listed = scene.env.notify_done(["outbox", "list"]).says(&["3 older", "outbox list --all"]).run();
    let shown = text(&listed);
    let found: Vec<&str> =
        shown.lines().filter(|line| !line.starts_with(' ')).map(|line| &line[..ids[0].len()]).collect();
    assert_eq!(found.len(), 51, "{shown}");
    assert!(found[..50].iter().eq(ids[3..].iter()) && found[50] == template, "the newest last: {shown}");
    let all = scene.env.notify_done(["outbox", "list", "--all"]).run();
    assert!(ids.iter().all(|id| contains(&all.stdout, id)));
    assert_eq!(json(&scene, &["list"], 0)["entries"].as_array().unwrap().len(), 54);
}

const ENTRY_KEYS: [&str; 27] = [
    "id",
    "state",
    "error",
    "folder",
    "body",
    "run",
    "created",
    "message_id",
    "subject",
    "form",
    "account",
    "pinned",
    "refused_by",
    "config",
    "held",
    "gave_up",
    "next_try",
    "waits",
    "rounds",
    "revived",
    "to",
    "cc",
    "bcc",
    "recipients",
    "attempt_count",
    "attempts",
    "id",
];

/// Catches: a key that is renamed, or missing where there is nothing to tell: programs read these.
#[test]
fn the_keys_of_the_json_are_stable() {
    let mut entry_keys = ENTRY_KEYS.to_vec();
    entry_keys.sort_unstable();
    entry_keys.dedup();
    let scene = Scene::new();
    assert_eq!(json(&scene, &["list"], 0), serde_json::json!({"entries": []}));
    refused(&scene, "refused one");
    let list = json(&scene, &["list"], 0);
    assert_keys(&list, &["entries"]);
    let shown = json(&scene, &["show"], 0);
    assert_eq!(list["entries"][0], shown);
    assert_keys(&shown, &entry_keys);
    assert_eq!((&shown["state"], &shown["gave_up"]), (&"failed".into(), &"refused".into()));
    assert_keys(&shown["body"], &["path", "bytes"]);
    let length = fs::metadata(shown["body"]["path"].as_str().unwrap()).unwrap().len();
    assert_eq!(shown["body"]["bytes"], length);
    let recipient = &shown["recipients"][0];
    assert_keys(recipient, &["address", "state", "account", "at", "receipt", "refusal"]);
    assert_eq!((&recipient["address"], &recipient["state"]), (&USER.into(), &"refused".into()));
    assert_keys(&recipient["refusal"], &["class", "cause", "fix", "reply"]);
    let attempt = &shown["attempts"][0];
    let attempt_keys = [
        "at",
        "account",
        "address",
        "host",
        "port",
        "form",
        "bytes",
        "outcome",
        "stage",
        "receipt",
        "diagnosis",
        "elapsed_ms",
    ];
    assert_keys(attempt, &attempt_keys);
    assert_keys(&attempt["diagnosis"], &["class", "cause", "fix", "reply"]);
    assert_keys(&attempt["diagnosis"]["cause"], &["en", "zh"]);

    let retried = json(&scene, &["retry", "--all-failed"], 0);
    assert_keys(&retried, &["entries", "tally", "refused"]);
    let entry = &retried["entries"][0];
    assert_keys(entry, &["id", "state", "events"]);
    assert_eq!((&entry["id"], &entry["state"]), (&shown["id"], &"sent".into()));
    let events: Vec<_> = entry["events"].as_array().unwrap().iter().map(|e| e["event"].clone()).collect();
    assert_eq!(events, ["started", "sent"]);
    assert_keys(&entry["events"][1], &["event", "account", "recipients", "receipt", "elapsed_ms"]);
    let sent = json(&scene, &["show"], 0);
    assert_keys(&sent, &entry_keys);
    assert_eq!((&sent["state"], &sent["body"]), (&"sent".into(), &Value::Null));
    assert_eq!(sent["recipients"][0]["state"], "accepted");
    assert!(sent["recipients"][0]["receipt"].as_str().unwrap().starts_with("250"), "{sent}");

    let again = json(&scene, &["retry", shown["id"].as_str().unwrap()], 1);
    assert_keys(&again["refused"][0], &["entry", "error"]);
    let flushed = json(&scene, &["flush"], 0);
    assert_keys(&flushed, &["entries", "tally"]);
    assert_keys(&flushed["tally"], &["sent", "kept", "later", "failed", "left"]);
    assert_eq!(flushed["entries"], serde_json::json!([]));
    refused(&scene, "dropped one");
    let dropped = json(&scene, &["drop", "--all-failed"], 0);
    assert_keys(&dropped, &["dropped", "refused"]);
    assert_keys(&dropped["dropped"][0], &["id", "state", "subject"]);
}

/// Catches: a record that can't be read and takes the whole document with it, or is left out of it.
#[test]
fn a_broken_entry_is_in_the_json() {
    let scene = Scene::new();
    refused(&scene, "refused one");
    let id = scene.ids("failed").remove(0);
    fs::write(scene.env.state().join("outbox/failed").join(&id).join("entry.json"), "{ garbage").unwrap();
    let list = json(&scene, &["list"], 0);
    let entry = &list["entries"][0];
    assert_eq!(
        (&entry["id"], &entry["state"], &entry["subject"]),
        (&id.into(), &"failed".into(), &Value::Null)
    );
    assert!(entry["error"].as_str().unwrap().contains("entry.json"), "{entry}");
    assert_eq!(keys(entry).len(), ENTRY_KEYS.len() - 1);
}

/// Catches: a flush that is told as JSON without what happened to a mail that stays.
#[test]
fn a_flush_tells_what_happened_to_each_as_json() {
    let mut scene = Scene::new();
    scene.server.go_down();
    scene.env.notify_done(["--title", "kept", "--", "true"]).stderr_is_free().run().assert_code(0);
    let flushed = json(&scene, &["flush"], 1);
    let entry = &flushed["entries"][0];
    assert_eq!((&entry["id"], &entry["state"]), (&scene.ids("new").remove(0).into(), &"new".into()));
    let last = entry["events"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["event"], &last["kept"]), (&"not_sent".into(), &"new".into()));
    assert!(last["diagnosis"]["cause"]["zh"].is_string(), "{last}");
    assert_eq!(flushed["tally"]["kept"], 1);
    scene.server.come_up();
    let flushed = json(&scene, &["flush", "--all"], 0);
    assert_eq!((&flushed["entries"][0]["state"], &flushed["tally"]["sent"]), (&"sent".into(), &1.into()));
    wait_until("it is there", || scene.server.received().len() == 1);
}
