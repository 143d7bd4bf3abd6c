use super::*;

fn plain(address: &str) -> Server {
    resolve(address, &Explicit::default()).unwrap()
}

fn named(name: &str) -> Server {
    let explicit = Explicit { provider: by_name(name), ..Explicit::default() };
    resolve("me@corp.example.com", &explicit).unwrap()
}

fn brief(server: &Server) -> (&str, u16, Tls, u64) {
    (&server.host, server.port, server.tls, server.max_message)
}

/// The rows of the table, written out by hand: a slip in a host or a limit shows here.
#[test]
fn every_domain_has_its_server() {
    use Tls::{Implicit, StartTls};
    let rows = [
        ("qq.com", "smtp.qq.com", 465, Implicit, 73_400_320),
        ("vip.qq.com", "smtp.qq.com", 465, Implicit, 73_400_320),
        ("foxmail.com", "smtp.qq.com", 465, Implicit, 73_400_320),
        ("163.com", "smtp.163.com", 465, Implicit, 50_000_000),
        ("126.com", "smtp.126.com", 465, Implicit, 50_000_000),
        ("yeah.net", "smtp.yeah.net", 465, Implicit, 50_000_000),
        ("vip.163.com", "smtp.vip.163.com", 465, Implicit, 50_000_000),
        ("vip.126.com", "smtp.vip.126.com", 465, Implicit, 50_000_000),
        ("188.com", "smtp.188.com", 465, Implicit, 50_000_000),
        ("aliyun.com", "smtp.aliyun.com", 465, Implicit, 20_971_520),
        ("sina.com", "smtp.sina.com", 465, Implicit, 20_971_520),
        ("139.com", "smtp.139.com", 465, Implicit, 20_971_520),
        ("189.cn", "smtp.189.cn", 465, Implicit, 20_971_520),
        ("sohu.com", "smtp.sohu.com", 465, Implicit, 20_971_520),
        ("outlook.com", "smtp-mail.outlook.com", 587, StartTls, 35_000_000),
        ("hotmail.com", "smtp-mail.outlook.com", 587, StartTls, 35_000_000),
        ("gmail.com", "smtp.gmail.com", 465, Implicit, 35_882_577),
    ];
    for (domain, host, port, tls, limit) in rows {
        assert_eq!(brief(&plain(&format!("10001@{domain}"))), (host, port, tls, limit), "{domain}");
    }
    assert_eq!(PRESETS.iter().map(|preset| preset.domains.len()).sum::<usize>(), rows.len());
}

#[test]
fn enterprise_mail_is_chosen_by_name() {
    let rows = [
        ("exmail", "smtp.exmail.qq.com", 73_400_320, Auth::LoginFirst),
        ("exmail-abroad", "hwsmtp.exmail.qq.com", 73_400_320, Auth::LoginFirst),
        ("qiye163", "smtphz.qiye.163.com", 50_000_000, Auth::Auto),
        ("aliyun-qiye", "smtp.qiye.aliyun.com", 20_971_520, Auth::Auto),
    ];
    for (name, host, limit, auth) in rows {
        let server = named(name);
        assert_eq!(brief(&server), (host, 465, Tls::Implicit, limit), "{name}");
        assert_eq!(server.auth, auth, "{name}");
    }
    assert_eq!(PRESETS.iter().filter(|preset| preset.domains.is_empty()).count(), rows.len());
}

#[test]
fn every_preset_says_where_its_code_is_made_in_both_languages() {
    for preset in PRESETS {
        assert!(preset.help.en.starts_with("in "), "{}", preset.name);
        assert!(preset.help.zh.starts_with("登录"), "{}", preset.name);
        assert_eq!(by_name(preset.name), Some(preset));
    }
    assert!(by_name("qq").unwrap().help.en.contains("账号"));
    assert!(by_name("163").unwrap().help.en.contains("POP3/SMTP/IMAP"));
    assert_eq!(by_name("QQ"), by_name("qq"));
    assert_eq!(by_domain("QQ.COM"), by_name("qq"));
}

/// Catches: a code in clear text, a port that isn't the preset's, a user's own server left for
/// another port.
#[test]
fn where_else_a_provider_takes_mail() {
    let at = |server: &Server| server.fallback.iter().map(|it| (it.port, it.tls)).collect::<Vec<_>>();
    assert_eq!(at(&plain("10001@qq.com")), [(587, Tls::StartTls)]);
    assert_eq!(at(&plain("a@163.com")), [(994, Tls::Implicit), (25, Tls::StartTls)]);
    assert_eq!(at(&plain("a@vip.126.com")), [(994, Tls::Implicit), (25, Tls::StartTls)]);
    assert_eq!(at(&named("exmail")), [(587, Tls::StartTls)]);
    assert_eq!(at(&plain("a@outlook.com")), []);
    for preset in PRESETS {
        for it in preset.fallback {
            assert_ne!(it.tls, Tls::None, "{}", preset.name);
            assert!(it.port != preset.port, "{}", preset.name);
            assert!(it.tls == Tls::Implicit || it.port == preset.starttls_port, "{}", preset.name);
        }
    }
    let host = Explicit { host: Some("smtp.qq.com".into()), ..Explicit::default() };
    let port = Explicit { port: Some(465), ..Explicit::default() };
    let tls = Explicit { tls: Some(Tls::Implicit), ..Explicit::default() };
    for said in [host, port, tls] {
        assert_eq!(resolve("10001@qq.com", &said).unwrap().fallback, []);
    }
}

#[test]
fn explicit_fields_win_whatever_the_domain() {
    let explicit = Explicit {
        host: Some("127.0.0.1".into()),
        port: Some(2465),
        tls: Some(Tls::None),
        auth: Some(Auth::Plain),
        ca_file: Some("/ca.pem".into()),
        hello_name: Some("box.example.com".into()),
        ..Explicit::default()
    };
    let server = resolve("10001@qq.com", &explicit).unwrap();
    assert_eq!(brief(&server), ("127.0.0.1", 2465, Tls::None, 73_400_320));
    assert_eq!(server.auth, Auth::Plain);
    assert_eq!(server.ca_file, Some("/ca.pem".into()));
    assert_eq!(server.hello_name.as_deref(), Some("box.example.com"));
}

#[test]
fn the_port_tells_the_tls_and_the_tls_the_port() {
    let of = |address: &str, port, tls| {
        let explicit = Explicit { port, tls, host: Some("localhost".into()), ..Explicit::default() };
        let server = resolve(address, &explicit).unwrap();
        (server.port, server.tls)
    };
    let qq = "10001@qq.com";
    assert_eq!(of(qq, Some(587), None), (587, Tls::StartTls));
    assert_eq!(of(qq, Some(25), None), (25, Tls::StartTls));
    assert_eq!(of(qq, Some(994), None), (994, Tls::Implicit));
    assert_eq!(of(qq, Some(2465), None), (2465, Tls::Implicit));
    assert_eq!(of(qq, None, Some(Tls::StartTls)), (587, Tls::StartTls));
    assert_eq!(of("a@163.com", None, Some(Tls::StartTls)), (25, Tls::StartTls));
    assert_eq!(of("a@outlook.com", Some(465), None), (465, Tls::Implicit));
    assert_eq!(of("a@outlook.com", None, Some(Tls::Implicit)), (465, Tls::Implicit));
    assert_eq!(of("a@example.com", None, None), (465, Tls::Implicit));
    assert_eq!(of("a@example.com", None, Some(Tls::None)), (25, Tls::None));
}

#[test]
fn an_unknown_domain_needs_a_host() {
    let unknown = resolve("me@corp.example.com", &Explicit::default());
    assert_eq!(unknown, Err(Unresolved::UnknownDomain("corp.example.com".into())));
}

#[test]
fn no_tls_only_to_loopback() {
    let of = |host: &str| {
        let explicit = Explicit { host: Some(host.into()), tls: Some(Tls::None), ..Explicit::default() };
        resolve("a@example.com", &explicit).map(|server| server.host)
    };
    for host in ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST"] {
        assert_eq!(of(host).as_deref(), Ok(host));
    }
    for host in ["smtp.example.com", "192.168.0.1", "localhost.example.com", "127.0.0.1.example.com"] {
        assert_eq!(of(host), Err(Unresolved::PlainToRemote(host.into())));
    }
    let preset = Explicit { tls: Some(Tls::None), ..Explicit::default() };
    assert!(resolve("10001@qq.com", &preset).is_err());
}
