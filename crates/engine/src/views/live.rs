//! The live views of a stream: those at its head, or near it. Views that were built join them here.
//!
//! A view that joins stands somewhere near; the others stand at `at`. It reads what lies between for itself, while the
//! others wait, which is short since it is near. From then on it is in the crew; rounds that were found before the crew
//! knew of it have no digest for it, and it reads those for itself, too ([`Kept::take`](super::kept::Kept::take)). So it
//! sees each event once, whatever was under way.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use lakehead_model::Offset;
use tokio::sync::{mpsc, watch};

use super::{
    bounds::Step,
    feed::{Digested, Feed},
    group::Group,
    kept::{Kept, lock},
    told_to_stop,
};
use crate::Error;

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

/// The live group and what it lives on.
pub(super) struct Live {
    group: Group,
    feed: Option<Feed>,
    position: Position,
}

impl Live {
    /// Begins with these views, which are near the head, if there are any.
    pub(super) fn start(group: Group, position: Position) -> Result<Self, Error> {
        let mut live = Self { group, feed: None, position };
        live.feed()?;
        Ok(live)
    }

    /// Goes on until `stopped` turns true and nobody is left who could join; then commits.
    pub(super) async fn run(mut self, mut joining: mpsc::Receiver<Vec<Kept>>, mut stopped: watch::Receiver<bool>) {
        self.bring_along().await;
        let (mut stopping, mut nobody_joins) = (false, false);
        while !(stopping && nobody_joins && self.feed.is_none()) {
            let due = self.group.due;
            tokio::select! {
                round = next(&mut self.feed) => self.take(round).await,
                views = joining.recv(), if !nobody_joins => match views {
                    Some(views) => self.join(views, stopping).await,
                    None => nobody_joins = true,
                },
                () = told_to_stop(&mut stopped), if !stopping => {
                    stopping = true;
                    self.feed.iter().for_each(Feed::halt);
                }
                () = tokio::time::sleep_until(due) => self.group.commit().await,
            }
        }
        self.group.commit().await;
    }

    /// Starts a feed where the foremost view stands, if there is a view that goes on.
    fn feed(&mut self) -> Result<(), Error> {
        let going = self.group.views.iter().filter(|kept| kept.goes_on());
        let Some(at) = going.map(|kept| kept.view.next_offset()).max() else { return Ok(()) };
        let Group { log, bounds, .. } = &self.group;
        self.feed = Some(Feed::start(&log.stream, at, self.group.crew()?, bounds, false)?);
        self.position.set(at);
        Ok(())
    }

    /// Brings every view to where the foremost stands.
    async fn bring_along(&mut self) {
        let Some(at) = self.position.get() else { return };
        let Group { log, bounds, views, .. } = &mut self.group;
        for kept in views {
            kept.bring(at, log, bounds.round_bytes).await;
        }
    }

    async fn take(&mut self, round: Option<Result<Digested, String>>) {
        match round {
            Some(Ok(round)) => {
                let end = round.end;
                if self.group.take(round).await {
                    self.renew_crew();
                }
                self.position.set(end);
                self.group.bounds.step(Step::Live(end));
            }
            Some(Err(why)) => {
                self.group.fail(&format!("cannot read the log: {why}"));
                self.end_feed();
            }
            None => {
                if self.feed.as_ref().is_some_and(|feed| !feed.is_halted()) {
                    self.group.fail("its threads were stopped by a defect; see the log");
                }
                self.end_feed();
            }
        }
    }

    /// Takes in views that were built and have come near.
    async fn join(&mut self, views: Vec<Kept>, stopping: bool) {
        for kept in views.iter().filter(|kept| kept.goes_on()) {
            lock(&kept.note).build = None;
            let (view, at) = (kept.view.handle(), kept.view.next_offset());
            tracing::info!(view = %view.name(), offset = %at, "built; it is live from now on");
        }
        self.group.add(views);
        if stopping {
            return;
        }
        if self.feed.is_some() {
            self.bring_along().await;
            self.renew_crew();
        } else if let Err(error) = self.feed() {
            self.group.fail(&error.to_string());
        } else {
            self.bring_along().await;
        }
        self.group.bounds.step(Step::Joined);
    }

    /// Tells the feed who is there now.
    fn renew_crew(&mut self) {
        if !self.group.goes_on() {
            return self.end_feed();
        }
        match (self.group.crew(), &self.feed) {
            (Ok(crew), Some(feed)) => feed.set_crew(crew),
            (Ok(_), None) => {}
            (Err(error), _) => self.group.fail(&error.to_string()),
        }
    }

    fn end_feed(&mut self) {
        if let Some(feed) = self.feed.take() {
            feed.end();
        }
    }
}

/// The feed's next round; never, where there is no feed.
async fn next(feed: &mut Option<Feed>) -> Option<Result<Digested, String>> {
    match feed {
        Some(feed) => feed.next().await,
        None => std::future::pending().await,
    }
}
