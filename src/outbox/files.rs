//! Entries on disk, and what to say when reading or writing them fails.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use super::entry::{Entry, EntryId};
use super::remake::drop_remake;
use crate::error::{Error, Kind, Result};
use crate::sys::best_effort;
use crate::sys::fs::{Durability, open_ours, replace};

const ENTRY: &str = "entry.json";
const TEMPORARY: &str = ".entry.json.";
/// No entry of ours is larger, bytes.
const LARGEST: u64 = 4 << 20;
/// Most are smaller, bytes: then one read takes it all.
const USUAL: usize = 8 << 10;

/// True: done. False: another process was quicker.
pub(super) fn gone_is_fine(done: io::Result<()>) -> io::Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) fn read_entry(folder: &Path, id: &EntryId) -> Result<Entry> {
    let path = folder.join(ENTRY);
    let read = || {
        let mut bytes = Vec::with_capacity(USUAL);
        open_ours(&path)?.take(LARGEST).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error: io::Error| {
        if error.kind() == io::ErrorKind::NotFound && !folder.is_dir() {
            return Error::new(
                Kind::NotFound,
                format!("there is no mail {id} in {}", name_of(folder.parent())),
            )
            .hint("`notify-done outbox list` shows what there is");
        }
        trouble("can't read", &path, &error)
    })?;
    let entry = Entry::from_json(&bytes).map_err(|mut error| {
        error.what = format!("{}: {}", path.display(), error.what);
        error
    })?;
    if entry.id != *id {
        let what = format!("{}: it says that its id is {}", path.display(), entry.id);
        return Err(Error::new(Kind::Storage, what).hint("was the folder renamed? give it that name again"));
    }
    Ok(entry)
}

fn name_of(path: Option<&Path>) -> String {
    path.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Replaces entry.json: after a crash it is the old one or the new one.
pub(super) fn write_entry(folder: &Path, entry: &Entry) -> Result<()> {
    let path = folder.join(ENTRY);
    replace(&path, &entry.to_json()?, Durability::Synced)
        .map_err(|error| trouble("can't write", &path, &error))
}

/// Removes what a process that died in the middle of its work has left in an entry's folder: a record or a
/// body that was being written. The second may be as large as the mail, which may wait for days.
pub(super) fn sweep(folder: &Path) {
    drop_remake(folder);
    for file in fs::read_dir(folder).into_iter().flatten().flatten() {
        // `replace` writes under such names.
        if file.file_name().to_str().is_some_and(|name| name.starts_with(TEMPORARY)) {
            best_effort(fs::remove_file(file.path()));
        }
    }
}

pub(super) fn trouble(what: &str, path: &Path, error: &io::Error) -> Error {
    let told = Error::new(Kind::Storage, format!("{what} {}", path.display())).because(error);
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            told.hint("free some space on that disk, or set NOTIFY_DONE_STATE to a folder on another")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            told.hint("make that folder writable for you, or set NOTIFY_DONE_STATE to a folder that is")
        }
        _ => told,
    }
}
