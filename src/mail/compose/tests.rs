use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::os::unix::fs::symlink;
use std::path::Path;

use mail_parser::{MessageParser, MimeHeaders};

use super::*;
use crate::config::Mailbox;
use crate::mail::draft::{Draft, header_block};
use crate::mail::limits::{Piece, encoded_len};
use crate::mail::testing::{Numbers, assert_wire_clean, file, python};

const TEXT: &str = "结果 result\nline 2 = done  \n\n.\n.dot\n\tend";
const HTML: &str = "<!doctype html>\r\n<p lang=\"zh\">结果 &lt;ok&gt;</p>\r\n";

fn whole(name: &str, path: &Path, len: u64) -> Attachment {
    let pieces = vec![Piece::Bytes(0..len)];
    Attachment { name: name.to_owned(), media: Media::Log, path: path.to_owned(), pieces }
}

fn content<'a>(attachments: &'a [Attachment]) -> Content<'a> {
    Content { text: TEXT, html: HTML, attachments, boundary_seed: "20260131T010203-1a2b3c4d" }
}

/// The mail with a header in front, checked against what `Composed` says of it.
fn mail(content: &Content<'_>) -> (Vec<u8>, Composed) {
    let me = Mailbox { name: Some("训练机".to_owned()), address: "10001@qq.com".to_owned() };
    let draft = Draft {
        message_id: "20260131T010203-1a2b3c4d@qq.com".to_owned(),
        date: "2026-01-31T09:02:03+08:00[Asia/Shanghai]".parse().unwrap(),
        from: me.clone(),
        to: vec![me],
        cc: vec![],
        subject: "✅ train.py 成功".to_owned(),
    };
    let mut mail = header_block(&draft).unwrap();
    let header = mail.len();
    let composed = compose(&mut mail, content).unwrap();
    assert_eq!(composed.bytes as usize, mail.len() - header);
    assert_wire_clean(&mail);
    (mail, composed)
}

fn attached(mail: &[u8]) -> Vec<Vec<u8>> {
    let mail = MessageParser::default().parse(mail).unwrap();
    mail.attachments().map(|part| part.contents().to_vec()).collect()
}

/// Lines of `mail-file text-file html-file [name content-type file]…`.
const JUDGE: &str = r#"
import email, email.policy, sys
checked = 0
for line in sys.stdin:
    mail, text, html, *rest = [field for field in line.rstrip("\n").split("\t")]
    raw = open(mail, "rb").read()
    mail = email.message_from_bytes(raw, policy=email.policy.strict)
    parts = list(mail.walk())
    for part in parts:
        assert not part.defects, (part.get_content_type(), part.defects)
        for name, value in part.items():
            # Said so on purpose (see name_parameters): the only place where older clients look.
            words = name == "Content-Type" and "=?utf-8?b?" in raw.decode()
            allowed = ("encoded word inside quoted string", "missing trailing whitespace after encoded-word")
            defects = [d for d in getattr(value, "defects", ()) if not (words and str(d) in allowed)]
            assert not defects, (name, defects)
    for part, path in [(mail.get_body(("plain",)), text), (mail.get_body(("html",)), html)]:
        assert part["Content-Type"].params["charset"] == "utf-8"
        got = part.get_payload(decode=True)
        assert got == open(path, "rb").read(), (part.get_content_type(), got)
    alternative = mail if not rest else list(mail.iter_parts())[0]
    assert alternative.get_content_type() == "multipart/alternative"
    assert [p.get_content_type() for p in alternative.iter_parts()] == ["text/plain", "text/html"]
    if rest:
        assert mail.get_content_type() == "multipart/mixed"
    attachments = list(mail.iter_attachments()) if rest else []
    assert len(attachments) == len(rest) // 3, (len(attachments), rest)
    for part, (name, kind, path) in zip(attachments, zip(*[iter(rest)] * 3)):
        assert part.get_filename() == name, part.get_filename()
        assert part["Content-Type"].params["name"] == name
        assert part.get_content_type() == kind, (name, part.get_content_type(), kind)
        assert part["Content-Disposition"].content_disposition == "attachment"
        assert part["Content-Transfer-Encoding"] == "base64"
        assert part.get_payload(decode=True) == open(path, "rb").read(), name
    lines = raw.split(b"\r\n")
    assert all(len(l) <= 78 or l.startswith(b" filename*=") for l in lines), max(lines, key=len)
    assert all(len(l) <= 998 for l in lines), max(lines, key=len)
    checked += 1
print(checked)
"#;

#[test]
fn attachments_arrive_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let mut numbers = Numbers(3);
    let all: Vec<u8> = (0..=255).collect();
    // Characters of three bytes, so that blocks of 64 KiB end inside one.
    let chinese = "训练损失".repeat(20_000) + "\n";
    let mut logs: Vec<(Vec<u8>, &str)> = vec![
        (b"".to_vec(), "text/plain"),
        (b"x".to_vec(), "text/plain"),
        (b"\0".to_vec(), "application/octet-stream"),
        (b"\xff".to_vec(), "application/octet-stream"),
        (b"a\r\nb\nc\rd\r\n.\r\n..\r\n\x1b[31mred\x1b[0m\n".to_vec(), "text/plain"),
        (all.repeat(300), "application/octet-stream"),
        (chinese.clone().into_bytes(), "text/plain"),
        // GBK for 中文: declared as UTF-8 it would be shown as garbage.
        (b"loss \xd6\xd0\xce\xc4\n".repeat(10), "application/octet-stream"),
        // One bad byte past the first block of 64 KiB.
        ([chinese.as_bytes(), b"\xfe"].concat(), "application/octet-stream"),
        (numbers.bytes(10_000_000), "application/octet-stream"),
    ];
    for edge in [57, 57 * 1024, 57 * 2048] {
        for size in [edge - 1, edge, edge + 1] {
            logs.push((vec![b'='; size], "text/plain"));
        }
    }
    let (text, html) = (file(dir.path(), "text", b""), file(dir.path(), "html", HTML.as_bytes()));
    std::fs::write(&text, TEXT.replace('\n', "\r\n")).unwrap();
    let mut input = String::new();
    let groups = std::iter::once(&logs[..]).chain(logs.chunks(1)).chain([&[][..]]);
    for (i, group) in groups.enumerate() {
        let (mut attachments, mut expected) = (Vec::new(), String::new());
        for (j, (bytes, kind)) in group.iter().enumerate() {
            let path = file(dir.path(), &format!("log-{i}-{j}"), bytes);
            let name = format!("log-{j}.txt");
            attachments.push(whole(&name, &path, bytes.len() as u64));
            write!(expected, "\t{name}\t{kind}\t{}", path.display()).unwrap();
        }
        let (mail, composed) = mail(&content(&attachments));
        assert_eq!(composed.short, []);
        let raw: Vec<_> = group.iter().map(|(bytes, _)| bytes.clone()).collect();
        assert!(attached(&mail) == raw, "mail-parser reads other attachments");
        let path = file(dir.path(), &format!("mail-{i}"), &mail);
        writeln!(input, "{}\t{}\t{}{expected}", path.display(), text.display(), html.display()).unwrap();
    }
    let checked = input.lines().count();
    assert_eq!(python(JUDGE, input.as_bytes()), format!("{checked}\n"));
}

#[test]
fn encoded_len_is_what_compose_writes() {
    let dir = tempfile::tempdir().unwrap();
    let size = |len: u64| {
        let path = file(dir.path(), "log", &vec![b'x'; len as usize]);
        mail(&content(&[whole("log.txt", &path, len)])).1.bytes
    };
    let empty = size(0);
    for len in (0..=120).chain([57 * 1024 - 1, 57 * 1024, 57 * 1024 + 1, 1_000_003]) {
        assert_eq!(size(len) - empty, encoded_len(len), "{len} bytes");
    }
}

#[test]
fn bodies_of_any_text_arrive() {
    let dir = tempfile::tempdir().unwrap();
    let long_line = "x".repeat(5000) + "\nä" + &"=".repeat(3000) + " \n";
    let texts = [
        String::new(),
        "\n".to_owned(),
        "From me\n.\n..\n".to_owned(),
        "trailing space \ntab\t\n \n".to_owned(),
        "损失 0.1 😀\n".repeat(6000),
        long_line,
    ];
    let mut input = String::new();
    for (i, text) in texts.iter().enumerate() {
        let (mail, _) = mail(&Content { text, html: text, ..content(&[]) });
        let path = file(dir.path(), &format!("mail-{i}"), &mail);
        let body = file(dir.path(), &format!("text-{i}"), text.replace('\n', "\r\n").as_bytes());
        writeln!(input, "{}\t{}\t{}", path.display(), body.display(), body.display()).unwrap();
    }
    assert_eq!(python(JUDGE, input.as_bytes()), "6\n");
}

#[test]
fn no_content_can_end_a_part() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "log", b"log");
    let (first, _) = mail(&content(&[whole("log.txt", &path, 3)]));
    // A body and a log made of the mail's own boundaries.
    let first = String::from_utf8(first).unwrap();
    let hostile: String =
        first.lines().filter(|l| l.starts_with("--")).fold(String::new(), |all, l| all + l + "\n");
    assert_eq!(hostile.lines().count(), 6);
    let path = file(dir.path(), "log", hostile.as_bytes());
    let log = [whole("log.txt", &path, hostile.len() as u64)];
    let (mail, _) = mail(&Content { text: &hostile, html: &hostile, ..content(&log) });
    let parsed = MessageParser::default().parse(&mail[..]).unwrap();
    assert_eq!(parsed.body_text(0).unwrap().trim_end(), hostile.trim_end().replace('\n', "\r\n"));
    assert_eq!(attached(&mail), [hostile.into_bytes()]);
}

#[test]
fn text_parts_hold_no_control_characters_and_only_crlf() {
    assert_eq!(crlf("a\rb\nc\r\nd\n\re\0\x1b\x7f\u{85}\tf"), "a\r\nb\r\nc\r\nd\r\n\r\ne\tf");
}

#[test]
fn mostly_ascii_stays_readable_and_chinese_stays_short() {
    let ascii = "train.py succeeded · 3h 12m, more words to read\n".repeat(100);
    assert_eq!(encoding(&crlf(&ascii)), ContentTransferEncoding::QuotedPrintable);
    assert_eq!(encoding(&crlf(&"训练成功\n".repeat(100))), ContentTransferEncoding::Base64);
}

#[test]
fn left_out_bytes_are_told_where_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "log", "0123456789中".as_bytes());
    let ends = vec![Piece::Bytes(1..3), Piece::Omitted(8), Piece::Bytes(11..13)];
    let tail = vec![Piece::Omitted(9), Piece::Bytes(9..13)];
    let attachment = |pieces: &[Piece]| {
        let (mail, composed) =
            mail(&content(&[Attachment { pieces: pieces.to_vec(), ..whole("l", &path, 0) }]));
        assert_eq!(composed.short, []);
        // A character that our own cut splits doesn't make it binary.
        assert!(
            String::from_utf8(mail.clone())
                .unwrap()
                .contains("Content-Type: text/plain; charset=utf-8;\r\n name")
        );
        String::from_utf8(attached(&mail).remove(0)).unwrap()
    };
    let notice = |n| format!("===== notify-done: {n} bytes left out here / 此处省略 {n} 字节 =====");
    // mail-parser shows the two bytes of a split character as U+FFFD.
    assert_eq!(attachment(&ends), format!("12\n\n{}\n\n\u{fffd}\u{fffd}", notice(8)));
    assert_eq!(attachment(&tail), format!("{}\n\n9中", notice(9)));
}

#[test]
fn a_file_that_grew_is_cut_and_one_that_shrank_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "log", b"0123456789");
    let (grown, composed) = mail(&content(&[whole("log.txt", &path, 4)]));
    assert_eq!((attached(&grown), composed.short), (vec![b"0123".to_vec()], vec![]));

    let ends = Attachment {
        pieces: vec![Piece::Bytes(0..8), Piece::Omitted(5), Piece::Bytes(13..20)],
        ..whole("log.txt", &path, 0)
    };
    let (shrunk, composed) = mail(&content(&[ends]));
    let short = Short { name: "log.txt".to_owned(), path: path.clone(), missing: 7, cause: None };
    assert_eq!(composed.short, [short]);
    let log = String::from_utf8(attached(&shrunk).remove(0)).unwrap();
    assert!(log.starts_with("01234567\n\n====="), "{log}");
    assert!(log.ends_with("lacks its last 7 bytes / 日志文件缺少末尾 7 字节 =====\n"), "{log}");
}

#[test]
fn what_cannot_be_read_is_told_and_the_mail_still_made() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    symlink("loop", dir.path().join("loop")).unwrap();
    let good = file(dir.path(), "good", b"good");
    let cases = ["gone", "fifo", "loop", "."].map(|name| whole(name, &dir.path().join(name), 10));
    let (mail, composed) = mail(&content(&[&cases[..], &[whole("good.txt", &good, 4)]].concat()));
    let causes: Vec<_> = composed.short.iter().map(|s| s.cause.as_deref().unwrap()).collect();
    assert!(causes[0].contains("No such file"), "{causes:?}");
    assert_eq!(causes[1], "it isn't a regular file");
    assert_eq!(causes[3], "it isn't a regular file");
    assert!(composed.short.iter().all(|s| s.missing == 10));
    let attached = attached(&mail);
    assert_eq!(attached.len(), 5);
    assert!(String::from_utf8_lossy(&attached[0]).contains("lacks its last 10 bytes"));
    assert_eq!(attached[4], b"good");
}

/// Catches: a plain form with parts, or with what a server takes offence at.
#[test]
fn the_plain_form_is_text_alone() {
    let mut mail = b"From: a@example.com\r\nMIME-Version: 1.0\r\n".to_vec();
    compose_plain(&mut mail, TEXT).unwrap();
    assert_wire_clean(&mail);
    let parsed = MessageParser::default().parse(&mail[..]).unwrap();
    assert_eq!((parsed.parts.len(), parsed.attachment_count()), (1, 0));
    assert_eq!(parsed.body_text(0).unwrap().replace("\r\n", "\n").trim_end(), TEXT);
}

#[test]
fn a_full_disk_is_an_error_with_its_cause_and_a_fix() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "log", &[b'x'; 500_000]);
    let mut full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let error = compose(&mut full, &content(&[whole("log.txt", &path, 500_000)])).unwrap_err();
    assert_eq!(error.kind, Kind::Storage);
    assert!(error.to_string().contains("No space left"), "{error}");
    assert!(error.hints[0].contains("free some space"), "{error:?}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_any_seed_a_valid_boundary() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "log", b"hello");
    let log = [whole("训练.txt", &path, 5)];
    assert_eq!(mail(&content(&log)).0, mail(&content(&log)).0);
    for boundary_seed in ["", "中文 \"\r\n--", &"x".repeat(300)] {
        let (mail, _) = mail(&Content { boundary_seed, ..content(&log) });
        let parsed = MessageParser::default().parse(&mail[..]).unwrap();
        assert_eq!(parsed.attachment(0).unwrap().attachment_name(), Some("训练.txt"));
        assert_eq!(parsed.attachment(0).unwrap().contents(), b"hello");
    }
}

/// Catches: a name that arrives as another one, ends a header, or is lost in a client that reads only one of
/// the two places.
#[test]
fn names_in_any_script_arrive() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "log", b"hello");
    let (text, html) = (file(dir.path(), "text", b""), file(dir.path(), "html", HTML.as_bytes()));
    std::fs::write(&text, TEXT.replace('\n', "\r\n")).unwrap();
    let mut input = String::new();
    let names = [
        "log.txt",
        "results (final) v2.csv",
        "训练曲线.png",
        "损失 🚀 50%.png",
        "say \"hi\";.txt",
        "100%.txt",
        "a'b''c.txt",
        "back\\slash.txt",
        "=?utf-8?b?eA==?=.txt",
        "ärger.txt",
        &"很长的名字".repeat(13),
        &("long name ".repeat(19) + "x"),
        &"n".repeat(200),
    ];
    for (i, name) in names.into_iter().enumerate() {
        let attachment = Attachment { media: Media::Named("image/png"), ..whole(name, &path, 5) };
        let (mail, _) = mail(&content(&[attachment]));
        let parsed = MessageParser::default().parse(&mail[..]).unwrap();
        assert_eq!(parsed.attachment(0).unwrap().attachment_name(), Some(name));
        let mail = file(dir.path(), &format!("mail-{i}"), &mail);
        let (text, html, path) = (text.display(), html.display(), path.display());
        writeln!(input, "{}\t{text}\t{html}\t{name}\timage/png\t{path}", mail.display()).unwrap();
    }
    assert_eq!(python(JUDGE, input.as_bytes()), "13\n");
}

/// Catches: some text or name among thousands with which a mail can't be read, or is read as another.
#[test]
fn two_thousand_mails_survive_a_strict_parser() {
    use std::os::unix::ffi::OsStrExt;
    const PIECES: [&str; 20] = [
        "\r\n",
        "\n.\n",
        "=",
        "=?utf-8?b?",
        "?=",
        "--=_mixed_",
        "\t",
        " ",
        "  ",
        "训练",
        "👩‍🚀",
        "e\u{301}",
        "\u{202e}",
        "\u{0}",
        "\u{1b}[31m",
        "\"",
        "\\",
        "%",
        "From ",
        "word",
    ];
    let dir = tempfile::tempdir().unwrap();
    let mut numbers = Numbers(11);
    let mut some =
        |most: u64| -> String { (0..numbers.below(most)).map(|_| *numbers.pick(&PIECES)).collect() };
    let mut random = Numbers(12);
    let mut input = String::new();
    for i in 0..2000 {
        let (text, html) = (some(200), some(200));
        let mut names = crate::mail::names::Names::default();
        let (mut attachments, mut expected) = (Vec::new(), String::new());
        for j in 0..random.below(3) {
            let mut name = some(30).into_bytes();
            let at = random.below(name.len() as u64 + 1) as usize;
            name.splice(at..at, random.bytes(2).into_iter().filter(|b| *b != b'/' && *b != 0));
            let name = crate::mail::names::of_file(Path::new(std::ffi::OsStr::from_bytes(&name)));
            let name = names.next(&name);
            let size = random.below(200);
            let path = file(dir.path(), &format!("log-{i}-{j}"), &random.bytes(size as usize));
            write!(expected, "\t{name}\timage/png\t{}", path.display()).unwrap();
            attachments.push(Attachment { media: Media::Named("image/png"), ..whole(&name, &path, size) });
        }
        let (mail, _) = mail(&Content { text: &text, html: &html, ..content(&attachments) });
        let mail = file(dir.path(), &format!("mail-{i}"), &mail);
        let text = file(dir.path(), &format!("text-{i}"), crlf(&text).as_bytes());
        let html = file(dir.path(), &format!("html-{i}"), crlf(&html).as_bytes());
        writeln!(input, "{}\t{}\t{}{expected}", mail.display(), text.display(), html.display()).unwrap();
    }
    assert_eq!(python(JUDGE, input.as_bytes()), "2000\n");
}
