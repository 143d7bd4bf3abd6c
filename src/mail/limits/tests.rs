use super::*;

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

/// Catches: words of ours that take more than was left for them.
#[test]
fn our_words_stay_within_their_room() {
    assert!(omission(u64::MAX, false).len() as u64 <= crate::mail::ladder::NOTICE_MAX);
    // Beside it in PART_RESERVE: a name of 200 bytes, in percents and in encoded words, twice as long with
    // all that folds it; boundary and the other headers.
    let name = 3 * 200 + 2 * 200 + 300;
    assert!(encoded_len(shortfall(u64::MAX).len() as u64) + name + 400 <= PART_RESERVE);
    assert!(omission(1_234_567, true).starts_with("===== notify-done: 1,234,567 bytes left out"));
}

/// Catches: a mail for a small server that gets an attachment all the same.
#[test]
fn there_may_be_no_room_at_all() {
    assert_eq!(room(100_000, 1), 0);
    assert_eq!(room(0, u64::MAX), 0);
    // Nearly all of what QQ takes is used: about 53 MB.
    assert!((53_300_000..53_640_000).contains(&room(73_400_320, 1)), "{}", room(73_400_320, 1));
}
