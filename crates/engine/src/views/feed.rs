//! A feed: the log from an offset on, decoded and digested by several threads, handed out in its order.
//!
//! ```text
//!             ┌ worker: find ─┐─▶ unpack, decode once, digest for each view ─┐
//!   log ──────┤   (in turn)   │                                              ├─▶ next(): in the log's order
//!             └ worker: find ─┘─▶ unpack, decode once, digest for each view ─┘
//! ```
//!
//! Finding is cheap and is done in turn, under one lock: whoever holds it takes what is at hand, up to a round, and puts
//! its place into the queue; so the queue has the log's order, whoever is ready first. All else is done outside of the
//! lock. A worker that finds nothing waits for the next commit and takes what came with it at once, so a quiet stream
//! never waits for a round to fill.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use lakehead_decode::Decoder;
use lakehead_model::{Offset, StreamSchema};
use lakehead_query::{Digest, Round, STACK_BYTES, Sieve, ViewPlan};
use lakehead_store::{Packed, Reader, Stream, Unpacker};
use tokio::sync::{mpsc, oneshot, watch};

use super::{Id, bounds::Bounds, gathering::Gathering, left_out::unharmed, priority};
use crate::Error;

/// Rounds that are digested and wait to be taken, beside those that are under way.
const ROUNDS_READY: usize = 1;

/// The views that a feed works for: what has to be decoded for them, and how each is digested.
pub(super) struct Crew {
    decoder: Decoder,
    plans: Vec<(Id, Arc<ViewPlan>)>,
}

impl Crew {
    pub(super) fn new(schema: &StreamSchema, plans: Vec<(Id, Arc<ViewPlan>)>) -> Result<Self, Error> {
        let mut wanted: Vec<String> = plans.iter().flat_map(|(_, plan)| plan.wanted().iter().cloned()).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let decoder = Decoder::new(schema, &wanted).map_err(|e| Error::Internal(format!("the views' columns: {e}")))?;
        Ok(Self { decoder, plans })
    }
}

/// A round, digested.
pub(super) struct Digested {
    /// Its first offset.
    pub(super) from: Offset,
    /// The offset after its last event.
    pub(super) end: Offset,
    /// How many events there are in it.
    pub(super) events: u64,
    /// What each view makes of it.
    pub(super) digests: BTreeMap<Id, Result<Digest, lakehead_query::Error>>,
}

/// A round, or why the log could not be read.
type Outcome = Result<Digested, String>;

/// A running feed. Dropped, it stops.
pub(super) struct Feed {
    queue: mpsc::Receiver<oneshot::Receiver<Outcome>>,
    /// Taken out of the queue and not yet done.
    first: Option<oneshot::Receiver<Outcome>>,
    crew: Arc<Mutex<Arc<Crew>>>,
    halt: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Feed {
    /// Starts to read `stream` from `from` on. `lowered` makes its threads yield to all others.
    pub(super) fn start(
        stream: &Stream,
        from: Offset,
        crew: Crew,
        bounds: &Bounds,
        lowered: bool,
    ) -> Result<Self, Error> {
        let workers = bounds.workers.max(1);
        let (sender, queue) = mpsc::channel(workers + ROUNDS_READY);
        let (halt, halted) = watch::channel(false);
        let crew = Arc::new(Mutex::new(Arc::new(crew)));
        let source = Arc::new(Mutex::new(Source {
            reader: stream.reader_for(&format!("the views of {}", stream.name()), from),
            committed: stream.committed(),
            round_bytes: bounds.round_bytes,
            sender: Some(sender),
            crew: Arc::clone(&crew),
            halted,
        }));
        let mut threads = Vec::with_capacity(workers);
        for _ in 0..workers {
            let name = format!("digest-{}", stream.name());
            let failed = |source| Error::Io { what: format!("starting the thread {name}"), source };
            let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(failed)?;
            let worker = Worker { source: Arc::clone(&source), runtime, unpacker: Unpacker::default() };
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
        Ok(Self { queue, first: None, crew, halt, threads })
    }

    /// The next round; `None` when the feed was halted and all is handed out, or its threads are gone. Nothing is lost when
    /// the future is dropped.
    pub(super) async fn next(&mut self) -> Option<Outcome> {
        let first = match &mut self.first {
            Some(first) => first,
            none => none.insert(self.queue.recv().await?),
        };
        let outcome = first.await.unwrap_or_else(|_| Err("a thread was stopped by a defect; see the log".into()));
        self.first = None;
        Some(outcome)
    }

    /// From some round on, soon, the views are these.
    pub(super) fn set_crew(&self, crew: Crew) {
        *self.crew.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(crew);
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

impl Drop for Feed {
    fn drop(&mut self) {
        self.halt();
    }
}

/// The log as the workers share it.
struct Source {
    reader: Reader,
    committed: watch::Receiver<Offset>,
    round_bytes: u64,
    /// Gone when nothing more will come.
    sender: Option<mpsc::Sender<oneshot::Receiver<Outcome>>>,
    crew: Arc<Mutex<Arc<Crew>>>,
    halted: watch::Receiver<bool>,
}

/// A round that was found.
struct Found {
    from: Offset,
    end: Offset,
    blocks: Vec<Packed>,
    crew: Arc<Crew>,
    answer: oneshot::Sender<Outcome>,
}

impl Source {
    /// The next round, when there is one; `None` when this is the end.
    fn next(&mut self, runtime: &tokio::runtime::Runtime) -> Option<Found> {
        let found = self.find(runtime);
        if found.is_none() {
            self.sender = None;
        }
        found
    }

    fn find(&mut self, runtime: &tokio::runtime::Runtime) -> Option<Found> {
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
                    let crew = Arc::clone(&self.crew.lock().unwrap_or_else(PoisonError::into_inner));
                    return Some(Found { from, end: self.reader.position(), blocks, crew, answer });
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
    source: Arc<Mutex<Source>>,
    runtime: tokio::runtime::Runtime,
    unpacker: Unpacker,
}

impl Worker {
    fn run(mut self) {
        loop {
            let found = {
                // After a panic in there nobody knows where the log stands.
                let Ok(mut source) = self.source.lock() else { return };
                source.next(&self.runtime)
            };
            let Some(Found { from, end, blocks, crew, answer }) = found else { return };
            let outcome = self.round(&crew.decoder, end, blocks).map(|round| Digested {
                from,
                end,
                events: round.events,
                digests: self.runtime.block_on(digests(&crew, &round)),
            });
            let _ = answer.send(outcome);
        }
    }

    fn round(&mut self, decoder: &Decoder, end: Offset, blocks: Vec<Packed>) -> Result<Round, String> {
        let mut gathering = Gathering::new(decoder);
        let mut failed = None;
        for packed in blocks {
            let unpacked = self.unpacker.unpack(&packed, |block| {
                failed = failed.take().or_else(|| gathering.add(block).err());
            });
            unpacked.map_err(|e| e.to_string())?;
        }
        match failed {
            Some(error) => Err(error.to_string()),
            None => gathering.finish(end).map_err(|e| e.to_string())?.ok_or_else(|| "a round of no blocks".to_owned()),
        }
    }
}

async fn digests(crew: &Crew, round: &Round) -> BTreeMap<Id, Result<Digest, lakehead_query::Error>> {
    let mut digests = BTreeMap::new();
    let mut sieve = Sieve::new(round);
    for (id, plan) in &crew.plans {
        // A defect in what one view computes stops that view, and no other.
        let digest = unharmed(plan.digest(&mut sieve)).await;
        digests.insert(*id, digest);
    }
    digests
}
