use super::*;
use crate::spool::index::records;
use crate::sys::shared::SharedBoard;

const PLENTY: Limits = Limits { max_size: 8 << 30, reserve: Some(0) };

/// A writer with a board of its own.
pub fn writer(folder: &Path) -> SpoolWriter {
    limited(folder, PLENTY)
}

fn limited(folder: &Path, limits: Limits) -> SpoolWriter {
    SpoolWriter::new(folder, Mark::now(), limits, &SharedBoard::new().unwrap().board().spool)
}

fn log(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("log")).unwrap()
}

fn index(folder: &Path) -> Vec<(u64, Origin)> {
    let bytes = std::fs::read(folder.join("index")).unwrap();
    records(&bytes[HEADER.len()..]).map(|r| (r.offset, r.origin)).collect()
}

/// A pipe with something in it.
fn filled(bytes: &[u8]) -> Pipe {
    let (read, write) = crate::sys::fds::pipe().unwrap();
    nix::unistd::write(&write, bytes).unwrap();
    let pipe = Pipe::new().unwrap();
    assert_eq!(pipe.fill(read.as_fd()).unwrap(), bytes.len());
    pipe
}

/// A log that takes nothing: /dev/full in its place.
fn refuse(spool: &mut SpoolWriter) -> File {
    spool.open().unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    std::mem::replace(&mut spool.files.as_mut().unwrap().log, full)
}

#[test]
fn the_index_tells_which_stream_wrote_what() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = writer(dir.path());
    spool.append(Origin::Stdout, b"out 1\n");
    spool.take(Origin::Stdout, &filled(b"out 2\n"), 6);
    spool.take(Origin::Stderr, &filled(b"err\n"), 4);
    spool.append(Origin::Stdout, b"out 3\n");
    assert_eq!(log(dir.path()), b"out 1\nout 2\nerr\nout 3\n");
    assert_eq!(index(dir.path()), [(0, Origin::Stdout), (12, Origin::Stderr), (16, Origin::Stdout)]);
}

#[test]
fn a_disk_that_refuses_is_counted_and_never_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = writer(dir.path());
    spool.append(Origin::Stdout, b"kept");
    let disk = refuse(&mut spool);
    spool.take(Origin::Stdout, &filled(b"lost "), 5);
    spool.append(Origin::Stdout, b"not even tried");
    assert_eq!(spool.len(), 4);
    assert_eq!(spool.trouble(), Some(PartTrouble::Gap { bytes: 19, errno: libc::ENOSPC }));
    assert_eq!(spool.kept(), b"lost not even tried");

    spool.files.as_mut().unwrap().log = disk;
    spool.finish();
    assert_eq!(log(dir.path()), b"keptlost not even tried", "what was kept follows");
    assert_eq!((spool.trouble(), spool.kept()), (None, Vec::new()), "it isn't told twice");
    assert_eq!(spool.note.errno.load(Acquire), 0, "the next trouble has its own reason");
    assert_eq!(index(dir.path()), [(0, Origin::Stdout), (4, Origin::Gap), (4, Origin::Merged)]);
}

/// Catches a buffer that grows, or keeps the beginning in place of the end.
#[test]
fn only_the_end_of_what_is_missing_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = writer(dir.path());
    let disk = refuse(&mut spool);
    let all: Vec<u8> = (0..30_000u32).flat_map(|n| format!("{n:05}\n").into_bytes()).collect();
    all.chunks(50_001).for_each(|part| spool.append(Origin::Stdout, part));
    assert_eq!(spool.kept(), &all[all.len() - BUFFER..]);
    spool.files.as_mut().unwrap().log = disk;
    spool.finish();
    assert_eq!(log(dir.path()), &all[all.len() - BUFFER..]);
    let missing = (all.len() - BUFFER) as u64;
    assert_eq!(spool.trouble(), Some(PartTrouble::Gap { bytes: missing, errno: libc::ENOSPC }));
    // All at once, too; and the first reason is the one that is told.
    let dir = tempfile::tempdir().unwrap();
    let mut spool = writer(dir.path());
    refuse(&mut spool);
    spool.append(Origin::Stdout, &all);
    assert_eq!(spool.kept(), &all[all.len() - BUFFER..]);
    spool.refused(&io::Error::from_raw_os_error(libc::EIO), RETRY);
    assert_eq!(spool.trouble(), Some(PartTrouble::Gap { bytes: all.len() as u64, errno: libc::ENOSPC }));
}

/// Catches: the end of the output that dies with the writer which kept it.
#[test]
fn a_successor_writes_what_was_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = writer(dir.path());
    spool.append(Origin::Stdout, b"before ");
    refuse(&mut spool);
    spool.append(Origin::Stdout, b"kept");
    let mut successor = SpoolWriter::new(dir.path(), Mark::now(), PLENTY, spool.note);
    successor.resume();
    successor.finish();
    assert_eq!((log(dir.path()), successor.trouble()), (b"before kept".to_vec(), None));
}

/// Catches: an index without times, from which the length of a run that was cut off is told.
#[test]
fn a_stream_that_goes_on_is_stamped_each_second() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = writer(dir.path());
    spool.open().unwrap();
    for millis in [0, 500, 1000, 1999, 2000] {
        spool.stamp(Origin::Stdout, Duration::from_millis(millis)).unwrap();
    }
    assert_eq!(index(dir.path()).len(), 3);
}

/// Catches a run whose log could not be made at its start, and that never tries again or says so.
#[test]
fn a_folder_that_cannot_be_written_yet() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("later");
    let mut spool = writer(&folder);
    spool.append(Origin::Stdout, b"early ");
    assert_eq!(spool.trouble(), Some(PartTrouble::Gap { bytes: 6, errno: libc::ENOENT }));
    std::fs::create_dir(&folder).unwrap();
    spool.finish();
    assert_eq!((spool.trouble(), log(&folder)), (None, b"early ".to_vec()));
}

/// Catches bytes twice or not at all where a writer was killed between its call and its count.
#[test]
fn a_successor_repeats_what_was_not_counted_and_keeps_what_was_moved() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = writer(dir.path());
    spool.append(Origin::Stdout, b"counted ");
    let files = spool.files.as_ref().unwrap();
    files.log.write_all_at(b"uncounted", 8).unwrap();
    files.index.write_all_at(b"torn", spool.index_len).unwrap();
    spool.resume();
    spool.append(Origin::Stdout, b"uncounted ");
    assert_eq!(log(dir.path()), b"counted uncounted ");

    spool.note.call.store(SPLICE, Release);
    spool.files.as_ref().unwrap().log.write_all_at(b"moved ", 18).unwrap();
    spool.resume();
    spool.append(Origin::Stderr, b"end");
    assert_eq!(log(dir.path()), b"counted uncounted moved end");
    assert_eq!(index(dir.path()), [(0, Origin::Stdout), (8, Origin::Stdout), (24, Origin::Stderr)]);
}

/// Catches a log beyond `max_size` on the disk, one that lacks its beginning or its end, and a length
/// that no longer fits the index.
#[test]
fn a_log_that_is_too_large_loses_its_middle() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let max = 4 << 20;
    let mut spool = limited(dir.path(), Limits { max_size: max, reserve: Some(0) });
    let mut all = Vec::new();
    for n in 0..300u32 {
        let line = format!("{n:08}").repeat(8 << 10);
        spool.append(Origin::Stdout, line.as_bytes());
        all.extend_from_slice(line.as_bytes());
    }
    let meta = std::fs::metadata(dir.path().join("log")).unwrap();
    assert!(meta.blocks() * 512 <= max + (1 << 20), "{} on the disk", meta.blocks() * 512);
    assert_eq!(spool.len(), all.len() as u64);
    let cut = spool.cut().unwrap();
    let (from, to) = (usize::try_from(cut.start).unwrap(), usize::try_from(cut.end).unwrap());
    let kept = log(dir.path());
    assert_eq!((&kept[..from], &kept[to..]), (&all[..from], &all[to..]));
    assert!(from as u64 == max / 2 && (all.len() - to) as u64 >= max * 3 / 8);
}

/// Catches a part of what was kept that is in the log twice, because a disk with little room took some
/// of it and then no more.
#[test]
fn a_disk_that_takes_a_part_of_what_was_kept() {
    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let dir = tempfile::tempdir().unwrap();
    let mut spool = writer(dir.path());
    let disk = refuse(&mut spool);
    let all: Vec<u8> = (0..5_000u32).flat_map(|n| format!("{n:05}\n").into_bytes()).collect();
    spool.append(Origin::Stdout, &all);
    // A file that can't grow beyond a page.
    let small = memfd_create(c"small", MFdFlags::MFD_ALLOW_SEALING).unwrap();
    nix::unistd::ftruncate(&small, 4096).unwrap();
    fcntl(&small, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_GROW)).unwrap();
    spool.files.as_mut().unwrap().log = File::from(small);
    spool.finish();
    assert_eq!(spool.len(), 4096);
    assert_eq!(spool.kept(), &all[4096..]);
    let missing = (all.len() - 4096) as u64;
    assert_eq!(spool.trouble(), Some(PartTrouble::Gap { bytes: missing, errno: libc::ENOSPC }));

    disk.write_all_at(&all[..4096], 0).unwrap();
    spool.files.as_mut().unwrap().log = disk;
    spool.finish();
    assert!(log(dir.path()) == all, "{} bytes", log(dir.path()).len());
    assert_eq!((spool.trouble(), spool.kept()), (None, Vec::new()));
}
