//! Which ends of a run are worth a mail. Decided by what was asked for at its start. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::facts::{End, Outcome};
use crate::config::On;

/// When a mail is made at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub on: On,
    pub min_duration: Duration,
    /// Someone is looking at the terminal: a command that can't even start is told there, and
    /// needs no mail.
    pub watched: bool,
}

impl Policy {
    pub fn wants(&self, end: End, duration: Duration) -> bool {
        if self.watched && matches!(end, End::NotStarted { .. }) {
            return false;
        }
        let by_outcome = match (self.on, end.outcome()) {
            (On::Always, _) | (On::Failure, Outcome::Failure) | (On::Success, Outcome::Success) => true,
            // Unknown (a pipe without a status, a run that nobody saw end) counts as an end of either
            // kind: better one mail too many.
            (_, Outcome::Unknown | Outcome::Interrupted) => true,
            (On::Failure, Outcome::Success) | (On::Success, Outcome::Failure) => false,
        };
        by_outcome && duration >= self.min_duration
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: End = End::Exited { code: 0 };
    const BAD: End = End::Exited { code: 3 };

    fn policy(on: On) -> Policy {
        Policy { on, min_duration: Duration::ZERO, watched: true }
    }

    #[test]
    fn on_decides_by_outcome_and_unknown_always_speaks() {
        let second = Duration::from_secs(1);
        assert!(policy(On::Always).wants(OK, second) && policy(On::Always).wants(BAD, second));
        assert!(!policy(On::Failure).wants(OK, second) && policy(On::Failure).wants(BAD, second));
        assert!(policy(On::Success).wants(OK, second) && !policy(On::Success).wants(BAD, second));
        assert!(policy(On::Failure).wants(End::Unknown, second));
    }

    #[test]
    fn a_short_run_is_no_news_and_a_typo_only_where_nobody_looks() {
        let long = Policy { min_duration: Duration::from_secs(60), ..policy(On::Always) };
        assert!(!long.wants(BAD, Duration::from_secs(59)));
        assert!(long.wants(BAD, Duration::from_secs(60)));
        let typo = End::NotStarted { errno: libc::ENOENT };
        assert!(!policy(On::Always).wants(typo, Duration::ZERO));
        assert!(Policy { watched: false, ..policy(On::Always) }.wants(typo, Duration::ZERO));
    }
}
