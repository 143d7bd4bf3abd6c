//! Finds `notify.toml`, reads it, and resolves the settings.
//!
//! It runs before the command starts, so it costs one open, one read and a look at the folder: no
//! secret is read here, nothing is written, and no directory service is asked.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use directories::{BaseDirs, ProjectDirs};
use secrecy::zeroize::Zeroizing;

use super::file::{self, FileConfig};
use super::merge::{self, Provenance};
use super::{Account, Diagnostic, Loaded, Overrides, SecretSource, Severity};
use crate::sys::fs::barred;
use crate::sys::users::has_private_group;

/// `notify.example.toml`: documents every key, and is what a user starts from.
pub const TEMPLATE: &str = include_str!("../../notify.example.toml");

/// The name of the file in its folder.
pub const FILE_NAME: &str = "notify.toml";

/// No settings need more; what is larger is some other file.
const LARGEST: u64 = 1 << 20;

/// Where to look, and what lies over the file.
#[derive(Debug)]
pub struct LoadRequest<'a> {
    /// `--config`.
    pub explicit: Option<PathBuf>,
    /// `NOTIFY_DONE_CONFIG`.
    pub env_path: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME/notify-done`, else `~/.config/notify-done`; None: there is no home.
    pub config_dir: Option<PathBuf>,
    /// What `~/` in the file stands for.
    pub home: Option<PathBuf>,
    /// Environment and flags, merged.
    pub overrides: &'a Overrides,
}

impl<'a> LoadRequest<'a> {
    /// Looks at the process's environment and, without HOME, at the user database.
    pub fn from_env(explicit: Option<PathBuf>, overrides: &'a Overrides) -> Self {
        let env_path = std::env::var_os("NOTIFY_DONE_CONFIG").filter(|path: &OsString| !path.is_empty());
        Self {
            explicit,
            env_path: env_path.map(PathBuf::from),
            config_dir: ProjectDirs::from("", "", "notify-done").map(|dirs| dirs.config_dir().to_owned()),
            home: BaseDirs::new().map(|dirs| dirs.home_dir().to_owned()),
            overrides,
        }
    }

    /// The path, and who gave it.
    fn target(&self) -> Option<(PathBuf, Origin)> {
        if let Some(path) = &self.explicit {
            return Some((path.clone(), Origin::Flag));
        }
        if let Some(path) = &self.env_path {
            return Some((path.clone(), Origin::Variable));
        }
        Some((self.config_dir.as_ref()?.join(FILE_NAME), Origin::Folder))
    }
}

/// Who said where the file is; the one in the config folder may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Flag,
    Variable,
    Folder,
}

/// Loads the settings. It can't fail: what is wrong stands in the diagnostics, and a file that can't
/// be read or trusted is as if it were empty. All paths in the result are absolute.
pub fn load(request: &LoadRequest<'_>) -> Loaded {
    let target = request.target().map(|(path, origin)| (absolute(&path), origin));
    let mut diagnostics = Vec::new();
    let (mut read, mut unread) = (None, false);
    if let Some((path, origin)) = &target {
        match read_file(path, *origin) {
            Ok(found) => read = found,
            Err(diagnostic) => {
                unread = true;
                diagnostics.push(*diagnostic);
            }
        }
    }
    let (mut config, meta) = match (&read, &target) {
        (Some(read), Some((path, _))) => {
            let (config, found) = file::parse(&read.text, path);
            diagnostics.extend(found);
            (config, read.meta.as_ref())
        }
        _ => (FileConfig { privacy_unreadable: unread, ..FileConfig::default() }, None),
    };
    if let Some(meta) = meta {
        withhold_exposed_codes(&mut config, meta, &mut diagnostics);
    }
    let provenance = Provenance::of_file(&config);
    let (mut settings, found) = merge::resolve(&config, request.overrides);
    diagnostics.extend(found);
    for account in &mut settings.accounts {
        expand_home(account, request.home.as_deref(), &config, &mut diagnostics);
    }
    let path = target.map(|(path, _)| path);
    Loaded {
        settings,
        path: path.clone().filter(|_| read.is_some()),
        expected_path: path,
        provenance,
        diagnostics,
    }
}

/// A file's text, with its fstat; None for `/dev/null`, which is no file to judge. A code may stand in
/// it: what is freed is zeroed.
struct Text {
    text: Zeroizing<String>,
    meta: Option<Metadata>,
}

type Finding = Box<Diagnostic>;

fn finding(path: &Path, message: impl Into<String>, hint: impl Into<String>) -> Finding {
    Box::new(Diagnostic {
        severity: Severity::Unusable,
        place: path.display().to_string(),
        key: None,
        message: message.into(),
        hint: Some(hint.into()),
    })
}

/// Reads the file; None: there is none in the config folder, which is fine.
fn read_file(path: &Path, origin: Origin) -> Result<Option<Text>, Finding> {
    // The usual way to say "without any file".
    if path == Path::new("/dev/null") {
        return Ok(Some(Text { text: Zeroizing::default(), meta: None }));
    }
    let file = match open(path) {
        Ok(file) => file,
        Err(error) => {
            return if is_absent(&error, origin) { Ok(None) } else { Err(open_failed(path, origin, &error)) };
        }
    };
    let unreadable =
        |error: io::Error| finding(path, format!("can't be read: {error}"), "try again, or mend the disk");
    let meta = file.metadata().map_err(unreadable)?;
    if !meta.is_file() {
        let kind = if meta.is_dir() { "a folder" } else { "a pipe or a device" };
        let hint = match meta.is_dir() {
            true => format!("name the file in it, for example {}", path.join(FILE_NAME).display()),
            false => "write the settings to a regular file".to_owned(),
        };
        return Err(finding(path, format!("is {kind}, not a file"), hint));
    }
    let hands = Hands::of_process();
    hands.check_file(path, &meta)?;
    hands.check_folders(path)?;
    // Never moved while it grows: what it leaves behind would not be zeroed.
    let mut bytes = Zeroizing::new(Vec::with_capacity(room_for(&meta)));
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        let hint = "check that this is the right file: notify.toml has some lines only";
        return Err(finding(path, "is larger than 1 MiB", hint));
    }
    match str::from_utf8(&bytes) {
        Ok(text) => Ok(Some(Text { text: Zeroizing::new(text.to_owned()), meta: Some(meta) })),
        Err(error) => {
            let valid = &bytes[..error.valid_up_to()];
            let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
            let hint = "save it as UTF-8 (not UTF-16 or GBK) in your editor";
            let mut found = finding(path, "isn't UTF-8 text", hint);
            found.place = file::place(path, line);
            Err(found)
        }
    }
}

/// All that is read of a file, and some more, so that the reader needn't ask for room to find its end.
fn room_for(meta: &Metadata) -> usize {
    const MORE: u64 = 64;
    usize::try_from(meta.len().min(LARGEST) + MORE).unwrap_or_default()
}

/// Opens for reading without ever waiting: a FIFO would hold up the command until someone writes.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
}

/// `HOME=/dev/null`, as services have it, makes it ENOTDIR.
fn is_absent(error: &io::Error, origin: Origin) -> bool {
    origin == Origin::Folder && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn open_failed(path: &Path, origin: Origin, error: &io::Error) -> Finding {
    let who = match origin {
        Origin::Flag => "--config",
        Origin::Variable => "NOTIFY_DONE_CONFIG",
        Origin::Folder => "the config folder",
    };
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            let hint = format!("correct the path that {who} gives, or create the file");
            finding(path, "doesn't exist", hint)
        }
        ErrorKind::PermissionDenied => match barred(path) {
            Some(folder) => {
                let shown = for_shell(folder);
                let hint = format!(
                    "is HOME another user's (sudo keeps it)? Set it to your own. If {shown} is yours: chmod u+x {shown}"
                );
                finding(path, format!("can't be read: {} may not be entered", folder.display()), hint)
            }
            None => {
                let hint = format!("make it yours and readable: chmod 600 {}", for_shell(path));
                finding(path, "can't be read: permission denied", hint)
            }
        },
        _ => finding(path, format!("can't be opened: {error}"), format!("correct the path that {who} gives")),
    }
}

/// Whose files are believed: a file of settings may name commands to run and servers to trust, so
/// nobody but the user and root may write it, or put another in its place. Under sudo the user who
/// called it counts too.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hands {
    me: u32,
    caller: Option<u32>,
}

impl Hands {
    pub(super) fn of_process() -> Self {
        let me = nix::unistd::geteuid().as_raw();
        let caller = std::env::var("SUDO_UID").ok().and_then(|uid| uid.parse().ok()).filter(|_| me == 0);
        Self { me, caller }
    }

    pub(super) fn me(self) -> u32 {
        self.me
    }

    pub(super) fn trusts(self, owner: u32) -> bool {
        owner == 0 || owner == self.me || Some(owner) == self.caller
    }

    fn check_file(self, path: &Path, meta: &Metadata) -> Result<(), Finding> {
        self.check(path, path, (meta.uid(), writers(meta)), meta.mode())
    }

    /// The folder that the path names, and where that is a link (Kubernetes' `..data`, a collection of
    /// dotfiles) the one that the file lies in: who can write there can put another file in its place.
    fn check_folders(self, path: &Path) -> Result<(), Finding> {
        let unseen = |error: io::Error| {
            let hint = "give yourself the right to look at that folder, or put the file elsewhere";
            finding(path, format!("its folder can't be looked at: {error}"), hint)
        };
        let is_link = path.symlink_metadata().map_err(unseen)?.is_symlink();
        let target = if is_link { Some(path.canonicalize().map_err(unseen)?) } else { None };
        for file in std::iter::once(path).chain(target.as_deref()) {
            let Some(folder) = file.parent() else { continue };
            let meta = folder.metadata().map_err(unseen)?;
            // In a sticky folder (/tmp) only the owner of a file can remove it.
            let writers = if meta.mode() & 0o1000 == 0 { writers(&meta) } else { Writers::Owner };
            self.check(path, folder, (meta.uid(), writers), meta.mode())?;
        }
        Ok(())
    }

    /// `what` is the file itself or a folder that it depends on.
    fn check(
        self,
        file: &Path,
        what: &Path,
        (owner, writers): (u32, Writers),
        mode: u32,
    ) -> Result<(), Finding> {
        let (shown, mode, itself) = (for_shell(what), mode & 0o7777, file == what);
        let about = if itself { String::new() } else { format!("lies in {shown}, which ") };
        if !self.trusts(owner) {
            let message = format!("{about}belongs to another user (uid {owner}); it is ignored");
            let hint = match itself {
                true => format!("take it over, if you trust what it says: sudo chown {} {shown}", self.me),
                false => "check what it says, then put it into a folder of your own".to_owned(),
            };
            return Err(finding(file, message, hint));
        }
        let (who, mend) = match writers {
            Writers::Owner => return Ok(()),
            Writers::Group(gid) => (format!("group {gid}"), "g-w"),
            Writers::Everyone => ("everyone".to_owned(), "go-w"),
        };
        let message = format!("{about}can be written by {who} (mode {mode:04o}); it is ignored");
        let mend = if itself { "600" } else { mend };
        Err(finding(file, message, format!("check what it says, then: chmod {mend} {shown}")))
    }
}

/// Who may write a file or folder, beside root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writers {
    Owner,
    /// A group that others are in.
    Group(u32),
    Everyone,
}

fn writers(meta: &Metadata) -> Writers {
    match meta.mode() {
        mode if mode & 0o002 != 0 => Writers::Everyone,
        // What an umask of 002 gives, where each user has a group of one's own.
        mode if mode & 0o020 != 0 && !has_private_group(meta) => Writers::Group(meta.gid()),
        _ => Writers::Owner,
    }
}

/// A code that stands in a file which others may read isn't used.
fn withhold_exposed_codes(config: &mut FileConfig, meta: &Metadata, diagnostics: &mut Vec<Diagnostic>) {
    if meta.mode() & 0o077 == 0 {
        return;
    }
    let path = config.path.clone();
    for account in &mut config.accounts {
        if !matches!(account.auth_code, Some(SecretSource::Literal(_))) {
            continue;
        }
        account.auth_code = None;
        account.unusable.push("auth_code");
        let key = format!("accounts.{}.auth_code", account.name);
        let line = config.lines.get(&key).copied().unwrap_or(account.line);
        diagnostics.push(Diagnostic {
            severity: Severity::Unusable,
            place: file::place(&path, line),
            key: Some(key),
            message: format!("others on this machine may read the code (mode {:04o})", meta.mode() & 0o7777),
            // A mounted secret (Kubernetes) can't be changed, but a code alone may lie in one.
            hint: Some(format!(
                "run: chmod 600 {}; or keep the code in a file of its own: auth_code = {{ file = \"…\" }}",
                for_shell(&path)
            )),
        });
    }
}

/// Puts the home folder where the file says `~/`.
fn expand_home(account: &mut Account, home: Option<&Path>, config: &FileConfig, found: &mut Vec<Diagnostic>) {
    let secret = match &mut account.secret {
        Some(SecretSource::File(path)) => Some(("auth_code", path)),
        _ => None,
    };
    let ca_file = account.server.ca_file.as_mut().map(|path| ("ca_file", path));
    for (key, path) in secret.into_iter().chain(ca_file) {
        let Ok(rest) = path.strip_prefix("~") else {
            continue;
        };
        if let Some(home) = home {
            *path = absolute(&home.join(rest));
            continue;
        }
        let key = format!("accounts.{}.{key}", account.name);
        found.push(Diagnostic {
            severity: Severity::Unusable,
            place: file::place(&config.path, config.lines.get(&key).copied().unwrap_or_default()),
            key: Some(key),
            message: "there is no home folder that ~ could stand for".to_owned(),
            hint: Some("write the whole path, or set HOME".to_owned()),
        });
    }
}

/// Without a working folder (it was removed) a relative path stays as it is, and isn't found.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A path as one can paste it into a shell.
pub(super) fn for_shell(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+@~".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
