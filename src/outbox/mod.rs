//! Messages on disk until they are delivered: never lost, never sent by two at once.
//!
//! [`entry`] says what is kept and how it changes, [`store`] keeps it durably, [`claim`] sees to it
//! that one process has an entry at a time, [`drain`] takes what waits and tries to deliver it.

pub mod accounts;
mod attempt;
pub mod choice;
pub mod claim;
mod conclude;
pub mod drain;
pub mod entry;
pub mod event;
mod files;
pub mod health;
pub mod held;
pub mod look;
mod recipients;
pub mod remake;
pub mod revive;
mod round;
pub mod schedule;
pub mod store;

#[cfg(test)]
mod drain_tests;
#[cfg(test)]
mod round_tests;
#[cfg(test)]
pub(crate) mod store_tests;
