//! Takes mail on loopback, for `benches/mail.py`, and says whether it came whole.
//!
//! ```text
//! sink plain | sink tls    listens on a free port; the first line of JSON says which, and whom to trust
//! ```
//!
//! One connection at a time and in one thread, so that it costs less than whoever sends. Standard input
//! is the other end of a rope: a line on it names the file that the next mails must carry in base64, its
//! end ends the sink. A line of JSON for each mail: `{"bytes": …, "complete": …, "why": …}`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own: ui.rs isn't there")]

use std::io::{self, BufRead, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What is read at once.
const CHUNK: usize = 256 * 1024;
/// RFC 2045 section 6.8.
const BASE64_LINE: usize = 76;
/// By so much of it the attachment is found. Its beginning is that of no other part.
const NEEDLE: usize = 60;
const END: &[u8] = b"\r\n.\r\n";

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
type Expected = Arc<Mutex<Arc<Vec<u8>>>>;

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["plain"] => serve(None),
        ["tls"] => serve(Some(certificate()?)),
        _ => Err("usage: see benches/sink.rs".into()),
    }
}

struct Tls {
    config: Arc<ServerConfig>,
    pem: String,
}

/// A certificate that signs itself: whoever sends is told to trust just that.
fn certificate() -> Outcome<Tls> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    Ok(Tls { config: Arc::new(config), pem: made.cert.pem() })
}

fn serve(tls: Option<Tls>) -> Outcome<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let pem = tls.as_ref().map_or("null".to_owned(), |tls| format!("{:?}", tls.pem));
    println!(r#"{{"port": {}, "pem": {pem}}}"#, listener.local_addr()?.port());
    let expected = Expected::default();
    std::thread::spawn({
        let expected = Arc::clone(&expected);
        move || follow(&expected)
    });
    for stream in listener.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        let file = Arc::clone(&expected.lock().unwrap_or_else(PoisonError::into_inner));
        // How the connection ended is the client's to tell: the mails that came are told.
        let (Ok(()) | Err(_)) = match &tls {
            None => talk(stream, &file),
            Some(tls) => ServerConnection::new(Arc::clone(&tls.config))
                .map_err(io::Error::other)
                .and_then(|connection| talk(StreamOwned::new(connection, stream), &file)),
        };
    }
    Ok(())
}

/// Does what standard input says, and ends with it.
fn follow(expected: &Expected) {
    for line in io::stdin().lock().lines() {
        let read = line.and_then(std::fs::read).map(|bytes| wire_form(&bytes));
        match read {
            Ok(text) => {
                *expected.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(text);
                println!("{{}}");
            }
            Err(error) => {
                eprintln!("sink: {error}");
                break;
            }
        }
    }
    #[expect(clippy::disallowed_methods, reason = "the other thread waits for mail, and there is none")]
    std::process::exit(0);
}

/// A file as an attachment has it, without the last line's end.
fn wire_form(bytes: &[u8]) -> Vec<u8> {
    let text = STANDARD.encode(bytes);
    text.as_bytes().chunks(BASE64_LINE).collect::<Vec<_>>().join(b"\r\n".as_slice())
}

fn talk<S: Read + Write>(stream: S, expected: &[u8]) -> io::Result<()> {
    let mut client = Client { stream, chunk: vec![0; CHUNK], filled: 0, used: 0 };
    client.say("220 sink ESMTP")?;
    loop {
        let line = client.line()?;
        match line.get(..4).map(<[u8]>::to_ascii_uppercase).as_deref() {
            Some(b"EHLO") => {
                client.say("250-sink\r\n250-8BITMIME\r\n250-SIZE 104857600\r\n250 AUTH PLAIN LOGIN")?;
            }
            // By PLAIN with the code in it: whoever comes otherwise isn't measured.
            Some(b"AUTH") => client.say("235 welcome")?,
            Some(b"DATA") => {
                client.say("354 go on")?;
                let mail = client.message(expected)?;
                client.say("250 ok")?;
                println!("{}", mail.verdict());
            }
            Some(b"QUIT") => return client.say("221 bye"),
            _ => client.say("250 ok")?,
        }
    }
}

struct Client<S> {
    stream: S,
    chunk: Vec<u8>,
    filled: usize,
    used: usize,
}

impl<S: Read + Write> Client<S> {
    fn say(&mut self, words: &str) -> io::Result<()> {
        self.stream.write_all(format!("{words}\r\n").as_bytes())?;
        self.stream.flush()
    }

    /// Reads on, behind what nobody has used.
    fn read(&mut self) -> io::Result<()> {
        if self.used == self.filled {
            (self.used, self.filled) = (0, 0);
        }
        let got = self.stream.read(&mut self.chunk[self.filled..])?;
        self.filled += got;
        // A full buffer reads nothing either: no command is that long.
        if got == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let unused = &self.chunk[self.used..self.filled];
            if let Some(end) = unused.iter().position(|byte| *byte == b'\n') {
                let line = unused[..=end].to_vec();
                self.used += end + 1;
                return Ok(line);
            }
            self.read()?;
        }
    }

    /// Everything up to the final dot. Nobody says more before it is answered, so that the dot is at the
    /// end of what was read.
    fn message<'a>(&mut self, expected: &'a [u8]) -> io::Result<Mail<'a>> {
        let mut mail = Mail::new(expected);
        loop {
            let unused = &self.chunk[self.used..self.filled];
            mail.take(unused);
            self.used = self.filled;
            if mail.tail == END {
                return Ok(mail);
            }
            self.read()?;
        }
    }
}

/// A mail as it comes.
struct Mail<'a> {
    bytes: usize,
    /// The last five bytes.
    tail: Vec<u8>,
    expected: &'a [u8],
    attachment: Attachment,
}

enum Attachment {
    /// Not there yet; what came so far.
    Ahead(Vec<u8>),
    /// So much of it was there, and as it should be.
    Inside(usize),
    Whole,
    /// Something else stood here.
    WrongAt(usize),
}

impl<'a> Mail<'a> {
    fn new(expected: &'a [u8]) -> Self {
        let tail = b"\r\n".to_vec();
        Self { bytes: 0, tail, expected, attachment: Attachment::Ahead(Vec::new()) }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(END.len())..]);
        self.tail.drain(..self.tail.len().saturating_sub(END.len()));
        if let Attachment::Ahead(before) = &mut self.attachment {
            before.extend_from_slice(bytes);
            let needle = &self.expected[..self.expected.len().min(NEEDLE)];
            let found = before.windows(needle.len().max(1)).position(|window| window == needle);
            if let Some(at) = found {
                let rest = before.split_off(at);
                self.attachment = Attachment::Inside(0);
                self.compare(&rest);
            }
        } else {
            self.compare(bytes);
        }
    }

    fn compare(&mut self, bytes: &[u8]) {
        let Attachment::Inside(at) = &mut self.attachment else { return };
        let count = bytes.len().min(self.expected.len() - *at);
        if bytes[..count] != self.expected[*at..*at + count] {
            self.attachment = Attachment::WrongAt(*at);
            return;
        }
        *at += count;
        if *at == self.expected.len() {
            self.attachment = Attachment::Whole;
        }
    }

    fn verdict(&self) -> String {
        let why = match &self.attachment {
            Attachment::Whole => "null".to_owned(),
            Attachment::Ahead(_) => r#""the attachment isn't there""#.to_owned(),
            Attachment::Inside(at) => format!(r#""the attachment ends after {at} bytes""#),
            Attachment::WrongAt(at) => format!(r#""the attachment differs after {at} bytes""#),
        };
        format!(r#"{{"bytes": {}, "complete": {}, "why": {why}}}"#, self.bytes, why == "null")
    }
}
