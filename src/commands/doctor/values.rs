//! The settings' values, as one would write them. Pure.

use std::time::Duration;

use crate::config::secret::may_hold_code;
use crate::config::{
    Account, Attach, Auth, CommandLine, Language, Mailbox, On, SecretSource, Settings, Tls, Wait,
};
use crate::privacy::builtin::KINDS;
use crate::render::amount::size;
use crate::report::text::one_line;

/// The value of a key (`mail.to`, `accounts.qq.port`); None: it can't be used, or could be a code.
pub fn value(settings: &Settings, key: &str) -> Option<String> {
    let shown = match key.strip_prefix("accounts.").and_then(|rest| rest.rsplit_once('.')) {
        Some((name, "auth_code")) => {
            let account = settings.accounts.iter().find(|account| account.name == name)?;
            // It names a source and never a code.
            return account.secret.as_ref().map(|source| match source {
                SecretSource::Literal(_) => "***".to_owned(),
                other => secret(other),
            });
        }
        Some((name, key)) => of_account(settings.accounts.iter().find(|account| account.name == name)?, key)?,
        None => of_settings(settings, key)?,
    };
    Some(one_line(&shown)).filter(|shown| !may_hold_code(shown))
}

/// The source of a code that stands in notify.toml itself.
pub const IN_THE_FILE: &str = "notify.toml";

/// Where a code is read from.
pub fn secret(source: &SecretSource) -> String {
    match source {
        SecretSource::Literal(_) => IN_THE_FILE.to_owned(),
        other => one_line(&other.to_string()),
    }
}

fn of_settings(settings: &Settings, key: &str) -> Option<String> {
    let Settings { lang, account, mail, notify, log, privacy, .. } = settings;
    Some(match key {
        "account" => account.clone()?,
        "lang" => match lang {
            Language::Auto => "auto",
            Language::En => "en",
            Language::Zh => "zh",
        }
        .to_owned(),
        "mail.to" => list(&mail.to),
        "mail.cc" => list(&mail.cc),
        "mail.bcc" => list(&mail.bcc),
        "mail.from_name" => mail.from_name.clone()?,
        "mail.subject" => mail.subject.clone()?,
        "notify.on" => match notify.on {
            On::Always => "always",
            On::Failure => "failure",
            On::Success => "success",
        }
        .to_owned(),
        "notify.min_duration" => time(notify.min_duration),
        "notify.wait" => match notify.wait {
            Wait::Auto => "auto".to_owned(),
            Wait::For(wait) => time(wait),
        },
        "notify.keep_trying" => time(notify.keep_trying),
        "log.tail_lines" => log.tail_lines.to_string(),
        "log.attach" => match log.attach {
            Attach::Full => "full",
            Attach::Tail => "tail",
            Attach::None => "none",
        }
        .to_owned(),
        "log.max_attachment" => log.max_attachment.map_or_else(|| "auto".to_owned(), size),
        "log.max_size" => size(log.max_size),
        "log.reserve" => log.reserve.map_or_else(|| "auto".to_owned(), size),
        "log.keep" => time(log.keep),
        "log.keep_size" => size(log.keep_size),
        // A pattern may be the secret itself.
        "privacy.redact" => privacy.redact.len().to_string(),
        "privacy.keep" => {
            let kept = KINDS.iter().filter(|(_, kind)| privacy.keep.contains(kind));
            kept.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        }
        "privacy.hide_command" => (privacy.command == CommandLine::Hidden).to_string(),
        _ => return None,
    })
}

fn of_account(account: &Account, key: &str) -> Option<String> {
    let server = &account.server;
    Some(match key {
        "address" => account.address.clone(),
        "host" => server.host.clone(),
        "port" => server.port.to_string(),
        "tls" => match server.tls {
            Tls::Implicit => "implicit",
            Tls::StartTls => "starttls",
            Tls::None => "none",
        }
        .to_owned(),
        "auth" => match server.auth {
            Auth::Auto | Auth::LoginFirst => "auto",
            Auth::Plain => "plain",
            Auth::Login => "login",
        }
        .to_owned(),
        "username" => account.username.clone(),
        "ca_file" => server.ca_file.as_ref()?.display().to_string(),
        "hello_name" => server.hello_name.clone()?,
        "timeout" => time(account.timeout),
        _ => return None,
    })
}

fn list(boxes: &[Mailbox]) -> String {
    boxes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn time(value: Duration) -> String {
    humantime::format_duration(value).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::file::parse;
    use crate::config::{Overrides, keys, merge};

    /// Catches: a key of notify.toml without a value here, and a code shown, also one in the wrong place.
    #[test]
    fn every_key_has_a_value_and_no_code_is_one() {
        let text = r#"
account = "qq"
lang = "zh"
[mail]
to = "a@example.com"
cc = "b@example.com"
bcc = "c@example.com"
from_name = "me"
subject = "abcdefghijklmnop"
[notify]
on = "failure"
min_duration = "90s"
wait = "3s"
keep_trying = "1h"
[log]
tail_lines = 7
attach = "tail"
max_attachment = "auto"
max_size = "1 GiB"
reserve = "1 GiB"
keep = "2days"
keep_size = "1 GiB"
[accounts.qq]
address = "10001@qq.com"
auth_code = "abcdefghijklmnop"
provider = "qq"
host = "localhost"
port = 465
tls = "implicit"
auth = "plain"
username = "me"
ca_file = "/ca.pem"
hello_name = "gpu07"
timeout = "5s"
"#;
        let (file, found) = parse(text, Path::new("/notify.toml"));
        assert!(found.is_empty(), "{found:?}");
        let (settings, found) = merge::resolve(&file, &Overrides::default());
        assert!(found.is_empty(), "{found:?}");
        for key in keys::all() {
            let key = key.replace("NAME", "qq");
            let shown = value(&settings, &key);
            // The provider is told by what it has led to.
            let none = ["mail.subject", "accounts.qq.provider"].contains(&key.as_str());
            assert_eq!(shown.is_none(), none, "{key}: {shown:?}");
            assert!(!shown.unwrap_or_default().contains("abcdefghijklmnop"), "{key}");
        }
        assert_eq!(value(&settings, "accounts.qq.auth_code").unwrap(), "***");
        assert_eq!(value(&settings, "notify.min_duration").unwrap(), "1m 30s");
    }
}
