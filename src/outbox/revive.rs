//! What a user does to entries by hand: to have one tried anew, or removed.
//!
//! Neither ever meets a process that sends: out of new/ an entry is taken by the same rename as for
//! sending, and nobody takes one out of held/ or failed/ to send it there.

use std::fs;
use std::path::Path;

use jiff::Timestamp;

use super::entry::{EntryId, Folder};
use super::files::{read_entry, write_entry};
use super::store::{Place, Store};
use crate::error::{Kind, Result};
use crate::sys::best_effort;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Done,
    /// A process is sending it.
    Sending,
    /// It is delivered.
    Sent,
    /// It isn't there.
    Gone,
}

/// Where an entry may be taken from by hand, in the order in which it moves.
const AT_REST: [Folder; 3] = [Folder::Held, Folder::New, Folder::Failed];

impl Store {
    /// Puts an entry that waits or was given up into new/, as if it had never been tried
    /// ([`super::entry::Entry::revive`]). After a crash it is as it was, or its record is new and it lies
    /// where it lay: to be revived again.
    ///
    /// # Errors
    /// `Storage`; then it is where it was.
    pub fn revive(&self, id: &EntryId, now: Timestamp) -> Result<Change> {
        for folder in AT_REST {
            let revived = match folder {
                Folder::New => self.revive_waiting(id, now)?,
                _ => self.revive_at(&self.place(folder, id), id, now)?,
            };
            if revived {
                return Ok(Change::Done);
            }
        }
        self.why_not(id)
    }

    fn revive_waiting(&self, id: &EntryId, now: Timestamp) -> Result<bool> {
        let Some(mut claim) = self.claim(id)? else { return Ok(false) };
        // What a process that died has left unsaid counts: the mail may have arrived.
        claim.entry.record_interruption();
        claim.entry.revive(now);
        claim.settle(Folder::New)?;
        Ok(true)
    }

    fn revive_at(&self, from: &Path, id: &EntryId, now: Timestamp) -> Result<bool> {
        let mut entry = match read_entry(from, id) {
            Err(error) if error.kind == Kind::NotFound => return Ok(false),
            read => read?,
        };
        entry.revive(now);
        write_entry(from, &entry)?;
        self.rename(from, &self.place(Folder::New, id))?;
        Ok(true)
    }

    /// Removes an entry that waits or was given up, for good, be it readable or not. First it goes out
    /// of everybody's sight by one rename, so that no crash leaves half of it to be sent.
    ///
    /// # Errors
    /// `Storage`.
    pub fn discard(&self, id: &EntryId) -> Result<Change> {
        for folder in AT_REST {
            let (from, aside) = (self.place(folder, id), self.aside(id));
            match self.rename(&from, &aside) {
                Ok(()) => {
                    // Else `recover` does it once this process has ended.
                    best_effort(fs::remove_dir_all(&aside));
                    return Ok(Change::Done);
                }
                Err(_) if !from.is_dir() && !aside.is_dir() => {}
                Err(error) => return Err(error),
            }
        }
        self.why_not(id)
    }

    fn why_not(&self, id: &EntryId) -> Result<Change> {
        Ok(match self.find(id)? {
            Some(Place::In(Folder::Sent)) => Change::Sent,
            // Elsewhere: taken out of our hands this very moment.
            Some(Place::Sending | Place::In(_)) => Change::Sending,
            None => Change::Gone,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::verdict::{Cause, Class, Reply};
    use crate::outbox::entry::{GaveUp, HeldReason, Recipients, State};
    use crate::outbox::store_tests::{dead_owner, id, open, put};

    fn now() -> Timestamp {
        "2026-11-28T12:00:00Z".parse().unwrap()
    }

    /// Catches: an entry revived in place only, or without what makes it due, or twice.
    #[test]
    fn what_was_given_up_waits_again_as_if_never_tried() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        put(&store, "a", Folder::New);
        let mut claim = store.claim(&id("a")).unwrap().unwrap();
        let to = crate::config::Mailbox { name: None, address: "a@example.com".into() };
        let mut recipients = Recipients::new(vec![to], Vec::new(), Vec::new());
        let cause = Cause::Reply(Reply { code: 550, text: "no".into() });
        recipients.states[0].state = State::Refused { class: Class::Permanent, cause };
        claim.entry.recipients = Some(recipients);
        (claim.entry.gave_up, claim.entry.rounds) = (Some(GaveUp::Refused), 7);
        claim.settle(Folder::Failed).unwrap();
        assert_eq!(store.revive(&id("a"), now()).unwrap(), Change::Done);
        assert_eq!(store.find(&id("a")).unwrap(), Some(Place::In(Folder::New)));
        let entry = store.load(Folder::New, &id("a")).unwrap();
        assert_eq!((entry.gave_up, entry.rounds, entry.revived), (None, 0, Some(now())));
        assert_eq!(entry.recipients, None);
        assert!(fs::read(folder.path().join("outbox/new/a/body.mime")).unwrap().ends_with(b"hello\r\n"));
        assert_eq!(store.revive(&id("a"), now()).unwrap(), Change::Done, "it waits: its wait ends");
        assert_eq!(store.revive(&id("b"), now()).unwrap(), Change::Gone);
    }

    /// Catches: a mail that waits for the user which stays in held/, or comes out still marked as held.
    #[test]
    fn what_is_held_is_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        put(&store, "a", Folder::Held);
        assert_eq!(store.load(Folder::Held, &id("a")).unwrap().held, Some(HeldReason::NoAccount));
        assert_eq!(store.revive(&id("a"), now()).unwrap(), Change::Done);
        assert_eq!(store.load(Folder::New, &id("a")).unwrap().held, None);
    }

    /// Catches: a mail sent by another account, and so twice, since nobody noted that it may have arrived.
    #[test]
    fn a_mail_that_may_have_arrived_stays_with_its_account() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        put(&store, "a", Folder::New);
        let mut claim = store.claim(&id("a")).unwrap().unwrap();
        claim.entry.record_body_sent("qq", vec!["a@example.com".into()], now());
        claim.save().unwrap();
        let sending = folder.path().join("outbox/sending");
        let taken = fs::read_dir(&sending).unwrap().next().unwrap().unwrap().path();
        fs::rename(&taken, sending.join(format!("a@{}", dead_owner()))).unwrap();
        store.recover().unwrap();
        assert_eq!(store.revive(&id("a"), now()).unwrap(), Change::Done);
        let entry = store.load(Folder::New, &id("a")).unwrap();
        assert_eq!((entry.pinned.as_deref(), entry.in_flight), (Some("qq"), None));
    }

    /// Catches: a mail taken out of the hands of the process that sends it, or a receipt that is removed.
    #[test]
    fn what_is_being_sent_or_was_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        put(&store, "a", Folder::New);
        let claim = store.claim(&id("a")).unwrap().unwrap();
        assert_eq!(store.revive(&id("a"), now()).unwrap(), Change::Sending);
        assert_eq!(store.discard(&id("a")).unwrap(), Change::Sending);
        claim.save().unwrap();
        claim.settle(Folder::Sent).unwrap();
        assert_eq!(store.revive(&id("a"), now()).unwrap(), Change::Sent);
        assert_eq!(store.discard(&id("a")).unwrap(), Change::Sent);
        assert!(store.load(Folder::Sent, &id("a")).is_ok());
    }

    /// Catches: rests of a dropped mail in any folder, one that can't be dropped since it can't be read,
    /// and a neighbour that goes with it.
    #[test]
    fn what_is_dropped_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        for place in AT_REST {
            put(&store, "a", place);
            put(&store, "a-cut", place);
            let record = folder.path().join("outbox").join(place.name()).join("a/entry.json");
            fs::write(record, "{ garbage").unwrap();
            assert_eq!(store.discard(&id("a")).unwrap(), Change::Done);
            assert_eq!(store.discard(&id("a")).unwrap(), Change::Gone);
            assert_eq!(store.list(place).unwrap(), [id("a-cut")]);
            assert_eq!(fs::read_dir(folder.path().join("outbox/tmp")).unwrap().count(), 0);
            store.discard(&id("a-cut")).unwrap();
        }
    }
}
