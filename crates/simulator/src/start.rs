//! Where each topic of a connection begins: what `Last-Event-ID` and `since` ask for, resolved as KafkaSSE does it.
//!
//! EVENTSTREAMS.md, sections 1.2 and 1.4. An offset out of range becomes the end, silently.

use lakehead_eventstreams_wire::{Assignment, Entry, Position};

use crate::feed::Feed;

/// Where one topic begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) topic: usize,
    /// The number of its first event, or [`NONE`](crate::topic::NONE).
    pub(crate) next: u64,
    /// What a frame's id says of the topic: before anything was delivered the offset where it began, or -1 for the end; then
    /// the Kafka timestamp of what was delivered last, plus 1 ms.
    pub(crate) seen: Position,
}

/// What a connection asks for.
pub(crate) struct StartRequest<'a> {
    /// The subscription's topics.
    pub(crate) topics: &'a [usize],
    /// The header's entries, whose topics are all in the subscription.
    pub(crate) entries: Option<&'a [Entry]>,
    pub(crate) since: Option<i64>,
}

/// What there is at this moment.
pub(crate) struct Available<'f> {
    pub(crate) feed: &'f Feed,
    /// The first event that does not exist yet.
    pub(crate) end: u64,
    /// Where "latest" is.
    pub(crate) latest: u64,
    /// Where a connection begins that asks for nothing.
    pub(crate) fresh: u64,
    /// What this cluster adds to offsets.
    pub(crate) shift: i64,
}

impl Available<'_> {
    /// Where each topic of the connection begins. The header beats `since` and narrows the topics.
    pub(crate) fn resolve(&self, asked: &StartRequest<'_>) -> Vec<Start> {
        let Some(entries) = asked.entries else {
            let starts = asked.topics.iter().map(|&topic| match asked.since {
                Some(millis) => self.at_time(topic, millis),
                None => Start { topic, next: self.feed.next_of(topic, self.fresh), seen: Position::Offset(-1) },
            });
            return starts.collect();
        };
        // With a time to look up anywhere, KafkaSSE loses entries that carry both (section 1.4).
        let by_time = |entry: &Entry| matches!(entry, Entry::Assignment(Assignment { offset: None, .. }));
        let looks_up = entries.iter().any(by_time);
        let mut starts: Vec<Start> = Vec::new();
        for entry in entries {
            let Some(&topic) = asked.topics.iter().find(|topic| self.feed.topics[**topic].name == entry.topic()) else {
                continue;
            };
            let start = match entry {
                Entry::Topic(_) => {
                    asked.since.map_or_else(|| self.at_end(topic, -1), |millis| self.at_time(topic, millis))
                }
                // Topics have one partition; another one never has events.
                Entry::Assignment(Assignment { partition, .. }) if *partition != 0 => continue,
                Entry::Assignment(Assignment { offset: Some(_), timestamp: Some(_), .. }) if looks_up => continue,
                Entry::Assignment(Assignment { offset: Some(offset), .. }) => self.at_offset(topic, *offset),
                Entry::Assignment(Assignment { timestamp, .. }) => self.at_time(topic, timestamp.unwrap_or(i64::MAX)),
            };
            if !starts.iter().any(|earlier| earlier.topic == topic) {
                starts.push(start);
            }
        }
        starts.sort_by_key(|start| start.topic);
        starts
    }

    fn at_end(&self, topic: usize, said: i64) -> Start {
        Start { topic, next: self.feed.next_of(topic, self.latest), seen: Position::Offset(said) }
    }

    fn at_offset(&self, topic: usize, offset: i64) -> Start {
        if offset == -2 {
            return Start { topic, next: self.feed.next_of(topic, 0), seen: Position::Offset(-2) };
        }
        let found = u64::try_from(offset.saturating_sub(self.shift)).ok().filter(|_| offset >= 0);
        let found = found.and_then(|offset| self.feed.at_offset(topic, offset));
        match found {
            // In range: it is there, or it is the next to come.
            Some(n) if n < self.end || n == self.feed.next_of(topic, self.end) => {
                Start { topic, next: n, seen: Position::Offset(offset) }
            }
            _ => self.at_end(topic, offset),
        }
    }

    fn at_time(&self, topic: usize, millis: i64) -> Start {
        match self.feed.at_time(topic, millis, self.end) {
            Some(n) => {
                let offset = i64::try_from(self.feed.offset(n)).unwrap_or(i64::MAX).saturating_add(self.shift);
                Start { topic, next: n, seen: Position::Offset(offset) }
            }
            None => self.at_end(topic, -1),
        }
    }
}
