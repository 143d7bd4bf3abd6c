//! The names of attachments, and what a name says of what is in the file. Pure.

use std::path::Path;

use super::limits::Media;

/// A name is cut to so many bytes: three characters for each of them must stay within the 998 of a header
/// line (RFC 5322 2.1.1).
const MAX_NAME: usize = 200;

/// What NetEase refuses a whole mail for (552 Illegal Attachment), and others do for other programs.
const REFUSED: [&str; 22] = [
    "uu", "pif", "scr", "mim", "hqx", "bhx", "cmd", "vbs", "bat", "com", "vbe", "vb", "js", "wsh", "exe",
    "dll", "msi", "jar", "lnk", "cpl", "hta", "ps1",
];

/// Endings and what is declared for them.
const KNOWN: [(&str, Media); 44] = [
    ("txt", Media::Text),
    ("log", Media::Text),
    ("out", Media::Text),
    ("err", Media::Text),
    ("md", Media::Text),
    ("yaml", Media::Text),
    ("yml", Media::Text),
    ("toml", Media::Text),
    ("ini", Media::Text),
    ("cfg", Media::Text),
    ("py", Media::Text),
    ("sh", Media::Text),
    ("rs", Media::Text),
    ("c", Media::Text),
    ("cpp", Media::Text),
    ("h", Media::Text),
    ("tex", Media::Text),
    ("tsv", Media::Text),
    ("jsonl", Media::Text),
    ("csv", Media::Named("text/csv")),
    ("html", Media::Named("text/html")),
    ("htm", Media::Named("text/html")),
    ("json", Media::Named("application/json")),
    ("xml", Media::Named("application/xml")),
    ("pdf", Media::Named("application/pdf")),
    ("zip", Media::Named("application/zip")),
    ("gz", Media::Named("application/gzip")),
    ("tgz", Media::Named("application/gzip")),
    ("tar", Media::Named("application/x-tar")),
    ("7z", Media::Named("application/x-7z-compressed")),
    ("png", Media::Named("image/png")),
    ("jpg", Media::Named("image/jpeg")),
    ("jpeg", Media::Named("image/jpeg")),
    ("gif", Media::Named("image/gif")),
    ("webp", Media::Named("image/webp")),
    ("bmp", Media::Named("image/bmp")),
    ("svg", Media::Named("image/svg+xml")),
    ("tif", Media::Named("image/tiff")),
    ("tiff", Media::Named("image/tiff")),
    ("mp4", Media::Named("video/mp4")),
    ("webm", Media::Named("video/webm")),
    ("mp3", Media::Named("audio/mpeg")),
    ("wav", Media::Named("audio/wav")),
    ("xlsx", Media::Named("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")),
];

/// A file's name as an attachment's: nothing in it that could end a header, climb out of a folder, or turn
/// the text around it.
pub fn of_file(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let fit = |c: char| match c {
        c if c.is_control() => '_',
        '\u{fffd}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '_',
        // Windows can't save them, and some readers take quotes away.
        '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
        c => c,
    };
    let name: String = name.chars().map(fit).collect();
    let name = name.trim();
    match name.len() {
        0 => "file".to_owned(),
        1..=MAX_NAME => name.to_owned(),
        _ => shortened(name),
    }
}

/// Without its middle: the ending says what it is.
fn shortened(name: &str) -> String {
    let tail = name.char_indices().rev().take_while(|(at, _)| name.len() - at <= 24).last();
    let tail = &name[tail.map_or(name.len(), |(at, _)| at)..];
    let most = MAX_NAME - tail.len() - '…'.len_utf8();
    let end = name.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= most).last();
    format!("{}…{tail}", &name[..end.unwrap_or(0)])
}

fn ending(name: &str) -> Option<String> {
    name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase())
}

/// Would a provider refuse a mail for this name?
pub fn is_refused(name: &str) -> bool {
    ending(name).is_some_and(|ending| REFUSED.contains(&ending.as_str()))
}

/// What a file of this name is declared as.
pub fn media(name: &str) -> Media {
    let ending = ending(name).unwrap_or_default();
    let known = KNOWN.iter().find(|(known, _)| *known == ending);
    known.map_or(Media::Named("application/octet-stream"), |(_, media)| *media)
}

/// Names, each given once; clients that don't tell capitals apart see each once, too.
#[derive(Debug, Default)]
pub struct Names {
    given: Vec<String>,
}

impl Names {
    /// This name, or the same with a number before its ending.
    pub fn next(&mut self, wanted: &str) -> String {
        let (stem, ending) = match wanted.rfind('.').filter(|at| *at > 0) {
            Some(at) => wanted.split_at(at),
            None => (wanted, ""),
        };
        let mut name = wanted.to_owned();
        let mut number = 1;
        while self.given.contains(&name.to_lowercase()) {
            number += 1;
            name = format!("{stem}-{number}{ending}");
        }
        self.given.push(name.to_lowercase());
        name
    }
}

/// An ASCII name needs no encoding where it holds none of these (RFC 2045 5.1, RFC 2231).
pub fn is_plain(name: &str) -> bool {
    name.len() <= 60 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_. ()+,@#=~[]".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches: two attachments of one name, of which a client saves one.
    #[test]
    fn each_name_is_given_once() {
        let mut names = Names::default();
        let given = ["log.txt", "a.png", "A.PNG", "a.png", "a-2.png", ".env", ".env", "x", "x"];
        let given = given.map(|name| names.next(name));
        let expected = ["log.txt", "a.png", "A-2.PNG", "a-3.png", "a-2-2.png", ".env", ".env-2", "x", "x-2"];
        assert_eq!(given, expected);
    }

    /// Catches: a name that ends a header, climbs out of a folder, shows another ending than it has, or is
    /// longer than a header line may be.
    #[test]
    fn names_are_fit_for_a_header() {
        let of = |name: &str| of_file(Path::new(name));
        assert_eq!(of("/data/结果 图.png"), "结果 图.png");
        assert_eq!(of("a\r\nBcc: x"), "a__Bcc_ x");
        assert_eq!(of("x\u{202e}gnp.exe"), "x_gnp.exe");
        assert_eq!(of("C:\\x"), "C__x");
        assert_eq!(of(".."), "file");
        let long = of(&format!("{}.png", "训练".repeat(200)));
        assert!(long.len() <= MAX_NAME && long.ends_with("训练.png") && long.contains('…'), "{long}");
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(of_file(Path::new(std::ffi::OsStr::from_bytes(b"\xd6\xd0.txt"))), "__.txt");
    }

    /// Catches: a mail refused for a script in it; an image that a phone doesn't show.
    #[test]
    fn endings_say_what_it_is() {
        assert!(
            is_refused("run.BAT") && is_refused("a.tar.js") && !is_refused("js") && !is_refused("a.json")
        );
        assert_eq!(media("a.PNG"), Media::Named("image/png"));
        assert_eq!(media("a.pt"), Media::Named("application/octet-stream"));
        assert_eq!(media("train.log"), Media::Text);
    }
}
