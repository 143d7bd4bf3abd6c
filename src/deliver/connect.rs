//! From a host's name to a connection: resolving and TCP; and what a broken one means.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use lettre::transport::smtp::extension::ClientId;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::diagnose::classify;
use super::eyeballs::{by_turns, race};
use super::job::Limits;
use super::tls;
use super::verdict::{Cause, Failure, Stage, TlsTrouble};

pub(super) fn failure(stage: Stage, cause: Cause) -> Failure {
    Failure { stage, class: classify(stage, &cause), cause }
}

pub(super) fn at(stage: Stage) -> impl Fn(Cause) -> Failure {
    move |cause| failure(stage, cause)
}

pub(super) fn hello(name: Option<&str>) -> Result<ClientId, Cause> {
    match name {
        None => Ok(ClientId::Ipv4(Ipv4Addr::LOCALHOST)),
        Some(name) if !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(ClientId::Domain(name.to_owned()))
        }
        Some(name) => Err(Cause::BadAddress { text: name.to_owned() }),
    }
}

/// May a code be sent there without TLS? Only to this machine itself.
pub(super) fn clear_text_is_safe(peer: IpAddr) -> bool {
    peer.to_canonical().is_loopback()
}

pub(super) async fn within<T>(limit: Duration, step: impl Future<Output = T>) -> Result<T, Cause> {
    let after_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    timeout(limit, step).await.map_err(|_| Cause::Timeout { after_ms })
}

/// The host's addresses, in the order in which they are tried.
pub(super) async fn resolve(host: &str, port: u16, limits: &Limits) -> Result<Vec<SocketAddr>, Failure> {
    let unresolved = |detail: String| failure(Stage::Resolve, Cause::Unresolved { detail });
    let found = within(limits.connect, tokio::net::lookup_host((host, port)))
        .await
        .map_err(at(Stage::Resolve))?
        .map_err(|error| unresolved(error.to_string()))?;
    let addresses = by_turns(found);
    if addresses.is_empty() { Err(unresolved("it has no address".to_owned())) } else { Ok(addresses) }
}

/// Connects to whichever answers first.
pub(super) async fn dial(addresses: Vec<SocketAddr>, limits: &Limits) -> Result<TcpStream, Failure> {
    let limit = limits.connect;
    let connect = move |address| async move {
        let tcp = within(limit, TcpStream::connect(address)).await?;
        tcp.map_err(|error| Cause::Unreachable { detail: error.to_string() })
    };
    let tcp = race(addresses, connect).await.map_err(at(Stage::Connect))?;
    // Commands are small and each waits for its answer. Only speed is lost without.
    tcp.set_nodelay(true).ok();
    Ok(tcp)
}

/// Why the handshake failed.
pub(super) fn handshake_cause(error: &io::Error) -> Cause {
    tls_error(error).map_or_else(|| io_cause(error), |tls| Cause::Tls(tls::trouble(tls)))
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// Why a connection broke that had been made, encrypted or not.
pub(super) fn io_cause(error: &io::Error) -> Cause {
    if let Some(tls) = tls_error(error) {
        return match tls::trouble(tls) {
            // The port does have TLS: something on the way, or a server that falls over, spoke up.
            TlsTrouble::NotTls => Cause::Broken { detail: tls.to_string() },
            other => Cause::Tls(other),
        };
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => Cause::Closed,
        io::ErrorKind::InvalidData => Cause::Malformed { detail: error.to_string() },
        _ => Cause::Broken { detail: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::super::verdict::Class;
    use super::*;

    /// Catches: a code in clear text on a network, by a name that only looks local.
    #[test]
    fn only_loopback_is_safe() {
        for safe in ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"] {
            assert!(clear_text_is_safe(safe.parse().unwrap()), "{safe}");
        }
        for unsafe_ in ["192.168.0.1", "10.0.0.1", "0.0.0.0", "fe80::1", "::ffff:192.0.2.1", "::"] {
            assert!(!clear_text_is_safe(unsafe_.parse().unwrap()), "{unsafe_}");
        }
    }

    /// Catches: a server that breaks down in the middle of TLS taken for a port without, which would hold
    /// the account as set up wrongly.
    #[test]
    fn clear_text_after_the_handshake_is_no_matter_of_settings() {
        let clear = rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType);
        let error = io::Error::new(io::ErrorKind::InvalidData, clear);
        assert_eq!(handshake_cause(&error), Cause::Tls(TlsTrouble::NotTls));
        let later = failure(Stage::MailFrom, io_cause(&error));
        assert_eq!(later.class, Class::Transient);
        assert!(matches!(later.cause, Cause::Broken { .. }), "{later:?}");
    }

    /// Catches: an address that swallows packets waited for to its limit. Here it is a listener whose
    /// queue is full.
    #[test]
    fn an_address_that_hangs_costs_a_moment() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let full = tokio::net::TcpSocket::new_v4().unwrap();
            full.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let full = full.listen(0).unwrap();
            let hangs = full.local_addr().unwrap();
            let mut queue = Vec::new();
            let short = Duration::from_millis(200);
            while let Ok(Ok(tcp)) = timeout(short, TcpStream::connect(hangs)).await {
                queue.push(tcp);
                assert!(queue.len() < 100, "the queue is never full");
            }
            let good = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let nothing =
                SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, good.local_addr().unwrap().port()));
            let limits = Limits::within(Duration::from_secs(30));
            let begin = std::time::Instant::now();
            let tcp = dial(vec![hangs, nothing, good.local_addr().unwrap()], &limits).await.unwrap();
            let took = begin.elapsed();
            assert_eq!(tcp.peer_addr().unwrap(), good.local_addr().unwrap());
            assert!(took >= Duration::from_millis(250) && took < Duration::from_secs(3), "{took:?}");
        });
    }

    /// Catches: a line break in `hello_name` becoming a command of its own.
    #[test]
    fn a_hello_name_cant_be_a_command() {
        assert_eq!(hello(None).unwrap().to_string(), "[127.0.0.1]");
        assert_eq!(hello(Some("gpu07.example.com")).unwrap().to_string(), "gpu07.example.com");
        for bad in ["", "a b", "a\r\nQUIT", "名"] {
            assert!(hello(Some(bad)).is_err(), "{bad:?}");
        }
    }
}
