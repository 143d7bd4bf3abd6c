//! A mail made anew with less in it, by the process that is sending it.
//!
//! The new body is written in a folder beside the old one, and takes its place by one rename: a crash leaves
//! the one or the other, whole. The entry needn't say which it is.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::drain::MakeSmaller;
use super::entry::Form;
use super::files::trouble;
use super::store::{Claim, file_of};
use crate::deliver::verdict::Cause;
use crate::error::Result;
use crate::sys::best_effort;
use crate::sys::fs::{create_private, private_dir, sync_dir};

const FOLDER: &str = "remake";

/// How often a mail is made smaller in one round: by then half of a half and so on is a sixtieth. Each time
/// takes a login and, where the server doesn't say beforehand what it takes, another upload.
pub(super) const MOST_REMAKES: u32 = 6;

/// A body that is being made.
#[derive(Debug)]
pub struct Remake {
    folder: PathBuf,
    /// Where it is written to.
    pub body: File,
    /// The most that the mail may come to, bytes on the wire.
    pub most: u64,
}

impl Remake {
    /// A folder, not made yet, for what lies beside the body while that is written.
    pub fn parts(&self) -> PathBuf {
        self.folder.join("parts")
    }
}

/// What a mail may come to for an account that found it too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// What it says that it takes.
    Limit(u64),
    /// It doesn't say: half of what was too much.
    Half(u64),
}

impl Target {
    pub(super) fn of(cause: &Cause, size: u64) -> Self {
        match cause {
            Cause::TooLarge { limit, .. } => Target::Limit(*limit),
            _ => Target::Half(size / 2),
        }
    }

    pub(super) fn bytes(self) -> u64 {
        match self {
            Target::Limit(bytes) | Target::Half(bytes) => bytes,
        }
    }

    /// Is a body of `new` bytes worth a try, where one of `old` was too large?
    fn is_met(self, old: u64, new: u64) -> bool {
        match self {
            Target::Limit(limit) => new < old && new <= limit,
            // With the bodies alone it may come to more than that, and be taken all the same.
            Target::Half(_) => new < old,
        }
    }
}

impl Claim {
    /// Bytes of the form that it has now, without the header block.
    pub(super) fn size(&self) -> u64 {
        fs::metadata(self.body()).map_or(0, |meta| meta.len())
    }

    /// Makes the full form anew with less in it. False: that can't be, or comes to no less.
    pub(super) fn make_smaller(&mut self, target: Target, make: MakeSmaller<'_>) -> bool {
        let old = self.size();
        let made = self.begin(target.bytes()).and_then(|remake| {
            make(&self.entry, &remake)?;
            self.finish(&remake, (target, old))
        });
        drop_remake(&self.folder);
        made.unwrap_or(false)
    }

    fn begin(&self, most: u64) -> Result<Remake> {
        drop_remake(&self.folder);
        let folder = self.folder.join(FOLDER);
        let path = folder.join("body");
        let body = private_dir(&folder)
            .and_then(|()| create_private(&path))
            .map_err(|error| trouble("can't make", &path, &error))?;
        Ok(Remake { folder, body, most })
    }

    fn finish(&self, remake: &Remake, (target, old): (Target, u64)) -> Result<bool> {
        let path = remake.folder.join("body");
        let replaced = remake.body.metadata().and_then(|meta| {
            if !target.is_met(old, meta.len()) {
                return Ok(false);
            }
            remake.body.sync_all()?;
            fs::rename(&path, self.folder.join(file_of(Form::Full)))?;
            sync_dir(&self.folder)?;
            Ok(true)
        });
        replaced.map_err(|error| trouble("can't write", &path, &error))
    }
}

/// Removes what a remake that came to nothing, or whose process has died, left in an entry's folder.
pub(super) fn drop_remake(entry: &Path) {
    best_effort(fs::remove_dir_all(entry.join(FOLDER)));
}
