//! What is known of an account across runs: may it be used now? Pure.
//!
//! A login that was refused is not repeated for each mail and each run: providers lock accounts for
//! that (one stale code is on record with 2,724 failed logins in three days). It is tried again at once
//! when the code, or how it is said, has changed; else three times more, further and further apart,
//! since QQ's words for a wrong code also stand for "busy".

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::schedule::{Urgency, is_past, next_try};
use crate::deliver::verdict::{Attempt, Class, Failure, Outcome, Stage};
use crate::error::{Error, Kind, Result};

/// The version that is written.
const VERSION: u32 = 1;
/// Logins that are made with a code that was refused once.
const MORE_LOGINS: u32 = 3;
/// Who has found an account unreachable needn't be waited for so soon again.
const UNREACHABLE: SignedDuration = SignedDuration::from_mins(10);

/// What is known of a login at a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub version: u32,
    /// What AUTH says, and to whom: for people; the file's name tells accounts apart.
    pub login: String,
    pub host: String,
    /// Random, for the tags.
    pub salt: String,
    #[serde(default)]
    pub refusal: Option<Refusal>,
    #[serde(default)]
    pub pause: Option<Pause>,
    /// When it was last found unreachable; None: it has answered since.
    #[serde(default)]
    pub unreachable: Option<Timestamp>,
}

/// The login was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Logins that were refused in a row.
    pub count: u32,
    pub last: Timestamp,
    /// Of the code and all that goes with it (`accounts::tag`).
    pub tag: String,
    pub failure: Failure,
}

/// The provider wants nothing from this account for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub until: Timestamp,
    /// Pauses in a row; each is longer.
    pub count: u32,
    pub failure: Failure,
}

/// May an account be used?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permit {
    Go,
    /// Not before `until`; None: not until its code changes, or somebody insists.
    Wait {
        until: Option<Timestamp>,
        failure: Failure,
    },
}

impl Health {
    pub fn new(login: &str, host: &str, salt: String) -> Self {
        Self {
            version: VERSION,
            login: login.to_owned(),
            host: host.to_owned(),
            salt,
            refusal: None,
            pause: None,
            unreachable: None,
        }
    }

    /// # Errors
    /// `Storage` when it is none, or a newer notify-done wrote it.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let unreadable = |why: &dyn std::fmt::Display| {
            Error::new(Kind::Storage, "this isn't the state of an account that can be read").because(why)
        };
        let health: Self = serde_json::from_slice(bytes).map_err(|e| unreadable(&e))?;
        if health.version > VERSION {
            return Err(unreadable(&"a newer notify-done wrote it"));
        }
        Ok(health)
    }

    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("strings, numbers and times have a JSON form");
        json.push(b'\n');
        json
    }

    /// May it be used now, with the code that has this tag?
    pub fn permit(&self, tag: &str, now: Timestamp, urgency: Urgency) -> Permit {
        if urgency == Urgency::Forced {
            return Permit::Go;
        }
        if let Some(refusal) = self.refusal.as_ref().filter(|refusal| refusal.tag == tag) {
            let until = refusal.next_login();
            if until.is_none_or(|until| !is_past(until, now)) {
                return Permit::Wait { until, failure: refusal.failure.clone() };
            }
        }
        // What may pass by itself may be asked for at once.
        let may_hurry = |pause: &Pause| urgency == Urgency::Asked && pause.failure.class == Class::Transient;
        match &self.pause {
            Some(pause) if !is_past(pause.until, now) && !may_hurry(pause) => {
                Permit::Wait { until: Some(pause.until), failure: pause.failure.clone() }
            }
            _ => Permit::Go,
        }
    }

    /// A login is about to be made again with a code that was refused: noted before, so that others see
    /// it. Is there something to note?
    pub fn reserve(&mut self, tag: &str, now: Timestamp) -> bool {
        let Some(refusal) = self.refusal.as_mut().filter(|refusal| refusal.tag == tag) else { return false };
        (refusal.count, refusal.last) = (refusal.count.saturating_add(1), now);
        true
    }

    /// What an attempt showed. `before` is what was known before it was reserved.
    pub fn learn(&mut self, before: &Health, attempt: &Attempt, tag: &str, now: Timestamp) {
        match &attempt.outcome {
            Outcome::Accepted { .. } => self.delivered(),
            Outcome::Failed(failure) | Outcome::Unknown(failure) => {
                self.learn_failure(before, failure, tag, now);
            }
        }
    }

    /// A mail was taken: all is well.
    pub fn delivered(&mut self) {
        (self.refusal, self.pause, self.unreachable) = (None, None, None);
    }

    /// The login was taken, and nobody knows yet how a mail would fare: who asked for less of them still
    /// waits.
    pub fn logged_in(&mut self) {
        (self.refusal, self.unreachable) = (None, None);
        self.pause.take_if(|pause| pause.failure.stage <= Stage::Auth);
    }

    /// What a failed attempt showed; see [`Health::learn`].
    pub fn learn_failure(&mut self, before: &Health, failure: &Failure, tag: &str, now: Timestamp) {
        if failure.stage == Stage::Prepare {
            self.refusal.clone_from(&before.refusal);
            return;
        }
        let answered = failure.stage > Stage::StartTls;
        self.unreachable = if answered || failure.class != Class::Transient { None } else { Some(now) };
        if failure.stage < Stage::Auth {
            // It didn't come to a login.
            self.refusal.clone_from(&before.refusal);
        } else if failure.stage > Stage::Auth {
            self.refusal = None;
        }
        match failure.class {
            Class::Credentials => {
                let known = before.refusal.as_ref().filter(|refusal| refusal.tag == tag);
                let count = known.map_or(1, |refusal| refusal.count.saturating_add(1));
                let (tag, failure) = (tag.to_owned(), failure.clone());
                self.refusal = Some(Refusal { count, last: now, tag, failure });
            }
            Class::DailyLimit => self.rest(before, failure, now),
            // One recipient's mailbox is no matter of the account.
            Class::Throttled if failure.stage != Stage::RcptTo => {
                self.rest(before, failure, now);
            }
            // The code was said, and the answer was silence or a closed door: some servers say "wrong" like
            // that. So the account waits, and not each mail by itself.
            Class::Transient if failure.stage == Stage::Auth => self.rest(before, failure, now),
            _ => {}
        }
    }

    fn rest(&mut self, before: &Health, failure: &Failure, now: Timestamp) {
        let count = before.pause.as_ref().map_or(1, |pause| pause.count.saturating_add(1));
        let until = next_try(failure.class, count, now);
        self.pause = until.map(|until| Pause { until, count, failure: failure.clone() });
    }

    /// When the account may be used by itself; None: not before its code changes.
    pub fn next_use(&self) -> Option<Timestamp> {
        match (&self.refusal, &self.pause) {
            (Some(refusal), _) => refusal.next_login(),
            (None, Some(pause)) => Some(pause.until),
            (None, None) => None,
        }
    }

    /// Was it found unreachable a moment ago?
    pub fn is_unreachable(&self, now: Timestamp) -> bool {
        self.unreachable.is_some_and(|at| {
            let since = now.duration_since(at);
            since >= SignedDuration::ZERO && since < UNREACHABLE
        })
    }
}

impl Refusal {
    /// When it is made again by itself; None: not before the code changes.
    pub fn next_login(&self) -> Option<Timestamp> {
        if self.count > MORE_LOGINS { None } else { next_try(Class::Credentials, self.count, self.last) }
    }
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
