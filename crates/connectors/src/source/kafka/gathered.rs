//! What was read and not handed over yet: a chunk for each stream, and where every partition stands.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use lakehead_connector_api::{
    Activity, Chunk, Discontinuity, Gap, Renumbering, SkippedOffsets, StreamIndex, StreamResume,
};
use lakehead_json::EventTimes;
use lakehead_model::{Clock, Cursor, EventBatch, Reject, StreamSchema, Timestamp};

use super::{
    config::{RecordFormat, ValueFormat},
    cursor::{self, PartitionCursor, TopicPartition},
    partition::{FollowedPartition, GroupOffset, Noted, RecordPlace},
    record::{Record, RecordEvent},
};
use crate::progress::{PartitionTime, Progress};

/// Bytes of events handed over at once: what the contract of a source asks for.
const CHUNK_BYTES: usize = 256 << 10;

/// Most rejects of a chunk, each of which is kept in memory with up to 64 KiB.
const REJECTS_MAX: usize = 64;

/// Most holes of a chunk. A topic of small transactions has one behind each of them.
const DISCONTINUITIES_MAX: usize = 1_024;

const MARKERS: &str = "no record for a reader: a transaction's marker, an aborted or a compacted record";
const TOMBSTONES: &str = "tombstones, which have no value: only values are taken (format)";
const ELSEWHERE: &str = "read by another member of the group";
const TOO_OLD: &str = "passed over: older than age_max";
const DOUBLED: &str = "these are kept here, and another member of the group has read them as well";
const OVERRUN: &str =
    "given up before all was on disk (handover), and kept: the member that has the partition now reads these as well";
const UNCLEAR: &str =
    "taken over from a member that has not handed it over: records from here on may be kept there as well";
const AGAIN: &str =
    "the partition is not the one that was read before: its topic was created again, or it is another cluster";

/// How records become events.
#[derive(Clone, Copy)]
pub(super) struct Formats {
    pub(super) format: RecordFormat,
    pub(super) value: ValueFormat,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordTaken {
    /// It is dealt with.
    Done,
    /// Its partition is not followed.
    Unknown,
    /// The partition is another one than before.
    Another,
}

/// What of one stream waits.
struct StreamGathered {
    chunk: Chunk,
    times: EventTimes,
    /// The position moved.
    moved: bool,
    progress: Progress,
    /// The event time that was reached; it never runs back.
    reached: Option<Timestamp>,
    activity: Option<Activity>,
}

/// All that is gathered.
pub(super) struct Gathered {
    formats: Formats,
    clock: Arc<dyn Clock>,
    /// This source among the members of a group.
    pub(super) member: u64,
    streams: Vec<StreamGathered>,
    pub(super) partitions: BTreeMap<TopicPartition, FollowedPartition>,
    /// The names of the topics, so that a record needs no memory of its own to be placed.
    topics: HashMap<String, Arc<str>>,
    /// Events taken.
    pub(super) events: u64,
}

impl Gathered {
    /// Nothing yet, for these streams.
    pub(super) fn new(formats: Formats, clock: Arc<dyn Clock>, member: u64, streams: &[StreamResume]) -> Self {
        let gathered = |stream: &StreamResume| StreamGathered {
            chunk: Chunk::default(),
            times: EventTimes::new(&StreamSchema { event_time: stream.event_time.clone(), columns: Vec::new() }),
            moved: false,
            progress: Progress::default(),
            reached: stream.cursor.as_ref().and_then(|cursor| cursor.progress),
            activity: None,
        };
        let streams = streams.iter().map(gathered).collect();
        Self { formats, clock, member, streams, partitions: BTreeMap::new(), topics: HashMap::new(), events: 0 }
    }

    /// Follows a partition, or changes nothing where it is followed.
    pub(super) fn follow(&mut self, place: &TopicPartition, stream: usize, at: PartitionCursor) {
        self.topics.entry(place.topic.to_string()).or_insert_with(|| place.topic.clone());
        self.partitions.entry(place.clone()).or_insert_with(|| FollowedPartition::new(stream, at));
    }

    /// Begins to read a partition at `next`, after `noted`.
    pub(super) fn begin(&mut self, place: &TopicPartition, next: i64, resumed: bool, noted: &[Noted]) {
        let Some(partition) = self.partitions.get_mut(place) else { return };
        let after = partition.at.event_time;
        partition.begin(next, resumed);
        let stream = &mut self.streams[partition.stream];
        stream.moved = true;
        stream.chunk.discontinuities.extend(noted.iter().map(|noted| discontinuity(place, *noted, after)));
    }

    /// Takes note of where this source took a partition over, where the group says it: that was before a restart.
    pub(super) fn took_over(&mut self, place: &TopicPartition, group: GroupOffset) {
        let own = group.note.filter(|note| note.member == self.member);
        if let (Some(note), Some(partition)) = (own, self.partitions.get_mut(place)) {
            partition.from = partition.from.min(note.from);
        }
    }

    /// Begins again at `low`, in a partition that is another one.
    pub(super) fn begin_again(&mut self, place: &TopicPartition, low: i64) {
        let Some(partition) = self.partitions.get_mut(place) else { return };
        let from = partition.at.next;
        partition.begin(low, false);
        let stream = &mut self.streams[partition.stream];
        stream.moved = true;
        let again = Renumbering { partition: place.to_string(), from, to: low, reason: AGAIN };
        stream.chunk.discontinuities.push(Discontinuity::Renumbered(again));
    }

    /// Notes what happened to a partition that is read elsewhere now.
    pub(super) fn give_up(&mut self, place: &TopicPartition, overrun: Option<(i64, i64)>) {
        let Some(partition) = self.partitions.get_mut(place) else { return };
        partition.is_owned = false;
        if let Some((from, to)) = overrun {
            let overrun = Renumbering { partition: place.to_string(), from, to, reason: OVERRUN };
            self.streams[partition.stream].chunk.discontinuities.push(Discontinuity::Renumbered(overrun));
        }
    }

    /// Takes a record.
    pub(super) fn take(&mut self, record: &Record<'_>, now: Instant) -> RecordTaken {
        let Some(topic) = self.topics.get(record.topic) else { return RecordTaken::Unknown };
        let place = TopicPartition { topic: topic.clone(), partition: record.partition };
        let Some(partition) = self.partitions.get_mut(&place) else { return RecordTaken::Unknown };
        let checksum = record.checksum();
        let skipped_from = match partition.place(record.offset, checksum) {
            RecordPlace::Known => return RecordTaken::Done,
            RecordPlace::Another => return RecordTaken::Another,
            RecordPlace::Repeated => {
                self.streams[partition.stream].chunk.duplicates += 1;
                return RecordTaken::Done;
            }
            RecordPlace::New { skipped_from } => skipped_from,
        };
        let stream = &mut self.streams[partition.stream];
        stream.moved = true;
        stream.progress.heard(record.timestamp, self.clock.now(), now);
        if let Some(from) = skipped_from {
            stream.skip(&place, from, record.offset, MARKERS);
        }
        let mut event_time = None;
        match record.event(self.formats.format, self.formats.value) {
            RecordEvent::Event(event) => {
                event_time = stream.times.of(&event);
                if stream.chunk.events.is_empty() {
                    stream.chunk.events = EventBatch::with_capacity(CHUNK_BYTES / 512, CHUNK_BYTES + (16 << 10));
                }
                stream.chunk.events.push(&event, event_time);
                self.events += 1;
            }
            RecordEvent::Tombstone => stream.skip(&place, record.offset, record.offset + 1, TOMBSTONES),
            RecordEvent::Refused(reason) => {
                let payload = record.value.unwrap_or_default();
                let payload = Bytes::copy_from_slice(&payload[..payload.len().min(Reject::PAYLOAD_BYTES_MAX)]);
                let position = format!("{place}/{}", record.offset);
                stream.chunk.rejects.push(Reject { reason, position, payload });
            }
        }
        partition.read(record.offset, checksum, event_time, now);
        RecordTaken::Done
    }

    /// Nothing has come for a second.
    pub(super) fn paused(&mut self, now: Instant) {
        self.streams.iter_mut().for_each(|stream| stream.progress.paused(now));
    }

    /// Whether something should be handed over before more is taken.
    pub(super) fn is_full(&self) -> bool {
        self.streams.iter().any(|stream| {
            stream.chunk.events.payload().len() >= CHUNK_BYTES
                || stream.chunk.rejects.len() >= REJECTS_MAX
                || stream.chunk.discontinuities.len() >= DISCONTINUITIES_MAX
        })
    }

    /// The next chunk that is worth handing over.
    pub(super) fn hand_over(&mut self, now: Instant) -> Option<Chunk> {
        let place = self.streams.iter_mut().position(StreamGathered::is_worth_it)?;
        let stream = &mut self.streams[place];
        let mut chunk = mem::take(&mut stream.chunk);
        stream.moved = false;
        chunk.to = StreamIndex(place);
        chunk.events.set_time_rule(stream.times.rule());
        chunk.activity = stream.activity_if_changed();
        let own = || self.partitions.iter().filter(|(_, partition)| partition.stream == place);
        let times = own()
            .filter(|(_, partition)| partition.is_owned)
            .map(|(_, partition)| PartitionTime { event_time: partition.at.event_time, heard: partition.heard });
        stream.reached = stream.reached.max(stream.progress.reached(times, now));
        let progress = stream.reached;
        let position = cursor::write(self.member, own().map(|(place, partition)| (place, partition.at)));
        chunk.cursor = Some(Cursor { position: position.into(), progress });
        Some(chunk)
    }

    /// All that was gathered for `to` has been taken over by the engine.
    pub(super) fn handed_over(&mut self, to: StreamIndex) {
        let of_stream = self.partitions.values_mut().filter(|partition| partition.stream == to.0);
        of_stream.for_each(|partition| partition.handed = partition.at.next);
    }
}

impl StreamGathered {
    fn activity(&self) -> Activity {
        if self.progress.is_at_head() { Activity::Live } else { Activity::CatchingUp }
    }

    fn activity_if_changed(&mut self) -> Option<Activity> {
        let activity = Some(self.activity());
        (activity != self.activity).then(|| {
            self.activity.clone_from(&activity);
            activity
        })?
    }

    fn is_worth_it(&mut self) -> bool {
        self.moved
            || !self.chunk.discontinuities.is_empty()
            || self.chunk.duplicates > 0
            || self.activity != Some(self.activity())
    }

    /// Notes `[from, to)`; what touches the last note of the same reason is one with it.
    fn skip(&mut self, place: &TopicPartition, from: i64, to: i64, reason: &'static str) {
        let partition = place.to_string();
        match self.chunk.discontinuities.last_mut() {
            Some(Discontinuity::Skipped(last))
                if last.partition == partition && last.to == from && last.reason == reason =>
            {
                last.to = to;
            }
            _ => {
                self.chunk.discontinuities.push(Discontinuity::Skipped(SkippedOffsets { partition, from, to, reason }))
            }
        }
    }
}

fn discontinuity(place: &TopicPartition, noted: Noted, after: Option<Timestamp>) -> Discontinuity {
    let partition = place.to_string();
    let skipped = |from, to, reason| SkippedOffsets { partition: partition.clone(), from, to, reason };
    let renumbered = |from, to, reason| Renumbering { partition: partition.clone(), from, to, reason };
    match noted {
        Noted::Gone(from, to) => {
            let reason = "removed at the brokers, by retention or on purpose, before they were read".to_owned();
            Discontinuity::Missing(Gap { partition, from, to, after, before: None, reason })
        }
        Noted::Elsewhere(from, to) => Discontinuity::Skipped(skipped(from, to, ELSEWHERE)),
        Noted::TooOld(from, to) => Discontinuity::Skipped(skipped(from, to, TOO_OLD)),
        Noted::Doubled(from, to) => Discontinuity::Renumbered(renumbered(from, to, DOUBLED)),
        Noted::Unclear(at) => Discontinuity::Renumbered(renumbered(at, at, UNCLEAR)),
    }
}
