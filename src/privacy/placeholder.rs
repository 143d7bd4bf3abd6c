//! What stands where a secret could, and is none. Pure.

use super::names::judge;

/// Does the value stand between quotes?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quoted {
    Yes,
    No,
}

/// Say that there is no secret, or of which type it is.
const NONE: &str = "none null nil undefined true false yes no on off unset empty missing required optional hidden masked \
                    redacted filtered str string bytes bool boolean int integer number text object any secretstr changeme \
                    n/a default";

/// Words that a sentence goes on with: `Password: incorrect`, `--token is required`.
const PROSE: &str = "is was are has had have must should may can cannot could will would to of or and for from on in at by with \
                     without if when which that the a an not no option options flag argument instead invalid incorrect wrong \
                     expired missing failed failure ok okay accepted rejected denied changed updated set found valid \
                     authentication please enter bad error unexpected revoked refreshed received loaded saved removed deleted \
                     created rotated used unused too does unknown unauthorized";

fn is_among(words: &str, value: &[u8]) -> bool {
    words.split_whitespace().any(|word| word.as_bytes().eq_ignore_ascii_case(value))
}

/// Stands for a secret, or says that there is none.
pub(super) fn is_one(value: &[u8]) -> bool {
    let Some((first, last)) = value.first().zip(value.last()) else { return true };
    if is_among(NONE, value) || is_mask(value) {
        return true;
    }
    let lower = value.to_ascii_lowercase();
    let yours = lower.starts_with(b"your") && value.iter().any(|byte| matches!(byte, b'_' | b'-' | b' '));
    yours
        || lower.starts_with(b"optional[")
        || match first {
            b'<' => *last == b'>',
            b'[' | b'(' | b'{' => true,
            b'$' => is_variable(&value[1..]),
            b'%' => value.starts_with(b"%(") || value == b"%s",
            _ => false,
        }
}

/// `****`, `xxxx`, `…`
fn is_mask(value: &[u8]) -> bool {
    let dot = |c: &[u8]| matches!(c, [0xe2, 0x80, 0xa2 | 0xa6] | [0xe2, 0x97, 0x8f]);
    value.iter().all(|byte| matches!(byte, b'*' | b'.' | b'-' | b'#' | b'_' | b'?'))
        || value.len() > 2 && value.iter().all(|byte| matches!(byte, b'x' | b'X'))
        || value.len().is_multiple_of(3) && value.chunks(3).all(dot)
}

/// `$TOKEN`, `${TOKEN}`, `$(cat token)`; `$ecret1` is none.
fn is_variable(name: &[u8]) -> bool {
    match name.first() {
        Some(b'{' | b'(') => true,
        Some(first) if first.is_ascii_uppercase() || *first == b'_' => {
            name.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_')
        }
        Some(b'1'..=b'9') => name.len() == 1,
        _ => false,
    }
}

/// `--password PASSWORD`, `--api-key=KEY`: what a help text says.
pub(super) fn is_named_like(value: &[u8], name: &[u8]) -> bool {
    let shouted = value.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_');
    let lower = value.to_ascii_lowercase();
    shouted
        && (is_among("password pass token key secret value string text api_key", value)
            || name.to_ascii_lowercase().ends_with(&lower))
}

/// A word of a sentence, or one that isn't in Latin letters: 密码：错误.
pub(super) fn is_prose(value: &[u8]) -> bool {
    value[0] >= 0x80 || is_among(PROSE, value)
}

/// A program that gets the secret from elsewhere: `os.environ["X"]`, `getpass()`, `args.api_key`.
pub(super) fn is_code(value: &[u8]) -> bool {
    let name = value
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':'))
        .count();
    let is_word = value[0].is_ascii_alphabetic() || value[0] == b'_';
    if !is_word {
        return value.starts_with(b"&") && value.len() > 1 && is_code(&value[1..]);
    }
    match value.get(name) {
        None => {
            // `self.password`, `config.db.token`
            let last = value.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
            let dotted = last.len() < value.len();
            (dotted && judge(last).is_some()) || matches!(value, b"self" | b"this") || is_same_word(value)
        }
        Some(b'(') => value.ends_with(b")") || value.len() == name + 1 || !value[name + 1..].contains(&b')'),
        Some(b'[') => value.ends_with(b"]") || value.len() == name + 1,
        _ => false,
    }
}

/// `token=token`, `password=user_password`: another name for it.
fn is_same_word(value: &[u8]) -> bool {
    value.contains(&b'_')
        && value.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'_')
        && judge(value).is_some()
}

pub(super) fn is_path(value: &[u8]) -> bool {
    let begins = |prefix: &[u8]| value.starts_with(prefix);
    begins(b"/")
        || begins(b"./")
        || begins(b"../")
        || begins(b"~")
        || matches!(value, [_, b':', b'\\' | b'/', ..])
        || value.ends_with(b".json")
        || value.ends_with(b".pem")
}

/// `token=Paris`, `token: 512`, `pad_token=[PAD]` are a model's.
pub(super) fn is_random(value: &[u8], quoted: Quoted) -> bool {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.~+/=%:|".contains(byte);
    if value.len() < 8
        || !value.iter().all(fits)
        || is_path(value)
        || memchr::memmem::find(value, b"://").is_some()
    {
        return false;
    }
    let letters = value.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    // Numbers, dates, 12.5ms/step
    let number = value.iter().take_while(|byte| !byte.is_ascii_alphabetic()).count();
    if number > 0
        && value[number..].iter().all(|byte| byte.is_ascii_alphabetic() || b"/%".contains(byte))
        && letters <= 8
    {
        return digits >= 24 && letters == 0;
    }
    if letters * 3 < digits && letters <= 3 || value[0].is_ascii_digit() && letters <= 2 {
        return digits >= 24 && letters == 0;
    }
    let upper_inside =
        value[1..].iter().any(u8::is_ascii_uppercase) && value.iter().any(u8::is_ascii_lowercase);
    digits > 0 || upper_inside || letters >= 16 && (quoted == Quoted::Yes || letters == value.len())
}
