//! What headline and excerpt of a log of 1 GiB cost: reading its end, playing it, the lines.
//!
//! `cargo run --release --example excerpt [CASE]` prints the median time on the CPU and the peak of memory
//! of a process that does it once, for output as it is and for the worst that a program could write. The
//! goal is 50 ms and 16 MiB.
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]
#![allow(clippy::print_stdout, reason = "it is what it is for")]
#![allow(clippy::disallowed_methods, reason = "it ends itself")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use notify_done::privacy::{Options, Redactor};
use notify_done::report::build::{CommandName, Input, build};
use notify_done::run::facts::{End, Holds, LogPart, Origin, RunFacts, RunId, RunStart};
use notify_done::spool::reader::tail;

const LOG: u64 = 1 << 30;
const WINDOW: usize = 1 << 20;
const ROUNDS: usize = 9;

/// Name, and what is repeated.
const CASES: &[(&str, &str)] = &[
    ("log", "2026-11-28 20:51:08,123 INFO trainer.step: epoch 3 step 1234 loss 0.1234 acc 0.98\n"),
    (
        "coloured log",
        "\x1b[2m20:51:08\x1b[0m \x1b[32m INFO\x1b[0m \x1b[1mtrainer\x1b[0m: epoch 3 step 1234\n",
    ),
    ("two streams", "2026-11-28 20:51:08,123 INFO trainer.step: epoch 3 step 1234 loss 0.1234 acc 0.98\n"),
    ("Chinese log", "2026-11-28 第3轮 训练损失 0.1234 准确率 98% 数据集读取完成\n"),
    ("bar by CR", " 50%|█████     | 5/10 [00:01<00:01, 4.9it/s]\r"),
    ("bars by moves", "\x1b[2A\r\x1b[2Kdownload 50% ━━━━━━━━━━\n\x1b[2Kunpack 20% ━━━━━\n"),
    (
        "wide bar by CR",
        "\r\x1b[1m 10/100\x1b[0m \x1b[32m━━━━━\x1b[0m\x1b[37m━━━━━\x1b[0m \x1b[1m1s\x1b[0m 10ms/step - accuracy: 0.1 - loss: 2.3 - val_accuracy: 0.1 - val_loss: 2.3 - top5_accuracy: 0.1 - lr: 0.001 - grad_norm: 1.234 - tokens: 123456789 - memory: 23.69 GiB - mfu: 0.43 - eta: 0:12:34",
    ),
    (
        "watch",
        "\x1b[H\x1b[2J+-----------------+\n| GPU 0  98%  72C |\n| GPU 1  97%  71C |\n+-----------------+\n",
    ),
    ("line ends", "\n"),
    ("short lines", "a\n"),
    ("one line", "x"),
    ("invalid", "\u{fffd}"),
    ("SGR", "\x1b[31ma\x1b[32mb"),
    ("wide", "训练"),
    ("marks", "e\u{301}\u{302}"),
    ("tabs", "\t"),
    ("tabs and lines", "\t\t\t\ta\n"),
    ("far columns", "\x1b[190Ca\n"),
    ("insert", "x\x1b[999999999@"),
    ("repeat", "x\x1b[65535b"),
    ("erase below", "x\x1b[H\x1b[J"),
    ("erase all", "x\x1b[2J"),
    ("reset", "\x1bc"),
    ("lines inserted", "\x1b[H\x1b[99L"),
    ("scroll", "x\x1b[99S"),
    ("alternate screen", "\x1b[?1049h\x1b[?1049l"),
    ("regions", "\x1b[2;9rx\n\n"),
    ("strings", "\x1b]0;title\n"),
    (
        "failures",
        "RuntimeError: error: failed\n  File \"x.py\", line 3, in f\nTraceback (most recent call last):\n",
    ),
];

fn main() {
    match std::env::args().nth(1) {
        Some(case) => {
            let (time, peak) = once(&case);
            println!("{} {peak}", time.as_nanos());
        }
        None => {
            for (case, _) in CASES {
                let (time, peak) = measured(case);
                println!("{case:18} {:7.1} ms {:6.1} MiB", time.as_secs_f64() * 1e3, peak as f64 / 1024.0);
            }
        }
    }
}

/// The median time, and the largest peak in KiB, of processes that each do it once.
fn measured(case: &str) -> (Duration, u64) {
    let run = || {
        let output = Command::new(std::env::current_exe().unwrap()).arg(case).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (nanos, peak) = text.trim().split_once(' ').unwrap();
        (Duration::from_nanos(nanos.parse().unwrap()), peak.parse::<u64>().unwrap())
    };
    let mut runs: Vec<_> = (0..ROUNDS).map(|_| run()).collect();
    runs.sort_unstable();
    (runs[ROUNDS / 2].0, runs.iter().map(|(_, peak)| *peak).max().unwrap())
}

fn once(case: &str) -> (Duration, u64) {
    let piece = CASES.iter().find(|(name, _)| *name == case).unwrap().1;
    let piece = if case == "invalid" { b"\xff".as_slice() } else { piece.as_bytes() };
    let folder = std::env::temp_dir().join(format!("notify-done-excerpt-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let facts = facts(&folder, piece, case == "two streams");
    let before = memory("VmRSS:");
    // So that the peak is that of what follows (proc_pid_clear_refs(5)).
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let start = on_cpu();
    let tails = facts.log.iter().map(|part| tail(part).unwrap()).collect();
    let zone = jiff::tz::TimeZone::UTC;
    let redactor = &Redactor::new(&Options::default());
    let (logs, command, log_places) = (Vec::new(), CommandName::Told, None);
    let facts = &facts;
    let report = build(Input {
        facts,
        tails,
        tail_lines: 50,
        logs,
        files: Vec::new(),
        zone,
        redactor,
        command,
        log_places,
    });
    let time = on_cpu() - start;
    let peak = memory("VmHWM:") - before;
    std::hint::black_box(&report);
    fs::remove_dir_all(&folder).unwrap();
    (time, peak)
}

/// A run whose log has 1 GiB, of which only the end is written.
fn facts(folder: &Path, piece: &[u8], two: bool) -> RunFacts {
    let path = folder.join("log");
    let end: Vec<u8> = piece.iter().copied().cycle().take(2 * WINDOW).collect();
    let log = File::create(&path).unwrap();
    log.set_len(LOG).unwrap();
    log.write_all_at(&end, LOG - end.len() as u64).unwrap();
    if two {
        let mut index = b"ND-INDEX\x01\0\0\0\0\0\0\0".to_vec();
        for (n, at) in (LOG - end.len() as u64..LOG).step_by(piece.len()).enumerate() {
            index.extend_from_slice(&at.to_le_bytes());
            index.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1 + (n % 2) as u8]);
        }
        fs::write(folder.join("index"), index).unwrap();
    }
    let part = LogPart {
        path,
        holds: Holds::Both,
        start: 0,
        end: LOG,
        spooled: true,
        trouble: None,
        cut: None,
        kept: Vec::new(),
    };
    let started = jiff::Timestamp::UNIX_EPOCH;
    RunFacts {
        start: RunStart {
            attach: Default::default(),
            ci: None,
            id: RunId("20261121T093000-1a2b3c4d".to_owned()),
            origin: Origin::Command { argv: vec!["train".to_owned()] },
            title: None,
            note: None,
            tags: Vec::new(),
            host: "gpu07".to_owned(),
            user: "alice".to_owned(),
            cwd: "/home/alice".to_owned(),
            started,
        },
        ended: started,
        duration: Duration::from_secs(1),
        end: End::Exited { code: 1 },
        usage: None,
        out_of_memory: None,
        log: vec![part],
    }
}

/// What this process has had of a CPU (the kernel's Documentation/scheduler/sched-stats): other programs
/// don't count.
fn on_cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/schedstat").unwrap();
    Duration::from_nanos(stat.split_whitespace().next().unwrap().parse().unwrap())
}

/// KiB, from /proc/self/status.
fn memory(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
