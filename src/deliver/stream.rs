//! The bytes between us and a server, made safe for an SMTP client to parse.
//!
//! lettre reads replies without a bound on a line, only as UTF-8 and only with CRLF. This wrapper
//! stands below it: it hands on one checked line at a time, keeps the newest reply with its code
//! whatever its encoding, and can cut the connection before the final ".".

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use secrecy::{ExposeSecret, SecretString};

use super::verdict::Reply;

/// Longest line that a server may send, bytes. RFC 5321 section 4.5.3.1.5 says 512; some send more.
const MAX_LINE: usize = 4096;
/// What is kept of a line; lettre takes no more than 1,000 bytes.
const KEPT_LINE: usize = 900;
/// Most lines that a reply may have.
const MAX_LINES: usize = 128;

/// What the wire knows beyond what lettre tells. Shared with the driver, because lettre owns the
/// stream and gives no way back to it.
#[derive(Debug, Default)]
pub(super) struct Tap {
    code: u16,
    /// The lines of the newest reply, codes taken off.
    lines: Vec<String>,
    finished: bool,
    /// The server closed the connection.
    pub(super) eof: bool,
    /// Nothing more may be written: the message must not be completed.
    pub(super) cut: bool,
    /// What must not be repeated: the code, in each form in which it was sent.
    hidden: Vec<SecretString>,
}

impl Tap {
    /// The newest whole reply.
    pub(super) fn reply(&self) -> Option<Reply> {
        self.finished.then(|| Reply { code: self.code, text: self.lines.join(" ") })
    }

    /// Its lines.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    /// From now on these don't appear in replies: some servers quote what they were sent.
    pub(super) fn conceal(&mut self, secrets: Vec<SecretString>) {
        self.hidden = secrets;
    }

    /// The text without what must not be repeated.
    pub(super) fn hide(&self, text: &str) -> String {
        self.hidden.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose_secret(), "***"))
    }

    fn note(&mut self, line: &ReplyLine) {
        if std::mem::take(&mut self.finished) {
            self.lines.clear();
        }
        self.code = line.code;
        let text = self.hide(&line.text);
        self.lines.push(text);
        self.finished = line.last;
    }
}

/// A handle on the [`Tap`].
#[derive(Debug, Clone, Default)]
pub(super) struct TapHandle(Arc<Mutex<Tap>>);

impl TapHandle {
    pub(super) fn with<T>(&self, f: impl FnOnce(&mut Tap) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One line of a reply.
#[derive(Debug, PartialEq, Eq)]
struct ReplyLine {
    code: u16,
    last: bool,
    text: String,
}

impl ReplyLine {
    /// Reads `250-text`, `250 text` or `250` (RFC 5321 section 4.2), without its line end.
    fn parse(raw: &[u8]) -> Option<Self> {
        let (code, rest) = raw.split_at_checked(3)?;
        if !code.iter().all(u8::is_ascii_digit) || !(b'2'..=b'5').contains(&code[0]) {
            return None;
        }
        let code = code.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
        let (last, text) = match rest.split_first() {
            None => (true, rest),
            Some((b' ', text)) => (true, text),
            Some((b'-', text)) => (false, text),
            Some(_) => return None,
        };
        Some(Self { code, last, text: readable(text) })
    }

    /// The line as lettre can parse it. It knows no second digit above 5, though servers send
    /// `571`; the true code stays in the [`Tap`].
    fn for_lettre(&self) -> Vec<u8> {
        let code = if self.code / 10 % 10 > 5 { self.code / 100 * 100 + 50 } else { self.code };
        format!("{code}{}{}\r\n", if self.last { ' ' } else { '-' }, self.text).into_bytes()
    }
}

/// Text without control characters; bytes that aren't UTF-8 (GBK) become question marks.
fn readable(raw: &[u8]) -> String {
    let text: String = match std::str::from_utf8(raw) {
        Ok(text) => text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        Err(_) => raw.iter().map(|b| if (b' '..=b'~').contains(b) { char::from(*b) } else { '?' }).collect(),
    };
    let mut text = text.trim_end().to_owned();
    while text.len() > KEPT_LINE {
        text.pop();
    }
    text
}

/// A connection whose replies arrive one checked line at a time.
#[derive(Debug)]
pub(super) struct Wire<S> {
    inner: S,
    peer: SocketAddr,
    tap: TapHandle,
    /// Bytes of a line whose end hasn't come.
    partial: Vec<u8>,
    /// Whole lines that nobody has read.
    lines: VecDeque<ReplyLine>,
    /// What is left of the line that lettre is reading.
    serving: VecDeque<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(inner: S, peer: SocketAddr) -> Self {
        Self {
            inner,
            peer,
            tap: TapHandle::default(),
            partial: Vec::new(),
            lines: VecDeque::new(),
            serving: VecDeque::new(),
        }
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub(super) fn tap(&self) -> TapHandle {
        self.tap.clone()
    }

    pub(super) fn into_inner(self) -> S {
        self.inner
    }

    /// Has the server sent more than was asked for?
    pub(super) fn has_unread(&self) -> bool {
        !self.partial.is_empty() || !self.lines.is_empty()
    }

    /// Makes lettre, which begins by reading a greeting, find one: the real one was read here.
    pub(super) fn greet_again(&mut self) {
        self.lines.push_front(ReplyLine { code: 220, last: true, text: "ready".to_owned() });
    }

    /// Writes a line and its CRLF.
    pub(super) async fn say(&mut self, line: &str) -> io::Result<()> {
        self.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.flush().await
    }

    /// Reads one whole reply. The caller sets the time limit.
    ///
    /// # Errors
    /// `UnexpectedEof` when the connection ends first, `InvalidData` when it isn't SMTP.
    pub(super) async fn reply(&mut self) -> io::Result<Reply> {
        for _ in 0..MAX_LINES {
            while self.lines.is_empty() {
                let more = std::future::poll_fn(|cx| self.poll_fill(cx)).await?;
                if !more {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            if let Some(line) = self.lines.pop_front() {
                self.tap.with(|tap| tap.note(&line));
            }
            if let Some(reply) = self.tap.with(|tap| tap.reply()) {
                return Ok(reply);
            }
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, format!("a reply of more than {MAX_LINES} lines")))
    }

    /// Reads once; false: the server closed the connection.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut space = [0; MAX_LINE];
        let mut buf = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buf))?;
        if buf.filled().is_empty() {
            self.tap.with(|tap| tap.eof = true);
            return Poll::Ready(Ok(false));
        }
        self.take_in(buf.filled())?;
        Poll::Ready(Ok(true))
    }

    fn take_in(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            self.partial.extend_from_slice(piece);
            if self.partial.len() > MAX_LINE {
                let what = format!("a line of more than {MAX_LINE} bytes");
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            if self.partial.ends_with(b"\n") {
                let line = self.partial.trim_ascii_end();
                let parsed = ReplyLine::parse(line).ok_or_else(|| {
                    let shown = self.tap.with(|tap| tap.hide(&readable(line)));
                    let shown: String = shown.chars().take(80).collect();
                    io::Error::new(io::ErrorKind::InvalidData, format!("not an SMTP reply: {shown:?}"))
                })?;
                self.lines.push_back(parsed);
                self.partial.clear();
            }
        }
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.serving.is_empty() {
            if let Some(line) = self.lines.pop_front() {
                self.tap.with(|tap| tap.note(&line));
                self.serving = line.for_lettre().into();
            } else if !ready!(self.poll_fill(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
        // One line and no more: the tap must hold what lettre is reading, not what comes after it.
        let take = buf.remaining().min(self.serving.len());
        let bytes: Vec<u8> = self.serving.drain(..take).collect();
        buf.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.tap.with(|tap| tap.cut) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S> AsyncTokioStream for Wire<S>
where
    S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug,
{
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(raw: &[u8]) -> Option<(u16, bool, String)> {
        ReplyLine::parse(raw).map(|l| (l.code, l.last, l.text))
    }

    /// Catches: a bare code refused, GBK losing the code, control characters let through.
    #[test]
    fn lines_that_servers_send() {
        assert_eq!(line(b"250"), Some((250, true, String::new())));
        assert_eq!(line(b"250-SIZE 1"), Some((250, false, "SIZE 1".into())));
        assert_eq!(line(b"535 \xb4\xed\xce\xf3 x"), Some((535, true, "???? x".into())));
        assert_eq!(line("550 拒绝".as_bytes()), Some((550, true, "拒绝".into())));
        assert_eq!(line(b"550 a\x1b[31mb"), Some((550, true, "a [31mb".into())));
        assert_eq!(line(b"HTTP/1.1 400 Bad Request"), None);
        assert_eq!(line(b"25"), None);
        assert_eq!(line(b"2500 x"), None);
        assert_eq!(line(b"999 x"), None);
    }

    /// Catches: a code like 571 that lettre can't parse turning a refusal into "garbage".
    #[test]
    fn a_code_beyond_lettre_is_handed_on_as_its_class() {
        let refused = ReplyLine::parse(b"571 not authorised").unwrap();
        assert_eq!(refused.for_lettre(), b"550 not authorised\r\n");
        assert_eq!(refused.code, 571);
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let raw = format!("550 {}", "错".repeat(1000));
        let (_, _, text) = line(raw.as_bytes()).unwrap();
        assert!(text.len() <= KEPT_LINE && text.chars().all(|c| c == '错'));
    }
}
