//! Whom an entry goes to, and where each of them stands. Pure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::Mailbox;
use crate::deliver::verdict::{Cause, Class, Reply};

/// Whom it goes to, fixed by the first answers to RCPT: from then on no change of `notify.toml`
/// or of the account changes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipients {
    pub to: Vec<Mailbox>,
    pub cc: Vec<Mailbox>,
    pub bcc: Vec<Mailbox>,
    /// One for each address, without doubles.
    pub states: Vec<Recipient>,
}

impl Recipients {
    /// All pending.
    pub fn new(to: Vec<Mailbox>, cc: Vec<Mailbox>, bcc: Vec<Mailbox>) -> Self {
        let mut states: Vec<Recipient> = Vec::new();
        for mailbox in to.iter().chain(&cc).chain(&bcc) {
            if !states.iter().any(|known| known.address.eq_ignore_ascii_case(&mailbox.address)) {
                states.push(Recipient { address: mailbox.address.clone(), state: State::Pending });
            }
        }
        Self { to, cc, bcc, states }
    }

    /// The addresses that still wait.
    pub fn pending(&self) -> Vec<String> {
        let pending = |r: &&Recipient| r.state == State::Pending;
        self.states.iter().filter(pending).map(|r| r.address.clone()).collect()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    pub address: String,
    pub state: State,
}

/// Where one recipient stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Pending,
    /// A server took the mail for it.
    Accepted {
        account: String,
        at: Timestamp,
        receipt: Reply,
    },
    /// No later try can succeed.
    Refused {
        class: Class,
        cause: Cause,
    },
}
