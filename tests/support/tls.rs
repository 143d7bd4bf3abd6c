//! Certificates for the scripted server: a CA made for this test process, and what it signed.

use std::sync::{Arc, OnceLock};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// Which certificate the server shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    /// Signed by the test CA for localhost, 127.0.0.1 and ::1.
    Good,
    /// For the right names, but signed by itself.
    SelfSigned,
    /// Signed by the test CA for `mail.example.com`.
    WrongHost,
    /// Signed by the test CA, valid until the end of 2020.
    Expired,
    /// Signed by the test CA, valid from 2099 on.
    NotYetValid,
}

struct Ca {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn ca() -> &'static Ca {
    static CA: OnceLock<Ca> = OnceLock::new();
    CA.get_or_init(|| {
        let mut params = CertificateParams::new(Vec::new()).expect("no name that could be invalid");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "notify-done test CA");
        let key = KeyPair::generate().expect("ring makes P-256 keys");
        let certificate = params.self_signed(&key).expect("a key that was just made can sign");
        Ca { pem: certificate.pem(), issuer: Issuer::new(params, key) }
    })
}

/// The CA's certificate, PEM: what `ca_file` names.
pub fn ca_pem() -> &'static str {
    &ca().pem
}

/// The server's side of TLS with `certificate`.
pub fn server_config(certificate: Certificate) -> Arc<ServerConfig> {
    let names: &[&str] = match certificate {
        Certificate::WrongHost => &["mail.example.com"],
        _ => &["localhost", "127.0.0.1", "::1"],
    };
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).expect("the names are valid");
    params.distinguished_name.push(DnType::CommonName, "notify-done test server");
    params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    if certificate == Certificate::Expired {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 12, 31);
    }
    if certificate == Certificate::NotYetValid {
        params.not_before = rcgen::date_time_ymd(2099, 1, 1);
        params.not_after = rcgen::date_time_ymd(2099, 12, 31);
    }
    let key = KeyPair::generate().expect("ring makes P-256 keys");
    let signed = match certificate {
        Certificate::SelfSigned => params.self_signed(&key),
        _ => params.signed_by(&key, &ca().issuer),
    };
    let chain: Vec<CertificateDer<'static>> = vec![signed.expect("the keys can sign").der().clone()];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    // The provider is named: no process-wide default is installed that could hide a missing one.
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("the key belongs to the certificate");
    Arc::new(config)
}

/// A ServerHello of a server that knows TLS 1.0 and no later (RFC 2246 section 7.4.1.3).
pub fn tls10_server_hello() -> Vec<u8> {
    let mut hello = vec![3, 1];
    hello.extend_from_slice(&[0x5a; 32]);
    // No session id, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, no compression.
    hello.extend_from_slice(&[0, 0xc0, 0x13, 0]);
    let length = u8::try_from(hello.len()).expect("it is short");
    [&[22, 3, 1, 0, length + 4, 2, 0, 0, length], hello.as_slice()].concat()
}

/// What such a server sends when it can't even say hello: the fatal alert `protocol_version`.
pub fn tls10_alert() -> Vec<u8> {
    vec![21, 3, 1, 0, 2, 2, 70]
}
