//! A port where connections are neither taken nor refused, as behind a firewall that drops packets.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use nix::sys::socket::{Backlog, listen};

/// Whoever connects gets no answer, until it is dropped.
pub struct DeafPort {
    _listener: TcpListener,
    /// Fills the queue of those who wait to be accepted: for others there is no room (listen(2)).
    _queued: Vec<TcpStream>,
}

impl DeafPort {
    /// On 127.0.0.1; the port must be free.
    pub fn open(port: u16) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = TcpListener::bind(address).expect("the port is free");
        listen(&listener, Backlog::new(0).expect("0 is a backlog")).expect("it can be shortened");
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            queued.push(stream);
            assert!(queued.len() < 16, "the queue never fills");
        }
        Self { _listener: listener, _queued: queued }
    }
}
