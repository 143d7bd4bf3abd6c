//! The command line: what it says when it is used wrongly, its help, and closed or full outputs.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fs;

use support::env::TestEnv;

const DOCS: [&str; 2] = ["docs/usage.md", "README.md"];

fn help(args: &[&str]) -> String {
    let done = TestEnv::new().var("COLUMNS", "200").notify_done(args).run();
    done.assert_code(0);
    String::from_utf8(done.stdout).unwrap()
}

/// The long flags of a help text.
fn flags(help: &str) -> Vec<String> {
    let words =
        help.lines().filter(|line| line.trim_start().starts_with('-')).flat_map(str::split_whitespace);
    let mut found: Vec<String> = words.filter(|word| word.starts_with("--")).map(str::to_owned).collect();
    found.dedup();
    found
}

/// Catches an answer that leaves the user to find out what was meant.
#[test]
fn a_missing_dash_dash_is_shown_in_its_place() {
    let cases: [(&[&str], &str); 10] = [
        // A title that is called like the command, or like a word of ours.
        (&["--title", "make", "make"], "notify-done --title make -- make"),
        (&["--title", "pipe", "make"], "notify-done --title pipe -- make"),
        (&["make", "preview"], "notify-done -- make preview"),
        (&["pip", "install", "x"], "notify-done -- pip install x"),
        (&["make", "-j8"], "notify-done -- make -j8"),
        (&["python", "train.py", "--lr", "1"], "notify-done -- python train.py --lr 1"),
        (&["--title", "x", "make", "all"], "notify-done --title x -- make all"),
        (&["./run me", "$x"], "notify-done -- './run me' '$x'"),
        (&["-q", "pipeline"], "notify-done -q -- pipeline"),
        (&["sh", "-c", "a && b"], "notify-done -- sh -c 'a && b'"),
    ];
    for (args, says) in cases {
        let done = TestEnv::new().notify_done(args).says(&["notify-done: ", says]).run();
        done.assert_code(125).assert_stdout("");
        assert!(done.stderr.lines().any(|line| line.trim() == says), "{}", done.stderr);
    }
}

/// Catches `notify-done outbox -- lst`: advice for a command where a word of ours was meant.
#[test]
fn words_of_ours_are_told_from_a_command() {
    let cases: [(&[&str], i32, &[&str]); 7] = [
        (&["outbox", "lst"], 2, &["'lst'", "'list'"]),
        (&["outbox", "list", "x"], 2, &["'x'", "outbox list"]),
        (&["preview", "a", "b"], 2, &["'b'", "preview [OPTIONS] [RUN]"]),
        (&["pipe", "--title", "t", "make", "-j8"], 2, &["make -j8 2>&1 | notify-done pipe --title t\n"]),
        (&["--title", "x", "pipe"], 2, &["  notify-done pipe --title x\n"]),
        (&["-q", "outbox", "list"], 2, &["  notify-done outbox list -q\n"]),
        (&["outbx", "list"], 125, &["  notify-done -- outbx list\n", ": notify-done outbox list\n"]),
    ];
    for (args, code, says) in cases {
        let done = TestEnv::new().notify_done(args).says(says).run();
        done.assert_code(code).assert_stdout("");
        if code == 2 && args[0] != "pipe" {
            assert!(!done.stderr.contains(" -- "), "{}", done.stderr);
        }
    }
}

/// Catches `notify-done -- '——' make`: advice that can't work for what a Chinese keyboard, or a text
/// program that corrects as one types, makes of two hyphens.
#[test]
fn long_dashes_are_told_from_hyphens() {
    let cases: [(&[&str], i32, &str); 7] = [
        (&["—-", "make"], 125, "notify-done -- make"),
        (&["——", "make", "-j8"], 125, "notify-done -- make -j8"),
        (&["–", "make"], 125, "notify-done -- make"),
        (&["－－", "make"], 125, "notify-done -- make"),
        (&["-q", "—", "make"], 125, "notify-done -q -- make"),
        (&["—title", "x", "--", "make"], 125, "notify-done --title x -- make"),
        (&["pipe", "–title", "x"], 2, "notify-done pipe --title x"),
    ];
    for (args, code, says) in cases {
        let done = TestEnv::new().notify_done(args).says(&["two hyphens", says]).run();
        done.assert_code(code).assert_stdout("");
        assert!(done.stderr.lines().any(|line| line.trim() == says), "{}", done.stderr);
    }
}

/// Catches advice that makes a command of a mistyped option, and `help` taken for a command.
#[test]
fn a_mistyped_option_is_no_command() {
    let done = TestEnv::new().notify_done(["--bogus", "--", "true"]).says(&["'--bogus'", "Usage"]).run();
    done.assert_code(125).assert_stdout("");
    assert!(!done.stderr.contains("-- --bogus"), "{}", done.stderr);
    assert!(!done.stderr.lines().any(|line| line.ends_with(' ')), "{:?}", done.stderr);
    let similar = TestEnv::new().notify_done(["--titel", "x", "--", "true"]).says(&["'--title'"]).run();
    similar.assert_code(125);
    let help = TestEnv::new().notify_done(["help"]).says(&[": notify-done --help\n"]).run();
    help.assert_code(125);
}

/// Catches "one or more arguments": which one, of a long line?
#[test]
fn an_option_that_is_not_utf8_is_named() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    // 训练 in GBK.
    let gbk = OsStr::from_bytes(b"\xd1\xb5\xc1\xb7");
    let args = [OsStr::new("--title"), gbk, OsStr::new("--"), OsStr::new("true")];
    let done = TestEnv::new().notify_done(args).says(&["`--title`", "UTF-8"]).run();
    done.assert_code(125).assert_stdout("");
    let args = [OsStr::new("--"), OsStr::new("echo"), gbk];
    TestEnv::new()
        .notify_done(args)
        .stderr_is_free()
        .run()
        .assert_code(0)
        .assert_stdout(b"\xd1\xb5\xc1\xb7\n");
}

#[test]
fn a_pipe_into_the_bare_name_is_told_of_pipe() {
    let done = TestEnv::new().notify_done::<&str>([]).stdin("x").says(&["| notify-done pipe"]).run();
    done.assert_code(125).assert_stdout("");
    // A flag of `pipe` without the word.
    let env = TestEnv::new();
    env.notify_done(["--status", "1"]).stdin("x").says(&["--status"]).run().assert_code(125);
}

#[test]
fn wrong_usage_of_a_subcommand_is_2_and_names_what_is_wrong() {
    let cases: [(&[&str], &str); 21] = [
        (&["runs"], "list"),
        (&["runs", "stop", "--timeout", "soon"], "soon"),
        (&["runs", "log", "a", "b"], "b"),
        (&["pipe", "--status", "256"], "from 0 to 255"),
        (&["pipe", "--status", "-1"], "from 0 to 255"),
        (&["pipe", "--status", "many"], "from 0 to 255"),
        (&["runs", "stop", "--timeout", "-1s"], "`-1s` isn't a duration"),
        (&["pipe", "--status", "1", "--status-file", "x"], "--status-file"),
        (&["pipe", "--no-such"], "--no-such"),
        (&["pipe", "--to", "no address"], "no address"),
        (&["preview", "a", "b"], "b"),
        (&["outbox"], "flush"),
        (&["outbox", "fluhs"], "fluhs"),
        (&["outbox", "list", "--al"], "--al"),
        // What is removed is gone: it has to be named.
        (&["outbox", "drop"], "ENTRY"),
        (&["outbox", "retry"], "--all-failed"),
        (&["outbox", "drop", "1a2b", "--all-failed"], "--all-failed"),
        (&["outbox", "install-timer", "--print", "--uninstall"], "--uninstall"),
        (&["doctor", "--verify", "nobody"], "--verify"),
        (&["doctor", "qq"], "qq"),
        (&["config-example", "x"], "x"),
    ];
    for (args, says) in cases {
        let done = TestEnv::new().notify_done(args).says(&["notify-done: ", says]).run();
        done.assert_code(2).assert_stdout("");
    }
    // Nothing is piped in.
    TestEnv::new().shell("exec $ND pipe <&-").says(&["nothing is piped in"]).run().assert_code(2);
}

#[test]
fn wrong_values_are_quoted_with_what_would_be_right() {
    let cases = [
        ("--wait", "soon", "30s"),
        ("--min-duration", "5", "90s, 1h 30m"),
        ("--min-duration", "101years", "100 years"),
        ("--on", "sometimes", "always, failure, success"),
        ("--log", "all", "full, tail, none"),
        ("--lang", "de", "auto, en, zh"),
        ("--tail", "-1", "from 0 to 10000"),
        ("--tail", "10001", "from 0 to 10000"),
        ("--tail", "many", "from 0 to 10000"),
        ("--to", "nobody", "@"),
        ("--to", "a@b.c, d@e.f", "each address on its own"),
        ("--to", "a@b.c\nBcc: x@y.z", "--to"),
        ("--pty", "half", "auto, full, off"),
    ];
    for (flag, value, says) in cases {
        let done = TestEnv::new().notify_done([flag, value, "--", "echo", "ran"]).says(&[flag, says]).run();
        done.assert_code(125).assert_stdout("");
    }
}

#[test]
fn help_fits_on_a_screen_and_a_half() {
    for args in [
        &["--help"][..],
        &["-h"],
        &["pipe", "--help"],
        &["preview", "--help"],
        &["outbox", "--help"],
        &["outbox", "list", "--help"],
        &["outbox", "show", "--help"],
        &["outbox", "retry", "--help"],
        &["outbox", "drop", "--help"],
        &["outbox", "install-timer", "--help"],
        &["outbox", "flush", "--help"],
        &["doctor", "--help"],
        &["runs", "--help"],
        &["runs", "list", "--help"],
        &["runs", "show", "--help"],
        &["runs", "log", "--help"],
        &["runs", "stop", "--help"],
    ] {
        let text = help(args);
        let (lines, columns) = (text.lines().count(), text.lines().map(|line| line.chars().count()).max());
        assert!(lines <= 70 && columns <= Some(100), "{args:?}: {lines} lines, {columns:?} columns");
        assert!(text.contains("Usage: ") || text.contains("用法"), "{text}");
    }
    assert_eq!(help(&["--version"]), format!("notify-done {}\n", env!("CARGO_PKG_VERSION")));
}

/// Flags without a key: of one run, or of our own words.
const OF_A_RUN: [&str; 11] = [
    "--attach-file",
    "--title",
    "--note",
    "--tag",
    "--config",
    "--verbose",
    "--quiet",
    "--pty",
    "--strict",
    "--help",
    "--version",
];

/// Catches a variable that the help promises and nobody reads, one that wins over its flag, and one
/// that the command doesn't see any more.
#[test]
fn flags_of_one_run_are_variables_too() {
    let env = TestEnv::new();
    let vars = [("TITLE", "the title"), ("NOTE", "a note\nin two lines"), ("TAG", "night, gpu")];
    let said = |args: &[&str]| {
        let mut run = env.notify_done(args);
        for (name, value) in vars {
            run = run.var(format!("NOTIFY_DONE_{name}").as_str(), value);
        }
        let done = run.stderr_is_free().run();
        let text = fs::read_to_string(preview(&env)).unwrap();
        (done, text)
    };
    let (done, text) = said(&["--", "sh", "-c", "echo $NOTIFY_DONE_TITLE"]);
    done.assert_stdout("the title\n");
    for part in ["the title", "a note", "in two lines", "night", "gpu"] {
        assert!(text.contains(part), "{part} in:\n{text}");
    }
    let (_, text) = said(&["--title", "mine", "--note", "other", "--tag", "day", "--", "true"]);
    assert!(!text.contains("the title") && !text.contains("a note") && !text.contains("night"), "{text}");
    assert!(text.contains("mine") && text.contains("other") && text.contains("day"), "{text}");

    env.config("nonsense = 1\n");
    let strict = |value: &str| {
        let run = env.notify_done(["--", "echo", "ran"]).var("NOTIFY_DONE_STRICT", value);
        run.stderr_is_free().run()
    };
    strict("1").assert_code(125).assert_stdout("");
    strict("0").assert_code(0).assert_stdout("ran\n");
    let wrong = strict("perhaps");
    assert!(wrong.stderr.contains("NOTIFY_DONE_STRICT: `perhaps`"), "{}", wrong.stderr);
    let run = env.notify_done(["--", "echo", "ran"]).var("NOTIFY_DONE_PTY", "half");
    run.says(&["NOTIFY_DONE_PTY: `half`", "auto, full, off"]).run().assert_code(0).assert_stdout("ran\n");
}

/// The text of the last run's mail.
fn preview(env: &TestEnv) -> String {
    let paths = String::from_utf8(env.notify_done(["preview"]).stderr_is_free().run().stdout).unwrap();
    paths.lines().nth(1).unwrap().to_owned()
}

/// Catches help that promises a key or a variable for a flag that has none.
#[test]
fn every_flag_is_a_variable_and_a_key_as_the_help_says() {
    let example = fs::read_to_string("notify.example.toml").unwrap();
    let keys = [("--tail", "tail_lines"), ("--log", "attach")];
    let settings: Vec<String> =
        flags(&help(&["--help"])).into_iter().filter(|flag| !OF_A_RUN.contains(&flag.as_str())).collect();
    assert!(settings.len() >= 12, "{settings:?}");
    for flag in &settings {
        let plain = flag.trim_start_matches("--").replace('-', "_");
        let key = keys.iter().find(|(name, _)| name == flag).map_or(plain.as_str(), |(_, key)| key);
        assert!(
            example.lines().any(|line| line.trim_start_matches('#').starts_with(&format!("{key} = "))),
            "{key}"
        );
        // A value that no setting takes: who reads the variable says its name.
        let variable = format!("NOTIFY_DONE_{}", plain.to_uppercase());
        let bad = match flag.as_str() {
            "--subject" | "--from-name" | "--account" => "a\nb",
            // Each text is one, but for those that aren't.
            "--redact" => "(",
            _ => "\u{1}",
        };
        let done = TestEnv::new()
            .notify_done(["--min-duration", "1h", "--", "true"])
            .var(&variable, bad)
            .stderr_is_free()
            .run();
        assert!(done.stderr.contains(&variable), "{variable} isn't read: {}", done.stderr);
        done.assert_code(0);
    }
}

/// Catches a flag in the documents that isn't there (any more).
#[test]
fn the_documents_name_flags_that_exist() {
    let pages: [&[&str]; 14] = [
        &["--help"],
        &["pipe", "--help"],
        &["preview", "--help"],
        &["outbox", "list", "--help"],
        &["outbox", "show", "--help"],
        &["outbox", "retry", "--help"],
        &["outbox", "drop", "--help"],
        &["outbox", "install-timer", "--help"],
        &["outbox", "flush", "--help"],
        &["doctor", "--help"],
        &["runs", "list", "--help"],
        &["runs", "show", "--help"],
        &["runs", "log", "--help"],
        &["runs", "stop", "--help"],
    ];
    let known: Vec<String> = pages.iter().flat_map(|args| flags(&help(args))).collect();
    for document in DOCS {
        let text = fs::read_to_string(document).unwrap();
        let ours = text.split('`').filter(|code| code.starts_with("--") && code.len() > 2);
        for flag in ours.map(|code| code.split([' ', '=', ',']).next().unwrap()) {
            assert!(known.iter().any(|name| name == flag), "{document} names {flag}, which --help doesn't");
        }
    }
}

#[test]
fn the_example_is_the_one_in_the_repository() {
    let done = TestEnv::new().notify_done(["config-example"]).run();
    done.assert_code(0).assert_stdout(fs::read("notify.example.toml").unwrap());
}

/// Catches a panic, or a success, where the result had nowhere to go; and noise where the reader
/// has simply gone.
#[test]
fn closed_and_full_outputs_end_in_words_not_in_a_panic() {
    let env = TestEnv::new();
    env.shell("$ND -- echo out 2>&-").run();
    for command in [
        "--help",
        "--version",
        "config-example",
        "outbox list",
        "outbox list --json",
        "outbox install-timer --print",
        "preview",
        "runs list",
        "runs log",
    ] {
        for output in [">/dev/full", ">&-", "2>&-", "2>/dev/full", ">&- 2>&-", ">/dev/full 2>&1"] {
            let done = env.shell(&format!("$ND {command} {output}; echo $? >st")).stderr_is_free().run();
            assert!(!done.stderr.contains("panic"), "{command} {output}: {}", done.stderr);
            let code = fs::read_to_string(env.home().join("st")).unwrap();
            let expected = if output.starts_with(">/dev/full") { "1\n" } else { "0\n" };
            if output.contains(">&-") && !output.starts_with('2') {
                // std puts /dev/null on a closed stdout: a result into it is no failure.
                assert!(["0\n", "1\n"].contains(&&*code), "{command} {output}: {code}");
            } else {
                assert_eq!(code, expected, "{command} {output}: {}", done.stderr);
            }
        }
        let piped = env.shell(&format!("{{ $ND {command}; echo $? >st; }} | :")).stderr_is_free().run();
        assert!(
            !piped.stderr.contains("panic") && !piped.stderr.contains("roken pipe"),
            "{command}: {}",
            piped.stderr
        );
    }
    for output in [">/dev/full", ">&-", "2>&-", "2>/dev/full", "<&- >&- 2>&-"] {
        let done = env.shell(&format!("$ND -- sh -c 'exit 4' {output}; echo $? >st")).stderr_is_free().run();
        assert!(!done.stderr.contains("panic"), "{output}: {}", done.stderr);
        assert_eq!(fs::read_to_string(env.home().join("st")).unwrap(), "4\n", "{output}");
    }
    for output in ["2>&-", "2>/dev/full"] {
        env.shell(&format!("$ND make {output}; echo $?")).run().assert_stdout("125\n");
        env.shell(&format!("$ND outbox fluhs {output}; echo $?")).run().assert_stdout("2\n");
    }
}

/// Catches words of ours on stdout, where results and the command's output go.
#[test]
fn our_words_go_to_stderr_with_our_name() {
    let env = TestEnv::new();
    let done = env.notify_done(["-v", "--", "echo", "x"]).stderr_is_free().run();
    done.assert_stdout("x\n");
    let quiet = env.notify_done(["-q", "--", "echo", "x"]).run();
    quiet.assert_stdout("x\n");
    env.notify_done(["-q", "-v", "--", "true"]).says(&["-v", "-q"]).run().assert_code(125);
}
