//! What is said on the terminal about what a drain did, in the user's language. Pure.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::words::{either, said, say};
use crate::deliver::diagnose::Diagnosis;
use crate::deliver::verdict::Class;
use crate::outbox::entry::{Folder, Form, GaveUp};
use crate::outbox::event::{Earlier, Event, Next, Refusal};
use crate::render::amount::{Detail, duration};
use crate::render::i18n::Lang;
use crate::run::mailer::Word;

/// For whom, and by which clock.
#[derive(Debug, Clone)]
pub struct Reader {
    pub lang: Lang,
    pub zone: TimeZone,
    pub now: Timestamp,
}

/// What an event of the outbox means to who reads the terminal; None: nothing worth a line.
pub fn of_event(event: &Event, reader: &Reader) -> Option<Word> {
    let lang = reader.lang;
    Some(match event {
        Event::Started { .. } | Event::Waiting { .. } => return None,
        Event::Elsewhere { now_in, .. } => elsewhere(*now_in, lang)?,
        Event::Sent { recipients, elapsed_ms, .. } => {
            let took = std::time::Duration::from_millis(*elapsed_ms);
            let took = duration(took, Detail::Compact, &lang.strings().units);
            let to = recipients.join(", ");
            Word::Note(match lang {
                Lang::En => format!("mail sent to {to} ({took})"),
                Lang::Zh => format!("邮件已发送至 {to}（{took}）"),
            })
        }
        Event::PartlySent { sent, refused, kept, .. } => {
            let to = sent.join(", ");
            let refused: Vec<String> = refused.iter().map(|r| refusal(r, lang)).collect();
            let refused = refused.join("\n");
            let then = match kept {
                Folder::Failed => either(
                    lang,
                    "these aren't tried any more; `notify-done outbox retry` does",
                    "不会再发给他们；`notify-done outbox retry` 可重新发送",
                ),
                _ => either(lang, "it is kept for these, and tried again", "邮件已为他们保留，稍后再试"),
            };
            Word::Trouble(match lang {
                Lang::En => format!("mail sent to {to}, but not to:\n{refused}\n{then}"),
                Lang::Zh => format!("邮件已发送至 {to}，但以下收件人未收到：\n{refused}\n{then}"),
            })
        }
        Event::FailedOver { account, to, diagnosis, .. } => {
            let why = format!("{}{}", say(&diagnosis.cause, lang), said(diagnosis, lang));
            let fix = say(&diagnosis.fix, lang);
            let told = match lang {
                Lang::En => format!("{account} did not take the mail: {why}\n{fix}\n{to} is tried now"),
                Lang::Zh => format!("{account} 没有发出邮件：{why}\n{fix}\n现在改用 {to} 发送"),
            };
            // What passes by itself is worth no alarm, since another has it.
            if diagnosis.class == Class::Transient { Word::Note(told) } else { Word::Trouble(told) }
        }
        Event::NotSent { account, diagnosis, earlier, refused, kept, next, .. } => {
            // No time brings back an account that is gone.
            let next = if account.is_none() { Next { at: None, class: None, ..*next } } else { *next };
            let told = not_sent(diagnosis, *kept, &next, reader);
            let refused = refused.iter().map(|r| format!("\n{}", refusal(r, lang)));
            let earlier = earlier.iter().map(|e| format!("\n{}", before(e, lang)));
            Word::Trouble(std::iter::once(told).chain(refused).chain(earlier).collect())
        }
        Event::Unknown { diagnosis, kept, next, .. } => {
            Word::Trouble(unanswered(diagnosis, *kept, next, reader))
        }
        Event::Trouble { entry, message, hint } => {
            let hint = hint.as_ref().map(|hint| format!("\n{hint}")).unwrap_or_default();
            Word::Trouble(format!("{entry}: {message}{hint}"))
        }
    })
}

/// The answer to the end of the mail was lost.
fn unanswered(diagnosis: &Diagnosis, kept: Folder, next: &Next, reader: &Reader) -> String {
    let lang = reader.lang;
    let (cause, fix) = (say(&diagnosis.cause, lang), say(&diagnosis.fix, lang));
    format!("{cause}\n{fix}\n{}", what_follows(kept, next, reader))
}

fn elsewhere(now_in: Option<Folder>, lang: Lang) -> Option<Word> {
    let text = match now_in {
        Some(Folder::Sent) => either(lang, "another process has sent the mail", "另一个进程已发送邮件"),
        Some(_) => return None,
        None => either(lang, "another process is still sending the mail", "另一个进程仍在发送邮件"),
    };
    Some(Word::Note(text.to_owned()))
}

fn refusal(refusal: &Refusal, lang: Lang) -> String {
    let Diagnosis { cause, fix, .. } = &refusal.diagnosis;
    let (cause, reply) = (say(cause, lang), said(&refusal.diagnosis, lang));
    format!("{}: {cause}{reply}; {}", refusal.address, say(fix, lang))
}

fn before(earlier: &Earlier, lang: Lang) -> String {
    let Earlier { account, diagnosis } = earlier;
    let (cause, fix, reply) = (say(&diagnosis.cause, lang), say(&diagnosis.fix, lang), said(diagnosis, lang));
    match lang {
        Lang::En => format!("before that, account {account}: {cause}{reply}; {fix}"),
        Lang::Zh => format!("此前账号 {account}：{cause}{reply}；{fix}"),
    }
}

fn not_sent(diagnosis: &Diagnosis, kept: Folder, next: &Next, reader: &Reader) -> String {
    let lang = reader.lang;
    let (cause, fix) = (say(&diagnosis.cause, lang), say(&diagnosis.fix, lang));
    let reply = said(diagnosis, lang);
    let begin = match (kept, next.tried) {
        (Folder::Failed, _) => either(lang, "the mail can't be sent: ", "邮件无法发送："),
        (_, true) => either(lang, "the mail could not be sent yet: ", "邮件暂时没有发出："),
        (_, false) => either(lang, "the mail has to wait: ", "邮件需要等待："),
    };
    // What failed before the server had a word is shown step by step.
    let unheard = next.tried && diagnosis.class == Class::Transient && diagnosis.reply.is_none();
    let look = match (unheard, lang) {
        (false, _) => "",
        (true, Lang::En) => "\n`notify-done doctor` shows each step",
        (true, Lang::Zh) => "\n运行 `notify-done doctor` 可逐步检查",
    };
    format!("{begin}{cause}{reply}\n{fix}{look}\n{}", what_follows(kept, next, reader))
}

fn what_follows(kept: Folder, next: &Next, reader: &Reader) -> String {
    if kept == Folder::Failed { given_up(next, reader.lang) } else { what_next(next, reader) }
}

fn given_up(next: &Next, lang: Lang) -> String {
    let why = match next.gave_up {
        Some(GaveUp::Expired) => {
            either(lang, "it was tried for days, and isn't tried any more", "已尝试多日，不再重试")
        }
        _ => either(lang, "it isn't tried any more", "不会再试"),
    };
    match lang {
        Lang::En => format!(
            "{why}; it stays in the outbox under `failed` (`notify-done outbox list`), and \
             `notify-done outbox retry` tries it anew"
        ),
        Lang::Zh => format!(
            "{why}；邮件保留在 outbox 的 failed 里（`notify-done outbox list` 可查看），\
             `notify-done outbox retry` 可重新发送"
        ),
    }
}

/// What comes by itself, and what the reader can do about it.
fn what_next(next: &Next, reader: &Reader) -> String {
    let lang = reader.lang;
    let at = next.at.map(|at| clock(at, reader));
    match (next.class, at, lang) {
        (Some(Class::Credentials), Some(at), Lang::En) => format!(
            "it is kept, and goes out with `notify-done outbox flush` as soon as the code is mended; \
             the old one is tried again at {at} at the earliest, or now with `notify-done outbox flush --all`"
        ),
        (Some(Class::Credentials), Some(at), Lang::Zh) => format!(
            "邮件已保留，改正授权码后运行 `notify-done outbox flush` 即可发出；旧授权码最早 {at} 再试，\
             运行 `notify-done outbox flush --all` 可立即再试"
        ),
        (Some(Class::Credentials), None, Lang::En) => "it is kept; the old code isn't tried any more, \
            so mend it, then run `notify-done outbox flush` (if it was good all the same: \
            `notify-done outbox flush --all`)"
            .to_owned(),
        (Some(Class::Credentials), None, Lang::Zh) => {
            "邮件已保留；旧授权码不会再试，请改正后运行 `notify-done outbox flush`\
             （如果旧授权码其实有效，运行 `notify-done outbox flush --all`）"
                .to_owned()
        }
        (Some(Class::Content), Some(at), Lang::En) if next.form == Form::Plain => {
            format!(
                "it is kept, and goes out as plain text, without the log and under another subject, at {at}"
            )
        }
        (Some(Class::Content), Some(at), Lang::Zh) if next.form == Form::Plain => {
            format!("邮件已保留，{at} 将以纯文本形式重发（不带日志，换一个主题）")
        }
        (Some(Class::Throttled | Class::DailyLimit), Some(at), Lang::En) => format!(
            "it is kept, and tried again at {at}; `notify-done outbox flush --all` doesn't wait, \
             which the provider may dislike"
        ),
        (Some(Class::Throttled | Class::DailyLimit), Some(at), Lang::Zh) => {
            format!("邮件已保留，{at} 再试；`notify-done outbox flush --all` 不等待，但可能惹服务商不快")
        }
        (_, Some(at), Lang::En) => {
            format!("it is kept, and tried again at {at}, or now with `notify-done outbox flush`")
        }
        (_, Some(at), Lang::Zh) => {
            format!("邮件已保留，{at} 再试；运行 `notify-done outbox flush` 可立即再试")
        }
        (_, None, Lang::En) => "it is kept, and goes out with `notify-done outbox flush`".to_owned(),
        (_, None, Lang::Zh) => "邮件已保留，运行 `notify-done outbox flush` 即可发出".to_owned(),
    }
}

/// A time of today, or with its date.
pub fn clock(at: Timestamp, reader: &Reader) -> String {
    let (at, now) = (at.to_zoned(reader.zone.clone()), reader.now.to_zoned(reader.zone.clone()));
    let format = if at.date() == now.date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    at.strftime(format).to_string()
}

/// What a flush left alone.
pub fn not_due(count: u32, lang: Lang) -> String {
    match lang {
        Lang::En => format!(
            "{count} in the outbox are not due yet; `notify-done outbox list` says when they are, \
             `notify-done outbox flush --all` sends them now"
        ),
        Lang::Zh => format!(
            "outbox 里有 {count} 封邮件未到重试时间；`notify-done outbox list` 可查看，\
             `notify-done outbox flush --all` 立即发送"
        ),
    }
}
