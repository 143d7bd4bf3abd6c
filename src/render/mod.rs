//! A report put into words: the subject, a text body and an HTML body, in English or Chinese. Pure.

pub mod amount;
mod content;
mod en;
mod html;
pub mod i18n;
pub mod subject;
pub mod terminal;
mod text;
mod zh;

pub use i18n::Lang;

use crate::report::model::Report;
use crate::run::facts::{End, OutOfMemory};

/// A mail's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line of at most [`subject::MAX_COLUMNS`] columns.
    pub subject: String,
    /// Lines end in `\n`.
    pub text: String,
    /// A whole document of at most [`MAX_HTML_BYTES`].
    pub html: String,
}

/// Puts a report into words. `subject_template` is the user's (`mail.subject`); None: the built-in
/// subject.
pub fn render(report: &Report, lang: Lang, subject_template: Option<&str>) -> Rendered {
    Rendered {
        subject: subject::subject(report, lang, subject_template),
        text: text::text(report, lang),
        html: html::html(report, lang),
    }
}

/// The lesser form of a mail, for a provider that doesn't take the full one: the text alone under another
/// subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    pub subject: String,
    /// Lines end in `\n`.
    pub text: String,
}

/// Puts a report into the words of the plain form.
pub fn plain(report: &Report, lang: Lang) -> Plain {
    let reason = lang.strings().plain;
    let text = text::text(&report.without_attachments(), lang);
    Plain { subject: subject::plain(report, lang), text: format!("{reason}\n\n{text}") }
}

/// How a run ended, in a few words, as the subject has it.
pub fn state(end: End, memory: Option<OutOfMemory>, lang: Lang) -> String {
    content::state(end, memory, lang.strings())
}

/// The largest HTML body, bytes.
pub const MAX_HTML_BYTES: usize = html::MAX_BYTES;
