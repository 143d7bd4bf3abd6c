//! What a checkup says, in English and Chinese. Pure.

use jiff::Zoned;

use super::super::event_words::Reader;
use super::super::words::{either, said, say};
use super::checkup::{AccountReport, Checkup, Config, NamedBy, Outbox, State};
use super::values;
use crate::config::Tls;
use crate::deliver::diagnose::{Diagnosis, Text};
use crate::deliver::verdict::Stage;
use crate::render::i18n::Lang;
use crate::report::text::{cut, one_line};

/// A certificate that ends within so many days is told of.
pub const SOON: i64 = 14;
/// Columns of a server's words that are shown.
pub const SAID: usize = 160;

/// Subject and text of the mail of `--send`. Neither says "test": NetEase takes such mails for spam.
pub fn test_mail(account: &str, host: &str, now: &Zoned, lang: Lang) -> (String, String) {
    let time = now.strftime("%Y-%m-%d %H:%M:%S %:z");
    let version = env!("CARGO_PKG_VERSION");
    match lang {
        Lang::En => (
            format!("notify-done on {host}: account {account} can send mail"),
            format!(
                "This mail shows that notices reach you.\n\nAccount: {account}\nHost: {host}\nTime: {time}\n\n\
                 It was asked for by `notify-done doctor --send` (notify-done {version}).\n"
            ),
        ),
        Lang::Zh => (
            format!("notify-done（{host}）：账号 {account} 可以发送邮件"),
            format!(
                "收到这封邮件，说明通知可以送达。\n\n账号：{account}\n主机：{host}\n时间：{time}\n\n\
                 由 `notify-done doctor --send` 发送（notify-done {version}）。\n"
            ),
        ),
    }
}

/// The headings.
#[derive(Debug, Clone, Copy)]
pub enum Heading {
    Settings,
    Set,
    Kept,
}

pub fn heading(heading: Heading, lang: Lang) -> &'static str {
    let (en, zh) = match heading {
        Heading::Settings => ("Settings", "配置"),
        Heading::Set => ("What is set, and where", "已设置的选项及来源"),
        Heading::Kept => ("On disk", "本机存储"),
    };
    either(lang, en, zh)
}

/// `TLS`, as people call it.
fn encryption(tls: Tls, lang: Lang) -> &'static str {
    match tls {
        Tls::Implicit => "TLS",
        Tls::StartTls => "STARTTLS",
        Tls::None => either(lang, "not encrypted", "不加密"),
    }
}

pub fn account_heading(account: &AccountReport, lang: Lang) -> String {
    let AccountReport { name, address, host, port, tls, .. } = account;
    let (name, tls) = (one_line(name), encryption(*tls, lang));
    match lang {
        Lang::En => format!("Account {name}: {address} by {host}:{port} ({tls})"),
        Lang::Zh => format!("账号 {name}：{address}，经 {host}:{port}（{tls}）"),
    }
}

pub fn other_port(port: u16, tls: Tls, lang: Lang) -> String {
    let tls = encryption(tls, lang);
    match lang {
        Lang::En => format!("now by port {port} ({tls}):"),
        Lang::Zh => format!("改用 {port} 端口（{tls}）："),
    }
}

/// The names of rows that are no step.
#[derive(Debug, Clone, Copy)]
pub enum Label {
    Mistake,
    Warning,
    Folder,
    Outbox,
    Earlier,
    Code,
    Mail,
    Dialogue,
}

pub fn label(label: Label, lang: Lang) -> &'static str {
    let (en, zh) = match label {
        Label::Mistake => ("mistake", "错误"),
        Label::Warning => ("warning", "注意"),
        Label::Folder => ("state folder", "状态目录"),
        Label::Outbox => ("outbox", "发件箱"),
        Label::Earlier => ("earlier", "此前"),
        Label::Code => ("code", "授权码"),
        Label::Mail => ("mail", "邮件"),
        Label::Dialogue => ("Dialogue", "会话记录"),
    };
    either(lang, en, zh)
}

pub fn stage(stage: Stage, lang: Lang) -> &'static str {
    let (en, zh) = match stage {
        Stage::Prepare => ("preparing", "准备"),
        Stage::Resolve => ("DNS", "域名解析"),
        Stage::Connect => ("connection", "连接"),
        Stage::Tls => ("TLS", "TLS 加密"),
        Stage::Banner => ("greeting", "问候"),
        Stage::Ehlo => ("EHLO", "EHLO"),
        Stage::StartTls => ("STARTTLS", "STARTTLS"),
        Stage::Auth => ("login", "登录"),
        Stage::MailFrom => ("sender", "发件人"),
        Stage::RcptTo => ("recipient", "收件人"),
        Stage::Data | Stage::Body | Stage::AfterDot | Stage::Quit => ("mail", "邮件"),
    };
    either(lang, en, zh)
}

pub fn not_tried(lang: Lang) -> &'static str {
    either(lang, "not tried", "未尝试")
}

pub fn fix(text: &str, lang: Lang) -> String {
    format!("{}{text}", either(lang, "fix: ", "办法："))
}

/// Where notify.toml is, and who may read and write it.
pub fn file(config: &Config, lang: Lang) -> String {
    let place = config.path.as_deref().or(config.expected.as_deref()).unwrap_or("notify.toml");
    let place = one_line(place);
    let by = match config.named_by {
        NamedBy::Flag => ", --config",
        NamedBy::Variable => ", NOTIFY_DONE_CONFIG",
        NamedBy::Nobody => "",
    };
    match (&config.mode, &config.folder_mode, lang) {
        (Some(mode), Some(folder), Lang::En) => format!("{place} (mode {mode}, its folder {folder}{by})"),
        (Some(mode), Some(folder), Lang::Zh) => format!("{place}（权限 {mode}，目录 {folder}{by}）"),
        (_, _, Lang::En) => format!("there is none: {place}{by}"),
        (_, _, Lang::Zh) => format!("不存在：{place}{by}"),
    }
}

/// `line 3`, or the variable, or another file with its line.
pub fn place(place: &str, config: &Config, lang: Lang) -> String {
    let file = config.expected.as_deref().unwrap_or_default();
    match place.strip_prefix(file).and_then(|rest| rest.strip_prefix(':')) {
        Some(line) if !file.is_empty() => match lang {
            Lang::En => format!("line {line}"),
            Lang::Zh => format!("第 {line} 行"),
        },
        _ => one_line(place),
    }
}

pub fn not_shown(lang: Lang) -> &'static str {
    either(lang, "(not shown)", "（不显示）")
}

/// The state folder in use.
pub fn folder(state: &State, lang: Lang) -> String {
    let Some(folder) = state.folder.as_deref().map(one_line) else {
        return either(lang, "no folder can be written", "没有可写的目录").to_owned();
    };
    match (state.exists, &state.mode, state.passed_over.is_some(), lang) {
        (_, _, true, Lang::En) => format!("{folder} is used instead"),
        (_, _, true, Lang::Zh) => format!("改用 {folder}"),
        (true, Some(mode), _, Lang::En) => format!("{folder} (mode {mode})"),
        (true, Some(mode), _, Lang::Zh) => format!("{folder}（权限 {mode}）"),
        (_, _, _, Lang::En) => format!("{folder}, made when it is needed"),
        (_, _, _, Lang::Zh) => format!("{folder}（需要时创建）"),
    }
}

pub fn folder_fix(lang: Lang) -> &'static str {
    either(
        lang,
        "make it writable, or set NOTIFY_DONE_STATE to a folder that is",
        "使其可写，或把 NOTIFY_DONE_STATE 设为可写的目录",
    )
}

pub fn outbox(outbox: &Outbox, lang: Lang) -> String {
    let Outbox { waiting, held, failed, error } = outbox;
    if let Some(error) = error {
        return one_line(error);
    }
    if waiting + held + failed == 0 {
        return either(lang, "nothing waits", "没有等待发送的邮件").to_owned();
    }
    let told = [
        (*waiting, ["waiting", "封等待发送"]),
        (*held, ["held", "封已保留"]),
        (*failed, ["given up", "封已放弃"]),
    ];
    let told = told.iter().filter(|(count, _)| *count > 0);
    let told: Vec<String> =
        told.map(|(count, [en, zh])| format!("{count} {}", either(lang, en, zh))).collect();
    told.join(either(lang, ", ", "，"))
}

pub fn outbox_fix(lang: Lang) -> &'static str {
    either(
        lang,
        "`notify-done outbox list` says why, `notify-done outbox retry` tries them anew",
        "`notify-done outbox list` 可查看原因，`notify-done outbox retry` 可重新发送",
    )
}

/// What was learnt of an account before now; None: nothing that matters.
pub fn earlier(account: &AccountReport, reader: &Reader) -> Option<String> {
    let (before, lang) = (&account.before, reader.lang);
    if let Some(refused) = &before.refused {
        let (why, count) = (cause(&refused.diagnosis, lang), refused.count);
        if account.logs_in() {
            return Some(match lang {
                Lang::En => format!("login refused (tries: {count}): {why}; that is over"),
                Lang::Zh => format!("登录被拒 {count} 次：{why}；现已恢复"),
            });
        }
        let next = match (refused.next.map(|at| reader.in_time(at)), lang) {
            (Some(next), Lang::En) => format!("notices try it again {next}"),
            (Some(next), Lang::Zh) => format!("通知会在{next}重试"),
            (None, Lang::En) => "notices wait until the code changes".to_owned(),
            (None, Lang::Zh) => "更换授权码之前不再重试".to_owned(),
        };
        return Some(match lang {
            Lang::En => format!("login refused (tries: {count}): {why}; {next}"),
            Lang::Zh => format!("登录被拒 {count} 次：{why}；{next}"),
        });
    }
    if let Some(paused) = &before.paused {
        let (why, until) = (cause(&paused.diagnosis, lang), reader.in_time(paused.until));
        return Some(match lang {
            Lang::En => format!("the provider wants less mail: {why}; notices go on {until}"),
            Lang::Zh => format!("服务商要求减少发送：{why}；通知会在{until}继续"),
        });
    }
    let since = reader.time(before.unreachable?);
    Some(match lang {
        Lang::En => format!("could not be reached at {since}"),
        Lang::Zh => format!("{since} 时无法连接"),
    })
}

/// What failed, with the server's own words.
pub fn cause(diagnosis: &Diagnosis, lang: Lang) -> String {
    one_line(&format!("{}{}", say(&diagnosis.cause, lang), said(diagnosis, lang)))
}

pub fn fix_of(diagnosis: &Diagnosis, lang: Lang) -> String {
    one_line(say(&diagnosis.fix, lang))
}

pub fn mail_taken(to: &[String], receipt: &str, lang: Lang) -> String {
    let (to, receipt) = (to.join(", "), cut(&one_line(receipt), SAID));
    match lang {
        Lang::En => format!("taken for {to} ({receipt})"),
        Lang::Zh => format!("已接收，收件人 {to}（{receipt}）"),
    }
}

/// Nothing was said to any server.
pub fn silence(lang: Lang) -> &'static str {
    either(lang, "nothing was said", "没有会话")
}

/// The last sentence, when something is wrong; None: no single thing is.
pub fn mend_first(checkup: &Checkup, lang: Lang) -> Option<String> {
    let what = first_problem(checkup, lang)?;
    Some(match lang {
        Lang::En => format!("Mend this first: {what}. The fix stands above."),
        Lang::Zh => format!("请先解决：{what}。办法见上。"),
    })
}

fn first_problem(checkup: &Checkup, lang: Lang) -> Option<String> {
    let colon = either(lang, ": ", "：");
    if let Some(finding) = checkup.config.findings.iter().find(|finding| finding.unusable) {
        let place = place(&finding.place, &checkup.config, lang);
        return Some(if place == finding.place { place } else { format!("notify.toml{colon}{place}") });
    }
    if let Some(passed_over) = &checkup.state.passed_over {
        let what = either(lang, "the state folder", "状态目录");
        return Some(format!("{what}{colon}{}", one_line(&passed_over.folder)));
    }
    if let Some(error) = &checkup.outbox.error {
        return Some(format!("{}{colon}{}", label(Label::Outbox, lang), one_line(error)));
    }
    let account = checkup.accounts.iter().find(|account| !account.ok)?;
    let (name, step) = (one_line(&account.name), failed_step(account, lang));
    Some(match lang {
        Lang::En => format!("account {name}, {step}"),
        Lang::Zh => format!("账号 {name} 的{step}"),
    })
}

fn failed_step(account: &AccountReport, lang: Lang) -> &'static str {
    match account.decisive() {
        _ if account.auth_code.error.is_some() => label(Label::Code, lang),
        Some(step) => stage(step.stage, lang),
        None => label(Label::Mail, lang),
    }
}

/// A value and where it is set.
pub fn value(value: &str, place: &str, lang: Lang) -> String {
    match lang {
        Lang::En => format!("{value}  ({place})"),
        Lang::Zh => format!("{value}（{place}）"),
    }
}

/// Where a code is read from.
pub fn source(source: Option<&str>, lang: Lang) -> String {
    match source {
        Some(values::IN_THE_FILE) => either(lang, "in notify.toml", "写在 notify.toml 中").to_owned(),
        Some(source) => one_line(source),
        None => "-".to_owned(),
    }
}

/// What works: the last sentence when all does, the last but one when something doesn't.
pub fn what_works(checkup: &Checkup, lang: Lang) -> Option<String> {
    let good: Vec<&AccountReport> = checkup.accounts.iter().filter(|account| account.ok).collect();
    let names = good.iter().map(|account| one_line(&account.name)).collect::<Vec<_>>().join(", ");
    let first = good.first()?;
    let well = checkup.ok;
    Some(match (&first.mail, well, lang) {
        (Some(_), true, Lang::En) => {
            format!(
                "All is well: mails of {names} go out. Look whether this one has come, also into the spam folder."
            )
        }
        (Some(_), true, Lang::Zh) => {
            format!("一切正常：账号 {names} 可以发送邮件。请查看刚才的邮件是否收到（包括垃圾箱）。")
        }
        (None, true, Lang::En) => {
            format!("All is well: {names} can log in. `notify-done doctor --send` sends a mail, too.")
        }
        (None, true, Lang::Zh) => {
            format!("一切正常：账号 {names} 可以登录。`notify-done doctor --send` 会再发一封邮件。")
        }
        (_, false, Lang::En) => format!("Account {names} works."),
        (_, false, Lang::Zh) => format!("账号 {names} 可用。"),
    })
}

/// What to do about a mail of which nobody knows whether it was taken: it is in no outbox, and isn't sent
/// again.
pub fn look_for_it() -> Text {
    Text {
        en: "look whether it is in the mailbox; if not, try again".to_owned(),
        zh: "请查看邮箱是否收到；如果没有，再试一次".to_owned(),
    }
}

/// Notices wait, and could go.
pub fn flush(waiting: usize, lang: Lang) -> String {
    match lang {
        Lang::En => format!("Notices that wait: {waiting}. `notify-done outbox flush` sends them now."),
        Lang::Zh => format!("有 {waiting} 封通知在等待，`notify-done outbox flush` 可立即发送。"),
    }
}
