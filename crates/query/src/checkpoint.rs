//! A view's checkpoint: one small file whose rename is the commit.
//!
//! It names the offset, the state and the live files, all of which were synced before. Whatever it does not name is
//! left over from a crash. It also holds what the state depends on: the SQL, the DataFusion release and a fingerprint
//! of the state's schema; when one differs, the view is rebuilt from the log.

use std::{collections::BTreeMap, path::Path};

use lakehead_model::{Offset, Timestamp};
use lakehead_window::Watermark;
use serde::{Deserialize, Serialize};

use crate::{Counts, Error, ViewPlan, files};

/// The version of this format.
const FORMAT: u32 = 1;

/// What a view knows at one offset.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    format: u32,
    sql: String,
    datafusion: String,
    fingerprint: String,
    /// Numbers the files; grows with every commit.
    pub(crate) generation: u64,
    /// The first offset that is not in the view.
    pub(crate) next_offset: Offset,
    pub(crate) watermark: Watermark,
    /// Windows that end at or before this are in result files.
    pub(crate) closed_until: Timestamp,
    pub(crate) counts: Counts,
    /// Result periods by their start.
    pub(crate) periods: BTreeMap<Timestamp, Period>,
    /// The generation of the file with the partial rows of open windows, when there are any.
    pub(crate) open: Option<u64>,
}

/// One result period's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Period {
    pub(crate) generation: u64,
    pub(crate) rows: u64,
    /// Size of the result file in bytes.
    pub(crate) bytes: u64,
    /// Whether the partial rows are still kept, so that late events can correct it.
    pub(crate) correctable: bool,
}

impl Checkpoint {
    /// The checkpoint of a view that has seen nothing.
    pub(crate) fn empty(plan: &ViewPlan, watermark: Watermark) -> Self {
        Self {
            format: FORMAT,
            sql: plan.sql().to_owned(),
            datafusion: crate::DATAFUSION_VERSION.to_owned(),
            fingerprint: plan.fingerprint(),
            generation: 0,
            next_offset: Offset(0),
            watermark,
            closed_until: Timestamp(i64::MIN),
            counts: Counts::default(),
            periods: BTreeMap::new(),
            open: None,
        }
    }

    /// Reads the checkpoint at `path`, or says why the view has to be rebuilt.
    pub(crate) fn read(path: &Path, plan: &ViewPlan) -> Result<Self, Rebuild> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(Rebuild::New),
            Err(e) => return Err(Rebuild::Because(format!("its checkpoint cannot be read: {e}"))),
        };
        let checkpoint: Self =
            serde_json::from_slice(&bytes).map_err(|e| Rebuild::Because(format!("its checkpoint is damaged: {e}")))?;
        let differs = [
            (checkpoint.format != FORMAT, "its checkpoint has another format"),
            (checkpoint.sql != plan.sql(), "its SQL was changed"),
            (checkpoint.datafusion != crate::DATAFUSION_VERSION, "DataFusion was upgraded"),
            (checkpoint.fingerprint != plan.fingerprint(), "its columns changed"),
        ];
        match differs.iter().find(|(differs, _)| *differs) {
            Some((_, why)) => Err(Rebuild::Because((*why).to_owned())),
            None => Ok(checkpoint),
        }
    }

    /// Commits: after this returns, this checkpoint is what an opening finds.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let bytes = serde_json::to_vec_pretty(self).map_err(|e| Error::Engine(e.to_string()))?;
        files::replace(path, &bytes)
    }
}

/// Why a view starts from the beginning of the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rebuild {
    /// There is no checkpoint yet.
    New,
    /// There is one, but it cannot be used.
    Because(String),
}
