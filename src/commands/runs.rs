//! `notify-done runs`: the runs that are kept.

use super::common;
use super::find::{self, State, View};
use super::private::Local;
use super::runs_show::{self, state_word};
use super::{runs_log, runs_stop, words};
use crate::cli::RunsAction;
use crate::config::Language;
use crate::error::Result;
use crate::exit::{self, Exit};
use crate::render::amount::{Detail, duration};
use crate::render::i18n::Lang;
use crate::report::text::{char_columns, cut};
use crate::ui::{self, Ui};

/// Older ones only with `--all`.
const SHOWN: usize = 20;
const NAME_COLUMNS: usize = 60;

/// # Errors
/// When the run that is meant isn't there, or can't be read; what the action itself says.
pub fn run(action: &RunsAction, ui: &Ui) -> Result<Exit> {
    let lang = common::language(Language::Auto);
    match action {
        RunsAction::List { json: true, common, .. } => list_as_json(&Local::new(common), ui),
        RunsAction::List { all, common, .. } => list(&Local::new(common), *all, lang, ui),
        RunsAction::Show { run, json, common } => {
            let view = Local::new(common).clean(find::find(run.as_deref())?);
            Ok(told(&if *json { runs_show::json(&view) } else { runs_show::text(&view, lang) }))
        }
        RunsAction::Log { run, follow, .. } => runs_log::run(find::find(run.as_deref())?, *follow, ui),
        RunsAction::Stop { run, kill, timeout, .. } => runs_stop::run(run.as_deref(), (*kill, *timeout), ui),
    }
}

/// A result, on stdout.
pub(super) fn told(text: &str) -> Exit {
    Exit::Code(if ui::result(text).is_ok() { exit::DONE } else { exit::NOT_DONE })
}

/// What can be read; the others are told with their reason.
fn readable(local: &Local, ui: &Ui) -> Vec<View> {
    let tell = |view: Result<View>| view.map(|view| local.clean(view)).map_err(|error| ui.error(&error)).ok();
    find::all().into_iter().filter_map(|(_, view)| tell(view)).collect()
}

fn list_as_json(local: &Local, ui: &Ui) -> Result<Exit> {
    Ok(told(&runs_show::json_list(&readable(local, ui))))
}

/// The newest last, where the eye is; a run that goes on is never left out.
fn list(local: &Local, all: bool, lang: Lang, ui: &Ui) -> Result<Exit> {
    let views = readable(local, ui);
    let old = if all { 0 } else { views.len().saturating_sub(SHOWN) };
    let goes_on = |view: &View| !matches!(view.state, State::Over(_));
    let shown: Vec<&View> = views
        .iter()
        .enumerate()
        .filter(|(n, view)| *n >= old || goes_on(view))
        .map(|(_, view)| view)
        .collect();
    let rows: Vec<[String; 5]> = shown.iter().map(|view| row(view, lang)).collect();
    if rows.is_empty() {
        return Ok(told(words::either(lang, "there is no run yet\n", "还没有运行记录\n")));
    }
    let exit = told(&table(&rows));
    let left_out = views.len() - shown.len();
    if left_out > 0 {
        ui.note(&match lang {
            Lang::En => {
                format!("{left_out} older runs are left out; `notify-done runs list --all` shows them")
            }
            Lang::Zh => {
                format!("另有 {left_out} 个较早的运行未列出；`notify-done runs list --all` 可查看全部")
            }
        });
    }
    Ok(exit)
}

fn row(view: &View, lang: Lang) -> [String; 5] {
    let start = view.record.start();
    let at = start.started.to_zoned(jiff::tz::TimeZone::system());
    let took = duration(runs_show::took(view), Detail::Compact, &lang.strings().units);
    [
        short(view.id()).to_owned(),
        state_word(view, lang),
        at.strftime("%Y-%m-%d %H:%M").to_string(),
        took,
        cut(&runs_show::name(start), NAME_COLUMNS),
    ]
}

/// The random part: enough to tell the runs of a month apart, and accepted wherever an id is.
fn short(id: &str) -> &str {
    id.split_once('-').map_or(id, |(_, random)| random)
}

/// Columns as wide as their widest value; a Chinese character takes two.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let columns = |text: &str| text.chars().map(char_columns).sum::<usize>();
    let widest: Vec<usize> =
        (0..N).map(|n| rows.iter().map(|row| columns(&row[n])).max().unwrap_or(0)).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widest);
        let line: String =
            cells.map(|(cell, width)| format!("{cell}{}  ", " ".repeat(width - columns(cell)))).collect();
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches columns that don't line up where a word is Chinese.
    #[test]
    fn columns_line_up() {
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        assert_eq!(table(&[row("a", "x"), row("成功", "y")]), "a     x\n成功  y\n");
    }
}
