//! `[accounts.NAME]` as it was written → an [`Account`] with its server. Pure.

use super::file::place;
use super::keys::{FileAccount, FileConfig};
use super::provider::{self, Explicit, Preset, Server, Unresolved};
use super::{Account, DEFAULT_TIMEOUT, Diagnostic, SecretSource, Severity, values};

/// The findings about one account.
struct Findings<'a> {
    file: &'a FileConfig,
    account: &'a FileAccount,
    found: &'a mut Vec<Diagnostic>,
}

impl Findings<'_> {
    fn say(&mut self, severity: Severity, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        let full = format!("accounts.{}.{key}", self.account.name);
        let line = self.file.lines.get(&full).copied().unwrap_or(self.account.line);
        self.found.push(Diagnostic {
            severity,
            place: place(&self.file.path, line),
            key: Some(full),
            message: message.into(),
            hint: Some(hint.into()),
        });
    }

    /// Is a key that has no value really not there? It may stand on a line that couldn't be read,
    /// or have a value that can't be used; then that has been said.
    fn missing(&self, key: &str) -> bool {
        self.file.lost_lines.is_empty() && !self.account.unusable.contains(&key)
    }
}

/// Settles one account. None: it has no usable address or server, and a diagnostic says so; a code
/// that can't be used leaves the account, without a secret.
pub(super) fn resolve(
    file: &FileConfig,
    given: &FileAccount,
    found: &mut Vec<Diagnostic>,
) -> Option<Account> {
    let mut findings = Findings { file, account: given, found };
    if given.auth_code.is_none() && findings.missing("auth_code") {
        let help =
            preset(given).map_or("the code (授权码) is made in the provider's web mail", |it| it.help.en);
        let hint = format!("add auth_code = \"…\" or auth_code = {{ file = \"…\" }}; {help}");
        findings.say(Severity::Unusable, "auth_code", "is missing", hint);
    }
    let Some(address) = &given.address else {
        if findings.missing("address") {
            let hint = "add address = \"10001@qq.com\", the mailbox that sends";
            findings.say(Severity::Unusable, "address", "is missing", hint);
        }
        return None;
    };
    if given.unusable.iter().any(|key| *key != "auth_code") {
        return None;
    }
    let server = resolve_server(address, given, &mut findings)?;
    if let Some((message, hint)) = looks_like_password(given) {
        findings.say(Severity::Warning, "auth_code", message, hint);
    }
    Some(Account {
        name: given.name.clone(),
        address: address.clone(),
        secret: given.auth_code.clone(),
        username: given.username.clone().unwrap_or_else(|| address.clone()),
        server,
        timeout: given.timeout.unwrap_or(DEFAULT_TIMEOUT),
    })
}

fn resolve_server(address: &str, given: &FileAccount, findings: &mut Findings<'_>) -> Option<Server> {
    let explicit = Explicit {
        provider: given.provider,
        host: given.host.clone(),
        port: given.port,
        tls: given.tls,
        auth: given.auth,
        ca_file: given.ca_file.clone(),
        hello_name: given.hello_name.clone(),
    };
    match provider::resolve(address, &explicit) {
        Ok(server) => return Some(server),
        Err(Unresolved::UnknownDomain(domain)) => {
            if findings.missing("host") && findings.missing("provider") {
                let message = format!("no provider is known for {}", values::quoted(&domain));
                let hint =
                    format!("add host = \"smtp.{domain}\", or provider = with one of: {}", provider::names());
                findings.say(Severity::Unusable, "address", message, hint);
            }
        }
        Err(Unresolved::PlainToRemote(host)) => {
            let message = format!("would send the code unencrypted to {}", values::quoted(&host));
            let hint = "write tls = \"implicit\" or \"starttls\"; none is for loopback only";
            findings.say(Severity::Unusable, "tls", message, hint);
        }
    }
    None
}

fn preset(given: &FileAccount) -> Option<&'static Preset> {
    provider::preset_of(given.address.as_deref().unwrap_or_default(), given.provider)
}

/// QQ and NetEase refuse the password itself; their codes have one length. A server of the user's
/// own (`host`) has its own rules.
fn looks_like_password(given: &FileAccount) -> Option<(String, String)> {
    let Some(SecretSource::Literal(code)) = &given.auth_code else {
        return None;
    };
    let preset = preset(given).filter(|_| given.host.is_none())?;
    let length = preset.code_length.filter(|length| code.expose().chars().count() != *length)?;
    let message = format!("doesn't look like an authorization code, which has {length} characters");
    Some((message, format!("paste the 授权码, not the password; it is made {}", preset.help.en)))
}
