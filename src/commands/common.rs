//! What the commands share: the settings in force, the places, the wait at the end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::notice::Again;
use super::words;
pub use super::words::text_of;
use crate::cli::{CommonArgs, MailArgs};
use crate::config::load::{LoadRequest, load};
use crate::config::{
    Diagnostic, Language, Loaded, LogSettings, NotifySettings, OfRun, Overrides, Settings, Severity, Source,
    Wait, merge,
};
use crate::outbox::store::Store;
use crate::render::i18n::Lang;
use crate::run::ci;
use crate::run::facts::{AttachFiles, Origin, RunId, RunStart};
use crate::run::forward::Forwarder;
use crate::run::front::Ended;
use crate::run::mailer::{Link, Policy, Waited, Word};
use crate::spool::room::Limits;
use crate::sys::clock::Mark;
use crate::sys::{clock, fds, fs, host, ids, paths};
use crate::ui::Ui;

/// Variables that steer us beside the settings, and carry no code.
const OWN_VARIABLES: [&str; 5] = [
    "NOTIFY_DONE_CONFIG",
    "NOTIFY_DONE_STATE",
    "NOTIFY_DONE_RUN",
    "NOTIFY_DONE_TEST_CLOCK",
    "NOTIFY_DONE_TEST_HOST",
];

/// At a terminal someone waits for the prompt.
const WAIT_WATCHED: Duration = Duration::from_secs(3);
const WAIT_UNWATCHED: Duration = Duration::from_secs(30);
/// Where the end of our process ends the machine: container, CI job, Slurm step.
const WAIT_LAST: Duration = Duration::from_secs(60);

/// What a command was told, and where it works; enough to load the settings again later.
#[derive(Debug, Clone)]
pub struct Context {
    explicit: Option<PathBuf>,
    from_env: Option<PathBuf>,
    pub overrides: Overrides,
    /// What the environment says of this run alone.
    pub of_run: OfRun,
    /// Findings about environment variables.
    pub diagnostics: Vec<Diagnostic>,
    /// Where our state is kept; None: nowhere could be written.
    pub root: Option<PathBuf>,
}

impl Context {
    /// Takes flags and environment in; makes paths absolute, since the mailer works in `/`.
    pub fn new(common: &CommonArgs, flags: Overrides) -> Self {
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let (env, mut diagnostics) = merge::env_overrides(&|name| std::env::var_os(name));
        let (of_run, more) = merge::env_of_run(&|name| std::env::var_os(name));
        diagnostics.extend(more);
        let from_env = std::env::var_os("NOTIFY_DONE_CONFIG").filter(|v| !v.is_empty()).map(PathBuf::from);
        let explicit = common.config.as_ref().map(absolute);
        let from_env = from_env.as_ref().map(absolute);
        let config = explicit.clone().or_else(|| from_env.clone());
        let overrides = Overrides { config, ..flags.or(env) };
        Self { explicit, from_env, overrides, of_run, diagnostics, root: None }
    }

    /// The same for a run of earlier, with what it was told: its notify.toml too, unless `--config`
    /// names one now.
    pub fn for_run(&self, overrides: Overrides) -> Self {
        let explicit = self.explicit.clone().or_else(|| overrides.config.clone());
        Self { explicit, overrides, ..self.clone() }
    }

    /// For the notices of other runs: by the notify.toml that each was given, else the usual one. The
    /// one that this run was given is none of theirs.
    pub fn for_others(&self) -> Self {
        Self { explicit: None, from_env: None, ..self.clone() }
    }

    /// The same with this notify.toml.
    pub fn with_config(&self, file: &Path) -> Self {
        Self { explicit: Some(file.to_owned()), ..self.clone() }
    }

    /// `--config`, if it was given.
    pub fn explicit(&self) -> Option<&Path> {
        self.explicit.as_deref()
    }

    /// The settings as they are now: `notify.toml` is read anew each time.
    pub fn load(&self) -> Loaded {
        let mut loaded = load(&LoadRequest {
            env_path: self.from_env.clone(),
            ..LoadRequest::from_env(self.explicit.clone(), &self.overrides)
        });
        let template = loaded.settings.mail.subject.as_deref();
        if let Some(Err(wrong)) = template.map(crate::render::subject::check_template) {
            // What a template may hold is the renderer's to know, so it isn't checked by `load`.
            loaded.diagnostics.push(Diagnostic {
                severity: Severity::Warning,
                place: match &self.overrides.subject {
                    Some(_) => "--subject or NOTIFY_DONE_SUBJECT".to_owned(),
                    None => place_of(&loaded.provenance.source("mail.subject")),
                },
                key: Some("mail.subject".to_owned()),
                message: wrong,
                hint: Some(
                    "it is left as it is; `notify-done config-example` lists what there is".to_owned(),
                ),
            });
        }
        loaded
    }

    /// The same without the codes, for who sends nothing: they aren't in the memory, and so in the core,
    /// of a process that only waits for the command.
    pub fn load_without_codes(&self) -> Loaded {
        let mut loaded = self.load();
        loaded.settings.accounts.iter_mut().for_each(|account| account.secret = None);
        loaded
    }

    /// Finds a place for our state and makes the run's folder in it. Without one the command runs
    /// all the same, and the words here say what is lost.
    pub fn make_run_folder(&mut self, id: &RunId, ui: &Ui) -> Option<PathBuf> {
        let found = paths::usable_state_root();
        if let Some((wanted, why)) = &found.passed_over {
            let instead = match &found.root {
                Some(root) => format!("the log is kept in {} for now", root.display()),
                None => "no log of this run is kept, and its mail can't be kept either".to_owned(),
            };
            let fix = "make it writable, or set NOTIFY_DONE_STATE to a folder that is";
            ui.trouble(&format!("can't write to {}: {why}; {instead}\n{fix}", wanted.display()));
        }
        self.root = found.root;
        let runs = self.root.as_ref()?.join(paths::RUNS);
        let folder = runs.join(&id.0);
        // The root may be a folder that others can write: what they put there is refused here.
        match fs::private_dir(&runs).and_then(|()| fs::private_dir(&folder)) {
            Ok(()) => Some(folder),
            Err(why) => {
                ui.trouble(&format!(
                    "can't make {}: {why}; the command runs without a log",
                    folder.display()
                ));
                None
            }
        }
    }

    /// Variables of ours that may carry an authorization code: the command doesn't get them. By
    /// their names, since a notify.toml that can't be read doesn't say which do. A code in a
    /// variable of the user's own naming may be the command's too, and stays.
    pub fn code_variables() -> Vec<String> {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let setting = |name: &str| merge::is_setting(name) || OWN_VARIABLES.contains(&name);
        names.filter(|name| name.starts_with("NOTIFY_DONE_") && !setting(name)).collect()
    }

    pub fn lang(&self, settings: &Settings) -> Lang {
        language(settings.lang)
    }
}

/// `NOTIFY_DONE=off`: as if we weren't there.
pub fn switched_off() -> bool {
    std::env::var_os("NOTIFY_DONE").is_some_and(|value| value == "off")
}

fn place_of(source: &Source) -> String {
    match source {
        Source::Default => "the default".to_owned(),
        Source::File { path, line } => format!("{}:{line}", path.display()),
        Source::Env(name) => name.clone(),
        Source::Flag(flag) => (*flag).to_owned(),
    }
}

pub fn language(setting: Language) -> Lang {
    Lang::choose(setting, host::locale().as_deref())
}

/// How much disk the log may take.
pub fn log_limits(log: &LogSettings) -> Limits {
    Limits { max_size: log.max_size, reserve: log.reserve }
}

/// What is known of a run at its start.
pub fn start_of(origin: Origin, mail: &MailArgs, env: &OfRun) -> RunStart {
    let started = clock::now();
    // The folder was deleted under us: the shell still has its name. Without one it's not told.
    let cwd = std::env::current_dir().ok().or_else(|| std::env::var_os("PWD").map(PathBuf::from));
    let from = cwd.unwrap_or_default();
    let files = match mail.attach_file.is_empty() {
        true => env.attach_files.iter().map(PathBuf::from).collect(),
        false => mail.attach_file.clone(),
    };
    let cwd = text_of(from.as_os_str());
    let attach = AttachFiles { from, files };
    RunStart {
        ci: ci::of(&|name| std::env::var(name).ok()),
        attach,
        id: RunId(ids::timed_id(started)),
        origin,
        title: mail.title.clone().or_else(|| env.title.clone()),
        note: mail.note.clone().or_else(|| env.note.clone()),
        tags: if mail.tag.is_empty() { env.tags.clone() } else { mail.tag.clone() },
        host: host::name(),
        user: host::user(),
        cwd,
        started,
    }
}

pub fn policy(notify: &NotifySettings, ui: &Ui) -> Policy {
    Policy { on: notify.on, min_duration: notify.min_duration, watched: ui.watched }
}

/// How long the end of our process waits for the mail's first try.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    pub bound: Duration,
    /// Who asked not to wait needn't be told that nobody waited.
    pub asked: bool,
}

/// Asked when the command has ended: by then a server may have been found unreachable. Whoever is its
/// machine's last process waits all the same.
pub fn patience(root: Option<&Path>, settings: &Settings, ui: &Ui) -> Patience {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    let by_itself = |bound| Patience { bound, asked: false };
    match settings.notify.wait {
        Wait::For(bound) => Patience { bound, asked: true },
        Wait::Auto if !ui.watched && (std::process::id() == 1 || set("CI") || set("SLURM_JOB_ID")) => {
            by_itself(WAIT_LAST)
        }
        Wait::Auto if none_is_reachable(root, settings) => by_itself(Duration::ZERO),
        Wait::Auto if ui.watched => by_itself(WAIT_WATCHED),
        Wait::Auto => by_itself(WAIT_UNWATCHED),
    }
}

/// Has a process found just now that no account can be reached?
fn none_is_reachable(root: Option<&Path>, settings: &Settings) -> bool {
    let Some(store) = root.and_then(|root| Store::existing(root.join("outbox"))) else { return false };
    let now = clock::now();
    !settings.accounts.is_empty() && settings.accounts.iter().all(|a| store.is_unreachable(a, now))
}

/// Tells of mails that were given up in the background.
pub fn tell_untold(root: Option<&Path>, lang: Lang, ui: &Ui) {
    if let Some(count) = root.and_then(|root| Store::take_untold(&root.join("outbox"))) {
        ui.trouble(&words::given_up(count, lang));
    }
}

/// Hears the mailer out. Holds nothing of the caller's but stderr meanwhile, so that a reader of
/// our stdout sees its end now.
pub fn wait_for_mailer(ended: Ended, again: &Again<'_>, (patience, lang): (Patience, Lang), ui: &Ui) {
    let bound = patience.bound;
    // As long as the lock is ours, nobody else makes the notice, of which we alone can tell.
    let Ended { mailer: Some(link), mut signals, lock, .. } = ended else { return };
    fds::detach_standard(&[0, 1]);
    fds::close_all_but(&[link.fd(), signals.fd(), lock.fd()]);
    let since = Mark::now();
    let mut waited = hear(link, &mut signals, bound, ui);
    if waited == Waited::Died
        && let Some(link) = again.start()
    {
        waited = hear(link, &mut signals, bound.saturating_sub(since.elapsed()), ui);
    }
    // What the descriptors' owners would close has been closed above.
    std::mem::forget(signals);
    match waited {
        Waited::Done => {}
        // Who asked not to wait knows.
        Waited::TimeOver if patience.asked && bound.is_zero() => {}
        Waited::TimeOver if bound.is_zero() => ui.trouble(words::not_waited_for(lang)),
        Waited::TimeOver | Waited::Interrupted => ui.trouble(words::still_under_way(lang)),
        Waited::Died => ui.trouble(words::mailer_died(lang)),
    }
}

fn hear(link: Link, signals: &mut Forwarder, bound: Duration, ui: &Ui) -> Waited {
    let fd = signals.fd();
    link.wait(bound, fd, &mut || signals.asks_to_end(), &mut |word| match word {
        Word::Note(text) => ui.note(&text),
        Word::Trouble(text) => ui.trouble(&text),
        Word::Summary(text) => ui.block(&text),
        Word::Here { .. } | Word::Done => {}
    })
}

/// Findings that keep mail from going out, as one line each.
pub fn unusable(loaded: &Loaded) -> Vec<String> {
    loaded.diagnostics.iter().filter(|d| d.severity == Severity::Unusable).map(ToString::to_string).collect()
}
