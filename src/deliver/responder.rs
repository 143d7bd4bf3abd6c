//! A small scripted SMTP server for this stage's own tests: loopback, one thread a connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use base64::Engine as _;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What to do instead of the usual.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Say(Vec<u8>),
    /// Says it and closes.
    SayAndDrop(Vec<u8>),
    Drop,
    /// Reads on and never answers.
    Hang,
}

pub(crate) fn say(text: &str) -> Option<Act> {
    Some(Act::Say(format!("{text}\r\n").into_bytes()))
}

#[derive(Debug, Clone)]
pub(crate) enum Mode {
    Plain,
    Implicit(Arc<ServerConfig>),
    StartTls(Arc<ServerConfig>),
}

/// A message that was accepted.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// The bytes on the wire after DATA, before the line with the ".".
    pub(crate) raw: Vec<u8>,
}

#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) taken: Vec<Taken>,
    /// Every command line, credentials decoded.
    pub(crate) said: Vec<String>,
}

/// Called with each event: `CONNECT`, a command line, `USER`, `CODE`, `BODY <bytes>`, `.`.
type Quirk = Box<dyn Fn(&str) -> Option<Act> + Send + Sync>;

pub(crate) struct Responder {
    pub(crate) port: u16,
    pub(crate) seen: Arc<Mutex<Seen>>,
}

pub(crate) const OFFERS: &str = "250-example\r\n250-SIZE 73400320\r\n250-AUTH LOGIN PLAIN\r\n250 8BITMIME";

impl Responder {
    pub(crate) fn start(mode: Mode, quirk: impl Fn(&str) -> Option<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = seen.clone();
        let quirk: Arc<Quirk> = Arc::new(Box::new(quirk));
        std::thread::spawn(move || {
            for tcp in listener.incoming() {
                let (mode, quirk, seen) = (mode.clone(), quirk.clone(), shared.clone());
                std::thread::spawn(move || serve(tcp.unwrap(), &mode, &quirk, &seen));
            }
        });
        Self { port, seen }
    }

    pub(crate) fn said(&self) -> Vec<String> {
        self.seen.lock().unwrap().said.clone()
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.seen.lock().unwrap().taken.clone()
    }
}

trait Channel: Read + Write + Send {}
impl<T: Read + Write + Send> Channel for T {}

struct Conversation<'a> {
    io: BufReader<Box<dyn Channel>>,
    quirk: &'a Quirk,
    seen: &'a Mutex<Seen>,
}

/// The conversation is over.
struct Over;

type Step<T> = Result<T, Over>;

fn serve(tcp: TcpStream, mode: &Mode, quirk: &Quirk, seen: &Mutex<Seen>) {
    let raw = tcp.try_clone().unwrap();
    let io: Box<dyn Channel> = match mode {
        Mode::Implicit(config) => encrypt(tcp, config),
        _ => Box::new(tcp),
    };
    let mut talk = Conversation { io: BufReader::new(io), quirk, seen };
    // Over is the usual end.
    talk.run(mode, &raw).err();
    raw.shutdown(std::net::Shutdown::Both).ok();
}

fn encrypt(tcp: TcpStream, config: &Arc<ServerConfig>) -> Box<dyn Channel> {
    Box::new(StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), tcp))
}

impl Conversation<'_> {
    fn put(&mut self, bytes: &[u8]) -> Step<()> {
        let io = self.io.get_mut();
        io.write_all(bytes).and_then(|()| io.flush()).map_err(|_| Over)
    }

    fn answer(&mut self, event: &str, usual: &str) -> Step<Vec<u8>> {
        let said = match (self.quirk)(event) {
            None => format!("{usual}\r\n").into_bytes(),
            Some(Act::Say(bytes)) => bytes,
            Some(Act::SayAndDrop(bytes)) => {
                self.put(&bytes)?;
                return Err(Over);
            }
            Some(Act::Drop) => return Err(Over),
            Some(Act::Hang) => {
                std::io::copy(&mut self.io, &mut std::io::sink()).ok();
                return Err(Over);
            }
        };
        self.put(&said)?;
        Ok(said)
    }

    fn line(&mut self) -> Step<String> {
        let mut line = String::new();
        match self.io.read_line(&mut line) {
            Ok(n) if n > 0 && line.ends_with("\r\n") => Ok(line.trim_end().to_owned()),
            _ => Err(Over),
        }
    }

    fn note(&self, what: &str) {
        self.seen.lock().unwrap().said.push(what.to_owned());
    }

    fn run(&mut self, mode: &Mode, raw: &TcpStream) -> Step<()> {
        self.answer("CONNECT", "220 example")?;
        let (mut from, mut to) = (String::new(), Vec::new());
        let mut clear = matches!(mode, Mode::StartTls(_));
        loop {
            let line = self.line()?;
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_owned();
            if verb != "AUTH" {
                self.note(&line);
            }
            match verb.as_str() {
                "EHLO" if clear => drop(self.answer(&line, "250-example\r\n250 STARTTLS")?),
                "EHLO" => drop(self.answer(&line, OFFERS)?),
                "HELO" | "RSET" => {
                    to.clear();
                    self.answer(&line, "250 ok")?;
                }
                "STARTTLS" => {
                    self.answer(&line, "220 go ahead")?;
                    if let Mode::StartTls(config) = mode {
                        self.io = BufReader::new(encrypt(raw.try_clone().unwrap(), config));
                        clear = false;
                    }
                }
                "AUTH" => self.auth(&line)?,
                "MAIL" => {
                    from = angle(&line);
                    self.answer(&line, "250 ok")?;
                }
                "RCPT" => {
                    if self.answer(&line, "250 ok")?.starts_with(b"250") {
                        to.push(angle(&line));
                    }
                }
                "DATA" => {
                    if self.answer(&line, "354 go on")?.starts_with(b"354") {
                        let raw = self.body()?;
                        // Locked over the answer: who has read it must also see what was taken.
                        let shared = self.seen;
                        let mut seen = shared.lock().unwrap();
                        if self.answer(".", "250 OK: queued as.")?.starts_with(b"250") {
                            seen.taken.push(Taken { from: from.clone(), to: std::mem::take(&mut to), raw });
                        }
                    }
                }
                "QUIT" => {
                    self.answer(&line, "221 bye")?;
                    return Err(Over);
                }
                _ => drop(self.answer(&line, "502 no")?),
            }
        }
    }

    fn auth(&mut self, line: &str) -> Step<()> {
        if let Some(both) = line.strip_prefix("AUTH PLAIN ") {
            self.note(&format!("AUTH PLAIN {}", decode(both).replace('\0', "|")));
            if self.answer("AUTH PLAIN", "235 ok")?.starts_with(b"334") {
                let both = self.line()?;
                self.note(&format!("BOTH {}", decode(&both).replace('\0', "|")));
                self.answer("BOTH", "235 ok")?;
            }
            return Ok(());
        }
        self.note(line);
        self.answer("AUTH LOGIN", "334 VXNlcm5hbWU6")?;
        let user = self.line()?;
        self.note(&format!("USER {}", decode(&user)));
        self.answer("USER", "334 UGFzc3dvcmQ6")?;
        let code = self.line()?;
        self.note(&format!("CODE {}", decode(&code)));
        self.answer("CODE", "235 ok")?;
        Ok(())
    }

    fn body(&mut self) -> Step<Vec<u8>> {
        let mut raw = Vec::new();
        loop {
            let start = raw.len();
            if !matches!(self.io.read_until(b'\n', &mut raw), Ok(n) if n > 0) {
                return Err(Over);
            }
            if &raw[start..] == b".\r\n" && (start == 0 || raw[..start].ends_with(b"\r\n")) {
                raw.truncate(start);
                return Ok(raw);
            }
            match (self.quirk)(&format!("BODY {}", raw.len())) {
                None => {}
                // And reads on.
                Some(Act::Say(bytes)) => self.put(&bytes)?,
                Some(Act::SayAndDrop(bytes)) => {
                    self.put(&bytes)?;
                    return Err(Over);
                }
                Some(Act::Hang) => {
                    // Holds the connection open and reads nothing, so that the writer gets stuck.
                    loop {
                        std::thread::park();
                    }
                }
                Some(_) => return Err(Over),
            }
        }
    }
}

fn decode(text: &str) -> String {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn angle(line: &str) -> String {
    let start = line.find('<').map_or(0, |at| at + 1);
    let end = line.find('>').unwrap_or(line.len());
    line[start..end].to_owned()
}

/// A CA made for this process, and a server certificate that it signed.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// The CA's certificate in PEM form, on disk.
    pub(crate) file: PathBuf,
    _folder: tempfile::TempDir,
}

pub(crate) fn authority() -> &'static Authority {
    static ONE: OnceLock<Authority> = OnceLock::new();
    ONE.get_or_init(|| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Of another name than the servers', lest a self-signed one look like a forgery of it.
        params.distinguished_name.push(rcgen::DnType::CommonName, "a test's own CA");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, certificate.pem()).unwrap();
        Authority { issuer: Issuer::new(params, key), file, _folder: folder }
    })
}

/// How the server's certificate is wrong, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Certificate {
    Good,
    SelfSigned,
    OtherName,
    Expired,
}

pub(crate) fn server_config(kind: Certificate) -> Arc<ServerConfig> {
    let name = if kind == Certificate::OtherName { "elsewhere.example.com" } else { "localhost" };
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if kind == Certificate::Expired {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = match kind {
        Certificate::SelfSigned => params.self_signed(&key).unwrap(),
        _ => params.signed_by(&key, &authority().issuer).unwrap(),
    };
    let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    Arc::new(config)
}
