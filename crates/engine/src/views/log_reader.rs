//! A log reader: the log from an offset on, decoded and partially aggregated by several threads, handed out in its order.
//!
//! ```text
//!             ┌ worker: find ─┐─▶ decode once, aggregate for each view ─┐
//!   log ──────┤   (in turn)   │                                         ├─▶ next(): in the log's order
//!             └ worker: find ─┘─▶ decode once, aggregate for each view ─┘
//! ```
//!
//! Finding is cheap and is done in turn, under one lock: the worker that holds the lock takes the blocks that are there, up to a
//! micro-batch, and puts a place for the result into the queue; so the queue has the log's order, whichever worker is
//! ready first. All else is done outside of the lock. A worker that finds nothing waits for the next commit and takes
//! what came with it at once, so a quiet stream never waits for a micro-batch to fill.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use lakehead_decode::Decoder;
use lakehead_model::Offset;
use lakehead_query::{MicroBatch, PartialAggregate, STACK_BYTES, SharedFilter, defect, unharmed};
use lakehead_store::{BlockDecoder, EncodedBlocks, Reader, Stream};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    batch_builder::BatchBuilder,
    bounds::Bounds,
    decode_plan::{DecodePlan, ViewId},
    priority,
};
use crate::{Error, sync::lock};

/// Micro-batches that are aggregated and wait to be taken, besides those under way.
const MICRO_BATCHES_READY: usize = 1;

/// A micro-batch, aggregated for each view.
pub(super) struct AggregatedBatch {
    /// Its first offset.
    pub(super) from: Offset,
    /// The offset after its last event.
    pub(super) end: Offset,
    /// How many events there are in it.
    pub(super) events: u64,
    /// What each view makes of it.
    pub(super) aggregates: BTreeMap<ViewId, Result<PartialAggregate, lakehead_query::Error>>,
}

/// A micro-batch, or why the log could not be read.
type AggregationOutcome = Result<AggregatedBatch, String>;

/// A running log reader. Dropped, it stops.
pub(super) struct LogReader {
    queue: mpsc::Receiver<oneshot::Receiver<AggregationOutcome>>,
    /// Taken out of the queue and not yet done.
    first: Option<oneshot::Receiver<AggregationOutcome>>,
    plan: Arc<Mutex<Arc<DecodePlan>>>,
    halt: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl LogReader {
    /// Starts to read `stream` from `from` on. `lowered` makes its threads yield to all others.
    pub(super) fn start(
        stream: &Stream,
        from: Offset,
        plan: DecodePlan,
        bounds: &Bounds,
        lowered: bool,
    ) -> Result<Self, Error> {
        let workers = bounds.workers.max(1);
        let (sender, queue) = mpsc::channel(workers + MICRO_BATCHES_READY);
        let (halt, halted) = watch::channel(false);
        let plan = Arc::new(Mutex::new(Arc::new(plan)));
        let log = Arc::new(Mutex::new(SharedLog {
            reader: stream.reader_as(&format!("the views of {}", stream.name()), from),
            committed: stream.committed(),
            micro_batch_bytes: bounds.micro_batch_bytes,
            sender: Some(sender),
            plan: Arc::clone(&plan),
            halted,
        }));
        let mut threads = Vec::with_capacity(workers);
        for _ in 0..workers {
            let name = format!("digest-{}", stream.name());
            let failed = |source| Error::Io { what: format!("starting the thread {name}"), source };
            let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(failed)?;
            let worker = Worker { log: Arc::clone(&log), runtime, block_decoder: BlockDecoder::default() };
            let run = move || {
                if lowered {
                    priority::lower();
                }
                worker.run();
            };
            threads.push(
                std::thread::Builder::new().name(name.clone()).stack_size(STACK_BYTES).spawn(run).map_err(failed)?,
            );
        }
        Ok(Self { queue, first: None, plan, halt, threads })
    }

    /// The next micro-batch; `None` when the reader was halted and all is handed out, or its threads are gone. Nothing
    /// is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Option<AggregationOutcome> {
        let first = match &mut self.first {
            Some(first) => first,
            none => none.insert(self.queue.recv().await?),
        };
        let outcome = first.await.unwrap_or_else(|_| Err("a thread was stopped by a defect; see the log".into()));
        self.first = None;
        Some(outcome)
    }

    /// From some micro-batch on, soon, the views are these.
    pub(super) fn set_plan(&self, plan: DecodePlan) {
        *lock(&self.plan) = Arc::new(plan);
    }

    /// No new micro-batch is begun; those under way can still be taken.
    pub(super) fn halt(&self) {
        self.halt.send_replace(true);
    }

    /// Whether it was told to stop.
    pub(super) fn is_halted(&self) -> bool {
        *self.halt.borrow()
    }

    /// Stops and waits for the threads; what is under way is thrown away. Blocks for as long as a micro-batch takes.
    pub(super) fn end(mut self) {
        self.halt();
        self.queue.close();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread that digests events was stopped by a defect");
            }
        }
    }
}

impl Drop for LogReader {
    fn drop(&mut self) {
        self.halt();
    }
}

/// The log as the workers share it.
struct SharedLog {
    reader: Reader,
    committed: watch::Receiver<Offset>,
    micro_batch_bytes: u64,
    /// Gone when nothing more will come.
    sender: Option<mpsc::Sender<oneshot::Receiver<AggregationOutcome>>>,
    plan: Arc<Mutex<Arc<DecodePlan>>>,
    halted: watch::Receiver<bool>,
}

/// A micro-batch that was found.
struct FoundRound {
    from: Offset,
    end: Offset,
    blocks: Vec<EncodedBlocks>,
    plan: Arc<DecodePlan>,
    answer: oneshot::Sender<AggregationOutcome>,
}

impl SharedLog {
    /// The next micro-batch, when there is one; `None` when this is the end.
    fn next(&mut self, runtime: &tokio::runtime::Runtime) -> Option<FoundRound> {
        let found = self.find(runtime);
        if found.is_none() {
            self.sender = None;
        }
        found
    }

    fn find(&mut self, runtime: &tokio::runtime::Runtime) -> Option<FoundRound> {
        while !*self.halted.borrow() {
            // Seen before the read, so that a commit after the read wakes the wait below.
            self.committed.borrow_and_update();
            let from = self.reader.position();
            let blocks = self.blocks();
            if blocks.as_ref().is_ok_and(Vec::is_empty) {
                let (committed, halted) = (&mut self.committed, &mut self.halted);
                let alive = runtime.block_on(async {
                    tokio::select! {
                        changed = committed.changed() => changed.is_ok(),
                        changed = halted.changed() => changed.is_ok(),
                    }
                });
                if alive {
                    continue;
                }
                return None;
            }
            let (answer, outcome) = oneshot::channel();
            self.sender.as_ref()?.blocking_send(outcome).ok()?;
            match blocks {
                Ok(blocks) => {
                    let plan = Arc::clone(&lock(&self.plan));
                    return Some(FoundRound { from, end: self.reader.position(), blocks, plan, answer });
                }
                Err(why) => {
                    let _ = answer.send(Err(why));
                    return None;
                }
            }
        }
        None
    }

    /// What is at hand, up to a micro-batch.
    fn blocks(&mut self) -> Result<Vec<EncodedBlocks>, String> {
        let (mut blocks, mut bytes) = (Vec::new(), 0);
        while bytes < self.micro_batch_bytes {
            let Some(encoded) = self.reader.next_encoded().map_err(|e| e.to_string())? else { break };
            bytes += encoded.raw_bytes();
            blocks.push(encoded);
        }
        Ok(blocks)
    }
}

/// One of the threads.
struct Worker {
    log: Arc<Mutex<SharedLog>>,
    runtime: tokio::runtime::Runtime,
    block_decoder: BlockDecoder,
}

impl Worker {
    fn run(mut self) {
        loop {
            let found = {
                // After a panic in there nobody knows where the log stands.
                let Ok(mut log) = self.log.lock() else { return };
                log.next(&self.runtime)
            };
            let Some(FoundRound { from, end, blocks, plan, answer }) = found else { return };
            let outcome = self.micro_batch(&plan.decoder, end, blocks).map(|micro_batch| AggregatedBatch {
                from,
                end,
                events: micro_batch.events,
                aggregates: self.runtime.block_on(aggregates(&plan, &micro_batch)),
            });
            let _ = answer.send(outcome);
        }
    }

    fn micro_batch(
        &mut self,
        decoder: &Decoder,
        end: Offset,
        blocks: Vec<EncodedBlocks>,
    ) -> Result<MicroBatch, String> {
        let mut builder = BatchBuilder::new(decoder);
        let mut failed = None;
        for encoded in blocks {
            let decoded = self.block_decoder.decode(&encoded, |block| {
                failed = failed.take().or_else(|| builder.add(block).err());
            });
            decoded.map_err(|e| e.to_string())?;
        }
        match failed {
            Some(error) => Err(error.to_string()),
            None => builder.finish(end).map_err(|e| e.to_string())?.ok_or_else(|| "a round of no blocks".to_owned()),
        }
    }
}

async fn aggregates(
    plan: &DecodePlan,
    micro_batch: &MicroBatch,
) -> BTreeMap<ViewId, Result<PartialAggregate, lakehead_query::Error>> {
    let mut aggregates = BTreeMap::new();
    let mut filter = SharedFilter::new(micro_batch);
    for (id, view) in &plan.plans {
        // A defect in what one view computes stops that view, and no other.
        let aggregate = unharmed(view.partial_aggregate(&mut filter), defect).await;
        aggregates.insert(*id, aggregate);
    }
    aggregates
}
