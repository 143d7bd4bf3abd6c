//! The output of a program that runs, as far as it has come.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What has come so far from one of the child's outputs.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) bytes: Vec<u8>,
    pub(super) ended: bool,
}

#[derive(Clone, Default)]
pub(super) struct Stream {
    collected: Arc<Mutex<Collected>>,
    changed: Arc<Condvar>,
}

impl Stream {
    pub(super) fn read(mut from: impl Read + Send + 'static) -> Self {
        let stream = Self::default();
        let theirs = stream.clone();
        std::thread::spawn(move || {
            let mut chunk = [0; 65_536];
            loop {
                let count = from.read(&mut chunk).unwrap_or(0);
                let mut collected = theirs.collected();
                collected.bytes.extend_from_slice(&chunk[..count]);
                collected.ended = count == 0;
                theirs.changed.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        stream
    }

    fn collected(&self) -> MutexGuard<'_, Collected> {
        self.collected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `reached`; false: the output or the time ended without it.
    pub(super) fn wait(&self, end: Instant, reached: impl Fn(&Collected) -> bool) -> bool {
        let mut collected = self.collected();
        loop {
            if reached(&collected) {
                return true;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || collected.ended {
                return false;
            }
            collected = self.changed.wait_timeout(collected, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.collected().bytes.clone()
    }
}
