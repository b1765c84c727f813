//! When events come: bursts of changing size under a clock that goes on, and event times that lie behind it.

use lakehead_model::Timestamp;

use crate::{random::Random, table::Burst};

/// The clock of a synthetic stream.
pub(super) struct Arrival {
    now_micros: i64,
    /// Mean time from one event to the next.
    pace_micros: i64,
    bursts: Vec<Burst>,
    room: usize,
}

impl Arrival {
    pub(super) fn new(start: Timestamp, pace_micros: i64) -> Self {
        Self { now_micros: start.0, pace_micros, bursts: Vec::new(), room: 0 }
    }

    /// When the next event happened, as it says itself; `None` when it does not. Microseconds.
    pub(super) fn event_time(&mut self, random: &mut Random) -> Option<i64> {
        const SECOND: i64 = 1_000_000;
        let behind = match random.below(1_000) {
            0..780 => random.between(0, 3 * SECOND),
            780..940 => random.between(0, 64 * SECOND),
            940..970 => random.between(0, 20 * 60 * SECOND),
            970..985 => random.between(0, 5 * 3_600 * SECOND),
            985..990 => random.between(0, 3 * 86_400 * SECOND),
            // From the future: a little, as clocks differ, and far.
            990..993 => -random.between(0, 90 * SECOND),
            993..994 => -random.between(0, 400 * 86_400 * SECOND),
            // Before the epoch, and at its borders.
            994 => return Some(-random.between(0, 10_000 * 86_400) * SECOND),
            995 => return Some(*random.pick(&[0, -SECOND, SECOND, 59 * SECOND, 60 * SECOND])),
            _ => return None,
        };
        let time = self.now_micros - behind;
        // On the border of a window more often than chance would have it.
        Some(if random.chance(4) { time.div_euclid(60 * SECOND) * 60 * SECOND } else { time })
    }

    /// The event comes.
    pub(super) fn push(&mut self, random: &mut Random, event: String) {
        if self.room == 0 {
            self.room = match random.below(10) {
                0..5 => 1 + random.below(6),
                5..9 => 1 + random.below(60),
                _ => 1 + random.below(400),
            };
            self.bursts.push(Burst { received: Timestamp(self.now_micros), events: Vec::new() });
        }
        self.room -= 1;
        self.bursts.last_mut().expect("a burst was begun").events.push(event);
        // A pause now and then, so that windows close between two events.
        let pause = if random.chance(1) { 20 } else { 1 };
        self.now_micros += random.between(0, 2 * self.pace_micros * pause);
    }

    pub(super) fn finish(self) -> Vec<Burst> {
        self.bursts
    }
}
