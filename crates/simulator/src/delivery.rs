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

use crate::{
    digits::{push_i64, push_rfc3339, push_u64, push_uuid},
    feed::{Feed, NONE},
    http::Chunk,
    patch,
    position::{Seen, Start},
    random::mix,
    simulator::Simulator,
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
    /// `{"topic":"…","partition":0,"`
    id: Vec<u8>,
}

/// The events of one connection.
pub(crate) struct Delivery<'s> {
    simulator: &'s Simulator,
    lanes: Vec<Lane>,
    /// Lines of JSON instead of frames.
    lines: bool,
    shift: i64,
    strikes: bool,
    events: u64,
}

impl<'s> Delivery<'s> {
    pub(crate) fn new(simulator: &'s Simulator, starts: Vec<Start>, lines: bool, shift: i64) -> Self {
        let lanes = starts.into_iter().map(|start| {
            let name = &simulator.feed.topics[start.topic].name;
            Lane { id: format!("{{\"topic\":\"{name}\",\"partition\":0,\"").into_bytes(), start }
        });
        Self { simulator, lanes: lanes.collect(), lines, shift, strikes: simulator.faults().strike_events(), events: 0 }
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
        let simulator = self.simulator;
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
                self.write(lane, n, &mut chunk.bytes, |simulator, shift, out| simulator.feed.write(n, shift, out));
            }
            let start = &mut self.lanes[lane].start;
            start.next = simulator.feed.next_of(start.topic, n + 1);
        }
        Step::Full
    }

    fn write(&mut self, lane: usize, n: u64, out: &mut Vec<u8>, event: impl FnOnce(&Simulator, i64, &mut Vec<u8>)) {
        self.lanes[lane].start.seen = Seen::Timestamp(self.simulator.feed.kafka_millis(n) + 1);
        self.events += 1;
        if self.lines {
            event(self.simulator, self.shift, out);
            out.push(b'\n');
            return;
        }
        out.extend_from_slice(b"event: message\nid: ");
        self.write_id(out);
        out.extend_from_slice(b"\ndata: ");
        event(self.simulator, self.shift, out);
        out.extend_from_slice(b"\n\n");
    }

    fn write_id(&self, out: &mut Vec<u8>) {
        for (place, lane) in self.lanes.iter().enumerate() {
            out.push(if place == 0 { b'[' } else { b',' });
            out.extend_from_slice(&lane.id);
            match lane.start.seen {
                Seen::Offset(offset) => {
                    out.extend_from_slice(b"offset\":");
                    push_i64(out, offset);
                }
                Seen::Timestamp(millis) => {
                    out.extend_from_slice(b"timestamp\":");
                    push_i64(out, millis);
                }
            }
            out.push(b'}');
        }
        out.push(b']');
    }

    /// Writes event `n` with what the faults make of it.
    fn strike(&mut self, lane: usize, n: u64, out: &mut Vec<u8>) -> Option<Step> {
        let simulator = self.simulator;
        let faults = simulator.faults();
        if faults.hole.strikes(n) || (faults.hole_once.strikes(n) && simulator.first_time("hole-once", n)) {
            return None;
        }
        if faults.silence.strikes(n) && simulator.first_time("silence", n) {
            return Some(Step::Silent(faults.silence_for));
        }
        if faults.error_event.strikes(n) && simulator.first_time("error-event", n) {
            if !self.lines {
                out.extend_from_slice(b"event: error\nid: ");
                self.write_id(out);
                out.extend_from_slice(b"\ndata: ");
            }
            out.extend_from_slice(
                br#"{"message":"Local: Broker transport failure","origin":"KafkaSSE","name":"KafkaError"}"#,
            );
            out.extend_from_slice(b"\n\n");
            return Some(Step::End);
        }
        let before = self.lanes[lane].start.seen;
        let from = out.len();
        let topic = self.lanes[lane].start.topic;
        let mut data = 0;
        self.write(lane, n, out, |simulator, shift, out| {
            data = out.len();
            write_struck(simulator, topic, n, shift, out);
        });
        let cut_to = if faults.cut_inside_frame.strikes(n) && simulator.first_time("cut-inside-frame", n) {
            Some(data + (out.len() - data) / 2)
        } else if faults.cut_inside_character.strikes(n) && simulator.first_time("cut-inside-character", n) {
            // After the first byte of a character that has more.
            let character = out[data..].iter().position(|byte| *byte >= 0xc0).map(|at| data + at + 1);
            Some(character.unwrap_or(data + (out.len() - data) / 2))
        } else if faults.cut_after_id.strikes(n) && simulator.first_time("cut-after-id", n) {
            Some(data.saturating_sub(if self.lines { 0 } else { b"data: ".len() }))
        } else {
            None
        };
        if let Some(cut_to) = cut_to {
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
}

/// Writes the event's JSON as the faults that change contents want it.
fn write_struck(simulator: &Simulator, topic: usize, n: u64, shift: i64, out: &mut Vec<u8>) {
    let faults = simulator.faults();
    let from = out.len();
    if faults.canary.strikes(n) {
        write_canary(&simulator.feed, topic, n, shift, out);
    } else {
        simulator.feed.write(n, shift, out);
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
