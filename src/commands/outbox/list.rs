//! `notify-done outbox list`: what is kept. Reads no more entries than it shows, so that thousands
//! that wait cost one listing of their folder.

use std::collections::BTreeSet;

use serde::Serialize;

use super::super::event_words::Reader;
use super::super::runs::told;
use super::super::runs_show::pretty;
use super::super::words::for_shell;
use super::json;
use super::stores;
use super::words::{nothing_waits, older, place_name};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::outbox::entry::{EntryId, Folder};
use crate::outbox::look::Seen;
use crate::outbox::store::{Place, Store};
use crate::report::text::one_line;
use crate::sys::best_effort;
use crate::ui::Ui;

/// Of each kind; older ones only with `--all`.
const SHOWN: usize = 50;

/// How much is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The newest of what waits or was given up.
    Newest,
    /// All, and what was sent.
    All,
}

const UNSENT: [Place; 4] =
    [Place::Sending, Place::In(Folder::New), Place::In(Folder::Held), Place::In(Folder::Failed)];

/// What a list shows, oldest first.
#[derive(Debug, Default)]
struct Listing {
    shown: Vec<(EntryId, Seen)>,
    /// By place.
    left_out: Vec<(Place, usize)>,
}

/// A list for people.
///
/// # Errors
/// `Storage` when the outbox can't be read.
pub fn text(extent: Extent, reader: &Reader, ui: &Ui) -> Result<Exit> {
    let newest = (extent == Extent::Newest).then_some(SHOWN);
    let Listing { shown, left_out } = listing(extent, newest, ui)?;
    if shown.is_empty() {
        return Ok(told(&format!("{}\n", nothing_waits(reader.lang))));
    }
    let exit = told(&shown.iter().map(|(id, seen)| lines(id, seen, reader)).collect::<String>());
    for (place, count) in left_out {
        ui.done(&older(count, place, reader.lang));
    }
    Ok(exit)
}

/// `{"entries": […]}`, oldest first. All of them: what reads it can leave out what it doesn't want.
///
/// # Errors
/// `Storage` when the outbox can't be read.
pub fn json(extent: Extent, ui: &Ui) -> Result<Exit> {
    #[derive(Serialize)]
    struct List<'a> {
        entries: Vec<json::Json<'a>>,
    }
    let Listing { shown, .. } = listing(extent, None, ui)?;
    let entries = shown.iter().map(|(id, seen)| json::of(id, seen, json::Tries::Last)).collect();
    Ok(told(&pretty(&List { entries })))
}

/// Reads the newest `at_most` of each place; None: all.
fn listing(extent: Extent, at_most: Option<usize>, ui: &Ui) -> Result<Listing> {
    let sent = (extent == Extent::All).then_some(Place::In(Folder::Sent));
    let places: Vec<Place> = UNSENT.into_iter().chain(sent).collect();
    let mut listing = Listing::default();
    for store in stores()? {
        // What a process that was killed had taken is back in new/ then. A disk that can't be written
        // is no reason to show nothing.
        best_effort(store.recover().map(drop).map_err(|error| ui.error(&error)));
        listing.add(&store, &places, at_most)?;
    }
    listing.shown.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(listing)
}

impl Listing {
    fn add(&mut self, store: &Store, places: &[Place], at_most: Option<usize>) -> Result<()> {
        let mut seen_ids = BTreeSet::new();
        for place in places {
            let ids = store.ids_at(*place)?;
            let old = at_most.map_or(0, |most| ids.len().saturating_sub(most));
            if old > 0 {
                self.left_out.push((*place, old));
            }
            for id in &ids[old..] {
                // Moved while we look: once is enough.
                if let Some(seen) = store.look(id, *place)?
                    && seen_ids.insert(id.clone())
                {
                    self.shown.push((id.clone(), seen));
                }
            }
        }
        Ok(())
    }
}

fn lines(id: &EntryId, seen: &Seen, reader: &Reader) -> String {
    let place = place_name(seen.place);
    let entry = match &seen.entry {
        Ok(entry) => entry,
        Err(error) => return unreadable(id, place, error),
    };
    let subject = one_line(entry.subject_now());
    let mut told = format!("{id}  {place:7}  {}  {subject}\n", reader.time(entry.created));
    let more = [
        entry.recipients.as_ref().map(|recipients| reader.recipients(recipients)),
        reader.last_try(entry),
        reader.form(entry).map(str::to_owned),
        reader.outlook(seen.place, entry),
        entry.addressing.config.as_ref().map(|file| format!("--config {}", for_shell(file))),
    ];
    more.iter().flatten().for_each(|line| told.push_str(&format!("    {line}\n")));
    told
}

fn unreadable(id: &EntryId, place: &str, error: &Error) -> String {
    let mut told = format!("{id}  {place:7}  {}\n", one_line(&error.to_string()));
    error.hints.iter().for_each(|hint| told.push_str(&format!("    {hint}\n")));
    told
}
