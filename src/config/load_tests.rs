use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::config::keys::{self, PLACEHOLDER_ADDRESS, PLACEHOLDER_CODE};
use crate::config::{Settings, provider};

const ACCOUNT: &str = "[accounts.qq]\naddress = \"10001@qq.com\"\nauth_code = \"abcdefghijklmnop\"\n";

/// A config folder with a file in it, and a home.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(FILE_NAME)
    }

    fn with(bytes: impl AsRef<[u8]>, mode: u32) -> Self {
        let place = Self::new();
        fs::write(place.path(), bytes).unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(mode)).unwrap();
        place
    }

    fn load(&self) -> Loaded {
        self.load_with(None, None)
    }

    fn load_with(&self, explicit: Option<PathBuf>, env_path: Option<PathBuf>) -> Loaded {
        load(&LoadRequest {
            explicit,
            env_path,
            config_dir: Some(self.folder.path().to_owned()),
            home: Some("/home/u".into()),
            overrides: &Overrides::default(),
        })
    }
}

#[track_caller]
fn only(loaded: &Loaded) -> (&str, &str, &str) {
    let [it] = loaded.diagnostics.as_slice() else { panic!("{:#?}", loaded.diagnostics) };
    assert_eq!(it.severity, Severity::Unusable);
    (&it.place, &it.message, it.hint.as_deref().unwrap())
}

#[test]
fn a_file_in_the_config_folder_is_used() {
    let place = Place::with(ACCOUNT, 0o600);
    let loaded = place.load();
    assert_eq!(loaded.diagnostics, []);
    assert_eq!(loaded.path, Some(place.path()));
    assert_eq!(loaded.settings.accounts[0].address, "10001@qq.com");
    assert!(loaded.settings.accounts[0].secret.is_some());
}

#[test]
fn the_flag_wins_over_the_variable_over_the_folder() {
    let of = |lines: u32| Place::with(format!("[log]\ntail_lines = {lines}\n"), 0o644);
    let (flag, variable, folder) = (of(1), of(2), of(3));
    let lines = |explicit, env_path| folder.load_with(explicit, env_path).settings.log.tail_lines;
    assert_eq!(lines(Some(flag.path()), Some(variable.path())), 1);
    assert_eq!(lines(None, Some(variable.path())), 2);
    assert_eq!(lines(None, None), 3);
}

#[test]
fn no_file_in_the_folder_is_fine_and_a_named_one_must_exist() {
    let place = Place::new();
    let loaded = place.load();
    assert_eq!((loaded.diagnostics.as_slice(), loaded.path.as_ref()), (&[][..], None));
    assert_eq!(loaded.expected_path, Some(place.path()));

    for (explicit, env_path, who) in
        [(Some(place.path()), None, "--config"), (None, Some(place.path()), "NOTIFY_DONE_CONFIG")]
    {
        let loaded = place.load_with(explicit, env_path);
        let (at, message, hint) = only(&loaded);
        assert_eq!((at, message), (place.path().to_str().unwrap(), "doesn't exist"));
        assert!(hint.contains(who), "{hint}");
        assert_eq!((loaded.path.as_ref(), loaded.expected_path.as_ref()), (None, Some(&place.path())));
    }
}

#[test]
fn no_home_and_a_home_that_is_a_device_are_like_no_file() {
    let overrides = Overrides::default();
    let mut request =
        LoadRequest { explicit: None, env_path: None, config_dir: None, home: None, overrides: &overrides };
    let loaded = load(&request);
    assert_eq!((loaded.diagnostics.as_slice(), loaded.expected_path), (&[][..], None));
    request.config_dir = Some("/dev/null/.config/notify-done".into());
    assert_eq!(load(&request).diagnostics, []);
}

#[test]
fn paths_come_back_absolute() {
    let loaded = Place::new().load_with(Some("not/there.toml".into()), None);
    let here = std::env::current_dir().unwrap();
    assert_eq!(loaded.expected_path, Some(here.join("not/there.toml")));
    assert!(loaded.diagnostics[0].place.starts_with('/'));
}

#[test]
fn what_is_no_text_file_is_named_and_never_waited_for() {
    let place = Place::new();
    nix::unistd::mkfifo(&place.path(), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    let loaded = place.load();
    assert!(only(&loaded).1.contains("a pipe or a device"));
    assert!(only(&loaded).2.contains("regular file"));

    let loaded = place.load_with(Some(place.folder.path().to_owned()), None);
    assert!(only(&loaded).1.contains("is a folder"));
    assert!(only(&loaded).2.contains("notify.toml"));

    let loaded = Place::with(vec![b'#'; (1 << 20) + 1], 0o600).load();
    assert!(only(&loaded).1.contains("larger than 1 MiB"));
    assert!(only(&loaded).2.contains("right file"));

    let place = Place::with(b"# ok\nlang = \"\xC4\xE3\"\n", 0o600);
    let loaded = place.load();
    assert_eq!(only(&loaded).0, format!("{}:2", place.path().display()));
    assert!(only(&loaded).1.contains("UTF-8") && only(&loaded).2.contains("GBK"));
}

#[test]
fn dev_null_is_a_way_to_say_no_file() {
    let loaded = Place::with(ACCOUNT, 0o600).load_with(Some("/dev/null".into()), None);
    assert_eq!(loaded.diagnostics, []);
    assert!(loaded.settings.accounts.is_empty());
}

/// An errno that isn't "not there" must be told, whoever runs the test (root may read anything).
#[test]
fn a_file_that_cannot_be_opened_says_why() {
    let place = Place::new();
    std::os::unix::fs::symlink(place.path(), place.path()).unwrap();
    let loaded = place.load();
    assert!(only(&loaded).1.contains("can't be opened"), "{:?}", loaded.diagnostics);
    let denied =
        open_failed(Path::new("/c/a b"), Origin::Folder, &io::Error::from(ErrorKind::PermissionDenied));
    assert_eq!(denied.message, "can't be read: permission denied");
    assert_eq!(denied.hint.as_deref(), Some("make it yours and readable: chmod 600 '/c/a b'"));
}

#[test]
fn a_code_in_a_file_that_others_may_read_is_withheld() {
    for mode in [0o640, 0o604, 0o644, 0o660] {
        let place = Place::with(ACCOUNT, mode);
        let loaded = place.load();
        let path = place.path().display().to_string();
        let (at, message, hint) = only(&loaded);
        assert_eq!(at, format!("{path}:3"));
        assert_eq!(message, format!("others on this machine may read the code (mode {mode:04o})"));
        assert!(hint.starts_with(&format!("run: chmod 600 {path}; or ")), "{hint}");
        // All that is left where it can't be changed.
        assert!(hint.ends_with(r#"auth_code = { file = "…" }"#), "{hint}");
        assert!(loaded.settings.accounts[0].secret.is_none());
    }
    // Without a code in it, it may be read.
    let text = ACCOUNT.replace("\"abcdefghijklmnop\"", "{ env = \"QQ\" }");
    assert_eq!(Place::with(text, 0o644).load().diagnostics, []);
}

#[test]
fn a_file_that_everyone_may_write_is_not_used() {
    let loaded = Place::with("[log]\ntail_lines = 7\n", 0o646).load();
    assert!(only(&loaded).1.contains("can be written by everyone (mode 0646)"));
    assert!(only(&loaded).2.contains("chmod 600"));
    assert_eq!(loaded.settings.log.tail_lines, 50);
}

/// Only root may give a file away; elsewhere there is nothing to try.
fn give(path: &Path, uid: u32, gid: u32) -> bool {
    std::os::unix::fs::lchown(path, Some(uid), Some(gid)).is_ok()
}

/// A group that is nobody's own, and a user that isn't there.
const STRANGER: u32 = 54_321;

/// Catches: settings that a colleague of the same group can write, believed; and those of everybody
/// with an umask of 002 refused.
#[test]
fn a_group_of_many_may_not_write_the_file_and_ones_own_may() {
    let place = Place::with("[log]\ntail_lines = 7\n", 0o664);
    let meta = fs::metadata(place.path()).unwrap();
    if has_private_group(&meta) {
        assert_eq!(place.load().diagnostics, []);
    }
    if !give(&place.path(), meta.uid(), STRANGER) {
        return;
    }
    let loaded = place.load();
    assert_eq!(only(&loaded).1, "can be written by group 54321 (mode 0664); it is ignored");
    assert_eq!(only(&loaded).2, format!("check what it says, then: chmod 600 {}", place.path().display()));
    assert_eq!(loaded.settings.log.tail_lines, 50);
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(place.load().diagnostics, [], "reading is no harm");
}

/// Catches: a file whose folder lets others put another in its place, believed for its own mode.
#[test]
fn a_folder_in_which_others_can_replace_the_file_is_not_trusted() {
    let place = Place::with(ACCOUNT, 0o600);
    let (folder, file) = (place.folder.path().to_owned(), place.path());
    let chmod = |mode| fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
    chmod(0o777);
    let loaded = place.load();
    let shown = folder.display();
    assert_eq!(only(&loaded).0, file.to_str().unwrap());
    assert_eq!(
        only(&loaded).1,
        format!("lies in {shown}, which can be written by everyone (mode 0777); it is ignored")
    );
    assert_eq!(only(&loaded).2, format!("check what it says, then: chmod go-w {shown}"));
    assert!(loaded.settings.accounts.is_empty());
    // In a sticky one (/tmp, a volume of Kubernetes) only the file's owner can remove it.
    chmod(0o1777);
    assert_eq!(place.load().diagnostics, []);

    // The way there may be a link: both folders count.
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link.toml");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let by_link = || place.load_with(Some(link.clone()), None);
    assert_eq!(by_link().diagnostics, []);
    chmod(0o777);
    assert!(only(&by_link()).1.contains(&format!("lies in {shown}")));
    chmod(0o700);
    fs::set_permissions(elsewhere.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(only(&by_link()).1.contains(&format!("lies in {}", elsewhere.path().display())));

    if give(&folder, STRANGER, STRANGER) {
        let loaded = place.load();
        assert!(only(&loaded).1.contains("which belongs to another user (uid 54321)"), "{:?}", only(&loaded));
        assert!(only(&loaded).2.contains("a folder of your own"));
    }
}

/// Catches: a folder of mode 0775, which an umask of 002 gives, refused; a group of many let in.
#[test]
fn a_group_may_write_the_folder_only_if_it_is_ones_own() {
    let place = Place::with(ACCOUNT, 0o600);
    let folder = place.folder.path();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o775)).unwrap();
    let meta = fs::metadata(folder).unwrap();
    if has_private_group(&meta) {
        assert_eq!(place.load().diagnostics, []);
    }
    if give(folder, meta.uid(), STRANGER) {
        let loaded = place.load();
        assert!(only(&loaded).1.contains("can be written by group 54321 (mode 0775)"), "{:?}", only(&loaded));
        assert!(only(&loaded).2.contains("chmod g-w"));
    }
}

#[test]
fn only_the_user_root_and_who_called_sudo_may_own_the_file() {
    let path = Path::new("/c/n.toml");
    let check =
        |owner, me, caller| Hands { me, caller }.check(path, path, (owner, Writers::Owner), 0o100_644);
    assert!(check(1000, 1000, None).is_ok());
    assert!(check(0, 1000, None).is_ok());
    assert!(check(1000, 0, Some(1000)).is_ok());
    for (owner, me, caller) in [(1001, 1000, None), (1001, 0, None), (1001, 0, Some(1000))] {
        let found = check(owner, me, caller).unwrap_err();
        assert_eq!(found.message, "belongs to another user (uid 1001); it is ignored");
        assert_eq!(
            found.hint,
            Some(format!("take it over, if you trust what it says: sudo chown {me} /c/n.toml"))
        );
    }
}

#[test]
fn a_tilde_stands_for_the_home_folder() {
    let text = "[accounts.qq]\naddress = \"10001@qq.com\"\nauth_code = { file = \"~/qq\" }\nca_file = \"~/ca.pem\"\n";
    let place = Place::with(text, 0o644);
    let loaded = place.load();
    let account = &loaded.settings.accounts[0];
    assert!(matches!(&account.secret, Some(SecretSource::File(path)) if path == Path::new("/home/u/qq")));
    assert_eq!(account.server.ca_file, Some("/home/u/ca.pem".into()));

    let homeless = load(&LoadRequest {
        explicit: Some(place.path()),
        env_path: None,
        config_dir: None,
        home: None,
        overrides: &Overrides::default(),
    });
    let keys: Vec<_> =
        homeless.diagnostics.iter().map(|it| (it.place.clone(), it.key.clone().unwrap())).collect();
    let at = |line| format!("{}:{line}", place.path().display());
    assert_eq!(keys, [(at(3), "accounts.qq.auth_code".into()), (at(4), "accounts.qq.ca_file".into())]);
    assert!(homeless.diagnostics[0].hint.as_ref().unwrap().contains("HOME"));
}

#[test]
fn provenance_comes_along() {
    let place = Place::with("\n[log]\ntail_lines = 7\n", 0o600);
    let source = place.load().provenance.source("log.tail_lines");
    assert_eq!(source, crate::config::Source::File { path: place.path(), line: 3 });
}

// The template.

/// The template with each commented key taken in: `#key = …`, without a space behind the `#`.
fn uncommented() -> String {
    let mut text = String::new();
    for line in TEMPLATE.lines() {
        let key = line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
        text += key.unwrap_or(line);
        text += "\n";
    }
    text
}

fn filled(template: &str) -> String {
    template.replace(PLACEHOLDER_ADDRESS, "10001@qq.com").replace(PLACEHOLDER_CODE, "abcdefghijklmnop")
}

fn clean(text: &str) -> Settings {
    let loaded = Place::with(text, 0o600).load();
    assert_eq!(loaded.diagnostics, []);
    loaded.settings
}

#[test]
fn the_template_complains_of_its_placeholders_only() {
    let loaded = Place::with(TEMPLATE, 0o600).load();
    let found: Vec<_> =
        loaded.diagnostics.iter().map(|it| (it.key.as_deref().unwrap(), it.message.as_str())).collect();
    let message = "is still the template's placeholder";
    assert_eq!(found, [("accounts.qq.address", message), ("accounts.qq.auth_code", message)]);
    assert!(clean(&filled(TEMPLATE)).accounts[0].secret.is_some());
}

/// What the template shows as defaults are the defaults: taking all of them in changes nothing.
#[test]
fn the_template_tells_the_true_defaults() {
    let (with, without) = (clean(&filled(&uncommented())), clean(&filled(TEMPLATE)));
    assert_eq!((with.lang, &with.account), (without.lang, &without.account));
    assert_eq!((&with.mail, &with.notify, &with.log), (&without.mail, &without.notify, &without.log));
    let (mut with, without) = (with.accounts[0].clone(), &without.accounts[0]);
    assert!(with.server.ca_file.take().is_some(), "the one example that is no default");
    // Who says where the server is gets no other.
    assert_eq!(std::mem::replace(&mut with.server.fallback, without.server.fallback.clone()), []);
    assert_eq!(with.server.hello_name.take().as_deref(), Some("[127.0.0.1]"));
    assert_eq!((&with.server, &with.username), (&without.server, &without.username));
    assert_eq!(with.timeout, without.timeout);
}

#[test]
fn the_template_and_the_parser_know_the_same_keys() {
    let loaded = Place::with(filled(&uncommented()), 0o600).load();
    for key in keys::all() {
        let source = loaded.provenance.source(&key.replace("NAME", "qq"));
        assert!(matches!(source, crate::config::Source::File { .. }), "the template lacks {key}");
    }
    // The other way round: a key of the template that the parser doesn't know is a warning.
    assert_eq!(loaded.diagnostics, []);
}

#[test]
fn the_templates_other_sources_of_a_code_are_right() {
    let own = "auth_code = \"abcdefghijklmnop\"";
    let others: Vec<&str> = TEMPLATE.lines().filter_map(|line| line.strip_prefix("# auth_code")).collect();
    assert_eq!(others.len(), 3);
    for other in others {
        let text = filled(TEMPLATE).replace(own, &format!("auth_code{other} #"));
        assert!(!matches!(clean(&text).accounts[0].secret, None | Some(SecretSource::Literal(_))), "{other}");
    }
}

#[test]
fn the_template_names_every_provider() {
    let words: Vec<&str> = TEMPLATE.split_whitespace().collect();
    for preset in provider::PRESETS {
        assert!(words.contains(&preset.name), "the template lacks {}", preset.name);
    }
}

/// Catches: a HOME that may not be entered, and advice to change the mode of a file that isn't there.
#[test]
fn a_shut_folder_is_not_taken_for_a_file_with_the_wrong_mode() {
    let dir = tempfile::tempdir().unwrap();
    let shut = dir.path().join("home");
    let chmod = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    fs::create_dir(&shut).unwrap();
    chmod(dir.path(), 0o755);
    chmod(&shut, 0);
    let found = std::thread::scope(|scope| {
        let look = || {
            if nix::unistd::geteuid().is_root() {
                // Of this thread only: root may enter everywhere.
                nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65534));
            }
            read_file(&shut.join("notify.toml"), Origin::Folder).err().unwrap()
        };
        scope.spawn(look).join().unwrap()
    });
    chmod(&shut, 0o700);
    assert!(found.message.contains("home may not be entered"), "{}", found.message);
    assert!(found.hint.as_ref().unwrap().contains("HOME") && !found.hint.unwrap().contains("600"));
}
