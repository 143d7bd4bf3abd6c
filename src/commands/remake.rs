//! The mail of a run made anew with less in it, for a provider that found it too large.

use std::fs::{Metadata, canonicalize, metadata, symlink_metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::common::Context;
use super::keep::Draft;
use super::notice;
use crate::cli::CommonArgs;
use crate::config::{Language, Overrides};
use crate::error::{Error, Kind, Result};
use crate::outbox::entry::Entry;
use crate::outbox::remake::Remake;
use crate::render::i18n::Lang;
use crate::run::facts::{End, LogPart, PartTrouble, RunFacts, RunId};
use crate::run::record::{FILE, Phase, RunRecord};
use crate::sys::paths::{self, RUNS};

/// A file server's clock may be ahead of ours by so much.
const SKEW: SignedDuration = SignedDuration::from_secs(1);

/// Writes the body, from what is kept of the run.
///
/// # Errors
/// `NotFound` when the run or its log is gone, or isn't what it was; `Config` when notify.toml can't be used;
/// `Storage`.
pub fn smaller(entry: &Entry, remake: &Remake) -> Result<()> {
    let gone = |what: &str| Error::new(Kind::NotFound, format!("{what} of mail {} is gone", entry.id));
    let (facts, overrides) = entry.run.as_ref().and_then(record).ok_or_else(|| gone("the run"))?;
    // Of a run that was taken for dead and ended after all, the record tells another story.
    if notice::entry_id(&facts) != entry.id {
        return Err(gone("the run's end"));
    }
    let ended = over_since(&facts);
    let log_is_there = || facts.log.iter().all(|part| is_as_it_was(part, ended));
    if !log_is_there() {
        return Err(gone("the log"));
    }
    let nothing = CommonArgs { config: None, verbose: false, quiet: false };
    let context = Context::new(&nothing, Overrides::default()).for_run(overrides);
    let loaded = context.load();
    if loaded.unusable() || loaded.settings.accounts.is_empty() {
        // What the user wants kept out of a mail may stand there.
        return Err(Error::new(Kind::Config, "what a mail may tell isn't known now"));
    }
    // Who sends it now, a timer, say, may have another locale.
    let lang = match entry.language {
        Language::Auto => context.lang(&loaded.settings),
        told => Lang::choose(told, None),
    };
    let mut draft = Draft::within(&facts, &loaded.settings, lang, remake.most);
    draft.leave_out(&|file| changed_since(file, ended));
    draft.write(&remake.body, &remake.parts(), entry.id.as_str())?;
    // Else there is less in it than in the plain form.
    if log_is_there() { Ok(()) } else { Err(gone("the log")) }
}

/// From then on the run wrote nothing.
fn over_since(facts: &RunFacts) -> Timestamp {
    match facts.end {
        End::Interrupted { last_output: Some(last), .. } => facts.ended.max(last),
        _ => facts.ended,
    }
}

/// Does the file still hold what the run has written? One of the user's own is written anew by the next run
/// of the same command line, and anything may be put in its place.
fn is_as_it_was(part: &LogPart, ended: Timestamp) -> bool {
    // Neither is read.
    if part.is_empty() || part.trouble == Some(PartTrouble::Replaced) {
        return true;
    }
    let Ok(meta) = symlink_metadata(&part.path) else { return false };
    let unchanged = || {
        // Its path had no links in it.
        !is_newer(&meta, ended) && canonicalize(&part.path).is_ok_and(|real| real == part.path)
    };
    meta.is_file() && meta.len() >= part.end && (part.spooled || unchanged())
}

/// Is the file, or what is there by its name, another one since?
fn changed_since(file: &Path, ended: Timestamp) -> bool {
    let found = [symlink_metadata(file), metadata(file)];
    found.into_iter().flatten().any(|meta| is_newer(&meta, ended))
}

/// A file that is moved keeps the time of its content, not that of its inode.
fn is_newer(meta: &Metadata, ended: Timestamp) -> bool {
    let changed = i32::try_from(meta.ctime_nsec()).ok().and_then(|ns| Timestamp::new(meta.ctime(), ns).ok());
    // What can't be said is taken for the worse.
    changed.is_none_or(|changed| changed.duration_since(ended) > SKEW)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::facts::Holds;

    fn part(path: &Path, spooled: bool) -> LogPart {
        LogPart {
            path: path.to_owned(),
            holds: Holds::Both,
            start: 2,
            end: 8,
            spooled,
            trouble: None,
            cut: None,
            kept: Vec::new(),
        }
    }

    /// Catches: the output of the next run, or a file of anybody's, mailed as this run's log; a mail that has
    /// less than the plain form, since its log is gone.
    #[test]
    fn only_a_log_as_it_was_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let log = dir.join("log");
        std::fs::write(&log, "12345678").unwrap();
        let now = crate::sys::clock::now();
        let hour = SignedDuration::from_hours(1);
        let (before, after) = (now - hour, now + hour);
        assert!(is_as_it_was(&part(&log, false), after));
        assert!(!is_as_it_was(&part(&log, false), before), "written since");
        assert!(is_as_it_was(&part(&log, true), before), "the spool is ours");
        let replaced = LogPart { trouble: Some(PartTrouble::Replaced), ..part(&log, false) };
        assert!(is_as_it_was(&replaced, before), "nothing of it is told");
        // Its content is an hour old, and so is its time: it was put here just now.
        let old = std::fs::File::options().write(true).open(&log).unwrap();
        old.set_modified((before - hour).into()).unwrap();
        assert!(!is_as_it_was(&part(&log, false), before));
        std::fs::create_dir(dir.join("folder")).unwrap();
        std::os::unix::fs::symlink(&log, dir.join("link")).unwrap();
        std::os::unix::fs::symlink(&dir, dir.join("elsewhere")).unwrap();
        for other in ["gone", "link", "folder"] {
            assert!(!is_as_it_was(&part(&dir.join(other), false), after), "{other}");
            assert!(!is_as_it_was(&part(&dir.join(other), true), after), "{other}");
        }
        assert!(!is_as_it_was(&part(&dir.join("elsewhere/log"), false), after));
        std::fs::write(&log, "1234567").unwrap();
        assert!(!is_as_it_was(&part(&log, true), after), "shorter");
        assert!(changed_since(&log, before) && !changed_since(&log, after));
        assert!(!changed_since(&dir.join("gone"), before), "of that another word is said");
    }
}
