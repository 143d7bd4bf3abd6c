//! The command line: exactly what was typed, and nothing done about it yet. Pure.

mod outbox;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::config::{Attach, Language, Mailbox, On, Overrides, Wait, values};
use crate::run::wiring::PtyMode;
pub use outbox::{OutboxAction, OutboxArgs, WhichEntries};

/// Runs a command as if it ran alone, keeps its output, and mails you a summary with the full log
/// when it ends, from your own QQ, 163 or other mailbox.
#[derive(Debug, Parser)]
#[command(
    name = "notify-done",
    version,
    override_usage = "notify-done [OPTIONS] -- COMMAND [ARG]...\n       make 2>&1 | notify-done pipe [OPTIONS]\n       notify-done preview | runs | outbox | doctor | config-example",
    after_help = "The exit status is the command's; 125: our own failure before it ran, or its status is lost; 126: not executable, 127: not found.\nEach option but -v and -q is also a variable (--min-duration: NOTIFY_DONE_MIN_DURATION), most are a key of notify.toml.\n`notify-done config-example` prints a notify.toml with every key explained.",
    disable_help_subcommand = true,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(flatten)]
    pub run: RunArgs,

    /// The command and its arguments, after `--`
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,

    #[command(subcommand)]
    pub subcommand: Option<Sub>,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one of it in a process")]
pub enum Sub {
    /// Pass stdin to stdout and mail at its end: `make 2>&1 | notify-done pipe --title build`
    Pipe(Late<PipeArgs>),
    /// Write the mail of a run (else of the last one) as HTML and text, and say where
    Preview(Late<PreviewArgs>),
    /// The runs: list them, show one, its log, or stop it
    Runs(Late<RunsArgs>),
    /// The notices that are kept: list them, send them now, try one again, drop one
    Outbox(Late<OutboxArgs>),
    /// Look why mails don't go out: settings, network, TLS, login, step by step, with what to do
    Doctor(Late<DoctorArgs>),
    /// Print notify.example.toml: every key of notify.toml, explained
    ConfigExample,
}

/// The arguments of a subcommand, which clap is told of only when that is used: a wrapped command needn't
/// wait for the description of all others.
#[derive(Debug)]
pub struct Late<T>(pub T);

impl<T: Args> Args for Late<T> {
    fn augment_args(command: Command) -> Command {
        command.defer(|command| described(command, T::augment_args))
    }

    fn augment_args_for_update(command: Command) -> Command {
        command.defer(|command| described(command, T::augment_args_for_update))
    }
}

/// What the subcommand says of itself stands, whatever its arguments say; nothing, if it says nothing.
fn described(command: Command, augment: fn(Command) -> Command) -> Command {
    let about = command.get_about().cloned().unwrap_or_default();
    augment(command).about(about)
}

impl<T: FromArgMatches> FromArgMatches for Late<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub mail: MailArgs,

    /// Where you have a terminal the command gets one for its output (auto), a whole one of its own
    /// for programs that draw the screen (full), or a pipe (off)
    #[arg(long, value_name = "MODE", value_enum, hide_possible_values = true)]
    pub pty: Option<Pty>,

    /// Refuse to start the command when notify.toml has a mistake
    #[arg(long)]
    pub strict: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Default)]
pub enum Pty {
    #[default]
    Auto,
    Full,
    Off,
}

impl From<Pty> for PtyMode {
    fn from(pty: Pty) -> Self {
        match pty {
            Pty::Auto => Self::Auto,
            Pty::Full => Self::Full,
            Pty::Off => Self::Off,
        }
    }
}

/// What a run and a pipe have in common.
#[derive(Debug, Args)]
pub struct MailArgs {
    /// Recipient, repeatable; else your own address
    #[arg(long, value_name = "ADDRESS", help_heading = "The mail")]
    pub to: Vec<Mailbox>,
    /// Recipient of a copy, repeatable
    #[arg(long, value_name = "ADDRESS", help_heading = "The mail")]
    pub cc: Vec<Mailbox>,
    /// Recipient whom the others don't see, repeatable
    #[arg(long, value_name = "ADDRESS", help_heading = "The mail")]
    pub bcc: Vec<Mailbox>,
    /// The name beside your address as the sender
    #[arg(long, value_name = "NAME", help_heading = "The mail")]
    pub from_name: Option<String>,
    /// Subject; {state} {name} {duration} {host} and others are filled in
    #[arg(long, value_name = "TEMPLATE", help_heading = "The mail")]
    pub subject: Option<String>,
    /// Stands for the command in the subject
    #[arg(long, value_name = "TEXT", help_heading = "The mail")]
    pub title: Option<String>,
    /// A remark that the mail repeats
    #[arg(long, value_name = "TEXT", help_heading = "The mail")]
    pub note: Option<String>,
    /// A word that the mail repeats, repeatable
    #[arg(long, value_name = "WORD", help_heading = "The mail")]
    pub tag: Vec<String>,
    /// A file that goes with the mail, or a pattern in quotes ('plots/*.png'), looked for when the command
    /// has ended; repeatable
    #[arg(long, value_name = "FILE", help_heading = "The mail")]
    pub attach_file: Vec<PathBuf>,
    /// Account of notify.toml to send from; else the first
    #[arg(long, value_name = "NAME", help_heading = "The mail")]
    pub account: Option<String>,
    /// Language of the mail: auto, en, zh
    #[arg(long, value_name = "LANG", help_heading = "The mail")]
    pub lang: Option<Language>,
    /// Lines of output that the mail's body shows [default: 50]
    #[arg(long, value_name = "N", help_heading = "The mail", value_parser = values::tail_lines, allow_hyphen_values = true)]
    pub tail: Option<u32>,
    /// What of the log is attached: full, tail, none [default: full]
    #[arg(long, value_name = "WHAT", help_heading = "The mail")]
    pub log: Option<Attach>,
    /// Regular expression of what is taken out of the mail and its log, repeatable
    #[arg(long, value_name = "REGEX", help_heading = "The mail", value_parser = values::pattern_text, allow_hyphen_values = true)]
    pub redact: Vec<String>,
    /// Leave the command line out of the mail
    #[arg(long, help_heading = "The mail")]
    pub hide_command: bool,
    /// Which ends are worth a mail: always, failure, success [default: always]
    #[arg(long, value_name = "WHEN")]
    pub on: Option<On>,
    /// No mail for a shorter run (90s, 5m, 1h 30m)
    #[arg(long, value_name = "DURATION", value_parser = values::duration, allow_hyphen_values = true)]
    pub min_duration: Option<Duration>,
    /// How long the prompt may wait for the mail (0s: not at all; auto: 3s at a terminal)
    #[arg(long, value_name = "DURATION|auto", allow_hyphen_values = true)]
    pub wait: Option<Wait>,
    /// How long a mail that wasn't sent is tried again in the background [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = values::duration, allow_hyphen_values = true)]
    pub keep_trying: Option<Duration>,
    #[command(flatten)]
    pub common: CommonArgs,
}

/// What every subcommand has.
#[derive(Debug, Args)]
pub struct CommonArgs {
    /// notify.toml to read
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Say what goes well, too
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Say only what goes wrong
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
#[command(override_usage = "COMMAND 2>&1 | notify-done pipe [OPTIONS]")]
pub struct PipeArgs {
    #[command(flatten)]
    pub mail: MailArgs,
    /// The command's exit code, if you know it already
    #[arg(long, value_name = "CODE", allow_negative_numbers = true, value_parser = values::exit_code)]
    pub status: Option<i32>,
    /// A file that holds the exit code when the input has ended: `(make; echo $? >st) 2>&1 | notify-done pipe --status-file st`
    #[arg(long, value_name = "FILE", conflicts_with = "status")]
    pub status_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct PreviewArgs {
    /// Id of the run; else the last one
    pub run: Option<String>,
    /// Language of the mail: auto, en, zh
    #[arg(long, value_name = "LANG")]
    pub lang: Option<Language>,
    /// Show the HTML in the browser
    #[arg(long)]
    pub open: bool,
    /// Write the whole mail as well, as it would be sent, for a mail program to open
    #[arg(long)]
    pub eml: bool,
    #[command(flatten)]
    pub common: CommonArgs,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Send a mail by each account that can log in, to where its notices go
    #[arg(long)]
    pub send: bool,
    /// Show the dialogue with the server, with times; the authorization code is struck out
    #[arg(long)]
    pub transcript: bool,
    /// Ask the server whether it takes mail for this recipient, without sending one
    #[arg(long, value_name = "ADDRESS")]
    pub verify: Option<Mailbox>,
    /// Only this account of notify.toml; else all
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// One JSON document
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub common: CommonArgs,
}

#[derive(Debug, Args)]
pub struct RunsArgs {
    #[command(subcommand)]
    pub action: RunsAction,
}

#[derive(Debug, Subcommand)]
pub enum RunsAction {
    /// The last runs, the newest at the end; one that goes on is always among them
    List {
        /// All that are kept
        #[arg(long)]
        all: bool,
        /// One JSON document: {"runs": […]}, all that are kept
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// All that is known of a run
    Show {
        /// Id of the run, or enough of its beginning or of the part behind the `-`; else the last one
        run: Option<String>,
        /// One JSON document
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// The log of a run, byte for byte
    Log {
        /// Id of the run, or enough of it; else the last one
        run: Option<String>,
        /// Go on with what is added, until the run has ended
        #[arg(short, long)]
        follow: bool,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Ask the command of a run to end (TERM), and wait for that
    Stop {
        /// Id of the run, or enough of it; not needed where only one goes on
        run: Option<String>,
        /// Kill it when it hasn't ended in time
        #[arg(long)]
        kill: bool,
        /// How long to wait for its end
        #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "10s", allow_hyphen_values = true)]
        timeout: Duration,
        #[command(flatten)]
        common: CommonArgs,
    },
}

impl RunsAction {
    pub fn common(&self) -> &CommonArgs {
        match self {
            Self::List { common, .. }
            | Self::Show { common, .. }
            | Self::Log { common, .. }
            | Self::Stop { common, .. } => common,
        }
    }
}

impl MailArgs {
    /// What was typed, as settings that lie over the environment's and the file's.
    pub fn overrides(&self) -> Overrides {
        let list = |boxes: &[Mailbox]| (!boxes.is_empty()).then(|| boxes.to_vec());
        Overrides {
            // Made absolute by who may ask for the working folder.
            config: None,
            to: list(&self.to),
            cc: list(&self.cc),
            bcc: list(&self.bcc),
            from_name: self.from_name.clone(),
            subject: self.subject.clone(),
            account: self.account.clone(),
            lang: self.lang,
            on: self.on,
            min_duration: self.min_duration,
            wait: self.wait,
            keep_trying: self.keep_trying,
            tail_lines: self.tail,
            attach: self.log,
            redact: (!self.redact.is_empty()).then(|| self.redact.clone()),
            hide_command: self.hide_command.then_some(true),
        }
    }
}
