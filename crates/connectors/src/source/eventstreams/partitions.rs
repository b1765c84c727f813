//! The upstream partitions that a source follows, whichever of its streams they go to: finds that of an event, adds those that
//! are new while there is room, and asks for all of them.

use std::{
    collections::BTreeSet,
    ops::{Index, IndexMut},
    time::{Duration, Instant},
};

use lakehead_eventstreams_wire::{Assignment, Position, TopicPartition, write_assignments};
use lakehead_model::Timestamp;

use super::{
    cursor::{Entry, PARTITIONS_MAX, TOPICS_BYTES_MAX},
    partition::{Mode, Partition, Why},
    routes::Routes,
    standing::Beginnings,
};
use crate::progress::Progress;

/// A partition that brought nothing yet is asked this far before its beginning: two intervals of the hourly canaries,
/// so that one comes, and from then on there is an offset to resume from.
pub(super) const IDLE_OVERLAP: Duration = Duration::from_secs(2 * 3600);

/// All partitions of one source, by a number that stays while the source runs.
pub(super) struct Partitions {
    all: Vec<Partition>,
    /// The partition of the last event, which is likely that of the next.
    last: usize,
    routes: Routes,
    beginnings: Beginnings,
}

impl Index<usize> for Partitions {
    type Output = Partition;
    fn index(&self, place: usize) -> &Partition {
        &self.all[place]
    }
}

impl IndexMut<usize> for Partitions {
    fn index_mut(&mut self, place: usize) -> &mut Partition {
        &mut self.all[place]
    }
}

impl Partitions {
    /// These, and others that are added as they become known.
    pub(super) fn new(all: Vec<Partition>, routes: Routes, beginnings: Beginnings) -> Self {
        Self { all, last: 0, routes, beginnings }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The stream of this topic, followed or not. What no route names goes to the first.
    pub(super) fn stream_of(&self, topic: &str) -> usize {
        self.routes.of_topic(topic).unwrap_or(0)
    }

    /// Those whose events go to this stream.
    pub(super) fn of_stream(&self, stream: usize) -> impl Iterator<Item = &Partition> + Clone {
        self.all.iter().filter(move |partition| partition.to == stream)
    }

    /// Where each upstream stream has begun.
    pub(super) fn beginnings(&self) -> &Beginnings {
        &self.beginnings
    }

    /// What the cursor of this stream says of them.
    pub(super) fn entries(&self, stream: usize) -> Vec<Entry> {
        self.of_stream(stream).map(|partition| partition.entry.clone()).collect()
    }

    /// Of those whose topic no route names, so that they go to the first stream, one that was not told of yet.
    pub(super) fn take_unrouted(&mut self) -> Option<String> {
        let unrouted = self.all.iter_mut().find(|partition| partition.is_unrouted)?;
        unrouted.is_unrouted = false;
        Some(unrouted.name())
    }

    /// Prepares for a new connection.
    pub(super) fn connect(&mut self) {
        self.all.iter_mut().for_each(Partition::connect);
    }

    /// Whether a partition still waits for its anchor event.
    pub(super) fn is_unproven(&self) -> bool {
        self.all.iter().any(Partition::is_unproven)
    }

    /// The time from which the earliest overlap is read, if there is any. Every log is read back as far: what comes again of a
    /// partition that is asked by its offset is known then, too, or two of them would ask again in turn for ever.
    pub(super) fn overlap_start(&self) -> Option<Timestamp> {
        let overlaps = self.all.iter().filter_map(|partition| match partition.mode {
            Mode::Overlapping { width, .. } => Some(partition.overlap_start(width)),
            _ => None,
        });
        overlaps.min()
    }

    /// Whether the upstream is past `end` with everything that the log of this stream may hold: each partition is, or has nothing
    /// to bring.
    pub(super) fn are_past(&self, stream: usize, end: Timestamp, progress: &Progress, now: Instant) -> bool {
        let mut in_log = self.all.iter().filter(|partition| partition.logs().include(stream)).peekable();
        let is_past =
            |p: &Partition| p.entry.kafka_time.is_some_and(|time| time > end) || progress.is_idle(&p.time(), now);
        in_log.peek().is_some() && in_log.all(is_past)
    }

    /// The `Last-Event-ID` that asks for all of them, and whether any is asked for by a time.
    pub(super) fn last_event_id(&self) -> (String, bool) {
        let asked: Vec<_> = self
            .all
            .iter()
            .map(|partition| {
                let Entry { topic, partition: number, .. } = &partition.entry;
                (TopicPartition::new(topic, *number), partition.asked_position())
            })
            .collect();
        let mut id = Vec::new();
        write_assignments(asked.iter().map(|(partition, position)| (partition, *position)), &mut id);
        let by_time = asked.iter().any(|(_, position)| matches!(position, Position::Timestamp(_)));
        (String::from_utf8(id).expect("JSON of strings is UTF-8"), by_time)
    }

    /// Every partition that waits for the anchor event at its offset is asked for by time: one consumer of the upstream reads
    /// them all, so what was not proven yet would not be either.
    pub(super) fn ask_unproven_by_time(&mut self) {
        for partition in self.all.iter_mut().filter(|partition| partition.mode == Mode::Proving) {
            partition.ask_by_time();
        }
    }

    /// Nothing came since `before` of a partition whose anchor event should have come: how to ask now, if at all.
    pub(super) fn not_found(&mut self, before: Instant) -> Option<Why> {
        let late = |p: &&mut Partition| p.is_unproven() && p.heard.is_none_or(|heard| heard < before);
        self.all.iter_mut().filter(late).filter_map(Partition::not_found).last()
    }

    /// The partition of an event; its topic is given as the raw JSON string in the event.
    pub(super) fn find(&self, raw_topic: &[u8], number: i32) -> Option<usize> {
        let is = |known: &Partition| known.entry.partition == number && known.raw_topic == raw_topic;
        if self.all.get(self.last).is_some_and(is) {
            return Some(self.last);
        }
        self.all.iter().position(is)
    }

    /// The same, and a partition that is not followed yet is added. Where there is no room for it, its topic's name.
    pub(super) fn find_or_add(&mut self, raw_topic: &[u8], number: i32) -> Result<usize, String> {
        if let Some(place) = self.find(raw_topic, number) {
            self.last = place;
            return Ok(place);
        }
        let topic = lakehead_json::Raw::new(raw_topic).as_str().unwrap_or_default().into_owned();
        if !self.has_room([topic.as_str()]) {
            return Err(topic);
        }
        let place = self.all.len();
        self.add(topic, number);
        // As the event has it, which may be with escapes.
        self.all[place].raw_topic = raw_topic.to_vec();
        self.last = place;
        Ok(place)
    }

    /// Keeps those that are among `named`, and no others.
    pub(super) fn retain(&mut self, named: &[Assignment]) {
        let names: BTreeSet<(&str, i32)> = named.iter().map(|n| (n.topic.as_str(), n.partition)).collect();
        self.all.retain(|p| names.contains(&(p.entry.topic.as_str(), p.entry.partition)));
    }

    /// Adds those of `named` that are not followed yet, and says where the earliest of them begins. Where there is no room for
    /// all of them none is added, lest one odd id take the room of all that follow it, and the first of them is given back.
    pub(super) fn add_all(&mut self, mut named: Vec<Assignment>) -> Result<Option<Timestamp>, Assignment> {
        let mut new = BTreeSet::new();
        named.retain(|n| {
            !self.all.iter().any(|known| known.entry.is_of(&n.topic, n.partition))
                && new.insert((n.topic.clone(), n.partition))
        });
        if !named.is_empty() && !self.has_room(named.iter().map(|n| n.topic.as_str())) {
            return Err(named.swap_remove(0));
        }
        let known = self.all.len();
        named.into_iter().for_each(|new| self.add(new.topic, new.partition));
        Ok(self.all[known..].iter().map(|partition| partition.entry.since).min())
    }

    fn add(&mut self, topic: String, number: i32) {
        let route = self.routes.of_topic(&topic);
        let since = self.beginnings.of_topic(&topic).minus(IDLE_OVERLAP);
        self.all.push(Partition::new(Entry::new(topic, number, since), route));
    }

    /// Whether partitions of `topics` can be followed beside those that are: kept in a cursor, asked for in a header.
    fn has_room<'t>(&self, topics: impl IntoIterator<Item = &'t str>) -> bool {
        let mut count = self.all.len();
        let mut bytes: usize = self.all.iter().map(|partition| partition.entry.topic.len()).sum();
        for topic in topics {
            if topic.is_empty() || topic.bytes().any(|byte| byte < b' ' || b"\"\\\x7f".contains(&byte)) {
                return false;
            }
            count += 1;
            bytes += topic.len();
        }
        count <= PARTITIONS_MAX && bytes <= TOPICS_BYTES_MAX
    }
}
