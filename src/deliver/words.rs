//! Causes that no row of `replies.rs` knows, in words: what it means, and the fix. Pure.

use super::diagnose::Text;
use super::verdict::{Cause, Class, Feature, Reply, Stage, TlsTrouble};

/// The server's words are shown as they are: braces in them are no placeholders of ours.
fn quoted(reply: &Reply) -> String {
    reply.to_string().replace(['{', '}'], "'")
}

pub(super) fn unknown_reply(class: Class, reply: &Reply) -> (Text, Text) {
    let said = quoted(reply);
    let cause = Text::new(format!("{{host}} said: {said}"), format!("{{host}} 的回复：{said}"));
    let fix = match class {
        Class::Credentials => Text::new(
            "check accounts.{account}.auth_code: it must be a valid authorization code (授权码) of {address}",
            "检查 accounts.{account}.auth_code：必须是 {address} 的有效授权码",
        ),
        Class::Permanent => Text::new(
            "the server won't take this mail; look up its words, or use another account",
            "服务器不接受这封邮件；请查询上述回复，或换一个账号",
        ),
        _ => Text::new("nothing: it is tried again later", "不用处理：稍后会重试"),
    };
    (cause, fix)
}

pub(super) fn unknown_answer() -> (Text, Text) {
    (
        Text::new(
            "the mail was handed to {host} whole, but the connection ended before its answer: it may have arrived",
            "邮件已完整交给 {host}，但在收到答复前连接中断：邮件可能已送达",
        ),
        Text::new(
            "look into the mailbox; it is tried again later with the same Message-ID, by {account} only",
            "请查看收件箱；稍后会用同一账号 {account} 和同一 Message-ID 重试",
        ),
    )
}

pub(super) fn tls(trouble: &TlsTrouble) -> (Text, Text) {
    match trouble {
        TlsTrouble::UnknownIssuer => (
            Text::new(
                "the certificate of {host} is self-signed or its issuer isn't trusted here",
                "{host} 的证书是自签名的，或其签发者不受信任",
            ),
            Text::new(
                "if the server is yours, set accounts.{account}.ca_file to its CA certificate (PEM); else something on the way is reading the traffic: don't send, try another network",
                "如果是自己的服务器，把 accounts.{account}.ca_file 设为其 CA 证书（PEM）；否则可能有人在中间窃听：请勿发送，换一个网络",
            ),
        ),
        TlsTrouble::Expired => out_of_time("the certificate of {host} has expired", "{host} 的证书已过期"),
        TlsTrouble::NotValidYet => {
            out_of_time("the certificate of {host} isn't valid yet", "{host} 的证书尚未生效")
        }
        TlsTrouble::WrongName => (
            Text::new("the certificate is for another name than {host}", "证书的名称与 {host} 不符"),
            Text::new(
                "set accounts.{account}.host to the name in the certificate",
                "把 accounts.{account}.host 改成证书上的名称",
            ),
        ),
        TlsTrouble::NotTls => (
            Text::new("port {port} of {host} answers without TLS", "{host} 的 {port} 端口没有使用 TLS"),
            Text::new(
                "set accounts.{account}.tls = \"starttls\", or accounts.{account}.port = 465",
                "设 accounts.{account}.tls = \"starttls\"，或 accounts.{account}.port = 465",
            ),
        ),
        TlsTrouble::TooOld => (
            Text::new("{host} knows no TLS 1.2 or later", "{host} 不支持 TLS 1.2 或更高版本"),
            Text::new(
                "use another server or account: older TLS isn't safe for a code",
                "换一个服务器或账号：旧版 TLS 不安全",
            ),
        ),
        TlsTrouble::Other(detail) => (
            Text::new(
                format!("TLS with {{host}} failed: {detail}"),
                format!("与 {{host}} 的 TLS 连接失败：{detail}"),
            ),
            Text::new(
                "check accounts.{account}.port and tls; behind a proxy or firewall try another network",
                "检查 accounts.{account}.port 和 tls；如有代理或防火墙，换一个网络试试",
            ),
        ),
    }
}

fn out_of_time(en: &str, zh: &str) -> (Text, Text) {
    (
        Text::new(en, zh),
        Text::new(
            "check this machine's clock (`date`); if it is right, the server's owner must renew the certificate",
            "检查本机时间（`date`）；如果时间正确，需由服务器管理者更新证书",
        ),
    )
}

pub(super) fn of_connection(stage: Stage, cause: &Cause) -> (Text, Text) {
    let later = Text::new("nothing: it is tried again later", "不用处理：稍后会重试");
    match cause {
        Cause::Timeout { after_ms } => timeout(stage, *after_ms),
        Cause::Unresolved { detail } => (
            Text::new(
                format!("the name {{host}} can't be resolved ({detail})"),
                format!("无法解析域名 {{host}}（{detail}）"),
            ),
            Text::new("check the network and accounts.{account}.host", "检查网络和 accounts.{account}.host"),
        ),
        Cause::Unreachable { detail } => (
            Text::new(
                format!("no connection to {{host}}, port {{port}} ({detail})"),
                format!("连接不上 {{host}} 的 {{port}} 端口（{detail}）"),
            ),
            Text::new(
                "check the network, any firewall, and accounts.{account}.host and port",
                "检查网络、防火墙，以及 accounts.{account}.host 和 port",
            ),
        ),
        Cause::Closed => (Text::new("{host} ended the connection early", "{host} 提前断开了连接"), later),
        Cause::Broken { detail } => (
            Text::new(
                format!("the connection to {{host}} broke: {detail}"),
                format!("与 {{host}} 的连接中断：{detail}"),
            ),
            later,
        ),
        Cause::Malformed { detail } => (
            Text::new(
                format!("port {{port}} of {{host}} doesn't speak SMTP as expected: {detail}"),
                format!("{{host}} 的 {{port}} 端口没有按 SMTP 应答：{detail}"),
            ),
            Text::new(
                "check accounts.{account}.host, port and tls (implicit on 465, starttls on 587)",
                "检查 accounts.{account}.host、port 和 tls（465 用 implicit，587 用 starttls）",
            ),
        ),
        Cause::Injected => (
            Text::new(
                "bytes in clear text came before TLS with {host}: someone on the way may be tampering",
                "与 {host} 建立 TLS 之前收到了明文数据：可能有人在中间篡改",
            ),
            Text::new(
                "set accounts.{account}.port = 465 and tls = \"implicit\", or try another network",
                "设 accounts.{account}.port = 465、tls = \"implicit\"，或换一个网络",
            ),
        ),
        other => of_settings(other),
    }
}

fn timeout(stage: Stage, after_ms: u64) -> (Text, Text) {
    let (en, zh) = match stage {
        Stage::Resolve => ("the resolution of its name", "域名解析"),
        Stage::Connect => ("the connection", "建立连接"),
        Stage::Tls => ("the TLS handshake", "TLS 握手"),
        Stage::Banner => ("its greeting", "问候"),
        Stage::Auth => ("the login", "登录"),
        Stage::Body | Stage::AfterDot => ("the message", "传送邮件"),
        _ => ("an answer", "应答"),
    };
    let seconds = after_ms.div_ceil(1000);
    (
        Text::new(
            format!("{{host}}, port {{port}}, was silent for {seconds} s at {en}"),
            format!("{{host}} 的 {{port}} 端口在{zh}时 {seconds} 秒没有响应"),
        ),
        Text::new(
            "check the network and any firewall, and that port and tls fit together (implicit on 465, starttls on 587); it is tried again later",
            "检查网络和防火墙，以及 port 与 tls 是否匹配（465 用 implicit，587 用 starttls）；稍后会重试",
        ),
    )
}

fn of_settings(cause: &Cause) -> (Text, Text) {
    match cause {
        Cause::NotOffered(feature) => not_offered(feature),
        Cause::ClearText => (
            Text::new(
                "tls = \"none\" is only for this machine itself, and {host} isn't it",
                "tls = \"none\" 只能用于本机，而 {host} 不是本机",
            ),
            Text::new(
                "set accounts.{account}.tls = \"implicit\" or \"starttls\"",
                "把 accounts.{account}.tls 设为 \"implicit\" 或 \"starttls\"",
            ),
        ),
        Cause::CaFile { detail } => (
            Text::new(detail.clone(), detail.clone()),
            Text::new(
                "set accounts.{account}.ca_file to a readable file of certificates in PEM form",
                "把 accounts.{account}.ca_file 设为可读的 PEM 证书文件",
            ),
        ),
        Cause::TooLarge { bytes, limit } => (
            Text::new(
                format!("the mail has {bytes} bytes, {{host}} takes {limit}"),
                format!("邮件有 {bytes} 字节，{{host}} 只接受 {limit} 字节"),
            ),
            Text::new(
                "attach less: set log.max_attachment lower, or log.attach = \"tail\"",
                "少附一些：调小 log.max_attachment，或设 log.attach = \"tail\"",
            ),
        ),
        Cause::BadAddress { text } => (
            Text::new(format!("{text:?} is no mail address"), format!("{text:?} 不是邮箱地址")),
            Text::new("mend it in notify.toml or on the command line", "请在 notify.toml 或命令行里改正"),
        ),
        Cause::Local { detail, hint } => {
            (Text::new(detail.clone(), detail.clone()), then_flush(hint.as_deref()))
        }
        // The others have their own functions above.
        _ => (
            Text::new("the mail couldn't be handed to {host}", "邮件未能交给 {host}"),
            Text::new("nothing: it is tried again later", "不用处理：稍后会重试"),
        ),
    }
}

fn not_offered(feature: &Feature) -> (Text, Text) {
    match feature {
        Feature::StartTls => (
            Text::new(
                "port {port} of {host} offers no STARTTLS, and the code is never sent in clear text",
                "{host} 的 {port} 端口不支持 STARTTLS，而授权码绝不明文发送",
            ),
            Text::new(
                "set accounts.{account}.port = 465 and accounts.{account}.tls = \"implicit\"",
                "设 accounts.{account}.port = 465、accounts.{account}.tls = \"implicit\"",
            ),
        ),
        Feature::Auth { offered } => {
            let list = if offered.is_empty() { "-".to_owned() } else { offered.join(" ") };
            (
                Text::new(
                    format!("{{host}} offers no login that fits (it offers: {list})"),
                    format!("{{host}} 没有可用的登录方式（它支持：{list}）"),
                ),
                Text::new(
                    "set accounts.{account}.auth = \"auto\", and check accounts.{account}.port",
                    "设 accounts.{account}.auth = \"auto\"，并检查 accounts.{account}.port",
                ),
            )
        }
        Feature::SmtpUtf8 => (
            Text::new("{host} takes only addresses in ASCII letters", "{host} 只接受 ASCII 字符的邮箱地址"),
            Text::new("use an address in ASCII letters", "请使用 ASCII 字符的地址"),
        ),
    }
}

/// The fix of something on this machine.
fn then_flush(hint: Option<&str>) -> Text {
    match hint {
        Some(hint) => Text::new(
            format!("{hint}; then run `notify-done outbox flush`"),
            format!("{hint}；然后运行 `notify-done outbox flush`"),
        ),
        None => Text::new(
            "mend this, then run `notify-done outbox flush`",
            "解决后运行 `notify-done outbox flush`",
        ),
    }
}
