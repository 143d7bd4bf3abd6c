//! The outbox on disk.
//!
//! ```text
//! outbox/tmp/<id>@<owner>/        being made
//!        new/<id>/                waits to be sent: entry.json, body.mime
//!        sending/<id>@<owner>/    one process is sending it (see `claim`)
//!        held/<id>/               waits for the user (no account, unusable config)
//!        sent/<id>/               delivered; entry.json is the receipt, the body is gone
//!        failed/<id>/             given up, with the reason
//!        accounts/<mark>.json     what is known of an account across runs (see `health`)
//! ```
//!
//! The guarantee: when [`Store::commit`] or [`Claim::save`] has returned, a crash of the process or
//! the machine leaves that state or a later one, whole. Each file is written under another name,
//! synced, renamed into place, and its folder synced; an entry changes folders by one rename.
//! Folders are 0700 and files 0600, whatever the umask. What can't be read is reported and left
//! alone; nothing but tmp/ of dead processes, bodies of delivered mail, surplus held entries and old
//! receipts is ever deleted.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::claim::{self, Heartbeat, Owner};
use super::entry::{Entry, EntryId, Folder, Form};
use super::files::{gone_is_fine, read_entry, sweep, trouble, write_entry};
use super::remake::drop_remake;
use crate::error::{Error, Kind, Result};
use crate::sys::best_effort;
use crate::sys::fs::{create_private, private_dir, sync_dir};

const BODY: &str = "body.mime";
const PLAIN: &str = "plain.mime";
const PARTS: &str = "parts";
/// There when mails were given up and nobody was told.
const UNTOLD: &str = "untold";

pub(super) fn file_of(form: Form) -> &'static str {
    match form {
        Form::Full => BODY,
        Form::Plain => PLAIN,
    }
}

/// Where an entry was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    In(Folder),
    /// A process is sending it.
    Sending,
}

/// An entry that is being made.
#[derive(Debug)]
pub struct Pending {
    id: EntryId,
    folder: PathBuf,
    /// Where its body is written to; sync is [`Store::commit`]'s.
    pub body: File,
    plain: Option<File>,
}

impl Pending {
    /// A folder, not made yet, for what lies beside the body while that is written. Its maker removes it.
    pub fn parts(&self) -> PathBuf {
        self.folder.join(PARTS)
    }

    /// Where the body of [`Form::Plain`] is written to.
    ///
    /// # Errors
    /// `Storage`.
    pub fn plain(&mut self) -> Result<&mut File> {
        let path = self.folder.join(PLAIN);
        let file = create_private(&path).map_err(|error| trouble("can't make", &path, &error))?;
        Ok(self.plain.insert(file))
    }
}

/// The outbox.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the outbox at `root` (`state/outbox`), making its folders.
    ///
    /// # Errors
    /// `Storage` when they can't be made or aren't ours to write.
    pub fn open(root: PathBuf) -> Result<Self> {
        let first = !root.join("failed").is_dir();
        for name in ["", "tmp", "new", "sending", "held", "sent", "failed"] {
            let path = root.join(name);
            private_dir(&path).map_err(|error| trouble("can't make", &path, &error))?;
        }
        if first {
            // A notice is only as durable as the folders that it lies in, each by its name in the one
            // above: ~/.local/state/notify-done/outbox. On most file systems a journal sees to that.
            root.ancestors().take(5).for_each(|folder| best_effort(sync_dir(folder)));
        }
        Ok(Self { root })
    }

    /// The outbox that is at `root`, be it writable or not: to look for an entry in it.
    pub fn existing(root: PathBuf) -> Option<Self> {
        root.is_dir().then_some(Self { root })
    }

    /// A file of the outbox's own, beside its folders.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Mails were given up, and nobody was told.
    pub fn note_untold(&self) {
        // A full disk costs the message at the next start; `outbox list` still has them.
        best_effort(create_private(&self.beside(UNTOLD)));
    }

    /// How many lie in failed/, if some came there since this was asked last. Costs one look where
    /// there are none.
    pub fn take_untold(root: &Path) -> Option<usize> {
        fs::remove_file(root.join(UNTOLD)).ok()?;
        let failed = fs::read_dir(root.join(Folder::Failed.name())).map_or(0, Iterator::count);
        (failed > 0).then_some(failed)
    }

    pub(super) fn accounts(&self) -> PathBuf {
        self.root.join("accounts")
    }

    fn folder(&self, folder: Folder) -> PathBuf {
        self.root.join(folder.name())
    }

    pub(super) fn place(&self, folder: Folder, id: &EntryId) -> PathBuf {
        self.folder(folder).join(id.as_str())
    }

    /// A place of this process in tmp/: what lies there when it has ended is removed.
    pub(super) fn aside(&self, id: &EntryId) -> PathBuf {
        self.root.join("tmp").join(format!("{id}@{}", Owner::this().name()))
    }

    /// Begins an entry: the caller writes its body, then commits.
    ///
    /// # Errors
    /// `Storage`.
    pub fn begin(&self, id: &EntryId) -> Result<Pending> {
        let folder = self.aside(id);
        let path = folder.join(BODY);
        let body = private_dir(&folder)
            .and_then(|()| create_private(&path))
            .map_err(|error| trouble("can't make", &path, &error))?;
        Ok(Pending { id: id.clone(), folder, body, plain: None })
    }

    /// Gives an entry up before it is one, and the room it took with it.
    pub fn abandon(&self, pending: Pending) {
        // What can't be removed is cleared by `recover` once this process has ended.
        best_effort(fs::remove_dir_all(&pending.folder));
    }

    /// Removes an entry for good.
    ///
    /// # Errors
    /// `Storage`.
    pub fn forget(&self, folder: Folder, id: &EntryId) -> Result<()> {
        let place = self.place(folder, id);
        fs::remove_dir_all(&place).map_err(|error| trouble("can't remove", &place, &error))
    }

    /// Makes the entry durable and puts it where it belongs.
    ///
    /// # Errors
    /// `Storage`; then there is no entry, and nothing is left of it.
    pub fn commit(&self, pending: Pending, entry: &Entry, folder: Folder) -> Result<()> {
        let Pending { id, folder: made, body, plain } = pending;
        let to = self.place(folder, &id);
        let moved = body
            .sync_all()
            .and_then(|()| plain.map_or(Ok(()), |plain| plain.sync_all()))
            .map_err(|error| trouble("can't write", &made.join(BODY), &error))
            .and_then(|()| write_entry(&made, entry))
            .and_then(|()| rename_once(&made, &to).map_err(|error| trouble("can't move", &made, &error)));
        if moved.is_err() {
            // Else `recover` clears it once this process has ended.
            best_effort(fs::remove_dir_all(&made));
            return moved;
        }
        // From here on there is an entry, which another process may be sending already: an error would
        // have the caller keep the notice in a second place, and it would come twice.
        best_effort(self.sync_move(&made, &to));
        if folder == Folder::Held {
            best_effort(self.trim_held());
        }
        Ok(())
    }

    /// Renames an entry's folder and syncs both folders that it lies in.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to).map_err(|error| trouble("can't move", from, &error))?;
        self.sync_move(from, to)
    }

    fn sync_move(&self, from: &Path, to: &Path) -> Result<()> {
        for path in [to, from] {
            if let Some(parent) = path.parent() {
                sync_dir(parent).map_err(|error| trouble("can't sync", parent, &error))?;
            }
        }
        Ok(())
    }

    /// The ids in a folder, oldest first. Names that are no ids are left out.
    ///
    /// # Errors
    /// `Storage` when the folder can't be read.
    pub fn list(&self, folder: Folder) -> Result<Vec<EntryId>> {
        let names = self.names(&self.folder(folder))?;
        let mut ids: Vec<EntryId> = names.into_iter().filter_map(|name| EntryId::parse(name).ok()).collect();
        ids.sort();
        Ok(ids)
    }

    fn names(&self, folder: &Path) -> Result<Vec<String>> {
        let failed = |error: io::Error| trouble("can't read", folder, &error);
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            if let Ok(name) = entry.map_err(failed)?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// # Errors
    /// `NotFound` when it isn't there, `Storage` when it can't be read or a newer version wrote it.
    pub fn load(&self, folder: Folder, id: &EntryId) -> Result<Entry> {
        read_entry(&self.place(folder, id), id)
    }

    /// The body's file; gone once the mail is delivered.
    pub fn body(&self, folder: Folder, id: &EntryId, form: Form) -> PathBuf {
        self.place(folder, id).join(file_of(form))
    }

    /// Where an entry is.
    ///
    /// # Errors
    /// `Storage` when a folder can't be read.
    pub fn find(&self, id: &EntryId) -> Result<Option<Place>> {
        // In the order in which entries move, so that one on its way isn't missed; and new/ again,
        // since a try that failed goes back there.
        let before_and_after = [Folder::Held, Folder::New];
        for folder in before_and_after {
            if self.place(folder, id).is_dir() {
                return Ok(Some(Place::In(folder)));
            }
        }
        if self.sending()?.contains(id) {
            return Ok(Some(Place::Sending));
        }
        let found =
            [Folder::Sent, Folder::Failed, Folder::New].into_iter().find(|f| self.place(*f, id).is_dir());
        Ok(found.map(Place::In))
    }

    /// An entry that waits or is being sent; None: it isn't there any more, or can't be read.
    pub(super) fn peek(&self, id: &EntryId) -> Option<Entry> {
        let waits = |folder| self.load(folder, id).ok();
        let sent_now = || {
            let (_, folder) = self.claimed().ok()?.into_iter().find(|(claimed, _)| claimed == id)?;
            read_entry(&folder, id).ok()
        };
        // As in `find`: in the order in which entries move.
        waits(Folder::Held).or_else(|| waits(Folder::New)).or_else(sent_now).or_else(|| waits(Folder::New))
    }

    /// The notify.toml files that runs with waiting notices were given; None among them: some were
    /// given none.
    ///
    /// # Errors
    /// `Storage` when a folder can't be read.
    pub fn files_named(&self) -> Result<BTreeSet<Option<PathBuf>>> {
        let mut ids = self.list(Folder::Held)?;
        ids.extend(self.list(Folder::New)?);
        ids.extend(self.sending()?);
        Ok(ids.iter().map(|id| self.peek(id).and_then(|entry| entry.addressing.config)).collect())
    }

    /// What processes are sending, this one included; oldest first.
    ///
    /// # Errors
    /// `Storage` when the folder can't be read.
    pub fn sending(&self) -> Result<Vec<EntryId>> {
        let mut ids: Vec<EntryId> = self.claimed()?.into_iter().map(|(id, _)| id).collect();
        ids.sort();
        Ok(ids)
    }

    /// The same with the folders that they lie in meanwhile, in no order.
    pub(super) fn claimed(&self) -> Result<Vec<(EntryId, PathBuf)>> {
        let sending = self.root.join("sending");
        let names = self.names(&sending)?.into_iter();
        Ok(names.filter_map(|name| split_claim(&name).map(|(id, _)| (id, sending.join(&name)))).collect())
    }

    /// Takes an entry out of new/ for this process. None: another was quicker, or it isn't there.
    ///
    /// # Errors
    /// `Storage`; the entry is then left, or put back, in new/.
    pub fn claim(&self, id: &EntryId) -> Result<Option<Claim>> {
        let from = self.place(Folder::New, id);
        let to = self.root.join("sending").join(format!("{id}@{}", Owner::this().name()));
        // Touched before the rename: the claim must not look old from its first moment.
        let taken = claim::touch(&from).and_then(|()| rename_once(&from, &to));
        match taken {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(trouble("can't claim", &from, &error)),
        }
        match read_entry(&to, id) {
            Ok(entry) => Ok(Some(Claim { store: self.clone(), folder: to, entry })),
            Err(error) => {
                self.rename(&to, &from)?;
                // Told with the path where it lies now.
                Err(read_entry(&from, id).err().unwrap_or(error))
            }
        }
    }

    /// Puts claims of dead processes back into new/ and clears what they left in tmp/. What they
    /// had recorded of their attempts stays.
    ///
    /// # Errors
    /// `Storage` when a folder can't be read or the filesystem's clock can't be had.
    pub fn recover(&self) -> Result<Vec<EntryId>> {
        let mut back = Vec::new();
        let now = self.filesystem_time()?;
        for (folder, is_tmp) in [("tmp", true), ("sending", false)] {
            let folder = self.root.join(folder);
            for name in self.names(&folder)? {
                let Some((id, owner)) = split_claim(&name) else { continue };
                let path = folder.join(&name);
                let Some(silence) = silence(&path, now) else { continue };
                if !claim::abandoned(owner, silence) {
                    continue;
                }
                // One odd folder must not stop the others: what can't be moved stays, and is listed.
                if is_tmp {
                    // Never committed: nobody was told that it is kept.
                    best_effort(fs::remove_dir_all(&path));
                    continue;
                }
                sweep(&path);
                if gone_is_fine(fs::rename(&path, self.place(Folder::New, &id))).unwrap_or(false) {
                    back.push(id);
                }
            }
        }
        Ok(back)
    }

    /// The time by the clock that sets mtimes: an NFS server's may differ from ours.
    fn filesystem_time(&self) -> Result<SystemTime> {
        let probe = self.root.join("tmp").join(format!("clock@{}", Owner::this().name()));
        let time = fs::create_dir(&probe).and_then(|()| fs::metadata(&probe)?.modified());
        let removed = fs::remove_dir(&probe);
        time.and_then(|time| removed.map(|()| time)).map_err(|error| trouble("can't write", &probe, &error))
    }
}

/// An entry that this process, and no other, is sending. Dropped without [`Claim::settle`], as in a
/// crash, it is put back by the next [`Store::recover`] after this process has ended.
#[derive(Debug)]
pub struct Claim {
    store: Store,
    pub(super) folder: PathBuf,
    pub entry: Entry,
}

impl Claim {
    /// The file of the form that it has now.
    pub fn body(&self) -> PathBuf {
        self.folder.join(file_of(self.entry.form))
    }

    /// Makes the entry's state durable.
    ///
    /// # Errors
    /// `Storage`; also when the claim was taken away because this process seemed dead. Then
    /// nothing more may be sent.
    pub fn save(&self) -> Result<()> {
        write_entry(&self.folder, &self.entry)
    }

    /// Keeps the claim alive as long as the value lives.
    ///
    /// # Errors
    /// `Storage` when no thread can be started.
    pub fn heartbeat(&self) -> Result<Heartbeat> {
        Heartbeat::start(self.folder.clone())
            .map_err(|error| Error::new(Kind::Storage, "can't start a thread").because(error))
    }

    /// Saves the entry and puts it where it now belongs.
    ///
    /// # Errors
    /// `Storage`. Even then a delivered mail is moved to sent/, its record incomplete: a full disk
    /// must not make it look as if it still had to be sent. Any other goes back to new/, as it was
    /// last recorded.
    pub fn settle(self, folder: Folder) -> Result<()> {
        drop_remake(&self.folder);
        if folder != Folder::Sent {
            let saved = self.save();
            let moved = self.move_to(if saved.is_ok() { folder } else { Folder::New });
            return saved.and(moved);
        }
        if self.save().is_ok() {
            // Before the move, so that no crash leaves it behind.
            let dropped = self.drop_body();
            self.move_to(folder)?;
            return dropped;
        }
        // In sent/ nobody sends it again, whatever its record says. Where it can't be moved it will be
        // sent again, for which it needs its body. Without that there is more room for the record.
        self.move_to(folder)?;
        let moved = Self { folder: self.store.place(folder, &self.entry.id), ..self };
        let dropped = moved.drop_body();
        moved.save().and(dropped)
    }

    fn drop_body(&self) -> Result<()> {
        let body = self.folder.join(BODY);
        let plain = gone_is_fine(fs::remove_file(self.folder.join(PLAIN)));
        let dropped = gone_is_fine(fs::remove_file(&body)).and(plain);
        dropped.map(drop).map_err(|error| trouble("can't remove", &body, &error))
    }

    fn move_to(&self, folder: Folder) -> Result<()> {
        self.store.rename(&self.folder, &self.store.place(folder, &self.entry.id))
    }
}

/// Renames a folder. An NFS server that lost its answer says "not found" to the repetition of a rename
/// that went well.
fn rename_once(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !from.is_dir() && to.is_dir() => Ok(()),
        renamed => renamed,
    }
}

fn split_claim(name: &str) -> Option<(EntryId, &str)> {
    let (id, owner) = name.split_once('@')?;
    Some((EntryId::parse(id).ok()?, owner))
}

fn silence(path: &Path, now: SystemTime) -> Option<Duration> {
    // Gone in the meantime: somebody else's business. From the future: certainly not silent.
    let touched = fs::metadata(path).and_then(|meta| meta.modified()).ok()?;
    Some(now.duration_since(touched).unwrap_or(Duration::ZERO))
}
