//! `notify-done outbox`: the notices that are kept.

mod change;
mod find;
mod flush;
mod json;
mod list;
mod send;
mod show;
mod timer;
mod units;
mod watch;
mod words;

use super::common::Context;
use super::event_words::Reader;
use crate::cli::{OutboxAction, WhichEntries};
use crate::config::Overrides;
use crate::error::Result;
use crate::exit::Exit;
use crate::outbox::held::Which;
use crate::outbox::schedule::Urgency;
use crate::outbox::store::Store;
use crate::render::i18n::Lang;
use crate::sys::{clock, paths};
use crate::ui::Ui;

pub use send::{drain_telling, headers, no_code};

/// How a result is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Text,
    Json,
}

impl Shape {
    fn of(json: bool) -> Self {
        if json { Shape::Json } else { Shape::Text }
    }
}

/// # Errors
/// When the outbox can't be read, or what is meant isn't there.
pub fn run(action: &OutboxAction, ui: &Ui) -> Result<Exit> {
    let context = Context::new(action.common(), Overrides::default());
    let loaded = context.load();
    loaded.diagnostics.iter().chain(&context.diagnostics).for_each(|d| ui.diagnostic(d));
    let lang = context.lang(&loaded.settings);
    let changes = |which: &WhichEntries| change::Changes {
        which: match which.all_failed {
            true => change::Which::AllFailed,
            false => change::Which::Named(which.entries.clone()),
        },
        shape: Shape::of(which.json),
        lang,
        ui,
    };
    match action {
        OutboxAction::List { all, json, .. } => {
            let extent = if *all { list::Extent::All } else { list::Extent::Newest };
            match Shape::of(*json) {
                Shape::Text => list::text(extent, &reader(lang), ui),
                Shape::Json => list::json(extent, ui),
            }
        }
        OutboxAction::Show { entry, json, .. } => {
            show::run(entry.as_deref(), Shape::of(*json), &reader(lang))
        }
        OutboxAction::Retry { which, .. } => changes(which).retry(&context, &loaded),
        OutboxAction::Drop { which, .. } => changes(which).discard(),
        OutboxAction::Flush { all, due, watch, json, .. } => {
            let which = if *all { Which::All } else { Which::Fresh };
            let mut flush = flush::Flush::new(&context, which, lang, ui);
            if *due {
                flush.urgency = Urgency::Due;
            }
            let exit = if *watch { watch::run(&mut flush)? } else { flush.run(&loaded)? };
            flush.told(Shape::of(*json), exit)
        }
        OutboxAction::InstallTimer { print, uninstall, json, .. } => {
            let wish = match (print, uninstall) {
                (true, _) => timer::Wish::Print,
                (_, true) => timer::Wish::Uninstall,
                _ => timer::Wish::Install,
            };
            timer::run(wish, Shape::of(*json), (&context, &loaded.settings), lang, ui)
        }
    }
}

fn reader(lang: Lang) -> Reader {
    Reader { now: clock::now(), zone: jiff::tz::TimeZone::system(), lang }
}

/// The outboxes there are: in the user's own place, and where notices were kept when that could
/// not be written.
fn stores() -> Result<Vec<Store>> {
    let places = paths::existing_state_roots().into_iter().map(|root| root.join("outbox"));
    let (mut open, mut first_error) = (Vec::new(), None);
    for place in places.filter(|place| place.is_dir()) {
        match Store::open(place) {
            Ok(store) => open.push(store),
            // A place that became read-only must not hide what was kept elsewhere for that reason.
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        Some(error) if open.is_empty() => Err(error),
        _ => Ok(open),
    }
}
