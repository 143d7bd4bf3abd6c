//! Which of all that was found is the reason: what tells most and stands near enough to the end. Pure.

use super::super::model::Stream;
use super::{Found, Kind, MAX_LINES, Seen};
use crate::run::facts::{End, OutOfMemory, Outcome};

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
/// Signals by which a program's own fault ends it: ILL, TRAP, ABRT, BUS, FPE, SEGV, SYS.
const OWN_FAULT: &[i32] = &[4, 5, 6, 7, 8, 11, 31];
const SIGKILL: i32 = 9;
const SIGPIPE: i32 = 13;
const SIGTERM: i32 = 15;
/// A shell's exit code says by this much which signal ended its command.
const BY_SIGNAL: i32 = 128;

/// The weight that something must have left, after what its distance takes of it.
const LEAST: i64 = 15;

/// What is believed of the output, by how the run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trust {
    /// The least weight.
    weight: u8,
    /// The most ordinary lines that may follow; None: weighed against the weight.
    lines: Option<usize>,
    interrupted: bool,
    memory: bool,
}

impl Trust {
    /// None: nothing in the output is the reason of such an end.
    pub fn of(end: End, memory: Option<OutOfMemory>) -> Option<Self> {
        let all = Self { weight: 0, lines: None, interrupted: false, memory: memory.is_some() };
        // Killed from outside: only what was said right then may have to do with it.
        let last_words = Self { weight: 64, lines: Some(3), ..all };
        let signaled = |signal: i32| match signal {
            SIGINT => Self { interrupted: true, ..last_words },
            own if OWN_FAULT.contains(&own) => Self { weight: 44, lines: Some(40), ..all },
            _ => last_words,
        };
        match end {
            End::NotStarted { .. } => None,
            end if end.outcome() == Outcome::Success => None,
            End::Signaled { signal, .. } | End::ToldToEnd { signal } => Some(signaled(signal)),
            End::Interrupted { .. } => Some(last_words),
            End::Unknown => Some(Self { weight: 70, lines: Some(2), ..all }),
            End::Exited { code } | End::Reported { code } => Some(match code - BY_SIGNAL {
                // A shell tells in a line what it saw.
                outside @ (SIGHUP | SIGINT | SIGKILL | SIGPIPE | SIGTERM) => {
                    Self { weight: 44, lines: Some(12), interrupted: outside == SIGINT, ..all }
                }
                _ => all,
            }),
        }
    }
}

pub(super) fn choose(lines: &[Seen<'_>], mut found: Vec<Found>, trust: Trust) -> Option<Found> {
    found.sort_by_key(|one| (one.whole.end, one.shown.end));
    let quiet = Quiet::count(lines, &found);
    let found = without_tests_details(found);
    let wrapped = found.iter().rev().find(|one| one.kind == Kind::Wrapper).map(|one| one.whole.end);
    let reach = found_reach(&found, &quiet);
    let gap_of = |at: usize| match wrapped {
        // What says that something failed asks for the cause, though much may stand between.
        Some(wrapper) if wrapper > at => quiet.between(wrapper, lines.len()) + quiet.between(at, wrapper) / 8,
        _ => quiet.between(at, lines.len()),
    };
    let mut best: Option<(i64, usize)> = None;
    for (i, one) in found.iter().enumerate() {
        let Some(until) = reach[i] else { continue };
        let gap = gap_of(until.max(one.whole.end));
        let weight = weight_of(one, lines, trust);
        if weight < i64::from(trust.weight) || trust.lines.is_some_and(|most| gap > most) {
            continue;
        }
        let score = weight - distance(one.kind, gap);
        if score >= LEAST && best.is_none_or(|(other, _)| score >= other) {
            best = Some((score, i));
        }
    }
    let (_, best) = best?;
    Some(with_assertion(&found, best))
}

fn weight_of(one: &Found, lines: &[Seen<'_>], trust: Trust) -> i64 {
    let more = match one.kind {
        Kind::Interrupt if trust.interrupted => 36,
        Kind::Memory if trust.memory => 16,
        Kind::Word if lines.get(one.shown.start).is_some_and(|line| line.stream == Stream::Err) => 4,
        _ => 0,
    };
    i64::from(one.weight) + more
}

/// What `gap` ordinary lines behind it take of a finding's weight. An exception may have been caught; what a
/// compiler or a test run says stands.
fn distance(kind: Kind, gap: usize) -> i64 {
    let steep = match kind {
        Kind::First | Kind::Summary => 4,
        _ => 8,
    };
    // The logarithm in eighths: the bits, and three more of what stands behind the first.
    let scaled = 10 + gap as u64;
    let tenths = scaled * 64 / 10;
    let bits = i64::from(tenths.ilog2());
    let fraction = ((tenths << 3) >> bits) as i64 - 8;
    steep * ((bits - 6) * 8 + fraction) / 8
}

/// How many lines before each one are ordinary: neither blank nor part of anything that was found.
struct Quiet(Vec<u32>);

impl Quiet {
    fn count(lines: &[Seen<'_>], found: &[Found]) -> Self {
        let mut told = vec![false; lines.len()];
        // By their ends; from the last on, so that no line is marked twice.
        let mut marked_from = lines.len();
        for one in found.iter().rev() {
            let end = one.whole.end.min(marked_from);
            if one.whole.start < end {
                told[one.whole.start..end].fill(true);
                marked_from = one.whole.start;
            }
        }
        let mut before = Vec::with_capacity(lines.len() + 1);
        let (mut count, mut goes_on) = (0, false);
        before.push(0);
        for (line, told) in lines.iter().zip(told) {
            // What is indented under something found belongs to it: frames, notes, the memory around.
            goes_on = told || goes_on && (line.text.is_empty() || line.text.starts_with(' '));
            count += u32::from(!goes_on && !line.text.trim().is_empty());
            before.push(count);
        }
        Self(before)
    }

    fn between(&self, from: usize, to: usize) -> usize {
        let at = |line: usize| self.0.get(line).or(self.0.last()).copied().unwrap_or(0);
        at(to).saturating_sub(at(from)) as usize
    }
}

/// What a test run's summary sums up is left out.
fn without_tests_details(found: Vec<Found>) -> Vec<Found> {
    let last = found.iter().rposition(|one| one.kind == Kind::Summary);
    match last {
        Some(last) => found.into_iter().skip(last).collect(),
        None => found,
    }
}

/// Up to which line each finding is still told of, by others that come of it; None: it comes of another.
fn found_reach(found: &[Found], quiet: &Quiet) -> Vec<Option<usize>> {
    // So many ordinary lines may stand between a compiler's first error and the next.
    const NEAR: usize = 400;
    let mut reach: Vec<Option<usize>> = found.iter().map(|one| Some(one.whole.end)).collect();
    let mut first: Option<usize> = None;
    for (i, one) in found.iter().enumerate() {
        if one.kind != Kind::First {
            continue;
        }
        let earlier = first.filter(|f| {
            let until = reach[*f].unwrap_or(0);
            found[*f].weight >= one.weight && quiet.between(until, one.whole.start) <= NEAR
        });
        match earlier {
            Some(earlier) => {
                reach[earlier] = Some(one.whole.end);
                reach[i] = None;
            }
            None => first = Some(i),
        }
    }
    other_ranks(found, quiet, &mut reach);
    reach
}

/// Of the same thing raised in several processes of a group the first is told.
fn other_ranks(found: &[Found], quiet: &Quiet, reach: &mut [Option<usize>]) {
    const NEAR: usize = 50;
    let mut first: Option<usize> = None;
    for (i, one) in found.iter().enumerate() {
        if one.kind != Kind::Raised {
            continue;
        }
        let earlier = first.filter(|f| {
            let other = &found[*f];
            other.source != one.source
                && other.weight == one.weight
                && quiet.between(reach[*f].unwrap_or(0), one.whole.start) <= NEAR
        });
        match earlier {
            Some(earlier) => {
                reach[earlier] = Some(one.whole.end);
                reach[i] = None;
            }
            None => first = Some(i),
        }
    }
}

/// `device-side assert triggered` names no assertion; the GPU's threads did, before.
fn with_assertion(found: &[Found], best: usize) -> Found {
    let mut one = found[best].clone();
    if one.text.contains("device-side assert triggered") {
        let is_assertion = |other: &&Found| other.kind == Kind::First && other.text.contains("Assertion `");
        if let Some(assertion) = found[..best].iter().find(is_assertion) {
            one.text = format!("{}: {}", one.text, assertion.text);
        }
    }
    if one.shown.len() > MAX_LINES {
        one.shown.start = one.shown.end - MAX_LINES;
    }
    one
}
