//! `notify-done outbox flush --watch`: goes on until nothing waits any more.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::super::event_words::Reader;
use super::flush::Flush;
use super::reader;
use super::words::{ends_soon, watching};
use crate::error::{Error, Kind, Result};
use crate::exit::{self, Exit};
use crate::outbox::entry::Folder;
use crate::outbox::schedule::{Urgency, is_past};
use crate::outbox::store::Store;
use crate::render::i18n::Lang;
use crate::sys::{clock, process, signals};
use crate::ui::Ui;

/// How often to look for new ones at least: nobody tells of them, and they may come from another host.
const LOOK: Duration = Duration::from_secs(30);

/// Tries what is due until nothing waits, or until somebody asks for the end.
///
/// # Errors
/// `Storage` when the outbox can't be read.
pub fn run(flush: &mut Flush<'_>) -> Result<Exit> {
    let end = End::listen(flush.lang, flush.ui)?;
    let mut said = None;
    loop {
        // Read anew each time: it may be mended meanwhile.
        let loaded = flush.context.load();
        let stores = flush.all(&loaded)?;
        // What was asked for has been done: from now on each is tried when it is due.
        flush.urgency = Urgency::Due;
        let waiting = Waiting::of(&stores)?;
        if waiting.count == 0 {
            flush.say_what_is_left();
            return Ok(flush.exit());
        }
        if said.as_ref() != Some(&waiting) {
            flush.ui.note(&waiting.words(&reader(flush.lang)));
        }
        let pause = waiting.pause(clock::now());
        said = Some(waiting);
        if end.asked_within(pause) {
            return Ok(Exit::Code(exit::NOT_DONE));
        }
    }
}

/// What waits to be sent, without what can't be read: nothing comes of waiting for that.
#[derive(Debug, PartialEq, Eq)]
struct Waiting {
    count: usize,
    /// The earliest next try that is still to come.
    next: Option<Timestamp>,
}

impl Waiting {
    fn of(stores: &[Store]) -> Result<Self> {
        let now = clock::now();
        let mut waiting = Self { count: 0, next: None };
        for store in stores {
            waiting.count += store.sending()?.len();
            for id in store.list(Folder::New)? {
                let Ok(entry) = store.load(Folder::New, &id) else { continue };
                waiting.count += 1;
                let next = entry.next_try.filter(|next| !is_past(*next, now));
                waiting.next = [waiting.next, next].into_iter().flatten().min();
            }
        }
        Ok(waiting)
    }

    fn words(&self, reader: &Reader) -> String {
        watching(self.count, self.next.map(|next| reader.in_time(next)).as_deref(), reader.lang)
    }

    fn pause(&self, now: Timestamp) -> Duration {
        let until = |next: Timestamp| Duration::try_from(next.duration_since(now)).unwrap_or_default();
        // A moment later, so that it is due then by any reckoning.
        let next = self.next.map_or(LOOK, |next| until(next) + Duration::from_millis(10));
        next.min(LOOK)
    }
}

/// Ctrl-C, and the other signals that ask for an end: a mail that is being sent is seen through first.
struct End {
    shared: Arc<(Mutex<Asked>, Condvar)>,
}

#[derive(Debug, Default)]
struct Asked {
    yes: bool,
    sleeping: bool,
}

impl End {
    fn listen(lang: Lang, ui: &Ui) -> Result<Self> {
        let failed =
            |why: &dyn std::fmt::Display| Error::new(Kind::Setup, "can't wait for Ctrl-C").because(why);
        let signals = signals::ending_set();
        // Of all threads to come, so that only the one below gets them.
        signals.thread_block().map_err(|e| failed(&e))?;
        let shared = Arc::<(Mutex<Asked>, Condvar)>::default();
        let (heard, ui) = (Arc::clone(&shared), *ui);
        let listen = move || {
            let (asked, wake) = &*heard;
            while signals.wait().is_ok() {
                let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
                if std::mem::replace(&mut asked.yes, true) {
                    // A mail that is under way is recovered as after any death of ours.
                    process::leave(exit::NOT_DONE);
                }
                if !asked.sleeping {
                    ui.done(ends_soon(lang));
                }
                wake.notify_all();
            }
        };
        std::thread::Builder::new().name("end".to_owned()).spawn(listen).map_err(|e| failed(&e))?;
        Ok(Self { shared })
    }

    /// Sleeps so long at most. Has somebody asked for the end?
    fn asked_within(&self, pause: Duration) -> bool {
        let (asked, wake) = &*self.shared;
        let mut guard = asked.lock().unwrap_or_else(PoisonError::into_inner);
        guard.sleeping = true;
        let (mut guard, _) =
            wake.wait_timeout_while(guard, pause, |asked| !asked.yes).unwrap_or_else(PoisonError::into_inner);
        guard.sleeping = false;
        guard.yes
    }
}
