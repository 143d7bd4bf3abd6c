//! What the documents say is true: their commands run, their settings parse, their links lead somewhere.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;
use notify_done::cli::Cli;
use notify_done::config::{file, provider};
use support::env::TestEnv;

const READMES: [(&str, &str, &str); 2] = [
    ("README.md", "## Try it now", "## Set up your mailbox"),
    ("README.zh-CN.md", "## 马上试试", "## 配置邮箱"),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// The documents a reader meets, by their names from the root.
fn documents() -> Vec<String> {
    let mut names: Vec<String> =
        ["README.md", "README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_owned).into();
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            names.push(format!("docs/{name}"));
        }
    }
    names
}

/// The code blocks of a language, in order.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside: Option<(bool, String)> = None;
    for line in text.lines() {
        match (&mut inside, line.strip_prefix("```")) {
            (None, Some(tag)) => inside = Some((tag == language, String::new())),
            (None, None) => {}
            (Some((wanted, block)), Some(_)) => {
                if *wanted {
                    found.push(std::mem::take(block));
                }
                inside = None;
            }
            (Some((_, block)), None) => {
                block.push_str(line);
                block.push('\n');
            }
        }
    }
    assert!(inside.is_none(), "a block has no end");
    found
}

fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    text.split_once(&format!("{heading}\n")).unwrap_or_else(|| panic!("no section {heading}")).1
}

/// A line's words as a shell takes them, up to a comment or the end of the command; it knows the
/// quotes that the documents use.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | ';' | '>') => break,
            (None, ' ') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    assert!(quote.is_none(), "an open quote: {line}");
    words.extend(word);
    words
}

/// Each `notify-done …` that a document shows, in a block or within its text.
fn invocations(text: &str) -> Vec<String> {
    let in_blocks = blocks(text, "sh").join("\n");
    let lines =
        in_blocks.lines().filter_map(|line| line.find("notify-done ").map(|at| line[at..].to_owned()));
    let shown = text.split('`').skip(1).step_by(2).filter(|code| code.starts_with("notify-done "));
    lines.chain(shown.map(str::to_owned)).collect()
}

#[test]
fn the_first_command_does_what_it_promises_on_a_fresh_machine() {
    const CARGO: &str = "cargo run --release --quiet -- ";
    for (name, heading, _) in READMES {
        let text = read(name);
        let block = blocks(section(&text, heading), "sh").remove(0);
        assert_eq!(block, format!("{CARGO}-- sh -c 'echo hello; echo oops >&2; exit 3'\n"), "{name}");

        let env = TestEnv::new();
        let mut shell = Command::new("sh");
        let binary = env!("CARGO_BIN_EXE_notify-done");
        shell.args(["-c", &block.replace(CARGO, &format!("'{binary}' "))]);
        let ran = env.command(shell).says(&["oops", "notify.toml", "[accounts.mine]", "preview"]).run();
        ran.assert_code(3).assert_stdout("hello\n");

        let shown = env.notify_done(["preview"]).run();
        shown.assert_code(0);
        let paths = String::from_utf8(shown.stdout).unwrap();
        let ends: Vec<_> = paths.lines().map(|path| Path::new(path).extension().unwrap()).collect();
        assert_eq!(ends, ["html", "txt"], "{paths}");
        for path in paths.lines() {
            assert!(fs::read_to_string(path).unwrap().contains("oops"), "{path}");
        }
    }
}

#[test]
fn the_settings_shown_are_good_ones() {
    for (name, _, heading) in READMES {
        let text = read(name);
        let block = blocks(section(&text, heading), "toml").remove(0);
        let (config, diagnostics) = file::parse(&block, Path::new("/home/ann/notify.toml"));
        assert!(diagnostics.is_empty(), "{name}: {diagnostics:?}");
        assert_eq!(config.accounts.len(), 1, "{name}");

        // The code's file is made private by the commands that follow, where the settings look for it.
        let env = TestEnv::new();
        let mut shell = Command::new("sh");
        shell.args(["-ec", &blocks(section(&text, heading), "sh")[0]]);
        env.command(shell).run().assert_code(0);
        assert!(block.contains("\"~/.config/notify-done/code\""), "{name}");
        let code = env.home().join(".config/notify-done/code");
        assert_eq!(fs::metadata(code).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn config_example_prints_the_template_at_the_top() {
    TestEnv::new()
        .notify_done(["config-example"])
        .run()
        .assert_code(0)
        .assert_stdout(read("notify.example.toml"));
}

#[test]
fn both_readmes_show_the_same_commands() {
    let commands = |name: &str| -> Vec<String> {
        let all = blocks(&read(name), "sh").concat();
        let bare = |line: &str| line.split(" # ").next().unwrap_or_default().trim_end().to_owned();
        let lines = all.lines().map(bare).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(|line| line.replace("命令 [参数]...", "COMMAND [ARG]...")).collect()
    };
    assert_eq!(commands("README.md"), commands("README.zh-CN.md"));
}

#[test]
fn every_invocation_shown_parses() {
    for name in documents() {
        for line in invocations(&read(&name)) {
            if let Err(error) = Cli::try_parse_from(words(&line)) {
                panic!("{name}: {line}\n{error}");
            }
        }
    }
    let seen = invocations(&read("README.md"));
    assert!(seen.iter().any(|line| line.contains("outbox flush")), "{seen:?}");
    assert!(seen.iter().any(|line| line.contains("pipe --status-file")), "{seen:?}");
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut count = 0;
    for name in documents() {
        let text = read(&name);
        let folder = root().join(&name).parent().unwrap().to_owned();
        let targets = [("](", ')'), ("src=\"", '"'), ("href=\"", '"')].map(|(begin, end)| {
            text.split(begin).skip(1).map(move |rest| rest.split(end).next().unwrap()).collect::<Vec<_>>()
        });
        for target in targets.concat() {
            let path = target.split('#').next().unwrap();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            assert!(folder.join(path).exists(), "{name} links to {target}, which isn't there");
            count += 1;
        }
    }
    assert!(count > 10, "{count} links found: the search is broken");
}

#[test]
fn every_domain_listed_has_a_preset() {
    for (name, _, _) in READMES {
        let text = read(name);
        let rows = text.lines().filter(|line| line.starts_with("| ") && line.contains(".com"));
        let cells = rows.map(|row| row.split('|').nth(1).unwrap_or_default());
        let domains: Vec<_> = cells
            .flat_map(|cell| cell.split([' ', ',', ';', '、', '；']))
            .filter(|word| word.contains('.') && !word.contains('`'))
            .collect();
        assert!(domains.len() > 10, "{name}: {domains:?}");
        for domain in domains {
            assert!(provider::by_domain(domain).is_some(), "{name}: {domain} has no preset");
        }
    }
}

#[test]
fn the_oldest_rust_is_named() {
    for (name, _, _) in READMES {
        assert!(read(name).contains(&format!("Rust {}", env!("CARGO_PKG_RUST_VERSION"))), "{name}");
    }
}
