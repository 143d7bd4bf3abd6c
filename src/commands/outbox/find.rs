//! Finds mails in the outbox by what the user types.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::super::find::{is_meant, random_part};
use crate::error::{Error, Kind, Result};
use crate::outbox::entry::{EntryId, Folder};
use crate::outbox::look::Seen;
use crate::outbox::store::{Place, Store};

/// More than this aren't listed where one was meant.
const SHOWN: usize = 5;

/// Where entries may be, in the order in which they move.
pub const PLACES: [Place; 5] = [
    Place::In(Folder::Held),
    Place::In(Folder::New),
    Place::Sending,
    Place::In(Folder::Sent),
    Place::In(Folder::Failed),
];

/// An entry and its outbox.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    pub store: &'a Store,
    pub id: EntryId,
}

impl Found<'_> {
    /// As it is now. None: it isn't there any more.
    ///
    /// # Errors
    /// `Storage`.
    pub fn look(&self) -> Result<Option<Seen>> {
        self.store.look(&self.id, Place::In(Folder::New))
    }

    /// The notify.toml that its run was given; None also when that can't be read.
    pub fn config(&self) -> Option<PathBuf> {
        self.look().ok()??.entry.ok()?.addressing.config
    }
}

/// The names of all entries there are: one listing of each folder.
#[derive(Debug)]
pub struct Names<'a> {
    stores: &'a [Store],
    /// By time.
    all: BTreeSet<(EntryId, usize)>,
}

impl<'a> Names<'a> {
    /// # Errors
    /// `Storage` when a folder can't be read.
    pub fn of(stores: &'a [Store], places: &[Place]) -> Result<Self> {
        let mut all = BTreeSet::new();
        for (n, store) in stores.iter().enumerate() {
            for place in places {
                all.extend(store.ids_at(*place)?.into_iter().map(|id| (id, n)));
            }
        }
        Ok(Self { stores, all })
    }

    /// All of them, oldest first.
    pub fn all(&self) -> Vec<Found<'a>> {
        self.all.iter().map(|name| self.found(name)).collect()
    }

    fn found(&self, (id, n): &(EntryId, usize)) -> Found<'a> {
        Found { store: &self.stores[*n], id: id.clone() }
    }

    /// The newest.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn newest(&self) -> Result<Found<'a>> {
        self.all.last().map(|name| self.found(name)).ok_or_else(|| {
            Error::new(Kind::NotFound, "there is no mail in the outbox yet")
                .hint("each run that ends leaves one: notify-done -- echo hello")
        })
    }

    /// The one that `typed` means: its id or its run's, or enough of the beginning, or of the part behind
    /// the `-`.
    ///
    /// # Errors
    /// `NotFound` when there is none, or more than one.
    pub fn find(&self, typed: &str) -> Result<Found<'a>> {
        let meant: Vec<_> = self.all.iter().filter(|(id, _)| is_meant(typed, id.as_str())).collect();
        // A run that was taken for dead and ended after all has two notices, one named by the run itself.
        let exact = |(id, _): &&&(EntryId, usize)| id.as_str() == typed || random_part(id.as_str()) == typed;
        let named: Vec<_> = meant.iter().filter(exact).collect();
        match (&meant[..], &named[..]) {
            ([], _) => Err(Error::new(Kind::NotFound, format!("there is no mail `{typed}` in the outbox"))
                .hint("`notify-done outbox list --all` shows what there is")),
            ([one], _) => Ok(self.found(one)),
            (_, [one]) => Ok(self.found(one)),
            _ => {
                let error = Error::new(Kind::NotFound, format!("`{typed}` means {} mails", meant.len()));
                let newest = meant.iter().rev().take(SHOWN);
                Err(newest.fold(error, |error, (id, _)| error.hint(id.as_str())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::store_tests::{open, put};

    /// Catches: another mail than the one that is named, one of several taken at random, one that has just
    /// moved counted twice.
    #[test]
    fn a_mail_is_found_by_enough_of_its_id() {
        let folder = tempfile::tempdir().unwrap();
        let stores = [open(&folder.path().join("one")), open(&folder.path().join("two"))];
        let run = "20261121T093000123456-1a2b3c4d";
        put(&stores[0], run, Folder::New);
        put(&stores[0], "20261121T093000123456-1a2b3c4d-cut", Folder::Failed);
        put(&stores[0], "20261122T093000123456-5e6f7a8b", Folder::Held);
        put(&stores[1], "20261123T093000123456-5e9f7a8b", Folder::Failed);
        let names = Names::of(&stores, &PLACES).unwrap();
        for (typed, id) in [
            (run, run),
            ("1a2b3c4d", run),
            ("1a2b3c4d-c", "20261121T093000123456-1a2b3c4d-cut"),
            ("20261122", "20261122T093000123456-5e6f7a8b"),
            ("5e9", "20261123T093000123456-5e9f7a8b"),
        ] {
            assert_eq!(names.find(typed).unwrap().id.as_str(), id, "{typed}");
        }
        assert_eq!(names.newest().unwrap().id.as_str(), "20261123T093000123456-5e9f7a8b");
        let seen = names.find("5e9").unwrap().look().unwrap().unwrap();
        assert_eq!(seen.place, Place::In(Folder::Failed));
        for (typed, says) in [("", "no mail"), ("../new", "no mail"), ("x", "no mail"), ("1a2b", "means 2")] {
            let error = names.find(typed).unwrap_err();
            assert!(error.kind == Kind::NotFound && error.what.contains(says), "{error}");
        }
        put(&stores[0], run, Folder::Failed);
        assert_eq!(Names::of(&stores, &PLACES).unwrap().all().len(), 4);
    }
}
