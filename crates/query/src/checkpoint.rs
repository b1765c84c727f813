//! A view's checkpoint: one small file whose rename is the commit.
//!
//! It names the offset, the state and the live files, all of which were synced before. Whatever it does not name is
//! left over from a crash. It also holds what the state depends on: the SQL, the DataFusion release and a fingerprint
//! of the state's schema; when one differs, the view is rebuilt from the log.
//!
//! A view whose SQL was changed has two for a while: `checkpoint.json` of what is answered from, and `next.json` of the
//! one that is built beside it. Renaming the second over the first is the change.

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
};

use lakehead_model::{Offset, TimeRange, Timestamp};
use lakehead_window::Watermark;
use serde::{Deserialize, Serialize};

use crate::{
    Counts, Error, ViewPlan,
    files::{self, Folder},
    snapshot::FailedValues,
    state::RunFile,
};

/// The version of this format. 1 had one file of partial rows for each result period and one for open windows.
const FORMAT: u32 = 2;

/// What a view knows at one offset.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    format: u32,
    /// The SQL of the view itself.
    pub(crate) sql: String,
    /// The same with that of all views that it reads.
    definition: String,
    datafusion: String,
    fingerprint: String,
    /// Which of the view's lives this is: grows with every rebuild beside another.
    pub(crate) build: u64,
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
    /// Partial rows that have left the state, by the period of their cells; kept for as long as late events may come.
    pub(crate) partials: BTreeMap<Timestamp, Partials>,
    /// The state, run by run.
    pub(crate) runs: Vec<RunFile>,
    /// Rows of a projection in periods that are not over, in files that will be one.
    pub(crate) parts: BTreeMap<Timestamp, Parts>,
    /// What has changed in the results, commit by commit.
    pub(crate) changes: Vec<ChangeFile>,
    /// The last commit whose changes are not kept any more: who has not seen it reads the view anew.
    #[serde(default)]
    pub(crate) changes_after: u64,
}

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
}

/// The partial rows of one period's cells.
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
    pub(crate) files: Vec<Part>,
}

/// One file of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
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
}

/// What stands in a checkpoint of the SQL and the settings of the view, for whoever decides what to do with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The SQL whose results are kept.
    pub sql: String,
    /// The same with the SQL of all views that it reads.
    pub definition: String,
    /// How far its watermark stays behind.
    pub watermark_delay: std::time::Duration,
}

impl Checkpoint {
    /// The checkpoint of a view that has seen nothing.
    pub(crate) fn empty(plan: &ViewPlan, watermark: Watermark) -> Self {
        Self {
            format: FORMAT,
            sql: plan.sql().to_owned(),
            definition: plan.definition().to_owned(),
            datafusion: crate::DATAFUSION_VERSION.to_owned(),
            fingerprint: plan.fingerprint(),
            build: 0,
            generation: 0,
            next_offset: Offset(0),
            watermark,
            closed_until: Timestamp(i64::MIN),
            counts: Counts::default(),
            periods: BTreeMap::new(),
            partials: BTreeMap::new(),
            runs: Vec::new(),
            parts: BTreeMap::new(),
            changes: Vec::new(),
            changes_after: 0,
        }
    }

    /// Reads the checkpoint at `path`, or says why the view has to be rebuilt.
    pub(crate) fn read(path: &Path, plan: &ViewPlan) -> Result<Self, Rebuild> {
        let checkpoint = Self::load(path)?;
        let differs = [
            (checkpoint.definition != plan.definition(), "its SQL or a column was changed"),
            (checkpoint.datafusion != crate::DATAFUSION_VERSION, "DataFusion was upgraded"),
            (checkpoint.fingerprint != plan.fingerprint(), "its columns changed"),
        ];
        match differs.iter().find(|(differs, _)| *differs) {
            Some((_, why)) => Err(Rebuild::Because((*why).to_owned())),
            None => Ok(checkpoint),
        }
    }

    /// Reads the checkpoint at `path`, whatever view it is of.
    pub(crate) fn load(path: &Path) -> Result<Self, Rebuild> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(Rebuild::New),
            Err(e) => return Err(Rebuild::Because(format!("its checkpoint cannot be read: {e}"))),
        };
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let damaged = |e: serde_json::Error| Rebuild::Because(format!("its checkpoint is damaged: {e}"));
        let version: Version = serde_json::from_slice(&bytes).map_err(damaged)?;
        if version.format != FORMAT {
            return Err(Rebuild::Because("its checkpoint has another format".to_owned()));
        }
        serde_json::from_slice(&bytes).map_err(damaged)
    }

    /// Commits: after this returns, this checkpoint is what an opening finds.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let bytes = serde_json::to_vec_pretty(self).map_err(|e| Error::Engine(e.to_string()))?;
        files::replace(path, &bytes)
    }

    pub(crate) fn kept(&self) -> Kept {
        Kept { sql: self.sql.clone(), definition: self.definition.clone(), watermark_delay: self.watermark.delay() }
    }

    /// Every file that it names, in the folder of the state.
    pub(crate) fn files(&self, folder: &Folder) -> HashSet<PathBuf> {
        let mut files = HashSet::new();
        let range = |start: &Timestamp, end: Timestamp| TimeRange { start: *start, end };
        for (start, period) in &self.periods {
            files.insert(folder.result(range(start, period.end), self.build, period.generation));
        }
        for (start, partials) in &self.partials {
            let of = |generation: &u64| folder.partial(range(start, partials.end), self.build, *generation);
            files.extend(partials.generations.iter().map(of));
        }
        for (start, parts) in &self.parts {
            let of = |part: &Part| folder.part(range(start, parts.end), self.build, part.generation);
            files.extend(parts.files.iter().map(of));
        }
        files.extend(self.runs.iter().map(|run| folder.run(self.build, *run)));
        files.extend(self.changes.iter().map(|file| folder.changes(self.build, file.generation)));
        files
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
