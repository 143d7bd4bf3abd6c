//! The rules of the house that a machine can check; the map is in `src/lib.rs`.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};

/// Files that do no I/O and read no clock, environment or terminal.
const PURE: &[&str] = &[
    "cli.rs",
    "cli/",
    "commands/doctor/checkup.rs",
    "commands/doctor/found.rs",
    "commands/doctor/page.rs",
    "commands/doctor/values.rs",
    "commands/doctor/words.rs",
    "commands/event_words.rs",
    "commands/outbox/units.rs",
    "commands/outbox/words.rs",
    "commands/words.rs",
    "error.rs",
    "exit.rs",
    "config/file.rs",
    "config/keys.rs",
    "config/merge.rs",
    "config/mod.rs",
    "config/path_json.rs",
    "config/provider.rs",
    "config/secret.rs",
    "config/values.rs",
    "deliver/codes.rs",
    "deliver/diagnose.rs",
    "deliver/ehlo.rs",
    "deliver/meanings.rs",
    "deliver/replies.rs",
    "deliver/reply.rs",
    "deliver/transcript.rs",
    "deliver/verdict.rs",
    "deliver/words.rs",
    "mail/draft.rs",
    "mail/ladder.rs",
    "mail/limits.rs",
    "mail/names.rs",
    "outbox/choice.rs",
    "outbox/entry.rs",
    "outbox/event.rs",
    "outbox/health.rs",
    "outbox/recipients.rs",
    "outbox/schedule.rs",
    "privacy/",
    "render/",
    "report/",
    "run/ci.rs",
    "run/facts.rs",
    "run/life.rs",
    "run/policy.rs",
    "run/record.rs",
    "spool/index.rs",
    "spool/tail.rs",
];

/// What a pure file doesn't name.
const EFFECTS: &[&str] = &[
    "std::fs",
    "std::env",
    "TcpStream",
    "UdpSocket",
    "std::process",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "File::open",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
    "TimeZone::system",
    "crate::sys",
    "crate::ui",
    "crate::commands",
    "tokio::",
];

fn sources() -> Vec<(String, String)> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    assert!(found.len() > 40, "the sources moved");
    let relative = |path: &Path| path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
    found.iter().map(|path| (relative(path), code_of(path))).collect()
}

/// The code without comments and without the tests at its end.
fn code_of(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let tests = ["#[cfg(test)]\nmod tests", "#[cfg(test)]\npub(crate) mod tests"];
    let end = tests.iter().filter_map(|begin| text.find(begin)).min().unwrap_or(text.len());
    let code = &text[..end];
    code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn is_test_file(name: &str) -> bool {
    name.ends_with("_tests.rs")
        || name.ends_with("/tests.rs")
        || ["deliver/responder.rs", "deliver/smtp_faults.rs", "deliver/testing.rs", "mail/testing.rs"]
            .contains(&name)
}

/// Fails listing every file and line in which one of `words` stands.
fn forbid(rule: &str, applies: impl Fn(&str) -> bool, words: &[&str]) {
    let mut broken = Vec::new();
    for (name, code) in sources() {
        if !applies(&name) || is_test_file(&name) {
            continue;
        }
        for (number, line) in code.lines().enumerate() {
            broken.extend(
                words
                    .iter()
                    .filter(|word| line.contains(**word))
                    .map(|word| format!("src/{name}:{}: {word}", number + 1)),
            );
        }
    }
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

#[test]
fn pure_files_have_no_effects() {
    let pure = |name: &str| PURE.iter().any(|p| name == *p || (p.ends_with('/') && name.starts_with(p)));
    for file in PURE {
        assert!(sources().iter().any(|(name, _)| name.starts_with(file)), "{file} is gone: mend the list");
    }
    forbid("a pure file touches the world", pure, EFFECTS);
}

#[test]
fn only_ui_prints() {
    forbid(
        "printing belongs to ui.rs",
        |name| name != "ui.rs",
        &["println!", "print!(", "eprint", "stdout()", "dbg!"],
    );
}

#[test]
fn only_sys_is_unsafe() {
    forbid("unsafe belongs to sys/", |name| !name.starts_with("sys/") && name != "main.rs", &["unsafe "]);
}

#[test]
fn only_deliver_knows_the_transport() {
    forbid(
        "SMTP belongs to deliver/",
        |name| !name.starts_with("deliver/"),
        &["lettre::transport", "tokio", "rustls"],
    );
}

#[test]
fn stages_do_not_reach_back() {
    for (stage, later) in [
        ("run/", vec!["crate::mail", "crate::outbox", "crate::deliver", "crate::render", "crate::commands"]),
        (
            "spool/",
            vec!["crate::mail", "crate::outbox", "crate::deliver", "crate::render", "crate::commands"],
        ),
        ("config/", vec!["crate::run", "crate::outbox", "crate::deliver", "crate::commands"]),
        ("deliver/", vec!["crate::outbox", "crate::run", "crate::commands"]),
        ("sys/", vec!["crate::run", "crate::config", "crate::outbox", "crate::deliver", "crate::commands"]),
    ] {
        forbid(&format!("{stage} imports a later stage"), |name| name.starts_with(stage), &later);
    }
}

/// What a stage may name of the others: of the one before it only the pure files, of the one behind
/// it nothing. `outbox/` hands jobs to `deliver/` and hears verdicts.
const EDGES: &[(&str, &[&str])] = &[
    ("spool/", &["spool", "run::facts", "sys"]),
    ("privacy/", &["privacy"]),
    ("report/", &["report", "run::facts", "spool::tail", "privacy"]),
    ("render/", &["render", "report::model", "report::text", "run::ci", "run::facts", "config::Language"]),
    ("mail/", &["mail", "config", "report::model", "run::facts", "error", "sys::fs"]),
    (
        "outbox/",
        &[
            "outbox",
            "config",
            "deliver::diagnose",
            "deliver::job",
            "deliver::verdict",
            "run::facts",
            "error",
            "sys",
        ],
    ),
];

/// Catches: a renderer that reads the spool, an outbox that knows how a mail is made.
#[test]
fn a_stage_imports_only_the_pure_files_of_the_one_before() {
    let mut broken = Vec::new();
    for (name, code) in sources() {
        let Some((_, allowed)) = EDGES.iter().find(|(stage, _)| name.starts_with(stage)) else { continue };
        if is_test_file(&name) {
            continue;
        }
        for (at, _) in code.match_indices("crate::") {
            let path = &code[at + "crate::".len()..];
            let path = &path[..path.find(|c: char| !c.is_alphanumeric() && !"_:".contains(c)).unwrap_or(0)];
            let inside = |edge: &str| {
                path.strip_prefix(edge).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            };
            if !allowed.iter().any(|edge| inside(edge)) {
                broken.push(format!("src/{name}: crate::{path}"));
            }
        }
    }
    assert!(broken.is_empty(), "not among the edges of the map:\n{}", broken.join("\n"));
}
