//! A server's bytes → its replies (RFC 5321 section 4.2). Pure.
//!
//! Made for servers as they are: bare LF, bare codes, GBK, control characters. Every length that a
//! server controls has a bound.

use memchr::memchr;
use secrecy::zeroize::{Zeroize, Zeroizing};
use secrecy::{ExposeSecret, SecretString};

use super::verdict::Reply;

/// Longest line that a server may send, bytes. RFC 5321 section 4.5.3.1.5 says 512; some send more.
const MAX_LINE: usize = 4096;
/// Most lines that a reply may have.
const MAX_LINES: usize = 128;
/// Largest reply, bytes.
const MAX_REPLY: usize = 64 * 1024;
/// What is kept of a line's text, bytes.
const KEPT_LINE: usize = 900;
/// What is kept of a whole reply's, where it is told or recorded; bytes.
const KEPT_TEXT: usize = 4096;
/// What stands for something that must not be repeated.
const STRUCK: &str = "***";
/// So many characters in common with what AUTH said are no accident.
const PART: usize = 6;

/// A whole reply, line by line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// That of the last line.
    pub(super) code: u16,
    /// Codes taken off.
    pub(super) lines: Vec<String>,
}

impl Answer {
    pub(super) fn digit(&self) -> u16 {
        self.code / 100
    }

    /// As it is told and recorded.
    pub(super) fn reply(&self) -> Reply {
        Reply { code: self.code, text: cut(self.lines.join(" "), KEPT_TEXT) }
    }
}

/// Why the bytes are no reply; the words hold nothing that is concealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) String);

/// Collects bytes until they are a whole reply.
#[derive(Debug, Default)]
pub(super) struct Replies {
    /// What came and isn't part of a line that was read.
    waiting: Zeroizing<Vec<u8>>,
    /// The lines of a reply whose last hasn't come.
    lines: Vec<Zeroizing<Vec<u8>>>,
    size: usize,
    hidden: Concealed,
}

/// What must not be repeated.
#[derive(Debug, Default)]
pub(super) struct Concealed {
    /// The code itself.
    pub(super) code: Option<SecretString>,
    /// What AUTH makes of it, in base64: each part of that gives a part of the code away, and a server
    /// may quote a command cut short, in capitals or without its padding.
    pub(super) forms: Vec<SecretString>,
}

impl Replies {
    /// From now on these don't appear in replies: some servers quote what they were sent.
    pub(super) fn conceal(&mut self, hidden: Concealed) {
        self.hidden = hidden;
    }

    /// Takes in what was read; no more than some KiB at a time, and [`Replies::next`] between.
    pub(super) fn take_in(&mut self, bytes: &[u8]) {
        // What the growing leaves behind would not be zeroed.
        if self.waiting.capacity() < self.waiting.len() + bytes.len() {
            let mut roomier =
                Zeroizing::new(Vec::with_capacity(self.waiting.len() + bytes.len() + 2 * MAX_LINE));
            roomier.extend_from_slice(&self.waiting);
            self.waiting = roomier;
        }
        self.waiting.extend_from_slice(bytes);
    }

    /// Has more come than was read?
    pub(super) fn has_unread(&self) -> bool {
        !self.waiting.is_empty() || !self.lines.is_empty()
    }

    /// The next reply, if all of it is here.
    pub(super) fn next(&mut self) -> Result<Option<Answer>, Malformed> {
        loop {
            let Some(end) = memchr(b'\n', &self.waiting) else {
                return if self.waiting.len() > MAX_LINE { Err(too_long()) } else { Ok(None) };
            };
            if end >= MAX_LINE {
                return Err(too_long());
            }
            let (code, last, text) = split(self.waiting[..end].trim_ascii_end()).ok_or_else(|| {
                let shown = self.readable(&self.waiting[..end]);
                Malformed(format!("not an SMTP reply: {:?}", cut(shown, 80)))
            })?;
            self.lines.push(Zeroizing::new(text.to_vec()));
            self.size += end;
            self.waiting[..=end].zeroize();
            self.waiting.drain(..=end);
            if last {
                self.size = 0;
                let lines = std::mem::take(&mut self.lines);
                return Ok(Some(Answer { code, lines: self.decode(&lines) }));
            }
            if self.lines.len() >= MAX_LINES || self.size > MAX_REPLY {
                return Err(Malformed(format!(
                    "a reply of more than {MAX_LINES} lines or {MAX_REPLY} bytes"
                )));
            }
        }
    }

    /// All lines by the same encoding: two bytes of GBK alone can look like UTF-8.
    fn decode(&self, lines: &[Zeroizing<Vec<u8>>]) -> Vec<String> {
        let utf8 = lines.iter().all(|line| str::from_utf8(line).is_ok());
        let text = |line: &[u8]| {
            if utf8 { self.presentable(&String::from_utf8_lossy(line)) } else { self.gbk(line) }
        };
        lines.iter().map(|line| cut(text(line), KEPT_LINE)).collect()
    }

    fn readable(&self, raw: &[u8]) -> String {
        str::from_utf8(raw).map_or_else(|_| self.gbk(raw), |text| self.presentable(text))
    }

    fn gbk(&self, raw: &[u8]) -> String {
        let (text, _) = encoding_rs::GB18030.decode_without_bom_handling(raw);
        self.presentable(&Zeroizing::new(text.into_owned()))
    }

    /// Without what must not be repeated, and what a terminal would obey.
    fn presentable(&self, text: &str) -> String {
        // What growing leaves behind would not be zeroed.
        let mut shown = String::with_capacity(text.len());
        shown.extend(text.chars().map(|c| if obeyed(c) { ' ' } else { c }));
        shown.truncate(shown.trim_end().len());
        let Concealed { code, forms } = &self.hidden;
        for secret in forms.iter().chain(code) {
            if shown.contains(secret.expose_secret()) {
                let without = shown.replace(secret.expose_secret(), STRUCK);
                shown.zeroize();
                shown = without;
            }
        }
        if let Some(without) = without_parts(&shown, forms) {
            shown.zeroize();
            shown = without;
        }
        shown
    }
}

/// The text without what it has in common with these; None: nothing.
fn without_parts(text: &str, forms: &[SecretString]) -> Option<String> {
    let known = |part: &[u8]| {
        let mut parts = forms.iter().flat_map(|form| form.expose_secret().as_bytes().windows(PART));
        parts.any(|own| own.eq_ignore_ascii_case(part))
    };
    let mut common = vec![false; text.len()];
    for (at, part) in text.as_bytes().windows(PART).enumerate() {
        if known(part) {
            common[at..at + PART].fill(true);
        }
    }
    if !common.contains(&true) {
        return None;
    }
    let mut without = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        match (common[at], at > 0 && common[at - 1]) {
            (false, _) => without.push(c),
            (true, false) => without.push_str(STRUCK),
            (true, true) => {}
        }
    }
    Some(without)
}

fn too_long() -> Malformed {
    Malformed(format!("a line of more than {MAX_LINE} bytes"))
}

/// Reads `250-text`, `250 text` or `250`, without its line end: the code, whether it is the last
/// line, the text.
fn split(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (code, rest) = line.split_at_checked(3)?;
    if !code.iter().all(u8::is_ascii_digit) || !(b'2'..=b'5').contains(&code[0]) {
        return None;
    }
    let code = code.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    match rest.split_first() {
        None => Some((code, true, rest)),
        Some((b' ', text)) => Some((code, true, text)),
        Some((b'-', text)) => Some((code, false, text)),
        Some(_) => None,
    }
}

/// Control characters, and those that turn the direction of text.
fn obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Somebody else's words as they may be shown: nothing that a terminal would obey, and a bound.
pub(super) fn harmless(text: &str, most: usize) -> String {
    cut(text.chars().map(|c| if obeyed(c) { ' ' } else { c }).collect(), most)
}

/// No more than so many bytes of it, cut between characters.
fn cut(mut text: String, most: usize) -> String {
    while text.len() > most {
        text.pop();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &[u8]) -> Result<Option<Answer>, Malformed> {
        let mut replies = Replies::default();
        for piece in raw.chunks(4096) {
            replies.take_in(piece);
            match replies.next() {
                Ok(None) => {}
                other => return other,
            }
        }
        Ok(None)
    }

    #[track_caller]
    fn answer(raw: &[u8]) -> (u16, Vec<String>) {
        let answer = read(raw).unwrap().unwrap();
        (answer.code, answer.lines)
    }

    /// Catches: a bare code or LF refused, GBK losing the code or its words, control characters let
    /// through, a code beyond the RFC's (571) taken for garbage.
    #[test]
    fn replies_that_servers_send() {
        let one = |raw: &[u8]| {
            let (code, mut lines) = answer(raw);
            assert_eq!(lines.len(), 1);
            (code, lines.remove(0))
        };
        assert_eq!(one(b"250\r\n"), (250, String::new()));
        assert_eq!(one(b"250 ok  \r\n"), (250, "ok".into()));
        assert_eq!(one(b"571 no\n"), (571, "no".into()));
        assert_eq!(one(b"535 \xb4\xed\xce\xf3 x\r\n"), (535, "错误 x".into()));
        assert_eq!(one("550 拒绝\r\n".as_bytes()), (550, "拒绝".into()));
        assert_eq!(one(b"550 a\x1b[31mb\x00\r\n"), (550, "a [31mb".into()));
        assert_eq!(one("550 a\u{202e}b\r\n".as_bytes()), (550, "a b".into()));
        assert_eq!(one(b"550 \xff\xff\r\n").0, 550, "neither encoding");
        assert_eq!(answer(b"250-a\r\n250-b\n250 c\r\n"), (250, vec!["a".into(), "b".into(), "c".into()]));
        for garbage in [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"25\r\n", b"2500 x\r\n", b"999 x\r\n", b"\r\n"]
        {
            assert!(read(garbage).is_err(), "{garbage:?}");
        }
    }

    /// Catches: a line of GBK that looks like UTF-8 read as such beside others that don't.
    #[test]
    fn one_encoding_for_the_whole_reply() {
        // 联通, the well-known case, then 错误.
        let (_, lines) = answer(b"550-\xc1\xaa\xcd\xa8\r\n550 \xb4\xed\xce\xf3\r\n");
        assert_eq!(lines, ["联通", "错误"]);
    }

    /// Catches: memory that a server can fill.
    #[test]
    fn every_length_has_a_bound() {
        assert!(read(&vec![b'2'; 5000]).unwrap_err().0.contains("4096"));
        assert!(
            read(&[b"250 ", vec![b'x'; 5000].as_slice(), b"\n"].concat()).unwrap_err().0.contains("4096")
        );
        assert!(read(&b"250-x\r\n".repeat(129)).unwrap_err().0.contains("128 lines"));
        let long = [b"250-", vec![b'x'; 4000].as_slice(), b"\r\n"].concat();
        assert!(read(&long.repeat(17)).unwrap_err().0.contains("65536 bytes"));
        let lines = answer(&[long.repeat(10), b"250 ok\r\n".to_vec()].concat()).1;
        assert!(lines[0].len() == KEPT_LINE && lines[10] == "ok");
        let told = Answer { code: 250, lines }.reply().text;
        assert_eq!(told.len(), KEPT_TEXT);
        let foreign = format!("550 {}\r\n", "错".repeat(1000));
        let (_, lines) = answer(foreign.as_bytes());
        assert!(lines[0].len() <= KEPT_LINE && lines[0].chars().all(|c| c == '错'));
    }

    /// Catches: a code cut in two by the bound on a line, and its first half shown.
    #[test]
    fn what_is_concealed_is_so_before_anything_is_cut() {
        let mut replies = Replies::default();
        replies.conceal(Concealed { code: Some(SecretString::from("sesame")), forms: Vec::new() });
        replies.take_in(format!("535 {}sesame\r\n", "x".repeat(KEPT_LINE - 3)).as_bytes());
        let lines = replies.next().unwrap().unwrap().lines;
        assert!(!lines[0].contains("ses"), "{lines:?}");
        replies.take_in(b"no, sesame!\r\n");
        assert_eq!(replies.next().unwrap_err().0, "not an SMTP reply: \"no, ***!\"");
    }

    /// Catches: a code shown by a server that quotes a command cut short, in capitals, or without its padding.
    #[test]
    fn a_part_of_what_auth_said_is_concealed_too() {
        let mut replies = Replies::default();
        let forms = ["AGFAZXhhbXBsZS5jb20Ac2VzYW1lc2VzYW1l", "c2VzYW1lc2VzYW1lMQ=="].map(SecretString::from);
        replies.conceal(Concealed { code: None, forms: forms.into() });
        for (said, shown) in [
            ("'AUTH PLAIN AGFAZXhhbXBsZS5jb20Ac2VzYW1lc2'", "'AUTH PLAIN ***'"),
            ("AUTH PLAIN AGFAZXHHBXBSZS5JB20AC2VZYW1LC2VZYW1L?", "AUTH PLAIN ***?"),
            ("错误 c2VzYW1lc2VzYW1lMQ 错误", "错误 *** 错误"),
            ("…b20Ac2VzYW1lc2VzYW1l", "…***"),
            ("c2VzY", "c2VzY"),
            ("AUTH PLAIN is unknown", "AUTH PLAIN is unknown"),
        ] {
            replies.take_in(format!("500 {said}\r\n").as_bytes());
            assert_eq!(replies.next().unwrap().unwrap().lines, [shown]);
        }
    }

    /// Catches: what came after a reply taken for a part of it, or forgotten.
    #[test]
    fn what_comes_after_stays() {
        let mut replies = Replies::default();
        replies.take_in(b"220 go\r\n250 in");
        assert_eq!(replies.next().unwrap().unwrap().code, 220);
        assert!(replies.has_unread());
        assert_eq!(replies.next(), Ok(None));
        replies.take_in(b"jected\r\n");
        assert_eq!(replies.next().unwrap().unwrap().lines, ["injected"]);
        assert!(!replies.has_unread());
    }
}
