//! `notify-done runs`: what is said of runs, their logs, and stopping them.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::killed::{first_child, only_entry};
use crate::quiet;
use crate::support::env::{Output, Running, TestEnv};
use crate::support::wait::wait_until;

fn runs(env: &TestEnv, args: &[&str], code: i32) -> Output {
    let done = env.notify_done([&["runs"], args].concat()).stderr_is_free().run();
    done.assert_code(code);
    done
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(env: &TestEnv, args: &[&str]) -> Value {
    serde_json::from_slice(&runs(env, args, 0).stdout).unwrap()
}

/// A run of `job` that has printed `up`.
fn start(env: &TestEnv, job: &str) -> Running {
    let run = env.notify_done(["--", "sh", "-c", job]).stderr_is_free().start();
    run.wait_for_stdout(b"up\n");
    run
}

/// Catches: a list without the run that goes on, states that aren't told, another order.
#[test]
fn the_list_tells_how_it_stands_with_each() {
    let env = quiet();
    runs(&env, &["list"], 0).assert_stdout("there is no run yet\n");
    env.notify_done(["--title", "a sweep", "--", "true"]).run();
    env.notify_done(["--", "sh", "-c", "exit 3"]).run();
    env.notify_done(["--", "sh", "-c", "kill -15 $$"]).stderr_is_free().run();
    env.shell("echo x | $ND pipe").run();
    let mut gate = env.gate("gate");
    let run = start(&env, "echo up; read x <gate");
    let listed = text(&runs(&env, &["list"], 0));
    let lines: Vec<&str> = listed.lines().collect();
    let expected = [
        ("succeeded", "a sweep"),
        ("exit 3", "sh -c 'exit 3'"),
        ("SIGTERM (15)", "kill -15"),
        ("ended", "pipe"),
        ("running", "read x"),
    ];
    assert_eq!(lines.len(), expected.len(), "{listed}");
    for (line, (state, name)) in lines.iter().zip(expected) {
        assert!(line.contains(state) && line.contains(name), "{state}, {name} in:\n{listed}");
    }
    let chinese = env.notify_done(["runs", "list"]).var("LC_ALL", "zh_CN.UTF-8").run();
    assert!(text(&chinese).contains("运行中"), "{}", text(&chinese));
    for _ in 0..20 {
        env.notify_done(["--", "true"]).run();
    }
    let listed = text(&runs(&env, &["list"], 0));
    assert_eq!(listed.lines().count(), 21, "the one that goes on is among them:\n{listed}");
    assert!(listed.lines().next().unwrap().contains("running"), "{listed}");
    gate.open();
    run.finish().assert_code(0);
    let done = runs(&env, &["list", "-v"], 0);
    assert_eq!(text(&done).lines().count(), 20);
    assert!(done.stderr.contains("5 older runs") && done.stderr.contains("--all"), "{}", done.stderr);
    assert_eq!(text(&runs(&env, &["list", "--all"], 0)).lines().count(), 25);
    assert_eq!(json(&env, &["list", "--json"])["runs"].as_array().unwrap().len(), 25);
}

/// Catches a key that is renamed, lost, or of another type: scripts hang on them.
#[test]
fn the_json_of_a_run_keeps_its_keys() {
    let env = quiet().var("NOTIFY_DONE_TEST_CLOCK", "2026-11-21T09:30:00Z");
    let args = ["--title", "t", "--note", "n", "--tag", "a", "--", "sh", "-c", "echo out; exit 3"];
    env.notify_done(args).run().assert_code(3);
    let mut seen = json(&env, &["show", "--json"]);
    assert_eq!(seen, json(&env, &["list", "--json"])["runs"][0]);
    let home = env.home().canonicalize().unwrap();
    let id = only_entry(&env.state().join("runs")).file_name().unwrap().to_str().unwrap().to_owned();
    for (key, plausible) in [("duration_seconds", 0.0..30.0), ("cpu_seconds", 0.0..30.0)] {
        assert!(plausible.contains(&seen[key].as_f64().unwrap()), "{seen}");
        seen[key] = 1.into();
    }
    assert!(seen["peak_memory_bytes"].as_u64().unwrap() > 100_000);
    seen["peak_memory_bytes"] = 1.into();
    let folder = env.state().join("runs").join(&id);
    assert!(!folder.join("lock").exists(), "nothing is left to be done for it: no need to look");
    let expected = serde_json::json!({
        "id": id, "state": "failed", "title": "t", "command": ["sh", "-c", "echo out; exit 3"],
        "host": "gpu07", "user": "ann", "cwd": home, "note": "n", "tags": ["a"],
        "started": "2026-11-21T09:30:00Z", "ended": "2026-11-21T09:30:00Z", "duration_seconds": 1,
        "exit_code": 3, "signal": null, "interrupted_by": null, "last_output": null, "pid": null,
        "cpu_seconds": 1, "peak_memory_bytes": 1, "out_of_memory": null,
        "log": [
            { "path": folder.join("log"), "holds": "both", "start": 0, "end": 4, "trouble": null }
        ],
        "folder": folder, "notice_due": false,
    });
    assert_eq!(seen, expected, "{seen:#}");
}

/// Catches: an id that must be typed whole, one that means the wrong run, or any file.
#[test]
fn enough_of_an_id_means_the_run() {
    let env = quiet();
    for n in ["one", "two"] {
        env.notify_done(["--title", n, "--", "true"]).run();
    }
    let all = json(&env, &["list", "--json"]);
    let [one, two] = [0, 1].map(|n| all["runs"][n]["id"].as_str().unwrap().to_owned());
    let random = |id: &str| id.split_once('-').unwrap().1.to_owned();
    for id in [one.clone(), random(&one), random(&one)[..7].to_owned()] {
        assert_eq!(json(&env, &["show", "--json", &id])["title"], "one", "{id}");
        let previewed = env.notify_done(["preview", "-v", &id]).stderr_is_free().run();
        assert!(previewed.assert_code(0).stderr.contains(&one), "{previewed:?}");
    }
    assert_eq!(json(&env, &["show", "--json"])["id"], two);
    let listed = text(&runs(&env, &["list"], 0));
    assert!(listed.starts_with(&format!("{}  ", random(&one))), "{listed}");
    // A copy of the user's begins with the same id.
    let copy = env.state().join("runs").join(format!("{one}.copy"));
    fs::create_dir(&copy).unwrap();
    fs::copy(env.state().join("runs").join(&one).join("run.json"), copy.join("run.json")).unwrap();
    assert_eq!(json(&env, &["show", "--json", &one])["title"], "one");
    fs::remove_dir_all(copy).unwrap();
    let both = env.notify_done(["runs", "show", "20"]).says(&["`20` means 2 runs", &one, &two]).run();
    both.assert_code(1).assert_stdout("");
    for id in ["../runs", "", "zz", "."] {
        env.notify_done(["runs", "show", id]).says(&["no run", "runs list"]).run().assert_code(1);
    }
    let shown = text(&runs(&env, &["show", &one], 0));
    for part in ["Result", "exit code 0", "Duration", "Title", "one", &one] {
        assert!(shown.contains(part), "{part} in:\n{shown}");
    }
}

/// Catches a log that passes through text, and one without what went to a file of the user's.
#[test]
fn the_log_is_byte_for_byte() {
    let env = quiet();
    let job = r"printf 'a\0b\377\n'; printf 'no end' >&2";
    env.notify_done(["--", "sh", "-c", job]).stderr_is_free().run();
    let log = runs(&env, &["log"], 0).stdout;
    assert_eq!(log.len(), b"a\0b\xff\nno end".len());
    assert!(log.windows(5).any(|part| part == b"a\0b\xff\n"));
    env.shell("echo old >out; $ND -- sh -c 'echo new' >>out").run();
    runs(&env, &["log"], 0).assert_stdout("new\n");
    env.shell("$ND runs log >/dev/full").says(&["No space"]).run().assert_code(1);
}

/// Catches: errors before the output that they belong to, because they went to a file.
#[test]
fn the_log_of_stdout_comes_first_wherever_it_lies() {
    let env = quiet();
    let mut gate = env.gate("gate");
    let run = env.shell("$ND -- sh -c 'echo up; echo err >&2; read x <gate' 2>err | cat").start();
    run.wait_for_stdout(b"up\n");
    let holds = || {
        let log = &json(&env, &["show", "--json"])["log"];
        [0, 1].map(|n| log[n]["holds"].as_str().unwrap().to_owned())
    };
    assert_eq!(holds(), ["stdout", "stderr"]);
    gate.open();
    run.finish().assert_code(0);
    assert_eq!(holds(), ["stdout", "stderr"]);
}

/// Catches: following that ends early, never ends, or doubles what was there; and a follower that
/// stays when nobody reads it any more.
#[test]
fn a_log_is_followed_until_the_run_has_ended() {
    let env = quiet();
    let mut gate = env.gate("gate");
    // Before the run is even on record.
    let run = start(&env, "echo up; read x <gate; echo more; echo last >&2");
    let follower = env.notify_done(["runs", "log", "-f"]).start();
    follower.wait_for_stdout(b"up\n");
    let left = env.shell("$ND runs log -f | head -1").run();
    left.assert_stdout("up\n");
    gate.open();
    run.finish().assert_code(0);
    let seen = text(&follower.finish());
    assert!(seen.starts_with("up\n") && seen.len() == "up\nmore\nlast\n".len(), "{seen}");
    // It has ended: there is nothing to wait for.
    assert_eq!(text(&runs(&env, &["log", "-f"], 0)), seen);
}

/// Catches: a stop that ends us and leaves the command, one that a stopped command
/// never hears, one that isn't waited for.
#[test]
fn stop_ends_the_command() {
    let env = quiet();
    let run = start(&env, "trap 'echo trapped; exit 5' TERM; echo up; while :; do sleep 0.05; done");
    let command = json(&env, &["show", "--json"])["pid"].as_i64().unwrap();
    kill(Pid::from_raw(i32::try_from(command).unwrap()), Signal::SIGSTOP).unwrap();
    runs(&env, &["stop"], 0);
    let done = run.finish();
    done.assert_code(5).assert_stdout("up\ntrapped\n");
    let gone = env.notify_done(["runs", "stop"]).says(&["no run goes on here"]).run();
    gone.assert_code(1);
    let id = only_entry(&env.state().join("runs")).file_name().unwrap().to_str().unwrap().to_owned();
    env.notify_done(["runs", "stop", &id]).says(&["has ended already"]).run().assert_code(1);
}

#[test]
fn one_that_refuses_is_killed_only_when_asked() {
    let env = quiet();
    let run = start(&env, "trap '' TERM; echo up; while :; do sleep 0.05; done");
    let refused = env.notify_done(["runs", "stop", "--timeout", "300ms"]).says(&["goes on", "--kill"]).run();
    refused.assert_code(1);
    runs(&env, &["stop", "--timeout", "300ms", "--kill"], 0);
    run.finish().assert_signal(Signal::SIGKILL);
}

/// Catches: a signal to whoever has the number here, of a run on another machine; one of several
/// runs ended by chance; a process that isn't the command any more.
#[test]
fn only_the_run_that_is_meant_is_stopped_and_only_here() {
    let env = quiet();
    let mut gates = [env.gate("a"), env.gate("b")];
    let first = start(&env, "echo up; read x <a");
    json(&env, &["show", "--json"]);
    let second = start(&env, "echo up; read x <b");
    env.notify_done(["runs", "stop"]).says(&["2 runs go on", "read x <a", "read x <b"]).run().assert_code(1);
    let ids = json(&env, &["list", "--json"]);
    let [one, two] = [0, 1].map(|n| ids["runs"][n]["id"].as_str().unwrap().to_owned());
    let edit = |id: &str, key: &[&str], value: Value| {
        let path = env.state().join("runs").join(id).join("run.json");
        let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let place = key.iter().fold(&mut record["underway"]["owner"], |at, key| &mut at[*key]);
        *place = value;
        fs::write(&path, record.to_string()).unwrap();
    };
    edit(&one, &["place", "boot"], "another".into());
    env.notify_done(["runs", "stop", &one]).says(&["doesn't run here"]).run().assert_code(1);
    edit(&two, &["command", "started"], 1.into());
    env.notify_done(["runs", "stop", &two]).says(&["has ended already"]).run().assert_code(1);
    gates.iter_mut().for_each(crate::support::wait::Gate::open);
    first.finish().assert_code(0);
    second.finish().assert_code(0);
}

/// Catches: a command that nobody can end any more, when both of ours were killed.
#[test]
fn a_command_that_outlived_us_can_be_stopped() {
    let env = quiet();
    let _gate = env.gate("gate");
    let run = start(&env, "echo up; read x <gate");
    let command = json(&env, &["show", "--json"])["pid"].as_i64().unwrap();
    let supervisor = first_child(run.pid());
    run.signal(Signal::SIGKILL);
    kill(supervisor, Signal::SIGKILL).unwrap();
    run.finish();
    wait_until("it is seen", || json(&env, &["show", "--json"])["state"] == "interrupted");
    let seen = json(&env, &["show", "--json"]);
    assert_eq!((&seen["pid"], &seen["interrupted_by"]), (&command.into(), &"killed".into()));
    assert_eq!(seen["ended"], Value::Null, "nobody saw that");
    // Once it is noted that the run was cut off, too.
    env.notify_done(["outbox", "flush"]).stderr_is_free().run();
    assert_eq!(json(&env, &["show", "--json"])["pid"], command);
    let id = seen["id"].as_str().unwrap();
    runs(&env, &["stop", id], 0);
    assert_eq!(json(&env, &["show", "--json"])["pid"], Value::Null);
}
