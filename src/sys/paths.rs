//! Where things lie on this machine.

use std::path::{Path, PathBuf};

use super::beside::disk_answers;
use super::fs::{base_dir, check_ours, look_at_base};

const NAME: &str = "notify-done";
/// The folder of a state root in which each run has its own.
pub const RUNS: &str = "runs";

/// The places that may hold our state, best first. Only the first is the user's own choice; the
/// others keep a notice when that one can't be written (no HOME, read-only or full disk). They bear
/// a mark of the first, so that two homes of one user don't get each other's notices.
pub fn state_roots() -> Vec<PathBuf> {
    let chosen = std::env::var_os("NOTIFY_DONE_STATE").filter(|v| !v.is_empty());
    let own = match chosen {
        Some(chosen) => Some(std::path::absolute(&chosen).unwrap_or_else(|_| chosen.into())),
        None => directories::BaseDirs::new().and_then(|b| b.state_dir().map(|dir| dir.join(NAME))),
    };
    let mark = own.as_deref().map_or(0, mark_of);
    let mut roots: Vec<PathBuf> = own.into_iter().collect();
    if let Some(runtime) = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|p| p.is_absolute())
    {
        roots.push(runtime.join(format!("{NAME}-{mark:08x}")));
    }
    let mine = format!("{NAME}-{}-{mark:08x}", nix::unistd::geteuid());
    roots.push(Path::new("/dev/shm").join(&mine));
    roots.push(std::env::temp_dir().join(&mine));
    roots
}

/// 32 bits that stand for a path: FNV-1a, since std's hash differs from process to process.
fn mark_of(path: &Path) -> u32 {
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// The state roots that are there and are ours; what others planted in a shared place is not. Nor is
/// a root whose runs are another's: a record says what is mailed, and to whom.
pub fn existing_state_roots() -> Vec<PathBuf> {
    state_roots().into_iter().filter(|root| is_ours(root)).collect()
}

fn is_ours(root: &Path) -> bool {
    let runs = root.join(RUNS);
    check_ours(root).is_ok() && (check_ours(&runs).is_ok() || runs.symlink_metadata().is_err())
}

/// Where the user's own unit files lie: systemd.unit(5), "Unit File Load Path". None: no HOME.
pub fn user_units() -> Option<PathBuf> {
    Some(directories::BaseDirs::new()?.config_dir().join("systemd/user"))
}

/// Where the user's systemd listens, if the environment doesn't say so itself: pam_systemd(8).
pub fn user_runtime_dir() -> Option<PathBuf> {
    let usual = Path::new("/run/user").join(nix::unistd::geteuid().to_string());
    (std::env::var_os("XDG_RUNTIME_DIR").is_none() && usual.is_dir()).then_some(usual)
}

/// The first state root that can be made and written, and why the ones before it can't.
#[derive(Debug)]
pub struct StateRoot {
    pub root: Option<PathBuf>,
    /// The user's own place and what the system said, when it isn't the one in use.
    pub passed_over: Option<(PathBuf, std::io::Error)>,
}

/// Finds a place for our state, and makes it.
pub fn usable_state_root() -> StateRoot {
    first_root(base_dir).0
}

/// What [`usable_state_root`] would find, without making anything; and whether that is there already.
pub fn look_for_state_root() -> (StateRoot, bool) {
    let (found, there) = first_root(look_at_base);
    (found, there.unwrap_or(false))
}

fn first_root<T>(use_it: impl Fn(&Path) -> std::io::Result<T>) -> (StateRoot, Option<T>) {
    let mut passed_over = None;
    for root in state_roots() {
        let why = || std::io::Error::new(std::io::ErrorKind::TimedOut, "its disk doesn't answer");
        let usable = if disk_answers(&root) { use_it(&root) } else { Err(why()) };
        match usable {
            Ok(found) => return (StateRoot { root: Some(root), passed_over }, Some(found)),
            Err(error) => {
                passed_over.get_or_insert((root, error));
            }
        }
    }
    (StateRoot { root: None, passed_over }, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::lchown;

    /// Catches: records that another user put into a root that his group may write: they would have
    /// files of ours mailed to him.
    #[test]
    fn runs_of_another_user_are_not_ours() {
        let root = tempfile::tempdir().unwrap();
        let runs = root.path().join(RUNS);
        assert!(is_ours(root.path()));
        std::fs::create_dir(&runs).unwrap();
        assert!(is_ours(root.path()));
        // Only root may give a folder away; the others find the file in the way.
        if lchown(&runs, Some(65534), Some(65534)).is_err() {
            std::fs::remove_dir(&runs).unwrap();
            std::fs::write(&runs, "").unwrap();
        }
        assert!(!is_ours(root.path()));
    }
}
