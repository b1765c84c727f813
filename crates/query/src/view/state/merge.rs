//! Merges partial rows: those of one slice and group become one, and those of one session.

use std::sync::Arc;

use datafusion::arrow::{
    array::{ArrayRef, RecordBatch},
    compute::concat_batches,
    row::{RowConverter, SortField},
};
use lakehead_model::Timestamp;
use lakehead_window::{Session, Windows};

use super::slices::{Slice, Slices, with_slices};
use crate::{compact, error::Error, plan::Windowed};

/// Partial rows reduced to one for each slice and group; the rows of a session are made one.
pub(crate) async fn reduce(plan: &Windowed, batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>, Error> {
    let batches = match &plan.windows {
        Windows::Session(session) => join_sessions(plan, session, batches)?,
        _ => batches,
    };
    // What an aggregation says in lists and structures are slices of all that it took in, each with every buffer of that: merged
    // again and again, the buffers would multiply.
    let reduced = plan.reduce.run(batches).await?;
    Ok(reduced.iter().map(compact::lists).collect::<Result<_, _>>()?)
}

/// Gives the rows of one session one start: that of its first event. Afterwards rows of one session are alike in their
/// groups, so that reducing makes them one.
fn join_sessions(plan: &Windowed, session: &Session, batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>, Error> {
    let Some(first) = batches.first() else { return Ok(batches) };
    let batch = concat_batches(&first.schema(), &batches)?;
    let others: Vec<usize> = plan.keys.iter().copied().filter(|key| *key != plan.slice).collect();
    let fields = others.iter().map(|key| SortField::new(batch.column(*key).data_type().clone())).collect();
    let keys: Vec<ArrayRef> = others.iter().map(|key| Arc::clone(batch.column(*key))).collect();
    let rows = if keys.is_empty() { None } else { Some(RowConverter::new(fields)?.convert_columns(&keys)?) };
    let slices: Vec<Option<Slice>> = Slices::of(plan, &batch)?.iter().map(|(slice, _)| slice).collect();
    let key = |row: usize| rows.as_ref().map(|rows| rows.row(row));
    let mut order: Vec<usize> = (0..slices.len()).filter(|row| slices[*row].is_some()).collect();
    order.sort_unstable_by(|a, b| {
        let time = |row: usize| slices[row].map(|slice| slice.start);
        key(*a).cmp(&key(*b)).then_with(|| time(*a).cmp(&time(*b)))
    });
    let mut starts: Vec<i64> = slices.iter().map(|slice| slice.map_or(0, |slice| slice.start.0)).collect();
    let mut current: Option<(usize, Timestamp, Timestamp)> = None;
    for row in order {
        let Some(slice) = slices[row] else { continue };
        let joined = current.filter(|(of, _, last)| {
            key(*of) == key(row) && (slice.start <= *last || session.follows(*last, slice.start))
        });
        let (start, last) = joined.map_or((slice.start, slice.last), |(_, start, last)| (start, last.max(slice.last)));
        current = Some((row, start, last));
        starts[row] = start.0;
    }
    Ok(vec![with_slices(plan, &batch, starts)?])
}
