//! TLS for the connection to a server: whom to trust, and what a failed handshake means.
//!
//! TLS 1.2 or later, the platform's roots (those built in where it has none) plus the account's
//! `ca_file`. There is no switch to accept a bad certificate.

use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore,
    SignatureScheme,
};

use super::verdict::{Cause, TlsTrouble};
use crate::sys::fs::open_trusted;

/// Certificates of a server that are looked at.
const LONGEST_CHAIN: usize = 8;
/// No `ca_file` is larger, bytes.
const LARGEST: u64 = 1 << 20;

/// The configuration for one connection; `presented` gets to know what the server shows.
///
/// # Errors
/// [`Cause::CaFile`] when `ca_file` can't be read, holds no certificate or one that can't be used.
pub(super) fn client_config(
    ca_file: Option<&Path>,
    presented: Option<Presented>,
) -> Result<Arc<ClientConfig>, Cause> {
    let roots = match ca_file {
        None => platform().clone(),
        Some(path) => {
            let mut roots = RootCertStore::clone(platform());
            add_file(&mut roots, path).map_err(|detail| Cause::CaFile { detail })?;
            Arc::new(roots)
        }
    };
    // The provider is passed and not installed: a process-wide default is nobody's to set here.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("ring has the suites of both versions");
    let config = match presented {
        None => builder.with_root_certificates(roots),
        Some(presented) => {
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
            let verifier = verifier.map_err(|error| Cause::CaFile { detail: error.to_string() })?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Witness { verifier, presented }))
        }
    };
    Ok(Arc::new(config.with_no_client_auth()))
}

/// The roots of the platform: read once, since it takes some milliseconds, and only where there is
/// TLS at all.
fn platform() -> &'static Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        // Single files of the platform that can't be read are no reason to trust nothing.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        Arc::new(roots)
    })
}

/// The chain that a server has shown, also when it isn't trusted.
#[derive(Debug, Clone, Default)]
pub(super) struct Presented(Arc<Mutex<Vec<CertificateDer<'static>>>>);

impl Presented {
    pub(super) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Judges as the usual verifier does, and remembers what was shown.
#[derive(Debug)]
struct Witness {
    verifier: Arc<WebPkiServerVerifier>,
    presented: Presented,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = std::iter::once(end_entity).chain(intermediates);
        *self.presented.0.lock().unwrap_or_else(PoisonError::into_inner) =
            chain.take(LONGEST_CHAIN).map(|certificate| certificate.clone().into_owned()).collect();
        self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// In the words of the standards: `TLSv1_3`, `TLS13_AES_256_GCM_SHA384`.
pub(super) fn version_and_cipher(connection: Option<&ClientConnection>) -> (Option<String>, Option<String>) {
    let version = connection.and_then(|it| it.protocol_version()).map(|version| format!("{version:?}"));
    let suite = connection.and_then(|it| it.negotiated_cipher_suite());
    (version, suite.map(|suite| format!("{:?}", suite.suite())))
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let shown = path.display();
    // Bounded: /dev/zero is a path, too. The largest bundles of all CAs have a quarter of this.
    let file = open_trusted(path).map_err(|error| format!("can't read {shown}: {error}"))?;
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
