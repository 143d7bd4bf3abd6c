use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::super::checkup::{AuthCode, Before};
use super::*;
use crate::config::Tls;
use crate::deliver::diagnose::{Scene, diagnose_cause};
use crate::deliver::verdict::{Cause, Class, Stage};

/// Catches: a line wider than the page, a command that can't be copied in one piece, a line that begins
/// with a comma.
#[test]
fn lines_break_where_they_may() {
    let text = "check this: run `notify-done outbox flush --all` now, then look";
    assert_eq!(wrapped(text, 30), ["check this: run", "`notify-done outbox flush --all`", "now, then look"]);
    let text = "授权码错误，请重新生成：设置 → 账号（旧版）";
    let lines = wrapped(text, 12);
    assert!(lines.iter().all(|line| line.width() <= 14), "{lines:?}");
    assert!(
        !lines.iter().any(|line| line.starts_with(['，', '）', '：']) || line.ends_with('（')),
        "{lines:?}"
    );
    assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
    assert_eq!(wrapped("", 10), [""]);
    assert_eq!(wrapped("/a/path/that/is/longer", 10), ["/a/path/that/is/longer"]);
}

fn step(port: u16, stage: Stage, failure: Option<Cause>) -> StepReport {
    let scene = Scene { account: "qq", address: "a@qq.com", login: "a@qq.com", host: "smtp.qq.com", port };
    let diagnosis = failure.map(|cause| diagnose_cause(stage, Class::Transient, &cause, &scene));
    let tls = if port == 465 { Tls::Implicit } else { Tls::StartTls };
    let state = if diagnosis.is_some() { Went::Failed } else { Went::Ok };
    StepReport { stage, state, port, tls, elapsed_ms: Some(7), found: None, diagnosis, decides: false }
}

/// Catches: an account told as broken whose second port works, or a port that nobody is told of.
#[test]
fn another_port_that_works_is_no_failure() {
    let closed = || Some(Cause::Unreachable { detail: "refused".into() });
    let mut account = AccountReport {
        name: "qq".into(),
        address: "a@qq.com".into(),
        host: "smtp.qq.com".into(),
        port: 465,
        tls: Tls::Implicit,
        ok: true,
        auth_code: AuthCode { source: None, warning: None, error: None, fix: None },
        before: Before::default(),
        steps: vec![step(465, Stage::Connect, closed()), step(587, Stage::Connect, None)],
        mail: None,
        transcript: None,
    };
    let drawn = |account: &AccountReport| {
        let reader = Reader { lang: Lang::En, zone: TimeZone::UTC, now: Timestamp::UNIX_EPOCH };
        let reading = Reading { reader, marks: Marks::Signs, config: None };
        let mut page = Page { reading: &reading, text: String::new() };
        page.section("x", &steps(account, &reading.reader));
        page.text
    };
    let page = drawn(&account);
    for part in ["! connection     7 ms", "now by port 587 (STARTTLS):\n", "✓ connection     7 ms"] {
        assert!(page.contains(part), "{part} in:\n{page}");
    }
    assert!(!page.contains("fix: ") && !page.contains('✗'), "{page}");
    account.steps = vec![step(465, Stage::Connect, closed()), step(587, Stage::Connect, closed())];
    account.steps[0].decides = true;
    let page = drawn(&account);
    assert_eq!((page.matches('✗').count(), page.matches("fix: ").count()), (1, 1), "{page}");
}

#[test]
fn times_keep_their_column() {
    assert_eq!([0, 999, 1000, 61_250].map(time), ["0 ms", "999 ms", "1.0 s", "61.2 s"]);
}
