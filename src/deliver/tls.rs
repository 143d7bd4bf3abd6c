//! TLS for the connection to a server: whom to trust, and what a failed handshake means.
//!
//! TLS 1.2 or later, the platform's roots (those built in where it has none) plus the account's
//! `ca_file`. There is no switch to accept a bad certificate.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};

use super::verdict::{Cause, TlsTrouble};
use crate::sys::fs::open_regular;

/// No `ca_file` is larger, bytes.
const LARGEST: u64 = 1 << 20;

/// The configuration for one connection.
///
/// # Errors
/// [`Cause::CaFile`] when `ca_file` can't be read, holds no certificate or one that can't be used.
pub(super) fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, Cause> {
    let mut roots = RootCertStore::empty();
    // Single files of the platform that can't be read are no reason to trust nothing.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Some(path) = ca_file {
        add_file(&mut roots, path).map_err(|detail| Cause::CaFile { detail })?;
    }
    // The provider is passed and not installed: a process-wide default is nobody's to set here.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("ring has the suites of both versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let shown = path.display();
    // Bounded: /dev/zero is a path, too. The largest bundles of all CAs have a quarter of this.
    let file = open_regular(path).map_err(|error| format!("can't read {shown}: {error}"))?;
    let certificates = CertificateDer::pem_reader_iter(std::io::BufReader::new(file.take(LARGEST)));
    let mut added = 0;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| format!("can't read {shown}: {error}"))?;
        roots.add(certificate).map_err(|error| format!("a certificate in {shown}: {error}"))?;
        added += 1;
    }
    if added == 0 {
        return Err(format!("{shown} holds no certificate in PEM form"));
    }
    Ok(())
}

/// Puts rustls's words into ours.
pub(super) fn trouble(error: &rustls::Error) -> TlsTrouble {
    use CertificateError as C;
    match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            // A certificate that its maker signed himself is reported in several ways, by whether
            // it is marked as a CA and whether one that is trusted bears the same name: to a user
            // it is the same thing.
            C::UnknownIssuer
            | C::BadSignature
            | C::UnsupportedSignatureAlgorithmContext { .. }
            | C::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => TlsTrouble::UnknownIssuer,
            C::Expired | C::ExpiredContext { .. } => TlsTrouble::Expired,
            C::NotValidYet | C::NotValidYetContext { .. } => TlsTrouble::NotValidYet,
            C::NotValidForName | C::NotValidForNameContext { .. } => TlsTrouble::WrongName,
            C::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => TlsTrouble::UnknownIssuer,
            other => TlsTrouble::Other(other.to_string()),
        },
        rustls::Error::InvalidMessage(_) => TlsTrouble::NotTls,
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => TlsTrouble::TooOld,
        other => TlsTrouble::Other(other.to_string()),
    }
}
