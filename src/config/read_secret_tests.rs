use std::fs;
use std::path::PathBuf;

use super::*;

const CODE: &str = "abcdefghijklmnop";

fn read(source: &SecretSource) -> Result<ReadSecret> {
    read_with(source, &|_| None, Duration::from_secs(30))
}

fn command(line: &str) -> Result<ReadSecret> {
    read(&SecretSource::Command(line.to_owned()))
}

/// The error of a source, with a check that no code got into it.
#[track_caller]
fn refused(result: Result<ReadSecret>) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.kind, Kind::Secret);
    assert!(!error.hints.is_empty(), "{error:?}");
    assert!(!format!("{error:?}").contains(CODE), "{error:?}");
    error
}

struct Kept {
    folder: tempfile::TempDir,
}

impl Kept {
    fn new(bytes: impl AsRef<[u8]>, mode: u32) -> Self {
        let kept = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(kept.path(), bytes).unwrap();
        fs::set_permissions(kept.path(), fs::Permissions::from_mode(mode)).unwrap();
        kept
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("code")
    }

    fn read(&self) -> Result<ReadSecret> {
        read(&SecretSource::File(self.path()))
    }
}

#[test]
fn a_literal_is_itself() {
    let source = SecretSource::Literal(Secret::parse(CODE).unwrap());
    assert_eq!(read(&source).unwrap().secret.expose(), CODE);
}

#[test]
fn the_environment() {
    let source = SecretSource::Env("QQ_CODE".to_owned());
    let with = |value: Option<OsString>| {
        read_with(&source, &|name| value.clone().filter(|_| name == "QQ_CODE"), COMMAND_LIMIT)
    };
    assert_eq!(with(Some(CODE.into())).unwrap().secret.expose(), CODE);
    let error = refused(with(None));
    assert_eq!(error.what, "can't get the authorization code from the environment variable QQ_CODE");
    assert_eq!(error.cause.as_deref(), Some("it isn't set"));
    assert!(error.hints[0].starts_with("export QQ_CODE"));
    assert_eq!(refused(with(Some("".into()))).cause.as_deref(), Some("it is empty"));
    let error = refused(with(Some(format!("{CODE}\n").into())));
    assert!(error.cause.unwrap().contains("line break"));
    use std::os::unix::ffi::OsStringExt;
    assert_eq!(refused(with(Some(OsString::from_vec(vec![0xff])))).cause.as_deref(), Some("it isn't UTF-8"));
}

#[test]
fn the_first_line_of_a_file() {
    for text in
        ["abcdefghijklmnop", "abcdefghijklmnop\nmore\n", "abcdefghijklmnop\r\n", "\u{feff}abcdefghijklmnop\n"]
    {
        let it = Kept::new(text, 0o600).read().unwrap();
        assert_eq!((it.secret.expose(), it.warning), (CODE, None), "{text:?}");
    }
    assert_eq!(Kept::new(" pass word \n", 0o400).read().unwrap().secret.expose(), " pass word ");
}

#[test]
fn a_file_that_others_may_read_is_warned_of_and_one_they_may_write_refused() {
    for mode in [0o644, 0o444, 0o640, 0o604] {
        let kept = Kept::new(CODE, mode);
        let warning = kept.read().unwrap().warning.unwrap();
        assert!(warning.contains(&format!("mode {mode:04o}); run: chmod 600 {}", kept.path().display())));
        assert!(!warning.contains(CODE));
    }
    for mode in [0o620, 0o602, 0o666] {
        let error = refused(Kept::new(CODE, mode).read());
        assert_eq!(error.cause, Some(format!("others may write it (mode {mode:04o})")));
        assert!(error.hints[0].starts_with("run: chmod 600 "));
    }
}

/// Catches: a code that somebody else keeps for us, and can change.
#[test]
fn a_file_of_another_user_is_refused_and_one_of_root_isnt() {
    let kept = Kept::new(CODE, 0o600);
    // Only root may give a file away.
    if std::os::unix::fs::lchown(kept.path(), Some(54_321), Some(54_321)).is_err() {
        return;
    }
    let error = refused(kept.read());
    assert_eq!(error.cause.as_deref(), Some("it belongs to another user (uid 54321), who may write it"));
    assert!(error.hints[0].contains("chown") && error.hints[0].contains("chmod 600"), "{error:?}");
    std::os::unix::fs::lchown(kept.path(), Some(0), Some(0)).unwrap();
    assert!(kept.read().is_ok());
}

#[test]
fn files_that_hold_no_code() {
    let cause = |bytes: &[u8]| refused(Kept::new(bytes, 0o600).read()).cause.unwrap();
    assert_eq!(cause(b""), "its first line: it is empty");
    assert_eq!(cause(b"\nabcdefghijklmnop"), "its first line: it is empty");
    assert!(cause(b"abcdefgh\0ijklmnop").contains("control character"));
    assert!(cause(b"\xff\xfea\0b\0").contains("UTF-8"));
    assert!(cause(&vec![b'x'; 64 * 1024 + 1]).contains("larger than 64 KiB"));
    let kept = Kept::new("", 0o600);
    fs::remove_file(kept.path()).unwrap();
    let error = refused(kept.read());
    assert_eq!(
        error.what,
        format!("can't get the authorization code from the file {}", kept.path().display())
    );
    assert!(error.cause.unwrap().contains("No such file"));
    // A pipe would be waited for; this returns.
    nix::unistd::mkfifo(&kept.path(), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    assert_eq!(refused(kept.read()).cause.as_deref(), Some("it isn't a regular file"));
}

#[test]
fn the_first_line_of_a_command() {
    assert_eq!(command("echo abcdefghijklmnop; echo more").unwrap().secret.expose(), CODE);
    assert_eq!(command("printf abcdefghijklmnop; echo 'unlocked' >&2").unwrap().secret.expose(), CODE);
    // Stdin is not the user's terminal, nor the pipe that is being wrapped.
    assert_eq!(command("readlink /proc/self/fd/0").unwrap().secret.expose(), "/dev/null");
    // More than a pipe holds, on both: a reader of one alone would stand still.
    let both = "head -c 300000 /dev/zero >&2; echo abcdefghijklmnop; head -c 300000 /dev/zero";
    assert_eq!(command(both).unwrap().secret.expose(), CODE);
}

/// An agent that the command starts keeps its pipes open for ever.
#[test]
fn a_grandchild_that_holds_the_pipes_is_not_waited_for() {
    let kept = Kept::new("", 0o600);
    let line = format!("sleep 1000 & echo $! > '{}'; echo abcdefghijklmnop", kept.path().display());
    let started = Instant::now();
    assert_eq!(command(&line).unwrap().secret.expose(), CODE);
    assert!(started.elapsed() < Duration::from_secs(20));
    let agent: i32 = fs::read_to_string(kept.path()).unwrap().trim().parse().unwrap();
    // It is left alone, as an agent must be; the test ends it.
    nix::sys::signal::kill(Pid::from_raw(agent), Signal::SIGKILL).unwrap();
}

#[test]
fn commands_that_fail_tell_their_status_and_what_they_said() {
    let error = refused(command("echo 'gpg: no such key' >&2; exit 2"));
    assert_eq!(error.what, "can't get the authorization code from the command `echo …`");
    assert_eq!(error.cause.as_deref(), Some("it ended with exit code 2: gpg: no such key"));
    assert!(error.hints[0].contains("by hand"));
    assert!(refused(command("kill -9 $$")).cause.unwrap().contains("signal: 9"));
    assert_eq!(refused(command("true")).cause.as_deref(), Some("its first line: it is empty"));
}

#[test]
fn what_a_failing_command_says_is_not_shown_where_it_could_be_the_code() {
    for line in [
        "echo 'p455'; echo 'bad code p455' >&2; exit 1",
        "echo 'refused: abcdefghijklmnop' >&2; exit 1",
        "echo 'refused: abcd efgh ijkl mnop' >&2; echo 'abcd efgh ijkl mnop'; exit 1",
    ] {
        assert_eq!(refused(command(line)).cause.as_deref(), Some("it ended with exit code 1"), "{line}");
    }
}

#[test]
fn a_command_that_hangs_is_ended_with_all_its_children() {
    let kept = Kept::new("", 0o600);
    let line = format!("sleep 1000 & echo $! > '{}'; wait", kept.path().display());
    let result = read_with(&SecretSource::Command(line), &|_| None, Duration::from_secs(2));
    assert_eq!(refused(result).cause.as_deref(), Some("it took longer than 2s"));
    let child: i32 = fs::read_to_string(kept.path()).unwrap().trim().parse().unwrap();
    // Dead, or a zombie that nobody has reaped yet.
    let started = Instant::now();
    loop {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z ") {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "still there: {stat}");
        std::thread::yield_now();
    }
}

/// Catches a code that was pasted where its source is to be named, and stands in a message, and so in
/// the outbox.
#[test]
fn a_code_in_place_of_its_source_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    for source in [
        SecretSource::Env(CODE.to_owned()),
        SecretSource::File(folder.path().join(CODE)),
        SecretSource::Command(format!("{CODE} --now")),
    ] {
        let error = refused(read(&source));
        assert!(error.what.ends_with("(not shown: it may be a code)"), "{error:?}");
        assert!(error.hints[0].contains("auth_code = \"…\""), "{error:?}");
    }
    // One that is there is no code: what to do with it is said.
    let path = folder.path().join(CODE);
    fs::write(&path, CODE).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o602)).unwrap();
    let error = read(&SecretSource::File(path.clone())).unwrap_err();
    assert_eq!(error.hints, [format!("run: chmod 600 {}", path.display())]);
}
