//! Which events were taken before: those that the keys of the last ones do not say are looked up in the log.
//!
//! [`History`] is made only when an overlap is read, that is after a reconnect that had to ask by time: a directory of the log by Kafka time, stretch by
//! stretch from the end back to the time asked. A stretch's keys are read when an event of its time comes, and the last
//! few are kept; since what comes again comes roughly in the log's order, each is read about once. An event that comes
//! again has the same `meta.dt`, so only stretches whose range holds that time need be looked into. [`Nameless`] counts
//! events that nothing but their text tells apart, since two that look alike may be two.

use std::{
    collections::{HashMap, VecDeque},
    hash::BuildHasherDefault,
};

use lakehead_connector_api::{Error, TailReader};
use lakehead_model::{Offset, Timestamp};

use super::event::FactReader;
use crate::{
    event_key::Key,
    recent_keys::{Folded, GENERATION_KEYS, Keys, each_event},
};

/// Events in one stretch of the log: about 17 MiB of recentchange, read in some 50 ms.
const STRETCH_EVENTS: u64 = 16_384;

/// Stretches whose keys are kept at once: 458,752 keys, 8.5 MiB, only while an overlap is read.
const STRETCHES_LOADED_MAX: usize = 28;

type Counts = HashMap<Key, u32, BuildHasherDefault<Folded>>;

/// Events without a name of their own. Where the upstream repeats itself, as many of each come again as were kept.
#[derive(Debug, Default)]
pub(super) struct Nameless {
    kept: Counts,
    /// How many of each came on this connection.
    came: Counts,
}

impl Nameless {
    /// Prepares for a new connection.
    pub(super) fn connect(&mut self) {
        self.came = Counts::default();
    }

    /// Whether any came on this connection where the upstream may repeat itself.
    pub(super) fn any_came(&self) -> bool {
        !self.came.is_empty()
    }

    /// One came, and the upstream may repeat itself: whether it is one of those that were kept. `in_log`: at least one was.
    /// Past the bound nobody can say, and what nobody can say is new.
    pub(super) fn came_again(&mut self, key: Key, in_log: bool) -> bool {
        if self.came.len() >= GENERATION_KEYS {
            return false;
        }
        let kept = self.kept.get(&key).copied().unwrap_or(0).max(u32::from(in_log));
        let came = self.came.entry(key).or_default();
        *came = came.saturating_add(1);
        *came <= kept
    }

    /// One was kept.
    pub(super) fn keep(&mut self, key: Key) {
        if self.kept.len() >= GENERATION_KEYS {
            self.kept = Counts::default();
        }
        let kept = self.kept.entry(key).or_default();
        *kept = kept.saturating_add(1);
    }
}

/// What the log holds, from some time on.
#[derive(Debug)]
pub(super) struct History {
    stretches: Vec<Stretch>,
    loaded: VecDeque<(usize, Keys)>,
    greatest: Option<Timestamp>,
}

/// `[from, to)` of the log and the Kafka times in it.
#[derive(Debug)]
struct Stretch {
    from: Offset,
    to: Offset,
    /// Least and greatest; `None` when not a single event has one.
    times: Option<(Timestamp, Timestamp)>,
    /// Whether there are events without a time, which any lookup has to consider.
    timeless: bool,
}

impl History {
    /// Reads the log back from its end until a whole stretch is older than `since`.
    pub(super) async fn read_back(
        tail: &mut dyn TailReader,
        reader: &FactReader,
        since: Timestamp,
    ) -> Result<Self, Error> {
        let mut history = Self { stretches: Vec::new(), loaded: VecDeque::new(), greatest: None };
        let mut to = tail.end();
        while to.0 > 0 {
            let from = Offset(to.0.saturating_sub(STRETCH_EVENTS));
            let mut stretch = Stretch { from, to, times: None, timeless: false };
            let mut keys = Keys::default();
            each_event(tail, from, to, |event| {
                let (key, time) = reader.identity(event);
                keys.insert(key);
                match (time, &mut stretch.times) {
                    (None, _) => stretch.timeless = true,
                    (Some(time), None) => stretch.times = Some((time, time)),
                    (Some(time), Some((least, greatest))) => {
                        *least = time.min(*least);
                        *greatest = time.max(*greatest);
                    }
                }
            })
            .await?;
            // Nothing left there: retention took it.
            if keys.is_empty() {
                break;
            }
            let old_enough = stretch.times.is_some_and(|(_, greatest)| greatest < since);
            history.greatest = history.greatest.max(stretch.times.map(|(_, greatest)| greatest));
            history.keep(history.stretches.len(), keys);
            history.stretches.push(stretch);
            if old_enough {
                break;
            }
            to = from;
        }
        Ok(history)
    }

    /// The greatest Kafka time in it: what is well past that cannot be in it.
    pub(super) fn greatest(&self) -> Option<Timestamp> {
        self.greatest
    }

    /// Whether the log holds the event, which was looked up.
    pub(super) fn contains(&self, key: Key) -> bool {
        self.loaded.iter().any(|(_, keys)| keys.contains(&key))
    }

    /// Reads the stretches that may hold the event, until one does.
    pub(super) async fn look_up(
        &mut self,
        key: Key,
        time: Option<Timestamp>,
        tail: &mut dyn TailReader,
        reader: &FactReader,
    ) -> Result<(), Error> {
        if self.contains(key) {
            return Ok(());
        }
        for number in 0..self.stretches.len() {
            let stretch = &self.stretches[number];
            let of_its_time = match (time, stretch.times) {
                (Some(time), Some((least, greatest))) => least <= time && time <= greatest,
                (Some(_), None) => false,
                (None, _) => stretch.timeless,
            };
            if !of_its_time || self.loaded.iter().any(|(loaded, _)| *loaded == number) {
                continue;
            }
            let mut keys = Keys::default();
            each_event(tail, stretch.from, stretch.to, |event| {
                keys.insert(reader.identity(event).0);
            })
            .await?;
            let found = keys.contains(&key);
            self.keep(number, keys);
            if found {
                break;
            }
        }
        Ok(())
    }

    fn keep(&mut self, number: usize, keys: Keys) {
        if self.loaded.len() == STRETCHES_LOADED_MAX {
            self.loaded.pop_front();
        }
        self.loaded.push_back((number, keys));
    }
}

#[cfg(test)]
mod tests {
    use lakehead_testkit::VecTail;

    use super::*;

    fn event(n: u64) -> Vec<u8> {
        let time = Timestamp::from_seconds(i64::try_from(n).expect("small"));
        format!(r#"{{"meta":{{"id":"e{n}","dt":"{time}"}}}}"#).into_bytes()
    }

    fn identity(n: u64) -> (Key, Option<Timestamp>) {
        FactReader::new().identity(&event(n))
    }

    #[test]
    fn of_events_that_look_alike_as_many_come_again_as_were_kept() {
        let mut nameless = Nameless::default();
        (0..3).for_each(|_| nameless.keep(Key(7)));
        for _ in 0..2 {
            nameless.connect();
            let mut again = |key, in_log| -> Vec<bool> { (0..5).map(|_| nameless.came_again(key, in_log)).collect() };
            assert_eq!(again(Key(7), true), [true, true, true, false, false]);
            assert_eq!(again(Key(8), true), [true, false, false, false, false], "the log does not say how many");
            assert_eq!(again(Key(9), false), [false; 5]);
        }
    }

    #[test]
    fn past_the_bound_nothing_counts_as_come_again() {
        let mut nameless = Nameless::default();
        nameless.keep(Key(0));
        (1..=GENERATION_KEYS as u128).for_each(|n| assert!(!nameless.came_again(Key(n << 40 | n), false)));
        assert!(!nameless.came_again(Key(0), true));
        (1..=GENERATION_KEYS as u128).for_each(|n| nameless.keep(Key(n << 40 | n)));
        assert!(nameless.kept.len() <= GENERATION_KEYS && nameless.came.len() <= GENERATION_KEYS);
    }

    #[tokio::test]
    async fn what_the_memory_cannot_hold_is_looked_up_in_the_log() {
        let count = STRETCH_EVENTS * (STRETCHES_LOADED_MAX as u64 + 3);
        let mut tail = VecTail::new((0..count).map(event));
        let reader = FactReader::new();
        let mut history = History::read_back(&mut tail, &reader, Timestamp(0)).await.expect("a log");
        assert_eq!(history.greatest(), identity(count - 1).1);
        for n in (0..count).step_by(5_003).chain([0, count - 1]) {
            let (key, time) = identity(n);
            // The same moment, another event.
            let other = Key(key.0 ^ 1);
            history.look_up(key, time, &mut tail, &reader).await.expect("a log");
            assert!(history.contains(key), "{n}");
            history.look_up(other, time, &mut tail, &reader).await.expect("a log");
            assert!(!history.contains(other), "{n}");
            assert!(history.loaded.len() <= STRETCHES_LOADED_MAX);
        }
    }

    #[tokio::test]
    async fn the_log_is_read_no_further_back_than_asked() {
        let count = STRETCH_EVENTS * 10;
        let mut tail = VecTail::new((0..count).map(event));
        let since = identity(count - STRETCH_EVENTS - 5).1.expect("a time");
        let history = History::read_back(&mut tail, &FactReader::new(), since).await.expect("a log");
        assert_eq!(history.stretches.len(), 3);
    }
}
