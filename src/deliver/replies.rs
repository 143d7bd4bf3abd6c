//! The table of known replies: tokens of the text → class, cause and fix, in both languages. Pure.
//!
//! Matched before the code, because providers send the same token with different codes. Sources:
//! QQ's and NetEase's help pages (企业退信的常见问题) and public bug reports. The first row that
//! fits is taken, so that special rows stand before general ones.
//!
//! Placeholders in the words: `{account}`, `{address}` (of the account), `{host}`, `{port}`.

use super::verdict::{Class, Stage};

/// Where in the dialogue a row may match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    Any,
    /// In answer to AUTH.
    Auth,
    /// After AUTH went well.
    Later,
}

impl At {
    pub(super) fn fits(self, stage: Stage) -> bool {
        match self {
            At::Any => true,
            At::Auth => stage == Stage::Auth,
            At::Later => stage > Stage::Auth,
        }
    }
}

/// A known reply.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) at: At,
    /// The code's first digit; 0: any.
    pub(super) digit: u16,
    /// Lower case; one of them in the text is enough.
    pub(super) tokens: &'static [&'static str],
    pub(super) class: Class,
    /// English, Chinese.
    pub(super) cause: [&'static str; 2],
    pub(super) fix: [&'static str; 2],
}

const NEW_CODE: [&str; 2] = [
    "log in to {address} on the web, make a new authorization code (QQ: Settings, Account, POP3/IMAP/SMTP; 163: Settings, POP3/SMTP/IMAP), and write it into accounts.{account}.auth_code",
    "在网页登录 {address}，重新生成授权码（QQ：设置 → 账号 → POP3/IMAP/SMTP；163：设置 → POP3/SMTP/IMAP），写入 accounts.{account}.auth_code",
];
const WAIT_HOUR: [&str; 2] = [
    "nothing now: the mail is kept and tried again in an hour or later; fewer mails help (notify.min_duration, on = \"failure\")",
    "暂时不用处理：邮件已保留，一小时后再试；减少发信有帮助（notify.min_duration、on = \"failure\"）",
];
const WAIT_DAY: [&str; 2] = [
    "wait until tomorrow, or let another account send: add one to notify.toml",
    "等到明天，或在 notify.toml 里再加一个账号来发",
];
const SAME_FROM: [&str; 2] = [
    "the login is {login}: make accounts.{account}.address the mailbox that it belongs to, and leave out accounts.{account}.username",
    "登录名是 {login}：把 accounts.{account}.address 改成它所属的邮箱，并去掉 accounts.{account}.username",
];
const CHECK_TO: [&str; 2] = ["check the address in `to`, `cc` and `bcc`", "检查 `to`、`cc`、`bcc` 里的地址"];
const ASK_PROVIDER: [&str; 2] = [
    "log in to {address} on the web and see what it says there, or use another account",
    "在网页登录 {address} 查看提示，或换一个账号发信",
];
const LESS_LIKE_SPAM: [&str; 2] = [
    "change the title (`--title`), put {address} into the recipient's address book or white list, and send less of the same",
    "换一个标题（`--title`），让收件人把 {address} 加入通讯录或白名单，少发内容相同的邮件",
];
const SMALLER: [&str; 2] = [
    "attach less: set log.max_attachment lower, or log.attach = \"tail\"",
    "少附一些：调小 log.max_attachment，或设 log.attach = \"tail\"",
];

const fn row(
    at: At,
    digit: u16,
    tokens: &'static [&'static str],
    class: Class,
    words: [[&'static str; 2]; 2],
) -> Row {
    Row { at, digit, tokens, class, cause: words[0], fix: words[1] }
}

pub(super) static ROWS: &[Row] = &[
    // The login.
    row(
        At::Auth,
        0,
        &["please enter your authorization code"],
        Class::Credentials,
        [
            [
                "{host} wants the authorization code (授权码) of {address}, not its password",
                "{host} 要的是 {address} 的授权码，而不是密码",
            ],
            NEW_CODE,
        ],
    ),
    row(
        At::Auth,
        0,
        &["account is abnormal", "service is not open"],
        Class::Credentials,
        [
            [
                "{host} refused the login of {address}: the code is wrong or revoked, the SMTP service is off, or there were too many logins",
                "{host} 拒绝了 {address} 的登录：授权码错误或已失效、SMTP 服务未开启，或登录过于频繁",
            ],
            NEW_CODE,
        ],
    ),
    row(
        At::Auth,
        0,
        &["authentication failed, system busy"],
        Class::Credentials,
        [
            [
                "{host} has flagged {address} after many failed logins, or wants another way to log in",
                "{host} 因多次登录失败限制了 {address}，或要求其他登录方式",
            ],
            [
                "set accounts.{account}.auth = \"login\", and if that doesn't help make a new authorization code and wait an hour",
                "设 accounts.{account}.auth = \"login\"；若无效，重新生成授权码并等一小时",
            ],
        ],
    ),
    row(
        At::Any,
        0,
        &["too much fail authentication", "auth error limit exceed"],
        Class::Throttled,
        [
            [
                "{host} has stopped logins for a while after too many failed ones",
                "登录失败次数过多，{host} 暂时禁止登录",
            ],
            [
                "check accounts.{account}.auth_code, then wait an hour",
                "检查 accounts.{account}.auth_code，然后等一小时",
            ],
        ],
    ),
    row(
        At::Auth,
        0,
        &["user has no permission"],
        Class::Credentials,
        [
            [
                "the SMTP service of {address} is off, or the code isn't its authorization code",
                "{address} 没有开启 SMTP 服务，或所用的不是它的授权码",
            ],
            NEW_CODE,
        ],
    ),
    row(
        At::Later,
        0,
        &["user has no permission", "user suspended", "user in blacklist"],
        Class::Settings,
        [
            ["{host} doesn't let {address} send mail at present", "{host} 目前不允许 {address} 发信"],
            ASK_PROVIDER,
        ],
    ),
    row(
        At::Any,
        0,
        &["mail from address must be same", "mail from must equal", "local user only"],
        Class::Settings,
        [
            [
                "{host} wants the sender to be the mailbox that logged in, and {address} isn't it",
                "{host} 要求发件人就是登录的邮箱，而 {address} 不是",
            ],
            SAME_FROM,
        ],
    ),
    row(
        At::Any,
        0,
        &["need ehlo and auth", "authentication is required", "authentication required"],
        Class::Settings,
        [
            ["{host} wants a login before mail", "{host} 要求先登录再发信"],
            [
                "set accounts.{account}.auth to \"plain\" or \"login\", and check accounts.{account}.port",
                "把 accounts.{account}.auth 设为 \"plain\" 或 \"login\"，并检查 accounts.{account}.port",
            ],
        ],
    ),
    row(
        At::Any,
        0,
        &["auth command not implemented"],
        Class::Settings,
        [
            [
                "port {port} of {host} takes no login in this mode",
                "{host} 的 {port} 端口在此模式下不接受登录",
            ],
            [
                "set accounts.{account}.port = 465 and accounts.{account}.tls = \"implicit\"",
                "设 accounts.{account}.port = 465、accounts.{account}.tls = \"implicit\"",
            ],
        ],
    ),
    row(
        At::Auth,
        5,
        &["authentication failed", "login fail", "authentication unsuccessful"],
        Class::Credentials,
        [
            ["{host} refused the authorization code of {address}", "{host} 拒绝了 {address} 的授权码"],
            NEW_CODE,
        ],
    ),
    // The form of the mail.
    row(
        At::Later,
        0,
        &["\"from\" header is missing or invalid", "mi:imf", "null sender"],
        Class::Permanent,
        [
            ["{host} can't read the sender in the mail's head", "{host} 无法识别邮件头里的发件人"],
            ["leave out mail.from_name or write it more simply", "去掉 mail.from_name，或写得简单些"],
        ],
    ),
    row(
        At::Later,
        0,
        &["dt:sum"],
        Class::Settings,
        [
            [
                "the sender in the mail's head isn't the one of the envelope, says {host}",
                "{host} 认为信头发件人与信封发件人不一致",
            ],
            SAME_FROM,
        ],
    ),
    row(
        At::Later,
        0,
        &["mailsize limit", "message size exceeds", "message too large", "size limit"],
        Class::Permanent,
        [["the mail is larger than {host} takes", "邮件超过了 {host} 的大小限制"], SMALLER],
    ),
    row(
        At::Later,
        0,
        &["illegal attachment"],
        Class::Content,
        [
            ["{host} doesn't take this kind of attachment", "{host} 不接受这种附件"],
            ["attach it under another name, or in a .zip", "换一个文件名，或打包成 .zip"],
        ],
    ),
    // What the provider takes for spam.
    row(
        At::Later,
        4,
        &["dt:spm"],
        Class::Throttled,
        [["{host} wants this mail to be tried again later", "{host} 要求稍后再试"], WAIT_HOUR],
    ),
    row(
        At::Later,
        5,
        &["dt:spm", "mail content denied"],
        Class::Content,
        [["{host} takes the mail for spam", "{host} 认为这封邮件是垃圾邮件"], LESS_LIKE_SPAM],
    ),
    // Too much, too often.
    row(
        At::Any,
        0,
        &["frequency limited", "frequency limit"],
        Class::Throttled,
        [
            [
                "{host} finds that this machine or {address} sends too often",
                "{host} 认为本机或 {address} 发信过于频繁",
            ],
            WAIT_HOUR,
        ],
    ),
    row(
        At::Any,
        0,
        &["mailbox unavailable or access denied"],
        Class::Throttled,
        [
            ["this recipient gets too much mail at present, says {host}", "{host} 表示该收件人近期收信过多"],
            WAIT_HOUR,
        ],
    ),
    row(
        At::Any,
        5,
        &["mi:stc", "rp:trc"],
        Class::Throttled,
        [
            [
                "{address} has sent all that {host} allows in a day",
                "{address} 今天的发信量已达 {host} 的上限",
            ],
            WAIT_DAY,
        ],
    ),
    row(
        At::Any,
        0,
        &["rp:rcl", "too much recipient", "rp:drc"],
        Class::Throttled,
        [
            ["more recipients at once than {host} allows", "一次发送的收件人超过 {host} 的上限"],
            ["send to fewer addresses at once", "一次少发几个收件人"],
        ],
    ),
    row(
        At::Any,
        0,
        &[
            "hl:rep", "hl:icc", "hl:ifc", "hl:mep", "hl:ihu", "mi:cel", "mi:dmc", "mi:ccl", "mi:sfq",
            "rp:ccl", "rp:cel", "rp:qrc",
        ],
        Class::Throttled,
        [
            [
                "{host} wants less mail from this machine or {address} for a while",
                "{host} 要求本机或 {address} 暂时少发",
            ],
            WAIT_HOUR,
        ],
    ),
    row(
        At::Any,
        0,
        &[
            "dt:rbl",
            "wm:bli",
            "wm:blu",
            "hl:ipb",
            "mi:spb",
            "ip in blacklist",
            "mi:spf",
            "mi:dma",
            "no smtp mx only",
        ],
        Class::Settings,
        [
            [
                "{host} takes no mail from this machine's network or from {address}",
                "{host} 不接受本机所在网络或 {address} 发来的邮件",
            ],
            [
                "use accounts.{account}'s own submission server (leave out host and port), another network, or another account",
                "使用 accounts.{account} 自己的发信服务器（不写 host 和 port）、换网络或换账号",
            ],
        ],
    ),
    row(
        At::Any,
        0,
        &["mi:nhd", "bad syntax"],
        Class::Settings,
        [
            ["{host} didn't understand a command", "{host} 不理解某条命令"],
            [
                "leave out accounts.{account}.hello_name, or make it this machine's full name",
                "去掉 accounts.{account}.hello_name，或写成本机完整域名",
            ],
        ],
    ),
    row(
        At::Any,
        0,
        &["rp:frl"],
        Class::Settings,
        [
            ["{host} forwards no mail without a login", "{host} 不转发未登录的邮件"],
            [
                "check accounts.{account}.host: it must be the provider's own server",
                "检查 accounts.{account}.host：必须是邮箱服务商自己的服务器",
            ],
        ],
    ),
    // Recipients.
    row(
        At::Later,
        5,
        &[
            "invalid user",
            "user unknown",
            "user not found",
            "no such user",
            "mailbox not found",
            "unknown user",
            "5.1.1",
        ],
        Class::Permanent,
        [["this recipient doesn't exist", "收件人不存在"], CHECK_TO],
    ),
    row(
        At::Any,
        4,
        &["local error"],
        Class::Transient,
        [
            ["{host} has a fault of its own", "{host} 自身出错"],
            ["nothing: it is tried again", "不用处理：稍后会重试"],
        ],
    ),
];
