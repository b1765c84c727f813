//! Partial rows by their slices: which windows a row is in.
//!
//! A partial row belongs to a *slice*: a tumbling window, a pane of a hopping window, or the span from a session's first
//! event to its last. Everything here is a pass over a few columns; rows are picked by index and copied once.

use std::sync::Arc;

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, TimestampMicrosecondArray, UInt32Array},
    compute::{filter_record_batch, kernels::aggregate, take_record_batch},
    datatypes::{Int64Type, TimestampMicrosecondType},
};
use lakehead_model::{TimeRange, Timestamp};
use lakehead_window::Windows;

use crate::{error::Error, plan::Windowed};

/// A partial row's place in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    /// The slice's start.
    pub(crate) start: Timestamp,
    /// The time of the last event, in a session; elsewhere the same as `start`.
    pub(crate) last: Timestamp,
    /// The number of events in the row.
    pub(crate) events: u64,
}

/// The slices of a batch of partial rows, in order; `None` for a row of events without time.
pub(crate) struct Slices<'a> {
    starts: &'a TimestampMicrosecondArray,
    lasts: &'a TimestampMicrosecondArray,
    events: &'a Int64Array,
}

impl<'a> Slices<'a> {
    pub(crate) fn of(plan: &Windowed, batch: &'a RecordBatch) -> Result<Self, Error> {
        let times = |column: usize| {
            let times = batch.column(column).as_primitive_opt::<TimestampMicrosecondType>();
            times.ok_or_else(|| Error::Engine("a partial row's cell is not a time".into()))
        };
        let starts = times(plan.slice)?;
        let lasts = plan.last.map_or(Ok(starts), times)?;
        let events = batch.column(plan.events).as_primitive_opt::<Int64Type>();
        let events = events.ok_or_else(|| Error::Engine("a partial row does not count its events".into()))?;
        Ok(Self { starts, lasts, events })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Option<Slice>, u64)> {
        (0..self.starts.len()).map(|row| {
            let events = u64::try_from(self.events.value(row)).unwrap_or(0);
            let slice = self.starts.is_valid(row).then(|| Slice {
                start: Timestamp(self.starts.value(row)),
                last: Timestamp(self.lasts.value(row)),
                events,
            });
            (slice, events)
        })
    }

    /// The earliest start.
    pub(crate) fn earliest(&self) -> Option<Timestamp> {
        aggregate::min(self.starts).map(Timestamp)
    }
}

/// Some rows of several batches: which batch, and which of its rows, all ascending.
#[derive(Debug, Default)]
pub(crate) struct PickedRows(Vec<(usize, Vec<u32>)>);

impl PickedRows {
    /// Adds a row that comes after those that were added before.
    pub(crate) fn add(&mut self, batch: usize, row: u32) {
        match self.0.last_mut() {
            Some((last, rows)) if *last == batch => rows.push(row),
            _ => self.0.push((batch, vec![row])),
        }
    }

    /// The rows, out of the batches that they were picked from.
    pub(crate) fn take_from(self, batches: &[RecordBatch]) -> Result<Vec<RecordBatch>, Error> {
        let mut taken = Vec::with_capacity(self.0.len());
        for (batch, rows) in self.0 {
            let Some(batch) = batches.get(batch) else { continue };
            let is_whole = rows.len() == batch.num_rows();
            taken.push(if is_whole { batch.clone() } else { take_record_batch(batch, &UInt32Array::from(rows))? });
        }
        Ok(taken)
    }
}

/// The rows of `batch` whose slice satisfies `keep`. Rows without a slice are left out.
pub(crate) fn filter(
    plan: &Windowed,
    batch: &RecordBatch,
    mut keep: impl FnMut(Slice) -> bool,
) -> Result<RecordBatch, Error> {
    let kept: BooleanArray =
        Slices::of(plan, batch)?.iter().map(|(slice, _)| Some(slice.is_some_and(&mut keep))).collect();
    if kept.true_count() == batch.num_rows() { Ok(batch.clone()) } else { Ok(filter_record_batch(batch, &kept)?) }
}

/// The windows that a slice is in, ascending.
pub(crate) fn windows_over(windows: &Windows, slice: Slice) -> Vec<TimeRange> {
    match windows {
        Windows::Tumble(tumble) => vec![tumble.window(slice.start)],
        Windows::Calendar(calendar) => vec![calendar.window(slice.start)],
        Windows::Hop(hop) => hop.windows_over(slice.start).collect(),
        Windows::Session(session) => vec![TimeRange { start: slice.start, end: session.end(slice.last) }],
    }
}

/// The partial rows by window: each row once for every window that its slice is in and that satisfies `wanted`, with the
/// window's start in the place of the slice's. Sessions must have been made whole before.
pub(crate) fn by_window(
    plan: &Windowed,
    batch: &RecordBatch,
    mut wanted: impl FnMut(TimeRange) -> bool,
) -> Result<RecordBatch, Error> {
    let Windows::Hop(hop) = &plan.windows else {
        let windows = &plan.windows;
        let mut last: Option<(TimeRange, bool)> = None;
        return filter(plan, batch, |slice| {
            // Rows come in runs of one window, and calendars are not cheap.
            match last {
                Some((window, is_wanted)) if window.start == slice.start && plan.last.is_none() => is_wanted,
                _ => {
                    let window = windows_over(windows, slice).first().copied();
                    let is_wanted = window.is_some_and(&mut wanted);
                    last = window.map(|window| (window, is_wanted));
                    is_wanted
                }
            }
        });
    };
    let (mut rows, mut starts) = (Vec::new(), Vec::new());
    for (row, (slice, _)) in (0_u32..).zip(Slices::of(plan, batch)?.iter()) {
        let Some(slice) = slice else { continue };
        for window in hop.windows_over(slice.start).filter(|window| wanted(*window)) {
            rows.push(row);
            starts.push(window.start.0);
        }
    }
    let taken = take_record_batch(batch, &UInt32Array::from(rows))?;
    with_slices(plan, &taken, starts)
}

/// The batch with other starts of its slices.
pub(super) fn with_slices(plan: &Windowed, batch: &RecordBatch, starts: Vec<i64>) -> Result<RecordBatch, Error> {
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    if let Some(column) = columns.get_mut(plan.slice) {
        *column = Arc::new(TimestampMicrosecondArray::from(starts).with_timezone("UTC"));
    }
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}
