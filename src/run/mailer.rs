//! The mailer: the forked process that makes and sends the mail, and the pipe on which it tells
//! the front how that goes.
//!
//! The front prints what the mailer says; once the front has stopped waiting, nobody reads, and
//! the mailer goes on in silence. What it does is handed in: `run/` knows nothing of mail.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::facts::RunFacts;
pub use super::policy::Policy;
use crate::sys::clock::Mark;
use crate::sys::signals::PidFd;
use crate::sys::{best_effort, fds, process, signals};

/// A word of the mailer's, for the terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Word {
    /// The first one: which process it is.
    Here { pid: i32 },
    /// All is well; shown where someone looks.
    Note(String),
    /// Something is wrong or wants doing; always shown.
    Trouble(String),
    /// The summary of the run, shown as it is.
    Summary(String),
    /// The first try is over; the front need not wait longer.
    Done,
}

/// What the mailer does: makes the mail of these facts and sends it.
pub type Job<'a> = dyn FnMut(&RunFacts, &mut Teller) + 'a;

/// The mailer's end of the pipe.
#[derive(Debug)]
pub struct Teller(Option<std::fs::File>);

impl Teller {
    pub fn new(pipe: OwnedFd) -> Self {
        Self(Some(pipe.into()))
    }

    /// One that nobody hears.
    pub fn silent() -> Self {
        Self(None)
    }

    /// Did somebody listen when the last word was said?
    pub fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    /// Says a word; that the front has gone is no error.
    pub fn say(&mut self, word: &Word) {
        let Some(pipe) = &mut self.0 else { return };
        let mut line = serde_json::to_vec(word).expect("words are strings");
        line.push(b'\n');
        if pipe.write_all(&line).is_err() {
            self.0 = None;
        }
    }
}

/// Forks the mailer, which keeps no descriptor but the pipe and what the job needs `also`. Returns in the
/// parent only.
///
/// # Errors
/// When fork fails (the user's limit of processes): nothing was done.
pub fn fork_mailer(job: &mut Job<'_>, facts: &RunFacts, pipe: &OwnedFd, also: &[RawFd]) -> io::Result<()> {
    if let process::Fork::Parent(_) = process::fork()? {
        return Ok(());
    }
    work(job, facts, pipe, also);
    process::leave(0)
}

/// The mailer's work in this process: away from the caller's session and descriptors first.
pub fn work(job: &mut Job<'_>, facts: &RunFacts, pipe: &OwnedFd, also: &[RawFd]) {
    fds::detach_standard(&[0, 1, 2]);
    fds::close_all_but(&[also, &[pipe.as_raw_fd()]].concat());
    step_aside();
    let mut teller = pipe.try_clone().map_or_else(|_| Teller::silent(), Teller::new);
    teller.say(&Word::Here { pid: nix::unistd::getpid().as_raw() });
    job(facts, &mut teller);
    teller.say(&Word::Done);
}

/// Out of the caller's session, and deaf to what asks its processes politely to end: a notice hangs
/// on this process.
pub fn step_aside() {
    // EPERM where we already lead a session: then we are where we want to be.
    best_effort(nix::unistd::setsid());
    signals::work_undisturbed();
    process::raise_limits();
}

/// How waiting for the mailer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// Its first try is over.
    Done,
    /// It goes on without us.
    TimeOver,
    /// A signal ended the wait.
    Interrupted,
    /// It ended without saying so: killed, or a bug of ours.
    Died,
}

/// A process that closes its descriptors is gone long before this.
const GONE: Duration = Duration::from_secs(2);

/// The front's end of the pipe.
#[derive(Debug)]
pub struct Link {
    pipe: OwnedFd,
    unread: Vec<u8>,
    mailer: Option<PidFd>,
}

impl Link {
    pub fn new(pipe: OwnedFd) -> Self {
        Self { pipe, unread: Vec::new(), mailer: None }
    }

    pub fn fd(&self) -> i32 {
        self.pipe.as_raw_fd()
    }

    /// Hears the mailer for at most `bound`. `interrupted` is asked when `signals` (a descriptor)
    /// has something to read.
    pub fn wait(
        mut self,
        bound: Duration,
        signals: i32,
        interrupted: &mut dyn FnMut() -> bool,
        hear: &mut dyn FnMut(Word),
    ) -> Waited {
        let since = Mark::now();
        loop {
            let left = bound.saturating_sub(since.elapsed());
            let mut fds =
                [self.fd(), signals].map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
            if process::poll(&mut fds, Some(left)).is_err() {
                return Waited::TimeOver;
            }
            if fds[0].revents != 0 {
                match self.hear_some(hear) {
                    Heard::Words => {}
                    Heard::Done => return Waited::Done,
                    Heard::End => {
                        // Its descriptors close before it is gone, and until then it has its claims.
                        if let Some(mailer) = &self.mailer {
                            mailer.has_ended(GONE);
                        }
                        return Waited::Died;
                    }
                }
            } else if fds[1].revents != 0 && interrupted() {
                return Waited::Interrupted;
            } else if left.is_zero() {
                return Waited::TimeOver;
            }
        }
    }

    fn hear_some(&mut self, hear: &mut dyn FnMut(Word)) -> Heard {
        let mut bytes = [0; 4096];
        match nix::unistd::read(&self.pipe, &mut bytes) {
            Ok(0) => return Heard::End,
            Ok(n) => self.unread.extend_from_slice(&bytes[..n]),
            Err(nix::errno::Errno::EINTR) => return Heard::Words,
            Err(_) => return Heard::End,
        }
        while let Some(end) = self.unread.iter().position(|&b| b == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            match serde_json::from_slice(&line) {
                Ok(Word::Done) => return Heard::Done,
                Ok(Word::Here { pid }) => self.mailer = PidFd::open(Pid::from_raw(pid)).ok(),
                Ok(word) => hear(word),
                Err(_) => return Heard::End,
            }
        }
        Heard::Words
    }
}

enum Heard {
    Words,
    Done,
    End,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_arrive_whole_and_a_death_is_told_from_an_end() {
        let (read, write) = fds::pipe().unwrap();
        let mut teller = Teller::new(write);
        let long = "长".repeat(3000);
        teller.say(&Word::Note(long.clone()));
        teller.say(&Word::Done);
        let mut heard = Vec::new();
        let waited =
            Link::new(read).wait(Duration::from_secs(5), -1, &mut || false, &mut |word| heard.push(word));
        assert_eq!((waited, heard), (Waited::Done, vec![Word::Note(long)]));

        let (read, write) = fds::pipe().unwrap();
        drop(write);
        let waited = Link::new(read).wait(Duration::from_secs(5), -1, &mut || false, &mut |_| {});
        assert_eq!(waited, Waited::Died);
    }

    /// Catches: a second mailer that finds the claims of the first one, which was killed and isn't quite
    /// gone, and leaves them to it.
    #[test]
    fn a_mailer_has_died_when_it_is_gone() {
        let (read, write) = fds::pipe().unwrap();
        // Lives a little longer than its words.
        let mut mailer = std::process::Command::new("sleep").arg("0.3").spawn().unwrap();
        let mut teller = Teller::new(write);
        teller.say(&Word::Here { pid: mailer.id().cast_signed() });
        drop(teller);
        let waited = Link::new(read).wait(Duration::from_secs(5), -1, &mut || false, &mut |_| {});
        assert_eq!(waited, Waited::Died);
        assert!(mailer.try_wait().unwrap().is_some());
    }
}
