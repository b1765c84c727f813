//! Applies partial aggregates to a view, in the order of the log.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use futures::future::BoxFuture;
use lakehead_model::Offset;

use super::instance::{Body, View};
use crate::{
    error::Error,
    partial::{PartialAggregate, PartialOutput},
};

impl View {
    /// Accepts every event before `end`, however late: what lies in the log while a view is built from it is in the view.
    /// Has no effect once the view has passed the end that was set before.
    pub fn accept_all_until(&mut self, end: Offset) {
        if self.is_new() || self.checkpoint.takes_all() {
            self.checkpoint.whole_until = self.checkpoint.whole_until.max(end);
        }
    }

    /// Continues at `offset`, since the log does not hold the events before it any more. Counts them as missed, unless the
    /// view has seen none yet.
    pub fn skip_to(&mut self, offset: Offset) {
        let next = self.checkpoint.next_offset;
        if offset <= next {
            return;
        }
        if self.checkpoint.counts.events > 0 {
            self.checkpoint.counts.missed += offset.since(next);
        } else {
            self.checkpoint.begins = offset;
        }
        self.checkpoint.next_offset = offset;
        self.publish();
    }

    /// Applies a micro-batch; they come in the order of the log. Afterwards the view's snapshot has its events.
    ///
    /// # Errors
    /// [`Error::Limit`] when the state grows too large; [`Error::File`] when a period to be corrected cannot be read.
    pub fn apply(&mut self, aggregate: PartialAggregate) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.apply_in_order(aggregate))
    }

    async fn apply_in_order(&mut self, aggregate: PartialAggregate) -> Result<(), Error> {
        if !aggregate.is_of(&self.plan) {
            return Err(Error::Engine("what another view made of the events".into()));
        }
        let PartialAggregate { rows, failed, events, end, times, .. } = aggregate;
        match (&mut self.body, rows) {
            (Body::Windowed(_), PartialOutput::Partial(rows)) => self.apply_partial(rows).await?,
            (Body::Projection(body), PartialOutput::Rows(rows)) => {
                for (start, rows) in rows {
                    self.checkpoint.counts.in_view += rows.num_rows() as u64;
                    body.apply(start, rows);
                }
            }
            (Body::Derived, PartialOutput::Nothing) => return Ok(()),
            _ => return Err(Error::Engine("a digest of another view".into())),
        }
        for (progress, greatest, received) in &times {
            self.checkpoint.watermark.observe(*progress, *greatest, *received);
        }
        self.checkpoint.counts.events += events;
        self.checkpoint.counts.failed += failed.len() as u64;
        self.checkpoint.next_offset = end;
        self.publish();
        Ok(())
    }

    async fn apply_partial(&mut self, rows: Vec<RecordBatch>) -> Result<(), Error> {
        let plan = Arc::clone(&self.plan);
        let (Some(windowed), Body::Windowed(body)) = (plan.windowed(), &mut self.body) else { return Ok(()) };
        let touched = body.apply(windowed, &self.settings, &mut self.checkpoint, rows).await?;
        let mut was_reopened = false;
        for start in touched {
            if body.reopened.contains_key(&start) {
                continue;
            }
            let range = windowed.period.range(start);
            let file = self.live.get(&start).map(|live| Arc::clone(&live.file));
            body.reopen(windowed, range, file, &self.folder, self.checkpoint.build).await?;
            if let Some(live) = self.live.remove(&start) {
                self.replaced.push(live.file);
            }
            was_reopened = true;
        }
        let bytes = body.state.bytes();
        if was_reopened {
            self.list_results();
        }
        if bytes > self.settings.state_bytes_max {
            return Err(Error::Limit(format!(
                "the view {} holds {} MiB of open windows, more than its limit of {} MiB; use shorter windows or fewer \
                 groups, or raise its state_max",
                self.handle.name(),
                bytes >> 20,
                self.settings.state_bytes_max >> 20
            )));
        }
        Ok(())
    }
}
