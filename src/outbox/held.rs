//! Notices that wait for the user: which are kept, and which may go once there is an account.

use std::fs;

use super::entry::{EntryId, Folder, HeldReason, Whose};
use super::files::{gone_is_fine, read_entry, trouble, write_entry};
use super::store::Store;
use crate::error::Result;

/// Of the notices from before there was an account, this many are kept.
const KEPT: usize = 20;

/// Which held entries to let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    All,
    /// Those that a mistake in notify.toml held back, and of those from before there was an
    /// account the newest; the others are passed over for good, unless asked for by [`Which::All`].
    /// Who has just set up a mailbox wants to see a mail, not his first twenty tries.
    Fresh,
}

impl Store {
    /// Lets held entries of `whose` go out: held/ → new/. Those that can't be read stay.
    ///
    /// # Errors
    /// `Storage` when the folder can't be read, or when nothing could be let go: the first reason.
    pub fn release(&self, which: Which, whose: &Whose) -> Result<Vec<EntryId>> {
        let mut first_error = None;
        let mut released = Vec::new();
        let mut newest_seen = false;
        for id in self.held(whose)?.into_iter().rev() {
            match self.release_one(&id, which, &mut newest_seen) {
                Ok(true) => released.push(id),
                Ok(false) => {}
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        released.reverse();
        match first_error {
            Some(error) if released.is_empty() => Err(error),
            _ => Ok(released),
        }
    }

    /// The held entries of `whose`, oldest first.
    ///
    /// # Errors
    /// `Storage` when the folder can't be read.
    pub fn held(&self, whose: &Whose) -> Result<Vec<EntryId>> {
        let mut ids = self.list(Folder::Held)?;
        ids.retain(|id| whose.has(self.load(Folder::Held, id).ok().as_ref()));
        Ok(ids)
    }

    fn release_one(&self, id: &EntryId, which: Which, newest_seen: &mut bool) -> Result<bool> {
        let from = self.place(Folder::Held, id);
        let mut entry = read_entry(&from, id)?;
        let goes = match (which, entry.held) {
            (Which::All, _) | (Which::Fresh, Some(HeldReason::Config) | None) => true,
            (Which::Fresh, Some(HeldReason::NoAccount)) => !std::mem::replace(newest_seen, true),
            (Which::Fresh, Some(HeldReason::PassedOver)) => return Ok(false),
        };
        entry.held = if goes { None } else { Some(HeldReason::PassedOver) };
        write_entry(&from, &entry)?;
        if goes {
            self.rename(&from, &self.place(Folder::New, id))?;
        }
        Ok(goes)
    }

    /// Held for want of an account are kept only the newest: nobody waits for the rest.
    pub(super) fn trim_held(&self) -> Result<()> {
        let mut surplus = Vec::new();
        for id in self.list(Folder::Held)? {
            // What can't be read is left alone.
            if self.load(Folder::Held, &id).is_ok_and(|entry| entry.held != Some(HeldReason::Config)) {
                surplus.push(id);
            }
        }
        surplus.truncate(surplus.len().saturating_sub(KEPT));
        for id in &surplus {
            let path = self.place(Folder::Held, id);
            gone_is_fine(fs::remove_dir_all(&path))
                .map_err(|error| trouble("can't remove", &path, &error))?;
        }
        Ok(())
    }
}
