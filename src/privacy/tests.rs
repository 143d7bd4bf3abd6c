//! Each row is a line. What stands in ⟦ ⟧ is the secret; a `~` is in no line, it only keeps those who
//! look for leaked tokens from taking ours for some.

use super::*;
use codes::Code;

pub(super) const SECRETS: &[&str] = &[
    // Tokens, alone and where they stand usually.
    "⟦gh~p_0123456789abcdefghijABCDEFGHIJ012345⟧",
    "remote: using gh~o_ without⟨⟩ ⟦gh~o_16C7e42F292c6912E7710c838347Ae178B4a⟧.",
    "x ⟦gh~u_16C7e42F292c6912E7710c838347Ae178B4a⟧ y",
    "(⟦gh~s_16C7e42F292c6912E7710c838347Ae178B4a⟧)",
    "a,⟦gh~r_1B4a2e77838347a7E420ce178F2E7c6912E169246c34⟧,b",
    "⟦github~_pat_11ABCDEFG0abcdefghijkl_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVW⟧",
    "git clone https://oauth2:⟦gl~pat-abcDEF123_-456ghiJKL⟧@gitlab.example.com/a/b.git",
    "CI uses ⟦gl~pat-abcDEF123_-456ghiJKL.01.0w1abcdef⟧",
    "runner ⟦gl~rt-abcDEF123456ghiJKLmn⟧ registered",
    "Login with ⟦h~f_abcdefghijklmnopqrstuvwxyzABCDEFGH⟧ ok",
    "HfApi(token='⟦h~f_abcdefghijklmnopqrstuvwxyzABCDEFGH⟧')",
    "openai.api_key = \"⟦sk-abcd1234efgh5678ijkl9012mnop3456qrst7890uvwx12⟧\"",
    "Incorrect API key provided: ⟦sk-0123456789abcdef0123456789abcdef⟧. You can find",
    "⟦sk-pr~oj-abc_DEF-123456789012345678901234567890⟧",
    "x-api-key: ⟦sk-an~t-api03-abcdefghijklmnop_qrstuvwxyz-0123456789AA⟧",
    "key ⟦sk-or~-v1-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef⟧",
    "aws id ⟦AK~IAIOSFODNN7EXAMPLE⟧",
    "[default] aws_access_key_id=⟦AS~IAIOSFODNN7EXAMPLE⟧",
    "aws_secret_access_key = ⟦wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY⟧",
    "export AWS_SECRET_ACCESS_KEY=⟦wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY⟧",
    "AWS_SESSION_TOKEN=⟦FwoGZXIvYXdzEBYaDExample0123456789+/==⟧",
    "maps?key=⟦AI~zaSyA0123456789abcdefghijklmnopqrstuv⟧&q=x",
    "Authorization: Bearer ⟦ya~29.a0AfH6SMBx-abcdefghijklmnop_qrstuvwxyz.012⟧",
    "client ⟦GOC~SPX-abcdefghijklmnopqrstuvwxyz01⟧",
    "oss: ⟦LT~AI5tAbCdEfGhIjKlMnOpQr⟧",
    "cos secret_id ⟦AK~IDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE⟧",
    "wandb login ⟦0123456789abcdef0123456789abcdef01234567⟧",
    "WANDB_API_KEY=⟦0123456789abcdef0123456789abcdef01234567⟧ python train.py",
    "wandb: Paste an API key from your profile: ⟦0123456789abcdef0123456789abcdef01234567⟧",
    "wandb.login(key=\"⟦0123456789abcdef0123456789abcdef01234567⟧\")",
    "slack ⟦xo~xb-123456789012-123456789012-abcdefghijklmnopqrstuvwx⟧",
    "curl -X POST https://hooks.slack.com/services/⟦T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX⟧",
    "//registry.example.com/:_authToken=⟦np~m_abcdefghijklmnopqrstuvwxyz0123456789⟧",
    "twine: ⟦py~pi-AgEIcHlwaS5vcmcCJDAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMAACKlszLC⟧",
    "stripe ⟦sk_~live_abcdefghijklmnopqrstuvwx⟧",
    "https://oapi.dingtalk.com/robot/send?access_token=⟦0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef⟧",
    "https://open.feishu.cn/open-apis/bot/v2/hook/⟦01234567-89ab-cdef-0123-456789abcdef⟧",
    "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=⟦01234567-89ab-cdef-0123-456789abcdef⟧",
    "https://discord.com/api/webhooks/⟦123456789012345678/abcdefghijklmnopqrstuvwxyz-0123456789_ABCDEFGHIJKLMNOPQRSTUVWXYZ01⟧",
    "https://sctapi.ftqq.com/⟦SCT123456TAbcdefghijklmnopqrstuvwx⟧.send?title=x",
    "jwt ⟦eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U⟧.",
    "cookie: session=⟦eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U⟧; path=/",
    // Given to a name.
    "password=⟦hunter2⟧",
    "password = ⟦hunter2⟧",
    "PASSWORD=⟦123456⟧",
    "passwd: ⟦hunter2⟧",
    "Password: ⟦hunter2⟧",
    "db_password=⟦p@ss,w0rd!⟧ host=x",
    "DB_PASS=⟦s3cr3t⟧",
    "MYSQL_PWD=⟦s3cr3t⟧ mysqldump",
    "Server=tcp:x;Database=y;User ID=z;Password=⟦aB3$x⟧;Encrypt=True;",
    "user=alice&password=⟦hunter2⟧&next=%2F",
    "password=⟦hunter2⟧, user=bob",
    "{\"user\": \"bob\", \"password\": \"⟦hunter \\\"2\\\"⟧\"}",
    "{'password': '⟦hunter2⟧', 'n': 1}",
    "{\\\"password\\\": \\\"⟦hunter2⟧\\\", \\\"n\\\": 1}",
    "connect(user='bob', password='⟦hunter2⟧', timeout=3)",
    "connect(password=b'⟦hunter2⟧')",
    "config[\"password\"] = \"⟦hunter2⟧\"",
    "spring.datasource.password=⟦hunter2⟧",
    "dbPassword: ⟦hunter2⟧",
    "passphrase: ⟦tr0ub4dor&3⟧",
    "+ mysqldump --password=⟦hunter2⟧ db",
    "+ ./deploy --password ⟦hunter2⟧ --host x",
    "+ ./deploy --api-key ⟦abcdef⟧",
    "+ ./deploy --token '⟦abc123def456⟧'",
    "secret=⟦abc⟧",
    "client_secret: ⟦8f14e45fceea167a5a36dedd4bea2543⟧",
    "appSecret=⟦8f14e45fceea167a5a36dedd4bea2543⟧",
    "SECRET_KEY = '⟦django-insecure-abc123⟧'",
    "api_key=⟦abcdef0123⟧",
    "API key: ⟦abcdef0123⟧",
    "X-Api-Key: ⟦abcdef0123⟧",
    "apikey=⟦abcdef0123⟧&q=1",
    "token=⟦abcdef0123456789⟧",
    "\"token\": \"⟦abcdefghijklmnop⟧\"",
    "access_token=⟦short1⟧",
    "ACCESS_TOKEN: ⟦AbCdEfGh⟧",
    "AccountKey=⟦Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==⟧;EndpointSuffix=core",
    "password: str = \"⟦hunter2⟧\"",
    "<password>⟦hunter2⟧</password>",
    "密码：⟦hunter2⟧",
    "密码: ⟦hunter2⟧，请妥善保管",
    "数据库密码=⟦Abc@123⟧",
    "授权码：⟦abcdefghijklmnop⟧",
    "口令：⟦xyz⟧。",
    "Authorization: Basic ⟦YWxhZGRpbjpvcGVuc2VzYW1l⟧",
    "> Authorization: Bearer ⟦abc⟧",
    "'Authorization': 'token ⟦abcdef⟧'",
    "curl -H \"Authorization: Bearer ⟦mF_9.B5f-4.1JqM⟧\" https://x",
    "Proxy-Authorization: Basic ⟦dXNlcjpwYXNz⟧",
    "sent Bearer ⟦abcdef0123456789abcdef⟧",
    "curl -u alice:⟦hunter2⟧ https://x",
    "sshpass -p ⟦hunter2⟧ ssh x",
    "postgres://bob:⟦hunter2⟧@db:5432/x",
    "redis://:⟦hunter2⟧@cache:6379/0",
    "http_proxy=http://u:⟦p@ss:w0rd⟧@proxy:3128",
    "mongodb+srv://u:⟦p%40ss⟧@c.example.com/?retryWrites=true",
    // Coloured, drawn over, split by what a terminal doesn't show.
    "password\x1b[0m=\x1b[32m⟦hunter2⟧\x1b[0m ok",
    "\x1b[1;31mtoken\x1b[0m: \x1b[33m\"⟦abcdef0123456789⟧\"\x1b[0m",
    "p\x08pa\x08as\x08ss\x08sw\x08wo\x08or\x08rd\x08d=⟦h\x08hu\x08un\x08nt\x08te\x08er\x08r2\x082⟧",
    "password=hidden\rpassword=⟦hunter2⟧\r",
    "\x1b]8;;https://u:⟦hunter2⟧@h/\x07link\x1b]8;;\x07",
    "\x1b]0;password=⟦hunter2⟧\x07prompt",
    "p\0a\0s\0s\0w\0o\0r\0d\0=\0⟦h\0u\0n\0t\0e\0r\x002⟧\0",
    "{\"log\": \"a\\n⟦AK~IAIOSFODNN7EXAMPLE⟧\\nb\"}",
    "printf '\\033[1;32m⟦gh~p_0123456789abcdefghijABCDEFGHIJ012345⟧\\033[0m'",
    "x=%3D⟦gh~p_0123456789abcdefghijABCDEFGHIJ012345⟧%26",
    "\u{e9}password=⟦hunter2⟧ \u{e9}x",
];

/// Lines that stay as they are.
const HARMLESS: &[&str] = &[
    "tokens=512",
    "token_count=3",
    "password=None",
    "max_tokens: 4096",
    "<password>",
    "secret_key = os.environ[\"SECRET_KEY\"]",
    "num_tokens=1234",
    "tokenizer=AutoTokenizer",
    "tokenizer: bert-base-uncased",
    "tokens/s: 12345.6",
    "token=512",
    "token: 1024",
    "token='Paris'",
    "next token: the",
    "pad_token=[PAD] eos_token=</s> bos_token=<s>",
    "eos_token: '<|endoftext|>'",
    "pad_token_id=50256",
    "token_type_ids=tensor([[0, 0]])",
    "new tokens: 12, total tokens: 99",
    "time per token: 12.5ms/step",
    "max_token=2048",
    "prompt_token: 2024-11-28T10:00:00",
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
    "HEAD is now at 9fceb02 Fix the tokenizer",
    "d41d8cd98f00b204e9800998ecf8427e  empty.bin",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "wandb: Run data is saved locally in /tmp/wandb/run-1",
    "wandb: git commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
    "Successfully installed sk-learn-contrib-0.1 scikit-learn-1.5.0",
    "from hf_hub import x; hf_transfer=1",
    "import sk-learn",
    "task-abcdefghijklmnopqrstuvwxyz0123456789",
    "risk-abcdefghijklmnopqrstuvwxyz0123456789",
    "npm_config_registry=https://registry.example.com",
    "npm_lifecycle_event=build",
    "pypi-server running",
    "AKIA is a prefix",
    "xAKIAIOSFODNN7EXAMPLEx",
    "AKIAIOSFODNN7EXAMPLEANDMORELETTERS",
    "AIza",
    "eyJ0 is how a JWT begins",
    "eyJhbGciOiJIUzI1NiJ9 only a header",
    "password:",
    "Password: ",
    "[sudo] password for alice:",
    "Enter passphrase for key '/home/a/.ssh/id':",
    "password: str",
    "password: Optional[str] = None",
    "password: string;",
    "password='' # empty",
    "password=\"\"",
    "\"password\": null,",
    "\"password\": \"********\"",
    "password=****",
    "password=xxxxxx",
    "password: [redacted]",
    "password=[redacted]",
    "password: <hidden>",
    "password=${DB_PASSWORD}",
    "password=$DB_PASSWORD",
    "password=%(password)s",
    "password={password}",
    "password: {{ vault_password }}",
    "password = getpass.getpass()",
    "password = input(\"Password: \")",
    "print(\"Enter password: \", file=x)",
    "print('the password: ', x, 'and', y)",
    "token = get_token()",
    "api_key=args.api_key, model=x",
    "client = Client(api_key=self.api_key)",
    "login(user, password=password)",
    "login(token=token)",
    "login(token=auth_token)",
    "Error: password is required",
    "Error: password: incorrect",
    "token: expired",
    "error: token: invalid",
    "Unexpected token: }",
    "SyntaxError: Unexpected token '<', \"<!DOCTYPE\"... is not valid JSON",
    "usage: x [--password PASSWORD] [--token TOKEN]",
    "  --password <password>   the password",
    "  --password=VALUE",
    "  --token is required",
    "--password must be given",
    "--token --verbose",
    "PWD=/home/alice",
    "OLDPWD=/home/alice/x",
    "pwd: /home/alice",
    "private_key=/etc/ssl/private.pem",
    "credentials: ~/.aws/credentials",
    "passed=12 failed=0",
    "12 passed, 3 skipped",
    "pass: 12",
    "forward_pass: 0.3s",
    "test_password_reset PASSED",
    "tests/test_token.py::test_secret PASSED",
    "secrets: 3 found",
    "password_hash_rounds=12",
    "passwords match",
    "keyboard: us",
    "key=value",
    "monkey: banana",
    "primary_key=id",
    "secret/my-secret created",
    "token::next()",
    "crate::secret::Secret",
    "密码错误",
    "密码：错误",
    "密码:不能为空",
    "请输入密码：",
    "Bearer of bad news: everything-is-broken",
    "authorization: required",
    "Authorization: Bearer <token>",
    "Authorization: Bearer $TOKEN",
    "http://localhost:8080/@scope/pkg",
    "ssh://git@github.com/a/b.git",
    "git@github.com:a/b.git",
    "https://user@host/x",
    "https://user:${PASS}@host/x",
    "https://user:<password>@host",
    "http://[::1]:8080/x@y",
    "Listening on http://0.0.0.0:8000 as a@b",
    "docker run --user 1000:1000 x",
    "curl https://x/ -o y",
    "cargo build -p notify-done",
    "-----BEGIN CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----",
    "expected -----BEGIN PRIVATE KEY-----",
    "https://open.feishu.cn/open-apis/bot/v2/hook/",
    "epoch 1: loss 0.53, tokens 1.2M, lr 1e-4",
    "\x1b[32mpassword\x1b[0m=\x1b[33mNone\x1b[0m",
];

pub(super) fn row(line: &str) -> (String, String) {
    let line = line.replace('~', "").replace("⟨⟩", "");
    let mut hidden = String::new();
    let mut rest = line.as_str();
    while let Some((before, behind)) = rest.split_once('⟦') {
        let (_, behind) = behind.split_once('⟧').expect("each ⟦ has its ⟧");
        hidden.push_str(before);
        hidden.push_str(MARK);
        rest = behind;
    }
    hidden.push_str(rest);
    (line.replace(['⟦', '⟧'], ""), hidden)
}

pub(super) fn all() -> Redactor {
    Redactor::new(&Options::default())
}

fn redacted(redactor: &Redactor, text: &str) -> String {
    redactor.text(text).0.into_owned()
}

/// Catches a token that gets into a mail, or that takes its surroundings with it.
#[test]
fn secrets_go_and_nothing_else() {
    let redactor = all();
    let mut wrong = Vec::new();
    for line in SECRETS {
        let (text, hidden) = row(line);
        let (clean, places) = redactor.text(&text);
        if clean != hidden || places == 0 {
            wrong.push(format!("{text:?}\n  gave {clean:?}\n  not  {hidden:?} ({places})"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), SECRETS.len(), wrong.join("\n"));
    assert!(SECRETS.len() >= 80);
}

/// Catches a log that is no longer to be read, because much that looks like a secret is none.
#[test]
fn what_is_harmless_stays() {
    let redactor = all();
    let wrong: Vec<_> = HARMLESS
        .iter()
        .filter(|line| redactor.text(line).1 > 0)
        .map(|line| format!("{line:?} became {:?}", redactor.text(line).0))
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), HARMLESS.len(), wrong.join("\n"));
    assert!(HARMLESS.len() >= 80);
}

const CODE: &str = "abcdefghijklmnop";

fn with_codes() -> Redactor {
    let keep: Vec<_> = builtin::KINDS.iter().map(|(_, kind)| *kind).collect();
    Redactor::new(&Options {
        codes: &[Code { code: CODE }, Code { code: "a/b\"c d+" }, Code { code: "pa55" }],
        keep: &keep,
        ..Options::default()
    })
}

/// Catches a code that gets out as a server's answer, a URL or an AUTH line has it.
#[test]
fn codes_go_in_every_form() {
    let redactor = with_codes();
    for (text, clean) in [
        ("x abcdefghijklmnop y", "x [redacted] y"),
        ("xabcdefghijklmnopy", "x[redacted]y"),
        ("abcd efgh ijkl mnop", "[redacted]"),
        ("6162636465666768696a6b6c6d6e6f70", "[redacted]"),
        ("6162636465666768696A6B6C6D6E6F70.", "[redacted]."),
        ("AUTH LOGIN YWJjZGVmZ2hpamtsbW5vcA==", "AUTH LOGIN [redacted]"),
        // "\0u@qq.com\0" + code, then with one letter more before, and one more.
        ("AUTH PLAIN AHVAcXEuY29tAGFiY2RlZmdoaWprbG1ub3A=", "AUTH PLAIN [redacted]"),
        ("AUTH PLAIN AHV1QHFxLmNvbQBhYmNkZWZnaGlqa2xtbm9w", "AUTH PLAIN [redacted]"),
        ("AUTH PLAIN AHV1dUBxcS5jb20AYWJjZGVmZ2hpamtsbW5vcA==", "AUTH PLAIN [redacted]"),
        ("a%2Fb%22c%20d%2B a%2fb%22c%20d%2b", "[redacted] [redacted]"),
        ("\"a/b\\\"c d+\"", "\"[redacted]\""),
        ("pa55 xpa55 pa55x", "[redacted] xpa55 pa55x"),
        ("abcdefghijklmno abcdefghijklmnox", "abcdefghijklmno abcdefghijklmnox"),
        ("abcabcdefghijklmnop", "abc[redacted]"),
    ] {
        assert_eq!(redacted(&redactor, text), clean, "{text}");
    }
}

/// Catches a place that is counted twice: a code inside of a token that a colour cuts in two.
#[test]
fn a_place_is_counted_once() {
    let redactor = Redactor::new(&Options { codes: &[Code { code: CODE }], ..Options::default() });
    let text = "xox~b-1234567\u{1b}[1m89012-123456789012-abcdefghijklmnopqrstuvwx\u{1b}[0m".replace('~', "");
    assert_eq!(redactor.text(&text), ("[redacted]\u{1b}[1m\u{1b}[0m".into(), 1));
}

fn with_patterns(patterns: &[&str]) -> Redactor {
    let patterns: Vec<_> = patterns.iter().map(|text| Pattern::new(text).unwrap()).collect();
    Redactor::new(&Options { patterns: &patterns, ..Options::default() })
}

/// Catches a pattern that crosses lines, is put upon escape sequences, or takes more than its group.
#[test]
fn the_users_own_patterns_see_lines() {
    let redactor = with_patterns(&["^id=.*$", "user-(?<secret>[0-9]+)", "(foo|bar)[0-9]", "张三"]);
    for (text, clean) in [
        ("id=1\nxid=2\nid=3\r\nid=4", "[redacted]\nxid=2\n[redacted]\r\n[redacted]"),
        ("user-12 user-x", "user-[redacted] user-x"),
        ("user\x1b[1m-1\x1b[0m2", "user\x1b[1m-[redacted]\x1b[0m"),
        ("foo1bar2", "[redacted][redacted]"),
        ("姓名 张三。", "姓名 [redacted]。"),
    ] {
        assert_eq!(redacted(&redactor, text), clean, "{text}");
    }
    assert_eq!(redacted(&with_patterns(&[r"\w+"]), "[redacted] x"), "[redacted] [redacted]");
    assert_eq!(with_patterns(&[r"(?-u)\xff"]).bytes(b"a\xffb\xfe").0.as_ref(), b"a[redacted]b\xfe");
}

/// Catches: a pattern that matches everywhere, one that takes all memory, an error that shows it.
#[test]
fn patterns_that_are_no_use_are_refused() {
    let refused = |text| Pattern::new(text).unwrap_err();
    assert_eq!(refused(" "), pattern::Unfit::Empty);
    assert_eq!(refused("x*"), pattern::Unfit::MatchesNothing);
    assert_eq!(refused(r"\w{1000}{1000}"), pattern::Unfit::TooLarge);
    let pattern::Unfit::Syntax(why) = refused("geheim(") else { panic!() };
    assert!(why.contains("unclosed group") && !why.contains("geheim"), "{why}");
}

/// Catches a kind that can't be switched off, or takes others with it.
#[test]
fn each_kind_can_be_kept() {
    let keep = |kinds: &[Kind]| Redactor::new(&Options { keep: kinds, ..Options::default() });
    assert_eq!(
        redacted(&keep(&[Kind::Aws]), "AKIAIOSFODNN7EXAMPLE password=x"),
        "AKIAIOSFODNN7EXAMPLE password=[redacted]"
    );
    assert_eq!(redacted(&keep(&[Kind::Password]), "password=x secret=y"), "password=x secret=[redacted]");
    assert_eq!(redacted(&keep(&[Kind::Url]), "http://a:b@c"), "http://a:b@c");
    let all: Vec<_> = builtin::KINDS.iter().map(|(_, kind)| *kind).collect();
    for line in SECRETS {
        let (text, _) = row(line);
        assert_eq!(redacted(&keep(&all), &text), text);
    }
    for (name, kind) in builtin::KINDS {
        assert_eq!(name.parse(), Ok(kind));
    }
}

const KEY: &str = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn\n\
                   ygWyF8PbnGy0AHB7MhgHcTz6sE2I2yPB\nAb3d\n-----END RSA PRIVATE KEY-----\nAb3d\n";

/// Catches a key whose lines stay, because another stream's stand between, a log puts something before
/// each, or they come one by one; and a log that ends behind half a key.
#[test]
fn private_keys_go_over_many_lines() {
    let clean = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n[redacted]\n[redacted]\n[redacted]\n\
                 -----END RSA PRIVATE KEY-----\nAb3d\n";
    let redactor = all();
    assert_eq!(redactor.text(KEY), (clean.into(), 1));
    let mut lines = redactor.lines();
    let (mut one_by_one, mut places) = (String::new(), 0);
    for line in KEY.split_inclusive('\n') {
        let (bytes, found) = lines.next(line.as_bytes());
        one_by_one.push_str(std::str::from_utf8(&bytes).unwrap());
        places += found;
    }
    assert_eq!((one_by_one.as_str(), places), (clean, 1));
    let between = KEY.replace("\nygWy", "\nwarning disk almost full\nygWy");
    assert!(!redacted(&redactor, &between).contains("ygWy"));
    assert!(redacted(&redactor, &between).contains("disk almost full"));
    let long = "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfnygWyF8PbnGy0AHB7MhgHcTz6sE2I2yPB0";
    let prefixed = format!("web_1 | -----BEGIN PRIVATE KEY-----\nweb_1 | {long}\nweb_1 | x\n");
    assert_eq!(redacted(&redactor, &prefixed), prefixed.replace(long, MARK));
    let json = format!(
        "{{\"private_key_id\": \"1\", \"k\": \"-----BEGIN PRIVATE KEY-----\\n{long}\\n-----END PRIVATE KEY-----\\n\"}}"
    );
    assert_eq!(redacted(&redactor, &json), json.replace(&format!("\\n{long}\\n"), MARK));
    let after = format!(
        "-----BEGIN PRIVATE KEY-----\n{long}\n{}{long}\n",
        "other: words here\nand some more\n".repeat(9)
    );
    assert!(redacted(&redactor, &after).ends_with(&format!("{long}\n")));
}

/// Catches `--password` in one word of a command line and the password in the next.
#[test]
fn words_of_a_command_line() {
    let redactor = all();
    for (words, clean) in [
        ("x --password hunter2 y", "x --password [redacted] y"),
        ("x --password=hunter2", "x --password=[redacted]"),
        ("x --password is", "x --password [redacted]"),
        ("x --db-password -abc", "x --db-password [redacted]"),
        ("x --token 512 --password --verbose", "x --token 512 --password --verbose"),
        ("x --token abc --tokenizer bert", "x --token [redacted] --tokenizer bert"),
        ("curl -u a:b https://c:d@e/", "curl -u a:[redacted] https://c:[redacted]@e/"),
        ("docker run -u 1:1 x", "docker run -u 1:1 x"),
        ("/usr/bin/sshpass -p x ssh", "/usr/bin/sshpass -p [redacted] ssh"),
        ("mysql -p x", "mysql -p x"),
    ] {
        let words: Vec<_> = words.split(' ').map(str::to_owned).collect();
        assert_eq!(redactor.words(&words).0.join(" "), clean);
    }
}

/// Catches a token that is cut in two where a long line's windows meet, a stream that differs from its
/// lines, and places that are counted twice.
#[test]
fn long_lines_have_no_seams() {
    let redactor = all();
    let token = concat!("gh", "p_0123456789abcdefghijABCDEFGHIJ012345");
    for at in [
        0,
        100,
        stream::LINE - 60,
        stream::LINE - 20,
        stream::LINE - 1,
        stream::LINE,
        stream::WHOLE - 20,
        3 * stream::LINE - 9,
        300_000,
    ] {
        for (before, secret, behind) in
            [(" ", token, " "), (" password=\"", "hunter2 and more", "\" "), ("\x1b[1m ", token, "\x1b[0m ")]
        {
            let mut line = vec![b'x'; 400_000];
            let planted = format!("{before}{secret}{behind}");
            line.splice(at..at, planted.bytes());
            let clean = format!("{before}{MARK}{behind}");
            let mut expected = vec![b'x'; 400_000];
            expected.splice(at..at, clean.bytes());
            let (found, places) = redactor.bytes(&line);
            assert!(found == expected && places == 1, "at {at}: {places} places");
        }
    }
}

/// Catches a secret longer than all windows whose end gets through.
#[test]
fn what_is_longer_than_the_windows_goes_to_the_next_blank() {
    let long = format!("password={} next", "ab1".repeat(100_000));
    let (clean, _) = all().bytes(long.as_bytes());
    let clean = String::from_utf8_lossy(&clean).into_owned();
    assert!(
        clean.starts_with("password=[redacted]") && clean.ends_with(" next") && !clean.contains("ab1"),
        "{} bytes",
        clean.len()
    );
}

/// Catches: a log cut inside a password, or between it and its name, so that half of it is sent.
#[test]
fn a_cut_stays_clear_of_what_goes() {
    let redactor = Redactor::new(&Options::default());
    let line = b"x=1 password=hunter2hunter2 y=2 ".repeat(3);
    let (name, value, end) = (4 + 32, 13 + 32, 27 + 32);
    for at in name..value {
        assert_eq!(redactor.cut_around(&line, at).start, at, "a head may end here");
    }
    for at in name..end {
        let cut = redactor.cut_around(&line, at);
        assert!(cut.end >= end && cut.start <= at, "{at}: {cut:?}");
        let (head, _) = redactor.bytes(&line[..cut.start]);
        let (tail, _) = redactor.bytes(&line[cut.end..]);
        for part in [head, tail] {
            assert!(memchr::memmem::find(&part, b"nter").is_none(), "{at}: {}", part.escape_ascii());
        }
    }
    // Between lines there is nothing to be clear of, but inside a private key.
    let lines = b"password=hunter2hunter2\npassword=hunter2hunter2\n";
    assert_eq!(redactor.cut_around(lines, 24), 24..24);
    assert_eq!(redactor.cut_around(lines, 0), 0..0);
    let key = b"a\n-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASD\n-----END PRIVATE KEY-----\nb\n";
    assert_eq!(redactor.cut_around(key, 63).end, 95);
}
