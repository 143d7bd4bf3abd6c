//! Private folders, files that are whole after a crash, and what to say when that fails.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::entry::{Entry, EntryId};
use crate::error::{Error, Kind, Result};

const ENTRY: &str = "entry.json";

/// True: done. False: another process was quicker.
pub(super) fn gone_is_fine(done: io::Result<()>) -> io::Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) fn make_private(path: &Path) -> io::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.and_then(|()| {
        let now = fs::metadata(path)?.permissions().mode() & 0o7777;
        // Only when it differs: a folder of another owner that is right as it is stays usable.
        if now == 0o700 { Ok(()) } else { fs::set_permissions(path, fs::Permissions::from_mode(0o700)) }
    })
}

pub(super) fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

pub(super) fn read_entry(folder: &Path, id: &EntryId) -> Result<Entry> {
    let path = folder.join(ENTRY);
    let bytes = fs::read(&path).map_err(|error| {
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
    let (path, new) = (folder.join(ENTRY), folder.join("entry.json.tmp"));
    let json = entry.to_json()?;
    let written = create(&new)
        .and_then(|mut file| file.write_all(&json).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&new, &path))
        .and_then(|()| sync_folder(folder));
    written.map_err(|error| trouble("can't write", &path, &error))
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
