//! The built-in set: what the tokens of known services look like, and where else secrets stand. Pure.
//!
//! One pass over the text looks for the words that all of them begin with or have in them; what stands
//! around each is then looked at by hand.

use std::ops::Range;
use std::str::FromStr;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::pem::Pem;
use super::tokens::{Hit, Letters, MANY, TOKENS, inside_a_word, is_url_safe, token_at};
use super::{Found, Place, assigned, names};

/// What can be switched off by its name (`privacy.keep`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Github,
    Gitlab,
    Huggingface,
    Openai,
    Anthropic,
    Aws,
    Google,
    Aliyun,
    Tencent,
    Wandb,
    Slack,
    Npm,
    Pypi,
    Stripe,
    Webhook,
    Jwt,
    PrivateKey,
    Password,
    Secret,
    Authorization,
    Url,
}

/// Their names in notify.toml.
pub const KINDS: [(&str, Kind); 21] = [
    ("github", Kind::Github),
    ("gitlab", Kind::Gitlab),
    ("huggingface", Kind::Huggingface),
    ("openai", Kind::Openai),
    ("anthropic", Kind::Anthropic),
    ("aws", Kind::Aws),
    ("google", Kind::Google),
    ("aliyun", Kind::Aliyun),
    ("tencent", Kind::Tencent),
    ("wandb", Kind::Wandb),
    ("slack", Kind::Slack),
    ("npm", Kind::Npm),
    ("pypi", Kind::Pypi),
    ("stripe", Kind::Stripe),
    ("webhook", Kind::Webhook),
    ("jwt", Kind::Jwt),
    ("private-key", Kind::PrivateKey),
    ("password", Kind::Password),
    ("secret", Kind::Secret),
    ("authorization", Kind::Authorization),
    ("url", Kind::Url),
];

impl FromStr for Kind {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        KINDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind).ok_or(())
    }
}

/// What else is looked for, by a word that it has in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anchor {
    Token(usize),
    /// A part of a name that a secret is given to: `password`, `api_key`.
    Name,
    /// 密码
    ChineseName,
    Bearer,
    Jwt,
    Begin,
    Scheme,
    Wandb,
    /// `curl -u NAME:PASSWORD`
    Curl,
    /// `sshpass -p PASSWORD`
    Sshpass,
}

const ANCHORS: &[(&[&str], Anchor)] = &[
    (names::PARTS, Anchor::Name),
    (names::CHINESE, Anchor::ChineseName),
    (&["bearer "], Anchor::Bearer),
    (&["eyJ"], Anchor::Jwt),
    (&["-----BEGIN"], Anchor::Begin),
    (&["://"], Anchor::Scheme),
    (&["wandb"], Anchor::Wandb),
    (&["curl "], Anchor::Curl),
    (&["sshpass "], Anchor::Sshpass),
];

pub(super) struct Builtins {
    keep: Vec<Kind>,
    automaton: AhoCorasick,
    /// By the automaton's numbers.
    anchors: Vec<Anchor>,
}

/// What for.
enum Look<'a> {
    Everywhere(&'a mut Pem),
    ForTokens,
}

impl Builtins {
    /// All but these.
    pub(super) fn without(keep: &[Kind]) -> Self {
        let mut words: Vec<&str> = Vec::new();
        let mut anchors = Vec::new();
        for (n, token) in TOKENS.iter().enumerate().filter(|(_, token)| !keep.contains(&token.kind)) {
            words.extend(token.words);
            anchors.extend(token.words.iter().map(|_| Anchor::Token(n)));
        }
        for (of_anchor, anchor) in ANCHORS {
            words.extend(*of_anchor);
            anchors.extend(of_anchor.iter().map(|_| *anchor));
        }
        // The longest of those that begin at a place: `sk-ant-` before `sk-`.
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .kind(Some(AhoCorasickKind::DFA))
            .build(&words)
            .expect("some hundred short words are few");
        Self { keep: keep.to_vec(), automaton, anchors }
    }

    pub(super) fn has(&self, kind: Kind) -> bool {
        !self.keep.contains(&kind)
    }

    pub(super) fn find(&self, text: &[u8], pem: &mut Pem, found: &mut Vec<Found>) {
        pem.follow(text, 0, found);
        self.walk(text, Look::Everywhere(pem), found);
    }

    /// Only what is known by itself, wherever it stands.
    pub(super) fn find_tokens(&self, text: &[u8], found: &mut Vec<Found>) {
        self.walk(text, Look::ForTokens, found);
    }

    fn walk(&self, text: &[u8], mut look: Look<'_>, found: &mut Vec<Found>) {
        let mut line = 0..0;
        let mut from = 0;
        while let Some(hit) = self.automaton.find(aho_corasick::Input::new(text).span(from..text.len())) {
            let word = hit.range();
            if word.start >= line.end {
                let begin = memchr::memrchr2(b'\n', b'\r', &text[line.end..word.start]);
                let start = begin.map_or(line.end, |at| line.end + at + 1);
                let end = memchr::memchr2(b'\n', b'\r', &text[word.end..]);
                line = start..end.map_or(text.len(), |at| word.end + at);
            }
            from = word.start + 1;
            let anchor = self.anchors[hit.pattern().as_usize()];
            let hit = Hit { text, word: word.clone(), line: line.clone() };
            let by_itself = matches!(anchor, Anchor::Token(_) | Anchor::Jwt);
            let Look::Everywhere(pem) = &mut look else {
                if by_itself && let Some((kind, range)) = self.look_at(anchor, &hit) {
                    from = range.end;
                    found.extend(self.has(kind).then_some(Found { range, place: Place::Own }));
                }
                continue;
            };
            if anchor == Anchor::Begin {
                if self.has(Kind::PrivateKey) && !pem.is_inside() {
                    let own = pem.begin(text, word.start, line.end);
                    from = own.as_ref().map_or(word.end, |own| own.range.end);
                    found.extend(own);
                    pem.follow(text, line.end, found);
                }
                continue;
            }
            match self.look_at(anchor, &hit) {
                Some((kind, range)) => {
                    from = range.end.max(from);
                    if self.has(kind) {
                        found.push(Found { range, place: Place::Own });
                    }
                }
                // Another word may begin inside this one, but for a name's: those are looked at whole.
                None if anchor == Anchor::Name => from = word.end,
                None => {}
            }
        }
    }

    fn look_at(&self, anchor: Anchor, hit: &Hit<'_>) -> Option<(Kind, Range<usize>)> {
        match anchor {
            Anchor::Token(n) => token_at(&TOKENS[n], hit).map(|range| (TOKENS[n].kind, range)),
            Anchor::Name => assigned::find(&hit.text[..hit.line.end], hit.line.start, &hit.word),
            Anchor::ChineseName => assigned::find_chinese(&hit.text[..hit.line.end], &hit.word)
                .map(|range| (Kind::Password, range)),
            Anchor::Bearer => bearer(hit).map(|range| (Kind::Authorization, range)),
            Anchor::Jwt => jwt(hit).map(|range| (Kind::Jwt, range)),
            Anchor::Begin => None,
            Anchor::Scheme => url(hit).map(|range| (Kind::Url, range)),
            Anchor::Wandb => wandb(hit).map(|range| (Kind::Wandb, range)),
            Anchor::Curl => option_behind(hit, &[" -u ", " --user ", " --proxy-user ", " -u"])
                .and_then(|word| behind_colon(hit.text, word))
                .map(|range| (Kind::Password, range)),
            Anchor::Sshpass => option_behind(hit, &[" -p ", " -p"])
                .filter(|word| !word.is_empty())
                .map(|range| (Kind::Password, range)),
        }
    }

    /// What goes of the words of a command line because of the words before it; with the word's number.
    pub(super) fn in_words(&self, words: &[String]) -> Vec<(usize, Range<usize>)> {
        let is = |word: &String, name: &str| word == name || word.ends_with(&format!("/{name}"));
        let mut found = Vec::new();
        if !self.has(Kind::Password) {
            return found;
        }
        for at in 1..words.len() {
            let after = |name: &str| words[..at].iter().any(|word| is(word, name));
            let (before, word) = (words[at - 1].as_str(), words[at].as_str());
            if matches!(before, "-u" | "--user" | "--proxy-user") && after("curl") {
                found.extend(behind_colon(word.as_bytes(), 0..word.len()).map(|range| (at, range)));
            } else if before == "-p" && at > 1 && is(&words[at - 2], "sshpass") {
                found.push((at, 0..word.len()));
            }
        }
        found
    }
}

fn bearer(hit: &Hit<'_>) -> Option<Range<usize>> {
    if inside_a_word(hit.text, hit.word.start) {
        return None;
    }
    let rest = &hit.text[hit.word.end..hit.line.end];
    let is_token68 = |byte: &u8| is_url_safe(*byte) || b".~+/=".contains(byte);
    let length = rest.iter().take_while(|byte| is_token68(byte)).count();
    let token = &rest[..length];
    let random = token.iter().any(u8::is_ascii_digit) || length >= 24;
    (length >= 16 && random).then(|| hit.word.end..hit.word.end + length)
}

/// Header, payload and signature in base64 (RFC 7519), or the five parts of RFC 7516.
fn jwt(hit: &Hit<'_>) -> Option<Range<usize>> {
    let start = hit.word.start;
    if &hit.text[hit.word.clone()] != b"eyJ" || inside_a_word(hit.text, start) {
        return None;
    }
    let rest = &hit.text[start..hit.line.end];
    let length = rest.iter().take_while(|byte| is_url_safe(**byte) || **byte == b'.').count();
    let parts: Vec<usize> = rest[..length].split(|byte| *byte == b'.').map(<[u8]>::len).collect();
    let is_jwt =
        parts.len() >= 3 && parts[0] >= 12 && parts[1] >= 4 && parts.iter().skip(2).any(|part| *part >= 16);
    is_jwt.then(|| {
        let dots = rest[..length].iter().rev().take_while(|byte| **byte == b'.').count();
        start..start + length - dots
    })
}

/// The password of `scheme://user:password@host` (RFC 3986, 3.2.1).
fn url(hit: &Hit<'_>) -> Option<Range<usize>> {
    let start = hit.word.end;
    if !start.checked_sub(4).is_some_and(|before| hit.text[before].is_ascii_alphanumeric()) {
        return None;
    }
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b"/?#\"'`<>\\^|{}".contains(byte);
    let rest = &hit.text[start..hit.line.end];
    let length = rest.iter().take(MANY).take_while(|byte| !ends(byte)).count();
    // A slash in a password should have been written %2F, but a brace may be a placeholder's.
    let authority = &rest[..length];
    let at = memchr::memrchr(b'@', authority)?;
    let colon = memchr::memchr(b':', &authority[..at])?;
    let secret = &authority[colon + 1..at];
    (!secret.is_empty() && !super::placeholder::is_one(secret)).then(|| start + colon + 1..start + at)
}

/// 40 hexadecimal digits in a line that says that they are a key: alone they are a commit.
fn wandb(hit: &Hit<'_>) -> Option<Range<usize>> {
    let line = &hit.text[hit.word.start..hit.line.end];
    let line = &line[..line.len().min(512)];
    let mut start = 0;
    while start < line.len() {
        let length = line[start..].iter().take_while(|byte| Letters::Hex.has(**byte)).count();
        let alone = !inside_a_word(line, start)
            && !line.get(start + length).is_some_and(|byte| Letters::Word.has(*byte));
        if length == 40 && alone {
            let before = line[..start].to_ascii_lowercase();
            let says = ["key", "login", "token"]
                .iter()
                .any(|word| memchr::memmem::find(&before, word.as_bytes()).is_some());
            if says {
                return Some(hit.word.start + start..hit.word.start + start + length);
            }
        }
        start += length + 1;
    }
    None
}

/// The word behind the first of these options of a program.
fn option_behind(hit: &Hit<'_>, options: &[&str]) -> Option<Range<usize>> {
    // The blank behind the program's name may be the one before its option.
    let begin = hit.word.end - 1;
    if inside_a_word(hit.text, hit.word.start) {
        return None;
    }
    let rest = &hit.text[begin..hit.line.end];
    let command = rest.len().min(MANY);
    let (at, option) = options.iter().find_map(|option| {
        memchr::memmem::find(&rest[..command], option.as_bytes()).map(|at| (at, option))
    })?;
    let start = at + option.len();
    let quote = rest.get(start).filter(|byte| matches!(byte, b'"' | b'\'')).copied();
    let start = start + usize::from(quote.is_some());
    let length = rest[start..]
        .iter()
        .take_while(|byte| quote.map_or(!byte.is_ascii_whitespace(), |quote| **byte != quote))
        .count();
    let word = &rest[start..start + length];
    (!super::placeholder::is_one(word)).then(|| begin + start..begin + start + length)
}

fn behind_colon(text: &[u8], word: Range<usize>) -> Option<Range<usize>> {
    let colon = memchr::memchr(b':', &text[word.clone()])?;
    let range = word.start + colon + 1..word.end;
    (!range.is_empty() && !super::placeholder::is_one(&text[range.clone()])).then_some(range)
}
