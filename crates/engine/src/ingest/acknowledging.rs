//! The task that tells a source what is on disk: in order, beside the reader and the appends, which never wait for it.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use lakehead_connector_api::{Acknowledge, Error, StreamIndex};
use lakehead_model::Cursor;
use tokio::{
    sync::Notify,
    task::{JoinError, JoinHandle},
};
use tracing::warn;

use crate::sync::lock;

/// Most acknowledgements that wait. Where a source falls further behind, a later one of the same stream takes the place of the
/// last that waits: a cursor speaks for all before it.
const WAITING_MAX: usize = 1_024;

/// How long an end waits for a source that does not take its acknowledgements. What is not acknowledged is on disk all the same, and
/// its cursor with it.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Acknowledgements at work.
pub(super) struct Acknowledging {
    queue: Arc<AckQueue>,
    /// `None` once it has ended.
    task: Option<JoinHandle<Result<(), Error>>>,
}

#[derive(Default)]
struct AckQueue {
    waiting: std::sync::Mutex<AcksWaiting>,
    changed: Notify,
}

#[derive(Default)]
struct AcksWaiting {
    cursors: VecDeque<(StreamIndex, Cursor)>,
    /// No more will come.
    is_over: bool,
}

impl Acknowledging {
    pub(super) fn start(acks: Box<dyn Acknowledge>) -> Self {
        let queue = Arc::<AckQueue>::default();
        let task = tokio::spawn(acknowledge(acks, Arc::clone(&queue)));
        Self { queue, task: Some(task) }
    }

    /// Everything of stream `to` up to `cursor` is on disk.
    pub(super) fn tell(&self, to: StreamIndex, cursor: Cursor) {
        lock(&self.queue.waiting).add(to, cursor);
        self.queue.changed.notify_one();
    }

    /// Returns when the source did not take one.
    ///
    /// # Panics
    /// When it has panicked, with what it said.
    pub(super) async fn failed(&mut self) -> Error {
        if let Some(task) = &mut self.task {
            let ended = task.await;
            self.task = None;
            if let Err(error) = outcome(ended) {
                return error;
            }
        }
        std::future::pending().await
    }

    /// Waits a while until the source has taken what it was told.
    pub(super) async fn end(mut self) -> Result<(), Error> {
        lock(&self.queue.waiting).is_over = true;
        self.queue.changed.notify_one();
        let Some(task) = &mut self.task else { return Ok(()) };
        if let Ok(ended) = tokio::time::timeout(END_WITHIN, task).await {
            self.task = None;
            return outcome(ended);
        }
        let left = lock(&self.queue.waiting).cursors.len();
        warn!("a source did not take its acknowledgements within {END_WITHIN:?}; {left} more were waiting");
        Ok(())
    }
}

impl Drop for Acknowledging {
    fn drop(&mut self) {
        self.task.iter().for_each(JoinHandle::abort);
    }
}

/// How the task ended; a panic goes on.
fn outcome(ended: Result<Result<(), Error>, JoinError>) -> Result<(), Error> {
    match ended {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Ok(()),
    }
}

impl AcksWaiting {
    fn add(&mut self, to: StreamIndex, cursor: Cursor) {
        if self.cursors.len() >= WAITING_MAX
            && let Some(last) = self.cursors.iter_mut().rev().find(|(of, _)| *of == to)
        {
            last.1 = cursor;
            return;
        }
        self.cursors.push_back((to, cursor));
    }
}

async fn acknowledge(mut acks: Box<dyn Acknowledge>, queue: Arc<AckQueue>) -> Result<(), Error> {
    loop {
        let (next, is_over) = {
            let mut waiting = lock(&queue.waiting);
            (waiting.cursors.pop_front(), waiting.is_over)
        };
        match next {
            Some((to, cursor)) => acks.acknowledge(to, &cursor).await?,
            None if is_over => return Ok(()),
            None => queue.changed.notified().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_and_a_later_cursor_speaks_for_those_before_it() {
        let cursor = |n: usize| Cursor { position: n.to_string().into(), progress: None };
        let mut waiting = AcksWaiting::default();
        for n in 0..5_000 {
            waiting.add(StreamIndex(n % 3), cursor(n));
        }
        assert_eq!(waiting.cursors.len(), WAITING_MAX);
        for stream in 0..3 {
            let of = waiting.cursors.iter().filter(|(to, _)| to.0 == stream);
            let numbers: Vec<usize> = of.map(|(_, cursor)| cursor.position.parse().expect("a number")).collect();
            assert!(numbers.is_sorted(), "in order");
            assert!(numbers.last().is_some_and(|last| *last >= 4_997), "the last is there: {numbers:?}");
        }
    }
}
