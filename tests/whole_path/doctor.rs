//! `notify-done doctor`: what it finds, and that it leaves things as they are.

use std::os::unix::fs::PermissionsExt;
use std::{fs, io};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::env::Output;
use crate::support::script::{Action, Script, Stage, TlsMode};
use crate::support::tls::Certificate;
use crate::{CODE, Scene, USER, contains, parse, qq};

fn doctor(scene: &Scene, args: &[&str], code: i32) -> Output {
    let done = scene.env.notify_done([&["doctor"], args].concat()).run();
    done.assert_code(code);
    done
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The page in English and in Chinese.
fn both(scene: &Scene, args: &[&str], code: i32) -> [String; 2] {
    ["en", "zh"].map(|lang| {
        let args = [&["doctor"], args].concat();
        let done = scene.env.notify_done(args).var("NOTIFY_DONE_LANG", lang).run();
        done.assert_code(code);
        text(&done)
    })
}

fn json(scene: &Scene, args: &[&str], code: i32) -> Value {
    let done = doctor(scene, &[args, &["--json"]].concat(), code);
    serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&done)))
}

/// The row of a step, and what stands under it.
#[track_caller]
fn row<'a>(page: &'a str, label: &str) -> (&'a str, &'a str) {
    let at = page.lines().position(|line| line.get(4..).is_some_and(|rest| rest.starts_with(label)));
    let at = at.unwrap_or_else(|| {
        // A mark may have more than one byte.
        let row = |line: &str| line.trim_start().chars().skip(2).collect::<String>().starts_with(label);
        page.lines().position(row).unwrap_or_else(|| panic!("no {label} in:\n{page}"))
    });
    let mut lines = page.lines().skip(at);
    let row = lines.next().unwrap();
    let below = page.split_once(row).unwrap().1.trim_start_matches('\n');
    let end = below.lines().take_while(|line| line.starts_with("      ")).map(|line| line.len() + 1).sum();
    (row, below.get(..end).unwrap_or(below))
}

#[track_caller]
fn assert_mark(page: &str, mark: char, label: &str) {
    let (row, _) = row(page, label);
    assert_eq!(row.trim_start().chars().next(), Some(mark), "{label} in:\n{page}");
}

#[test]
fn pictures() {
    let scene = Scene::with("log.tail_lines = 100\n[mail]\nto = \"a@example.com\"\n");
    for page in both(&scene, &["--transcript", "--verify", "b@example.com", "--send"], 0) {
        println!("{page}");
    }
    scene.server.set_script(qq().reply_at(Stage::Auth, "535 Login fail. Account is abnormal, service is not open, password is incorrect, login frequency limited, or system is busy. More information at https://help.mail.qq.com/detail/108/1023"));
    for page in both(&scene, &["--send"], 1) {
        println!("{page}");
    }
    for page in both(&scene, &["--send"], 1) {
        println!("{page}");
    }
    println!("{}", text(&doctor(&scene, &["--json", "--send", "--transcript"], 1)));
}
