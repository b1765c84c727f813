//! What is on disk: the engine says it, the thread that reads waits for it and commits it to the group.

use std::{
    collections::HashMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use lakehead_connector_api::{Acknowledge, Error, StreamIndex};
use lakehead_model::Cursor;

use super::cursor::{self, TopicPartition};

/// Offsets up to which everything is on disk, by partition.
#[derive(Debug, Default)]
pub(super) struct Acked {
    known: Mutex<AckedOffsets>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct AckedOffsets {
    next: HashMap<TopicPartition, i64>,
    /// No more will be said.
    is_over: bool,
}

impl Acked {
    fn lock(&self) -> MutexGuard<'_, AckedOffsets> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything before `next` is on disk, or does not concern this Lakehead.
    pub(super) fn set(&self, place: &TopicPartition, next: i64) {
        self.lock().next.insert(place.clone(), next);
    }

    /// Up to where this partition is on disk.
    pub(super) fn of(&self, place: &TopicPartition) -> Option<i64> {
        self.lock().next.get(place).copied()
    }

    /// Whether no more will be said: what is on disk is all that will be.
    pub(super) fn is_over(&self) -> bool {
        self.lock().is_over
    }

    /// No more will be said: whoever waits need not.
    fn end(&self) {
        self.lock().is_over = true;
        self.changed.notify_all();
    }

    /// Waits until all of these are on disk, or `within` has passed, or no more will be said. True when all are.
    pub(super) fn wait(&self, wanted: &[(TopicPartition, i64)], within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let mut known = self.lock();
        loop {
            let is_there = |(place, next): &(TopicPartition, i64)| known.next.get(place).is_some_and(|at| at >= next);
            if wanted.iter().all(is_there) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if known.is_over || left.is_zero() {
                return false;
            }
            (known, _) = self.changed.wait_timeout(known, left).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The source's end for the engine.
pub(super) struct KafkaAcks {
    acked: Arc<Acked>,
}

impl KafkaAcks {
    pub(super) fn new(acked: Arc<Acked>) -> Self {
        Self { acked }
    }
}

#[async_trait]
impl Acknowledge for KafkaAcks {
    async fn acknowledge(&mut self, _: StreamIndex, cursor: &Cursor) -> Result<(), Error> {
        let (_, partitions) = cursor::read(&cursor.position)?;
        let mut known = self.acked.lock();
        for (place, at) in partitions {
            let next = known.next.entry(place).or_insert(at.next);
            // Where a partition begins again it is set by whoever begins; a cursor of before must not take that back.
            *next = at.next.max(*next);
        }
        drop(known);
        self.acked.changed.notify_all();
        Ok(())
    }
}

impl Drop for KafkaAcks {
    fn drop(&mut self) {
        self.acked.end();
    }
}

#[cfg(test)]
mod tests {
    use lakehead_model::Timestamp;

    use super::{cursor::PartitionCursor, *};

    #[tokio::test]
    async fn a_wait_ends_with_what_it_waits_for_or_with_the_one_who_would_say_it() {
        let acked = Arc::new(Acked::default());
        let mut acks = KafkaAcks::new(acked.clone());
        let place = TopicPartition::new("t", 0);
        acked.set(&place, 3);
        let cursor = |next| {
            let at = PartitionCursor { next, last: None, event_time: Some(Timestamp(1)) };
            Cursor { position: cursor::write(1, [(&place, at)]).into(), progress: None }
        };
        let wait = |next| {
            let (acked, place) = (acked.clone(), place.clone());
            std::thread::spawn(move || acked.wait(&[(place, next)], Duration::from_secs(60)))
        };
        let waits = wait(7);
        acks.acknowledge(StreamIndex(0), &cursor(5)).await.expect("a cursor");
        acks.acknowledge(StreamIndex(0), &cursor(7)).await.expect("a cursor");
        assert!(waits.join().expect("no panic"));
        assert!(!acked.wait(&[(place.clone(), 8)], Duration::ZERO));
        let waits = wait(8);
        drop(acks);
        assert!(!waits.join().expect("no panic"), "nobody will say it any more");
        assert_eq!(acked.of(&place), Some(7));
    }
}
