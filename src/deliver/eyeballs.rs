//! Which of a host's addresses to connect to: Happy Eyeballs (RFC 8305), so that an IPv6 that leads
//! nowhere costs a moment, not a timeout.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::verdict::Cause;

/// How long an address is waited for before the next is tried beside it (section 5: 250 ms).
const DELAY: Duration = Duration::from_millis(250);
/// Addresses of a host that are tried.
const MOST: usize = 8;

/// IPv6 and IPv4 by turns, beginning with the family of the first; within a family as the resolver
/// sorted them (section 4).
pub(super) fn by_turns(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let addresses: Vec<SocketAddr> = addresses.into_iter().collect();
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else {
        return addresses;
    };
    let (mut own, mut other) = (Vec::new(), Vec::new());
    for address in addresses {
        if address.is_ipv6() == first { own.push(address) } else { other.push(address) }
    }
    let (mut own, mut other) = (own.into_iter(), other.into_iter());
    let mut turns = Vec::new();
    loop {
        let pair = [own.next(), other.next()];
        if pair == [None, None] {
            turns.truncate(MOST);
            return turns;
        }
        turns.extend(pair.into_iter().flatten());
    }
}

/// Tries one address after the other, the next as soon as one has failed or [`DELAY`] has passed;
/// the first that connects wins, the others are given up. `connect` sets its own limit.
///
/// # Errors
/// When none connects: why not the first, or one whose failure says more.
pub(super) async fn race<T, F>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<T, Cause>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Cause>> + Send + 'static,
{
    let mut waiting = addresses.into_iter();
    let mut racing = JoinSet::new();
    let mut told: Option<Cause> = None;
    loop {
        if let Some(address) = waiting.next() {
            racing.spawn(connect(address));
        }
        let finished = if waiting.len() > 0 {
            match timeout(DELAY, racing.join_next()).await {
                Ok(finished) => finished,
                Err(_) => continue,
            }
        } else {
            racing.join_next().await
        };
        let cause = match finished {
            Some(Ok(Ok(connected))) => return Ok(connected),
            Some(Ok(Err(cause))) => cause,
            Some(Err(lost)) => Cause::Broken { detail: lost.to_string() },
            None => {
                let nothing = Cause::Unresolved { detail: "it has no address".to_owned() };
                return Err(told.unwrap_or(nothing));
            }
        };
        if told.as_ref().is_none_or(says_little) {
            told = Some(cause);
        }
    }
}

/// A machine without IPv6 says so of every IPv6 address: that isn't why the host can't be reached.
fn says_little(cause: &Cause) -> bool {
    let no_way = [libc::ENETUNREACH, libc::EADDRNOTAVAIL, libc::EAFNOSUPPORT]
        .map(|errno| io::Error::from_raw_os_error(errno).to_string());
    matches!(cause, Cause::Unreachable { detail } if no_way.contains(detail))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::time::{Instant, sleep};

    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    const V6: &str = "[2001:db8::1]:25";
    const V6_TOO: &str = "[2001:db8::2]:25";
    const V4: &str = "192.0.2.1:25";
    const V4_TOO: &str = "192.0.2.2:25";

    #[test]
    fn families_take_turns() {
        let of =
            |list: &[&str]| by_turns(addresses(list)).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(of(&[V6, V6_TOO, V4, V4_TOO]), [V6, V4, V6_TOO, V4_TOO]);
        assert_eq!(of(&[V4, V4_TOO, V6]), [V4, V6, V4_TOO]);
        assert_eq!(of(&[]), [""; 0]);
        let many: Vec<String> = (1..20).map(|n| format!("192.0.2.{n}:25")).collect();
        assert_eq!(of(&many.iter().map(String::as_str).collect::<Vec<_>>()).len(), MOST);
    }

    /// What an address does: after so many ms it connects, or fails with these words.
    type Plan = [(&'static str, u64, Result<(), &'static str>)];

    /// Who won or why nobody did, when, and when each was begun, in ms of a clock that only jumps.
    fn run(plan: &Plan) -> (Result<String, Cause>, u128, Vec<u128>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let begin = Instant::now();
            let started = Arc::new(Mutex::new(Vec::new()));
            let connect = |address: SocketAddr| {
                started.lock().unwrap().push(begin.elapsed().as_millis());
                let (name, ms, end) = *plan.iter().find(|(name, ..)| *name == address.to_string()).unwrap();
                async move {
                    sleep(Duration::from_millis(ms)).await;
                    end.map(|()| name.to_owned()).map_err(|why| Cause::Unreachable { detail: why.to_owned() })
                }
            };
            let all = addresses(&plan.iter().map(|(name, ..)| *name).collect::<Vec<_>>());
            let won = race(all, connect).await;
            let started = started.lock().unwrap().clone();
            (won, begin.elapsed().as_millis(), started)
        })
    }

    /// Catches: an IPv6 that hangs waited for to the end; the next address begun too early or not at
    /// once after a failure; a slow first one given up when the second fails.
    #[test]
    fn the_next_is_tried_beside_the_one_that_hangs() {
        let (won, ms, started) = run(&[(V6, 60_000, Ok(())), (V4, 20, Ok(()))]);
        assert_eq!((won.unwrap().as_str(), ms, started), (V4, 270, vec![0, 250]));
        let (won, ms, started) = run(&[(V6, 10, Err("refused")), (V4, 20, Ok(()))]);
        assert_eq!((won.unwrap().as_str(), ms, started), (V4, 30, vec![0, 10]));
        let (won, ms, started) = run(&[(V6, 400, Ok(())), (V4, 60_000, Ok(())), (V6_TOO, 9_000, Ok(()))]);
        assert_eq!((won.unwrap().as_str(), ms, started), (V6, 400, vec![0, 250]));
        let (won, ms, _) = run(&[(V6, 600, Ok(())), (V4, 10, Err("refused"))]);
        assert_eq!((won.unwrap().as_str(), ms), (V6, 600));
        let (won, ms, started) = run(&[(V6, 100, Ok(())), (V4, 10, Ok(()))]);
        assert_eq!((won.unwrap().as_str(), ms, started), (V6, 100, vec![0]));
    }

    /// Catches: "Network is unreachable" told of a host that refuses, on a machine without IPv6.
    #[test]
    fn the_failure_that_says_something_is_told() {
        let detail = |plan: &Plan| match run(plan) {
            (Err(Cause::Unreachable { detail }), ..) => detail,
            other => panic!("{other:?}"),
        };
        let none = "Network is unreachable (os error 101)";
        assert_eq!(detail(&[(V6, 1, Err(none)), (V4, 1, Err("refused"))]), "refused");
        assert_eq!(detail(&[(V4, 1, Err("refused")), (V6, 1, Err(none))]), "refused");
        assert_eq!(detail(&[(V4, 1, Err("refused")), (V4_TOO, 1, Err("timed out"))]), "refused");
        assert!(matches!(run(&[]).0, Err(Cause::Unresolved { .. })));
    }
}
