//! Where the authorization code comes from, and where it must never get to.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{CODE, Scene, USER, contains, files};

/// The account's table with another `auth_code`.
fn configure(scene: &Scene, auth_code: &str) {
    scene.configure("");
    let text = std::fs::read_to_string(scene.env.config_path()).unwrap();
    let written = format!("auth_code = \"{CODE}\"");
    assert!(text.contains(&written));
    scene.env.config(&text.replace(&written, &format!("auth_code = {auth_code}")));
}

/// The code, and what AUTH PLAIN and AUTH LOGIN make of it.
fn disguises() -> [String; 3] {
    [CODE.to_owned(), STANDARD.encode(CODE), STANDARD.encode(format!("\0{USER}\0{CODE}"))]
}

fn assert_hidden(scene: &Scene, written: &str, output: &crate::Output) {
    let mut places = vec![("stdout".to_owned(), output.stdout.clone())];
    places.push(("stderr".to_owned(), output.stderr.clone().into_bytes()));
    places.extend(scene.server.received().into_iter().map(|mail| ("the mail".to_owned(), mail.data)));
    let found = files(&scene.env.home()).into_iter().filter(|path| !path.ends_with(written));
    places.extend(found.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())));
    for (place, bytes) in places {
        for disguise in disguises() {
            assert!(!contains(&bytes, &disguise), "the code is in {place}");
        }
    }
}

/// Where the code can stand: what notify.toml says, which file holds it.
const SOURCES: [(&str, &str); 4] = [
    ("\"abcdefghijklmnop\"", "notify.toml"),
    ("{ env = \"QQ_CODE\" }", "nowhere"),
    ("{ file = \"~/code\" }", "code"),
    ("{ command = \"tr a-p a-p <~/code\" }", "code"),
];

#[test]
fn a_code_comes_from_each_source_and_gets_nowhere_else() {
    for (auth_code, written) in SOURCES {
        let scene = Scene::without_account();
        configure(&scene, auth_code);
        if written == "code" {
            scene.env.write("code", format!("{CODE}\n"), 0o600);
        }
        let job = "for p in /proc/[0-9]*; do tr '\\0' '\\n' <$p/cmdline; done 2>/dev/null | grep -c abcdefghijklm; echo x";
        let run = scene.env.notify_done([
            "-v",
            "--",
            "sh",
            "-c",
            &job.replace("abcdefghijklm", "'abcdefg[h]ijklmnop'"),
        ]);
        let run = if auth_code.contains("env") { run.var("QQ_CODE", CODE) } else { run };
        let done = run.stderr_is_free().run();
        done.assert_code(0).assert_stdout("0\nx\n");
        scene.received(1);
        assert_eq!(scene.server.logins()[0].code, CODE);
        assert_hidden(&scene, written, &done);
    }
}

/// Catches a code that the command, or what it starts, finds in its environment.
#[test]
fn a_variable_of_ours_with_a_code_is_not_the_commands() {
    for (name, stays) in [("NOTIFY_DONE_CODE", false), ("QQ_CODE", true)] {
        let scene = Scene::without_account();
        configure(&scene, &format!("{{ env = \"{name}\" }}"));
        let done = scene.env.notify_done(["--log", "none", "--tail", "0", "--", "env"]).var(name, CODE).run();
        done.assert_code(0);
        assert_eq!(contains(&done.stdout, CODE), stays, "{name}");
        scene.received(1);
    }
}

/// Catches a refused code that shows up in the words about it, and a refusal tried twice.
#[test]
fn a_wrong_code_is_tried_once_and_never_shown() {
    for (auth_code, written) in SOURCES.into_iter().filter(|(source, _)| !source.contains("env")) {
        let scene = Scene::without_account();
        configure(&scene, auth_code);
        if written == "code" {
            scene.env.write("code", CODE, 0o600);
        }
        scene.server.set_script(crate::Script::qq().account(USER, "another-code-all"));
        let says = ["535", "qq", "outbox flush"];
        let done = scene.env.notify_done(["-v", "--", "sh", "-c", "exit 6"]).says(&says).run();
        done.assert_code(6);
        assert!(done.stderr.contains("授权码") || done.stderr.contains("code"), "{}", done.stderr);
        assert_eq!((scene.server.logins().len(), scene.kept()), (1, [1, 0, 0, 0]));
        let listed = scene.env.notify_done(["outbox", "list"]).run();
        assert!(contains(&listed.stdout, "535"), "{listed:?}");
        assert_hidden(&scene, written, &done);
        assert_hidden(&scene, written, &listed);
    }
}

#[test]
fn a_source_without_a_code_is_named_and_the_mail_kept() {
    let cases = [
        ("{ env = \"QQ_CODE\" }", "QQ_CODE"),
        ("{ file = \"~/code\" }", "code"),
        ("{ command = \"exit 3\" }", "it ended with exit code 3"),
    ];
    for (auth_code, named) in cases {
        let scene = Scene::without_account();
        configure(&scene, auth_code);
        let done = scene.env.notify_done(["--", "false"]).says(&[named, "outbox flush"]).run();
        done.assert_code(1);
        assert_eq!((scene.server.logins().len(), scene.kept()), (0, [1, 0, 0, 0]));
        // Mended meanwhile: the same mail goes out.
        configure(&scene, &format!("\"{CODE}\""));
        scene.flush();
        scene.received(1);
    }
}

/// Catches a code that lies in the memory of a process which only waits for the command, perhaps for
/// days: in its core, and in the command's if that is made of a fork.
#[test]
fn a_code_in_notify_toml_is_not_in_the_memory_of_those_who_wait() {
    let scene = Scene::new();
    let mut go = scene.env.gate("go");
    let run = scene.env.notify_done(["--", "sh", "-c", "echo $PPID >parent; echo ready; read x <go"]).start();
    run.wait_for_stdout(b"ready");
    let parent = std::fs::read_to_string(scene.env.home().join("parent")).unwrap();
    // Who stands in the command's place before the shell, and who has forked it.
    for pid in [run.pid().to_string().as_str(), parent.trim()] {
        let memory = memory(pid);
        assert!(contains(&memory, "notify.toml"), "that is not the memory of {pid}");
        assert!(!contains(&memory, CODE), "the code is in the memory of {pid}");
    }
    go.open();
    run.finish().assert_code(0);
    scene.received(1);
}

/// Catches a code in the core of the process that sends, or for whoever else of the user looks into it.
#[test]
fn who_has_the_code_leaves_no_core_and_lets_nobody_look() {
    let scene = Scene::without_account();
    scene.env.write("code", CODE, 0o600);
    configure(&scene, "{ command = \"cat /proc/$PPID/environ >~/seen 2>~/refused; cat ~/code\" }");
    // Root may look into everything, unless it gives its rights away.
    let as_a_user = "as=; [ $(id -u) != 0 ] || as='setpriv --bounding-set=-all'; exec $as";
    scene.env.shell(&format!("{as_a_user} $ND -- true")).run().assert_code(0);
    scene.received(1);
    let read = |name| std::fs::read_to_string(scene.env.home().join(name)).unwrap();
    assert_eq!(read("seen"), "");
    assert!(read("refused").contains("Permission denied"), "{}", read("refused"));
}

/// All that a process has written in its memory.
fn memory(pid: &str) -> Vec<u8> {
    use std::io::{Read, Seek, SeekFrom};
    let mut from = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut memory = Vec::new();
    for line in std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap().lines() {
        let mut words = line.split_whitespace();
        let (range, access) = (words.next().unwrap(), words.next().unwrap());
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|at| u64::from_str_radix(at, 16).unwrap());
        // Not the kernel's own pages ([vvar]), which can't be read.
        if access.starts_with("rw") && from.seek(SeekFrom::Start(start)).is_ok() {
            let mut part = (&from).take(end - start);
            let _unreadable = part.read_to_end(&mut memory);
        }
    }
    memory
}

/// Catches a message at the end that names the line and not the key.
#[test]
fn what_holds_a_mail_is_named_with_its_key() {
    let scene = Scene::with("[log]\ntail_lines = \"many\"");
    let done = scene.env.notify_done(["--", "true"]).says(&["the mail is held"]).run();
    let told = done.stderr.matches("notify.toml:2: log.tail_lines: is a TOML string").count();
    assert_eq!(told, 2, "before the command and behind it: {}", done.stderr);
}

/// Catches a code that was pasted where its source is named, and is then shown and kept.
#[test]
fn a_code_in_the_wrong_place_is_not_shown() {
    for source in ["env", "file", "command"] {
        let scene = Scene::without_account();
        configure(&scene, &format!("{{ {source} = \"{CODE}\" }}"));
        let done = scene.env.notify_done(["-v", "--", "true"]).says(&["auth_code = \"…\""]).run();
        done.assert_code(0);
        assert_eq!(scene.kept(), [1, 0, 0, 0]);
        let listed = scene.env.notify_done(["outbox", "list"]).run();
        assert_hidden(&scene, "notify.toml", &done);
        assert_hidden(&scene, "notify.toml", &listed);
    }
}

/// Catches a code in a file that others can read.
#[test]
fn a_code_that_others_can_read_holds_the_mail() {
    let scene = Scene::new();
    let text = std::fs::read(scene.env.config_path()).unwrap();
    scene.env.write(".config/notify-done/notify.toml", text, 0o644);
    let done = scene.env.notify_done(["--", "false"]).says(&["notify.toml", "chmod 600"]).run();
    done.assert_code(1);
    assert!(scene.server.logins().is_empty());
    assert_eq!(scene.kept()[0] + scene.kept()[1], 1);
    scene.configure("");
    scene.flush();
    scene.received(1);
}

#[test]
fn notify_toml_is_found_where_it_is_said_to_be() {
    let scene = Scene::new();
    std::fs::rename(scene.env.config_path(), scene.env.home().join("mine.toml")).unwrap();
    scene.run(&["--config", "mine.toml", "--", "true"], 0);
    scene.env.notify_done(["--", "true"]).var("NOTIFY_DONE_CONFIG", "mine.toml").run().assert_code(0);
    let xdg = scene.env.write("xdg/notify-done/notify.toml", "", 0o600);
    std::fs::rename(scene.env.home().join("mine.toml"), xdg).unwrap();
    let home = scene.env.home();
    scene.env.notify_done(["--", "true"]).var("XDG_CONFIG_HOME", home.join("xdg")).run().assert_code(0);
    scene.received(3);
    // A file that was named and isn't there is a mistake; the command runs all the same.
    let says = ["gone.toml"];
    scene
        .env
        .notify_done(["--config", "gone.toml", "--", "echo", "ran"])
        .says(&says)
        .run()
        .assert_stdout("ran\n");
}
