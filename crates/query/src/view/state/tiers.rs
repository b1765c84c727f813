//! A view's state: partial rows in tiers, merged as they grow.
//!
//! ```text
//!   tier 0   ▪ ▪ ▪          one run for each micro-batch
//!   tier 1   ■ ■            FAN_IN runs of the tier below, reduced to one
//!   tier 2   █
//! ```
//!
//! Merging everything for every block would be quadratic; so each row is merged once for each tier it climbs. Where a
//! merge leaves nearly as many rows as it was given (a group for each page), runs climb as they are, and the one merge
//! that closes their windows is left to do it. The rows are plain Arrow batches, so showing them (a snapshot) is a
//! matter of sharing them; and a run never changes, so a commit writes only the runs that came since the last one.

use std::collections::HashSet;

use datafusion::arrow::array::{Array, RecordBatch};
use lakehead_model::Timestamp;

use super::{merge::reduce, slices::Slices};
use crate::{error::Error, plan::Windowed, view::files::RunFile};

/// How many runs of one tier become one of the next. Four keeps at most a dozen runs for a million micro-batches and merges
/// a row about log4 of that often.
const FAN_IN: usize = 4;

/// A merge that leaves more than this percentage of the rows was not worth its time: it costs time for each row that it is
/// given, and saves the merges above it only those that it takes out. With four runs to a merge, a fifth of the rows is
/// little.
const WORTH_PERCENT_MAX: usize = 80;

/// So many times runs of a tier climb as they are before a merge is tried again.
const TRY_AGAIN_AFTER: u32 = 8;

/// Partial rows that never change.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) tier: u32,
    pub(crate) batches: Vec<RecordBatch>,
    /// Where they are kept, once a commit has written them.
    pub(crate) file: Option<RunFile>,
    /// Memory that they take.
    bytes: usize,
}

impl Run {
    pub(crate) fn new(tier: u32, batches: Vec<RecordBatch>, file: Option<RunFile>) -> Self {
        let bytes = memory(&batches);
        Self { tier, batches, file, bytes }
    }
}

/// Memory that `batches` take. An aggregation gives its rows in slices of the same buffers: each buffer counts once.
fn memory(batches: &[RecordBatch]) -> usize {
    let mut seen = HashSet::new();
    let mut bytes = 0;
    let mut arrays: Vec<_> = batches.iter().flat_map(RecordBatch::columns).map(|column| column.to_data()).collect();
    while let Some(array) = arrays.pop() {
        for buffer in array.buffers().iter().chain(array.nulls().map(|nulls| nulls.buffer())) {
            if seen.insert(buffer.data_ptr()) {
                bytes += buffer.capacity();
            }
        }
        arrays.extend_from_slice(array.child_data());
    }
    bytes
}

/// The partial rows of all slices that have left for no file of a result period.
#[derive(Debug, Default)]
pub(crate) struct State {
    runs: Vec<Run>,
    /// No slice of these rows starts before this.
    earliest: Option<Timestamp>,
    /// What the last merge of each tier was worth.
    worth: Vec<Worth>,
}

/// What the last merge of a tier was worth.
#[derive(Clone, Copy, Debug, Default)]
struct Worth {
    is_low: bool,
    /// How many times runs climbed as they are since.
    climbed: u32,
}

impl State {
    /// The state as a checkpoint names it.
    pub(crate) fn restored(plan: &Windowed, runs: Vec<Run>) -> Result<Self, Error> {
        let mut state = Self { runs, earliest: None, worth: Vec::new() };
        for batch in state.runs.iter().flat_map(|run| &run.batches) {
            let least = Slices::of(plan, batch)?.earliest();
            state.earliest = [state.earliest, least].into_iter().flatten().min();
        }
        Ok(state)
    }

    /// Without rows, with what is known of merging them.
    pub(crate) fn emptied(&self) -> Self {
        Self { worth: self.worth.clone(), ..Self::default() }
    }

    /// Adds partial rows, merging tiers that are full.
    pub(crate) async fn push(&mut self, plan: &Windowed, batches: Vec<RecordBatch>) -> Result<(), Error> {
        let batches: Vec<_> = batches.into_iter().filter(|batch| batch.num_rows() > 0).collect();
        for batch in &batches {
            let least = Slices::of(plan, batch)?.earliest();
            self.earliest = [self.earliest, least].into_iter().flatten().min();
        }
        if batches.is_empty() {
            return Ok(());
        }
        self.runs.push(Run::new(0, batches, None));
        while let Some(tier) = self.full_tier() {
            let from = self.runs.len() - FAN_IN;
            let mut batches: Vec<_> = self.runs.drain(from..).flat_map(|run| run.batches).collect();
            if self.tries(tier) {
                let before = rows(&batches);
                batches = reduce(plan, batches).await?;
                self.note(tier, before, rows(&batches));
            }
            self.runs.push(Run::new(tier + 1, batches, None));
        }
        Ok(())
    }

    /// Whether the runs of a full tier are to be merged.
    fn tries(&mut self, tier: u32) -> bool {
        let Some(worth) = self.worth.get_mut(tier as usize) else { return true };
        worth.climbed += 1;
        !worth.is_low || worth.climbed > TRY_AGAIN_AFTER
    }

    fn note(&mut self, tier: u32, before: usize, after: usize) {
        let tier = tier as usize;
        self.worth.resize(self.worth.len().max(tier + 1), Worth::default());
        self.worth[tier] = Worth { is_low: after * 100 > before * WORTH_PERCENT_MAX, climbed: 0 };
    }

    /// Whether nearly every row is the only one of its slice and groups, as far as merges have shown.
    pub(crate) fn is_nearly_reduced(&self) -> bool {
        self.worth.last().is_some_and(|worth| worth.is_low)
    }

    fn full_tier(&self) -> Option<u32> {
        let tier = self.runs.last()?.tier;
        let alike = self.runs.iter().rev().take_while(|run| run.tier == tier).count();
        (alike >= FAN_IN).then_some(tier)
    }

    /// Everything, reduced to one row for each slice and group. The state stays as it is.
    pub(crate) async fn reduced(&self, plan: &Windowed) -> Result<Vec<RecordBatch>, Error> {
        match self.runs.as_slice() {
            [] => Ok(Vec::new()),
            _ => reduce(plan, self.batches()).await,
        }
    }

    /// Puts `rows`, reduced, in the place of everything.
    pub(crate) fn replace(&mut self, plan: &Windowed, rows: Vec<RecordBatch>) -> Result<(), Error> {
        let batches: Vec<_> = rows.into_iter().filter(|batch| batch.num_rows() > 0).collect();
        let tier = self.runs.iter().map(|run| run.tier).max().unwrap_or(0);
        let runs = if batches.is_empty() { Vec::new() } else { vec![Run::new(tier, batches, None)] };
        let worth = std::mem::take(&mut self.worth);
        *self = Self { worth, ..Self::restored(plan, runs)? };
        Ok(())
    }

    /// The runs, oldest first.
    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The same, to note where they are kept.
    pub(crate) fn runs_mut(&mut self) -> &mut [Run] {
        &mut self.runs
    }

    /// The partial rows as they lie: shared, not copied.
    pub(crate) fn batches(&self) -> Vec<RecordBatch> {
        self.runs.iter().flat_map(|run| run.batches.iter().cloned()).collect()
    }

    /// No slice in here starts before this; `None` when there is none.
    pub(crate) fn earliest(&self) -> Option<Timestamp> {
        self.earliest
    }

    /// How many partial rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.runs.iter().map(|run| rows(&run.batches)).sum()
    }

    /// Memory that they take.
    pub(crate) fn bytes(&self) -> usize {
        self.runs.iter().map(|run| run.bytes).sum()
    }
}

fn rows(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::{
        array::{ArrayRef, StringViewArray},
        datatypes::{DataType, Field, Schema},
    };

    use super::*;

    #[test]
    fn slices_of_the_same_rows_take_the_memory_of_the_rows_once() {
        let texts: ArrayRef =
            Arc::new(StringViewArray::from_iter((0..1000).map(|n| Some(format!("a text that is no short one, {n}")))));
        let schema = Arc::new(Schema::new(vec![Field::new("text", DataType::Utf8View, true)]));
        let whole = RecordBatch::try_new(schema, vec![texts]).expect("a batch");
        let slices: Vec<_> = (0..10).map(|n| whole.slice(n * 100, 100)).collect();
        let bytes = memory(&slices);
        assert_eq!(bytes, memory(std::slice::from_ref(&whole)));
        assert!((30_000..200_000).contains(&bytes), "{bytes}");
    }
}
