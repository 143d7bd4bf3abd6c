//! When to try again, by the class of the last failure. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::deliver::verdict::Class;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;

/// The time of the next try after `tries` failed ones (the last included) of this class.
/// None: no later try of the same mail can succeed.
pub fn next_try(class: Class, tries: u32, now: Timestamp) -> Option<Timestamp> {
    let before = tries.saturating_sub(1);
    let doubled = |first: i64, most: i64| (first << before.min(20)).min(most);
    let seconds = match class {
        Class::Transient | Class::Unknown => doubled(MINUTE, 4 * HOUR),
        Class::Throttled => doubled(HOUR, 24 * HOUR),
        // QQ says the same for "wrong code" and "busy", so it isn't final; but each refused login
        // brings the account closer to being locked.
        Class::Credentials | Class::Settings => match before {
            0 => HOUR,
            1 => 6 * HOUR,
            _ => 24 * HOUR,
        },
        Class::DailyLimit => 24 * HOUR,
        Class::Content | Class::TooLarge | Class::Permanent => return None,
    };
    now.checked_add(SignedDuration::from_secs(seconds)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(class: Class, tries: &[u32]) -> Vec<i64> {
        let now = Timestamp::UNIX_EPOCH;
        tries.iter().map(|n| next_try(class, *n, now).unwrap().as_second()).collect()
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
}
