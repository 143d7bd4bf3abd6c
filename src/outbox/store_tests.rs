//! The outbox on disk: every state that a crash can leave, and claims by many at once.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::claim::Owner;
use super::entry::tests::sample;
use super::entry::{EntryId, Folder, Form, HeldReason, Recipients, Standing, Whose};
use super::held::Which;
use super::store::*;
use crate::config::Mailbox;
use crate::error::Kind;

pub(crate) fn id(text: &str) -> EntryId {
    EntryId::parse(text).unwrap()
}

pub(crate) fn open(root: &Path) -> Store {
    Store::open(root.join("outbox")).unwrap()
}

pub(crate) fn put(store: &Store, name: &str, folder: Folder) {
    let mut entry = sample(name);
    entry.held = (folder == Folder::Held).then_some(HeldReason::NoAccount);
    let mut pending = store.begin(&entry.id).unwrap();
    pending.body.write_all(b"MIME-Version: 1.0\r\n\r\nhello\r\n").unwrap();
    store.commit(pending, &entry, folder).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// An owner of this boot and namespace that isn't alive: a pid with another start time.
pub(crate) fn dead_owner() -> String {
    let name = Owner::this().name();
    let mut parts: Vec<&str> = name.split('.').collect();
    parts[4] = "1";
    parts.join(".")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn an_entry_goes_its_way() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, "b", Folder::New);
    put(&store, "a", Folder::New);
    assert_eq!(store.list(Folder::New).unwrap(), [id("a"), id("b")]);
    assert_eq!(store.find(&id("a")).unwrap(), Some(Place::In(Folder::New)));
    let claim = store.claim(&id("a")).unwrap().unwrap();
    assert_eq!(store.find(&id("a")).unwrap(), Some(Place::Sending));
    assert!(store.claim(&id("a")).unwrap().is_none());
    assert!(fs::read(claim.body()).unwrap().ends_with(b"hello\r\n"));
    claim.settle(Folder::Sent).unwrap();
    assert_eq!(store.find(&id("a")).unwrap(), Some(Place::In(Folder::Sent)));
    assert!(!store.body(Folder::Sent, &id("a"), Form::Full).exists(), "a receipt needs no body");
    let claim = store.claim(&id("b")).unwrap().unwrap();
    claim.settle(Folder::Failed).unwrap();
    assert!(store.body(Folder::Failed, &id("b"), Form::Full).exists());
    assert_eq!(store.find(&id("nothing")).unwrap(), None);
    assert_eq!(store.load(Folder::New, &id("nothing")).unwrap_err().kind, Kind::NotFound);
}

/// Catches: logs of a run readable by others on a shared machine.
#[test]
fn files_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = folder.path().join("outbox");
    fs::create_dir(&outbox).unwrap();
    fs::set_permissions(&outbox, fs::Permissions::from_mode(0o755)).unwrap();
    let store = open(folder.path());
    put(&store, "a", Folder::New);
    let entry = outbox.join("new/a");
    for path in [&outbox, &outbox.join("new"), &outbox.join("tmp"), &entry] {
        assert_eq!(mode(path), 0o700, "{}", path.display());
    }
    assert_eq!((mode(&entry.join("entry.json")), mode(&entry.join("body.mime"))), (0o600, 0o600));
    assert_eq!(names(&entry), ["body.mime", "entry.json"]);
    assert!(names(&outbox.join("tmp")).is_empty());
}

#[test]
fn what_the_dead_left_is_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let outbox = folder.path().join("outbox");
    // One that is being made and one that is being sent by the living stay as they are.
    let _being_made = store.begin(&id("making")).unwrap();
    put(&store, "mine", Folder::New);
    let _mine = store.claim(&id("mine")).unwrap().unwrap();
    put(&store, "lost", Folder::New);
    fs::rename(outbox.join("new/lost"), outbox.join(format!("sending/lost@{}", dead_owner()))).unwrap();
    let half = outbox.join(format!("tmp/half@{}", dead_owner()));
    fs::create_dir(&half).unwrap();
    fs::write(half.join("body.mime"), "x").unwrap();
    fs::write(outbox.join("tmp/stranger"), "x").unwrap();
    assert_eq!(store.recover().unwrap(), [id("lost")]);
    assert_eq!(store.list(Folder::New).unwrap(), [id("lost")]);
    assert_eq!(names(&outbox.join("sending")).len(), 1);
    let left = names(&outbox.join("tmp"));
    assert!(left.len() == 2 && left[0].starts_with("making@") && left[1] == "stranger", "{left:?}");
    assert!(store.recover().unwrap().is_empty());
}

/// Catches: another host's claim taken while it beats, or kept after it fell silent.
#[test]
fn foreign_claims_are_judged_by_their_heartbeat() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, "far", Folder::New);
    let claim = folder.path().join("outbox/sending/far@other.0123456789ab.1.2.3.4");
    fs::rename(folder.path().join("outbox/new/far"), &claim).unwrap();
    let set_age = |minutes: u64| {
        let now = fs::metadata(folder.path()).unwrap().modified().unwrap();
        let then = now - Duration::from_secs(60 * minutes);
        fs::File::open(&claim).unwrap().set_modified(then).unwrap();
    };
    set_age(9);
    assert!(store.recover().unwrap().is_empty());
    set_age(11);
    assert_eq!(store.recover().unwrap(), [id("far")]);
    // An entry that waited long in new/ must not look stale the moment it is claimed.
    let new = folder.path().join("outbox/new/far");
    let old = fs::metadata(&new).unwrap().modified().unwrap() - Duration::from_secs(86400);
    fs::File::open(&new).unwrap().set_modified(old).unwrap();
    let _claim = store.claim(&id("far")).unwrap().unwrap();
    let name = names(&folder.path().join("outbox/sending")).remove(0);
    let touched = fs::metadata(folder.path().join("outbox/sending").join(name)).unwrap().modified().unwrap();
    assert!(touched > old + Duration::from_secs(3600));
}

/// Catches: a process that was taken for dead going on to send.
#[test]
fn a_claim_that_was_taken_away_cant_be_saved() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, "a", Folder::New);
    let claim = store.claim(&id("a")).unwrap().unwrap();
    let sending = folder.path().join("outbox/sending");
    fs::rename(sending.join(&names(&sending)[0]), folder.path().join("outbox/new/a")).unwrap();
    assert_eq!(claim.save().unwrap_err().kind, Kind::Storage);
    assert!(claim.settle(Folder::Sent).is_err());
    assert!(store.body(Folder::New, &id("a"), Form::Full).exists());
}

#[test]
fn a_crash_while_a_state_is_written_leaves_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, "a", Folder::New);
    fs::write(folder.path().join("outbox/new/a/.entry.json.0badc0de"), "{\"version\": 1, \"id\"").unwrap();
    let mut claim = store.claim(&id("a")).unwrap().unwrap();
    assert_eq!(claim.entry, sample("a"));
    claim.entry.pinned = Some("qq".into());
    claim.save().unwrap();
    claim.settle(Folder::New).unwrap();
    assert_eq!(store.load(Folder::New, &id("a")).unwrap().pinned.as_deref(), Some("qq"));
}

/// Catches: a corrupt entry deleted, or in the way of the others.
#[test]
fn the_unreadable_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for name in ["bad", "newer", "renamed"] {
        put(&store, name, Folder::New);
    }
    let new = folder.path().join("outbox/new");
    fs::write(new.join("bad/entry.json"), b"\0\0\0").unwrap();
    fs::write(new.join("newer/entry.json"), b"{\"version\": 99}").unwrap();
    fs::rename(new.join("renamed"), new.join("other")).unwrap();
    fs::write(new.join("stray file.txt"), b"").unwrap();
    for (name, part) in
        [("bad", "bad/entry.json"), ("newer", "newer notify-done"), ("other", "its id is renamed")]
    {
        let error = store.claim(&id(name)).unwrap_err();
        assert_eq!(error.kind, Kind::Storage);
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(fs::read(new.join("bad/entry.json")).unwrap(), b"\0\0\0");
    assert_eq!(store.list(Folder::New).unwrap().len(), 3);
}

#[test]
fn held_entries_are_bounded_and_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut by_config = sample("000");
    by_config.held = Some(HeldReason::Config);
    let pending = store.begin(&by_config.id).unwrap();
    store.commit(pending, &by_config, Folder::Held).unwrap();
    for n in 100..125 {
        put(&store, &n.to_string(), Folder::Held);
    }
    let held = store.list(Folder::Held).unwrap();
    assert_eq!((held.len(), held[0].as_str(), held[1].as_str()), (21, "000", "105"));
    // "000" is held by a mistake in notify.toml: it was to be sent, so it goes too.
    assert_eq!(store.release(Which::Fresh, &Whose::Anyones).unwrap(), [id("000"), id("124")]);
    assert_eq!(store.load(Folder::New, &id("124")).unwrap().held, None);
    assert_eq!(
        store.release(Which::Fresh, &Whose::Anyones).unwrap(),
        [],
        "a second flush sends no old one after another"
    );
    fs::write(folder.path().join("outbox/held/110/entry.json"), b"?").unwrap();
    assert_eq!(store.release(Which::All, &Whose::Anyones).unwrap().len(), 18);
    assert_eq!(store.list(Folder::Held).unwrap(), [id("110")]);
    assert!(store.release(Which::All, &Whose::Anyones).is_err(), "nothing could be let go, and why is said");
}

#[test]
fn a_folder_that_cant_be_written_names_the_fix() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("outbox"), "a file in the way").unwrap();
    let error = Store::open(folder.path().join("outbox")).unwrap_err();
    assert_eq!(error.kind, Kind::Storage);
    assert!(error.what.contains("outbox"), "{error}");
}

const ENTRIES: usize = 1000;

/// Claims all it can of the entries, in its own order.
fn grab(store: &Store, from: usize) -> Vec<String> {
    let mut won = Vec::new();
    for n in 0..ENTRIES {
        let id = id(&format!("e{:04}", (n * 7 + from) % ENTRIES));
        if let Some(claim) = store.claim(&id).unwrap() {
            assert_eq!(claim.entry.id, id);
            won.push(id.to_string());
        }
    }
    won
}

/// Catches: an entry won twice (sent twice) or by nobody (lost), by threads and processes at once.
#[test]
fn each_claim_is_won_once() {
    const ROOT: &str = "NOTIFY_DONE_TEST_OUTBOX";
    if let Ok(root) = std::env::var(ROOT) {
        let won = grab(&open(Path::new(&root)), 501);
        fs::write(Path::new(&root).join("won"), won.join("\n")).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    // Made by hand: a thousand times three fsyncs would only slow the test down.
    for n in 0..ENTRIES {
        let name = format!("e{n:04}");
        let path = folder.path().join("outbox/new").join(&name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("entry.json"), sample(&name).to_json().unwrap()).unwrap();
    }
    let mut other = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "outbox::store_tests::each_claim_is_won_once", "--test-threads=1"])
        .env(ROOT, folder.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut won: Vec<String> = std::thread::scope(|scope| {
        let hands: Vec<_> = [0, 333]
            .map(|from| {
                scope.spawn({
                    let store = &store;
                    move || grab(store, from)
                })
            })
            .into();
        hands.into_iter().flat_map(|hand| hand.join().unwrap()).collect()
    });
    assert!(other.wait().unwrap().success());
    let theirs = fs::read_to_string(folder.path().join("won")).unwrap();
    won.extend(theirs.lines().map(str::to_owned));
    assert_eq!(won.len(), ENTRIES);
    assert_eq!(won.iter().collect::<HashSet<_>>().len(), ENTRIES);
    assert!(store.list(Folder::New).unwrap().is_empty());
}

#[test]
fn recipients_that_are_all_done_are_recognised() {
    let mut entry = sample("a");
    entry.recipients =
        Some(Recipients::new(vec![Mailbox { name: None, address: "a@example.com".into() }], vec![], vec![]));
    entry.record_body_sent("qq", vec!["a@example.com".into()], entry.created);
    assert_eq!(entry.standing(), Standing::Open);
    let receipt = crate::deliver::verdict::Reply { code: 250, text: String::new() };
    entry.record_accepted(&receipt, entry.created);
    assert_eq!(entry.standing(), Standing::Delivered);
}

/// Catches: half a body as large as a mail, or half a record, that a dead process leaves for ever.
#[test]
fn what_a_dead_sender_was_writing_is_swept() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    put(&store, "a", Folder::New);
    let claim = store.claim(&id("a")).unwrap().unwrap();
    let sending = folder.path().join("outbox/sending");
    let claimed = sending.join(&names(&sending)[0]);
    fs::create_dir_all(claimed.join("remake/parts")).unwrap();
    for name in ["remake/body", "remake/parts/1", ".entry.json.0123abcd"] {
        fs::write(claimed.join(name), "half").unwrap();
    }
    let left = names(&claimed);
    assert!(store.recover().unwrap().is_empty() && names(&claimed) == left, "it may be at it");
    fs::rename(&claimed, sending.join(format!("a@{}", dead_owner()))).unwrap();
    drop(claim);
    assert_eq!(store.recover().unwrap(), [id("a")]);
    assert_eq!(names(&folder.path().join("outbox/new/a")), ["body.mime", "entry.json"]);
    assert!(store.claim(&id("a")).unwrap().is_some());
}
