//! What the tokens of known services look like, as the services document them. Pure.

use std::ops::Range;

use super::builtin::Kind;

/// The letters that a token is made of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Letters {
    /// `A-Za-z0-9`
    Alnum,
    /// and `_`
    Word,
    /// and `_` `-`
    UrlSafe,
    /// and `_` `-` `.`
    Dotted,
    /// and `_` `-` `/`
    Path,
    /// `A-Z0-9`
    Upper,
    Hex,
}

impl Letters {
    pub(super) fn has(self, byte: u8) -> bool {
        match self {
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::Word => byte.is_ascii_alphanumeric() || byte == b'_',
            Self::UrlSafe => is_url_safe(byte),
            Self::Dotted => is_url_safe(byte) || byte == b'.',
            Self::Path => is_url_safe(byte) || byte == b'/',
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_hexdigit(),
        }
    }
}

pub(super) fn is_url_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// How much of a token goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goes {
    /// It begins with the word, and goes with it.
    All,
    /// The word is a place, such as a path of a URL: what follows it goes.
    Behind,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) words: &'static [&'static str],
    letters: Letters,
    /// Letters behind the word, from and to; more are no such token.
    count: (usize, usize),
    /// A digit is among them: else it is a name (`sk-learn-contrib`).
    needs_digit: bool,
    goes: Goes,
}

pub(super) const MANY: usize = 4096;

const fn token(kind: Kind, words: &'static [&'static str], letters: Letters, count: (usize, usize)) -> Token {
    Token { kind, words, letters, count, needs_digit: false, goes: Goes::All }
}

const fn behind(
    kind: Kind,
    words: &'static [&'static str],
    letters: Letters,
    count: (usize, usize),
) -> Token {
    Token { kind, words, letters, count, needs_digit: false, goes: Goes::Behind }
}

pub(super) const TOKENS: &[Token] = &[
    token(Kind::Github, &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], Letters::Alnum, (20, 255)),
    token(Kind::Github, &["github_pat_"], Letters::Word, (20, 255)),
    token(
        Kind::Gitlab,
        &["glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glsoat-", "glagent-", "glimt-"],
        Letters::Dotted,
        (20, 400),
    ),
    token(Kind::Huggingface, &["hf_", "api_org_"], Letters::Alnum, (30, 60)),
    token(Kind::Anthropic, &["sk-ant-"], Letters::UrlSafe, (20, 400)),
    token(Kind::Openai, &["sk-proj-", "sk-svcacct-", "sk-admin-", "sk-or-v1-"], Letters::UrlSafe, (20, 400)),
    Token { needs_digit: true, ..token(Kind::Openai, &["sk-"], Letters::Alnum, (20, 200)) },
    token(Kind::Aws, &["AKIA", "ASIA", "ABIA", "ACCA"], Letters::Upper, (16, 16)),
    token(Kind::Google, &["AIza"], Letters::UrlSafe, (35, 35)),
    token(Kind::Google, &["ya29."], Letters::Dotted, (20, 2048)),
    token(Kind::Google, &["GOCSPX-"], Letters::UrlSafe, (20, 60)),
    Token { needs_digit: true, ..token(Kind::Aliyun, &["LTAI"], Letters::Alnum, (12, 30)) },
    token(Kind::Tencent, &["AKID"], Letters::Alnum, (16, 60)),
    token(Kind::Wandb, &["wandb_v1_"], Letters::UrlSafe, (40, 200)),
    token(
        Kind::Slack,
        &["xoxb-", "xoxp-", "xoxa-", "xoxe-", "xoxe.", "xoxo-", "xoxr-", "xoxs-", "xoxc-", "xoxd-", "xapp-"],
        Letters::UrlSafe,
        (10, 400),
    ),
    behind(
        Kind::Slack,
        &["hooks.slack.com/services/", "hooks.slack.com/workflows/"],
        Letters::Path,
        (20, 200),
    ),
    token(Kind::Npm, &["npm_"], Letters::Alnum, (30, 60)),
    token(Kind::Pypi, &["pypi-"], Letters::UrlSafe, (50, 1024)),
    token(
        Kind::Stripe,
        &["sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"],
        Letters::Alnum,
        (10, 255),
    ),
    behind(Kind::Webhook, &["dingtalk.com/robot/send?access_token="], Letters::UrlSafe, (16, 128)),
    behind(
        Kind::Webhook,
        &["/bot/v2/hook/", "/bot/hook/", "/webhook/send?key=", "/webhook/upload_media?key="],
        Letters::UrlSafe,
        (16, 128),
    ),
    behind(Kind::Webhook, &["/api/webhooks/"], Letters::Path, (30, 200)),
    behind(Kind::Webhook, &["sctapi.ftqq.com/"], Letters::Alnum, (16, 128)),
];

/// A hit: where its word stands, and the line around it.
pub(super) struct Hit<'a> {
    pub(super) text: &'a [u8],
    pub(super) word: Range<usize>,
    pub(super) line: Range<usize>,
}

/// The token that begins with this word, if it is one.
pub(super) fn token_at(token: &Token, hit: &Hit<'_>) -> Option<Range<usize>> {
    let (text, start) = (hit.text, hit.word.start);
    let word = &text[hit.word.clone()];
    let is_place = token.goes == Goes::Behind;
    if !is_place && (!token.words.iter().any(|known| known.as_bytes() == word) || inside_a_word(text, start))
    {
        return None;
    }
    let (least, most) = token.count;
    let rest = &text[hit.word.end..hit.line.end];
    let length = rest.iter().take(most + 1).take_while(|byte| token.letters.has(**byte)).count();
    let fits = (least..=most).contains(&length)
        && (!token.needs_digit || rest[..length].iter().any(u8::is_ascii_digit));
    // What goes on in other letters is something else: AKIA… in base64.
    let goes_on = !is_place && rest.get(length).is_some_and(u8::is_ascii_alphanumeric);
    (fits && !goes_on)
        .then(|| if is_place { hit.word.end..hit.word.end + length } else { start..hit.word.end + length })
}

/// Does a letter or a digit stand before it? One that ends an escape of a program's text doesn't count:
/// `\n`, `\033[32m`, `%3D`.
pub(super) fn inside_a_word(text: &[u8], start: usize) -> bool {
    let before = &text[..start];
    let Some((last, rest)) = before.split_last().filter(|(last, _)| last.is_ascii_alphanumeric()) else {
        return false;
    };
    let parameters = |byte: &&u8| byte.is_ascii_digit() || **byte == b';';
    let colour = || {
        let digits = rest.iter().rev().take(16).take_while(parameters).count();
        *last == b'm' && rest[..rest.len() - digits].ends_with(b"[")
    };
    let percent =
        || matches!(before, [.., b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    let escape = || matches!(rest.last(), Some(b'\\')) && matches!(last, b'n' | b't' | b'r');
    !(escape() || colour() || percent())
}
