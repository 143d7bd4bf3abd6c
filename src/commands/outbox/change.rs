//! `notify-done outbox retry` and `drop`: what a user does to mails by hand.

use serde::Serialize;

use super::super::common::Context;
use super::super::runs::told;
use super::super::runs_show::pretty;
use super::find::{Found, Names, PLACES};
use super::flush::{Flush, Scope};
use super::words::{Wanted, dropped, none_failed, place_name, refused};
use super::{Shape, stores};
use crate::config::Loaded;
use crate::error::{Error, Kind, Result};
use crate::exit::{self, Exit};
use crate::outbox::entry::Folder;
use crate::outbox::held;
use crate::outbox::revive::Change;
use crate::outbox::store::{Place, Store};
use crate::render::i18n::Lang;
use crate::sys::{best_effort, clock};
use crate::ui::Ui;

/// Which mails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// As they were typed.
    Named(Vec<String>),
    AllFailed,
}

/// A change to some mails.
#[derive(Debug)]
pub struct Changes<'a> {
    pub which: Which,
    pub shape: Shape,
    pub lang: Lang,
    pub ui: &'a Ui,
}

/// A mail with which nothing was done.
#[derive(Debug, Serialize)]
pub struct Refused {
    /// As it was typed, else its id
    entry: String,
    error: String,
}

#[derive(Debug, Serialize)]
struct Dropped {
    id: String,
    /// Where it was
    state: &'static str,
    subject: Option<String>,
}

/// What was typed, and the mail that is meant.
type Chosen<'s> = (String, Found<'s>);

impl Changes<'_> {
    /// Has them tried anew, at once.
    ///
    /// # Errors
    /// `Storage` when the outbox can't be read.
    pub fn retry(&self, context: &Context, usual: &Loaded) -> Result<Exit> {
        let stores = self.recovered()?;
        let (chosen, mut not_done) = self.chosen(&stores)?;
        let mut revived = Vec::new();
        for (typed, found) in chosen {
            match found
                .store
                .revive(&found.id, clock::now())
                .and_then(|change| allowed(&found, change, Wanted::Retry))
            {
                Ok(()) => revived.push(found),
                Err(error) => not_done.push(self.refuse(typed, &error)),
            }
        }
        let mut flush = Flush::new(context, held::Which::Fresh, self.lang, self.ui);
        if !revived.is_empty() {
            flush.once(Scope::These(&revived), &stores, usual)?;
        }
        let exit = if not_done.is_empty() { flush.exit() } else { Exit::Code(exit::NOT_DONE) };
        if self.shape == Shape::Text {
            return Ok(exit);
        }
        let ids: Vec<_> = revived.iter().map(|found| found.id.clone()).collect();
        let mut document = flush.document(&ids, &stores);
        document.refused = Some(not_done);
        Ok(after(told(&pretty(&document)), exit))
    }

    /// Removes them. What is typed is meant: nobody is asked again.
    ///
    /// # Errors
    /// `Storage` when the outbox can't be read.
    pub fn discard(&self) -> Result<Exit> {
        #[derive(Serialize)]
        struct Document {
            dropped: Vec<Dropped>,
            refused: Vec<Refused>,
        }
        let stores = self.recovered()?;
        let (chosen, mut refused) = self.chosen(&stores)?;
        let mut dropped = Vec::new();
        for (typed, found) in chosen {
            match self.discard_one(&found) {
                Ok(gone) => dropped.push(gone),
                Err(error) => refused.push(self.refuse(typed, &error)),
            }
        }
        let exit = Exit::Code(if refused.is_empty() { exit::DONE } else { exit::NOT_DONE });
        match self.shape {
            Shape::Text => Ok(exit),
            Shape::Json => Ok(after(told(&pretty(&Document { dropped, refused })), exit)),
        }
    }

    fn discard_one(&self, found: &Found<'_>) -> Result<Dropped> {
        let seen = found.look()?;
        let subject = seen.as_ref().and_then(|seen| seen.entry.as_ref().ok()).map(|e| e.subject.clone());
        allowed(found, found.store.discard(&found.id)?, Wanted::Drop)?;
        self.ui.done(&dropped(&found.id, subject.as_deref(), self.lang));
        let state = seen.map_or("new", |seen| place_name(seen.place));
        Ok(Dropped { id: found.id.to_string(), state, subject })
    }

    /// What a process that was killed had taken may be changed, too.
    fn recovered(&self) -> Result<Vec<Store>> {
        let stores = stores()?;
        stores.iter().for_each(|store| best_effort(store.recover()));
        Ok(stores)
    }

    /// Each with what was typed for it; and what none is meant by.
    fn chosen<'s>(&self, stores: &'s [Store]) -> Result<(Vec<Chosen<'s>>, Vec<Refused>)> {
        let (mut chosen, mut refused) = (Vec::<Chosen<'s>>::new(), Vec::new());
        match &self.which {
            Which::AllFailed => {
                let failed = Names::of(stores, &[Place::In(Folder::Failed)])?.all();
                chosen.extend(failed.into_iter().map(|found| (found.id.to_string(), found)));
                if chosen.is_empty() {
                    self.ui.done(none_failed(self.lang));
                }
            }
            Which::Named(typed) => {
                let names = Names::of(stores, &PLACES)?;
                for typed in typed {
                    match names.find(typed) {
                        Ok(found) if chosen.iter().any(|(_, known)| known.id == found.id) => {}
                        Ok(found) => chosen.push((typed.clone(), found)),
                        Err(error) => refused.push(self.refuse(typed.clone(), &error)),
                    }
                }
            }
        }
        Ok((chosen, refused))
    }

    fn refuse(&self, entry: String, error: &Error) -> Refused {
        self.ui.error(error);
        Refused { entry, error: error.to_string() }
    }
}

fn allowed(found: &Found<'_>, change: Change, wanted: Wanted) -> Result<()> {
    match refused(&found.id, change, wanted) {
        None => Ok(()),
        Some((what, hint)) => {
            let kind = if change == Change::Gone { Kind::NotFound } else { Kind::Delivery };
            Err(Error::new(kind, what).hint(hint))
        }
    }
}

/// The exit, unless the result couldn't be printed.
fn after(printed: Exit, exit: Exit) -> Exit {
    if printed == Exit::Code(exit::DONE) { exit } else { printed }
}
