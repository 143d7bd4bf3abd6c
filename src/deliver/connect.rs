//! From a host's name to a connection: resolving and TCP; and what a broken one means.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use lettre::transport::smtp::extension::ClientId;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::diagnose::classify;
use super::job::Limits;
use super::tls;
use super::verdict::{Cause, Failure, Stage};

/// Addresses of a host that are tried.
const MAX_ADDRESSES: usize = 8;

pub(super) fn failure(stage: Stage, cause: Cause) -> Failure {
    Failure { stage, class: classify(stage, &cause), cause }
}

pub(super) fn at(stage: Stage) -> impl Fn(Cause) -> Failure {
    move |cause| failure(stage, cause)
}

pub(super) fn hello(name: Option<&str>) -> std::result::Result<ClientId, Cause> {
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

pub(super) async fn within<T>(
    limit: Duration,
    step: impl Future<Output = T>,
) -> std::result::Result<T, Cause> {
    let after_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    timeout(limit, step).await.map_err(|_| Cause::Timeout { after_ms })
}

pub(super) async fn connect(
    host: &str,
    port: u16,
    limits: &Limits,
) -> std::result::Result<TcpStream, Failure> {
    let found = within(limits.connect, tokio::net::lookup_host((host, port)))
        .await
        .map_err(at(Stage::Resolve))?
        .map_err(|error| failure(Stage::Resolve, Cause::Unresolved { detail: error.to_string() }))?;
    let mut last = Cause::Unresolved { detail: "it has no address".to_owned() };
    for address in found.take(MAX_ADDRESSES) {
        match within(limits.connect, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                // Commands are small and each waits for its answer. Only speed is lost without.
                tcp.set_nodelay(true).ok();
                return Ok(tcp);
            }
            Ok(Err(error)) => last = Cause::Unreachable { detail: error.to_string() },
            Err(cause) => last = cause,
        }
    }
    let stage = if matches!(last, Cause::Unresolved { .. }) { Stage::Resolve } else { Stage::Connect };
    Err(failure(stage, last))
}

pub(super) fn io_cause(error: &io::Error) -> Cause {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return Cause::Tls(tls::trouble(tls));
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
