//! Handing one mail to one account's server, and saying what came of it.
//!
//! [`courier::Courier`] speaks the protocol and returns facts ([`verdict`]); [`diagnose`] turns them
//! into a class, a cause and a fix in words. Whether and when to try again is `outbox/`'s business.

mod body;
mod codes;
mod connect;
pub mod courier;
pub mod diagnose;
pub mod ehlo;
mod eyeballs;
pub mod job;
mod login;
mod meanings;
pub mod probe;
pub mod recorder;
mod replies;
mod reply;
mod session;
mod smtp;
mod tls;
pub mod transcript;
pub mod verdict;
mod wire;
mod words;

#[cfg(test)]
mod fallback_tests;
#[cfg(test)]
mod memory_tests;
#[cfg(test)]
pub(crate) mod responder;
#[cfg(test)]
mod smtp_faults;
#[cfg(test)]
mod testing;
