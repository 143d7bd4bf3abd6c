//! The header block of a mail, written in front of its body when it is sent. Pure.
//!
//! It isn't kept with the body because QQ and 163 demand that From is the login: failing over to
//! another account changes it. Message-ID and Date are fixed when the mail is made, so that
//! every try is the same mail.

use email_encoding::headers::{rfc2047, writer::EmailWriter};
use jiff::Zoned;
use lettre::Address;
use lettre::message::header::{
    Date, HeaderName, HeaderValue, Headers, MIME_VERSION_1_0, MessageId, To, UserAgent,
};
use lettre::message::{Mailbox as LettreMailbox, Mailboxes};

use crate::config::Mailbox;
use crate::error::{Error, Kind, Result};

/// A display name is cut to this many characters, so that no header line grows past the
/// 998 bytes of RFC 5322 2.1.1.
const MAX_NAME: usize = 128;

/// A subject is cut to this many characters; clients show 70 or so.
const MAX_SUBJECT: usize = 1000;

/// A longer word can't be folded into lines of 78 and is written as encoded words instead.
const MAX_WORD: usize = 60;

/// What stands in the header. Bcc recipients belong to the envelope alone and have no place here.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// `unique@domain` without angle brackets, see [`message_id`]; the same at every try.
    pub message_id: String,
    /// When the mail was made, in the user's zone: the offset is shown by some clients.
    pub date: Zoned,
    /// The login of the account that sends it.
    pub from: Mailbox,
    pub to: Vec<Mailbox>,
    pub cc: Vec<Mailbox>,
    pub subject: String,
}

/// A Message-ID (RFC 5322 3.6.4, without brackets) from an id that is unique in the world.
///
/// `domain` is that of the user's own address: a host name would tell where the job ran. Characters
/// that need quoting become `-`. With no domain it is one that can't exist (RFC 2606).
pub fn message_id(unique: &str, domain: Option<&str>) -> String {
    let clean = |text: &str| -> String {
        let keep = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        let text: String = text.chars().take(100).map(keep).collect();
        // A dot at an end or beside another isn't a dot-atom.
        text.split('.').filter(|atom| !atom.is_empty()).collect::<Vec<_>>().join(".")
    };
    let domain = domain.map(clean).filter(|domain| !domain.is_empty());
    format!("{}@{}", clean(unique), domain.as_deref().unwrap_or("notify-done.invalid"))
}

/// The header block up to, but without, Content-Type and the empty line: the body file goes on there.
///
/// Lines end with CRLF and have at most 998 bytes; nothing in a value can begin another header.
///
/// # Errors
/// An address that can't stand in a header, a Message-ID that isn't one, a date before year 0.
pub fn header_block(draft: &Draft) -> Result<Vec<u8>> {
    let mut headers = Headers::new();
    headers.insert_raw(date(&draft.date)?);
    headers.insert_raw(mailboxes("From", std::slice::from_ref(&draft.from))?);
    if draft.to.is_empty() && draft.cc.is_empty() {
        // Some servers refuse a mail that names no recipient; this is RFC 5322's way to say so.
        headers.insert_raw(ready("To", "undisclosed-recipients:;".to_owned()));
    }
    for (name, list) in [("To", &draft.to), ("Cc", &draft.cc)] {
        if !list.is_empty() {
            headers.insert_raw(mailboxes(name, list)?);
        }
    }
    headers.insert_raw(subject(&draft.subject));
    headers.set(MessageId::from(checked_id(&draft.message_id)?));
    headers.set(MIME_VERSION_1_0);
    // RFC 3834: no holiday note comes back. The second is what Exchange reads; "All" there would
    // also suppress the report that a mail could not be delivered.
    headers.insert_raw(ready("Auto-Submitted", "auto-generated".to_owned()));
    headers.insert_raw(ready("X-Auto-Response-Suppress", "OOF, AutoReply".to_owned()));
    headers.set(UserAgent::from(concat!("notify-done/", env!("CARGO_PKG_VERSION")).to_owned()));
    Ok(headers.to_string().into_bytes())
}

/// A value that is ASCII, folded and free of anything a user wrote.
fn ready(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::dangerous_new_pre_encoded(HeaderName::new_from_ascii_str(name), value.clone(), value)
}

/// RFC 5322 3.3, with the offset; the library's own prints GMT only.
fn date(date: &Zoned) -> Result<HeaderValue> {
    let value = jiff::fmt::rfc2822::to_string(date)
        .map_err(|e| Error::new(Kind::Delivery, format!("a mail can't be dated {date}")).because(e))?;
    let name = <Date as lettre::message::header::Header>::name();
    Ok(HeaderValue::dangerous_new_pre_encoded(name, value.clone(), value))
}

fn checked_id(id: &str) -> Result<String> {
    let atom = |text: &str| {
        !text.is_empty()
            && text.split('.').all(|part| {
                !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            })
    };
    match id.split_once('@') {
        Some((left, right)) if id.len() <= 250 && atom(left) && atom(right) => Ok(format!("<{id}>")),
        _ => Err(Error::new(Kind::Delivery, format!("{id:?} is no Message-ID"))
            .hint("the entry in the outbox was changed by hand: remove its folder")),
    }
}

fn subject(subject: &str) -> HeaderValue {
    let line = one_line(subject, MAX_SUBJECT);
    let name = || HeaderName::new_from_ascii_str("Subject");
    // Left bare, `=?utf-8?b?…?=` would be decoded by the reader, and a long word can't be folded.
    let must_encode = line.contains("=?") || line.split(' ').any(|word| word.len() > MAX_WORD);
    if !must_encode {
        return HeaderValue::new(name(), line);
    }
    let mut encoded = String::new();
    let mut writer = EmailWriter::new(&mut encoded, "Subject: ".len(), 0, false);
    rfc2047::encode(&line, &mut writer).expect("writing to a String doesn't fail");
    drop(writer);
    HeaderValue::dangerous_new_pre_encoded(name(), line, encoded)
}

/// One mailbox to a line: the library never folds between plain addresses, and forty of them
/// would make a line of more than 998 bytes.
fn mailboxes(name: &'static str, list: &[Mailbox]) -> Result<HeaderValue> {
    let encoded: Vec<String> = list.iter().map(mailbox).collect::<Result<_>>()?;
    Ok(ready(name, encoded.join(",\r\n ")))
}

/// `name <address>`, with only the name encoded: QQ refuses a From whose address is.
fn mailbox(mailbox: &Mailbox) -> Result<String> {
    let address = address(&mailbox.address)?;
    let name = mailbox.name.as_deref().map(|name| one_line(name, MAX_NAME)).filter(|name| !name.is_empty());
    // The library writes `a.b` bare, which RFC 5322 4.1 calls obsolete.
    if let Some(dotted) = name.as_deref().filter(|name| is_dotted_word(name)) {
        return Ok(format!("\"{dotted}\" <{address}>"));
    }
    // In brackets even where nothing stands before it: filters take a bare address for a spammer's.
    if name.is_none() {
        return Ok(format!("<{address}>"));
    }
    let mut headers = Headers::new();
    headers.set(To::from(Mailboxes::from(LettreMailbox::new(name, address))));
    let line = headers.to_string();
    let value = line.strip_prefix("To: ").unwrap_or(&line);
    Ok(value.trim_end_matches("\r\n").to_owned())
}

fn is_dotted_word(name: &str) -> bool {
    name.contains('.') && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

fn address(text: &str) -> Result<Address> {
    let refused = |cause: &str| {
        Error::new(Kind::Config, format!("{text:?} can't be used as a mail address"))
            .because(cause)
            .hint("write it as name@example.com; of a domain in Chinese take the form that begins with xn--")
    };
    // 163 has no SMTPUTF8 (RFC 6531), without which a header has no place for these.
    if !text.is_ascii() {
        return Err(refused("it has characters outside ASCII, which 163 and many others don't take"));
    }
    if text.bytes().any(|b| b.is_ascii_control() || b == b' ') {
        return Err(refused("it has a space or a control character"));
    }
    text.parse().map_err(|e: lettre::address::AddressError| refused(&e.to_string()))
}

/// One line of at most `most` characters: control characters, line separators and runs of spaces
/// become one space, so that a value can't begin another header.
fn one_line(text: &str, most: usize) -> String {
    let spaced: String = text
        .chars()
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .collect();
    let mut line = spaced.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if line.chars().count() > most {
        line = line.chars().take(most - 1).chain(['…']).collect();
    }
    line
}

#[cfg(test)]
mod tests;
