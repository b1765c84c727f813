//! A build: views that are far behind come up beside the live ones, with a log reader and threads of their own that yield to
//! those, until they are near enough to join.

use std::time::Instant;

use lakehead_model::Offset;
use tokio::sync::{mpsc, watch};

use super::{bounds::ViewStep, group::Group, live::Position, log_reader::LogReader, member::Member};
use crate::{
    status::ViewState,
    sync::{lock, stopped},
};

/// A build under way.
pub(super) struct Builder {
    pub(super) group: Group,
    pub(super) reader: LogReader,
    /// Where the live views stand.
    pub(super) live: Position,
}

impl Builder {
    /// Runs until its views are near, then hands them over through `join`; or until `stop` turns true. Either way
    /// what was done is committed.
    pub(super) async fn run(mut self, join: mpsc::Sender<Vec<Member>>, mut stop: watch::Receiver<bool>) {
        let mut stopping = false;
        loop {
            let due = self.group.due;
            tokio::select! {
                micro_batch = self.reader.next(), if stopping || self.group.has_room() => match micro_batch {
                    Some(Ok(micro_batch)) => {
                        let end = micro_batch.end;
                        self.take_whole();
                        if self.group.take(micro_batch).await {
                            self.renew_plan();
                        }
                        self.note_progress(end);
                        self.group.bounds.step(ViewStep::Built(end));
                        // Twice: the commits, which the live views shall not wait for, take time, and the log goes on
                        // meanwhile.
                        if !self.reader.is_halted() && self.is_near(end) {
                            while self.group.commit().await && !*stop.borrow() {}
                            if self.is_near(end) {
                                self.reader.halt();
                            }
                        }
                    }
                    Some(Err(why)) => {
                        self.group.fail(&format!("cannot read the log: {why}"));
                        break;
                    }
                    None if self.reader.is_halted() => break,
                    None => {
                        self.group.fail("its threads were stopped by a defect; see the log");
                        break;
                    }
                },
                () = stopped(&mut stop), if !stopping => {
                    stopping = true;
                    self.reader.halt();
                }
                // A stop has a commit of its own.
                () = tokio::time::sleep_until(due), if !stopping => {
                    self.group.commit().await;
                }
            }
        }
        self.reader.end();
        if stopping {
            self.group.commit().await;
        } else if let Err(refused) = join.send(self.group.views).await {
            refused.0.iter().for_each(|member| member.fail("the live views' thread is gone; see the log"));
        }
    }

    /// What has come to the log meanwhile is in what is built from it, however late it came.
    fn take_whole(&mut self) {
        let end = self.group.log.stream.head().end;
        self.group.views.iter_mut().for_each(|member| member.view.accept_all_until(end));
    }

    /// Whether those that are live could wait for a view at `at` to be brought along.
    fn is_near(&self, at: Offset) -> bool {
        let stream = &self.group.log.stream;
        let end = stream.head().end;
        self.group.bounds.are_few(stream, at, self.live.get().map_or(end, |live| live.min(end)))
    }

    fn renew_plan(&self) {
        match self.group.decode_plan() {
            _ if !self.group.is_running() => self.reader.halt(),
            Ok(plan) => self.reader.set_plan(plan),
            Err(error) => self.group.fail(&error.to_string()),
        }
    }

    /// Notes how it goes, and now and then says so.
    fn note_progress(&self, at: Offset) {
        let now = Instant::now();
        let end = self.group.log.stream.head().end;
        for member in &self.group.views {
            let mut note = lock(&member.note);
            let Some(build) = &mut note.build else { continue };
            build.observe(at, now);
            if build.is_due_for_log(now)
                && let ViewState::Building { fraction, events_per_second, seconds_left, .. } = build.state(at, end)
            {
                let (percent, seconds) = ((fraction * 100.0).floor(), seconds_left.unwrap_or(f64::INFINITY).ceil());
                tracing::info!(view = %member.view.handle().name(),
                    "building: {percent} %, {events_per_second:.0} events/s, about {seconds} s left");
            }
        }
    }
}
