//! Reads an authorization code from where the settings say it is, at the moment of sending.
//!
//! No error and no warning here holds a code, or anything that a command or a file gave.

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use secrecy::zeroize::Zeroizing;

use super::load::{Hands, for_shell, open};
use super::secret::may_hold_code;
use super::{Secret, SecretSource};
use crate::error::{Error, Kind, Result};

/// A command that asks for a passphrase where nobody is must not hold the mail up for ever.
const COMMAND_LIMIT: Duration = Duration::from_secs(15);
/// No code is longer; what is larger is some other file.
const LARGEST: u64 = 64 * 1024;

/// A code, and what the user should know of how it is kept.
#[derive(Debug)]
pub struct ReadSecret {
    pub secret: Secret,
    pub warning: Option<String>,
}

/// Reads the code.
///
/// # Errors
/// [`Kind::Secret`], naming the source and the fix: it isn't there, can't be read, is empty or holds
/// control characters; a file of another user's, or that group or others may write; a command that fails or takes longer
/// than 15 s.
pub fn read_secret(source: &SecretSource) -> Result<ReadSecret> {
    read_with(source, &|name| std::env::var_os(name), COMMAND_LIMIT)
}

fn read_with(
    source: &SecretSource,
    lookup: &dyn Fn(&str) -> Option<OsString>,
    limit: Duration,
) -> Result<ReadSecret> {
    match source {
        SecretSource::Literal(secret) => Ok(ReadSecret { secret: secret.clone(), warning: None }),
        SecretSource::Env(name) => from_env(source, name, lookup),
        SecretSource::File(path) => from_file(source, path),
        SecretSource::Command(line) => from_command(source, line, limit),
    }
}

/// What to do when the source isn't there: `usual`, unless a code stands where its name should.
fn not_there(source: &SecretSource, usual: &str) -> String {
    if source.may_be_code() {
        "a code itself stands as auth_code = \"…\"; env, file and command take the name of where it is"
            .to_owned()
    } else {
        usual.to_owned()
    }
}

fn failed(source: &SecretSource) -> Error {
    Error::new(Kind::Secret, format!("can't get the authorization code from {source}"))
}

fn from_env(
    source: &SecretSource,
    name: &str,
    lookup: &dyn Fn(&str) -> Option<OsString>,
) -> Result<ReadSecret> {
    let hint = format!("export {name} where notify-done starts, or use auth_code = {{ file = \"…\" }}");
    let value =
        lookup(name).ok_or_else(|| failed(source).because("it isn't set").hint(not_there(source, &hint)))?;
    let text = value.into_string().map(Zeroizing::new);
    let text = text.map_err(|_| failed(source).because("it isn't UTF-8").hint(&hint))?;
    let secret = Secret::parse(&text).map_err(|unfit| failed(source).because(unfit).hint(&hint))?;
    Ok(ReadSecret { secret, warning: None })
}

fn from_file(source: &SecretSource, path: &Path) -> Result<ReadSecret> {
    let shown = for_shell(path);
    let usual = format!("write the code alone into {shown} and run: chmod 600 {shown}");
    let io_failed = |error: std::io::Error| failed(source).because(error).hint(&usual);
    let file = open(path).map_err(|error| failed(source).because(error).hint(not_there(source, &usual)))?;
    let meta = file.metadata().map_err(io_failed)?;
    if !meta.is_file() {
        return Err(failed(source).because("it isn't a regular file").hint(&usual));
    }
    let (mode, hands) = (meta.permissions().mode(), Hands::of_process());
    if !hands.trusts(meta.uid()) {
        let cause = format!("it belongs to another user (uid {}), who may write it", meta.uid());
        let hint = format!("take it over: sudo chown {} {shown}; chmod 600 {shown}", hands.me());
        return Err(failed(source).because(cause).hint(hint));
    }
    if mode & 0o022 != 0 {
        let cause = format!("others may write it (mode {:04o})", mode & 0o7777);
        return Err(failed(source).because(cause).hint(format!("run: chmod 600 {shown}")));
    }
    let mut bytes = room();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(io_failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(failed(source).because("it is larger than 64 KiB").hint(&usual));
    }
    let secret = first_line(&bytes).map_err(|cause| failed(source).because(cause).hint(&usual))?;
    let warning = (mode & 0o044 != 0).then(|| {
        let mode = mode & 0o7777;
        format!(
            "others on this machine may read {} (mode {mode:04o}); run: chmod 600 {shown}",
            path.display()
        )
    });
    Ok(ReadSecret { secret, warning })
}

/// Room for what is read: zeroed when it is dropped, and large enough never to be moved, which would leave
/// a copy behind.
fn room() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(usize::try_from(LARGEST + 2).unwrap_or(0)))
}

/// The first line, without its end and without the mark that some editors put in front of UTF-8.
fn first_line(bytes: &[u8]) -> std::result::Result<Secret, String> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = str::from_utf8(line).map_err(|_| "its first line isn't UTF-8".to_owned())?;
    Secret::parse(text).map_err(|unfit| format!("its first line: {unfit}"))
}

fn from_command(source: &SecretSource, line: &str, limit: Duration) -> Result<ReadSecret> {
    let hint =
        "run the command by hand: it must print the code as its first line, ask nothing and end with 0";
    let mut child = Command::new("/bin/sh")
        .args(["-c", line])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own, so that all of it can be ended.
        .process_group(0)
        .spawn()
        .map_err(|error| failed(source).because(error).hint(hint))?;
    let ended = collect(&mut child, limit);
    if !matches!(ended, Ok(Collected { status: Some(_), .. })) {
        end_group(&mut child);
    }
    let collected = ended.map_err(|error| failed(source).because(error).hint(hint))?;
    let Some(status) = collected.status else {
        let cause = format!("it took longer than {}", humantime::format_duration(limit));
        return Err(failed(source).because(cause).hint(hint));
    };
    if !status.success() {
        return Err(failed(source).because(told(status, &collected)).hint(not_there(source, hint)));
    }
    let secret = first_line(&collected.out).map_err(|cause| failed(source).because(cause).hint(hint))?;
    Ok(ReadSecret { secret, warning: None })
}

struct Collected {
    out: Zeroizing<Vec<u8>>,
    err: Vec<u8>,
    /// None: the time was up.
    status: Option<ExitStatus>,
}

/// Reads both pipes until the command has ended. A grandchild may hold them open longer (an agent
/// that the command started): what is there when the command ends is all that is wanted.
fn collect(child: &mut Child, limit: Duration) -> std::io::Result<Collected> {
    let started = Instant::now();
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let mut collected = Collected { out: room(), err: Vec::new(), status: None };
    loop {
        // Asked before reading: all that an ended command wrote is in the pipes by then.
        collected.status = child.try_wait()?;
        let left = limit.saturating_sub(started.elapsed());
        let mut progress = pull(&mut out, &mut collected.out)?;
        progress |= pull(&mut err, &mut collected.err)?;
        if left.is_zero() || (collected.status.is_some() && !progress) {
            return Ok(collected);
        }
        if !progress {
            wait_readable([out.as_ref().map(AsFd::as_fd), err.as_ref().map(AsFd::as_fd)], left)?;
        }
    }
}

/// Takes one read's worth, if there is any; at its end the pipe is dropped. More than [`LARGEST`] is
/// read and forgotten, so that the command can end.
fn pull(pipe: &mut Option<impl Read + AsFd>, into: &mut Vec<u8>) -> std::io::Result<bool> {
    let Some(open) = pipe else {
        return Ok(false);
    };
    let mut fds = [PollFd::new(open.as_fd(), PollFlags::POLLIN)];
    if retried(poll(&mut fds, PollTimeout::ZERO))? == 0 {
        return Ok(false);
    }
    let mut buffer = Zeroizing::new([0; 4096]);
    let count = open.read(&mut *buffer)?;
    if count == 0 {
        *pipe = None;
    }
    let room = usize::try_from(LARGEST).unwrap_or(usize::MAX).saturating_sub(into.len());
    into.extend_from_slice(&buffer[..count.min(room)]);
    Ok(true)
}

/// Waits until a pipe has something, or a moment: the end of a command whose pipes are closed, or
/// held by someone else, makes no event here.
fn wait_readable(pipes: [Option<std::os::fd::BorrowedFd<'_>>; 2], left: Duration) -> std::io::Result<()> {
    const MOMENT: Duration = Duration::from_millis(20);
    let mut fds: Vec<PollFd<'_>> =
        pipes.into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
    let wait = if fds.is_empty() { Duration::from_millis(1) } else { MOMENT.min(left) };
    retried(poll(&mut fds, PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO)))?;
    Ok(())
}

/// A signal that arrives meanwhile is no failure.
fn retried(polled: nix::Result<i32>) -> std::io::Result<i32> {
    match polled {
        Err(nix::errno::Errno::EINTR) => Ok(0),
        other => Ok(other?),
    }
}

fn end_group(child: &mut Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        // It may have ended in the meantime; then there is nothing to end.
        let _gone = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let _reaped = child.wait();
}

/// How a command failed, with the first line of its stderr, unless that could show the code.
fn told(status: ExitStatus, collected: &Collected) -> String {
    let err = String::from_utf8_lossy(&collected.err);
    let out = String::from_utf8_lossy(&collected.out);
    let first = err.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let repeats = out.split_whitespace().any(|word| first.contains(word));
    let status = match status.code() {
        Some(code) => format!("it ended with exit code {code}"),
        None => format!("it ended by {status}"),
    };
    if first.is_empty() || repeats || may_hold_code(first) {
        return status;
    }
    let short: String = first.chars().filter(|c| !c.is_control()).take(200).collect();
    format!("{status}: {short}")
}

#[cfg(test)]
#[path = "read_secret_tests.rs"]
mod tests;
