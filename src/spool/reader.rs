//! Reads the end of a log back, with the stream of each line. Reads a bounded number of bytes
//! however long the log is.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::index::{HEADER, Origin, RECORD, Record, records};
use super::tail::{RawLine, RawTail, Stream};
use crate::run::facts::{Holds, LogPart};
use crate::sys::fs::open_regular;

/// No more than this is read from the log's end, bytes.
const WINDOW: u64 = 1024 * 1024;
/// Of a longer line only the end is kept, bytes.
const LINE: usize = 64 * 1024;

/// The last `lines` lines of a part.
///
/// # Errors
/// When the log can't be read; a missing or damaged index only costs the marks of the streams.
pub fn tail(part: &LogPart, lines: usize) -> io::Result<RawTail> {
    let begin = part.cut.as_ref().map_or(part.start, |cut| cut.end);
    let from = begin.max(part.end.saturating_sub(WINDOW));
    let bytes = match open_regular(&part.path).and_then(|file| read_range(&file, from, part.end)) {
        // The disk had no room for the file, or can't read it any more.
        Err(_) if !part.kept.is_empty() => Vec::new(),
        read => read?,
    };
    let marks = if part.spooled && part.holds != Holds::Stderr {
        marks_from(&part.path.with_file_name("index"), from).unwrap_or_default()
    } else {
        Vec::new()
    };
    let default = if part.holds == Holds::Stderr { Stream::Err } else { Stream::Out };
    let mut all = split(&bytes, from, &marks, default);
    // What the disk didn't take came later than what it took.
    all.extend(split(&part.kept, part.end, &[], default));
    let extra = all.len().saturating_sub(lines);
    let kept: Vec<_> = all.drain(extra..).collect();
    let first = kept.first().map_or(part.end, |(offset, _)| *offset);
    Ok(RawTail {
        holds: part.holds,
        skipped_bytes: first - part.start,
        lines: kept.into_iter().map(|(_, line)| line).collect(),
    })
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

/// Splits into lines, each stream by itself: a progress bar on stderr that hasn't ended its line is
/// no part of the line that stdout puts between. A line stands where its last piece begins, and has
/// that offset.
fn split(bytes: &[u8], base: u64, marks: &[Record], default: Stream) -> Vec<(u64, RawLine)> {
    let mut lines = Vec::new();
    // What has begun and not ended: of stdout, of stderr.
    let mut begun: [Option<(u64, Vec<u8>)>; 2] = [None, None];
    for (mut offset, stream, piece) in pieces(bytes, base, marks, default) {
        for part in piece.split_inclusive(|&b| b == b'\n') {
            let (_, mut text) = begun[stream as usize].take().unwrap_or_default();
            text.extend_from_slice(part);
            if part.ends_with(b"\n") {
                lines.push((offset, line(stream, &text)));
            } else {
                begun[stream as usize] = Some((offset, text));
            }
            offset += part.len() as u64;
        }
    }
    let [out, err] = begun;
    for (stream, begun) in [(Stream::Out, out), (Stream::Err, err)] {
        lines.extend(begun.map(|(offset, text)| (offset, line(stream, &text))));
    }
    lines.sort_by_key(|(offset, _)| *offset);
    lines
}

fn line(stream: Stream, text: &[u8]) -> RawLine {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    RawLine { stream, bytes: text[text.len().saturating_sub(LINE)..].to_vec() }
}

/// Cuts where another stream begins.
fn pieces<'a>(bytes: &'a [u8], base: u64, marks: &[Record], default: Stream) -> Vec<(u64, Stream, &'a [u8])> {
    let end = base + bytes.len() as u64;
    let inside = marks.iter().map(|mark| mark.offset).filter(|at| (base + 1..end).contains(at));
    let mut cuts: Vec<u64> = std::iter::once(base).chain(inside).chain([end]).collect();
    cuts.dedup();
    cuts.windows(2)
        .map(|cut| {
            let range =
                usize::try_from(cut[0] - base).unwrap_or(0)..usize::try_from(cut[1] - base).unwrap_or(0);
            (cut[0], stream_at(marks, cut[0]).unwrap_or(default), &bytes[range])
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

/// The records that matter from `offset` on: found by bisection, since the index of a long run
/// may be large itself.
fn marks_from(path: &Path, offset: u64) -> io::Result<Vec<Record>> {
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
    file.seek(SeekFrom::Start(at(low.saturating_sub(2))))?;
    // The window holds at most WINDOW bytes, so at most as many changes of stream.
    let mut bytes = Vec::new();
    file.take(2 * WINDOW * RECORD as u64).read_to_end(&mut bytes)?;
    Ok(records(&bytes).collect())
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

    #[test]
    fn the_last_lines_come_with_their_streams() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = writer(dir.path());
        for n in 0..1000 {
            spool.append(Origin::Stdout, format!("out {n}\n").as_bytes());
            spool.append(Origin::Stderr, format!("err {n}\n").as_bytes());
        }
        spool.append(Origin::Stdout, b"no line end");
        let tail = tail(&part(dir.path(), spool.len()), 3).unwrap();
        let seen: Vec<_> =
            tail.lines.iter().map(|l| (l.stream, String::from_utf8_lossy(&l.bytes).into_owned())).collect();
        assert_eq!(
            seen,
            [
                (Stream::Out, "out 999".to_owned()),
                (Stream::Err, "err 999".to_owned()),
                (Stream::Out, "no line end".to_owned())
            ]
        );
        assert_eq!(tail.skipped_bytes, spool.len() - "out 999\nerr 999\nno line end".len() as u64);
    }

    #[test]
    fn a_bar_on_stderr_is_no_part_of_the_lines_between() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = writer(dir.path());
        for (origin, text) in [
            (Origin::Stderr, "bar 0%"),
            (Origin::Stdout, "epoch 1\nepo"),
            (Origin::Stderr, "\rbar 50%"),
            (Origin::Stdout, "ch 2\n"),
            (Origin::Stderr, "\rbar 100%"),
            (Origin::Stdout, "waiting"),
        ] {
            spool.append(origin, text.as_bytes());
        }
        let tail = tail(&part(dir.path(), spool.len()), 9).unwrap();
        let seen: Vec<_> =
            tail.lines.iter().map(|l| (l.stream, String::from_utf8_lossy(&l.bytes).into_owned())).collect();
        assert_eq!(
            seen,
            [
                (Stream::Out, "epoch 1".to_owned()),
                (Stream::Out, "epoch 2".to_owned()),
                (Stream::Err, "bar 0%\rbar 50%\rbar 100%".to_owned()),
                (Stream::Out, "waiting".to_owned())
            ]
        );
    }

    #[test]
    fn a_log_beyond_the_window_still_marks_its_streams() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = writer(dir.path());
        spool.append(Origin::Stdout, &vec![b'x'; 3 * 1024 * 1024]);
        spool.append(Origin::Stderr, b"\nTraceback\n");
        let tail = tail(&part(dir.path(), spool.len()), 3).unwrap();
        assert_eq!(tail.lines[0].bytes.len(), LINE);
        assert_eq!(tail.lines[0].stream, Stream::Out);
        assert_eq!(tail.lines[2], RawLine { stream: Stream::Err, bytes: b"Traceback".to_vec() });
    }

    #[test]
    fn a_truncated_log_and_a_missing_index_are_no_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("log"), b"a\nb\n").unwrap();
        let tail = tail(&part(dir.path(), 100), 5).unwrap();
        assert_eq!(tail.lines.len(), 2);
    }

    /// Catches a mail without the last lines, of all those that a full disk would need most: there was not
    /// even room for the log's name.
    #[test]
    fn what_is_kept_is_told_without_a_log() {
        let dir = tempfile::tempdir().unwrap();
        let part = LogPart { kept: b"one\nlast\n".to_vec(), ..part(dir.path(), 0) };
        let lines: Vec<_> = tail(&part, 1).unwrap().lines.into_iter().map(|line| line.bytes).collect();
        assert_eq!(lines, [b"last".to_vec()]);
    }

    /// Catches an excerpt without the end of the output, which the disk didn't take, and one that
    /// shows the zeros of a hole.
    #[test]
    fn what_is_kept_ends_it_and_a_hole_is_no_output() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("log"), b"begin\n\0\0\0\0\0\0after\n").unwrap();
        let part = LogPart { cut: Some(6..12), kept: b"last\n".to_vec(), ..part(dir.path(), 18) };
        let lines: Vec<_> = tail(&part, 9).unwrap().lines.into_iter().map(|line| line.bytes).collect();
        assert_eq!(lines, [b"after".to_vec(), b"last".to_vec()]);
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
            tail(part, 9).unwrap().lines.into_iter().map(|line| line.stream).collect()
        };
        assert_eq!(streams(&part), [Stream::Err; 2]);
        let theirs = LogPart { spooled: false, start: 4, ..part.clone() };
        assert_eq!(streams(&theirs), [Stream::Out]);
        assert_eq!(tail(&theirs, 9).unwrap().skipped_bytes, 0);
        assert_eq!(streams(&LogPart { holds: Holds::Stderr, ..theirs }), [Stream::Err]);
        let index = dir.path().join("index");
        let mut other = std::fs::read(&index).unwrap();
        other[0] ^= 1;
        std::fs::write(&index, other).unwrap();
        assert_eq!(streams(&part), [Stream::Out; 2]);
    }
}
