//! Takes down a dialogue with the time of each line.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::transcript::Transcript;

/// A handle on a [`Transcript`], which so outlives the connections that it tells of. Its clock
/// starts when it is made.
#[derive(Debug, Clone)]
pub struct Recorder {
    begin: Instant,
    transcript: Arc<Mutex<Transcript>>,
}

impl Recorder {
    #[allow(clippy::new_without_default, reason = "it starts a clock")]
    pub fn new() -> Self {
        Self { begin: Instant::now(), transcript: Arc::default() }
    }

    /// What was said so far.
    pub fn transcript(&self) -> Transcript {
        self.transcript.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note(&self, write: impl FnOnce(&mut Transcript, Duration)) {
        let since_start = self.begin.elapsed();
        write(&mut self.transcript.lock().unwrap_or_else(PoisonError::into_inner), since_start);
    }
}
