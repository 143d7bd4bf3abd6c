//! What `runs list` and `runs show` tell of a run, as text and as JSON.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::find::{State, View};
use super::words::either;
use crate::privacy::{Options, Redactor};
use crate::render::amount::{self, Detail};
use crate::render::i18n::Lang;
use crate::render::{state, terminal};
use crate::report::build::{CommandName, Input, build};
use crate::report::name::display_command;
use crate::report::text::one_line;
use crate::run::alive::still_runs;
use crate::run::facts::{Death, End, LogPart, Origin, OutOfMemory, Outcome, RunStart, Usage};
use crate::sys::clock;

/// What the user calls it.
pub fn name(start: &RunStart) -> String {
    let title = start.title.as_deref().map(one_line).filter(|title| !title.is_empty());
    title.unwrap_or_else(|| match &start.origin {
        Origin::Command { argv } => one_line(&display_command(argv)),
        Origin::Pipe => "pipe".to_owned(),
    })
}

/// How it stands with it, in a word or two.
pub fn state_word(view: &View, lang: Lang) -> String {
    match &view.state {
        State::Running => either(lang, "running", "运行中").to_owned(),
        State::Unheard => either(lang, "unknown", "未知").to_owned(),
        State::Over(facts) => state(facts.end, facts.out_of_memory, lang),
    }
}

/// How long it took, or has taken so far.
pub fn took(view: &View) -> Duration {
    match &view.state {
        State::Over(facts) => facts.duration,
        // A start in the future (the clock was set back): nothing yet.
        _ => Duration::try_from(clock::now().duration_since(view.record.start().started)).unwrap_or_default(),
    }
}

/// The command's process, while it can be told from any other.
fn command_pid(view: &View) -> Option<i32> {
    let owner = &view.record.underway.as_ref()?.owner;
    let here = owner.place.is_here(&crate::run::alive::here());
    owner.command.filter(|command| here && still_runs(*command)).map(|command| command.pid)
}

/// Everything that is known of it.
pub fn text(view: &View, lang: Lang) -> String {
    let strings = lang.strings();
    let (label, start) = (&strings.label, view.record.start());
    let mut rows = match &view.state {
        State::Over(facts) => {
            let zone = TimeZone::system();
            let (tails, logs, command) = (Vec::new(), Vec::new(), CommandName::Told);
            let redactor = &Redactor::new(&Options::default());
            let input = Input {
                facts,
                tails,
                tail_lines: 0,
                logs,
                files: Vec::new(),
                zone,
                redactor,
                command,
                log_places: None,
            };
            terminal::facts(&build(input), lang)
        }
        _ => {
            let at = start.started.to_zoned(TimeZone::system());
            let so_far = amount::duration(took(view), Detail::Exact, &strings.units);
            let command = match &start.origin {
                Origin::Command { argv } => vec![(label.command, one_line(&display_command(argv)))],
                Origin::Pipe => Vec::new(),
            };
            let mut rows = vec![(label.result, state_word(view, lang))];
            rows.extend(command);
            rows.extend([
                (label.duration, so_far),
                (label.host, one_line(&start.host)),
                (label.user, one_line(&start.user)),
                (label.directory, one_line(&start.cwd)),
                (label.started, at.strftime("%Y-%m-%d %H:%M:%S %:z").to_string()),
            ]);
            rows
        }
    };
    let title = start.title.as_deref().map(one_line).filter(|title| !title.is_empty());
    rows.extend(title.map(|title| (either(lang, "Title", "标题"), title)));
    let note = start.note.as_deref().map(one_line).filter(|note| !note.is_empty());
    rows.extend(note.map(|note| (label.note, note)));
    if !start.tags.is_empty() {
        rows.push((label.tags, start.tags.iter().map(|tag| one_line(tag)).collect::<Vec<_>>().join(", ")));
    }
    rows.extend(command_pid(view).map(|pid| (either(lang, "Process", "进程号"), pid.to_string())));
    rows.push((label.run, view.id().to_owned()));
    for part in view.log() {
        let trouble = part.trouble.map(|trouble| format!(" · {}", (strings.log.trouble)(trouble)));
        let size = amount::size(part.len());
        let place = one_line(&part.path.display().to_string());
        rows.push((label.log, format!("{size} · {place}{}", trouble.unwrap_or_default())));
    }
    if view.record.notice_due {
        let due = either(lang, "its notice is still to be made", "通知尚未生成");
        rows.push((either(lang, "Notice", "通知"), due.to_owned()));
    }
    terminal::table(&rows)
}

/// A run as JSON. Every key is always there; `null` where there is nothing to tell.
#[derive(Debug, Serialize)]
struct Json<'a> {
    id: &'a str,
    /// `running`, `unknown`, `succeeded`, `failed`, `ended` (a pipe without a status), `interrupted`
    state: &'static str,
    title: Option<&'a str>,
    /// The words of the command line; `null` for a pipe
    command: Option<&'a [String]>,
    host: &'a str,
    user: &'a str,
    cwd: &'a str,
    note: Option<&'a str>,
    tags: &'a [String],
    started: Timestamp,
    ended: Option<Timestamp>,
    /// So far, if it runs
    duration_seconds: f64,
    exit_code: Option<i32>,
    signal: Option<i32>,
    /// `killed`, `rebooted`, `silent`
    interrupted_by: Option<Death>,
    last_output: Option<Timestamp>,
    /// The command's process, while it runs on this machine
    pid: Option<i32>,
    cpu_seconds: Option<f64>,
    peak_memory_bytes: Option<u64>,
    /// Processes of its control group that the kernel killed for want of memory
    out_of_memory: Option<OutOfMemory>,
    log: Vec<JsonPart>,
    folder: &'a Path,
    /// Its notice is wanted and not made yet
    notice_due: bool,
}

#[derive(Debug, Serialize)]
struct JsonPart {
    path: String,
    /// `both`, `stdout`, `stderr`
    holds: crate::run::facts::Holds,
    /// The range of bytes in the file
    start: u64,
    end: u64,
    trouble: Option<crate::run::facts::PartTrouble>,
}

impl From<LogPart> for JsonPart {
    fn from(part: LogPart) -> Self {
        let LogPart { path, holds, start, end, trouble, .. } = part;
        Self { path: path.to_string_lossy().into_owned(), holds, start, end, trouble }
    }
}

fn as_json(view: &View) -> Json<'_> {
    let start = view.record.start();
    let over = match &view.state {
        State::Over(facts) => Some(facts),
        _ => None,
    };
    let end = over.map(|facts| facts.end);
    let (interrupted_by, last_output) = match end {
        Some(End::Interrupted { why, last_output, .. }) => (Some(why), last_output),
        _ => (None, None),
    };
    let usage = over.and_then(|facts| facts.usage);
    let cpu = |usage: Usage| (usage.user + usage.system).as_secs_f64();
    Json {
        id: view.id(),
        state: json_state(view),
        title: start.title.as_deref(),
        command: match &start.origin {
            Origin::Command { argv } => Some(argv),
            Origin::Pipe => None,
        },
        host: &start.host,
        user: &start.user,
        cwd: &start.cwd,
        note: start.note.as_deref(),
        tags: &start.tags,
        started: start.started,
        ended: over.filter(|_| interrupted_by.is_none()).map(|facts| facts.ended),
        duration_seconds: took(view).as_secs_f64(),
        exit_code: match end {
            Some(End::Exited { code } | End::Reported { code }) => Some(code),
            Some(end @ End::NotStarted { .. }) => match crate::exit::for_end(end) {
                crate::exit::Exit::Code(code) => Some(code),
                crate::exit::Exit::Signal(_) => None,
            },
            _ => None,
        },
        signal: match end {
            Some(End::Signaled { signal, .. }) => Some(signal),
            _ => None,
        },
        interrupted_by,
        last_output,
        pid: command_pid(view),
        cpu_seconds: usage.map(cpu),
        peak_memory_bytes: usage.map(|usage| usage.peak_rss),
        out_of_memory: over.and_then(|facts| facts.out_of_memory),
        log: view.log().into_iter().map(JsonPart::from).collect(),
        folder: &view.folder,
        notice_due: view.record.notice_due,
    }
}

fn json_state(view: &View) -> &'static str {
    match &view.state {
        State::Running => "running",
        State::Unheard => "unknown",
        State::Over(facts) => match facts.end.outcome() {
            Outcome::Success => "succeeded",
            Outcome::Failure => "failed",
            Outcome::Unknown => "ended",
            Outcome::Interrupted => "interrupted",
        },
    }
}

/// One JSON document.
pub(super) fn pretty(value: &impl Serialize) -> String {
    let mut json = serde_json::to_string_pretty(value).expect("every key is a string, every path text");
    json.push('\n');
    json
}

/// One run.
pub fn json(view: &View) -> String {
    pretty(&as_json(view))
}

/// `{"runs": […]}`, oldest first.
pub fn json_list(views: &[View]) -> String {
    #[derive(Serialize)]
    struct List<'a> {
        runs: Vec<Json<'a>>,
    }
    pretty(&List { runs: views.iter().map(as_json).collect() })
}
