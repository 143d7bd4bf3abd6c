//! What is said of a run: its facts and the end of its output, made readable. Pure.

pub mod build;
mod clean;
pub mod excerpt;
pub mod headline;
pub mod model;
pub mod name;
mod programs;
pub mod screen;
pub mod text;
