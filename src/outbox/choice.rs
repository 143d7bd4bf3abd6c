//! What a try goes by and what it comes to: which account, which recipients, which class decides on
//! the next. Pure.

use super::entry::{Addressing, Contact, Entry, Recipients};
use super::event::Refusal;
use crate::config::{Account, MailSettings, Mailbox};
use crate::deliver::diagnose::{Scene, classify, diagnose_cause};
use crate::deliver::verdict::{Class, Outcome, RecipientResult, RecipientVerdict, Stage};

/// The accounts that may send the entry, in the order of failing over: the one that is asked for (by the
/// run, else by the settings: `preferred`), then the others as in notify.toml. Only one, when the mail
/// may have arrived through it.
///
/// # Errors
/// The name that is missed; None: there is no account at all.
pub fn accounts_for<'a>(
    entry: &Entry,
    accounts: &'a [Account],
    preferred: Option<&str>,
) -> Result<Vec<&'a Account>, Option<String>> {
    if accounts.is_empty() {
        return Err(None);
    }
    let named = |name: &str| {
        let found = accounts.iter().find(|account| account.name == name);
        found.ok_or_else(|| Some(name.to_owned()))
    };
    if let Some(name) = &entry.pinned {
        return Ok(vec![named(name)?]);
    }
    let first = match entry.addressing.account.as_deref().or(preferred) {
        Some(name) => named(name)?,
        None => &accounts[0],
    };
    let others = accounts.iter().filter(|account| account.name != first.name);
    Ok(std::iter::once(first).chain(others).collect())
}

pub(super) fn contact(account: &Account) -> Contact {
    let Account { address, username, server, .. } = account;
    Contact {
        host: server.host.clone(),
        port: server.port,
        address: address.clone(),
        login: username.clone(),
    }
}

pub(super) fn scene(account: &Account) -> Scene<'_> {
    Scene {
        account: &account.name,
        address: &account.address,
        login: &account.username,
        host: &account.server.host,
        port: account.server.port,
    }
}

/// What the run asked for, else what `notify.toml` says now, else the account's own mailbox.
pub fn choose_recipients(asked: &Addressing, mail: &MailSettings, own: &str) -> Recipients {
    let or = |asked: &Option<Vec<Mailbox>>, set: &[Mailbox]| asked.clone().unwrap_or_else(|| set.to_vec());
    let mut to = or(&asked.to, &mail.to);
    if to.is_empty() {
        to.push(Mailbox { name: None, address: own.to_owned() });
    }
    Recipients::new(to, or(&asked.cc, &mail.cc), or(&asked.bcc, &mail.bcc))
}

pub(super) fn accepted(results: &[RecipientResult]) -> Vec<String> {
    let taken = |r: &&RecipientResult| r.verdict == RecipientVerdict::Accepted;
    results.iter().filter(taken).map(|r| r.address.clone()).collect()
}

pub(super) fn refusals(results: &[RecipientResult], scene: &Scene<'_>) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for result in results {
        if let RecipientVerdict::Refused { class, cause } = &result.verdict {
            let diagnosis = diagnose_cause(Stage::RcptTo, *class, cause, scene);
            refusals.push(Refusal { address: result.address.clone(), diagnosis });
        }
    }
    refusals
}

/// The class that decides on the next try: the failure's, or that of a recipient refused for now.
pub(super) fn worst(outcome: &Outcome, results: &[RecipientResult]) -> Option<Class> {
    match outcome {
        Outcome::Failed(failure) | Outcome::Unknown(failure) => Some(failure.class),
        Outcome::Accepted { .. } => results.iter().find_map(|result| match &result.verdict {
            RecipientVerdict::Refused { cause, .. } => {
                Some(classify(Stage::RcptTo, cause)).filter(|class| class.retryable())
            }
            RecipientVerdict::Accepted => None,
        }),
    }
}
