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
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

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
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
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
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut server = Self { address, shared: Arc::new(shared), listening: None };
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
        let Some(listening) = self.listening.take() else { return };
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.note(|_| ());
        // Wakes accept(); that it fails means that nobody listens any more.
        drop(TcpStream::connect(self.address));
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
        let listener = TcpListener::bind(self.address).expect("the port is free");
        self.address = listener.local_addr().expect("a bound socket has an address");
        self.shared.stopping.store(false, Ordering::SeqCst);
        let shared = Arc::clone(&self.shared);
        self.listening = Some(std::thread::spawn(move || accept(&listener, &shared)));
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

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let stream = stream.expect("accept() on loopback works");
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
