//! The headline and where its lines are shown.

use std::time::Duration;

use jiff::tz::TimeZone;
use notify_done::privacy::{Options, Redactor};
use notify_done::report::build::{CommandName, Input, build};
use notify_done::report::model::Report;
use notify_done::run::facts::{AttachFiles, End, Holds, Origin, RunFacts, RunId, RunStart};
use notify_done::spool::tail::{RawTail, Stream};

fn report(end: End, parts: &[(Holds, Stream, &str)]) -> Report {
    let started = "2026-11-21T01:30:00Z".parse().unwrap();
    let facts = RunFacts {
        start: RunStart {
            ci: None,
            attach: AttachFiles::default(),
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
        end,
        usage: None,
        out_of_memory: None,
        log: Vec::new(),
    };
    let tail = |(holds, stream, text): &(Holds, Stream, &str)| {
        let mut tail = RawTail::empty(*holds, 0);
        tail.push(*stream, text.as_bytes());
        tail
    };
    let tails = parts.iter().map(tail).collect();
    let redactor = &Redactor::new(&Options::default());
    let (facts, logs, zone) = (&facts, Vec::new(), TimeZone::UTC);
    let (command, log_places) = (CommandName::Told, None);
    build(Input { facts, tails, tail_lines: 5, logs, files: Vec::new(), zone, redactor, command, log_places })
}

fn traceback(message: &str) -> String {
    format!(
        "Traceback (most recent call last):\n  File \"/home/alice/train.py\", line 214, in <module>\n    main()\n{message}\n"
    )
}

const FAILED: End = End::Exited { code: 1 };

/// Catches a failure that is only in the attachment, since clearing up wrote more lines than are shown.
#[test]
fn a_failure_further_up_is_told_and_shown() {
    let after: String = (0..20).map(|n| format!("worker {n} stopped\n")).collect();
    let log = format!("epoch 1\n{}{after}", traceback("\x1b[31mRuntimeError\x1b[0m: CUDA out of memory"));
    let report = report(FAILED, &[(Holds::Both, Stream::Out, &log)]);
    assert_eq!(report.headline.as_deref(), Some("RuntimeError: CUDA out of memory"));
    let excerpt = &report.excerpts[0];
    let failure = excerpt.failure.as_ref().unwrap();
    assert!(failure.lines.iter().any(|line| line.text == "RuntimeError: CUDA out of memory"), "{failure:?}");
    assert_eq!(excerpt.lines[0].text, "worker 15 stopped");
    // `lines_between` is what stands between the two.
    assert_eq!(failure.lines.last().unwrap().text, format!("worker {} stopped", 14 - failure.lines_between));
}

/// Catches what stdout says of something else taken for the reason, and its lines shown in the wrong part.
#[test]
fn stderr_is_asked_first() {
    let out = traceback("ValueError: retried");
    let err = traceback("RuntimeError: no more data");
    let parts = [(Holds::Stdout, Stream::Out, out.as_str()), (Holds::Stderr, Stream::Err, err.as_str())];
    assert_eq!(report(FAILED, &parts).headline.as_deref(), Some("RuntimeError: no more data"));
    let quiet = [parts[0], (Holds::Stderr, Stream::Err, "")];
    assert_eq!(report(FAILED, &quiet).headline.as_deref(), Some("ValueError: retried"));
    let long = format!("{err}{}", "line\n".repeat(30));
    let both = report(FAILED, &[parts[0], (Holds::Stderr, Stream::Err, &long)]);
    assert!(both.excerpts[0].failure.is_none() && both.excerpts[1].failure.is_some());
}

#[test]
fn a_run_that_succeeded_has_no_headline() {
    let log = traceback("RuntimeError: retried");
    let report = report(End::Exited { code: 0 }, &[(Holds::Both, Stream::Out, &log)]);
    assert_eq!((report.headline, report.excerpts[0].failure.is_none()), (None, true));
}
