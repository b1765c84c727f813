//! How far a stream is complete, as far as anyone can tell.

use std::time::Duration;

use lakehead_model::Timestamp;
use serde::{Deserialize, Serialize};

/// The event time up to which a stream is taken as complete: whatever comes later and is older is late.
///
/// After the n-th block it is
///
/// ```text
/// watermark(n) = max(watermark(n - 1), min(base(n), received(n)) - delay)
/// ```
///
/// where `base(n)` is the progress that the stream's sources tell (the least over their upstream partitions of the
/// greatest event time), or, where none tells it, the greatest event time seen so far. Since it never passes received
/// time, one event from the future moves it to now at the most, and only once. Since it never goes back, a window that
/// was closed stays closed.
///
/// With a delay of 60 s and a base of 13:21:00 the watermark is 13:20:00: the window `[13:19:00, 13:20:00)` is
/// complete, `[13:20:00, 13:21:00)` is not.
///
/// It is part of a view's checkpoint, so a run that resumes there decides as if it had never stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    basis: Basis,
    current: Option<Timestamp>,
}

/// What a watermark goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Basis {
    EventTime {
        delay: Duration,
        /// The greatest event time seen, each taken as at most the time at which it was received.
        greatest: Option<Timestamp>,
    },
    ReceivedTime,
}

impl Watermark {
    /// A watermark over event time that stays `delay` behind.
    #[must_use]
    pub fn new(delay: Duration) -> Self {
        Self { basis: Basis::EventTime { delay, greatest: None }, current: None }
    }

    /// A watermark over received time: that of the last block. It needs no delay, since received time never runs
    /// backwards in a stream: every block to come was received at the watermark or after it.
    #[must_use]
    pub fn for_received_time() -> Self {
        Self { basis: Basis::ReceivedTime, current: None }
    }

    /// Takes note of one block, in the order of the log, and answers the watermark after it. Before anything is known
    /// that is the beginning of time, at which no window is complete.
    ///
    /// `progress` is what the cursors that stand after the block tell: the least of those that tell one.
    /// `greatest_event_time` is that of the block's own events; it matters only while there is no progress.
    pub fn observe(
        &mut self,
        progress: Option<Timestamp>,
        greatest_event_time: Option<Timestamp>,
        received: Timestamp,
    ) -> Timestamp {
        let complete = match &mut self.basis {
            Basis::ReceivedTime => Some(received),
            Basis::EventTime { delay, greatest } => {
                *greatest = (*greatest).max(greatest_event_time.map(|time| time.min(received)));
                progress.or(*greatest).map(|base| base.min(received).minus(*delay))
            }
        };
        self.current = self.current.max(complete);
        self.current.unwrap_or(Timestamp(i64::MIN))
    }

    /// The watermark, or `None` while nothing is known.
    #[must_use]
    pub fn current(&self) -> Option<Timestamp> {
        self.current
    }

    /// How far it stays behind; zero over received time.
    #[must_use]
    pub fn delay(&self) -> Duration {
        match self.basis {
            Basis::EventTime { delay, .. } => delay,
            Basis::ReceivedTime => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_secs(60);

    fn seconds(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn it_stays_behind_the_greatest_event_time_by_the_delay() {
        let mut watermark = Watermark::new(DELAY);
        assert_eq!(watermark.current(), None);
        assert_eq!(watermark.observe(None, None, seconds(1_000)), Timestamp(i64::MIN));
        assert_eq!(watermark.observe(None, Some(seconds(990)), seconds(1_000)), seconds(930));
        assert_eq!(watermark.current(), Some(seconds(930)));
        assert_eq!(watermark.delay(), DELAY);
    }

    #[test]
    fn older_events_do_not_move_it_back() {
        let mut watermark = Watermark::new(DELAY);
        watermark.observe(None, Some(seconds(990)), seconds(1_000));
        assert_eq!(watermark.observe(None, Some(seconds(500)), seconds(1_001)), seconds(930));
        assert_eq!(watermark.observe(Some(seconds(400)), None, seconds(1_002)), seconds(930));
    }

    #[test]
    fn progress_counts_for_more_than_event_times() {
        let mut watermark = Watermark::new(DELAY);
        assert_eq!(watermark.observe(Some(seconds(700)), Some(seconds(990)), seconds(1_000)), seconds(640));
        assert_eq!(watermark.observe(Some(seconds(800)), None, seconds(1_001)), seconds(740));
    }

    #[test]
    fn one_event_from_the_future_moves_it_to_now_and_no_further() {
        let mut watermark = Watermark::new(DELAY);
        assert_eq!(watermark.observe(None, Some(seconds(999_999)), seconds(1_000)), seconds(940));
        assert_eq!(watermark.observe(None, Some(seconds(1_005)), seconds(2_000)), seconds(945));
        assert_eq!(watermark.observe(Some(seconds(999_999)), None, seconds(2_010)), seconds(1_950));
    }

    #[test]
    fn over_received_time_it_is_the_last_block_s() {
        let mut watermark = Watermark::for_received_time();
        assert_eq!(watermark.observe(None, Some(seconds(5)), seconds(1_000)), seconds(1_000));
        assert_eq!(watermark.observe(Some(seconds(7)), None, seconds(1_001)), seconds(1_001));
        assert_eq!(watermark.delay(), Duration::ZERO);
    }

    #[test]
    fn it_goes_on_from_a_checkpoint() {
        for mut watermark in [Watermark::new(DELAY), Watermark::for_received_time()] {
            watermark.observe(None, Some(seconds(990)), seconds(1_000));
            let saved = serde_json::to_string(&watermark).expect("JSON");
            assert_eq!(serde_json::from_str::<Watermark>(&saved).expect("a watermark"), watermark);
        }
    }
}
