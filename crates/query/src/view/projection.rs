//! The body of a projection: rows as the log has them, gathered into one file for each received hour.
//!
//! Between commits rows are in memory; each commit adds them as a part of their hour, and when the hour is over its parts
//! and what has come since become one file, which other programs see. Nothing is ever late, since received time never
//! runs back.

use std::collections::BTreeMap;

use datafusion::arrow::array::RecordBatch;
use lakehead_model::{TimeRange, Timestamp};

use super::{
    diff,
    failed_values::FailedValues,
    files::{self, ParquetWriter, PartFile, Parts},
    transaction::{LiveFile, Transaction},
};
use crate::{error::Error, plan::ViewPlan};

/// How many parts an hour may have before they are made one.
const PARTS_MAX: usize = 32;

/// What came since the last commit, by the hour's start.
#[derive(Debug, Default)]
pub(super) struct ProjectionBody {
    pub(super) pending: BTreeMap<Timestamp, Vec<RecordBatch>>,
}

impl ProjectionBody {
    /// Applies rows of the hour that begins at `start`, which have their buffers to themselves.
    pub(super) fn apply(&mut self, start: Timestamp, rows: RecordBatch) {
        if rows.num_rows() > 0 {
            self.pending.entry(start).or_default().push(rows);
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.pending.values().flatten().map(RecordBatch::num_rows).sum()
    }

    pub(super) fn bytes(&self) -> usize {
        self.pending.values().flatten().map(RecordBatch::get_array_memory_size).sum()
    }

    pub(super) fn batches(&self) -> Vec<RecordBatch> {
        self.pending.values().flatten().cloned().collect()
    }

    pub(super) fn commit(&self, plan: &ViewPlan, next: &mut Transaction) -> Result<(), Error> {
        let (build, generation, watermark) = (next.checkpoint.build, next.checkpoint.generation, next.watermark);
        for (start, rows) in &self.pending {
            let range = plan.period_at(*start);
            let mut parts = next.checkpoint.parts.remove(start).unwrap_or(Parts { end: range.end, files: Vec::new() });
            // An hour that is over becomes one file below, and these rows go into it at once.
            if watermark < range.end {
                let older = if parts.files.len() < PARTS_MAX { Vec::new() } else { std::mem::take(&mut parts.files) };
                let path = next.folder.part(range, build, generation);
                parts.files.push(write(plan, next, range, &older, rows, &path)?);
            }
            next.checkpoint.parts.insert(*start, parts);
            next.tell(|| diff::inserted(plan, rows))?;
        }
        let over: Vec<Timestamp> =
            next.checkpoint.parts.iter().filter(|(_, parts)| parts.end <= watermark).map(|(start, _)| *start).collect();
        for start in over {
            let Some(parts) = next.checkpoint.parts.remove(&start) else { continue };
            let range = TimeRange { start, end: parts.end };
            let rows = self.pending.get(&start).map(Vec::as_slice).unwrap_or_default();
            let path = next.folder.result(range, build, generation);
            let part = write(plan, next, range, &parts.files, rows, &path)?;
            next.add(LiveFile::new(range, generation, part.rows, part.bytes, path, None, FailedValues::default()));
        }
        Ok(())
    }
}

/// Makes one file of several parts and `rows` after them, bit by bit.
fn write(
    plan: &ViewPlan,
    next: &mut Transaction,
    range: TimeRange,
    parts: &[PartFile],
    rows: &[RecordBatch],
    path: &std::path::Path,
) -> Result<PartFile, Error> {
    let mut writer = ParquetWriter::create(path, &plan.schema(), &[])?;
    let mut count = 0;
    let mut add = |batch: &RecordBatch| {
        count += batch.num_rows() as u64;
        writer.write(batch)
    };
    for part in parts {
        let path = next.folder.part(range, next.checkpoint.build, part.generation);
        for batch in files::parquet_batches(&path, &plan.schema())? {
            add(&batch?)?;
        }
    }
    rows.iter().try_for_each(&mut add)?;
    Ok(PartFile { generation: next.checkpoint.generation, rows: count, bytes: writer.finish(&mut next.syncing)? })
}
