use std::process::Command;

use super::*;
use crate::mail::testing::{Numbers, file, python};

fn job<'a>(path: &'a Path, pieces: &'a [Piece], to: &'a Path) -> Job<'a> {
    Job {
        path,
        pieces,
        ending: Ending::Told,
        filter: None,
        shape: Shape::Zip(Effort::Thorough),
        inner: "log.txt",
        to,
        most: u64::MAX,
    }
}

fn fits(job: &Job<'_>) -> Part {
    match pack(job).unwrap() {
        Packed::Fits(part) => part,
        Packed::TooLarge { read } => panic!("too large at {read}"),
    }
}

const JUDGE: &str = r#"
import sys, zipfile, struct
for line in sys.stdin:
    path, name, content = line.rstrip("\n").split("\t")
    raw = open(path, "rb").read()
    expected = open(content, "rb").read()
    with zipfile.ZipFile(path) as z:
        assert z.testzip() is None
        (info,) = z.infolist()
        assert info.filename == name, info.filename
        assert z.read(info) == expected
        assert info.compress_type == zipfile.ZIP_DEFLATED and info.extract_version <= 20, info
        assert not info.extra and info.date_time[0] >= 2024, info
        # UTF-8 is said where the name isn't ASCII; and nothing else: no data descriptor behind the file.
        assert info.flag_bits & ~0x800 in (0, 2, 4, 6), hex(info.flag_bits)
        assert bool(info.flag_bits & 0x800) == (not name.isascii())
    sizes = struct.unpack("<II", raw[18:26])
    assert sizes == (info.compress_size, info.file_size), "the sizes stand in front"
print("good")
"#;

/// Catches: an archive that Windows, a phone or a web mailer can't open; other bytes in it than in the log.
#[test]
fn any_unpacker_gives_the_log_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut numbers = Numbers(5);
    let cases: [(&str, Vec<u8>); 5] = [
        ("log.txt", "epoch 1: loss 0.5\n".repeat(100_000).into_bytes()),
        ("损失 🚀.bat", b"hello\r\n".to_vec()),
        ("stdout.txt", numbers.bytes(3_000_000)),
        ("empty.txt", Vec::new()),
        ("zeros.bin", vec![0; 20 << 20]),
    ];
    let mut input = String::new();
    for (i, (name, bytes)) in cases.iter().enumerate() {
        let path = file(dir.path(), &format!("log-{i}"), bytes);
        for effort in [Effort::Fast, Effort::Thorough] {
            let to = dir.path().join(format!("{i}-{effort:?}.zip"));
            let pieces = [Piece::Bytes(0..bytes.len() as u64)];
            let part = fits(&Job { inner: name, shape: Shape::Zip(effort), ..job(&path, &pieces, &to) });
            assert_eq!((part.bytes, part.missing), (std::fs::metadata(&to).unwrap().len(), 0));
            input.push_str(&format!("{}\t{name}\t{}\n", to.display(), path.display()));
            for (program, test) in [("unzip", "-tq"), ("7z", "t"), ("bsdtar", "-tf")] {
                // Whatever of them is there.
                if let Ok(done) = Command::new(program).arg(test).arg(&to).output() {
                    assert!(done.status.success(), "{program}: {done:?}");
                }
            }
        }
    }
    assert_eq!(python(JUDGE, input.as_bytes()), "good\n");
}

/// Catches: a log of a terabyte packed to its end before it is found too large; an archiver that says so on
/// the user's terminal.
#[test]
fn it_stops_where_there_is_no_more_room() {
    let dir = tempfile::tempdir().unwrap();
    let (path, to) = (dir.path().join("log"), dir.path().join("zip"));
    let bytes = Numbers(1).bytes(4 << 20);
    std::fs::write(&path, &bytes).unwrap();
    File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
    let pieces = [Piece::Bytes(0..1 << 40)];
    for shape in [Shape::Plain, Shape::Zip(Effort::Fast), Shape::Zip(Effort::Thorough)] {
        let Packed::TooLarge { read } =
            pack(&Job { shape, most: 1 << 20, ..job(&path, &pieces, &to) }).unwrap()
        else {
            panic!()
        };
        assert!((1 << 20..2 << 20).contains(&read), "{read}");
        assert!(std::fs::metadata(&to).unwrap().len() <= 1 << 20);
        std::fs::remove_file(&to).unwrap();
    }
}

/// Catches: bytes that pass by the filter, places that aren't counted, pieces without their notice.
#[test]
fn all_of_it_passes_the_filter() {
    struct Upper;
    impl Filter for Upper {
        fn cut_around(&self, _: &[u8], at: usize) -> Range<usize> {
            at..at
        }

        fn pass(&self, from: &mut dyn BufRead, to: &mut dyn Write) -> io::Result<u64> {
            let (mut line, mut places) = (String::new(), 0);
            while from.read_line(&mut line)? > 0 {
                places += line.matches("key").count() as u64;
                to.write_all(line.replace("key", "[redacted]").as_bytes())?;
                line.clear();
            }
            Ok(places)
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let (path, to) = (file(dir.path(), "log", b"a key\nmiddle\nkey key\n"), dir.path().join("out"));
    let pieces = [Piece::Bytes(0..6), Piece::Omitted(7), Piece::Bytes(13..21)];
    let job = Job { shape: Shape::Plain, filter: Some(&Upper), ..job(&path, &pieces, &to) };
    let part = fits(&job);
    let text = std::fs::read_to_string(&to).unwrap();
    assert!(
        text.starts_with("a [redacted]\n\n\n=====") && text.ends_with("\n\n[redacted] [redacted]\n"),
        "{text}"
    );
    assert_eq!((part.places, part.bytes), (3, text.len() as u64));
}

/// Catches: an archive that says nothing of what it lacks, and a full disk that is no error.
#[test]
fn what_is_missing_is_told_and_a_full_disk_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (path, to) = (file(dir.path(), "log", b"12345"), dir.path().join("zip"));
    let pieces = [Piece::Bytes(0..9)];
    let part = fits(&Job { shape: Shape::Plain, ..job(&path, &pieces, &to) });
    assert!(part.missing == 4 && part.cause.is_none());
    assert!(std::fs::read_to_string(&to).unwrap().contains("lacks its last 4 bytes"));
    let part = fits(&Job { ending: Ending::Silent, ..job(&path, &pieces, &dir.path().join("2")) });
    assert_eq!(part.missing, 4);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let trouble = RefCell::new(None);
    let mut out = Bounded { file: &full, at: 0, end: 0, most: 100, trouble: &trouble };
    out.write_all(b"x").unwrap();
    assert!(matches!(trouble.take(), Some(Trouble::Failed(e)) if e.kind() == ErrorKind::StorageFull));
}
