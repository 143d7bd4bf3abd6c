//! The notice of a run: report, mail, outbox, first try. What the mailer process does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;

use super::common::{self, Context};
use super::prune::{Keep, prune};
use super::words;
use crate::config::{Attach, Loaded, Overrides, Settings};
use crate::deliver::job::Limits;
use crate::error::{Error, Kind, Result};
use crate::mail::compose::{Content, compose};
use crate::mail::draft::message_id;
use crate::mail::limits::{self, Attachment, Policy};
use crate::outbox::drain::{Pick, Plan};
use crate::outbox::entry::{Addressing, Entry, EntryId, HeldReason};
use crate::outbox::{entry::Folder, store::Store};
use crate::render::i18n::Lang;
use crate::render::{Rendered, render, terminal};
use crate::report::build::{Input, build};
use crate::report::model::Report;
use crate::run::facts::RunFacts;
use crate::run::mailer::{Link, Teller, Word, fork_mailer};
use crate::run::record::{FILE, Phase, RunRecord};
use crate::spool::reader::tail;
use crate::sys::fs::{Durability, replace};
use crate::sys::{best_effort, clock, fds, paths};

/// With no account to ask, a mail is made for the smallest of the usual limits (NetEase's).
const MAX_MESSAGE: u64 = 50_000_000;

/// Younger runs may still have a mailer at work.
const MAILER_IS_AT_IT: Duration = Duration::from_secs(60);

/// A run as it will be seen.
#[derive(Debug)]
pub struct Picture {
    pub report: Report,
    pub rendered: Rendered,
    pub attachments: Vec<Attachment>,
}

/// Puts a run into words, with as much of its log as the settings and the provider allow.
pub fn picture(facts: &RunFacts, settings: &Settings, lang: Lang) -> Picture {
    let smallest = settings.accounts.iter().map(|account| account.server.max_message).min();
    let policy = Policy {
        attach: settings.log.attach,
        max_attachment: settings.log.max_attachment,
        max_message: smallest.unwrap_or(MAX_MESSAGE),
        tail_bytes: limits::TAIL_BYTES,
    };
    picture_within(facts, settings, lang, &policy)
}

fn picture_within(facts: &RunFacts, settings: &Settings, lang: Lang, policy: &Policy) -> Picture {
    let logs = limits::plan(&facts.log, policy);
    let attachments = limits::attachments(&facts.log, &logs);
    let lines = usize::try_from(settings.log.tail_lines).unwrap_or(usize::MAX);
    // A part that can't be read has its trouble told in its note; the others still show.
    let tails = facts.log.iter().filter_map(|part| tail(part, lines).ok()).collect();
    let report = build(Input { facts, tails, logs, zone: TimeZone::system() });
    let rendered = render(&report, lang, settings.mail.subject.as_deref());
    Picture { report, rendered, attachments }
}

/// Makes the notice, keeps it, and tries once to send it. What happens is told, not returned:
/// nobody is left to take an error.
///
/// A second call for the same run makes no second notice: the entry bears the run's id, and what is
/// there already is only sent.
pub fn make_and_send(context: &Context, facts: &RunFacts, teller: &mut Teller) {
    let loaded = context.load();
    let lang = context.lang(&loaded.settings);
    let made = match kept_before(facts) {
        Some(store) => Some((store, if loaded.unusable() { Some(HeldReason::Config) } else { None })),
        None => make(context, facts, &loaded, (lang, teller)),
    };
    if let Some((store, held)) = &made
        && held.is_none()
    {
        send_first(store, &entry_id(facts), &loaded.settings, (lang, teller));
    }
    teller.say(&Word::Done);
    if let (Some(root), Some(_)) = (&context.root, &made)
        && let Ok(store) = Store::open(root.join("outbox"))
    {
        let keep = Keep::of(&loaded.settings.log, &facts.start.id);
        prune(root, &store, &keep, clock::now());
    }
}

/// Makes the notice and keeps it; None: it could not be kept, which has been told.
fn make(
    context: &Context,
    facts: &RunFacts,
    loaded: &Loaded,
    (lang, teller): (Lang, &mut Teller),
) -> Option<(Store, Option<HeldReason>)> {
    let picture = picture(facts, &loaded.settings, lang);
    let held = match (loaded.settings.accounts.is_empty(), loaded.unusable()) {
        (_, true) => Some(HeldReason::Config),
        (true, false) => Some(HeldReason::NoAccount),
        (false, false) => None,
    };
    let entry = entry(context, facts, &loaded.settings, &picture, held);
    let (store, report, why_less) = match keep(context, facts, &loaded.settings, (lang, picture, &entry)) {
        Ok(kept) => kept,
        Err(error) => {
            let log = facts.log.first().map(|part| part.path.as_path());
            teller.say(&Word::Trouble(words::not_kept(&with_hints(&error), log, lang)));
            return None;
        }
    };
    note_kept(context, facts);
    if let Some(error) = why_less {
        teller.say(&Word::Trouble(words::kept_with_less(&with_hints(&error), lang)));
    }
    match held {
        None => {}
        Some(HeldReason::NoAccount | HeldReason::PassedOver) => {
            tell_no_account(&report, loaded, lang, teller);
        }
        Some(HeldReason::Config) => {
            teller.say(&Word::Trouble(words::held_by_config(&common::unusable(loaded), lang)));
        }
    }
    Some((store, held))
}

/// The notice of a run bears the run's id.
fn entry_id(facts: &RunFacts) -> EntryId {
    EntryId::parse(facts.start.id.0.clone()).expect("our ids are letters, digits and `-`")
}

/// Where the notice of this run lies already, whatever has become of it.
fn kept_before(facts: &RunFacts) -> Option<Store> {
    let id = entry_id(facts);
    let places = paths::existing_state_roots().into_iter().map(|root| root.join("outbox"));
    let stores = places.filter(|place| place.is_dir()).filter_map(|place| Store::open(place).ok());
    stores.into_iter().find(|store| matches!(store.find(&id), Ok(Some(_))))
}

/// From here on the outbox answers for it.
fn note_kept(context: &Context, facts: &RunFacts) {
    if let Some(root) = &context.root {
        let path = root.join("runs").join(&facts.start.id.0).join(FILE);
        let record = RunRecord::ended(facts, &context.overrides, false).to_json();
        // If it can't be written, the entry is found by its id.
        best_effort(replace(&path, &record, Durability::Atomic));
    }
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
        fork_mailer(&mut job, &facts, &tell).ok()?;
        Some(Link::new(hear))
    }
}

/// Makes the notices that nobody lived to make: runs that ended a while ago, wanted one, and have
/// none. How many there were.
pub fn make_missing(context: &Context, root: &Path, tell: &mut Teller) -> u32 {
    let mut made = 0;
    let runs = root.join("runs");
    let Ok(folder) = std::fs::File::open(&runs) else { return 0 };
    // One flush at a time: looking for an entry and making it are two steps.
    let Ok(_lock) = nix::fcntl::Flock::lock(folder, nix::fcntl::FlockArg::LockExclusive) else { return 0 };
    let entries = std::fs::read_dir(&runs).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path().join(FILE)) {
        let record = std::fs::read(path).ok().and_then(|json| RunRecord::from_json(&json).ok());
        let Some(RunRecord { notice_due: true, overrides, phase: Phase::Ended(facts), .. }) = record else {
            continue;
        };
        // In the future (the clock was set back): a mailer may be at it, the next flush will tell.
        let age = Duration::try_from(clock::now().duration_since(facts.ended)).unwrap_or_default();
        if age < MAILER_IS_AT_IT || kept_before(&facts).is_some() {
            continue;
        }
        let context = context.for_run(overrides, root);
        let loaded = context.load();
        let lang = context.lang(&loaded.settings);
        made += u32::from(make(&context, &facts, &loaded, (lang, tell)).is_some());
    }
    made
}

fn with_hints(error: &Error) -> String {
    std::iter::once(error.to_string()).chain(error.hints.iter().cloned()).collect::<Vec<_>>().join("\n")
}

fn tell_no_account(report: &Report, loaded: &Loaded, lang: Lang, teller: &mut Teller) {
    let expected = loaded.path.as_deref().or(loaded.expected_path.as_deref());
    let summary = terminal::summary(report, lang);
    teller.say(&Word::Summary(format!("\n{}\n\n{}", summary.trim_end(), words::no_account(expected, lang))));
}

fn entry(
    context: &Context,
    facts: &RunFacts,
    settings: &Settings,
    picture: &Picture,
    held: Option<HeldReason>,
) -> Entry {
    // The same whoever makes it and however often, so that a double would be known for one.
    let unique = facts.start.id.to_string();
    let domain = settings.accounts.first().and_then(|account| account.address.rsplit_once('@'));
    let Overrides { to, cc, bcc, from_name, account, .. } = context.overrides.clone();
    Entry {
        version: crate::outbox::entry::VERSION,
        message_id: format!("<{}>", message_id(&unique, domain.map(|(_, d)| d))),
        id: entry_id(facts),
        run: Some(facts.start.id.clone()),
        created: clock::now(),
        date: facts.ended,
        utc_offset: TimeZone::system().to_offset(facts.ended).seconds(),
        subject: picture.rendered.subject.clone(),
        addressing: Addressing { account, to, cc, bcc, from_name },
        recipients: None,
        attempts: Vec::new(),
        attempt_count: 0,
        in_flight: None,
        pinned: None,
        held,
        next_try: None,
    }
}

/// Puts the mail on a disk: the user's own place first, then where else it fits, whole rather
/// than without its log. Says what was wrong when something had to be left out.
fn keep(
    context: &Context,
    facts: &RunFacts,
    settings: &Settings,
    (lang, picture, entry): (Lang, Picture, &Entry),
) -> Result<(Store, Report, Option<Error>)> {
    let mut roots: Vec<PathBuf> = context.root.iter().cloned().collect();
    roots.extend(paths::state_roots().into_iter().filter(|root| context.root.as_ref() != Some(root)));
    let whole = keep_in_one_of(&roots, &picture, entry);
    let Err(why) = whole else { return whole.map(|store| (store, picture.report, None)) };
    let policy = Policy {
        attach: Attach::None,
        max_attachment: None,
        max_message: MAX_MESSAGE,
        tail_bytes: limits::TAIL_BYTES,
    };
    let bare = picture_within(facts, settings, lang, &policy);
    keep_in_one_of(&roots, &bare, entry).map(|store| (store, bare.report, Some(why)))
}

/// The error, if all refuse, is that of the first: the user's own place.
fn keep_in_one_of(roots: &[PathBuf], picture: &Picture, entry: &Entry) -> Result<Store> {
    let mut first = None;
    for root in roots {
        match keep_in(root, picture, entry) {
            Ok(store) => return Ok(store),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    Err(first.unwrap_or_else(|| Error::new(Kind::Storage, "there is no folder to keep it in")))
}

fn keep_in(root: &Path, picture: &Picture, entry: &Entry) -> Result<Store> {
    crate::sys::fs::base_dir(root)
        .map_err(|e| Error::new(Kind::Storage, format!("can't write to {}", root.display())).because(e))?;
    let store = Store::open(root.join("outbox"))?;
    let pending = store.begin(&entry.id)?;
    let content = Content {
        text: &picture.rendered.text,
        html: &picture.rendered.html,
        attachments: &picture.attachments,
        boundary_seed: entry.id.as_str(),
    };
    let composed = {
        let mut out = std::io::BufWriter::with_capacity(64 * 1024, &pending.body);
        compose(&mut out, &content).and_then(|_| {
            use std::io::Write;
            out.flush().map_err(|e| Error::new(Kind::Storage, "can't write the mail").because(e))
        })
    };
    if let Err(error) = composed {
        store.abandon(pending);
        return Err(error);
    }
    let folder = if entry.held.is_some() { Folder::Held } else { Folder::New };
    store.commit(pending, entry, folder)?;
    Ok(store)
}

fn send_first(store: &Store, id: &EntryId, settings: &Settings, (lang, teller): (Lang, &mut Teller)) {
    let limits = Limits::default();
    let plan = Plan {
        pick: Pick::Only(id.clone()),
        accounts: &settings.accounts,
        preferred: settings.account.as_deref(),
        mail: &settings.mail,
        limits: &limits,
        wait: Duration::ZERO,
    };
    if let Err(error) = super::outbox::drain_telling(store, &plan, lang, &mut |word| teller.say(&word)) {
        teller.say(&Word::Trouble(with_hints(&error)));
    }
}
