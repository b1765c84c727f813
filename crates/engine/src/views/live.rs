//! The live views of a stream: those at its head, or near it. Views that were built join them here.
//!
//! A view that joins stands somewhere near; the others stand at `at`. It reads what lies between for itself, while the
//! others wait, which is short since it is near. From then on it is in the crew; rounds that were found before the crew
//! knew of it have no digest for it, and it reads those for itself, too ([`Kept::take`](super::kept::Kept::take)). So it
//! sees each event once, whatever was under way.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use lakehead_model::{Name, Offset};
use lakehead_query::{Lake, Slot, View, ViewHandle};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    bounds::Step,
    feed::{Digested, Feed},
    group::Group,
    kept::{Kept, Noted, Renewal, lock},
    shown::Shown,
    told_to_stop,
};
use crate::{Error, pipeline::Swap};

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
    shown: Shown,
    lake: Lake,
    data: PathBuf,
}

/// What the live views' thread is asked for.
pub(crate) enum Asked {
    /// The view of this name that waits shall take the old one's place.
    Swap(Name, oneshot::Sender<Result<(), String>>),
}

/// How many rows two views may have together for their difference to be told when one takes the other's place: comparing
/// them keeps the live views waiting.
const TOLD_ROWS_MAX: u64 = 300_000;

impl Live {
    /// Begins with these views, which are near the head, if there are any.
    pub(super) fn start(
        group: Group,
        position: Position,
        shown: Shown,
        lake: Lake,
        data: PathBuf,
    ) -> Result<Self, Error> {
        let mut live = Self { group, feed: None, position, shown, lake, data };
        live.feed()?;
        Ok(live)
    }

    /// Goes on until `stopped` turns true and nobody is left who could join; then commits.
    pub(super) async fn run(
        mut self,
        mut joining: mpsc::Receiver<Vec<Kept>>,
        mut asked: mpsc::Receiver<Asked>,
        mut stopped: watch::Receiver<bool>,
    ) {
        self.bring_along().await;
        self.swap_all().await;
        let (mut stopping, mut nobody_joins) = (false, false);
        while !(stopping && nobody_joins && self.feed.is_none()) {
            let due = self.group.due;
            tokio::select! {
                round = next(&mut self.feed), if stopping || self.group.has_room() => self.take(round).await,
                views = joining.recv(), if !nobody_joins => match views {
                    Some(views) => self.join(views, stopping).await,
                    None => nobody_joins = true,
                },
                Some(Asked::Swap(name, answer)) = asked.recv(), if !stopping => {
                    let _ = answer.send(self.swap(&name).await);
                }
                // An error means that nobody can say stop any more.
                () = told_to_stop(&mut stopped), if !stopping => {
                    stopping = true;
                    self.feed.iter().for_each(Feed::halt);
                }
                // A stop has a commit of its own.
                () = tokio::time::sleep_until(due), if !stopping => {
                    self.group.commit().await;
                }
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
        self.swap_all().await;
    }

    /// Lets every view that was built beside another, and is here, take its place, or notes that it waits to be told.
    async fn swap_all(&mut self) {
        let built = |kept: &Kept| kept.next.as_ref().map(|next| (kept.view.handle().name().clone(), next.swap));
        for (name, swap) in self.group.views.iter().filter_map(built).collect::<Vec<_>>() {
            if swap == Swap::Ask {
                let waits =
                    self.group.views.iter().find(|kept| kept.next.is_some() && *kept.view.handle().name() == name);
                if let Some(kept) = waits {
                    lock(&kept.note).waits = true;
                }
            } else if let Err(why) = self.swap(&name).await {
                tracing::warn!(view = %name, "its new SQL does not take its place yet: {why}");
            }
        }
    }

    /// Lets the view that was built beside `name` take its place, at one offset.
    async fn swap(&mut self, name: &Name) -> Result<(), String> {
        let place = |views: &[Kept], is_next: bool| {
            views.iter().position(|kept| kept.next.is_some() == is_next && kept.view.handle().name() == name)
        };
        let Some(next_at) = place(&self.group.views, true) else {
            return Err(format!("no view that was built beside {name} is ready to take its place"));
        };
        let Some(old_at) = place(&self.group.views, false) else {
            return Err(format!("the view {name} itself is still being built"));
        };
        if let Some(next) = self.group.views.get(next_at).filter(|next| !next.goes_on()) {
            let why = lock(&next.note).failed.clone().unwrap_or_default();
            return Err(format!("what was built to take the place of {name} stands still: {why}"));
        }
        self.tell_difference(old_at, next_at).await;
        let mut next = self.group.views.remove(next_at);
        let old_at = if old_at > next_at { old_at - 1 } else { old_at };
        let old = self.group.views.remove(old_at);
        let (id, view, old_note) = old.apart();
        // What is to be renewed answers over what this was, until it is.
        let renew = next.next.as_ref().map(|next| next.renew.iter().map(|one| one.name.clone()).collect());
        let renew: Vec<Name> = renew.unwrap_or_default();
        let is_over =
            |kept: &&Kept| kept.view.plan().reads() == Some(name) && renew.contains(kept.view.handle().name());
        let held: Vec<_> = self.group.views.iter().filter(is_over).map(|kept| (kept.id, kept.view.hold())).collect();
        if let Err((view, error)) = next.view.take_over(view).await {
            for (id, upstream) in held {
                let kept = self.group.views.iter().find(|kept| kept.id == id);
                kept.zip(upstream).into_iter().for_each(|(kept, upstream)| kept.view.read_again(upstream));
            }
            self.group.add(vec![next, Kept::new(id, *view, old_note, None)]);
            return Err(error.to_string());
        }
        tracing::info!(view = %name, offset = %next.view.next_offset(), "its new SQL is what it answers with from now on");
        let renew = next.next.take().map(|next| next.renew).unwrap_or_default();
        {
            let mut note = lock(&next.note);
            note.waits = false;
            note.set_aside = lakehead_query::found_aside(&self.data, name);
            note.checkpoint = Some(next.view.next_offset());
        }
        let note = Arc::clone(&next.note);
        self.group.add(vec![next]);
        for renewal in renew {
            self.renew(renewal).await;
        }
        self.shown.swapped(name, &note);
        // Views over it have files to make anew, even when nothing comes.
        for kept in self.group.views.iter().filter(|kept| kept.view.plan().reads().is_some()) {
            lock(&kept.note).checkpoint = None;
        }
        self.group.due = tokio::time::Instant::now();
        self.renew_crew();
        Ok(())
    }

    /// Puts a view over another view, as it is to be over what that one has become, in the place of what there is of it.
    async fn renew(&mut self, renewal: Renewal) {
        let Renewal { id, name, plan, settings } = renewal;
        let place = |views: &[Kept], name: &Name, is_next: bool| {
            views.iter().position(|kept| kept.next.is_some() == is_next && kept.view.handle().name() == name)
        };
        // What waited to take its place was made for what that one was.
        if let Some(waits) = place(&self.group.views, &name, true) {
            self.group.views.remove(waits);
        }
        let read = plan.reads().and_then(|read| place(&self.group.views, read, false));
        let upstream = read.and_then(|at| self.group.views.get(at)).map(|kept| kept.view.handle());
        let old = place(&self.group.views, &name, false).map(|at| self.group.views.remove(at));
        let slot = if old.is_some() { Slot::Next } else { Slot::Current };
        let opened = View::open(&self.data, name.clone(), plan, settings, slot, upstream).await;
        let note: Noted = Arc::default();
        let renewed = match (opened, old) {
            (Ok((view, _)), None) => {
                self.lake.add_view(view.handle());
                self.shown.add(view.handle(), Arc::clone(&note));
                Ok(view)
            }
            (Ok((mut view, _)), Some(old)) => match view.take_over(old.apart().1).await {
                Ok(()) => {
                    self.shown.swapped(&name, &note);
                    Ok(view)
                }
                Err((_, error)) => Err(error),
            },
            (Err(error), _) => Err(error),
        };
        match renewed {
            Ok(view) => self.group.add(vec![Kept::new(id, view, note, None)]),
            // With its old SQL it would answer over what that one was no more.
            Err(error) => {
                tracing::error!(view = %name, "the view is no table until the next reload: it cannot be opened anew: {error}");
                self.lake.remove_view(&name);
                lock(&note).stands_still = true;
                lock(&note).failed =
                    Some(format!("it cannot be opened anew over what it reads; reload again: {error}"));
                self.shown.swapped(&name, &note);
            }
        }
    }

    /// Says in the log what a swap changes, where that is quickly found out.
    async fn tell_difference(&self, old: usize, next: usize) {
        let handle = |at: usize| self.group.views.get(at).map(|kept| kept.view.handle());
        let (Some(old), Some(next)) = (handle(old), handle(next)) else { return };
        let rows = |handle: &ViewHandle| handle.snapshot().result_rows();
        if rows(&old) + rows(&next) > TOLD_ROWS_MAX {
            return;
        }
        if let Ok(found) = old.difference(&next).await {
            let lakehead_query::ViewDifference { added, removed, changed, .. } = found;
            tracing::info!(view = %old.name(), added, removed, changed, "rows that change with its new SQL");
        }
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
