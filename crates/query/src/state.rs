//! A view's state: partial rows in tiers, merged as they grow.
//!
//! ```text
//!   tier 0   ▪ ▪ ▪          one run for each round of events
//!   tier 1   ■ ■            FAN_IN runs of the tier below, reduced to one
//!   tier 2   █
//! ```
//!
//! Merging everything for every block would be quadratic; so each row is merged once for each tier it climbs. The rows
//! are plain Arrow batches, so showing them (a snapshot) is a matter of sharing them.

use datafusion::arrow::{
    array::{Array, AsArray, BooleanArray, RecordBatch},
    compute::{filter_record_batch, kernels::aggregate},
    datatypes::{Int64Type, TimestampMicrosecondType},
};
use lakehead_model::Timestamp;

use crate::{Error, ViewPlan};

/// How many runs of one tier become one of the next. Four keeps at most a dozen runs for a million rounds and merges
/// a row about log4 of that often.
const FAN_IN: usize = 4;

struct Run {
    tier: u32,
    batches: Vec<RecordBatch>,
}

/// The partial rows of all windows that no result file holds.
#[derive(Default)]
pub(crate) struct State {
    runs: Vec<Run>,
    /// No window of these rows starts before this.
    earliest: Option<Timestamp>,
}

impl State {
    /// Adds partial rows, merging tiers that are full.
    pub(crate) async fn push(&mut self, plan: &ViewPlan, batches: Vec<RecordBatch>) -> Result<(), Error> {
        let batches: Vec<_> = batches.into_iter().filter(|batch| batch.num_rows() > 0).collect();
        for batch in &batches {
            let least = window_starts(plan, batch).and_then(aggregate::min).map(Timestamp);
            self.earliest = [self.earliest, least].into_iter().flatten().min();
        }
        if batches.is_empty() {
            return Ok(());
        }
        self.runs.push(Run { tier: 0, batches });
        while let Some(tier) = self.full_tier() {
            let from = self.runs.len() - FAN_IN;
            let batches = self.runs.drain(from..).flat_map(|run| run.batches).collect();
            let batches = plan.reduce.run(batches).await?;
            self.runs.push(Run { tier: tier + 1, batches });
        }
        Ok(())
    }

    fn full_tier(&self) -> Option<u32> {
        let tier = self.runs.last()?.tier;
        let alike = self.runs.iter().rev().take_while(|run| run.tier == tier).count();
        (alike >= FAN_IN).then_some(tier)
    }

    /// Takes everything out, reduced to one row for each window and group.
    pub(crate) async fn take(&mut self, plan: &ViewPlan) -> Result<Vec<RecordBatch>, Error> {
        self.earliest = None;
        let batches: Vec<_> = std::mem::take(&mut self.runs).into_iter().flat_map(|run| run.batches).collect();
        if batches.is_empty() { Ok(batches) } else { plan.reduce.run(batches).await }
    }

    /// The partial rows as they lie: shared, not copied.
    pub(crate) fn batches(&self) -> Vec<RecordBatch> {
        self.runs.iter().flat_map(|run| run.batches.iter().cloned()).collect()
    }

    /// No window in here starts before this; `None` when there is none.
    pub(crate) fn earliest(&self) -> Option<Timestamp> {
        self.earliest
    }

    /// How many partial rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.runs.iter().flat_map(|run| &run.batches).map(RecordBatch::num_rows).sum()
    }
}

/// The starts of the windows in a batch of partial rows.
pub(crate) fn window_starts<'a>(
    plan: &ViewPlan,
    batch: &'a RecordBatch,
) -> Option<&'a datafusion::arrow::array::TimestampMicrosecondArray> {
    batch.column(plan.window_column()).as_primitive_opt::<TimestampMicrosecondType>()
}

/// The rows of `batch` whose window satisfies `keep`, the number of events in the others, and whether any row is left.
/// A row without a window is handed to `keep` as `None`.
pub(crate) fn split(
    plan: &ViewPlan,
    batch: &RecordBatch,
    mut keep: impl FnMut(Option<Timestamp>, u64) -> bool,
) -> Result<RecordBatch, Error> {
    let Some(starts) = window_starts(plan, batch) else {
        return Err(Error::Engine("a partial row's window is not a time".into()));
    };
    let events = batch.column(plan.events_column()).as_primitive::<Int64Type>();
    let kept: BooleanArray = (0..batch.num_rows())
        .map(|row| {
            let start = starts.is_valid(row).then(|| Timestamp(starts.value(row)));
            Some(keep(start, u64::try_from(events.value(row)).unwrap_or(0)))
        })
        .collect();
    if kept.true_count() == batch.num_rows() { Ok(batch.clone()) } else { Ok(filter_record_batch(batch, &kept)?) }
}
