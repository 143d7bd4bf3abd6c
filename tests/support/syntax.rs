//! The syntax of what a client says to the scripted server. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// RFC 5321 section 4.5.3.1.6, without the CRLF.
const LONGEST_LINE: usize = 998;

/// What RFC 5321 section 2.3.8 and RFC 5322 section 2.1.1 forbid in a line of a message.
pub(super) fn body_faults(line: &[u8], eight_bit: bool) -> Vec<&'static str> {
    let (text, ended) = match line.strip_suffix(b"\r\n") {
        Some(text) => (text, true),
        None => (line.strip_suffix(b"\n").unwrap_or(line), false),
    };
    let stuffed = usize::from(text.starts_with(b"."));
    let checks = [
        (!ended, "ends with a bare LF"),
        (text.contains(&b'\r'), "has a bare CR"),
        (text.contains(&0), "has a NUL"),
        (text.len() - stuffed > LONGEST_LINE, "is longer than 998 bytes"),
        (!eight_bit && !text.is_ascii(), "has 8-bit bytes, MAIL had no BODY=8BITMIME"),
    ];
    checks.into_iter().filter_map(|(broken, fault)| broken.then_some(fault)).collect()
}

/// `FROM:<a@b> SIZE=1` → the address and the parameters in capitals.
pub(super) fn path(argument: &str, keyword: &str) -> Option<(String, Vec<String>)> {
    let (head, rest) = argument.split_at_checked(keyword.len())?;
    let (address, parameters) = rest.trim_start().strip_prefix('<')?.split_once('>')?;
    let parameters = parameters.split_whitespace().map(str::to_ascii_uppercase).collect();
    head.eq_ignore_ascii_case(keyword).then(|| (address.to_owned(), parameters))
}

pub(super) fn unbase64(text: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok()
}
