//! `run.json`: what is on disk of a run, from its start on. Pure.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::facts::{Holds, LogPart, PartTrouble, RunFacts, RunStart};
use super::life::Owner;
use super::policy::Policy;
use crate::config::Overrides;
use crate::error::{Error, Kind, Result};

pub const VERSION: u32 = 1;
pub const FILE: &str = "run.json";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    pub version: u32,
    /// A notice of the end is wanted, and isn't known to be in the outbox yet.
    #[serde(default)]
    pub notice_due: bool,
    /// What flags and environment asked for, for a notice that is made later.
    #[serde(default)]
    pub overrides: Overrides,
    /// What it takes to judge a run that nobody saw end; None once somebody did.
    #[serde(default)]
    pub underway: Option<Underway>,
    #[serde(flatten)]
    pub phase: Phase,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It runs, or ran when this was written.
    Running(RunStart),
    /// It ended; the log is complete.
    Ended(RunFacts),
}

/// What is known of a run while it goes on, beside its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Underway {
    pub owner: Owner,
    /// Whether its end is worth a mail, for who finds it ended.
    pub policy: Policy,
    /// Where its log is growing.
    pub log: Vec<LogSource>,
}

/// A part of the log that is still written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSource {
    #[serde(with = "crate::config::path_json")]
    pub path: PathBuf,
    pub holds: Holds,
    /// Where in the file the run's output begins.
    pub start: u64,
    /// Tells a file of the user's from one that took its name since; None: our spool.
    pub inode: Option<u64>,
}

impl LogSource {
    /// The part that it is when its file has this inode and length now; None: it is gone.
    pub fn part(&self, found: Option<(u64, u64)>) -> LogPart {
        let wanted = |inode: u64| self.inode.is_none_or(|noted| noted == inode);
        let len = found.filter(|(inode, _)| wanted(*inode)).map(|(_, len)| len);
        let trouble = match len {
            None => Some(PartTrouble::Replaced),
            Some(len) if len < self.start => Some(PartTrouble::Truncated),
            Some(_) => None,
        };
        let end = len.unwrap_or(self.start);
        let start = self.start.min(if trouble == Some(PartTrouble::Truncated) { 0 } else { end });
        let (path, spooled) = (self.path.clone(), self.inode.is_none());
        LogPart { path, holds: self.holds, start, end, spooled, trouble, cut: None, kept: Vec::new() }
    }
}

impl RunRecord {
    pub fn running(start: &RunStart, overrides: &Overrides, underway: Underway) -> Self {
        let phase = Phase::Running(start.clone());
        let underway = Some(underway);
        Self { version: VERSION, notice_due: false, overrides: overrides.clone(), underway, phase }
    }

    pub fn ended(facts: &RunFacts, overrides: &Overrides, notice_due: bool) -> Self {
        Self {
            version: VERSION,
            notice_due,
            overrides: overrides.clone(),
            underway: None,
            phase: Phase::Ended(facts.clone()),
        }
    }

    pub fn start(&self) -> &RunStart {
        match &self.phase {
            Phase::Running(start) => start,
            Phase::Ended(facts) => &facts.start,
        }
    }

    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("only string keys");
        json.push(b'\n');
        json
    }

    /// # Errors
    /// When it isn't JSON of ours, or a newer version than this program knows wrote it.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct OnlyVersion {
            version: u32,
        }
        let broken =
            |e: serde_json::Error| Error::new(Kind::Storage, "the run's record is damaged").because(e);
        let version = serde_json::from_slice::<OnlyVersion>(json).map_err(broken)?.version;
        if version > VERSION {
            return Err(Error::new(Kind::Storage, format!("the run's record has version {version}"))
                .because(format!("this program knows versions up to {VERSION}"))
                .hint("use the newer notify-done that wrote it"));
        }
        serde_json::from_slice(json).map_err(broken)
    }
}
