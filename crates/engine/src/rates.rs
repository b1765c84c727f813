//! Events a second, from offsets seen at different moments.

use std::{collections::VecDeque, time::Duration};

/// How often a stream's end is looked at.
pub(crate) const SAMPLE_EVERY: Duration = Duration::from_millis(250);

/// The longest span a rate is asked for.
pub(crate) const SPAN_MAX: Duration = Duration::from_secs(10);

/// One sample each [`SAMPLE_EVERY`] over [`SPAN_MAX`], and the one before.
const SAMPLES_MAX: usize = 41;

/// The last samples of one stream's end. Moments are spans since the engine's start, by a clock that is never set back.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    samples: VecDeque<(Duration, u64)>,
}

impl Rate {
    /// The stream's end was `end` at the moment `at`.
    pub(crate) fn observe(&mut self, at: Duration, end: u64) {
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back((at, end));
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
}
