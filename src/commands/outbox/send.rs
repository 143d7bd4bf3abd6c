//! Sending what waits: the outbox with the real clock, codes and network in its hands.

use super::super::event_words::of_event;
use super::reader;
use crate::config::Account;
use crate::config::read_secret::read_secret;
use crate::deliver::courier::Courier;
use crate::error::{Error, Kind, Result};
use crate::mail::draft::{Draft, header_block};
use crate::outbox::drain::{Hands, Letterhead, Plan, drain};
use crate::outbox::event::{Event, Tally};
use crate::outbox::store::Store;
use crate::render::i18n::Lang;
use crate::run::mailer::Word;
use crate::sys::clock;

/// What is told while entries are tried.
#[derive(Debug)]
pub enum Told {
    Event(Box<Event>),
    /// Something else is wrong.
    Trouble(String),
}

/// Drains, and tells each event in words.
pub fn drain_telling(
    store: &Store,
    plan: &Plan<'_>,
    lang: Lang,
    tell: &mut dyn FnMut(Word),
) -> Result<Tally> {
    let reader = reader(lang);
    drain_with(store, plan, &mut |told| {
        let word = match told {
            Told::Event(event) => of_event(&event, &reader),
            Told::Trouble(text) => Some(Word::Trouble(text)),
        };
        if let Some(word) = word {
            tell(word);
        }
    })
}

/// Drains with the real clock, secrets and network.
pub fn drain_with(store: &Store, plan: &Plan<'_>, tell: &mut dyn FnMut(Told)) -> Result<Tally> {
    // It holds codes from here on.
    crate::sys::process::forbid_core();
    let tell = std::cell::RefCell::new(tell);
    let mut courier = Courier::new();
    let mut secret = |account: &Account| {
        let source = account.secret.as_ref().ok_or_else(|| no_code(account))?;
        let read = read_secret(source)?;
        if let Some(warning) = read.warning {
            (tell.borrow_mut())(Told::Trouble(warning));
        }
        Ok(read.secret)
    };
    let hands = &mut Hands {
        now: &mut clock::now,
        secret: &mut secret,
        headers: &mut headers,
        send: &mut |job, ledger| courier.attempt(job, ledger),
        smaller: &mut super::super::remake::smaller,
        events: &mut |event| (tell.borrow_mut())(Told::Event(Box::new(event))),
    };
    drain(store, plan, hands)
}

/// Nothing says where the code is.
pub fn no_code(account: &Account) -> Error {
    Error::new(Kind::Secret, format!("account `{}` has no auth_code", account.name))
        .hint("write auth_code into its table in notify.toml; `notify-done config-example` shows the ways")
}

/// The header block as it stands in front of the body.
pub fn headers(letterhead: &Letterhead<'_>) -> Result<Vec<u8>> {
    let Letterhead { entry, subject, from, to, cc } = letterhead;
    header_block(&Draft {
        message_id: entry.message_id.trim_matches(['<', '>']).to_owned(),
        date: entry.zoned_date(),
        from: from.clone(),
        to: to.to_vec(),
        cc: cc.to_vec(),
        subject: (*subject).to_owned(),
    })
}
