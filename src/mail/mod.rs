//! From a rendered report to the bytes of a mail.
//!
//! - [`draft`]: the header block, written in front of the body when the mail is sent, because the
//!   sender may change by then. Pure.

pub mod draft;

#[cfg(test)]
mod testing;
