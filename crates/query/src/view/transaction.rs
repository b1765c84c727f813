//! The commit under way: the files that it writes, and the checkpoint that will name them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use datafusion::arrow::array::RecordBatch;
use lakehead_model::{TimeRange, Timestamp};

use super::{
    diff::{self, RowChanges},
    failed_values::FailedValues,
    files::{self, Checkpoint, Folder, MadeOf, ParquetWriter, Period, ResultFile, Slot},
};
use crate::{error::Error, plan::ViewPlan, syncing::Syncing};

/// Most result periods that one commit writes, beside those that late events have opened again. The other views of the
/// stream and a stop wait for it, so it is to take about a second. Each further commit writes once more what is open and
/// a checkpoint that names every file: with far fewer periods in each, all of them would take longer.
pub(super) const PERIODS_MAX: usize = 1_000;

/// A live result file.
#[derive(Debug)]
pub(super) struct LiveFile {
    pub(super) range: TimeRange,
    pub(super) generation: u64,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) made_of: Option<MadeOf>,
    pub(super) failed: FailedValues,
    pub(super) file: Arc<ResultFile>,
}

impl LiveFile {
    pub(super) fn new(
        range: TimeRange,
        generation: u64,
        rows: u64,
        bytes: u64,
        path: PathBuf,
        made_of: Option<MadeOf>,
        failed: FailedValues,
    ) -> Self {
        Self { range, generation, rows, bytes, made_of, failed, file: files::result_file(path, bytes) }
    }

    pub(super) fn period(&self) -> Period {
        let Self { range, generation, rows, bytes, ref made_of, ref failed, .. } = *self;
        Period { end: range.end, generation, rows, bytes, failed: failed.clone(), made_of: made_of.clone() }
    }
}

/// What a commit is about to make true.
pub(super) struct Transaction {
    pub(super) folder: Folder,
    /// Windows that end at or before this close.
    pub(super) watermark: Timestamp,
    /// No result period is left to the next commit.
    pub(super) is_whole: bool,
    pub(super) checkpoint: Checkpoint,
    pub(super) written: BTreeMap<Timestamp, LiveFile>,
    pub(super) syncing: Syncing,
    /// The changes for those who follow the view. `None` in the first commit: it may hold all of a long log, and whoever
    /// follows begins with the complete rows anyway. `None` in a shadow, too, which nobody follows before its cutover.
    pub(super) changes: Option<RowChanges>,
}

impl Transaction {
    /// The commit in `slot` that follows `checkpoint` and closes windows up to its watermark.
    pub(super) fn begin(folder: &Folder, slot: Slot, checkpoint: &Checkpoint) -> Self {
        let mut next = Self {
            folder: folder.clone(),
            watermark: checkpoint.watermark.current().unwrap_or(Timestamp(i64::MIN)),
            is_whole: true,
            checkpoint: checkpoint.clone(),
            written: BTreeMap::new(),
            syncing: Syncing::new(folder.state()),
            changes: (checkpoint.generation > 0 && slot == Slot::Active).then(RowChanges::default),
        };
        next.checkpoint.generation += 1;
        next
    }

    /// Writes the result file of a period: `rows`, and those that the file `filed` has.
    pub(super) fn write(
        &mut self,
        plan: &ViewPlan,
        period: TimeRange,
        filed: Option<&Path>,
        rows: Vec<RecordBatch>,
        failed: FailedValues,
        made_of: Option<MadeOf>,
    ) -> Result<(), Error> {
        let generation = self.checkpoint.generation;
        let path = self.folder.result(period, self.checkpoint.build, generation);
        let mut writer = ParquetWriter::create(&path, &plan.schema(), &diff::order(plan))?;
        let mut count = 0;
        let write = |batch: &RecordBatch| {
            count += batch.num_rows() as u64;
            writer.write(batch)
        };
        let filed = filed.map(|filed| files::parquet_batches(filed, &plan.schema())).transpose()?;
        diff::merged(plan, filed.into_iter().flatten(), rows, write)?;
        let bytes = writer.finish(&mut self.syncing)?;
        self.add(LiveFile::new(period, generation, count, bytes, path, made_of, failed));
        Ok(())
    }

    /// Adds changes for those who follow the view, unless this commit records none.
    pub(super) fn tell(&mut self, changes: impl FnOnce() -> Result<RowChanges, Error>) -> Result<(), Error> {
        if let Some(told) = &mut self.changes {
            told.add(changes()?);
        }
        Ok(())
    }

    /// Whether a result file of the period that begins at `start` is part of it.
    pub(super) fn has_written(&self, start: Timestamp) -> bool {
        self.written.contains_key(&start)
    }

    pub(super) fn add(&mut self, live: LiveFile) {
        self.written.insert(live.range.start, live);
    }
}
