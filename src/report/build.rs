//! From facts to a report. Pure.

use jiff::tz::TimeZone;

use super::clean::{Clean, CleanLines};
use super::excerpt::Played;
use super::headline::headline;
use super::model::{Excerpt, FileNote, Line, LogNote, Report};
use super::text::{lines, one_line};
use crate::privacy::{Places, Redactor};
use crate::run::facts::{Holds, Origin, RunFacts};
use crate::spool::tail::RawTail;

/// What a report is made of.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    pub facts: &'a RunFacts,
    /// The end of each part of the log.
    pub tails: Vec<RawTail>,
    /// How many of its last lines are to be shown.
    pub tail_lines: usize,
    /// What of the log travels with the mail.
    pub logs: Vec<LogNote>,
    /// What became of the files that the user asked for.
    pub files: Vec<FileNote>,
    /// The reader's time zone.
    pub zone: TimeZone,
    pub redactor: &'a Redactor,
    pub command: CommandName<'a>,
    /// How many places were taken out of the logs that travel; None: none does.
    pub log_places: Option<Places>,
}

/// Is the command line told?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandName<'a> {
    Told,
    /// It is not; a run without a title is called like this.
    Hidden {
        called: &'a str,
    },
}

/// Says of a run what there is to say; every text in it is fit to show, and without what must not leave
/// the machine.
pub fn build(input: Input<'_>) -> Report {
    let Input { facts, tails, tail_lines, logs, files, zone, redactor, command, log_places } = input;
    let start = &facts.start;
    let mut clean = Clean { redactor, places: 0 };
    let (command, own_name) = match (&start.origin, command) {
        (Origin::Command { argv }, CommandName::Told) => {
            let (command, name) = clean.command(argv);
            (Some(command), name)
        }
        (Origin::Command { .. }, CommandName::Hidden { called }) => (None, called.to_owned()),
        (Origin::Pipe, _) => (None, "pipe".to_owned()),
    };
    let title = start.title.as_deref().map(|title| clean.line(title)).filter(|title| !title.is_empty());
    let note = start.note.as_deref().map(|note| lines(&clean.text(note)).join("\n"));
    let tags = start.tags.iter().map(|tag| clean.line(tag)).filter(|tag| !tag.is_empty()).collect();
    let cwd = clean.line(&start.cwd);
    let ci = start.ci.as_ref().map(|ci| clean.ci(ci));
    let logs = logs.into_iter().map(|log| LogNote { path: clean.line(&log.path), ..log }).collect();
    let files = files.into_iter().map(|file| FileNote {
        name: clean.line(&file.name),
        path: clean.line(&file.path),
        ..file
    });
    let files = files.collect();
    let Output { headline, excerpts, places } = output(facts, &tails, tail_lines, redactor);
    // What is shown of a log that travels has been counted there.
    let places = clean.places + log_places.unwrap_or(places);
    Report {
        run_id: start.id.0.clone(),
        end: facts.end,
        name: title.unwrap_or(own_name),
        command,
        host: one_line(&start.host),
        user: one_line(&start.user),
        cwd,
        started: start.started.to_zoned(zone.clone()),
        ended: facts.ended.to_zoned(zone),
        duration: facts.duration,
        usage: facts.usage,
        out_of_memory: facts.out_of_memory,
        headline,
        ci,
        note: note.filter(|n| !n.is_empty()),
        tags,
        excerpts,
        logs,
        files,
        redacted: places,
    }
}

struct Output {
    headline: Option<String>,
    excerpts: Vec<Excerpt>,
    /// How many places the excerpts lost.
    places: Places,
}

/// What the output says: what went wrong, and its last lines.
fn output(facts: &RunFacts, tails: &[RawTail], lines: usize, redactor: &Redactor) -> Output {
    let played: Vec<Played> = tails.iter().map(Played::new).collect();
    let clean: Vec<CleanLines> = played.iter().map(|part| CleanLines::of(redactor, &part.seen())).collect();
    let seen = |part: usize| Some(clean.get(part)?.seen(&played.get(part)?.seen()));
    // A program that tells of its failure does so on stderr.
    let on_stdout = |part: &usize| played.get(*part).is_none_or(|part| part.holds() == Holds::Stdout);
    let (last, first): (Vec<usize>, Vec<usize>) = (0..played.len()).partition(on_stdout);
    let found = first
        .into_iter()
        .chain(last)
        .find_map(|part| Some((part, headline(&seen(part)?, facts.end, facts.out_of_memory)?)));
    let failure = |part| found.as_ref().filter(|(of, _)| *of == part).map(|(_, headline)| &headline.lines);
    let mut places = 0;
    let excerpts = played
        .iter()
        .zip(&clean)
        .enumerate()
        .map(|(part, (played, clean))| {
            let mut redact = |line: &mut Line| places += clean.line(line);
            played.excerpt(lines, failure(part), &mut redact)
        })
        .filter(|excerpt| !excerpt.lines.is_empty())
        .collect();
    Output { headline: found.map(|(_, headline)| headline.text), excerpts, places }
}
