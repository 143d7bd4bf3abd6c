//! Picks the command and maps its outcome to our exit.

use clap::Parser;
use clap::error::ErrorKind;

use crate::cli::{Cli, CommonArgs, OutboxAction, Sub};
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
    match cli.subcommand {
        None if cli.command.is_empty() => refuse_empty(),
        None => {
            let ui = ui(&cli.run.mail.common);
            commands::run::run(&cli.run, &cli.command, &ui).unwrap_or_else(|e| {
                ui.error(&e);
                Exit::Code(exit::OWN_FAILURE)
            })
        }
        Some(Sub::Pipe(args)) => {
            let ui = ui(&args.mail.common);
            outcome(commands::pipe::run(&args, &ui), &ui)
        }
        Some(Sub::Preview(args)) => {
            let ui = ui(&args.common);
            outcome(commands::preview::run(&args, &ui), &ui)
        }
        Some(Sub::Runs(args)) => {
            let ui = ui(args.action.common());
            outcome(commands::runs::run(&args.action, &ui), &ui)
        }
        Some(Sub::Outbox(args)) => {
            let (OutboxAction::List { common } | OutboxAction::Flush { common, .. }) = &args.action;
            let ui = ui(common);
            outcome(commands::outbox::run(&args.action, &ui), &ui)
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
    let subcommand =
        args.iter().any(|a| ["pipe", "preview", "runs", "outbox", "config-example"].contains(&a.as_str()))
            && !args.iter().any(|a| a == "--");
    match meant(error, &args) {
        Some(better) => ui.error(&better),
        None => {
            let text = error.render().to_string();
            let text = text.split("\n\nFor more information").next().unwrap_or_default();
            ui.trouble(text.trim_start_matches("error: ").trim_end());
        }
    }
    Exit::Code(if subcommand { exit::USAGE } else { exit::OWN_FAILURE })
}

/// `notify-done make -j8`: the `--` is missing.
fn meant(error: &clap::Error, args: &[String]) -> Option<Error> {
    use clap::error::{ContextKind, ContextValue};
    if !matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand) {
        return None;
    }
    let word = match error.get(ContextKind::InvalidArg).or_else(|| error.get(ContextKind::InvalidSubcommand))
    {
        Some(ContextValue::String(word)) if !word.starts_with('-') => word.clone(),
        _ => return None,
    };
    let at = args.iter().position(|a| *a == word)?;
    let quoted = |args: &[String]| crate::report::name::display_command(args);
    let before = if at > 0 { format!("{} ", quoted(&args[..at])) } else { String::new() };
    Some(
        Error::new(
            Kind::Usage,
            format!("`{word}` stands where an option belongs: the command comes after `--`"),
        )
        .hint(format!("notify-done {before}-- {}", quoted(&args[at..]))),
    )
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
