//! What the whole-path tests share: a hermetic environment, a scripted SMTP server, and a parser of
//! mail that isn't ours. Used by `mod support;` in a file of `tests/`.

// Each test crate uses a part of it.
#![allow(dead_code)]

mod collect;
pub mod env;
pub mod parse;
pub mod script;
mod session;
pub mod smtp;
mod syntax;
pub mod tls;
pub mod wait;
mod wire;
