//! Files that survive a crash, and folders that only their owner can enter.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// A folder of our own making, whose content must stay private: made with what is missing above it,
/// each 0700 whatever the umask says more, and tightened to that when it is there.
///
/// # Errors
/// When a part can't be made, can't be written, or `path` is there but is not a folder of ours:
/// another user's folder in a shared place (`/tmp`) is refused.
pub fn private_dir(path: &Path) -> io::Result<()> {
    make_dir(path)?;
    // Only when it differs: a folder that is right as it is needs no write.
    if check_ours(path)?.mode() & 0o7777 != 0o700 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
    }
    check_writable(path)
}

/// A folder that the user may have made, for our private ones: made 0700 when it isn't there, and
/// used with the rights that it has when it is, since other things may lie in it and others may be
/// meant to read them (a project's folder of mode 2775).
///
/// # Errors
/// Those of [`private_dir`], and those of [`check_base`].
pub fn base_dir(path: &Path) -> io::Result<()> {
    make_dir(path)?;
    check_base(path)?;
    check_writable(path)
}

/// May our private folders lie in `path`? It must be ours, and nobody else may take them away: in a
/// folder that everybody can write only the sticky bit prevents that. A group that may write is
/// trusted: the user has let it in, or (with an umask of 002) is alone in it.
///
/// # Errors
/// `PermissionDenied` when not; what the system says when it can't be looked at.
pub fn check_base(path: &Path) -> io::Result<()> {
    let mode = check_ours(path)?.mode();
    if mode & 0o002 != 0 && mode & 0o1000 == 0 {
        let why = "everybody may remove what lies in it (`chmod o-w` mends that)";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    Ok(())
}

/// What [`base_dir`] would say, without making anything: whether the folder is there, since one that isn't
/// could be made.
///
/// # Errors
/// Those of [`base_dir`].
pub fn look_at_base(path: &Path) -> io::Result<bool> {
    match path.symlink_metadata() {
        Ok(_) => check_base(path).and_then(|()| check_writable(path)).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let above = path.ancestors().skip(1).find(|folder| folder.symlink_metadata().is_ok());
            let above = above.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            check_writable(above).map(|()| false)
        }
        Err(error) => Err(error),
    }
}

/// A folder that is there already says nothing of a file system that became read-only.
fn check_writable(path: &Path) -> io::Result<()> {
    Ok(nix::unistd::access(path, nix::unistd::AccessFlags::W_OK)?)
}

/// Is `path` a folder that we made, or a link of ours to one? Whoever can plant a folder in `/tmp`
/// under our name must not have us send what lies in it. What the folder is like.
///
/// # Errors
/// `PermissionDenied` when it is another's; what the system says when it can't be looked at.
pub fn check_ours(path: &Path) -> io::Result<Metadata> {
    let named = std::fs::symlink_metadata(path)?;
    let owner = named.uid();
    let folder = if named.is_symlink() { std::fs::metadata(path)? } else { named };
    if is_mine(owner) && is_mine(folder.uid()) && folder.is_dir() {
        Ok(folder)
    } else {
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "it isn't a folder of yours"))
    }
}

/// The first range of the file for which the disk holds nothing: lseek(2), SEEK_HOLE. None: there is none.
pub fn hole(file: &File) -> Option<std::ops::Range<u64>> {
    use nix::unistd::{Whence, lseek};
    let from = lseek(file, 0, Whence::SeekHole).ok()?;
    // Behind the last byte there is always one, and no data after it.
    let to = lseek(file, from, Whence::SeekData).ok()?;
    Some(u64::try_from(from).ok()?..u64::try_from(to).ok()?)
}

/// The first folder on the way to `path` that this process may not enter.
pub fn barred(path: &Path) -> Option<&Path> {
    let mut folders: Vec<&Path> = path.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()).collect();
    folders.reverse();
    let enter = |folder: &Path| {
        let (here, may) = (nix::fcntl::AT_FDCWD, nix::unistd::AccessFlags::X_OK);
        nix::unistd::faccessat(here, folder, may, nix::fcntl::AtFlags::AT_EACCESS)
    };
    folders.into_iter().find(|folder| enter(folder) == Err(nix::errno::Errno::EACCES))
}

/// Opens a regular file for reading, and nothing that could hang or never end (a FIFO, a device).
pub fn open_regular(path: &Path) -> io::Result<File> {
    open_file(path, 0).map(|(file, _)| file)
}

/// The same for a file of ours: no link, nobody else's, and nobody else may write it.
///
/// # Errors
/// Those of [`open_regular`]; with the fix in words when it isn't ours alone.
pub fn open_ours(path: &Path) -> io::Result<File> {
    // Not `PermissionDenied`: who sees that says "make the folder writable".
    let (file, opened) = open_file(path, libc::O_NOFOLLOW).map_err(|error| match error.raw_os_error() {
        // What open(2) says of a link with O_NOFOLLOW.
        Some(libc::ELOOP) => io::Error::other("it is a link, not a file: put the file itself there"),
        _ => error,
    })?;
    only_ours(path, &opened, is_mine(opened.uid()), "600")?;
    Ok(file)
}

/// The same for a file that says whom to trust: ours or root's, be it by a link, and nobody else may
/// write it.
///
/// # Errors
/// As [`open_ours`].
pub fn open_trusted(path: &Path) -> io::Result<File> {
    let (file, opened) = open_file(path, 0)?;
    only_ours(path, &opened, opened.uid() == 0 || is_mine(opened.uid()), "go-w")?;
    Ok(file)
}

fn only_ours(path: &Path, opened: &Metadata, ours: bool, mend: &str) -> io::Result<()> {
    let shown = path.display();
    if !ours {
        let (owner, me) = (opened.uid(), nix::unistd::geteuid());
        let why =
            format!("it belongs to another user, uid {owner} (if you trust it: `sudo chown {me} {shown}`)");
        return Err(io::Error::other(why));
    }
    let mode = opened.mode() & 0o7777;
    if mode & 0o002 != 0 || (mode & 0o020 != 0 && !super::users::has_private_group(opened)) {
        let why =
            format!("others may write it, mode {mode:04o} (look what it says, then: `chmod {mend} {shown}`)");
        return Err(io::Error::other(why));
    }
    Ok(())
}

fn open_file(path: &Path, more_flags: i32) -> io::Result<(File, Metadata)> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | more_flags;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let opened = file.metadata()?;
    if opened.is_file() {
        Ok((file, opened))
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it isn't a regular file"))
    }
}

fn make_dir(path: &Path) -> io::Result<()> {
    let create = || DirBuilder::new().mode(0o700).create(path).and_then(|()| give_to_owner_of_parent(path));
    let mut made = create();
    if made.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
        && let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty())
    {
        make_dir(parent)?;
        made = create();
    }
    match made {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Under sudo, what we make in somebody's folder is his: he must be able to read it later.
fn give_to_owner_of_parent(path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent().filter(|_| nix::unistd::geteuid().is_root()) else { return Ok(()) };
    let owner = std::fs::metadata(parent)?;
    if owner.uid() == 0 {
        Ok(())
    } else {
        std::os::unix::fs::lchown(path, Some(owner.uid()), Some(owner.gid()))
    }
}

/// Ours, or under sudo the user's on whose behalf we run.
fn is_mine(owner: u32) -> bool {
    let me = nix::unistd::geteuid();
    let caller = || std::env::var("SUDO_UID").ok().and_then(|uid| uid.parse().ok());
    owner == me.as_raw() || (me.is_root() && caller() == Some(owner))
}

/// Creates a file of mode 0600 that must not be there yet.
pub fn create_private(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    if file.metadata()?.mode() & 0o7777 != 0o600 {
        // An umask that takes even our own rights away.
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    }
    give_to_owner_of_parent(path)?;
    Ok(file)
}

/// Makes what happened to a folder's names durable.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes a file durable that another process has written, and its name.
pub fn sync_file(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// How far a write has got when the call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Readers see the old or the new file, never half of one; a power cut may take the new one.
    Atomic,
    /// The same, and it is on the disk: file and folder are synced.
    Synced,
}

/// Replaces `path` by `content`: temporary file beside it, rename over it.
pub fn replace(path: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
    let dir = path.parent().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let temporary = dir.join(format!(".{name}.{}", super::ids::random_hex(8)));
    let written = (|| {
        let mut file = create_private(&temporary)?;
        file.write_all(content)?;
        if durability == Durability::Synced {
            file.sync_all()?;
        }
        std::fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // The error that counts is the one above; a leftover of a few bytes is harmless.
        super::best_effort(std::fs::remove_file(&temporary));
        return written;
    }
    if durability == Durability::Synced {
        sync_dir(dir)?;
    }
    Ok(())
}

/// Removes a folder of ours and the files in it; one that has a folder in it isn't ours, and stays.
pub fn remove_flat(folder: &Path) -> io::Result<()> {
    for file in std::fs::read_dir(folder)? {
        std::fs::remove_file(file?.path())?;
    }
    std::fs::remove_dir(folder)
}

/// Creates `path` with `content`, whole, unless it is there already: then its content stays, and the
/// answer is false. Synced, it is on the disk either way, and so are the names of the folders that it
/// lies in, which may be as new: five of them, up to the user's own.
pub fn create(path: &Path, content: &[u8], durability: Durability) -> io::Result<bool> {
    let dir = path.parent().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let created = !path.is_file() && create_whole((dir, path), content, durability)?;
    if durability == Durability::Synced {
        File::open(path)?.sync_all()?;
        sync_dir(dir)?;
        // Who may not read a folder that far up has not made it either.
        dir.ancestors().skip(1).take(4).for_each(|above| super::best_effort(sync_dir(above)));
    }
    Ok(created)
}

fn create_whole((dir, path): (&Path, &Path), content: &[u8], durability: Durability) -> io::Result<bool> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let temporary = dir.join(format!(".{name}.{}", super::ids::random_hex(8)));
    let linked = (|| {
        let mut file = create_private(&temporary)?;
        file.write_all(content)?;
        if durability == Durability::Synced {
            file.sync_all()?;
        }
        // Unlike a rename, a link never replaces what another process has put there meanwhile. Where
        // there are none (FAT, some of FUSE: EPERM of link(2)) readers may see half of it for a moment.
        std::fs::hard_link(&temporary, path).or_else(|e| match e.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported => {
                create_private(path)?.write_all(content)
            }
            _ => Err(e),
        })
    })();
    super::best_effort(std::fs::remove_file(&temporary));
    match linked {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replace_leaves_no_temporary_file_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.json");
        replace(&path, b"one", Durability::Atomic).unwrap();
        replace(&path, b"two", Durability::Synced).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        // Nor when it can't be put there.
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        assert!(replace(&dir.path().join("folder"), b"x", Durability::Atomic).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    /// Catches: the record of the start, slow to sync, laid over that of the end.
    #[test]
    fn create_never_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.json");
        assert!(create(&path, b"running", Durability::Atomic).unwrap());
        replace(&path, b"ended", Durability::Atomic).unwrap();
        for durability in [Durability::Atomic, Durability::Synced] {
            assert!(!create(&path, b"running", durability).unwrap());
            let parts = (dir.path(), path.as_path());
            assert!(!create_whole(parts, b"running", durability).unwrap(), "made meanwhile");
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"ended");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_hole_is_found_and_a_whole_file_has_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = File::create_new(dir.path().join("log")).unwrap();
        (&file).write_all(&[1; 1 << 20]).unwrap();
        assert_eq!(hole(&file), None);
        use nix::fcntl::{FallocateFlags, fallocate};
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        fallocate(&file, flags, 1 << 18, 1 << 18).unwrap();
        assert_eq!(hole(&file), Some(1 << 18..1 << 19));
    }

    /// Catches: a body.mime that is a link to some secret of the user's, mailed out.
    #[test]
    fn a_link_or_a_fifo_is_not_ours_to_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("secret"), b"code").unwrap();
        std::os::unix::fs::symlink(at("secret"), at("link")).unwrap();
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(open_ours(&at("secret")).is_ok());
        assert!(open_ours(&at("link")).is_err());
        assert!(open_regular(&at("link")).is_ok());
        assert!(open_regular(&at("fifo")).is_err());
        // Only root may give a file away.
        if std::os::unix::fs::lchown(at("secret"), Some(65534), Some(65534)).is_ok() {
            assert!(open_regular(&at("secret")).is_ok());
            let why = open_ours(&at("secret")).unwrap_err().to_string();
            assert!(why.contains("uid 65534") && why.contains("sudo chown"), "{why}");
        }
    }

    /// Catches: an entry that says whatever others of this machine want, sent in the user's name.
    #[test]
    fn a_file_that_others_may_write_is_not_ours_to_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("entry.json");
        std::fs::write(&path, b"{}").unwrap();
        for mode in [0o600, 0o400, 0o644] {
            set_mode(&path, mode);
            assert!(open_ours(&path).is_ok(), "{mode:o}");
        }
        for mode in [0o602, 0o666] {
            set_mode(&path, mode);
            let why = open_ours(&path).unwrap_err().to_string();
            assert!(why.contains(&format!("mode {mode:04o}")), "{why}");
            assert!(why.contains(&format!("chmod 600 {}", path.display())), "{why}");
        }
        // What says whom to trust may be root's, and reached by a link.
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(open_trusted(&link).unwrap_err().to_string().contains("chmod go-w"));
        set_mode(&path, 0o644);
        assert!(open_trusted(&link).is_ok() && open_trusted(Path::new("/etc/passwd")).is_ok());
        set_mode(&path, 0o660);
        // Only root may give a file to a group that it isn't in.
        if std::os::unix::fs::lchown(&path, None, Some(54_321)).is_ok() {
            assert!(open_ours(&path).unwrap_err().to_string().contains("mode 0660"));
        }
    }

    /// Catches advice to change the mode of a file that nobody can see, since the folder above is shut.
    #[test]
    fn the_folder_that_is_in_the_way_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let shut = dir.path().join("home");
        std::fs::create_dir_all(shut.join(".config")).unwrap();
        set_mode(dir.path(), 0o755);
        set_mode(&shut, 0);
        let seen = std::thread::scope(|scope| {
            let look = || {
                if nix::unistd::geteuid().is_root() {
                    // Of this thread only: root may enter everywhere.
                    nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65534));
                }
                let found = |name: &str| barred(&dir.path().join(name)).map(Path::to_owned);
                (found("home/.config/file"), found("file"))
            };
            scope.spawn(look).join().unwrap()
        });
        set_mode(&shut, 0o700);
        assert_eq!(seen, (Some(shut), None));
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn private_dir_tightens_a_folder_that_others_could_enter() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        private_dir(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        set_mode(&path, 0o755);
        private_dir(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
    }

    /// Catches: a project's folder that its group can't enter any more since NOTIFY_DONE_STATE names
    /// it, and an inherited setgid bit that is taken for the user's wish in a folder of ours.
    #[test]
    fn a_folder_of_the_users_keeps_its_rights() {
        let dir = tempfile::tempdir().unwrap();
        let (base, ours) = (dir.path().join("project"), dir.path().join("project/outbox"));
        base_dir(&base).unwrap();
        assert_eq!(mode(&base), 0o700, "made by us");
        set_mode(&base, 0o2775);
        base_dir(&base).unwrap();
        private_dir(&ours).unwrap();
        assert_eq!((mode(&base), mode(&ours)), (0o2775, 0o700));
    }

    /// Catches: a look that makes what it looks for, or finds fault with what isn't there yet.
    #[test]
    fn looking_makes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        assert!(!look_at_base(&path).unwrap());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        base_dir(&path).unwrap();
        assert!(look_at_base(&path).unwrap());
        set_mode(&path, 0o777);
        assert_eq!(look_at_base(&path).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(look_at_base(&dir.path().join("file/state")).is_err());
    }

    /// Catches: notices in a folder from which anybody can take them, or put others in their place.
    #[test]
    fn a_folder_that_everybody_can_empty_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        set_mode(dir.path(), 0o777);
        assert_eq!(base_dir(dir.path()).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(mode(dir.path()), 0o777);
        set_mode(dir.path(), 0o1777);
        base_dir(dir.path()).unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(base_dir(&dir.path().join("file")).is_err());
    }
}
