//! `notify-done outbox flush`: sends what is kept.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::super::common::Context;
use super::super::event_words::{not_due, of_event};
use super::super::missing::{self, Patience};
use super::super::runs::told;
use super::super::runs_show::pretty;
use super::super::words;
use super::find::Found;
use super::send::{Told, drain_with};
use super::words::nothing_waits;
use super::{Shape, json, reader, stores};
use crate::config::{Diagnostic, Loaded, Settings};
use crate::error::{Error, Kind, Result};
use crate::exit::{self, Exit};
use crate::outbox::drain::{Pick, Plan};
use crate::outbox::entry::{EntryId, Whose};
use crate::outbox::event::{Event, Tally};
use crate::outbox::held::Which;
use crate::outbox::schedule::Urgency;
use crate::outbox::store::Store;
use crate::render::i18n::Lang;
use crate::run::mailer::Word;
use crate::ui::Ui;

/// A mail of usual size is through within this; who has a larger one under way may flush again.
const WAIT_FOR_OTHERS: Duration = Duration::from_secs(60);

/// What is to be sent.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// All that waits.
    All,
    /// These, in new/.
    These(&'a [Found<'a>]),
}

/// A flush, or several in a row, and what came of it.
#[allow(missing_debug_implementations, reason = "nothing shows it")]
pub struct Flush<'a> {
    pub context: &'a Context,
    pub lang: Lang,
    pub ui: &'a Ui,
    which: Which,
    pub urgency: Urgency,
    events: RefCell<Vec<Event>>,
    /// Said already: what is wrong with the settings isn't said each time that they are looked at.
    said: RefCell<BTreeSet<String>>,
    /// Of all in a row, each entry counted where it is now.
    pub tally: Tally,
}

impl<'a> Flush<'a> {
    pub fn new(context: &'a Context, which: Which, lang: Lang, ui: &'a Ui) -> Self {
        let (events, said) = (RefCell::default(), RefCell::default());
        let urgency = if which == Which::All { Urgency::Forced } else { Urgency::Asked };
        Self { context, lang, ui, which, urgency, events, said, tally: Tally::default() }
    }

    /// Sends all that waits.
    ///
    /// # Errors
    /// `Storage` when the outbox can't be read.
    pub fn run(&mut self, usual: &Loaded) -> Result<Exit> {
        self.all(usual)?;
        self.say_what_is_left();
        Ok(self.exit())
    }

    /// Makes the notices that nobody lived to make, and tries each entry once. Gives the outboxes there
    /// are then.
    ///
    /// # Errors
    /// `Storage` when the outbox can't be read.
    pub fn all(&mut self, usual: &Loaded) -> Result<Vec<Store>> {
        let not_kept = missing::make(self.context, None, Patience::Wait, &mut |text| self.say(text)).not_kept;
        let stores = stores()?;
        self.once(Scope::All, &stores, usual)?;
        self.tally.left += not_kept;
        Ok(stores)
    }

    /// Tries each entry once.
    ///
    /// # Errors
    /// `Storage` when the outbox can't be read.
    pub fn once(&mut self, scope: Scope<'_>, stores: &[Store], usual: &Loaded) -> Result<()> {
        let mut tally = Tally::default();
        for whose in self.groups(scope, stores)? {
            tally += self.send(scope, &whose, stores, usual)?;
        }
        let before = std::mem::replace(&mut self.tally, tally);
        self.tally.sent += before.sent;
        self.tally.failed += before.failed;
        Ok(())
    }

    /// What was left alone. Silence would leave who asked in doubt.
    pub fn say_what_is_left(&self) {
        if self.tally == Tally::default() {
            self.ui.done(nothing_waits(self.lang));
        } else if self.tally.later > 0 {
            self.ui.note(&not_due(self.tally.later, self.lang));
        }
    }

    pub fn exit(&self) -> Exit {
        let Tally { kept, failed, left, .. } = self.tally;
        Exit::Code(if kept + failed + left == 0 { exit::DONE } else { exit::NOT_DONE })
    }

    /// A notice goes out by the notify.toml that its run was given; all go by one that is named now.
    fn groups(&self, scope: Scope<'_>, stores: &[Store]) -> Result<Vec<Whose>> {
        if self.context.explicit().is_some() {
            return Ok(vec![Whose::Anyones]);
        }
        let mut files = BTreeSet::new();
        match scope {
            Scope::All => {
                for store in stores {
                    files.extend(store.files_named()?);
                }
                if files.is_empty() {
                    files.insert(None);
                }
            }
            Scope::These(chosen) => files.extend(chosen.iter().map(Found::config)),
        }
        Ok(files.into_iter().map(Whose::Under).collect())
    }

    fn send(&self, scope: Scope<'_>, whose: &Whose, stores: &[Store], usual: &Loaded) -> Result<Tally> {
        let own = match whose {
            Whose::Under(Some(file)) => {
                let loaded = self.context.with_config(file).load();
                let unsaid = |d: &&Diagnostic| self.said.borrow_mut().insert(d.to_string());
                loaded.diagnostics.iter().filter(unsaid).for_each(|d| self.ui.diagnostic(d));
                Some((file.as_path(), loaded))
            }
            Whose::Anyones | Whose::Under(None) => None,
        };
        let loaded = own.as_ref().map_or(usual, |(_, loaded)| loaded);
        if let Some((what, hint)) = self.obstacle(loaded) {
            let mut error = Error::new(Kind::Config, what).hint(hint);
            if let Some((file, _)) = own {
                let (why, way_out) = words::under_another_file(file, self.lang);
                error = error.because(why).hint(way_out);
            }
            self.error(error);
            return Ok(Tally { left: 1, ..Tally::default() });
        }
        let mut total = Tally::default();
        for store in stores {
            total += self.send_from(store, whose, scope, &loaded.settings)?;
        }
        Ok(total)
    }

    /// Why nothing can be sent by these settings, and what to do.
    fn obstacle(&self, loaded: &Loaded) -> Option<(&'static str, String)> {
        if loaded.unusable() {
            return Some(words::nothing_sent_config(self.lang));
        }
        let expected = loaded.path.as_deref().or(loaded.expected_path.as_deref());
        let what =
            words::either(self.lang, "nothing was sent: no mailbox is set up", "没有发送：还没有配置邮箱");
        loaded.settings.accounts.is_empty().then(|| (what, words::set_up(expected, self.lang)))
    }

    fn send_from(
        &self,
        store: &Store,
        whose: &Whose,
        scope: Scope<'_>,
        settings: &Settings,
    ) -> Result<Tally> {
        let (pick, unreadable) = match scope {
            Scope::All => (Pick::All(whose.clone()), self.release(store, whose)?),
            Scope::These(chosen) => (Pick::These(of_store(chosen, store, whose)), 0),
        };
        let plan = Plan {
            pick,
            accounts: &settings.accounts,
            preferred: settings.account.as_deref(),
            mail: &settings.mail,
            wait: WAIT_FOR_OTHERS,
            urgency: self.urgency,
            bound: None,
        };
        let tally = drain_with(store, &plan, &mut |told| self.tell(told))?;
        Ok(Tally { left: tally.left + unreadable, ..tally })
    }

    /// Lets go what was held; how many could not be, one at most.
    fn release(&self, store: &Store, whose: &Whose) -> Result<u32> {
        let mut unreadable = 0;
        if let Err(error) = store.release(self.which, whose) {
            // One that can't be read is told, and keeps nothing else back.
            self.error(error);
            unreadable = 1;
        }
        let waiting = store.held(whose)?.len();
        let older = words::older_are_kept(waiting, self.lang);
        if waiting > 0 && self.said.borrow_mut().insert(older.clone()) {
            self.ui.note(&self.naming(&older));
        }
        Ok(unreadable)
    }

    fn tell(&self, told: Told) {
        let event = match told {
            Told::Event(event) => event,
            Told::Trouble(text) => return self.say(&text),
        };
        match of_event(&event, &reader(self.lang)) {
            // Who asks for a flush wants to know, wherever stderr goes.
            Some(Word::Note(text)) => self.ui.done(&self.naming(&text)),
            Some(Word::Trouble(text)) if matches!(*event, Event::Trouble { .. }) => self.say(&text),
            Some(Word::Trouble(text)) => self.ui.trouble(&self.naming(&text)),
            Some(Word::Summary(text)) => self.ui.block(&text),
            Some(Word::Here { .. } | Word::Done) | None => {}
        }
        self.events.borrow_mut().push(*event);
    }

    fn naming(&self, text: &str) -> String {
        words::naming(text, self.context.explicit())
    }

    /// Something that stays wrong, said once.
    fn say(&self, text: &str) {
        if self.said.borrow_mut().insert(text.to_owned()) {
            self.ui.trouble(&self.naming(text));
        }
    }

    fn error(&self, mut error: Error) {
        error.hints.iter_mut().for_each(|hint| *hint = self.naming(hint));
        let all = format!("{error}\n{}", error.hints.join("\n"));
        if self.said.borrow_mut().insert(all) {
            self.ui.error(&error);
        }
    }

    /// The result for who wants JSON: what happened to each entry, and to the others of `first` nothing.
    pub fn document(&self, first: &[EntryId], stores: &[Store]) -> Document {
        let mut entries: Vec<JsonEntry> = Vec::new();
        first.iter().for_each(|id| entries.push(JsonEntry::new(id.as_str())));
        for event in self.events.borrow().iter() {
            let mut event = serde_json::to_value(event).expect("events are strings, numbers and times");
            // The entry's own id stands above its events.
            let id = event.as_object_mut().and_then(|event| event.remove("entry"));
            let id = id.as_ref().and_then(Value::as_str).expect("each event names its entry");
            let at = entries.iter().position(|entry| entry.id == id).unwrap_or_else(|| {
                entries.push(JsonEntry::new(id));
                entries.len() - 1
            });
            entries[at].events.push(event);
        }
        for entry in &mut entries {
            let place = EntryId::parse(entry.id.as_str()).ok().and_then(|id| {
                // A disk that can't be read by now has been told above.
                stores.iter().find_map(|store| store.find(&id).ok().flatten())
            });
            entry.state = json::state(place);
        }
        Document { entries, tally: self.tally, refused: None }
    }

    /// Prints the result, where one is wanted.
    pub fn told(&self, shape: Shape, exit: Exit) -> Result<Exit> {
        if shape == Shape::Text {
            return Ok(exit);
        }
        let printed = told(&pretty(&self.document(&[], &stores()?)));
        Ok(if printed == Exit::Code(exit::DONE) { exit } else { printed })
    }
}

/// `{"entries": […], "tally": {…}}`; of a retry also what it was refused for.
#[derive(Debug, Serialize)]
pub struct Document {
    entries: Vec<JsonEntry>,
    tally: Tally,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Vec<super::change::Refused>>,
}

#[derive(Debug, Serialize)]
struct JsonEntry {
    id: String,
    /// Where it is now; `null`: nowhere
    state: Option<&'static str>,
    /// [`Event`]s in their order
    events: Vec<Value>,
}

impl JsonEntry {
    fn new(id: &str) -> Self {
        Self { id: id.to_owned(), state: None, events: Vec::new() }
    }
}

fn of_store(chosen: &[Found<'_>], store: &Store, whose: &Whose) -> Vec<EntryId> {
    let wanted = |found: &&Found<'_>| {
        std::ptr::eq(found.store, store)
            && (*whose == Whose::Anyones || *whose == Whose::Under(found.config()))
    };
    chosen.iter().filter(wanted).map(|found| found.id.clone()).collect()
}
