//! Finds the files that the user asked to attach, when the run is over: plots and checkpoints are made by it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use nix::libc;

use crate::report::model::LeftOut;
use crate::run::facts::AttachFiles;
use crate::sys::fs::open_regular;

/// More files than this aren't attached to one mail.
pub const MOST: usize = 50;

/// More than this aren't even counted.
const MOST_COUNTED: usize = 10_000;

/// A disk that doesn't answer, or a pattern that walks half of it, is waited for so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A file that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// As the user typed it, shown.
    pub typed: String,
    pub path: PathBuf,
    /// Bytes now: what is added later isn't attached.
    pub size: Result<u64, LeftOut>,
}

/// Looks for them; never longer than a while. What is named comes before what only fits a pattern, so that
/// many of the latter don't crowd it out.
pub fn find(wanted: &AttachFiles) -> Vec<Found> {
    find_within(wanted, PATIENCE)
}

fn find_within(wanted: &AttachFiles, patience: Duration) -> Vec<Found> {
    if wanted.files.is_empty() {
        return Vec::new();
    }
    let mut wanted = wanted.clone();
    wanted.files.sort_by_key(|typed| may_be_pattern(typed));
    let (tell, hear) = channel();
    let request = wanted.clone();
    let deadline = Instant::now() + patience;
    // Not joined: where it hangs, it holds nothing, and ends with the process.
    let looking = std::thread::Builder::new().spawn(move || {
        for typed in &request.files {
            look(&request.from, typed, &tell);
        }
    });
    let (mut found, mut seen) = (Vec::new(), 0);
    while looking.is_ok()
        && let Ok(told) = hear.recv_timeout(deadline.saturating_duration_since(Instant::now()))
    {
        match told {
            Some(file) => found.push(file),
            None => seen += 1,
        }
    }
    let unseen = wanted.files.iter().skip(seen);
    found.extend(unseen.map(|typed| named(&wanted.from, typed, Err(LeftOut::NoAnswer))));
    limited(found)
}

/// The first of them, and how many more there are.
fn limited(found: Vec<Found>) -> Vec<Found> {
    let mut kept: Vec<Found> = Vec::new();
    let (mut attached, mut more) = (0, 0);
    let mut last = None;
    for file in found {
        if file.size.is_ok() && attached == MOST {
            (more, last) = (more + 1, Some(file));
        } else if kept.len() < 2 * MOST {
            attached += usize::from(file.size.is_ok());
            kept.push(file);
        }
    }
    kept.extend(last.map(|file| Found { size: Err(LeftOut::TooMany(more)), ..file }));
    kept
}

/// Tells of each file that is meant, and then that there are no more: None.
fn look(from: &Path, typed: &Path, tell: &Sender<Option<Found>>) {
    // Nobody hears any more who has waited too long.
    let tell = |file| tell.send(file).is_ok();
    let one = named(from, typed, Ok(0));
    let size = size(&one.path);
    // A file may be called `a[1].txt`.
    if size != Err(LeftOut::Missing) || !may_be_pattern(typed) {
        let _ = tell(Some(Found { size, ..one })) && tell(None);
        return;
    }
    let mut none = true;
    for path in matches(from, typed).take(MOST_COUNTED) {
        let size = self::size(&path);
        // A pattern means the files.
        if size == Err(LeftOut::Folder) {
            continue;
        }
        none = false;
        let typed = path.display().to_string();
        if !tell(Some(Found { typed, path, size })) {
            return;
        }
    }
    let _ = (!none || tell(Some(Found { size: Err(LeftOut::NoMatch), ..one }))) && tell(None);
}

fn may_be_pattern(typed: &Path) -> bool {
    typed.to_str().is_some_and(|typed| typed.contains(['*', '?', '[']))
}

/// In the order of their names; what can't be looked into is passed over.
fn matches(from: &Path, typed: &Path) -> impl Iterator<Item = PathBuf> {
    let pattern = typed.to_str().and_then(|typed| {
        if typed.starts_with('/') {
            return Some(typed.to_owned());
        }
        // What the folder is called is no pattern.
        from.to_str().map(|from| format!("{}/{typed}", glob::Pattern::escape(from)))
    });
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    pattern.and_then(|pattern| glob::glob_with(&pattern, options).ok()).into_iter().flatten().flatten()
}

fn named(from: &Path, typed: &Path, size: Result<u64, LeftOut>) -> Found {
    Found { typed: typed.display().to_string(), path: from.join(typed), size }
}

/// Links are followed: the user named them. Nothing is opened that could hang or never end.
fn size(path: &Path) -> Result<u64, LeftOut> {
    let refused = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => LeftOut::Missing,
        _ => LeftOut::Unreadable { errno: error.raw_os_error().unwrap_or(libc::EIO) },
    };
    let meta = std::fs::metadata(path).map_err(refused)?;
    if meta.is_dir() {
        return Err(LeftOut::Folder);
    }
    if !meta.is_file() {
        return Err(LeftOut::NotRegular);
    }
    // What the kernel makes up as it is read says that it is empty.
    if ["/proc", "/sys"].iter().any(|kernel| path.canonicalize().is_ok_and(|path| path.starts_with(kernel))) {
        return Err(LeftOut::NotRegular);
    }
    Ok(open_regular(path).and_then(|file| file.metadata()).map_err(refused)?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(from: &Path, files: &[&str]) -> AttachFiles {
        AttachFiles { from: from.to_owned(), files: files.iter().map(PathBuf::from).collect() }
    }

    fn told(found: &[Found]) -> Vec<(&str, Result<u64, LeftOut>)> {
        let name = |file: &Found| file.path.file_name().unwrap().to_owned();
        found
            .iter()
            .map(|f| (Box::leak(name(f).into_string().unwrap().into_boxed_str()) as &str, f.size.clone()))
            .collect()
    }

    /// Catches: a file made by the run that isn't found, a folder whose own name is taken for a pattern, a
    /// file whose name is one, links that aren't followed, FIFOs and devices that are opened.
    #[test]
    fn what_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("run [1]*");
        std::fs::create_dir_all(from.join("out/deep")).unwrap();
        for (name, text) in
            [("a[1].txt", "12345"), ("out/b.png", "1"), ("out/a.png", "22"), ("out/deep/c.png", "333")]
        {
            std::fs::write(from.join(name), text).unwrap();
        }
        nix::unistd::mkfifo(&from.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink("out/b.png", from.join("link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", from.join("zero")).unwrap();
        std::os::unix::fs::symlink("loop", from.join("loop")).unwrap();
        let files = [
            "a[1].txt",
            "out/*.png",
            "**/c.png",
            "link",
            "fifo",
            "zero",
            "out",
            "gone",
            "*.none",
            "/proc/self/environ",
        ];
        let found = find(&wanted(&from, &files));
        assert_eq!(
            told(&found),
            [
                ("link", Ok(1)),
                ("fifo", Err(LeftOut::NotRegular)),
                ("zero", Err(LeftOut::NotRegular)),
                ("out", Err(LeftOut::Folder)),
                ("gone", Err(LeftOut::Missing)),
                ("environ", Err(LeftOut::NotRegular)),
                ("a[1].txt", Ok(5)),
                ("a.png", Ok(2)),
                ("b.png", Ok(1)),
                ("c.png", Ok(3)),
                ("*.none", Err(LeftOut::NoMatch)),
            ]
        );
        let looped = find(&wanted(&from, &["loop"]));
        assert!(matches!(&looped[0].size, Err(LeftOut::Unreadable { errno: libc::ELOOP })));
        assert_eq!(find(&wanted(&from, &[])), []);
    }

    /// Catches: thousands of files in one mail, and nobody told.
    #[test]
    fn there_is_an_end_to_them() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..MOST + 7 {
            std::fs::write(dir.path().join(format!("{n:03}")), "x").unwrap();
        }
        let found = find(&wanted(dir.path(), &["*"]));
        assert_eq!(found.len(), MOST + 1);
        assert_eq!(found.last().unwrap().size, Err(LeftOut::TooMany(7)));
    }

    /// Catches: a file that was named left out for those that a pattern before it finds.
    #[test]
    fn what_is_named_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..MOST + 7 {
            std::fs::write(dir.path().join(format!("{n:03}.csv")), "x").unwrap();
        }
        std::fs::write(dir.path().join("model.pt"), "weights").unwrap();
        let found = find(&wanted(dir.path(), &["*.csv", "model.pt"]));
        assert_eq!(told(&found)[0], ("model.pt", Ok(7)));
        assert_eq!(found.last().unwrap().size, Err(LeftOut::TooMany(8)));
    }

    /// Catches: a notice that waits for a disk that doesn't answer.
    #[test]
    fn it_is_not_waited_for_for_ever() {
        let found = find_within(&wanted(Path::new("/"), &["a", "b"]), Duration::ZERO);
        assert!(found.len() >= 2 && found.iter().all(|file| file.size.is_err()), "{found:?}");
    }
}
