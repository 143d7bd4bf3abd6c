//! The fault matrix: each way in which a server can fail, at each step of the dialogue. `table.rs` has
//! the cases, a row each; `case.rs` runs one with the real program; this file runs all and counts.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod case;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use table::{Fault, Row};

/// Cases under way at once: most of the time each waits for a limit.
const AT_ONCE: usize = 12;

/// Catches: a fault that loses the notice, doubles it, hangs, panics, shows the code, or isn't explained.
#[test]
fn every_fault_at_every_step() {
    let (rows, begin) = (table::rows(), Instant::now());
    let failures = in_parallel(&rows, ToString::to_string, case::run);
    report(&rows, failures.len(), begin);
    assert!(failures.is_empty(), "{} of {} cases:\n\n{}", failures.len(), rows.len(), failures.join("\n\n"));
}

/// Runs the cases, many at once; what failed, by name.
fn in_parallel<T: Sync>(
    cases: &[T],
    name: impl Fn(&T) -> String + Sync,
    run: impl Fn(&T) + Sync,
) -> Vec<String> {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = catch_unwind(AssertUnwindSafe(|| run(case))) {
                        let words = why.downcast_ref::<String>().cloned();
                        let words = words.or_else(|| why.downcast_ref::<&str>().map(ToString::to_string));
                        let failure = format!("{}\n{}", name(case), words.unwrap_or_default());
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    failures
}

fn report(rows: &[Row], failed: usize, begin: Instant) {
    let mut classes: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows {
        *classes.entry(format!("{:?}", row.class).to_lowercase()).or_default() += 1;
    }
    let counts: Vec<String> = classes.iter().map(|(class, count)| format!("{count} {class}")).collect();
    let seconds = begin.elapsed().as_secs_f64();
    say(&format!(
        "fault matrix: {} cases, {} classes ({}), {failed} failed, {seconds:.1} s",
        rows.len(),
        classes.len(),
        counts.join(", ")
    ));
}

/// Past the test harness, which keeps what a passing test prints to itself.
fn say(line: &str) {
    std::io::stderr().write_all(format!("\n{line}\n").as_bytes()).unwrap();
}

/// A kind of fault, and which are of it.
type Way = (&'static str, fn(&Fault) -> bool);

/// Catches: a matrix with holes, or with the same case twice.
#[test]
fn the_matrix_is_whole() {
    let rows = table::rows();
    assert!(rows.len() >= 200, "{} cases", rows.len());
    let names: BTreeSet<String> = rows.iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), rows.len(), "a case stands there twice");
    // A reply can be bent in each of these ways, whichever it is.
    let ways: &[Way] = &[
        ("hang", |fault| matches!(fault, Fault::Hang)),
        ("drop", |fault| matches!(fault, Fault::Drop)),
        ("a byte at a time, too slow", |fault| matches!(fault, Fault::Slow)),
        ("a byte at a time", |fault| matches!(fault, Fault::Bytewise)),
        ("garbage", |fault| matches!(fault, Fault::Raw(_))),
        ("GBK", |fault| matches!(fault, Fault::Gbk(_))),
        ("8 MiB line", |fault| matches!(fault, Fault::LongLine)),
        ("many lines", |fault| matches!(fault, Fault::ManyLines)),
        ("bare LF", |fault| matches!(fault, Fault::BareLf)),
        ("half, then hang", |fault| matches!(fault, Fault::HalfHang)),
        ("half, then drop", |fault| matches!(fault, Fault::HalfDrop)),
        ("4xx", |fault| matches!(fault, Fault::Reply(reply) if reply.starts_with('4'))),
        ("5xx", |fault| matches!(fault, Fault::Reply(reply) if reply.starts_with('5'))),
        ("wrong code", |fault| matches!(fault, Fault::Reply(reply) if reply.starts_with(['2', '3']))),
    ];
    for at in table::REPLIES {
        for (name, is_it) in ways {
            assert!(rows.iter().any(|row| row.at == *at && is_it(&row.fault)), "{at:?} lacks: {name}");
        }
    }
}
