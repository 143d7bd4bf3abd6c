//! `notify-done outbox list` and `flush`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::common::Context;
use super::missing::{self, Patience};
use super::{event_words, words};
use crate::cli::OutboxAction;
use crate::config::read_secret::read_secret;
use crate::config::{Account, Loaded, Overrides, Settings};
use crate::deliver::smtp::attempt_blocking;
use crate::error::{Error, Kind, Result};
use crate::exit::{self, Exit};
use crate::mail::draft::{Draft, header_block};
use crate::outbox::drain::{Hands, Letterhead, Pick, Plan, drain};
use crate::outbox::entry::{Entry, Folder, Whose};
use crate::outbox::event::Tally;
use crate::outbox::held::Which;
use crate::outbox::schedule::Urgency;
use crate::outbox::store::Store;
use crate::render::i18n::Lang;
use crate::run::mailer::Word;
use crate::sys::{clock, paths};
use crate::ui::{self, Ui};

/// A mail of usual size is through within this; who has a larger one under way may flush again.
const WAIT_FOR_OTHERS: Duration = Duration::from_secs(60);

/// # Errors
/// When the outbox can't be read.
pub fn run(action: &OutboxAction, ui: &Ui) -> Result<Exit> {
    let (OutboxAction::List { common } | OutboxAction::Flush { common, .. }) = action;
    let context = Context::new(common, Overrides::default());
    let loaded = context.load();
    loaded.diagnostics.iter().chain(&context.diagnostics).for_each(|d| ui.diagnostic(d));
    let lang = context.lang(&loaded.settings);
    match action {
        OutboxAction::List { .. } => list(lang),
        OutboxAction::Flush { all, .. } => {
            let which = if *all { Which::All } else { Which::Fresh };
            Flush { context: &context, which, lang, ui }.run(&loaded)
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

struct Flush<'a> {
    context: &'a Context,
    which: Which,
    lang: Lang,
    ui: &'a Ui,
}

impl Flush<'_> {
    fn run(&self, usual: &Loaded) -> Result<Exit> {
        let mut total = Tally::default();
        total.left += missing::make(self.context, None, Patience::Wait, &mut |text| self.say(text)).not_kept;
        let stores = stores()?;
        for whose in self.groups(&stores)? {
            total += self.send(&whose, &stores, usual)?;
        }
        let Tally { sent, kept, later, failed, left } = total;
        if later > 0 {
            self.ui.note(&event_words::not_due(later, self.lang));
        } else if sent + kept + failed + left == 0 {
            self.ui.block(words::either(
                self.lang,
                "notify-done: nothing waits in the outbox",
                "notify-done: 没有等待发送的邮件",
            ));
        }
        Ok(Exit::Code(if kept + failed + left == 0 { exit::DONE } else { exit::NOT_DONE }))
    }

    /// A notice goes out by the notify.toml that its run was given; all go by one that is named now.
    fn groups(&self, stores: &[Store]) -> Result<Vec<Whose>> {
        if self.context.explicit().is_some() {
            return Ok(vec![Whose::Anyones]);
        }
        let mut files = BTreeSet::new();
        for store in stores {
            files.extend(store.files_named()?);
        }
        if files.is_empty() {
            files.insert(None);
        }
        Ok(files.into_iter().map(Whose::Under).collect())
    }

    fn send(&self, whose: &Whose, stores: &[Store], usual: &Loaded) -> Result<Tally> {
        let own = match whose {
            Whose::Under(Some(file)) => {
                let loaded = self.context.with_config(file).load();
                loaded.diagnostics.iter().for_each(|d| self.ui.diagnostic(d));
                Some((file.as_path(), loaded))
            }
            Whose::Anyones | Whose::Under(None) => None,
        };
        let loaded = own.as_ref().map_or(usual, |(_, loaded)| loaded);
        if let Some((what, hint)) = self.obstacle(loaded) {
            let mut error = Error::new(Kind::Config, what).hint(hint);
            if let Some((file, _)) = own {
                let (why, way_out) = words::under_another_file(file, self.lang);
                error = error.because(why).hint(way_out);
            }
            self.error(error);
            return Ok(Tally { left: 1, ..Tally::default() });
        }
        let mut total = Tally::default();
        for store in stores {
            total += self.send_from(store, whose, &loaded.settings)?;
        }
        Ok(total)
    }

    /// Why nothing can be sent by these settings, and what to do.
    fn obstacle(&self, loaded: &Loaded) -> Option<(&'static str, String)> {
        if loaded.unusable() {
            return Some(words::nothing_sent_config(self.lang));
        }
        let expected = loaded.path.as_deref().or(loaded.expected_path.as_deref());
        let what =
            words::either(self.lang, "nothing was sent: no mailbox is set up", "没有发送：还没有配置邮箱");
        loaded.settings.accounts.is_empty().then(|| (what, words::set_up(expected, self.lang)))
    }

    fn send_from(&self, store: &Store, whose: &Whose, settings: &Settings) -> Result<Tally> {
        let mut unreadable = 0;
        if let Err(error) = store.release(self.which, whose) {
            // One that can't be read is told, and keeps nothing else back.
            self.error(error);
            unreadable = 1;
        }
        let waiting = store.held(whose)?.len();
        if waiting > 0 {
            self.ui.note(&self.naming(&words::older_are_kept(waiting, self.lang)));
        }
        let plan = Plan {
            pick: Pick::All(whose.clone()),
            accounts: &settings.accounts,
            preferred: settings.account.as_deref(),
            mail: &settings.mail,
            wait: WAIT_FOR_OTHERS,
            urgency: if self.which == Which::All { Urgency::Forced } else { Urgency::Asked },
            bound: None,
        };
        let tally = drain_telling(store, &plan, self.lang, &mut |word| match word {
            // Who asks for a flush wants to know, wherever stderr goes.
            Word::Note(text) | Word::Trouble(text) => self.say(&text),
            Word::Summary(text) => self.ui.block(&text),
            Word::Here { .. } | Word::Done => {}
        })?;
        Ok(Tally { left: tally.left + unreadable, ..tally })
    }

    fn naming(&self, text: &str) -> String {
        words::naming(text, self.context.explicit())
    }

    fn say(&self, text: &str) {
        self.ui.trouble(&self.naming(text));
    }

    fn error(&self, mut error: Error) {
        error.hints.iter_mut().for_each(|hint| *hint = self.naming(hint));
        self.ui.error(&error);
    }
}

/// Drains with the real clock, secrets and network, and tells each event in words.
pub fn drain_telling(
    store: &Store,
    plan: &Plan<'_>,
    lang: Lang,
    tell: &mut dyn FnMut(Word),
) -> Result<Tally> {
    // It holds codes from here on.
    crate::sys::process::forbid_core();
    let tell = std::cell::RefCell::new(tell);
    let reader = event_words::Reader { lang, zone: jiff::tz::TimeZone::system(), now: clock::now() };
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
            if let Some(word) = event_words::of_event(&event, &reader) {
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
    let Letterhead { entry, subject, from, to, cc } = letterhead;
    header_block(&Draft {
        message_id: entry.message_id.trim_matches(['<', '>']).to_owned(),
        date: entry.zoned_date(),
        from: from.clone(),
        to: to.to_vec(),
        cc: cc.to_vec(),
        subject: (*subject).to_owned(),
    })
}

fn list(lang: Lang) -> Result<Exit> {
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
    if let Some(file) = &entry.addressing.config {
        line.push_str(&format!("    --config {}\n", words::for_shell(file)));
    }
    line
}
