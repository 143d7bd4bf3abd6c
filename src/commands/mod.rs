//! One file per command: the only wiring of the stages.

pub mod background;
mod browser;
pub mod claims;
pub mod common;
pub mod doctor;
pub mod event_words;
pub mod find;
pub mod keep;
pub mod missing;
pub mod notice;
pub mod outbox;
pub mod pipe;
pub mod preview;
mod private;
pub mod prune;
mod remake;
pub mod run;
pub mod runs;
pub mod runs_log;
pub mod runs_show;
pub mod runs_stop;
pub mod words;
