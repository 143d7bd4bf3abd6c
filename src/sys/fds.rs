//! Descriptors: what kind each is, and ways to read and write it that never touch the flags of a
//! description that the caller or the command shares.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag};
use nix::sys::stat::{FileStat, SFlag, fstat};
use nix::sys::termios::{self, OutputFlags, SetArg};

/// What a descriptor leads to, as far as passing output on is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Regular,
    Terminal,
    Pipe,
    Socket,
    /// /dev/null: output that nobody reads, but that the log wants.
    Null,
    /// Any other device: left to the command as it is.
    Device,
}

/// Borrows a descriptor by number.
///
/// # Panics
/// Never; a number that isn't open gives EBADF in whatever is called with it.
pub fn borrow(fd: RawFd) -> BorrowedFd<'static> {
    // SAFETY: 0 to 2 and the numbers that we were given at exec stay open for our whole life, or
    // the calls on them report EBADF.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

pub fn kind(fd: BorrowedFd<'_>) -> io::Result<Kind> {
    let stat = fstat(fd)?;
    let mode = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
    Ok(match mode {
        SFlag::S_IFREG => Kind::Regular,
        SFlag::S_IFIFO => Kind::Pipe,
        SFlag::S_IFSOCK => Kind::Socket,
        _ if nix::unistd::isatty(fd).unwrap_or(false) => Kind::Terminal,
        // Major 1, minor 3: Documentation/admin-guide/devices.txt of Linux.
        SFlag::S_IFCHR if stat.st_rdev == libc::makedev(1, 3) => Kind::Null,
        _ => Kind::Device,
    })
}

fn identity(stat: &FileStat) -> (libc::dev_t, libc::ino_t) {
    (stat.st_dev, stat.st_ino)
}

/// Do both lead to the same open file description (`2>&1`)? kcmp(2) knows; where a sandbox forbids
/// it, the same file with the same flags and offset is taken for one.
pub fn same_description(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> bool {
    const KCMP_FILE: libc::c_int = 0;
    let me = nix::unistd::getpid().as_raw();
    // SAFETY: kcmp compares two numbers of our own process; no memory is passed.
    let order = unsafe { libc::syscall(libc::SYS_kcmp, me, me, KCMP_FILE, a.as_raw_fd(), b.as_raw_fd()) };
    if order >= 0 {
        return order == 0;
    }
    let same_file = matches!((fstat(a), fstat(b)), (Ok(x), Ok(y)) if identity(&x) == identity(&y));
    let flags = |fd| nix::fcntl::fcntl(fd, FcntlArg::F_GETFL).ok();
    let offset = |fd| nix::unistd::lseek(fd, 0, nix::unistd::Whence::SeekCur).ok();
    same_file && flags(a) == flags(b) && offset(a) == offset(b)
}

/// Do both lead to the same file?
pub fn same_file(a: &File, b: &File) -> bool {
    matches!((fstat(a), fstat(b)), (Ok(x), Ok(y)) if identity(&x) == identity(&y))
}

fn reopen(fd: BorrowedFd<'_>, flags: OFlag) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = flags | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    Ok(nix::fcntl::open(path.as_str(), flags, nix::sys::stat::Mode::empty())?)
}

/// A second description of the caller's output file, for reading the log back.
pub fn reopen_for_reading(fd: BorrowedFd<'_>) -> io::Result<File> {
    reopen(fd, OFlag::O_RDONLY).map(File::from)
}

/// The path of the file behind a descriptor, as the kernel has it.
pub fn path_of(fd: BorrowedFd<'_>) -> io::Result<std::path::PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

/// Sets O_NONBLOCK; only for descriptions that nobody else has.
pub fn never_block(fd: BorrowedFd<'_>) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(nix::fcntl::fcntl(fd, FcntlArg::F_GETFL)?);
    nix::fcntl::fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// May it be written to, as it was opened?
pub fn is_for_writing(fd: BorrowedFd<'_>) -> bool {
    nix::fcntl::fcntl(fd, FcntlArg::F_GETFL).is_ok_and(|flags| {
        let flags = OFlag::from_bits_retain(flags);
        flags & OFlag::O_ACCMODE != OFlag::O_RDONLY && !flags.contains(OFlag::O_PATH)
    })
}

/// Is it a pipe, with a name or without?
pub fn is_pipe(fd: BorrowedFd<'_>) -> bool {
    kind(fd).is_ok_and(|kind| kind == Kind::Pipe)
}

/// Is it a pipe without a name? Its readers, once gone, never come back; a FIFO's may.
pub fn is_anonymous_pipe(fd: BorrowedFd<'_>) -> bool {
    // statfs(2) of pipefs; the kernel's include/uapi/linux/magic.h has the number.
    const PIPEFS_MAGIC: i64 = 0x5049_5045;
    nix::sys::statfs::fstatfs(fd).is_ok_and(|fs| fs.filesystem_type().0 == PIPEFS_MAGIC)
}

/// Where the next write to a regular file will land.
pub fn write_position(fd: BorrowedFd<'_>) -> io::Result<u64> {
    let flags = OFlag::from_bits_truncate(nix::fcntl::fcntl(fd, FcntlArg::F_GETFL)?);
    let at = if flags.contains(OFlag::O_APPEND) {
        fstat(fd)?.st_size
    } else {
        nix::unistd::lseek(fd, 0, nix::unistd::Whence::SeekCur)?
    };
    Ok(u64::try_from(at).unwrap_or(0))
}

/// Where output goes: never blocks, never changes the caller's O_NONBLOCK flag.
#[derive(Debug)]
pub enum Sink {
    /// A description of our own, O_NONBLOCK.
    Own(OwnedFd),
    /// A socket: MSG_DONTWAIT per call.
    Socket(OwnedFd),
    /// The caller's description, where it couldn't be opened anew (another user's pipe under
    /// sudo): asked by poll(2) before each small write.
    Shared(OwnedFd),
}

impl Sink {
    pub fn open(fd: BorrowedFd<'_>, kind: Kind) -> io::Result<Self> {
        let shared = || fd.try_clone_to_owned();
        Ok(match kind {
            Kind::Socket => Sink::Socket(shared()?),
            // Its offset is the caller's to share.
            Kind::Regular => Sink::Shared(shared()?),
            _ => match reopen(fd, OFlag::O_WRONLY | OFlag::O_NONBLOCK) {
                Ok(own) => Sink::Own(own),
                Err(_) => Sink::Shared(shared()?),
            },
        })
    }

    pub fn as_raw(&self) -> RawFd {
        match self {
            Sink::Own(fd) | Sink::Socket(fd) | Sink::Shared(fd) => fd.as_raw_fd(),
        }
    }

    /// Writes what the other end takes now.
    ///
    /// # Errors
    /// `WouldBlock` when it takes nothing now; `BrokenPipe` or another when it never will.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sink::Own(fd) => Ok(nix::unistd::write(fd, bytes)?),
            Sink::Socket(fd) => {
                use nix::sys::socket::{MsgFlags, send};
                Ok(send(fd.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL)?)
            }
            Sink::Shared(fd) => {
                let mut ask = [libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLOUT, revents: 0 }];
                super::process::poll(&mut ask, Some(std::time::Duration::ZERO))?;
                if ask[0].revents == 0 {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                // POLLOUT promises room for PIPE_BUF bytes on a pipe (pipe(7)), no more.
                let small = &bytes[..bytes.len().min(libc::PIPE_BUF)];
                Ok(nix::unistd::write(fd, small)?)
            }
        }
    }
}

/// Passes one on to another until its end, each piece at once, whether or not they block.
///
/// # Errors
/// What reading or writing said; `BrokenPipe` when the reader has gone and SIGPIPE is ignored.
pub fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let mut rest = match patiently(from, libc::POLLIN, || nix::unistd::read(from, &mut bytes))? {
            0 => return Ok(()),
            n => &bytes[..n],
        };
        while !rest.is_empty() {
            let n = patiently(to, libc::POLLOUT, || nix::unistd::write(to, rest))?;
            rest = &rest[n..];
        }
    }
}

/// Repeats a call that a signal interrupted, or that would have to wait, when it is ready.
fn patiently(
    fd: BorrowedFd<'_>,
    events: libc::c_short,
    mut call: impl FnMut() -> nix::Result<usize>,
) -> io::Result<usize> {
    loop {
        match call() {
            Err(nix::errno::Errno::EINTR) => {}
            Err(nix::errno::Errno::EAGAIN) => {
                let mut ask = [libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 }];
                super::process::poll(&mut ask, None)?;
            }
            other => return Ok(other?),
        }
    }
}

/// A pipe: our end to read, the command's end to write; both close on exec.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(OFlag::O_CLOEXEC)?)
}

/// A pseudo-terminal for the command's output that is nobody's controlling terminal: modes and
/// size of the real one, but no output processing, which the real one does again.
pub fn output_pty(real: BorrowedFd<'_>) -> io::Result<(OwnedFd, OwnedFd)> {
    let mut modes = termios::tcgetattr(real)?;
    modes.output_flags.remove(OutputFlags::OPOST);
    open_pty(real, &modes, OFlag::empty())
}

/// A pseudo-terminal of the size of `real`: (our side, the command's). `ours` are more flags for
/// our side.
pub fn open_pty(
    real: BorrowedFd<'_>,
    modes: &termios::Termios,
    ours: OFlag,
) -> io::Result<(OwnedFd, OwnedFd)> {
    let size =
        window_size(real).unwrap_or(libc::winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 });
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = nix::pty::posix_openpt(flags | ours)?;
    nix::pty::grantpt(&master)?;
    nix::pty::unlockpt(&master)?;
    let slave =
        nix::fcntl::open(nix::pty::ptsname_r(&master)?.as_str(), flags, nix::sys::stat::Mode::empty())?;
    termios::tcsetattr(&slave, SetArg::TCSANOW, modes)?;
    set_window_size(slave.as_fd(), size)?;
    // SAFETY: into_raw_fd gives the descriptor's ownership away; it is taken up here.
    let master = unsafe { OwnedFd::from_raw_fd(std::os::fd::IntoRawFd::into_raw_fd(master)) };
    Ok((master, slave))
}

pub fn window_size(terminal: BorrowedFd<'_>) -> io::Result<libc::winsize> {
    // SAFETY: TIOCGWINSZ fills the struct that it is given.
    unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        match libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) {
            0 => Ok(size),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

pub fn set_window_size(terminal: BorrowedFd<'_>, size: libc::winsize) -> io::Result<()> {
    // SAFETY: TIOCSWINSZ reads the struct that it is given.
    match unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Puts /dev/null on 0, 1 and 2, so that we hold none of the caller's.
pub fn detach_standard(which: &[RawFd]) {
    let Ok(null) =
        nix::fcntl::open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty())
    else {
        for &fd in which {
            // SAFETY: nothing of ours uses the standard descriptors after this.
            unsafe { libc::close(fd) };
        }
        return;
    };
    for &fd in which {
        // SAFETY: dup2 onto a standard descriptor; no owner object exists for those.
        unsafe { libc::dup2(null.as_raw_fd(), fd) };
    }
}

/// In the forked command: makes `fd` the command's `target`, without close-on-exec.
pub fn install(fd: RawFd, target: RawFd) {
    // SAFETY: plain descriptor numbers; dup2 clears close-on-exec unless both are the same.
    unsafe {
        if fd == target {
            libc::fcntl(fd, libc::F_SETFD, 0);
        } else {
            libc::dup2(fd, target);
        }
    }
}

/// Closes one of the caller's.
pub fn close(fd: RawFd) {
    // SAFETY: only called for numbers that came over an exec: no owner object exists for those.
    unsafe { libc::close(fd) };
}

/// Closes every descriptor from 3 on, but for `keep`.
///
/// The owners of the closed ones must never be dropped afterwards: callers end by [`leave`].
pub fn close_all_but(keep: &[i32]) {
    let mut keep: Vec<u32> =
        keep.iter().filter_map(|&fd| u32::try_from(fd).ok()).filter(|&fd| fd > 2).collect();
    keep.sort_unstable();
    let mut from = 3u32;
    for fd in keep.into_iter().chain([u32::MAX]) {
        if fd > from {
            close_range(from, fd - 1);
        }
        from = fd.saturating_add(1);
    }
}

/// Closes what we were given at exec, from 3 on. All that we open ourselves closes on exec, what came
/// over one doesn't.
pub fn close_inherited() {
    for fd in candidates().into_iter().filter(|&fd| fd > 2) {
        let flags = nix::fcntl::fcntl(borrow(fd), FcntlArg::F_GETFD).unwrap_or(libc::FD_CLOEXEC);
        if flags & libc::FD_CLOEXEC == 0 {
            close(fd);
        }
    }
}

/// Open descriptors, ours all among them; closes those of which the number says that they aren't ours.
///
/// Asked one by one: for each that /proc/self/fd lists the kernel makes an inode, 60 µs in all.
fn candidates() -> Vec<RawFd> {
    const LOW: RawFd = 256;
    /// We have about 25.
    const OURS: usize = 64;
    let mut low: Vec<_> = (3..LOW).map(|fd| libc::pollfd { fd, events: 0, revents: 0 }).collect();
    // EINVAL where fewer descriptors are allowed.
    let asked = super::process::poll(&mut low, Some(Duration::ZERO)).is_ok();
    low.retain(|fd| fd.revents & libc::POLLNVAL == 0);
    if asked && low.len() + OURS < LOW as usize {
        // A new descriptor gets the lowest free number, so ours are below.
        close_range(LOW.cast_unsigned(), u32::MAX);
        return low.iter().map(|fd| fd.fd).collect();
    }
    std::fs::read_dir("/proc/self/fd")
        .map(|dir| dir.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect())
        .unwrap_or_default()
}

fn close_range(first: u32, last: u32) {
    // SAFETY: closes numbers only; by the contract of `close_all_but` nobody uses them again.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } == 0 {
        return;
    }
    // Before Linux 5.9, and in sandboxes that refuse unknown calls.
    let open: Vec<i32> = std::fs::read_dir("/proc/self/fd")
        .map(|dir| dir.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect())
        .unwrap_or_else(|_| (3..1024).collect());
    for fd in open.into_iter().filter(|&fd| u32::try_from(fd).is_ok_and(|fd| (first..=last).contains(&fd))) {
        // SAFETY: as above; closing a number that is not open is harmless.
        unsafe { libc::close(fd) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    /// Catches: a copy that ends where a description that doesn't block has nothing, or no room, just now.
    #[test]
    fn a_copy_waits_for_descriptions_that_do_not() {
        let ((from, feed), (taken, to)) = (pipe().unwrap(), pipe().unwrap());
        never_block(from.as_fd()).unwrap();
        never_block(to.as_fd()).unwrap();
        let all: Vec<u8> = (0..=255).cycle().take(300_000).collect();
        std::thread::scope(|scope| {
            let copying = scope.spawn(move || copy(from.as_fd(), to.as_fd()));
            scope.spawn(|| File::from(feed).write_all(&all).unwrap());
            let mut got = Vec::new();
            File::from(taken).read_to_end(&mut got).unwrap();
            assert!(got == all, "{} bytes", got.len());
            copying.join().unwrap().unwrap();
        });
    }
}
