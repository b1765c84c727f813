//! Events a second, from offsets seen at different moments.

use std::{collections::VecDeque, time::Duration};

/// How often a stream's end is looked at.
pub(crate) const SAMPLE_EVERY: Duration = Duration::from_millis(250);

/// The longest span a rate is asked for.
pub(crate) const SPAN_MAX: Duration = Duration::from_secs(10);

/// One sample each [`SAMPLE_EVERY`] over [`SPAN_MAX`], and the one before.
const SAMPLES_MAX: usize = 41;

/// How long each second's events are remembered, for who wants to see them.
const SECONDS_MAX: usize = 300;

/// The last samples of one stream's end. Moments are spans since the engine's start, by a clock that is never set back.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    samples: VecDeque<(Duration, u64)>,
    /// The end at the close of each whole second.
    seconds: VecDeque<u64>,
    /// The second that is not over.
    second: u64,
}

impl Rate {
    /// The stream's end was `end` at the moment `at`.
    pub(crate) fn observe(&mut self, at: Duration, end: u64) {
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        let second = at.as_secs();
        if self.seconds.is_empty() {
            (self.second, self.seconds) = (second, [end].into());
        }
        // A stall of the one who looks is shown as seconds without events, and what came in it after it.
        while self.second < second {
            self.second += 1;
            let before = self.samples.back().map_or(end, |(_, end)| *end);
            self.seconds.push_back(if self.second == second { end } else { before });
            if self.seconds.len() > SECONDS_MAX + 1 {
                self.seconds.pop_front();
            }
            // So much is forgotten anyway.
            self.second = self.second.max(second.saturating_sub(SECONDS_MAX as u64));
        }
        self.samples.push_back((at, end));
    }

    /// The events of each of the last whole seconds, the newest last; at most five minutes of them.
    pub(crate) fn seconds(&self) -> Vec<u64> {
        self.seconds.iter().zip(self.seconds.iter().skip(1)).map(|(from, to)| to.saturating_sub(*from)).collect()
    }

    /// Events a second over the last `span`, or over what is known of it.
    pub(crate) fn over(&self, span: Duration) -> f64 {
        let Some((last, end)) = self.samples.back() else { return 0.0 };
        let begin = self.samples.iter().find(|(at, _)| *at + span >= *last);
        let Some((first, start)) = begin.filter(|(at, _)| at < last) else { return 0.0 };
        end.saturating_sub(*start) as f64 / (*last - *first).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_counted_over_what_is_known() {
        let mut rate = Rate::default();
        assert_eq!(rate.over(SPAN_MAX), 0.0);
        for quarter in 0..100_u32 {
            // 400 a second, and nothing in the last second.
            rate.observe(SAMPLE_EVERY * quarter, u64::from(quarter.min(95)) * 100);
        }
        assert_eq!(rate.over(Duration::from_secs(1)), 0.0);
        assert_eq!(rate.over(SPAN_MAX), 360.0);
        assert!(rate.samples.len() <= SAMPLES_MAX);
    }

    #[test]
    fn each_second_of_the_last_five_minutes_is_remembered() {
        let mut rate = Rate::default();
        assert_eq!(rate.seconds(), Vec::<u64>::new());
        for quarter in 0..=12_u32 {
            rate.observe(SAMPLE_EVERY * quarter, u64::from(quarter) * 10);
        }
        assert_eq!(rate.seconds(), [40, 40, 40]);
        // Nobody looked for two seconds, in which eighty came.
        rate.observe(Duration::from_secs(5), 200);
        assert_eq!(rate.seconds(), [40, 40, 40, 0, 80]);
        rate.observe(Duration::from_secs(100_000), 1_000);
        let seconds = rate.seconds();
        assert!(seconds.len() <= SECONDS_MAX, "{}", seconds.len());
        assert_eq!(seconds.last(), Some(&800));
    }
}
