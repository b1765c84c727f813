//! A log reader: the log from an offset on, decoded and digested by several threads, handed out in its order.
//!
//! ```text
//!             ┌ worker: find ─┐─▶ unpack, decode once, digest for each view ─┐
//!   log ──────┤   (in turn)   │                                              ├─▶ next(): in the log's order
//!             └ worker: find ─┘─▶ unpack, decode once, digest for each view ─┘
//! ```
//!
//! Finding is cheap and is done in turn, under one lock: the worker that holds the lock takes the blocks that are there, up to a
//! round, and puts a place for the result into the queue; so the queue has the log's order, whichever worker is ready first.
//! All else is done outside of the lock. A worker that finds nothing waits for the next commit and takes what came with it at
//! once, so a quiet stream never waits for a round to fill.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use lakehead_decode::Decoder;
use lakehead_model::Offset;
use lakehead_query::{Digest, Round, STACK_BYTES, Sieve, defect, unharmed};
use lakehead_store::{Packed, Reader, Stream, Unpacker};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    batch_builder::BatchBuilder,
    bounds::Bounds,
    decode_plan::{DecodePlan, ViewId},
    priority,
};
use crate::{Error, sync::lock};

/// Rounds that are digested and wait to be taken, beside those that are under way.
const ROUNDS_READY: usize = 1;

/// A round, digested.
pub(super) struct Digested {
    /// Its first offset.
    pub(super) from: Offset,
    /// The offset after its last event.
    pub(super) end: Offset,
    /// How many events there are in it.
    pub(super) events: u64,
    /// What each view makes of it.
    pub(super) digests: BTreeMap<ViewId, Result<Digest, lakehead_query::Error>>,
}

/// A round, or why the log could not be read.
type RoundOutcome = Result<Digested, String>;

/// A running log reader. Dropped, it stops.
pub(super) struct LogReader {
    queue: mpsc::Receiver<oneshot::Receiver<RoundOutcome>>,
    /// Taken out of the queue and not yet done.
    first: Option<oneshot::Receiver<RoundOutcome>>,
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
        let (sender, queue) = mpsc::channel(workers + ROUNDS_READY);
        let (halt, halted) = watch::channel(false);
        let plan = Arc::new(Mutex::new(Arc::new(plan)));
        let log = Arc::new(Mutex::new(SharedLog {
            reader: stream.reader_for(&format!("the views of {}", stream.name()), from),
            committed: stream.committed(),
            round_bytes: bounds.round_bytes,
            sender: Some(sender),
            plan: Arc::clone(&plan),
            halted,
        }));
        let mut threads = Vec::with_capacity(workers);
        for _ in 0..workers {
            let name = format!("digest-{}", stream.name());
            let failed = |source| Error::Io { what: format!("starting the thread {name}"), source };
            let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(failed)?;
            let worker = Worker { log: Arc::clone(&log), runtime, unpacker: Unpacker::default() };
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

    /// The next round; `None` when the reader was halted and all is handed out, or its threads are gone. Nothing is lost when
    /// the future is dropped.
    pub(super) async fn next(&mut self) -> Option<RoundOutcome> {
        let first = match &mut self.first {
            Some(first) => first,
            none => none.insert(self.queue.recv().await?),
        };
        let outcome = first.await.unwrap_or_else(|_| Err("a thread was stopped by a defect; see the log".into()));
        self.first = None;
        Some(outcome)
    }

    /// From some round on, soon, the views are these.
    pub(super) fn set_plan(&self, plan: DecodePlan) {
        *lock(&self.plan) = Arc::new(plan);
    }

    /// No new round is begun; those under way can still be taken.
    pub(super) fn halt(&self) {
        self.halt.send_replace(true);
    }

    /// Whether it was told to stop.
    pub(super) fn is_halted(&self) -> bool {
        *self.halt.borrow()
    }

    /// Stops and waits for the threads; what is under way is thrown away. Blocks for as long as a round takes.
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
    round_bytes: u64,
    /// Gone when nothing more will come.
    sender: Option<mpsc::Sender<oneshot::Receiver<RoundOutcome>>>,
    plan: Arc<Mutex<Arc<DecodePlan>>>,
    halted: watch::Receiver<bool>,
}

/// A round that was found.
struct FoundRound {
    from: Offset,
    end: Offset,
    blocks: Vec<Packed>,
    plan: Arc<DecodePlan>,
    answer: oneshot::Sender<RoundOutcome>,
}

impl SharedLog {
    /// The next round, when there is one; `None` when this is the end.
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

    /// What is at hand, up to a round.
    fn blocks(&mut self) -> Result<Vec<Packed>, String> {
        let (mut blocks, mut bytes) = (Vec::new(), 0);
        while bytes < self.round_bytes {
            let Some(packed) = self.reader.next_packed().map_err(|e| e.to_string())? else { break };
            bytes += packed.raw_bytes();
            blocks.push(packed);
        }
        Ok(blocks)
    }
}

/// One of the threads.
struct Worker {
    log: Arc<Mutex<SharedLog>>,
    runtime: tokio::runtime::Runtime,
    unpacker: Unpacker,
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
            let outcome = self.round(&plan.decoder, end, blocks).map(|round| Digested {
                from,
                end,
                events: round.events,
                digests: self.runtime.block_on(digests(&plan, &round)),
            });
            let _ = answer.send(outcome);
        }
    }

    fn round(&mut self, decoder: &Decoder, end: Offset, blocks: Vec<Packed>) -> Result<Round, String> {
        let mut builder = BatchBuilder::new(decoder);
        let mut failed = None;
        for packed in blocks {
            let unpacked = self.unpacker.unpack(&packed, |block| {
                failed = failed.take().or_else(|| builder.add(block).err());
            });
            unpacked.map_err(|e| e.to_string())?;
        }
        match failed {
            Some(error) => Err(error.to_string()),
            None => builder.finish(end).map_err(|e| e.to_string())?.ok_or_else(|| "a round of no blocks".to_owned()),
        }
    }
}

async fn digests(plan: &DecodePlan, round: &Round) -> BTreeMap<ViewId, Result<Digest, lakehead_query::Error>> {
    let mut digests = BTreeMap::new();
    let mut sieve = Sieve::new(round);
    for (id, view) in &plan.plans {
        // A defect in what one view computes stops that view, and no other.
        let digest = unharmed(view.digest(&mut sieve), defect).await;
        digests.insert(*id, digest);
    }
    digests
}
