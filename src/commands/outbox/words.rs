//! What is said of a mail in the outbox, to who looks there. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::super::event_words::{Reader, clock};
use super::super::words::{either, of_attempt};
use crate::deliver::verdict::{Class, Outcome, Stage};
use crate::outbox::entry::{Entry, EntryId, Folder, Form, GaveUp, HeldReason, Recipients, State};
use crate::outbox::revive::Change;
use crate::outbox::schedule::is_past;
use crate::outbox::store::Place;
use crate::render::amount::{Detail, duration};
use crate::render::i18n::Lang;
use crate::report::text::one_line;

/// Where it lies, as the folders are called.
pub fn place_name(place: Place) -> &'static str {
    match place {
        Place::In(folder) => folder.name(),
        Place::Sending => "sending",
    }
}

impl Reader {
    pub fn either<'a>(&self, en: &'a str, zh: &'a str) -> &'a str {
        either(self.lang, en, zh)
    }

    /// To the minute, where the reader is.
    pub fn time(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// What becomes of it; None: nothing more.
    pub fn outlook(&self, place: Place, entry: &Entry) -> Option<String> {
        Some(match place {
            Place::Sending => self.either("a process is sending it now", "正在发送").to_owned(),
            Place::In(Folder::New) => self.next_try(entry),
            Place::In(Folder::Held) => self.held(entry.held),
            Place::In(Folder::Failed) => self.given_up(entry.gave_up, &entry.id),
            Place::In(Folder::Sent) => return None,
        })
    }

    /// When it is tried again by itself.
    fn next_try(&self, entry: &Entry) -> String {
        let account = entry.attempts.last().map(|attempt| attempt.account.as_str());
        let at = entry.next_try.filter(|at| !is_past(*at, self.now)).map(|at| self.in_time(at));
        match (entry.waits, account, at) {
            (Some(Class::Credentials), Some(account), Some(at)) => match self.lang {
                Lang::En => format!("next try when the code of account {account} changes, else {at}"),
                Lang::Zh => format!("账号 {account} 的授权码更换后立即重试，否则 {at}"),
            },
            (Some(Class::Credentials), Some(account), None) => match self.lang {
                Lang::En => format!("next try when the code of account {account} changes"),
                Lang::Zh => format!("账号 {account} 的授权码更换后重试"),
            },
            (_, _, Some(at)) => match self.lang {
                Lang::En => format!("next try {at}"),
                Lang::Zh => format!("下次重试：{at}"),
            },
            (_, _, None) => self.either("now due", "现在即可发送").to_owned(),
        }
    }

    /// `in 14m (18:20)`; with the date, if that is another day.
    pub fn in_time(&self, at: Timestamp) -> String {
        let seconds = u64::try_from(at.duration_since(self.now).as_secs()).unwrap_or(0);
        let units = &self.lang.strings().units;
        let left = match seconds {
            0..60 => format!("{seconds}{}", units.seconds),
            _ => duration(Duration::from_secs(seconds / 60 * 60), Detail::Compact, units),
        };
        let clock = clock(at, self);
        match self.lang {
            Lang::En => format!("in {left} ({clock})"),
            Lang::Zh => format!("{left}后（{clock}）"),
        }
    }

    fn held(&self, why: Option<HeldReason>) -> String {
        let (en, zh) = match why {
            Some(HeldReason::NoAccount) | None => (
                "kept: no usable account at the time; `notify-done outbox flush` sends it",
                "已保留：当时没有可用的账号；`notify-done outbox flush` 会发送",
            ),
            Some(HeldReason::Config) => (
                "kept: notify.toml had a mistake; `notify-done outbox flush` sends it",
                "已保留：notify.toml 有误；`notify-done outbox flush` 会发送",
            ),
            Some(HeldReason::PassedOver) => (
                "kept: from before a mailbox was set up; `notify-done outbox flush --all` sends it",
                "已保留：配置邮箱之前的通知；`notify-done outbox flush --all` 会发送",
            ),
        };
        self.either(en, zh).to_owned()
    }

    fn given_up(&self, why: Option<GaveUp>, id: &EntryId) -> String {
        let (en, zh) = match why {
            Some(GaveUp::Refused) => ("given up: it was refused for good", "已放弃：被永久拒收"),
            Some(GaveUp::Expired) => ("given up: it was tried for days", "已放弃：多日重试均未成功"),
            None => ("given up", "已放弃"),
        };
        match self.lang {
            Lang::En => format!("{en}; when that is mended: `notify-done outbox retry {id}`"),
            Lang::Zh => format!("{zh}；问题解决后运行：`notify-done outbox retry {id}`"),
        }
    }

    /// Why the last try failed, with the number of tries and the account; of a mail that was sent, by whom.
    pub fn last_try(&self, entry: &Entry) -> Option<String> {
        let last = entry.attempts.last()?;
        let told = match &last.outcome {
            Outcome::Accepted { receipt } => {
                let receipt = one_line(&receipt.to_string());
                match self.lang {
                    Lang::En => format!("taken by the server ({receipt})"),
                    Lang::Zh => format!("服务器已接收（{receipt}）"),
                }
            }
            _ => one_line(&of_attempt(last, self.lang)?),
        };
        Some(format!("{} × {}: {told}", entry.attempt_count, last.account))
    }

    /// Where in the dialogue a try failed.
    pub fn stage(&self, stage: Stage) -> &'static str {
        let (en, zh) = match stage {
            Stage::Prepare => ("preparing", "准备"),
            Stage::Resolve => ("name resolution", "域名解析"),
            Stage::Connect => ("connecting", "建立连接"),
            Stage::Tls => ("TLS handshake", "TLS 握手"),
            Stage::Banner => ("greeting", "问候"),
            Stage::Ehlo => ("EHLO", "EHLO"),
            Stage::StartTls => ("STARTTLS", "STARTTLS"),
            Stage::Auth => ("login", "登录"),
            Stage::MailFrom => ("sender", "发件人"),
            Stage::RcptTo => ("recipients", "收件人"),
            Stage::Data => ("DATA", "DATA"),
            Stage::Body => ("sending the mail", "传送邮件"),
            Stage::AfterDot => ("answer to the mail", "等待答复"),
            Stage::Quit => ("QUIT", "QUIT"),
        };
        either(self.lang, en, zh)
    }

    /// Whom it is for, those who have it and those who never will told apart.
    pub fn recipients(&self, recipients: &Recipients) -> String {
        let of = |wanted: fn(&State) -> bool| {
            let states = recipients.states.iter().filter(|r| wanted(&r.state));
            states.map(|r| one_line(&r.address)).collect::<Vec<_>>().join(", ")
        };
        let groups = [
            (self.either("to", "收件人"), of(|state| matches!(state, State::Pending))),
            (self.either("has it", "已收到"), of(|state| matches!(state, State::Accepted { .. }))),
            (self.either("refused", "被拒"), of(|state| matches!(state, State::Refused { .. }))),
        ];
        let told = groups.iter().filter(|(_, who)| !who.is_empty());
        told.map(|(label, who)| format!("{label}: {who}")).collect::<Vec<_>>().join("; ")
    }

    /// That it is sent in another form than it was made, and why; None: it isn't.
    pub fn form(&self, entry: &Entry) -> Option<&'static str> {
        if entry.form == Form::Full {
            return None;
        }
        let too_large = entry.attempts.iter().any(|attempt| {
            matches!(&attempt.outcome, Outcome::Failed(failure) if failure.class == Class::TooLarge)
        });
        Some(match (too_large, self.lang) {
            (true, Lang::En) => "as plain text alone, since the whole mail was too large",
            (true, Lang::Zh) => "改为仅发送纯文本：整封邮件过大",
            (false, Lang::En) => "as plain text alone, since the whole mail was taken for spam",
            (false, Lang::Zh) => "改为仅发送纯文本：整封邮件被判为垃圾邮件",
        })
    }
}

/// Nothing is kept.
pub fn nothing_waits(lang: Lang) -> &'static str {
    either(lang, "nothing waits in the outbox", "没有等待发送的邮件")
}

/// Entries that a list leaves out, by place.
pub fn older(count: usize, place: Place, lang: Lang) -> String {
    let name = place_name(place);
    match lang {
        Lang::En => format!("… and {count} older in `{name}`; `notify-done outbox list --all` shows them"),
        Lang::Zh => {
            format!("…… `{name}` 中另有 {count} 封更早的；`notify-done outbox list --all` 可查看全部")
        }
    }
}

/// Why nothing was done with an entry. `instead`: what can be done.
pub fn refused(id: &EntryId, change: Change, wanted: Wanted) -> Option<(String, &'static str)> {
    match (change, wanted) {
        (Change::Done, _) => None,
        (Change::Sending, Wanted::Retry) => Some((
            format!("a process is sending mail {id} now"),
            "wait for that; `notify-done outbox show` tells how it went",
        )),
        (Change::Sending, Wanted::Drop) => Some((
            format!("a process is sending mail {id} now: it can't be dropped"),
            "wait for that; what wasn't sent then can be",
        )),
        (Change::Sent, Wanted::Retry) => Some((
            format!("mail {id} has been sent: another would be a double"),
            "`notify-done outbox show` tells who took it, and the server's receipt",
        )),
        (Change::Sent, Wanted::Drop) => Some((
            format!("mail {id} has been sent: what is kept of it is the receipt"),
            "receipts go by themselves, as old runs do (`log.keep`)",
        )),
        (Change::Gone, _) => Some((
            format!("mail {id} isn't in the outbox any more"),
            "`notify-done outbox list --all` shows what there is",
        )),
    }
}

/// What somebody wants done with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Retry,
    Drop,
}

/// An entry is removed.
pub fn dropped(id: &EntryId, subject: Option<&str>, lang: Lang) -> String {
    let subject = subject.map(|subject| format!(": {}", one_line(subject))).unwrap_or_default();
    match lang {
        Lang::En => format!("dropped {id}{subject}"),
        Lang::Zh => format!("已删除 {id}{subject}"),
    }
}

/// There is none that was given up.
pub fn none_failed(lang: Lang) -> &'static str {
    either(lang, "no mail was given up", "没有已放弃的邮件")
}

/// A watch goes to sleep.
pub fn watching(count: usize, next: Option<&str>, lang: Lang) -> String {
    match (lang, next) {
        (Lang::En, Some(next)) => format!("{count} in the outbox; next try {next}"),
        (Lang::En, None) => format!("{count} in the outbox"),
        (Lang::Zh, Some(next)) => format!("发件箱中有 {count} 封；下次重试：{next}"),
        (Lang::Zh, None) => format!("发件箱中有 {count} 封"),
    }
}

/// Somebody asks a watch to end while a mail is under way.
pub fn ends_soon(lang: Lang) -> &'static str {
    either(
        lang,
        "ends when what is being tried is through; Ctrl-C again ends at once",
        "正在进行的发送结束后退出；再按一次 Ctrl-C 立即退出",
    )
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::deliver::verdict::{Cause, Failure, Reply};
    use crate::outbox::entry::tests::sample;
    use crate::outbox::entry::{AttemptRecord, Contact};

    fn reader(lang: Lang) -> Reader {
        let zone = TimeZone::fixed(jiff::tz::offset(8));
        Reader { now: "2026-11-28T10:05:30Z".parse().unwrap(), zone, lang }
    }

    fn failed(class: Class, reply: Reply) -> Entry {
        let mut entry = sample("20261121T093000123456-1a2b3c4d");
        entry.record_attempt(AttemptRecord {
            at: entry.created,
            account: "qq".into(),
            server: Some(Contact {
                host: "smtp.example.com".into(),
                port: 465,
                address: "10001@qq.com".into(),
                login: "10001@qq.com".into(),
            }),
            form: Form::Full,
            bytes: None,
            outcome: Outcome::Failed(Failure { stage: Stage::Auth, class, cause: Cause::Reply(reply) }),
            elapsed_ms: 120,
        });
        entry
    }

    fn both(entry: &Entry, place: Place) -> [String; 2] {
        [Lang::En, Lang::Zh].map(|lang| reader(lang).outlook(place, entry).unwrap())
    }

    /// Catches: a next try that is in the past or told in another zone, a date left out, a login that waits
    /// for its code and is said to wait for the clock alone.
    #[test]
    fn the_next_try_is_told() {
        let new = Place::In(Folder::New);
        let mut entry = failed(Class::Transient, Reply { code: 421, text: "busy".into() });
        assert_eq!(both(&entry, new), ["now due", "现在即可发送"]);
        for (at, en, zh) in [
            ("2026-11-28T10:05:29Z", "now due", "现在即可发送"),
            ("2026-11-28T10:20:00Z", "next try in 14m (18:20)", "下次重试：14分钟后（18:20）"),
            ("2026-11-28T10:06:00Z", "next try in 30s (18:06)", "下次重试：30秒后（18:06）"),
            (
                "2026-11-28T16:35:30Z",
                "next try in 6h 30m (2026-11-29 00:35)",
                "下次重试：6小时30分后（2026-11-29 00:35）",
            ),
        ] {
            entry.next_try = Some(at.parse().unwrap());
            assert_eq!(both(&entry, new), [en, zh]);
        }
        entry.waits = Some(Class::Credentials);
        entry.next_try = Some("2026-11-28T11:05:30Z".parse().unwrap());
        assert_eq!(both(&entry, new)[0], "next try when the code of account qq changes, else in 1h (19:05)");
        entry.next_try = None;
        assert_eq!(
            both(&entry, new),
            ["next try when the code of account qq changes", "账号 qq 的授权码更换后重试"]
        );
    }

    /// Catches: a mail that was given up without a word on why, or on the way out.
    #[test]
    fn what_was_given_up_and_held_says_what_to_do() {
        let mut entry = sample("20261121T093000123456-1a2b3c4d");
        for (why, en, zh) in [
            (Some(GaveUp::Refused), "refused for good", "永久拒收"),
            (Some(GaveUp::Expired), "tried for days", "多日"),
            (None, "given up", "已放弃"),
        ] {
            entry.gave_up = why;
            let told = both(&entry, Place::In(Folder::Failed));
            assert!(told[0].contains(en) && told[1].contains(zh), "{told:?}");
            let way_out = "`notify-done outbox retry 20261121T093000123456-1a2b3c4d`";
            assert!(told.iter().all(|told| told.contains(way_out)), "{told:?}");
        }
        for (why, command) in [
            (HeldReason::NoAccount, "`notify-done outbox flush`"),
            (HeldReason::Config, "`notify-done outbox flush`"),
            (HeldReason::PassedOver, "`notify-done outbox flush --all`"),
        ] {
            entry.held = Some(why);
            let told = both(&entry, Place::In(Folder::Held));
            assert!(told.iter().all(|told| told.contains(command)), "{told:?}");
        }
    }

    /// Catches: a reply of a server's that moves the cursor or spans lines, tries that aren't counted.
    #[test]
    fn the_last_try_is_one_line() {
        let text = "Login fail.\r\n\u{1b}[2JSee more";
        let entry = failed(Class::Credentials, Reply { code: 535, text: text.into() });
        let told = reader(Lang::En).last_try(&entry).unwrap();
        assert!(told.starts_with("1 × qq: ") && told.contains("535"), "{told}");
        assert!(!told.contains(['\n', '\r', '\u{1b}']), "{told:?}");
    }

    /// Catches: a partly delivered mail that looks as if nobody had it.
    #[test]
    fn who_has_it_is_told_from_who_waits() {
        let mailbox = |a: &str| crate::config::Mailbox { name: None, address: a.to_owned() };
        let to = ["a@example.com", "b@example.com", "c@example.com"].map(mailbox).to_vec();
        let mut recipients = Recipients::new(to, Vec::new(), Vec::new());
        assert_eq!(
            reader(Lang::En).recipients(&recipients),
            "to: a@example.com, b@example.com, c@example.com"
        );
        let receipt = Reply { code: 250, text: "OK".into() };
        let at = reader(Lang::En).now;
        recipients.states[0].state = State::Accepted { account: "qq".into(), at, receipt };
        let cause = Cause::Reply(Reply { code: 550, text: "no".into() });
        recipients.states[1].state = State::Refused { class: Class::Permanent, cause };
        let told = "to: c@example.com; has it: a@example.com; refused: b@example.com";
        assert_eq!(reader(Lang::En).recipients(&recipients), told);
    }

    /// Catches: a form that is told where there is none, or blamed on spam when the mail was too large.
    #[test]
    fn the_plain_form_says_why() {
        let mut entry = failed(Class::TooLarge, Reply { code: 552, text: "too large".into() });
        assert_eq!(reader(Lang::En).form(&entry), None);
        entry.form = Form::Plain;
        assert!(reader(Lang::En).form(&entry).unwrap().contains("too large"));
        let mut entry = failed(Class::Content, Reply { code: 550, text: "spam".into() });
        entry.form = Form::Plain;
        assert!(reader(Lang::Zh).form(&entry).unwrap().contains("垃圾邮件"));
    }
}
