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
    /// The whole message, before the final "." …
    pub data_base: Duration,
    /// … plus this for each MiB of it.
    pub data_per_mib: Duration,
    /// The answer to the final ".". Who gives up too soon has a mail that may have arrived, and sends it
    /// again: RFC 5321 section 4.5.3.2.6 asks for ten minutes.
    pub answer: Duration,
    /// QUIT, and a reply that may be waiting after a write failed.
    pub quit: Duration,
}

impl Limits {
    /// What an account's `timeout`, the limit of a step, means for the others.
    pub fn within(timeout: Duration) -> Self {
        Self {
            // Each address may take as long: one that is dead must not use up the time of all.
            connect: timeout / 3,
            step: timeout,
            // Servers scan a mail before they answer. A slow uplink (0.5 Mbit/s) takes 17 s a MiB,
            // whatever the timeout.
            data_base: timeout * 4,
            answer: timeout * 20,
            data_per_mib: Duration::from_secs(20),
            // The mail is through by then.
            quit: (timeout / 15).clamp(Duration::from_millis(100), Duration::from_secs(2)),
        }
    }

    /// For a message of so many bytes.
    pub fn data(&self, bytes: u64) -> Duration {
        let mib = u32::try_from(bytes >> 20).unwrap_or(u32::MAX);
        self.data_base.saturating_add(self.data_per_mib.saturating_mul(mib))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches: an account's short timeout that leaves a step at its default, or cuts a large mail
    /// off.
    #[test]
    fn every_limit_follows_the_timeout() {
        let secs = Duration::from_secs;
        let usual = Limits::within(secs(30));
        assert_eq!((usual.connect, usual.step, usual.quit), (secs(10), secs(30), secs(2)));
        assert_eq!(usual.data(0), secs(120));
        assert_eq!(usual.data(10 << 20), secs(120 + 200));
        let short = Limits::within(Duration::from_millis(100));
        assert!(short.connect < Duration::from_millis(50));
        assert_eq!((short.step, short.quit), (Duration::from_millis(100), Duration::from_millis(100)));
        assert_eq!(short.data(0), Duration::from_millis(400));
        assert_eq!(short.data(10 << 20), Duration::from_millis(200_400));
        assert!(Limits::within(secs(3600)).data(u64::MAX) > secs(3600));
    }
}
