//! Reads the end of a log back, with the streams that wrote it. Reads a bounded number of bytes
//! however long the log is.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::index::{HEADER, Origin, RECORD, Record, records};
use super::tail::{RawTail, Stream};
use crate::run::facts::{Holds, LogPart, PartTrouble};
use crate::sys::fs::open_regular;

/// No more than this is read from the log's end, bytes.
const WINDOW: u64 = 1024 * 1024;
/// Of a line that began before the window only so much is kept, bytes.
const LINE: usize = 64 * 1024;
/// No more changes of stream than this are looked at; with more of them the window is smaller.
const MARKS: u64 = 64 * 1024;

/// The end of a part.
///
/// # Errors
/// When the log can't be read; a missing or damaged index only costs the marks of the streams.
pub fn tail(part: &LogPart) -> io::Result<RawTail> {
    let begin = part.cut.as_ref().map_or(part.start, |cut| cut.end);
    let mut from = begin.max(part.end.saturating_sub(WINDOW));
    let marks = if part.spooled && part.holds != Holds::Stderr {
        marks_from(&part.path.with_file_name("index"), from).unwrap_or_default()
    } else {
        Marks::default()
    };
    from = from.max(marks.since).min(part.end.max(begin));
    let file = match part.trouble {
        // What is there now is another's.
        Some(PartTrouble::Replaced) => Err(io::ErrorKind::NotFound.into()),
        _ => open_regular(&part.path),
    };
    let mut bytes = match file.and_then(|file| read_range(&file, from, part.end)) {
        // The disk had no room for the file, or can't read it any more.
        Err(_) if !part.kept.is_empty() => Vec::new(),
        read => read?,
    };
    if from > begin {
        let partial = cut_line(&bytes);
        bytes.drain(..partial);
        from += partial as u64;
    }
    let default = if part.holds == Holds::Stderr { Stream::Err } else { Stream::Out };
    let mut tail = RawTail::empty(part.holds, from.saturating_sub(part.start));
    for (stream, piece) in pieces(&bytes, from, &marks.records, default) {
        tail.push(stream, piece);
    }
    if !part.kept.is_empty() {
        // What the disk didn't take came later than what it took, and is no part of its last line.
        if tail.bytes.last().is_some_and(|last| *last != b'\n') {
            tail.bytes.push(b'\n');
        }
        tail.push(default, &part.kept);
    }
    Ok(tail)
}

/// How much of the window belongs to a line that began before it. A piece of a line says little, and what
/// is secret in it can't be told; but of a line so long that nothing else would be there, the end is kept
/// from a blank on.
fn cut_line(bytes: &[u8]) -> usize {
    match memchr::memchr(b'\n', bytes) {
        Some(end) if end < LINE => end + 1,
        end => {
            let end = end.unwrap_or(bytes.len());
            let start = end.saturating_sub(LINE);
            let blank = bytes[start..end].iter().take(LINE / 2).position(u8::is_ascii_whitespace);
            // Without a blank, not in the middle of a character.
            let whole = bytes[start..end].iter().take(4).position(|byte| byte & 0xc0 != 0x80);
            start + blank.or(whole).unwrap_or(0)
        }
    }
}

fn read_range(file: &File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(to.saturating_sub(from)).unwrap_or(0)];
    let mut have = 0;
    while have < bytes.len() {
        match file.read_at(&mut bytes[have..], from + have as u64) {
            Ok(0) => break, // shorter than it was: someone truncated it
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    bytes.truncate(have);
    Ok(bytes)
}

/// Cuts where another stream begins.
fn pieces<'a>(bytes: &'a [u8], base: u64, marks: &[Record], default: Stream) -> Vec<(Stream, &'a [u8])> {
    let end = base + bytes.len() as u64;
    let inside = marks.iter().map(|mark| mark.offset).filter(|at| (base + 1..end).contains(at));
    let mut cuts: Vec<u64> = std::iter::once(base).chain(inside).chain([end]).collect();
    cuts.dedup();
    cuts.windows(2)
        .map(|cut| {
            let range =
                usize::try_from(cut[0] - base).unwrap_or(0)..usize::try_from(cut[1] - base).unwrap_or(0);
            (stream_at(marks, cut[0]).unwrap_or(default), bytes.get(range).unwrap_or_default())
        })
        .collect()
}

fn stream_at(marks: &[Record], offset: u64) -> Option<Stream> {
    let next = marks.partition_point(|mark| mark.offset <= offset);
    marks[..next].iter().rev().find_map(|mark| match mark.origin {
        Origin::Stdout | Origin::Merged => Some(Stream::Out),
        Origin::Stderr => Some(Stream::Err),
        Origin::Gap => None,
    })
}

/// Which stream wrote what.
#[derive(Debug, Default)]
struct Marks {
    records: Vec<Record>,
    /// What stands before this offset isn't told.
    since: u64,
}

/// The records that matter from `offset` on: found by bisection, since the index of a long run
/// may be large itself.
fn marks_from(path: &Path, offset: u64) -> io::Result<Marks> {
    let mut file = File::open(path)?;
    let mut header = [0; HEADER.len()];
    file.read_exact(&mut header)?;
    if header != HEADER {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let count = file.metadata()?.len().saturating_sub(HEADER.len() as u64) / RECORD as u64;
    let at = |n: u64| HEADER.len() as u64 + n * RECORD as u64;
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        let mut record = [0; RECORD];
        file.read_exact_at(&mut record, at(middle))?;
        match Record::decode(record) {
            Some(record) if record.offset <= offset => low = middle + 1,
            _ => high = middle,
        }
    }
    // Two before, since the last one may be a gap's mark.
    let first = low.saturating_sub(2).max(count.saturating_sub(MARKS));
    file.seek(SeekFrom::Start(at(first)))?;
    let mut bytes = Vec::new();
    file.take(MARKS * RECORD as u64).read_to_end(&mut bytes)?;
    let records: Vec<Record> = records(&bytes).collect();
    let told = first == 0 || first == low.saturating_sub(2);
    let since = if told { 0 } else { records.first().map_or(0, |record| record.offset) };
    Ok(Marks { records, since })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::writer::tests::writer;

    fn part(dir: &Path, end: u64) -> LogPart {
        LogPart {
            path: dir.join("log"),
            holds: Holds::Both,
            start: 0,
            end,
            spooled: true,
            trouble: None,
            cut: None,
            kept: Vec::new(),
        }
    }

    /// What each stream wrote, in order.
    fn seen(tail: &RawTail) -> Vec<(Stream, String)> {
        let ends = tail.pieces.iter().skip(1).map(|next| next.start as usize).chain([tail.bytes.len()]);
        let text = |range| String::from_utf8_lossy(&tail.bytes[range]).into_owned();
        tail.pieces.iter().zip(ends).map(|(p, end)| (p.stream, text(p.start as usize..end))).collect()
    }

    #[test]
    fn the_last_bytes_come_with_their_streams() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = writer(dir.path());
        for n in 0..100_000 {
            spool.append(Origin::Stdout, format!("out {n}\n").as_bytes());
            spool.append(Origin::Stderr, format!("err {n}\n").as_bytes());
        }
        spool.append(Origin::Stdout, b"no line end");
        let tail = tail(&part(dir.path(), spool.len())).unwrap();
        let seen = seen(&tail);
        assert_eq!(
            seen[seen.len() - 3..],
            [
                (Stream::Out, "out 99999\n".to_owned()),
                (Stream::Err, "err 99999\n".to_owned()),
                (Stream::Out, "no line end".to_owned())
            ]
        );
        // From the first whole line on that the marks tell of.
        assert!(seen[0].1.starts_with("out ") || seen[0].1.starts_with("err "), "{:?}", seen[0]);
        assert!(seen.iter().all(|(stream, text)| text.starts_with("err ") == (*stream == Stream::Err)));
        assert_eq!(tail.skipped_bytes + tail.bytes.len() as u64, spool.len());
        assert!(tail.pieces.len() > 60_000 && tail.pieces.len() as u64 <= MARKS);
    }

    #[test]
    fn a_log_beyond_the_window_still_marks_its_streams() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = writer(dir.path());
        spool.append(Origin::Stdout, &vec![b'x'; 3 * 1024 * 1024]);
        spool.append(Origin::Stderr, b"\nTraceback\n");
        let tail = tail(&part(dir.path(), spool.len())).unwrap();
        let seen = seen(&tail);
        assert_eq!(seen[0], (Stream::Out, "x".repeat(LINE)));
        assert_eq!(seen[1], (Stream::Err, "\nTraceback\n".to_owned()));
    }

    /// Catches half a token, half an escape sequence, half a character at the window's beginning.
    #[test]
    fn a_line_that_began_before_the_window_is_left_out() {
        assert_eq!(cut_line("\u{7ec3}5mtail\nwhole\n".as_bytes()), 10);
        let long = [b"x".repeat(2 * LINE), b" ".to_vec(), b"y".repeat(LINE - 9), b"\nend".to_vec()].concat();
        assert_eq!(long[cut_line(&long)], b' ');
        let wide = "\u{7ec3}".repeat(LINE);
        assert!(std::str::from_utf8(&wide.as_bytes()[cut_line(wide.as_bytes())..]).is_ok());
        assert_eq!(cut_line(b""), 0);
    }

    #[test]
    fn a_truncated_log_and_a_missing_index_are_no_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("log"), b"a\nb\n").unwrap();
        let tail = tail(&part(dir.path(), 100)).unwrap();
        assert_eq!(tail.bytes, b"a\nb\n");
    }

    /// Catches another program's words shown as the command's: its file was put where the log was.
    #[test]
    fn a_file_that_took_the_logs_place_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("log"), b"another's\n").unwrap();
        let part = LogPart { trouble: Some(PartTrouble::Replaced), spooled: false, ..part(dir.path(), 10) };
        assert!(tail(&part).is_err());
    }

    /// Catches a mail without the last lines, of all those that a full disk would need most: there was not
    /// even room for the log's name.
    #[test]
    fn what_is_kept_is_told_without_a_log() {
        let dir = tempfile::tempdir().unwrap();
        let part = LogPart { kept: b"one\nlast\n".to_vec(), ..part(dir.path(), 0) };
        assert_eq!(tail(&part).unwrap().bytes, b"one\nlast\n");
    }

    /// Catches an excerpt without the end of the output, which the disk didn't take, and one that
    /// shows the zeros of a hole.
    #[test]
    fn what_is_kept_ends_it_and_a_hole_is_no_output() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("log"), b"begin\n\0\0\0\0\0\0after").unwrap();
        let part = LogPart { cut: Some(6..12), kept: b"last\n".to_vec(), ..part(dir.path(), 17) };
        let tail = tail(&part).unwrap();
        assert_eq!(String::from_utf8_lossy(&tail.bytes), "after\nlast\n");
        assert_eq!(tail.skipped_bytes, 12);
    }

    /// Catches: stderr alone that is shown as stdout, an index of something else that is believed, and
    /// what stood in a file of the user's before the run counted as output.
    #[test]
    fn streams_are_told_by_what_is_known_of_the_part() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = writer(dir.path());
        spool.append(Origin::Stderr, b"old\nnew\n");
        let part = part(dir.path(), spool.len());
        let streams = |part: &LogPart| -> Vec<Stream> {
            tail(part).unwrap().pieces.into_iter().map(|piece| piece.stream).collect()
        };
        assert_eq!(streams(&part), [Stream::Err]);
        let theirs = LogPart { spooled: false, start: 4, ..part.clone() };
        assert_eq!(streams(&theirs), [Stream::Out]);
        assert_eq!(tail(&theirs).unwrap().skipped_bytes, 0);
        assert_eq!(streams(&LogPart { holds: Holds::Stderr, ..theirs }), [Stream::Err]);
        let index = dir.path().join("index");
        let mut other = std::fs::read(&index).unwrap();
        other[0] ^= 1;
        std::fs::write(&index, other).unwrap();
        assert_eq!(streams(&part), [Stream::Out]);
    }
}
