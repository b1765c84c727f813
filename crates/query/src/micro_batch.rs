//! A micro-batch: a run of blocks as columns, with what their footers say of time.

use datafusion::arrow::{
    array::{AsArray, RecordBatch},
    datatypes::{SchemaRef, TimestampMicrosecondType},
};
use lakehead_model::{Offset, Timestamp};

use crate::error::Error;

/// A micro-batch: the columns of a run of blocks, and what their footers say of time.
#[derive(Clone, Debug)]
pub struct MicroBatch {
    /// The events' columns, at least those that the view wants, by name; those of one batch were received in the same hour.
    pub batches: Vec<RecordBatch>,
    /// How many events these are.
    pub events: u64,
    /// The offset after the last of them.
    pub end: Offset,
    /// For each block, in order: the progress that its sources report, its greatest event time, its received time.
    pub times: Vec<(Option<Timestamp>, Option<Timestamp>, Timestamp)>,
}

/// Those columns of `batch` that `input` has, in its order.
pub(crate) fn columns(batch: &RecordBatch, input: &SchemaRef) -> Result<RecordBatch, Error> {
    let schema = batch.schema();
    let indices = input.fields().iter().map(|field| schema.index_of(field.name())).collect::<Result<Vec<_>, _>>()?;
    Ok(batch.project(&indices)?)
}

/// The batches by the start of the hour that they were received in; all events of a batch were received in one hour.
pub(crate) fn by_hour(batches: &[RecordBatch]) -> Result<Vec<(Timestamp, Vec<&RecordBatch>)>, Error> {
    let mut hours: Vec<(Timestamp, Vec<&RecordBatch>)> = Vec::new();
    for batch in batches.iter().filter(|batch| batch.num_rows() > 0) {
        let received = batch.column_by_name(lakehead_decode::RECEIVED_TIME);
        let received = received.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let received = received.ok_or_else(|| Error::Engine("a block does not say when it was received".into()))?;
        let hour = Timestamp(received.value(0)).hour();
        match hours.last_mut() {
            Some((last, batches)) if *last == hour => batches.push(batch),
            _ => hours.push((hour, vec![batch])),
        }
    }
    Ok(hours)
}
