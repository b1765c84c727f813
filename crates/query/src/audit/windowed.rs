//! Audits a view with windows: the events of each window, and its rows pass by pass.

use std::{collections::HashSet, sync::Arc};

use datafusion::arrow::array::RecordBatch;
use lakehead_model::{TimeRange, Timestamp};
use lakehead_window::Windows;

use super::{
    blocking::{blocking, compare, compare_exactly, file_name, partial_rows},
    passes::{Pass, PassPart},
    report::Difference,
    under_way::Audit,
    window_counts::{WindowCounts, add_events},
};
use crate::{
    error::Error,
    keyed_rows::Comparison,
    view::{Listed, files, finish::finished},
};

impl Audit<'_> {
    /// How many events the view's partial rows have in each slice, as far as they are still kept.
    pub(super) async fn view_windows(&mut self) -> Result<WindowCounts, Error> {
        let mut windows = WindowCounts::new();
        let snapshot = Arc::clone(&self.snapshot);
        let Some(windowed) = snapshot.plan.windowed() else { return Ok(windows) };
        add_events(windowed, &mut windows, &snapshot.open)?;
        for paths in snapshot.results.partials.values() {
            if let Some(rows) = partial_rows(paths).await? {
                add_events(windowed, &mut windows, &rows)?;
            }
        }
        Ok(windows)
    }

    /// Where the partial rows are kept, the events of each window are compared: a lost event is found even where no
    /// column counts.
    pub(super) fn compare_windows(&mut self, log: &WindowCounts, view: &WindowCounts) {
        self.found.windows = log.len() as u64;
        for (window, in_view) in view {
            if !self.is_in(*window) {
                continue;
            }
            let in_log = log.get(window).copied().unwrap_or(0);
            if *in_view == in_log {
                continue;
            }
            let lacks = in_log.saturating_sub(*in_view);
            if lacks > 0 && lacks <= self.left_out {
                self.left_out -= lacks;
                continue;
            }
            self.found.differs(Difference {
                window: window.to_string(),
                what: "events in the window".into(),
                view: in_view.to_string(),
                log: in_log.to_string(),
            });
        }
    }

    pub(super) async fn compare_pass(
        &mut self,
        pass: &Pass,
        comparison: &Arc<Comparison>,
        windows: &WindowCounts,
        counted: &WindowCounts,
    ) -> Result<(), Error> {
        let starts: HashSet<Timestamp> = pass.periods.iter().map(|period| period.start).collect();
        let snapshot = Arc::clone(&self.snapshot);
        let has_having = snapshot.plan().shape().has_having;
        let parts = pass.parts(&snapshot, self.extent, comparison);
        let (mut filed, mut compared) = (Vec::new(), Vec::new());
        for listed in snapshot.results.files.iter().filter(|listed| starts.contains(&listed.range.start)) {
            let before = self.found.differences;
            filed.extend(self.file_rows(listed, &parts, comparison).await?);
            if before == self.found.differences {
                compared.push(file_name(listed));
            }
        }
        let before = self.found.differences;
        for part in &parts {
            let (Some(first), Some(last)) = (part.periods.first(), part.periods.last()) else { continue };
            // A pass may leap over periods that were compared before; the log's rows of those are left out by window.
            let log = self.recount.rows(TimeRange { start: first.start, end: last.end }, &part.periods).await?;
            let mut rows = self.open_rows(&starts, part).await?;
            rows.extend(part.rows_of(&filed, comparison)?);
            self.found.rows += log.iter().map(|batch| batch.num_rows() as u64).sum::<u64>();
            let differing = compare_exactly(comparison, rows, log).await?;
            for differing in self.recount.beyond_rounding(comparison, differing, &part.periods).await? {
                let explained = snapshot.plan().windowed().is_some_and(|plan| {
                    let closed_until = snapshot.closed_until;
                    self.budget.explains(plan, &differing, (windows, counted), closed_until, has_having)
                });
                if explained {
                    self.found.explained += 1;
                    continue;
                }
                self.found.differs(Difference::of_row(differing, || format!("{} to {}", first.start, last.end)));
            }
        }
        self.found.files += compared.len() as u64;
        if before == self.found.differences {
            self.found.compared.extend(compared);
        }
        Ok(())
    }

    /// The rows of open windows in these periods, as far as they are of `part`.
    async fn open_rows(&self, periods: &HashSet<Timestamp>, part: &PassPart) -> Result<Vec<RecordBatch>, Error> {
        let (snapshot, plan) = (&self.snapshot, self.snapshot.plan());
        let Some(windowed) = plan.windowed() else { return Ok(Vec::new()) };
        let filed: HashSet<Timestamp> = snapshot.results.files.iter().map(|listed| listed.range.start).collect();
        finished(plan, windowed, snapshot.open.clone(), |window| {
            let period = windowed.period.range(window.start).start;
            periods.contains(&period)
                && part.has(window.start)
                && (window.end > snapshot.closed_until || !filed.contains(&period))
        })
        .await
        .map(|finished| finished.rows)
    }

    /// The rows of a result file, which is compared with its count, its partial rows and its public name on the way.
    async fn file_rows(
        &mut self,
        listed: &Listed,
        parts: &[PassPart],
        comparison: &Arc<Comparison>,
    ) -> Result<Vec<RecordBatch>, Error> {
        let about = |what: String| Difference { window: listed.range.start.to_string(), what, ..Difference::default() };
        let (path, schema) = (listed.file.path.clone(), self.snapshot.plan().schema());
        let rows = match blocking(move || files::read_parquet(&path, &schema)).await? {
            Ok(rows) => rows,
            Err(error) => {
                self.found.differs(about(format!("the result file {} cannot be read: {error}", file_name(listed))));
                return Ok(Vec::new());
            }
        };
        let count: u64 = rows.iter().map(|batch| batch.num_rows() as u64).sum();
        if count != listed.rows {
            let view = format!("{count} rows in the file, {} by the checkpoint", listed.rows);
            self.found.differs(Difference { view, ..about(format!("the result file {}", file_name(listed))) });
        }
        self.compare_public(listed).await?;
        // Where late events have taken its partial rows back into the state, the next commit writes both anew.
        let Some(paths) = self.snapshot.results.partials.get(&listed.range.start).cloned() else { return Ok(rows) };
        let plan = Arc::clone(self.snapshot.plan());
        if let (true, Some(windowed), Some(partial)) = (listed.correctable, plan.windowed(), partial_rows(&paths).await?)
            // The panes of hopping windows are shared between periods.
            && !matches!(windowed.windows, Windows::Hop(_))
        {
            // The rows of a large period are three times in memory here, so part by part.
            for part in parts {
                let partial = finished(&plan, windowed, partial.clone(), |window| part.has(window.start)).await?.rows;
                for differing in compare(comparison, partial, part.rows_of(&rows, comparison)?).await? {
                    let row = Difference::of_row(differing, || listed.range.start.to_string());
                    let what = format!("{}, in the partial rows (view) and the result file (log)", row.what);
                    self.found.differs(Difference { what, ..row });
                }
            }
        }
        Ok(rows)
    }
}
