//! Tumbling windows: every moment is in exactly one.

use std::time::Duration;

use lakehead_model::{TimeRange, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Greatest size of a window: a century. Beyond it a size is a mistake rather than a wish.
const SIZE_MAX: Duration = Duration::from_secs(36_525 * 86_400);

/// Windows of one size, side by side, aligned to 1970-01-01T00:00:00Z: the n-th is `[n · size, (n + 1) · size)`, for
/// negative n too.
///
/// With a size of one minute 13:20:17 falls in `[13:20:00, 13:21:00)`: 13:20:00 is in, 13:21:00 is out. The epoch was
/// a Thursday, so windows of a week begin on Thursdays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Duration", into = "Duration")]
pub struct Tumble {
    size_micros: i64,
}

impl Tumble {
    /// Windows of `size`.
    ///
    /// # Errors
    /// When `size` is zero, has a part below a microsecond or is more than a century.
    pub fn new(size: Duration) -> Result<Self, Error> {
        let whole = size.subsec_nanos().is_multiple_of(1_000) && !size.is_zero() && size <= SIZE_MAX;
        let size_micros = i64::try_from(size.as_micros()).ok().filter(|_| whole);
        Ok(Self { size_micros: size_micros.ok_or(Error::Size(size))? })
    }

    /// The size of each window.
    #[must_use]
    pub fn size(self) -> Duration {
        Duration::from_micros(self.size_micros.unsigned_abs())
    }

    pub(crate) fn size_micros(self) -> i64 {
        self.size_micros
    }

    /// The one window that holds `time`. (At the two ends of time it is cut short.)
    #[must_use]
    #[inline]
    pub fn window(self, time: Timestamp) -> TimeRange {
        let into = time.0.rem_euclid(self.size_micros);
        let end = time.0.saturating_add(self.size_micros - into);
        TimeRange { start: Timestamp(time.0.saturating_sub(into)), end: Timestamp(end) }
    }
}

impl TryFrom<Duration> for Tumble {
    type Error = Error;
    fn try_from(size: Duration) -> Result<Self, Error> {
        Self::new(size)
    }
}

impl From<Tumble> for Duration {
    fn from(tumble: Tumble) -> Self {
        tumble.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tumble(seconds: u64) -> Tumble {
        Tumble::new(Duration::from_secs(seconds)).expect("a size")
    }

    fn time(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[track_caller]
    fn check(size_seconds: u64, at: &str, start: &str, end: &str) {
        let window = tumble(size_seconds).window(time(at));
        assert_eq!(window, TimeRange { start: time(start), end: time(end) });
        assert!(window.contains(time(at)));
    }

    #[test]
    fn the_start_is_in_and_the_end_is_out() {
        check(60, "2021-08-27T13:20:17.5Z", "2021-08-27T13:20:00Z", "2021-08-27T13:21:00Z");
        check(60, "2021-08-27T13:20:00Z", "2021-08-27T13:20:00Z", "2021-08-27T13:21:00Z");
        check(60, "2021-08-27T13:20:59.999999Z", "2021-08-27T13:20:00Z", "2021-08-27T13:21:00Z");
        check(60, "2021-08-27T13:21:00Z", "2021-08-27T13:21:00Z", "2021-08-27T13:22:00Z");
    }

    #[test]
    fn times_before_the_epoch_round_down_too() {
        check(60, "1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:00Z", "1970-01-01T00:00:00Z");
        check(60, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-01T00:01:00Z");
        check(86_400, "1969-12-31T00:00:00Z", "1969-12-31T00:00:00Z", "1970-01-01T00:00:00Z");
    }

    #[test]
    fn weeks_begin_on_thursdays() {
        check(7 * 86_400, "2021-08-27T13:20:17Z", "2021-08-26T00:00:00Z", "2021-09-02T00:00:00Z");
    }

    #[test]
    fn sizes_that_cannot_be_are_refused_by_name() {
        for size in [Duration::ZERO, Duration::from_nanos(1_500), SIZE_MAX + Duration::from_micros(1), Duration::MAX] {
            assert_eq!(Tumble::new(size), Err(Error::Size(size)));
        }
        assert_eq!(Tumble::new(SIZE_MAX).map(Tumble::size), Ok(SIZE_MAX));
        assert!(Error::Size(Duration::ZERO).to_string().starts_with("a window of 0ns cannot be"));
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        for size in [1, 60, 36_525 * 86_400] {
            for time in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX].map(Timestamp) {
                let window = tumble(size).window(time);
                assert!(window.start <= time && time <= window.end);
            }
        }
    }
}
