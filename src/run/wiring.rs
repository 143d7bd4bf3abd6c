//! Decides, for standard output and error, how the command's output comes to us, by what the
//! caller has put there:
//!
//! | the caller's | the command gets | the log is |
//! |---|---|---|
//! | regular file | the same description, untouched | the range of that file |
//! | pipe, socket, /dev/null | a pipe | the spool |
//! | terminal | a pseudo-terminal that is *not* the controlling one | the spool |
//! | another device, what can only be read | the same, untouched | nothing |
//! | closed | closed | nothing |
//!
//! Both on one description (`2>&1`, a terminal) stay on one, in the exact order of the writes.
//!
//! The pseudo-terminal is half of one on purpose: input and the controlling terminal stay real, so
//! job control, Ctrl-C and password prompts work as without us, and no mode of the real terminal is
//! ever changed. What it costs: `tcgetpgrp(1)` is ENOTTY. With [`PtyMode::Full`] it is a whole one
//! ([`super::full`]), on each of 0, 1 and 2 that is the real one.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::facts::{Holds, LogPart, PartTrouble};
use super::full::{self, Full};
use super::record::LogSource;
use crate::spool::index::Origin;
use crate::sys::fds::{self, Kind, Sink};
use crate::sys::fs::open_regular;
use crate::sys::inherited;
use crate::sys::tty::TerminalNote;

/// May the command get a pseudo-terminal where the caller has a terminal?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PtyMode {
    #[default]
    Auto,
    /// One of its own as its controlling terminal, for programs that draw the whole screen; as
    /// [`PtyMode::Auto`] where [`full::applies`] says no.
    Full,
    /// A pipe even then: the log has no escape sequences, the command sees no terminal.
    Off,
}

/// What the command finds on descriptor 1 or 2.
#[derive(Debug)]
pub enum Route {
    /// As the caller left it: closed, a regular file, a device, what can only be read.
    Untouched,
    /// Our pipe or pseudo-terminal; the number is the command's end.
    Ours(RawFd),
}

/// A stream of output that passes through us.
#[derive(Debug)]
pub struct Channel {
    pub origin: Origin,
    /// Our end; None once it has ended.
    pub source: Option<OwnedFd>,
    pub sink: Option<Sink>,
    pub terminal: bool,
    /// A sink whose reader, once gone, is gone for good.
    pub one_reader: bool,
}

/// A file of the caller's that the command writes itself.
#[derive(Debug)]
pub struct OwnFile {
    holds: Holds,
    path: PathBuf,
    start: u64,
    reader: File,
}

#[derive(Debug, Default)]
pub struct Wiring {
    /// The command's end for standard input, where that isn't left as it is.
    pub input: Option<RawFd>,
    pub routes: [Option<Route>; 2],
    pub channels: Vec<Channel>,
    /// The command's ends; both front and supervisor close them once it is forked.
    pub command_ends: Vec<OwnedFd>,
    pub own_files: Vec<OwnFile>,
    pub full: FullWiring,
}

/// With [`PtyMode::Full`] only. The front takes `relay`, the supervisor `session`.
#[derive(Debug, Default)]
pub struct FullWiring {
    pub relay: Option<full::Parts>,
    pub session: Option<full::Session>,
    pub note: Option<TerminalNote>,
}

impl Wiring {
    /// Looks at 1 and 2 and opens what is needed.
    ///
    /// # Errors
    /// When no pipe can be made (too many open files).
    pub fn plan(pty: PtyMode) -> io::Result<Self> {
        let mut wiring = Self::default();
        let present = |fd: RawFd| (!inherited::was_closed(fd)).then(|| fds::borrow(fd));
        let (out, err) = (present(1), present(2));
        if let (PtyMode::Full, Some(out)) = (pty, out)
            && full::applies()
            && let Ok((full, main)) = Full::open()
        {
            let merged = wiring.connect_full(full, main, out)?;
            if let (false, Some(err)) = (merged, err) {
                wiring.connect(err, Holds::Stderr, pty)?;
            }
            return Ok(wiring);
        }
        if let (Some(out), Some(err)) = (out, err)
            && fds::same_description(out, err)
        {
            wiring.connect(out, Holds::Both, pty)?;
            wiring.routes[1] = wiring.routes[0].as_ref().map(Route::again);
            return Ok(wiring);
        }
        if let Some(out) = out {
            wiring.connect(out, Holds::Stdout, pty)?;
        }
        if let Some(err) = err {
            wiring.connect(err, Holds::Stderr, pty)?;
        }
        Ok(wiring)
    }

    /// Each of 0, 1 and 2 that is the real terminal becomes the command's own. Is 2 among them?
    fn connect_full(&mut self, full: Full, main: OwnedFd, real: BorrowedFd<'_>) -> io::Result<bool> {
        let end = full.session.terminal.as_raw_fd();
        self.input = full::is_ours(0).then_some(end);
        self.routes[0] = Some(Route::Ours(end));
        let merged = full::is_ours(2);
        self.routes[1] = merged.then_some(Route::Ours(end));
        let origin = if merged { Origin::Merged } else { Origin::Stdout };
        let sink = Some(Sink::open(real, Kind::Terminal)?);
        // A window that was closed never comes back: the command is hung up on.
        self.channels.push(Channel { origin, source: Some(main), sink, terminal: true, one_reader: true });
        let Full { relay, session, note } = full;
        self.full = FullWiring { relay: Some(relay), session: Some(session), note: Some(note) };
        Ok(merged)
    }

    fn connect(&mut self, fd: BorrowedFd<'_>, holds: Holds, pty: PtyMode) -> io::Result<()> {
        let slot = usize::from(holds == Holds::Stderr);
        let kind = fds::kind(fd)?;
        if kind == Kind::Device || !fds::is_for_writing(fd) {
            self.routes[slot] = Some(Route::Untouched);
            return Ok(());
        }
        if kind == Kind::Regular
            && let Ok(own) = OwnFile::note(fd, holds)
        {
            self.keep_own(own);
            self.routes[slot] = Some(Route::Untouched);
            return Ok(());
        }
        let as_terminal = kind == Kind::Terminal && pty != PtyMode::Off;
        let made = if as_terminal { fds::output_pty(fd).or_else(|_| fds::pipe()) } else { fds::pipe() };
        let (source, command_end) = made?;
        // Ours alone: the command has the other end.
        fds::never_block(source.as_fd())?;
        let origin = match holds {
            Holds::Both => Origin::Merged,
            Holds::Stdout => Origin::Stdout,
            Holds::Stderr => Origin::Stderr,
        };
        let terminal = as_terminal && nix::unistd::isatty(&command_end).unwrap_or(false);
        // What goes to /dev/null is for the log alone.
        let sink = if kind == Kind::Null { None } else { Some(Sink::open(fd, kind)?) };
        let one_reader = fds::is_anonymous_pipe(fd);
        self.channels.push(Channel { origin, source: Some(source), sink, terminal, one_reader });
        self.routes[slot] = Some(Route::Ours(command_end.as_raw_fd()));
        self.command_ends.push(command_end);
        Ok(())
    }

    /// A file that the caller has opened twice (`>f 2>f`) is one log.
    fn keep_own(&mut self, own: OwnFile) {
        match self.own_files.iter_mut().find(|known| fds::same_file(&known.reader, &own.reader)) {
            Some(known) => {
                known.holds = Holds::Both;
                known.start = known.start.min(own.start);
            }
            None => self.own_files.push(own),
        }
    }

    /// In the forked command: puts everything in its place.
    pub fn install(&self) {
        if let Some(end) = self.input {
            fds::install(end, 0);
        }
        for (slot, route) in self.routes.iter().enumerate() {
            if let (Some(Route::Ours(end)), Ok(slot)) = (route, RawFd::try_from(slot)) {
                fds::install(*end, slot + 1);
            }
        }
        for fd in (0..3).filter(|&fd| inherited::was_closed(fd)) {
            fds::close(fd);
        }
    }
}

/// Gives the pseudo-terminals the size of the caller's terminal. Had one another size?
pub fn copy_window_size(channels: &[Channel]) -> bool {
    let mut changed = false;
    for channel in channels.iter().filter(|c| c.terminal) {
        if let (Some(source), Some(sink)) = (&channel.source, &channel.sink)
            && let Ok(size) = fds::window_size(fds::borrow(sink.as_raw()))
            && fds::window_size(source.as_fd()).is_ok_and(|old| old != size)
        {
            // That it fails means that the terminal has hung up; the end of the run is near.
            changed |= fds::set_window_size(source.as_fd(), size).is_ok();
        }
    }
    changed
}

/// What the spool holds, if anything comes through us.
pub fn spool_holds(channels: &[Channel]) -> Option<Holds> {
    match channels {
        [] => None,
        [only] => Some(match only.origin {
            Origin::Stdout => Holds::Stdout,
            Origin::Stderr => Holds::Stderr,
            Origin::Merged | Origin::Gap => Holds::Both,
        }),
        _ => Some(Holds::Both),
    }
}

impl Route {
    fn again(&self) -> Route {
        match self {
            Route::Untouched => Route::Untouched,
            Route::Ours(fd) => Route::Ours(*fd),
        }
    }
}

impl OwnFile {
    fn note(fd: BorrowedFd<'_>, holds: Holds) -> io::Result<Self> {
        let reader = fds::reopen_for_reading(fd)?;
        let path = fds::path_of(fd)?;
        // A deleted file has no path to read back from ("/tmp/x (deleted)").
        if !open_regular(&path).is_ok_and(|named| fds::same_file(&named, &reader)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self { holds, path, start: fds::write_position(fd)?, reader })
    }

    pub fn fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }

    /// Where the log is growing, for who must tell without us.
    pub fn source(&self) -> LogSource {
        let inode = self.reader.metadata().map_or(0, |meta| meta.ino());
        LogSource { path: self.path.clone(), holds: self.holds, start: self.start, inode: Some(inode) }
    }

    /// The part of the log that it is, once the command has ended.
    pub fn part(&self) -> LogPart {
        let end = self.reader.metadata().map_or(self.start, |meta| meta.size());
        // Renamed meanwhile (logrotate): the command still writes to it, under its new name.
        let renamed = fds::path_of(self.reader.as_fd()).ok();
        let is_it =
            |path: &PathBuf| open_regular(path).is_ok_and(|named| fds::same_file(&named, &self.reader));
        let path = [Some(self.path.clone()), renamed].into_iter().flatten().find(is_it);
        let trouble = if path.is_none() {
            Some(PartTrouble::Replaced)
        } else if end < self.start {
            Some(PartTrouble::Truncated)
        } else {
            None
        };
        let start = if end < self.start { 0 } else { self.start };
        LogPart {
            path: path.unwrap_or_else(|| self.path.clone()),
            holds: self.holds,
            start,
            end,
            spooled: false,
            trouble,
            cut: None,
            kept: Vec::new(),
        }
    }
}
