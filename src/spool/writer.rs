//! Writes the spool as the output arrives. A disk that refuses never reaches the command: what it
//! wouldn't take is counted as missing, its end is kept in memory, and the disk is asked again after
//! two seconds.
//!
//! Another process may have to go on where this one was killed. So every write goes to an offset that
//! both know: done twice it changes nothing.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Duration;

use super::index::{HEADER, Origin, RECORD, Record};
use super::room::{Limits, Room};
use crate::run::facts::{LogPart, PartTrouble};
use crate::sys::best_effort;
use crate::sys::clock::Mark;
use crate::sys::fs::{create_private, open_ours};
use crate::sys::pipes::{Pipe, into_file};
use crate::sys::shared::{BUFFER, SpoolNote};

/// A refusing disk is asked again this often.
const RETRY: Duration = Duration::from_secs(2);
/// A stream that goes on alone gets a new time stamp this often.
const STAMP: Duration = Duration::from_secs(1);

/// What is written by itself, so that a killed write can be told from a killed splice.
const WRITE: u32 = 1;
const SPLICE: u32 = 2;

#[derive(Debug)]
pub struct SpoolWriter {
    folder: PathBuf,
    /// None while there was nothing to write, or they can't be made.
    files: Option<Files>,
    start: Mark,
    len: u64,
    index_len: u64,
    last: Option<(Origin, Duration)>,
    refused_at: Option<Duration>,
    disk: Disk,
    room: Room,
    /// splice(2) doesn't work with this file system.
    copies: bool,
    note: &'static SpoolNote,
}

/// May the disk be asked?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    Asked,
    /// The process before us still waits for its answer: all is kept in memory, as far as there is room.
    LeftAlone,
}

#[derive(Debug)]
struct Files {
    log: File,
    index: File,
}

impl Files {
    /// Creates `log` and `index` in the run's folder, or opens those that a killed process of ours
    /// made.
    fn open(folder: &Path) -> io::Result<Self> {
        let open = |name: &str| {
            let path = folder.join(name);
            create_private(&path).or_else(|e| match e.kind() {
                io::ErrorKind::AlreadyExists => {
                    open_ours(&path)?;
                    File::options().read(true).write(true).open(&path)
                }
                _ => Err(e),
            })
        };
        let files = Self { log: open("log")?, index: open("index")? };
        files.index.write_all_at(&HEADER, 0)?;
        Ok(files)
    }
}

impl SpoolWriter {
    /// For the run's folder. The files are made when there is something to write: most short commands
    /// write nothing.
    pub fn new(folder: &Path, start: Mark, limits: Limits, note: &'static SpoolNote) -> Self {
        Self {
            folder: folder.to_owned(),
            files: None,
            start,
            len: 0,
            index_len: HEADER.len() as u64,
            last: None,
            refused_at: None,
            disk: Disk::Asked,
            room: Room::new(limits),
            copies: false,
            note,
        }
    }

    fn open(&mut self) -> io::Result<()> {
        if self.files.is_none() {
            self.files = Some(Files::open(&self.folder)?);
        }
        Ok(())
    }

    fn files(&self) -> io::Result<&Files> {
        self.files.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn refused(&mut self, error: &io::Error, now: Duration) {
        self.refused_at = Some(now);
        if self.note.errno.load(Acquire) == 0 {
            self.note.errno.store(error.raw_os_error().unwrap_or(libc::EIO), Release);
        }
    }

    fn size(&self, file: impl Fn(&Files) -> &File) -> u64 {
        self.files.as_ref().and_then(|files| file(files).metadata().ok()).map_or(0, |meta| meta.len())
    }

    /// Goes on where a killed process with the same files was.
    pub fn resume(&mut self) {
        // It may have opened them later than we were forked.
        best_effort(self.open());
        self.len = self.note.len.load(Acquire);
        if self.note.call.load(Acquire) == SPLICE {
            // What it moved is no longer in the pipe, so it must be in the file.
            self.len = self.size(|files| &files.log).max(self.len);
        }
        let whole = self.size(|files| &files.index) / RECORD as u64 * RECORD as u64;
        self.index_len = whole.max(HEADER.len() as u64);
        self.last = None;
        self.refused_at = (!self.kept().is_empty()).then_some(Duration::ZERO);
        if let Some(cut) = self.cut() {
            self.room.resume(cut);
        }
    }

    /// Goes on where a process with the same files was killed that hangs in a call to the disk:
    /// without asking that for anything. The log lacks `in_flight` bytes that can't be had now.
    pub fn leave_disk_alone(&mut self, in_flight: u64) {
        self.disk = Disk::LeftAlone;
        self.len = self.note.len.load(Acquire);
        self.note.missing.fetch_add(in_flight, Release);
        if self.note.errno.load(Acquire) == 0 {
            self.note.errno.store(libc::ETIMEDOUT, Release);
        }
    }

    /// That call has ended. Puts on the disk what the log lacks: of the bytes that were `in_flight` those
    /// that still lie in their pipe, then what was kept.
    pub fn ask_disk_again(&mut self, in_flight: &[(Origin, &Pipe, u64)]) {
        self.disk = Disk::Asked;
        self.resume();
        // Before what came later.
        self.refused_at = None;
        let now = self.start.elapsed();
        for (origin, pipe, count) in in_flight {
            let mut rest = pipe.filled().unwrap_or(0).min(*count);
            self.note.missing.fetch_sub(count - rest, Release);
            let written = self.open().and_then(|()| self.stamp(*origin, now)).and_then(|()| {
                let before = rest;
                let moved = self.move_all(pipe, &mut rest);
                self.note.missing.fetch_sub(before - rest, Release);
                moved
            });
            if written.is_err() {
                return;
            }
        }
        self.refused_at = Some(Duration::ZERO);
        self.finish();
    }

    /// Takes the end of a stream's bytes; never fails and never blocks longer than the disk does.
    pub fn append(&mut self, origin: Origin, bytes: &[u8]) {
        let now = self.start.elapsed();
        let mut rest = bytes;
        self.try_disk(now, bytes.len() as u64, |spool| {
            spool.stamp(origin, now)?;
            spool.write_all(&mut rest)
        });
        self.miss(rest);
    }

    /// The same for `count` bytes that lie in a pipe of ours.
    pub fn take(&mut self, origin: Origin, pipe: &Pipe, count: u64) {
        let now = self.start.elapsed();
        let mut rest = count;
        self.try_disk(now, count, |spool| {
            spool.stamp(origin, now)?;
            spool.move_all(pipe, &mut rest)
        });
        while rest > 0 {
            let Some(bytes) = read_some(pipe, rest) else { return };
            rest -= bytes.len() as u64;
            self.miss(&bytes);
        }
    }

    /// One try, unless the disk refused a moment ago.
    fn try_disk(&mut self, now: Duration, more: u64, write: impl FnOnce(&mut Self) -> io::Result<()>) {
        if self.disk == Disk::LeftAlone || self.refused_at.is_some_and(|since| now < since + RETRY) {
            return;
        }
        self.note.wait_from(now);
        let written = self.ask_room(more).and_then(|()| self.go_on_after_gap(now)).and_then(|()| write(self));
        match written {
            Ok(()) => self.cut_middle(),
            Err(error) => self.refused(&error, now),
        }
        self.note.answered();
    }

    fn ask_room(&mut self, more: u64) -> io::Result<()> {
        self.open()?;
        let log = &self.files.as_ref().ok_or(io::ErrorKind::NotFound)?.log;
        self.room.ask(log, self.len, more)
    }

    fn cut_middle(&mut self) {
        if let Some(files) = &self.files
            && let Some(cut) = self.room.cut_middle(&files.log, self.len)
        {
            self.note.cut[0].store(cut.start, Release);
            self.note.cut[1].store(cut.end, Release);
        }
    }

    /// The disk takes bytes again: marks the gap, and writes the end of what it lacks.
    fn go_on_after_gap(&mut self, now: Duration) -> io::Result<()> {
        if self.refused_at.is_none() {
            return Ok(());
        }
        self.mark(Origin::Gap, now)?;
        let kept = self.kept();
        if !kept.is_empty() {
            self.mark(Origin::Merged, now)?;
            let mut rest = &kept[..];
            let written = self.write_all(&mut rest);
            // A disk with little room takes a part.
            let count = (kept.len() - rest.len()) as u64;
            self.note.settled.store(self.note.kept.load(Acquire) - rest.len() as u64, Release);
            self.note.missing.fetch_sub(count, Release);
            written?;
        }
        if self.note.missing.load(Acquire) == 0 {
            self.note.errno.store(0, Release);
        }
        self.refused_at = None;
        Ok(())
    }

    /// At the end of the run: a last try to get what is kept onto the disk.
    pub fn finish(&mut self) {
        if self.refused_at.take().is_some() {
            self.refused_at = Some(Duration::ZERO);
            let now = self.start.elapsed().max(RETRY);
            self.try_disk(now, self.kept().len() as u64, |_| Ok(()));
        }
    }

    fn write_all(&mut self, bytes: &mut &[u8]) -> io::Result<()> {
        self.note.call.store(WRITE, Release);
        while !bytes.is_empty() {
            match self.files()?.log.write_at(bytes, self.len) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    *bytes = &bytes[count..];
                    self.grown(count);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn move_all(&mut self, pipe: &Pipe, count: &mut u64) -> io::Result<()> {
        while *count > 0 && !self.copies {
            self.note.call.store(SPLICE, Release);
            let most = usize::try_from(*count).unwrap_or(usize::MAX);
            match into_file(pipe.reader(), self.files()?.log.as_fd(), self.len, most) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(moved) => {
                    *count -= moved as u64;
                    self.grown(moved);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.raw_os_error() == Some(libc::EINVAL) => self.copies = true,
                Err(e) => return Err(e),
            }
        }
        while *count > 0 {
            let Some(bytes) = read_some(pipe, *count) else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            *count -= bytes.len() as u64;
            let mut rest = &bytes[..];
            if let Err(e) = self.write_all(&mut rest) {
                self.miss(rest);
                return Err(e);
            }
        }
        Ok(())
    }

    fn grown(&mut self, by: usize) {
        self.len += by as u64;
        self.note.len.store(self.len, Release);
    }

    fn stamp(&mut self, origin: Origin, now: Duration) -> io::Result<()> {
        let due = self.last.is_none_or(|(last, at)| last != origin || now >= at + STAMP);
        if due { self.mark(origin, now) } else { Ok(()) }
    }

    /// The record goes before its bytes, so that a crash leaves a record without bytes, never
    /// bytes under the wrong stream.
    fn mark(&mut self, origin: Origin, now: Duration) -> io::Result<()> {
        let micros = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        let record = Record { offset: self.len, micros, origin }.encode();
        self.files()?.index.write_all_at(&record, self.index_len)?;
        self.index_len += RECORD as u64;
        self.last = Some((origin, now));
        Ok(())
    }

    /// What the disk doesn't take is counted, and its end kept.
    fn miss(&mut self, bytes: &[u8]) {
        let note = self.note;
        note.missing.fetch_add(bytes.len() as u64, Release);
        let kept = note.kept.load(Acquire);
        let end = &bytes[bytes.len().saturating_sub(BUFFER)..];
        let skipped = kept + (bytes.len() - end.len()) as u64;
        for (n, byte) in end.iter().enumerate() {
            note.buffer()[at(skipped + n as u64)] = *byte;
        }
        note.kept.store(kept + bytes.len() as u64, Release);
    }

    /// The end of what is missing.
    fn kept(&self) -> Vec<u8> {
        let kept = self.note.kept.load(Acquire);
        let from = kept.saturating_sub(BUFFER as u64).max(self.note.settled.load(Acquire));
        (from..kept).map(|count| self.note.buffer()[at(count)]).collect()
    }

    /// Bytes in the log.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its descriptors, for a process that closes all others.
    pub fn fds(&self) -> Vec<RawFd> {
        self.files.iter().flat_map(|files| [files.log.as_raw_fd(), files.index.as_raw_fd()]).collect()
    }

    /// The log as it is now, in a part that knows its place.
    pub fn describe(&self, part: LogPart) -> LogPart {
        LogPart { end: self.len, trouble: self.trouble(), cut: self.cut(), kept: self.kept(), ..part }
    }

    fn trouble(&self) -> Option<PartTrouble> {
        let (bytes, errno) = (self.note.missing.load(Acquire), self.note.errno.load(Acquire));
        let cut = self.cut().map(|cut| PartTrouble::Cut { bytes: cut.end - cut.start });
        if bytes > 0 { Some(PartTrouble::Gap { bytes, errno }) } else { cut }
    }

    /// The range that was taken out of its middle.
    fn cut(&self) -> Option<std::ops::Range<u64>> {
        let [start, end] = [0, 1].map(|n| self.note.cut[n].load(Acquire));
        (end > start).then_some(start..end)
    }
}

/// A count's place in the buffer of what is kept.
fn at(count: u64) -> usize {
    usize::try_from(count % BUFFER as u64).unwrap_or(0)
}

/// None: the pipe, which should have held more, is empty.
fn read_some(pipe: &Pipe, most: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(most).unwrap_or(BUFFER).min(BUFFER)];
    let count = pipe.read(&mut bytes).ok()?;
    bytes.truncate(count);
    (count > 0).then_some(bytes)
}

/// Throws away what nobody wants to record.
pub fn discard(pipe: &Pipe, mut count: u64) {
    while count > 0 {
        let Some(bytes) = read_some(pipe, count) else { return };
        count -= bytes.len() as u64;
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
pub(crate) mod tests;
