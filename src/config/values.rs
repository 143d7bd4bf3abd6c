//! How single values are written, in notify.toml, in variables and in flags alike. Pure.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::secret::may_hold_code;
use super::{Attach, Auth, Language, Mailbox, On, Tls, Wait};
use crate::privacy::builtin::{KINDS, Kind};
use crate::privacy::pattern::{Pattern, Unfit};

/// A value that can't be used: what is wrong with it, and how to write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadValue {
    pub what: String,
    pub fix: String,
}

impl BadValue {
    pub fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), fix: fix.into() }
    }
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.fix)
    }
}

impl std::error::Error for BadValue {}

/// A value as a message may quote it: short, printable, and never what could be a code.
pub fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    if may_hold_code(text) {
        return "the value (not shown: it may be a code)".to_owned();
    }
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

fn choose<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, BadValue> {
    if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
        return Ok(*choice);
    }
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    Err(BadValue::new(
        format!("{} isn't known here", quoted(text)),
        format!("write one of: {}", names.join(", ")),
    ))
}

impl FromStr for Language {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        choose(text, &[("auto", Language::Auto), ("en", Language::En), ("zh", Language::Zh)])
    }
}

impl FromStr for On {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        choose(text, &[("always", On::Always), ("failure", On::Failure), ("success", On::Success)])
    }
}

impl FromStr for Attach {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        choose(text, &[("full", Attach::Full), ("tail", Attach::Tail), ("none", Attach::None)])
    }
}

impl FromStr for Tls {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        choose(text, &[("implicit", Tls::Implicit), ("starttls", Tls::StartTls), ("none", Tls::None)])
    }
}

impl FromStr for Auth {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        choose(text, &[("auto", Auth::Auto), ("plain", Auth::Plain), ("login", Auth::Login)])
    }
}

impl FromStr for Wait {
    type Err = BadValue;

    /// `auto`, or a duration; `0s` doesn't wait.
    fn from_str(text: &str) -> Result<Self, BadValue> {
        if text == "auto" {
            return Ok(Wait::Auto);
        }
        duration(text).map(Wait::For).map_err(|bad| {
            BadValue::new(bad.what, "write auto, or a duration like 30s or 2m (0s: don't wait at all)")
        })
    }
}

/// A duration as humantime writes it.
///
/// # Errors
/// Anything else, and more than 100 years: added to a date it would leave the calendar.
pub fn duration(text: &str) -> Result<Duration, BadValue> {
    const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);
    let fix = "write it like 90s, 1h 30m or 2days";
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        Ok(_) => Err(BadValue::new(format!("{} is more than 100 years", quoted(text)), fix)),
        Err(_) => Err(BadValue::new(format!("{} isn't a duration", quoted(text)), fix)),
    }
}

/// A number of bytes: `20 MiB`, `1.5GB`, `4096`. KiB, MiB, GiB, TiB (and K, M, G, T) count in 1024,
/// KB, MB, GB, TB in 1000; case doesn't matter.
///
/// # Errors
/// Anything else, and what doesn't fit 64 bits.
pub fn size(text: &str) -> Result<u64, BadValue> {
    let bad = |why: &str| {
        BadValue::new(
            format!("{} {why}", quoted(text)),
            "write it like \"20 MiB\", \"500 MB\" or 4096 (bytes)",
        )
    };
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1000_u64.pow(2),
        "gb" => 1000_u64.pow(3),
        "tb" => 1000_u64.pow(4),
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        _ => return Err(bad("isn't a size")),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    // Nine digits behind the point are more than any size needs, and fit the sum below.
    if whole.is_empty() || fraction.is_empty() || fraction.len() > 9 || fraction.contains('.') {
        return Err(bad("isn't a size"));
    }
    let whole: u64 = whole.parse().map_err(|_| bad("is too large"))?;
    let part: u128 = fraction.parse().map_err(|_| bad("isn't a size"))?;
    let scale = 10_u128.pow(fraction.len().try_into().map_err(|_| bad("isn't a size"))?);
    let bytes = u128::from(whole) * u128::from(factor) + part * u128::from(factor) / scale;
    u64::try_from(bytes).map_err(|_| bad("is too large"))
}

/// The most lines that a mail's body may show: mail programs cut long bodies, and the log is attached.
pub const MOST_TAIL_LINES: u32 = 10_000;

/// `tail_lines`: 0 shows none.
pub fn tail_lines(text: &str) -> Result<u32, BadValue> {
    text.trim().parse().ok().filter(|lines| *lines <= MOST_TAIL_LINES).ok_or_else(|| {
        BadValue::new(
            format!("{} isn't a number of lines", quoted(text)),
            format!("write a number from 0 to {MOST_TAIL_LINES}"),
        )
    })
}

/// The exit code of a command, as it is reported to a pipe.
///
/// # Errors
/// When no command can end with it.
pub fn exit_code(text: &str) -> Result<i32, BadValue> {
    text.trim().parse().ok().filter(|code| (0..=255).contains(code)).ok_or_else(|| {
        BadValue::new(format!("{} isn't an exit code", quoted(text)), "write a number from 0 to 255")
    })
}

/// A switch in an environment variable.
///
/// # Errors
/// When it is neither.
pub fn yes_or_no(text: &str) -> Result<bool, BadValue> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(BadValue::new(format!("{} is neither 1 nor 0", quoted(text)), "write 1 for yes, 0 for no")),
    }
}

/// A regular expression of what is to be taken out of mails.
///
/// # Errors
/// When it isn't one, or none that helps.
pub fn pattern(text: &str) -> Result<Pattern, BadValue> {
    Pattern::new(text).map_err(|unfit| match unfit {
        Unfit::Empty => BadValue::new("is an empty regular expression", "write one, or remove it"),
        Unfit::MatchesNothing => BadValue::new(
            format!("{} also matches where there is nothing", quoted(text)),
            "require a character: `x+`, not `x*`",
        ),
        Unfit::TooLarge => BadValue::new(
            format!("{} takes too much memory", quoted(text)),
            "use smaller counts in { }, or several patterns",
        ),
        Unfit::Syntax(why) => BadValue::new(
            format!("{} isn't a regular expression: {why}", quoted(text)),
            "mend it, or escape what is meant literally: `\\(`; in notify.toml use single quotes",
        ),
    })
}

/// The same as the text that it is: what a flag asks for is kept as it was typed.
pub fn pattern_text(text: &str) -> Result<String, BadValue> {
    pattern(text).map(|_| text.to_owned())
}

/// The name of a built-in pattern.
///
/// # Errors
/// When there is none of that name.
pub fn kind(name: &str) -> Result<Kind, BadValue> {
    name.parse().map_err(|()| {
        let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
        BadValue::new(
            format!("{} isn't a built-in pattern", quoted(name)),
            format!("write one of: {}", names.join(", ")),
        )
    })
}

/// A text that goes into one line of a header, a greeting or a terminal.
pub fn one_line(text: &str) -> Result<String, BadValue> {
    if text.chars().any(char::is_control) {
        return Err(BadValue::new(
            format!("{} holds a line break or another control character", quoted(text)),
            "write it on one line",
        ));
    }
    Ok(text.to_owned())
}

const EACH_ON_ITS_OWN: &str =
    "give each address on its own: --to A --to B, or to = [\"A\", \"B\"] in notify.toml";

/// A bare address, `a@b.c`.
///
/// # Errors
/// What isn't one by RFC 5321, and non-ASCII: 163 and many others have no SMTPUTF8 (RFC 6531).
pub fn address(text: &str) -> Result<String, BadValue> {
    let text = text.trim();
    if text.contains([',', ';', '，', '；', '、']) {
        return Err(BadValue::new(format!("{} isn't a mail address", quoted(text)), EACH_ON_ITS_OWN));
    }
    if let Some(odd) = text.chars().find(|c| !c.is_ascii_graphic()) {
        return Err(BadValue::new(
            format!("{} isn't a mail address: `{}` can't stand in one", quoted(text), odd.escape_debug()),
            "write it like 10001@qq.com, or 名字 <10001@qq.com>; a domain in other letters as xn--…",
        ));
    }
    match text.parse::<lettre::Address>() {
        Ok(parsed) => Ok(parsed.to_string()),
        Err(_) => Err(BadValue::new(
            format!("{} isn't a mail address", quoted(text)),
            "write it like 10001@qq.com, or 名字 <10001@qq.com>",
        )),
    }
}

impl FromStr for Mailbox {
    type Err = BadValue;

    /// `a@b.c`, `名字 <a@b.c>` or `"Li, Lei" <a@b.c>`.
    fn from_str(text: &str) -> Result<Self, BadValue> {
        let text = text.trim();
        one_line(text)?;
        let Some((name, rest)) = text.rsplit_once('<') else {
            return Ok(Self { name: None, address: address(text)? });
        };
        let Some(inner) = rest.strip_suffix('>') else {
            return Err(BadValue::new(
                format!("{} doesn't end in `>`", quoted(text)),
                "write it like 名字 <10001@qq.com>",
            ));
        };
        let name = unquote(name.trim())?;
        Ok(Self { name: Some(name).filter(|name| !name.is_empty()), address: address(inner)? })
    }
}

/// Takes a quoted-string (RFC 5322, 3.2.4) apart; anything else is a name as it is, as long as
/// nobody could take it for a second address.
fn unquote(name: &str) -> Result<String, BadValue> {
    let Some(inner) = name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        if name.contains(['<', '>', '"']) {
            return Err(BadValue::new(
                format!("{} isn't a name", quoted(name)),
                "write it like 名字 <10001@qq.com>, several as a list",
            ));
        }
        if name.contains('@') {
            return Err(BadValue::new(format!("{} isn't a name", quoted(name)), EACH_ON_ITS_OWN));
        }
        return Ok(name.to_owned());
    };
    let mut plain = String::with_capacity(inner.len());
    let mut escaped = false;
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
            continue;
        }
        escaped = false;
        plain.push(c);
    }
    Ok(plain.trim().to_owned())
}

impl fmt::Display for Mailbox {
    /// As it is written in notify.toml: what this shows parses to the same mailbox.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(name) = &self.name else {
            return f.write_str(&self.address);
        };
        if name.contains(|c| "\"(),:;<>@[\\]".contains(c)) {
            write!(f, "\"{}\" <{}>", name.replace('\\', "\\\\").replace('"', "\\\""), self.address)
        } else {
            write!(f, "{name} <{}>", self.address)
        }
    }
}

/// Splits `a@b.c, "Li, Lei" <d@e.f>` at the commas outside quotes and angle brackets; empty pieces
/// are dropped.
pub fn split_list(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut quotes, mut angle, mut escaped) = (0, false, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quotes => escaped = true,
            '"' => quotes = !quotes,
            '<' if !quotes => angle = true,
            '>' if !quotes => angle = false,
            ',' if !quotes && !angle => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(&text[start..]);
    pieces.into_iter().map(str::trim).filter(|piece| !piece.is_empty()).collect()
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
