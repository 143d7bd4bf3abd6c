//! Moves output: from the command to the spool and to where the caller wanted it.
//!
//! A stream has one buffer, and is read only when that is empty: who reads slowly holds the
//! command back, as without us, and memory is bounded. The buffers and cursors lie in memory that
//! front and supervisor share ([`Board`]); either can go on where the other was. The spool comes
//! first: what the reader has seen is on record.
//!
//! poll, read, write: no splice yet, since what is spliced to the reader can't be read again for
//! the spool without tee(2) and a second pipe; the benchmarks come with the data path's own work.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering::{Acquire, Release};

use super::wiring::Channel;
use crate::spool::writer::SpoolWriter;
use crate::sys::fds::Sink;
use crate::sys::shared::{Board, Transit};

#[derive(Debug)]
pub struct Pump {
    pub channels: Vec<Channel>,
    pub spool: Option<SpoolWriter>,
    board: &'static Board,
}

/// What a turn of the pump found out.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Turn {
    /// Some bytes moved.
    moved: bool,
    /// This channel's reader has gone away.
    reader_gone: Option<usize>,
}

impl Pump {
    pub fn new(channels: Vec<Channel>, spool: Option<SpoolWriter>, board: &'static Board) -> Self {
        Self { channels, spool, board }
    }

    fn transit(&self, n: usize) -> &'static Transit {
        &self.board.streams[n]
    }

    fn pending(&self, n: usize) -> bool {
        let transit = self.transit(n);
        transit.delivered.load(Acquire) < transit.read.load(Acquire)
    }

    /// What poll(2) should wait for: two entries per channel, -1 where there is nothing to wait for.
    /// The second one asks a sink that has nothing to do for POLLERR alone: its reader has gone,
    /// which a command that waits for that (`tail -f | head -1`) must find out without writing.
    pub fn interests(&self) -> Vec<libc::pollfd> {
        let of = |n: usize, channel: &Channel| {
            let sink = channel.sink.as_ref().map_or(-1, Sink::as_raw);
            let source = channel.source.as_ref().map_or(-1, AsRawFd::as_raw_fd);
            let wait_for = |fd, events| libc::pollfd { fd, events, revents: 0 };
            if self.pending(n) && sink >= 0 {
                [wait_for(sink, libc::POLLOUT), wait_for(-1, 0)]
            } else if source >= 0 {
                [wait_for(source, libc::POLLIN), wait_for(if channel.one_reader { sink } else { -1 }, 0)]
            } else {
                [wait_for(-1, 0), wait_for(-1, 0)]
            }
        };
        self.channels.iter().enumerate().flat_map(|(n, channel)| of(n, channel)).collect()
    }

    /// Does what poll(2) said of [`Pump::interests`] for all channels; hears of each reader that has
    /// gone. Did anything move?
    pub fn turn_all(&mut self, ready: &[libc::pollfd], reader_gone: &mut dyn FnMut(usize)) -> bool {
        let mut moved = false;
        for (n, pair) in ready.chunks_exact(2).enumerate() {
            let turn = if pair[1].revents & libc::POLLERR != 0 {
                self.reader_gone(n)
            } else if pair[0].revents != 0 {
                self.turn(n)
            } else {
                continue;
            };
            moved |= turn.moved;
            if let Some(n) = turn.reader_gone {
                reader_gone(n);
            }
        }
        moved
    }

    /// Takes the next step of channel `n`.
    fn turn(&mut self, n: usize) -> Turn {
        if self.pending(n) {
            return self.deliver(n);
        }
        let Some(source) = &self.channels[n].source else { return Turn::default() };
        let transit = self.transit(n);
        transit.start.store(transit.read.load(Acquire), Release);
        match nix::unistd::read(source, transit.buffer()) {
            // EIO is how Linux ends a pseudo-terminal whose other side is closed.
            Ok(0) | Err(nix::errno::Errno::EIO) => {
                self.channels[n].source = None;
                Turn { moved: true, reader_gone: None }
            }
            Ok(count) => {
                transit.read.fetch_add(count as u64, Release);
                self.spool(n);
                Turn { moved: true, ..self.deliver(n) }
            }
            Err(nix::errno::Errno::EINTR | nix::errno::Errno::EAGAIN) => Turn::default(),
            // It will never give anything (a folder as stdin, a connection that was reset).
            Err(_) => {
                self.channels[n].source = None;
                Turn { moved: true, reader_gone: None }
            }
        }
    }

    /// After a change of the pumping process: what was read but not yet on record.
    pub fn catch_up(&mut self) {
        if let Some(spool) = &mut self.spool {
            spool.resume();
        }
        (0..self.channels.len()).for_each(|n| self.spool(n));
    }

    fn spool(&mut self, n: usize) {
        let transit = self.transit(n);
        let from = transit.spooled.load(Acquire);
        let bytes = transit.bytes_from(from);
        if bytes.is_empty() {
            return;
        }
        if let Some(spool) = &mut self.spool {
            spool.append(self.channels[n].origin, bytes);
        }
        transit.spooled.store(from + bytes.len() as u64, Release);
    }

    fn deliver(&mut self, n: usize) -> Turn {
        let transit = self.transit(n);
        let mut turn = Turn::default();
        loop {
            let delivered = transit.delivered.load(Acquire);
            let bytes = transit.bytes_from(delivered);
            if bytes.is_empty() {
                return turn;
            }
            let written = match &self.channels[n].sink {
                Some(sink) => sink.write(bytes),
                None => Ok(bytes.len()),
            };
            match written {
                Ok(count) => {
                    transit.delivered.store(delivered + count as u64, Release);
                    turn.moved |= count > 0;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return turn,
                Err(_) => return self.reader_gone(n),
            }
        }
    }

    /// Nobody reads any more: lets go of the source, so that the command finds out as it would
    /// have without us (SIGPIPE, EPIPE; EIO from a terminal).
    fn reader_gone(&mut self, n: usize) -> Turn {
        let transit = self.transit(n);
        transit.delivered.store(transit.read.load(Acquire), Release);
        self.channels[n].source = None;
        self.channels[n].sink = None;
        Turn { moved: true, reader_gone: Some(n) }
    }

    /// Is there nothing left that could move: all sources ended, all delivered?
    pub fn finished(&self) -> bool {
        (0..self.channels.len()).all(|n| self.channels[n].source.is_none() && !self.pending(n))
    }

    /// Is everything that was read delivered?
    pub fn all_delivered(&self) -> bool {
        (0..self.channels.len()).all(|n| !self.pending(n))
    }

    /// Does a pseudo-terminal still hold back what its writer wrote?
    pub fn has_open_terminal(&self) -> bool {
        self.channels.iter().any(|c| c.terminal && c.source.is_some())
    }
}
