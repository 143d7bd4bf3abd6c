//! `notify-done [OPTIONS] -- COMMAND [ARG…]`.

use std::ffi::{OsStr, OsString};

use super::common::{self, Context, Patience};
use super::{background, notice, words};
use crate::cli::{Pty, RunArgs};
use crate::error::{Error, Kind, Result};
use crate::exit::{self, Exit};
use crate::render::i18n::Lang;
use crate::report::name::display_command;
use crate::run::facts::{End, Origin};
use crate::run::front::{self, Ended, Request};
use crate::run::full;
use crate::run::wiring::PtyMode;
use crate::sys::process::ExecImage;
use crate::ui::Ui;

/// Runs the command; its status becomes ours.
///
/// # Errors
/// Only before the command was started.
pub fn run(args: &RunArgs, command: &[OsString], ui: &Ui) -> Result<Exit> {
    if common::switched_off() {
        return exec_only(command, ui);
    }
    let mut context = Context::new(&args.mail.common, args.mail.overrides());
    let loaded = context.load_without_codes();
    loaded.diagnostics.iter().chain(&context.diagnostics).for_each(|d| ui.diagnostic(d));
    if (args.strict || context.of_run.strict)
        && (!loaded.diagnostics.is_empty() || !context.diagnostics.is_empty())
    {
        return Err(Error::new(
            Kind::Config,
            "the command was not started: --strict, and the settings have a mistake",
        ));
    }
    let argv = command.iter().map(|arg| common::text_of(arg)).collect();
    let start = common::start_of(Origin::Command { argv }, &args.mail, &context.of_run);
    let folder = context.make_run_folder(&start.id, ui);
    let image = image(command, &Context::code_variables(), Some(&start.id.0))?;
    let policy = common::policy(&loaded.settings.notify, ui);
    let lang = context.lang(&loaded.settings);
    common::tell_untold(context.root.as_deref(), lang, ui);
    let mut job = |facts: &_, teller: &mut _| notice::make_and_send(&context, facts, teller);
    let overrides = context.overrides.clone();
    let again = notice::Again { context: &context, folder: folder.clone() };
    let limits = common::log_limits(&loaded.settings.log);
    let pty = pty(args.pty.or(context.of_run.pty).unwrap_or_default(), lang, ui);
    let own = start.id.clone();
    let for_others = || background::look_after_others(&context, &own);
    let request =
        Request { start, image: &image, pty, folder, limits, policy, overrides, for_others: &for_others };
    let ended = match front::run(request, &mut job) {
        Ok(ended) => ended,
        Err(error) => {
            ui.error(&error);
            ui.trouble("the command runs without notify-done: no log is kept, no mail will come");
            return Ok(exec(&image, command, ui));
        }
    };
    match ended.end {
        End::NotStarted { errno } => ui.error(&not_started(command, errno)),
        End::Unknown => ui.trouble(words::status_lost(lang)),
        _ => {}
    }
    // Nobody knows how it ended: that mustn't look like a success.
    let lost = ended.end == End::Unknown;
    let patience = common::patience(context.root.as_deref(), &loaded.settings, ui);
    let exit = finish(ended, &again, (patience, lang), ui);
    Ok(if lost { Exit::Code(exit::OWN_FAILURE) } else { exit })
}

/// What was asked for, where that can be had.
fn pty(asked: Pty, lang: Lang, ui: &Ui) -> PtyMode {
    let pty = asked.into();
    if pty == PtyMode::Full && !full::applies() {
        ui.trouble(words::no_full_pty(lang));
        return PtyMode::Auto;
    }
    pty
}

/// Waits for the mail within the bound, and maps the end. A mailer that was killed is replaced once.
pub fn finish(ended: Ended, again: &notice::Again<'_>, (patience, lang): (Patience, Lang), ui: &Ui) -> Exit {
    let exit = exit::for_end(ended.end);
    common::wait_for_mailer(ended, again, (patience, lang), ui);
    exit
}

fn image(command: &[OsString], remove: &[String], run: Option<&str>) -> Result<ExecImage> {
    let set: Vec<(&str, &OsStr)> = run.iter().map(|id| ("NOTIFY_DONE_RUN", OsStr::new(*id))).collect();
    ExecImage::new(command, remove, &set)
        .map_err(|e| Error::new(Kind::Setup, "can't pass the arguments on").because(e))
}

/// `NOTIFY_DONE=off`: as if we weren't there.
fn exec_only(command: &[OsString], ui: &Ui) -> Result<Exit> {
    let image = image(command, &[], None)?;
    crate::sys::signals::restore_sigpipe();
    Ok(exec(&image, command, ui))
}

/// In our place. Returns when that can't be.
fn exec(image: &ExecImage, command: &[OsString], ui: &Ui) -> Exit {
    crate::sys::inherited::close_again();
    let errno = image.exec() as i32;
    ui.error(&not_started(command, errno));
    exit::for_end(End::NotStarted { errno })
}

fn not_started(command: &[OsString], errno: i32) -> Error {
    // Never empty: that was refused before.
    let name = command.first().map(|c| common::text_of(c)).unwrap_or_default();
    let error = Error::new(Kind::Setup, format!("can't run `{name}`"))
        .because(std::io::Error::from_raw_os_error(errno));
    if errno != libc::ENOENT {
        return error
            .hint("is it a program, and executable (`chmod +x`)? A script needs its `#!` line right");
    }
    let line = name.contains(char::is_whitespace) || name.contains(['|', '&', ';', '>']);
    if line {
        let line = display_command(&["sh".to_owned(), "-c".to_owned(), name]);
        error.hint(format!("a whole line of shell goes to a shell: notify-done -- {line}"))
    } else {
        error.hint(
            "aliases, shell functions and lines like `a && b` need a shell: notify-done -- sh -c 'a && b'",
        )
    }
}
