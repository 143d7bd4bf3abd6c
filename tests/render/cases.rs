//! The fixed runs that the words are checked with.

use std::time::Duration;

use jiff::tz::{TimeZone, offset};
use notify_done::privacy::{Options, Redactor};
use notify_done::report::build::{CommandName, Input, build};
use notify_done::report::model::{
    Carried, Colour, Excerpt, FileFate, FileNote, FurtherUp, LeftOut, Line, LogNote, Packed, Report, Stream,
    Style, WhyPacked,
};
use notify_done::run::facts::{
    Ci, Death, End, Holds, LogPart, Origin, OutOfMemory, PartTrouble, RunFacts, RunId, RunStart, Usage,
};
use notify_done::spool::tail::RawTail;

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
    let mut tail = RawTail::empty(holds, skipped_bytes);
    for (stream, text) in lines {
        tail.push(*stream, format!("{text}\n").as_bytes());
    }
    tail
}

pub fn log(name: &str, holds: Holds, bytes: u64, carried: Carried) -> LogNote {
    let attachment = (!matches!(carried, Carried::Nothing | Carried::Empty)).then(|| name.to_owned());
    LogNote { attachment, holds, path: LOG.to_owned(), bytes, carried, packed: None, trouble: None }
}

pub fn report(facts: &RunFacts, tails: Vec<RawTail>, logs: Vec<LogNote>) -> Report {
    let redactor = Redactor::new(&Options::default());
    let (zone, command) = (TimeZone::fixed(offset(8)), CommandName::Told);
    let (redactor, log_places) = (&redactor, None);
    build(Input {
        facts,
        tails,
        tail_lines: 10_000,
        logs,
        files: Vec::new(),
        zone,
        redactor,
        command,
        log_places,
    })
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

const CUDA: &str = "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 23.69 GiB total)";

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
    let report = report(&facts, vec![tail(Holds::Both, 0, &lines)], logs);
    Report { headline: Some(CUDA.to_owned()), ..report }
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

/// In colours, of a terminal's sixteen and others, too dark to read some of them.
fn coloured() -> Report {
    let facts = facts(&["cargo", "nextest", "run"], End::Exited { code: 100 });
    let logs = vec![log("log.txt", Holds::Both, 9_812, Carried::Whole)];
    let named = |number| Style { foreground: Some(Colour::Named(number)), ..Style::default() };
    let bold = |style| Style { bold: true, ..style };
    let behind = |style, number| Style { background: Some(Colour::Named(number)), ..style };
    let rgb = |r, g, b| Style { foreground: Some(Colour::Rgb(r, g, b)), ..Style::default() };
    let dim = Style { dim: true, ..Style::default() };
    let inverse = Style { inverse: true, ..named(3) };
    let fancy = Style { italic: true, underline: true, ..named(6) };
    let lines = vec![
        line(Stream::Err, &[("    Finished", bold(named(2))), (" test profile in 2.31s", Style::default())]),
        line(
            Stream::Err,
            &[("        PASS", bold(named(2))), (" [   0.004s] ", dim), ("vit::loss", named(5))],
        ),
        line(
            Stream::Err,
            &[("        FAIL", bold(named(1))), (" [   0.011s] ", dim), ("vit::shape", named(5))],
        ),
        line(Stream::Out, &[("error", bold(named(9))), (": expected ", Style::default()), ("64", named(12))]),
        line(Stream::Out, &[("dark blue, ", rgb(0, 0, 139)), ("black, ", named(0)), ("grey", named(8))]),
        line(Stream::Out, &[(" ERROR ", behind(bold(named(15)), 1)), (" ", dim), (" warn ", inverse)]),
        line(Stream::Out, &[("see ", Style::default()), ("https://docs.example.com/<shape>", fancy)]),
        line(Stream::Out, &[("损失 ", named(4)), ("0.2143 ", named(10)), ("▁▂▃▅▇", rgb(255, 140, 0))]),
    ];
    let excerpt = Excerpt { holds: Holds::Both, failure: None, lines, skipped_bytes: 9_100 };
    let headline = Some("vit::shape: expected 64, got 504".to_owned());
    Report { headline, excerpts: vec![excerpt], ..report(&facts, Vec::new(), logs) }
}

fn line(stream: Stream, pieces: &[(&str, Style)]) -> Line {
    let mut line = Line { stream, text: String::new(), styles: Vec::new() };
    for (text, style) in pieces {
        let start = line.text.len();
        line.text.push_str(text);
        line.styles.push((start..line.text.len(), *style));
    }
    line
}

/// What tells of it stands before a lot that doesn't.
fn further_up() -> Report {
    let facts = facts(TRAIN, End::Exited { code: 1 });
    let plain = |stream, text: &str| Line { stream, text: text.to_owned(), styles: Vec::new() };
    let red = Style { foreground: Some(Colour::Named(1)), bold: true, ..Style::default() };
    let failure = FurtherUp {
        lines: vec![
            plain(Stream::Err, "Traceback (most recent call last):"),
            plain(Stream::Err, "  File \"/home/alice/projects/vit/train.py\", line 187, in main"),
            plain(Stream::Err, "    loss.backward()"),
            line(
                Stream::Err,
                &[
                    ("RuntimeError", red),
                    (": CUDA out of memory. Tried to allocate 2.00 GiB", Style::default()),
                ],
            ),
        ],
        lines_between: 1_234,
    };
    let lines = vec![
        plain(Stream::Out, "worker 7: leaving"),
        plain(Stream::Out, "worker 8: leaving"),
        plain(Stream::Out, "all workers are gone"),
    ];
    let excerpt = Excerpt { holds: Holds::Both, failure: Some(failure), lines, skipped_bytes: 81_920 };
    let logs = vec![log("log.txt", Holds::Both, 82_000, Carried::Whole)];
    let report = report(&facts, Vec::new(), logs);
    Report { headline: Some(CUDA.to_owned()), excerpts: vec![excerpt], ..report }
}

fn ci() -> Report {
    let mut facts = facts(&["make", "-j8", "test"], End::Exited { code: 2 });
    facts.start.ci = Some(Ci {
        system: "GitHub Actions".to_owned(),
        name: Some("alice/vit · nightly · test".to_owned()),
        branch: Some("feature/bigger-batch".to_owned()),
        commit: Some("ffac537e6cbbf934b08745a378932722df287a53".to_owned()),
        url: Some("https://github.com/alice/vit/actions/runs/1658821493/attempts/2".to_owned()),
    });
    facts.duration = Duration::from_secs(312);
    let lines = [
        (Stream::Out, "tests/test_shape.py::test_patches FAILED"),
        (Stream::Err, "make: *** [Makefile:31: test] Error 1"),
    ];
    let logs = vec![log("log.txt", Holds::Both, 8_211, Carried::Whole)];
    let report = report(&facts, vec![tail(Holds::Both, 8_000, &lines)], logs);
    Report { headline: Some("make: *** [Makefile:31: test] Error 1".to_owned()), redacted: 3, ..report }
}

/// More last lines than a mail takes.
fn huge() -> Report {
    let facts = facts(&["./simulate", "--all"], End::Exited { code: 0 });
    let text =
        |n: usize| format!("step {n:>6}  energy -1.2345e+03  residual 3.14e-09  temperature 300.1 K  ok");
    let texts: Vec<String> = (0..3000).map(text).collect();
    let lines: Vec<(Stream, &str)> = texts.iter().map(|text| (Stream::Out, text.as_str())).collect();
    let carried = Carried::Ends { head: 4 << 20, tail: 8 << 20, omitted: (5 << 30) - (12 << 20) };
    let logs = vec![log("log.txt", Holds::Both, 5 << 30, carried)];
    report(&facts, vec![tail(Holds::Both, (5 << 30) - 250_000, &lines)], logs)
}

fn binary() -> Report {
    let facts = facts(&["cat", "model.bin"], End::Exited { code: 0 });
    let logs = vec![log("log.txt", Holds::Both, 4_096, Carried::Whole)];
    let mut part = tail(Holds::Both, 4_000, &[]);
    part.push(
        Stream::Out,
        b"\x7fELF\x02\x01\x00\xff\xfe<\xd8&\x00\n\x80\x81 PK\x03\x04 \x1b]0;title\x07 end\n",
    );
    report(&facts, vec![part], logs)
}

/// `--hide-command`.
fn hidden() -> Report {
    let facts = facts(TRAIN, End::Exited { code: 0 });
    let logs = vec![log("log.txt", Holds::Both, 48, Carried::Whole)];
    let report = report(&facts, vec![tail(Holds::Both, 0, &[(Stream::Out, "done")])], logs);
    Report { command: None, name: "notify-done".to_owned(), ..report }
}

/// Everything longer than there is room for.
fn long() -> Report {
    let path = "/very/long/path/with-many-parts/".repeat(20);
    let argv = ["python", &path, "--option-that-is-long=yes", &"训练".repeat(100), &"W".repeat(300)];
    let mut facts = facts(&argv, End::Signaled { signal: 11, core_dumped: true });
    facts.start.title = Some("WWWWW training of everything 训练 ".repeat(9));
    facts.start.host = format!("{}.example.com", "node".repeat(40));
    facts.start.user = "u".repeat(200);
    facts.start.cwd.clone_from(&path);
    facts.start.note = Some(format!("{}\n{}", "W".repeat(200), "note ".repeat(90)));
    facts.start.tags = vec!["tag".repeat(30); 14];
    facts.start.ci = Some(Ci {
        system: "Jenkins".to_owned(),
        name: Some("job/".repeat(70)),
        branch: Some("b".repeat(200)),
        commit: None,
        url: Some(format!("https://ci.example.com/job/{}", "j%20".repeat(200))),
    });
    let mut logs = vec![log("log.txt", Holds::Both, 1 << 20, Carried::Whole)];
    logs[0].path.clone_from(&path);
    let text = "W".repeat(500);
    let tails = vec![tail(Holds::Both, 7, &[(Stream::Out, text.as_str()), (Stream::Err, path.as_str())])];
    Report {
        headline: Some(format!("{}: {}", "Error".repeat(20), "x".repeat(500))),
        ..report(&facts, tails, logs)
    }
}

/// The end of a log (`--log tail`), and files of the user's, of which not all could be attached.
fn files() -> Report {
    let facts = facts(&["timeout", "3h", "./sweep.sh"], End::Exited { code: 124 });
    let carried = Carried::Ends { head: 0, tail: 65_425, omitted: 523_264 };
    let logs = vec![log("log.txt", Holds::Both, 588_689, carried)];
    let file = |name: &str, bytes, fate| FileNote {
        name: name.to_owned(),
        path: format!("/home/alice/projects/vit/{name}"),
        bytes,
        fate,
    };
    let packed = Packed { bytes: 402, why: WhyPacked::Name };
    let mut files = vec![
        file("损失曲线.png", Some(48_213), FileFate::Attached { packed: None }),
        file("run.bat", Some(812), FileFate::Attached { packed: Some(packed) }),
        file("model.pt", Some(3 << 30), FileFate::LeftOut(LeftOut::TooLarge)),
        file("keys.txt", None, FileFate::LeftOut(LeftOut::Unreadable { errno: 13 })),
        file("plots/*.svg", None, FileFate::LeftOut(LeftOut::NoMatch)),
    ];
    files.extend((0..6).map(|n| file(&format!("p{n}.csv"), Some(2), FileFate::Attached { packed: None })));
    let report = report(&facts, vec![tail(Holds::Both, 588_681, &[(Stream::Out, "trial 7")])], logs);
    Report { files, ..report }
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
        case("coloured", coloured()),
        case("further_up", further_up()),
        case("ci", ci()),
        case("huge", huge()),
        case("binary", binary()),
        case("hidden", hidden()),
        case("long", long()),
        case("files", files()),
        case("child_out_of_memory", out_of_memory(End::Exited { code: 1 }, 2)),
    ]
}
