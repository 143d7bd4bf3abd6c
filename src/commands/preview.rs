//! `notify-done preview [RUN]`: the mail of a run as files to look at.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::browser::{self, Opened};
use super::common::Context;
use super::find::{self, State, View};
use super::keep::{Draft, Picture, write_whole};
use super::{notice, outbox, words};
use crate::cli::PreviewArgs;
use crate::config::{Mailbox, Overrides, Settings};
use crate::error::{Error, Kind, Result};
use crate::exit::{self, Exit};
use crate::outbox::choice::{accounts_for, choose_recipients};
use crate::outbox::drain::Letterhead;
use crate::run::facts::RunFacts;
use crate::sys::best_effort;
use crate::sys::fs::{Durability, create_private, replace};
use crate::ui::{self, Ui};

/// Writes HTML and text beside the run's log, and the whole mail if that is wished; prints the paths.
///
/// # Errors
/// `NotFound` when there is no such run; `Storage` when it can't be read or written.
pub fn run(args: &PreviewArgs, ui: &Ui) -> Result<Exit> {
    let context = Context::new(&args.common, Overrides { lang: args.lang, ..Overrides::default() });
    let view = find::find(args.run.as_deref())?;
    let facts = facts(&view)?;
    // The run's own options, since it is the run's mail; but in the language asked for now.
    let asked = Overrides { lang: context.overrides.lang, ..Overrides::default() };
    let context = context.for_run(asked.or(view.record.overrides.clone()));
    let loaded = context.load();
    loaded.diagnostics.iter().chain(&context.diagnostics).for_each(|d| ui.diagnostic(d));
    let lang = context.lang(&loaded.settings);
    let mut draft = Draft::whole(facts, &loaded.settings, lang);
    let id = notice::entry_id(facts);
    let parts = view.folder.join("preview.parts");
    let body = body_file(&view.folder, args.eml)?;
    let picture = draft.write(&body, &parts, id.as_str())?;
    let mut written = String::new();
    let page = view.folder.join("preview.html");
    let text = view.folder.join("preview.txt");
    for (path, content) in [(&page, &picture.rendered.html), (&text, &picture.rendered.text)] {
        replace(path, content.as_bytes(), Durability::Atomic).map_err(|e| unwritable(path, &e))?;
        written.push_str(&format!("{}\n", path.display()));
    }
    if args.eml {
        let path = view.folder.join("preview.eml");
        write_eml(&path, &headers(&context, facts, &loaded.settings, &picture)?, &body)?;
        written.push_str(&format!("{}\n", path.display()));
    }
    ui.note(&words::mail_of(&facts.start.id.0, &picture.rendered.subject, lang));
    let printed = ui::result(&written).is_ok();
    if args.open && browser::open(&page, &Context::code_variables()) == Opened::No {
        ui.trouble(&words::no_browser(&page, lang));
    }
    Ok(Exit::Code(if printed { exit::DONE } else { exit::NOT_DONE }))
}

fn facts(view: &View) -> Result<&RunFacts> {
    match &view.state {
        State::Over(facts) => Ok(facts),
        State::Running | State::Unheard => {
            Err(Error::new(Kind::NotFound, format!("run {} has not ended", view.id()))
                .hint("its mail is made when it ends; `notify-done runs log` shows its output so far"))
        }
    }
}

/// Where the body goes: a file without a name, or nowhere.
fn body_file(folder: &Path, kept: bool) -> Result<File> {
    if !kept {
        let nowhere = Path::new("/dev/null");
        return File::options().write(true).open(nowhere).map_err(|e| unwritable(nowhere, &e));
    }
    let path = folder.join("preview.body");
    best_effort(std::fs::remove_file(&path));
    let file = create_private(&path).map_err(|e| unwritable(&path, &e))?;
    std::fs::remove_file(&path).map_err(|e| unwritable(&path, &e))?;
    Ok(file)
}

/// As the account that it would go out by would write them.
fn headers(context: &Context, facts: &RunFacts, settings: &Settings, picture: &Picture) -> Result<Vec<u8>> {
    let entry = notice::entry(context, facts, settings, picture, None);
    let preferred = settings.account.as_deref();
    let account = accounts_for(&entry, &settings.accounts, preferred).ok().map(|accounts| accounts[0]);
    // Without an account: a domain that can't exist (RFC 2606).
    let address = account.map_or("you@notify-done.invalid", |account| &account.address);
    let recipients = choose_recipients(&entry.addressing, &settings.mail, address);
    let name = entry.addressing.from_name.clone().or_else(|| settings.mail.from_name.clone());
    outbox::headers(&Letterhead {
        entry: &entry,
        subject: &entry.subject,
        from: Mailbox { name, address: address.to_owned() },
        to: &recipients.to,
        cc: &recipients.cc,
    })
}

fn write_eml(path: &Path, headers: &[u8], body: &File) -> Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    best_effort(std::fs::remove_file(&part));
    let mut file = create_private(&part).map_err(|e| unwritable(&part, &e))?;
    write_whole(&mut file, headers, body)?;
    std::fs::rename(&part, path).map_err(|e| unwritable(path, &e))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(Kind::Storage, format!("can't write {}", path.display())).because(error)
}
