//! Moves output: from the command to the spool and to where the caller wanted it, as [`super::flow`]
//! has it for each stream. Here is what is waited for.

use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use super::facts::{Holds, LogPart};
use super::flow::{Flow, Log};
use super::wiring::Channel;
use crate::spool::writer::SpoolWriter;
use crate::sys::clock::Mark;
use crate::sys::fds::Sink;
use crate::sys::schedule::{self, Manners};
use crate::sys::shared::Board;

#[derive(Debug)]
pub struct Pump {
    pub channels: Vec<Channel>,
    flows: Vec<Flow>,
    pub spool: Option<SpoolWriter>,
    pace: Pace,
}

impl Pump {
    /// # Errors
    /// When there are no pipes to be had.
    pub fn new(
        channels: Vec<Channel>,
        spool: Option<SpoolWriter>,
        board: &'static Board,
    ) -> io::Result<Self> {
        let flows = channels.iter().zip(&board.streams).map(|(channel, counts)| Flow::new(channel, counts));
        Ok(Self { flows: flows.collect::<io::Result<_>>()?, channels, spool, pace: Pace::new() })
    }

    /// Its descriptors, for a process that closes all others.
    pub fn fds(&self) -> Vec<i32> {
        let mut fds: Vec<i32> = self.flows.iter().flat_map(Flow::fds).collect();
        for channel in &self.channels {
            fds.extend(channel.source.as_ref().map(AsRawFd::as_raw_fd));
            fds.extend(channel.sink.as_ref().map(Sink::as_raw));
        }
        fds.extend(self.spool.iter().flat_map(SpoolWriter::fds));
        fds
    }

    /// The descriptors that the caller's readers wait for the end of.
    pub fn sinks(&self) -> Vec<i32> {
        self.channels.iter().filter_map(|channel| channel.sink.as_ref()).map(Sink::as_raw).collect()
    }

    /// What poll(2) should wait for: two entries per channel, -1 where there is nothing to wait for.
    /// The second one asks a sink that has nothing to do for POLLERR alone: its reader has gone,
    /// which a command that waits for that (`tail -f | head -1`) must find out without writing.
    pub fn interests(&self) -> Vec<libc::pollfd> {
        let of = |(flow, channel): (&Flow, &Channel)| {
            let sink = channel.sink.as_ref().map_or(-1, Sink::as_raw);
            let source = channel.source.as_ref().map_or(-1, AsRawFd::as_raw_fd);
            let wait_for = |fd, events| libc::pollfd { fd, events, revents: 0 };
            if flow.undelivered() && sink >= 0 {
                [wait_for(sink, libc::POLLOUT), wait_for(-1, 0)]
            } else if source >= 0 {
                [wait_for(source, libc::POLLIN), wait_for(if channel.one_reader { sink } else { -1 }, 0)]
            } else {
                [wait_for(-1, 0), wait_for(-1, 0)]
            }
        };
        self.flows.iter().zip(&self.channels).flat_map(of).collect()
    }

    /// Does what poll(2) said of [`Pump::interests`] for all channels; tells which are over. Did anything
    /// move?
    pub fn turn_all(&mut self, ready: &[libc::pollfd], over: &mut dyn FnMut(usize)) -> bool {
        let mut moved = false;
        for (n, pair) in ready.chunks_exact(2).enumerate() {
            let (flow, channel) = (&self.flows[n], &mut self.channels[n]);
            let turn = if pair[1].revents & libc::POLLERR != 0 {
                flow.reader_gone(channel, &mut self.spool)
            } else if pair[0].revents != 0 {
                flow.turn(channel, &mut self.spool)
            } else {
                continue;
            };
            moved |= turn.moved;
            if turn.over {
                over(n);
            }
        }
        if moved {
            self.pace.turned();
        }
        moved
    }

    /// In the process that goes on where a killed one was.
    ///
    /// # Errors
    /// When what lies between can't be found out.
    pub fn take_over(&mut self, log: Log) -> io::Result<()> {
        for flow in &mut self.flows {
            flow.settle(log)?;
        }
        if let Some(spool) = &mut self.spool {
            match log {
                Log::Answers => spool.resume(),
                Log::Stuck => {
                    let in_flight = self.flows.iter().filter_map(Flow::in_flight);
                    spool.leave_disk_alone(in_flight.map(|(_, _, count)| count).sum());
                }
            }
        }
        self.flows.iter().for_each(|flow| flow.catch_up(&mut self.spool));
        Ok(())
    }

    /// How long nothing has moved.
    pub fn idle(&self) -> Duration {
        Mark::now().since(self.pace.last)
    }

    /// The end of the run, though a reader hasn't taken all: what it lacks is for the log.
    pub fn record_ahead(&mut self) {
        for (flow, channel) in self.flows.iter().zip(&self.channels).filter(|(flow, _)| flow.undelivered()) {
            flow.record_ahead(channel, &mut self.spool);
        }
    }

    /// The end of the run: a last try to get the whole log onto the disk.
    pub fn finish(&mut self) {
        if let Some(spool) = &mut self.spool {
            spool.finish();
        }
    }

    /// Puts on the disk what the log lacks, once the process that hung has ended.
    pub fn ask_disk_again(&mut self) {
        let in_flight: Vec<_> = self.flows.iter().filter_map(Flow::in_flight).collect();
        if let Some(spool) = &mut self.spool {
            spool.ask_disk_again(&in_flight);
        }
    }

    /// The descriptors that takes.
    pub fn in_flight_fds(&self) -> Vec<i32> {
        self.flows.iter().filter_map(Flow::in_flight).flat_map(|(_, pipe, _)| pipe.fds()).collect()
    }

    /// The log in the run's `folder`, as far as it got there.
    pub fn log_part(&self, folder: &Path, holds: Holds) -> LogPart {
        let part = LogPart {
            path: folder.join("log"),
            holds,
            start: 0,
            end: 0,
            spooled: true,
            trouble: None,
            cut: None,
            kept: Vec::new(),
        };
        match &self.spool {
            Some(spool) => spool.describe(part),
            None => part,
        }
    }

    /// Channel `n` is over, as another process of ours found out.
    pub fn let_go(&mut self, n: usize) {
        if let Some(channel) = self.channels.get_mut(n) {
            channel.source = None;
            channel.sink = None;
        }
    }

    /// Is there nothing left that could move: all sources ended, all delivered?
    pub fn finished(&self) -> bool {
        self.channels.iter().all(|channel| channel.source.is_none()) && self.all_delivered()
    }

    /// Is everything that was taken delivered?
    pub fn all_delivered(&self) -> bool {
        !self.flows.iter().any(Flow::undelivered)
    }

    /// Could a command that has ended have ended without us, as far as its readers go?
    pub fn would_fit(&self) -> bool {
        let mut waiting = self.flows.iter().zip(&self.channels).filter(|(flow, _)| flow.undelivered());
        waiting.all(|(flow, channel)| flow.would_fit(channel))
    }

    /// Does a pseudo-terminal still hold back what its writer wrote?
    pub fn has_open_terminal(&self) -> bool {
        self.channels.iter().any(|c| c.terminal && c.source.is_some())
    }
}

/// So many turns within [`HURRY`] are a command that writes line after line.
const MANY: u32 = 64;
const HURRY: Duration = Duration::from_millis(5);
/// A pause like this, and the next line may be one that somebody waits for.
const PAUSE: Duration = Duration::from_millis(2);

/// Keeps out of the way of a command that writes fast. On a processor that both share, the kernel
/// runs us at once whenever the command has written something, for every line: two million lines
/// took 1.45 times as long as with tee(1). As a batch process (sched(7)) we wait for the command to
/// pause or to fill its pipe, and the same lines take 0.67 times as long, less than without us. It
/// costs latency where others use the processor as well (up to a tick, 4 ms, instead of 60 µs in the
/// 99th percentile), so it is only for as long as the hurry lasts. Before and after it a line that
/// somebody may wait for gets us a processor at once: 13 µs instead of 19 for its way, with tee(1) 8.
/// (To give way to the reader as soon as it has the line, by sched_yield(2), made it 16: the command,
/// which is next in its own session's turn, goes first.)
#[derive(Debug)]
struct Pace {
    turns: u32,
    since: Mark,
    last: Mark,
    /// None: as the caller had it, before anything has moved.
    manners: Option<Manners>,
}

impl Pace {
    fn new() -> Self {
        let now = Mark::now();
        Self { turns: 0, since: now, last: now, manners: None }
    }

    fn turned(&mut self) {
        let now = Mark::now();
        self.turns += 1;
        match self.manners {
            None => self.change_to(Manners::Prompt, now),
            Some(Manners::Batch) if now.since(self.last) > PAUSE => self.change_to(Manners::Prompt, now),
            Some(manners) if self.turns == MANY => {
                if manners == Manners::Prompt && now.since(self.since) < HURRY {
                    self.change_to(Manners::Batch, now);
                }
                (self.turns, self.since) = (0, now);
            }
            Some(_) => {}
        }
        self.last = now;
    }

    fn change_to(&mut self, manners: Manners, now: Mark) {
        schedule::behave(manners);
        self.manners = Some(manners);
        (self.turns, self.since) = (0, now);
    }
}
