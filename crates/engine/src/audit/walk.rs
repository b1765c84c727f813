//! Once over a stream's log, in order: events by minute, upstream offsets by partition, events kept twice.
//!
//! Memory is bounded: a number for each minute, intervals for the offsets, and the ids of the last half million events.
//! So an event that is kept twice is found by its upstream offset wherever it is, and by its id when the copies are at
//! most that far apart.
//!
//! Upstream offsets are looked at where a source with a cursor feeds the stream and nothing was ever imported into it: what
//! was pushed or imported may carry such offsets too, but nobody promised their order.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

use lakehead_json::{Paths, Raw};
use lakehead_model::{Offset, Timestamp};
use lakehead_query::Pace;
use lakehead_store::{Block, Head, Stream};
use serde::{Deserialize, Serialize};

use super::{
    Throttle,
    ledger::{Ledger, LedgerStreams},
    sequence::{Place, Sequence},
};
use crate::{Error, import};

/// Ids that are remembered: four hours at Wikimedia's rate, in about 15 MB.
const IDS_MAX: usize = 1 << 19;

/// Differences that are told in full; more are only counted.
const TOLD_MAX: usize = 10;

/// A leap of upstream offsets counts once so many events of its partition, or so many minutes, are behind it. In ledgers
/// of before 2026-11-25, what came while a source looked for its place in another cluster stands in the log before the
/// entry that explains its numbers.
const SETTLED_EVENTS: u64 = 100;
const SETTLED_MINUTES: i64 = 10;

const MINUTE_MICROS: i64 = 60_000_000;

const PATHS: [[&str; 2]; 4] = [["meta", "topic"], ["meta", "partition"], ["meta", "offset"], ["meta", "id"]];

/// What the audit found out about one stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamAudit {
    /// The first offset that was read.
    pub start: Offset,
    /// The offset after the last.
    pub end: Offset,
    /// Events read: `end - start`, unless something is wrong.
    pub events: u64,
    /// Refused events of this stream's sources.
    pub rejects: u64,
    /// Upstream offsets that rejects and the gap ledger account for.
    pub accounted: u64,
    /// Upstream offsets that are nowhere.
    pub missing: u64,
    /// Events that are kept twice.
    pub doubled: u64,
    /// Leaps of upstream offsets at the end of the log, of which it cannot be told yet what they are.
    pub unsettled: u64,
    /// Each upstream partition.
    pub partitions: BTreeMap<String, PartitionAudit>,
    /// Events by minute of received time.
    pub minutes: Vec<Minute>,
    /// Whatever does not add up.
    pub differences: u64,
    /// The first of them, in words.
    pub told: Vec<Said>,
}

/// One upstream topic and partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionAudit {
    /// Events of it in the log.
    pub events: u64,
    /// The first offset.
    pub first: i64,
    /// The last one.
    pub last: i64,
    /// Offsets that rejects and the gap ledger account for.
    pub accounted: u64,
    /// How often the offsets went on under other numbers, as the ledger says.
    pub changes: u64,
    /// Offsets that are nowhere.
    pub missing: u64,
}

/// One minute of received time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minute {
    /// When it began.
    pub start: String,
    /// Events received in it.
    pub events: u64,
    /// Upstream offsets found missing in it.
    pub missing: u64,
    /// Events received in it that the log has twice.
    pub doubled: u64,
}

/// One thing that does not add up in a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The minute of received time in which it was noticed.
    pub minute: String,
    /// What it is.
    pub what: String,
}

/// The walk so far. It can go on from where it ended when more has come.
pub(super) struct Walk {
    since: Option<Timestamp>,
    start: Offset,
    position: Offset,
    events: u64,
    has_upstream: bool,
    paths: Paths,
    partitions: HashMap<Box<[u8]>, Partition>,
    ids: Ids,
    minutes: BTreeMap<i64, Count>,
    told: Vec<(i64, String)>,
    differences: u64,
    ledger: Ledger,
}

#[derive(Default)]
struct Partition {
    name: String,
    events: u64,
    sequence: Sequence<Moment>,
    /// Where the numbers began anew, and nothing says why.
    restarts: Vec<(Moment, String)>,
    more_restarts: u64,
}

/// When something was noticed: the minute of received time, and how many events of the partition there were by then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Moment {
    minute: i64,
    events: u64,
}

#[derive(Clone, Copy, Default)]
struct Count {
    events: u64,
    doubled: u64,
}

/// The ids of the last events, as hashes.
#[derive(Default)]
struct Ids {
    known: HashSet<u64>,
    order: VecDeque<u64>,
    /// Some were forgotten.
    forgot: bool,
}

impl Ids {
    /// Remembers an id; false when it is known.
    fn insert(&mut self, id: &[u8]) -> bool {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let id = hasher.finish();
        if !self.known.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > IDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
            self.forgot = true;
        }
        true
    }
}

/// Whether the upstream offsets in a stream's events can be held against each other.
fn has_upstream(head: &Head) -> bool {
    !head.cursors.is_empty() && head.cursors.keys().all(|source| !source.as_str().starts_with(import::PREFIX))
}

impl Walk {
    pub(super) fn new(stream: &Stream, since: Option<Timestamp>) -> Self {
        let head = stream.head();
        let paths = PATHS.map(|path| path.map(str::to_owned).to_vec());
        Self {
            since,
            start: head.start,
            position: head.start,
            events: 0,
            has_upstream: has_upstream(&head),
            paths: Paths::new(&paths),
            partitions: HashMap::new(),
            ids: Ids::default(),
            minutes: BTreeMap::new(),
            told: Vec::new(),
            differences: 0,
            ledger: Ledger::default(),
        }
    }

    /// Whether the log still begins where the walk can go on.
    pub(super) fn can_go_on(&self, stream: &Stream) -> bool {
        self.position >= stream.head().start && self.position <= stream.head().end
    }

    /// Reads up to `end`, or to where the log ends.
    pub(super) fn advance(
        &mut self,
        stream: &Stream,
        end: Offset,
        ledger: &LedgerStreams,
        throttle: &Throttle,
    ) -> Result<(), Error> {
        self.ledger.advance(stream.name(), ledger)?;
        self.has_upstream = has_upstream(&stream.head());
        let mut reader = stream.reader(self.position);
        while self.position < end {
            let Some(block) = reader.next()? else { break };
            if block.first_offset != self.position {
                self.differs(
                    block.received_time,
                    format!("the log goes on with event {} where {} was expected", block.first_offset, self.position),
                );
            }
            self.position = block.end_offset();
            if self.since.is_none_or(|since| block.received_time >= since) {
                self.take(&block);
            }
            if !throttle.read(block.payload.len() as u64) {
                return Err(Error::Stopping);
            }
        }
        Ok(())
    }

    fn take(&mut self, block: &Block) {
        if self.events == 0 {
            self.start = block.first_offset;
        }
        let minute = block.received_time.0.div_euclid(MINUTE_MICROS);
        self.events += block.len() as u64;
        if !block.is_empty() {
            self.minutes.entry(minute).or_default().events += block.len() as u64;
        }
        if !self.has_upstream {
            return;
        }
        for (index, event) in block.events().enumerate() {
            self.take_event(block.first_offset.plus(index as u64), event, block.received_time);
        }
    }

    fn take_event(&mut self, at: Offset, event: &[u8], received: Timestamp) {
        let mut found = [None; PATHS.len()];
        self.paths.extract(event, &mut found);
        let [topic, partition, offset, id] = found;
        let id = id.map(Raw::bytes);
        let is_known = id.is_some_and(|id| !self.ids.insert(id));
        let minute = received.0.div_euclid(MINUTE_MICROS);
        let (Some(topic), Some(offset)) = (topic, offset.and_then(Raw::as_i64)) else {
            if is_known {
                self.doubled(at, received, id);
            }
            return;
        };
        let number = partition.and_then(Raw::as_i64).unwrap_or(0);
        let mut key = topic.bytes().to_vec();
        key.extend_from_slice(&number.to_le_bytes());
        if !self.partitions.contains_key(key.as_slice()) {
            let name = format!("{}/{number}", topic.as_str().unwrap_or_default());
            self.partitions.insert(key.clone().into(), Partition { name, ..Partition::default() });
        }
        let Some(partition) = self.partitions.get_mut(key.as_slice()) else { return };
        partition.events += 1;
        // A second copy says nothing of the order, unless it stands where the next event should.
        let moment = Moment { minute, events: partition.events };
        let place = if !is_known || partition.sequence.is_next(offset) {
            let is_new = id.is_some() && !is_known && !self.ids.forgot;
            partition.sequence.see(offset, is_new, self.ledger.entries(&partition.name), moment)
        } else {
            Place::Fine
        };
        let name = || format!("{}/{number}", topic.as_str().unwrap_or_default());
        match place {
            _ if is_known => self.doubled(at, received, id),
            Place::Fine => {}
            Place::Twice => {
                let what =
                    format!("event {at} has the upstream offset {offset} of {}, which the log has already", name());
                self.note_double(minute);
                self.differs(received, what);
            }
            Place::Restart(expected) => {
                let what = format!(
                    "the offsets of {} begin anew at {offset} with event {at}, where {expected} was expected and the gap \
                     ledger says nothing",
                    name()
                );
                if partition.restarts.len() < TOLD_MAX {
                    partition.restarts.push((moment, what));
                } else {
                    partition.more_restarts += 1;
                }
            }
        }
    }

    fn doubled(&mut self, at: Offset, received: Timestamp, id: Option<&[u8]>) {
        self.note_double(received.0.div_euclid(MINUTE_MICROS));
        let id = String::from_utf8_lossy(id.unwrap_or_default()).into_owned();
        self.differs(received, format!("event {at} is in the log twice: another has the same meta.id {id}"));
    }

    fn note_double(&mut self, minute: i64) {
        self.minutes.entry(minute).or_default().doubled += 1;
    }

    fn differs(&mut self, received: Timestamp, what: String) {
        self.differences += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push((received.0.div_euclid(MINUTE_MICROS), what));
        }
    }

    /// What was found so far. Holes that are still open are missing; rejects whose offset nobody knows account for as
    /// many.
    pub(super) fn report(&self) -> StreamAudit {
        let mut budget = self.ledger.unplaced;
        let mut missing_in: BTreeMap<i64, u64> = BTreeMap::new();
        let mut report = StreamAudit {
            start: self.start,
            end: self.position,
            events: self.events,
            rejects: self.ledger.rejects,
            doubled: self.minutes.values().map(|minute| minute.doubled).sum(),
            differences: self.differences,
            ..StreamAudit::default()
        };
        let mut told = self.told.clone();
        let mut partitions: Vec<&Partition> = self.partitions.values().collect();
        partitions.sort_by(|a, b| a.name.cmp(&b.name));
        for partition in partitions {
            let sequence = &partition.sequence;
            let last_minute = self.minutes.keys().next_back().copied().unwrap_or_default();
            let is_settled = |moment: Moment| {
                partition.events - moment.events >= SETTLED_EVENTS || last_minute - moment.minute >= SETTLED_MINUTES
            };
            let mut missing = sequence.more_missing;
            report.differences += u64::from(missing > 0) + partition.more_restarts;
            for (moment, what) in &partition.restarts {
                if is_settled(*moment) {
                    report.differences += 1;
                    told.push((moment.minute, what.clone()));
                } else {
                    report.unsettled += 1;
                }
            }
            for hole in &sequence.holes {
                let (from, to) = (hole.from, hole.to);
                let lacks = from.abs_diff(to);
                if !is_settled(hole.tag) {
                    report.unsettled += 1;
                    continue;
                }
                if lacks <= budget {
                    budget -= lacks;
                    report.accounted += lacks;
                    continue;
                }
                missing += lacks;
                *missing_in.entry(hole.tag.minute).or_default() += lacks;
                report.differences += 1;
                let offsets =
                    if lacks == 1 { format!("offset {from}") } else { format!("offsets {from} to {}", to - 1) };
                told.push((
                    hole.tag.minute,
                    format!("upstream {offsets} of {} ({lacks}) are neither in the log, nor in the gap ledger, nor among the rejects", partition.name),
                ));
            }
            report.missing += missing;
            report.accounted += sequence.accounted;
            report.partitions.insert(
                partition.name.clone(),
                PartitionAudit {
                    events: partition.events,
                    first: sequence.first.unwrap_or_default(),
                    last: sequence.last().unwrap_or_default(),
                    accounted: sequence.accounted,
                    changes: sequence.changes,
                    missing,
                },
            );
        }
        let text = |minute: i64| Timestamp(minute.saturating_mul(MINUTE_MICROS)).to_string();
        told.truncate(TOLD_MAX);
        report.told = told.into_iter().map(|(minute, what)| Said { minute: text(minute), what }).collect();
        let minute = |(minute, count): (&i64, &Count)| Minute {
            start: text(*minute),
            events: count.events,
            missing: missing_in.get(minute).copied().unwrap_or(0),
            doubled: count.doubled,
        };
        report.minutes = self.minutes.iter().map(minute).collect();
        report
    }
}
