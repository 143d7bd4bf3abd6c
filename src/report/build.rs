//! From facts to a report. Pure.

use jiff::tz::TimeZone;

use super::excerpt::{Played, Redact};
use super::headline::headline;
use super::model::{Excerpt, FileNote, LogNote, Report};
use super::name::{display_command, short_name};
use super::text::one_line;
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
}

/// Says of a run what there is to say; every text in it is fit to show.
pub fn build(input: Input<'_>) -> Report {
    let Input { facts, tails, tail_lines, logs, files, zone } = input;
    let start = &facts.start;
    let command = match &start.origin {
        Origin::Command { argv } => Some(display_command(argv)),
        Origin::Pipe => None,
    };
    let title = start.title.as_deref().map(one_line).filter(|title| !title.is_empty());
    let name = title.unwrap_or_else(|| match &start.origin {
        Origin::Command { argv } => short_name(argv),
        Origin::Pipe => "pipe".to_owned(),
    });
    let (headline, excerpts) = output(facts, &tails, tail_lines, &mut |_| {});
    let logs = logs.into_iter().map(|log| LogNote { path: one_line(&log.path), ..log }).collect();
    let files = files.into_iter().map(|file| FileNote {
        name: one_line(&file.name),
        path: one_line(&file.path),
        ..file
    });
    Report {
        run_id: start.id.0.clone(),
        end: facts.end,
        name,
        command,
        host: one_line(&start.host),
        user: one_line(&start.user),
        cwd: one_line(&start.cwd),
        started: start.started.to_zoned(zone.clone()),
        ended: facts.ended.to_zoned(zone),
        duration: facts.duration,
        usage: facts.usage,
        out_of_memory: facts.out_of_memory,
        headline,
        ci: start.ci.clone(),
        note: start.note.as_deref().map(|note| super::text::lines(note).join("\n")).filter(|n| !n.is_empty()),
        tags: start.tags.iter().map(|tag| one_line(tag)).filter(|tag| !tag.is_empty()).collect(),
        excerpts,
        logs,
        files: files.collect(),
        redacted: 0,
    }
}

/// What the output says: what went wrong, and its last lines. `redact` sees every line that is shown.
fn output(
    facts: &RunFacts,
    tails: &[RawTail],
    lines: usize,
    redact: &mut Redact<'_>,
) -> (Option<String>, Vec<Excerpt>) {
    let played: Vec<Played> = tails.iter().map(Played::new).collect();
    // A program that tells of its failure does so on stderr.
    let on_stdout = |part: &usize| played.get(*part).is_none_or(|part| part.holds() == Holds::Stdout);
    let (last, first): (Vec<usize>, Vec<usize>) = (0..played.len()).partition(on_stdout);
    let found = first
        .into_iter()
        .chain(last)
        .find_map(|part| Some((part, headline(&played.get(part)?.seen(), facts.end, facts.out_of_memory)?)));
    let failure = |part| found.as_ref().filter(|(of, _)| *of == part).map(|(_, headline)| &headline.lines);
    let excerpts = played
        .iter()
        .enumerate()
        .map(|(part, played)| played.excerpt(lines, failure(part), redact))
        .filter(|excerpt| !excerpt.lines.is_empty())
        .collect();
    (found.map(|(_, headline)| headline.text), excerpts)
}
