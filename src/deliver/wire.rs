//! The bytes between us and a server, in clear or encrypted.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use secrecy::zeroize::Zeroize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::recorder::Recorder;
use super::reply::{Answer, Concealed, Replies};
use super::tls;

/// Bytes that are read at a time. Replies are short.
const READ: usize = 4096;

/// What the bytes travel through.
enum Channel {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Channel {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Channel::Clear(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Channel::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buf),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Channel::Clear(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Channel::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Channel::Clear(tcp) => Pin::new(tcp).poll_flush(cx),
            Channel::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
        }
    }
}

/// A connection whose replies arrive whole. It sets no time limits: who calls does.
pub(super) struct Wire {
    channel: Channel,
    peer: SocketAddr,
    replies: Replies,
    recorder: Option<Recorder>,
}

/// How writing a part of the message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    All,
    /// The server spoke before it was all written: it takes no more.
    Interrupted,
}

impl Wire {
    pub(super) fn new(tcp: TcpStream, recorder: Option<Recorder>) -> io::Result<Self> {
        let peer = tcp.peer_addr()?;
        let wire = Self { channel: Channel::Clear(tcp), peer, replies: Replies::default(), recorder };
        wire.note(|| format!("connect: {peer}"));
        Ok(wire)
    }

    /// Takes down something that nobody said.
    pub(super) fn note(&self, text: impl FnOnce() -> String) {
        if let Some(recorder) = &self.recorder {
            recorder.note(|transcript, at| transcript.noted(at, text()));
        }
    }

    /// Takes down a command, in the form in which it may be shown.
    pub(super) fn note_command(&self, shown: &str) {
        if let Some(recorder) = &self.recorder {
            recorder.note(|transcript, at| transcript.sent(at, shown));
        }
    }

    /// The TLS connection, if it is one.
    pub(super) fn tls(&self) -> Option<&ClientConnection> {
        match &self.channel {
            Channel::Clear(_) => None,
            Channel::Tls(tls) => Some(tls.get_ref().1),
        }
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self.channel, Channel::Tls(_))
    }

    /// Goes on in TLS, which begins now. Nothing that came in clear text counts as said in it: ask
    /// [`Wire::has_unread`] first (RFC 3207 section 6).
    pub(super) async fn encrypt(
        self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<Self> {
        let channel = match self.channel {
            Channel::Clear(tcp) => Box::new(TlsConnector::from(config).connect(name, tcp).await?),
            Channel::Tls(tls) => tls,
        };
        let wire = Self { channel: Channel::Tls(channel), replies: Replies::default(), ..self };
        wire.note(|| match tls::version_and_cipher(wire.tls()) {
            (Some(version), Some(cipher)) => format!("tls: {version}, {cipher}"),
            _ => "tls".to_owned(),
        });
        Ok(wire)
    }

    /// From now on these don't appear in replies.
    pub(super) fn conceal(&mut self, hidden: Concealed) {
        self.replies.conceal(hidden);
    }

    /// Has the server sent more than was asked for?
    pub(super) fn has_unread(&self) -> bool {
        self.replies.has_unread()
    }

    /// Writes a command and reads the answer. When it can't be written, what the server said before
    /// it closed (421) is the answer.
    pub(super) async fn ask(&mut self, command: &[u8]) -> io::Result<Answer> {
        match self.write(command).await {
            Ok(()) => self.reply().await,
            Err(error) => match self.reply().await {
                Ok(answer) if answer.digit() >= 4 => Ok(answer),
                _ => Err(error),
            },
        }
    }

    /// Reads one whole reply.
    ///
    /// # Errors
    /// `UnexpectedEof` when the connection ends first, `InvalidData` when it isn't SMTP.
    pub(super) async fn reply(&mut self) -> io::Result<Answer> {
        loop {
            let next = self.replies.next();
            let next = next.map_err(|bad| io::Error::new(io::ErrorKind::InvalidData, bad.0))?;
            if let Some(answer) = next {
                if let Some(recorder) = &self.recorder {
                    recorder.note(|transcript, at| transcript.answered(at, &answer));
                }
                return Ok(answer);
            }
            if !std::future::poll_fn(|cx| self.poll_fill(cx)).await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Has the server said something that nobody asked for, or closed? Doesn't wait.
    pub(super) async fn spoke(&mut self) -> bool {
        // What has come is seen by the runtime when it looks: while nothing waits it never does.
        tokio::task::yield_now().await;
        let unread = self.replies.has_unread();
        unread || std::future::poll_fn(|cx| Poll::Ready(self.poll_fill(cx).is_ready())).await
    }

    /// Writes a part of the message; whole TLS records of it go out, the rest with the next part or
    /// [`Wire::flush`].
    pub(super) async fn write_part(&mut self, part: &[u8]) -> io::Result<Written> {
        let mut rest = part;
        std::future::poll_fn(|cx| {
            while !rest.is_empty() {
                match self.channel.poll_write(cx, rest) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(written)) => rest = &rest[written..],
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return self.poll_interruption(cx),
                }
            }
            Poll::Ready(Ok(Written::All))
        })
        .await
    }

    /// Sees to it that all of the message is on its way.
    pub(super) async fn flush(&mut self) -> io::Result<Written> {
        std::future::poll_fn(|cx| match self.channel.poll_flush(cx) {
            Poll::Ready(flushed) => Poll::Ready(flushed.map(|()| Written::All)),
            Poll::Pending => self.poll_interruption(cx),
        })
        .await
    }

    /// While a write waits: a server that takes no more of the message may say why.
    fn poll_interruption(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Written>> {
        match ready!(self.poll_fill(cx))? {
            true => Poll::Ready(Ok(Written::Interrupted)),
            false => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        std::future::poll_fn(|cx| {
            while !rest.is_empty() {
                match ready!(self.channel.poll_write(cx, rest))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    written => rest = &rest[written..],
                }
            }
            self.channel.poll_flush(cx)
        })
        .await
    }

    /// Reads once; false: the server closed the connection.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut space = [0; READ];
        let mut buf = ReadBuf::new(&mut space);
        ready!(self.channel.poll_read(cx, &mut buf))?;
        let more = !buf.filled().is_empty();
        self.replies.take_in(buf.filled());
        // A server may have quoted the code.
        space.zeroize();
        Poll::Ready(Ok(more))
    }
}
