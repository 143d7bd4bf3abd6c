//! Shows a page in the user's browser.

use std::env::var_os;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    Yes,
    /// There is nothing to show it with, or on.
    No,
}

/// Starts the first program there is that shows a page, and leaves it alone: nothing of it is waited for, or
/// comes over our terminal. It isn't given these variables.
pub fn open(page: &Path, secrets: &[String]) -> Opened {
    let set = |name: &str| var_os(name).filter(|value| !value.is_empty());
    let mut programs: Vec<Vec<OsString>> = Vec::new();
    if let Some(named) = set("BROWSER") {
        programs.extend(named.as_bytes().split(|b| *b == b':').filter_map(|one| words(one, page)));
    }
    let has_screen = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| set(name).is_some());
    let usual = |program: &str| vec![program.into(), page.as_os_str().to_owned()];
    if has_screen {
        programs.push(usual("xdg-open"));
    }
    if set("WSL_DISTRO_NAME").is_some() {
        programs.push(usual("wslview"));
    }
    if cfg!(target_os = "macos") {
        programs.push(usual("open"));
    }
    match programs.iter().any(|argv| started(argv, secrets)) {
        true => Opened::Yes,
        false => Opened::No,
    }
}

/// One of $BROWSER's commands: the page stands where it says `%s`, else at the end.
fn words(command: &[u8], page: &Path) -> Option<Vec<OsString>> {
    let words = command.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let mut placed = false;
    let mut argv: Vec<OsString> = words
        .map(|word| match memchr::memmem::find(word, b"%s") {
            Some(at) => {
                placed = true;
                OsString::from_vec([&word[..at], page.as_os_str().as_bytes(), &word[at + 2..]].concat())
            }
            None => OsStr::from_bytes(word).to_owned(),
        })
        .collect();
    if argv.is_empty() {
        return None;
    }
    if !placed {
        argv.push(page.as_os_str().to_owned());
    }
    Some(argv)
}

fn started(argv: &[OsString], secrets: &[String]) -> bool {
    let mut command = Command::new(&argv[0]);
    command.args(&argv[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    secrets.iter().for_each(|name| {
        command.env_remove(name);
    });
    // Ctrl-C at our terminal isn't meant for it.
    command.process_group(0).spawn().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches: a page that $BROWSER's command doesn't get, or gets twice; a folder with a blank in its name
    /// that becomes two words.
    #[test]
    fn the_page_is_where_the_command_wants_it() {
        let of = |command: &str| words(command.as_bytes(), Path::new("/a b/preview.html"));
        let page = "/a b/preview.html";
        assert_eq!(of("firefox"), Some(vec!["firefox".into(), page.into()]));
        let with = ["x", "--url=/a b/preview.html", "-q"].map(OsString::from);
        assert_eq!(of(" x --url=%s  -q"), Some(with.to_vec()));
        assert_eq!(of("  "), None);
    }
}
