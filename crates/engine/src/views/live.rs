//! The live views of a stream: those at its head, or near it. Views that were built join them here.
//!
//! A view that joins stands somewhere near; the others stand at `at`. It reads what lies between for itself, while the
//! others wait, which is short since it is near. From then on it is in the decode plan; micro-batches that were found
//! before that have no partial aggregate for it, and the view reads those for itself, too
//! ([`Member::take`](super::member::Member::take)). So it sees each event once, whatever was under way.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use lakehead_model::{Name, Offset};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    bounds::ViewStep,
    cutover::Cutover,
    group::Group,
    log_reader::{AggregatedBatch, LogReader},
    member::Member,
};
use crate::{
    Error,
    pipeline::Swap,
    sync::{lock, stopped},
};

/// Where the live views stand, for those who are to join; `None` while there are none.
#[derive(Clone, Default)]
pub(super) struct Position(Arc<AtomicU64>);

impl Position {
    pub(super) fn get(&self) -> Option<Offset> {
        self.0.load(Ordering::Acquire).checked_sub(1).map(Offset)
    }

    fn set(&self, at: Offset) {
        self.0.store(at.0.saturating_add(1), Ordering::Release);
    }
}

/// The live group and the log reader that feeds it.
pub(super) struct Live {
    group: Group,
    reader: Option<LogReader>,
    position: Position,
    cutover: Cutover,
}

/// What the live views' thread is asked for.
pub(crate) enum Asked {
    /// The view of this name that waits shall take the old one's place.
    Swap(Name, oneshot::Sender<Result<(), String>>),
}

impl Live {
    /// Begins with these views, which are near the head, if there are any.
    pub(super) fn start(group: Group, position: Position, cutover: Cutover) -> Result<Self, Error> {
        let mut live = Self { group, reader: None, position, cutover };
        live.start_reader()?;
        Ok(live)
    }

    /// Runs until `stop` turns true and nobody is left who could join; then commits.
    pub(super) async fn run(
        mut self,
        mut joining: mpsc::Receiver<Vec<Member>>,
        mut asked: mpsc::Receiver<Asked>,
        mut stop: watch::Receiver<bool>,
    ) {
        self.bring_along().await;
        self.swap_all().await;
        let (mut stopping, mut nobody_joins) = (false, false);
        while !(stopping && nobody_joins && self.reader.is_none()) {
            let due = self.group.due;
            tokio::select! {
                micro_batch = next(&mut self.reader), if stopping || self.group.has_room() => self.take(micro_batch).await,
                views = joining.recv(), if !nobody_joins => match views {
                    Some(views) => self.join(views, stopping).await,
                    None => nobody_joins = true,
                },
                Some(Asked::Swap(name, answer)) = asked.recv(), if !stopping => {
                    let _ = answer.send(self.swap(&name).await);
                }
                () = stopped(&mut stop), if !stopping => {
                    stopping = true;
                    self.reader.iter().for_each(LogReader::halt);
                }
                // A stop has a commit of its own.
                () = tokio::time::sleep_until(due), if !stopping => {
                    self.group.commit().await;
                }
            }
        }
        self.group.commit().await;
    }

    /// Starts a log reader where the foremost view stands, if there is a view that runs.
    fn start_reader(&mut self) -> Result<(), Error> {
        let running = self.group.views.iter().filter(|member| member.is_running());
        let Some(at) = running.map(|member| member.view.next_offset()).max() else { return Ok(()) };
        let Group { log, bounds, .. } = &self.group;
        self.reader = Some(LogReader::start(&log.stream, at, self.group.decode_plan()?, bounds, false)?);
        self.position.set(at);
        Ok(())
    }

    /// Brings every view to where the foremost stands.
    async fn bring_along(&mut self) {
        let Some(at) = self.position.get() else { return };
        let Group { log, bounds, views, .. } = &mut self.group;
        for member in views {
            member.bring(at, log, bounds.micro_batch_bytes).await;
        }
    }

    async fn take(&mut self, micro_batch: Option<Result<AggregatedBatch, String>>) {
        match micro_batch {
            Some(Ok(micro_batch)) => {
                let end = micro_batch.end;
                if self.group.take(micro_batch).await {
                    self.renew_plan();
                }
                self.position.set(end);
                self.group.bounds.step(ViewStep::Live(end));
            }
            Some(Err(why)) => {
                self.group.fail(&format!("cannot read the log: {why}"));
                self.end_reader();
            }
            None => {
                if self.reader.as_ref().is_some_and(|reader| !reader.is_halted()) {
                    self.group.fail("its threads were stopped by a defect; see the log");
                }
                self.end_reader();
            }
        }
    }

    /// Takes in views that were built and have come near.
    async fn join(&mut self, views: Vec<Member>, stopping: bool) {
        for member in views.iter().filter(|member| member.is_running()) {
            lock(&member.note).build = None;
            let (view, at) = (member.view.handle(), member.view.next_offset());
            tracing::info!(view = %view.name(), offset = %at, "built; it is live from now on");
        }
        self.group.add(views);
        if stopping {
            return;
        }
        if self.reader.is_some() {
            self.bring_along().await;
            self.renew_plan();
        } else if let Err(error) = self.start_reader() {
            self.group.fail(&error.to_string());
        } else {
            self.bring_along().await;
        }
        self.group.bounds.step(ViewStep::Joined);
        self.swap_all().await;
    }

    /// Replaces every view whose shadow is here, or notes that the shadow waits to be asked for.
    async fn swap_all(&mut self) {
        let built = |member: &Member| Some((member.view.handle().name().clone(), member.shadow.as_ref()?.swap));
        for (name, swap) in self.group.views.iter().filter_map(built).collect::<Vec<_>>() {
            if swap == Swap::Ask {
                let shadow = self.group.place(&name, true).and_then(|at| self.group.views.get(at));
                shadow.into_iter().for_each(|shadow| lock(&shadow.note).waits = true);
            } else if let Err(why) = self.swap(&name).await {
                tracing::warn!(view = %name, "its new SQL does not take its place yet: {why}");
            }
        }
    }

    /// Replaces the active view `name` by its shadow.
    async fn swap(&mut self, name: &Name) -> Result<(), String> {
        self.cutover.swap(&mut self.group, name).await?;
        self.renew_plan();
        Ok(())
    }

    /// Tells the log reader who is there now.
    fn renew_plan(&mut self) {
        if !self.group.is_running() {
            return self.end_reader();
        }
        match (self.group.decode_plan(), &self.reader) {
            (Ok(plan), Some(reader)) => reader.set_plan(plan),
            (Ok(_), None) => {}
            (Err(error), _) => self.group.fail(&error.to_string()),
        }
    }

    fn end_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.end();
        }
    }
}

/// The log reader's next micro-batch; never, where there is none.
async fn next(reader: &mut Option<LogReader>) -> Option<Result<AggregatedBatch, String>> {
    match reader {
        Some(reader) => reader.next().await,
        None => std::future::pending().await,
    }
}
