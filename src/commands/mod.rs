//! One file per command: the only wiring of the stages.

pub mod common;
pub mod keep;
pub mod notice;
pub mod outbox;
pub mod pipe;
pub mod preview;
pub mod prune;
pub mod run;
pub mod words;
