//! The summary on a terminal, for those without an account. Pure.

use super::amount;
use super::content;
use super::i18n::Lang;
use super::subject;
use crate::report::model::{Carried, Report};
use crate::report::text::cut;

/// The widest value of a fact, columns. The log's place is told in full.
const COLUMNS: usize = 100;
const LOGS: usize = 2;

/// At most 12 lines, each ended by `\n`, without escape codes. The output itself isn't repeated: it
/// has just passed by.
pub fn summary(report: &Report, lang: Lang) -> String {
    let strings = lang.strings();
    let label = &strings.label;
    let told_elsewhere = [label.duration, label.host, label.user];
    let mut rows: Vec<_> = content::facts(report, strings)
        .into_iter()
        .filter(|fact| !told_elsewhere.contains(&fact.label))
        .map(|fact| (fact.label, cut(&fact.value, COLUMNS)))
        .collect();
    rows.push((label.run, content::value(&report.run_id)));
    let written = report.logs.iter().filter(|log| log.carried != Carried::Empty);
    for log in written.take(LOGS) {
        let mut value = format!("{} · {}", amount::size(log.bytes), content::value(&log.path));
        if let Some(trouble) = log.trouble {
            value = format!("{value} · {}", (strings.log.trouble)(trouble));
        }
        rows.push((label.log, value));
    }
    if content::is_silent(report) {
        rows.push((label.log, strings.output.none.to_owned()));
    }
    let mut out = format!("{}\n", subject::subject(report, lang, None));
    super::text::table(&mut out, &rows);
    out
}

/// All facts of a run in the order of their weight: label and value.
pub fn facts(report: &Report, lang: Lang) -> Vec<(&'static str, String)> {
    let strings = lang.strings();
    let all = content::facts(report, strings).into_iter().chain(content::ci_facts(report, strings));
    all.map(|fact| (fact.label, fact.value)).collect()
}

/// Labels and values in two columns.
pub fn table(rows: &[(&str, String)]) -> String {
    let mut out = String::new();
    super::text::table(&mut out, rows);
    out
}
