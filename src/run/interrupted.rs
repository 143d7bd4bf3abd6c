//! The end of a run that nobody lived to see, put together from what it left behind.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::alive::still_runs;
use super::facts::{Death, End, LogPart, PartTrouble, RunFacts, RunStart};
use super::life::Place;
use super::record::{LogSource, Underway};
use crate::spool::index::{HEADER, RECORD, Record};
use crate::sys::fs::{self, open_regular};

/// What is known of the run in `folder`. Its length is told by the monotonic clock: the last stamp
/// of its output or its last sign of life ([`last_sign`](super::alive::last_sign)), whichever is later.
pub fn facts(
    folder: &Path,
    start: &RunStart,
    underway: &Underway,
    last_sign: Option<Duration>,
    (why, here): (Death, &Place),
) -> RunFacts {
    let stamp = last_stamp(&folder.join("index")).ok().flatten();
    let duration = stamp.max(last_sign).unwrap_or_default();
    let owner = &underway.owner;
    let still_running = owner
        .command
        .filter(|command| owner.place.is_here(here) && still_runs(*command))
        .map(|command| command.pid);
    let spooled = stamp.and_then(|stamp| start.started.checked_add(stamp).ok());
    let last_output = underway.log.iter().filter_map(|source| last_written(source, start)).max();
    RunFacts {
        start: start.clone(),
        ended: start.started.checked_add(duration).unwrap_or(start.started),
        duration,
        end: End::Interrupted { why, last_output: spooled.max(last_output), still_running },
        usage: None,
        out_of_memory: None,
        log: log_so_far(folder, &underway.log),
    }
}

/// The parts of the log as they are now, of a run that is under way or was cut off.
pub fn log_so_far(folder: &Path, sources: &[LogSource]) -> Vec<LogPart> {
    let part = |source: &LogSource| {
        // Our own lies where the folder does, even if the user has moved that.
        let ours = LogSource { path: folder.join("log"), ..source.clone() };
        let source = if source.inode.is_none() { &ours } else { source };
        let file = open_regular(&source.path).ok();
        let found = file.as_ref().and_then(|file| file.metadata().ok()).map(|meta| (meta.ino(), meta.len()));
        // Our spool is made with its first byte, and its index with it.
        let nothing_yet = || (source.inode.is_none() && !folder.join("index").exists()).then_some((0, 0));
        let part = source.part(found.or_else(nothing_yet));
        // Nobody lived to say what `log.max_size` took out.
        let cut =
            file.filter(|_| part.spooled).and_then(|file| fs::hole(&file)).filter(|cut| cut.end < part.end);
        let trouble = cut.as_ref().map(|cut| PartTrouble::Cut { bytes: cut.end - cut.start });
        LogPart { trouble: part.trouble.or(trouble), cut, ..part }
    };
    sources.iter().map(part).collect()
}

/// When the command last wrote to a file of the user's, as far as the file tells.
fn last_written(source: &LogSource, start: &RunStart) -> Option<Timestamp> {
    source.inode?;
    let meta = open_regular(&source.path).and_then(|file| file.metadata()).ok()?;
    let at = Timestamp::try_from(meta.modified().ok()?).ok()?;
    (Some(meta.ino()) == source.inode && meta.len() > source.start && at > start.started).then_some(at)
}

/// The last time stamp of an index.
fn last_stamp(index: &Path) -> io::Result<Option<Duration>> {
    let file = File::open(index)?;
    let whole = file.metadata()?.len().saturating_sub(HEADER.len() as u64) / RECORD as u64;
    let Some(last) = whole.checked_sub(1) else { return Ok(None) };
    let mut bytes = [0; RECORD];
    file.read_exact_at(&mut bytes, HEADER.len() as u64 + last * RECORD as u64)?;
    Ok(Record::decode(bytes).map(|record| Duration::from_micros(record.micros)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::On;
    use crate::run::alive::{Pulse, here};
    use crate::run::facts::{Holds, PartTrouble, RunId};
    use crate::run::policy::Policy;
    use crate::spool::index::Origin;
    use crate::spool::writer::tests::writer;
    use crate::sys::clock::Mark;

    /// Catches: a log that is taken for the whole file, or for one that has its name now.
    #[test]
    fn a_file_of_the_users_is_the_log_from_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        std::fs::write(&path, b"old\nnew\n").unwrap();
        let inode = std::fs::metadata(&path).unwrap().ino();
        let source = LogSource { path: path.clone(), holds: Holds::Stdout, start: 4, inode: Some(inode) };
        let part = |source: &LogSource| {
            let part = log_so_far(dir.path(), std::slice::from_ref(source)).remove(0);
            (part.start, part.end, part.trouble)
        };
        assert_eq!(part(&source), (4, 8, None));
        let other = LogSource { inode: Some(inode + 1), ..source.clone() };
        assert_eq!(part(&other), (4, 4, Some(PartTrouble::Replaced)));
        std::fs::write(&path, b"x\n").unwrap();
        assert_eq!(part(&source), (0, 2, Some(PartTrouble::Truncated)));
    }

    /// Catches: a run without output whose log is told to be gone, and one whose log is gone for one
    /// without output.
    #[test]
    fn a_spool_that_was_never_made_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let ours = LogSource { path: dir.path().join("log"), holds: Holds::Both, start: 0, inode: None };
        let log = || {
            let part = log_so_far(dir.path(), std::slice::from_ref(&ours)).remove(0);
            (part.end, part.trouble)
        };
        assert_eq!(log(), (0, None));
        writer(dir.path()).append(Origin::Merged, b"abc");
        assert_eq!(log(), (3, None));
        std::fs::remove_file(dir.path().join("log")).unwrap();
        assert_eq!(log(), (0, Some(PartTrouble::Replaced)));
    }

    /// Catches: a torn record at the end of the index that hides the last whole one.
    #[test]
    fn the_last_whole_stamp_counts() {
        let dir = tempfile::tempdir().unwrap();
        let index = dir.path().join("index");
        let mut spool = writer(dir.path());
        spool.append(Origin::Stdout, b"a");
        spool.append(Origin::Stderr, b"b");
        let whole = std::fs::read(&index).unwrap();
        let last = Record::decode(whole[whole.len() - RECORD..].try_into().unwrap()).unwrap().micros;
        std::fs::write(&index, [&whole[..], &[1, 2, 3]].concat()).unwrap();
        assert_eq!(last_stamp(&index).unwrap(), Some(Duration::from_micros(last)));
    }

    fn begun() -> RunStart {
        RunStart {
            ci: None,
            attach: Default::default(),
            id: RunId("r".into()),
            origin: crate::run::facts::Origin::Pipe,
            title: None,
            note: None,
            tags: Vec::new(),
            host: "h".into(),
            user: "u".into(),
            cwd: "/".into(),
            started: "2026-01-01T00:00:00Z".parse().unwrap(),
        }
    }

    /// A run whose command is this process.
    fn underway(folder: &Path, log: Vec<LogSource>) -> Underway {
        let me = nix::unistd::getpid();
        let owner = Pulse::begin(Some(folder), Mark::now(), Duration::ZERO).owner(me, Some(me));
        Underway {
            owner,
            policy: Policy { on: On::Always, min_duration: Duration::ZERO, watched: false },
            log,
        }
    }

    /// Catches: a length that is that of the last sign alone, or of the last output alone; a process id
    /// of another machine that is told to be running; and an end that isn't the start and the length.
    #[test]
    fn its_length_is_that_of_the_last_that_was_heard() {
        let dir = tempfile::tempdir().unwrap();
        let seconds = Duration::from_secs;
        let underway = underway(dir.path(), Vec::new());
        let told = |place: &Place, sign: Duration| {
            facts(dir.path(), &begun(), &underway, Some(sign), (Death::Killed, place))
        };
        let index = |stamp: Duration| {
            let micros = u64::try_from(stamp.as_micros()).unwrap();
            let record = Record { offset: 0, micros, origin: Origin::Stdout }.encode();
            std::fs::write(dir.path().join("index"), [&HEADER[..], &record].concat()).unwrap();
        };
        for (stamp, last_sign) in [(70, 60), (30, 120)] {
            index(seconds(stamp));
            let facts = told(&here(), seconds(last_sign));
            assert_eq!(facts.duration, seconds(stamp.max(last_sign)));
            assert_eq!(facts.ended, begun().started + facts.duration);
            let End::Interrupted { last_output, still_running, .. } = facts.end else { panic!("{facts:?}") };
            assert_eq!(last_output, Some(begun().started + seconds(stamp)));
            assert_eq!(still_running, Some(nix::unistd::getpid().as_raw()));
        }
        let elsewhere = Place { boot: "another".into(), ..here() };
        assert!(matches!(told(&elsewhere, Duration::ZERO).end, End::Interrupted { still_running: None, .. }));
    }

    /// Catches: a file that nothing was written to, or that is another by now, telling of a last output.
    #[test]
    fn a_file_of_the_users_tells_of_the_last_output() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        std::fs::write(&path, b"old\nnew\n").unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        let inode = file.metadata().unwrap().ino();
        let source = LogSource { path, holds: Holds::Stdout, start: 4, inode: Some(inode) };
        let last = |source: &LogSource, second: i64| {
            let at = begun().started + jiff::SignedDuration::from_secs(second);
            file.set_modified(at.into()).unwrap();
            let underway = underway(dir.path(), vec![source.clone()]);
            let end = facts(dir.path(), &begun(), &underway, None, (Death::Killed, &here())).end;
            let End::Interrupted { last_output, .. } = end else { panic!("{end:?}") };
            (last_output, at)
        };
        let (told, at) = last(&source, 5);
        assert_eq!(told, Some(at));
        assert_eq!(last(&source, -5).0, None, "from before the run");
        assert_eq!(last(&LogSource { start: 8, ..source.clone() }, 5).0, None, "nothing was added");
        assert_eq!(last(&LogSource { inode: Some(inode + 1), ..source }, 5).0, None, "another file");
    }

    /// Catches: a log that is looked for where the folder was once, and holes that `log.max_size` didn't
    /// make: of a file of the user's, and at the end, where a disk lost what it had promised.
    #[test]
    fn only_a_hole_in_the_middle_of_our_log_is_a_cut() {
        let dir = tempfile::tempdir().unwrap();
        let block = 1 << 16;
        let sparse = |name: &str, end: &[u8]| {
            let file = File::create_new(dir.path().join(name)).unwrap();
            file.write_all_at(&[b'x'; 1 << 16], 0).unwrap();
            file.set_len(4 * block).unwrap();
            file.write_all_at(end, 4 * block).unwrap();
            file.metadata().unwrap().ino()
        };
        std::fs::write(dir.path().join("index"), HEADER).unwrap();
        let gone = dir.path().join("before/log");
        let ours = LogSource { path: gone, holds: Holds::Both, start: 0, inode: None };
        let part = |source: &LogSource| log_so_far(dir.path(), std::slice::from_ref(source)).remove(0);
        sparse("log", b"");
        assert_eq!((part(&ours).end, part(&ours).cut), (4 * block, None));
        std::fs::remove_file(dir.path().join("log")).unwrap();
        sparse("log", b"end");
        assert_eq!((part(&ours).path, part(&ours).cut), (dir.path().join("log"), Some(block..4 * block)));
        let inode = Some(sparse("out", b"end"));
        let path = dir.path().join("out");
        let theirs = LogSource { path, holds: Holds::Both, start: 0, inode };
        assert_eq!((part(&theirs).cut, part(&theirs).trouble), (None, None));
    }
}
