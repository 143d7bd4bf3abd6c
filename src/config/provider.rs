//! The table of providers: what an address alone tells about its server. Pure.

use std::path::PathBuf;

/// Where and how an account's mail goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub host: String,
    pub port: u16,
    pub tls: Tls,
    pub auth: Auth,
    /// A PEM file whose certificates are trusted beside the platform's.
    pub ca_file: Option<PathBuf>,
    /// What EHLO says; None: `[127.0.0.1]`, never the raw host name.
    pub hello_name: Option<String>,
    /// The largest message that the provider takes, bytes on the wire.
    pub max_message: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// TLS from the first byte (RFC 8314).
    Implicit,
    /// STARTTLS (RFC 3207), required: never sends a code without it.
    StartTls,
    /// No TLS: to loopback only.
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// What the server offers: PLAIN, else LOGIN.
    Auto,
    Plain,
    Login,
}
