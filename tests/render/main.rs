//! From facts and raw bytes to subject, text and HTML, as a reader gets them.

// clippy allows it in the test functions themselves only, not in what they share.
#![allow(clippy::unwrap_used)]

mod cases;
mod generated;
mod parsed;
mod words;
