//! The events behind the service, numbered from 0 over all topics: made by the generator or taken from recordings.
//!
//! Everything that serving asks is here in terms of that number N: topic, offset, Kafka timestamp, the event itself, and
//! the way back from an offset or a time to N. Nothing here knows HTTP or a clock.

use crate::{
    generator::{Generator, STREAM, TOPICS},
    mixed::Mixed,
    page_create,
    recording::Recording,
    topic::Topic,
};

/// Where events come from.
#[derive(Debug)]
pub(crate) enum Source {
    Generated(Box<Generator>),
    Mixed(Box<Mixed>),
    Recorded(Recording),
}

/// The events of all topics.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) source: Source,
    pub(crate) topics: Vec<Topic>,
}

impl Feed {
    pub(crate) fn generated(generator: Generator) -> Self {
        let topics = TOPICS.map(|name| Topic { name: name.to_owned(), stream: STREAM.to_owned() });
        Self { source: Source::Generated(Box::new(generator)), topics: topics.to_vec() }
    }

    /// Of both streams that can be generated.
    pub(crate) fn mixed(mixed: Mixed) -> Self {
        let topic = |stream: &'static str| move |name: &str| Topic { name: name.to_owned(), stream: stream.to_owned() };
        let changes = TOPICS.into_iter().map(topic(STREAM));
        let topics = changes.chain(page_create::TOPICS.into_iter().map(topic(page_create::STREAM))).collect();
        Self { source: Source::Mixed(Box::new(mixed)), topics }
    }

    pub(crate) fn recorded(recording: Recording) -> Self {
        let topics = recording.topics.clone();
        Self { source: Source::Recorded(recording), topics }
    }

    /// The number of events that will ever be, when that is known.
    pub(crate) fn len(&self) -> Option<u64> {
        match &self.source {
            Source::Generated(_) | Source::Mixed(_) => None,
            Source::Recorded(recording) => Some(recording.len()),
        }
    }

    #[inline]
    pub(crate) fn offset(&self, n: u64) -> u64 {
        match &self.source {
            Source::Generated(generator) => generator.offset(n),
            Source::Mixed(mixed) => mixed.offset(n),
            Source::Recorded(recording) => recording.event(n).offset,
        }
    }

    #[inline]
    pub(crate) fn kafka_millis(&self, n: u64) -> i64 {
        match &self.source {
            Source::Generated(generator) => generator.kafka_millis(n),
            Source::Mixed(mixed) => mixed.kafka_millis(n),
            Source::Recorded(recording) => recording.event(n).kafka_millis,
        }
    }

    /// The first event of the topic at or after `n`, or [`NONE`](crate::topic::NONE).
    #[inline]
    pub(crate) fn next_of(&self, topic: usize, n: u64) -> u64 {
        match &self.source {
            Source::Generated(generator) => generator.next_of(topic, n),
            Source::Mixed(mixed) => mixed.next_of(topic, n),
            Source::Recorded(recording) => recording.next_of(topic, n),
        }
    }

    /// The first event of the topic at or after the offset; `None` for an offset before the topic's first.
    pub(crate) fn at_offset(&self, topic: usize, offset: u64) -> Option<u64> {
        match &self.source {
            Source::Generated(generator) => generator.at_offset(topic, offset),
            Source::Mixed(mixed) => mixed.at_offset(topic, offset),
            Source::Recorded(recording) => recording.at_offset(topic, offset),
        }
    }

    /// The first event of the topic, of those before `end`, with a Kafka timestamp of at least `millis`.
    pub(crate) fn at_time(&self, topic: usize, millis: i64, end: u64) -> Option<u64> {
        let mut n = match &self.source {
            Source::Generated(generator) => generator.next_of(topic, generator.timeline.first_possible(millis)),
            Source::Mixed(mixed) => mixed.first_possible(topic, millis),
            Source::Recorded(recording) => recording.at_time(topic, millis),
        };
        // Kafka timestamps lag at most 250 ms behind production, so this ends soon.
        while n < end && self.kafka_millis(n) < millis {
            n = self.next_of(topic, n + 1);
        }
        (n < end).then_some(n)
    }

    /// Writes event `n`, at an offset moved by `shift`.
    #[inline]
    pub(crate) fn write(&self, n: u64, shift: i64, out: &mut Vec<u8>) {
        match &self.source {
            Source::Generated(generator) => generator.write(n, generator.offset(n).saturating_add_signed(shift), out),
            Source::Mixed(mixed) => mixed.write(n, mixed.offset(n).saturating_add_signed(shift), out),
            Source::Recorded(recording) => recording.write(n, shift, out),
        }
    }

    /// The stream's other name: `recentchange` for `mediawiki.recentchange`, `test` for the test stream.
    pub(crate) fn alias(stream: &str) -> Option<&str> {
        if stream == "eventgate-main.test.event" { Some("test") } else { stream.strip_prefix("mediawiki.") }
    }

    /// The streams, each once, in order.
    pub(crate) fn streams(&self) -> Vec<&str> {
        let mut streams: Vec<&str> = self.topics.iter().map(|topic| topic.stream.as_str()).collect();
        streams.dedup();
        streams
    }
}
