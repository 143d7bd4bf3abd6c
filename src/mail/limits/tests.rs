use super::*;
use crate::mail::compose::{Content, compose};
use crate::mail::testing::{Numbers, file};

fn part(holds: Holds, start: u64, len: u64) -> LogPart {
    LogPart {
        path: "/run/log".into(),
        holds,
        start,
        end: start + len,
        spooled: true,
        trouble: None,
        cut: None,
        kept: Vec::new(),
    }
}

fn policy(max_message: u64) -> Policy {
    Policy { attach: Attach::Full, max_attachment: None, max_message, tail_bytes: TAIL_BYTES }
}

#[test]
fn encoded_len_counts_every_last_line() {
    // Counted by hand: 4 characters for each 3 bytes begun, CRLF after 76 and at the end.
    for (raw, wire) in [(0, 0), (1, 6), (3, 6), (4, 10), (56, 78), (57, 78), (58, 84), (114, 156)] {
        assert_eq!(encoded_len(raw), wire, "{raw} bytes");
    }
}

#[test]
fn decoded_room_is_the_largest_that_fits() {
    for wire in 0..2000 {
        let raw = decoded_room(wire);
        assert!(encoded_len(raw) <= wire, "{raw} bytes don't fit {wire}");
        assert!(encoded_len(raw + 1) > wire, "{} bytes would fit {wire}", raw + 1);
    }
}

#[test]
fn a_log_that_fits_goes_whole() {
    let notes = plan(&[part(Holds::Both, 0, 40_000_000)], &policy(73_400_320));
    assert_eq!(notes[0].carried, Carried::Whole);
    assert_eq!(notes[0].attachment.as_deref(), Some("log.txt"));
    assert_eq!((notes[0].bytes, notes[0].path.as_str()), (40_000_000, "/run/log"));
}

#[test]
fn a_log_too_large_keeps_a_quarter_of_head_and_the_rest_of_tail() {
    let parts = [part(Holds::Both, 1000, 1 << 30)];
    let notes = plan(&parts, &policy(73_400_320));
    let Carried::Ends { head, tail, omitted } = notes[0].carried else { panic!("{notes:?}") };
    assert_eq!(head + tail + omitted, 1 << 30);
    assert_eq!(head, (head + tail) / 4);
    // Nearly all of what QQ takes is used: about 53 MB.
    assert!((53_000_000..53_640_000).contains(&(head + tail)), "{}", head + tail);
    let end = 1000 + (1 << 30);
    assert_eq!(
        attachments(&parts, &notes)[0].pieces,
        [Piece::Log(1000..1000 + head), Piece::Omitted(omitted), Piece::Log(end - tail..end)]
    );
}

#[test]
fn small_parts_go_whole_and_large_ones_share_the_rest() {
    let (small, large) = (part(Holds::Stderr, 0, 900), part(Holds::Stdout, 0, 1 << 30));
    let mut policy = policy(73_400_320);
    policy.max_attachment = Some(1_000_000);
    let notes = plan(&[large.clone(), small, large], &policy);
    let sent: Vec<u64> = notes.iter().map(kept).collect();
    assert_eq!(sent, [499_294, 900, 499_294], "of a million: 900, and half the rest each less the notice");
    let names: Vec<_> = notes.iter().map(|n| n.attachment.as_deref().unwrap()).collect();
    assert_eq!(names, ["stdout.txt", "stderr.txt", "stdout-2.txt"]);
}

#[test]
fn tail_keeps_only_the_end() {
    let mut policy = policy(73_400_320);
    policy.attach = Attach::Tail;
    let parts = [part(Holds::Both, 0, 1_000_000), part(Holds::Stderr, 0, 65_536)];
    let notes = plan(&parts, &policy);
    assert_eq!(notes[0].carried, Carried::Ends { head: 0, tail: 65_536, omitted: 934_464 });
    assert_eq!(notes[1].carried, Carried::Whole);
    assert_eq!(
        attachments(&parts, &notes)[0].pieces,
        [Piece::Omitted(934_464), Piece::Log(934_464..1_000_000)]
    );
}

#[test]
fn nothing_is_attached_where_nothing_can_or_should_be() {
    let full = policy(73_400_320);
    let some = part(Holds::Both, 0, 5000);
    let case = |part: &LogPart, policy: &Policy| {
        let notes = plan(std::slice::from_ref(part), policy);
        assert_eq!(notes[0].attachment, None);
        assert!(attachments(std::slice::from_ref(part), &notes).is_empty());
        notes[0].carried
    };
    assert_eq!(case(&some, &Policy { attach: Attach::None, ..full.clone() }), Carried::Nothing);
    assert_eq!(case(&some, &Policy { max_attachment: Some(0), ..full.clone() }), Carried::Nothing);
    assert_eq!(case(&some, &Policy { max_attachment: Some(300), ..full.clone() }), Carried::Nothing);
    assert_eq!(case(&some, &policy(100_000)), Carried::Nothing);
    let replaced = LogPart { trouble: Some(PartTrouble::Replaced), ..some };
    assert_eq!(case(&replaced, &full), Carried::Nothing);
    assert_eq!(case(&part(Holds::Both, 7, 0), &full), Carried::Empty);
    let truncated = LogPart { trouble: Some(PartTrouble::Truncated), ..part(Holds::Stdout, 7, 0) };
    assert_eq!(case(&truncated, &full), Carried::Nothing);
}

#[test]
fn our_notices_stay_within_their_room() {
    assert!(omission(u64::MAX, false).len() as u64 <= NOTICE_MAX);
    // Beside it in PART_RESERVE: 400 bytes of headers and boundary.
    assert!(encoded_len(shortfall(u64::MAX).len() as u64) + 400 <= PART_RESERVE);
    assert!(omission(1_234_567, true).starts_with("===== notify-done: 1,234,567 bytes left out"));
}

/// Whatever the sizes: header, bodies as large as allowed and attachments stay within the limit,
/// and what was left out wouldn't have fitted by far.
#[test]
fn a_composed_mail_never_exceeds_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "log", &Numbers(1).bytes(2_000_000));
    // Bodies at their worst: every byte needs escaping, every other is a line's end.
    let body = "\u{e9}\n".repeat(MAX_BODIES as usize / 8);
    let mut numbers = Numbers(2);
    for round in 0..150 {
        let most = 300_000 + numbers.below(2_000_000);
        let parts: Vec<LogPart> = (0..1 + numbers.below(3))
            .map(|_| {
                let size = numbers.below(if round % 2 == 0 { 2_000_000 } else { 3_000 });
                LogPart { path: path.clone(), ..part(*numbers.pick(&[Holds::Both, Holds::Stdout]), 0, size) }
            })
            .collect();
        let attach = *numbers.pick(&[Attach::Full, Attach::Full, Attach::Tail]);
        let notes = plan(&parts, &Policy { attach, ..policy(most) });
        let attachments = attachments(&parts, &notes);
        let content =
            Content { text: &body, html: &body, attachments: &attachments, boundary_seed: "20260101T0-1" };
        let bytes = compose(&mut std::io::sink(), &content).unwrap().bytes + HEADERS_RESERVE;
        assert!(bytes <= most, "{bytes} of {most}: {notes:?}");
        if attach == Attach::Full && notes.iter().any(|n| matches!(n.carried, Carried::Ends { .. })) {
            assert!(most - bytes < 30_000, "{} bytes wasted: {notes:?}", most - bytes);
        }
    }
}

fn kept(note: &LogNote) -> u64 {
    match note.carried {
        Carried::Whole => note.bytes,
        Carried::Ends { head, tail, .. } => head + tail,
        Carried::Nothing | Carried::Empty => 0,
    }
}

/// Catches an attachment that holds the zeros of a hole, or lacks what is left around it.
#[test]
fn a_log_without_its_middle_is_attached_around_it() {
    let log = LogPart { cut: Some(3000..9000), ..part(Holds::Both, 0, 10_000) };
    let policy = |most| Policy {
        attach: Attach::Full,
        max_attachment: Some(most),
        max_message: 1 << 30,
        tail_bytes: TAIL_BYTES,
    };
    let pieces = |most| {
        let notes = plan(std::slice::from_ref(&log), &policy(most));
        attachments(std::slice::from_ref(&log), &notes).remove(0).pieces
    };
    assert_eq!(pieces(1 << 20), [Piece::Log(0..3000), Piece::Omitted(6000), Piece::Log(9000..10_000)]);
    assert_eq!(
        pieces(2000 + NOTICE_MAX),
        [Piece::Log(0..500), Piece::Omitted(8500), Piece::Log(9000..10_000)],
        "no byte of the hole"
    );
}
