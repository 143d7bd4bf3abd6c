//! What a refusal means and what to do about it: one fix for each state of knowledge, in both
//! languages. `replies.rs` and `codes.rs` lead here. Pure.
//!
//! When it is tried again, if it is, is said elsewhere: the words hold for a mail that was given up, too.
//!
//! Longer than other files, since it is a table of sentences.
//!
//! Placeholders: `{account}`, `{address}` (of the account), `{login}`, `{host}`, `{port}`, and `{how}`:
//! how this provider's authorization codes are made.

use super::verdict::Class;

/// English, Chinese.
type Words = [&'static str; 2];

/// A state of knowledge.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) class: Class,
    pub(super) cause: Words,
    pub(super) fix: Words,
}

const fn meaning(class: Class, cause: Words, fix: Words) -> Meaning {
    Meaning { class, cause, fix }
}

// Fixes that several share.

const MAKE_CODE: Words = [
    "make a new authorization code ({how}) and put it in place of the old one, accounts.{account}.auth_code in notify.toml",
    "重新生成授权码（{how}），用它替换 notify.toml 里的 accounts.{account}.auth_code",
];
const WAIT_HOUR: Words = [
    "wait an hour or more; to send less, mail only long runs or failed ones (notify.min_duration, notify.on = \"failure\"), or add a second account to notify.toml",
    "请等一小时或更久；想少发一些，可只通知运行较久或失败的命令（notify.min_duration、notify.on = \"failure\"），或在 notify.toml 里再加一个账号",
];
const LOOK_ON_WEB: Words = [
    "log in to {address} on the web and do what it asks there, or send by another account (a second [accounts.NAME] in notify.toml)",
    "在网页登录 {address}，按提示处理；或换一个账号发信（在 notify.toml 里再加一个 [accounts.名字]）",
];
const FULL_NAME: Words = [
    "leave out accounts.{account}.hello_name, or make it this machine's full name (gpu1.example.com)",
    "去掉 accounts.{account}.hello_name，或写成本机的完整域名（如 gpu1.example.com）",
];
const OWN_SERVER: Words = [
    "leave out accounts.{account}.host and accounts.{account}.port, so that the mail goes to the provider's own server for sending; if they aren't set, use another network or another account",
    "去掉 accounts.{account}.host 和 accounts.{account}.port，让邮件走服务商自己的发信服务器；如果没有设置它们，换一个网络或账号",
];
const SAME_ADDRESS: Words = [
    "the login is {login}: make accounts.{account}.address that mailbox's own address (an alias, such as one at foxmail.com, may not do), and leave out accounts.{account}.username",
    "登录名是 {login}：把 accounts.{account}.address 改成该邮箱自己的地址（foxmail.com 之类的别名可能不行），并去掉 accounts.{account}.username",
];
pub(super) const CHECK_TO: Words = [
    "check this address in mail.to, mail.cc and mail.bcc of notify.toml (or --to, --cc, --bcc)",
    "检查这个地址：notify.toml 里的 mail.to、mail.cc、mail.bcc（或 --to、--cc、--bcc）",
];
const LESS_LIKE_SPAM: Words = [
    "have the recipient put {address} into the address book or white list, give the run a title of its own (--title), and send less of the same",
    "请收件人把 {address} 加入通讯录或白名单；给命令起一个不同的标题（--title）；少发内容相同的邮件",
];
pub(super) const SMALLER: Words = [
    "attach less: set log.max_attachment lower, or log.attach = \"tail\"",
    "少附一些：调小 log.max_attachment，或设 log.attach = \"tail\"",
];
const NOTHING: Words = [
    "you needn't do anything: this passes by itself, most often within minutes or hours",
    "无需处理：通常几分钟到几小时内会自行恢复",
];

// The login.

pub(super) static WANTS_CODE: Meaning = meaning(
    Class::Credentials,
    [
        "{host} wants an authorization code (授权码) of {address}, not its password",
        "{host} 要的是 {address} 的授权码，而不是登录密码",
    ],
    MAKE_CODE,
);
pub(super) static CODE_OR_SERVICE: Meaning = meaning(
    Class::Credentials,
    [
        "{host} refused the login of {address}: the authorization code is wrong or revoked (a new QQ password revokes it), the SMTP service is off, or there were too many logins",
        "{host} 拒绝了 {address} 的登录：授权码错误或已失效（改 QQ 密码会使其失效）、SMTP 服务未开启，或登录过于频繁",
    ],
    MAKE_CODE,
);
pub(super) static WRONG_CODE: Meaning = meaning(
    Class::Credentials,
    [
        "{host} refused the authorization code of {address}: it is wrong or was revoked",
        "{host} 拒绝了 {address} 的授权码：授权码错误或已失效",
    ],
    MAKE_CODE,
);
pub(super) static APP_PASSWORD: Meaning = meaning(
    Class::Credentials,
    [
        "{host} refused the login of {address}: it wants an app password, not the account's own",
        "{host} 拒绝了 {address} 的登录：要用应用专用密码，而不是账号本身的密码",
    ],
    [
        "make an app password ({how}) and put it into accounts.{account}.auth_code in notify.toml",
        "生成应用专用密码（{how}），写入 notify.toml 里的 accounts.{account}.auth_code",
    ],
);
pub(super) static SERVICE_OFF: Meaning = meaning(
    Class::Credentials,
    [
        "the SMTP service of {address} is off, or the code isn't its authorization code",
        "{address} 没有开启 SMTP 服务，或所用的不是它的授权码",
    ],
    MAKE_CODE,
);
pub(super) static FLAGGED: Meaning = meaning(
    Class::Credentials,
    [
        "{host} has flagged {address} after many failed logins, or wants another way to log in",
        "{host} 因多次登录失败限制了 {address}，或要求换一种登录方式",
    ],
    [
        "set accounts.{account}.auth = \"login\"; if that doesn't help, make a new authorization code ({how}) and look for other programs that still use an old one",
        "设 accounts.{account}.auth = \"login\"；若无效，重新生成授权码（{how}），并检查是否有别的程序仍在用旧授权码",
    ],
);
pub(super) static LOGIN_ON_WEB: Meaning = meaning(
    Class::Credentials,
    [
        "{host} wants the owner of {address} to log in on the web first",
        "{host} 要求先在网页上登录一次 {address}",
    ],
    [
        "log in to {address} on the web, confirm that it was you, then run `notify-done outbox flush --all`",
        "在网页登录 {address} 并确认是本人操作，然后运行 `notify-done outbox flush --all`",
    ],
);
pub(super) static DISABLED: Meaning = meaning(
    Class::Credentials,
    ["the account {address} is disabled, says {host}", "{host} 表示账号 {address} 已被停用"],
    LOOK_ON_WEB,
);
/// Not `Settings`: what is refused is the login, and each one counts.
pub(super) static NO_PASSWORDS: Meaning = meaning(
    Class::Credentials,
    [
        "{host} no longer lets programs log in with a password or code: it wants OAuth 2, which notify-done doesn't have",
        "{host} 不再允许程序用密码或授权码登录：它要求 OAuth 2，而 notify-done 不支持",
    ],
    [
        "send by a mailbox at another provider (QQ, 163, Gmail …): add it to notify.toml; in a company the administrator may allow \"Authenticated SMTP\" for {address}",
        "换用其他邮箱（QQ、163、Gmail 等）发信：把它加到 notify.toml；公司邮箱可请管理员为 {address} 开启“经过身份验证的 SMTP”",
    ],
);
pub(super) static LOGINS_STOPPED: Meaning = meaning(
    Class::Throttled,
    [
        "{host} has stopped logins for a while after too many failed ones",
        "登录失败次数过多，{host} 暂时禁止登录",
    ],
    [
        "check accounts.{account}.auth_code (how to make a new one: {how}), and wait an hour or more",
        "检查 accounts.{account}.auth_code（重新生成的方法：{how}），并等一小时或更久",
    ],
);
pub(super) static TOO_MANY_LOGINS: Meaning = meaning(
    Class::Throttled,
    ["{host} has seen too many logins of {address} lately", "{address} 最近登录 {host} 过于频繁"],
    WAIT_HOUR,
);
pub(super) static LOGIN_DOWN: Meaning = meaning(
    Class::Throttled,
    ["{host} can't check logins at present", "{host} 目前无法验证登录"],
    [
        "you needn't do anything: this passes by itself; if it goes on for hours, check accounts.{account}.auth_code",
        "无需处理：通常会自行恢复；如果持续数小时，检查 accounts.{account}.auth_code",
    ],
);
pub(super) static LOGIN_FIRST: Meaning = meaning(
    Class::Settings,
    ["{host} wants a login before mail", "{host} 要求先登录再发信"],
    [
        "set accounts.{account}.auth to \"login\" (or \"plain\"), and leave out accounts.{account}.port",
        "把 accounts.{account}.auth 设为 \"login\"（或 \"plain\"），并去掉 accounts.{account}.port",
    ],
);
pub(super) static NO_LOGIN_HERE: Meaning = meaning(
    Class::Settings,
    ["port {port} of {host} takes no login in this mode", "{host} 的 {port} 端口在此模式下不接受登录"],
    [
        "set accounts.{account}.port = 465 and accounts.{account}.tls = \"implicit\"",
        "设 accounts.{account}.port = 465、accounts.{account}.tls = \"implicit\"",
    ],
);
pub(super) static LOGIN_KIND: Meaning = meaning(
    Class::Settings,
    ["{host} doesn't know this way to log in", "{host} 不支持这种登录方式"],
    [
        "set accounts.{account}.auth = \"login\" (or \"plain\" if it is \"login\" now)",
        "设 accounts.{account}.auth = \"login\"（如果现在就是 \"login\"，改为 \"plain\"）",
    ],
);
pub(super) static NEEDS_TLS: Meaning = meaning(
    Class::Settings,
    ["{host} wants an encrypted connection on port {port}", "{host} 的 {port} 端口要求加密连接"],
    [
        "set accounts.{account}.tls = \"starttls\", or accounts.{account}.port = 465",
        "设 accounts.{account}.tls = \"starttls\"，或 accounts.{account}.port = 465",
    ],
);

// The account and the sender.

pub(super) static STOPPED: Meaning = meaning(
    Class::Settings,
    ["{host} doesn't let {address} send mail at present", "{host} 目前不允许 {address} 发信"],
    LOOK_ON_WEB,
);
pub(super) static OTHER_SENDER: Meaning = meaning(
    Class::Settings,
    [
        "{host} wants the sender to be the mailbox that logged in, and {address} isn't it",
        "{host} 要求发件人就是登录的邮箱，而 {address} 不是",
    ],
    SAME_ADDRESS,
);
pub(super) static ENVELOPE_DIFFERS: Meaning = meaning(
    Class::Settings,
    [
        "the sender that the mail shows isn't the one that it was handed in with (the envelope), says {host}",
        "{host} 认为邮件显示的发件人与投递时（信封上）的发件人不一致",
    ],
    SAME_ADDRESS,
);
pub(super) static UNREADABLE_FROM: Meaning = meaning(
    Class::Permanent,
    ["{host} can't read the sender in the mail's head", "{host} 无法识别邮件头里的发件人"],
    [
        "leave out mail.from_name, or write it in plain letters; then `notify-done outbox retry`",
        "去掉 mail.from_name，或改用普通字符；然后运行 `notify-done outbox retry`",
    ],
);
pub(super) static BAD_OWN_ADDRESS: Meaning = meaning(
    Class::Settings,
    ["{host} can't read the sender's address {address}", "{host} 无法识别发件人地址 {address}"],
    [
        "correct accounts.{account}.address in notify.toml: the bare address of the mailbox, as its web page shows it",
        "改正 notify.toml 里的 accounts.{account}.address：只写邮箱地址本身，与网页上显示的一致",
    ],
);
pub(super) static SENDER_REFUSED: Meaning = meaning(
    Class::Settings,
    ["{host} doesn't take mail from {address}", "{host} 不接受 {address} 作为发件人"],
    [
        "check that accounts.{account}.address is the mailbox that logs in ({login}); then see on the web whether {host} has a notice for it",
        "确认 accounts.{account}.address 就是登录的邮箱（{login}）；再到网页邮箱看看是否有提示",
    ],
);

// The message.

pub(super) static TOO_LARGE: Meaning = meaning(
    Class::TooLarge,
    ["the mail is larger than {host} takes", "邮件超过了 {host} 的大小限制"],
    SMALLER,
);
pub(super) static BAD_ATTACHMENT: Meaning = meaning(
    Class::Content,
    ["{host} doesn't take this kind of attachment", "{host} 不接受这种附件"],
    [
        "attach it under another name, or in a .zip; or attach nothing: log.attach = \"none\"",
        "换一个文件名，或打包成 .zip；也可以不带附件：log.attach = \"none\"",
    ],
);
pub(super) static VIRUS: Meaning = meaning(
    Class::Content,
    ["{host} believes that the mail holds a virus", "{host} 认为邮件里有病毒"],
    [
        "if the output is harmless, keep it out of the mail: log.attach = \"none\" and log.tail_lines = 0",
        "如果输出内容没有问题，可不放进邮件：设 log.attach = \"none\"、log.tail_lines = 0",
    ],
);
pub(super) static SPAM: Meaning = meaning(
    Class::Content,
    ["{host} takes the mail for spam", "{host} 认为这封邮件是垃圾邮件"],
    LESS_LIKE_SPAM,
);
pub(super) static POLICY: Meaning = meaning(
    Class::Content,
    [
        "{host} refused the mail by a rule of its own, most often one against spam",
        "{host} 按自己的规则拒收了这封邮件，多半是反垃圾规则",
    ],
    LESS_LIKE_SPAM,
);
pub(super) static SPAM_SOON: Meaning = meaning(
    Class::Transient,
    [
        "{host} isn't sure whether the mail is spam, and wants it to be sent again in some minutes",
        "{host} 怀疑这是垃圾邮件，要求几分钟后再发一次",
    ],
    [
        "the same mail may pass in some minutes; if this comes often, have the recipient put {address} into the address book or white list",
        "几分钟后再发也许能通过；如果经常这样，请收件人把 {address} 加入通讯录或白名单",
    ],
);
pub(super) static SPAM_LATER: Meaning = meaning(
    Class::Throttled,
    [
        "{host} isn't sure whether the mail is spam, and wants it later",
        "{host} 怀疑这是垃圾邮件，要求晚些再发",
    ],
    [
        "the same mail may pass in an hour; if this comes often, have the recipient put {address} into the address book or white list",
        "一小时后再发也许能通过；如果经常这样，请收件人把 {address} 加入通讯录或白名单",
    ],
);
pub(super) static ASCII_ONLY: Meaning = meaning(
    Class::Permanent,
    ["{host} takes only addresses in ASCII letters", "{host} 只接受由英文字母和数字组成的邮箱地址"],
    ["use an address in ASCII letters", "请换用由英文字母和数字组成的地址"],
);

// Too much, too often.

pub(super) static TOO_OFTEN: Meaning = meaning(
    Class::Throttled,
    [
        "{host} finds that {address}, or this machine, sends too often",
        "{host} 认为 {address}（或本机）发信过于频繁",
    ],
    WAIT_HOUR,
);
pub(super) static LESS_MAIL: Meaning = meaning(
    Class::Throttled,
    [
        "{host} wants less mail from {address}, or from this machine's network, for a while",
        "{host} 要求 {address}（或本机所在网络）暂时少发邮件",
    ],
    WAIT_HOUR,
);
pub(super) static TOO_MANY_COMMANDS: Meaning = meaning(
    Class::Throttled,
    [
        "{host} counted too many commands, or too many wrong ones, in one connection",
        "{host} 认为一次连接里的命令过多，或错误过多",
    ],
    [
        "wait an hour or more; wrong addresses count too: check mail.to, mail.cc and mail.bcc",
        "请等一小时或更久；错误的收件人也会计入，请检查 mail.to、mail.cc、mail.bcc",
    ],
);
pub(super) static RECIPIENT_BUSY: Meaning = meaning(
    Class::Throttled,
    ["this recipient gets too much mail at present, says {host}", "{host} 表示该收件人近期收信过多"],
    WAIT_HOUR,
);
pub(super) static DAY_IS_FULL: Meaning = meaning(
    Class::DailyLimit,
    ["{address} has sent all that {host} allows in a day", "{address} 今天的发信量已达 {host} 的上限"],
    [
        "wait until tomorrow; to have it sooner, add a second account to notify.toml; to send less, mail only long runs or failed ones (notify.min_duration, notify.on = \"failure\")",
        "请等到明天；想早些收到，可在 notify.toml 里再加一个账号；想少发一些，可只通知运行较久或失败的命令（notify.min_duration、notify.on = \"failure\"）",
    ],
);
pub(super) static TOO_MANY_RECIPIENTS: Meaning = meaning(
    Class::Throttled,
    ["more recipients at once than {host} allows", "一次发送的收件人超过 {host} 的上限"],
    [
        "use fewer addresses in mail.to, mail.cc and mail.bcc; the others need an hour or more",
        "减少 mail.to、mail.cc、mail.bcc 里的地址；其余收件人要等一小时或更久",
    ],
);
pub(super) static BUSY: Meaning = meaning(
    Class::Transient,
    ["{host} has too many connections at present", "{host} 目前连接数过多"],
    NOTHING,
);

// The way.

pub(super) static NETWORK: Meaning = meaning(
    Class::Settings,
    [
        "{host} takes no mail from this machine's network: its address is on a black list",
        "{host} 不接受本机所在网络发来的邮件：该 IP 在黑名单里",
    ],
    OWN_SERVER,
);
pub(super) static NOT_AUTHORIZED: Meaning = meaning(
    Class::Settings,
    [
        "{host} doubts that mail from {address} may come this way (SPF, DKIM or DMARC)",
        "{host} 认为 {address} 的邮件不应由此发出（SPF、DKIM 或 DMARC 未通过）",
    ],
    OWN_SERVER,
);
pub(super) static WRONG_SERVER: Meaning = meaning(
    Class::Settings,
    [
        "{host} isn't the server by which {address} sends: it only takes mail in",
        "{host} 不是 {address} 的发信服务器：它只负责收信",
    ],
    OWN_SERVER,
);
pub(super) static NO_RELAY: Meaning = meaning(
    Class::Settings,
    [
        "{host} doesn't pass this mail on to others: it isn't the server by which {address} sends, or the login doesn't count there",
        "{host} 不肯转发这封邮件：它不是 {address} 的发信服务器，或登录在那里无效",
    ],
    OWN_SERVER,
);
pub(super) static HELLO: Meaning = meaning(
    Class::Settings,
    ["{host} didn't understand how notify-done introduced itself", "{host} 不理解 notify-done 的问候命令"],
    FULL_NAME,
);

// The recipients.

pub(super) static NO_SUCH_USER: Meaning = meaning(
    Class::Permanent,
    ["this recipient doesn't exist, says {host}", "{host} 表示收件人不存在"],
    CHECK_TO,
);
pub(super) static BAD_RECIPIENT: Meaning = meaning(
    Class::Permanent,
    ["{host} can't read this recipient's address", "{host} 无法识别这个收件人地址"],
    CHECK_TO,
);
pub(super) static MAILBOX_OFF: Meaning = meaning(
    Class::Permanent,
    ["the recipient's mailbox is disabled, says {host}", "{host} 表示收件人的邮箱已停用"],
    CHECK_TO,
);
pub(super) static MAILBOX_FULL: Meaning = meaning(
    Class::Transient,
    ["the recipient's mailbox is full, says {host}", "{host} 表示收件人的邮箱已满"],
    ["make room in that mailbox, or ask its owner to", "清理该邮箱，或请其主人清理"],
);
pub(super) static UNWANTED: Meaning = meaning(
    Class::Permanent,
    [
        "the recipient, or a rule of that mailbox, doesn't want mail from {address}",
        "收件人（或其邮箱规则）拒收 {address} 的邮件",
    ],
    [
        "have the recipient take {address} off the black list, or send to another mailbox (mail.to)",
        "请收件人把 {address} 移出黑名单，或发到别的邮箱（mail.to）",
    ],
);

// The server.

pub(super) static GREYLISTED: Meaning = meaning(
    Class::Transient,
    [
        "{host} asks unknown senders to come back once (greylisting)",
        "{host} 要求陌生的发件人过一会儿再发一次（灰名单）",
    ],
    NOTHING,
);
pub(super) static SERVER_FULL: Meaning =
    meaning(Class::Transient, ["{host} has no room left at present", "{host} 的存储空间暂时不足"], NOTHING);
pub(super) static SERVER_FAULT: Meaning =
    meaning(Class::Transient, ["{host} has a fault of its own", "{host} 自身出错"], NOTHING);
