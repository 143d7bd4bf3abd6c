//! What the tests of this stage share: numbers, files, and Python's mail parser as the judge that
//! isn't ours.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs a Python script with `input` on its stdin; gives its stdout. Fails loudly without Python.
pub(super) fn python(script: &str, input: &[u8]) -> String {
    let mut child = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("these tests need python3 in PATH");
    let mut stdin = child.stdin.take().expect("piped above");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("python3 runs to its end");
    assert!(output.status.success(), "python3 failed ({}): its words are on stderr", output.status);
    writer.join().expect("the writer doesn't panic").expect("python3 reads its input");
    String::from_utf8(output.stdout).expect("the script prints UTF-8")
}

/// xorshift64*: the same numbers at every run.
pub(super) struct Numbers(pub u64);

impl Numbers {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// `0..bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len() as u64) as usize]
    }

    pub(super) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// Writes a file in `dir` and gives its path.
pub(super) fn file(dir: &Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// CRLF only, nothing over 998 bytes, no NUL, ASCII: what any server takes.
pub(super) fn assert_wire_clean(mail: &[u8]) {
    assert!(mail.is_ascii(), "8-bit bytes on the wire");
    assert!(!mail.contains(&0), "NUL on the wire");
    assert!(mail.ends_with(b"\r\n"));
    for line in mail[..mail.len() - 1].split(|b| *b == b'\n') {
        let (last, line) = line.split_last().expect("an empty line still has its CR: bare LF");
        assert!(*last == b'\r', "bare LF after {:?}", String::from_utf8_lossy(line));
        assert!(!line.contains(&b'\r'), "bare CR in {:?}", String::from_utf8_lossy(line));
        assert!(line.len() <= 998, "a line of {} bytes", line.len());
    }
}
