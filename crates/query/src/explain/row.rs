//! Rows and events one by one, as JSON.

use datafusion::arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::Int64Type,
    json::{LineDelimitedWriter, WriterBuilder, writer::LineDelimited},
};
use serde_json::value::RawValue;

use super::question::ExplainedEvent;
use crate::error::Error;

pub(super) fn single_rows(batches: &[RecordBatch]) -> Vec<RecordBatch> {
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| batch.slice(row, 1))).collect()
}

/// At most `room` events of a batch, from its columns of offsets and of texts.
pub(super) fn events(
    batch: &RecordBatch,
    offsets: usize,
    texts: usize,
    room: usize,
) -> Result<Vec<ExplainedEvent>, Error> {
    let offsets = batch.column(offsets).as_primitive_opt::<Int64Type>();
    let texts = batch.column(texts).as_string_view_opt();
    let (Some(offsets), Some(texts)) = (offsets, texts) else {
        return Err(Error::Engine("events without offset or text".into()));
    };
    let rows = 0..batch.num_rows().min(room);
    let event = |row: usize| {
        let event = if texts.is_valid(row) { texts.value(row) } else { "null" };
        let event = RawValue::from_string(event.to_owned());
        let event = event.map_err(|error| Error::Engine(format!("an event of the log is not JSON: {error}")))?;
        Ok(ExplainedEvent { offset: u64::try_from(offsets.value(row)).unwrap_or(0), event })
    };
    rows.map(event).collect()
}

/// A row by column, as JSON.
pub(super) fn json(row: &RecordBatch) -> Result<Box<RawValue>, Error> {
    let mut bytes = Vec::new();
    let mut writer: LineDelimitedWriter<_> =
        WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut bytes);
    writer.write(row)?;
    writer.finish()?;
    let text = String::from_utf8_lossy(bytes.trim_ascii()).into_owned();
    let text = if text.is_empty() { "{}".to_owned() } else { text };
    RawValue::from_string(text).map_err(|error| Error::Engine(format!("a row cannot be written: {error}")))
}
