//! What real programs wrote, as it is shown; where each comes from is told in
//! `tests/data/terminal/README.md`.

use notify_done::report::excerpt::Played;
use notify_done::run::facts::Holds;
use notify_done::spool::tail::{RawTail, Stream};

/// The file, and the lines that are shown of it; `…` stands for some that are left out here.
const RECORDINGS: &[(&str, &[&str])] = &[
    (
        "apt.tty",
        &[
            "Reading package lists... Done",
            "Building dependency tree... Done",
            "Reading state information... Done",
            "0 upgraded, 0 newly installed, 1 reinstalled, 0 to remove and 119 not upgraded.",
            "Need to get 10.5 kB of archives.",
            "After this operation, 0 B of additional disk space will be used.",
            "Get:1 http://mirror.example.com/debian bookworm/main amd64 hostname amd64 3.23+nmu1 [10.5 kB]",
            "Fetched 10.5 kB in 0s (302 kB/s)",
            "debconf: delaying package configuration, since apt-utils is not installed",
            "(Reading database ... 134889 files and directories currently installed.)",
            "Preparing to unpack .../hostname_3.23+nmu1_amd64.deb ...",
            "Unpacking hostname (3.23+nmu1) over (3.23+nmu1) ...",
            "Setting up hostname (3.23+nmu1) ...",
            "Processing triggers for man-db (2.11.2-2) ...",
        ],
    ),
    ("cargo.pipe", CARGO),
    ("cargo.tty", CARGO),
    (
        "curl.pipe",
        &[
            "  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current",
            "                                 Dload  Upload   Total   Spent    Left  Speed",
            "100 2929k  100 2929k    0     0   605M      0 --:--:-- --:--:-- --:--:--  715M",
        ],
    ),
    (
        "curl.tty",
        &[
            "  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current",
            "                                 Dload  Upload   Total   Spent    Left  Speed",
            "100 2929k  100 2929k    0     0  88.6M      0 --:--:-- --:--:-- --:--:-- 89.4M",
        ],
    ),
    (
        "curl_bar.tty",
        &[
            "############################################################################################# 100.0%",
        ],
    ),
    (
        "git.tty",
        &[
            "Cloning into 'clone'...",
            "remote: Enumerating objects: 302, done.",
            "remote: Counting objects: 100% (302/302), done.",
            "remote: Compressing objects: 100% (302/302), done.",
            "remote: Total 302 (delta 0), reused 0 (delta 0), pack-reused 0 (from 0)",
            "Receiving objects: 100% (302/302), 916.30 KiB | 7.83 MiB/s, done.",
        ],
    ),
    ("keras_like.pipe", KERAS),
    ("keras_like.tty", KERAS),
    ("npm.tty", &["added 1 package in 642ms"]),
    (
        "npm_fail.tty",
        &[
            "npm error Missing script: \"nosuch\"",
            "npm error",
            "npm error To see a list of scripts, run:",
            "npm error   npm run",
            "npm error A complete log of this run can be found in: /home/alice/.npm/_logs/2026-11-28T21_12_00_696Z-debug-0.log",
        ],
    ),
    (
        "npm_fail.pipe",
        &[
            "npm error Missing script: \"nosuch\"",
            "npm error",
            "npm error To see a list of scripts, run:",
            "npm error   npm run",
            "npm error A complete log of this run can be found in: /home/alice/.npm/_logs/2026-11-28T21_12_01_050Z-debug-0.log",
        ],
    ),
    (
        "pip.pipe",
        &[
            "Looking in links: /opt/wheels",
            "Collecting numpy",
            "  Downloading numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl (16.9 MB)",
            "     ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 16.9/16.9 MB 132.9 MB/s eta 0:00:00",
            "Saved ./dl/numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
            "Successfully downloaded numpy",
        ],
    ),
    (
        "pip.tty",
        &[
            "Looking in links: /opt/wheels",
            "Collecting numpy",
            "  Downloading numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl (16.9 MB)",
            "     ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 16.9/16.9 MB 197.2 MB/s eta 0:00:00",
            "Saved ./dl/numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
            "Successfully downloaded numpy",
        ],
    ),
    (
        "rich_live.pipe",
        &[
            "half of 训练集 is here",
            "download ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 100% 0:00:00",
            "unpack   ━━━━━━━━━━━━━━━━━━━━                      50% 0:00:02",
            "Traceback (most recent call last):",
            "  File \"/home/alice/rich_live.py\", line 10, in <module>",
            "    raise RuntimeError(\"no more data\")",
            "RuntimeError: no more data",
        ],
    ),
    (
        "rich_live.tty",
        &[
            "half of 训练集 is here",
            "download ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 100% 0:00:00",
            "unpack   ━━━━━━━━━━━━━━━━━━━━╺━━━━━━━━━━━━━━━━━━━  50% 0:00:02",
            "Traceback (most recent call last):",
            "  File \"/home/alice/rich_live.py\", line 10, in <module>",
            "    raise RuntimeError(\"no more data\")",
            "RuntimeError: no more data",
        ],
    ),
    ("tqdm_nested.pipe", &["epochs: 100%|██████████| 3/3 [00:00<00:00,  9.76it/s]", "done"]),
    (
        "tqdm_nested.tty",
        &[
            "epochs: 100%|████████████████████████████████████████████████████████| 3/3 [00:00<00:00,  8.91it/s]",
            "done",
        ],
    ),
    (
        "tqdm_one.pipe",
        &["step 20: loss 0.51", "epoch 1: 100%|██████████| 40/40 [00:00<00:00, 97.54it/s]", "done"],
    ),
    (
        "tqdm_one.tty",
        &[
            "step 20: loss 0.51",
            "epoch 1: 100%|█████████████████████████████████████████████████████| 40/40 [00:00<00:00, 97.36it/s]",
            "done",
        ],
    ),
    (
        "wget.pipe",
        &[
            "--2026-11-28 21:11:53--  http://127.0.0.1:8765/data.bin",
            "Connecting to 127.0.0.1:8765... connected.",
            "HTTP request sent, awaiting response... 200 OK",
            "Length: 3000000 (2.9M) [application/octet-stream]",
            "Saving to: ‘/dev/null’",
            "",
            "     0K .......... .......... .......... .......... ..........  1%  131M 0s",
            "…",
            "  2900K .......... .......... .........                       100%  149M=1.2s",
            "",
            "2026-11-28 21:11:54 (2.31 MB/s) - ‘/dev/null’ saved [3000000/3000000]",
        ],
    ),
    (
        "wget.tty",
        &[
            "--2026-11-28 21:11:52--  http://127.0.0.1:8765/data.bin",
            "Connecting to 127.0.0.1:8765... connected.",
            "HTTP request sent, awaiting response... 200 OK",
            "Length: 3000000 (2.9M) [application/octet-stream]",
            "Saving to: ‘/dev/null’",
            "",
            "/dev/null                100%[==================================>]   2.86M  2.00MB/s    in 1.4s",
            "",
            "2026-11-28 21:11:53 (2.00 MB/s) - ‘/dev/null’ saved [3000000/3000000]",
        ],
    ),
];

const CARGO: &[&str] = &[
    "   Compiling hello v0.1.0 (/home/alice/hello)",
    "error[E0308]: mismatched types",
    " --> src/main.rs:1:26",
    "  |",
    "1 | fn main() { let x: i32 = \"a\"; let unused = 1; }",
    "  |                    ---   ^^^ expected `i32`, found `&str`",
    "  |                    |",
    "  |                    expected due to this",
    "",
    "For more information about this error, try `rustc --explain E0308`.",
    "error: could not compile `hello` (bin \"hello\") due to 1 previous error",
];

const KERAS: &[&str] =
    &["30/30 [==============================] - 1s 33ms/step - loss: 0.0333 - accuracy: 0.9667"];

fn shown(name: &str) -> Vec<String> {
    let path = format!("{}/tests/data/terminal/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut tail = RawTail::empty(Holds::Both, 0);
    tail.push(Stream::Out, &std::fs::read(path).unwrap());
    let excerpt = Played::new(&tail).excerpt(1000, None, &mut |_: &mut _| {});
    excerpt.lines.into_iter().map(|line| line.text).collect()
}

/// Catches bars that are told once per state, lines that a bar took with it, and a failure among them that
/// is garbled.
#[test]
fn real_programs_look_as_they_did() {
    for (name, expected) in RECORDINGS {
        let lines = shown(name);
        match expected.iter().position(|line| *line == "…") {
            None => assert_eq!(lines, *expected, "{name}"),
            Some(gap) => {
                let behind = &expected[gap + 1..];
                assert_eq!(lines[..gap], expected[..gap], "{name}");
                assert_eq!(lines[lines.len() - behind.len()..], *behind, "{name}");
            }
        }
    }
}

/// Catches a recording that nobody looks at.
#[test]
fn every_recording_is_in_the_table() {
    let folder = format!("{}/tests/data/terminal", env!("CARGO_MANIFEST_DIR"));
    let files =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = files.filter(|name| name != "README.md").collect();
    files.sort();
    let mut told: Vec<&str> = RECORDINGS.iter().map(|(name, _)| *name).collect();
    told.sort_unstable();
    assert_eq!(files, told);
}
