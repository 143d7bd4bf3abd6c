//! From facts to a report. Pure.

use jiff::tz::TimeZone;

use super::excerpt::excerpt;
use super::model::{FileNote, LogNote, Report};
use super::name::{display_command, short_name};
use super::text::one_line;
use crate::run::facts::{Origin, RunFacts};
use crate::spool::tail::RawTail;

/// What a report is made of.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    pub facts: &'a RunFacts,
    /// The end of each part of the log, as many lines as are to be shown.
    pub tails: Vec<RawTail>,
    /// What of the log travels with the mail.
    pub logs: Vec<LogNote>,
    /// What became of the files that the user asked for.
    pub files: Vec<FileNote>,
    /// The reader's time zone.
    pub zone: TimeZone,
}

/// Says of a run what there is to say; every text in it is fit to show.
pub fn build(input: Input<'_>) -> Report {
    let Input { facts, tails, logs, files, zone } = input;
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
        headline: None,
        ci: start.ci.clone(),
        note: start.note.as_deref().map(|note| super::text::lines(note).join("\n")).filter(|n| !n.is_empty()),
        tags: start.tags.iter().map(|tag| one_line(tag)).filter(|tag| !tag.is_empty()).collect(),
        excerpts: tails.iter().map(excerpt).filter(|excerpt| !excerpt.lines.is_empty()).collect(),
        logs,
        files: files.collect(),
        redacted: 0,
    }
}
