//! What sending leaves in memory: no mail while it goes, no code after it.

use std::path::Path;

use secrecy::zeroize::Zeroizing;

use super::responder::{Certificate, Mode, Responder, authority, server_config};
use super::testing::{Bench, grow, plain, receipt};
use super::verdict::Outcome;
use crate::config::{Auth, Secret, Tls};

const PORT: &str = "NOTIFY_DONE_TEST_PORT";
const OUT: &str = "NOTIFY_DONE_TEST_OUT";
/// The CA of the process that has the server.
const CA: &str = "NOTIFY_DONE_TEST_CA";

/// Runs one test in a process of its own, and returns what it [`tell`]s.
fn alone(test: &str, beside: &Path, variables: &[(&str, &str)]) -> String {
    let out = beside.with_file_name("told");
    let done = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--test-threads=1"])
        .envs(variables.iter().copied())
        .env(OUT, &out)
        .env(CA, &authority().file)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    std::fs::read_to_string(&out).unwrap()
}

fn tell(what: &str) {
    std::fs::write(std::env::var(OUT).unwrap(), what).unwrap();
}

/// The peak memory of this process, KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Catches: the message or a copy of it held in memory. Run in a process of its own, since the
/// peak is the process's.
#[test]
fn memory_does_not_grow_with_the_mail() {
    const MIB: &str = "NOTIFY_DONE_TEST_MIB";
    if let Ok(port) = std::env::var(PORT) {
        let mut bench = Bench::new(port.parse().unwrap(), Tls::None);
        grow(&bench.body, std::env::var(MIB).unwrap().parse::<u64>().unwrap() << 20);
        receipt(&bench.attempt());
        return tell(&peak().to_string());
    }
    let (server, bench) = plain(|_| None);
    let test = "deliver::memory_tests::memory_does_not_grow_with_the_mail";
    let peak_of = |mib: &str| -> u64 {
        alone(test, &bench.body, &[(PORT, &server.port.to_string()), (MIB, mib)]).parse().unwrap()
    };
    let (small, large) = (peak_of("1"), peak_of("30"));
    assert_eq!(server.taken().len(), 2);
    assert!(large < small + 2048, "{small} KiB for 1 MiB, {large} KiB for 30 MiB");
}

/// What the needles are hidden by, so that looking for them doesn't put them there.
const MASK: u8 = 0x5a;

/// Bytes at the end of a needle that are looked for.
const TAIL: usize = 24;

/// Which of the needles, masked, end anywhere in this process's memory that it can write.
fn found_in_memory(needles: &[Vec<u8>]) -> Vec<usize> {
    use std::os::unix::fs::FileExt;
    let memory = std::fs::File::open("/proc/self/mem").unwrap();
    let mut found = Vec::new();
    for line in std::fs::read_to_string("/proc/self/maps").unwrap().lines() {
        let mut words = line.split(' ');
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|hex| u64::from_str_radix(hex, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        // A mapping that has gone meanwhile, or that can't be read so, holds nothing of ours.
        let read = memory.read_at(&mut bytes, from).unwrap_or(0);
        for (number, needle) in needles.iter().enumerate() {
            // The allocator writes to the beginning of what is freed.
            let needle = &needle[needle.len() - TAIL..];
            let same = |window: &[u8]| window.iter().zip(needle).all(|(byte, masked)| byte ^ MASK == *masked);
            if bytes[..read].windows(needle.len()).any(same) {
                found.push(number);
            }
        }
    }
    found
}

/// Catches: a form of the code left behind in memory that was freed. In a process of its own: this
/// one holds the server's memory, too.
#[test]
fn no_form_of_the_code_stays_in_memory() {
    const NEEDLES: &str = "NOTIFY_DONE_TEST_NEEDLES";
    const HOW: &str = "NOTIFY_DONE_TEST_HOW";
    if let Ok(port) = std::env::var(PORT) {
        let hex = std::env::var(NEEDLES).unwrap();
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        let masked = |text: &str| text.as_bytes().chunks(2).map(byte).collect::<Vec<u8>>();
        let needles: Vec<Vec<u8>> = hex.split(' ').map(masked).collect();
        let how = std::env::var(HOW).unwrap();
        let mut bench =
            Bench::new(port.parse().unwrap(), if how == "tls" { Tls::Implicit } else { Tls::None });
        bench.account.server.ca_file = Some(std::env::var(CA).unwrap().into());
        bench.account.server.auth = if how == "login" { Auth::Login } else { Auth::Auto };
        let mut code = Zeroizing::new(Vec::with_capacity(needles[0].len()));
        code.extend(needles[0].iter().map(|byte| byte ^ MASK));
        bench.secret = Secret::parse(str::from_utf8(&code).unwrap()).unwrap();
        assert_eq!(found_in_memory(&needles[..1]).first(), Some(&0), "the search finds nothing");
        let attempt = bench.attempt();
        drop((bench, code));
        let found = found_in_memory(&needles);
        return tell(&format!("{found:?} {}", matches!(attempt.outcome, Outcome::Accepted { .. })));
    }
    use base64::Engine as _;
    // Long, so that what is allocated later doesn't fall into the same place.
    let code: String =
        (0..200_u8).map(|n| char::from(b'a' + n.wrapping_mul(n).wrapping_add(n / 3) % 26)).collect();
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let needles = [code.clone(), base64(&code), base64(&format!("\x0010001@qq.com\0{code}"))];
    let hex = |text: &String| text.bytes().map(|byte| format!("{:02x}", byte ^ MASK)).collect::<String>();
    let needles = needles.iter().map(hex).collect::<Vec<_>>().join(" ");
    let test = "deliver::memory_tests::no_form_of_the_code_stays_in_memory";
    for how in ["plain", "login", "tls"] {
        let mode = if how == "tls" { Mode::Implicit(server_config(Certificate::Good)) } else { Mode::Plain };
        let server = Responder::start(mode, |_| None);
        let bench = Bench::new(server.port, Tls::None);
        let port = server.port.to_string();
        let told = alone(test, &bench.body, &[(PORT, &port), (NEEDLES, &needles), (HOW, how)]);
        assert_eq!(told, "[] true", "{how}");
        assert!(server.said().iter().any(|line| line.contains(&code)));
    }
}
