//! What a step of the dialogue has brought to light, in words. Pure.

use super::super::event_words::Reader;
use super::super::words::either;
use super::words::SAID;
use crate::deliver::ehlo::Offers;
use crate::deliver::probe::{Certificate, Found, TlsFacts};
use crate::render::amount::size;
use crate::render::i18n::Lang;
use crate::report::text::{cut, one_line};

/// Addresses of a host that are shown.
const ADDRESSES: usize = 4;

/// What a step has brought to light, the first line and more.
pub fn found(found: &Found, reader: &Reader) -> (String, Vec<String>) {
    let lang = reader.lang;
    match found {
        Found::Addresses(all) => {
            let shown: Vec<String> = all.iter().take(ADDRESSES).map(ToString::to_string).collect();
            let more = all.len().saturating_sub(ADDRESSES);
            let more = if more > 0 { format!(", +{more}") } else { String::new() };
            (format!("{}{more}", shown.join(", ")), Vec::new())
        }
        Found::Connected(peer) => (peer.to_string(), Vec::new()),
        Found::Tls(facts) => tls(facts, reader),
        Found::Said(reply) => (cut(&one_line(&reply.to_string()), SAID), Vec::new()),
        Found::Offers(offers) => (offers_of(offers, lang), Vec::new()),
        Found::Recipient { address, reply } => {
            (cut(&one_line(&format!("{address}: {reply}")), SAID), Vec::new())
        }
    }
}

fn tls(facts: &TlsFacts, reader: &Reader) -> (String, Vec<String>) {
    let version = facts.version.as_deref().map(|v| v.replace("TLSv", "TLS ").replace('_', "."));
    let first: Vec<String> = version.into_iter().chain(facts.cipher.clone()).collect();
    let mut more: Vec<String> =
        facts.chain.iter().map(|certificate| certificate_of(certificate, reader)).collect();
    let out_of_time = |it: &Certificate| it.not_after < reader.now || it.not_before > reader.now;
    if facts.chain.iter().any(out_of_time) {
        let clock = reader.time(reader.now);
        more.push(match reader.lang {
            Lang::En => format!("this machine's clock says {clock}"),
            Lang::Zh => format!("本机时间：{clock}"),
        });
    }
    (first.join(", "), more)
}

fn certificate_of(certificate: &Certificate, reader: &Reader) -> String {
    let Certificate { subject, issuer, not_before, not_after, days_left } = certificate;
    let (subject, issuer) = (common_name(subject), common_name(issuer));
    let day = |at: jiff::Timestamp| at.to_zoned(reader.zone.clone()).strftime("%Y-%m-%d").to_string();
    let (from, to) = (day(*not_before), day(*not_after));
    let early = *not_before > reader.now;
    match reader.lang {
        Lang::En => {
            let dates = match (early, *days_left) {
                (true, _) => format!("only from {from} on"),
                (_, ..0) => format!("expired on {to}"),
                (_, days) => format!("until {to} ({days} days)"),
            };
            format!("certificate of {subject}, by {issuer}, {dates}")
        }
        Lang::Zh => {
            let dates = match (early, *days_left) {
                (true, _) => format!("{from} 起才有效"),
                (_, ..0) => format!("已于 {to} 过期"),
                (_, days) => format!("有效期至 {to}（还有 {days} 天）"),
            };
            format!("证书 {subject}，签发者 {issuer}，{dates}")
        }
    }
}

/// The part of a distinguished name that people know; all of it, if there is none.
fn common_name(name: &str) -> String {
    let part = name.split(", ").find_map(|part| part.strip_prefix("CN="));
    one_line(part.unwrap_or(name))
}

fn offers_of(offers: &Offers, lang: Lang) -> String {
    let auth = match offers.auth.as_slice() {
        [] => either(lang, "no AUTH", "无 AUTH").to_owned(),
        mechanisms => format!("AUTH {}", one_line(&mechanisms.join(" "))),
    };
    let limit = offers.size.filter(|limit| *limit > 0).map(|limit| format!("SIZE {}", size(limit)));
    let flags =
        [(offers.starttls, "STARTTLS"), (offers.eightbitmime, "8BITMIME"), (offers.smtputf8, "SMTPUTF8")];
    let flags = flags.iter().filter(|(has, _)| *has).map(|(_, name)| (*name).to_owned());
    cut(&std::iter::once(auth).chain(limit).chain(flags).collect::<Vec<_>>().join(", "), SAID)
}
