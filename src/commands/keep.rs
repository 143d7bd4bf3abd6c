//! A run's mail: put into words, and written to a disk.

use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::private::Private;
use crate::config::{Attach, Settings};
use crate::error::{Error, Kind, Result};
use crate::mail::compose::{Content, Short, compose, compose_plain};
use crate::mail::files::{self, Found};
use crate::mail::ladder::Policy;
use crate::mail::limits::{HEADERS_RESERVE, TAIL_BYTES};
use crate::mail::prepare::{Prepared, Wishes, prepare};
use crate::outbox::entry::{Entry, EntryId, Folder};
use crate::outbox::store::Store;
use crate::render::i18n::Lang;
use crate::render::{Plain, Rendered, plain, render};
use crate::report::build::{Input, build};
use crate::report::model::{LeftOut, Report};
use crate::run::facts::{AttachFiles, PartTrouble, RunFacts};
use crate::spool::reader::tail;
use crate::sys::fs::remove_flat;
use crate::sys::{best_effort, paths};

/// With no account to ask, a mail is made for the smallest of the usual limits (NetEase's).
const MAX_MESSAGE: u64 = 50_000_000;

/// How often a mail is written whose log shrinks meanwhile, or whose bodies are larger than was reckoned.
const TRIES: u32 = 3;

/// A run as it will be seen.
#[derive(Debug)]
pub struct Picture {
    pub report: Report,
    pub rendered: Rendered,
    /// For a provider that doesn't take the other.
    pub plain: Plain,
    pub lang: Lang,
}

/// A mail as it was written.
struct Made {
    picture: Picture,
    /// Without the header block.
    bytes: u64,
    short: Vec<Short>,
    /// Is there an attachment?
    attached: bool,
}

/// The mail of a run, which can be made again: when the log turns out to hold less than the run's facts say,
/// or a provider takes less.
#[derive(Debug)]
pub struct Draft<'a> {
    facts: RunFacts,
    files: Vec<Found>,
    settings: &'a Settings,
    lang: Lang,
    policy: Policy,
    private: Private,
}

impl<'a> Draft<'a> {
    /// With as much of the log as the settings and the smallest account allow.
    pub fn whole(facts: &RunFacts, settings: &'a Settings, lang: Lang) -> Self {
        let smallest = settings.accounts.iter().map(|account| account.server.max_message).min();
        Self::within(facts, settings, lang, smallest.unwrap_or(MAX_MESSAGE))
    }

    /// A mail of at most so many bytes on the wire.
    pub fn within(facts: &RunFacts, settings: &'a Settings, lang: Lang, max_message: u64) -> Self {
        let private = Private::of(settings);
        let policy = Policy {
            attach: if private.withholds() { Attach::None } else { settings.log.attach },
            max_attachment: settings.log.max_attachment,
            max_message,
            tail_bytes: TAIL_BYTES,
        };
        let files = files::find(&facts.start.attach);
        Self { facts: private.facts(facts, lang), files, settings, lang, policy, private }
    }

    /// Leaves out the files of the user's of which this is true: they have changed since.
    pub fn leave_out(&mut self, has_changed: &dyn Fn(&Path) -> bool) {
        for file in self.files.iter_mut().filter(|file| file.size.is_ok()) {
            if has_changed(&file.path) {
                file.size = Err(LeftOut::ChangedSince);
            }
        }
    }

    /// For its words alone.
    pub fn whole_without_files(facts: &RunFacts, settings: &'a Settings, lang: Lang) -> Self {
        let mut facts = facts.clone();
        facts.start.attach = AttachFiles::default();
        Self::whole(&facts, settings, lang)
    }

    /// The subjects, and what is said when nothing is attached: looks into no log but for its end.
    pub fn bare(&self) -> Picture {
        let nothing = Policy { attach: Attach::None, ..self.policy.clone() };
        let wishes = Wishes {
            parts: &self.facts.log,
            files: &[],
            policy: &nothing,
            filter: None,
            folder: Path::new(""),
        };
        // Nothing is packed where nothing is attached.
        self.picture(prepare(&wishes).unwrap_or_default())
    }

    fn picture(&self, prepared: Prepared) -> Picture {
        let Self { facts, settings, lang, private, .. } = self;
        let tail_lines = usize::try_from(settings.log.tail_lines).unwrap_or(usize::MAX);
        // A part that can't be read has its trouble told in its note; the others still show.
        let shown = if private.withholds() { &[] } else { facts.log.as_slice() };
        let tails = shown.iter().filter_map(|part| tail(part).ok()).collect();
        let Prepared { logs, files, places, .. } = prepared;
        let log_places = logs.iter().any(|log| log.attachment.is_some()).then_some(places);
        let (redactor, command, zone) = (&private.redactor, private.command(*lang), TimeZone::system());
        let report =
            build(Input { facts, tails, tail_lines, logs, files, zone, redactor, command, log_places });
        let subject = settings.mail.subject.as_deref().map(|template| redactor.text(template).0);
        let rendered = render(&report, *lang, subject.as_deref());
        let plain = plain(&report, *lang);
        Picture { report, rendered, plain, lang: *lang }
    }

    /// Writes the mail's body, with a folder for what is packed meanwhile. What the log has lost by then the
    /// bodies don't promise.
    ///
    /// # Errors
    /// `Storage`.
    pub fn write(&mut self, body: &File, parts: &Path, seed: &str) -> Result<Picture> {
        let most = self.policy.max_message;
        let mut tries = 1;
        let written = loop {
            let made = self.write_once(body, parts, seed);
            // Else it goes with the folder that it lies in.
            best_effort(remove_flat(parts).or_else(gone_is_fine));
            let Made { picture, bytes, short, attached } = match made {
                Ok(made) => made,
                Err(error) => break Err(error),
            };
            // Bodies that are larger than was reckoned.
            let over = if attached { (bytes + HEADERS_RESERVE).saturating_sub(most) } else { 0 };
            // A file that goes on shrinking: the attachment's last line has the latest.
            if tries == TRIES || (short.is_empty() && over == 0) {
                break Ok(picture);
            }
            self.admit(&short);
            self.policy.max_message = self.policy.max_message.saturating_sub(over);
            if let Err(error) = empty(body) {
                break Err(Error::new(Kind::Storage, "can't write the mail anew").because(error));
            }
            tries += 1;
        };
        self.policy.max_message = most;
        written
    }

    fn write_once(&self, body: &File, parts: &Path, seed: &str) -> Result<Made> {
        let mut prepared = prepare(&Wishes {
            parts: &self.facts.log,
            files: &self.files,
            policy: &self.policy,
            filter: Some(&self.private),
            folder: parts,
        })?;
        let (attachments, mut short) =
            (std::mem::take(&mut prepared.attachments), std::mem::take(&mut prepared.short));
        let picture = self.picture(prepared);
        let content = Content {
            text: &picture.rendered.text,
            html: &picture.rendered.html,
            attachments: &attachments,
            boundary_seed: seed,
        };
        let mut out = BufWriter::with_capacity(64 * 1024, body);
        let composed = compose(&mut out, &content)?;
        short.extend(composed.short);
        Ok(Made { picture, bytes: composed.bytes, short, attached: !attachments.is_empty() })
    }

    /// Says what these files have lost, since the bodies must not promise it.
    fn admit(&mut self, short: &[Short]) {
        for file in &mut self.files {
            if short.iter().any(|short| short.path == file.path) {
                file.size = Err(LeftOut::Changed);
            }
        }
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
    }
}

/// To be written anew. A preview's body may go nowhere.
fn empty(mut file: &File) -> std::io::Result<()> {
    file.rewind()?;
    if file.metadata()?.is_file() { file.set_len(0) } else { Ok(()) }
}

fn gone_is_fine(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// The entry of a mail that looks like this.
pub type MakeEntry<'a> = &'a dyn Fn(&Picture) -> Entry;

/// Puts the mail on a disk: the user's own place first, then where else it fits, whole rather than with the
/// log's end, and that rather than without. Says what was wrong when something had to be left out.
///
/// # Errors
/// `Storage` when it fits nowhere: what the first place said.
pub fn keep(
    own: Option<&Path>,
    mut draft: Draft<'_>,
    (id, entry): (&EntryId, MakeEntry<'_>),
) -> Result<(Store, Report, Option<Error>)> {
    let mut roots: Vec<PathBuf> = own.iter().map(|root| root.to_path_buf()).collect();
    roots.extend(paths::state_roots().into_iter().filter(|root| own != Some(root)));
    let why = match keep_in_one_of(&roots, &mut draft, (id, entry)) {
        Ok((store, report)) => return Ok((store, report, None)),
        Err(why) => why,
    };
    for attach in [Attach::Tail, Attach::None] {
        if attach == Attach::Tail && draft.policy.attach == Attach::None {
            continue;
        }
        draft.policy.attach = attach;
        let left_out = |file: &mut Found| file.size = file.size.clone().and(Err(LeftOut::NoSpace));
        draft.files.iter_mut().for_each(left_out);
        if let Ok((store, report)) = keep_in_one_of(&roots, &mut draft, (id, entry)) {
            return Ok((store, report, Some(why)));
        }
    }
    Err(why)
}

/// The error, if all refuse, is that of the first: the user's own place.
fn keep_in_one_of(
    roots: &[PathBuf],
    draft: &mut Draft<'_>,
    (id, entry): (&EntryId, MakeEntry<'_>),
) -> Result<(Store, Report)> {
    let mut first = None;
    for root in roots {
        match keep_in(root, draft, (id, entry)) {
            Ok(kept) => return Ok(kept),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    Err(first.unwrap_or_else(|| Error::new(Kind::Storage, "there is no folder to keep it in")))
}

fn keep_in(
    root: &Path,
    draft: &mut Draft<'_>,
    (id, entry): (&EntryId, MakeEntry<'_>),
) -> Result<(Store, Report)> {
    crate::sys::fs::base_dir(root)
        .map_err(|e| Error::new(Kind::Storage, format!("can't write to {}", root.display())).because(e))?;
    let store = Store::open(root.join("outbox"))?;
    let mut pending = store.begin(id)?;
    let written = draft.write(&pending.body, &pending.parts(), id.as_str()).and_then(|picture| {
        compose_plain(pending.plain()?, &picture.plain.text)?;
        Ok(picture)
    });
    let picture = match written {
        Ok(picture) => picture,
        Err(error) => {
            store.abandon(pending);
            return Err(error);
        }
    };
    let entry = entry(&picture);
    let folder = if entry.held.is_some() { Folder::Held } else { Folder::New };
    store.commit(pending, &entry, folder)?;
    Ok((store, picture.report))
}

/// Writes the header block in front of the body that [`Draft::write`] makes: a mail as a file.
///
/// # Errors
/// `Storage`.
pub fn write_whole(to: &mut File, headers: &[u8], mut body: &File) -> Result<()> {
    let copied = to
        .write_all(headers)
        .and_then(|()| body.rewind())
        .and_then(|()| std::io::copy(&mut body, to).map(|_| ()));
    copied.map_err(|e| Error::new(Kind::Storage, "can't write the mail").because(e))
}
