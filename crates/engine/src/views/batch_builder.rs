//! Builds one micro-batch for the views: blocks in, batches of their columns out.

use std::sync::{Arc, LazyLock};

use lakehead_decode::{Decoder, Events};
use lakehead_model::{Offset, StreamSchema, TimeRule, Timestamp};
use lakehead_query::MicroBatch;
use lakehead_store::Block;

/// Rows in one batch, where blocks are small: at a few dozen events a second a block has ten, and each batch costs as
/// much as some hundred rows. It is DataFusion's own size of a batch (`datafusion.execution.batch_size`).
const BATCH_ROWS: usize = 8192;

/// Builds batches, each of blocks that were received in the same hour.
pub(super) struct BatchBuilder<'d> {
    decoder: &'d Decoder,
    micro_batch: MicroBatch,
    blocks: Vec<Arc<Block>>,
    /// Where each of them stands in the micro-batch's times.
    places: Vec<usize>,
    hour: Timestamp,
    rows: usize,
}

impl<'d> BatchBuilder<'d> {
    pub(super) fn new(decoder: &'d Decoder) -> Self {
        let micro_batch = MicroBatch { batches: Vec::new(), events: 0, end: Offset(0), times: Vec::new() };
        Self { decoder, micro_batch, blocks: Vec::new(), places: Vec::new(), hour: Timestamp(0), rows: 0 }
    }

    /// Adds the next block.
    pub(super) fn add(&mut self, block: Arc<Block>) -> Result<(), lakehead_decode::Error> {
        // Who reads by another rule learns nothing from progress. An old block does not say which it was, and progress was
        // told by that of Wikimedia's streams alone.
        let alike = self.decoder.time_rule() == block.time_rule.unwrap_or_else(usual);
        self.micro_batch.times.push((block.progress.filter(|_| alike), None, block.received_time));
        self.micro_batch.events += block.len() as u64;
        if block.is_empty() {
            return Ok(());
        }
        let hour = block.received_time.hour();
        if hour != self.hour || self.rows + block.len() > BATCH_ROWS {
            self.decode()?;
        }
        self.hour = hour;
        self.rows += block.len();
        self.places.push(self.micro_batch.times.len() - 1);
        self.blocks.push(block);
        Ok(())
    }

    /// The micro-batch of all that was added, which ends at `end`; `None` when that is nothing.
    pub(super) fn finish(mut self, end: Offset) -> Result<Option<MicroBatch>, lakehead_decode::Error> {
        self.decode()?;
        self.micro_batch.end = end;
        Ok((!self.micro_batch.times.is_empty()).then_some(self.micro_batch))
    }

    fn decode(&mut self) -> Result<(), lakehead_decode::Error> {
        self.rows = 0;
        let (blocks, places) = (std::mem::take(&mut self.blocks), std::mem::take(&mut self.places));
        if blocks.is_empty() {
            return Ok(());
        }
        let events = blocks.iter().map(|block| Events {
            payload: &block.payload,
            ends: &block.ends,
            first_offset: block.first_offset,
            received_time: block.received_time,
        });
        let batch = self.decoder.decode_all(&events.collect::<Vec<_>>())?;
        let mut first = 0;
        for (block, place) in blocks.iter().zip(places) {
            if let Some(times) = self.micro_batch.times.get_mut(place) {
                // The column itself, not the range in a footer: it is read by the rule that holds now.
                times.1 = self.decoder.greatest_event_time(&batch, first..first + block.len());
            }
            first += block.len();
        }
        self.micro_batch.batches.push(batch);
        Ok(())
    }
}

/// The rule by which Wikimedia's streams have their event times.
fn usual() -> TimeRule {
    static USUAL: LazyLock<TimeRule> =
        LazyLock::new(|| StreamSchema::builtin("mediawiki/recentchange").unwrap_or_default().time_rule());
    *USUAL
}
