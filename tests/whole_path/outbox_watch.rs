//! `notify-done outbox flush --watch`.

use std::fs;

use jiff::{SignedDuration, Timestamp};
use nix::sys::signal::Signal;

use crate::support::env::Running;
use crate::support::script::{Action, Stage};
use crate::{LONG, Scene, qq};

/// Where no mailer goes on trying by itself.
fn scene() -> Scene {
    Scene::with("[notify]\nkeep_trying = \"0s\"")
}

/// A mail that a provider took for spam, whose next form may go in so long.
fn suspected(scene: &mut Scene, wait: SignedDuration) -> Timestamp {
    // What an earlier run has left behind would take this mail too.
    scene.env.wait_until_alone();
    scene.server.go_down();
    scene.env.notify_done(["--title", "late", "--", "true"]).stderr_is_free().run().assert_code(0);
    scene.env.wait_until_alone();
    scene.server.come_up();
    let newest = scene.ids("new").into_iter().max().unwrap();
    let record = scene.env.state().join("outbox/new").join(newest).join("entry.json");
    let mut entry: serde_json::Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the program under test goes by the real clock")]
    let due = Timestamp::now() + wait;
    entry["waits"] = "content".into();
    entry["next_try"] = due.to_string().into();
    fs::write(&record, entry.to_string()).unwrap();
    due
}

fn watch(scene: &Scene) -> Running {
    scene.env.notify_done(["outbox", "flush", "--watch", "-v"]).stderr_is_free().start()
}

/// Catches: a watch that ends while something waits, tries it before it is due, or sleeps on when it is.
#[test]
fn a_watch_sends_what_waits_when_it_is_due() {
    let mut scene = scene();
    let due = suspected(&mut scene, SignedDuration::from_secs(3));
    let watch = watch(&scene);
    watch.wait_for_stderr("next try in");
    assert_eq!(scene.server.connections(), 0);
    let done = watch.finish();
    done.assert_code(0);
    #[expect(clippy::disallowed_methods, reason = "the program under test goes by the real clock")]
    let now = Timestamp::now();
    assert!(now >= due && now < due + SignedDuration::from_secs(15), "{due}: {now}");
    assert!(scene.mail().subject.contains("late"));
    assert!(done.stderr.contains("mail sent to"), "{}", done.stderr);
    // Nothing waits any more.
    scene.env.notify_done(["outbox", "flush", "--watch"]).says(&["nothing waits"]).run().assert_code(0);
}

/// Catches: a watch that says twice a minute, for days, why a mail has to wait.
#[test]
fn a_watch_says_once_why_a_mail_waits() {
    let mut scene = scene();
    scene.server.set_script(qq().reply_at(Stage::Auth, "535 Error: authentication failed"));
    scene.env.notify_done(["--", "true"]).stderr_is_free().run().assert_code(0);
    scene.server.set_script(qq());
    suspected(&mut scene, SignedDuration::from_secs(2));
    let newest = scene.ids("new").into_iter().max().unwrap();
    let record = scene.env.state().join("outbox/new").join(newest).join("entry.json");
    let entry = fs::read_to_string(&record).unwrap();
    fs::write(&record, entry.replace("\"content\"", "\"transient\"")).unwrap();
    let watch = watch(&scene);
    watch.wait_for_stderr("next try in 59m");
    watch.signal(Signal::SIGINT);
    let done = watch.finish();
    done.assert_code(1);
    assert_eq!(done.stderr.matches("has to wait").count(), 1, "{}", done.stderr);
}

/// Catches: a Ctrl-C that is heard only after the sleep, or that leaves a status of success.
#[test]
fn a_watch_ends_at_once_when_asked() {
    let mut scene = scene();
    suspected(&mut scene, SignedDuration::from_hours(2));
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let watch = watch(&scene);
        watch.wait_for_stderr("next try in 1h 59m");
        watch.signal(signal);
        watch.finish().assert_code(1);
    }
    assert_eq!((scene.kept(), scene.server.connections()), ([1, 0, 0, 0], 0));
}

/// Catches: a mail that is cut off by the Ctrl-C which ends the watch, and may then come twice; and a
/// watch that can't be ended while a server hangs.
#[test]
fn a_mail_under_way_is_seen_through() {
    let mut scene = scene();
    scene.server.go_down();
    scene.env.notify_done(["--", "true"]).stderr_is_free().run().assert_code(0);
    scene.server.set_script(qq().at(Stage::End, Action::Hang));
    scene.server.come_up();
    let watch = watch(&scene);
    scene.server.wait_for_mails(1, LONG);
    watch.signal(Signal::SIGINT);
    watch.wait_for_stderr("Ctrl-C again ends at once");
    assert_eq!(scene.ids("sending").len(), 1);
    watch.signal(Signal::SIGINT);
    watch.finish().assert_code(1);
    scene.server.set_script(qq());
    // By the same account, under the same id.
    scene.env.notify_done(["outbox", "flush"]).stderr_is_free().run().assert_code(0);
    let ids = scene.server.message_ids();
    assert_eq!(ids.values().copied().collect::<Vec<_>>(), [2], "{ids:?}");
}
