//! `notify-done outbox install-timer`, with a systemctl of our own that notes what it is told.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::Value;

use crate::Scene;
use crate::support::env::{Output, TestEnv};

/// A home whose `systemctl` notes its arguments, and then does this.
struct Systemd {
    scene: Scene,
    path: String,
}

const RUNS: &str = "exit 0";
const NOT_THERE: &str = "echo 'Failed to connect to bus: No medium found' >&2; exit 1";

impl Systemd {
    fn new(then: &str) -> Self {
        let scene = Scene::without_account();
        let noted = scene.env.home().join("calls");
        let script = format!("#!/bin/sh\necho \"$@\" >>'{}'\n{then}\n", noted.display());
        let program = scene.env.write("bin/systemctl", script, 0o755);
        let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
        Self { scene, path }
    }

    fn env(&self) -> &TestEnv {
        &self.scene.env
    }

    fn run(&self, args: &[&str], code: i32) -> Output {
        let args = [&["outbox", "install-timer"], args].concat();
        let done = self.env().notify_done(args).var("PATH", &self.path).stderr_is_free().run();
        done.assert_code(code);
        done
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.env().home().join("calls")).unwrap_or_default()
    }

    fn unit(&self, name: &str) -> PathBuf {
        self.env().home().join(".config/systemd/user").join(name)
    }
}

const SERVICE: &str = "notify-done.service";
const TIMER: &str = "notify-done.timer";

/// Catches: units that are written and not started, or started and not removed; a second install that
/// fails on the first one's files.
#[test]
fn the_timer_is_installed_and_taken_away() {
    let systemd = Systemd::new(RUNS);
    for _ in 0..2 {
        let done = systemd.run(&[], 0);
        done.assert_stdout("");
        assert!(done.stderr.contains("quarter of an hour"), "{}", done.stderr);
    }
    let asked = "--user show --property=Version\n";
    let once = format!("{asked}--user daemon-reload\n--user enable --now notify-done.timer\n");
    assert_eq!(systemd.calls(), once.repeat(2));
    let service = fs::read_to_string(systemd.unit(SERVICE)).unwrap();
    let start = format!("\nExecStart={} outbox flush --due --quiet\n", env!("CARGO_BIN_EXE_notify-done"));
    assert!(service.contains(&start) && service.contains("\nSuccessExitStatus=1\n"), "{service}");
    assert!(!service.contains("Environment="), "{service}");
    let timer = fs::read_to_string(systemd.unit(TIMER)).unwrap();
    assert!(timer.contains("\nPersistent=true\n") && timer.contains("\nOnCalendar=*:0/15\n"), "{timer}");
    fs::remove_file(systemd.env().home().join("calls")).unwrap();
    systemd.run(&["--uninstall"], 0);
    let taken = format!("{asked}--user disable --now notify-done.timer\n--user daemon-reload\n");
    assert_eq!(systemd.calls(), taken);
    assert!(!systemd.unit(SERVICE).exists() && !systemd.unit(TIMER).exists());
    let nothing = systemd.run(&["--uninstall"], 0);
    assert!(nothing.stderr.contains("no timer"), "{}", nothing.stderr);
    assert_eq!(systemd.calls(), taken, "systemd isn't asked for nothing");
}

/// Catches: a unit of the user's own, or his wish to have none (a masked unit), that is written over.
#[test]
fn what_is_not_ours_is_left_alone() {
    let systemd = Systemd::new(RUNS);
    for name in [SERVICE, TIMER] {
        let path = systemd.unit(name);
        systemd.env().write(&format!(".config/systemd/user/{name}"), "[Unit]\nDescription=mine\n", 0o644);
        for args in [&[][..], &["--uninstall"]] {
            let refused = systemd.run(args, 1);
            assert!(refused.stderr.contains("isn't a file of ours"), "{}", refused.stderr);
            assert_eq!(fs::read_to_string(&path).unwrap(), "[Unit]\nDescription=mine\n");
        }
        fs::remove_file(&path).unwrap();
        symlink("/dev/null", &path).unwrap();
        systemd.run(&[], 1);
        assert_eq!(fs::read_link(&path).unwrap(), PathBuf::from("/dev/null"));
        fs::remove_file(&path).unwrap();
    }
    assert!(!systemd.unit(SERVICE).exists() && !systemd.calls().contains("enable"), "{}", systemd.calls());
}

/// Catches: a service that looks for the outbox, or for notify.toml, in another place than the user's shell.
#[test]
fn the_service_finds_what_the_user_has_set() {
    let systemd = Systemd::new(RUNS);
    let home = systemd.env().home();
    let (state, config) = (home.join("my state"), home.join("50%.toml"));
    let done = systemd
        .env()
        .notify_done(["outbox", "install-timer"])
        .var("PATH", &systemd.path)
        .var("NOTIFY_DONE_STATE", &state)
        .var("NOTIFY_DONE_CONFIG", &config)
        .var("NOTIFY_DONE_CODE", "abcdefghijklmnop")
        .stderr_is_free()
        .run();
    done.assert_code(0);
    let service = fs::read_to_string(systemd.unit(SERVICE)).unwrap();
    for line in [
        format!("Environment=\"NOTIFY_DONE_STATE={}\"\n", state.display()),
        format!("Environment=\"NOTIFY_DONE_CONFIG={}/50%%.toml\"\n", home.display()),
    ] {
        assert!(service.contains(&line), "{line} in:\n{service}");
    }
    assert!(!service.contains("abcdefghijklmnop"));
}

/// Catches: a promise of a timer where there is none, and a line that cron or its shell takes for something
/// else.
#[test]
fn without_systemd_there_is_a_line_for_crontab() {
    let mut systemd = Systemd::new(NOT_THERE);
    let state = systemd.env().home().join("50% of\"it");
    systemd.scene.configure("");
    systemd.scene.server.go_down();
    let run = systemd.env().notify_done(["--", "true"]).var("NOTIFY_DONE_STATE", &state);
    run.stderr_is_free().run().assert_code(0);
    systemd.scene.server.come_up();
    // A minute later, as the entry has it: the timer sends what is due.
    let entry = fs::read_dir(state.join("outbox/new")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(entry.join("entry.json")).unwrap();
    let due = text.replace("\"next_try\": \"20", "\"next_try\": \"19");
    assert_ne!(text, due);
    fs::write(entry.join("entry.json"), due).unwrap();
    let install = systemd.env().notify_done(["outbox", "install-timer"]).var("PATH", &systemd.path);
    let says = ["Failed to connect to bus", "crontab -e"];
    let done = install.var("NOTIFY_DONE_STATE", &state).says(&says).run();
    done.assert_code(1);
    assert!(!systemd.unit(SERVICE).exists());
    let line = String::from_utf8(done.stdout).unwrap();
    let command = line.strip_prefix("*/15 * * * * ").unwrap();
    assert!(!command.replace("\\%", "").contains('%'), "{line}");
    // As cron gives it to the shell. It says nothing: cron would mail that.
    systemd.env().shell(&command.replace("\\%", "%")).run().assert_code(0).assert_stdout("");
    systemd.scene.received(1);
    // Nor is there a program of that name.
    let nowhere = systemd.env().home().join("empty");
    let done = systemd.env().notify_done(["outbox", "install-timer"]).var("PATH", nowhere);
    done.says(&["No such file", "crontab -e"]).run().assert_code(1);
}

/// Catches: a print that does something.
#[test]
fn a_print_does_nothing() {
    let systemd = Systemd::new(RUNS);
    let printed = String::from_utf8(systemd.run(&["--print"], 0).stdout).unwrap();
    assert!(["[Service]", "[Timer]", SERVICE, TIMER].iter().all(|part| printed.contains(part)), "{printed}");
    assert!(!systemd.unit(SERVICE).exists() && systemd.calls().is_empty());
    let json: Value = serde_json::from_slice(&systemd.run(&["--print", "--json"], 0).stdout).unwrap();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["action", "cron", "units"]);
    assert_eq!(json["action"], "printed");
    let unit: Vec<&String> = json["units"][0].as_object().unwrap().keys().collect();
    assert_eq!(unit, ["path", "text"]);
    assert_eq!(json["units"][0]["path"], systemd.unit(SERVICE).to_str().unwrap());
}
