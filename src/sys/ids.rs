//! Ids that sort by time and don't collide.

use jiff::Timestamp;

/// `n` random hex digits from the kernel.
pub fn random_hex(n: usize) -> String {
    let mut bytes = vec![0u8; n.div_ceil(2)];
    fill_random(&mut bytes);
    let mut hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    hex.truncate(n);
    hex
}

/// `20261121T093000123456-1a2b3c4d`: UTC to the microsecond, then 32 random bits. Sorts by time as
/// text.
pub fn timed_id(at: Timestamp) -> String {
    let utc = at.to_zoned(jiff::tz::TimeZone::UTC);
    format!("{}-{}", utc.strftime("%Y%m%dT%H%M%S%6f"), random_hex(8))
}

/// Can it be an id that [`timed_id`] has made?
pub fn is_timed_id(text: &str) -> bool {
    let digits = |part: &str, count| part.len() == count && part.bytes().all(|b| b.is_ascii_digit());
    let hex = |part: &str| part.len() == 8 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let parts = text.split_once('T').and_then(|(date, rest)| Some((date, rest.split_once('-')?)));
    parts.is_some_and(|(date, (time, random))| digits(date, 8) && digits(time, 12) && hex(random))
}

fn fill_random(bytes: &mut [u8]) {
    use std::hash::{BuildHasher, Hasher, RandomState};
    use std::io::Read;
    let read = std::fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(bytes));
    if read.is_err() {
        // No /dev in a bare container: std's hasher is seeded by getrandom(2).
        for chunk in bytes.chunks_mut(8) {
            let word = RandomState::new().build_hasher().finish().to_ne_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_differ_within_a_second() {
        let early: Timestamp = "2026-11-21T09:30:00Z".parse().unwrap();
        let late: Timestamp = "2026-11-21T09:30:00.000001Z".parse().unwrap();
        assert!(timed_id(early).starts_with("20261121T093000000000-"));
        assert!(timed_id(early) < timed_id(late));
        assert_ne!(timed_id(early), timed_id(early));
        assert!(is_timed_id(&timed_id(late)));
    }

    /// Catches: a stranger's folder taken for one of a run of ours.
    #[test]
    fn what_looks_like_an_id_is_none() {
        for other in [
            "",
            "exp1",
            "20261121",
            "2026-11-21T09-30-00",
            "20261121T093000-1a2b3c4d",
            "20261121T093000123456-1a2b3c4d.bak",
        ] {
            assert!(!is_timed_id(other), "{other}");
        }
    }
}
