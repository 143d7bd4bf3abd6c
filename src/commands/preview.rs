//! `notify-done preview [RUN]`: the mail of a run as files to look at.

use super::common::Context;
use super::find::{self, State, View};
use super::{keep, words};
use crate::cli::PreviewArgs;
use crate::config::Overrides;
use crate::error::{Error, Kind, Result};
use crate::exit::{self, Exit};
use crate::run::facts::RunFacts;
use crate::sys::fs::{Durability, replace};
use crate::ui::{self, Ui};

/// Writes HTML and text beside the run's log, and prints both paths.
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
    let loaded = context.load_without_codes();
    loaded.diagnostics.iter().chain(&context.diagnostics).for_each(|d| ui.diagnostic(d));
    let lang = context.lang(&loaded.settings);
    let picture = keep::picture(facts, &loaded.settings, lang);
    let mut written = String::new();
    for (name, content) in [("preview.html", &picture.rendered.html), ("preview.txt", &picture.rendered.text)]
    {
        let path = view.folder.join(name);
        replace(&path, content.as_bytes(), Durability::Atomic)
            .map_err(|e| Error::new(Kind::Storage, format!("can't write {}", path.display())).because(e))?;
        written.push_str(&format!("{}\n", path.display()));
    }
    ui.note(&words::mail_of(&facts.start.id.0, &picture.rendered.subject, lang));
    Ok(Exit::Code(if ui::result(&written).is_ok() { exit::DONE } else { exit::NOT_DONE }))
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
