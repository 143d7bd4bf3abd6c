//! What is known of a run: made by `run/`, kept in `run.json`, told by `report/`. Pure.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The id of a run; sorts by the time of its start (`20261121T093000123456-1a2b3c4d`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// How the run came to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// `notify-done -- COMMAND`: argv as text; bytes that aren't UTF-8 are shown as `\xNN`.
    Command { argv: Vec<String> },
    /// `… | notify-done pipe`.
    Pipe,
}

/// What a run was, as far as it is known at its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStart {
    pub id: RunId,
    pub origin: Origin,
    /// `--title`: stands in for the command in the subject.
    pub title: Option<String>,
    /// `--note`: a text of the user's, shown in the mail.
    pub note: Option<String>,
    /// `--tag`, repeatable.
    pub tags: Vec<String>,
    pub host: String,
    pub user: String,
    /// The working folder of the command, as text.
    pub cwd: String,
    /// Wall clock at the start.
    pub started: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<Ci>,
    /// `--attach-file`: looked for when the run has ended.
    #[serde(default, skip_serializing_if = "AttachFiles::is_empty")]
    pub attach: AttachFiles,
}

/// Files that go with the mail, as they were asked for: names and patterns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachFiles {
    /// The folder that the names are relative to.
    #[serde(with = "crate::config::path_json")]
    pub from: PathBuf,
    #[serde(with = "crate::config::path_json::list")]
    pub files: Vec<PathBuf>,
}

impl AttachFiles {
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

/// What a CI system says of the run in its environment variables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ci {
    /// `GitHub Actions`, `GitLab CI`, `Jenkins`, `Gitee Go`.
    pub system: String,
    /// The repository and the job's name, as far as they are known.
    pub name: Option<String>,
    /// Branch or tag.
    pub branch: Option<String>,
    /// The commit's full hash.
    pub commit: Option<String>,
    /// The run's page; http or https.
    pub url: Option<String>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The command ended with this code (0 is success).
    Exited { code: i32 },
    /// A signal killed it.
    Signaled { signal: i32, core_dumped: bool },
    /// A pipe whose status the user reported (`--status`, `--status-file`).
    Reported { code: i32 },
    /// A pipe that ended: nobody said how its writer fared.
    Unknown,
    /// A pipe that this signal told to end before its input did: nobody knows how its writer fared.
    ToldToEnd { signal: i32 },
    /// The command could not be started: `errno` of exec (ENOENT: 127, else 126).
    NotStarted { errno: i32 },
    /// Nobody of ours lived to see the end: found afterwards, by the next start or a flush.
    Interrupted {
        why: Death,
        /// The last that the command wrote, as far as its log tells.
        last_output: Option<Timestamp>,
        /// The command itself was still running when that was found: its process id.
        still_running: Option<i32>,
    },
}

/// What became of the processes that were to see a run through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Death {
    /// They are gone, and nothing else on the machine need be.
    Killed,
    /// The machine was started anew since.
    Rebooted,
    /// They ran where nobody can look (another machine or container), and fell silent.
    Silent,
}

impl End {
    /// Did it do what it was meant to, as far as is known?
    pub fn outcome(self) -> Outcome {
        match self {
            End::Exited { code: 0 } | End::Reported { code: 0 } => Outcome::Success,
            End::Unknown => Outcome::Unknown,
            End::ToldToEnd { .. } | End::Interrupted { .. } => Outcome::Interrupted,
            End::Exited { .. } | End::Reported { .. } | End::Signaled { .. } | End::NotStarted { .. } => {
                Outcome::Failure
            }
        }
    }
}

impl End {
    /// Did the kernel kill the command for want of memory? It kills by SIGKILL and counts it.
    pub fn is_for_want_of_memory(self, killed: Option<OutOfMemory>) -> bool {
        const SIGKILL: i32 = 9;
        killed.is_some() && matches!(self, End::Signaled { signal: SIGKILL, .. })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Failure,
    Unknown,
    /// It was cut off, or we were; nobody knows what its end was, or would have been.
    Interrupted,
}

/// What wait4(2) said of the command and of the children that it waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub user: Duration,
    pub system: Duration,
    /// Peak resident set of the largest single process, bytes (`ru_maxrss` is KiB on Linux).
    pub peak_rss: u64,
}

/// Processes of the run's control group that the kernel killed for want of memory while it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutOfMemory {
    /// How many.
    pub kills: u64,
    /// What the group may use, bytes; None: no limit of its own.
    pub limit: Option<u64>,
}

/// Which of the command's streams a part of the log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// Both, in order of arrival; the index tells them apart.
    Both,
    Stdout,
    Stderr,
}

/// A part of the log: a range of a file on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPart {
    #[serde(with = "crate::config::path_json")]
    pub path: PathBuf,
    pub holds: Holds,
    /// Byte range in the file, `start..end`. Our spool begins at 0; a file that the user
    /// redirected to begins where it was when the run started.
    pub start: u64,
    pub end: u64,
    /// Is it our spool, with an index beside it?
    pub spooled: bool,
    /// What is wrong with it, if something is (truncated by someone, unreadable).
    pub trouble: Option<PartTrouble>,
    /// What `log.max_size` took out of its middle: the file holds nothing there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Range<u64>>,
    /// The end of what the disk didn't take.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "bytes_json")]
    pub kept: Vec<u8>,
}

/// Bytes in JSON as a text of the characters U+0000 to U+00FF: as short as they are, mostly. As numbers, one
/// to a line, they would take fourteen times the room, on a disk that has none.
mod bytes_json {
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Found {
        Text(String),
        /// As it was once.
        Numbers(Vec<u8>),
    }

    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&bytes.iter().map(|byte| char::from(*byte)).collect::<String>())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        match Found::deserialize(from)? {
            Found::Numbers(bytes) => Ok(bytes),
            Found::Text(text) => text
                .chars()
                .map(|c| u8::try_from(c).map_err(|_| serde::de::Error::custom("a character above U+00FF")))
                .collect(),
        }
    }
}

impl LogPart {
    /// Bytes that can be read back.
    pub fn readable(&self) -> u64 {
        self.len() - self.cut.as_ref().map_or(0, |cut| cut.end - cut.start)
    }

    pub fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartTrouble {
    /// The user's file is now shorter than it was at the start.
    Truncated,
    /// The user's file is gone or is another file now.
    Replaced,
    /// Our spool grew beyond `log.max_size`, and lacks `bytes` in its middle.
    Cut { bytes: u64 },
    /// Our spool lacks `bytes` that it couldn't write: the disk said `errno`.
    Gap { bytes: u64, errno: i32 },
    /// Since the run's end the file has lost what stood there, `bytes` of the log.
    Shrunk { bytes: u64 },
    /// The file can't be read any more.
    Unreadable,
}

/// Everything that is known of a run that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFacts {
    #[serde(flatten)]
    pub start: RunStart,
    pub ended: Timestamp,
    /// From the monotonic clock: a step of the wall clock doesn't change it.
    pub duration: Duration,
    pub end: End,
    /// None for a pipe and for a command that didn't start.
    pub usage: Option<Usage>,
    /// None: no such kill is known of.
    #[serde(default)]
    pub out_of_memory: Option<OutOfMemory>,
    pub log: Vec<LogPart>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a record that the disk has no room for, because what the disk had no room for is in it; bytes
    /// that come back as others; an older record that doesn't load.
    #[test]
    fn what_is_kept_takes_no_more_room_than_it_must() {
        let part = |kept: &[u8]| LogPart {
            path: "/run/log".into(),
            holds: Holds::Both,
            start: 0,
            end: 0,
            spooled: true,
            trouble: None,
            cut: None,
            kept: kept.to_vec(),
        };
        let text = part("epoch 1: loss 0.5\n".repeat(1000).as_bytes());
        assert!(serde_json::to_vec_pretty(&text).unwrap().len() < text.kept.len() * 5 / 4);
        let all = part(&(0..=255).collect::<Vec<u8>>());
        let json = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<LogPart>(&json).unwrap(), all);
        let mut older: serde_json::Value = serde_json::from_str(&json).unwrap();
        older["kept"] = serde_json::json!([0, 10, 255]);
        assert_eq!(serde_json::from_value::<LogPart>(older).unwrap().kept, [0, 10, 255]);
    }
}
