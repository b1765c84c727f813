//! A build: views that are far behind come up beside the live ones, with a feed and threads of their own that yield to
//! those, until they are near enough to join.

use std::time::Instant;

use lakehead_model::Offset;
use tokio::sync::{mpsc, watch};

use super::{
    bounds::Step,
    feed::Feed,
    group::Group,
    kept::{Kept, lock},
    live::Position,
    near, told_to_stop,
};
use crate::status::ViewState;

/// A build under way.
pub(super) struct Builder {
    pub(super) group: Group,
    pub(super) feed: Feed,
    /// Where the live views stand.
    pub(super) live: Position,
}

impl Builder {
    /// Goes on until its views are near, then hands them over through `join`; or until `stopped` turns true. Either way
    /// what was done is committed.
    pub(super) async fn run(mut self, join: mpsc::Sender<Vec<Kept>>, mut stopped: watch::Receiver<bool>) {
        let mut stopping = false;
        loop {
            let due = self.group.due;
            tokio::select! {
                round = self.feed.next(), if stopping || self.group.has_room() => match round {
                    Some(Ok(round)) => {
                        let end = round.end;
                        self.take_whole();
                        if self.group.take(round).await {
                            self.renew_crew();
                        }
                        self.tell(end);
                        self.group.bounds.step(Step::Built(end));
                        // Twice: the commits, which the live views shall not wait for, take time, and the log goes on
                        // meanwhile.
                        if !self.feed.is_halted() && self.is_near(end) {
                            while self.group.commit().await && !*stopped.borrow() {}
                            if self.is_near(end) {
                                self.feed.halt();
                            }
                        }
                    }
                    Some(Err(why)) => {
                        self.group.fail(&format!("cannot read the log: {why}"));
                        break;
                    }
                    None if self.feed.is_halted() => break,
                    None => {
                        self.group.fail("its threads were stopped by a defect; see the log");
                        break;
                    }
                },
                () = told_to_stop(&mut stopped), if !stopping => {
                    stopping = true;
                    self.feed.halt();
                }
                // A stop has a commit of its own.
                () = tokio::time::sleep_until(due), if !stopping => {
                    self.group.commit().await;
                }
            }
        }
        self.feed.end();
        if stopping {
            self.group.commit().await;
        } else if let Err(refused) = join.send(self.group.views).await {
            refused.0.iter().for_each(|kept| kept.fail("the live views' thread is gone; see the log"));
        }
    }

    /// What has come to the log meanwhile is in what is built from it, however late it came.
    fn take_whole(&mut self) {
        let end = self.group.log.stream.head().end;
        self.group.views.iter_mut().for_each(|kept| kept.view.take_whole_until(end));
    }

    /// Whether those that are live could wait for a view at `at` to be brought along.
    fn is_near(&self, at: Offset) -> bool {
        let stream = &self.group.log.stream;
        let end = stream.head().end;
        near(stream, at, self.live.get().map_or(end, |live| live.min(end)), &self.group.bounds)
    }

    fn renew_crew(&self) {
        match self.group.crew() {
            _ if !self.group.goes_on() => self.feed.halt(),
            Ok(crew) => self.feed.set_crew(crew),
            Err(error) => self.group.fail(&error.to_string()),
        }
    }

    /// Notes how it goes, and now and then says so.
    fn tell(&self, at: Offset) {
        let now = Instant::now();
        let end = self.group.log.stream.head().end;
        for kept in &self.group.views {
            let mut note = lock(&kept.note);
            let Some(build) = &mut note.build else { continue };
            build.observe(at, now);
            if build.is_to_be_told(now)
                && let ViewState::Building { fraction, events_per_second, seconds_left, .. } = build.state(at, end)
            {
                let (percent, seconds) = ((fraction * 100.0).floor(), seconds_left.unwrap_or(f64::INFINITY).ceil());
                tracing::info!(view = %kept.view.handle().name(),
                    "building: {percent} %, {events_per_second:.0} events/s, about {seconds} s left");
            }
        }
    }
}
