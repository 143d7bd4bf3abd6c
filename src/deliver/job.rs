//! What an attempt is asked to do, within which limits, and what it must have recorded. Pure.

use std::path::Path;
use std::time::Duration;

use super::verdict::{RecipientResult, Reply};
use crate::config::{Account, Secret};
use crate::error::Result;

/// How long each step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Resolving the name; and connecting, for each address.
    pub connect: Duration,
    /// Each command and its reply, the greeting, the TLS handshake.
    pub step: Duration,
    /// The whole message and the answer to its end …
    pub data_base: Duration,
    /// … plus this for each MiB of it.
    pub data_per_mib: Duration,
    /// QUIT, and a reply that may be waiting after a write failed.
    pub quit: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            step: Duration::from_secs(30),
            // Servers scan a mail before they answer. A slow uplink (0.5 Mbit/s) takes 17 s a MiB.
            data_base: Duration::from_secs(120),
            data_per_mib: Duration::from_secs(20),
            quit: Duration::from_secs(2),
        }
    }
}

/// What is to be sent, and as whom.
#[derive(Debug)]
pub struct Job<'a> {
    pub account: &'a Account,
    pub secret: &'a Secret,
    /// Bare addresses.
    pub recipients: &'a [String],
    /// Header lines with CRLF that stand before the body file's own.
    pub headers: Vec<u8>,
    /// The rest of the message: more headers, a blank line and the body, lines ending in CRLF.
    pub body: &'a Path,
    pub limits: &'a Limits,
}

/// A point that must be durable before the dialogue goes on.
#[derive(Debug)]
pub enum Progress<'a> {
    /// Every RCPT has its answer: from here on the recipients are frozen.
    Recipients(&'a [RecipientResult]),
    /// The last byte was written; the final "." follows. Until the next step is recorded, a crash
    /// leaves it unknown whether the mail arrived.
    BodySent,
    /// The server took it. Recorded before QUIT.
    Accepted(&'a Reply),
}

/// Records a [`Progress`]; an error stops the transaction, before the final "." without a trace.
pub type Ledger<'a> = &'a mut dyn FnMut(Progress<'_>) -> Result<()>;
