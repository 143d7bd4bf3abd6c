//! What lies in the outbox, for who only looks. Nothing is taken, so what is seen may be on its way.

use std::path::PathBuf;

use super::entry::{Entry, EntryId, Folder, Form};
use super::files::read_entry;
use super::store::{Place, Store, file_of};
use crate::error::{Kind, Result};

/// An entry as it was found.
#[derive(Debug)]
pub struct Seen {
    pub place: Place,
    pub folder: PathBuf,
    /// Why it can't be read, if so.
    pub entry: Result<Entry>,
}

impl Seen {
    /// The body's file; gone once the mail is delivered.
    pub fn body(&self, form: Form) -> PathBuf {
        self.folder.join(file_of(form))
    }
}

impl Store {
    /// The ids at a place, oldest first: one listing of a folder, however many there are.
    ///
    /// # Errors
    /// `Storage` when the folder can't be read.
    pub fn ids_at(&self, place: Place) -> Result<Vec<EntryId>> {
        match place {
            Place::In(folder) => self.list(folder),
            Place::Sending => self.sending(),
        }
    }

    /// The entry, looked for first where it was listed. None: it isn't there any more.
    ///
    /// # Errors
    /// `Storage` when a folder can't be read.
    pub fn look(&self, id: &EntryId, listed: Place) -> Result<Option<Seen>> {
        // In the order in which entries move, so that one on its way isn't missed; and new/ again, since a
        // try that failed goes back there.
        let new = Place::In(Folder::New);
        let way = [
            Place::In(Folder::Held),
            new,
            Place::Sending,
            Place::In(Folder::Sent),
            Place::In(Folder::Failed),
        ];
        for place in [listed].into_iter().chain(way).chain([new]) {
            if let Some(seen) = self.look_at(id, place)? {
                return Ok(Some(seen));
            }
        }
        Ok(None)
    }

    fn look_at(&self, id: &EntryId, place: Place) -> Result<Option<Seen>> {
        let folder = match place {
            Place::In(folder) => self.place(folder, id),
            Place::Sending => match self.claimed()?.into_iter().find(|(claimed, _)| claimed == id) {
                Some((_, folder)) => folder,
                None => return Ok(None),
            },
        };
        match read_entry(&folder, id) {
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            entry => Ok(Some(Seen { place, folder, entry })),
        }
    }
}
