use super::*;
use crate::mail::limits::TAIL_BYTES;
use crate::run::facts::Holds;

fn part(start: u64, len: u64) -> LogPart {
    LogPart {
        path: "/run/log".into(),
        holds: Holds::Both,
        start,
        end: start + len,
        spooled: true,
        trouble: None,
        cut: None,
        kept: Vec::new(),
    }
}

fn policy(attach: Attach) -> Policy {
    Policy { attach, max_attachment: None, max_message: 0, tail_bytes: TAIL_BYTES }
}

fn room(attached: u64) -> Room {
    Room { attached, raw: u64::MAX }
}

const MIB: u64 = 1 << 20;

/// Catches: a log that needn't be packed packed, and one that is no joy to read as it is not.
#[test]
fn what_is_tried_first() {
    let full = policy(Attach::Full);
    let best = |len, room| best(&part(7, len), &full, room);
    let whole = |shape| Way { carried: Carried::Whole, shape };
    assert_eq!(best(MIB, room(50 * MIB)), whole(Shape::Plain));
    assert_eq!(best(2 * MIB, room(50 * MIB)), whole(Shape::Zip(Effort::Thorough)));
    assert_eq!(best(500 * MIB, room(50 * MIB)), whole(Shape::Zip(Effort::Fast)));
    // Where there is little room it is packed for that.
    assert_eq!(best(MIB, room(MIB / 2)), whole(Shape::Zip(Effort::Thorough)));
    let Way { carried: Carried::Ends { head, tail, omitted }, shape } = best(2048 * MIB, room(50 * MIB))
    else {
        panic!()
    };
    assert_eq!((head + tail + NOTICE_MAX, head + tail + omitted), (ENDS_MOST, 2048 * MIB));
    assert_eq!((head, shape), ((head + tail) / 4, Shape::Zip(Effort::Fast)));
    // What may be attached counts before packing.
    let few = Room { attached: 50 * MIB, raw: 100_000 };
    let Way { carried: Carried::Ends { head, tail, .. }, shape: Shape::Plain } = best(9 * MIB, few) else {
        panic!()
    };
    assert_eq!(head + tail + NOTICE_MAX, 100_000);
}

/// Catches: a ladder without an end, a step that carries more than the one before, a step that is sure not to
/// fit.
#[test]
fn each_step_carries_less_and_the_last_fits() {
    let policy = policy(Attach::Full);
    let sizes = [300, 70_000, MIB, 5 * MIB, 90 * MIB, 500 * MIB, 3000 * MIB];
    for len in sizes {
        for most in [0, 100, 600, 70_000, 900_000, 3 * MIB, 36 * MIB, 53 * MIB] {
            // One that packs to a tenth of what it is, and one that doesn't pack at all.
            for packs in [1, 2, 10] {
                let (part, room) = (part(7, len), room(most));
                let mut way = best(&part, &policy, room);
                let mut steps = 0;
                loop {
                    let carried = raw(&part, way.carried);
                    let bytes = match way.shape {
                        Shape::Plain => plain_len(&pieces(&part, way.carried)),
                        Shape::Zip(_) => carried / packs + 200,
                    };
                    if carried == 0 || bytes <= most {
                        break;
                    }
                    assert!(matches!(way.shape, Shape::Zip(_)), "{way:?} of {len} in {most}");
                    let next = lesser(&part, &policy, room, (way, (most * packs).min(carried)));
                    let tighter = next.carried == way.carried && next.shape != way.shape;
                    assert!(tighter || raw(&part, next.carried) < carried, "{way:?} {next:?}");
                    way = next;
                    steps += 1;
                }
                assert!(steps <= 4, "{steps} steps of {len} in {most}, packs {packs}");
                let carried = raw(&part, way.carried);
                let worth = (most * packs).min(len).min(ENDS_MOST);
                let enough = carried * 10 >= worth * 6 || most < 4 * NOTICE_MAX;
                assert!(enough, "{way:?} of {len} in {most}, {packs}");
            }
        }
    }
}

/// Catches: a log whose bytes grow on their way into the mail, for ever tried again.
#[test]
fn what_grows_on_its_way_is_halved_until_it_is_nothing() {
    let (part, policy) = (part(0, 10_000), policy(Attach::Full));
    let mut way = best(&part, &policy, room(MIB));
    let mut seen = Vec::new();
    while way.carried != Carried::Nothing {
        seen.push(raw(&part, way.carried));
        way = lesser(&part, &policy, room(MIB), (way, 0));
    }
    assert_eq!(seen, [10_000, 4872, 2308, 1026, 385]);
}

#[test]
fn tail_keeps_only_the_end() {
    let policy = policy(Attach::Tail);
    let Way { carried, shape } = best(&part(0, 1_000_000), &policy, room(50 * MIB));
    assert_eq!(carried, Carried::Ends { head: 0, tail: 65_536, omitted: 934_464 });
    assert_eq!(shape, Shape::Plain);
    assert_eq!(best(&part(0, 65_536), &policy, room(50 * MIB)).carried, Carried::Whole);
    let pieces = pieces(&part(0, 1_000_000), carried);
    assert_eq!(pieces, [Piece::Omitted(934_464), Piece::Bytes(934_464..1_000_000)]);
    assert_eq!(plain_len(&pieces), 65_536 + omission(934_464, true).len() as u64);
}

#[test]
fn nothing_is_attached_where_nothing_can_or_should_be() {
    let (full, some) = (policy(Attach::Full), part(0, 5000));
    let case = |part: &LogPart, policy: &Policy, room: Room| best(part, policy, room).carried;
    assert_eq!(case(&some, &policy(Attach::None), room(MIB)), Carried::Nothing);
    assert_eq!(case(&some, &full, Room { attached: MIB, raw: 0 }), Carried::Nothing);
    assert_eq!(case(&some, &full, Room { attached: MIB, raw: 300 }), Carried::Nothing);
    assert_eq!(case(&some, &full, room(0)), Carried::Nothing);
    let replaced = LogPart { trouble: Some(PartTrouble::Replaced), ..some };
    assert_eq!(case(&replaced, &full, room(MIB)), Carried::Nothing);
    assert_eq!(case(&part(7, 0), &full, room(MIB)), Carried::Empty);
    let truncated = LogPart { trouble: Some(PartTrouble::Truncated), ..part(7, 0) };
    assert_eq!(case(&truncated, &full, room(MIB)), Carried::Nothing);
}

/// Catches an attachment that holds the zeros of a hole, or lacks what is left around it.
#[test]
fn a_log_without_its_middle_is_attached_around_it() {
    let log = LogPart { cut: Some(3000..9000), ..part(0, 10_000) };
    let of =
        |most| pieces(&log, best(&log, &policy(Attach::Full), Room { attached: MIB, raw: most }).carried);
    assert_eq!(of(1 << 20), [Piece::Bytes(0..3000), Piece::Omitted(6000), Piece::Bytes(9000..10_000)]);
    assert_eq!(
        of(2000 + NOTICE_MAX),
        [Piece::Bytes(0..500), Piece::Omitted(8500), Piece::Bytes(9000..10_000)],
        "no byte of the hole"
    );
}

/// Catches: a line cut in two where its end was near, one that is left out for the sake of a line as long as
/// the log.
#[test]
fn it_is_cut_where_lines_end() {
    let ends = Carried::Ends { head: 100, tail: 1000, omitted: 5000 };
    let cut = Carried::Ends { head: 90, tail: 993, omitted: 5017 };
    assert_eq!(at_line_ends(ends, 10, 7), cut);
    assert_eq!(at_line_ends(ends, 60, 501), ends);
    assert_eq!(at_line_ends(Carried::Whole, 1, 1), Carried::Whole);
}
