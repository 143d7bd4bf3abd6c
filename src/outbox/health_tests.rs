use super::*;
use crate::deliver::verdict::{Cause, Reply};

fn at(time: &str) -> Timestamp {
    format!("2026-11-{time}:00Z").parse().unwrap()
}

fn new() -> Health {
    Health::new("10001@qq.com", "smtp.qq.com", "00".into())
}

fn attempt(outcome: Outcome) -> Attempt {
    let endpoint = crate::config::Endpoint { port: 465, tls: crate::config::Tls::Implicit };
    Attempt { recipients: Vec::new(), outcome, endpoint, elapsed: std::time::Duration::ZERO }
}

fn failed(stage: Stage, class: Class) -> Attempt {
    let cause = Cause::Reply(Reply { code: 535, text: "Login fail.".into() });
    let outcome = Outcome::Failed(Failure { stage, class, cause });
    attempt(outcome)
}

fn sent() -> Attempt {
    let receipt = Reply { code: 250, text: "OK".into() };
    attempt(Outcome::Accepted { receipt })
}

/// As a drain does it.
fn try_login(health: &mut Health, tag: &str, now: Timestamp, attempt: &Attempt) {
    let before = health.clone();
    health.reserve(tag, now);
    health.learn(&before, attempt, tag, now);
}

fn may(health: &Health, tag: &str, now: Timestamp) -> bool {
    health.permit(tag, now, Urgency::Asked) == Permit::Go
}

/// Catches: a refused code that is tried for each mail, one that is never tried again although QQ was
/// only busy, one that is tried for ever, a new code that has to wait.
#[test]
fn a_refused_login_is_tried_three_times_more() {
    let mut health = new();
    let refused = failed(Stage::Auth, Class::Credentials);
    assert!(may(&health, "a", at("21T12:00")));
    let mut times = Vec::new();
    let mut now = at("21T12:00");
    for _ in 0..20 * 24 * 60 {
        if may(&health, "a", now) {
            times.push(now);
            try_login(&mut health, "a", now, &refused);
        }
        now += SignedDuration::from_mins(1);
    }
    assert_eq!(times, [at("21T12:00"), at("21T13:00"), at("21T19:00"), at("22T19:00")]);
    assert_eq!(health.next_use(), None);
    assert!(may(&health, "b", at("22T19:01")), "the code has changed");
    assert_eq!(health.permit("a", now, Urgency::Forced), Permit::Go);
    try_login(&mut health, "b", now, &refused);
    assert_eq!(health.refusal.as_ref().unwrap().count, 1, "each code counts for itself");
    try_login(&mut health, "b", now, &sent());
    assert_eq!(health, new());
}

/// Catches: eight processes that all make the one login that is due; a login that was never made, since
/// the network was down, counted as one.
#[test]
fn a_login_is_reserved() {
    let mut health = new();
    try_login(&mut health, "a", at("21T12:00"), &failed(Stage::Auth, Class::Credentials));
    let before = health.clone();
    assert!(health.reserve("a", at("21T13:00")));
    assert!(!may(&health, "a", at("21T13:00")));
    health.learn(&before, &failed(Stage::Connect, Class::Transient), "a", at("21T13:00"));
    assert!(may(&health, "a", at("21T13:00")) && health.refusal == before.refusal);
    assert!(!health.reserve("b", at("21T13:00")), "another code isn't held");
    health.learn(&before, &failed(Stage::Prepare, Class::Settings), "a", at("21T13:00"));
    assert_eq!(health.refusal, before.refusal);
}

/// Catches: an account that a provider asked to wait hammered by the next run, pauses that don't grow, a
/// clock that was set back making it wait for years.
#[test]
fn a_throttled_account_rests() {
    let mut health = new();
    let throttled = failed(Stage::MailFrom, Class::Throttled);
    try_login(&mut health, "a", at("21T12:00"), &throttled);
    assert!(!may(&health, "a", at("21T12:59")) && may(&health, "a", at("21T13:00")));
    assert!(!may(&health, "b", at("21T12:59")), "another code doesn't help");
    try_login(&mut health, "a", at("21T13:00"), &throttled);
    assert!(!may(&health, "a", at("21T14:59")) && may(&health, "a", at("21T15:00")));
    assert!(may(&health, "a", at("01T12:00")), "the clock was set back");
    try_login(&mut health, "a", at("21T15:00"), &failed(Stage::MailFrom, Class::DailyLimit));
    assert_eq!(health.next_use(), Some(at("21T16:10")));
}

/// Catches: an old refusal that outlives a login that went well, or that a broken network wipes out.
#[test]
fn a_login_that_went_well_clears_a_refusal() {
    let mut health = new();
    try_login(&mut health, "a", at("21T12:00"), &failed(Stage::Auth, Class::Credentials));
    try_login(&mut health, "a", at("21T13:00"), &failed(Stage::Banner, Class::Transient));
    assert!(health.refusal.is_some());
    // The server dropped the connection instead of answering: one more login, whatever it was.
    try_login(&mut health, "a", at("21T13:00"), &failed(Stage::Auth, Class::Transient));
    assert_eq!(health.refusal.as_ref().unwrap().count, 2);
    try_login(&mut health, "a", at("21T19:00"), &failed(Stage::RcptTo, Class::Permanent));
    assert_eq!(health.refusal, None);
}

/// Catches: a server that closes the door on a wrong code, and is told that code again by each mail that
/// waits.
#[test]
fn an_account_whose_login_has_no_answer_waits_as_a_whole() {
    let mut health = new();
    let silent = failed(Stage::Auth, Class::Transient);
    let mut now = at("21T12:00");
    for minutes in [1, 2, 4, 8] {
        try_login(&mut health, "a", now, &silent);
        let next = now + SignedDuration::from_mins(minutes);
        assert_eq!(health.next_use(), Some(next));
        let before = next - SignedDuration::from_secs(1);
        assert!(health.permit("a", before, Urgency::Due) != Permit::Go && may(&health, "a", before), "asked");
        now = next;
    }
    try_login(&mut health, "a", now, &sent());
    assert_eq!(health, new());
}

#[test]
fn who_was_unreachable_is_not_waited_for() {
    let mut health = new();
    try_login(&mut health, "a", at("21T12:00"), &failed(Stage::Connect, Class::Transient));
    assert!(health.is_unreachable(at("21T12:09")) && !health.is_unreachable(at("21T12:10")));
    assert!(!health.is_unreachable(at("21T11:00")), "by a clock that was set back");
    assert!(may(&health, "a", at("21T12:01")), "but tried");
    try_login(&mut health, "a", at("21T12:01"), &failed(Stage::Body, Class::Transient));
    assert!(!health.is_unreachable(at("21T12:02")));
}

/// Old states load for ever: this text is never changed, only added to.
#[test]
fn states_written_by_version_1_load() {
    let json = r#"{"version": 1, "login": "10001@qq.com", "host": "smtp.qq.com", "salt": "00",
        "refusal": {"count": 2, "last": "2026-11-21T12:00:00Z", "tag": "3f9a",
            "failure": {"stage": "auth", "class": "credentials", "cause": {"reply": {"code": 535, "text": "no"}}}},
        "pause": {"until": "2026-11-21T13:00:00Z", "count": 1,
            "failure": {"stage": "mail_from", "class": "throttled", "cause": "closed"}},
        "unreachable": "2026-11-21T11:00:00Z"}"#;
    let health = Health::from_json(json.as_bytes()).unwrap();
    assert_eq!(health.next_use(), Some(at("21T18:00")));
    assert_eq!(Health::from_json(&health.to_json()).unwrap(), health);
    assert!(Health::from_json(json.replace("\"version\": 1", "\"version\": 2").as_bytes()).is_err());
    assert!(Health::from_json(b"\0").is_err());
}

/// Catches: a login that works and leaves notices held; one that lets them out at once although the
/// provider has asked for less mail.
#[test]
fn a_login_ends_what_a_login_began() {
    let mut health = new();
    try_login(&mut health, "a", at("28T10:00"), &failed(Stage::Auth, Class::Credentials));
    try_login(&mut health, "b", at("28T10:01"), &failed(Stage::Auth, Class::Throttled));
    assert!(health.refusal.is_some() && health.pause.is_some());
    health.logged_in();
    assert!(health.refusal.is_none() && health.pause.is_none());
    try_login(&mut health, "a", at("28T10:02"), &failed(Stage::AfterDot, Class::Throttled));
    health.logged_in();
    assert!(!may(&health, "a", at("28T10:03")));
    health.delivered();
    assert!(may(&health, "a", at("28T10:03")));
}
