//! A member of a group: one view, which takes in what comes for it, catches up when it is behind, commits, and may fail
//! without touching the other members.

use std::sync::Arc;

use futures::FutureExt;
use lakehead_model::{Name, Offset};
use lakehead_query::{FailedEvent, PartialAggregate, View, ViewPlan, ViewSettings, defect, panic_words, unharmed};

use super::{
    catch_up::catch_up_noting,
    decode_plan::ViewId,
    left_out::LeftOut,
    log::Log,
    log_reader::AggregatedBatch,
    note::{SharedNote, StopOnPanic},
};
use crate::{Error, pipeline::Swap, sync::lock};

/// A view with its note, and with its cutover if it is the shadow of another.
pub(super) struct Member {
    /// Its place among the views of its stream: each stands after those that it reads, and is committed after them. No two
    /// views ever have the same, so that nothing that was made for one is handed to another.
    pub(super) id: ViewId,
    pub(super) view: View,
    pub(super) note: SharedNote,
    /// It is built to take the place of another of its name.
    pub(super) shadow: Option<Shadow>,
    left_out: LeftOut,
    _stop_on_panic: StopOnPanic,
}

/// What a shadow needs for its cutover.
pub(super) struct Shadow {
    pub(super) swap: Swap,
    /// Views over it that read what it has and the old one has not: they are opened again, in this order.
    pub(super) renew: Vec<Renewal>,
}

/// A view over another view, as it is to be from a cutover on.
pub(super) struct Renewal {
    pub(super) id: ViewId,
    pub(super) name: Name,
    pub(super) plan: Arc<ViewPlan>,
    pub(super) settings: ViewSettings,
}

impl Member {
    pub(super) fn new(id: ViewId, view: View, note: SharedNote, shadow: Option<Shadow>) -> Self {
        let stop_on_panic = StopOnPanic(Arc::clone(&note), view.handle());
        Self { id, view, note, shadow, left_out: LeftOut::default(), _stop_on_panic: stop_on_panic }
    }

    /// Its parts: it is no longer cared for here.
    pub(super) fn apart(self) -> (ViewId, View, SharedNote) {
        (self.id, self.view, self.note)
    }

    /// Whether it still takes events in.
    pub(super) fn is_running(&self) -> bool {
        !lock(&self.note).is_stopped
    }

    /// Applies what `micro_batch` holds for the view. Where the micro-batch does not begin at the view's offset, or was
    /// not aggregated for it yet, the view reads for itself up to the micro-batch's end; what it has already is passed
    /// over.
    pub(super) async fn take(&mut self, micro_batch: &mut AggregatedBatch, log: &Log, micro_batch_bytes: u64) {
        // A view over another view has seen what that one has.
        if !self.is_running() || self.view.next_offset() > micro_batch.end || self.view.plan().upstream().is_some() {
            return;
        }
        let own = |aggregate: &Result<PartialAggregate, _>| {
            aggregate.as_ref().map_or(true, |aggregate| aggregate.is_of(self.view.plan()))
        };
        let aggregate = micro_batch.aggregates.remove(&self.id).filter(own);
        if self.view.next_offset() == micro_batch.from
            && let Some(aggregate) = aggregate
        {
            self.apply(aggregate).await;
        } else {
            self.bring(micro_batch.end, log, micro_batch_bytes).await;
        }
    }

    async fn apply(&mut self, aggregate: Result<PartialAggregate, lakehead_query::Error>) {
        let applied = match aggregate {
            Ok(aggregate) => {
                self.left_out.add(aggregate.failed(), &self.note);
                unharmed(self.view.apply(aggregate), defect).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = applied {
            self.fail(&format!("cannot take events in: {error}"));
        }
    }

    /// Reads the log for this view alone, up to `to`, which is a border between two blocks.
    pub(super) async fn bring(&mut self, to: Offset, log: &Log, micro_batch_bytes: u64) {
        if !self.is_running() || self.view.next_offset() >= to || self.view.plan().upstream().is_some() {
            return;
        }
        let (left_out, note) = (&mut self.left_out, &self.note);
        let failed = &mut |failed: &[FailedEvent]| left_out.add(failed, note);
        let progress = &mut |_| {};
        let work = catch_up_noting(&mut self.view, &log.stream, &log.schema, to, micro_batch_bytes, progress, failed);
        if let Err(error) = unharmed(work, |words| Error::Query(defect(words))).await {
            self.fail(&match error {
                Error::Query(error) => format!("cannot take events in: {error}"),
                other => format!("cannot read the log: {other}"),
            });
        }
    }

    /// Commits what it has taken in since the last commit, and what that one has left. Answers whether some is left again.
    pub(super) async fn commit(&mut self, log: &Log) -> bool {
        let offset = self.view.next_offset();
        if !self.is_running() || (lock(&self.note).checkpoint == Some(offset) && !self.view.wants_commit()) {
            return false;
        }
        // Before the checkpoint that passes them: after a kill they stand twice rather than nowhere.
        let reported = self.left_out.report(log, self.view.handle().name()).await;
        let outcome = match reported {
            Ok(()) => match std::panic::AssertUnwindSafe(self.view.commit()).catch_unwind().await {
                Ok(outcome) => outcome.map_err(|error| error.to_string()),
                Err(panic) => {
                    self.fail(&format!("cannot commit: {}", defect(panic_words(panic.as_ref()))));
                    return false;
                }
            },
            Err(error) => Err(error.to_string()),
        };
        let mut note = lock(&self.note);
        match outcome {
            Ok(()) => {
                note.committed(offset);
                note.failed = None;
                self.view.wants_commit()
            }
            // The last commit stands and queries go on; the next one is tried in a while.
            Err(error) => {
                if note.failed.is_none() {
                    tracing::warn!(view = %self.view.handle().name(), "cannot commit, trying again: {error}");
                }
                note.failed = Some(format!("cannot commit, trying again: {error}"));
                false
            }
        }
    }

    /// It goes no further; its last results can still be read.
    pub(super) fn fail(&self, why: &str) {
        let view = self.view.handle();
        if lock(&self.note).stop(&view, why) {
            tracing::error!(view = %view.name(), "the view stands still: {why}");
        }
    }
}
