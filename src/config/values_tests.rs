use super::*;

fn error<T: FromStr<Err = BadValue> + fmt::Debug>(text: &str) -> String {
    text.parse::<T>().unwrap_err().to_string()
}

#[test]
fn choices_parse_and_errors_list_them() {
    assert_eq!("zh".parse(), Ok(Language::Zh));
    assert_eq!("failure".parse(), Ok(On::Failure));
    assert_eq!("tail".parse(), Ok(Attach::Tail));
    assert_eq!("starttls".parse(), Ok(Tls::StartTls));
    assert_eq!("login".parse(), Ok(Auth::Login));
    assert_eq!(error::<Language>("cn"), "`cn` isn't known here; write one of: auto, en, zh");
    assert_eq!(error::<On>("never"), "`never` isn't known here; write one of: always, failure, success");
    assert_eq!(error::<Attach>(""), "`` isn't known here; write one of: full, tail, none");
    assert_eq!(error::<Tls>("ssl"), "`ssl` isn't known here; write one of: implicit, starttls, none");
    assert_eq!(error::<Auth>("cram"), "`cram` isn't known here; write one of: auto, plain, login");
}

#[test]
fn wait_is_auto_or_a_duration() {
    assert_eq!("auto".parse(), Ok(Wait::Auto));
    assert_eq!("0s".parse(), Ok(Wait::For(Duration::ZERO)));
    assert_eq!("1m 30s".parse(), Ok(Wait::For(Duration::from_secs(90))));
    assert!(error::<Wait>("forever").contains("write auto, or a duration like 30s"));
}

#[test]
fn durations_are_humantime_within_reason() {
    assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
    assert_eq!(duration("30days"), Ok(Duration::from_secs(30 * 86_400)));
    assert!(duration("soon").unwrap_err().to_string().contains("`soon` isn't a duration; write it like 90s"));
    assert!(duration("30").unwrap_err().to_string().contains("isn't a duration"));
    assert!(duration("101years").unwrap_err().what.contains("100 years"));
}

#[test]
fn sizes_know_binary_and_decimal_units() {
    let rows = [
        ("20 MiB", 20 << 20),
        ("8GiB", 8 << 30),
        ("500 MB", 500_000_000),
        ("1.5 gib", 3 << 29),
        ("0.1 KB", 100),
        ("2k", 2048),
        ("4096", 4096),
        ("7 B", 7),
        ("0", 0),
        ("18446744073709551615", u64::MAX),
    ];
    for (text, bytes) in rows {
        assert_eq!(size(text), Ok(bytes), "{text}");
    }
    for text in ["", "MiB", "-1", "1.2.3 MB", "1. MB", ".5 MB", "20 MiBs", "1e9", "١ MB"] {
        let bad = size(text).unwrap_err();
        assert!(bad.what.contains("isn't a size") && bad.fix.contains("\"20 MiB\""), "{text}: {bad}");
    }
    for text in ["18446744073709551616", "99999999 TiB"] {
        assert!(size(text).unwrap_err().what.contains("is too large"), "{text}");
    }
}

#[test]
fn tail_lines_are_bounded() {
    assert_eq!(tail_lines("0"), Ok(0));
    assert_eq!(tail_lines("10000"), Ok(10_000));
    for text in ["10001", "-1", "many", "5.5", ""] {
        assert!(tail_lines(text).unwrap_err().fix.contains("0 to 10000"), "{text}");
    }
}

#[test]
fn mailboxes_in_the_forms_people_write() {
    let of =
        |text: &str| text.parse::<Mailbox>().map(|it| (it.name.unwrap_or_default(), it.address)).unwrap();
    let pair = |name: &str, address: &str| (name.to_owned(), address.to_owned());
    assert_eq!(of("10001@qq.com"), pair("", "10001@qq.com"));
    assert_eq!(of("  <10001@qq.com> "), pair("", "10001@qq.com"));
    assert_eq!(of("名字 <10001@qq.com>"), pair("名字", "10001@qq.com"));
    assert_eq!(of("名字<10001@qq.com>"), pair("名字", "10001@qq.com"));
    assert_eq!(of(r#""Li, \"Lei\"" <a@b.example.com>"#), pair("Li, \"Lei\"", "a@b.example.com"));
}

#[test]
fn mailboxes_that_would_break_a_header_or_a_session_are_refused() {
    for text in [
        "",
        "10001",
        "@qq.com",
        "a b@qq.com",
        "名字 <10001@qq.com",
        "名字 10001@qq.com",
        "张三@qq.com",
        "10001\u{ff20}qq.com",
        "a@b@qq.com",
        "<a@b.com> x",
        "a@qq.com>",
        "x <a@qq.com> RCPT TO:<b@qq.com>",
    ] {
        let bad = text.parse::<Mailbox>().unwrap_err();
        assert!(bad.fix.contains("@qq.com"), "{text}: {bad}");
    }
    for text in ["a\r\nBcc: <b@example.com>", "x\n <a@qq.com>", "x\0 <a@qq.com>", "x <a@qq.com\r\n>"] {
        let bad = text.parse::<Mailbox>().unwrap_err();
        assert!(!bad.to_string().contains(['\r', '\n', '\0']), "{bad}");
    }
}

#[test]
fn what_a_mailbox_shows_parses_back() {
    for name in ["名字", "Li, Lei", "a \"b\" c", "back\\slash", "x@y", "Dr. Who", "a<b>c", "it's"] {
        let mailbox = Mailbox { name: Some(name.into()), address: "a@b.example.com".into() };
        assert_eq!(mailbox.to_string().parse::<Mailbox>().as_ref(), Ok(&mailbox), "{mailbox}");
        let list = format!("{mailbox}, 10001@qq.com");
        assert_eq!(split_list(&list), [mailbox.to_string().as_str(), "10001@qq.com"]);
    }
}

#[test]
fn lists_drop_empty_pieces() {
    assert_eq!(split_list(" a@b.c ,, d@e.f, "), ["a@b.c", "d@e.f"]);
    assert!(split_list(" , ").is_empty());
}

#[test]
fn a_quoted_value_is_short_printable_and_no_code() {
    assert_eq!(quoted("a\r\nb\u{1b}"), "`a\\r\\nb\\u{1b}`");
    assert!(quoted(&"word ".repeat(40)).chars().count() < 70);
    assert!(!quoted("abcdefghijklmnop").contains("abcd"));
}

#[test]
fn one_line_keeps_text_and_refuses_controls() {
    assert_eq!(one_line("训练 done").as_deref(), Ok("训练 done"));
    assert!(one_line("a\nb").unwrap_err().fix.contains("one line"));
}

/// Catches a user who is told how one address is written, and wrote two.
#[test]
fn several_addresses_in_one_are_told_apart() {
    for text in
        ["a@b.c,d@e.f", "a@b.c, d@e.f", "a@b.c，d@e.f", "a@b.c；d@e.f", "a@b.c; 名字 <d@e.f>", "a@b.c、d@e.f"]
    {
        let told = error::<Mailbox>(text);
        assert!(told.contains("each address on its own"), "{told}");
    }
    assert!(!error::<Mailbox>("nobody").contains("each address"));
}

#[test]
fn exit_codes_are_those_that_a_command_can_have() {
    assert_eq!((exit_code("0"), exit_code("255")), (Ok(0), Ok(255)));
    for text in ["256", "-1", "x", ""] {
        let told = exit_code(text).unwrap_err().to_string();
        assert!(told.contains(&format!("`{text}`")) && told.contains("from 0 to 255"), "{told}");
    }
}
