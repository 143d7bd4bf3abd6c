//! The colours of a mail. Pure.
//!
//! All of them stand inline, for a light surrounding: that is what a client shows that drops
//! `<style>` (older Chinese ones, many apps), and what the others start from that turn light mails
//! dark by themselves (Gmail, Outlook, QQ): each text has a colour and a background of its own, so both
//! are turned. Those that ask `prefers-color-scheme` (Apple Mail, Thunderbird) get [`STYLE`]'s colours,
//! by classes that mean nothing elsewhere.

use crate::run::facts::Outcome;

pub const PAGE: &str = "#eef1f4";
pub const CARD: &str = "#ffffff";
pub const INK: &str = "#1f2328";
pub const SOFT: &str = "#57606a";
pub const RULE: &str = "#d8dee4";
pub const WARNING: &str = "#b3261e";
pub const LINK: &str = "#0550ae";
pub const NOTE: &str = "#fff8e1";
pub const NOTE_INK: &str = "#3d3200";
pub const TAG: &str = "#e3ebf5";
pub const TAG_INK: &str = "#1f3a5f";

/// For a dark surrounding. Nothing but colours: without it, nothing but colours is lost.
pub const STYLE: &str = "<style>:root{color-scheme:light dark}\
@media (prefers-color-scheme:dark){\
.nd-page{background-color:#0b0f14!important}\
.nd-card{background-color:#171d26!important}\
.nd-ink{color:#e6ebf1!important}\
.nd-soft{color:#a9b4c0!important}\
.nd-rule{border-color:#333d49!important}\
.nd-warn{color:#ff9f95!important}\
.nd-link{color:#8cc2ff!important}\
.nd-note{background-color:#332a0f!important;color:#f3e2a8!important}\
.nd-tag{background-color:#24364f!important;color:#c4daf5!important}\
.nd-panel{background-color:#0b0f14!important}\
.nd-ok{color:#7ee787!important}\
.nd-bad{color:#ff9f95!important}\
.nd-end{color:#c3ced9!important}\
.nd-cut{color:#f0b95a!important}\
.nd-ok-box{background-color:#14271b!important;color:#aff5b4!important}\
.nd-bad-box{background-color:#3a1a1a!important;color:#ffc9c2!important}\
.nd-end-box{background-color:#232c38!important;color:#dbe3ec!important}\
.nd-cut-box{background-color:#37280f!important;color:#f7d9a3!important}\
}</style>";

/// The colours of an outcome.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// The class of a text in `colour` on the card; with `-box`, of a box in `tint`.
    pub class: &'static str,
    /// A band in it takes white text, and on the card it can be read.
    pub colour: &'static str,
    /// A box that belongs to the band, and the text in it.
    pub tint: &'static str,
    pub tint_ink: &'static str,
}

pub fn look(outcome: Outcome) -> Look {
    let (class, colour, tint, tint_ink) = match outcome {
        Outcome::Success => ("nd-ok", "#1a7f37", "#e6f4ea", "#0f5323"),
        Outcome::Failure => ("nd-bad", "#c62828", "#fdeceb", "#8c1d18"),
        Outcome::Unknown => ("nd-end", "#44546a", "#e9edf2", "#2f3b4a"),
        Outcome::Interrupted => ("nd-cut", "#9a5b00", "#fff1dc", "#6b3f00"),
    };
    Look { class, colour, tint, tint_ink }
}
