//! An SMTP server that does what a script says: like QQ, like 163, or wrong in a chosen way at a
//! chosen step. It listens on 127.0.0.1 and keeps all that it was told.
//!
//! ```ignore
//! let server = ScriptedServer::start(Script::qq().account("10001@qq.com", "code"));
//! server.set_script(Script::qq().account("10001@qq.com", "code").at(Stage::End, Action::Drop));
//! assert_eq!(server.wait_for_mails(1, Duration::from_secs(10)).len(), 1);
//! server.assert_clean();
//! ```

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::socket::{self, Backlog, listen};
use rustls::ServerConfig;

use super::session;
use super::tls;

pub use super::script::{Action, Script, Stage, Style, TlsMode};

/// A message whose final dot arrived, accepted or not.
#[derive(Debug, Clone)]
pub struct Received {
    /// The argument of the EHLO in force.
    pub ehlo: String,
    /// None: nobody had logged in.
    pub user: Option<String>,
    pub over_tls: bool,
    pub mail_from: String,
    /// Those that got a 2xx.
    pub rcpts: Vec<String>,
    /// As it was before dot-stuffing: CRLF kept, the final dot not part of it.
    pub data: Vec<u8>,
    /// What was answered; empty: the script kept the answer back.
    pub reply: String,
}

impl Received {
    pub fn accepted(&self) -> bool {
        self.reply.starts_with('2')
    }

    /// The Message-ID header's value; panics without one: every mail of ours has it.
    pub fn message_id(&self) -> String {
        let text = String::from_utf8_lossy(&self.data);
        let headers = text.split("\r\n\r\n").next().unwrap_or_default();
        let found = headers.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("message-id").then(|| value.trim().to_owned())
        });
        found.unwrap_or_else(|| panic!("no Message-ID in:\n{headers}"))
    }
}

/// An AUTH, whatever came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub mechanism: String,
    pub user: String,
    pub code: String,
    pub over_tls: bool,
    pub accepted: bool,
}

/// What the server has seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) connections: usize,
    pub(super) logins: Vec<Login>,
    pub(super) mails: Vec<Received>,
    pub(super) violations: Vec<String>,
    /// Command lines, AUTH's secrets struck out.
    pub(super) commands: Vec<String>,
    /// To be shut down with the server.
    streams: Vec<TcpStream>,
    sessions: Vec<JoinHandle<()>>,
}

pub(super) struct Shared {
    script: Mutex<(Script, Arc<ServerConfig>)>,
    seen: Mutex<Seen>,
    changed: Condvar,
    stopping: AtomicBool,
}

impl Shared {
    pub(super) fn script(&self) -> (Script, Arc<ServerConfig>) {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes something and wakes who waits for it.
    pub(super) fn note(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen());
        self.changed.notify_all();
    }

    pub(super) fn wait_for_stop(&self) {
        let mut seen = self.seen();
        while !self.stopping.load(Ordering::SeqCst) {
            seen = self.changed.wait(seen).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running server; ends, with its connections, when dropped.
pub struct ScriptedServer {
    address: SocketAddr,
    /// Keeps the port while the server is down: other tests look for free ones.
    listener: Arc<TcpListener>,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
    /// Fill the queue of those who wait to be taken, while nobody is.
    queued: Vec<TcpStream>,
}

impl ScriptedServer {
    /// Listens on a free port of 127.0.0.1.
    pub fn start(script: Script) -> Self {
        let config = tls::server_config(script.certificate);
        let shared = Shared {
            script: Mutex::new((script, config)),
            seen: Mutex::default(),
            changed: Condvar::new(),
            stopping: AtomicBool::new(false),
        };
        let listener = listener();
        let address = listener.local_addr().expect("a bound socket has an address");
        let (listener, shared) = (Arc::new(listener), Arc::new(shared));
        let mut server = Self { address, listener, shared, listening: None, queued: Vec::new() };
        server.come_up();
        server
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Another behaviour, from the next connection on.
    pub fn set_script(&self, script: Script) {
        let config = tls::server_config(script.certificate);
        *self.shared.script.lock().unwrap_or_else(PoisonError::into_inner) = (script, config);
    }

    /// From now on connections are refused; open ones are closed.
    pub fn go_down(&mut self) {
        self.queued.clear();
        let Some(listening) = self.listening.take() else { return };
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.note(|_| ());
        self.stop_listening();
        listening.join().expect("the accepting thread doesn't panic");
        let (streams, sessions) = {
            let mut seen = self.shared.seen();
            (std::mem::take(&mut seen.streams), std::mem::take(&mut seen.sessions))
        };
        for stream in streams {
            // Fails where the client was first to close, which is as well.
            stream.shutdown(Shutdown::Both).ok();
        }
        for session in sessions {
            // A panic in a session is already on stderr; in drop() a second one would abort.
            session.join().ok();
        }
    }

    /// Listens (again), on the same port.
    pub fn come_up(&mut self) {
        assert!(self.listening.is_none(), "it is up");
        if !self.queued.is_empty() {
            self.queued.clear();
            self.stop_listening();
        }
        self.listen(128);
        self.shared.stopping.store(false, Ordering::SeqCst);
        let (listener, shared) = (Arc::clone(&self.listener), Arc::clone(&self.shared));
        self.listening = Some(std::thread::spawn(move || accept(&listener, &shared)));
    }

    /// From now on connections are neither taken nor refused, as behind a firewall that drops packets:
    /// for those who wait to be taken there is one place, and somebody has it (listen(2)).
    pub fn go_deaf(&mut self) {
        self.go_down();
        self.listen(0);
        while let Ok(stream) = TcpStream::connect_timeout(&self.address, Duration::from_millis(200)) {
            self.queued.push(stream);
            assert!(self.queued.len() < 16, "the queue never fills");
        }
    }

    fn listen(&self, backlog: i32) {
        listen(&*self.listener, Backlog::new(backlog).expect("it fits")).expect("the socket is bound");
    }

    /// The port stays ours: tcp(7) calls that a disconnect.
    fn stop_listening(&self) {
        socket::shutdown(self.listener.as_raw_fd(), socket::Shutdown::Read).expect("it is listening");
    }

    pub fn connections(&self) -> usize {
        self.shared.seen().connections
    }

    pub fn logins(&self) -> Vec<Login> {
        self.shared.seen().logins.clone()
    }

    /// Command lines in order, with the arguments of AUTH struck out.
    pub fn commands(&self) -> Vec<String> {
        self.shared.seen().commands.clone()
    }

    /// All messages whose final dot arrived.
    pub fn received(&self) -> Vec<Received> {
        self.shared.seen().mails.clone()
    }

    /// Message-ID → how many times it arrived.
    pub fn message_ids(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for mail in self.received() {
            *counts.entry(mail.message_id()).or_default() += 1;
        }
        counts
    }

    /// Waits until `count` messages came, and returns all; panics after `timeout`.
    pub fn wait_for_mails(&self, count: usize, timeout: Duration) -> Vec<Received> {
        self.wait(&format!("{count} mails"), timeout, |seen| seen.mails.len() >= count);
        self.received()
    }

    /// Waits until `count` connections were made; panics after `timeout`.
    pub fn wait_for_connections(&self, count: usize, timeout: Duration) {
        self.wait(&format!("{count} connections"), timeout, |seen| seen.connections >= count);
    }

    /// Waits until a command line starts with `prefix` (any case); panics after `timeout`.
    pub fn wait_for_command(&self, prefix: &str, timeout: Duration) {
        let prefix = prefix.to_ascii_uppercase();
        self.wait(&prefix, timeout, |seen| {
            seen.commands.iter().any(|line| line.to_ascii_uppercase().starts_with(&prefix))
        });
    }

    fn wait(&self, what: &str, timeout: Duration, reached: impl Fn(&Seen) -> bool) {
        let end = Instant::now() + timeout;
        let mut seen = self.shared.seen();
        while !reached(&seen) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what} didn't come within {timeout:?}; the server saw {seen:#?}");
            seen = self.shared.changed.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Breaches of the protocol: bare LF or CR, long lines, commands out of turn, a code in the clear.
    pub fn violations(&self) -> Vec<String> {
        self.shared.seen().violations.clone()
    }

    /// Panics if the client broke the protocol.
    pub fn assert_clean(&self) {
        let violations = self.violations();
        assert!(violations.is_empty(), "the client broke the protocol: {violations:#?}");
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.go_down();
    }
}

/// A socket on a free port. It is bound by its number, lest it lose it when it no longer listens.
fn listener() -> TcpListener {
    loop {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there are free ports");
        let address = free.local_addr().expect("a bound socket has an address");
        drop(free);
        // Fails where somebody was quicker.
        if let Ok(listener) = TcpListener::bind(address) {
            return listener;
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let taken = listener.accept();
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let (stream, _) = taken.expect("accept() on loopback works");
        let kept = stream.try_clone().expect("descriptors are left");
        let session = {
            let shared = Arc::clone(shared);
            std::thread::spawn(move || session::serve(stream, &shared))
        };
        shared.note(|seen| {
            seen.connections += 1;
            seen.streams.push(kept);
            seen.sessions.push(session);
        });
    }
}
