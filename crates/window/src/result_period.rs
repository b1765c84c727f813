//! Which result file a window goes to.

use std::time::Duration;

use lakehead_model::{TimeRange, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Calendar, Error, Tumble};

const HOUR_MICROS: i64 = 3_600_000_000;
const DAY_MICROS: i64 = 24 * HOUR_MICROS;

/// The greatest window whose results are filed by the hour: six of them fill it, so a file is never almost empty.
const SIZE_BY_HOUR_MAX: Duration = Duration::from_secs(600);
const DAY: Duration = Duration::from_secs(86_400);

/// The stretch of time whose windows share one result file. A late event rewrites the file of its period, so a period
/// is small enough to be rewritten at once and great enough that a year is no heap of tiny files.
///
/// Windows of up to 10 minutes are filed by the hour, those under a day by the day, greater ones each on their own.
/// A window belongs to the period that holds its *start*, also when it ends in the next: with windows of 7 minutes
/// `[13:58, 14:05)` is in the hour `[13:00, 14:00)`, and the window that begins at 14:05 is not.
///
/// That goes for windows of one size. What others are filed by says [`Windows::period`](crate::Windows::period).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResultPeriod {
    /// `[n · 1 h, (n + 1) · 1 h)`, UTC: 13:00 is in the hour of 13, 14:00 is not.
    Hour,
    /// `[n · 24 h, (n + 1) · 24 h)`, UTC: 00:00 is in its day, the next 00:00 is not.
    Day,
    /// Each window is its own period.
    Window(Tumble),
    /// A day of a time zone, or a window that is made of its days. In `Europe/Berlin` `[23:00, 23:00)` in winter, UTC:
    /// 23:00 is in its day, the next 23:00 is not.
    Calendar(Calendar),
}

impl ResultPeriod {
    /// The period in which windows of `size` are filed.
    ///
    /// # Errors
    /// When there can be no window of `size`; see [`Tumble::new`].
    pub fn for_window(size: Duration) -> Result<Self, Error> {
        Tumble::new(size).map(Self::for_tumble)
    }

    pub(crate) fn for_tumble(windows: Tumble) -> Self {
        match windows.size() {
            size if size <= SIZE_BY_HOUR_MAX => Self::Hour,
            size if size < DAY => Self::Day,
            _ => Self::Window(windows),
        }
    }

    /// The period in which sessions are filed, given the slices that none of them crosses: so none straddles two.
    pub(crate) fn for_slices(slices: Tumble) -> Self {
        let fills =
            |period_micros: i64| u128::from(period_micros.unsigned_abs()).is_multiple_of(slices.size().as_micros());
        if fills(HOUR_MICROS) {
            Self::Hour
        } else if fills(DAY_MICROS) {
            Self::Day
        } else {
            Self::Window(slices)
        }
    }

    /// The period that holds the window which starts at `window_start`.
    #[must_use]
    pub fn range(&self, window_start: Timestamp) -> TimeRange {
        let length_micros = match self {
            Self::Hour => HOUR_MICROS,
            Self::Day => DAY_MICROS,
            Self::Window(tumble) => return tumble.window(window_start),
            Self::Calendar(calendar) => return calendar.window(window_start),
        };
        let into = window_start.0.rem_euclid(length_micros);
        TimeRange {
            start: Timestamp(window_start.0.saturating_sub(into)),
            end: Timestamp(window_start.0.saturating_add(length_micros - into)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(seconds: u64) -> ResultPeriod {
        ResultPeriod::for_window(Duration::from_secs(seconds)).expect("a size")
    }

    #[track_caller]
    fn check(size_seconds: u64, window_start: &str, start: &str, end: &str) {
        let [at, start, end] = [window_start, start, end].map(|text| text.parse().expect("a time"));
        assert_eq!(period(size_seconds).range(at), TimeRange { start, end });
    }

    #[test]
    fn small_windows_are_filed_by_the_hour_greater_ones_by_the_day_the_greatest_alone() {
        for seconds in [1, 60, 600] {
            assert_eq!(period(seconds), ResultPeriod::Hour);
        }
        for seconds in [601, 3_600, 86_399] {
            assert_eq!(period(seconds), ResultPeriod::Day);
        }
        for seconds in [86_400, 7 * 86_400] {
            assert!(matches!(period(seconds), ResultPeriod::Window(tumble) if tumble.size().as_secs() == seconds));
        }
    }

    #[test]
    fn a_window_belongs_to_the_period_that_holds_its_start() {
        check(420, "2021-08-27T13:58:00Z", "2021-08-27T13:00:00Z", "2021-08-27T14:00:00Z");
        check(420, "2021-08-27T14:05:00Z", "2021-08-27T14:00:00Z", "2021-08-27T15:00:00Z");
        check(3_600, "2021-08-27T23:00:00Z", "2021-08-27T00:00:00Z", "2021-08-28T00:00:00Z");
        check(7 * 86_400, "2021-08-26T00:00:00Z", "2021-08-26T00:00:00Z", "2021-09-02T00:00:00Z");
        check(60, "1969-12-31T23:59:00Z", "1969-12-31T23:00:00Z", "1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_window_that_cannot_be_has_no_period() {
        assert!(ResultPeriod::for_window(Duration::ZERO).is_err());
    }
}
