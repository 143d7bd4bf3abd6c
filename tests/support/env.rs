//! A hermetic place to run the real binary in: its own home, an environment with nothing of the
//! caller's but PATH, a limit on time, and no surprise on stderr.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::collect::Stream;
use super::smtp::{ScriptedServer, TlsMode};
use super::tls;
use super::wait::{Gate, wait_until};

/// The longest that a run may take unless the test says otherwise.
const LIMIT: Duration = Duration::from_secs(60);

/// A home folder and environment for one test; removed when dropped.
pub struct TestEnv {
    dir: TempDir,
    vars: Vec<(OsString, OsString)>,
}

impl TestEnv {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("nd-test-").tempdir().expect("a temporary folder");
        let env = Self { dir, vars: Vec::new() };
        fs::create_dir(env.home()).expect("the folder is new");
        // Where a notice is kept when the home can't be written: not in the machine's own place.
        let runtime = env.dir.path().join("runtime");
        fs::create_dir(&runtime).expect("the folder is new");
        env.write("ca.pem", tls::ca_pem(), 0o644);
        let home = env.home();
        env.var("HOME", home)
            .var("PATH", std::env::var_os("PATH").unwrap_or_default())
            .var("LANG", "C.UTF-8")
            .var("TZ", "UTC")
            .var("USER", "ann")
            .var("NOTIFY_DONE_TEST_HOST", "gpu07")
            .var("XDG_RUNTIME_DIR", runtime)
            // What goes on in the background would outlive the test.
            .var("NOTIFY_DONE_KEEP_TRYING", "0s")
    }

    /// Sets a variable for every run.
    #[must_use]
    pub fn var(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.vars.retain(|(known, _)| known != name.as_ref());
        self.vars.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// Where `notify.toml` is looked for.
    pub fn config_path(&self) -> PathBuf {
        self.home().join(".config/notify-done/notify.toml")
    }

    /// Where runs and the outbox are kept.
    pub fn state(&self) -> PathBuf {
        self.home().join(".local/state/notify-done")
    }

    /// Writes a file below the home with these permissions; returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.home().join(name);
        fs::create_dir_all(path.parent().expect("it is below home")).expect("home can be written");
        fs::write(&path, content).expect("home can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("the file is ours");
        path
    }

    /// Writes notify.toml, mode 0600.
    pub fn config(&self, text: &str) {
        self.write(".config/notify-done/notify.toml", text, 0o600);
    }

    /// `[accounts.NAME]` for `config`: this login at this scripted server, trusting the test CA.
    pub fn account(&self, name: &str, address: &str, code: &str, at: (&ScriptedServer, TlsMode)) -> String {
        let (server, mode) = at;
        let ca = self.home().join("ca.pem");
        let (tls, host) = match mode {
            TlsMode::Implicit => ("implicit", "localhost"),
            TlsMode::StartTls => ("starttls", "localhost"),
            TlsMode::Plain => ("none", "127.0.0.1"),
        };
        format!(
            "[accounts.{name}]\naddress = \"{address}\"\nauth_code = \"{code}\"\nhost = \"{host}\"\n\
             port = {}\ntls = \"{tls}\"\nca_file = \"{}\"\n",
            server.port(),
            ca.display()
        )
    }

    /// `notify-done ARGS…`; by default it must say nothing on stderr.
    pub fn notify_done<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_notify-done"));
        command.args(args);
        self.command(command)
    }

    /// `sh -c SCRIPT`, where `$ND` is the program.
    pub fn shell(&self, script: &str) -> Run {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        self.command(command).var("ND", env!("CARGO_BIN_EXE_notify-done"))
    }

    /// A program in Python that is given `args`; `$ND` is ours.
    pub fn python<S: AsRef<OsStr>>(&self, script: &str, args: impl IntoIterator<Item = S>) -> Run {
        let mut command = Command::new("python3");
        command.args(["-c", script]).args(args);
        self.command(command).var("ND", env!("CARGO_BIN_EXE_notify-done"))
    }

    /// Something below the home that a command waits at: `read x <NAME`.
    pub fn gate(&self, name: &str) -> Gate {
        Gate::new(&self.home().join(name))
    }

    /// Waits until no process of ours is left in this environment: a mailer lives on behind the run that it
    /// was for, and takes what else is due.
    pub fn wait_until_alone(&self) {
        let mut home = OsString::from("HOME=");
        home.push(self.home());
        wait_until("all processes of this home ended", || {
            let processes = fs::read_dir("/proc").expect("there is a /proc").flatten();
            // Of a process that is over, or another user's, nothing can be read.
            let mut variables = processes.filter_map(|process| fs::read(process.path().join("environ")).ok());
            !variables.any(|all| all.split(|byte| *byte == 0).any(|variable| variable == home.as_bytes()))
        });
    }

    /// Any program in this environment.
    pub fn command(&self, mut command: Command) -> Run {
        command.env_clear().envs(self.vars.iter().cloned()).current_dir(self.home()).process_group(0);
        Run { command, stdin: Vec::new(), limit: LIMIT, stderr: Stderr::Empty }
    }
}

/// What a test expects on stderr.
enum Stderr {
    Empty,
    /// Each of these occurs.
    Says(Vec<String>),
    Free,
}

/// A run that is being set up.
pub struct Run {
    command: Command,
    stdin: Vec<u8>,
    limit: Duration,
    stderr: Stderr,
}

impl Run {
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    #[must_use]
    pub fn var(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    #[must_use]
    pub fn current_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// It is killed, and the test fails, when it takes longer.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// stderr must contain each of `parts`.
    #[must_use]
    pub fn says(mut self, parts: &[&str]) -> Self {
        self.stderr = Stderr::Says(parts.iter().map(ToString::to_string).collect());
        self
    }

    /// Whatever is on stderr is for the test to look at.
    #[must_use]
    pub fn stderr_is_free(mut self) -> Self {
        self.stderr = Stderr::Free;
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Output {
        self.start().finish()
    }

    /// Starts it; the test goes on meanwhile.
    pub fn start(mut self) -> Running {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("the program can be started");
        let mut stdin = child.stdin.take().expect("it is a pipe");
        let bytes = std::mem::take(&mut self.stdin);
        std::thread::spawn(move || {
            // A program that doesn't read its input is no fault: EPIPE ends this.
            stdin.write_all(&bytes).ok();
        });
        let stdout = Stream::read(child.stdout.take().expect("it is a pipe"));
        let stderr = Stream::read(child.stderr.take().expect("it is a pipe"));
        Running {
            what: format!("{:?}", self.command),
            run: self,
            child,
            began: Instant::now(),
            stdout,
            stderr,
        }
    }
}

/// A run that goes on; it is killed when dropped before `finish`.
pub struct Running {
    what: String,
    run: Run,
    child: Child,
    began: Instant,
    stdout: Stream,
    stderr: Stream,
}

impl Running {
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("pids fit"))
    }

    /// Sends a signal to the program alone, as `kill PID` does.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it isn't reaped yet");
    }

    /// Sends a signal to its whole group, as Ctrl-C on a terminal does.
    pub fn signal_group(&self, signal: Signal) {
        killpg(self.pid(), signal).expect("it isn't reaped yet");
    }

    /// Waits until stdout contains `bytes`.
    pub fn wait_for_stdout(&self, bytes: &[u8]) {
        self.wait_for(&self.stdout, bytes);
    }

    /// Waits until stderr contains `text`.
    pub fn wait_for_stderr(&self, text: &str) {
        self.wait_for(&self.stderr, text.as_bytes());
    }

    /// What it has written to stderr until now.
    pub fn stderr_so_far(&self) -> String {
        String::from_utf8_lossy(&self.stderr.bytes()).into_owned()
    }

    fn wait_for(&self, stream: &Stream, wanted: &[u8]) {
        let end = self.began + self.run.limit;
        if !stream.wait(end, |seen| seen.bytes.windows(wanted.len()).any(|window| window == wanted)) {
            self.fail(&format!("{:?} didn't come", String::from_utf8_lossy(wanted)));
        }
    }

    /// Waits for its end and checks stderr.
    pub fn finish(mut self) -> Output {
        let end = self.began + self.run.limit;
        // Its outputs end after it, or with it: waiting for them first needs no polling.
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !stream.wait(end, |seen| seen.ended) {
                self.fail(&format!("{name} is still open after {:?}", self.run.limit));
            }
        }
        let status = loop {
            match self.child.try_wait().expect("it is our child") {
                Some(status) => break status,
                None if Instant::now() > end => self.fail(&format!("still there after {:?}", self.run.limit)),
                // Between closing its outputs and being reaped: nothing else tells of it.
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        let output = Output {
            status,
            stdout: self.stdout.bytes(),
            stderr: String::from_utf8_lossy(&self.stderr.bytes()).into_owned(),
            duration: self.began.elapsed(),
        };
        match &self.run.stderr {
            Stderr::Free => {}
            Stderr::Empty if output.stderr.is_empty() => {}
            Stderr::Empty => self.fail("stderr was to be empty"),
            Stderr::Says(parts) => {
                if let Some(part) = parts.iter().find(|part| !output.stderr.contains(*part)) {
                    self.fail(&format!("stderr lacks {part:?}"));
                }
            }
        }
        output
    }

    fn fail(&self, why: &str) -> ! {
        let stdout = self.stdout.bytes();
        let stderr = self.stderr.bytes();
        panic!(
            "{why}\n{}\nstdout ({} bytes):\n{}\nstderr:\n{}",
            self.what,
            stdout.len(),
            String::from_utf8_lossy(&stdout[..stdout.len().min(4096)]),
            String::from_utf8_lossy(&stderr)
        );
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // Fails only where it ended this very moment.
            killpg(self.pid(), Signal::SIGKILL).ok();
            self.child.wait().ok();
        }
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Output {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub duration: Duration,
}

impl Output {
    /// Asserts an exit by this code.
    #[track_caller]
    pub fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        self
    }

    /// Asserts death by this signal.
    #[track_caller]
    pub fn assert_signal(&self, signal: Signal) -> &Self {
        assert_eq!(self.status.signal(), Some(signal as i32), "{self:#?}");
        self
    }

    #[track_caller]
    pub fn assert_stdout(&self, bytes: impl AsRef<[u8]>) -> &Self {
        let (got, wanted) = (String::from_utf8_lossy(&self.stdout), bytes.as_ref());
        assert!(self.stdout == wanted, "stdout is {got:?}, not {:?}", String::from_utf8_lossy(wanted));
        self
    }
}
