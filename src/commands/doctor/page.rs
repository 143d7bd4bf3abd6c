//! A checkup as a page of text: one row a step, with a mark, its time, and under what failed the fix. Pure.

use std::path::PathBuf;

use unicode_width::UnicodeWidthStr;

use super::super::event_words::Reader;
use super::super::words::naming;
use super::checkup::{AccountReport, Checkup, Finding, Mail, StepReport, Went};
use super::found;
use super::words::{self, Heading, Label, SOON};
use crate::deliver::probe::Found;
use crate::render::i18n::Lang;
use crate::report::text::{char_columns, one_line};

/// Columns of the page. Only what can't be broken, a path say, and a transcript are wider.
const WIDTH: usize = 80;
/// The text of a row has so many at least, however long the name of an account is.
const NARROWEST: usize = 30;
/// Columns of a time: `1234 ms`.
const TIME: usize = 7;

/// How marks are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    Signs,
    /// Where the locale has no others.
    Ascii,
}

/// For whom.
#[derive(Debug)]
pub struct Reading {
    pub reader: Reader,
    pub marks: Marks,
    /// `--config`, which commands that are named must have, too.
    pub config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Good,
    Bad,
    Warning,
    NotTried,
    None,
}

impl Mark {
    fn drawn(self, marks: Marks) -> &'static str {
        match (self, marks) {
            (Mark::Good, Marks::Signs) => "✓",
            (Mark::Bad, Marks::Signs) => "✗",
            (Mark::Good, Marks::Ascii) => "+",
            (Mark::Bad, Marks::Ascii) => "X",
            (Mark::Warning, _) => "!",
            (Mark::NotTried, _) => "-",
            (Mark::None, _) => " ",
        }
    }
}

/// One line and what stands under it.
struct Row {
    mark: Mark,
    label: String,
    millis: Option<u64>,
    text: String,
    /// Beneath, in the same column.
    more: Vec<String>,
}

impl Row {
    fn new(mark: Mark, label: impl Into<String>, text: impl Into<String>) -> Self {
        Self { mark, label: label.into(), millis: None, text: text.into(), more: Vec::new() }
    }

    fn with(mut self, more: impl IntoIterator<Item = String>) -> Self {
        self.more.extend(more);
        self
    }
}

/// The page. `set_up` is what is said where there is no account.
pub fn page(checkup: &Checkup, reading: &Reading, set_up: &str) -> String {
    let lang = reading.reader.lang;
    let time = checkup.time.to_zoned(reading.reader.zone.clone());
    let time = time.strftime("%Y-%m-%d %H:%M:%S %:z");
    let mut page =
        Page { reading, text: format!("notify-done {}, {}, {time}\n", checkup.version, checkup.host) };
    page.section(words::heading(Heading::Settings, lang), &settings(checkup, lang));
    page.section(words::heading(Heading::Set, lang), &what_is_set(checkup, lang));
    page.section(words::heading(Heading::Kept, lang), &kept(checkup, lang));
    for account in &checkup.accounts {
        page.section(&words::account_heading(account, lang), &steps(account, &reading.reader));
        page.dialogue(account);
    }
    page.text.push('\n');
    match words::mend_first(checkup, lang) {
        Some(first) => page.paragraph(&first),
        None if checkup.accounts.is_empty() => page.text.push_str(&format!("{set_up}\n")),
        None => {}
    }
    if let Some(works) = words::what_works(checkup, lang) {
        page.paragraph(&works);
    }
    let waiting = checkup.outbox.waiting + checkup.outbox.held;
    if waiting > 0 && checkup.accounts.iter().any(|account| account.ok) {
        page.paragraph(&words::flush(waiting, lang));
    }
    page.text
}

struct Page<'a> {
    reading: &'a Reading,
    text: String,
}

impl Page<'_> {
    fn section(&mut self, heading: &str, rows: &[Row]) {
        if rows.is_empty() {
            return;
        }
        self.text.push('\n');
        self.paragraph(heading);
        let widest = rows.iter().map(|row| row.label.width()).max().unwrap_or(0);
        let timed = rows.iter().any(|row| row.millis.is_some());
        let column = 4 + widest + 2 + if timed { TIME + 2 } else { 0 };
        for row in rows {
            let mark = row.mark.drawn(self.reading.marks);
            let pad = " ".repeat(widest - row.label.width() + 2);
            let time = match (timed, row.millis) {
                (true, Some(millis)) => format!("{:>TIME$}  ", time(millis)),
                (true, None) => " ".repeat(TIME + 2),
                (false, _) => String::new(),
            };
            let begin = format!("  {mark} {}{pad}{time}", row.label);
            let mut first = Some(begin);
            for text in std::iter::once(&row.text).chain(&row.more) {
                for line in wrapped(&self.named(text), WIDTH.saturating_sub(column).max(NARROWEST)) {
                    let begin = first.take().unwrap_or_else(|| " ".repeat(column));
                    self.text.push_str(format!("{begin}{line}").trim_end());
                    self.text.push('\n');
                }
            }
        }
    }

    fn paragraph(&mut self, text: &str) {
        for line in wrapped(&self.named(text), WIDTH) {
            self.text.push_str(&format!("{line}\n"));
        }
    }

    fn named(&self, text: &str) -> String {
        naming(text, self.reading.config.as_deref())
    }

    fn dialogue(&mut self, account: &AccountReport) {
        let Some(transcript) = &account.transcript else { return };
        let lang = self.reading.reader.lang;
        self.text.push_str(&format!("\n  {}\n", words::label(Label::Dialogue, lang)));
        if transcript.lines.is_empty() {
            self.text.push_str(&format!("    {}\n", words::silence(lang)));
        }
        for line in transcript.to_string().lines() {
            self.text.push_str(&format!("  {line}\n"));
        }
    }
}

fn settings(checkup: &Checkup, lang: Lang) -> Vec<Row> {
    let config = &checkup.config;
    let mark = match (&config.path, &config.mode) {
        (Some(_), _) => Mark::Good,
        (None, Some(_)) => Mark::Bad,
        (None, None) => Mark::NotTried,
    };
    let file = Row::new(mark, "notify.toml", words::file(config, lang));
    let finding = |finding: &Finding| {
        let (mark, label) = match finding.unusable {
            true => (Mark::Bad, Label::Mistake),
            false => (Mark::Warning, Label::Warning),
        };
        let place = words::place(&finding.place, config, lang);
        let key = finding.key.as_ref().map(|key| format!("{key}: ")).unwrap_or_default();
        let text = one_line(&format!("{place}: {key}{}", finding.message));
        let fix = finding.fix.as_ref().map(|fix| words::fix(&one_line(fix), lang));
        Row::new(mark, words::label(label, lang), text).with(fix)
    };
    std::iter::once(file).chain(config.findings.iter().map(finding)).collect()
}

fn what_is_set(checkup: &Checkup, lang: Lang) -> Vec<Row> {
    let rows = checkup.config.settings.iter().map(|setting| {
        let value = setting.value.as_deref().unwrap_or(words::not_shown(lang));
        let place = words::place(&setting.place, &checkup.config, lang);
        Row::new(Mark::None, one_line(&setting.key), words::value(value, &place, lang))
    });
    rows.collect()
}

fn kept(checkup: &Checkup, lang: Lang) -> Vec<Row> {
    let state = &checkup.state;
    let label = words::label(Label::Folder, lang);
    let passed_over = state.passed_over.as_ref().map(|it| {
        Row::new(Mark::Bad, label, one_line(&format!("{}: {}", it.folder, it.why)))
            .with([words::fix(words::folder_fix(lang), lang)])
    });
    let mark = match (&state.folder, state.exists, &state.passed_over) {
        (None, ..) => Mark::Bad,
        (Some(_), _, Some(_)) => Mark::Warning,
        (Some(_), true, None) => Mark::Good,
        (Some(_), false, None) => Mark::NotTried,
    };
    let folder = Row::new(mark, label, words::folder(state, lang));
    let outbox = &checkup.outbox;
    let mark = match (&outbox.error, outbox.failed) {
        (Some(_), _) => Mark::Bad,
        (None, 0) => Mark::Good,
        (None, _) => Mark::Warning,
    };
    let fix = (outbox.failed > 0).then(|| words::fix(words::outbox_fix(lang), lang));
    let outbox = Row::new(mark, words::label(Label::Outbox, lang), words::outbox(outbox, lang)).with(fix);
    passed_over.into_iter().chain([folder, outbox]).collect()
}

fn steps(account: &AccountReport, reader: &Reader) -> Vec<Row> {
    let lang = reader.lang;
    let mut rows = Vec::new();
    if let Some(earlier) = words::earlier(account, reader) {
        // Who asked for less mail still waits.
        let over = account.logs_in() && account.before.paused.is_none();
        let mark = if over { Mark::None } else { Mark::Warning };
        rows.push(Row::new(mark, words::label(Label::Earlier, lang), earlier));
    }
    rows.push(code(account, lang));
    let mut at = account.port;
    for step in &account.steps {
        if step.port != at {
            at = step.port;
            rows.push(Row::new(Mark::None, "", words::other_port(step.port, step.tls, lang)));
        }
        rows.push(of_step(step, reader));
    }
    rows.extend(account.mail.as_ref().map(|mail| of_mail(mail, lang)));
    rows
}

fn code(account: &AccountReport, lang: Lang) -> Row {
    let code = &account.auth_code;
    let label = words::label(Label::Code, lang);
    let source = words::source(code.source.as_deref(), lang);
    match (&code.error, &code.warning) {
        (Some(error), _) => {
            let fix = code.fix.as_ref().map(|fix| words::fix(&one_line(fix), lang));
            Row::new(Mark::Bad, label, one_line(error)).with(fix)
        }
        (None, Some(warning)) => Row::new(Mark::Warning, label, source).with([one_line(warning)]),
        (None, None) if account.steps.iter().all(|step| step.state == Went::NotTried) => {
            Row::new(Mark::NotTried, label, source)
        }
        (None, None) => Row::new(Mark::Good, label, source),
    }
}

fn of_step(step: &StepReport, reader: &Reader) -> Row {
    let lang = reader.lang;
    let label = words::stage(step.stage, lang);
    let (text, more) = step.found.as_ref().map(|found| found::found(found, reader)).unwrap_or_default();
    let mut row = match (step.state, &step.diagnosis) {
        (Went::NotTried, _) => Row::new(Mark::NotTried, label, words::not_tried(lang)),
        (Went::Failed, Some(diagnosis)) => {
            let mark = if step.decides { Mark::Bad } else { Mark::Warning };
            let fix = step.decides.then(|| words::fix(&words::fix_of(diagnosis, lang), lang));
            Row::new(mark, label, words::cause(diagnosis, lang)).with(more).with(fix)
        }
        (Went::Failed | Went::Ok, _) => {
            let mark = if ends_soon(step.found.as_ref()) { Mark::Warning } else { Mark::Good };
            Row::new(mark, label, text).with(more)
        }
    };
    row.millis = step.elapsed_ms;
    row
}

fn ends_soon(found: Option<&Found>) -> bool {
    let Some(Found::Tls(facts)) = found else { return false };
    facts.chain.iter().any(|certificate| certificate.days_left < SOON)
}

fn of_mail(mail: &Mail, lang: Lang) -> Row {
    let label = words::label(Label::Mail, lang);
    let refused = mail.refused.iter().flat_map(|refused| {
        let told = format!("{}: {}", refused.address, words::cause(&refused.diagnosis, lang));
        [told, words::fix(&words::fix_of(&refused.diagnosis, lang), lang)]
    });
    let mut row = match (&mail.receipt, &mail.diagnosis) {
        (Some(receipt), _) => {
            let mark = if mail.refused.is_empty() { Mark::Good } else { Mark::Bad };
            let taken = |to: &&String| !mail.refused.iter().any(|refused| refused.address == **to);
            let to: Vec<String> = mail.to.iter().filter(taken).cloned().collect();
            Row::new(mark, label, words::mail_taken(&to, receipt, lang)).with(refused)
        }
        (None, Some(diagnosis)) => {
            let fix = words::fix(&words::fix_of(diagnosis, lang), lang);
            Row::new(Mark::Bad, label, words::cause(diagnosis, lang)).with([fix])
        }
        (None, None) => Row::new(Mark::NotTried, label, words::not_tried(lang)),
    };
    row.millis = mail.elapsed_ms;
    row
}

/// `12 ms`, `1.2 s`.
fn time(millis: u64) -> String {
    if millis < 1000 {
        format!("{millis} ms")
    } else {
        format!("{}.{} s", millis / 1000, millis % 1000 / 100)
    }
}

/// The text in lines of so many columns. Broken at blanks and between wide characters, not before
/// punctuation; a command in backticks stays on one line.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0);
    for word in words_of(text) {
        let width = word.trim_end().width();
        if used > 0 && used + width > columns {
            lines.push(std::mem::take(&mut line).trim_end().to_owned());
            used = 0;
        }
        line.push_str(word);
        used += word.width();
    }
    lines.push(line.trim_end().to_owned());
    lines
}

/// What mustn't be broken, with the blanks after it.
fn words_of(text: &str) -> Vec<&str> {
    const NEVER_FIRST: &str = "，。；：、！？）”’》」』,.;:!?)";
    const NEVER_LAST: &str = "（“‘《「『(";
    let (mut words, mut begin, mut quoted) = (Vec::new(), 0, false);
    let mut before: Option<char> = None;
    for (at, c) in text.char_indices() {
        let wide = |c: char| char_columns(c) == 2;
        let may = before.is_some_and(|last| {
            let apart = last == ' ' || wide(last) || wide(c);
            apart && c != ' ' && !NEVER_FIRST.contains(c) && !NEVER_LAST.contains(last)
        });
        if may && !quoted {
            words.push(&text[begin..at]);
            begin = at;
        }
        quoted ^= c == '`';
        before = Some(c);
    }
    words.push(&text[begin..]);
    words
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
