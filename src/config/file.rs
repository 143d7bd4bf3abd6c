//! `notify.toml` as text → what it says. Pure.
//!
//! A line that can't be used costs that line only: it becomes a [`Diagnostic`] with its number, and
//! the rest is used.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::keys::{self, ACCOUNT, Item, PRIVATE, TABLES, TOP};
pub use super::keys::{FileAccount, FileConfig};
use super::recover::{Broken, Recovered, recover};
use super::secret::may_hold_code;
use super::values::{BadValue, quoted};
use super::{Diagnostic, Severity};

/// Reads the text of a notify.toml; `path` stands in the diagnostics, and relative paths in the
/// file are relative to its folder.
pub fn parse(text: &str, path: &Path) -> (FileConfig, Vec<Diagnostic>) {
    let Recovered { text: usable, findings, lost_lines } = recover(text);
    let mut walk = Walk {
        newlines: text.match_indices('\n').map(|(at, _)| at).collect(),
        folder: path.parent().unwrap_or(Path::new("")),
        config: FileConfig { path: path.to_owned(), lost_lines, ..FileConfig::default() },
        diagnostics: Vec::new(),
    };
    for Broken { line, message, hint } in findings {
        let found = BadValue::new(format!("this line isn't valid TOML: {message}"), hint);
        walk.push(Severity::Unusable, line, None, found);
    }
    // What can't be read may have been a wish to keep something out of mails.
    let lost = usable.is_none() || !walk.config.lost_lines.is_empty();
    walk.config.privacy_unreadable = lost && mentions_privacy(text);
    let document = usable.as_ref().and_then(|usable| DeTable::parse(usable).ok());
    if let Some(document) = &document {
        walk.document(document.get_ref());
    }
    let (config, mut diagnostics) = (walk.config, walk.diagnostics);
    diagnostics.sort_by_key(|found| line_of_place(&found.place));
    (config, diagnostics)
}

/// Where something stands, as all diagnostics write it.
pub(super) fn place(path: &Path, line: usize) -> String {
    format!("{}:{line}", path.display())
}

fn line_of_place(place: &str) -> usize {
    place.rsplit_once(':').and_then(|(_, line)| line.parse().ok()).unwrap_or(0)
}

type Entry<'a> = (&'a Spanned<DeString<'a>>, &'a Spanned<DeValue<'a>>);

struct Walk<'a> {
    /// Where the lines end, in bytes.
    newlines: Vec<usize>,
    folder: &'a Path,
    config: FileConfig,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Walk<'a> {
    fn document(&mut self, document: &'a DeTable<'a>) {
        for (name, value) in in_order(document) {
            let (key, line) = (name.get_ref().as_ref(), self.line(name));
            if self.config.lost_lines.contains(&line) {
                continue;
            }
            if key == "accounts" {
                self.accounts(line, value.get_ref());
            } else if let Some((table, keys)) = TABLES.iter().find(|(table, _)| *table == key) {
                let DeValue::Table(entries) = value.get_ref() else {
                    self.not_a_table(line, table, &format!("[{table}]"));
                    continue;
                };
                for entry in in_order(entries) {
                    self.entry(Some(table), keys, entry);
                }
            } else {
                self.entry(None, TOP, (name, value));
            }
        }
    }

    fn entry(&mut self, table: Option<&str>, known: &[keys::Key<FileConfig>], (name, value): Entry<'a>) {
        let line = self.line(name);
        let full = table.map_or(name.get_ref().to_string(), |table| format!("{table}.{}", name.get_ref()));
        let Some(key) = known.iter().find(|key| key.name == name.get_ref().as_ref()) else {
            return self.unknown(line, table, name.get_ref());
        };
        let item = Item { value: value.get_ref(), folder: self.folder };
        match (key.set)(&mut self.config, &item) {
            Ok(()) => {
                self.config.lines.insert(full, line);
            }
            Err(bad) => self.bad(line, full, bad),
        }
    }

    fn accounts(&mut self, line: usize, value: &'a DeValue<'a>) {
        let example = "[accounts.qq]";
        let DeValue::Table(accounts) = value else {
            return self.not_a_table(line, "accounts", example);
        };
        for (name, value) in in_order(accounts) {
            let (line, key) = (self.line(name), name.get_ref().as_ref());
            let DeValue::Table(entries) = value.get_ref() else {
                let shown = if may_hold_code(key) { "…" } else { key };
                self.not_a_table(line, &format!("accounts.{shown}"), example);
                continue;
            };
            if key.trim().is_empty() || key.chars().any(char::is_control) {
                let bad =
                    BadValue::new("the account has no printable name", "name it, for example [accounts.qq]");
                self.bad(line, "accounts".to_owned(), bad);
                continue;
            }
            self.account(line, key, entries);
        }
    }

    fn account(&mut self, line: usize, name: &str, entries: &'a DeTable<'a>) {
        let mut account = FileAccount { name: name.to_owned(), line, ..FileAccount::default() };
        let table = format!("accounts.{name}");
        for (entry, value) in in_order(entries) {
            let line = self.line(entry);
            let Some(key) = ACCOUNT.iter().find(|key| key.name == entry.get_ref().as_ref()) else {
                self.unknown(line, Some(&table), entry.get_ref());
                continue;
            };
            let item = Item { value: value.get_ref(), folder: self.folder };
            let full = format!("{table}.{}", key.name);
            match (key.set)(&mut account, &item) {
                Ok(()) => {
                    self.config.lines.insert(full, line);
                }
                Err(bad) => {
                    account.unusable.push(key.name);
                    self.bad(line, full, bad);
                }
            }
        }
        self.config.accounts.push(account);
    }

    fn line(&self, name: &Spanned<DeString<'_>>) -> usize {
        self.newlines.partition_point(|at| *at < name.span().start) + 1
    }

    fn bad(&mut self, line: usize, key: String, bad: BadValue) {
        self.config.privacy_unreadable |= key.split('.').next() == Some(PRIVATE);
        self.push(Severity::Unusable, line, Some(key), bad);
    }

    fn not_a_table(&mut self, line: usize, key: &str, header: &str) {
        let bad = BadValue::new(
            "is a value, not a table",
            format!("write {header} on a line of its own, its keys below"),
        );
        self.bad(line, key.to_owned(), bad);
    }

    fn unknown(&mut self, line: usize, table: Option<&str>, name: &str) {
        let full = table.map_or(name.to_owned(), |table| format!("{table}.{name}"));
        let key = Some(full).filter(|_| !may_hold_code(name));
        if is_about_privacy(table, name) {
            self.config.privacy_unreadable = true;
            let found = BadValue::new("this version doesn't know it", suggestion(table, name));
            return self.push(Severity::Unusable, line, key, found);
        }
        let found = BadValue::new("this version doesn't know it; it is ignored", suggestion(table, name));
        self.push(Severity::Warning, line, key, found);
    }

    fn push(&mut self, severity: Severity, line: usize, key: Option<String>, bad: BadValue) {
        let place = place(&self.config.path, line);
        self.diagnostics.push(Diagnostic { severity, place, key, message: bad.what, hint: Some(bad.fix) });
    }
}

/// Was this key meant to keep something out of mails? To ignore it would be to tell what it hides.
fn is_about_privacy(table: Option<&str>, name: &str) -> bool {
    let near = |word: &str| strsim::osa_distance(&name.to_lowercase(), word) <= 2;
    table == Some(PRIVATE) || near("redact") || near("hide_command") || (table.is_none() && near(PRIVATE))
}

/// Does a line that is no comment speak of it?
fn mentions_privacy(text: &str) -> bool {
    let is_comment = |line: &&str| !line.trim_start().starts_with('#');
    text.lines().filter(is_comment).any(|line| {
        let line = line.to_lowercase();
        ["privacy", "redact", "hide_command"].iter().any(|word| line.contains(word))
    })
}

/// A table's entries as they stand in the file (the parser sorts them by name).
fn in_order<'a>(table: &'a DeTable<'a>) -> Vec<Entry<'a>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

/// What an unknown key may have been meant to be: the same name in another table, else the nearest
/// name in the same one.
fn suggestion(table: Option<&str>, name: &str) -> String {
    let all = keys::all();
    let home = match table {
        Some(table) if table.starts_with("accounts.") => "accounts.NAME",
        other => other.unwrap_or_default(),
    };
    let split = |full: &'_ str| -> (String, String) {
        full.rsplit_once('.').map_or((String::new(), full.to_owned()), |(t, n)| (t.to_owned(), n.to_owned()))
    };
    if let Some((owner, _)) = all.iter().map(|full| split(full)).find(|(_, leaf)| leaf == name) {
        return match owner.as_str() {
            "" => format!("did you mean {name} above the first [table]? Move it there"),
            owner => format!("did you mean {name} in [{owner}]? Move it there"),
        };
    }
    let tables = TABLES.iter().map(|(table, _)| (*table).to_owned()).chain(["accounts".to_owned()]);
    let near = all
        .iter()
        .map(|full| split(full))
        .filter(|(owner, _)| owner == home)
        .map(|(_, leaf)| leaf)
        .chain(tables.filter(|_| home.is_empty()))
        .map(|candidate| (strsim::osa_distance(&candidate, name), candidate))
        .min();
    match near {
        Some((distance, candidate)) if distance <= (name.chars().count() / 3).max(1) => {
            format!("did you mean {candidate}?")
        }
        _ => format!("remove {} or update notify-done", quoted(name)),
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
