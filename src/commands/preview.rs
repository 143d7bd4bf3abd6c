//! `notify-done preview [RUN]`: the mail of a run as files to look at.

use std::path::{Path, PathBuf};

use super::common::{self, Context};
use super::{keep, words};
use crate::cli::PreviewArgs;
use crate::config::Overrides;
use crate::error::{Error, Kind, Result};
use crate::exit::{self, Exit};
use crate::run::facts::RunFacts;
use crate::run::record::{FILE, Phase, RunRecord};
use crate::sys::fs::{Durability, replace};
use crate::sys::paths;
use crate::ui::{self, Ui};

/// Writes HTML and text beside the run's log, and prints both paths.
///
/// # Errors
/// `NotFound` when there is no such run; `Storage` when it can't be read or written.
pub fn run(args: &PreviewArgs, ui: &Ui) -> Result<Exit> {
    let context = Context::new(&args.common, Overrides { lang: args.lang, ..Overrides::default() });
    let folder = find(args.run.as_deref())?;
    let (facts, overrides) = ended(&folder)?;
    // The run's own options, since it is the run's mail; but in the language asked for now.
    let asked = Overrides { lang: context.overrides.lang, ..Overrides::default() };
    let context = context.for_run(asked.or(overrides));
    let loaded = context.load();
    loaded.diagnostics.iter().chain(&context.diagnostics).for_each(|d| ui.diagnostic(d));
    let lang = context.lang(&loaded.settings);
    let picture = keep::picture(&facts, &loaded.settings, lang);
    let mut written = String::new();
    for (name, content) in [("preview.html", &picture.rendered.html), ("preview.txt", &picture.rendered.text)]
    {
        let path = folder.join(name);
        replace(&path, content.as_bytes(), Durability::Atomic)
            .map_err(|e| Error::new(Kind::Storage, format!("can't write {}", path.display())).because(e))?;
        written.push_str(&format!("{}\n", path.display()));
    }
    ui.note(&words::mail_of(&facts.start.id.0, &picture.rendered.subject, lang));
    Ok(Exit::Code(if ui::result(&written).is_ok() { exit::DONE } else { exit::NOT_DONE }))
}

fn find(id: Option<&str>) -> Result<PathBuf> {
    let roots = paths::existing_state_roots();
    let Some(id) = id else {
        return common::last_run(&roots).ok_or_else(|| {
            Error::new(Kind::NotFound, "there is no run to show yet")
                .hint("make one: notify-done -- echo hello")
        });
    };
    let plain = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let found =
        roots.iter().map(|root| root.join("runs").join(id)).find(|dir| plain && dir.join(FILE).is_file());
    found.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("there is no run `{id}`")).hint(
            "without an id, `notify-done preview` shows the last run; each mail names its run at the end",
        )
    })
}

/// What is known of a run, and what it was told.
fn ended(folder: &Path) -> Result<(RunFacts, Overrides)> {
    let path = folder.join(FILE);
    let json = std::fs::read(&path)
        .map_err(|e| Error::new(Kind::Storage, format!("can't read {}", path.display())).because(e))?;
    let record = RunRecord::from_json(&json).map_err(|e| e.hint(path.display().to_string()))?;
    match record.phase {
        Phase::Ended(facts) => Ok((facts, record.overrides)),
        Phase::Running(start) => Err(Error::new(Kind::NotFound, format!("run {} has not ended", start.id))
            .hint("its mail is made when it ends")),
    }
}
