use std::fs::File;
use std::io::{BufRead, Read, Write};

use super::*;
use crate::mail::compose::{Content, compose};
use crate::mail::limits::{HEADERS_RESERVE, MAX_BODIES, TAIL_BYTES};
use crate::mail::testing::{Numbers, file};

fn part(path: &Path, holds: Holds, len: u64) -> LogPart {
    LogPart {
        path: path.to_owned(),
        holds,
        start: 0,
        end: len,
        spooled: true,
        trouble: None,
        cut: None,
        kept: Vec::new(),
    }
}

fn policy(max_message: u64) -> Policy {
    Policy { attach: Attach::Full, max_attachment: None, max_message, tail_bytes: TAIL_BYTES }
}

fn found(path: &Path) -> Found {
    let size = std::fs::metadata(path).unwrap().len();
    Found { typed: path.display().to_string(), path: path.to_owned(), size: Ok(size) }
}

struct Bench {
    dir: tempfile::TempDir,
    policy: Policy,
}

impl Bench {
    fn new(max_message: u64) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), policy: policy(max_message) }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        file(self.dir.path(), name, bytes)
    }

    fn prepare(&self, parts: &[LogPart], files: &[Found]) -> Prepared {
        let folder = self.dir.path().join("parts");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        prepare(&Wishes { parts, files, policy: &self.policy, filter: None, folder: &folder }).unwrap()
    }
}

/// Lines as a training writes them: they pack to a quarter or so.
fn log_lines(bytes: usize) -> Vec<u8> {
    let mut numbers = Numbers(9);
    let mut out = Vec::with_capacity(bytes + 100);
    for step in 0.. {
        if out.len() >= bytes {
            break;
        }
        let (loss, speed) = (numbers.below(1_000_000), numbers.below(100_000));
        writeln!(out, "step {step:08} | loss 0.{loss:06} | {speed:05} samples/s | lr 3e-4").unwrap();
    }
    out.truncate(bytes);
    *out.last_mut().unwrap() = b'\n';
    out
}

fn unzip(path: &Path) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    let mut out = Vec::new();
    archive.by_index(0).unwrap().read_to_end(&mut out).unwrap();
    out
}

/// Catches: a log that goes in another shape than is said, or with other bytes.
#[test]
fn the_ladder() {
    let whole = log_lines(9 << 20);
    let mut bench = Bench::new(73_400_320);
    let path = bench.file("log", &whole);
    let go = |bench: &Bench, len: u64| bench.prepare(&[part(&path, Holds::Both, len)], &[]);
    let made = go(&bench, 1 << 20);
    assert_eq!((made.logs[0].carried, made.logs[0].packed), (Carried::Whole, None));
    assert_eq!(made.logs[0].attachment.as_deref(), Some("log.txt"));
    assert_eq!(made.attachments[0].path, path);

    let made = go(&bench, 9 << 20);
    assert_eq!(made.logs[0].carried, Carried::Whole);
    let packed = made.logs[0].packed.unwrap();
    assert!(packed * 3 < 9 << 20, "{packed}");
    assert_eq!(made.logs[0].attachment.as_deref(), Some("log.zip"));
    assert!(unzip(&made.attachments[0].path) == whole);

    // Both ends, packed, cut where lines end, with what is missing counted.
    bench.policy = policy(1_300_000);
    let made = go(&bench, 9 << 20);
    let Carried::Ends { head, tail, omitted } = made.logs[0].carried else { panic!("{:?}", made.logs) };
    assert_eq!(head + tail + omitted, 9 << 20);
    let text = unzip(&made.attachments[0].path);
    assert!(
        text.starts_with(&whole[..head as usize]) && text.ends_with(&whole[whole.len() - tail as usize..])
    );
    assert_eq!((whole[head as usize - 1], whole[whole.len() - tail as usize - 1]), (b'\n', b'\n'));
    assert!(head + tail > 2 << 20, "packed, more gets through: {head} + {tail}");
    // What is made is all that lies there.
    assert_eq!(std::fs::read_dir(bench.dir.path().join("parts")).unwrap().count(), 1);

    bench.policy = policy(290_000);
    assert_eq!(go(&bench, 9 << 20).logs[0].carried, Carried::Nothing);
    bench.policy.attach = Attach::None;
    assert_eq!(go(&bench, 9 << 20).logs[0].attachment, None);
}

/// Catches: what doesn't pack sent in a mail that is larger than the server takes, or not at all.
#[test]
fn a_log_that_does_not_pack_keeps_its_ends() {
    let bench = Bench::new(3_000_000);
    let bytes = Numbers(4).bytes(9 << 20);
    let path = bench.file("log", &bytes);
    let made = bench.prepare(&[part(&path, Holds::Both, 9 << 20)], &[]);
    let Carried::Ends { head, tail, .. } = made.logs[0].carried else { panic!("{:?}", made.logs) };
    assert!(head + tail > 1_500_000 && made.logs[0].packed.unwrap() < 2_000_000, "{:?}", made.logs);
}

#[test]
fn small_parts_go_whole_and_large_ones_share_the_rest() {
    let mut bench = Bench::new(73_400_320);
    bench.policy.max_attachment = Some(1_000_000);
    let path = bench.file("log", &vec![b'x'; 3 << 20]);
    let (small, large) = (part(&path, Holds::Stderr, 900), part(&path, Holds::Stdout, 3 << 20));
    let made = bench.prepare(&[large.clone(), small, large], &[]);
    let sent: Vec<u64> = made
        .logs
        .iter()
        .map(|note| match note.carried {
            Carried::Ends { head, tail, .. } => head + tail,
            _ => note.bytes,
        })
        .collect();
    assert_eq!(sent, [499_294, 900, 499_294], "of a million: 900, and half the rest each less the notice");
    let names: Vec<_> = made.logs.iter().map(|n| n.attachment.as_deref().unwrap()).collect();
    assert_eq!(names, ["stdout.txt", "stderr.txt", "stdout-2.txt"]);
}

/// Catches: a plot left out for the sake of the log's middle, or the last lines for the sake of a checkpoint;
/// a mail that a provider refuses for a script in it; names that are the log's.
#[test]
fn files_come_before_the_logs_middle() {
    let bench = Bench::new(5_000_000);
    let mut numbers = Numbers(7);
    let log = bench.file("log", &numbers.bytes(9 << 20));
    let plot = bench.file("曲线.png", &numbers.bytes(1_000_000));
    let script = bench.file("run.bat", b"echo hi\r\n");
    let csv = bench.file("all.csv", &log_lines(4 << 20));
    let own = bench.file("log.zip", b"mine");
    let checkpoint = bench.file("model.pt", &numbers.bytes(9 << 20));
    let gone = Found { size: Err(LeftOut::Missing), ..found(&own) };
    let files = [&plot, &script, &csv, &own, &checkpoint].map(|path| found(path));
    let made = bench.prepare(&[part(&log, Holds::Both, 9 << 20)], &[&files[..], &[gone]].concat());
    let names: Vec<&str> = made.attachments.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["log.zip", "曲线.png", "run.bat.zip", "all.csv.zip", "log-2.zip"]);
    let fates: Vec<&FileFate> = made.files.iter().map(|file| &file.fate).collect();
    let packed = |fate: &FileFate| match fate {
        FileFate::Attached { packed: Some(packed) } => Some(packed.why),
        _ => None,
    };
    assert_eq!(*fates[0], FileFate::Attached { packed: None });
    assert_eq!((packed(fates[1]), packed(fates[2])), (Some(WhyPacked::Name), Some(WhyPacked::Size)));
    assert_eq!(*fates[4], FileFate::LeftOut(LeftOut::TooLarge));
    assert_eq!(*fates[5], FileFate::LeftOut(LeftOut::Missing));
    assert_eq!(made.files[4].bytes, Some(9 << 20));
    assert!(matches!(made.logs[0].carried, Carried::Ends { .. }));

    // The last lines have their place whatever else is to go.
    let large = bench.file("large", &numbers.bytes(3_330_000));
    let made = bench.prepare(&[part(&log, Holds::Both, 9 << 20)], &[found(&large)]);
    assert_eq!(made.files[0].fate, FileFate::Attached { packed: None });
    let Carried::Ends { head, tail, .. } = made.logs[0].carried else { panic!("{:?}", made.logs) };
    assert!((40_000..120_000).contains(&(head + tail)), "{head} + {tail}");
}

/// Catches: a file that is cut short while it is packed sent as if it were whole.
#[test]
fn what_shrinks_while_it_is_packed_is_told() {
    let bench = Bench::new(73_400_320);
    let path = bench.file("log", &log_lines(3 << 20));
    let made = bench.prepare(&[part(&path, Holds::Both, 5 << 20)], &[]);
    assert_eq!((made.short[0].missing, made.short[0].path.as_path()), (2 << 20, path.as_path()));
    let bat = bench.file("a.bat", b"12");
    let made = bench.prepare(&[], &[Found { size: Ok(9), ..found(&bat) }]);
    assert_eq!(made.files[0].fate, FileFate::LeftOut(LeftOut::Changed));
}

/// Catches: a log that is attached beside the filter, or larger than is allowed for what the filter adds.
#[test]
fn with_a_filter_nothing_goes_as_it_is() {
    struct Double;
    impl Filter for Double {
        fn cut_around(&self, _: &[u8], at: usize) -> std::ops::Range<usize> {
            at..at
        }

        fn pass(&self, from: &mut dyn BufRead, to: &mut dyn Write) -> io::Result<u64> {
            let mut all = Vec::new();
            from.read_to_end(&mut all)?;
            to.write_all(&all)?;
            to.write_all(&all)?;
            Ok(1)
        }
    }
    let bench = Bench::new(600_000);
    let path = bench.file("log", &Numbers(3).bytes(200_000));
    let folder = bench.dir.path().join("parts");
    let parts = [part(&path, Holds::Both, 200_000)];
    let wishes =
        Wishes { parts: &parts, files: &[], policy: &bench.policy, filter: Some(&Double), folder: &folder };
    let made = prepare(&wishes).unwrap();
    assert!(made.attachments[0].path.starts_with(&folder) && made.places == 1);
    let room = limits::room(600_000, 1);
    let bytes = std::fs::metadata(&made.attachments[0].path).unwrap().len();
    assert!(bytes <= room && bytes > room / 4, "{bytes} of {room}");
}

/// Whatever the sizes: header, bodies as large as allowed and attachments stay within the limit, and what was
/// left out wouldn't have fitted by far.
#[test]
fn a_composed_mail_never_exceeds_the_limit() {
    let bench = Bench::new(0);
    let noise = bench.file("noise", &Numbers(1).bytes(4_000_000));
    let text = bench.file("text", &log_lines(4_000_000));
    // Bodies at their worst: every byte needs escaping, every other is a line's end.
    let body = "\u{e9}\n".repeat(MAX_BODIES as usize / 8);
    let sources = [noise, text];
    let mut numbers = Numbers(2);
    let mut ends = 0;
    for round in 0..150 {
        let most = 300_000 + numbers.below(3_000_000);
        let mut size = || numbers.below(if round % 2 == 0 { 4_000_000 } else { 3_000 });
        let sizes = [size(), size(), size(), size()];
        let holds = [Holds::Both, Holds::Stdout, Holds::Stderr];
        let parts: Vec<LogPart> = (0..1 + numbers.below(3) as usize)
            .map(|i| part(numbers.pick(&sources).as_path(), holds[i], sizes[i]))
            .collect();
        let files: Vec<Found> = (0..numbers.below(4))
            .map(|_| Found { size: Ok(numbers.below(900_000)), ..found(numbers.pick(&sources).as_path()) })
            .collect();
        let attach = *numbers.pick(&[Attach::Full, Attach::Full, Attach::Tail]);
        let bench = Bench { policy: Policy { attach, ..policy(most) }, dir: tempfile::tempdir().unwrap() };
        let made = bench.prepare(&parts, &files);
        let content = Content {
            text: &body,
            html: &body,
            attachments: &made.attachments,
            boundary_seed: "20260101T0-1",
        };
        let bytes = compose(&mut io::sink(), &content).unwrap().bytes + HEADERS_RESERVE;
        assert!(bytes <= most || made.attachments.is_empty(), "{bytes} of {most}: {:?}", made.logs);
        ends += made.logs.iter().filter(|n| matches!(n.carried, Carried::Ends { .. })).count();
        let left_out = |note: &LogNote| note.attachment.is_none() && note.bytes > 300;
        if made.logs.iter().any(left_out) && attach == Attach::Full {
            assert!(most - bytes.min(most) < 70_000, "{} bytes wasted: {:?}", most - bytes, made.logs);
        }
    }
    assert!(ends > 20, "{ends}");
}

/// Catches: a file of the user's that takes the room of the log's last lines, which say how it went.
#[test]
fn the_last_lines_come_before_a_file() {
    let bench = Bench::new(2_000_000);
    let room = limits::room(bench.policy.max_message, 2);
    let log = bench.file("log", &log_lines(3 << 20));
    let plot = bench.file("plot.png", &Numbers(5).bytes(usize::try_from(room).unwrap() - 2000));
    let made = bench.prepare(&[part(&log, Holds::Both, 3 << 20)], &[found(&plot)]);
    assert!(matches!(made.logs[0].carried, Carried::Ends { .. } | Carried::Whole), "{:?}", made.logs);
    assert!(matches!(made.files[0].fate, FileFate::LeftOut(LeftOut::TooLarge)), "{:?}", made.files);
}
