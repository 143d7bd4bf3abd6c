//! `notify-done doctor`: why mails don't go out, or that they do; step by step, with what to do.

mod checkup;
mod examine;
mod found;
mod page;
mod survey;
mod values;
mod words;

use std::path::Path;

use self::checkup::Checkup;
use self::examine::{Dialogue, EndOfIt, Examiner, Wish};
use self::page::{Marks, Reading};
use super::common::Context;
use super::event_words::Reader;
use super::runs::told;
use super::runs_show::pretty;
use super::words as sentences;
use crate::cli::DoctorArgs;
use crate::config::{Account, Overrides, Settings};
use crate::error::{Error, Kind, Result};
use crate::exit::{self, Exit};
use crate::sys::{clock, host, process};

/// Looks at everything, and prints what it has found.
///
/// # Errors
/// `NotFound` when there is no account of the name that is asked for.
pub fn run(args: &DoctorArgs) -> Result<Exit> {
    let context = Context::new(&args.common, Overrides::default());
    let loaded = context.load();
    let lang = context.lang(&loaded.settings);
    let wanted = chosen(&loaded.settings, args.account.as_deref())?;
    // It holds codes from here on.
    process::forbid_core();
    let stores = survey::stores();
    let examiner = Examiner {
        settings: &loaded.settings,
        stores: &stores,
        wish: Wish {
            recipients: args.verify.iter().map(|mailbox| mailbox.address.clone()).collect(),
            end: if args.send { EndOfIt::Mail } else { EndOfIt::Nothing },
            dialogue: if args.transcript { Dialogue::Shown } else { Dialogue::Forgotten },
            lang,
        },
    };
    let mut checkup = Checkup {
        ok: false,
        version: env!("CARGO_PKG_VERSION"),
        host: host::name(),
        time: clock::now(),
        config: survey::config(&context, &loaded),
        state: survey::state(),
        outbox: survey::outbox(&stores),
        // With a mistake in the settings no code is sent anywhere: who knows where they mean.
        accounts: wanted
            .into_iter()
            .map(|account| match loaded.unusable() {
                true => examiner.leave_alone(account),
                false => examiner.examine(account),
            })
            .collect(),
    };
    checkup.ok = checkup.is_well();
    let text = if args.json {
        pretty(&checkup)
    } else {
        let reading = Reading {
            reader: Reader { now: clock::now(), zone: jiff::tz::TimeZone::system(), lang },
            marks: if host::speaks_utf8() { Marks::Signs } else { Marks::Ascii },
            config: context.explicit().map(Path::to_owned),
        };
        let set_up = sentences::set_up(loaded.path.as_deref().or(loaded.expected_path.as_deref()), lang);
        page::page(&checkup, &reading, &sentences::naming(&set_up, context.explicit()))
    };
    let printed = told(&text);
    Ok(if printed == Exit::Code(exit::DONE) && !checkup.ok { Exit::Code(exit::NOT_DONE) } else { printed })
}

/// The one that is named, else all, the one that notices go by first in front.
fn chosen<'a>(settings: &'a Settings, named: Option<&str>) -> Result<Vec<&'a Account>> {
    let accounts = &settings.accounts;
    let Some(name) = named else {
        let preferred = |account: &&Account| Some(&account.name) == settings.account.as_ref();
        let (first, others): (Vec<_>, Vec<_>) = accounts.iter().partition(preferred);
        return Ok(first.into_iter().chain(others).collect());
    };
    match accounts.iter().find(|account| account.name == name) {
        Some(account) => Ok(vec![account]),
        None => {
            let known: Vec<&str> = accounts.iter().map(|account| account.name.as_str()).collect();
            let hint = match known.as_slice() {
                [] => "no account can be used: `notify-done doctor` says why".to_owned(),
                known => format!("choose one of: {}", known.join(", ")),
            };
            Err(Error::new(Kind::NotFound, format!("no account is called `{name}`")).hint(hint))
        }
    }
}
