//! How far a build is, how fast it goes, and how long it will take.

use std::time::{Duration, Instant};

use lakehead_model::Offset;

use crate::{
    rates::{Rate, SAMPLE_EVERY, SPAN_MAX},
    status::ViewState,
};

/// How often the log says how a build goes.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// A view's build since this process began with it.
pub(super) struct BuildProgress {
    /// Where the log began, and with it the work.
    start: Offset,
    begun: Instant,
    sampled: Option<Instant>,
    logged: Instant,
    rate: Rate,
}

impl BuildProgress {
    /// Begins, at `at`, a build from a log that begins with `start`.
    pub(super) fn begin(start: Offset, at: Offset, now: Instant) -> Self {
        let mut build = Self { start, begun: now, sampled: None, logged: now, rate: Rate::default() };
        build.observe(at, now);
        build
    }

    /// It has come to `at`.
    pub(super) fn observe(&mut self, at: Offset, now: Instant) {
        if self.sampled.is_none_or(|sampled| now.duration_since(sampled) >= SAMPLE_EVERY) {
            self.sampled = Some(now);
            self.rate.observe(now.duration_since(self.begun), at.0);
        }
    }

    /// Whether it is time to log it; once for each time.
    pub(super) fn is_due_for_log(&mut self, now: Instant) -> bool {
        let due = now.duration_since(self.logged) >= LOG_EVERY;
        if due {
            self.logged = now;
        }
        due
    }

    /// In numbers, of a view that stands at `at` on a stream that ends at `end`.
    pub(super) fn state(&self, at: Offset, end: Offset) -> ViewState {
        let (done, all) = (at.since(self.start), end.since(self.start));
        let events_per_second = self.rate.over(SPAN_MAX);
        ViewState::Building {
            end,
            fraction: if all == 0 { 1.0 } else { (done as f64 / all as f64).min(1.0) },
            events_per_second,
            seconds_left: (events_per_second > 0.0).then(|| end.since(at) as f64 / events_per_second),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_divided_by_the_pace() {
        let begun = Instant::now();
        let mut build = BuildProgress::begin(Offset(1_000), Offset(1_000), begun);
        assert_eq!(
            build.state(Offset(1_000), Offset(9_000)),
            ViewState::Building { end: Offset(9_000), fraction: 0.0, events_per_second: 0.0, seconds_left: None }
        );
        for second in 1..=2 {
            build.observe(Offset(1_000 + second * 1_000), begun + Duration::from_secs(second));
        }
        let ViewState::Building { fraction, events_per_second, seconds_left, .. } =
            build.state(Offset(3_000), Offset(9_000))
        else {
            panic!("it is being built");
        };
        assert_eq!((fraction, events_per_second, seconds_left), (0.25, 1_000.0, Some(6.0)));
        assert!(!build.is_due_for_log(begun + Duration::from_secs(9)));
        assert!(build.is_due_for_log(begun + Duration::from_secs(10)));
        assert!(!build.is_due_for_log(begun + Duration::from_secs(11)));
    }
}
