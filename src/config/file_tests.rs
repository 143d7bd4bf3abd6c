use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::config::merge;
use crate::config::{
    Attach, Auth, CommandLine, Language, On, Overrides, SecretSource, Settings, Tls, Wait, Wishes,
};
use crate::privacy::builtin::Kind;

const CODE: &str = "abcdefghijklmnop";

/// All findings, of reading and of resolving, with the settings that come of it.
fn settings(text: &str) -> (Settings, Vec<Diagnostic>) {
    let (config, mut found) = parse(text, Path::new("/c/notify.toml"));
    let (settings, more) = merge::resolve(&config, &Overrides::default());
    found.extend(more);
    (settings, found)
}

fn findings(text: &str) -> Vec<Diagnostic> {
    settings(text).1
}

/// The single finding of a text: place, key, message, hint.
#[track_caller]
fn only(text: &str, severity: Severity) -> (String, String, String, String) {
    let found = findings(text);
    assert_eq!(found.len(), 1, "{found:#?}");
    let it = &found[0];
    assert_eq!(it.severity, severity, "{it:#?}");
    (it.place.clone(), it.key.clone().unwrap_or_default(), it.message.clone(), it.hint.clone().unwrap())
}

#[track_caller]
fn check((text, severity, line): (&str, Severity, usize), key: &str, message: &str, hint: &str) {
    let found = only(text, severity);
    assert_eq!(found.0, format!("/c/notify.toml:{line}"), "{found:?}");
    assert_eq!(found.1, key, "{found:?}");
    assert!(found.2.contains(message), "{found:?} lacks {message}");
    assert!(found.3.contains(hint), "{found:?} lacks {hint}");
}

fn account(lines: &str) -> String {
    format!("[accounts.qq]\naddress = \"10001@qq.com\"\nauth_code = \"{CODE}\"\n{lines}\n")
}

#[test]
fn three_lines_are_enough_for_qq_and_163() {
    let (config, found) = settings(&format!(
        "[accounts.qq]\naddress = \"10001@qq.com\"\nauth_code = \"{CODE}\"\n\
         [accounts.netease]\naddress = \"13800000000@163.com\"\nauth_code = \"{CODE}\"\n"
    ));
    assert_eq!(found, []);
    let hosts: Vec<_> =
        config.accounts.iter().map(|it| (it.name.as_str(), it.server.host.as_str())).collect();
    assert_eq!(hosts, [("qq", "smtp.qq.com"), ("netease", "smtp.163.com")]);
    assert_eq!(config.accounts[1].username, "13800000000@163.com");
    let Some(SecretSource::Literal(secret)) = &config.accounts[0].secret else { panic!("no code") };
    assert_eq!(secret.expose(), CODE);
}

/// Each key reaches the setting of its name.
#[test]
#[expect(clippy::too_many_lines, reason = "a line for each key")]
fn every_key_arrives() {
    let text = r#"
account = "b"
lang = "zh"
[mail]
to = ["a@example.com", "名字 <b@example.com>"]
cc = "c@example.com, d@example.com"
bcc = "e@example.com"
from_name = "GPU 07"
subject = "{name}"
[notify]
on = "failure"
min_duration = "5m"
wait = "0s"
keep_trying = "30m"
[log]
tail_lines = 7
attach = "tail"
max_attachment = "1 MiB"
keep = "2days"
keep_size = 4096
[privacy]
redact = ['a{1,2}', "b"]
keep = ["aws", "jwt"]
hide_command = true
[accounts.b]
address = "me@example.org"
auth_code = { env = "CODE" }
provider = "exmail"
host = "127.0.0.1"
port = 0x9a1
tls = "none"
auth = "plain"
username = "me"
ca_file = "ca.pem"
hello_name = "[127.0.0.1]"
timeout = "1500ms"
"#;
    let (it, found) = settings(text);
    assert_eq!(found, []);
    let shown = |list: &[crate::config::Mailbox]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!((it.account.as_deref(), it.lang), (Some("b"), Language::Zh));
    assert_eq!(shown(&it.mail.to), ["a@example.com", "名字 <b@example.com>"]);
    assert_eq!(shown(&it.mail.cc), ["c@example.com", "d@example.com"]);
    assert_eq!(shown(&it.mail.bcc), ["e@example.com"]);
    assert_eq!((it.mail.from_name.as_deref(), it.mail.subject.as_deref()), (Some("GPU 07"), Some("{name}")));
    assert_eq!(it.notify.on, On::Failure);
    assert_eq!(it.notify.min_duration, Duration::from_secs(300));
    assert_eq!(it.notify.wait, Wait::For(Duration::ZERO));
    assert_eq!(it.notify.keep_trying, Duration::from_secs(1800));
    assert_eq!((it.log.tail_lines, it.log.attach, it.log.max_attachment), (7, Attach::Tail, Some(1 << 20)));
    assert_eq!((it.log.keep, it.log.keep_size), (Duration::from_secs(172_800), 4096));
    assert_eq!((it.privacy.redact.len(), &it.privacy.keep[..]), (2, &[Kind::Aws, Kind::Jwt][..]));
    assert_eq!((it.privacy.command, it.privacy.wishes), (CommandLine::Hidden, Wishes::Known));
    let account = &it.accounts[0];
    assert_eq!(it.code_variables().collect::<Vec<_>>(), ["CODE"]);
    assert_eq!((account.address.as_str(), account.username.as_str()), ("me@example.org", "me"));
    let server = &account.server;
    assert_eq!((server.host.as_str(), server.port, server.tls), ("127.0.0.1", 2465, Tls::None));
    assert_eq!((server.auth, server.max_message), (Auth::Plain, 73_400_320));
    assert_eq!(server.ca_file, Some(PathBuf::from("/c/ca.pem")));
    assert_eq!(server.hello_name.as_deref(), Some("[127.0.0.1]"));
    assert_eq!(account.timeout, Duration::from_millis(1500));
}

#[test]
fn the_order_of_accounts_is_the_order_in_the_file() {
    let text =
        ["z", "a", "m"].map(|name| account("").replace("[accounts.qq]", &format!("[accounts.{name}]")));
    let names: Vec<_> = settings(&text.concat()).0.accounts.into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["z", "a", "m"]);
}

#[test]
fn unknown_keys_are_warnings_with_the_name_that_was_meant() {
    let warn = Severity::Warning;
    let doubt = "this version doesn't know it";
    check(("[log]\n\ntail_line = 5", warn, 3), "log.tail_line", doubt, "did you mean tail_lines?");
    check(("[log]\non = \"failure\"", warn, 2), "log.on", doubt, "did you mean on in [notify]? Move it");
    check(("[mail]\nlang = \"zh\"", warn, 2), "mail.lang", doubt, "lang above the first [table]");
    check(("[notfy]\n", warn, 1), "notfy", doubt, "did you mean notify?");
    check((&account("hots = \"x\""), warn, 4), "accounts.qq.hots", doubt, "did you mean host?");
    check((&account("to = \"x\""), warn, 4), "accounts.qq.to", doubt, "did you mean to in [mail]?");
}

/// Keys of later versions must not be taken for slips of known ones.
#[test]
fn keys_of_later_versions_are_only_unknown() {
    for (table, key) in [("notify", "start"), ("notify", "every"), ("notify", "stalled"), ("notify", "match")]
    {
        let text = format!("[{table}]\n{key} = \"1\"");
        let hint = format!("remove `{key}` or update notify-done");
        check(
            (&text, Severity::Warning, 2),
            &format!("{table}.{key}"),
            "this version doesn't know it",
            &hint,
        );
    }
    check(("[watch]\nevery = []", Severity::Warning, 1), "watch", "doesn't know it", "remove `watch`");
}

#[test]
fn values_that_cannot_be_used_name_line_key_and_fix() {
    let bad = |text: &str, line, key: &str, message: &str, hint: &str| {
        check((text, Severity::Unusable, line), key, message, hint);
    };
    bad("lang = \"cn\"", 1, "lang", "`cn` isn't known", "auto, en, zh");
    bad("lang = 1", 1, "lang", "is a TOML integer, not a string", "double quotes");
    bad("mail = 1", 1, "mail", "is a value, not a table", "write [mail]");
    bad("accounts = 1", 1, "accounts", "is a value, not a table", "write [accounts.qq]");
    // A forgotten s: quotes would mend nothing.
    for header in ["[account]", "[account.qq]"] {
        let text = format!("{header}\naddress = \"10001@qq.com\"");
        bad(&text, 1, "account", "is a table, not a name", "did you mean [accounts.qq]?");
    }
    bad("[accounts]\naddress = \"a@qq.com\"", 2, "accounts.address", "not a table", "write [accounts.qq]");
    bad("[[accounts]]\naddress = \"a@qq.com\"", 1, "accounts", "not a table", "write [accounts.qq]");
    bad("[accounts.\"\"]", 1, "accounts", "no printable name", "[accounts.qq]");
    bad("[mail]\nto = 5", 2, "mail.to", "is a TOML integer", "[\"a@example.com\"");
    bad("[mail]\nto = [5]", 2, "mail.to", "is a TOML integer, not an address", "[\"a@example.com\"");
    bad(
        "[mail]\ncc = [\"a@b.c\", \"nobody\"]",
        2,
        "mail.cc",
        "`nobody` isn't a mail address",
        "10001@qq.com",
    );
    bad("[mail]\nsubject = \"a\\nb\"", 2, "mail.subject", "line break", "one line");
    bad("[notify]\non = \"never\"", 2, "notify.on", "`never`", "always, failure, success");
    bad("[notify]\nmin_duration = 30", 2, "notify.min_duration", "integer, not a duration", "\"90s\"");
    bad("[notify]\nmin_duration = \"soon\"", 2, "notify.min_duration", "`soon` isn't a duration", "90s");
    bad("[notify]\nwait = \"x\"", 2, "notify.wait", "`x` isn't a duration", "auto, or a duration");
    bad("[log]\ntail_lines = \"5\"", 2, "log.tail_lines", "string, not a number", "without quotes");
    bad("[log]\ntail_lines = -1", 2, "log.tail_lines", "`-1`", "0 to 10000");
    bad("[log]\nattach = true", 2, "log.attach", "is a TOML boolean", "double quotes");
    bad("[log]\nmax_attachment = \"big\"", 2, "log.max_attachment", "`big` isn't a size", "20 MiB");
    bad("[log]\nmax_size = 4096", 2, "log.max_size", "too few for a log", "1 MiB at least");
    bad("[log]\nreserve = \"some\"", 2, "log.reserve", "`some` isn't a size", "20 MiB");
    bad("[log]\nkeep_size = -5", 2, "log.keep_size", "`-5` isn't a size", "20 MiB");
    bad("[log]\nkeep_size = 1.5", 2, "log.keep_size", "is a TOML float", "20 MiB");
}

#[test]
fn unusable_keys_of_an_account_name_line_key_and_fix() {
    let bad = |lines: &str, key: &str, message: &str, hint: &str| {
        let text = account(lines);
        check((&text, Severity::Unusable, 4), &format!("accounts.qq.{key}"), message, hint);
        assert!(settings(&text).0.accounts.is_empty(), "a server nobody meant: {lines}");
    };
    bad("provider = \"hotmail\"", "provider", "`hotmail` isn't a provider", "qq, 163, 126");
    bad("host = \"smtp.qq.com:465\"", "host", "has a port in it", "port = 465");
    bad("host = \"https://smtp.qq.com\"", "host", "isn't a host name", "smtp.example.com");
    bad("host = \"\"", "host", "isn't a host name", "smtp.example.com");
    bad("host = \"a\\r\\nb\"", "host", "isn't a host name", "smtp.example.com");
    bad("port = 0", "port", "`0` isn't a port", "1 to 65535");
    bad("port = 65536", "port", "`65536` isn't a port", "1 to 65535");
    bad("port = -25", "port", "`-25` isn't a port", "1 to 65535");
    bad("port = \"465\"", "port", "string, not a port", "without quotes");
    bad("tls = \"ssl\"", "tls", "`ssl`", "implicit, starttls, none");
    bad("tls = \"none\"", "tls", "would send the code unencrypted to `smtp.qq.com`", "loopback");
    bad("auth = \"xoauth2\"", "auth", "`xoauth2`", "auto, plain, login");
    bad("username = \" \"", "username", "is empty", "remove the line");
    bad("ca_file = \"\"", "ca_file", "is empty", "remove the line");
    bad("timeout = \"99ms\"", "timeout", "`99ms` is no time to wait", "100ms to 1h");
    bad("timeout = \"2h\"", "timeout", "`2h` is no time to wait", "100ms to 1h");
    bad("timeout = 30", "timeout", "integer, not a duration", "90s");
    bad("hello_name = \"my host\"", "hello_name", "isn't a name for EHLO", "[127.0.0.1]");
}

#[test]
fn hosts_as_people_write_them() {
    for (text, host) in
        [("[::1]", "::1"), ("::1", "::1"), ("127.0.0.1", "127.0.0.1"), ("mail_1.lan", "mail_1.lan")]
    {
        let (config, found) = settings(&account(&format!("host = \"{text}\"")));
        assert_eq!(found, []);
        assert_eq!(config.accounts[0].server.host, host);
    }
}

#[test]
fn what_an_account_lacks() {
    let code = format!("auth_code = \"{CODE}\"");
    let bad = |lines: &str, line, key: &str, message: &str, hint: &str| {
        let text = format!("\n[accounts.qq]\n{lines}");
        check((&text, Severity::Unusable, line), &format!("accounts.qq.{key}"), message, hint);
    };
    bad(&code, 2, "address", "is missing", "address = \"10001@qq.com\"");
    bad("address = \"10001@qq.com\"", 2, "auth_code", "is missing", "设置 → 账号");
    bad("address = \"a@163.com\"", 2, "auth_code", "is missing", "设置 → POP3/SMTP/IMAP");
    bad(&format!("address = \"\"\n{code}"), 3, "address", "is empty", "10001@qq.com");
    bad(&format!("address = \"qq\"\n{code}"), 3, "address", "`qq` isn't a mail address", "10001@qq.com");
    bad(&format!("address = \"A <a@qq.com>\"\n{code}"), 3, "address", "has a name in it", "from_name");
    bad(
        &format!("address = \"a@corp.example.com\"\n{code}"),
        3,
        "address",
        "no provider is known for `corp.example.com`",
        "add host = \"smtp.corp.example.com\", or provider = with one of: qq, 163",
    );
}

#[test]
fn auth_codes_in_all_forms() {
    let of = |value: &str| {
        let text = format!("[accounts.qq]\naddress = \"10001@qq.com\"\nauth_code = {value}");
        let (settings, found) = settings(&text);
        assert_eq!(found, [], "{value}");
        format!("{}", settings.accounts[0].secret.as_ref().unwrap())
    };
    assert_eq!(of("\"abcd efgh ijkl mnop\""), "auth_code in notify.toml");
    assert_eq!(of("{ env = \"QQ_CODE\" }"), "the environment variable QQ_CODE");
    assert_eq!(of("{ file = \"/run/secrets/qq\" }"), "the file /run/secrets/qq");
    assert_eq!(of("{ file = \"qq-code\" }"), "the file /c/qq-code");
    assert_eq!(of("{ file = \"~/qq-code\" }"), "the file ~/qq-code");
    assert_eq!(of("{ command = \"pass show mail/qq\" }"), "the command `pass …`");
}

#[test]
fn auth_codes_that_cannot_be_used() {
    let bad = |value: &str, message: &str, hint: &str| {
        let text = format!("[accounts.qq]\naddress = \"10001@qq.com\"\nauth_code = {value}");
        check((&text, Severity::Unusable, 3), "accounts.qq.auth_code", message, hint);
        let (settings, _) = settings(&text);
        assert!(settings.accounts[0].secret.is_none(), "the account stays, without a code");
    };
    let made = "QQ makes it in its web mail under 设置 → 账号, 163 under 设置 → POP3/SMTP/IMAP";
    bad("\"\"", "is empty", made);
    bad("\"  \"", "is empty", made);
    bad("\"paste-your-authorization-code-here\"", "still the template's placeholder", made);
    bad("\"abcdefghijklmnop\\nX\"", "line break", made);
    bad("12345678", "is a TOML integer", "double quotes");
    bad("{}", "exactly one of", "{ env = \"NAME\" }");
    bad("{ env = \"A\", file = \"b\" }", "exactly one of", "{ env = \"NAME\" }");
    bad("{ keyring = \"A\" }", "exactly one of", "{ env = \"NAME\" }");
    bad("{ env = \"\" }", "names no environment variable", "QQ_AUTH_CODE");
    bad("{ env = \"$QQ\" }", "names no environment variable", "QQ_AUTH_CODE");
    bad("{ env = 1 }", "is a TOML integer", "double quotes");
    bad("{ file = \"\" }", "is empty", "write a value");
    bad("{ command = \" \" }", "isn't a shell line", "{ command");
}

#[test]
fn a_password_is_told_from_a_code() {
    let text = "[accounts.a]\naddress = \"a@163.com\"\nauth_code = \"hunter2\"";
    let fix = "paste the 授权码, not the password; it is made in NetEase's web mail";
    check((text, Severity::Warning, 3), "accounts.a.auth_code", "which has 16 characters", fix);
    // One's own server, another provider and a code that isn't read yet have no such rule.
    assert_eq!(findings(&format!("{text}\nhost = \"localhost\"")), []);
    assert_eq!(findings(&text.replace("163.com", "gmail.com")), []);
    assert_eq!(findings(&text.replace("\"hunter2\"", "{ env = \"X\" }")), []);
}

#[test]
fn an_account_that_is_not_there() {
    let text = format!("account = \"163\"\n{}", account(""));
    check((&text, Severity::Unusable, 1), "account", "no account is called `163`", "write one of: qq");
    check(
        ("account = \"qq\"", Severity::Unusable, 1),
        "account",
        "no account",
        "add [accounts.qq] with address",
    );
}

/// The rest of the file is used, nothing is made up, and what may stand on the lost line isn't
/// called missing.
#[test]
fn a_line_that_is_no_toml_costs_that_line() {
    let broken = |lines: &str| format!("account = \"qq\"\n{}[log]\ntail_lines = 7\n", account(lines));
    for (lines, hint) in [
        ("port 465", "key = \"value\""),
        ("port", "key = \"value\""),
        ("host = smtp.qq.com", "close each quote"),
        ("host = \"smtp.qq.com", "close each quote"),
        ("host = “smtp.qq.com”", "English keyboard"),
        ("= 5", "key = \"value\""),
        ("address = \"10002@qq.com\"", "written twice"),
    ] {
        let text = broken(lines);
        let found = only(&text, Severity::Unusable);
        assert_eq!(found.0, "/c/notify.toml:5", "{lines}: {found:?}");
        assert!(found.2.starts_with("this line isn't valid TOML: "), "{found:?}");
        assert!(found.3.contains(hint), "{found:?}");
        let (settings, _) = settings(&text);
        assert_eq!(settings.log.tail_lines, 7, "{lines}");
        assert_eq!(settings.accounts[0].server.port, 465, "{lines}");
        assert_eq!(settings.accounts[0].address, "10001@qq.com", "{lines}");
    }
}

#[test]
fn a_broken_header_does_not_pour_its_keys_into_the_table_above() {
    let text =
        format!("[log]\ntail_lines = 7\n[notify\r\non = \"failure\"\nattach = \"none\"\n{}", account(""));
    let (settings, found) = settings(&text);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].place, "/c/notify.toml:3");
    assert_eq!((settings.log.tail_lines, settings.log.attach), (7, Attach::Full));
    assert_eq!(settings.accounts.len(), 1);
}

/// The parser notices an unclosed bracket or quote only further down; the line to mend is where it
/// was opened, and what stands below is used.
#[test]
fn what_was_never_closed_is_placed_where_it_was_opened() {
    for (value, noticed) in [
        ("\"\"\"abc", 6),
        ("[ \"a@b.c\"", 4),
        ("[ \"a@b.c\",\n", 6),
        ("[ \"a@b.c\n\"]", 4),
        ("[\n  \"a@b.c\"\n  \"d@e.f\",\n  \"g@h.i\",\n]", 5),
        ("{ a = \"X\"\n", 5),
    ] {
        let text = format!("[mail]\ncc = []\nto = {value}\n[log]\ntail_lines = 7\nattach = \"none\"\n");
        let found = only(&text, Severity::Unusable);
        assert_eq!(found.0, "/c/notify.toml:3", "{text}{found:?}");
        assert!(found.2.contains(&format!("noticed on line {noticed}")), "{text}{found:?}");
        assert!(found.3.contains("close each quote and bracket"), "{found:?}");
        let log = settings(&text).0.log;
        assert_eq!((log.tail_lines, log.attach), (7, Attach::None), "{text}");
    }
}

#[test]
fn each_of_several_broken_lines_is_told() {
    let found =
        findings("[accounts.qq]\naddress = “10001@qq.com”\nauth_code = “x”\nport = 465\nport = 587\n");
    let places: Vec<_> = found.iter().map(|it| it.place.as_str()).collect();
    assert_eq!(places, ["/c/notify.toml:2", "/c/notify.toml:3", "/c/notify.toml:5"], "{found:#?}");
}

#[test]
fn what_is_no_toml_at_all_ends_soon() {
    let text = "#!/bin/sh\n".to_owned() + &"if [ -e \"$x\" ]; then echo 'hi; fi\n".repeat(500);
    let found = findings(&text);
    assert!((1..=crate::config::recover::MOST_FINDINGS).contains(&found.len()), "{}", found.len());
    // A bracket that is never closed, with hundreds of lines that fit nowhere: the command waits.
    let (config, found) = parse(&("a = [\n".to_owned() + &"x\n".repeat(500)), Path::new("/c/notify.toml"));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(config.lost_lines.len() < 50, "{} rounds", config.lost_lines.len());
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_are_fine() {
    let text = format!("\u{feff}{}", account("port = 587").replace('\n', "\r\n"));
    let (config, found) = settings(&text);
    assert_eq!(found, []);
    assert_eq!(config.accounts[0].server.tls, Tls::StartTls);
    check((&text.replace("587", "0"), Severity::Unusable, 4), "accounts.qq.port", "`0`", "1 to 65535");
}

/// Whatever a user does to the line with the code, no finding shows it.
#[test]
fn no_finding_ever_shows_a_code() {
    let lines = [
        format!("auth_code = {CODE}"),
        format!("auth_code = \"{CODE}"),
        format!("auth_code = “{CODE}”"),
        format!("auth_code {CODE}"),
        format!("auth_code: \"{CODE}\""),
        format!("auth_code = \"{CODE}\" \"{CODE}\""),
        format!("auth_code = \"\\{CODE}\""),
        format!("auth_code = \"{CODE}\\n\""),
        format!("auth_code = [\"{CODE}\"]"),
        format!("auth_code = {{ env = \"${CODE}\" }}"),
        format!("auth_code = {{ {CODE} = \"x\" }}"),
        format!("auth_code = {{ value = \"{CODE}\" }}"),
        format!("auth_code = {{ command = 5, x = \"{CODE}\" }}"),
        format!("auth_cod = \"{CODE}\""),
        CODE.to_owned(),
        format!("{CODE} = 1"),
        format!("\"{CODE}\" = \"auth_code\""),
        format!("[{CODE}]"),
        format!("[accounts]\n{CODE} = \"x\""),
        format!("address = \"{CODE}\""),
        format!("provider = \"{CODE}\""),
        format!("host = \"{CODE}!\""),
        format!("port = \"{CODE}\""),
        format!("tls = \"{CODE}\""),
        format!("hello_name = \"{CODE} x\""),
        format!("username = \"{CODE}\\n\""),
        format!("[mail]\nto = \"{CODE}\""),
        format!("[notify]\nwait = \"{CODE}\""),
        format!("[log]\nkeep_size = \"{CODE}\""),
    ];
    for line in &lines {
        for text in [format!("[accounts.qq]\n{line}\n"), format!("{line}\n[accounts.qq]\n"), line.clone()] {
            let found = findings(&text);
            assert!(!found.is_empty(), "{text}");
            for it in found {
                let shown = format!("{it:?}");
                assert!(!shown.contains(&CODE[..8]), "{text} → {shown}");
            }
        }
    }
}

/// Catches a mail that is made as if the user had wished nothing kept out of it, because how he wrote it
/// can't be read.
#[test]
fn wishes_that_cannot_be_read_are_known_to_be_some() {
    let wishes = |text: &str| {
        let (settings, found) = settings(text);
        (settings.privacy.wishes, found.iter().any(|found| found.severity == Severity::Unusable))
    };
    for text in [
        "[privacy]\nredact = ['(']",
        "[privacy]\nredact = 5",
        "[privacy]\nredact = [5]",
        "[privacy]\nkeep = [\"asw\"]",
        "[privacy]\nhide_command = \"yes\"",
        "[privacy]\nredacts = ['a']",
        "[privacy]\nhide = true",
        "[log]\nredact = ['a']",
        "redact = ['a']",
        "privacy = true",
        "[privcy]\nredact = ['a']",
        "[privacy]\nredact = ['a",
        "[privacy\nredact = ['a']",
    ] {
        assert_eq!(wishes(text), (Wishes::Unreadable, true), "{text}");
    }
    for text in ["", "[privacy]", "[privacy]\nredact = []", "[privacy]\nredact = 'a'", "[log]\ntail_line = 5"]
    {
        assert_eq!(wishes(text), (Wishes::Known, false), "{text}");
    }
    // A mistake elsewhere takes nothing from the mail.
    assert_eq!(wishes("# [privacy]\n[log]\ntail_lines = \"x\"\nattach"), (Wishes::Known, true));
    let (_, found) = settings("[privacy]\nredact = ['geheim(']");
    assert_eq!(found[0].key.as_deref(), Some("privacy.redact"));
    assert!(found[0].message.contains("isn't a regular expression: unclosed group"), "{}", found[0].message);
}
