use std::path::Path;

use super::*;
use crate::config::file::parse;

fn environment(pairs: &[(&str, &str)]) -> (Overrides, Vec<Diagnostic>) {
    env_overrides(&|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value)))
}

fn addresses(list: &[Mailbox]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

#[test]
fn every_variable_arrives() {
    let (it, found) = environment(&[
        ("NOTIFY_DONE_TO", "a@example.com, \"Li, Lei\" <b@example.com>"),
        ("NOTIFY_DONE_CC", "c@example.com"),
        ("NOTIFY_DONE_BCC", "d@example.com"),
        ("NOTIFY_DONE_FROM_NAME", "GPU"),
        ("NOTIFY_DONE_SUBJECT", "{name}"),
        ("NOTIFY_DONE_ACCOUNT", "qq"),
        ("NOTIFY_DONE_LANG", "zh"),
        ("NOTIFY_DONE_ON", "failure"),
        ("NOTIFY_DONE_MIN_DURATION", "1m"),
        ("NOTIFY_DONE_WAIT", "0s"),
        ("NOTIFY_DONE_KEEP_TRYING", "2h"),
        ("NOTIFY_DONE_TAIL", "9"),
        ("NOTIFY_DONE_LOG", "none"),
        ("NOTIFY_DONE_REDACT", "a,b\nc"),
        ("NOTIFY_DONE_HIDE_COMMAND", "1"),
    ]);
    assert_eq!(found, []);
    assert_eq!(addresses(it.to.as_ref().unwrap()), ["a@example.com", "\"Li, Lei\" <b@example.com>"]);
    assert_eq!(addresses(it.cc.as_ref().unwrap()), ["c@example.com"]);
    assert_eq!(addresses(it.bcc.as_ref().unwrap()), ["d@example.com"]);
    assert_eq!((it.from_name.as_deref(), it.subject.as_deref()), (Some("GPU"), Some("{name}")));
    assert_eq!((it.account.as_deref(), it.lang, it.on), (Some("qq"), Some(Language::Zh), Some(On::Failure)));
    assert_eq!(it.min_duration, Some(Duration::from_secs(60)));
    assert_eq!(it.wait, Some(Wait::For(Duration::ZERO)));
    assert_eq!(it.keep_trying, Some(Duration::from_secs(7200)));
    assert_eq!((it.tail_lines, it.attach), (Some(9), Some(Attach::None)));
    assert_eq!(
        (it.redact.clone(), it.hide_command),
        (Some(vec!["a,b".to_owned(), "c".to_owned()]), Some(true))
    );
    // Provenance knows the same fifteen: none is forgotten when a key is added.
    let provenance = Provenance::default().with_env(&it);
    for known in OVERRIDABLE {
        assert_eq!(provenance.source(known.key), Source::Env(known.variable.to_owned()));
    }
}

#[test]
fn a_variable_that_cannot_be_used_is_a_warning_and_the_rest_is_used() {
    for (variable, value, key, message, hint) in [
        ("NOTIFY_DONE_LANG", "cn", "lang", "`cn` isn't known here; it is ignored", "auto, en, zh"),
        ("NOTIFY_DONE_ON", "x", "notify.on", "`x`", "always, failure, success"),
        ("NOTIFY_DONE_MIN_DURATION", "5", "notify.min_duration", "`5` isn't a duration", "90s"),
        ("NOTIFY_DONE_WAIT", "x", "notify.wait", "`x` isn't a duration", "auto"),
        ("NOTIFY_DONE_TAIL", "-1", "log.tail_lines", "`-1`", "0 to 10000"),
        ("NOTIFY_DONE_LOG", "all", "log.attach", "`all`", "full, tail, none"),
        ("NOTIFY_DONE_SUBJECT", "a\nb", "mail.subject", "line break", "one line"),
        (
            "NOTIFY_DONE_TO",
            "nobody",
            "mail.to",
            "`nobody` isn't a mail address; it is left out",
            "10001@qq.com",
        ),
    ] {
        let (over, found) = environment(&[(variable, value), ("NOTIFY_DONE_FROM_NAME", "kept")]);
        assert_eq!(over, Overrides { from_name: Some("kept".into()), ..Overrides::default() });
        let [it] = found.as_slice() else { panic!("{found:#?}") };
        assert_eq!((it.severity, it.place.as_str()), (Severity::Warning, variable));
        assert_eq!(it.key.as_deref(), Some(key));
        assert!(it.message.contains(message), "{it:?}");
        assert!(it.hint.as_ref().unwrap().contains(hint), "{it:?}");
    }
}

#[test]
fn one_bad_address_of_a_list_is_left_out_alone() {
    let (over, found) = environment(&[("NOTIFY_DONE_TO", "a@example.com,nobody,b@example.com")]);
    assert_eq!(addresses(&over.to.unwrap()), ["a@example.com", "b@example.com"]);
    assert_eq!(found.len(), 1);
}

#[test]
fn empty_variables_are_not_set_and_non_utf8_is_named() {
    assert_eq!(environment(&[("NOTIFY_DONE_TO", ""), ("NOTIFY_DONE_LANG", "")]), Default::default());
    use std::os::unix::ffi::OsStringExt;
    let (over, found) =
        env_overrides(&|name| (name == "NOTIFY_DONE_SUBJECT").then(|| OsString::from_vec(vec![b'a', 0xff])));
    assert_eq!(over, Overrides::default());
    assert_eq!(found[0].place, "NOTIFY_DONE_SUBJECT");
    assert!(found[0].message.contains("UTF-8"));
}

#[test]
fn flags_over_environment_over_file_over_defaults() {
    let text = "lang = \"en\"\n[mail]\nto = \"file@example.com\"\ncc = \"file@example.com\"\n\
                bcc = \"file@example.com\"\n[log]\ntail_lines = 3\n";
    let (file, found) = parse(text, Path::new("/c/notify.toml"));
    assert_eq!(found, []);
    let (env, _) = environment(&[
        ("NOTIFY_DONE_TO", "env@example.com"),
        ("NOTIFY_DONE_CC", "env@example.com"),
        ("NOTIFY_DONE_LANG", "zh"),
    ]);
    let flag = Mailbox { name: None, address: "flag@example.com".into() };
    let flags = Overrides { to: Some(vec![flag]), ..Overrides::default() };
    let provenance = Provenance::of_file(&file).with_env(&env).with_flags(&flags);
    let (settings, found) = resolve(&file, &flags.or(env));
    assert_eq!(found, []);
    assert_eq!(addresses(&settings.mail.to), ["flag@example.com"]);
    assert_eq!(addresses(&settings.mail.cc), ["env@example.com"]);
    assert_eq!(addresses(&settings.mail.bcc), ["file@example.com"]);
    assert_eq!((settings.lang, settings.log.tail_lines), (Language::Zh, 3));
    assert_eq!(settings.notify.wait, Wait::Auto);
    assert_eq!(provenance.source("mail.to"), Source::Flag("--to"));
    assert_eq!(provenance.source("mail.cc"), Source::Env("NOTIFY_DONE_CC".into()));
    assert_eq!(provenance.source("mail.bcc"), Source::File { path: "/c/notify.toml".into(), line: 5 });
    assert_eq!(provenance.source("notify.wait"), Source::Default);
}

/// Catches a key whose layers are the wrong way round: all thirteen, and the file beneath them.
#[test]
fn each_key_of_an_upper_layer_wins() {
    let layer = |n: u8| {
        let mailbox = Mailbox { name: None, address: format!("{n}@example.com") };
        let (text, list) = (|what: &str| Some(format!("{what} {n}")), Some(vec![mailbox]));
        let odd = n % 2 == 1;
        Overrides {
            config: Some(format!("/{n}.toml").into()),
            to: list.clone(),
            cc: list.clone(),
            bcc: list,
            from_name: text("from"),
            subject: text("subject"),
            account: text("account"),
            lang: Some(if odd { Language::En } else { Language::Zh }),
            on: Some(if odd { On::Failure } else { On::Success }),
            min_duration: Some(Duration::from_secs(n.into())),
            wait: Some(Wait::For(Duration::from_secs(n.into()))),
            keep_trying: Some(Duration::from_secs(n.into())),
            tail_lines: Some(n.into()),
            attach: Some(if odd { Attach::Tail } else { Attach::None }),
            redact: None,
            hide_command: Some(odd),
        }
    };
    assert_eq!(layer(1).or(layer(2)), layer(1));
    assert_eq!(Overrides::default().or(layer(2)), layer(2));
    let text = "lang = \"auto\"\naccount = \"file\"\n[mail]\nfrom_name = \"file\"\nsubject = \"file\"\n\
                [notify]\non = \"always\"\nmin_duration = \"5m\"\nwait = \"5m\"\nkeep_trying = \"5m\"\n\
                [log]\ntail_lines = 300\nattach = \"full\"\n[privacy]\nhide_command = true\n";
    let (file, found) = parse(text, Path::new("notify.toml"));
    assert_eq!(found, []);
    for n in [1, 2] {
        let (over, settings) = (layer(n), resolve(&file, &layer(n)).0);
        let (mail, notify, log) = (settings.mail, settings.notify, settings.log);
        assert_eq!((mail.from_name, mail.subject), (over.from_name, over.subject));
        assert_eq!((settings.account, Some(settings.lang)), (over.account, over.lang));
        assert_eq!((Some(notify.on), Some(notify.min_duration)), (over.on, over.min_duration));
        assert_eq!((Some(notify.wait), Some(log.attach)), (over.wait, over.attach));
        assert_eq!((Some(log.tail_lines), Some(notify.keep_trying)), (over.tail_lines, over.keep_trying));
        assert_eq!(settings.privacy.command == CommandLine::Hidden, over.hide_command.unwrap());
    }
}

#[test]
fn an_empty_text_takes_back_what_the_file_says() {
    let (file, _) = parse("[mail]\nfrom_name = \"GPU\"", Path::new("notify.toml"));
    let over = Overrides { from_name: Some(String::new()), ..Overrides::default() };
    assert_eq!(resolve(&file, &over).0.mail.from_name, None);
}

#[test]
fn an_account_asked_for_that_is_not_there_names_those_that_are() {
    let code = "auth_code = \"abcdefghijklmnop\"";
    let text =
        format!("[accounts.qq]\naddress = \"10001@qq.com\"\n{code}\n[accounts.bad]\naddress = \"x\"\n{code}");
    let (file, _) = parse(&text, Path::new("notify.toml"));
    let ask = |name: &str| resolve(&file, &Overrides { account: Some(name.into()), ..Overrides::default() });
    let (_, found) = ask("163");
    let [it] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!((it.severity, it.place.as_str()), (Severity::Unusable, "--account or NOTIFY_DONE_ACCOUNT"));
    assert_eq!(it.message, "no account is called `163`");
    assert_eq!(it.hint.as_deref(), Some("write one of: qq, bad"));
    let (settings, found) = ask("qq");
    assert_eq!((found, settings.account.as_deref()), (vec![], Some("qq")));
    // One that is there but can't be used has its own finding, from reading the file.
    assert_eq!(ask("bad").1, []);
}

/// Catches a variable of a run that isn't read, and one that can't be used ending the run.
#[test]
fn variables_of_a_run() {
    let read = |pairs: &[(&str, &str)]| {
        env_of_run(&|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value)))
    };
    let (it, found) = read(&[
        ("NOTIFY_DONE_TITLE", "t"),
        ("NOTIFY_DONE_NOTE", "a\nb"),
        ("NOTIFY_DONE_TAG", "x, y"),
        ("NOTIFY_DONE_ATTACH_FILE", "plots/*.png, 结果.csv"),
        ("NOTIFY_DONE_PTY", "off"),
        ("NOTIFY_DONE_STRICT", "Yes"),
    ]);
    assert_eq!(found, []);
    assert_eq!((it.title.as_deref(), it.note.as_deref()), (Some("t"), Some("a\nb")));
    assert_eq!((it.tags, it.pty, it.strict), (vec!["x".into(), "y".into()], Some(Pty::Off), true));
    assert_eq!(it.attach_files, ["plots/*.png", "结果.csv"]);
    assert!(OF_A_RUN.iter().all(|variable| is_setting(variable)));
    let bad = [("NOTIFY_DONE_TITLE", "a\nb"), ("NOTIFY_DONE_PTY", "x"), ("NOTIFY_DONE_STRICT", "2")];
    let (it, found) = read(&bad);
    assert_eq!(it, OfRun::default());
    let places: Vec<_> = found.iter().map(|d| d.place.as_str()).collect();
    assert_eq!(places, bad.map(|(name, _)| name));
    assert!(found.iter().all(|d| d.severity == Severity::Warning && d.hint.is_some()));
}

/// Catches a pattern of one layer that lets through what another's would take out, and a comma that cuts
/// one in two.
#[test]
fn patterns_of_all_layers_are_used() {
    let (file, found) = parse("[privacy]\nredact = ['file[0-9]']", Path::new("notify.toml"));
    assert_eq!(found, []);
    let (env, found) = environment(&[("NOTIFY_DONE_REDACT", "env{2,3}\n\nother\n")]);
    assert_eq!(found, []);
    let flags = Overrides { redact: Some(vec!["flag".to_owned()]), ..Overrides::default() };
    let over = flags.or(env);
    assert_eq!(over.redact, Some(["flag", "env{2,3}", "other"].map(str::to_owned).to_vec()));
    let (settings, found) = resolve(&file, &over);
    assert_eq!(found, []);
    assert_eq!((settings.privacy.redact.len(), settings.privacy.wishes), (4, Wishes::Known));
    // As it is read back from run.json by whoever makes the mail later.
    let json = serde_json::to_string(&over).unwrap();
    assert_eq!(serde_json::from_str::<Overrides>(&json).unwrap(), over);
    assert_eq!(serde_json::from_str::<Overrides>("{}").unwrap(), Overrides::default());
}

/// Catches a mail that tells what a pattern was to hide, because that pattern can't be used.
#[test]
fn a_pattern_that_cannot_be_used_holds_the_mail() {
    let file = FileConfig::default();
    for bad in ["(", "x*", r"\w{1000}{1000}"] {
        let (env, found) = environment(&[("NOTIFY_DONE_REDACT", bad)]);
        assert_eq!(found, []);
        let (settings, found) = resolve(&file, &env);
        assert_eq!(settings.privacy.wishes, Wishes::Unreadable);
        let [found] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((found.severity, found.key.as_deref()), (Severity::Unusable, Some("privacy.redact")));
        assert!(found.place.contains("NOTIFY_DONE_REDACT") && found.hint.is_some());
    }
    let unreadable = |name: &str| {
        use std::os::unix::ffi::OsStringExt;
        (name == "NOTIFY_DONE_REDACT").then(|| OsString::from_vec(vec![b'a', 0xff]))
    };
    let (settings, found) = resolve(&file, &env_overrides(&unreadable).0);
    assert_eq!((settings.privacy.wishes, found.len()), (Wishes::Unreadable, 1));
}

/// Catches a command that is told, because the word that hides it isn't known.
#[test]
fn what_is_neither_yes_nor_no_hides_the_command() {
    let hides = |value: &str| {
        let (env, found) = environment(&[("NOTIFY_DONE_HIDE_COMMAND", value)]);
        (env.hide_command, found.len())
    };
    assert_eq!(
        [hides("1"), hides("no"), hides("ture"), hides("")],
        [(Some(true), 0), (Some(false), 0), (Some(true), 1), (None, 0)]
    );
}
