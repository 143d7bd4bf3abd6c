//! What the supervisor tells the front: a message per datagram on a socket pair. Pure but for the
//! two calls at the end.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use serde::{Deserialize, Serialize};

use super::facts::End;
use crate::sys::best_effort;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// There is no command, for want of a process or a descriptor of ours.
    OwnFailure {
        errno: i32,
    },
    /// exec succeeded.
    Started,
    /// The command stopped (Ctrl-Z, SIGSTOP): the front stops too.
    Stopped {
        signal: i32,
    },
    Continued,
    /// Nobody reads this channel's output any more, or nobody writes it: the front lets go of it as well,
    /// so that the command gets SIGPIPE, or its reader sees the end.
    Over {
        channel: usize,
    },
    /// Everything is delivered.
    Ended {
        end: End,
        mailer: Mailer,
    },
}

/// Who makes the mail, if one is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mailer {
    Nobody,
    Itself,
    /// There was no process to spare: the supervisor, which therefore doesn't end now.
    Supervisor,
}

/// A pair of connected sockets that keep the borders of messages; both close on exec.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// Tells the front. That it's gone is no error: the run goes on without it.
pub fn tell(front: BorrowedFd<'_>, message: Message) {
    let bytes = serde_json::to_vec(&message).expect("the enum has no map keys that JSON lacks");
    // EPIPE: the front was killed.
    best_effort(send(front.as_raw_fd(), &bytes, MsgFlags::MSG_NOSIGNAL));
}

/// The next message; None when the supervisor is gone.
///
/// # Errors
/// `WouldBlock` when there is none now.
pub fn hear(supervisor: BorrowedFd<'_>) -> io::Result<Option<Message>> {
    let mut bytes = [0u8; 512];
    match recv(supervisor.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
        Ok(0) | Err(nix::errno::Errno::ECONNRESET) => Ok(None),
        Ok(n) => Ok(Some(serde_json::from_slice(&bytes[..n])?)),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn messages_arrive_one_by_one_and_the_end_is_seen() {
        let (front, supervisor) = pair().unwrap();
        let ended =
            Message::Ended { end: End::Signaled { signal: 9, core_dumped: false }, mailer: Mailer::Itself };
        tell(supervisor.as_fd(), Message::Started);
        tell(supervisor.as_fd(), ended);
        assert_eq!(hear(front.as_fd()).unwrap(), Some(Message::Started));
        assert_eq!(hear(front.as_fd()).unwrap(), Some(ended));
        assert_eq!(hear(front.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(supervisor);
        assert_eq!(hear(front.as_fd()).unwrap(), None);
    }
}
