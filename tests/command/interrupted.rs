//! Every process of ours killed: the next start or a flush tells of it, once, with the log so far.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::killed::{LONG, Scene, children, count, first_child, only_entry};
use crate::support::env::{Running, TestEnv};
use crate::support::parse::{self, ParsedMail};
use crate::support::wait::wait_until;

/// A run that is on record and waits at the gate.
struct Victim {
    run: Running,
    supervisor: Pid,
    command: Pid,
    folder: PathBuf,
}

const JOB: &str = "echo first; read x <gate; echo second";

impl Victim {
    fn start(scene: &Scene, flags: &[&str]) -> Self {
        let args = flags.iter().chain(&["--", "sh", "-c", JOB]);
        Self::of(&scene.env, scene.env.notify_done(args).stderr_is_free().start())
    }

    fn of(env: &TestEnv, run: Running) -> Self {
        let runs = env.state().join("runs");
        wait_until("it is on record", || {
            // Looked at once: an empty folder has no run that isn't on record either.
            let Ok(all) = fs::read_dir(&runs) else { return false };
            let on_record: Vec<_> = all.map(|run| run.unwrap().path().join("run.json").exists()).collect();
            on_record == [true]
        });
        let supervisor = first_child(run.pid());
        // The process that put it there looks after other runs, too: it would find this one first.
        wait_until("only the command is left", || children(supervisor).len() == 1);
        Self { command: first_child(supervisor), supervisor, folder: only_entry(&runs), run }
    }

    /// Both of ours; the command isn't touched. With the folder of the run.
    fn kill(self) -> (PathBuf, Pid) {
        kill(self.supervisor, Signal::SIGSTOP).unwrap();
        self.run.signal(Signal::SIGKILL);
        kill(self.supervisor, Signal::SIGKILL).unwrap();
        let lock = File::open(self.folder.join("lock")).unwrap();
        wait_until("nobody has the lock", || lock.try_lock_shared().is_ok());
        lock.unlock().unwrap();
        self.run.finish().assert_signal(Signal::SIGKILL);
        (self.folder, self.command)
    }
}

fn edit(folder: &Path, change: impl FnOnce(&mut Value)) {
    let path = folder.join("run.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut json);
    fs::write(&path, json.to_string()).unwrap();
}

fn silent_for(folder: &Path, minutes: u64) {
    let then = SystemTime::from(notify_done::sys::clock::now()) - Duration::from_secs(60 * minutes);
    File::options().write(true).open(folder.join("lock")).unwrap().set_modified(then).unwrap();
}

fn flush(scene: &Scene) {
    scene.env.notify_done(["outbox", "flush"]).stderr_is_free().run().assert_code(0);
}

fn settled(scene: &Scene) {
    wait_until("nothing is being sent any more", || {
        ["new", "sending"].iter().all(|folder| count(&scene.env, folder) == 0)
    });
}

/// The one mail of an interruption, and there is no second.
fn the_mail(scene: &Scene) -> ParsedMail {
    scene.server.wait_for_mails(1, LONG);
    settled(scene);
    flush(scene);
    let mails = scene.server.received();
    assert_eq!(mails.len(), 1, "{:?}", scene.server.message_ids());
    let mail = parse::mail(&mails[0].data);
    assert!(mail.subject.contains("interrupted"), "{}", mail.subject);
    mail
}

fn interruptions(scene: &Scene) -> Vec<ParsedMail> {
    let mails = scene.server.received();
    let mails = mails.iter().map(|mail| parse::mail(&mail.data));
    mails.filter(|mail| mail.subject.contains("interrupted")).collect()
}

/// Statements 81, 83. Catches: a run that is forgotten with its processes, one that is told twice, a
/// command that dies with us, and a start that only tells when its own command has ended. Every
/// wrapper that we know of forgets.
#[test]
fn the_next_start_tells_of_it_while_its_own_command_runs() {
    let scene = Scene::new();
    let (_, command) = Victim::start(&scene, &[]).kill();
    let mut second = scene.env.gate("second");
    let next = scene.env.notify_done(["--", "sh", "-c", "read x <second"]).stderr_is_free().start();
    let mails = scene.server.wait_for_mails(1, LONG);
    let mail = parse::mail(&mails[0].data);
    assert!(mail.subject.contains("interrupted"), "{}", mail.subject);
    let text = mail.text.as_deref().unwrap();
    for part in
        ["status unknown", "Last output", "at least ", &format!("still running then, process {command}")]
    {
        assert!(text.contains(part), "{part} in:\n{text}");
    }
    assert_eq!(mail.attachment("log.txt").bytes(), b"first\n");
    second.open();
    next.finish().assert_code(0);
    flush(&scene);
    scene.server.wait_for_mails(2, LONG);
    settled(&scene);
    assert_eq!((interruptions(&scene).len(), scene.server.received().len()), (1, 2));
    kill(command, Signal::SIGKILL).unwrap();
}

/// Statement 81. Catches: only long runs looking after others. And the command, killed as well, isn't
/// said to be running.
#[test]
fn a_short_run_tells_of_it_at_its_end() {
    let scene = Scene::new();
    let (_, command) = Victim::start(&scene, &["--on", "success"]).kill();
    kill(command, Signal::SIGKILL).unwrap();
    wait_until("it is gone", || !Path::new(&format!("/proc/{command}")).exists());
    scene.env.notify_done(["--", "true"]).stderr_is_free().run().assert_code(0);
    scene.server.wait_for_mails(2, LONG);
    settled(&scene);
    let mails = interruptions(&scene);
    assert_eq!((mails.len(), scene.server.received().len()), (1, 2));
    assert!(!mails[0].text.as_deref().unwrap().contains("still running"));
}

/// Statement 81. Catches: the same run found by several at the same moment, and mailed by each.
#[test]
fn found_by_many_at_once_it_is_told_once() {
    let mut scene = Scene::new();
    Victim::start(&scene, &[]).kill();
    scene.gate.open();
    let flushes: Vec<Running> =
        (0..4).map(|_| scene.env.notify_done(["outbox", "flush"]).stderr_is_free().start()).collect();
    let starts: Vec<Running> =
        (0..2).map(|_| scene.env.notify_done(["--", "true"]).stderr_is_free().start()).collect();
    for run in flushes.into_iter().chain(starts) {
        run.finish().assert_code(0);
    }
    flush(&scene);
    scene.server.wait_for_mails(3, LONG);
    settled(&scene);
    assert_eq!((interruptions(&scene).len(), scene.server.received().len()), (1, 3));
}

/// Statements 81, 83. Catches: a run that is alive and told to be dead, however silent it is.
#[test]
fn a_run_that_goes_on_is_left_alone() {
    let mut scene = Scene::new();
    let victim = Victim::start(&scene, &[]);
    silent_for(&victim.folder, 24 * 60);
    flush(&scene);
    // As if another machine, on the same file server, had written it: its lock is seen to be taken.
    edit(&victim.folder, |json| json["underway"]["owner"]["place"]["boot"] = "another".into());
    flush(&scene);
    assert_eq!(scene.server.received().len(), 0);
    scene.gate.open();
    victim.run.finish().assert_code(0);
    let mails = scene.server.wait_for_mails(1, LONG);
    assert!(parse::mail(&mails[0].data).subject.contains("succeeded"));
}

/// Statement 81. Catches: a lock that only one of the two holds, so that the run is called dead while
/// the other sees it through.
#[test]
fn one_of_the_two_is_enough_to_live() {
    for front in [true, false] {
        let mut scene = Scene::new();
        let victim = Victim::start(&scene, &[]);
        let killed = if front { victim.run.pid() } else { victim.supervisor };
        let stat = format!("/proc/{killed}/stat");
        wait_until("it sleeps", || fs::read_to_string(&stat).unwrap().contains(") S "));
        kill(killed, Signal::SIGKILL).unwrap();
        wait_until("it is dead", || {
            fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") S ")) || !front
        });
        flush(&scene);
        assert_eq!(scene.server.received().len(), 0);
        scene.gate.open();
        let mails = scene.server.wait_for_mails(1, LONG);
        let subject = parse::mail(&mails[0].data).subject;
        assert!(subject.contains("succeeded"), "{subject}");
        flush(&scene);
        assert_eq!(scene.server.received().len(), 1);
    }
}

/// Statement 83. Catches: a power cut taken for a kill, or a cloned machine that still gives signs of
/// life for this one before its restart.
#[test]
fn a_restart_of_the_machine_is_told_as_such() {
    let mut scene = Scene::new();
    let (folder, _) = Victim::start(&scene, &[]).kill();
    scene.gate.open();
    let mut has_id = true;
    edit(&folder, |json| {
        let place = &mut json["underway"]["owner"]["place"];
        place["boot"] = "an-earlier-one".into();
        has_id = place["machine"] != "";
    });
    silent_for(&folder, 1);
    flush(&scene);
    assert_eq!(scene.server.received().len(), 0);
    // A machine without an id of its own (a bare container) can't be told from any other.
    let (silence, words) = if has_id { (5, "restarted") } else { (16, "no sign of life") };
    silent_for(&folder, silence);
    flush(&scene);
    let text = the_mail(&scene).text.unwrap();
    assert!(text.contains(words) && !text.contains("still running"), "{text}");
}

/// Statement 83. Catches: the run of another host or container called dead by a lock or a process id
/// that can't be seen from here.
#[test]
fn a_run_elsewhere_is_given_up_after_a_long_silence() {
    let mut scene = Scene::new();
    let (folder, _) = Victim::start(&scene, &[]).kill();
    scene.gate.open();
    edit(&folder, |json| {
        let place = &mut json["underway"]["owner"]["place"];
        place["boot"] = "another".into();
        place["machine"] = "another".into();
    });
    silent_for(&folder, 14);
    flush(&scene);
    assert_eq!(scene.server.received().len(), 0);
    silent_for(&folder, 16);
    flush(&scene);
    let text = the_mail(&scene).text.unwrap();
    assert!(text.contains("no sign of life"), "{text}");
}

/// Statement 81. Catches: a log that is lost because the command wrote it into a file of the user's,
/// or that begins with what stood there before.
#[test]
fn the_log_in_a_file_of_the_users_is_known() {
    let mut scene = Scene::new();
    let out = scene.env.write("out.log", "of earlier\n", 0o644);
    let script = format!("exec $ND -- sh -c '{JOB}' >>out.log");
    let run = scene.env.shell(&script).stderr_is_free().start();
    wait_until("it has written", || fs::read(&out).unwrap().ends_with(b"first\n"));
    Victim::of(&scene.env, run).kill();
    flush(&scene);
    let mail = the_mail(&scene);
    assert_eq!(mail.attachment("stdout.txt").bytes(), b"first\n");
    scene.gate.open();
    wait_until("it goes on all the same", || fs::read(&out).unwrap().ends_with(b"second\n"));
}

/// Catches: a mail of a run that was too short to be worth one, and a run that is looked at for ever.
#[test]
fn an_interruption_too_short_for_a_mail_is_only_noted() {
    let mut scene = Scene::new();
    let (folder, _) = Victim::start(&scene, &["--min-duration", "1h"]).kill();
    scene.gate.open();
    flush(&scene);
    let json: Value = serde_json::from_slice(&fs::read(folder.join("run.json")).unwrap()).unwrap();
    assert_eq!((&json["notice_due"], json["ended"]["end"]["interrupted"].is_object()), (&false.into(), true));
    assert!(!folder.join("lock").exists());
    assert_eq!(scene.server.received().len(), 0);
}

/// Statement 81. Catches: a notice that dies with who was making it, after the run was judged.
#[test]
fn a_notice_that_was_due_is_made_by_the_next() {
    let mut scene = Scene::new();
    let (folder, _) = Victim::start(&scene, &[]).kill();
    scene.gate.open();
    // The outbox can't be written: the run is judged, its notice stays due.
    fs::create_dir_all(scene.env.state().join("outbox")).unwrap();
    let blocked = scene.env.state().join("outbox/tmp");
    fs::write(&blocked, "").unwrap();
    let elsewhere = scene.env.notify_done(["outbox", "flush"]).stderr_is_free().start();
    elsewhere.finish();
    fs::remove_file(&blocked).unwrap();
    edit(&folder, |json| {
        if !json["ended"].is_null() {
            json["ended"]["ended"] = "2026-01-01T00:00:00Z".into();
        }
    });
    flush(&scene);
    the_mail(&scene);
}

/// Statement 83. Catches: a pipe that isn't on record, or whose log isn't.
#[test]
fn a_pipe_that_was_killed_is_told_of() {
    let mut scene = Scene::new();
    let script = "{ echo through; read x <gate; } | $ND pipe --title build; echo $?";
    let run = scene.env.shell(script).stderr_is_free().start();
    run.wait_for_stdout(b"through\n");
    let folder = only_entry(&scene.env.state().join("runs"));
    wait_until("it is on record", || folder.join("run.json").exists());
    // The reader has it first, and nobody goes on in place of a pipe.
    wait_until("it is in the log", || fs::read(folder.join("log")).is_ok_and(|log| log == b"through\n"));
    let json: Value = serde_json::from_slice(&fs::read(folder.join("run.json")).unwrap()).unwrap();
    let pid = i32::try_from(json["underway"]["owner"]["front"]["pid"].as_i64().unwrap()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    scene.gate.open();
    run.finish().assert_stdout("through\n137\n");
    flush(&scene);
    assert_eq!(the_mail(&scene).attachment("log.txt").bytes(), b"through\n");
}

/// Statement 86. Catches: a duration taken from the wall clock, which may be set back or forth
/// meanwhile (here it stands still): runitor and `time(1)` of old do.
#[test]
fn durations_are_from_the_monotonic_clock() {
    let scene = Scene::new();
    let env = &scene.env;
    let fixed = "2026-11-21T09:30:00Z";
    let run = env.notify_done(["-q", "--", "sleep", "0.3"]).var("NOTIFY_DONE_TEST_CLOCK", fixed).run();
    run.assert_code(0);
    let shown = env.notify_done(["runs", "show", "--json"]).run();
    let json: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&json["started"], &json["ended"]), (&fixed.into(), &fixed.into()));
    let seconds = json["duration_seconds"].as_f64().unwrap();
    assert!((0.3..30.0).contains(&seconds), "{seconds}");
}

/// Statement 87. Catches: CPU time and memory of our own processes, of `RUSAGE_CHILDREN` (which adds
/// earlier children), or of the command without the children that it waited for.
#[test]
fn usage_is_that_of_the_command_and_its_children() {
    let env = crate::quiet();
    let burn = "import time\nx = b'x' * 200_000_000\nwhile time.process_time() < 0.5: pass";
    env.notify_done(["--", "sh", "-c", "python3 -c \"$1\"; :", "sh", burn]).run().assert_code(0);
    let shown = env.notify_done(["runs", "show", "--json"]).run();
    let json: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let (cpu, peak) = (json["cpu_seconds"].as_f64().unwrap(), json["peak_memory_bytes"].as_u64().unwrap());
    assert!((0.5..5.0).contains(&cpu), "{cpu}");
    assert!((200_000_000..300_000_000).contains(&peak), "{peak}");
}

/// A run that ends by `end` after the kernel has counted a kill in its group.
fn mail_after_a_shortage(end: &str) -> ParsedMail {
    let mut scene = Scene::new();
    let count = |kills: u32| {
        for (name, more) in
            [("memory.events", "low 0\noom 1\n"), ("memory/memory.oom_control", "under_oom 0\n")]
        {
            scene.env.write(&format!("cg/{name}"), format!("{more}oom_kill {kills}\n"), 0o644);
        }
        scene.env.write("cg/memory.max", "1073741824\n", 0o644);
        scene.env.write("cg/memory/memory.limit_in_bytes", "1073741824\n", 0o644);
    };
    count(3);
    let job = format!("read x <gate; {end}");
    let root = scene.env.home().join("cg");
    let run = scene.env.notify_done(["--", "sh", "-c", &job]).var("NOTIFY_DONE_TEST_CGROUP", root);
    // Once it is on record the counter has been read.
    let victim = Victim::of(&scene.env, run.stderr_is_free().start());
    count(4);
    scene.gate.open();
    victim.run.finish();
    let mails = scene.server.wait_for_mails(1, LONG);
    parse::mail(&mails[0].data)
}

/// Statement 84. Catches: `SIGKILL` left as a riddle. chronic, noti and knockknock say no more than
/// the signal, if that.
#[test]
fn a_kill_for_want_of_memory_is_named() {
    let mail = mail_after_a_shortage("kill -9 $$");
    assert!(mail.subject.contains("out of memory"), "{}", mail.subject);
    let text = mail.text.unwrap();
    assert!(text.contains("for want of memory") && text.contains("1.0 GiB"), "{text}");
    // A child was killed, the command ended by itself.
    let mail = mail_after_a_shortage("exit 3");
    assert!(mail.subject.contains("exit 3"), "{}", mail.subject);
    assert!(mail.text.unwrap().contains("1 process killed for want of memory"));
}
