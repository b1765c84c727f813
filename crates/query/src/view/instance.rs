//! A view, open for work: its plan, its last commit, and its state since.
//!
//! There are three bodies behind one face: windows over a stream (`windowed.rs`), a projection (`projection.rs`), and a view
//! over another view (`derived.rs`, which needs no state). What they share is in `open.rs`, `apply.rs`, `commit.rs`,
//! `publish.rs` and `cutover.rs`.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use datafusion::arrow::array::RecordBatch;
use lakehead_model::{Offset, Position, TimeRange, Timestamp};
use tokio::sync::watch;

use super::{
    files::{Checkpoint, Folder, ResultFile, Slot},
    handle::ViewHandle,
    projection::ProjectionBody,
    settings::ViewSettings,
    snapshot::Results,
    transaction::LiveFile,
    windowed::WindowedBody,
};
use crate::plan::{PlanKind, ViewPlan};

/// A view, open for work. One owner drives it; readers hold a [`ViewHandle`].
pub struct View {
    pub(super) plan: Arc<ViewPlan>,
    pub(super) settings: ViewSettings,
    pub(super) folder: Folder,
    /// The checkpoint that it commits to; `None` for a view opened read-only, which does not commit.
    pub(super) slot: Option<Slot>,
    pub(super) checkpoint: Checkpoint,
    pub(super) live: BTreeMap<Timestamp, LiveFile>,
    /// The files of `live` as snapshots list them, made once and shared until `live` changes.
    pub(super) results: Arc<Results>,
    pub(super) body: Body,
    /// Result files that the next commit replaces; the checkpoint on disk still names them.
    pub(super) replaced: Vec<Arc<ResultFile>>,
    /// Files that the opening found damaged and left out.
    pub(super) damaged: Vec<PathBuf>,
    /// Periods whose results must be made again from their partial rows.
    pub(super) without: Vec<TimeRange>,
    /// The last commit has left result periods to the next.
    pub(super) is_unfinished: bool,
    pub(super) handle: ViewHandle,
    /// Wakes who waits for the commits of `handle`.
    pub(super) commits: watch::Sender<Position>,
}

/// What a view keeps beside its result files.
#[derive(Debug)]
pub(super) enum Body {
    Windowed(Box<WindowedBody>),
    Projection(ProjectionBody),
    Derived,
}

impl Body {
    /// The body of a view of this plan that has seen nothing.
    pub(super) fn empty(plan: &ViewPlan) -> Self {
        match plan.kind() {
            PlanKind::Windowed(_) => Self::Windowed(Box::default()),
            PlanKind::Projection(_) => Self::Projection(ProjectionBody::default()),
            PlanKind::Derived(_) => Self::Derived,
        }
    }

    /// What no result file holds, in memory: the batches, how many rows they have, and the bytes that they take.
    pub(super) fn open(&self) -> (Vec<RecordBatch>, usize, usize) {
        match self {
            Self::Windowed(body) => (body.state.batches(), body.state.rows(), body.state.bytes()),
            Self::Projection(body) => (body.batches(), body.rows(), body.bytes()),
            Self::Derived => (Vec::new(), 0, 0),
        }
    }
}

/// Rows of a projection that are committed early, so that they do not take more memory than this, in bytes.
const PENDING_BYTES_MAX: usize = 64 << 20;

impl View {
    /// Where queries find it.
    #[must_use]
    pub fn handle(&self) -> ViewHandle {
        self.handle.clone()
    }

    /// How it was compiled.
    #[must_use]
    pub fn plan(&self) -> &Arc<ViewPlan> {
        &self.plan
    }

    /// Whether the view has applied no event and committed nothing yet.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.checkpoint.generation == 0 && self.checkpoint.counts.events == 0
    }

    /// The first offset that it has not seen. A view over another view has seen what that one has.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        match self.body {
            Body::Derived => self.handle.snapshot().next_offset,
            _ => self.checkpoint.next_offset,
        }
    }

    /// Whether the view should commit at once rather than at the next regular time: it holds too much in memory, or its
    /// last commit has left result periods to the next.
    #[must_use]
    pub fn wants_commit(&self) -> bool {
        let wants = match &self.body {
            Body::Projection(body) => body.bytes() > PENDING_BYTES_MAX,
            Body::Windowed(_) | Body::Derived => self.is_unfinished,
        };
        wants && self.slot.is_some()
    }
}
