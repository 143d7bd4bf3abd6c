//! The health of accounts on disk: `outbox/accounts/<mark>.json`, one file for each login at a server.

use std::io::Read;
use std::path::PathBuf;

use jiff::Timestamp;
use ring::digest::{Context, SHA256};

use super::health::Health;
use super::store::Store;
use crate::config::{Account, Secret};
use crate::deliver::verdict::Failure;
use crate::sys::fs::{Durability, open_ours, private_dir, replace};
use crate::sys::{best_effort, ids};

/// No file of ours is larger, bytes.
const LARGEST: u64 = 64 * 1024;

/// What a login led to.
#[derive(Debug, Clone, Copy)]
pub enum Showed<'a> {
    LoggedIn,
    /// A mail was taken, too.
    Delivered,
    Failed(&'a Failure),
}

/// A login that goes on.
#[derive(Debug, Clone)]
pub struct Login {
    /// What was known of the account before.
    pub before: Health,
    health: Health,
    tag: String,
}

impl Store {
    /// What is known of an account; nothing, if that can't be read: to send once too often is better
    /// than not at all.
    pub fn health(&self, account: &Account) -> Health {
        let read = || {
            let mut bytes = Vec::new();
            open_ours(&self.health_file(account)).ok()?.take(LARGEST).read_to_end(&mut bytes).ok()?;
            Health::from_json(&bytes).ok()
        };
        read().unwrap_or_else(|| Health::new(&account.username, &account.server.host, ids::random_hex(16)))
    }

    /// Notes it. A disk that can't take it (it is full) costs a login too many, no notice.
    pub(super) fn save_health(&self, account: &Account, health: &Health) {
        let path = self.health_file(account);
        best_effort(private_dir(&self.accounts()).and_then(|()| {
            // A power cut may take it: then one login more is made.
            replace(&path, &health.to_json(), Durability::Atomic)
        }));
    }

    /// Was this account found unreachable a moment ago?
    pub fn is_unreachable(&self, account: &Account, now: Timestamp) -> bool {
        self.health(account).is_unreachable(now)
    }

    /// A login is about to be made for its own sake: noted as one for a mail is.
    pub fn begin_login(&self, account: &Account, secret: &Secret, now: Timestamp) -> Login {
        let before = self.health(account);
        let tag = tag(&before, account, secret);
        let mut health = before.clone();
        if health.reserve(&tag, now) {
            self.save_health(account, &health);
        }
        Login { before, health, tag }
    }

    /// Notes what came of it, or of what followed.
    pub fn end_login(&self, account: &Account, login: &Login, showed: Showed<'_>, now: Timestamp) {
        let mut health = login.health.clone();
        match showed {
            Showed::LoggedIn => health.logged_in(),
            Showed::Delivered => health.delivered(),
            Showed::Failed(failure) => health.learn_failure(&login.before, failure, &login.tag, now),
        }
        if health != login.health {
            self.save_health(account, &health);
        }
    }

    fn health_file(&self, account: &Account) -> PathBuf {
        let mut hash = Context::new(&SHA256);
        for part in [&account.username, "\0", &account.server.host] {
            hash.update(part.as_bytes());
        }
        self.accounts().join(format!("{}.json", hex(&hash.finish().as_ref()[..8])))
    }
}

/// Tells a code, and how it is said to whom, from another, and nothing else of it: two bytes fit one
/// code in 65,536, so that who reads them can't find a code by trying.
pub(super) fn tag(health: &Health, account: &Account, secret: &Secret) -> String {
    let server = &account.server;
    let said = format!("{}\0{}\0{:?}\0{:?}\0", health.salt, server.port, server.tls, server.auth);
    let mut hash = Context::new(&SHA256);
    hash.update(said.as_bytes());
    hash.update(secret.expose().as_bytes());
    hex(&hash.finish().as_ref()[..2])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
