//! Turns partial rows into finished rows, when their windows are over or a query asks for them.

use datafusion::arrow::{array::RecordBatch, datatypes::SchemaRef};
use lakehead_model::TimeRange;
use lakehead_window::Windows;

use super::{
    failed_values::FailedValues,
    state::{by_window, reduce},
};
use crate::{
    checked::noted,
    error::Error,
    plan::{ViewPlan, Windowed},
};

/// Rows, and what of them could not be computed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Finished {
    pub(crate) rows: Vec<RecordBatch>,
    pub(crate) failed: FailedValues,
}

/// The rows of those windows that satisfy `wanted`, from partial rows of any number of runs.
pub(crate) async fn finished(
    plan: &ViewPlan,
    windowed: &Windowed,
    partial: Vec<RecordBatch>,
    mut wanted: impl FnMut(TimeRange) -> bool,
) -> Result<Finished, Error> {
    if partial.is_empty() {
        return Ok(Finished::default());
    }
    let partial = match windowed.windows {
        // Only when its rows are one is it known how far a session reaches.
        Windows::Session(_) => reduce(windowed, partial).await?,
        _ => partial,
    };
    let rows = partial.iter().map(|batch| by_window(windowed, batch, &mut wanted));
    let rows: Vec<RecordBatch> = rows.collect::<Result<_, _>>()?;
    finish(plan, windowed, rows).await
}

/// The rows that partial rows become, which are by window already.
pub(crate) async fn finish(
    plan: &ViewPlan,
    windowed: &Windowed,
    by_window: Vec<RecordBatch>,
) -> Result<Finished, Error> {
    if by_window.iter().all(|batch| batch.num_rows() == 0) {
        return Ok(Finished::default());
    }
    let schema = plan.schema();
    let (rows, count, notes) = noted(windowed.finish.run(by_window)).await;
    let rows = rows?.into_iter().map(|batch| batch.with_schema(SchemaRef::clone(&schema))).collect::<Result<_, _>>()?;
    Ok(Finished { rows, failed: FailedValues::noted(count, notes) })
}
