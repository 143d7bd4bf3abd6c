//! The programs behind `benches/run`: the command that writes, the reader that checks what arrives.
//!
//! ```text
//! probe write KIND COUNT            the command: COUNT units, one write(2) each
//! probe drain KIND COUNT [OPTION…]  reads stdin to its end; one line of JSON says whether all came
//! probe tick COUNT GAP_US           the command: lines that carry the time they were written at
//! probe arrive COUNT                reads those; one line of JSON with how long they were under way
//!
//! KIND   blocks  blocks of 64 KiB, numbered
//!        lines   lines of 80 bytes, numbered
//!        alt     lines, in turn on stdout and stderr; drain: both on one stream, in this order
//!        out err drain: the half of `alt` that stdout, stderr carries
//!        either  drain: all of `alt`, in any order
//! OPTION crlf    carriage returns are left out: it came through a terminal
//!        framed  a heading `Script started` and what follows the last unit are left out
//!        heads   of a block only its first line is compared: what a reader has time for
//! ```
//!
//! No dependency and nothing of ours, so that plain `rustc -O` makes it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own: ui.rs isn't there")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

const LINE: usize = 80;
const BLOCK: usize = 64 * 1024;
/// Where a unit carries its number, in ten decimal digits, and where its stream's letter.
const DIGITS: usize = 10;
const LETTER: usize = 11;
/// What the drain reads at once.
const READ: usize = 128 * 1024;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["write", kind, count] => write(kind, count),
        ["drain", kind, count, ref options @ ..] => drain(kind, count, options),
        ["tick", count, gap] => tick(count, gap),
        ["arrive", count] => arrive(count),
        // What `cargo bench` and `cargo test --all-targets` ask of every benchmark.
        [] | ["--bench"] => {
            println!("the benchmarks are run by benches/run");
            Ok(())
        }
        _ => Err("usage: see benches/probe.rs".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("probe: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The stream that is written and expected: one unit, numbered anew for each turn.
struct Pattern {
    unit: Vec<u8>,
    /// From one number to the next.
    step: u32,
    /// The stream's letter changes with each unit.
    alternates: bool,
}

impl Pattern {
    fn new(kind: &str) -> Outcome<Self> {
        let (size, step, alternates) = match kind {
            "blocks" => (BLOCK, 1, false),
            "lines" => (LINE, 1, false),
            "alt" | "either" => (LINE, 1, true),
            "out" | "err" => (LINE, 2, false),
            _ => return Err(format!("no such kind: {kind}").into()),
        };
        let text = b" O step=104200 loss=0.48213 lr=2.9e-04 tok/s=18342 mem=61.2G eta=03:12";
        let mut unit: Vec<u8> =
            [b"0000000000", text.as_slice()].concat().into_iter().cycle().take(size).collect();
        (LINE..=size).step_by(LINE).for_each(|end| unit[end - 1] = b'\n');
        unit[size - 1] = b'\n';
        let mut pattern = Self { unit, step, alternates };
        if kind == "err" {
            pattern.count();
            pattern.unit[LETTER] = b'E';
        }
        Ok(pattern)
    }

    fn count(&mut self) {
        for digit in self.unit[..DIGITS].iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
    }

    fn advance(&mut self) {
        (0..self.step).for_each(|_| self.count());
        if self.alternates {
            self.unit[LETTER] = if self.on_stderr() { b'O' } else { b'E' };
        }
    }

    fn on_stderr(&self) -> bool {
        self.unit[LETTER] == b'E'
    }
}

/// A descriptor without the buffer that the standard library puts around it.
fn raw(fd: impl AsFd) -> io::Result<File> {
    fd.as_fd().try_clone_to_owned().map(File::from)
}

fn write(kind: &str, count: &str) -> Outcome<()> {
    let count: u64 = count.parse()?;
    let mut pattern = Pattern::new(kind)?;
    let (mut out, mut err) = (raw(io::stdout())?, raw(io::stderr())?);
    for _ in 0..count {
        let to = if pattern.on_stderr() { &mut err } else { &mut out };
        to.write_all(&pattern.unit)?;
        pattern.advance();
    }
    Ok(())
}

/// How what arrives is compared.
enum Check {
    /// Byte for byte; of each unit the first `depth` bytes.
    InOrder { pattern: Pattern, at: usize, depth: usize },
    /// By the sum of its bytes: streams that may come in any order.
    Sum { sum: u64, expected: u64 },
}

struct Checker {
    check: Check,
    /// Bytes expected, and those that came (after `crlf` and `framed`).
    expected: u64,
    bytes: u64,
    /// The first byte that isn't the expected one.
    wrong_at: Option<u64>,
    without_returns: bool,
    framing: Framing,
}

#[derive(PartialEq)]
enum Framing {
    None,
    /// The first bytes tell whether there is a heading.
    Unknown,
    Heading,
    /// From here on only what follows the last unit is left out.
    Inside,
}

impl Checker {
    fn new(kind: &str, count: u64, options: &[&str]) -> Outcome<Self> {
        let mut pattern = Pattern::new(kind)?;
        let size = pattern.unit.len();
        let check = if kind == "either" {
            let mut expected = 0;
            for _ in 0..count {
                expected += sum(&pattern.unit);
                pattern.advance();
            }
            Check::Sum { sum: 0, expected }
        } else {
            let depth = if options.contains(&"heads") { LINE } else { size };
            Check::InOrder { pattern, at: 0, depth }
        };
        if let Some(unknown) = options.iter().find(|o| !["crlf", "framed", "heads"].contains(o)) {
            return Err(format!("no such option: {unknown}").into());
        }
        Ok(Self {
            check,
            expected: count * size as u64,
            bytes: 0,
            wrong_at: None,
            without_returns: options.contains(&"crlf"),
            framing: if options.contains(&"framed") { Framing::Unknown } else { Framing::None },
        })
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.without_returns {
            let kept: Vec<u8> = bytes.iter().copied().filter(|&byte| byte != b'\r').collect();
            self.unframe(&kept);
        } else {
            self.unframe(bytes);
        }
    }

    fn unframe(&mut self, mut bytes: &[u8]) {
        if self.framing == Framing::Unknown && !bytes.is_empty() {
            self.framing = if bytes[0] == b'S' { Framing::Heading } else { Framing::Inside };
        }
        if self.framing == Framing::Heading {
            let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else { return };
            bytes = &bytes[end + 1..];
            self.framing = Framing::Inside;
        }
        if self.framing == Framing::Inside {
            let left = usize::try_from(self.expected - self.bytes).unwrap_or(usize::MAX);
            bytes = &bytes[..bytes.len().min(left)];
        }
        self.compare(bytes);
        self.bytes += bytes.len() as u64;
    }

    fn compare(&mut self, mut bytes: &[u8]) {
        let mut seen = self.bytes;
        match &mut self.check {
            Check::Sum { sum: total, .. } => *total += sum(bytes),
            // Behind the first difference nothing can be told.
            Check::InOrder { .. } if self.wrong_at.is_some() => {}
            Check::InOrder { pattern, at, depth } => {
                while !bytes.is_empty() {
                    let now = bytes.len().min(pattern.unit.len() - *at);
                    let compared = depth.saturating_sub(*at).min(now);
                    if bytes[..compared] != pattern.unit[*at..*at + compared] {
                        let same = bytes.iter().zip(&pattern.unit[*at..]).take_while(|(a, b)| a == b).count();
                        self.wrong_at = Some(seen + same as u64);
                        return;
                    }
                    bytes = &bytes[now..];
                    seen += now as u64;
                    *at += now;
                    if *at == pattern.unit.len() {
                        *at = 0;
                        pattern.advance();
                    }
                }
            }
        }
    }

    fn verdict(&self) -> String {
        let sums_differ = matches!(self.check, Check::Sum { sum, expected } if sum != expected);
        let complete = self.bytes == self.expected && self.wrong_at.is_none() && !sums_differ;
        let wrong_at = self.wrong_at.map_or("null".into(), |at| at.to_string());
        format!(
            r#"{{"complete": {complete}, "bytes": {}, "expected": {}, "wrong_at": {wrong_at}}}"#,
            self.bytes, self.expected
        )
    }
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().map(|&byte| u64::from(byte)).sum()
}

/// Reads; 0 is the end. A terminal ends with EIO once nobody has its other side open.
fn read(from: &mut File, into: &mut [u8]) -> io::Result<usize> {
    const EIO: i32 = 5;
    loop {
        match from.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.raw_os_error() == Some(EIO) => return Ok(0),
            done => return done,
        }
    }
}

fn drain(kind: &str, count: &str, options: &[&str]) -> Outcome<()> {
    let mut checker = Checker::new(kind, count.parse()?, options)?;
    let mut input = raw(io::stdin())?;
    let mut buffer = vec![0; READ];
    loop {
        match read(&mut input, &mut buffer)? {
            0 => break,
            got => checker.take(&buffer[..got]),
        }
    }
    println!("{}", checker.verdict());
    Ok(())
}

/// Nanoseconds that two processes can compare: the standard library's monotonic clock can't leave
/// its process. A step of the clock would show as an absurd figure, and the next round has another.
fn nanos() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "not part of the program that must be testable")]
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A line is `PING NUMBER NANOSECONDS …` in 80 bytes.
fn tick(count: &str, gap: &str) -> Outcome<()> {
    let (count, gap): (u32, u64) = (count.parse()?, gap.parse()?);
    let mut out = raw(io::stdout())?;
    // Half to one and a half gaps apart, the same in each run: out of step with every timer.
    let mut random = 12_345_u32;
    for number in 0..count {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        std::thread::sleep(Duration::from_nanos(gap * 500 + gap * u64::from(random >> 22)));
        let line = format!("{:.<79}\n", format!("PING {number:08} {:020} ", nanos()));
        out.write_all(line.as_bytes())?;
    }
    Ok(())
}

fn arrive(count: &str) -> Outcome<()> {
    let count: usize = count.parse()?;
    let mut input = raw(io::stdin())?;
    let (mut buffer, mut held) = (vec![0; READ], Vec::new());
    let mut delays = Vec::with_capacity(count);
    loop {
        let got = read(&mut input, &mut buffer)?;
        let now = nanos();
        if got == 0 {
            break;
        }
        held.extend_from_slice(&buffer[..got]);
        while let Some(end) = held.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = held.drain(..=end).collect();
            if let Some(sent) = sent_at(&line, delays.len()) {
                delays.push(now.saturating_sub(sent));
            }
        }
    }
    delays.sort_unstable();
    let micros = |part: usize| {
        let nanos = delays.get((delays.len() * part / 100).min(delays.len().wrapping_sub(1)));
        nanos.map_or("null".into(), |nanos| format!("{}.{:03}", nanos / 1000, nanos % 1000))
    };
    let complete = delays.len() == count;
    println!(
        r#"{{"complete": {complete}, "bytes": {}, "expected": {}, "wrong_at": null, "p50": {}, "p99": {}, "max": {}}}"#,
        delays.len() * LINE,
        count * LINE,
        micros(50),
        micros(99),
        micros(100),
    );
    Ok(())
}

/// When the line was written, if it is the one that comes next.
fn sent_at(line: &[u8], number: usize) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?;
    let mut words = text.split_once("PING ")?.1.split(' ');
    let its_number: usize = words.next()?.parse().ok()?;
    let sent = words.next()?.parse().ok()?;
    (its_number == number).then_some(sent)
}
