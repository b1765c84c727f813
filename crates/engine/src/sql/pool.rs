//! The workers and what they share: those that are kept warm, the places, the memory of those at work, the counts.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use lakehead_query::Lake;
use tokio::time::Instant;

use super::{
    bounds::WORKERS_BYTES_MAX, error::SqlError, familiar::Familiar, launch::Launch, places::Places, process::Process,
};
use crate::sync::lock;

/// Workers that are kept warm.
const WARM_MAX: usize = 2;
/// How long one is kept warm with nothing to do.
const WARM_FOR: Duration = Duration::from_secs(300);

/// What all queries share.
pub(super) struct Pool {
    pub(super) lake: Lake,
    launch: Launch,
    /// Processor time, and time by the clock, of one query.
    pub(super) time_max: Duration,
    warm: Mutex<Vec<(Instant, Process)>>,
    pub(super) places: Places,
    pub(super) familiar: Familiar,
    /// Memory of each worker that is at work, by its process id.
    sizes: Mutex<BTreeMap<u32, u64>>,
    pub(super) counts: QueryCounts,
}

/// What became of the queries.
#[derive(Default)]
pub(super) struct QueryCounts {
    pub(super) answered: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) busy: AtomicU64,
    pub(super) stopped: AtomicU64,
}

/// What became of the queries since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that were answered whole.
    pub answered: u64,
    /// Those whose SQL was wrong.
    pub refused: u64,
    /// Those that were sent away since there was no room.
    pub busy: u64,
    /// Those that were stopped: at a limit, by a defect, or since the client left.
    pub stopped: u64,
    /// Memory of the workers that are at work, in bytes.
    pub bytes: u64,
}

impl Pool {
    pub(super) fn new(lake: Lake, launch: Launch, time_max: Duration) -> Self {
        Self {
            lake,
            launch,
            time_max,
            warm: Mutex::default(),
            places: Places::default(),
            familiar: Familiar::default(),
            sizes: Mutex::default(),
            counts: QueryCounts::default(),
        }
    }

    pub(super) fn tally(&self) -> Tally {
        let QueryCounts { answered, refused, busy, stopped } = &self.counts;
        let [answered, refused, busy, stopped] =
            [answered, refused, busy, stopped].map(|count| count.load(Ordering::Relaxed));
        Tally { answered, refused, busy, stopped, bytes: lock(&self.sizes).values().sum() }
    }

    /// A worker: a warm one, or else a new one.
    pub(super) fn worker(&self) -> std::io::Result<Process> {
        loop {
            let warm = lock(&self.warm).pop();
            let Some((_, mut process)) = warm else { return Process::start(&self.launch) };
            if process.is_well() {
                return Ok(process);
            }
            // It ended while it had nothing to do: somebody killed it, or the system did. The next one may be well.
        }
    }

    /// Keeps a worker warm.
    pub(super) fn keep(self: &Arc<Self>, process: Process) {
        {
            let mut warm = lock(&self.warm);
            if warm.len() >= WARM_MAX {
                return;
            }
            warm.push((Instant::now(), process));
        }
        let weak = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(WARM_FOR + Duration::from_secs(1)).await;
            if let Some(pool) = weak.upgrade() {
                lock(&pool.warm).retain(|(since, _)| since.elapsed() < WARM_FOR);
            }
        });
    }

    /// Notes the memory of the worker `id`. An error says that all workers together have too much, and this one has the most.
    pub(super) fn note_size(&self, id: u32, bytes: u64) -> Result<(), SqlError> {
        let mut sizes = lock(&self.sizes);
        sizes.insert(id, bytes);
        let (all, most) = (sizes.values().sum::<u64>(), sizes.values().max().copied().unwrap_or(0));
        if all <= WORKERS_BYTES_MAX || bytes < most {
            return Ok(());
        }
        sizes.remove(&id);
        Err(SqlError::Busy(format!(
            "all queries together need more than {} MiB of memory, and this one needs most; ask again when others are done, or \
             for fewer rows, columns or groups",
            WORKERS_BYTES_MAX >> 20
        )))
    }

    /// The worker `id` is not at work any more.
    pub(super) fn forget_size(&self, id: u32) {
        lock(&self.sizes).remove(&id);
    }
}
