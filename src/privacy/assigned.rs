//! A secret that is given to a name: `password=…`, `"api_key": "…"`, `--token …`, `密码：…`. Pure.

use std::ops::Range;

use super::builtin::Kind;
use super::names::{NAME, Sure, is_name, judge};
use super::placeholder::{self, Quoted};

/// In a longer value no end is looked for but the blank.
const VALUE: usize = 16 * 1024;
const NAMED: usize = 4 * 1024;

/// Looks at the name that has `word` in it, and at what it is given. `text` ends with the line, which
/// begins at `line`.
pub(super) fn find(text: &[u8], line: usize, word: &Range<usize>) -> Option<(Kind, Range<usize>)> {
    let least = line.max(word.start.saturating_sub(NAME));
    let start = word.start - text[least..word.start].iter().rev().take_while(|byte| is_name(**byte)).count();
    let longest = text.len().min(word.end + NAME);
    let end = word.end + text[word.end..longest].iter().take_while(|byte| is_name(**byte)).count();
    // The end of a sentence is none of the name's.
    let end = end - text[word.start..end].iter().rev().take_while(|byte| matches!(byte, b'.' | b'-')).count();
    let name = &text[start..end];
    let dashes = name.iter().take_while(|byte| **byte == b'-').count();
    let (kind, sure) = judge(&name[dashes..])?;
    let (at, given) = given(text, end, dashes, start.checked_sub(1).map(|before| text[before]))?;
    // `"Password: "` ends with what looks like the beginning of a value.
    let opened =
        start.checked_sub(1).map(|before| text[before]).filter(|byte| matches!(byte, b'"' | b'\'' | b'`'));
    if opened.is_some() && text.get(at).copied() == opened && text.get(end).copied() != opened {
        return None;
    }
    let range = value(text, at, (sure, given), &name[dashes..])?;
    Some((kind, range))
}

/// How a name and its value stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    /// `name=value`
    Equals,
    /// `name: value`; in prose, too
    Colon,
    /// `--name value`
    Word,
    /// `<name>value</name>`
    Element,
}

/// Where the value begins.
fn given(text: &[u8], name_end: usize, dashes: usize, before: Option<u8>) -> Option<(usize, Given)> {
    let mut at = name_end;
    let peek = |at: usize| text.get(at).copied();
    let blanks = |at: usize| text[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    if before == Some(b'<') && peek(at) == Some(b'>') {
        return Some((at + 1, Given::Element));
    }
    // `"name"`, `\"name\"`, `["name"]`
    at += text[at..].iter().take(3).take_while(|byte| **byte == b'\\').count();
    at += usize::from(matches!(peek(at), Some(b'"' | b'\'' | b'`')));
    at += usize::from(at > name_end && peek(at) == Some(b']'));
    let after_quote = at;
    at += blanks(at);
    let given = match peek(at)? {
        b'=' => {
            at += text[at..].iter().take_while(|byte| **byte == b'=').count();
            at += usize::from(peek(at) == Some(b'>'));
            Given::Equals
        }
        b':' => {
            at += 1;
            let walrus = peek(at) == Some(b'=');
            at += usize::from(walrus);
            // `token::next`, `password://`
            if matches!(peek(at), Some(b':')) || text[at..].starts_with(b"//") {
                return None;
            }
            if walrus { Given::Equals } else { Given::Colon }
        }
        0xef if text[at..].starts_with("：".as_bytes()) => {
            at += 3;
            Given::Colon
        }
        _ if dashes > 0 && at > after_quote => Given::Word,
        _ => return None,
    };
    at += blanks(at);
    Some((at, given))
}

/// What is to go of a value that begins at `at`.
fn value(text: &[u8], at: usize, (sure, given): (Sure, Given), name: &[u8]) -> Option<Range<usize>> {
    let mut at = at;
    let rest = &text[at..];
    // b"…", f"…"
    if matches!(rest, [b'b' | b'r' | b'u' | b'f' | b'B', b'"' | b'\'', ..]) {
        at += 1;
    }
    let slashes = text[at..].iter().take(3).take_while(|byte| **byte == b'\\').count();
    let quote = text.get(at + slashes).filter(|byte| matches!(byte, b'"' | b'\'' | b'`')).copied();
    if let Some(quote) = quote {
        let start = at + slashes + 1;
        let most = text.len().min(start + VALUE);
        // In prose it may be the quote that ends a text, with more of a program behind it.
        let is_end = given == Given::Colon && matches!(text.get(start), Some(b',' | b')' | b';'));
        let (end, quoted) = match quoted_length(&text[start..most], slashes, quote) {
            _ if is_end => return None,
            Some(length) => (start + length, Quoted::Yes),
            None => (start + bare_length(&text[start..most], VALUE), Quoted::No),
        };
        return secret_in(text, start..end, (sure, given), name, quoted);
    }
    if given == Given::Element {
        let end = at + memchr::memchr(b'<', &text[at..])?;
        return text[end..]
            .starts_with(b"</")
            .then(|| secret_in(text, at..end, (sure, given), name, Quoted::Yes))?;
    }
    // What a model's token is called may be anything, so nothing long is looked at twice.
    let most = if sure == Sure::IfRandom { NAMED } else { VALUE };
    let end = at + bare_length(&text[at..], most);
    let word = &text[at..end];
    // `password: str = "…"`
    if given == Given::Colon && is_type(word) {
        let behind = end + text[end..].iter().take_while(|byte| **byte == b' ').count();
        if text.get(behind) == Some(&b'=') && text.get(behind + 1) != Some(&b'=') {
            let next = behind + 1;
            let next = next + text[next..].iter().take_while(|byte| **byte == b' ').count();
            return value(text, next, (sure, Given::Equals), name);
        }
        return None;
    }
    secret_in(text, at..end, (sure, given), name, Quoted::No)
}

/// To the quote that ends it: behind as many backslashes as the one that began it.
fn quoted_length(text: &[u8], slashes: usize, quote: u8) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = memchr::memchr(quote, &text[from..]) {
        let at = from + at;
        let before = text[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        let ends = if slashes == 0 { before.is_multiple_of(2) } else { before <= slashes };
        if ends {
            return Some(at - before.min(slashes));
        }
        from = at + 1;
    }
    None
}

/// A value without quotes: to the blank, or to where another name begins.
fn bare_length(text: &[u8], most: usize) -> usize {
    let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'`');
    let mut length = text.iter().take(most).take_while(|byte| !ends(byte)).count();
    if length == most {
        return text.iter().take_while(|byte| !ends(byte)).count();
    }
    // `password=a&user=b`, `password=a;Server=…`, `password=a, user=b`
    for at in 0..length {
        if !matches!(text[at], b',' | b';' | b'&' | b'|') {
            continue;
        }
        let behind = &text[at + 1..length];
        let name = behind.iter().take(NAME).take_while(|byte| is_name(**byte)).count();
        if behind.is_empty()
            || name > 0 && matches!(behind.get(name), Some(b'=' | b':'))
            || text[at] == b'&' && behind[0] == b'&'
        {
            length = at;
            break;
        }
    }
    // Full stops of a Chinese sentence.
    for stop in ["，", "。", "；", "、", "）", "！"] {
        if let Some(at) = memchr::memmem::find(&text[..length], stop.as_bytes()) {
            length = at;
        }
    }
    while let Some(last) = length.checked_sub(1).map(|last| text[last]) {
        let opened = |open: u8| text[..length].contains(&open);
        let closes = match last {
            b')' => !opened(b'('),
            b']' => !opened(b'['),
            b'}' => !opened(b'{'),
            b'>' => !opened(b'<'),
            b',' | b';' | b'.' | b':' => true,
            _ => false,
        };
        if !closes {
            break;
        }
        length -= 1;
    }
    length
}

fn is_type(word: &[u8]) -> bool {
    matches!(
        word,
        b"str" | b"string" | b"String" | b"&str" | b"bytes" | b"SecretStr" | b"char" | b"text" | b"Any"
    ) || word.starts_with(b"Optional[")
        || word.starts_with(b"Option<")
        || word.starts_with(b"Union[")
}

/// Takes a value for a secret, or not.
fn secret_in(
    text: &[u8],
    range: Range<usize>,
    (sure, given): (Sure, Given),
    name: &[u8],
    quoted: Quoted,
) -> Option<Range<usize>> {
    let value = &text[range.clone()];
    if value.is_empty() || placeholder::is_one(value) || value.eq_ignore_ascii_case(name) {
        return None;
    }
    if sure == Sure::BehindScheme {
        return behind_scheme(text, range, quoted);
    }
    if quoted == Quoted::No {
        let prose = given != Given::Equals && placeholder::is_prose(value);
        if prose || placeholder::is_code(value) || placeholder::is_named_like(value, name) {
            return None;
        }
    }
    match sure {
        Sure::UnlessPath if placeholder::is_path(value) => None,
        Sure::IfRandom if !placeholder::is_random(value, quoted) => None,
        _ => Some(range),
    }
}

/// What of `Basic dXNlcjpwYXNz` is to go.
fn behind_scheme(text: &[u8], range: Range<usize>, quoted: Quoted) -> Option<Range<usize>> {
    const SCHEMES: [&str; 10] =
        ["basic", "bearer", "token", "apikey", "api-key", "digest", "negotiate", "ntlm", "hawk", "key"];
    let value = &text[range.clone()];
    let first = value.iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
    let scheme = value[..first].to_ascii_lowercase();
    let known = SCHEMES.iter().any(|known| known.as_bytes() == scheme) || scheme.starts_with(b"aws4-");
    if !known {
        return (first >= 8 && placeholder::is_random(&value[..first], quoted))
            .then(|| range.start..range.start + first);
    }
    let line_end = if quoted == Quoted::Yes { range.end } else { text.len() };
    let blanks = text[range.start + first..line_end].iter().take_while(|byte| **byte == b' ').count();
    let start = range.start + first + blanks;
    let long = matches!(scheme.as_slice(), b"digest" | b"hawk") || scheme.starts_with(b"aws4-");
    let ends = |byte: &u8| !long && (matches!(byte, b'"' | b'\'') || byte.is_ascii_whitespace());
    let length = text[start..line_end].iter().take_while(|byte| !ends(byte)).count();
    let end = start + length;
    (length > 0 && !placeholder::is_one(&text[start..end])).then_some(start..end)
}

/// `密码：…`
pub(super) fn find_chinese(text: &[u8], word: &Range<usize>) -> Option<Range<usize>> {
    let (at, given) = given(text, word.end, 0, None)?;
    value(text, at, (Sure::Yes, given), &text[word.clone()])
}

/// The kind of secret that the next word of a command line is, if this one is `--password` or the like.
pub(super) fn option(word: &str) -> Option<Kind> {
    let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-').filter(|name| name.len() > 3))?;
    let plain = name.bytes().all(is_name);
    judge(name.as_bytes()).filter(|_| plain).map(|(kind, _)| kind)
}

/// Is the word behind such an option the secret?
pub(super) fn is_value(word: &str, kind: Kind) -> bool {
    let number = kind == Kind::Secret && word.len() <= 7 && word.bytes().all(|byte| byte.is_ascii_digit());
    !(word.is_empty() || word.starts_with("--") || number || placeholder::is_one(word.as_bytes()))
}
