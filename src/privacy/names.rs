//! Names that a secret is given to: `password`, `API_KEY`, `clientSecret`. Pure.

use super::builtin::Kind;

/// So far around the word that is looked for a name goes at most, bytes.
pub(super) const NAME: usize = 96;

/// What all of them have in them, in any case.
pub(super) const PARTS: &[&str] = &[
    "passw",
    "passphrase",
    "passcode",
    "_pass",
    "-pass",
    "dbpass",
    "pwd",
    "secret",
    "token",
    "credential",
    "api_key",
    "api-key",
    "apikey",
    "api key",
    "access_key",
    "access-key",
    "accesskey",
    "account_key",
    "accountkey",
    "auth_key",
    "auth-key",
    "authkey",
    "private_key",
    "privatekey",
    "private-key",
    "encryption_key",
    "signing_key",
    "master_key",
    "app_key",
    "appkey",
    "auth_code",
    "auth-code",
    "authcode",
    "authorization",
];

pub(super) const CHINESE: &[&str] = &["密码", "口令", "密钥", "令牌", "授权码", "密碼", "授權碼"];

/// How sure a name makes it that its value is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sure {
    Yes,
    /// `PWD`: unless it is a path.
    UnlessPath,
    /// `token`: models have tokens, too.
    IfRandom,
    /// `Authorization`: a scheme stands before it.
    BehindScheme,
}

pub(super) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// What names end with, without separators and in small letters.
struct Ends {
    words: &'static [&'static str],
    kind: Kind,
    sure: Sure,
}

const ENDS: &[Ends] = &[
    Ends {
        words: &[
            "password",
            "passwd",
            "passwort",
            "passphrase",
            "passcode",
            "passwordconfirm",
            "passwordconfirmation",
            "authcode",
            "dbpass",
            "smtppass",
            "mailpass",
            "userpass",
            "mysqlpass",
            "rootpass",
            "ftppass",
            "redispass",
            "authpass",
            "loginpass",
            "emailpass",
            "sshpass",
            "pgpass",
            "postgrespass",
            "adminpass",
            "mongopass",
            "proxypass",
            "rabbitmqpass",
        ],
        kind: Kind::Password,
        sure: Sure::Yes,
    },
    Ends { words: &["pwd"], kind: Kind::Password, sure: Sure::UnlessPath },
    Ends { words: &["authorization"], kind: Kind::Authorization, sure: Sure::BehindScheme },
    // They may be files.
    Ends { words: &["privatekey", "credentials"], kind: Kind::Secret, sure: Sure::UnlessPath },
    Ends {
        words: &[
            "secret",
            "apikey",
            "secretkey",
            "accesskey",
            "accountkey",
            "authkey",
            "encryptionkey",
            "signingkey",
            "masterkey",
            "appkey",
            "credential",
            "accesstoken",
            "refreshtoken",
            "sessiontoken",
            "apitoken",
            "bottoken",
            "authtoken",
            "privatetoken",
            "securitytoken",
            "hftoken",
            "ghtoken",
            "githubtoken",
            "gitlabtoken",
            "jobtoken",
            "secrettoken",
            "bearertoken",
            "npmtoken",
            "vaulttoken",
        ],
        kind: Kind::Secret,
        sure: Sure::Yes,
    },
    Ends { words: &["token"], kind: Kind::Secret, sure: Sure::IfRandom },
];

/// What kind of secret a name stands for, if for one.
pub(super) fn judge(name: &[u8]) -> Option<(Kind, Sure)> {
    // The shell's own variables.
    if matches!(name, b"PWD" | b"OLDPWD") {
        return None;
    }
    // Nothing is allocated: `tokens/s` may stand in each line of a log.
    let mut letters = [0; 3 * NAME];
    let mut length = 0;
    for byte in name.iter().filter(|byte| byte.is_ascii_alphanumeric()).take(3 * NAME) {
        letters[length] = byte.to_ascii_lowercase();
        length += 1;
    }
    while length > 0 && letters[length - 1].is_ascii_digit() {
        length -= 1;
    }
    let compact = &letters[..length];
    let last = *compact.last()?;
    let ends = |word: &&str| word.as_bytes().last() == Some(&last) && compact.ends_with(word.as_bytes());
    let found = ENDS.iter().find(|ends_with| ends_with.words.iter().any(ends))?;
    let has = |word: &str| memchr::memmem::find(compact, word.as_bytes()).is_some();
    let kind = match found.kind {
        Kind::Secret if has("aws") => Kind::Aws,
        Kind::Secret if has("wandb") => Kind::Wandb,
        kind => kind,
    };
    Some((kind, found.sure))
}
