//! One connection's events on their way into chunks: which comes next, its frame, and what the faults do to it.
//!
//! ```text
//! event: message
//! id: [{"topic":…,"partition":0,"timestamp":last + 1 ms},{"topic":…,"partition":0,"offset":-1}]
//! data: {…}
//! <blank line>
//! ```
//! Topics are merged by event number. Many frames go into one chunk; nothing here waits or writes to a socket.

use std::time::Duration;

use lakehead_eventstreams_wire::{Position, TopicPartition, write, write_assignments};

use crate::{
    active_faults::ActiveFaults,
    digits::{push_rfc3339, push_u64, push_uuid},
    faults::Faults,
    feed::Feed,
    http::Chunk,
    patch,
    random::mix,
    start::Start,
    topic::NONE,
};

/// From this size on a chunk is sent: large enough that a system call costs little for each event, small enough to stay
/// in a second-level cache.
const CHUNK_BYTES: usize = 128 << 10;

/// Why filling a chunk stopped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The chunk is full.
    Full,
    /// There is no more for now; the number of the next event, or [`NONE`].
    Drained(u64),
    /// What the chunk holds is to be sent, and then the connection is to be cut.
    Cut,
    /// Nothing is to be sent for this long.
    Silent(Duration),
    /// The stream ends in order.
    End,
}

struct Lane {
    start: Start,
    partition: TopicPartition,
}

/// The events of one connection.
pub(crate) struct Delivery<'s> {
    feed: &'s Feed,
    faults: &'s ActiveFaults,
    lanes: Vec<Lane>,
    /// Lines of JSON instead of frames.
    lines: bool,
    shift: i64,
    strikes: bool,
    events: u64,
}

impl<'s> Delivery<'s> {
    pub(crate) fn new(feed: &'s Feed, faults: &'s ActiveFaults, starts: Vec<Start>, lines: bool, shift: i64) -> Self {
        let lane = |start: Start| Lane { partition: TopicPartition::new(&feed.topics[start.topic].name, 0), start };
        let lanes = starts.into_iter().map(lane).collect();
        Self { feed, faults, lanes, lines, shift, strikes: faults.set.strike_events(), events: 0 }
    }

    /// How many events were written since this was asked last.
    pub(crate) fn take_events(&mut self) -> u64 {
        std::mem::take(&mut self.events)
    }

    /// The greatest event number before which everything was written.
    pub(crate) fn reached(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.start.next).filter(|next| *next != NONE).max().unwrap_or(0)
    }

    /// Writes events before `end` into the chunk.
    pub(crate) fn fill(&mut self, chunk: &mut Chunk, end: u64) -> Step {
        let feed = self.feed;
        while chunk.len() < CHUNK_BYTES {
            let next = (0..self.lanes.len()).min_by_key(|lane| self.lanes[*lane].start.next);
            let Some((lane, n)) = next.map(|lane| (lane, self.lanes[lane].start.next)) else {
                return Step::Drained(NONE);
            };
            if n >= end {
                return Step::Drained(n);
            }
            if self.strikes {
                match self.strike(lane, n, &mut chunk.bytes) {
                    None => {}
                    Some(step) => return step,
                }
            } else {
                self.write(lane, n, &mut chunk.bytes, |feed, shift, out| feed.write(n, shift, out));
            }
            let start = &mut self.lanes[lane].start;
            start.next = feed.next_of(start.topic, n + 1);
        }
        Step::Full
    }

    /// Writes event `n` as a frame, or as a line; gives where its field `data:` begins.
    fn write(&mut self, lane: usize, n: u64, out: &mut Vec<u8>, event: impl FnOnce(&Feed, i64, &mut Vec<u8>)) -> usize {
        let (feed, shift) = (self.feed, self.shift);
        self.lanes[lane].start.seen = Position::Timestamp(feed.kafka_millis(n) + 1);
        self.events += 1;
        if self.lines {
            let data_from = out.len();
            event(feed, shift, out);
            out.push(b'\n');
            return data_from;
        }
        write::event("message", out);
        write::id(|out| self.write_id(out), out);
        let data_from = out.len();
        write::data(|out| event(feed, shift, out), out);
        write::end(out);
        data_from
    }

    fn write_id(&self, out: &mut Vec<u8>) {
        write_assignments(self.lanes.iter().map(|lane| (&lane.partition, lane.start.seen)), out);
    }

    /// Writes event `n` with what the faults make of it.
    fn strike(&mut self, lane: usize, n: u64, out: &mut Vec<u8>) -> Option<Step> {
        let (active, faults) = (self.faults, &self.faults.set);
        if faults.hole.strikes(n) || active.strikes_once("hole-once", &faults.hole_once, n) {
            return None;
        }
        if active.strikes_once("silence", &faults.silence, n) {
            return Some(Step::Silent(faults.silence_for));
        }
        if active.strikes_once("error-event", &faults.error_event, n) {
            self.write_error(out);
            return Some(Step::End);
        }
        let before = self.lanes[lane].start.seen;
        let from = out.len();
        let topic = self.lanes[lane].start.topic;
        let mut json_from = 0;
        let data_from = self.write(lane, n, out, |feed, shift, out| {
            json_from = out.len();
            write_struck(feed, faults, topic, n, shift, out);
        });
        if let Some(cut_to) = self.cut_to(n, data_from, json_from, out) {
            out.truncate(cut_to);
            self.lanes[lane].start.seen = before;
            self.events -= 1;
            return Some(Step::Cut);
        }
        if faults.duplicate.strikes(n) {
            out.extend_from_within(from..);
            self.events += 1;
        }
        None
    }

    /// Where the connection is to be cut within event `n`, whose field `data:` and whose JSON begin there in `out`.
    fn cut_to(&self, n: u64, data_from: usize, json_from: usize, out: &[u8]) -> Option<usize> {
        let (active, faults) = (self.faults, &self.faults.set);
        let middle = json_from + (out.len() - json_from) / 2;
        if active.strikes_once("cut-inside-frame", &faults.cut_inside_frame, n) {
            Some(middle)
        } else if active.strikes_once("cut-inside-character", &faults.cut_inside_character, n) {
            // After the first byte of a character that has more.
            let character = out[json_from..].iter().position(|byte| *byte >= 0xc0);
            Some(character.map_or(middle, |at| json_from + at + 1))
        } else if active.strikes_once("cut-after-id", &faults.cut_after_id, n) {
            Some(data_from)
        } else {
            None
        }
    }

    fn write_error(&self, out: &mut Vec<u8>) {
        let error = br#"{"message":"Local: Broker transport failure","origin":"KafkaSSE","name":"KafkaError"}"#;
        if self.lines {
            out.extend_from_slice(error);
            out.push(b'\n');
        } else {
            write::event("error", out);
            write::id(|out| self.write_id(out), out);
            write::data(|out| out.extend_from_slice(error), out);
        }
        write::end(out);
    }
}

/// Writes the event's JSON as the faults that change contents want it.
fn write_struck(feed: &Feed, faults: &Faults, topic: usize, n: u64, shift: i64, out: &mut Vec<u8>) {
    let from = out.len();
    if faults.canary.strikes(n) {
        write_canary(feed, topic, n, shift, out);
    } else {
        feed.write(n, shift, out);
    }
    if faults.wrong_types.strikes(n) {
        for (name, value) in
            [("namespace", "\"zero\""), ("timestamp", "\"soon\""), ("bot", "\"no\""), ("length", "[1,2]")]
        {
            patch::replace(out, from, name, value.as_bytes());
        }
    }
    if faults.no_time.strikes(n) {
        patch::remove(out, from, "dt");
        patch::remove(out, from, "timestamp");
    }
    if faults.huge.strikes(n) {
        patch::lengthen(out, from, "comment", usize::try_from(faults.huge_bytes).unwrap_or(usize::MAX >> 1));
    }
    if faults.not_json.strikes(n) {
        let half = from + (out.len() - from) / 2;
        // What is cut off begins at a character, so that only the JSON is wrong.
        let whole = (from..half).rev().find(|at| out[*at].is_ascii()).unwrap_or(from);
        out.truncate(whole + 1);
    }
}

/// A canary of any stream: `meta` and nothing that its events otherwise have.
fn write_canary(feed: &Feed, topic: usize, n: u64, shift: i64, out: &mut Vec<u8>) {
    let topic = &feed.topics[topic];
    out.extend_from_slice(br#"{"$schema":"/mediawiki/recentchange/1.0.0","meta":{"request_id":""#);
    push_uuid(out, mix(n ^ 11), mix(n ^ 12));
    out.extend_from_slice(br#"","id":""#);
    push_uuid(out, mix(n ^ 13), mix(n ^ 14));
    out.extend_from_slice(br#"","domain":"canary","stream":""#);
    out.extend_from_slice(topic.stream.as_bytes());
    out.extend_from_slice(br#"","dt":""#);
    push_rfc3339(out, feed.kafka_millis(n));
    out.extend_from_slice(br#"","topic":""#);
    out.extend_from_slice(topic.name.as_bytes());
    out.extend_from_slice(br#"","partition":0,"offset":"#);
    push_u64(out, feed.offset(n).saturating_add_signed(shift));
    out.extend_from_slice(b"}}");
}
