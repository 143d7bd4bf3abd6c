//! `notify-done runs log [-f]`: the raw log of a run, also while it grows.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::Duration;

use super::find::{self, State, View};
use crate::error::{Error, Kind, Result};
use crate::exit::{self, Exit};
use crate::run::facts::LogPart;
use crate::sys::fs::open_regular;
use crate::sys::process;
use crate::ui::{self, Ui};

/// A log that is followed is looked at this often.
const LOOK: Duration = Duration::from_millis(200);
const CHUNK: usize = 64 * 1024;

/// Prints the log as it is; with `follow`, what is added until the run has ended.
///
/// # Errors
/// `Storage` when the log, or the run's record, can't be read or stdout can't be written.
pub fn run(mut view: View, follow: bool, ui: &Ui) -> Result<Exit> {
    let mut parts: Vec<Part> = view.log().into_iter().map(Part::new).collect();
    if parts.is_empty() {
        ui.trouble(&format!("no log is kept of run {}", view.id()));
    }
    loop {
        for part in &mut parts {
            match part.print() {
                Ok(Reader::There) => {}
                Ok(Reader::Gone) => return Ok(Exit::Code(exit::DONE)),
                Err(error) => return Err(error),
            }
        }
        if !follow || matches!(view.state, State::Over(_)) || reader_leaves(LOOK) {
            return Ok(Exit::Code(exit::DONE));
        }
        // What the record says of the log when the run is over is printed once more, to its end.
        view = find::view(&view.folder)?;
        for (part, now) in parts.iter_mut().zip(view.log()) {
            part.now = now;
        }
    }
}

#[derive(PartialEq, Eq)]
enum Reader {
    There,
    Gone,
}

/// Waits; did the reader of our output leave meanwhile?
fn reader_leaves(within: Duration) -> bool {
    let mut out = [libc::pollfd { fd: 1, events: 0, revents: 0 }];
    process::poll(&mut out, Some(within)).is_ok() && out[0].revents & (libc::POLLERR | libc::POLLNVAL) != 0
}

struct Part {
    now: LogPart,
    /// How much of its file has been printed, and of which file.
    printed: u64,
    inode: Option<u64>,
}

impl Part {
    fn new(now: LogPart) -> Self {
        Self { printed: now.start, now, inode: None }
    }

    /// Prints what has been added.
    fn print(&mut self) -> Result<Reader> {
        let path = self.now.path.clone();
        let cannot = |what: &str, e: io::Error| {
            Error::new(Kind::Storage, format!("can't {what} {}", path.display())).because(e)
        };
        let (end, printed) = (self.now.end, self.printed);
        if end == printed {
            return print_kept(&mut self.now).map_err(|e| cannot("print", e));
        }
        let file = open_regular(&path).map_err(|e| cannot("read", e))?;
        // Where that can't be told, only its length shows that it is another.
        let inode = file.metadata().map(|meta| meta.ino()).ok();
        if end < printed || (self.inode.is_some() && self.inode != inode) {
            // Cut short, or another file now: from its beginning, as `tail -F` does.
            self.printed = self.now.start;
        }
        self.inode = inode;
        for range in around(self.printed..end, self.now.cut.clone()) {
            if copy(&file, range).map_err(|e| cannot("print", e))? == Reader::Gone {
                return Ok(Reader::Gone);
            }
        }
        self.printed = end;
        print_kept(&mut self.now).map_err(|e| cannot("print", e))
    }
}

/// What of `range` lies before and behind the hole.
fn around(range: Range<u64>, hole: Option<Range<u64>>) -> [Range<u64>; 2] {
    let hole = hole.unwrap_or(range.end..range.end);
    [range.start..range.end.min(hole.start), range.start.max(hole.end)..range.end]
}

/// What the disk didn't take, behind what it took; known once the run is over.
fn print_kept(part: &mut LogPart) -> io::Result<Reader> {
    match ui::raw(&std::mem::take(&mut part.kept)) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        written => written.map(|()| Reader::There),
    }
}

fn copy(file: &File, range: Range<u64>) -> io::Result<Reader> {
    let mut buffer = vec![0; CHUNK];
    let mut at = range.start;
    while at < range.end {
        let room = usize::try_from(range.end - at).unwrap_or(CHUNK).min(CHUNK);
        match file.read_at(&mut buffer[..room], at) {
            Ok(0) => break, // shorter than it was
            Ok(n) => {
                match ui::raw(&buffer[..n]) {
                    Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(Reader::Gone),
                    written => written?,
                }
                at += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(Reader::There)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches: zeros printed for what the log lacks, and what lies around it lost or printed twice.
    #[test]
    fn a_hole_is_left_out() {
        assert_eq!(around(0..18, Some(6..12)), [0..6, 12..18]);
        assert_eq!(around(14..18, Some(6..12))[1], 14..18);
        assert!(around(14..18, Some(6..12))[0].is_empty());
        assert_eq!(around(3..8, Some(6..12))[0], 3..6);
        assert!(around(3..8, Some(6..12))[1].is_empty());
        assert_eq!(around(3..8, None)[0], 3..8);
        assert!(around(3..8, None)[1].is_empty());
    }
}
