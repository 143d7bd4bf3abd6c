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

/// The user's name: from the environment first, since the user database may be on a network
/// (LDAP) that hangs; else the number.
pub fn user() -> String {
    ["USER", "LOGNAME"]
        .iter()
        .find_map(|key| std::env::var(key).ok().filter(|v| !v.is_empty()))
        .unwrap_or_else(|| format!("uid {}", nix::unistd::getuid()))
}

/// The locale that messages follow: the first of `LC_ALL`, `LC_MESSAGES`, `LANG` that is set
/// (POSIX, "Internationalization Variables").
pub fn locale() -> Option<String> {
    ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(|key| std::env::var(key).ok().filter(|v| !v.is_empty()))
}
