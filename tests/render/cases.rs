//! The fixed runs that the words are checked with.

use std::time::Duration;

use jiff::tz::{TimeZone, offset};
use notify_done::report::build::{Input, build};
use notify_done::report::model::{Carried, LogNote, Report, Stream};
use notify_done::run::facts::{
    Death, End, Holds, LogPart, Origin, OutOfMemory, PartTrouble, RunFacts, RunId, RunStart, Usage,
};
use notify_done::spool::tail::{RawLine, RawTail};

pub struct Case {
    pub name: &'static str,
    pub report: Report,
}

const LOG: &str = "/home/alice/.local/state/notify-done/runs/20261121T093000-1a2b3c4d/log";

pub fn facts(argv: &[&str], end: End) -> RunFacts {
    let started = "2026-11-21T01:30:00Z".parse().unwrap();
    RunFacts {
        start: RunStart {
            ci: None,
            attach: Default::default(),
            id: RunId("20261121T093000-1a2b3c4d".to_owned()),
            origin: Origin::Command { argv: argv.iter().map(|word| (*word).to_owned()).collect() },
            title: None,
            note: None,
            tags: Vec::new(),
            host: "gpu07".to_owned(),
            user: "alice".to_owned(),
            cwd: "/home/alice/projects/vit".to_owned(),
            started,
        },
        ended: "2026-11-21T04:42:07Z".parse().unwrap(),
        duration: Duration::from_millis(11_527_345),
        end,
        usage: Some(Usage {
            user: Duration::from_secs(40_210),
            system: Duration::from_secs(312),
            peak_rss: 25_769_803_776,
        }),
        out_of_memory: None,
        log: Vec::<LogPart>::new(),
    }
}

pub fn tail(holds: Holds, skipped_bytes: u64, lines: &[(Stream, &str)]) -> RawTail {
    let lines = lines.iter().map(|(stream, text)| RawLine { stream: *stream, bytes: text.as_bytes().into() });
    RawTail { holds, skipped_bytes, lines: lines.collect() }
}

pub fn log(name: &str, holds: Holds, bytes: u64, carried: Carried) -> LogNote {
    let attachment = (!matches!(carried, Carried::Nothing | Carried::Empty)).then(|| name.to_owned());
    LogNote { attachment, holds, path: LOG.to_owned(), bytes, carried, packed: None, trouble: None }
}

pub fn report(facts: &RunFacts, tails: Vec<RawTail>, logs: Vec<LogNote>) -> Report {
    build(Input { facts, tails, logs, files: Vec::new(), zone: TimeZone::fixed(offset(8)) })
}

const TRAIN: &[&str] = &["python", "-u", "train.py", "--lr", "3e-4", "--run", "it's me"];

fn success() -> Report {
    let mut facts = facts(TRAIN, End::Exited { code: 0 });
    facts.start.note = Some("Third try with the larger batch.\n  lr as in the paper".to_owned());
    facts.start.tags = vec!["vit-b16".to_owned(), "seed 7".to_owned()];
    let lines = [
        (Stream::Out, "epoch  98  loss 0.2143  acc 0.9312"),
        (Stream::Out, "epoch  99  loss 0.2139  acc 0.9316"),
        (
            Stream::Err,
            " 0%|          | 0/40\r 50%|#####     | 20/40\r100%|##########| 40/40 [00:03<00:00, 12.8it/s]",
        ),
        (Stream::Out, "\x1b[32mepoch 100  loss 0.2137  acc 0.9318\x1b[0m"),
        (
            Stream::Out,
            "best checkpoint: /data/checkpoints/vit-b16/2026-11-21/epoch_0100_acc_0.9318_best_of_run_with_a_long_name.pt",
        ),
        (Stream::Out, ""),
    ];
    let logs = vec![log("log.txt", Holds::Both, 1_283_411, Carried::Whole)];
    report(&facts, vec![tail(Holds::Both, 1_282_973, &lines)], logs)
}

fn exit_code() -> Report {
    let facts = facts(TRAIN, End::Exited { code: 1 });
    let lines = [
        (Stream::Out, "epoch 1  loss 2.3026"),
        (Stream::Err, "Traceback (most recent call last):"),
        (Stream::Err, "  File \"/home/alice/projects/vit/train.py\", line 214, in <module>"),
        (Stream::Err, "    main()"),
        (Stream::Err, "  File \"/home/alice/projects/vit/train.py\", line 187, in main"),
        (Stream::Err, "    loss = model(batch[\"x\"], batch[\"y\"])"),
        (
            Stream::Err,
            "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 23.69 GiB total)",
        ),
        (Stream::Err, ""),
        (
            Stream::Err,
            "train.py: see --save-every and --grad-ckpt; at least one of --batch-size, --grad-accum",
        ),
    ];
    let logs = vec![log("log.txt", Holds::Both, 421, Carried::Whole)];
    report(&facts, vec![tail(Holds::Both, 0, &lines)], logs)
}

fn signal() -> Report {
    let facts = facts(TRAIN, End::Signaled { signal: 9, core_dumped: false });
    let lines =
        [(Stream::Out, "loading the data set 数据集 …"), (Stream::Out, ""), (Stream::Out, "\tshard 12/40")];
    let logs = vec![log("log.txt", Holds::Both, 48, Carried::Whole)];
    report(&facts, vec![tail(Holds::Both, 0, &lines)], logs)
}

fn not_started() -> Report {
    let mut facts = facts(&["pyhton", "train.py"], End::NotStarted { errno: 2 });
    facts.usage = None;
    facts.duration = Duration::from_millis(1);
    report(&facts, Vec::new(), vec![log("log.txt", Holds::Both, 0, Carried::Empty)])
}

fn not_executable() -> Report {
    let mut facts = facts(&["./run.sh"], End::NotStarted { errno: 13 });
    facts.usage = None;
    report(&facts, Vec::new(), Vec::new())
}

fn pipe(end: End, duration: Duration) -> Report {
    let mut facts = facts(&[], end);
    facts.start.origin = Origin::Pipe;
    facts.start.title = Some("build".to_owned());
    facts.usage = None;
    facts.duration = duration;
    let lines =
        [(Stream::Out, "ld: cannot find -lfoo"), (Stream::Out, "make: *** [Makefile:7: all] Error 1")];
    let logs = vec![log("log.txt", Holds::Both, 59, Carried::Whole)];
    report(&facts, vec![tail(Holds::Both, 0, &lines)], logs)
}

fn no_output() -> Report {
    let facts = facts(&["sh", "-c", "make && ./x > out"], End::Exited { code: 0 });
    report(&facts, Vec::new(), vec![log("log.txt", Holds::Both, 0, Carried::Empty)])
}

/// A log too large to go whole, with a hole that the disk left.
fn cut_log() -> Report {
    let facts = facts(&["make", "-j8", "all"], End::Exited { code: 137 });
    let carried = Carried::Ends { head: 4 << 20, tail: 8 << 20, omitted: (1 << 30) - (12 << 20) };
    let mut note = log("log.txt", Holds::Both, 1 << 30, carried);
    note.trouble = Some(PartTrouble::Gap { bytes: 3 << 20, errno: 28 });
    report(&facts, vec![tail(Holds::Both, (1 << 30) - 8, &[(Stream::Out, "the end")])], vec![note])
}

/// stdout went to a file of the user's, stderr to our spool; neither is whole.
fn two_parts() -> Report {
    let facts = facts(TRAIN, End::Signaled { signal: 11, core_dumped: true });
    let mut out = log("stdout.txt", Holds::Stdout, 5_000_000, Carried::Nothing);
    out.path = "/home/alice/projects/vit/out.log".to_owned();
    out.trouble = Some(PartTrouble::Truncated);
    let mut err = log("stderr.txt", Holds::Stderr, 22, Carried::Whole);
    err.trouble = Some(PartTrouble::Replaced);
    let tails = vec![
        tail(Holds::Stdout, 4_999_000, &[(Stream::Out, "step 1"), (Stream::Out, "step 2")]),
        tail(Holds::Stderr, 0, &[(Stream::Err, "warning: <b>not bold</b> & co")]),
    ];
    report(&facts, tails, vec![out, err])
}

/// Found afterwards; the command had lived on.
fn interrupted() -> Report {
    let last_output = Some("2026-11-21T04:41:12Z".parse().unwrap());
    let end = End::Interrupted { why: Death::Killed, last_output, still_running: Some(4711) };
    let mut facts = facts(TRAIN, end);
    facts.usage = None;
    let logs = vec![log("log.txt", Holds::Both, 21, Carried::Whole)];
    report(&facts, vec![tail(Holds::Both, 0, &[(Stream::Out, "epoch 1  loss 2.3026")])], logs)
}

fn interrupted_by_a_reboot() -> Report {
    let end = End::Interrupted { why: Death::Rebooted, last_output: None, still_running: None };
    let mut facts = facts(TRAIN, end);
    facts.usage = None;
    report(&facts, Vec::new(), vec![log("log.txt", Holds::Both, 0, Carried::Empty)])
}

fn out_of_memory(end: End, kills: u64) -> Report {
    let mut facts = facts(TRAIN, end);
    facts.out_of_memory = Some(OutOfMemory { kills, limit: Some(4 << 30) });
    let logs = vec![log("log.txt", Holds::Both, 21, Carried::Whole)];
    report(&facts, vec![tail(Holds::Both, 0, &[(Stream::Out, "epoch 1  loss 2.3026")])], logs)
}

pub fn all() -> Vec<Case> {
    let case = |name, report| Case { name, report };
    vec![
        case("success", success()),
        case("exit_code", exit_code()),
        case("signal", signal()),
        case("not_started", not_started()),
        case("not_executable", not_executable()),
        case("pipe_unknown", pipe(End::Unknown, Duration::from_secs(725))),
        case("pipe_told_to_end", pipe(End::ToldToEnd { signal: 15 }, Duration::from_secs(725))),
        case("pipe_reported", pipe(End::Reported { code: 2 }, Duration::from_millis(45_230))),
        case("no_output", no_output()),
        case("cut_log", cut_log()),
        case("two_parts", two_parts()),
        case("interrupted", interrupted()),
        case("rebooted", interrupted_by_a_reboot()),
        case("out_of_memory", out_of_memory(End::Signaled { signal: 9, core_dumped: false }, 1)),
        case("child_out_of_memory", out_of_memory(End::Exited { code: 1 }, 2)),
    ]
}
