//! What of the log is shown and attached, and whose file is the log.

use std::fs;

use crate::{Scene, text};

fn seq(from: u32, to: u32) -> String {
    (from..=to).map(|n| format!("line {n}\n")).collect()
}

#[test]
fn tail_bounds_what_is_shown_not_what_is_attached() {
    let scene = Scene::new();
    scene.env.write("data", seq(1, 300), 0o644);
    scene.run(&["--tail", "2", "--", "cat", "data"], 0);
    let mail = scene.mail();
    assert!(text(&mail).contains("Last 2 lines"), "{}", text(&mail));
    assert!(text(&mail).contains("\nline 299\nline 300\n") && !text(&mail).contains("line 298"));
    let html = mail.html.as_deref().unwrap();
    assert!(html.contains("line 300") && html.contains("line 299") && !html.contains("line 298"));
    assert_eq!(mail.attachment("log.txt").bytes(), seq(1, 300).as_bytes());
}

#[test]
fn log_bounds_what_is_attached_and_the_mail_says_so() {
    let scene = Scene::new();
    let whole = seq(1, 20_000);
    scene.env.write("data", &whole, 0o644);
    scene.run(&["--log", "tail", "--", "cat", "data"], 0);
    let mail = scene.mail();
    let attached: Vec<_> = mail.parts.iter().filter(|part| part.disposition.is_some()).collect();
    assert_eq!(attached.len(), 1, "{}", mail.structure);
    let bytes = attached[0].bytes();
    assert!(
        bytes.len() < 70_000 && bytes.ends_with(&whole.as_bytes()[whole.len() - 60_000..]),
        "{}",
        bytes.len()
    );
    assert!(text(&mail).contains("left out") && text(&mail).contains("whole log on"), "{}", text(&mail));

    let scene = Scene::new();
    scene.run(&["--log", "none", "--", "echo", "shown"], 0);
    let mail = scene.mail();
    assert_eq!(mail.structure.trim_end(), "multipart/alternative\n  text/plain\n  text/html");
    assert!(text(&mail).contains("shown") && text(&mail).contains("not attached"), "{}", text(&mail));
}

/// Catches a mail that the provider won't take: what is too large is cut in the middle.
#[test]
fn a_log_over_the_limit_keeps_both_ends() {
    let scene = Scene::with("[log]\nmax_attachment = \"100 KiB\"");
    let whole = seq(1, 50_000);
    scene.env.write("data", &whole, 0o644);
    scene.run(&["--", "cat", "data"], 0);
    let mail = scene.mail();
    let part = mail.parts.iter().find(|part| part.disposition.is_some()).unwrap();
    let log = part.bytes();
    assert!(part.size <= 100 << 10 && part.size > 50 << 10, "{}", part.size);
    assert!(log.starts_with(b"line 1\nline 2\n") && log.ends_with(b"line 49999\nline 50000\n"));
    assert!(text(&mail).contains("left out"), "{}", text(&mail));
}

/// Catches a log that takes more of the disk than it may, and one that lost its end for that.
#[test]
fn a_log_over_max_size_loses_its_middle_on_the_disk() {
    use std::os::unix::fs::MetadataExt;
    let scene = Scene::with("[log]\nmax_size = \"1 MiB\"\nreserve = 0");
    let whole = seq(1, 400_000);
    scene.env.write("data", &whole, 0o644);
    scene.run(&["--", "cat", "data"], 0);
    let mail = scene.mail();
    let log = mail.parts.iter().find(|part| part.disposition.is_some()).unwrap().bytes();
    assert!(log.starts_with(b"line 1\nline 2\n") && log.ends_with(b"line 399999\nline 400000\n"));
    assert!(!log.contains(&0), "a hole is no output");
    assert!(text(&mail).contains("beyond log.max_size"), "{}", text(&mail));
    let run = fs::read_dir(scene.env.state().join("runs")).unwrap().next().unwrap().unwrap().path();
    let meta = fs::metadata(run.join("log")).unwrap();
    assert_eq!(meta.len(), whole.len() as u64, "places in the log stay what they are");
    assert!(meta.blocks() * 512 < 1_300_000, "{} on the disk", meta.blocks() * 512);
}

/// Catches a file that we write to, cut, or attach from its beginning.
#[test]
fn a_file_that_stdout_goes_to_is_the_log() {
    let scene = Scene::new();
    scene.env.write("old", "from before\n", 0o644);
    let script = "$ND -- sh -c 'echo new; echo err >&2; exit 4' >>old";
    let done = scene.env.shell(script).stderr_is_free().run();
    done.assert_code(4).assert_stdout("");
    assert_eq!(done.stderr, "err\n");
    assert_eq!(fs::read(scene.env.home().join("old")).unwrap(), b"from before\nnew\n");
    let mail = scene.mail();
    assert_eq!(mail.attachment("stdout.txt").bytes(), b"new\n");
    assert_eq!(mail.attachment("stderr.txt").bytes(), b"err\n");
    let path = scene.env.home().join("old");
    assert!(text(&mail).contains(path.to_str().unwrap()), "{}", text(&mail));
    assert!(!text(&mail).contains("from before") && text(&mail).contains("new"));
}

/// Catches two writers on one file, and a log in which one of the two streams is missing.
#[test]
fn both_on_one_file_are_one_log_in_order() {
    let scene = Scene::new();
    let script = "$ND -- sh -c 'for n in 1 2 3; do echo out $n; echo err $n >&2; done' >log 2>&1";
    scene.env.shell(script).run().assert_code(0);
    let expected = "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n";
    assert_eq!(fs::read_to_string(scene.env.home().join("log")).unwrap(), expected);
    assert_eq!(scene.mail().attachment("log.txt").bytes(), expected.as_bytes());
    // Through a pipe as well.
    scene
        .env
        .shell(&script.replace(">log", "| cat").replace("| cat 2>&1", "2>&1 | cat"))
        .run()
        .assert_stdout(expected);
    let second = crate::parse::mail(&scene.received(2)[1].data);
    assert_eq!(second.attachment("log.txt").bytes(), expected.as_bytes());
}

/// Catches: a file that the caller has opened twice attached twice.
#[test]
fn one_file_opened_twice_is_one_log() {
    let scene = Scene::new();
    scene.env.write("log", "before\n", 0o644);
    // The second's start is behind the first's.
    let script = "exec >>log; echo ours; exec 2>>log; exec $ND -- sh -c 'echo out; echo err >&2'";
    scene.env.shell(script).run().assert_code(0);
    let mail = scene.mail();
    assert_eq!(mail.attachment("log.txt").bytes(), b"out\nerr\n");
    assert_eq!(text(&mail).matches("home/log").count(), 1, "{}", text(&mail));
    // Without O_APPEND each has a place of its own: what was written from the lower one on is the log.
    let script = "exec >two 2>two; echo head; exec $ND -- sh -c 'echo err >&2; echo out'";
    scene.env.shell(script).run().assert_code(0);
    let second = crate::parse::mail(&scene.received(2)[1].data);
    let written = fs::read(scene.env.home().join("two")).unwrap();
    assert_eq!(second.attachment("log.txt").bytes(), written);
    assert_eq!(written, b"err\n\nout\n");
}

#[test]
fn a_file_that_is_cut_short_meanwhile_is_told() {
    let scene = Scene::new();
    scene.env.write("log", seq(1, 100), 0o644);
    scene.env.shell("$ND -- sh -c ': >log; echo after' >>log").run().assert_code(0);
    let mail = scene.mail();
    assert_eq!(mail.attachment("stdout.txt").bytes(), b"after\n");
    assert!(text(&mail).contains("cut this file short"), "{}", text(&mail));
}

/// Catches a spool that others can read: it may hold anything.
#[test]
fn what_we_keep_is_private() {
    use std::os::unix::fs::PermissionsExt;
    for umask in ["0", "777"] {
        let scene = Scene::new();
        scene.env.shell(&format!("umask {umask}; exec $ND -- echo x")).run().assert_code(0);
        scene.received(1);
        let kept = crate::files(&scene.env.state());
        assert!(kept.iter().any(|path| path.ends_with("log")), "{kept:?}");
        for path in kept {
            let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700), "{path:?}");
        }
    }
}

/// Statement 90. Catches: a folder of the user's own (a project's, mode 2775) that its group can't
/// enter any more since NOTIFY_DONE_STATE names it; and notices in one from which anybody may take them.
#[test]
fn a_state_folder_of_the_users_is_used_as_it_is_or_not_at_all() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::new();
    let state = scene.env.home().join("project");
    fs::create_dir(&state).unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let run = |mode| {
        fs::set_permissions(&state, fs::Permissions::from_mode(mode)).unwrap();
        scene.env.notify_done(["--", "echo", "x"]).var("NOTIFY_DONE_STATE", &state)
    };
    run(0o2775).run().assert_code(0).assert_stdout("x\n");
    scene.received(1);
    assert_eq!(mode(&state), 0o2775);
    for ours in ["runs", "outbox", "outbox/sent"] {
        assert_eq!(mode(&state.join(ours)), 0o700, "{ours}");
    }
    let said = ["everybody may remove what lies in it", "the log is kept in"];
    run(0o777).says(&said).run().assert_code(0).assert_stdout("x\n");
    scene.received(2);
    assert_eq!((mode(&state), fs::read_dir(state.join("runs")).unwrap().count()), (0o777, 1));
}

/// Catches a log of the user's that is missing from the mail because logrotate has renamed it.
#[test]
fn a_file_that_was_renamed_meanwhile_is_still_the_log() {
    let scene = Scene::new();
    let script = "echo before; mv out.log out.log.1; echo someone else > out.log; echo after";
    scene.env.shell(&format!("$ND -- sh -c '{script}' >out.log 2>&1")).run().assert_code(0);
    let mail = scene.mail();
    assert_eq!(mail.attachment("log.txt").bytes(), b"before\nafter\n");
    assert!(text(&mail).contains("out.log.1"), "{}", text(&mail));
}
