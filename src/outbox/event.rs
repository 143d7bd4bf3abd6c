//! What a drain tells: serialisable, since the process that sends may not be the one that prints.
//! Pure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::entry::{EntryId, Folder, Form, GaveUp};
use crate::deliver::diagnose::Diagnosis;
use crate::deliver::verdict::Class;

/// A recipient that didn't take the mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub address: String,
    pub diagnosis: Diagnosis,
}

/// An account that didn't take the mail, and in whose place another was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    pub account: String,
    pub diagnosis: Diagnosis,
}

/// Something that the user may want to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    Started {
        entry: EntryId,
        account: String,
        host: String,
        recipients: Vec<String>,
    },
    /// Another process is sending it; waiting for that.
    Waiting {
        entry: EntryId,
    },
    /// Another process had it; it is there now, or still being sent (None).
    Elsewhere {
        entry: EntryId,
        now_in: Option<Folder>,
    },
    /// All recipients have it.
    Sent {
        entry: EntryId,
        account: String,
        recipients: Vec<String>,
        receipt: String,
        elapsed_ms: u64,
    },
    /// Some have it; it stays for the others or has failed for them.
    PartlySent {
        entry: EntryId,
        account: String,
        sent: Vec<String>,
        refused: Vec<Refusal>,
        kept: Folder,
    },
    /// An account didn't take it; the next one is tried now.
    FailedOver {
        entry: EntryId,
        account: String,
        to: String,
        diagnosis: Diagnosis,
    },
    /// Nobody took it.
    NotSent {
        entry: EntryId,
        account: Option<String>,
        diagnosis: Diagnosis,
        /// The accounts that were tried before this one.
        #[serde(default)]
        earlier: Vec<Earlier>,
        /// The recipients that were refused one by one; empty: it never came to that.
        refused: Vec<Refusal>,
        kept: Folder,
        next: Next,
    },
    /// It may have arrived.
    Unknown {
        entry: EntryId,
        account: String,
        diagnosis: Diagnosis,
        kept: Folder,
        next: Next,
    },
    /// It can't be read or recorded; it is left alone.
    Trouble {
        entry: EntryId,
        message: String,
        hint: Option<String>,
    },
}

/// What becomes of a mail that wasn't sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// Was anything tried, or did the account have to wait?
    pub tried: bool,
    /// The next try by itself; None: there is nothing to wait for, or nothing comes by itself.
    pub at: Option<Timestamp>,
    /// The class that decides on it.
    pub class: Option<Class>,
    /// The form that is sent next.
    pub form: Form,
    pub gave_up: Option<GaveUp>,
}

/// What a drain did, counted by entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub sent: u32,
    /// Tried, or put off because its account has to wait; still in new/.
    pub kept: u32,
    /// Not due yet: not looked into.
    #[serde(default)]
    pub later: u32,
    pub failed: u32,
    /// Unreadable, or in another process's hands.
    pub left: u32,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, more: Self) {
        let Self { sent, kept, later, failed, left } = more;
        self.sent += sent;
        self.kept += kept;
        self.later += later;
        self.failed += failed;
        self.left += left;
    }
}
