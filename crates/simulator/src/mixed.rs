//! Two generated streams as one sequence: `mediawiki.recentchange`, and `mediawiki.page-create` in every sixteenth place.
//!
//! ```text
//! N:              0 … 14    15    16 … 30    31
//! recentchange    0 … 14          15 … 29            its own numbers
//! page-create                0               1       its own numbers
//! ```
//! Of the real streams about one event in sixteen is of a page that is new, when creations in all wikis are set against all
//! changes (EVENTSTREAMS.md, section 3.4: 5 % are of the type `new`).

use lakehead_model::Timestamp;

use crate::{
    generator::{Generator, TOPICS},
    page_create::PageCreates,
    timeline::{NOMINAL_RATE, Timeline},
};

/// One of so many events is of the second stream.
const SHARE: u64 = 16;

/// Both streams.
#[derive(Debug)]
pub(crate) struct Mixed {
    generator: Generator,
    creates: PageCreates,
    timeline: Timeline,
}

/// An event by the numbers of its own stream.
enum Own {
    Change(u64),
    Create(u64),
}

impl Mixed {
    /// As [`Generator::new`], at `rate` events per second of both.
    pub(crate) fn new(seed: u64, start: Timestamp, rate: f64) -> Self {
        let rate = if rate > 0.0 { rate } else { NOMINAL_RATE };
        let of_changes = rate * (SHARE - 1) as f64 / SHARE as f64;
        Self {
            generator: Generator::new(seed, start, of_changes),
            creates: PageCreates::new(seed),
            timeline: Timeline::new(seed ^ 0x6e_6577, start, rate),
        }
    }

    fn own(n: u64) -> Own {
        if n % SHARE == SHARE - 1 { Own::Create(n / SHARE) } else { Own::Change(n - n / SHARE) }
    }

    /// The number in the sequence of a change, and of a creation.
    fn of_change(n: u64) -> Option<u64> {
        n.checked_add(n / (SHARE - 1))
    }

    fn of_create(n: u64) -> Option<u64> {
        n.checked_mul(SHARE)?.checked_add(SHARE - 1)
    }

    pub(crate) fn offset(&self, n: u64) -> u64 {
        match Self::own(n) {
            Own::Change(n) => self.generator.offset(n),
            Own::Create(n) => self.creates.numbering.offset(n),
        }
    }

    pub(crate) fn kafka_millis(&self, n: u64) -> i64 {
        match Self::own(n) {
            Own::Change(n) => self.generator.kafka_millis(n),
            Own::Create(_) => self.timeline.kafka_millis(n),
        }
    }

    /// The first event of the topic at or after `n`.
    pub(crate) fn next_of(&self, topic: usize, n: u64) -> u64 {
        let next = if topic < TOPICS.len() {
            // The least change at or after n: the numbers of creations are passed over.
            Self::of_change(self.generator.next_of(topic, n - n / SHARE))
        } else {
            Self::of_create(self.creates.numbering.next_of(topic - TOPICS.len(), n / SHARE))
        };
        next.unwrap_or(crate::topic::NONE)
    }

    pub(crate) fn at_offset(&self, topic: usize, offset: u64) -> Option<u64> {
        if topic < TOPICS.len() {
            return Self::of_change(self.generator.at_offset(topic, offset)?);
        }
        Self::of_create(self.creates.numbering.at_offset(topic - TOPICS.len(), offset)?)
    }

    /// The first event of the topic that may have a Kafka timestamp of at least `millis`; none before it has.
    pub(crate) fn first_possible(&self, topic: usize, millis: i64) -> u64 {
        // The two timelines differ by less than an event.
        self.next_of(topic, self.timeline.first_possible(millis).saturating_sub(SHARE))
    }

    pub(crate) fn write(&self, n: u64, offset: u64, out: &mut Vec<u8>) {
        match Self::own(n) {
            Own::Change(n) => self.generator.write(n, offset, out),
            Own::Create(own) => self.creates.write(&self.generator, own, self.timeline.kafka_millis(n), offset, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page_create;

    #[test]
    fn each_topic_of_both_streams_is_contiguous_and_leads_back_to_the_event() {
        let mixed = Mixed::new(7, Timestamp::from_seconds(1_788_000_000), 0.0);
        let mut next: [Option<u64>; 4] = [None; 4];
        let mut of_topic: [Vec<u64>; 4] = Default::default();
        for n in 0..40_000 {
            let mut text = Vec::new();
            mixed.write(n, mixed.offset(n), &mut text);
            let event: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
            let name = event["meta"]["topic"].as_str().expect("a topic");
            let topic = TOPICS.iter().chain(&page_create::TOPICS).position(|known| *known == name).expect("a topic");
            let offset = event["meta"]["offset"].as_u64().expect("an offset");
            assert!(next[topic].is_none_or(|next| next == offset), "{n}");
            next[topic] = Some(offset + 1);
            assert_eq!(mixed.at_offset(topic, offset), Some(n));
            let dt: Timestamp = event["meta"]["dt"].as_str().expect("a time").parse().expect("a time");
            assert_eq!(dt.millis(), mixed.kafka_millis(n));
            of_topic[topic].push(n);
        }
        for (topic, events) in of_topic.iter().enumerate() {
            assert!(!events.is_empty());
            for n in (0..39_000).step_by(7) {
                let walked = events.iter().find(|event| **event >= n).copied();
                assert!(walked.is_none_or(|walked| walked == mixed.next_of(topic, n)), "{topic} {n}");
            }
            let millis = mixed.kafka_millis(20_000);
            let first = mixed.first_possible(topic, millis);
            assert!(events.iter().filter(|n| **n < first).all(|n| mixed.kafka_millis(*n) < millis));
        }
    }
}
