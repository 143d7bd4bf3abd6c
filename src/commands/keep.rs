//! A run's mail: put into words, and written to a disk.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use crate::config::{Attach, Settings};
use crate::error::{Error, Kind, Result};
use crate::mail::compose::{Content, Short, compose, compose_plain};
use crate::mail::limits::{self, Attachment, Policy};
use crate::outbox::entry::{Entry, Folder};
use crate::outbox::store::{Pending, Store};
use crate::render::i18n::Lang;
use crate::render::{Plain, Rendered, plain, render};
use crate::report::build::{Input, build};
use crate::report::model::Report;
use crate::run::facts::{PartTrouble, RunFacts};
use crate::spool::reader::tail;
use crate::sys::paths;

/// With no account to ask, a mail is made for the smallest of the usual limits (NetEase's).
const MAX_MESSAGE: u64 = 50_000_000;

/// How often a mail is written whose log shrinks meanwhile.
const TRIES: u32 = 3;

/// A run as it will be seen.
#[derive(Debug)]
pub struct Picture {
    pub report: Report,
    pub rendered: Rendered,
    /// For a provider that doesn't take the other.
    pub plain: Plain,
    pub attachments: Vec<Attachment>,
}

/// Puts a run into words, with as much of its log as the settings and the provider allow.
pub fn picture(facts: &RunFacts, settings: &Settings, lang: Lang) -> Picture {
    Draft::whole(facts, settings, lang).picture
}

/// A picture that can be made again when the log turns out to hold less than the run's facts say.
#[derive(Debug)]
pub struct Draft<'a> {
    facts: RunFacts,
    settings: &'a Settings,
    lang: Lang,
    policy: Policy,
    pub picture: Picture,
}

impl<'a> Draft<'a> {
    /// With as much of the log as the settings and the smallest account allow.
    pub fn whole(facts: &RunFacts, settings: &'a Settings, lang: Lang) -> Self {
        let smallest = settings.accounts.iter().map(|account| account.server.max_message).min();
        let policy = Policy {
            attach: settings.log.attach,
            max_attachment: settings.log.max_attachment,
            max_message: smallest.unwrap_or(MAX_MESSAGE),
            tail_bytes: limits::TAIL_BYTES,
        };
        Self::new(facts, settings, lang, policy)
    }

    fn new(facts: &RunFacts, settings: &'a Settings, lang: Lang, policy: Policy) -> Self {
        let picture = picture_within(facts, settings, lang, &policy);
        Self { facts: facts.clone(), settings, lang, policy, picture }
    }

    /// Says what these files have lost, since the bodies must not promise it.
    fn admit(&mut self, short: &[Short]) {
        for part in &mut self.facts.log {
            let Some(short) = short.iter().find(|short| short.path == part.path) else { continue };
            match std::fs::metadata(&part.path) {
                Ok(meta) if short.cause.is_none() => {
                    let end = meta.len().clamp(part.start, part.end.max(part.start));
                    let before = match part.trouble {
                        Some(PartTrouble::Gap { bytes, .. } | PartTrouble::Shrunk { bytes }) => bytes,
                        _ => 0,
                    };
                    part.trouble = Some(PartTrouble::Shrunk { bytes: before + (part.end - end) });
                    part.end = end;
                }
                _ => part.trouble = Some(PartTrouble::Unreadable),
            }
        }
        self.picture = picture_within(&self.facts, self.settings, self.lang, &self.policy);
    }
}

fn picture_within(facts: &RunFacts, settings: &Settings, lang: Lang, policy: &Policy) -> Picture {
    let logs = limits::plan(&facts.log, policy);
    let attachments = limits::attachments(&facts.log, &logs);
    let tail_lines = usize::try_from(settings.log.tail_lines).unwrap_or(usize::MAX);
    // A part that can't be read has its trouble told in its note; the others still show.
    let tails = facts.log.iter().filter_map(|part| tail(part).ok()).collect();
    let report = build(Input { facts, tails, tail_lines, logs, zone: TimeZone::system() });
    let rendered = render(&report, lang, settings.mail.subject.as_deref());
    let plain = plain(&report, lang);
    Picture { report, rendered, plain, attachments }
}

/// Puts the mail on a disk: the user's own place first, then where else it fits, whole rather
/// than without its log. Says what was wrong when something had to be left out.
///
/// # Errors
/// `Storage` when it fits nowhere: what the first place said.
pub fn keep(
    own: Option<&Path>,
    mut draft: Draft<'_>,
    entry: &Entry,
) -> Result<(Store, Report, Option<Error>)> {
    let mut roots: Vec<PathBuf> = own.iter().map(|root| root.to_path_buf()).collect();
    roots.extend(paths::state_roots().into_iter().filter(|root| own != Some(root)));
    let whole = keep_in_one_of(&roots, &mut draft, entry);
    let Err(why) = whole else { return whole.map(|store| (store, draft.picture.report, None)) };
    let policy = Policy {
        attach: Attach::None,
        max_attachment: None,
        max_message: MAX_MESSAGE,
        tail_bytes: limits::TAIL_BYTES,
    };
    let mut bare = Draft::new(&draft.facts, draft.settings, draft.lang, policy);
    keep_in_one_of(&roots, &mut bare, entry).map(|store| (store, bare.picture.report, Some(why)))
}

/// The error, if all refuse, is that of the first: the user's own place.
fn keep_in_one_of(roots: &[PathBuf], draft: &mut Draft<'_>, entry: &Entry) -> Result<Store> {
    let mut first = None;
    for root in roots {
        match keep_in(root, draft, entry) {
            Ok(store) => return Ok(store),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    Err(first.unwrap_or_else(|| Error::new(Kind::Storage, "there is no folder to keep it in")))
}

fn keep_in(root: &Path, draft: &mut Draft<'_>, entry: &Entry) -> Result<Store> {
    crate::sys::fs::base_dir(root)
        .map_err(|e| Error::new(Kind::Storage, format!("can't write to {}", root.display())).because(e))?;
    let store = Store::open(root.join("outbox"))?;
    let mut tries = 1;
    let pending = loop {
        let mut pending = store.begin(&entry.id)?;
        match write_mail(&mut pending, &draft.picture, entry) {
            // A file that goes on shrinking: the attachment's last line has the latest.
            Ok(short) if short.is_empty() || tries == TRIES => break pending,
            Ok(short) => {
                store.abandon(pending);
                draft.admit(&short);
                tries += 1;
            }
            Err(error) => {
                store.abandon(pending);
                return Err(error);
            }
        }
    };
    let folder = if entry.held.is_some() { Folder::Held } else { Folder::New };
    store.commit(pending, entry, folder)?;
    Ok(store)
}

/// Writes the mail's body in both forms; gives the attachments that hold less than it says.
fn write_mail(pending: &mut Pending, picture: &Picture, entry: &Entry) -> Result<Vec<Short>> {
    let content = Content {
        text: &picture.rendered.text,
        html: &picture.rendered.html,
        attachments: &picture.attachments,
        boundary_seed: entry.id.as_str(),
    };
    let mut out = std::io::BufWriter::with_capacity(64 * 1024, &pending.body);
    let short = compose(&mut out, &content)?.short;
    drop(out);
    compose_plain(pending.plain()?, &picture.plain.text)?;
    Ok(short)
}
