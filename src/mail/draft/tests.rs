use super::*;
use crate::mail::testing::{Numbers, assert_wire_clean, python};

fn to(name: &str, address: &str) -> Mailbox {
    Mailbox { name: (!name.is_empty()).then(|| name.to_owned()), address: address.to_owned() }
}

fn draft() -> Draft {
    Draft {
        message_id: "20260131T010203-1a2b@qq.com".to_owned(),
        date: "2026-01-31T09:02:03+08:00[Asia/Shanghai]".parse().unwrap(),
        from: to("训练机", "10001@qq.com"),
        to: vec![to("", "10001@qq.com")],
        cc: vec![],
        subject: "✅ train.py 成功 · 3小时12分 · gpu07".to_owned(),
    }
}

fn block(draft: &Draft) -> String {
    let block = header_block(draft).unwrap();
    assert_wire_clean(&block);
    String::from_utf8(block).unwrap()
}

#[test]
fn the_whole_block() {
    let expected = "\
Date: Sat, 31 Jan 2026 09:02:03 +0800\r
From: =?utf-8?b?6K6t57uD5py6?= <10001@qq.com>\r
To: <10001@qq.com>\r
Cc: \"A. B\" <a@example.com>,\r
 \"b.c\" <13800000000@163.com>\r
Subject: =?utf-8?b?4pyF?= train.py =?utf-8?b?5oiQ5YqfIMK3IDPlsI/ml7YxMg==?=\r
 =?utf-8?b?5YiGIMK3?= gpu07\r
Message-ID: <20260131T010203-1a2b@qq.com>\r
MIME-Version: 1.0\r
Auto-Submitted: auto-generated\r
X-Auto-Response-Suppress: OOF, AutoReply\r
User-Agent: notify-done/VERSION\r
"
    .replace("VERSION", env!("CARGO_PKG_VERSION"));
    let cc = vec![to("A. B", "a@example.com"), to("b.c", "13800000000@163.com")];
    let draft = Draft { cc, ..draft() };
    assert_eq!(block(&draft), expected);
}

#[test]
fn no_value_begins_another_header() {
    let evil = "x\r\nBcc: victim@example.com\r\n\r\nbody\n.\r\n\u{85}\u{2028}\0\u{7}";
    let draft = Draft {
        from: to(evil, "10001@qq.com"),
        to: vec![to(evil, "10001@qq.com")],
        cc: vec![to(evil, "10001@qq.com")],
        subject: evil.to_owned(),
        ..draft()
    };
    let block = block(&draft);
    let names: Vec<&str> = block
        .split("\r\n")
        .filter(|line| !line.starts_with(' ') && !line.is_empty())
        .map(|line| line.split(':').next().unwrap())
        .collect();
    let expected = [
        "Date",
        "From",
        "To",
        "Cc",
        "Subject",
        "Message-ID",
        "MIME-Version",
        "Auto-Submitted",
        "X-Auto-Response-Suppress",
        "User-Agent",
    ];
    assert_eq!(names, expected);
    assert!(!block.contains("\r\n\r\n"));
    for address in ["a@b.com\r\nBcc: c@d.com", "a b@c.com", "张三@例子.com", "", "a", "a@b@c,d"] {
        let error = header_block(&Draft { from: to("", address), ..self::draft() }).unwrap_err();
        assert_eq!(error.kind, Kind::Config);
        assert!(error.what.contains(&format!("{address:?}")), "{error}");
        assert!(!error.hints.is_empty());
    }
    for id in ["", "a", "@", "a@b>\r\nBcc: c@d.com", "a b@c", "a..b@c"] {
        assert!(header_block(&Draft { message_id: id.to_owned(), ..self::draft() }).is_err(), "{id}");
    }
}

#[test]
fn only_the_name_in_from_is_encoded() {
    for address in ["10001@qq.com", "first.last+tag@example.com"] {
        let block = block(&Draft { from: to("通知 <机器> =?x?= \"引\"", address), ..draft() });
        let from = block.split("\r\nFrom: ").nth(1).unwrap().split("\r\nTo:").next().unwrap();
        assert!(from.ends_with(&format!(" <{address}>")), "{from}");
    }
}

#[test]
fn a_mail_without_recipients_in_its_header_says_so() {
    assert!(block(&Draft { to: vec![], ..draft() }).contains("\r\nTo: undisclosed-recipients:;\r\n"));
    let cc = vec![to("", "10001@qq.com")];
    assert!(!block(&Draft { to: vec![], cc, ..draft() }).contains("\r\nTo:"));
}

#[test]
fn message_ids_are_dot_atoms() {
    assert_eq!(message_id("20260131T010203-1a2b", Some("qq.com")), "20260131T010203-1a2b@qq.com");
    assert_eq!(message_id("x", None), "x@notify-done.invalid");
    for (unique, domain) in [("a..b", ".qq..com."), ("中 <文>", "例子.com"), ("x@y", ""), ("a\r\nb", "c d")]
    {
        let message_id = message_id(unique, Some(domain));
        block(&Draft { message_id, ..draft() });
    }
}

/// Reads lines of `raw subject sender name…`, each in base64, and compares.
const JUDGE: &str = r#"
import base64, email, email.header, email.policy, email.utils, sys
strict = email.policy.strict.clone(linesep="\r\n")
checked = 0
for line in sys.stdin:
    raw, subject, sender, *people = [base64.b64decode(field) for field in line.rstrip("\n").split(" ")]
    mail = email.message_from_bytes(raw + b"\r\nbody\r\n", policy=strict)
    defects = list(mail.defects)
    for name, value in mail.items():
        defects += [(name, d) for d in getattr(value, "defects", ())]
    assert not defects, (raw, defects)
    assert str(mail["Subject"]) == subject.decode(), (raw, str(mail["Subject"]), subject.decode())
    # By the older parser: until 3.13.2 the newer one shows a space between two encoded words
    # of a name, against RFC 2047 6.2.
    old = email.message_from_bytes(raw)
    pairs = email.utils.getaddresses([old["From"], old["To"]])
    got = [str(email.header.make_header(email.header.decode_header(name))) for name, _ in pairs]
    want = [p.decode() for p in [sender] + people]
    assert got == want, (raw, got, want)
    assert all(address == "10001@qq.com" for _, address in pairs), raw
    assert len(mail["From"].addresses) == 1 and len(mail["To"].addresses) == len(people), raw
    checked += 1
print(checked)
"#;

/// Words that have tripped encoders: long ones, look-alikes of encoded words, specials, emoji
/// with joiners, a lone space, combining marks.
const WORDS: [&str; 22] = [
    "train.py",
    "成功",
    "3小时12分",
    "·",
    "✅",
    "👩‍💻",
    "=?utf-8?b?YQ==?=",
    "=?",
    "?=",
    "\"quoted\"",
    "back\\slash",
    "(comment)",
    "a,b;c:d",
    "<x@y.z>",
    "e\u{301}",
    "",
    "x",
    "lr=1e-3",
    "J.",
    "very-long-path-without-a-single-space/very-long-path-without-a-single-space/checkpoint-00001.ckpt",
    "很长的中文没有空格很长的中文没有空格很长的中文没有空格很长的中文没有空格",
    "\u{3000}",
];

#[test]
fn three_thousand_drafts_survive_a_strict_parser() {
    let mut numbers = Numbers(7);
    let mut phrase = |most: u64| -> String {
        let count = 1 + numbers.below(most);
        let gap = *numbers.pick(&["", " ", "  "]);
        (0..count).map(|_| *numbers.pick(&WORDS)).collect::<Vec<_>>().join(gap)
    };
    // What one_line may change, told independently of it.
    let plain = |text: &str| text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    let encode = |bytes: &[u8]| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, bytes);
    let mut input = String::new();
    for i in 0..3000 {
        let subject = if i % 50 == 0 { "验证准确率与损失".repeat(60) } else { phrase(20) };
        let names: Vec<String> = (0..1 + i % 4)
            .map(|_| {
                loop {
                    let name = phrase(4);
                    if name.chars().count() <= 128 {
                        break name;
                    }
                }
            })
            .collect();
        let draft = Draft {
            from: to(&names[0], "10001@qq.com"),
            to: names.iter().map(|name| to(name, "10001@qq.com")).collect(),
            subject: subject.clone(),
            ..draft()
        };
        let raw = header_block(&draft).unwrap();
        assert_wire_clean(&raw);
        let longest = raw.split(|b| *b == b'\n').map(<[u8]>::len).max().unwrap();
        assert!(longest <= 200, "{}", String::from_utf8_lossy(&raw));
        let mut fields = vec![encode(&raw), encode(plain(&subject).as_bytes())];
        fields.extend(names[..1].iter().chain(&names).map(|name| encode(plain(name).as_bytes())));
        input += &(fields.join(" ") + "\n");
    }
    assert_eq!(python(JUDGE, input.as_bytes()), "3000\n");
}

#[test]
fn values_past_all_measure_are_cut_not_overlong() {
    let block = block(&Draft {
        from: to(&"x".repeat(5000), "10001@qq.com"),
        subject: "y".repeat(50_000),
        to: (0..200).map(|i| to("", &format!("{i}@example.com"))).collect(),
        ..draft()
    });
    assert!(block.len() < 10_000, "{}", block.len());
    assert!(block.contains("199@example.com"), "no recipient is cut");
}
