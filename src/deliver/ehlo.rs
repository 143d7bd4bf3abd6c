//! What a server's EHLO reply offers (RFC 5321 section 4.1.1.1). Pure.

use serde::Serialize;

/// The extensions that matter here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Offers {
    /// SIZE's limit, bytes; `Some(0)`: no fixed limit (RFC 1870). None: no SIZE.
    pub size: Option<u64>,
    pub starttls: bool,
    pub smtputf8: bool,
    /// 8BITMIME (RFC 6152).
    pub eightbitmime: bool,
    /// Mechanisms in capitals, from `AUTH …` and the older `AUTH=…` that QQ and 163 add.
    pub auth: Vec<String>,
}

impl Offers {
    /// Reads the lines of an EHLO reply, codes already taken off. Keywords match in any case.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut offers = Self::default();
        // The first line is the server's name and greeting, never a keyword.
        for line in lines.into_iter().skip(1) {
            let line = line.trim().to_ascii_uppercase();
            let mut words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty());
            match words.next() {
                Some("SIZE") => {
                    offers.size = Some(words.next().and_then(|n| n.parse().ok()).unwrap_or(0));
                }
                Some("STARTTLS") => offers.starttls = true,
                Some("SMTPUTF8") => offers.smtputf8 = true,
                Some("8BITMIME") => offers.eightbitmime = true,
                Some("AUTH") => {
                    for word in words {
                        if !offers.auth.iter().any(|known| known == word) {
                            offers.auth.push(word.to_owned());
                        }
                    }
                }
                _ => {}
            }
        }
        offers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches: SIZE lost, `AUTH=` ignored, duplicates, the greeting taken for a keyword.
    #[test]
    fn reads_what_qq_and_163_say() {
        let qq = Offers::parse([
            "AUTH LOGIN is my greeting",
            "PIPELINING",
            "SIZE 73400320",
            "AUTH LOGIN PLAIN XOAUTH XOAUTH2",
            "AUTH=LOGIN",
            "MAILCOMPRESS",
            "SMTPUTF8",
            "8BITMIME",
        ]);
        assert_eq!(qq.size, Some(73_400_320));
        assert!(qq.smtputf8 && !qq.starttls);
        assert_eq!(qq.auth, ["LOGIN", "PLAIN", "XOAUTH", "XOAUTH2"]);
        let netease = Offers::parse([
            "mail",
            "auth=login plain XOAUTH2",
            "coremail 1Uxr2x",
            "starttls",
            "ID",
            "8BITMIME",
        ]);
        assert_eq!(netease.size, None);
        assert!(netease.starttls && netease.eightbitmime && !netease.smtputf8);
        assert_eq!(netease.auth, ["LOGIN", "PLAIN", "XOAUTH2"]);
    }

    #[test]
    fn a_size_without_a_limit_is_no_limit() {
        assert_eq!(Offers::parse(["h", "SIZE"]).size, Some(0));
        assert_eq!(Offers::parse(["h", "SIZE 99999999999999999999999"]).size, Some(0));
    }
}
