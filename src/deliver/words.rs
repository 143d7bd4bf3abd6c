//! Causes that no table knows, in words: what it means, and the fix; and what is said of mails that
//! wait, change or are given up. Pure.
//!
//! Longer than other files, since most of it is sentences.

use super::diagnose::Text;
use super::meanings;
use super::verdict::{Cause, Class, Feature, Reply, Stage, TlsTrouble};

fn of_words(words: [&str; 2]) -> Text {
    Text::new(words[0], words[1])
}

/// The server's words are shown as they are: braces in them are no placeholders of ours.
fn quoted(reply: &Reply) -> String {
    reply.to_string().replace(['{', '}'], "'")
}

pub(super) fn unknown_reply(class: Class, reply: &Reply) -> (Text, Text) {
    let said = quoted(reply);
    let cause = Text::new(format!("{{host}} said: {said}"), format!("{{host}} 的回复：{said}"));
    let fix = match class {
        Class::Credentials => Text::new(
            "check accounts.{account}.auth_code: it must be a valid authorization code (授权码) of {address}; to make a new one: {how}",
            "检查 accounts.{account}.auth_code：必须是 {address} 的有效授权码；重新生成的方法：{how}",
        ),
        Class::TooLarge => Text::new(
            "if that means that the mail is too large, attach less: set log.max_attachment lower, or log.attach = \"tail\"",
            "如果意思是邮件过大，请少附一些：调小 log.max_attachment，或设 log.attach = \"tail\"",
        ),
        Class::Permanent => Text::new(
            "{host} won't take this mail as it is: look its words up in the provider's help, or send by another account (--account)",
            "{host} 不接受这封邮件：请在服务商的帮助页查询上述回复，或换一个账号发信（--account）",
        ),
        _ => Text::new(
            "it may pass by itself; if the same words come again and again, look them up in the provider's help",
            "可能会自行恢复；如果反复收到同样的回复，请在服务商的帮助页查询",
        ),
    };
    (cause, fix)
}

/// How codes are made, where the provider isn't known.
pub(super) fn make_code_anywhere() -> Text {
    Text::new(
        "in the mailbox's web page: settings → POP3/SMTP/IMAP → enable it → authorization code or client password",
        "登录邮箱网页版：设置 → POP3/SMTP/IMAP → 开启服务 → 授权码或客户端专用密码",
    )
}

pub(super) fn unknown_answer() -> (Text, Text) {
    (
        Text::new(
            "the mail was handed to {host} whole, but the connection ended before its answer: it may have arrived",
            "邮件已完整交给 {host}，但在收到答复前连接中断：邮件可能已送达",
        ),
        Text::new(
            "look whether it is in the mailbox (then `notify-done outbox drop` forgets it); a further try has the same Message-ID and goes by {account} only",
            "请查看收件箱（如已收到，可用 `notify-done outbox drop` 删除这一条）；再次发送会用同一账号 {account} 和同一 Message-ID",
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
                "if the server or the company's proxy is yours to trust, set accounts.{account}.ca_file to its CA certificate (PEM); else someone on the way is reading along: nothing was sent, try another network",
                "如果是自己的服务器或公司代理，把 accounts.{account}.ca_file 设为其 CA 证书（PEM）；否则可能有人在中间窃听：没有发送任何内容，请换一个网络",
            ),
        ),
        TlsTrouble::Expired => out_of_time("the certificate of {host} has expired", "{host} 的证书已过期"),
        TlsTrouble::NotValidYet => {
            out_of_time("the certificate of {host} isn't valid yet", "{host} 的证书尚未生效")
        }
        TlsTrouble::WrongName => (
            Text::new("the certificate is for another name than {host}", "证书的名称与 {host} 不符"),
            Text::new(
                "set accounts.{account}.host to the name in the certificate; if {host} is the provider's own name, someone on the way answers in its place (a login page of the network?): try another network",
                "把 accounts.{account}.host 改成证书上的名称；如果 {host} 就是服务商的域名，说明中间有人代答（例如网络的登录页）：请换一个网络",
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
                "use another server (accounts.{account}.host) or another account: older TLS isn't safe for a code",
                "换一个服务器（accounts.{account}.host）或账号：旧版 TLS 不足以保护授权码",
            ),
        ),
        TlsTrouble::Other(detail) => (
            Text::new(
                format!("TLS with {{host}} failed: {detail}"),
                format!("与 {{host}} 的 TLS 连接失败：{detail}"),
            ),
            Text::new(
                "check accounts.{account}.port and accounts.{account}.tls; behind a proxy or firewall try another network",
                "检查 accounts.{account}.port 和 accounts.{account}.tls；如有代理或防火墙，换一个网络试试",
            ),
        ),
    }
}

fn out_of_time(en: &str, zh: &str) -> (Text, Text) {
    (
        Text::new(en, zh),
        Text::new(
            "check this machine's clock first (`date`); if it is right, the server's owner must renew the certificate: until then use another account",
            "先检查本机时间（`date`）；如果时间正确，需由服务器管理者更新证书，在此之前请换一个账号",
        ),
    )
}

pub(super) fn of_connection(stage: Stage, cause: &Cause) -> (Text, Text) {
    match cause {
        Cause::Timeout { after_ms } => timeout(stage, *after_ms),
        Cause::Unresolved { detail } => unresolved(detail),
        Cause::Unreachable { detail } => unreachable(detail),
        Cause::Closed => {
            let (en, zh) = step(stage);
            (
                Text::new(
                    format!("{{host}} ended the connection early, at {en}"),
                    format!("{{host}} 在{zh}时提前断开了连接"),
                ),
                lost(),
            )
        }
        Cause::Broken { detail } => (
            Text::new(
                format!("the connection to {{host}} broke: {detail}"),
                format!("与 {{host}} 的连接中断：{detail}"),
            ),
            lost(),
        ),
        Cause::Malformed { detail } => (
            Text::new(
                format!("port {{port}} of {{host}} doesn't speak SMTP as expected: {detail}"),
                format!("{{host}} 的 {{port}} 端口没有按 SMTP 应答：{detail}"),
            ),
            Text::new(
                "check accounts.{account}.host, port and tls (implicit on 465, starttls on 587); if they are right, something on the way answers in its place: try another network",
                "检查 accounts.{account}.host、port 和 tls（465 用 implicit，587 用 starttls）；如果都正确，说明中间有设备代答：请换一个网络",
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
        other => of_settings(stage, other),
    }
}

/// The network lost it; a cause that one can mend is rare.
fn lost() -> Text {
    Text::new(
        "the network may mend itself; if this comes every time, try another port (accounts.{account}.port = {other_port}) or another network",
        "网络可能会自行恢复；如果每次都这样，换一个端口（accounts.{account}.port = {other_port}）或换一个网络试试",
    )
}

/// By getaddrinfo's words (glibc's, then musl's): it knows that there is no such name, or it couldn't ask.
fn unresolved(detail: &str) -> (Text, Text) {
    let no_such_name = ["not known", "No address associated", "does not resolve", "has no address"];
    if no_such_name.iter().any(|words| detail.contains(words)) {
        return (
            Text::new(
                format!("there is no server of the name {{host}} ({detail})"),
                format!("没有名为 {{host}} 的服务器（{detail}）"),
            ),
            Text::new(
                "correct accounts.{account}.host, or leave it out: for QQ, 163 and other known mailboxes the address tells it; if the name is right, this machine's DNS doesn't know the world outside",
                "改正 accounts.{account}.host，或去掉它（QQ、163 等常用邮箱可由地址得知）；如果名称没错，说明本机的 DNS 不能解析外网域名",
            ),
        );
    }
    (
        Text::new(
            format!("the name {{host}} couldn't be looked up: no network, or no DNS ({detail})"),
            format!("查不到 {{host}} 的地址：没有网络，或 DNS 不可用（{detail}）"),
        ),
        Text::new(
            "check this machine's network (`getent hosts {host}` must show an address)",
            "检查本机网络（`getent hosts {host}` 应能显示地址）",
        ),
    )
}

/// By the words of connect(2)'s errors (glibc's, then musl's).
fn unreachable(detail: &str) -> (Text, Text) {
    let says = |words: &[&str]| words.iter().any(|word| detail.contains(word));
    if says(&["refused"]) {
        return (
            Text::new(
                format!("nothing answers at port {{port}} of {{host}} ({detail})"),
                format!("{{host}} 的 {{port}} 端口没有服务应答（{detail}）"),
            ),
            Text::new(
                "check accounts.{account}.host and accounts.{account}.port; a firewall may refuse this port too: try accounts.{account}.port = {other_port}",
                "检查 accounts.{account}.host 和 accounts.{account}.port；也可能是防火墙拒绝了此端口：试试 accounts.{account}.port = {other_port}",
            ),
        );
    }
    if says(&["unreachable", "No route"]) {
        return (
            Text::new(
                format!("this machine has no way to {{host}} ({detail})"),
                format!("本机无法连到 {{host}}（{detail}）"),
            ),
            Text::new(
                "check this machine's network: has it a way out to the internet (cable, Wi-Fi, VPN, a cluster's login node)?",
                "检查本机网络能否访问外网（网线、Wi-Fi、VPN；集群可能只有登录节点能上网）",
            ),
        );
    }
    (
        Text::new(
            format!("no connection to {{host}}, port {{port}} ({detail})"),
            format!("连接不上 {{host}} 的 {{port}} 端口（{detail}）"),
        ),
        blocked(),
    )
}

/// Something on the way swallows the packets of a port, or forbids it.
fn blocked() -> Text {
    Text::new(
        "a firewall may block this port: try accounts.{account}.port = {other_port}; check accounts.{account}.host, too",
        "可能是防火墙封锁了此端口：试试 accounts.{account}.port = {other_port}；并检查 accounts.{account}.host",
    )
}

/// A step's name, as the end of "was silent at …".
fn step(stage: Stage) -> (&'static str, &'static str) {
    match stage {
        Stage::Resolve => ("the look-up of its address", "查询地址"),
        Stage::Connect => ("the connection", "建立连接"),
        Stage::StartTls | Stage::Tls => ("the TLS handshake", "TLS 握手"),
        Stage::Banner => ("its greeting", "等待问候"),
        Stage::Ehlo => ("the introduction (EHLO)", "互报身份（EHLO）"),
        Stage::Auth => ("the login", "登录"),
        Stage::MailFrom => ("the sender's address", "提交发件人"),
        Stage::RcptTo => ("the recipients' addresses", "提交收件人"),
        Stage::Data => ("the start of the message", "准备传送邮件"),
        Stage::Body => ("the message", "传送邮件"),
        Stage::Prepare | Stage::AfterDot | Stage::Quit => ("the end of the message", "等待收妥答复"),
    }
}

fn timeout(stage: Stage, after_ms: u64) -> (Text, Text) {
    let (en, zh) = step(stage);
    let seconds = after_ms.div_ceil(1000);
    let cause = Text::new(
        format!("{{host}}, port {{port}}, was silent for {seconds} s at {en}"),
        format!("{{host}} 的 {{port}} 端口在{zh}时 {seconds} 秒没有响应"),
    );
    let fix = match stage {
        Stage::Resolve => Text::new(
            "check this machine's network and DNS (`getent hosts {host}`)",
            "检查本机网络和 DNS（`getent hosts {host}`）",
        ),
        Stage::Connect => blocked(),
        Stage::Banner | Stage::Tls | Stage::StartTls => Text::new(
            "check that accounts.{account}.port and tls fit together (implicit on 465, starttls on 587); on a slow network allow more time: accounts.{account}.timeout",
            "检查 accounts.{account}.port 与 tls 是否匹配（465 用 implicit，587 用 starttls）；网络较慢时可调大 accounts.{account}.timeout",
        ),
        Stage::Data | Stage::Body => Text::new(
            "on a slow network allow more time (accounts.{account}.timeout) or attach less (log.max_attachment)",
            "网络较慢时可调大 accounts.{account}.timeout，或少附一些（log.max_attachment）",
        ),
        _ => Text::new(
            "the server may have been busy; if this comes every time, allow more time: accounts.{account}.timeout",
            "服务器可能正忙；如果每次都这样，可调大 accounts.{account}.timeout",
        ),
    };
    (cause, fix)
}

fn of_settings(stage: Stage, cause: &Cause) -> (Text, Text) {
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
            of_words(meanings::SMALLER),
        ),
        Cause::BadAddress { text } => (
            Text::new(format!("{text:?} is no mail address"), format!("{text:?} 不是邮箱地址")),
            match stage {
                Stage::RcptTo => of_words(meanings::CHECK_TO),
                _ => Text::new(
                    "correct accounts.{account}.address, host and hello_name in notify.toml",
                    "改正 notify.toml 里 accounts.{account} 的 address、host、hello_name",
                ),
            },
        ),
        Cause::Local { detail, hint } => {
            (Text::new(detail.clone(), detail.clone()), then_flush(hint.as_deref()))
        }
        // The others have their own functions above.
        _ => (Text::new("the mail couldn't be handed to {host}", "邮件未能交给 {host}"), lost()),
    }
}

fn not_offered(feature: &Feature) -> (Text, Text) {
    match feature {
        Feature::StartTls => (
            Text::new(
                "port {port} of {host} offers no STARTTLS, and the code is never sent in clear text",
                "{host} 的 {port} 端口不支持 STARTTLS，而授权码绝不明文发送",
            ),
            of_words(meanings::NO_LOGIN_HERE.fix),
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
        Feature::SmtpUtf8 => (of_words(meanings::ASCII_ONLY.cause), of_words(meanings::ASCII_ONLY.fix)),
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
