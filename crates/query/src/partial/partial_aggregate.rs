//! The partial aggregate of a micro-batch: what a view makes of it by itself, whatever came before.
//!
//! The costly part of applying events, and one that needs no state: any thread makes it, in any order. Its view then
//! applies it in the order of the log.

use datafusion::arrow::array::RecordBatch;
use futures::future::BoxFuture;
use lakehead_model::{Offset, Timestamp};

use super::shared_filter::SharedFilter;
use crate::{
    checked::noted,
    compact,
    error::Error,
    micro_batch::{MicroBatch, by_hour, columns},
    panics::{defect, unharmed},
    plan::{Piece, PlanKind, Projection, ViewPlan, Windowed},
};

/// The partial aggregate of a micro-batch. [`ViewPlan::partial_aggregate`] makes it on any thread and in any order; the
/// view applies it in the order of the log ([`View::apply`](crate::View::apply)).
#[derive(Debug)]
pub struct PartialAggregate {
    /// The serial number of the plan that made it.
    pub(crate) serial: u64,
    pub(crate) rows: PartialOutput,
    pub(crate) failed: Vec<FailedEvent>,
    pub(crate) events: u64,
    pub(crate) end: Offset,
    pub(crate) times: Vec<(Option<Timestamp>, Option<Timestamp>, Timestamp)>,
}

impl PartialAggregate {
    /// The events that are left out, since an expression fails on them.
    #[must_use]
    pub fn failed(&self) -> &[FailedEvent] {
        &self.failed
    }

    /// Whether a view of this plan can apply it: only what its own plan made. After a cutover to another SQL, a view may
    /// still be handed partial aggregates of the view that it replaced.
    #[must_use]
    pub fn is_of(&self, plan: &ViewPlan) -> bool {
        self.serial == plan.serial()
    }
}

#[derive(Debug)]
pub(crate) enum PartialOutput {
    /// Partial rows of windows.
    Partial(Vec<RecordBatch>),
    /// Rows of a projection, by the start of their received hour.
    Rows(Vec<(Timestamp, RecordBatch)>),
    /// The view reads no stream.
    Nothing,
}

/// An event that a view has left out, since an expression of its SQL fails on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedEvent {
    /// Its offset in the stream.
    pub offset: Option<Offset>,
    /// Why; empty where more fail at once than are told.
    pub reason: String,
}

impl ViewPlan {
    /// Makes partial rows of the events of a micro-batch: the costly part of applying them, which needs no state. Views of
    /// one stream share the filter.
    ///
    /// Events on which an expression fails, as a division by zero does, are left out ([`PartialAggregate::failed`]).
    ///
    /// # Errors
    /// [`Error::Limit`] when it takes too much memory; [`Error::Sql`] when an aggregate cannot take what it is given.
    pub fn partial_aggregate<'a>(
        &'a self,
        filter: &'a mut SharedFilter<'_>,
    ) -> BoxFuture<'a, Result<PartialAggregate, Error>> {
        Box::pin(async move {
            let micro_batch = filter.micro_batch;
            let mut failed = Vec::new();
            let rows = match self.kind() {
                PlanKind::Windowed(windowed) => {
                    PartialOutput::Partial(aggregated(windowed, filter, &mut failed).await?)
                }
                PlanKind::Projection(projection) => {
                    let shown: Vec<usize> = (0..self.schema().fields().len()).collect();
                    PartialOutput::Rows(projected(projection, &shown, micro_batch, &mut failed).await?)
                }
                PlanKind::Derived(_) => PartialOutput::Nothing,
            };
            let (serial, times) = (self.serial(), micro_batch.times.clone());
            Ok(PartialAggregate { serial, rows, failed, events: micro_batch.events, end: micro_batch.end, times })
        })
    }
}

/// The partial rows of the events that the view counts.
async fn aggregated(
    windowed: &Windowed,
    filter: &mut SharedFilter<'_>,
    failed: &mut Vec<FailedEvent>,
) -> Result<Vec<RecordBatch>, Error> {
    let picked = filter.pick(windowed.condition.as_ref(), &windowed.partial.input());
    let fast = match picked {
        Ok(events) => unharmed(windowed.partial.run(events), defect).await,
        Err(error) => Err(error),
    };
    let rows = match fast {
        Ok(rows) => rows,
        Err(error) => carefully(windowed.careful.as_ref(), &filter.micro_batch.batches, error, failed).await?,
    };
    // Lists are made of views into the micro-batch, which would stay as long as they do.
    Ok(rows.iter().map(compact::lists).collect::<Result<_, _>>()?)
}

/// The rows that a projection makes of the events, by the start of the hour in which these were received. The first `shown`
/// columns are the view's.
async fn projected(
    projection: &Projection,
    shown: &[usize],
    micro_batch: &MicroBatch,
    failed: &mut Vec<FailedEvent>,
) -> Result<Vec<(Timestamp, RecordBatch)>, Error> {
    let input = projection.piece.input();
    let mut made = Vec::new();
    for (start, batches) in by_hour(&micro_batch.batches)? {
        let picked = batches.iter().map(|batch| columns(batch, &input));
        let picked = picked.collect::<Result<Vec<_>, _>>()?;
        let of_hour = match unharmed(projection.piece.run(picked), defect).await {
            Ok(rows) => rows,
            Err(error) => {
                let batches: Vec<RecordBatch> = batches.into_iter().cloned().collect();
                let rows = carefully(projection.careful.as_ref(), &batches, error, failed).await?;
                let rows = rows.into_iter().map(|batch| batch.project(shown));
                rows.collect::<Result<_, _>>()?
            }
        };
        for batch in of_hour {
            // Views into the micro-batch would keep all of it in memory for as long as the rows are.
            made.push((start, compact::compact(&batch)?));
        }
    }
    Ok(made)
}

/// Runs `careful` over events on which the fast piece has failed; fails with `error` when no event is to blame.
async fn carefully(
    careful: Option<&Piece>,
    batches: &[RecordBatch],
    error: Error,
    failed: &mut Vec<FailedEvent>,
) -> Result<Vec<RecordBatch>, Error> {
    let Some(careful) = careful.filter(|_| !matches!(error, Error::Limit(_))) else { return Err(error) };
    let input = careful.input();
    let events = batches.iter().map(|batch| columns(batch, &input)).collect::<Result<Vec<_>, _>>()?;
    let (rows, _, notes) = noted(careful.run(events)).await;
    failed.extend(notes.into_iter().map(|note| FailedEvent { offset: note.offset.map(Offset), reason: note.reason }));
    rows
}
