//! `notify-done outbox show`: all that is known of one mail.

use super::super::event_words::Reader;
use super::super::runs::told;
use super::super::runs_show::pretty;
use super::super::words::{diagnosis_of, either, for_shell, of_attempt, said, say};
use super::find::{Names, PLACES};
use super::json::{self, refusal};
use super::words::{Wanted, place_name, refused};
use super::{Shape, stores};
use crate::config::Mailbox;
use crate::deliver::verdict::Outcome;
use crate::error::{Error, Kind, Result};
use crate::exit::Exit;
use crate::outbox::entry::{AttemptRecord, Entry, EntryId, Recipient, State};
use crate::outbox::look::Seen;
use crate::outbox::revive::Change;
use crate::render::amount::{self, Detail};
use crate::render::i18n::Lang;
use crate::render::terminal;
use crate::report::text::one_line;
use crate::sys::best_effort;

/// # Errors
/// `NotFound` when no mail is meant, or more than one; `Storage` when it can't be read.
pub fn run(typed: Option<&str>, shape: Shape, reader: &Reader) -> Result<Exit> {
    let stores = stores()?;
    // As for a list; where it can't be, what lies there is shown as it is.
    stores.iter().for_each(|store| best_effort(store.recover()));
    let names = Names::of(&stores, &PLACES)?;
    let found = match typed {
        Some(typed) => names.find(typed)?,
        None => names.newest()?,
    };
    let seen = found.look()?.ok_or_else(|| gone(&found.id))?;
    if shape == Shape::Json {
        return Ok(told(&pretty(&json::of(&found.id, &seen, json::Tries::Kept))));
    }
    let text = match &seen.entry {
        Ok(entry) => text(entry, &seen, reader),
        Err(_) => return Err(seen.entry.expect_err("it was one")),
    };
    Ok(told(&text))
}

fn gone(id: &EntryId) -> Error {
    let words = refused(id, Change::Gone, Wanted::Retry);
    let (what, hint) = words.expect("there are words for what is gone");
    Error::new(Kind::NotFound, what).hint(hint)
}

fn text(entry: &Entry, seen: &Seen, reader: &Reader) -> String {
    let mut told = terminal::table(&facts(entry, seen, reader));
    if let Some(recipients) = &entry.recipients {
        told.push_str(&format!("\n{}\n", reader.either("Recipients", "收件人")));
        recipients.states.iter().for_each(|r| told.push_str(&recipient(r, entry, reader)));
    }
    if !entry.attempts.is_empty() {
        told.push_str(&format!("\n{}\n", tries(entry, reader)));
        entry.attempts.iter().for_each(|attempt| told.push_str(&one_try(attempt, reader)));
    }
    told
}

fn facts(entry: &Entry, seen: &Seen, reader: &Reader) -> Vec<(&'static str, String)> {
    let label = |en: &'static str, zh: &'static str| either(reader.lang, en, zh);
    let outlook = reader.outlook(seen.place, entry);
    let state = place_name(seen.place);
    let mut rows = vec![
        (label("Subject", "主题"), one_line(entry.subject_now())),
        (label("State", "状态"), outlook.map_or(state.to_owned(), |outlook| format!("{state} · {outlook}"))),
        (label("Created", "创建"), reader.time(entry.created)),
        (label("Mail", "邮件编号"), entry.id.to_string()),
    ];
    rows.extend(entry.run.as_ref().map(|run| (label("Run", "运行编号"), run.0.clone())));
    rows.push(("Message-ID", one_line(&entry.message_id)));
    let asked = &entry.addressing;
    let fixed = entry.recipients.as_ref();
    for (name, fixed, asked) in [
        ("To", fixed.map(|r| &r.to), asked.to.as_ref()),
        ("Cc", fixed.map(|r| &r.cc), asked.cc.as_ref()),
        ("Bcc", fixed.map(|r| &r.bcc), asked.bcc.as_ref()),
    ] {
        let boxes = fixed.or(asked).filter(|boxes| !boxes.is_empty());
        rows.extend(boxes.map(|boxes| (name, listed(boxes))));
    }
    rows.extend(asked.account.as_ref().map(|name| (label("Account", "账号"), one_line(name))));
    rows.extend(entry.pinned.as_ref().map(|name| {
        let why = label("no other, since it may have arrived", "仅用此账号：邮件可能已送达");
        (label("Only by", "仅限账号"), format!("{} · {why}", one_line(name)))
    }));
    rows.extend(reader.form(entry).map(|form| (label("Form", "形式"), form.to_owned())));
    rows.extend(asked.config.as_ref().map(|file| ("--config", for_shell(file))));
    let revived = entry.revived.map(|at| (label("Tried anew", "重新尝试"), reader.time(at)));
    rows.extend(revived);
    let body = seen.body(entry.form);
    let size = body.symlink_metadata().ok().map(|meta| amount::size(meta.len()));
    rows.extend(size.map(|size| {
        (label("Body", "正文文件"), format!("{size} · {}", one_line(&body.display().to_string())))
    }));
    rows
}

fn listed(boxes: &[Mailbox]) -> String {
    let one = |mailbox: &Mailbox| match &mailbox.name {
        Some(name) => format!("{} <{}>", one_line(name), one_line(&mailbox.address)),
        None => one_line(&mailbox.address),
    };
    boxes.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn recipient(recipient: &Recipient, entry: &Entry, reader: &Reader) -> String {
    let told = match &recipient.state {
        State::Pending => reader.either("waits", "等待发送").to_owned(),
        State::Accepted { account, at, receipt } => {
            let has_it = reader.either("has it", "已收到");
            let receipt = one_line(&receipt.to_string());
            format!("{has_it} · {account} · {} · {receipt}", reader.time(*at))
        }
        State::Refused { .. } => {
            let diagnosis = refusal(recipient, entry, reader.lang).expect("it was refused");
            let (cause, fix) = (say(&diagnosis.cause, reader.lang), say(&diagnosis.fix, reader.lang));
            let refused = reader.either("refused", "被拒");
            format!("{refused} · {}", one_line(&format!("{cause}{}; {fix}", said(&diagnosis, reader.lang))))
        }
    };
    format!("  {}  {told}\n", one_line(&recipient.address))
}

fn tries(entry: &Entry, reader: &Reader) -> String {
    let (count, kept) = (entry.attempt_count, entry.attempts.len());
    let all = usize::try_from(count).is_ok_and(|count| count == kept);
    match (reader.lang, all) {
        (Lang::En, true) => format!("Tries: {count}"),
        (Lang::En, false) => format!("Tries: {count}, of which the last {kept}:"),
        (Lang::Zh, true) => format!("尝试：{count} 次"),
        (Lang::Zh, false) => format!("尝试：{count} 次，最近 {kept} 次："),
    }
}

fn one_try(attempt: &AttemptRecord, reader: &Reader) -> String {
    let elapsed = std::time::Duration::from_millis(attempt.elapsed_ms);
    let elapsed = amount::duration(elapsed, Detail::Compact, &reader.lang.strings().units);
    let server = attempt.server.as_ref().map(|server| format!("  {}:{}", server.host, server.port));
    let size = attempt.bytes.map(|bytes| format!("  {}", amount::size(bytes)));
    let head = format!(
        "  {}  {}{}{}  {elapsed}",
        reader.time(attempt.at),
        one_line(&attempt.account),
        server.unwrap_or_default(),
        size.unwrap_or_default()
    );
    let stage = match &attempt.outcome {
        Outcome::Accepted { receipt } => return format!("{head}  {}\n", one_line(&receipt.to_string())),
        Outcome::Failed(failure) | Outcome::Unknown(failure) => failure.stage,
    };
    let why = of_attempt(attempt, reader.lang).unwrap_or_default();
    let fix = diagnosis_of(attempt, reader.lang).map(|d| say(&d.fix, reader.lang).to_owned());
    format!(
        "{head}  {}\n      {}\n      {}\n",
        reader.stage(stage),
        one_line(&why),
        one_line(&fix.unwrap_or_default())
    )
}
