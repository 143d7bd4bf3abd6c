//! From a rendered report to the bytes of a mail.
//!
//! - [`limits`]: sizes on the wire, and what they leave for attachments. Pure.
//! - [`ladder`]: how much of a log goes, and in which shape; what next, when that doesn't fit. Pure.
//! - [`names`]: how attachments are called, and what that says of them. Pure.
//! - [`files`]: finds the files that the user asked to attach.
//! - [`prepare`]: decides, and packs what is to be packed (`pack`) in a folder of the mail's own, before
//!   the bodies are written, which say what was done.
//! - [`draft`]: the header block, written in front of the body when the mail is sent, because the
//!   sender may change by then. Pure.
//! - [`compose`]: the MIME body, streamed from the files to the outbox's; memory doesn't grow with them.
//!
//! A mail on the wire is `draft::header_block(…)` followed by the file that `compose::compose` wrote.

mod base64_lines;
pub mod compose;
pub mod draft;
pub mod files;
pub mod ladder;
pub mod limits;
pub mod names;
mod pack;
mod pieces;
pub mod prepare;

pub use pack::Filter;

#[cfg(test)]
mod testing;
