//! `notify-done outbox list` and `flush`.

use std::time::Duration;

use super::common::{self, Context};
use super::notice;
use super::words;
use crate::cli::OutboxAction;
use crate::config::read_secret::read_secret;
use crate::config::{Account, Overrides, Settings};
use crate::deliver::job::Limits;
use crate::deliver::smtp::attempt_blocking;
use crate::error::{Error, Kind, Result};
use crate::exit::{self, Exit};
use crate::mail::draft::{Draft, header_block};
use crate::outbox::drain::{Hands, Letterhead, Pick, Plan, drain};
use crate::outbox::entry::{Entry, Folder};
use crate::outbox::event::Tally;
use crate::outbox::held::Which;
use crate::outbox::store::Store;
use crate::render::i18n::Lang;
use crate::run::mailer::{Teller, Word};
use crate::sys::{clock, paths};
use crate::ui::{self, Ui};

/// A mail of usual size is through within this; who has a larger one under way may flush again.
const WAIT_FOR_OTHERS: Duration = Duration::from_secs(60);

/// # Errors
/// When the outbox can't be read, or there is no account to flush with.
pub fn run(action: &OutboxAction, ui: &Ui) -> Result<Exit> {
    match action {
        OutboxAction::List { .. } => list(),
        OutboxAction::Flush { all, common } => {
            let context = Context::new(common, Overrides::default());
            let which = if *all { Which::All } else { Which::Fresh };
            flush(&context, which, ui)
        }
    }
}

/// The outboxes there are: in the user's own place, and where notices were kept when that could
/// not be written.
fn stores() -> Result<Vec<Store>> {
    let places = paths::existing_state_roots().into_iter().map(|root| root.join("outbox"));
    let (mut open, mut first_error) = (Vec::new(), None);
    for place in places.filter(|place| place.is_dir()) {
        match Store::open(place) {
            Ok(store) => open.push(store),
            // A place that became read-only must not hide what was kept elsewhere for that reason.
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        Some(error) if open.is_empty() => Err(error),
        _ => Ok(open),
    }
}

fn flush(context: &Context, which: Which, ui: &Ui) -> Result<Exit> {
    let loaded = context.load();
    loaded.diagnostics.iter().chain(&context.diagnostics).for_each(|d| ui.diagnostic(d));
    let lang = context.lang(&loaded.settings);
    if loaded.unusable() {
        return Err(Error::new(Kind::Config, "nothing was sent: notify.toml has a mistake")
            .hint("mend it, then run `notify-done outbox flush` again"));
    }
    if loaded.settings.accounts.is_empty() {
        let expected = loaded.path.as_deref().or(loaded.expected_path.as_deref());
        return Err(Error::new(Kind::Config, "nothing was sent: no mailbox is set up")
            .hint(words::set_up(expected, lang)));
    }
    for root in paths::existing_state_roots() {
        notice::make_missing(context, &root, &mut Teller::silent());
    }
    let mut total = Tally::default();
    for store in stores()? {
        let mut unreadable = 0;
        if let Err(error) = store.release(which) {
            // One that can't be read is told, and keeps nothing else back.
            ui.error(&error);
            unreadable = 1;
        }
        let waiting = store.list(Folder::Held)?.len();
        if waiting > 0 {
            ui.note(&format!(
                "{waiting} older notices from before a mailbox was set up are kept; `notify-done outbox flush --all` sends them too"
            ));
        }
        let tally = send_all(&store, &loaded.settings, lang, ui)?;
        total.sent += tally.sent;
        total.kept += tally.kept;
        total.failed += tally.failed;
        total.left += tally.left + unreadable;
    }
    let Tally { sent, kept, failed, left } = total;
    if sent + kept + failed + left == 0 {
        ui.block(words::either(
            lang,
            "notify-done: nothing waits in the outbox",
            "notify-done: 没有等待发送的邮件",
        ));
    }
    Ok(Exit::Code(if kept + failed + left == 0 { exit::DONE } else { exit::NOT_DONE }))
}

fn send_all(store: &Store, settings: &Settings, lang: Lang, ui: &Ui) -> Result<Tally> {
    let limits = Limits::default();
    let plan = Plan {
        pick: Pick::All,
        accounts: &settings.accounts,
        preferred: settings.account.as_deref(),
        mail: &settings.mail,
        limits: &limits,
        wait: WAIT_FOR_OTHERS,
    };
    drain_telling(store, &plan, lang, &mut |word| match word {
        // Who asks for a flush wants to know, wherever stderr goes.
        Word::Note(text) | Word::Trouble(text) => ui.trouble(&text),
        Word::Summary(text) => ui.block(&text),
        Word::Done => {}
    })
}

/// Drains with the real clock, secrets and network, and tells each event in words.
pub fn drain_telling(
    store: &Store,
    plan: &Plan<'_>,
    lang: Lang,
    tell: &mut dyn FnMut(Word),
) -> Result<Tally> {
    let tell = std::cell::RefCell::new(tell);
    let mut secret = |account: &Account| {
        let source = account.secret.as_ref().ok_or_else(|| no_code(account))?;
        let read = read_secret(source)?;
        if let Some(warning) = read.warning {
            (tell.borrow_mut())(Word::Trouble(warning));
        }
        Ok(read.secret)
    };
    let hands = &mut Hands {
        now: &mut clock::now,
        secret: &mut secret,
        headers: &mut headers,
        send: &mut |job, ledger| attempt_blocking(job, ledger),
        events: &mut |event| {
            if let Some(word) = words::of_event(&event, lang) {
                (tell.borrow_mut())(word);
            }
        },
    };
    drain(store, plan, hands)
}

fn no_code(account: &Account) -> Error {
    Error::new(Kind::Secret, format!("account `{}` has no auth_code", account.name))
        .hint("write auth_code into its table in notify.toml; `notify-done config-example` shows the ways")
}

fn headers(letterhead: &Letterhead<'_>) -> Result<Vec<u8>> {
    let Letterhead { entry, from, to, cc } = letterhead;
    header_block(&Draft {
        message_id: entry.message_id.trim_matches(['<', '>']).to_owned(),
        date: entry.zoned_date(),
        from: from.clone(),
        to: to.to_vec(),
        cc: cc.to_vec(),
        subject: entry.subject.clone(),
    })
}

fn list() -> Result<Exit> {
    let lang = common::language(crate::config::Language::Auto);
    let mut out = String::new();
    for store in stores()? {
        // What a process that was killed had taken is back in new/ then.
        store.recover()?;
        for id in store.sending()? {
            let now = words::either(lang, "a process is sending it now", "正在发送");
            out.push_str(&format!("{id}  sending  {now}\n"));
        }
        for (folder, name) in [(Folder::New, "new"), (Folder::Held, "held"), (Folder::Failed, "failed")] {
            for id in store.list(folder)? {
                match store.load(folder, &id) {
                    Ok(entry) => out.push_str(&line(name, &entry, lang)),
                    Err(error) => out.push_str(&format!("{id}  {name}  {error}\n")),
                }
            }
        }
    }
    if out.is_empty() {
        out.push_str(words::either(lang, "nothing waits in the outbox\n", "没有等待发送的邮件\n"));
    }
    Ok(Exit::Code(if ui::result(&out).is_ok() { exit::DONE } else { exit::NOT_DONE }))
}

fn line(folder: &str, entry: &Entry, lang: Lang) -> String {
    let at = entry.created.to_zoned(jiff::tz::TimeZone::system());
    let mut line =
        format!("{}  {folder:6}  {}  {}\n", entry.id, at.strftime("%Y-%m-%d %H:%M"), entry.subject);
    let last = entry.attempts.last();
    if let Some((attempt, why)) = last.and_then(|attempt| Some((attempt, words::of_attempt(attempt, lang)?)))
    {
        line.push_str(&format!("    {} × {}: {why}\n", entry.attempt_count, attempt.account));
    } else if entry.held.is_some() {
        let why = words::either(lang, "kept: no usable account at the time", "已保留：当时没有可用的账号");
        line.push_str(&format!("    {why}\n"));
    }
    line
}
