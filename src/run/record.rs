//! `run.json`: what is on disk of a run, from its start on. Pure.

use serde::{Deserialize, Serialize};

use super::facts::{RunFacts, RunStart};
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

impl RunRecord {
    pub fn running(start: &RunStart, overrides: &Overrides) -> Self {
        let phase = Phase::Running(start.clone());
        Self { version: VERSION, notice_due: false, overrides: overrides.clone(), phase }
    }

    pub fn ended(facts: &RunFacts, overrides: &Overrides, notice_due: bool) -> Self {
        Self {
            version: VERSION,
            notice_due,
            overrides: overrides.clone(),
            phase: Phase::Ended(facts.clone()),
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
