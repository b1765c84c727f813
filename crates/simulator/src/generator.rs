//! The generator: event N of the simulated `mediawiki.recentchange`, a pure function of seed, N, start and rate.
//!
//! Which topic and offset event N has is in `numbering.rs`, what it looks like in `event.rs`, when it happened in
//! `timeline.rs`.

use lakehead_model::Timestamp;

use crate::{
    numbering::{Numbering, Slot},
    random::hash,
    timeline::Timeline,
    wikis::Wikis,
    words::Words,
};

/// The stream that the generator makes.
pub(crate) const STREAM: &str = "mediawiki.recentchange";
/// Its topics: the live one, as in August 2026, and the idle one, which has canaries only.
pub(crate) const TOPICS: [&str; 2] = ["eqiad.mediawiki.recentchange", "codfw.mediawiki.recentchange"];

/// Where the live topic's offsets stand (September 2026, EVENTSTREAMS.md section 2.2).
const LIVE_OFFSET: u64 = 6_500_000_000;
/// Where the idle topic's stand.
const IDLE_OFFSET: u64 = 2_015_000_000;

/// Makes the events. Cheap to share, never changes.
pub struct Generator {
    pub(crate) seed: u64,
    pub(crate) timeline: Timeline,
    pub(crate) words: Words,
    pub(crate) wikis: Wikis,
    pub(crate) request_span: u64,
    numbering: Numbering,
}

impl std::fmt::Debug for Generator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generator").field("seed", &self.seed).field("timeline", &self.timeline).finish_non_exhaustive()
    }
}

impl Generator {
    /// Event N of this generator is produced at `start` + N / `rate`; a rate of 0 gives the times of 36.1 events per
    /// second, Wikimedia's mean of August and September 2026.
    #[must_use]
    pub fn new(seed: u64, start: Timestamp, rate: f64) -> Self {
        let timeline = Timeline::new(seed, start, rate);
        let offsets = [LIVE_OFFSET + hash(seed, 1) % 50_000_000, IDLE_OFFSET + hash(seed, 2) % 5_000_000];
        Self {
            seed,
            request_span: timeline.request_span(),
            numbering: Numbering::new(timeline.canary_period(), offsets),
            timeline,
            words: Words::new(),
            wikis: Wikis::new(),
        }
    }

    /// The topic of event `n`.
    #[must_use]
    pub fn topic(&self, n: u64) -> &'static str {
        TOPICS[self.topic_index(n)]
    }

    /// The offset of event `n` in its topic.
    #[must_use]
    #[inline]
    pub fn offset(&self, n: u64) -> u64 {
        self.numbering.offset(n)
    }

    /// The Kafka timestamp of event `n`, which is its `meta.dt`, in Unix milliseconds.
    #[must_use]
    pub fn kafka_millis(&self, n: u64) -> i64 {
        self.timeline.kafka_millis(n)
    }

    /// The first event of the topic at or after `n`.
    #[inline]
    pub(crate) fn next_of(&self, topic: usize, n: u64) -> u64 {
        self.numbering.next_of(topic, n)
    }

    /// The event at this offset of the topic; `None` before the first.
    pub(crate) fn at_offset(&self, topic: usize, offset: u64) -> Option<u64> {
        self.numbering.at_offset(topic, offset)
    }

    #[inline]
    pub(crate) fn topic_index(&self, n: u64) -> usize {
        self.numbering.topic_index(n)
    }

    #[inline]
    pub(crate) fn slot(&self, n: u64) -> Slot {
        self.numbering.slot(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbering::{IDLE, LIVE};

    fn generator(rate: f64) -> Generator {
        Generator::new(7, Timestamp::from_seconds(1_788_000_000), rate)
    }

    #[test]
    fn offsets_are_contiguous_in_each_topic_and_lead_back_to_the_event() {
        for rate in [0.0, 1.0, 5000.0] {
            let generator = generator(rate);
            let mut next = [None; 2];
            for n in 0..20_000 {
                let (topic, offset) = (generator.topic_index(n), generator.offset(n));
                assert!(next[topic].is_none_or(|next| next == offset), "{n}");
                next[topic] = Some(offset + 1);
                assert_eq!(generator.at_offset(topic, offset), Some(n));
            }
            assert!(next[IDLE].is_some());
        }
    }

    #[test]
    fn the_next_event_of_a_topic_is_found_without_walking() {
        let generator = generator(0.0);
        for topic in [LIVE, IDLE] {
            for n in (0..20_000).step_by(7) {
                let walked = (n..).find(|n| generator.topic_index(*n) == topic);
                assert_eq!(Some(generator.next_of(topic, n)), walked);
            }
        }
    }
}
