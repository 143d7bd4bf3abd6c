//! `… | notify-done pipe`.

use std::path::Path;

use super::common::{self, Context};
use super::{background, notice, run};
use crate::cli::PipeArgs;
use crate::error::{Error, Kind, Result};
use crate::exit::Exit;
use crate::run::facts::{End, Origin};
use crate::run::piped::{self, Passed, Request};
use crate::ui::Ui;

/// Passes stdin to stdout, and mails at its end.
///
/// # Errors
/// When nothing is piped in.
pub fn run(args: &PipeArgs, ui: &Ui) -> Result<Exit> {
    use std::io::IsTerminal;
    if std::io::stdin().is_terminal() || crate::sys::inherited::was_closed(0) {
        return Err(Error::new(Kind::Usage, "`notify-done pipe` reads a pipe, and nothing is piped in")
            .hint("make 2>&1 | notify-done pipe --title build")
            .hint("or wrap the command, which also gives its exit status: notify-done -- make"));
    }
    if common::switched_off() {
        return copy_only();
    }
    let mut context = Context::new(&args.mail.common, args.mail.overrides());
    let loaded = context.load_without_codes();
    loaded.diagnostics.iter().chain(&context.diagnostics).for_each(|d| ui.diagnostic(d));
    let start = common::start_of(Origin::Pipe, &args.mail, &context.of_run);
    let folder = context.make_run_folder(&start.id, ui);
    let policy = common::policy(&loaded.settings.notify, ui);
    let lang = context.lang(&loaded.settings);
    common::tell_untold(context.root.as_deref(), lang, ui);
    let status = || match (args.status, &args.status_file) {
        (Some(code), _) => End::Reported { code },
        (None, Some(file)) => status_from(file).unwrap_or_else(|error| {
            ui.error(&error);
            End::Unknown
        }),
        (None, None) => End::Unknown,
    };
    let mut job = |facts: &_, teller: &mut _| notice::make_and_send(&context, facts, teller);
    let again = notice::Again { context: &context, folder: folder.clone() };
    let overrides = &context.overrides;
    let limits = common::log_limits(&loaded.settings.log);
    let own = start.id.clone();
    let for_others = || background::look_after_others(&context, &own);
    let request =
        Request { start, folder, limits, policy, overrides, for_others: &for_others, status: &status };
    let Passed { ended, told_by } = piped::run(&request, &mut job)?;
    let patience = common::patience(context.root.as_deref(), &loaded.settings, ui);
    let exit = run::finish(ended, &again, (patience, lang), ui);
    // Whatever the writer's status was: who told us to end sees us end by it.
    Ok(told_by.map_or(exit, Exit::Signal))
}

/// `NOTIFY_DONE=off`: what `cat` does. Ctrl-C and a reader that goes end us as they end `cat`.
fn copy_only() -> Result<Exit> {
    crate::sys::signals::restore_sigpipe();
    match crate::sys::fds::copy(crate::sys::fds::borrow(0), crate::sys::fds::borrow(1)) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(Kind::Setup, "can't pass the input on").because(e))
        }
        _ => Ok(Exit::Code(crate::exit::DONE)),
    }
}

fn status_from(file: &Path) -> Result<End> {
    let name = file.display();
    let cannot = |cause: String| {
        Error::new(Kind::Config, format!("no exit code in {name}"))
            .because(cause)
            .hint("write it there before the pipe closes: (make; echo $? >st) 2>&1 | notify-done pipe --status-file st")
    };
    let text = std::fs::read_to_string(file).map_err(|e| cannot(e.to_string()))?;
    match text.trim().parse() {
        Ok(code @ 0..=255) => Ok(End::Reported { code }),
        _ => Err(cannot(format!(
            "`{}` is not a number from 0 to 255",
            text.trim().chars().take(40).collect::<String>()
        ))),
    }
}
