//! The authorization code: where it comes from, and a type that never shows it. Pure.

use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

/// Where an account's authorization code is read from.
///
/// Neither `Debug` nor `Display` shows a code: of a command only the first word is named, since the
/// rest may carry one, and nothing that looks like a code itself.
#[derive(Clone)]
pub enum SecretSource {
    /// Written into notify.toml.
    Literal(Secret),
    /// The name of an environment variable.
    Env(String),
    File(PathBuf),
    /// Run by `sh -c`; the first line of its output.
    Command(String),
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretSource::Literal(_) => f.write_str("auth_code in notify.toml"),
            SecretSource::Env(_) if self.may_be_code() => write!(f, "the environment variable {NOT_SHOWN}"),
            SecretSource::File(_) if self.may_be_code() => write!(f, "the file {NOT_SHOWN}"),
            SecretSource::Command(_) if self.may_be_code() => write!(f, "the command {NOT_SHOWN}"),
            SecretSource::Env(name) => write!(f, "the environment variable {name}"),
            SecretSource::File(path) => write!(f, "the file {}", path.display()),
            SecretSource::Command(line) => write!(f, "the command `{} …`", first_word(line)),
        }
    }
}

const NOT_SHOWN: &str = "(not shown: it may be a code)";

fn first_word(line: &str) -> &str {
    line.split_whitespace().next().unwrap_or_default()
}

impl SecretSource {
    /// Does what should name the source look like a code? People paste it there: `{ env = "CODE" }`.
    pub fn may_be_code(&self) -> bool {
        match self {
            SecretSource::Literal(_) => false,
            SecretSource::Env(name) => may_hold_code(name),
            SecretSource::File(path) => {
                path.file_name().is_some_and(|name| may_hold_code(&name.to_string_lossy()))
            }
            SecretSource::Command(line) => may_hold_code(first_word(line)),
        }
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretSource({self})")
    }
}

/// A code; `Debug` shows `[REDACTED]`, the memory is zeroed when dropped.
#[derive(Debug, Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes a code as a person pasted it, without the line end.
    ///
    /// Some web pages show the 16 characters as four groups of four; exactly that shape is joined,
    /// and nothing else is changed: a password of one's own server may hold spaces.
    ///
    /// # Errors
    /// [`Unfit`] for an empty one, and for control characters: CR and LF would end the AUTH line
    /// (RFC 5321, 2.3.8), NUL separates the fields of PLAIN (RFC 4616).
    pub fn parse(text: &str) -> Result<Self, Unfit> {
        if text.trim().is_empty() {
            return Err(Unfit::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(Unfit::Control);
        }
        if let Some(code) = code_in_groups(text) {
            return Ok(Self(SecretString::from(code)));
        }
        Ok(Self(SecretString::from(text)))
    }

    /// The code itself: for AUTH alone.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// Why a text can't be a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    Empty,
    Control,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unfit::Empty => "it is empty",
            Unfit::Control => "it holds a line break or another control character",
        })
    }
}

/// Characters of a code at QQ and NetEase.
pub const CODE_LENGTH: usize = 16;

/// The 16 letters and digits of a text that is nothing else but these: together, or in four groups.
fn code_in_groups(text: &str) -> Option<String> {
    let groups: Vec<&str> = text.split_whitespace().collect();
    let together = groups.len() == 1 && groups[0].len() == CODE_LENGTH;
    let four_by_four = groups.len() == 4 && groups.iter().all(|group| group.len() == 4);
    let alphanumeric = |group: &&str| group.bytes().all(|byte| byte.is_ascii_alphanumeric());
    ((together || four_by_four) && groups.iter().all(alphanumeric)).then(|| groups.concat())
}

/// Does the text hold what could be a code? Such a value is never quoted in a message, whatever key
/// it was written to: people paste into the wrong line.
pub fn may_hold_code(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(|run| run.len() == CODE_LENGTH)
        || code_in_groups(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "abcdefghijklmnop";

    #[test]
    fn debug_and_display_never_show_a_code() {
        let literal = SecretSource::Literal(Secret::parse(CODE).unwrap());
        let command = SecretSource::Command(format!("echo {CODE}"));
        for shown in [format!("{literal:?} {literal}"), format!("{command:?} {command}")] {
            assert!(!shown.contains(CODE), "{shown}");
        }
        assert_eq!(command.to_string(), "the command `echo …`");
        assert!(!format!("{:?}", Secret::parse(CODE).unwrap()).contains(CODE));
    }

    #[test]
    fn only_a_code_in_groups_of_four_loses_its_spaces() {
        let of = |text| Secret::parse(text).unwrap().expose().to_owned();
        assert_eq!(of("abcd efgh ijkl mnop"), CODE);
        assert_eq!(of(" abcdefghijklmnop "), CODE);
        assert_eq!(of("correct horse battery"), "correct horse battery");
        assert_eq!(of("abcdefgh ijklmnop"), "abcdefgh ijklmnop");
        assert_eq!(of("ab-d efgh ijkl mnop"), "ab-d efgh ijkl mnop");
    }

    #[test]
    fn what_would_break_the_auth_line_is_refused() {
        for text in ["", "  "] {
            assert_eq!(Secret::parse(text).unwrap_err(), Unfit::Empty);
        }
        for text in ["abc\r\nMAIL FROM:", "abc\0def", "abc\n"] {
            assert_eq!(Secret::parse(text).unwrap_err(), Unfit::Control);
        }
    }

    #[test]
    fn sees_a_code_inside_other_text() {
        assert!(may_hold_code(CODE));
        assert!(may_hold_code("code=abcdefghijklmnop;"));
        assert!(may_hold_code("abcd efgh ijkl mnop"));
        assert!(!may_hold_code("smtp.example.com"));
        assert!(!may_hold_code("abcdefghijklmno"));
    }
}
