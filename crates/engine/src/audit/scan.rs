//! One scan over a stream's log, in order: events by minute, upstream offsets by partition, events kept twice.
//!
//! Memory is bounded: a number for each minute, intervals for the offsets, and the ids of the last events (`ids.rs`).
//! So an event that is kept twice is found by its upstream offset wherever it is, and by its id when the copies are not
//! farther apart than these.
//!
//! Upstream offsets are looked at where a source with a cursor feeds the stream: what was pushed or imported may carry such
//! offsets too, but nobody promised their order. Where an import ran, what came in order is taken as fetched and the rest as
//! seen; so the source's sequence goes on behind it, and a hole in it is still found.
//!
//! The same `meta.id` twice is an event kept twice where a source feeds the stream, which promises that ids are unique; where
//! none does, the same `meta.id` in the same bytes. Of events without one nobody can tell, and the report says so.

use std::collections::{BTreeMap, HashMap};

use lakehead_json::{Paths, Raw};
use lakehead_model::{Kind, Offset, Timestamp};
use lakehead_query::Pace;
use lakehead_store::{Block, LogHead, Loss, Stream};

use super::{
    ids::Ids,
    ledger::{Ledger, LedgerStreams},
    pace::Throttle,
    report::{AuditFinding, Minute, PartitionAudit, StreamAudit},
    sequence::{OffsetFinding, Sequence},
};
use crate::{Error, builtin, identity::EventIdentity, import};

/// Differences that are reported in words; more are only counted.
const REPORTED_MAX: usize = 10;

/// A jump of upstream offsets counts once so many events of its partition, or so many minutes, are behind it. In ledgers
/// of before 2026-11-25, what came while a source looked for its place in another cluster stands in the log before the
/// entry that explains its numbers.
const SETTLED_EVENTS: u64 = 100;
const SETTLED_MINUTES: i64 = 10;

const MINUTE_MICROS: i64 = 60_000_000;

/// The paths of one identity: topic, partition, offset, id.
struct IdentityPaths(Paths);

impl IdentityPaths {
    fn of(identity: &EventIdentity) -> Self {
        let EventIdentity { topic, partition, offset, id } = identity.clone();
        Self(Paths::new(&[topic, partition, offset, id]))
    }

    fn find<'e>(&self, event: &'e [u8]) -> [Option<Raw<'e>>; 4] {
        let mut found = [None; 4];
        self.0.extract(event, &mut found);
        found
    }
}

/// The scan so far. It can continue where it ended when more has come.
pub(super) struct Scan {
    since: Option<Timestamp>,
    start: Offset,
    position: Offset,
    events: u64,
    has_upstream: bool,
    /// Where an event may say which one it is upstream.
    places: Vec<IdentityPaths>,
    /// Whether a source says that.
    is_identified: bool,
    partitions: HashMap<Box<[u8]>, Partition>,
    ids: Ids,
    minutes: BTreeMap<i64, Count>,
    reported: Vec<(i64, String)>,
    differences: u64,
    ledger: Ledger,
    /// The offsets between which imports ran.
    ran: Vec<(Offset, Option<Offset>)>,
    /// Events without `meta.id`.
    without_id: u64,
    /// What is noted as lost: to be said, and known by a repair.
    lost: Vec<Loss>,
    /// The log cannot be read further.
    broken: bool,
    is_built_in: bool,
}

#[derive(Default)]
struct Partition {
    name: String,
    events: u64,
    sequence: Sequence<Moment>,
    /// Where the numbering started over, and nothing says why.
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

/// What a report collects over all partitions.
struct Settling {
    /// Rejects whose offset nobody knows, and that account for no hole yet.
    unplaced: u64,
    /// Missing offsets, by the minute in which that was noticed.
    missing_in: BTreeMap<i64, u64>,
    /// What is reported in words, with its minute.
    reported: Vec<(i64, String)>,
}

/// Whether it is the log that is not as it was written, not the system that fails.
fn is_damage(error: &lakehead_store::Error) -> bool {
    match error {
        lakehead_store::Error::Io { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
        error => error.kind() == Kind::Corrupt,
    }
}

/// Whether the upstream offsets in a stream's events can be held against each other.
fn has_upstream(head: &LogHead) -> bool {
    head.cursors.keys().any(|source| !source.as_str().starts_with(import::PREFIX))
}

impl Scan {
    pub(super) fn new(stream: &Stream, since: Option<Timestamp>, ids: Ids, identities: &[EventIdentity]) -> Self {
        let head = stream.head();
        // What is pushed or imported is told apart by its `meta.id`, whoever feeds the stream.
        let as_ever = EventIdentity::as_ever();
        let places = if identities.is_empty() { std::slice::from_ref(&as_ever) } else { identities };
        Self {
            since,
            start: head.start,
            position: head.start,
            events: 0,
            has_upstream: has_upstream(&head),
            places: places.iter().map(IdentityPaths::of).collect(),
            is_identified: !identities.is_empty(),
            partitions: HashMap::new(),
            ids,
            minutes: BTreeMap::new(),
            reported: Vec::new(),
            differences: 0,
            ledger: Ledger::default(),
            ran: Vec::new(),
            without_id: 0,
            lost: Vec::new(),
            broken: false,
            is_built_in: builtin::is_builtin(stream.name()),
        }
    }

    /// Imports ran between these offsets.
    pub(super) fn imported(&mut self, ran: Vec<(Offset, Option<Offset>)>) {
        self.ran = ran;
    }

    /// Whether the log could not be read to its end.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether the log still begins where the scan can continue.
    pub(super) fn can_continue(&self, stream: &Stream) -> bool {
        !self.broken && self.position >= stream.head().start && self.position <= stream.head().end
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
        let head = stream.head();
        self.has_upstream = has_upstream(&head);
        if self.ran.is_empty() && head.cursors.keys().any(|source| source.as_str().starts_with(import::PREFIX)) {
            // A directory of before imports were noted: it may be any of them.
            self.ran = vec![(Offset(0), None)];
        }
        self.lost = stream.losses();
        let mut reader = stream.reader(self.position);
        while self.position < end && !self.broken {
            let block = match reader.next() {
                Ok(Some(block)) => block,
                Ok(None) => break,
                Err(error) if is_damage(&error) => {
                    let what = format!("the log cannot be read from event {} on: {error}", self.position);
                    let minute = self.minutes.keys().next_back().copied().unwrap_or_default();
                    self.differs(Timestamp(minute.saturating_mul(MINUTE_MICROS)), what);
                    self.broken = true;
                    break;
                }
                Err(error) => return Err(error.into()),
            };
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
        if self.is_built_in {
            return;
        }
        for (index, event) in block.events().enumerate() {
            self.take_event(block.first_offset.plus(index as u64), event, block.received_time);
        }
    }

    fn take_event(&mut self, at: Offset, event: &[u8], received: Timestamp) {
        let [topic, partition, offset, id] = self.identity(event);
        let id = id.map(Raw::bytes);
        let compares = self.has_upstream && self.is_identified;
        let what = if compares { &[][..] } else { event };
        let is_known = id.is_some_and(|id| !self.ids.insert(id, what));
        self.without_id += u64::from(id.is_none());
        let minute = received.0.div_euclid(MINUTE_MICROS);
        let offset = offset.and_then(Raw::as_i64).filter(|_| compares);
        let (Some(topic), Some(offset)) = (topic, offset) else {
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
        let moment = Moment { minute, events: partition.events };
        if self.ran.iter().any(|(from, to)| *from <= at && to.is_none_or(|to| at < to)) {
            let entries = self.ledger.entries(&partition.name);
            if !is_known || partition.sequence.is_next(offset) {
                partition.sequence.see_among_others(offset, entries, moment);
            }
            if is_known {
                self.doubled(at, received, id);
            }
            return;
        }
        // A second copy says nothing of the order, unless it stands where the next event should.
        let place = if !is_known || partition.sequence.is_next(offset) {
            let is_new = id.is_some() && !is_known && !self.ids.forgot();
            partition.sequence.see(offset, is_new, self.ledger.entries(&partition.name), moment)
        } else {
            OffsetFinding::Fine
        };
        let name = || format!("{}/{number}", topic.as_str().unwrap_or_default());
        match place {
            _ if is_known => self.doubled(at, received, id),
            OffsetFinding::Fine => {}
            OffsetFinding::Twice => {
                let what =
                    format!("event {at} has the upstream offset {offset} of {}, which the log has already", name());
                self.note_double(minute);
                self.differs(received, what);
            }
            OffsetFinding::Restart(expected) => {
                let what = format!(
                    "the offsets of {} begin anew at {offset} with event {at}, where {expected} was expected and the gap \
                     ledger says nothing",
                    name()
                );
                if partition.restarts.len() < REPORTED_MAX {
                    partition.restarts.push((moment, what));
                } else {
                    partition.more_restarts += 1;
                }
            }
        }
    }

    /// What the event says of itself by the first identity that it has an offset for; else its id, by whichever has one.
    fn identity<'e>(&self, event: &'e [u8]) -> [Option<Raw<'e>>; 4] {
        let mut best = [None; 4];
        for places in &self.places {
            let found = places.find(event);
            if found[0].is_some() && found[2].is_some() {
                return found;
            }
            if best[3].is_none() {
                best = found;
            }
        }
        best
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
        if self.reported.len() < REPORTED_MAX {
            self.reported.push((received.0.div_euclid(MINUTE_MICROS), what));
        }
    }

    /// What was found so far. Holes that are still open are missing; rejects whose offset nobody knows account for as
    /// many.
    pub(super) fn report(&self) -> StreamAudit {
        let mut report = StreamAudit {
            start: self.start,
            end: self.position,
            events: self.events,
            rejects: self.ledger.rejects,
            doubled: self.minutes.values().map(|minute| minute.doubled).sum(),
            differences: self.differences,
            ..StreamAudit::default()
        };
        let mut settling =
            Settling { unplaced: self.ledger.unplaced, missing_in: BTreeMap::new(), reported: self.reported.clone() };
        let mut partitions: Vec<&Partition> = self.partitions.values().collect();
        partitions.sort_by(|a, b| a.name.cmp(&b.name));
        for partition in partitions {
            self.settle(partition, &mut settling, &mut report);
        }
        let Settling { missing_in, mut reported, .. } = settling;
        let text = |minute: i64| Timestamp(minute.saturating_mul(MINUTE_MICROS)).to_string();
        reported.truncate(REPORTED_MAX);
        report.told = reported.into_iter().map(|(minute, what)| AuditFinding { minute: text(minute), what }).collect();
        let minute = |(minute, count): (&i64, &Count)| Minute {
            start: text(*minute),
            events: count.events,
            missing: missing_in.get(minute).copied().unwrap_or(0),
            doubled: count.doubled,
        };
        report.minutes = self.minutes.iter().map(minute).collect();
        let lost = self.lost.iter().filter(|loss| !loss.acknowledged);
        for loss in lost {
            report.differences += 1;
            let minute = if loss.noticed == Timestamp(0) { "now".to_owned() } else { loss.noticed.to_string() };
            report.told.insert(0, AuditFinding { minute, what: loss.to_string() });
        }
        report.not_checked = self.not_checked();
        report
    }

    /// Adds to `report` what is found of one partition.
    fn settle(&self, partition: &Partition, settling: &mut Settling, report: &mut StreamAudit) {
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
                settling.reported.push((moment.minute, what.clone()));
            } else {
                report.unsettled += 1;
            }
        }
        for hole in &sequence.holes {
            let (from, to) = (hole.from, hole.to);
            let lacks = from.abs_diff(to);
            if !is_settled(hole.tag) {
                report.unsettled += 1;
            } else if lacks <= settling.unplaced {
                settling.unplaced -= lacks;
                report.accounted += lacks;
            } else {
                missing += lacks;
                *settling.missing_in.entry(hole.tag.minute).or_default() += lacks;
                report.differences += 1;
                let offsets =
                    if lacks == 1 { format!("offset {from}") } else { format!("offsets {from} to {}", to - 1) };
                settling.reported.push((
                    hole.tag.minute,
                    format!("upstream {offsets} of {} ({lacks}) are neither in the log, nor in the gap ledger, nor among the rejects", partition.name),
                ));
            }
        }
        report.missing += missing;
        report.accounted += sequence.accounted;
        let audited = PartitionAudit {
            events: partition.events,
            first: sequence.first.unwrap_or_default(),
            last: sequence.last().unwrap_or_default(),
            accounted: sequence.accounted,
            changes: sequence.changes,
            missing,
        };
        report.partitions.insert(partition.name.clone(), audited);
    }

    fn not_checked(&self) -> Vec<String> {
        let mut what = Vec::new();
        let known = self.lost.iter().filter(|loss| loss.acknowledged);
        what.extend(known.map(|loss| format!("what is known to be lost: {loss}")));
        if self.is_built_in || self.events == 0 {
            return what;
        }
        if let Some(since) = self.since {
            what.push(format!("what was received before {since}, because it was not asked for"));
        }
        if self.start > Offset(0) && self.since.is_none() {
            what.push(format!("the events before offset {}, because they are not in the log any more", self.start));
        }
        if self.has_upstream && !self.is_identified {
            what.push("upstream offsets: not compared (no source says where they stand)".to_owned());
        } else if self.has_upstream {
            for (from, to) in self.ran.iter().filter(|(from, to)| to.is_none_or(|to| to > *from)) {
                let to = to.map_or("the end".to_owned(), |to| to.to_string());
                what.push(format!(
                    "the order of upstream offsets from event {from} to {to}, because an import ran then; holes are looked for \
                     all the same"
                ));
            }
        } else {
            let why =
                "because no source with a cursor feeds it: pushed and imported events may carry them in any order";
            what.push(format!("upstream offsets, {why}"));
        }
        if self.without_id > 0 {
            what.push(format!(
                "whether one of {} events is there twice, because they have no meta.id; two that are the same may be two",
                self.without_id
            ));
        }
        if self.ids.forgot() {
            what.push(format!(
                "whether two with the same meta.id are more than {} events apart, because only so many are remembered",
                self.ids.reach()
            ));
        }
        what
    }
}
