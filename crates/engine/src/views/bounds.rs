//! How much views take at once, and how far is near. In one place, so that a test can make everything small.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use lakehead_model::Offset;
use lakehead_store::Stream;

/// The bounds under which the views of a stream are kept.
#[derive(Clone)]
pub(crate) struct Bounds {
    /// Raw events in one micro-batch, where there are so many: below this the fixed cost of a partial aggregation
    /// shows, above it memory does (our measurement).
    pub(crate) micro_batch_bytes: u64,
    /// Threads that decode and aggregate the micro-batches of one log reader. Default: as many as there are cores, at most
    /// [`WORKERS_MAX`].
    pub(crate) workers: usize,
    /// A view that has at most so many bytes of events ahead of it is near: those who are live can wait while it is brought
    /// along.
    pub(crate) near_bytes: u64,
    /// The same in events, for those that are small.
    pub(crate) near_events: u64,
    /// The longest that a crash makes the views count again, in time and in events.
    pub(crate) commit_every: Duration,
    pub(crate) commit_events: u64,
    /// The stream `rejects`, where views say what they have left out.
    pub(crate) rejects: Option<Stream>,
    /// Told of every step, by the thread that has taken it. It may wait there.
    pub(crate) on_step: Option<Arc<dyn Fn(ViewStep) + Send + Sync>>,
}

/// What a thread of views has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ViewStep {
    /// The live views have come to this offset.
    Live(Offset),
    /// Views that are built have come to this offset.
    Built(Offset),
    /// Views that were built are live.
    Joined,
}

impl Bounds {
    /// Whether the events of `stream` in `[at, to)` are so few that they are read in a moment.
    pub(super) fn are_few(&self, stream: &Stream, at: Offset, to: Offset) -> bool {
        let stats = stream.stats();
        let ahead = to.since(at);
        let bytes = u128::from(ahead) * u128::from(stats.raw_bytes) / u128::from(stats.events.max(1));
        ahead <= self.near_events && bytes <= u128::from(self.near_bytes)
    }

    pub(super) fn step(&self, step: ViewStep) {
        if let Some(on_step) = &self.on_step {
            on_step(step);
        }
    }
}

/// Beyond this many, applying micro-batches, one after the other, is what takes the time.
const WORKERS_MAX: usize = 16;

impl Default for Bounds {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            micro_batch_bytes: 4 << 20,
            workers: cores.min(WORKERS_MAX),
            near_bytes: 16 << 20,
            near_events: 20_000,
            commit_every: Duration::from_secs(10),
            commit_events: 4_000_000,
            rejects: None,
            on_step: None,
        }
    }
}
