//! The mail of a run made anew with less in it, for a provider that found it too large.

use std::path::PathBuf;

use super::common::Context;
use super::keep::Draft;
use super::notice;
use crate::cli::CommonArgs;
use crate::config::{Overrides, Settings};
use crate::error::{Error, Kind, Result};
use crate::outbox::entry::Entry;
use crate::outbox::remake::Remake;
use crate::render::i18n::Lang;
use crate::run::facts::{LogPart, RunFacts, RunId};
use crate::run::record::{FILE, Phase, RunRecord};
use crate::sys::paths::{self, RUNS};

/// Writes the body, from what is kept of the run.
///
/// # Errors
/// `NotFound` when the run or its log is gone; `Storage`.
pub fn smaller(entry: &Entry, remake: &Remake) -> Result<()> {
    let gone = |what: &str| Error::new(Kind::NotFound, format!("{what} of mail {} is gone", entry.id));
    let (facts, overrides) = entry.run.as_ref().and_then(record).ok_or_else(|| gone("the run"))?;
    // Of a run that was taken for dead and ended after all, the record tells another story.
    if notice::entry_id(&facts) != entry.id {
        return Err(gone("the run's end"));
    }
    let is_gone = |part: &LogPart| !part.is_empty() && !part.path.exists();
    if facts.log.iter().any(is_gone) {
        return Err(gone("the log"));
    }
    let nothing = CommonArgs { config: None, verbose: false, quiet: false };
    let context = Context::new(&nothing, Overrides::default()).for_run(overrides);
    let loaded = context.load();
    let lang = lang_of(entry, &facts, &loaded.settings, context.lang(&loaded.settings));
    let mut draft = Draft::within(&facts, &loaded.settings, lang, remake.most);
    draft.write(&remake.body, &remake.parts(), entry.id.as_str()).map(drop)
}

fn record(run: &RunId) -> Option<(RunFacts, Overrides)> {
    let files = paths::existing_state_roots()
        .into_iter()
        .map(|root| -> PathBuf { root.join(RUNS).join(&run.0).join(FILE) });
    let record = files.filter_map(|file| RunRecord::from_json(&std::fs::read(file).ok()?).ok()).next()?;
    match record.phase {
        Phase::Ended(facts) => Some((facts, record.overrides)),
        Phase::Running(_) => None,
    }
}

/// The language that it was made in: who sends it now, a timer, say, may have another locale.
fn lang_of(entry: &Entry, facts: &RunFacts, settings: &Settings, here: Lang) -> Lang {
    let says = |lang: &Lang| {
        Draft::whole_without_files(facts, settings, *lang).bare().rendered.subject == entry.subject
    };
    [here, Lang::En, Lang::Zh].into_iter().find(says).unwrap_or(here)
}
