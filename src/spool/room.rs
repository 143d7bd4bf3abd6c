//! How much disk the log may take: never what the job needs, and never more than `log.max_size`.

use std::fs::File;
use std::io;
use std::ops::Range;

use nix::fcntl::{FallocateFlags, fallocate};

/// The free space is asked for after so many bytes.
const ASK: u64 = 1 << 20;
/// Holes begin and end at multiples of this, bytes: file systems give back whole blocks only.
const GRAIN: u64 = 1 << 16;

/// What the settings allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A longer log keeps its beginning and its end, half of this each, bytes.
    pub max_size: u64,
    /// Nothing is written while less than this is free, bytes. None: 1 GiB, or a twentieth of the file
    /// system where that is less.
    pub reserve: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_size: 8 << 30, reserve: None }
    }
}

#[derive(Debug)]
pub struct Room {
    limits: Limits,
    /// Bytes that may be written before the free space is asked for again.
    unasked: u64,
    cut: Range<u64>,
    /// The file system can't give back a file's middle.
    whole_only: bool,
}

impl Room {
    pub fn new(limits: Limits) -> Self {
        let middle = limits.max_size / 2 / GRAIN * GRAIN;
        Self { limits, unasked: 0, cut: middle..middle, whole_only: false }
    }

    /// May `more` bytes be written to the log, which has `len`?
    ///
    /// # Errors
    /// ENOSPC: the job needs the disk more; EFBIG: the log is as large as it may be, and its middle
    /// can't be given back.
    pub fn ask(&mut self, log: &File, len: u64, more: u64) -> io::Result<()> {
        if self.whole_only && len + more > self.limits.max_size {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        self.unasked = self.unasked.saturating_sub(more);
        if self.unasked > 0 {
            return Ok(());
        }
        let disk = nix::sys::statvfs::fstatvfs(log)?;
        let room = room(disk.blocks_available(), disk.blocks(), disk.fragment_size(), self.limits.reserve);
        if room < more {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        self.unasked = room.min(ASK);
        Ok(())
    }

    /// Gives the middle of a log that has become too large back to the disk; what is missing now. The
    /// file keeps its length: fallocate(2), FALLOC_FL_PUNCH_HOLE.
    pub fn cut_middle(&mut self, log: &File, len: u64) -> Option<Range<u64>> {
        let to = hole_end(&self.cut, len, self.limits.max_size)?;
        if self.whole_only {
            return None;
        }
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let offset = |count: u64| libc::off_t::try_from(count).unwrap_or(libc::off_t::MAX);
        let punched = fallocate(log, flags, offset(self.cut.end), offset(to - self.cut.end));
        match punched {
            Ok(()) => self.cut.end = to,
            Err(_) => self.whole_only = true,
        }
        punched.is_ok().then(|| self.cut.clone())
    }

    /// Goes on with the hole that another process has made.
    pub fn resume(&mut self, cut: Range<u64>) {
        self.cut = cut;
        self.unasked = 0;
    }
}

/// Where the hole must reach so that the log takes `max_size` again; None: it isn't too large. A
/// sixteenth is cut at once, so that this is rare.
fn hole_end(cut: &Range<u64>, len: u64, max_size: u64) -> Option<u64> {
    let taken = len - (cut.end - cut.start);
    if taken <= max_size {
        return None;
    }
    let to = cut.end + (taken - max_size + max_size / 16).div_ceil(GRAIN) * GRAIN;
    (to < len).then_some(to)
}

/// Bytes that may be written before the reserve begins.
fn room(free: u64, all: u64, unit: u64, reserve: Option<u64>) -> u64 {
    const RESERVE: u64 = 1 << 30;
    let reserve = reserve.unwrap_or_else(|| RESERVE.min(all.saturating_mul(unit) / 20));
    free.saturating_mul(unit).saturating_sub(reserve)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a hole that eats the beginning or the end, and a log that stays too large.
    #[test]
    fn the_middle_goes_when_the_log_is_too_large() {
        let max = 64 * GRAIN;
        let half = max / 2;
        assert_eq!(hole_end(&(half..half), max, max), None);
        let to = hole_end(&(half..half), max + 1, max).unwrap();
        assert!(to > half && max + 1 - to > max / 4, "the end is kept");
        let taken = max + 1 - (to - half);
        assert!(taken <= max - max / 16 && taken >= max - max / 8, "{taken} of {max}");
        assert_eq!(hole_end(&(0..0), 5, 3), None, "there is no middle");
    }

    /// Catches a log that fills the disk: where the middle can't be given back, and within the reserve;
    /// and a free space that is asked for once only.
    #[test]
    fn what_there_is_no_room_for_is_refused() {
        let file = tempfile::tempfile().unwrap();
        let asked = |room: &mut Room, len, more| room.ask(&file, len, more).map_err(|e| e.raw_os_error());
        let plenty = Limits { max_size: 100, reserve: Some(0) };
        let mut room = Room { whole_only: true, ..Room::new(plenty) };
        assert_eq!(asked(&mut room, 99, 1), Ok(()));
        assert_eq!(asked(&mut room, 100, 1), Err(Some(libc::EFBIG)));
        let mut room = Room::new(plenty);
        assert_eq!(asked(&mut room, 100, 1), Ok(()));
        room.limits.reserve = Some(u64::MAX);
        assert_eq!(asked(&mut room, 100, ASK - 1), Ok(()), "not asked for each line");
        assert_eq!(asked(&mut room, 100, 1), Err(Some(libc::ENOSPC)));
    }

    #[test]
    fn the_reserve_is_a_gib_or_a_twentieth_or_what_was_asked_for() {
        let gib = 1 << 30;
        assert_eq!(room(10, 100, gib, None), 9 * gib);
        assert_eq!(room(2, 20, 1 << 20, None), 1 << 20);
        assert_eq!(room(10, 100, gib, Some(0)), 10 * gib);
        assert_eq!(room(1, 100, gib, None), 0);
    }
}
