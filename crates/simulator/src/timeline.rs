//! When event N is produced, and how late each of its times is against that. Pure arithmetic over N.
//!
//! ```text
//! event time (seconds) ──lag──▶ ingestion = meta.dt = Kafka timestamp ──at most 250 ms──▶ produced: start + N / rate
//! ```
//! Kafka timestamps run backwards by a few milliseconds, event times by seconds, as recorded (EVENTSTREAMS.md, section 6).

use lakehead_model::Timestamp;

use crate::random::{hash, mix};

/// Events per second of the timeline when they are served as fast as possible: the mean of Wikimedia's recentchange in
/// August and September 2026 (EVENTSTREAMS.md, section 3.4).
pub(crate) const NOMINAL_RATE: f64 = 36.1;

/// Longest time between a Kafka timestamp and the moment when the event can be read.
const JITTER_MILLIS_MAX: u64 = 250;

/// Least time between an event's own time and its request's end, from the recorded 0.6 s.
const LAG_MICROS_MIN: i64 = 500_000;

/// Quantiles of the lag of event time, in microseconds by parts of 65,536, between which it is linear. Chosen so that
/// what is behind the newest event time shows the recorded quantiles: half 0–1 s, p90 2 s, p99 5 s, p99.9 18 s, at most
/// 64 s (EVENTSTREAMS.md, section 6).
const LAGS: [(u64, i64); 7] = [
    (0, 0),
    (32_768, 700_000),
    (58_982, 1_800_000),
    (64_880, 3_400_000),
    (65_470, 18_000_000),
    (65_530, 45_000_000),
    (65_536, 62_000_000),
];

/// Where event N stands in time.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    start: i64,
    micros_each: f64,
    seed: u64,
}

impl Timeline {
    /// `rate` events per second from `start` on; 0 means [`NOMINAL_RATE`].
    pub(crate) fn new(seed: u64, start: Timestamp, rate: f64) -> Self {
        let rate = if rate > 0.0 { rate } else { NOMINAL_RATE };
        Self { start: start.0, micros_each: 1e6 / rate, seed }
    }

    /// When event `n` can be read first, in microseconds.
    #[inline]
    pub(crate) fn produced(&self, n: u64) -> i64 {
        self.start.saturating_add((n as f64 * self.micros_each) as i64)
    }

    /// How many events have been produced by `now`.
    pub(crate) fn count_at(&self, now: Timestamp) -> u64 {
        if now.0 < self.start {
            return 0;
        }
        let guess = (now.0.saturating_sub(self.start) as f64 / self.micros_each) as u64;
        let mut count = guess.saturating_sub(1);
        while self.produced(count) <= now.0 {
            count += 1;
        }
        count
    }

    /// The Kafka timestamp of event `n`, which is its `meta.dt`, in milliseconds.
    #[inline]
    pub(crate) fn kafka_millis(&self, n: u64) -> i64 {
        let bits = hash(self.seed ^ 0x6b_6166_6b61, n);
        let jitter = if bits & 63 == 0 { (bits >> 8) % JITTER_MILLIS_MAX } else { (bits >> 8) % 60 };
        self.produced(n).div_euclid(1000) - jitter as i64
    }

    /// The first event that may have a Kafka timestamp of at least `millis`; none before it has.
    pub(crate) fn first_possible(&self, millis: i64) -> u64 {
        self.count_at(Timestamp(millis.saturating_mul(1000).saturating_sub(1)))
    }

    /// The event time in Unix seconds of an event of this request, whose first event is `first`.
    #[inline]
    pub(crate) fn event_seconds(&self, first: u64, request: u64) -> i64 {
        let bits = mix(request ^ 0x6c_6167) & 0xffff;
        let at = LAGS.iter().position(|(part, _)| bits < *part).unwrap_or(LAGS.len() - 1);
        let ((from, low), (to, high)) = (LAGS[at - 1], LAGS[at]);
        let lag = low + (high - low) * (bits - from) as i64 / (to - from) as i64;
        (self.produced(first) - LAG_MICROS_MIN - lag).div_euclid(1_000_000)
    }

    /// How many neighbouring events one web request may spread over: what is produced within about a second, a power of
    /// two from 1 to 32.
    pub(crate) fn request_span(&self) -> u64 {
        power_of_two_below(900_000.0 / self.micros_each, 1, 32)
    }

    /// How many events lie between the canaries of a topic: about four minutes of them, a power of two.
    pub(crate) fn canary_period(&self) -> u64 {
        power_of_two_below(240_000_000.0 / self.micros_each, 64, 8192)
    }
}

fn power_of_two_below(value: f64, least: u64, most: u64) -> u64 {
    let value = (value as u64).clamp(least, most);
    1 << value.ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_counts_from_the_moment_it_is_produced() {
        for rate in [0.5, 36.1, 1000.0, 250_000.0] {
            let timeline = Timeline::new(7, Timestamp::from_seconds(1_788_000_000), rate);
            for n in [0, 1, 5, 1_000, 77_777] {
                let produced = Timestamp(timeline.produced(n));
                assert!(timeline.count_at(produced) > n, "{rate} {n}");
                assert!(timeline.count_at(Timestamp(produced.0 - 1)) <= n, "{rate} {n}");
            }
            assert_eq!(timeline.count_at(Timestamp(0)), 0);
        }
    }

    #[test]
    fn no_event_before_the_first_possible_one_is_late_enough() {
        let timeline = Timeline::new(7, Timestamp::from_seconds(1_788_000_000), 1000.0);
        for n in [300, 1234, 5000] {
            let millis = timeline.kafka_millis(n);
            let first = timeline.first_possible(millis);
            assert!(first <= n);
            assert!((0..first).all(|before| timeline.kafka_millis(before) < millis));
        }
    }
}
