//! What is said on the terminal about a mail's way, in the user's language; what a drain did is told
//! by `event_words`. Pure.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::deliver::diagnose::{Diagnosis, Scene, Text, diagnose};
use crate::deliver::verdict::Outcome;
use crate::outbox::entry::{AttemptRecord, Contact};
use crate::render::i18n::Lang;
use crate::report::name::display_command;

/// What names a run in its mail whose command line is hidden, and that has no title.
pub fn some_command(lang: Lang) -> &'static str {
    either(lang, "command", "命令")
}

/// The note of a mail that was made while `[privacy]` of notify.toml couldn't be read.
pub fn withheld(lang: Lang) -> &'static str {
    either(
        lang,
        "This mail tells nothing of the command and its output: what notify.toml wants taken out of mails \
         could not be read when it was made. `notify-done preview` shows the whole mail.",
        "本邮件不含命令及其输出：生成邮件时无法读取 notify.toml 中的隐私设置。可用 `notify-done preview` 查看完整邮件。",
    )
}

/// Both languages of one sentence.
pub fn either<'a>(lang: Lang, en: &'a str, zh: &'a str) -> &'a str {
    match lang {
        Lang::En => en,
        Lang::Zh => zh,
    }
}

pub(super) fn say(text: &Text, lang: Lang) -> &str {
    either(lang, &text.en, &text.zh)
}

/// Why a try failed, in one line; None: it didn't.
pub fn of_attempt(attempt: &AttemptRecord, lang: Lang) -> Option<String> {
    let diagnosis = diagnosis_of(attempt, lang)?;
    Some(format!("{}{}", say(&diagnosis.cause, lang), said(&diagnosis, lang)))
}

/// What a try that failed means; None: it didn't fail.
pub fn diagnosis_of(attempt: &AttemptRecord, lang: Lang) -> Option<Diagnosis> {
    match &attempt.outcome {
        Outcome::Failed(failure) | Outcome::Unknown(failure) => {
            Some(diagnose(failure, &scene(attempt, lang)))
        }
        Outcome::Accepted { .. } => None,
    }
}

/// Whom a try was with.
pub fn scene(attempt: &AttemptRecord, lang: Lang) -> Scene<'_> {
    let account = attempt.account.as_str();
    match &attempt.server {
        Some(Contact { host, port, address, login }) => Scene { account, address, login, host, port: *port },
        None => Scene {
            account,
            address: account,
            login: account,
            host: either(lang, "the server", "服务器"),
            port: 0,
        },
    }
}

/// The server's own words in parentheses, unless the cause has them already.
pub(super) fn said(diagnosis: &Diagnosis, lang: Lang) -> String {
    let reply = diagnosis.reply.as_ref().map(ToString::to_string);
    let reply = reply.filter(|reply| !say(&diagnosis.cause, lang).contains(reply.as_str()));
    reply.map(|reply| format!(" ({reply})")).unwrap_or_default()
}

/// A path as one can paste it into a shell.
pub fn for_shell(path: &Path) -> String {
    display_command(&[text_of(path.as_os_str())])
}

/// Bytes as text: what isn't UTF-8 as `\xNN`.
pub fn text_of(bytes: &OsStr) -> String {
    let mut text = String::new();
    for chunk in bytes.as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

/// The text with `--config FILE` wherever it names a command of ours that would read another
/// notify.toml without it. None: that wasn't given.
pub fn naming(text: &str, config: Option<&Path>) -> String {
    let Some(config) = config else { return text.to_owned() };
    let flag = format!(" --config {}", for_shell(config));
    ["outbox flush", "outbox flush --all", "outbox retry", "preview", "doctor", "doctor --send"].iter().fold(
        text.to_owned(),
        |text, command| {
            text.replace(&format!("`notify-done {command}`"), &format!("`notify-done {command}{flag}`"))
        },
    )
}

/// Nothing was sent, because the settings have a mistake; and what to do.
pub fn nothing_sent_config(lang: Lang) -> (&'static str, String) {
    let what = either(lang, "nothing was sent: notify.toml has a mistake", "没有发送：notify.toml 有误");
    let hint = either(
        lang,
        "mend it, then run `notify-done outbox flush` again",
        "请先修正，然后再次运行 `notify-done outbox flush`",
    );
    (what, hint.to_owned())
}

/// Which notices wait for a file of their own, and how to send them without it.
pub fn under_another_file(file: &Path, lang: Lang) -> (String, &'static str) {
    let file = for_shell(file);
    match lang {
        Lang::En => (
            format!("this is about the notices of runs under --config {file}"),
            "`notify-done outbox flush --config FILE` sends all that waits by another file",
        ),
        Lang::Zh => (
            format!("指用 --config {file} 运行的通知"),
            "`notify-done outbox flush --config 文件` 可用另一个配置发送全部邮件",
        ),
    }
}

/// Notices that nobody was told of.
pub fn given_up(count: usize, lang: Lang) -> String {
    match lang {
        Lang::En => format!(
            "{count} of your notices could not be delivered and were given up: `notify-done outbox list` says why, \
             `notify-done outbox retry` tries them anew"
        ),
        Lang::Zh => format!(
            "有 {count} 封通知未能送达，已放弃：`notify-done outbox list` 可查看原因，`notify-done outbox retry` 可重新发送"
        ),
    }
}

/// Notices that a flush leaves where they are.
pub fn older_are_kept(count: usize, lang: Lang) -> String {
    match lang {
        Lang::En => format!(
            "{count} older notices from before a mailbox was set up are kept; \
             `notify-done outbox flush --all` sends them too"
        ),
        Lang::Zh => {
            format!("另有 {count} 封配置邮箱之前的旧通知；`notify-done outbox flush --all` 会一并发送")
        }
    }
}

/// The front has stopped waiting.
pub fn still_under_way(lang: Lang) -> &'static str {
    either(
        lang,
        "the mail is still under way in the background; if it doesn't get through it is kept:\n\
         `notify-done outbox list` shows what waits, `notify-done outbox flush` sends it",
        "邮件仍在后台发送；如果没有发出会保留下来：\n\
         `notify-done outbox list` 可查看，`notify-done outbox flush` 即可发出",
    )
}

/// The front doesn't wait: no account could be reached just now.
pub fn not_waited_for(lang: Lang) -> &'static str {
    either(
        lang,
        "no mail server could be reached a moment ago, so the mail is left to the background; if it doesn't get through it is kept:\n\
         `notify-done outbox list` shows what waits, `notify-done outbox flush` sends it",
        "刚才连不上邮件服务器，邮件改为在后台发送；如果没有发出会保留下来：\n\
         `notify-done outbox list` 可查看，`notify-done outbox flush` 即可发出",
    )
}

/// `--pty full` where it can't be.
pub fn no_full_pty(lang: Lang) -> &'static str {
    either(
        lang,
        "--pty full needs standard output to be your terminal: the command gets what --pty auto gives",
        "--pty full 要求标准输出就是你的终端：命令改按 --pty auto 运行",
    )
}

/// Nobody could find out how the command ended.
pub fn status_lost(lang: Lang) -> &'static str {
    either(
        lang,
        "the command has ended, but the process that waited for it was killed: its exit status is lost",
        "命令已结束，但等待它的进程被杀死，退出码丢失",
    )
}

/// The mailer was killed, or has a bug.
pub fn mailer_died(lang: Lang) -> &'static str {
    either(
        lang,
        "the process that mails ended early; `notify-done outbox flush` sends what it had kept",
        "发送邮件的进程提前结束；`notify-done outbox flush` 会发送它已保留的邮件",
    )
}

/// Names a run's mail.
pub fn mail_of(run: &str, subject: &str, lang: Lang) -> String {
    match lang {
        Lang::En => format!("the mail of run {run}: {subject}"),
        Lang::Zh => format!("运行 {run} 的邮件：{subject}"),
    }
}

/// `preview --open`, and there is nothing to open it with.
pub fn no_browser(page: &Path, lang: Lang) -> String {
    let page = page.display();
    match lang {
        Lang::En => format!(
            "there is no browser or no screen here to show it; copy it to a machine that has one:\n\
             scp 'THIS-HOST:{page}' .   (or set BROWSER to the program that shows pages)"
        ),
        Lang::Zh => format!(
            "这里没有浏览器或没有屏幕，无法打开；可以复制到别的机器上查看：\n\
             scp '本机:{page}' .   （或用 BROWSER 指定打开网页的程序）"
        ),
    }
}

/// A notice is kept, because there is no account.
pub fn no_account(expected: Option<&Path>, lang: Lang) -> String {
    let how = set_up(expected, lang);
    match lang {
        Lang::En => format!(
            "No mailbox is set up, so this notice is kept; `notify-done preview` shows it now.\n{how}"
        ),
        Lang::Zh => format!("还没有配置邮箱，通知已保留；现在可以用 `notify-done preview` 查看。\n{how}"),
    }
}

/// How to set a mailbox up: where notify.toml goes, and the three lines that it needs.
pub fn set_up(expected: Option<&Path>, lang: Lang) -> String {
    let path = expected.map_or_else(|| "notify.toml".to_owned(), |path| path.display().to_string());
    match lang {
        Lang::En => format!(
            "To have notices mailed, write three lines into\n\
             {path}\n\n{}\n\n\
             (QQ: 设置 → 账号 → POP3/IMAP/SMTP; 163: 设置 → POP3/SMTP/IMAP), make it private (chmod 600),\n\
             then run `notify-done outbox flush`.",
            three_lines("your-number@qq.com", "the authorization code (授权码), not the password"),
        ),
        Lang::Zh => format!(
            "要发到邮箱，请把下面三行写入\n\
             {path}\n\n{}\n\n\
             （授权码：QQ 邮箱 设置 → 账号 → POP3/IMAP/SMTP；163 邮箱 设置 → POP3/SMTP/IMAP），\n\
             执行 chmod 600 使其仅自己可读，然后运行 `notify-done outbox flush`。",
            three_lines("您的号码@qq.com", "授权码，不是登录密码"),
        ),
    }
}

fn three_lines(address: &str, code: &str) -> String {
    format!("    [accounts.mine]\n    address = \"{address}\"\n    auth_code = \"{code}\"")
}

/// The mail is held, because notify.toml can't be used.
pub fn held_by_config(findings: &[String], lang: Lang) -> String {
    let findings = findings.join("\n");
    match lang {
        Lang::En => format!(
            "the mail is held until notify.toml is mended:\n{findings}\n\
             then run `notify-done outbox flush`"
        ),
        Lang::Zh => {
            format!("邮件已保留，请先修正 notify.toml：\n{findings}\n然后运行 `notify-done outbox flush`")
        }
    }
}

/// The mail couldn't be put on any disk.
pub fn not_kept(why: &str, log: Option<&Path>, lang: Lang) -> String {
    let log = log.map(|log| log.display().to_string());
    match (lang, log) {
        (Lang::En, Some(log)) => format!("the mail could not be kept: {why}\nthe log lies in {log}"),
        (Lang::En, None) => format!("the mail could not be kept: {why}"),
        (Lang::Zh, Some(log)) => format!("邮件无法保存：{why}\n日志在 {log}"),
        (Lang::Zh, None) => format!("邮件无法保存：{why}"),
    }
}

/// The mail is kept, but without the log, or not where it should be.
pub fn kept_with_less(why: &str, lang: Lang) -> String {
    match lang {
        Lang::En => format!("the mail goes out without the log attached: {why}"),
        Lang::Zh => format!("邮件将不带日志附件发送：{why}"),
    }
}
