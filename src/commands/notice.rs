//! The notice of a run: report, mail, outbox, first try. What the mailer process does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;

use super::background::{Background, CodeOf};
use super::common::{self, Context};
use super::keep::{Draft, Picture, keep};
use super::prune::{Keep, prune};
use super::{missing, words};
use crate::config::{Account, Loaded, Overrides, SecretSource, Settings};
use crate::error::{Error, Result};
use crate::mail::draft::message_id;
use crate::outbox::drain::{Pick, Plan};
use crate::outbox::entry::{Addressing, Entry, EntryId, Form, HeldReason};
use crate::outbox::schedule::Urgency;
use crate::outbox::store::Store;
use crate::render::i18n::Lang;
use crate::render::terminal;
use crate::report::model::Report;
use crate::run::alive;
use crate::run::facts::{End, RunFacts};
use crate::run::mailer::{Link, Teller, Word, fork_mailer};
use crate::run::record::{FILE, Phase, RunRecord};
use crate::sys::fs::{Durability, replace, sync_file};
use crate::sys::paths::RUNS;
use crate::sys::{best_effort, clock, fds, paths};

/// Makes the notice, keeps it, and tries once to send it. What happens is told, not returned:
/// nobody is left to take an error.
///
/// A second call for the same run makes no second notice: the entry bears the run's id, and what is
/// there already is only sent.
pub fn make_and_send(context: &Context, facts: &RunFacts, teller: &mut Teller) {
    let loaded = context.load();
    let lang = context.lang(&loaded.settings);
    // Who finds a notice that nobody makes must not take ours for one.
    let folder = context.root.as_ref().map(|root| root.join(RUNS).join(&facts.start.id.0));
    let turn = folder.as_deref().and_then(alive::wait_for_turn);
    if let Some(folder) = &folder {
        // The supervisor doesn't wait for the disk. From here on a power cut leaves either this or the
        // notice, and not a record that is half one and half the other.
        best_effort(sync_file(&folder.join(FILE)));
    }
    let made = match kept_before(facts) {
        // Another process was quicker, and has told nobody.
        Some(store) => {
            // It may have died before noting that.
            if let Some(root) = &context.root {
                note_kept(root, facts, &context.overrides);
            }
            let report = Draft::whole_without_files(facts, &loaded.settings, lang).bare().report;
            Ok(Made { store, held: why_held(&loaded), report, why_less: None })
        }
        None => make(context, facts, &loaded, lang),
    };
    let made = match made {
        Ok(made) => Some(tell_made(made, &loaded, (lang, teller))),
        Err(error) => {
            teller.say(&Word::Trouble(lost(&error, facts, lang)));
            None
        }
    };
    drop(turn);
    if let Some((store, held)) = &made
        && held.is_none()
    {
        send_first(store, &entry_id(facts), &loaded.settings, (lang, teller));
    }
    teller.say(&Word::Done);
    missing::make_and_send(context, &facts.start.id);
    let waits = made.as_ref().filter(|(_, held)| held.is_none()).map(|(store, _)| store);
    if let Some(store) = waits {
        Background::new(context, store).send_what_is_due();
    }
    if let (Some(root), Some(_)) = (&context.root, &made)
        && let Ok(store) = Store::open(root.join("outbox"))
    {
        let keep = Keep::of(&loaded.settings.log, &facts.start.id);
        prune(root, &store, &keep, clock::now());
    }
    if let Some(store) = waits {
        let from_env = |account: &Account| matches!(account.secret, Some(SecretSource::Env(_)));
        let owner = match loaded.settings.accounts.iter().any(from_env) {
            true => CodeOf::ThisProcess,
            false => CodeOf::Anybody,
        };
        let patience = loaded.settings.notify.keep_trying;
        // With the codes that stand in notify.toml: who only waits doesn't hold them.
        drop(loaded);
        Background::new(context, store).keep_trying(&entry_id(facts), owner, patience);
    }
}

/// A notice that is in the outbox.
pub(super) struct Made {
    pub store: Store,
    pub held: Option<HeldReason>,
    report: Report,
    /// Why it goes without the log, if it does.
    pub why_less: Option<Error>,
}

/// Makes the notice and keeps it.
pub(super) fn make(context: &Context, facts: &RunFacts, loaded: &Loaded, lang: Lang) -> Result<Made> {
    let held = why_held(loaded);
    let draft = Draft::whole(facts, &loaded.settings, lang);
    let entry = |picture: &Picture| entry(context, facts, &loaded.settings, picture, held);
    let (store, report, why_less) = keep(context.root.as_deref(), draft, (&entry_id(facts), &entry))?;
    if let Some(root) = &context.root {
        note_kept(root, facts, &context.overrides);
    }
    Ok(Made { store, held, report, why_less })
}

/// Why nothing can be sent by these settings.
fn why_held(loaded: &Loaded) -> Option<HeldReason> {
    match (loaded.settings.accounts.is_empty(), loaded.unusable()) {
        (_, true) => Some(HeldReason::Config),
        (true, false) => Some(HeldReason::NoAccount),
        (false, false) => None,
    }
}

fn tell_made(
    made: Made,
    loaded: &Loaded,
    (lang, teller): (Lang, &mut Teller),
) -> (Store, Option<HeldReason>) {
    let Made { store, held, report, why_less } = made;
    if let Some(error) = why_less {
        teller.say(&Word::Trouble(words::kept_with_less(&with_hints(&error), lang)));
    }
    match held {
        None => {}
        Some(HeldReason::NoAccount | HeldReason::PassedOver) => {
            tell_no_account(&report, loaded, lang, teller);
        }
        Some(HeldReason::Config) => {
            let told = words::held_by_config(&common::unusable(loaded), lang);
            teller.say(&Word::Trouble(told));
        }
    }
    (store, held)
}

/// What is said of a notice that could not be kept.
pub(super) fn lost(error: &Error, facts: &RunFacts, lang: Lang) -> String {
    let log = facts.log.first().map(|part| part.path.as_path());
    words::not_kept(&with_hints(error), log, lang)
}

/// What the id of a notice has behind the run's when nobody saw the run end: if one that was taken for
/// dead ends after all, that is told as well.
const CUT_OFF: &str = "-cut";

/// The notice of a run bears the run's id.
pub(super) fn entry_id(facts: &RunFacts) -> EntryId {
    let run = &facts.start.id.0;
    let id = match facts.end {
        End::Interrupted { .. } => format!("{run}{CUT_OFF}"),
        _ => run.clone(),
    };
    EntryId::parse(id).expect("our ids are letters, digits and `-`")
}

/// The run that a notice of this id tells of.
pub(super) fn run_of(notice: &EntryId) -> &str {
    notice.as_str().strip_suffix(CUT_OFF).unwrap_or(notice.as_str())
}

/// Where the notice of this run lies already, whatever has become of it. Of one that was cut off nobody
/// tells when its end was told.
pub(super) fn kept_before(facts: &RunFacts) -> Option<Store> {
    let own = entry_id(facts);
    let ids = [EntryId::parse(run_of(&own)).ok(), Some(own)];
    let places = paths::existing_state_roots().into_iter().map(|root| root.join("outbox"));
    // Those too that can't be written now: what lies there goes out when they can.
    let stores = places.filter_map(Store::existing);
    let has = |store: &Store| ids.iter().flatten().any(|id| matches!(store.find(id), Ok(Some(_))));
    stores.into_iter().find(has)
}

/// From here on the outbox answers for it.
pub(super) fn note_kept(root: &Path, facts: &RunFacts, overrides: &Overrides) {
    let folder = root.join("runs").join(&facts.start.id.0);
    let path = folder.join(FILE);
    let before = std::fs::read(&path).ok().and_then(|json| RunRecord::from_json(&json).ok());
    let underway = before.and_then(|record| record.underway);
    let record = RunRecord { underway, ..RunRecord::ended(facts, overrides, false) };
    if replace(&path, &record.to_json(), Durability::Synced).is_ok() {
        alive::settle(&folder);
    }
    // If it can't be written, the entry is found by its id.
}

/// A second mailer for a run whose first one was killed.
#[derive(Debug)]
pub struct Again<'a> {
    pub context: &'a Context,
    pub folder: Option<PathBuf>,
}

impl Again<'_> {
    /// Forks it; None when the run's record can't be read, or no process is to be had.
    pub fn start(&self) -> Option<Link> {
        let json = std::fs::read(self.folder.as_ref()?.join(FILE)).ok()?;
        let Phase::Ended(facts) = RunRecord::from_json(&json).ok()?.phase else { return None };
        let (hear, tell) = fds::pipe().ok()?;
        let mut job = |facts: &_, teller: &mut _| make_and_send(self.context, facts, teller);
        fork_mailer(&mut job, &facts, &tell, &[]).ok()?;
        Some(Link::new(hear))
    }
}

pub(super) fn with_hints(error: &Error) -> String {
    std::iter::once(error.to_string()).chain(error.hints.iter().cloned()).collect::<Vec<_>>().join("\n")
}

fn tell_no_account(report: &Report, loaded: &Loaded, lang: Lang, teller: &mut Teller) {
    let expected = loaded.path.as_deref().or(loaded.expected_path.as_deref());
    let summary = terminal::summary(report, lang);
    teller.say(&Word::Summary(format!("\n{}\n\n{}", summary.trim_end(), words::no_account(expected, lang))));
}

pub(super) fn entry(
    context: &Context,
    facts: &RunFacts,
    settings: &Settings,
    picture: &Picture,
    held: Option<HeldReason>,
) -> Entry {
    // The same whoever makes it and however often, so that a double would be known for one.
    let unique = entry_id(facts).to_string();
    let domain = settings.accounts.first().and_then(|account| account.address.rsplit_once('@'));
    let Overrides { config, to, cc, bcc, from_name, account, .. } = context.overrides.clone();
    // A mailbox sorts by date: what was found out today isn't put beside the mails of last week.
    let date = match facts.end {
        End::Interrupted { .. } => clock::now(),
        _ => facts.ended,
    };
    Entry {
        version: crate::outbox::entry::VERSION,
        message_id: format!("<{}>", message_id(&unique, domain.map(|(_, d)| d))),
        id: entry_id(facts),
        run: Some(facts.start.id.clone()),
        created: clock::now(),
        date,
        utc_offset: TimeZone::system().to_offset(date).seconds(),
        subject: picture.rendered.subject.clone(),
        addressing: Addressing { config, account, to, cc, bcc, from_name },
        recipients: None,
        attempts: Vec::new(),
        attempt_count: 0,
        in_flight: None,
        pinned: None,
        held,
        next_try: None,
        waits: None,
        rounds: 0,
        form: Form::Full,
        plain_subject: Some(picture.plain.subject.clone()),
        language: picture.lang.into(),
        refused_by: Vec::new(),
        gave_up: None,
        revived: None,
    }
}

pub(super) fn send_first(
    store: &Store,
    id: &EntryId,
    settings: &Settings,
    (lang, teller): (Lang, &mut Teller),
) {
    let plan = Plan {
        pick: Pick::Only(id.clone()),
        accounts: &settings.accounts,
        preferred: settings.account.as_deref(),
        mail: &settings.mail,
        wait: Duration::ZERO,
        urgency: Urgency::Due,
        bound: None,
    };
    match super::outbox::drain_telling(store, &plan, lang, &mut |word| teller.say(&word)) {
        Ok(tally) if tally.failed > 0 && !teller.is_heard() => store.note_untold(),
        Ok(_) => {}
        Err(error) => teller.say(&Word::Trouble(with_hints(&error))),
    }
}
