//! `notify-done outbox install-timer`: what waits goes out without anybody's thinking of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Serialize;

use super::super::common::Context;
use super::super::runs::told;
use super::super::runs_show::pretty;
use super::super::words::either;
use super::Shape;
use super::units::{Job, SERVICE, TIMER, is_ours, timer};
use crate::config::{SecretSource, Settings};
use crate::error::{Error, Kind, Result};
use crate::exit::{self, Exit};
use crate::render::i18n::Lang;
use crate::sys::fs::{Durability, base_dir, replace};
use crate::sys::{host, paths};
use crate::ui::Ui;

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Install,
    Print,
    Uninstall,
}

/// Where things lie, when these say so: a service doesn't get them from the user's shell.
const PLACES: [&str; 4] = ["NOTIFY_DONE_STATE", "NOTIFY_DONE_CONFIG", "XDG_STATE_HOME", "XDG_CONFIG_HOME"];

#[derive(Debug, Serialize)]
struct Document {
    /// `installed`, `printed`, `uninstalled`; `none`: there is no systemd of the user's
    action: &'static str,
    units: Vec<Unit>,
    /// The line for crontab that does the same
    cron: String,
}

#[derive(Debug, Serialize)]
struct Unit {
    path: PathBuf,
    text: String,
}

/// # Errors
/// `Setup` when systemd refuses, `Storage` when a unit file can't be written or isn't ours.
pub fn run(
    wish: Wish,
    shape: Shape,
    (context, settings): (&Context, &Settings),
    lang: Lang,
    ui: &Ui,
) -> Result<Exit> {
    let job = job(context)?;
    let folder = paths::user_units().ok_or_else(|| {
        Error::new(Kind::Setup, "there is no place for unit files").hint("set HOME or XDG_CONFIG_HOME")
    })?;
    let unit = |name: &str, text: String| Unit { path: folder.join(name), text };
    let units = vec![unit(SERVICE, job.service()), unit(TIMER, timer())];
    let mut document = Document { action: "printed", units, cron: job.cron() };
    let mut exit = Exit::Code(exit::DONE);
    match wish {
        Wish::Print => {}
        Wish::Install => match systemd() {
            Ok(()) => {
                install(&folder, &document.units, settings, lang, ui)?;
                document.action = "installed";
            }
            Err(error) => {
                ui.error(&error.hint(by_cron(lang)));
                (document.action, exit) = ("none", Exit::Code(exit::NOT_DONE));
            }
        },
        Wish::Uninstall => {
            uninstall(&document.units, lang, ui)?;
            document.action = "uninstalled";
        }
    }
    let text = match (shape, document.action) {
        (Shape::Json, _) => pretty(&document),
        (Shape::Text, "printed") => {
            let one = |unit: &Unit| format!("# {}\n{}", unit.path.display(), unit.text);
            document.units.iter().map(one).collect::<Vec<_>>().join("\n")
        }
        (Shape::Text, "none") => format!("{}\n", document.cron),
        (Shape::Text, _) => String::new(),
    };
    let printed = told(&text);
    Ok(if printed == Exit::Code(exit::DONE) { exit } else { printed })
}

fn job(context: &Context) -> Result<Job> {
    let program = std::env::current_exe()
        .map_err(|e| Error::new(Kind::Setup, "can't find out where notify-done lies").because(e))?;
    let set =
        |name: &&'static str| std::env::var_os(name).filter(|v| !v.is_empty()).map(|v| (*name, v.into()));
    let found: Vec<(&'static str, PathBuf)> = PLACES.iter().filter_map(set).collect();
    let variables = found.into_iter().map(|(name, path)| Ok((name, text(&path)?))).collect::<Result<_>>()?;
    Ok(Job { program: text(&program)?, config: context.explicit().map(text).transpose()?, variables })
}

/// Absolute, as text.
fn text(path: &Path) -> Result<String> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.to_str().map(str::to_owned).ok_or_else(|| {
        Error::new(Kind::Setup, format!("the path {} isn't UTF-8", path.display()))
            .because("unit files and crontabs take text only")
            .hint("use a link of another name")
    })
}

fn systemctl(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("systemctl");
    command.arg("--user").args(arguments).stdin(Stdio::null());
    // Where a login by su or cron hasn't set it, systemctl finds no manager, though there is one.
    if let Some(runtime) = paths::user_runtime_dir() {
        command.env("XDG_RUNTIME_DIR", runtime);
    }
    let shown = format!("systemctl --user {}", arguments.join(" "));
    let failed =
        |why: &dyn std::fmt::Display| Error::new(Kind::Setup, format!("`{shown}` failed")).because(why);
    let done = command.output().map_err(|e| failed(&e))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(match said.lines().map(str::trim).find(|line| !line.is_empty()) {
        Some(line) => failed(&crate::report::text::one_line(line)),
        None => failed(&done.status),
    })
}

/// Does a systemd of the user's run, and answer?
fn systemd() -> Result<()> {
    systemctl(&["show", "--property=Version"]).map_err(|error| Error {
        what: "no timer was installed: there is no systemd user manager here".to_owned(),
        cause: Some(error.to_string()),
        ..error
    })
}

fn install(folder: &Path, units: &[Unit], settings: &Settings, lang: Lang, ui: &Ui) -> Result<()> {
    for unit in units {
        if ours(&unit.path)? == Ours::No {
            return Err(not_ours(&unit.path));
        }
    }
    base_dir(folder).map_err(|e| cannot("make", folder, &e))?;
    for unit in units {
        replace(&unit.path, unit.text.as_bytes(), Durability::Synced)
            .map_err(|e| cannot("write", &unit.path, &e))?;
    }
    systemctl(&["daemon-reload"])?;
    systemctl(&["enable", "--now", TIMER])?;
    ui.done(either(
        lang,
        "what waits in the outbox is sent every quarter of an hour from now on",
        "从现在起，每一刻钟发送一次等待中的邮件",
    ));
    if !lingers() {
        ui.done(either(
            lang,
            "while you are logged in, that is; `loginctl enable-linger` has it run always",
            "仅在您登录期间运行；执行 `loginctl enable-linger` 后可始终运行",
        ));
    }
    for account in &settings.accounts {
        if let Some(SecretSource::Env(_)) = &account.secret {
            ui.trouble(&no_code(&account.name, lang));
        }
    }
    Ok(())
}

/// Takes the timer away, also where no systemd runs (any more).
fn uninstall(units: &[Unit], lang: Lang, ui: &Ui) -> Result<()> {
    let mut there = Vec::new();
    for unit in units {
        match ours(&unit.path)? {
            Ours::Yes => there.push(&unit.path),
            Ours::No => return Err(not_ours(&unit.path)),
            Ours::Nothing => {}
        }
    }
    if there.is_empty() {
        ui.done(either(lang, "there is no timer to take away", "没有可移除的定时器"));
        return Ok(());
    }
    let running = systemd().is_ok();
    if running {
        systemctl(&["disable", "--now", TIMER])?;
    }
    for path in there {
        std::fs::remove_file(path).map_err(|e| cannot("remove", path, &e))?;
    }
    if running {
        systemctl(&["daemon-reload"])?;
    }
    ui.done(either(lang, "the timer is taken away", "已移除定时器"));
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ours {
    Yes,
    /// Somebody else's, or a link (a masked unit is one to /dev/null).
    No,
    Nothing,
}

fn ours(path: &Path) -> Result<Ours> {
    match path.symlink_metadata() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Ours::Nothing),
        Err(e) => Err(cannot("look at", path, &e)),
        Ok(meta) if !meta.is_file() => Ok(Ours::No),
        Ok(_) => {
            let bytes = std::fs::read(path).map_err(|e| cannot("read", path, &e))?;
            Ok(if is_ours(&String::from_utf8_lossy(&bytes)) { Ours::Yes } else { Ours::No })
        }
    }
}

fn not_ours(path: &Path) -> Error {
    Error::new(Kind::Storage, format!("{} isn't a file of ours: it is left alone", path.display()))
        .hint("move it out of the way, then try again")
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::new(Kind::Storage, format!("can't {what} {}", path.display())).because(error)
}

/// Does systemd keep the user's services running when nobody is logged in? loginctl(1).
fn lingers() -> bool {
    Path::new("/var/lib/systemd/linger").join(host::user()).exists()
}

fn by_cron(lang: Lang) -> &'static str {
    either(
        lang,
        "cron can do it: run `crontab -e`, and add the line that is printed here",
        "可以改用 cron：运行 `crontab -e`，加入下面输出的这一行",
    )
}

fn no_code(account: &str, lang: Lang) -> String {
    match lang {
        Lang::En => format!(
            "account {account} reads its code from an environment variable, which the timer hasn't got\n\
             write auth_code = {{ file = \"…\" }} into notify.toml"
        ),
        Lang::Zh => format!(
            "账号 {account} 从环境变量读取授权码，而定时器没有这个变量\n请在 notify.toml 中改用 auth_code = {{ file = \"…\" }}"
        ),
    }
}
