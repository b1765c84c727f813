//! What a checkpoint names: result files by period, partial rows, parts of an hour, changes.

use lakehead_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::view::{commit_id::CommitId, failed_values::FailedValues};

/// One result period's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Period {
    pub(crate) end: Timestamp,
    pub(crate) generation: u64,
    pub(crate) rows: u64,
    /// Size of the result file in bytes.
    pub(crate) bytes: u64,
    /// Values in it that are NULL because they could not be computed.
    #[serde(default, skip_serializing_if = "FailedValues::is_empty")]
    pub(crate) failed: FailedValues,
    /// For a view over another: what it was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) made_of: Option<MadeOf>,
}

/// What a result file of a view over another view was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MadeOf {
    /// The windows that begin before this are in it.
    pub(crate) before: Timestamp,
    /// The other view's files of rows before this went in.
    pub(crate) until: Timestamp,
    /// Each of them: its period's start, build and generation.
    pub(crate) files: Vec<(Timestamp, u64, u64)>,
    /// Their checksums, in the same order.
    #[serde(default)]
    pub(crate) sums: Vec<u64>,
}

/// The partial rows of one period's slices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Partials {
    pub(crate) end: Timestamp,
    /// The commits that wrote some of them.
    pub(crate) generations: Vec<u64>,
}

/// The rows of a projection in one period, so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parts {
    pub(crate) end: Timestamp,
    pub(crate) files: Vec<PartFile>,
}

/// One file of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartFile {
    pub(crate) generation: u64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// What one commit changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChangeFile {
    pub(crate) generation: u64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// The incarnation that wrote it, where that is not the checkpoint's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) build: Option<u64>,
    /// For the commit of a cutover: the last commit of the incarnation before, whose rows it leads on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) follows: Option<CommitId>,
}

impl ChangeFile {
    /// The commit that it is of; `own` is the checkpoint's incarnation.
    pub(crate) fn id(&self, own: u64) -> CommitId {
        CommitId { incarnation: self.build.unwrap_or(own), commit: self.generation }
    }
}
