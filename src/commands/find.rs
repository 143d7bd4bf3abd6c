//! Finds runs on this machine and says how it stands with each.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::run::alive::{Lookout, last_sign, lock_seen};
use crate::run::facts::{LogPart, RunFacts};
use crate::run::interrupted::{facts, log_so_far};
use crate::run::life::{Life, LockSeen};
use crate::run::record::{FILE, Phase, RunRecord};
use crate::sys::clock::Mark;
use crate::sys::paths;

/// A run's record is there this long after its start, at most.
const RECORD_COMES: Duration = Duration::from_secs(2);
/// More runs than this aren't listed where one was meant.
const SHOWN: usize = 5;

/// A run as it stands now.
#[derive(Debug)]
pub struct View {
    pub folder: PathBuf,
    pub record: RunRecord,
    pub state: State,
}

#[derive(Debug)]
pub enum State {
    Running,
    /// It runs, or ran, where nobody can look, and hasn't been silent for long.
    Unheard,
    /// It ended, or was cut off: then these are what it left behind, told or not.
    Over(Box<RunFacts>),
}

impl View {
    pub fn id(&self) -> &str {
        &self.record.start().id.0
    }

    /// The parts of its log as they are now.
    pub fn log(&self) -> Vec<LogPart> {
        match (&self.state, &self.record.underway) {
            (State::Over(facts), _) => facts.log.clone(),
            (_, Some(underway)) => log_so_far(&self.folder, &underway.log),
            (_, None) => Vec::new(),
        }
    }
}

/// Reads the run in `folder` and looks how it stands with it.
///
/// # Errors
/// `Storage` when its record can't be read.
pub fn view(folder: &Path) -> Result<View> {
    let lookout = Lookout::new(folder.parent().unwrap_or(folder));
    let mut record = read(folder)?;
    if let (Phase::Running(_), Some(underway)) = (&record.phase, &record.underway) {
        let life = lookout.life(folder, &underway.owner);
        // Again: it may have ended meanwhile.
        record = read(folder)?;
        if let (Phase::Running(start), Some(underway)) = (&record.phase, &record.underway) {
            let state = match life {
                Life::Alive => State::Running,
                Life::Unknown => State::Unheard,
                Life::Dead(why) => State::Over(Box::new(facts(
                    folder,
                    start,
                    underway,
                    last_sign(folder),
                    (why, &lookout.here),
                ))),
            };
            return Ok(View { folder: folder.to_owned(), record, state });
        }
    }
    let state = match &record.phase {
        Phase::Running(_) => State::Unheard,
        Phase::Ended(facts) => State::Over(Box::new(facts.clone())),
    };
    Ok(View { folder: folder.to_owned(), record, state })
}

fn read(folder: &Path) -> Result<RunRecord> {
    wait_for_record(folder);
    let path = folder.join(FILE);
    let json = std::fs::read(&path)
        .map_err(|e| Error::new(Kind::Storage, format!("can't read {}", path.display())).because(e))?;
    RunRecord::from_json(&json).map_err(|e| e.hint(path.display().to_string()))
}

/// A run that has just begun isn't on record yet, but has its lock.
fn wait_for_record(folder: &Path) {
    let since = Mark::now();
    let began = || !folder.join(FILE).is_file() && lock_seen(folder) == LockSeen::Taken;
    while since.elapsed() < RECORD_COMES && began() {
        // Whoever writes it can't be waited for: it may be on another host.
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// All runs that are kept, oldest first; the error of one whose record can't be read in its place.
pub fn all() -> Vec<(PathBuf, Result<View>)> {
    folders().into_iter().map(|folder| (folder.clone(), view(&folder))).collect()
}

/// The run that `id` means: its id, or enough of its beginning, or of the part behind the `-`. None:
/// the last one.
///
/// # Errors
/// `NotFound` when there is none, or more than one; `Storage` when it can't be read.
pub fn find(id: Option<&str>) -> Result<View> {
    let folders = folders();
    let Some(id) = id else {
        let last = folders.last().ok_or_else(|| {
            Error::new(Kind::NotFound, "there is no run to show yet")
                .hint("make one: notify-done -- echo hello")
        })?;
        return view(last);
    };
    let found: Vec<&PathBuf> = folders.iter().filter(|folder| is_meant(id, &name(folder))).collect();
    match found[..] {
        [] => Err(Error::new(Kind::NotFound, format!("there is no run `{id}`")).hint(
            "`notify-done runs list` shows the runs that are kept; each mail names its run at the end",
        )),
        [folder] => view(folder),
        _ => match found.iter().find(|folder| name(folder) == id) {
            Some(folder) => view(folder),
            None => Err(ambiguous(id, &found)),
        },
    }
}

fn ambiguous(id: &str, found: &[&PathBuf]) -> Error {
    let error = Error::new(Kind::NotFound, format!("`{id}` means {} runs", found.len()));
    let newest = found.iter().rev().take(SHOWN);
    newest.fold(error, |error, folder| error.hint(name(folder)))
}

/// Does a user who types `id` mean what has this name: a run, or its notice?
pub(super) fn is_meant(id: &str, name: &str) -> bool {
    !id.is_empty() && (name.starts_with(id) || random_part(name).starts_with(id))
}

/// What stands behind the time in an id.
pub(super) fn random_part(name: &str) -> &str {
    name.split_once('-').map_or("", |(_, random)| random)
}

/// Folders come from a listing, so they have a name.
fn name(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The folders of runs that are on record, or about to be, oldest first.
fn folders() -> Vec<PathBuf> {
    let roots = paths::existing_state_roots().into_iter().map(|root| root.join("runs"));
    let entries = roots.filter_map(|runs| std::fs::read_dir(runs).ok()).flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    folders.retain(|folder| folder.join(FILE).is_file() || lock_seen(folder) == LockSeen::Taken);
    // Ids sort by time.
    folders.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches: an id from outside that is taken for a path or for everything.
    #[test]
    fn what_is_meant_begins_the_id_or_its_random_part() {
        let name = "20261121T093000123456-1a2b3c4d";
        for id in [name, "2026", "20261121T0930", "1a2b", "1a2b3c4d"] {
            assert!(is_meant(id, name), "{id}");
        }
        for id in ["", ".", "..", "a2b", "1a2b3c4d5", "123456", "../1a2b"] {
            assert!(!is_meant(id, name), "{id}");
        }
    }
}
