//! When to try again, and when to give up. Pure.
//!
//! Times are by the wall clock, since they outlive processes and boots. A clock that was set back must
//! not make a mail wait for years, and one that was set forward must not make it expire: no wait is
//! believed that is longer than the longest, and age alone expires nothing.

use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::entry::Entry;
use crate::deliver::verdict::{Class, Outcome, Stage};

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
/// No wait is longer: a day and what is left of it.
const LONGEST: i64 = 26 * HOUR;

/// Between two forms of a mail that a provider takes for spam. NetEase says "try again" after two.
const BETWEEN_FORMS: i64 = 2 * MINUTE;
/// Longer than it takes from a mail's making to its first try.
const UNTRIED: i64 = 30;
/// How long after midnight a provider may need to begin its new day.
const NEW_DAY: i64 = 10 * MINUTE;
/// QQ and NetEase count by the days of Beijing.
const PROVIDERS_ZONE: Offset = Offset::constant(8);

/// A mail is given up when it is older …
const OLD: SignedDuration = SignedDuration::from_hours(5 * 24);
/// … and was tried in so many rounds.
const ROUNDS: u32 = 10;

/// How much is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// By itself: what is due.
    Due,
    /// Somebody asked: what only waits for a server or a network to come back is due now. What a
    /// provider asked to wait for still waits.
    Asked,
    /// Somebody insists: all is due.
    Forced,
}

/// The time of the next try after `rounds` failed ones (the last included), the last of this class.
/// None: no later try of the same mail can succeed.
pub fn next_try(class: Class, rounds: u32, now: Timestamp) -> Option<Timestamp> {
    let before = rounds.saturating_sub(1);
    let doubled = |first: i64, most: i64| (first << before.min(20)).min(most);
    let seconds = match class {
        Class::Transient | Class::Unknown => doubled(MINUTE, 4 * HOUR),
        Class::Throttled => doubled(HOUR, 24 * HOUR),
        Class::DailyLimit => return tomorrow(now),
        Class::Credentials | Class::Settings => match before {
            0 => HOUR,
            1 => 6 * HOUR,
            _ => 24 * HOUR,
        },
        Class::Content | Class::TooLarge | Class::Permanent => return None,
    };
    after(now, seconds)
}

/// When a lesser form of a mail may follow one that was taken for spam.
pub fn next_form(now: Timestamp) -> Option<Timestamp> {
    after(now, BETWEEN_FORMS)
}

/// When a provider counts a new day; an hour from now at the earliest.
fn tomorrow(now: Timestamp) -> Option<Timestamp> {
    let there = now.to_zoned(TimeZone::fixed(PROVIDERS_ZONE));
    let midnight = there.date().checked_add(1.day()).ok()?.to_zoned(there.time_zone().clone()).ok()?;
    Some(after(midnight.timestamp(), NEW_DAY)?.max(after(now, HOUR)?))
}

fn after(time: Timestamp, seconds: i64) -> Option<Timestamp> {
    time.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// Has this time come? One that is further away than anything is put off was written by another
/// clock.
pub fn is_past(until: Timestamp, now: Timestamp) -> bool {
    until <= now || until.duration_since(now) > SignedDuration::from_secs(LONGEST)
}

/// May this entry be tried now? Whether an account may is `health`'s to say; so an entry whose login
/// was refused is due at any time: the code may have changed.
pub fn is_due(entry: &Entry, now: Timestamp, urgency: Urgency) -> bool {
    let Some(next) = entry.next_try else { return urgency != Urgency::Due || !is_its_mailers(entry, now) };
    let waits_for_account = entry.waits == Some(Class::Credentials);
    // The two forms of a suspected mail are kept apart for the provider's sake. Where it is the account that
    // has to wait, `health` knows; what a recipient's mailbox has put off is known here alone.
    let may_hurry = match entry.waits {
        Some(Class::Content) => false,
        Some(Class::Throttled | Class::DailyLimit) => !recipient_put_it_off(entry),
        _ => true,
    };
    match urgency {
        Urgency::Forced => true,
        Urgency::Asked => may_hurry || is_past(next, now),
        Urgency::Due => waits_for_account || is_past(next, now),
    }
}

fn recipient_put_it_off(entry: &Entry) -> bool {
    match entry.attempts.last().map(|attempt| &attempt.outcome) {
        Some(Outcome::Failed(failure)) => failure.stage == Stage::RcptTo,
        Some(Outcome::Accepted { .. }) => true,
        Some(Outcome::Unknown(_)) | None => false,
    }
}

/// When a mail that nobody has tried is anybody's: whoever made it tries it at once, has a terminal to
/// tell of it, and may be waited for. None: it was tried.
pub fn untried_until(entry: &Entry) -> Option<Timestamp> {
    let untried = entry.attempt_count == 0 && entry.next_try.is_none();
    untried.then(|| after(entry.revived.unwrap_or(entry.created), UNTRIED)).flatten()
}

fn is_its_mailers(entry: &Entry, now: Timestamp) -> bool {
    untried_until(entry).is_some_and(|until| {
        // Made in the future: by a clock that was set back since.
        until > now && until.duration_since(now) <= SignedDuration::from_secs(UNTRIED)
    })
}

/// Does a round that is made now count, for backoff and expiry?
pub fn counts(entry: &Entry, now: Timestamp) -> bool {
    entry.next_try.is_none_or(|next| is_past(next, now))
}

/// Is it time to give up? Either after days and rounds; or after days when no account may try by
/// itself any more (`stuck`), since then no rounds are made.
pub fn expired(entry: &Entry, now: Timestamp, stuck: bool) -> bool {
    let since = entry.revived.unwrap_or(entry.created);
    now.duration_since(since) >= OLD && (entry.rounds >= ROUNDS || stuck)
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::sample;
    use super::*;

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    fn waits(class: Class, rounds: &[u32]) -> Vec<i64> {
        let now = Timestamp::UNIX_EPOCH;
        rounds.iter().map(|n| next_try(class, *n, now).unwrap().as_second()).collect()
    }

    /// Catches: a shift that overflows after many tries, a throttled mail hammered.
    #[test]
    fn waits_grow_and_stop_growing() {
        assert_eq!(
            waits(Class::Transient, &[0, 1, 2, 3, 8, 9, 4_000_000_000]),
            [60, 60, 120, 240, 7680, 14400, 14400]
        );
        assert_eq!(waits(Class::Throttled, &[1, 2, 6, u32::MAX]), [3600, 7200, 86400, 86400]);
        assert_eq!(waits(Class::Credentials, &[1, 2, 3, 4]), [3600, 21600, 86400, 86400]);
        assert_eq!(next_try(Class::Permanent, 1, Timestamp::UNIX_EPOCH), None);
        assert_eq!(next_try(Class::Content, 1, Timestamp::UNIX_EPOCH), None);
        assert_eq!(next_try(Class::Transient, 1, Timestamp::MAX), None);
    }

    /// Catches: a day that ends at this machine's midnight, one that begins within the hour.
    #[test]
    fn tomorrow_is_the_providers() {
        let next = |now| next_try(Class::DailyLimit, 3, at(now)).unwrap();
        assert_eq!(next("2026-11-28T05:00:00Z"), at("2026-11-28T16:10:00Z"));
        assert_eq!(next("2026-11-28T15:59:00Z"), at("2026-11-28T16:59:00Z"));
        assert_eq!(next("2026-11-28T16:01:00Z"), at("2026-11-29T16:10:00Z"));
        assert_eq!(next_try(Class::DailyLimit, 1, Timestamp::MAX), None);
    }

    /// Catches: a flush by hand that skips a mail whose server is back, one that hurries what a provider
    /// put off, a clock that was set back making a mail wait for years.
    #[test]
    fn what_is_due() {
        let now = at("2026-11-28T12:00:00Z");
        let due = |next: Option<&str>, waits| {
            let mut entry = sample("a");
            (entry.next_try, entry.waits) = (next.map(at), waits);
            [Urgency::Due, Urgency::Asked, Urgency::Forced].map(|urgency| is_due(&entry, now, urgency))
        };
        assert_eq!(due(None, None), [true; 3]);
        assert_eq!(due(Some("2026-11-28T12:00:00Z"), Some(Class::Transient)), [true; 3]);
        assert_eq!(due(Some("2026-11-28T13:00:00Z"), Some(Class::Transient)), [false, true, true]);
        assert_eq!(due(Some("2026-11-28T12:01:00Z"), Some(Class::Content)), [false, false, true]);
        assert_eq!(due(Some("2026-11-28T13:00:00Z"), Some(Class::Credentials)), [true; 3]);
        assert_eq!(due(Some("2030-01-01T00:00:00Z"), Some(Class::Content)), [true; 3]);
    }

    /// Catches: a start that takes the mail of another run away from who waits for it, or its own: the front
    /// would end, and a container with it, while it is still being sent.
    #[test]
    fn what_was_just_made_is_its_makers() {
        let mut entry = sample("a");
        let due = |entry: &Entry, now| {
            [Urgency::Due, Urgency::Asked].map(|urgency| is_due(entry, at(now), urgency))
        };
        assert_eq!(due(&entry, "2026-11-21T09:30:00Z"), [false, true]);
        assert_eq!(due(&entry, "2026-11-21T09:30:29Z"), [false, true]);
        assert_eq!(due(&entry, "2026-11-21T09:30:30Z"), [true, true]);
        assert_eq!(due(&entry, "2020-01-01T00:00:00Z"), [true, true]);
        entry.attempt_count = 1;
        assert_eq!(due(&entry, "2026-11-21T09:30:01Z"), [true, true]);
    }

    /// Catches: ten flushes in a minute, or a clock set forward, that make a mail expire; one that is
    /// tried for ever.
    #[test]
    fn what_expires() {
        let mut entry = sample("a");
        let later = at("2026-11-26T09:30:00Z");
        let sooner = at("2026-11-26T09:29:59Z");
        entry.rounds = 10;
        assert!(expired(&entry, later, false) && !expired(&entry, sooner, false));
        assert!(!expired(&entry, at("2026-11-21T09:31:00Z"), false));
        entry.rounds = 9;
        assert!(!expired(&entry, at("2036-11-26T09:30:00Z"), false));
        assert!(expired(&entry, later, true) && !expired(&entry, sooner, true));
        entry.revived = Some(at("2026-11-25T00:00:00Z"));
        assert!(!expired(&entry, later, true), "its age counts anew");

        entry.next_try = Some(at("2026-11-26T12:00:00Z"));
        assert!(!counts(&entry, later) && counts(&entry, at("2026-11-26T12:00:00Z")));
        entry.next_try = None;
        assert!(counts(&entry, later));
    }
}
