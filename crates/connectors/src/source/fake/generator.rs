//! The n-th event: a pure function of settings and number, but for the time of making where no `start` is set.

use lakehead_model::Timestamp;

use super::{
    values::Fields,
    written::{Member, Moment, key, put},
};

/// Writes events.
pub(super) struct Generator {
    /// `{"dt":"`, where there is a time.
    time: Option<Vec<u8>>,
    seed: u64,
    fields: Vec<Member>,
    start: Option<(Timestamp, f64)>,
}

impl Generator {
    /// Of fields that are within the limits; `event_time` is the key of an event's time, `start` the time of the first one and
    /// the events of a second, where an event's time is not that of its making.
    pub(super) fn new(seed: u64, event_time: &str, fields: &Fields, start: Option<(Timestamp, f64)>) -> Self {
        let time = (!event_time.is_empty()).then(|| [key(event_time), vec![b'"']].concat());
        let member = |(name, values): &(String, _)| Member::new(name, values, seed);
        Self { time, seed, fields: fields.0.iter().map(member).collect(), start }
    }

    /// Writes the event of number `n`, made at `now`.
    pub(super) fn write(&self, n: u64, now: Timestamp, into: &mut Vec<u8>) {
        let moment = Moment { n, time: self.start.map_or(now, |(start, rate)| after(start, n, rate)) };
        into.push(b'{');
        if let Some(time) = &self.time {
            into.extend_from_slice(time);
            put(into, moment.time);
            into.push(b'"');
        }
        for field in &self.fields {
            if into.last() != Some(&b'{') {
                into.push(b',');
            }
            field.write(self.seed, moment, into);
        }
        into.push(b'}');
    }

    /// The most bytes of an event.
    pub(super) fn bytes_max(&self) -> u64 {
        let time = self.time.as_ref().map_or(0, |key| key.len() as u64 + 40);
        self.fields.iter().map(Member::bytes_max).fold(time + 2, u64::saturating_add)
    }
}

/// The time of event `n`, which is at most the last that an event may have.
fn after(start: Timestamp, n: u64, rate: f64) -> Timestamp {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "beyond 2^53 events or microseconds a time is off by a few, and a cast saturates"
    )]
    let micros = (n as f64 / rate * 1e6) as i64;
    Timestamp(start.0.saturating_add(micros)).min(Timestamp::LAST)
}
