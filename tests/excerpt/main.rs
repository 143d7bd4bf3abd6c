//! The end of the output as a terminal would have shown it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod any_bytes;
mod recordings;
