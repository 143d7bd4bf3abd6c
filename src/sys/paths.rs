//! Where things lie on this machine.

use std::path::{Path, PathBuf};

use super::fs::private_dir;

const NAME: &str = "notify-done";

/// The places that may hold our state, best first. Only the first is the user's own choice; the
/// others keep a notice when that one can't be written (no HOME, read-only or full disk).
pub fn state_roots() -> Vec<PathBuf> {
    let mut roots = Vec::new();
    if let Some(chosen) = std::env::var_os("NOTIFY_DONE_STATE").filter(|v| !v.is_empty()) {
        roots.push(std::path::absolute(&chosen).unwrap_or_else(|_| chosen.into()));
    } else if let Some(state) = directories::BaseDirs::new().and_then(|b| b.state_dir().map(Path::to_owned)) {
        roots.push(state.join(NAME));
    }
    if let Some(runtime) = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|p| p.is_absolute())
    {
        roots.push(runtime.join(NAME));
    }
    let mine = format!("{NAME}-{}", nix::unistd::geteuid());
    roots.push(Path::new("/dev/shm").join(&mine));
    roots.push(std::env::temp_dir().join(&mine));
    roots
}

/// The state roots that are there and are ours; what others planted in a shared place is not.
pub fn existing_state_roots() -> Vec<PathBuf> {
    state_roots().into_iter().filter(|root| super::fs::check_ours(root).is_ok()).collect()
}

/// The first state root that can be made and written, and why the ones before it can't.
#[derive(Debug)]
pub struct StateRoot {
    pub root: Option<PathBuf>,
    /// The user's own place and what the system said, when it isn't the one in use.
    pub passed_over: Option<(PathBuf, std::io::Error)>,
}

/// Finds a place for our state.
pub fn usable_state_root() -> StateRoot {
    let mut passed_over = None;
    for root in state_roots() {
        match private_dir(&root) {
            Ok(()) => return StateRoot { root: Some(root), passed_over },
            Err(error) => {
                passed_over.get_or_insert((root, error));
            }
        }
    }
    StateRoot { root: None, passed_over }
}
