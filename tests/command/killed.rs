//! `kill -9` of our own processes: the command goes on, its true status is found out and mailed.

use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::env::{Running, TestEnv};
use crate::support::parse::{self, ParsedMail};
use crate::support::smtp::{Script, ScriptedServer, TlsMode};
use crate::support::wait::{Gate, wait_until};

pub const LONG: Duration = Duration::from_secs(30);

pub struct Scene {
    pub env: TestEnv,
    pub server: ScriptedServer,
    pub gate: Gate,
}

/// What a run of a job says that waits at its gate and ends with 7.
const JOB: &str = "echo first; read x <gate; echo second; echo third >&2; exit 7";

impl Scene {
    pub fn new() -> Self {
        let env = TestEnv::new();
        let server = ScriptedServer::start(Script::qq().account("10001@qq.com", "abcdefghijklmnop"));
        env.config(&env.account("qq", "10001@qq.com", "abcdefghijklmnop", (&server, TlsMode::Implicit)));
        let gate = env.gate("gate");
        Self { env, server, gate }
    }

    fn start(&self) -> Running {
        let run = self.env.notify_done(["--", "sh", "-c", JOB]).stderr_is_free().start();
        run.wait_for_stdout(b"first\n");
        run
    }

    /// The one mail, with the job's true end and its whole log.
    fn assert_mailed(&self) -> ParsedMail {
        let mails = self.server.wait_for_mails(1, LONG);
        let mail = parse::mail(&mails[0].data);
        let text = mail.text.as_deref().unwrap();
        assert!(text.contains("exit code 7"), "{text}");
        let log = mail.attachment("log.txt").bytes();
        let log = String::from_utf8(log).unwrap();
        assert!(log.starts_with("first\n") && log.contains("second\n") && log.contains("third\n"), "{log}");
        assert_eq!(log.len(), "first\nsecond\nthird\n".len(), "{log}");
        // Settled, so that a second one would show.
        wait_until("nothing is being sent any more", || {
            ["new", "sending"].iter().all(|folder| count(&self.env, folder) == 0)
        });
        assert_eq!((self.server.received().len(), count(&self.env, "sent")), (1, 1));
        mail
    }
}

pub fn count(env: &TestEnv, folder: &str) -> usize {
    fs::read_dir(env.state().join("outbox").join(folder)).unwrap().count()
}

/// But for the process that would close a supervisor's pipes if that hung.
pub fn children(of: Pid) -> Vec<Pid> {
    let listed = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap();
    let is_releaser =
        |pid: &Pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "nd-releaser\n");
    let pids = listed.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap()));
    pids.filter(|pid| !is_releaser(pid)).collect()
}

/// The oldest: of a front whose command runs its supervisor (the canary is younger), of a supervisor the
/// command.
pub fn first_child(of: Pid) -> Pid {
    *children(of).first().unwrap()
}

/// Kills it when it has nothing under way: a system call in flight may repeat (`run::pump`).
fn kill_supervisor(run: &Running) {
    let supervisor = first_child(run.pid());
    let stat = format!("/proc/{supervisor}/stat");
    wait_until("it sleeps in poll", || fs::read_to_string(&stat).unwrap().contains(") S "));
    let command = first_child(supervisor);
    kill(supervisor, Signal::SIGKILL).unwrap();
    wait_until("the command is the front's", || children(run.pid()).contains(&command));
}

/// Catches a command that dies with us, output that goes nowhere, a mail that isn't made.
#[test]
fn the_front_killed() {
    let mut scene = Scene::new();
    let run = scene.start();
    run.signal(Signal::SIGKILL);
    wait_until("it is dead", || {
        fs::read_to_string(format!("/proc/{}/stat", run.pid())).is_ok_and(|stat| stat.contains(") Z "))
    });
    scene.gate.open();
    scene.assert_mailed();
    run.finish().assert_signal(Signal::SIGKILL).assert_stdout("first\nsecond\n");
}

/// Catches a front that takes the supervisor's end for the command's.
#[test]
fn the_supervisor_killed() {
    let mut scene = Scene::new();
    let run = scene.start();
    kill_supervisor(&run);
    scene.gate.open();
    run.finish().assert_code(7).assert_stdout("first\nsecond\n");
    scene.assert_mailed();
}

/// Catches a signal that is lost because the supervisor, which knew the command, is gone.
#[test]
fn signals_still_reach_the_command_when_the_supervisor_is_gone() {
    let scene = Scene::new();
    let run = scene.start();
    kill_supervisor(&run);
    run.signal(Signal::SIGTERM);
    run.finish().assert_signal(Signal::SIGTERM).assert_stdout("first\n");
    let mails = scene.server.wait_for_mails(1, LONG);
    let text = parse::mail(&mails[0].data).text.unwrap();
    assert!(text.contains("killed by SIGTERM"), "{text}");
}

/// Statement 85. Catches: a notice that dies with its mailer. The front is still there and starts another.
#[test]
fn the_mailer_killed() {
    use crate::support::smtp::{Action, Stage};
    let mut scene = Scene::new();
    let qq = Script::qq().account("10001@qq.com", "abcdefghijklmnop");
    scene.server.set_script(qq.clone().at(Stage::Greeting, Action::Hang));
    let run = scene.start();
    let supervisor = first_child(run.pid());
    scene.gate.open();
    scene.server.wait_for_connections(1, LONG);
    // The command and the supervisor have ended: the front, a subreaper, has the mailer.
    let mut left = Vec::new();
    wait_until("only the mailer is left", || {
        left = children(run.pid());
        // What the supervisor forked and didn't wait for may be among them, dead.
        left.retain(|child| {
            fs::read_to_string(format!("/proc/{child}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
        });
        left.len() == 1 && left[0] != supervisor
    });
    scene.server.set_script(qq);
    kill(left[0], Signal::SIGKILL).unwrap();
    let done = run.finish();
    done.assert_code(7);
    scene.assert_mailed();
}

/// Catches: a run whose every process was killed before its notice was in the outbox, forgotten; or
/// told twice; one whose front lives, made by another, so that its terminal is told nothing.
#[test]
fn a_notice_that_nobody_lived_to_make() {
    let mut scene = Scene::new();
    let run = scene.start();
    scene.gate.open();
    let done = run.finish();
    done.assert_code(7);
    scene.assert_mailed();
    // As if the mailer had been killed before it had kept anything, an hour ago.
    let state = scene.env.home().join(".local/state/notify-done");
    let folder = only_entry(&state.join("runs"));
    let record = folder.join("run.json");
    let nobody_lived = || {
        std::fs::write(folder.join("lock"), "").unwrap();
        let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
        json["notice_due"] = true.into();
        json["ended"]["ended"] = "2026-01-01T00:00:00Z".into();
        std::fs::write(&record, json.to_string()).unwrap();
    };
    nobody_lived();
    scene.env.notify_done(["outbox", "flush"]).stderr_is_free().run().assert_code(0);
    // The receipt says that it was sent.
    assert_eq!(scene.server.received().len(), 1);
    std::fs::remove_dir_all(only_entry(&state.join("outbox/sent"))).unwrap();
    nobody_lived();
    // As its front would: that one tells its terminal what becomes of the notice, and this can't.
    let front = std::fs::File::open(folder.join("lock")).unwrap();
    front.lock().unwrap();
    scene.env.notify_done(["outbox", "flush"]).stderr_is_free().run().assert_code(0);
    assert_eq!((scene.server.received().len(), count(&scene.env, "sent")), (1, 0));
    drop(front);
    scene.env.notify_done(["outbox", "flush"]).stderr_is_free().run().assert_code(0);
    let mails = scene.server.wait_for_mails(2, LONG);
    assert!(parse::mail(&mails[1].data).text.unwrap().contains("exit code 7"));
    scene.env.notify_done(["outbox", "flush"]).stderr_is_free().run().assert_code(0);
    assert_eq!(scene.server.received().len(), 2);
}

/// Catches: a notice that is made, and sent, once more since the outbox in which it lies can't be written
/// just now (a disk that became read-only).
#[test]
fn a_notice_in_an_outbox_that_cant_be_written_is_not_made_again() {
    let mut scene = Scene::new();
    let run = scene.start();
    scene.gate.open();
    run.finish().assert_code(7);
    scene.assert_mailed();
    let folder = only_entry(&scene.env.state().join("runs"));
    // As if the mailer had been killed before it had noted that the notice is kept.
    fs::write(folder.join("lock"), "").unwrap();
    let record = folder.join("run.json");
    let json = fs::read_to_string(&record).unwrap();
    fs::write(&record, json.replace(r#""notice_due": false"#, r#""notice_due": true"#)).unwrap();
    assert_ne!(fs::read_to_string(&record).unwrap(), json);
    let held = scene.env.state().join("outbox/held");
    fs::remove_dir(&held).unwrap();
    fs::write(&held, "").unwrap();
    scene.env.notify_done(["outbox", "flush"]).stderr_is_free().run();
    fs::remove_file(&held).unwrap();
    scene.env.notify_done(["outbox", "flush"]).stderr_is_free().run().assert_code(0);
    assert_eq!(scene.server.received().len(), 1);
}

/// Catches: a front that waits for its mailer and doesn't look alive, so that another process makes the
/// notice and nobody tells the terminal.
#[test]
fn a_front_that_waits_for_its_mailer_lives() {
    let mut scene = Scene::new();
    let run = scene.start();
    let folder = only_entry(&scene.env.state().join("runs"));
    // The mailer's turn doesn't come before this is closed.
    let turn = fs::File::create(folder.join("making")).unwrap();
    turn.lock().unwrap();
    scene.gate.open();
    wait_until("the end is on record", || {
        fs::read_to_string(folder.join("run.json")).is_ok_and(|json| json.contains("exit"))
    });
    let supervisor_has_gone = || !children(run.pid()).iter().any(|child| !children(*child).is_empty());
    wait_until("the mailer is the front's", supervisor_has_gone);
    let lock = fs::File::open(folder.join("lock")).unwrap();
    assert!(matches!(lock.try_lock_shared(), Err(fs::TryLockError::WouldBlock)));
    drop(turn);
    run.finish().assert_code(7);
    scene.assert_mailed();
}

pub fn only_entry(folder: &std::path::Path) -> std::path::PathBuf {
    let mut entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let first = entries.next().unwrap();
    assert_eq!(entries.next(), None);
    first
}

/// What the scripts below share: the processes of a run, and waiting for one's state.
pub const PROCESSES: &str = r#"
import os, random, subprocess, sys, time
ND = os.environ["ND"]
def kids(pid):
    try:
        return [int(kid) for kid in open(f"/proc/{pid}/task/{pid}/children").read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
# Of the front's children one has the command; others come and go.
def parents(pid):
    return [kid for kid in kids(pid) if kids(kid)]
def state(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None
def until(what, true):
    end = time.monotonic() + 20
    while not true():
        if time.monotonic() > end:
            sys.exit(f"never: {what}")
        time.sleep(0.001)
def tree(front):
    until("the command runs", lambda: parents(front))
    supervisor = parents(front)[0]
    command = kids(supervisor)[0]
    # Not only forked: until exec has succeeded, the supervisor waits for that.
    until("it is the command", lambda: open(f"/proc/{command}/comm").read() != "notify-done\n")
    return supervisor, command
def read_to_end(fd, at_once=65536):
    got = b""
    while True:
        try:
            part = os.read(fd, at_once)
        except OSError:  # EIO: nobody has the terminal open any more.
            part = b""
        if not part:
            os.close(fd)
            return got
        got += part
"#;

/// Catches: a status that only the supervisor knew. The command has ended and was waited for, a slow
/// reader still has its output before it, and the supervisor is killed.
#[test]
fn the_supervisor_killed_after_the_commands_end() {
    let env = TestEnv::new();
    let script = r#"
job = ["sh", "-c", "read x; head -c 80000 /dev/zero; exit 3"]
run = subprocess.Popen([ND, "-q", "--", *job], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
supervisor, command = tree(run.pid)
run.stdin.write(b"\n")
until("the command has been waited for", lambda: state(command) is None)
os.kill(supervisor, 9)
out = run.communicate(timeout=20)[0]
print(run.returncode, len(out))
"#;
    let none: [&str; 0] = [];
    env.python(&format!("{PROCESSES}{script}"), none).stderr_is_free().run().assert_stdout("3 80000\n");
}

/// Catches: a front that waits for a reader who went before the supervisor was killed.
#[test]
fn the_supervisor_killed_after_the_reader_has_gone() {
    let env = TestEnv::new();
    let script = r#"
job = "trap '' PIPE; n=0; while echo $n; do n=$((n+1)); done 2>/dev/null; echo >gone; read x; exit 3"
ours, theirs = os.pipe()
run = subprocess.Popen([ND, "-q", "--", "sh", "-c", job], stdin=subprocess.PIPE, stdout=theirs)
os.close(theirs)
supervisor, command = tree(run.pid)
until("it waits for its reader", lambda: "pipe_write" in open(f"/proc/{command}/wchan").read())
os.close(ours)
until("it knows", lambda: os.path.exists("gone"))
os.kill(supervisor, 9)
until("it is the front's", lambda: command in kids(run.pid))
run.communicate(b"\n", timeout=20)
print(run.returncode)
"#;
    let none: [&str; 0] = [];
    env.python(&format!("{PROCESSES}{script}"), none).stderr_is_free().run().assert_stdout("3\n");
}

/// Catches: a front that stays stopped when somebody (a scheduler, `cpulimit`) stops and wakes the
/// command alone: who waits for us would wait for ever.
#[test]
fn stopped_and_woken_alone() {
    let env = TestEnv::new();
    let script = r#"
run = subprocess.Popen([ND, "-q", "--", "sh", "-c", "read x; exit 5"], stdin=subprocess.PIPE)
_, command = tree(run.pid)
for _ in range(5):
    os.kill(command, 19)
    until("we stop with it", lambda: state(run.pid) == "T")
    os.kill(command, 18)
    until("we go on with it", lambda: state(run.pid) != "T")
run.communicate(b"\n", timeout=20)
print(run.returncode)
"#;
    let none: [&str; 0] = [];
    env.python(&format!("{PROCESSES}{script}"), none).stderr_is_free().run().assert_stdout("5\n");
}

/// Statements 16, 17. Catches: a TERM that arrives between our start and the command's, and is thrown
/// away; one to the group as well, which the command may or may not have got itself.
#[test]
fn no_early_signal_is_lost() {
    let env = TestEnv::new();
    let script = r#"
seed = int(time.time())
random.seed(seed)
lost = 0
for send in [os.kill, os.killpg] * 40:
    run = subprocess.Popen([ND, "-q", "--on", "success", "--", "sleep", "60"], process_group=0)
    time.sleep(random.random() * 0.012)
    send(run.pid, 15)
    try:
        run.wait(10)
    except subprocess.TimeoutExpired:
        lost += 1
        run.kill()
print("lost", lost, "" if lost == 0 else f"seed {seed}")
"#;
    let none: [&str; 0] = [];
    env.python(&format!("{PROCESSES}{script}"), none).stderr_is_free().run().assert_stdout("lost 0 \n");
}
