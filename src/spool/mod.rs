//! The spool: the command's output on disk, raw, with an index of which stream wrote what when.
//!
//! `log` holds the bytes of both streams in order of arrival; `index` says for each range of it
//! which stream it came from and when. A run's folder is `state/runs/<id>/`.

pub mod index;
pub mod reader;
pub mod room;
pub mod tail;
pub mod writer;
