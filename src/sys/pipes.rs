//! Moving bytes between pipes and files without taking them into our memory: splice(2), tee(2).
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::fcntl::{SpliceFFlags, splice, tee};

/// More than any pipe of ours holds.
const ALL: usize = 1 << 20;

/// A pipe between us and ourselves. What is in it outlives whoever is killed, and can be counted.
#[derive(Debug)]
pub struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl Pipe {
    pub fn new() -> io::Result<Self> {
        let (read, write) = super::fds::pipe()?;
        Ok(Self { read, write })
    }

    pub fn fds(&self) -> [RawFd; 2] {
        [self.read.as_raw_fd(), self.write.as_raw_fd()]
    }

    pub fn reader(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }

    /// Bytes in it.
    pub fn filled(&self) -> io::Result<u64> {
        filled(self.read.as_fd())
    }

    /// Takes what `source` has now; 0 at its end.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing now; `InvalidInput` where the kernel can't splice from it.
    pub fn fill(&self, source: BorrowedFd<'_>) -> io::Result<usize> {
        again(|| splice(source, None, &self.write, None, ALL, SpliceFFlags::SPLICE_F_NONBLOCK))
    }

    /// Copies its content to `other`, as far as there is room, and keeps it.
    pub fn copy_to(&self, other: &Pipe) -> io::Result<usize> {
        again(|| tee(&self.read, &other.write, ALL, SpliceFFlags::SPLICE_F_NONBLOCK))
    }

    /// Takes a copy of what lies in another pipe.
    ///
    /// # Errors
    /// `InvalidInput` where that is no pipe.
    pub fn copy_of(&self, source: BorrowedFd<'_>) -> io::Result<usize> {
        again(|| tee(source, &self.write, ALL, SpliceFFlags::SPLICE_F_NONBLOCK))
    }

    /// Gives up to `count` bytes away to a pipe.
    ///
    /// # Errors
    /// `WouldBlock` when it is full; `BrokenPipe` when nobody reads it.
    pub fn drain(&self, sink: BorrowedFd<'_>, count: usize) -> io::Result<usize> {
        again(|| splice(&self.read, None, sink, None, count, SpliceFFlags::SPLICE_F_NONBLOCK))
    }

    pub fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        again(|| nix::unistd::read(&self.read, into))
    }
}

/// Bytes in a pipe, by either end.
pub fn filled(pipe: BorrowedFd<'_>) -> io::Result<u64> {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD fills the int that it is given: pipe(7).
    match unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut count) } {
        0 => Ok(u64::try_from(count).unwrap_or(0)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Bytes that a pipe takes, by either end.
///
/// # Errors
/// EBADF when it is no pipe: F_GETPIPE_SZ in fcntl(2).
pub fn capacity(pipe: BorrowedFd<'_>) -> io::Result<u64> {
    let bytes = nix::fcntl::fcntl(pipe, nix::fcntl::FcntlArg::F_GETPIPE_SZ)?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// Repeats a call that a signal interrupted: "nothing there" would be taken for the end of a command's
/// output.
fn again(mut call: impl FnMut() -> nix::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(nix::errno::Errno::EINTR) => {}
            other => return Ok(other?),
        }
    }
}

/// Moves up to `count` bytes from a pipe into a file at `offset`.
///
/// # Errors
/// `InvalidInput` where the file system can't splice; what the disk says.
pub fn into_file(pipe: BorrowedFd<'_>, file: BorrowedFd<'_>, offset: u64, count: usize) -> io::Result<usize> {
    let mut at = libc::loff_t::try_from(offset).unwrap_or(libc::loff_t::MAX);
    Ok(splice(pipe, None, file, Some(&mut at), count, SpliceFFlags::empty())?)
}
