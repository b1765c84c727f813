//! Brings one view up to an offset by reading the log for it alone.

use lakehead_decode::Decoder;
use lakehead_model::{Offset, StreamSchema};
use lakehead_query::{FailedEvent, MicroBatch, SharedFilter, View};
use lakehead_store::{Reader, Stream};

use super::batch_builder::BatchBuilder;
use crate::Error;

/// Brings `view` up to `to`, or to where the log ends before that, on this thread. `progress` is told where it stands.
///
/// # Errors
/// `Corrupt` when the log is damaged; else what the view says.
pub(crate) async fn catch_up(
    view: &mut View,
    stream: &Stream,
    schema: &StreamSchema,
    to: Offset,
    micro_batch_bytes: u64,
    progress: &mut (dyn FnMut(Offset) + Send),
) -> Result<(), Error> {
    catch_up_noting(view, stream, schema, to, micro_batch_bytes, progress, &mut |_| {}).await
}

/// The same; `failed` is told of the events that the view leaves out.
pub(super) async fn catch_up_noting(
    view: &mut View,
    stream: &Stream,
    schema: &StreamSchema,
    to: Offset,
    micro_batch_bytes: u64,
    progress: &mut (dyn FnMut(Offset) + Send),
    failed: &mut (dyn FnMut(&[FailedEvent]) + Send),
) -> Result<(), Error> {
    let decoder =
        Decoder::new(schema, view.plan().required_columns()).map_err(|error| Error::Internal(error.to_string()))?;
    let mut reader = stream.reader_as(&format!("the view {}", view.handle().name()), view.next_offset());
    while view.next_offset() < to {
        let Some(micro_batch) = micro_batch(&mut reader, &decoder, to, micro_batch_bytes)? else { break };
        let aggregate = view.plan().partial_aggregate(&mut SharedFilter::new(&micro_batch)).await?;
        failed(aggregate.failed());
        view.apply(aggregate).await?;
        progress(view.next_offset());
    }
    Ok(())
}

fn micro_batch(
    reader: &mut Reader,
    decoder: &Decoder,
    to: Offset,
    micro_batch_bytes: u64,
) -> Result<Option<MicroBatch>, Error> {
    let damaged = |error: lakehead_decode::Error| Error::Internal(error.to_string());
    let mut builder = BatchBuilder::new(decoder);
    let mut bytes = 0;
    while bytes < micro_batch_bytes && reader.position() < to {
        let Some(block) = reader.next()? else { break };
        bytes += block.payload.len() as u64;
        builder.add(block).map_err(damaged)?;
    }
    builder.finish(reader.position()).map_err(damaged)
}
