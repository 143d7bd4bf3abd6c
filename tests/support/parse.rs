//! Mail as something that isn't ours reads it: Python's `email` with its strict policy, where every
//! defect is an error (`parse.py`).

use std::io::Write;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// A mail, decoded.
#[derive(Debug, Deserialize)]
pub struct ParsedMail {
    /// In order, decoded.
    pub headers: Vec<(String, String)>,
    pub subject: String,
    /// Bare addresses.
    pub from: Vec<String>,
    pub to: Vec<String>,
    /// Content types, a line each, indented by two spaces per level.
    pub structure: String,
    pub text: Option<String>,
    pub html: Option<String>,
    /// The parts that aren't multipart, in order.
    pub parts: Vec<Part>,
}

#[derive(Debug, Deserialize)]
pub struct Part {
    pub content_type: String,
    pub encoding: String,
    /// `attachment`, `inline` or none.
    pub disposition: Option<String>,
    pub filename: Option<String>,
    pub headers: Vec<(String, String)>,
    pub size: u64,
    /// Of the decoded bytes, hex.
    pub sha256: String,
    base64: String,
}

impl Part {
    /// The decoded bytes.
    pub fn bytes(&self) -> Vec<u8> {
        STANDARD.decode(&self.base64).expect("parse.py wrote it")
    }
}

impl ParsedMail {
    /// A header's value; panics unless there is exactly one.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let found: Vec<&str> = self
            .headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect();
        assert_eq!(found.len(), 1, "{name} in {:#?}", self.headers);
        found[0]
    }

    /// The attachment of this name; panics unless there is exactly one.
    #[track_caller]
    pub fn attachment(&self, filename: &str) -> &Part {
        let named = |part: &&Part| part.filename.as_deref() == Some(filename);
        let found: Vec<&Part> = self.parts.iter().filter(named).collect();
        assert_eq!(found.len(), 1, "{filename} in:\n{}", self.structure);
        found[0]
    }
}

/// Parses the bytes of the wire (CRLF, without the final dot); panics at any defect.
#[track_caller]
pub fn mail(wire: &[u8]) -> ParsedMail {
    try_mail(wire).unwrap_or_else(|why| panic!("{why}\n{}", String::from_utf8_lossy(wire)))
}

/// Parses them; Err is the defect.
pub fn try_mail(wire: &[u8]) -> Result<ParsedMail, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/parse.py");
    let mut child = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("these tests need python3");
    let mut stdin = child.stdin.take().expect("it is a pipe");
    // It reads all before it writes anything, so this can't block for ever.
    stdin.write_all(wire).expect("parse.py reads all of its input");
    drop(stdin);
    let done = child.wait_with_output().expect("it is our child");
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into_owned());
    }
    Ok(serde_json::from_slice(&done.stdout).expect("parse.py prints JSON"))
}
