//! From a rendered report to the bytes of a mail.
//!
//! - [`limits`]: what of the log fits, by name and byte range. Pure.
//! - [`draft`]: the header block, written in front of the body when the mail is sent, because the
//!   sender may change by then. Pure.
//! - [`compose`]: the MIME body, streamed from the log to the outbox's file; memory doesn't grow
//!   with the log.
//!
//! A mail on the wire is `draft::header_block(…)` followed by the file that `compose::compose` wrote.

mod base64_lines;
pub mod compose;
pub mod draft;
pub mod limits;

#[cfg(test)]
mod testing;
