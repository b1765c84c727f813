//! Audits a projection: its rows hour by hour.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::arrow::array::RecordBatch;
use lakehead_model::{TimeRange, Timestamp};

use super::{
    blocking::{blocking, compare, file_name},
    report::ViewAudit,
    under_way::Audit,
};
use crate::{
    error::Error,
    keyed_rows::Comparison,
    view::{Listed, files},
};

impl Audit<'_> {
    /// A projection: its rows hour by hour against the query over what was received then. It has no windows, so there is
    /// no balance of events but only rows.
    pub(super) async fn run_rows(mut self, comparison: &Arc<Comparison>) -> Result<ViewAudit, Error> {
        let snapshot = Arc::clone(&self.snapshot);
        let mut finished: BTreeMap<Timestamp, Vec<&Listed>> = BTreeMap::new();
        for listed in &snapshot.results.files {
            if self.is_in(listed.range.start) && !self.extent.known.contains(&file_name(listed)) {
                finished.entry(listed.range.start).or_default().push(listed);
            }
        }
        let last = snapshot.results.files.iter().map(|listed| listed.range).max_by_key(|range| range.start);
        for (start, files) in finished {
            let Some(range) = files.first().map(|listed| listed.range) else { continue };
            let mut rows = Vec::new();
            let mut compared = Vec::new();
            let before = self.found.differences;
            for listed in files {
                let (path, schema) = (listed.file.path.clone(), snapshot.plan().schema());
                rows.extend(blocking(move || files::read_parquet(&path, &schema)).await??);
                if !listed.is_part {
                    self.compare_public(listed).await?;
                }
                compared.push(file_name(listed));
            }
            // What is in memory is of the newest hour, or of later ones.
            let is_last = last.is_some_and(|last| last.start == start);
            let end = if is_last { Timestamp(i64::MAX) } else { range.end };
            if is_last {
                rows.extend(snapshot.open.iter().cloned());
            }
            self.compare_rows(comparison, TimeRange { start: range.start, end }, rows).await?;
            self.found.files += compared.len() as u64;
            if before == self.found.differences && !is_last {
                self.found.compared.extend(compared);
            }
        }
        if last.is_none() {
            let all = TimeRange { start: self.from.unwrap_or(Timestamp(i64::MIN)), end: Timestamp(i64::MAX) };
            self.compare_rows(comparison, all, snapshot.open.clone()).await?;
        }
        Ok(self.found)
    }

    async fn compare_rows(
        &mut self,
        comparison: &Arc<Comparison>,
        range: TimeRange,
        rows: Vec<RecordBatch>,
    ) -> Result<(), Error> {
        let log = self.recount.rows(range, &[range]).await?;
        self.found.rows += log.iter().map(|batch| batch.num_rows() as u64).sum::<u64>();
        let differing = compare(comparison, rows, log).await?;
        self.tell(differing, || range.start.to_string());
        Ok(())
    }
}
