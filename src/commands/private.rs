//! What a run's mail must not carry: the settings' wishes, with the accounts' codes.

use std::borrow::Cow;
use std::io::{self, BufRead, Write};
use std::ops::Range;

use super::common::Context;
use super::find::{State, View};
use super::words;
use crate::cli::CommonArgs;
use crate::config::read_secret::read_secret;
use crate::config::{CommandLine, Overrides, Settings, Wishes};
use crate::mail::Filter;
use crate::privacy::codes::Code;
use crate::privacy::{Options, Places, Redactor};
use crate::render::i18n::Lang;
use crate::report::build::CommandName;
use crate::run::facts::{Origin, RunFacts, RunStart};
use crate::run::record::Phase;

/// Made once for a mail, however often that is written. Holds the codes: to be dropped when it is made.
#[derive(Debug)]
pub struct Private {
    pub redactor: Redactor,
    command: CommandLine,
    wishes: Wishes,
}

impl Private {
    /// Reads the codes, to take them out. One that can't be read now isn't taken out: what can't get at it
    /// here most likely couldn't print it either.
    pub fn of(settings: &Settings) -> Self {
        let sources = settings.accounts.iter().filter_map(|account| account.secret.as_ref());
        let secrets: Vec<_> = sources.filter_map(|source| read_secret(source).ok()).collect();
        let codes: Vec<Code<'_>> = secrets.iter().map(|read| Code { code: read.secret.expose() }).collect();
        let privacy = &settings.privacy;
        let options = Options { patterns: &privacy.redact, keep: &privacy.keep, codes: &codes };
        Self { redactor: Redactor::new(&options), command: privacy.command, wishes: privacy.wishes }
    }

    /// Must nothing that the run itself says be in the mail? Nobody knows what would have to be taken out.
    pub fn withholds(&self) -> bool {
        self.wishes == Wishes::Unreadable
    }

    pub fn command(&self, lang: Lang) -> CommandName<'static> {
        if self.command == CommandLine::Hidden || self.withholds() {
            CommandName::Hidden { called: words::some_command(lang) }
        } else {
            CommandName::Told
        }
    }

    /// The facts that may be told: all of them, or those that nobody chose the words of.
    pub fn facts(&self, facts: &RunFacts, lang: Lang) -> RunFacts {
        let mut told = facts.clone();
        if !self.withholds() {
            return told;
        }
        told.start.title = None;
        told.start.tags = Vec::new();
        told.start.ci = None;
        told.start.cwd = "…".to_owned();
        told.start.note = Some(words::withheld(lang).to_owned());
        told
    }
}

impl Filter for Private {
    fn pass(&self, mut from: &mut dyn BufRead, mut to: &mut dyn Write) -> io::Result<Places> {
        self.redactor.redact_stream(&mut from, &mut to)
    }

    fn cut_around(&self, text: &[u8], at: usize) -> Range<usize> {
        self.redactor.cut_around(text, at)
    }

    fn name(&self, name: &str) -> String {
        self.redactor.text(name).0.into_owned()
    }
}

/// What is shown of runs on this machine: what a mail would tell of their command lines, names and notes,
/// since it is pasted and passed on, too. The codes aren't read for it, and a hidden command is shown.
pub struct Local {
    context: Context,
    usual: Redactor,
}

impl Local {
    pub fn new(common: &CommonArgs) -> Self {
        let context = Context::new(common, Overrides::default());
        let usual = Private::of(&context.load_without_codes().settings).redactor;
        Self { context, usual }
    }

    pub fn clean(&self, mut view: View) -> View {
        let overrides = &view.record.overrides;
        let own =
            (overrides.redact.is_some() || overrides.config != self.context.overrides.config).then(|| {
                let context = self.context.for_run(overrides.clone());
                Private::of(&context.load_without_codes().settings).redactor
            });
        let redactor = own.as_ref().unwrap_or(&self.usual);
        match &mut view.record.phase {
            Phase::Running(start) => clean(start, redactor),
            Phase::Ended(facts) => clean(&mut facts.start, redactor),
        }
        if let State::Over(facts) = &mut view.state {
            clean(&mut facts.start, redactor);
        }
        view
    }
}

fn clean(start: &mut RunStart, redactor: &Redactor) {
    let RunStart { origin, title, note, tags, cwd, .. } = start;
    if let Origin::Command { argv } = origin {
        *argv = redactor.words(argv).0;
    }
    for text in title.iter_mut().chain(note).chain(tags).chain(std::iter::once(cwd)) {
        if let (Cow::Owned(clean), _) = redactor.text(text) {
            *text = clean;
        }
    }
}
