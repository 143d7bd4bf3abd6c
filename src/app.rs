//! Picks the command and maps its outcome to our exit.

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::cli::{Cli, CommonArgs, Late, Sub};
use crate::commands;
use crate::error::{Error, Kind};
use crate::exit::{self, Exit};
use crate::ui::{self, Loudness, Ui};

/// The program. Never returns: the exit may be a signal.
pub fn main() -> ! {
    match start() {
        Exit::Code(code) => crate::sys::process::leave(code),
        Exit::Signal(signal) => crate::sys::signals::die_by(signal),
    }
}

fn start() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    if cli.subcommand.is_some() {
        crate::sys::signals::heed_children();
    }
    match cli.subcommand {
        None if cli.command.is_empty() => refuse_empty(),
        None => {
            let ui = ui(&cli.run.mail.common);
            commands::run::run(&cli.run, &cli.command, &ui).unwrap_or_else(|e| {
                ui.error(&e);
                Exit::Code(exit::OWN_FAILURE)
            })
        }
        Some(Sub::Pipe(Late(args))) => {
            let ui = ui(&args.mail.common);
            outcome(commands::pipe::run(&args, &ui), &ui)
        }
        Some(Sub::Preview(Late(args))) => {
            let ui = ui(&args.common);
            outcome(commands::preview::run(&args, &ui), &ui)
        }
        Some(Sub::Runs(Late(args))) => {
            let ui = ui(args.action.common());
            outcome(commands::runs::run(&args.action, &ui), &ui)
        }
        Some(Sub::Outbox(Late(args))) => {
            let ui = ui(args.action.common());
            outcome(commands::outbox::run(&args.action, &ui), &ui)
        }
        Some(Sub::Doctor(Late(args))) => {
            let ui = ui(&args.common);
            outcome(commands::doctor::run(&args), &ui)
        }
        Some(Sub::ConfigExample) => {
            let done = ui::result(crate::config::load::TEMPLATE);
            Exit::Code(if done.is_ok() { exit::DONE } else { exit::NOT_DONE })
        }
    }
}

fn ui(common: &CommonArgs) -> Ui {
    Ui::new(match (common.quiet, common.verbose) {
        (true, _) => Loudness::Quiet,
        (_, true) => Loudness::Verbose,
        _ => Loudness::Normal,
    })
}

fn outcome(result: crate::error::Result<Exit>, ui: &Ui) -> Exit {
    result.unwrap_or_else(|e| {
        ui.error(&e);
        Exit::Code(if e.kind == Kind::Usage { exit::USAGE } else { exit::NOT_DONE })
    })
}

/// What clap refused, with the right form where we can tell what was meant.
fn refuse(error: &clap::Error) -> Exit {
    let ui = Ui::new(Loudness::Normal);
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Exit::Code(if ui::result(&error.render().to_string()).is_ok() {
            exit::DONE
        } else {
            exit::NOT_DONE
        });
    }
    let args: Vec<String> = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    let line = Line::read(&args);
    match long_dash(error, &args).or_else(|| not_utf8(error)).or_else(|| meant(error, &line)) {
        Some(better) => ui.error(&better),
        None => ui.trouble(&as_clap_has_it(error)),
    }
    Exit::Code(if line.subcommand.is_some() { exit::USAGE } else { exit::OWN_FAILURE })
}

/// Its words, but for advice that would make a command of a mistyped option.
fn as_clap_has_it(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let misleads =
        |part: &&str| part.starts_with("  tip: to pass") || part.starts_with("For more information");
    let parts: Vec<&str> = text.trim_end().split("\n\n").filter(|part| !misleads(part)).collect();
    parts.join("\n\n").trim_start_matches("error: ").trim_end().to_owned()
}

/// What clap took offence at.
fn offence(error: &clap::Error) -> Option<&str> {
    use clap::error::{ContextKind, ContextValue};
    if !matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand) {
        return None;
    }
    match error.get(ContextKind::InvalidArg).or_else(|| error.get(ContextKind::InvalidSubcommand)) {
        Some(ContextValue::String(offends)) => Some(offends),
        _ => None,
    }
}

/// `notify-done —— make`, `—title x`: what a Chinese keyboard, or a program that corrects as one types,
/// makes of two hyphens.
fn long_dash(error: &clap::Error, args: &[String]) -> Option<Error> {
    const LONG: [char; 5] = ['—', '–', '―', '－', '−'];
    let offends = offence(error).filter(|offends| offends.starts_with(LONG))?;
    let name = offends.trim_start_matches(LONG).trim_start_matches('-');
    let mended: Vec<String> =
        args.iter().map(|arg| if arg == offends { format!("--{name}") } else { arg.clone() }).collect();
    let what = format!("`{offends}` begins with a long dash, where two hyphens belong");
    Some(Error::new(Kind::Usage, what).hint(typed(&["notify-done"], &[&mended])))
}

/// Which option it is whose value isn't text (a title in GBK, say).
fn not_utf8(error: &clap::Error) -> Option<Error> {
    if error.kind() != ErrorKind::InvalidUtf8 {
        return None;
    }
    let args: Vec<_> = std::env::args_os().skip(1).take_while(|arg| arg != "--").collect();
    let at = args.iter().position(|arg| arg.to_str().is_none())?;
    let shown = args[at].to_string_lossy();
    let option = match at.checked_sub(1).and_then(|before| args[before].to_str()) {
        Some(option) if option.starts_with('-') && !shown.starts_with('-') => option,
        _ => shown.split('=').next().unwrap_or_default(),
    };
    let error = Error::new(Kind::Usage, format!("what is given with `{option}` isn't UTF-8"));
    Some(error.hint("type it in a UTF-8 terminal; the command itself, after `--`, may be any bytes"))
}

/// What was typed, as far as it can be made out although it is wrong.
struct Line<'a> {
    before: &'a [String],
    /// From the first word on: what is neither an option nor an option's value.
    rest: &'a [String],
    /// The word, if it is one of ours.
    subcommand: Option<clap::Command>,
}

impl<'a> Line<'a> {
    fn read(args: &'a [String]) -> Self {
        let mut cli = Cli::command();
        // With the arguments of its subcommands.
        cli.build();
        let (before, rest) = args.split_at(first_word(&cli, args).unwrap_or(args.len()));
        let subcommand = rest.first().and_then(|word| cli.find_subcommand(word)).cloned();
        Self { before, rest, subcommand }
    }
}

/// Where the first word stands; None: there is none, or `--` comes first.
fn first_word(command: &clap::Command, args: &[String]) -> Option<usize> {
    let takes_value = |flag: &str| {
        let known = command.get_arguments().find(|known| known.get_long() == Some(flag));
        known.is_some_and(|known| known.get_action().takes_values())
    };
    let mut at = 0;
    while let Some(arg) = args.get(at) {
        match arg.strip_prefix("--") {
            Some("") => return None,
            Some(flag) if takes_value(flag) => at += 2,
            Some(_) => at += 1,
            // None of our short ones takes a value.
            None if arg.starts_with('-') && arg.len() > 1 => at += 1,
            None => return Some(at),
        }
    }
    None
}

/// The right form of what clap took offence at, where we can tell.
fn meant(error: &clap::Error, line: &Line<'_>) -> Option<Error> {
    let offends = offence(error)?;
    let (word, after) = line.rest.split_first()?;
    match &line.subcommand {
        None => (offends == word).then(|| without_dashes(word, after, line)),
        Some(_) if offends == word => Some(
            Error::new(Kind::Usage, format!("`{word}` comes first, its options after it"))
                .hint(typed(&["notify-done"], &[line.rest, line.before])),
        ),
        Some(pipe) if word == "pipe" => {
            let at = first_word(pipe, after).filter(|at| after[*at] == offends)?;
            Some(with_a_command(offends, after.split_at(at)))
        }
        Some(_) => None,
    }
}

/// `notify-done make -j8`: the `--` is missing.
fn without_dashes(word: &str, after: &[String], line: &Line<'_>) -> Error {
    let what = format!("`{word}` stands where an option belongs: the command comes after `--`");
    let dashes = ["--".to_owned()];
    let error =
        Error::new(Kind::Usage, what).hint(typed(&["notify-done"], &[line.before, &dashes, line.rest]));
    if word == "help" {
        return error.hint("or, to be told more: notify-done --help");
    }
    let cli = Cli::command();
    // Longer ones only: `pip` is no slip.
    let similar = |known: &&str| word.len() > 4 && strsim::osa_distance(known, word) <= 2;
    match cli.get_subcommands().map(clap::Command::get_name).find(similar) {
        Some(known) => error.hint(format!(
            "or, if `{known}` was meant: {}",
            typed(&["notify-done", known], &[after, line.before])
        )),
        None => error,
    }
}

/// `notify-done pipe make`: a pipe has no command.
fn with_a_command(word: &str, (options, command): (&[String], &[String])) -> Error {
    let what = format!("`{word}` stands where an option belongs: `pipe` runs no command, it reads a pipe");
    Error::new(Kind::Usage, what)
        .hint(format!("{} 2>&1 | {}", typed(&[], &[command]), typed(&["notify-done", "pipe"], &[options])))
        .hint(format!("or wrap it: {} -- {}", typed(&["notify-done"], &[options]), typed(&[], &[command])))
}

/// As one would type it.
fn typed(words: &[&str], more: &[&[String]]) -> String {
    let words: Vec<String> = words.iter().map(ToString::to_string).chain(more.concat()).collect();
    crate::report::name::display_command(&words)
}

fn refuse_empty() -> Exit {
    use std::io::IsTerminal;
    let ui = Ui::new(Loudness::Normal);
    let error = Error::new(Kind::Usage, "nothing to run");
    ui.error(&if std::io::stdin().is_terminal() {
        error
            .hint("notify-done -- COMMAND [ARG]...        for instance: notify-done -- python train.py")
            .hint("notify-done --help                     tells the rest")
    } else {
        error
            .hint("notify-done -- COMMAND [ARG]...        wraps a command")
            .hint("COMMAND 2>&1 | notify-done pipe        mails what comes through a pipe")
    });
    Exit::Code(exit::OWN_FAILURE)
}
