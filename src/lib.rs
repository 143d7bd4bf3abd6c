pub mod config;
pub mod deliver;
pub mod error;
pub mod mail;
pub mod outbox;
pub mod render;
pub mod report;
pub mod run;
pub mod spool;
pub mod sys;
pub mod app {
    pub fn main() {}
}
