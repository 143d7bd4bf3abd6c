//! AUTH (RFC 4954): one mechanism, once. All that holds the code is zeroed after use.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use super::connect::{clear_text_is_safe, failure};
use super::reply::{Answer, Concealed};
use super::session::Session;
use super::verdict::{Cause, Failure, Feature, Stage};
use crate::config::{Account, Auth, Secret};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mechanism {
    /// RFC 4616.
    Plain,
    /// Never an RFC; everybody has it.
    Login,
}

/// What the account allows and the server offers. A second one is never tried: QQ ends a connection
/// that does, and providers count both.
fn choose(allowed: Auth, offered: &[String]) -> Option<Mechanism> {
    let (plain, login) = ((Mechanism::Plain, "PLAIN"), (Mechanism::Login, "LOGIN"));
    let order: &[_] = match allowed {
        Auth::Auto => &[plain, login],
        Auth::LoginFirst => &[login, plain],
        Auth::Plain => &[plain],
        Auth::Login => &[login],
    };
    let has = |name: &str| offered.iter().any(|offered| offered == name);
    order.iter().find(|(_, name)| has(name)).map(|(mechanism, _)| *mechanism)
}

/// `before`, `raw` in base64, CRLF: written in place, so that no copy is left.
fn line(before: &str, raw: &[u8]) -> Zeroizing<Vec<u8>> {
    let encoded = base64::encoded_len(raw.len(), true).expect("no code is that long");
    let mut line = Zeroizing::new(vec![0; before.len() + encoded + 2]);
    let (head, rest) = line.split_at_mut(before.len());
    head.copy_from_slice(before.as_bytes());
    BASE64.encode_slice(raw, &mut rest[..encoded]).expect("it has its exact length");
    rest[encoded..].copy_from_slice(b"\r\n");
    line
}

/// What PLAIN sends: NUL, the login, NUL, the code.
fn both(user: &str, code: &str) -> Zeroizing<Vec<u8>> {
    let mut both = Zeroizing::new(Vec::with_capacity(user.len() + code.len() + 2));
    for part in ["\0", user, "\0", code] {
        both.extend_from_slice(part.as_bytes());
    }
    both
}

/// A line's base64 as what must not be repeated.
fn form(line: &[u8]) -> SecretString {
    let text = str::from_utf8(line).expect("base64 is ASCII");
    SecretString::from(text.trim_end())
}

impl Session {
    pub(super) async fn login(&mut self, account: &Account, secret: &Secret) -> Result<Answer, Failure> {
        if !self.wire.is_encrypted() && !clear_text_is_safe(self.wire.peer().ip()) {
            return Err(failure(Stage::Auth, Cause::ClearText));
        }
        let Some(mechanism) = choose(account.server.auth, &self.offers.auth) else {
            let feature = Feature::Auth { offered: self.offers.auth.clone() };
            return Err(failure(Stage::Auth, Cause::NotOffered(feature)));
        };
        let (user, code) = (account.username.as_str(), secret.expose());
        let (both, own) = (line("", &both(user, code)), line("", code.as_bytes()));
        let forms = vec![form(&both), form(&own)];
        self.wire.conceal(Concealed { code: Some(SecretString::from(code)), forms });
        let answer = match mechanism {
            Mechanism::Plain => {
                let mut all = Zeroizing::new(Vec::with_capacity(both.len() + 11));
                all.extend_from_slice(b"AUTH PLAIN ");
                all.extend_from_slice(&both);
                let answer = self.say_as(Stage::Auth, &all, "AUTH PLAIN ***").await?;
                match answer.code {
                    // It takes no initial response: what it then asks for is the same.
                    334 => self.say_as(Stage::Auth, &both, "***").await?,
                    _ => answer,
                }
            }
            Mechanism::Login => {
                // What the challenges say differs between servers; their order doesn't.
                let asked = self.say(Stage::Auth, "AUTH LOGIN\r\n").await?;
                self.go_on(Stage::Auth, &asked)?;
                let asked = self.say_as(Stage::Auth, &line("", user.as_bytes()), "***").await?;
                self.go_on(Stage::Auth, &asked)?;
                self.say_as(Stage::Auth, &own, "***").await?
            }
        };
        self.done(Stage::Auth, &answer)?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_and_in_which_order() {
        assert_eq!(*line("", &both("me@qq.com", "sesame")), b"AG1lQHFxLmNvbQBzZXNhbWU=\r\n".to_vec());
        assert_eq!(*line("AUTH X ", b"sesame"), b"AUTH X c2VzYW1l\r\n".to_vec());
        let offered = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let two = offered(&["LOGIN", "PLAIN", "XOAUTH2"]);
        let (plain, login) = (Some(Mechanism::Plain), Some(Mechanism::Login));
        assert_eq!(choose(Auth::Auto, &two), plain);
        assert_eq!(choose(Auth::LoginFirst, &two), login);
        assert_eq!(choose(Auth::LoginFirst, &offered(&["PLAIN"])), plain);
        assert_eq!(choose(Auth::Auto, &offered(&["LOGIN"])), login);
        assert_eq!(choose(Auth::Plain, &offered(&["LOGIN"])), None);
        assert_eq!(choose(Auth::Login, &offered(&["PLAIN"])), None);
    }
}
