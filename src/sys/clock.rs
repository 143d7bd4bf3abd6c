//! The clocks. Wall clock for what people read, monotonic for durations: a step of the wall clock
//! must not change how long a run took.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Wall-clock time now, whole microseconds.
///
/// Debug builds take `NOTIFY_DONE_TEST_CLOCK` (RFC 3339) instead, so that tests get the same mail
/// every time; a release build never looks at it.
pub fn now() -> Timestamp {
    #[cfg(debug_assertions)]
    if let Ok(fixed) = std::env::var("NOTIFY_DONE_TEST_CLOCK")
        && let Ok(at) = fixed.parse()
    {
        return at;
    }
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// A point on the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Mark(Instant);

impl Mark {
    pub fn now() -> Self {
        Self(Instant::now())
    }

    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// How much later than `earlier` it is.
    pub fn since(self, earlier: Mark) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }
}
