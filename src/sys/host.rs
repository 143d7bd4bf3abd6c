//! Who and where we are.

/// The host's name; `localhost` when the system won't say.
///
/// Debug builds take `NOTIFY_DONE_TEST_HOST` instead (see [`super::clock::now`]).
pub fn name() -> String {
    #[cfg(debug_assertions)]
    if let Ok(fixed) = std::env::var("NOTIFY_DONE_TEST_HOST") {
        return fixed;
    }
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

/// The user's name: from the environment, else from /etc/passwd (read as a file: the user database
/// proper may be on a network that hangs), else the number.
pub fn user() -> String {
    let uid = nix::unistd::getuid().to_string();
    let from_env =
        ["USER", "LOGNAME"].iter().find_map(|key| std::env::var(key).ok().filter(|v| !v.is_empty()));
    let from_file = || name_in(&std::fs::read_to_string("/etc/passwd").ok()?, &uid);
    from_env.or_else(from_file).unwrap_or_else(|| format!("uid {uid}"))
}

/// The name of a user id in the text of passwd(5).
fn name_in(passwd: &str, uid: &str) -> Option<String> {
    let fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    fields.into_iter().find(|f| f.get(2) == Some(&uid)).and_then(|f| f.first().map(|name| (*name).to_owned()))
}

/// The locale that messages follow: the first of `LC_ALL`, `LC_MESSAGES`, `LANG` that is set
/// (POSIX, "Internationalization Variables").
pub fn locale() -> Option<String> {
    ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(|key| std::env::var(key).ok().filter(|v| !v.is_empty()))
}

/// Does the locale's encoding have all characters? The first of `LC_ALL`, `LC_CTYPE`, `LANG` that is set
/// counts.
pub fn speaks_utf8() -> bool {
    let set = |key: &&str| std::env::var(key).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set);
    locale.is_some_and(|locale| is_utf8(&locale))
}

fn is_utf8(locale: &str) -> bool {
    let encoding = locale.split_once('.').map_or("", |(_, rest)| rest.split('@').next().unwrap_or_default());
    encoding.eq_ignore_ascii_case("utf-8") || encoding.eq_ignore_ascii_case("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_is_read_off_the_locale() {
        for (locale, utf8) in [
            ("zh_CN.UTF-8", true),
            ("C.utf8", true),
            ("de_DE.UTF-8@euro", true),
            ("zh_CN.GBK", false),
            ("C", false),
        ] {
            assert_eq!(is_utf8(locale), utf8, "{locale}");
        }
    }

    #[test]
    fn a_user_is_found_by_the_whole_number() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(name_in(passwd, "1000").as_deref(), Some("ann"));
        assert_eq!(name_in(passwd, "100"), None);
    }
}
