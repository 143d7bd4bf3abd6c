//! Every key of `notify.toml`: its name, how its value is read, and where it goes. Pure.
//!
//! The lists here are the only ones: the parser walks them, and a test holds `notify.example.toml`
//! to them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::{DeInteger, DeValue};

use super::provider::{self, Preset};
use super::secret::Unfit;
use super::values::{self, BadValue};
use super::{Attach, Auth, Language, Mailbox, On, Secret, SecretSource, Tls, Wait};
use crate::privacy::builtin::Kind;
use crate::privacy::pattern::Pattern;

/// What the template has where the user's address goes.
pub const PLACEHOLDER_ADDRESS: &str = "your-number@qq.com";
/// What the template has where the authorization code goes.
pub const PLACEHOLDER_CODE: &str = "paste-your-authorization-code-here";

/// What a file says, key by key; None where it says nothing or nothing usable.
#[derive(Debug, Clone, Default)]
pub struct FileConfig {
    /// The file's path as it was given.
    pub path: PathBuf,
    pub account: Option<String>,
    pub lang: Option<Language>,
    pub to: Option<Vec<Mailbox>>,
    pub cc: Option<Vec<Mailbox>>,
    pub bcc: Option<Vec<Mailbox>>,
    pub from_name: Option<String>,
    pub subject: Option<String>,
    pub on: Option<On>,
    pub min_duration: Option<Duration>,
    pub wait: Option<Wait>,
    pub keep_trying: Option<Duration>,
    pub tail_lines: Option<u32>,
    pub attach: Option<Attach>,
    /// `Some(None)`: "auto".
    pub max_attachment: Option<Option<u64>>,
    pub max_size: Option<u64>,
    /// `Some(None)`: "auto".
    pub reserve: Option<Option<u64>>,
    pub keep: Option<Duration>,
    pub keep_size: Option<u64>,
    pub redact: Option<Vec<Pattern>>,
    /// Of the built-in patterns.
    pub keep_kinds: Option<Vec<Kind>>,
    pub hide_command: Option<bool>,
    /// Something of `[privacy]` can't be used, or may have stood where the file can't be read.
    pub privacy_unreadable: bool,
    /// In the order of the file.
    pub accounts: Vec<FileAccount>,
    /// Where each key that was understood stands (`mail.to`, `accounts.qq.port`), lines from 1.
    pub lines: BTreeMap<String, usize>,
    /// Lines that aren't TOML and were left out: what seems to be missing may have stood there.
    pub lost_lines: Vec<usize>,
}

/// One `[accounts.NAME]`.
#[derive(Debug, Clone, Default)]
pub struct FileAccount {
    pub name: String,
    pub line: usize,
    pub address: Option<String>,
    pub auth_code: Option<SecretSource>,
    pub provider: Option<&'static Preset>,
    pub host: Option<String>,
    pub port: Option<u16>,
    pub tls: Option<Tls>,
    pub auth: Option<Auth>,
    pub username: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub hello_name: Option<String>,
    pub timeout: Option<Duration>,
    /// Keys whose value can't be used: the account must not fall back to a default there, which
    /// could be a server that the user didn't mean.
    pub unusable: Vec<&'static str>,
}

/// A value as it stands in the file.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub value: &'a DeValue<'a>,
    /// The folder of the file: what relative paths are relative to.
    pub folder: &'a Path,
}

/// Reads a value into its place.
type Set<T> = fn(&mut T, &Item<'_>) -> Result<(), BadValue>;

pub(super) struct Key<T> {
    pub name: &'static str,
    pub set: Set<T>,
}

const fn key<T>(name: &'static str, set: Set<T>) -> Key<T> {
    Key { name, set }
}

fn put<T>(slot: &mut Option<T>, value: Result<T, BadValue>) -> Result<(), BadValue> {
    *slot = Some(value?);
    Ok(())
}

/// The keys above the first table.
pub(super) const TOP: &[Key<FileConfig>] = &[
    key("account", |c, v| put(&mut c.account, first_account(v))),
    key("lang", |c, v| put(&mut c.lang, choice(v))),
];

const MAIL: &[Key<FileConfig>] = &[
    key("to", |c, v| put(&mut c.to, mailboxes(v))),
    key("cc", |c, v| put(&mut c.cc, mailboxes(v))),
    key("bcc", |c, v| put(&mut c.bcc, mailboxes(v))),
    key("from_name", |c, v| put(&mut c.from_name, line(v))),
    key("subject", |c, v| put(&mut c.subject, line(v))),
];

const NOTIFY: &[Key<FileConfig>] = &[
    key("on", |c, v| put(&mut c.on, choice(v))),
    key("min_duration", |c, v| put(&mut c.min_duration, duration(v))),
    key("wait", |c, v| put(&mut c.wait, choice(v))),
    key("keep_trying", |c, v| put(&mut c.keep_trying, duration(v))),
];

const LOG: &[Key<FileConfig>] = &[
    key("tail_lines", |c, v| put(&mut c.tail_lines, tail_lines(v))),
    key("attach", |c, v| put(&mut c.attach, choice(v))),
    key("max_attachment", |c, v| put(&mut c.max_attachment, size_or_auto(v))),
    key("max_size", |c, v| put(&mut c.max_size, log_size(v))),
    key("reserve", |c, v| put(&mut c.reserve, size_or_auto(v))),
    key("keep", |c, v| put(&mut c.keep, duration(v))),
    key("keep_size", |c, v| put(&mut c.keep_size, size(v))),
];

const PRIVACY: &[Key<FileConfig>] = &[
    key("redact", |c, v| put(&mut c.redact, patterns(v))),
    key("keep", |c, v| put(&mut c.keep_kinds, kinds(v))),
    key("hide_command", |c, v| put(&mut c.hide_command, switch(v))),
];

/// The table whose keys keep something out of mails.
pub(super) const PRIVATE: &str = "privacy";

/// The tables and their keys; `accounts` stands apart, since its tables have names of the user's.
pub(super) const TABLES: &[(&str, &[Key<FileConfig>])] =
    &[("mail", MAIL), ("notify", NOTIFY), ("log", LOG), (PRIVATE, PRIVACY)];

/// The keys of an `[accounts.NAME]`.
pub(super) const ACCOUNT: &[Key<FileAccount>] = &[
    key("address", |a, v| put(&mut a.address, own_address(v))),
    key("auth_code", |a, v| put(&mut a.auth_code, auth_code(v))),
    key("provider", |a, v| put(&mut a.provider, provider(v))),
    key("host", |a, v| put(&mut a.host, host(v))),
    key("port", |a, v| put(&mut a.port, port(v))),
    key("tls", |a, v| put(&mut a.tls, choice(v))),
    key("auth", |a, v| put(&mut a.auth, choice(v))),
    key("username", |a, v| put(&mut a.username, filled(v))),
    key("ca_file", |a, v| put(&mut a.ca_file, filled(v).map(|path| in_folder(v.folder, &path)))),
    key("hello_name", |a, v| put(&mut a.hello_name, hello_name(v))),
    key("timeout", |a, v| put(&mut a.timeout, step_limit(v))),
];

/// All keys with their tables, `accounts.NAME.…` for those of an account.
pub fn all() -> Vec<String> {
    let mut names: Vec<String> = TOP.iter().map(|key| key.name.to_owned()).collect();
    for (table, keys) in TABLES {
        names.extend(keys.iter().map(|key| format!("{table}.{}", key.name)));
    }
    names.extend(ACCOUNT.iter().map(|key| format!("accounts.NAME.{}", key.name)));
    names
}

fn wrong_type(found: &DeValue<'_>, wanted: &str, fix: &str) -> BadValue {
    BadValue::new(format!("is a TOML {}, not {wanted}", found.type_str()), fix)
}

fn text<'a>(item: &'a Item<'_>) -> Result<&'a str, BadValue> {
    let fix = "put it in double quotes: \"…\"";
    item.value.as_str().ok_or_else(|| wrong_type(item.value, "a string", fix))
}

fn line(item: &Item<'_>) -> Result<String, BadValue> {
    values::one_line(text(item)?)
}

/// A name; `[account.qq]` lacks its s.
fn first_account(item: &Item<'_>) -> Result<String, BadValue> {
    if matches!(item.value, DeValue::Table(_)) {
        return Err(BadValue::new("is a table, not a name", "did you mean [accounts.qq]?"));
    }
    line(item)
}

fn filled(item: &Item<'_>) -> Result<String, BadValue> {
    let text = line(item)?;
    if text.trim().is_empty() {
        return Err(BadValue::new("is empty", "write a value or remove the line"));
    }
    Ok(text)
}

fn choice<T: std::str::FromStr<Err = BadValue>>(item: &Item<'_>) -> Result<T, BadValue> {
    text(item)?.parse()
}

fn duration(item: &Item<'_>) -> Result<Duration, BadValue> {
    let fix = "write it with a unit, in quotes: \"90s\", \"1h 30m\" or \"2days\"";
    values::duration(item.value.as_str().ok_or_else(|| wrong_type(item.value, "a duration", fix))?)
}

/// A TOML integer as a number that isn't negative; None: it is, or it is beyond 64 bits.
fn unsigned(number: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn tail_lines(item: &Item<'_>) -> Result<u32, BadValue> {
    let Some(number) = item.value.as_integer() else {
        return Err(wrong_type(item.value, "a number", "write the number without quotes: tail_lines = 50"));
    };
    // A number that doesn't fit is shown and refused like any other.
    values::tail_lines(&unsigned(number).map_or_else(|| number.to_string(), |lines| lines.to_string()))
}

fn size(item: &Item<'_>) -> Result<u64, BadValue> {
    let fix = "write it like \"20 MiB\", \"500 MB\" or 4096 (bytes)";
    match item.value {
        DeValue::String(text) => values::size(text),
        DeValue::Integer(number) => {
            unsigned(number).ok_or_else(|| BadValue::new(format!("`{number}` isn't a size"), fix))
        }
        other => Err(wrong_type(other, "a size", fix)),
    }
}

/// A log so small that its beginning and end say nothing is a slip.
fn log_size(item: &Item<'_>) -> Result<u64, BadValue> {
    const LEAST: u64 = 1 << 20;
    let size = size(item)?;
    if size < LEAST {
        return Err(BadValue::new(format!("{size} bytes are too few for a log"), "1 MiB at least"));
    }
    Ok(size)
}

fn size_or_auto(item: &Item<'_>) -> Result<Option<u64>, BadValue> {
    if item.value.as_str() == Some("auto") {
        return Ok(None);
    }
    size(item).map(Some)
}

fn mailboxes(item: &Item<'_>) -> Result<Vec<Mailbox>, BadValue> {
    let fix = "write \"a@example.com\" or [\"a@example.com\", \"名字 <b@example.com>\"]";
    match item.value {
        DeValue::String(text) => values::split_list(text).into_iter().map(str::parse).collect(),
        DeValue::Array(list) => list
            .iter()
            .map(|one| {
                let one = one.get_ref();
                one.as_str().ok_or_else(|| wrong_type(one, "an address", fix))?.parse()
            })
            .collect(),
        other => Err(wrong_type(other, "an address or a list of them", fix)),
    }
}

/// One text, or a list of them.
fn texts<'a>(item: &'a Item<'_>, wanted: &str, fix: &str) -> Result<Vec<&'a str>, BadValue> {
    match item.value {
        DeValue::String(text) => Ok(vec![text]),
        DeValue::Array(list) => list
            .iter()
            .map(|one| one.get_ref().as_str().ok_or_else(|| wrong_type(one.get_ref(), wanted, fix)))
            .collect(),
        other => Err(wrong_type(other, "a list", fix)),
    }
}

fn patterns(item: &Item<'_>) -> Result<Vec<Pattern>, BadValue> {
    let fix = "write regular expressions in single quotes: redact = ['emp-[0-9]+']";
    texts(item, "a regular expression in quotes", fix)?.into_iter().map(values::pattern).collect()
}

fn kinds(item: &Item<'_>) -> Result<Vec<Kind>, BadValue> {
    let names = texts(item, "a name in quotes", "write names of built-in patterns: keep = [\"aws\"]")?;
    names.into_iter().map(values::kind).collect()
}

fn switch(item: &Item<'_>) -> Result<bool, BadValue> {
    let fix = "write true or false, without quotes";
    item.value.as_bool().ok_or_else(|| wrong_type(item.value, "a switch", fix))
}

fn own_address(item: &Item<'_>) -> Result<String, BadValue> {
    let text = text(item)?;
    let fix = "write the address of your mailbox: address = \"10001@qq.com\"";
    if text == PLACEHOLDER_ADDRESS {
        return Err(BadValue::new("is still the template's placeholder", fix));
    }
    if text.trim().is_empty() {
        return Err(BadValue::new("is empty", fix));
    }
    if text.contains('<') {
        let fix = "write the bare address here; the name goes to from_name in [mail]";
        return Err(BadValue::new(format!("{} has a name in it", values::quoted(text)), fix));
    }
    values::address(text)
}

fn provider(item: &Item<'_>) -> Result<&'static Preset, BadValue> {
    let name = text(item)?;
    provider::by_name(name).ok_or_else(|| {
        BadValue::new(
            format!("{} isn't a provider that is known", values::quoted(name)),
            format!("write one of: {}; for any other, give host = \"smtp.…\" instead", provider::names()),
        )
    })
}

fn host(item: &Item<'_>) -> Result<String, BadValue> {
    let text = text(item)?;
    let host = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if host.parse::<std::net::IpAddr>().is_ok() {
        return Ok(host.to_owned());
    }
    if host.split_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        let fix = "write the port on a line of its own: port = 465";
        return Err(BadValue::new(format!("{} has a port in it", values::quoted(host)), fix));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if host.is_empty() || !host.chars().all(fits) {
        let fix = "write only the name or address of the server: host = \"smtp.example.com\"";
        return Err(BadValue::new(format!("{} isn't a host name", values::quoted(host)), fix));
    }
    Ok(host.to_owned())
}

fn port(item: &Item<'_>) -> Result<u16, BadValue> {
    let fix = "write a number from 1 to 65535, without quotes: port = 465";
    let Some(number) = item.value.as_integer() else {
        return Err(wrong_type(item.value, "a port", fix));
    };
    unsigned(number)
        .and_then(|port| u16::try_from(port).ok())
        .filter(|port| *port != 0)
        .ok_or_else(|| BadValue::new(format!("{} isn't a port", values::quoted(&number.to_string())), fix))
}

/// Less than a packet's way around the world is a slip, and more than an hour hangs.
fn step_limit(item: &Item<'_>) -> Result<Duration, BadValue> {
    const SHORTEST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(3600);
    let limit = duration(item)?;
    if (SHORTEST..=LONGEST).contains(&limit) {
        return Ok(limit);
    }
    let what = format!("{} is no time to wait for a server's answer", values::quoted(&shown(limit)));
    Err(BadValue::new(what, "write 100ms to 1h; 30s is the default"))
}

fn shown(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// A domain or an address literal (RFC 5321, 4.1.1.1).
fn hello_name(item: &Item<'_>) -> Result<String, BadValue> {
    let text = text(item)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
    if text.is_empty() || !text.chars().all(fits) {
        return Err(BadValue::new(
            format!("{} isn't a name for EHLO", values::quoted(text)),
            "write a host name or an address in brackets: \"[127.0.0.1]\"",
        ));
    }
    Ok(text.to_owned())
}

/// No message of this function quotes the value.
fn auth_code(item: &Item<'_>) -> Result<SecretSource, BadValue> {
    let made = "paste the 16-character code (授权码): QQ makes it in its web mail under 设置 → 账号, 163 \
                under 设置 → POP3/SMTP/IMAP";
    match item.value {
        DeValue::String(text) if text == PLACEHOLDER_CODE => {
            Err(BadValue::new("is still the template's placeholder", made))
        }
        DeValue::String(text) => Secret::parse(text).map(SecretSource::Literal).map_err(|unfit| {
            let what = match unfit {
                Unfit::Empty => "is empty",
                Unfit::Control => "holds a line break or another control character",
            };
            BadValue::new(what, made)
        }),
        DeValue::Table(table) => {
            let fix = "write one of { env = \"NAME\" }, { file = \"PATH\" }, { command = \"…\" }";
            let mut entries = table.iter();
            let (Some((name, value)), None) = (entries.next(), entries.next()) else {
                return Err(BadValue::new("takes exactly one of env, file and command", fix));
            };
            let inner = Item { value: value.get_ref(), folder: item.folder };
            match name.get_ref().as_ref() {
                "env" => variable(&inner).map(SecretSource::Env),
                "file" => filled(&inner).map(|path| SecretSource::File(in_folder(item.folder, &path))),
                "command" => match inner.value.as_str() {
                    Some(line) if !line.trim().is_empty() && !line.contains('\0') => {
                        Ok(SecretSource::Command(line.to_owned()))
                    }
                    _ => Err(BadValue::new("has a command that isn't a shell line", fix)),
                },
                _ => Err(BadValue::new("takes exactly one of env, file and command", fix)),
            }
        }
        other => Err(wrong_type(other, "a string or a table", "put the code in double quotes: \"…\"")),
    }
}

fn variable(item: &Item<'_>) -> Result<String, BadValue> {
    let fix = "write the variable's name, not its value: { env = \"QQ_AUTH_CODE\" }";
    let name = text(item)?;
    if name.is_empty() || name.contains(|c: char| c == '=' || c == '$' || c.is_control() || c == ' ') {
        return Err(BadValue::new("names no environment variable", fix));
    }
    Ok(name.to_owned())
}

/// `~/` stays as it is: only the loader knows the home folder.
fn in_folder(folder: &Path, path: &str) -> PathBuf {
    if path.starts_with("~/") { PathBuf::from(path) } else { folder.join(path) }
}
