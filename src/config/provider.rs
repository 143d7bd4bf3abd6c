//! The table of providers: what an address alone tells about its server. Pure.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::secret::CODE_LENGTH;

/// Where and how an account's mail goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub host: String,
    pub port: u16,
    pub tls: Tls,
    /// Where else the same host takes mail, tried in this order when nothing answers as it should at
    /// `port`. Empty as soon as the user says where: then it is that or nothing.
    pub fallback: Vec<Endpoint>,
    pub auth: Auth,
    /// A PEM file whose certificates are trusted beside the platform's.
    pub ca_file: Option<PathBuf>,
    /// What EHLO says; None: `[127.0.0.1]`, never the raw host name.
    pub hello_name: Option<String>,
    /// The largest message that the provider takes, bytes on the wire.
    pub max_message: u64,
}

impl Server {
    /// Where it is tried first.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint { port: self.port, tls: self.tls }
    }

    /// All that may be tried, in order.
    pub fn endpoints(&self) -> impl Iterator<Item = Endpoint> + '_ {
        std::iter::once(self.endpoint()).chain(self.fallback.iter().copied())
    }
}

/// One of a host's ports that take mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    pub port: u16,
    pub tls: Tls,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
    /// LOGIN, else PLAIN: some presets say so, a user can't.
    LoginFirst,
    Plain,
    Login,
}

/// What is known of a provider.
#[derive(Debug, PartialEq, Eq)]
pub struct Preset {
    /// What `provider = "…"` says.
    pub name: &'static str,
    /// Domains of the login, lower case; empty: chosen by name only.
    pub domains: &'static [&'static str],
    pub host: &'static str,
    pub port: u16,
    pub tls: Tls,
    /// The port for `tls = "starttls"`.
    pub starttls_port: u16,
    /// See [`Server::fallback`]; never in clear text.
    pub fallback: &'static [Endpoint],
    pub auth: Auth,
    /// Bytes on the wire.
    pub max_message: u64,
    /// Characters of the provider's codes, where all of them have the same.
    pub code_length: Option<usize>,
    /// Where the authorization code is made.
    pub help: Help,
}

/// A sentence in the two languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Help {
    pub en: &'static str,
    pub zh: &'static str,
}

/// QQ's EHLO says `SIZE 73400320`.
const QQ_LIMIT: u64 = 73_400_320;
/// NetEase says no SIZE; 50 MB on the wire is assumed.
const NETEASE_LIMIT: u64 = 50_000_000;
/// Gmail takes 25 MB of attachments; its EHLO says `SIZE 35882577`.
const GMAIL_LIMIT: u64 = 35_882_577;
/// Outlook.com takes 25 MB of attachments, about 35 MB in base64; assumed.
const OUTLOOK_LIMIT: u64 = 35_000_000;
/// A provider that isn't known to take more: 20 MiB, assumed.
pub const CAUTIOUS_LIMIT: u64 = 20 * 1024 * 1024;

/// help.mail.qq.com/detail/0/1087
const QQ_HELP: Help = Help {
    en: "in QQ's web mail: 设置 → 账号 (older pages) or 设置 → 常规 → enable POP3/IMAP/SMTP → \
         生成授权码; changing the QQ password revokes it",
    zh: "登录 QQ 邮箱网页版:设置 → 账号(旧版)或 设置 → 常规 → 开启 POP3/IMAP/SMTP 服务 → 生成授权码;\
         修改 QQ 密码后授权码全部失效",
};
const NETEASE_HELP: Help = Help {
    en: "in NetEase's web mail: 设置 → POP3/SMTP/IMAP → enable a service → the 授权码 is shown once",
    zh: "登录网易邮箱网页版:设置 → POP3/SMTP/IMAP → 开启服务 → 授权码只显示一次",
};
const EXMAIL_HELP: Help = Help {
    en: "in Tencent enterprise mail: 设置 → 客户端设置 (or 微信绑定 → 安全登录) → 生成新密码",
    zh: "登录腾讯企业邮箱:设置 → 客户端设置(或 微信绑定 → 安全登录)→ 生成新密码",
};
const QIYE163_HELP: Help = Help {
    en: "in NetEase enterprise mail: 设置 → 客户端设置 → 客户端授权密码",
    zh: "登录网易企业邮箱:设置 → 客户端设置 → 客户端授权密码",
};
const GMAIL_HELP: Help = Help {
    en: "in the Google account: Security → 2-Step Verification → App passwords",
    zh: "登录 Google 账号:安全性 → 两步验证 → 应用专用密码",
};
const OUTLOOK_HELP: Help = Help {
    en: "in the Microsoft account: Security → Advanced security options → App passwords",
    zh: "登录 Microsoft 账号:安全 → 高级安全选项 → 应用密码",
};
const OTHER_HELP: Help = Help {
    en: "in the provider's web mail: settings → POP3/SMTP/IMAP → enable it → authorization code or client \
         password",
    zh: "登录邮箱网页版:设置 → POP3/SMTP/IMAP → 开启服务 → 授权码或客户端专用密码",
};

/// The shape that most share: implicit TLS on 465, whatever AUTH the server offers.
const COMMON: Preset = Preset {
    name: "",
    domains: &[],
    host: "",
    port: 465,
    tls: Tls::Implicit,
    starttls_port: 587,
    fallback: &[Endpoint { port: 587, tls: Tls::StartTls }],
    auth: Auth::Auto,
    max_message: CAUTIOUS_LIMIT,
    code_length: None,
    help: OTHER_HELP,
};
const QQ: Preset = Preset {
    name: "qq",
    domains: &["qq.com", "vip.qq.com", "foxmail.com"],
    host: "smtp.qq.com",
    max_message: QQ_LIMIT,
    code_length: Some(CODE_LENGTH),
    help: QQ_HELP,
    ..COMMON
};
/// NetEase has STARTTLS on 25; whether 587 answers isn't verified.
const NETEASE: Preset = Preset {
    starttls_port: 25,
    fallback: &[Endpoint { port: 994, tls: Tls::Implicit }, Endpoint { port: 25, tls: Tls::StartTls }],
    max_message: NETEASE_LIMIT,
    code_length: Some(CODE_LENGTH),
    help: NETEASE_HELP,
    ..COMMON
};
/// Some accounts get `535 authentication failed, system busy` for anything but LOGIN. That it takes as much as QQ does is assumed.
const EXMAIL: Preset = Preset {
    name: "exmail",
    host: "smtp.exmail.qq.com",
    auth: Auth::LoginFirst,
    max_message: QQ_LIMIT,
    help: EXMAIL_HELP,
    ..COMMON
};

/// Every provider that is known.
pub static PRESETS: &[Preset] = &[
    QQ,
    Preset { name: "163", domains: &["163.com"], host: "smtp.163.com", ..NETEASE },
    Preset { name: "126", domains: &["126.com"], host: "smtp.126.com", ..NETEASE },
    Preset { name: "yeah", domains: &["yeah.net"], host: "smtp.yeah.net", ..NETEASE },
    Preset { name: "vip163", domains: &["vip.163.com"], host: "smtp.vip.163.com", ..NETEASE },
    Preset { name: "vip126", domains: &["vip.126.com"], host: "smtp.vip.126.com", ..NETEASE },
    Preset { name: "188", domains: &["188.com"], host: "smtp.188.com", ..NETEASE },
    EXMAIL,
    Preset { name: "exmail-abroad", host: "hwsmtp.exmail.qq.com", ..EXMAIL },
    Preset {
        name: "qiye163",
        host: "smtphz.qiye.163.com",
        fallback: &[Endpoint { port: 994, tls: Tls::Implicit }, Endpoint { port: 587, tls: Tls::StartTls }],
        max_message: NETEASE_LIMIT,
        help: QIYE163_HELP,
        ..COMMON
    },
    Preset { name: "aliyun", domains: &["aliyun.com"], host: "smtp.aliyun.com", ..COMMON },
    Preset { name: "aliyun-qiye", host: "smtp.qiye.aliyun.com", ..COMMON },
    Preset { name: "sina", domains: &["sina.com"], host: "smtp.sina.com", ..COMMON },
    Preset { name: "139", domains: &["139.com"], host: "smtp.139.com", ..COMMON },
    Preset { name: "189", domains: &["189.cn"], host: "smtp.189.cn", ..COMMON },
    Preset { name: "sohu", domains: &["sohu.com"], host: "smtp.sohu.com", ..COMMON },
    Preset {
        name: "outlook",
        domains: &["outlook.com", "hotmail.com"],
        host: "smtp-mail.outlook.com",
        port: 587,
        tls: Tls::StartTls,
        // It has no other.
        fallback: &[],
        max_message: OUTLOOK_LIMIT,
        help: OUTLOOK_HELP,
        ..COMMON
    },
    Preset {
        name: "gmail",
        domains: &["gmail.com"],
        host: "smtp.gmail.com",
        max_message: GMAIL_LIMIT,
        help: GMAIL_HELP,
        ..COMMON
    },
];

/// The provider of an address's domain.
pub fn by_domain(domain: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.domains.iter().any(|known| known.eq_ignore_ascii_case(domain)))
}

/// The provider that `provider = "…"` names.
pub fn by_name(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name.eq_ignore_ascii_case(name))
}

/// All names, as a list for messages.
pub fn names() -> String {
    PRESETS.iter().map(|preset| preset.name).collect::<Vec<_>>().join(", ")
}

/// What notify.toml says of an account's server.
#[derive(Debug, Clone, Default)]
pub struct Explicit {
    pub provider: Option<&'static Preset>,
    pub host: Option<String>,
    pub port: Option<u16>,
    pub tls: Option<Tls>,
    pub auth: Option<Auth>,
    pub ca_file: Option<PathBuf>,
    pub hello_name: Option<String>,
}

/// Why no server could be settled on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unresolved {
    /// No preset for this domain, and no `host`.
    UnknownDomain(String),
    /// `tls = "none"` to this host, which isn't loopback.
    PlainToRemote(String),
}

/// The preset that stands behind an account: the named one, else its domain's.
pub fn preset_of(address: &str, named: Option<&'static Preset>) -> Option<&'static Preset> {
    named.or_else(|| by_domain(domain_of(address)))
}

/// Settles where an account's mail goes: each explicit field wins over the preset's.
///
/// A port without `tls` tells its TLS where it has a registered meaning: 465 (RFC 8314) and
/// NetEase's 994 implicit, 587 (RFC 6409) and 25 STARTTLS; else the preset's, else implicit.
///
/// # Errors
/// [`Unresolved`] when there is no host to be had, or a code would travel in clear.
pub fn resolve(address: &str, explicit: &Explicit) -> Result<Server, Unresolved> {
    let preset = preset_of(address, explicit.provider);
    let host = match (&explicit.host, preset) {
        (Some(host), _) => host.clone(),
        (None, Some(preset)) => preset.host.to_owned(),
        (None, None) => return Err(Unresolved::UnknownDomain(domain_of(address).to_owned())),
    };
    let known = preset.unwrap_or(&COMMON);
    let tls = explicit.tls.unwrap_or(match explicit.port {
        Some(465 | 994) => Tls::Implicit,
        Some(587 | 25) => Tls::StartTls,
        _ => known.tls,
    });
    let port = explicit.port.unwrap_or(match tls {
        _ if tls == known.tls => known.port,
        Tls::Implicit => 465,
        Tls::StartTls => known.starttls_port,
        Tls::None => 25,
    });
    if tls == Tls::None && !is_loopback(&host) {
        return Err(Unresolved::PlainToRemote(host));
    }
    let theirs = explicit.host.is_none() && explicit.port.is_none() && explicit.tls.is_none();
    Ok(Server {
        host,
        port,
        tls,
        fallback: if theirs { known.fallback.to_vec() } else { Vec::new() },
        auth: explicit.auth.unwrap_or(known.auth),
        ca_file: explicit.ca_file.clone(),
        hello_name: explicit.hello_name.clone(),
        max_message: known.max_message,
    })
}

/// 127/8, ::1 or localhost: what never leaves the machine.
fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn domain_of(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

#[cfg(test)]
#[path = "provider_tests.rs"]
mod tests;
