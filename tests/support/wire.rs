//! The bytes of one connection to the scripted server, with TLS or without.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The dialogue is over: the client went, or the script ended it.
pub(super) struct Over;

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

pub(super) struct Wire {
    stream: Stream,
    pending: Vec<u8>,
    /// Bytes of `pending` that are used up.
    used: usize,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream: Stream::Plain(stream), pending: Vec::new(), used: 0 }
    }

    /// TLS from here on: makes the handshake.
    pub(super) fn start_tls(&mut self, config: &Arc<ServerConfig>) -> Result<(), Over> {
        let Stream::Plain(stream) = &self.stream else { return Err(Over) };
        let connection = ServerConnection::new(Arc::clone(config)).map_err(|_| Over)?;
        let mut tls = Box::new(StreamOwned::new(connection, stream.try_clone()?));
        tls.conn.complete_io(&mut tls.sock)?;
        self.stream = Stream::Tls(tls);
        Ok(())
    }

    /// TLS's close_notify.
    pub(super) fn say_goodbye(&mut self) -> io::Result<()> {
        if let Stream::Tls(stream) = &mut self.stream {
            stream.conn.send_close_notify();
            stream.flush()?;
        }
        Ok(())
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let writer: &mut dyn Write = match &mut self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream,
        };
        writer.write_all(bytes)?;
        writer.flush()
    }

    /// Has the client sent more than was asked for?
    pub(super) fn has_more(&self) -> bool {
        self.used < self.pending.len()
    }

    /// The next line with its LF.
    pub(super) fn line(&mut self) -> Result<Vec<u8>, Over> {
        let mut searched = self.used;
        loop {
            if let Some(at) = self.pending[searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.pending[self.used..=searched + at].to_vec();
                self.used = searched + at + 1;
                return Ok(line);
            }
            self.pending.drain(..std::mem::take(&mut self.used));
            searched = self.pending.len();
            self.read()?;
        }
    }

    /// Waits until there is something that nobody has read.
    pub(super) fn wait_for_bytes(&mut self) -> Result<(), Over> {
        if self.has_more() { Ok(()) } else { self.read() }
    }

    fn read(&mut self) -> Result<(), Over> {
        let mut chunk = [0; 16_384];
        let count = match &mut self.stream {
            Stream::Plain(stream) => stream.read(&mut chunk)?,
            Stream::Tls(stream) => stream.read(&mut chunk)?,
        };
        if count == 0 {
            return Err(Over);
        }
        self.pending.extend_from_slice(&chunk[..count]);
        Ok(())
    }
}
