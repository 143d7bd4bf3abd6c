//! Writes the spool as the output arrives. A disk that refuses never reaches the command: what it
//! wouldn't take is counted as a gap, and it is asked again after two seconds.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use super::index::{HEADER, Origin, Record};
use crate::sys::clock::Mark;
use crate::sys::fs::create_private;

/// A refusing disk is asked again this often.
const RETRY: Duration = Duration::from_secs(2);
/// A stream that goes on alone gets a new time stamp this often.
const STAMP: Duration = Duration::from_secs(1);

/// The job needs the disk more than its log does: nothing is written while less than this is free,
/// or less than a twentieth of the file system where that is smaller, bytes.
const RESERVE: u64 = 1 << 30;
/// The free space is asked for after so many bytes.
const ASK: u64 = 1 << 20;

#[derive(Debug)]
pub struct SpoolWriter {
    log: File,
    index: File,
    start: Mark,
    len: u64,
    last: Option<(Origin, Duration)>,
    gap: Gap,
    /// Bytes that may be written before the free space is asked for again.
    unasked: u64,
}

/// What the disk didn't take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gap {
    pub bytes: u64,
    /// The first reason that the system gave (an errno); 0: there is no gap.
    pub errno: i32,
    refused_at: Option<Duration>,
}

impl SpoolWriter {
    /// Creates `log` and `index` in the run's folder.
    pub fn create(folder: &Path, start: Mark) -> io::Result<Self> {
        let log = create_private(&folder.join("log"))?;
        let mut index = create_private(&folder.join("index"))?;
        index.write_all(&HEADER)?;
        Ok(Self { log, index, start, len: 0, last: None, gap: Gap::default(), unasked: 0 })
    }

    /// Goes on where another process with the same descriptors was: the offsets are shared with
    /// it, its counts are not.
    pub fn resume(&mut self) {
        self.len = self.log.metadata().map_or(self.len, |meta| meta.len());
        self.last = None;
    }

    /// Takes the end of a stream's bytes; never fails and never blocks longer than the disk does.
    pub fn append(&mut self, origin: Origin, bytes: &[u8]) {
        let now = self.start.elapsed();
        if self.gap.refused_at.is_some_and(|since| now < since + RETRY) {
            self.gap.bytes += bytes.len() as u64;
            return;
        }
        if let Err((written, error)) = self.try_append(origin, bytes, now) {
            self.gap.bytes += (bytes.len() - written) as u64;
            self.gap.refused_at = Some(now);
            if self.gap.errno == 0 {
                self.gap.errno = error.raw_os_error().unwrap_or(libc::EIO);
            }
        }
    }

    fn try_append(&mut self, origin: Origin, bytes: &[u8], now: Duration) -> Result<(), (usize, io::Error)> {
        self.keep_reserve(bytes.len() as u64).map_err(|e| (0, e))?;
        if self.gap.refused_at.take().is_some() {
            self.note(Origin::Gap, now).map_err(|e| (0, e))?;
        }
        let due = self.last.is_none_or(|(last, at)| last != origin || now >= at + STAMP);
        if due {
            self.note(origin, now).map_err(|e| (0, e))?;
        }
        let mut written = 0;
        while written < bytes.len() {
            match self.log.write(&bytes[written..]) {
                Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
                Ok(n) => {
                    written += n;
                    self.len += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err((written, e)),
            }
        }
        Ok(())
    }

    fn keep_reserve(&mut self, more: u64) -> io::Result<()> {
        self.unasked = self.unasked.saturating_sub(more);
        if self.unasked > 0 {
            return Ok(());
        }
        let room = room(&nix::sys::statvfs::fstatvfs(&self.log)?);
        if room < more {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        self.unasked = room.min(ASK);
        Ok(())
    }

    /// The record goes before its bytes, so that a crash leaves a record without bytes, never
    /// bytes under the wrong stream.
    fn note(&mut self, origin: Origin, now: Duration) -> io::Result<()> {
        let micros = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        self.index.write_all(&Record { offset: self.len, micros, origin }.encode())?;
        self.last = Some((origin, now));
        Ok(())
    }

    /// Bytes in the log.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its descriptors, for a process that closes all others.
    pub fn fds(&self) -> [std::os::fd::RawFd; 2] {
        use std::os::fd::AsRawFd;
        [self.log.as_raw_fd(), self.index.as_raw_fd()]
    }

    pub fn gap(&self) -> Gap {
        self.gap
    }
}

/// Bytes that may be written before the reserve begins.
fn room(disk: &nix::sys::statvfs::Statvfs) -> u64 {
    let unit = disk.fragment_size();
    (disk.blocks_available() * unit).saturating_sub(RESERVE.min(disk.blocks() * unit / 20))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::index::{RECORD, records};

    #[test]
    fn the_index_tells_which_stream_wrote_what() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = SpoolWriter::create(dir.path(), Mark::now()).unwrap();
        spool.append(Origin::Stdout, b"out 1\n");
        spool.append(Origin::Stdout, b"out 2\n");
        spool.append(Origin::Stderr, b"err\n");
        spool.append(Origin::Stdout, b"out 3\n");
        assert_eq!(std::fs::read(dir.path().join("log")).unwrap(), b"out 1\nout 2\nerr\nout 3\n");
        let index = std::fs::read(dir.path().join("index")).unwrap();
        let seen: Vec<_> = records(&index[RECORD..]).map(|r| (r.offset, r.origin)).collect();
        assert_eq!(seen, [(0, Origin::Stdout), (12, Origin::Stderr), (16, Origin::Stdout)]);
    }

    #[test]
    fn a_disk_that_refuses_is_counted_and_never_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = SpoolWriter::create(dir.path(), Mark::now()).unwrap();
        spool.append(Origin::Stdout, b"kept");
        spool.log = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        spool.append(Origin::Stdout, b"lost");
        spool.append(Origin::Stdout, b"not even tried");
        assert_eq!(spool.len(), 4);
        assert_eq!((spool.gap().bytes, spool.gap().errno), (18, libc::ENOSPC));
    }
}
