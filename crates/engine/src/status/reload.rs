//! Reloads of the pipeline file in the status: how many there were, and what came of the last one.

use lakehead_model::Timestamp;
use serde::Serialize;

use super::time::time;

/// Reloads of the pipeline file since the start.
#[derive(Clone, Debug, Default, Serialize, schemars::JsonSchema)]
pub struct ReloadStatus {
    /// Those that were applied, also where nothing had changed.
    pub done: u64,
    /// Those that were refused since the file was not good, or asked for what takes a restart: the old pipeline went on.
    pub refused: u64,
    /// Those that could not be applied as a whole.
    pub failed: u64,
    /// The last one.
    pub last: Option<LastReload>,
}

/// One reload.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct LastReload {
    /// When it was over.
    #[serde(serialize_with = "time")]
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What came of it. In JSON its fields stand beside: `"outcome": "done", "changes": …`.
    #[serde(flatten)]
    pub outcome: ReloadOutcome,
}

/// What came of a reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ReloadOutcome {
    /// The new pipeline runs.
    Done {
        /// What it changed, in words.
        changes: Vec<String>,
    },
    /// The old pipeline goes on as it was.
    Refused {
        /// Everything that is in the way.
        why: String,
    },
    /// The new pipeline runs, but for what stands here.
    Failed {
        /// What went wrong, and what is stopped.
        why: String,
    },
}
