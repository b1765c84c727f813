//! Hopping windows: they overlap, and a moment is in several.

use std::time::Duration;

use lakehead_model::{TimeRange, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Error, Tumble};

/// Most panes in a window. Each window is put together from its panes, and each pane goes into as many windows at the
/// most: this bounds the rows that one partial row becomes. A week by the minute (10 080) is just too much, a day by
/// the ten seconds (8 640) is not.
const PANES_MAX: u64 = 10_000;

/// Windows of one size that begin every `slide`, aligned to 1970-01-01T00:00:00Z: the k-th is
/// `[k · slide, k · slide + size)`, for negative k too.
///
/// With a slide of one minute and a size of five 13:20:17 is in five windows, from `[13:16:00, 13:21:00)` to
/// `[13:20:00, 13:25:00)`; it is not in `[13:15:00, 13:20:00)`, nor in `[13:21:00, 13:26:00)`.
///
/// Events are not counted once for each of their windows but once for their *pane*: a tumbling window of the greatest
/// size that goes into both `slide` and `size`. No window begins or ends inside a pane, so every window is a whole number
/// of them.
///
/// ```text
/// slide 4, size 6:   windows   [0, 6)  [4, 10)  [8, 14) …     panes of 2   [4, 6) is in [0, 6) and in [4, 10)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Hop {
    slide: Tumble,
    pane: Tumble,
    size_micros: i64,
}

impl Hop {
    /// Windows of `size` that begin every `slide`.
    ///
    /// # Errors
    /// When one of them can be no [`Tumble`]'s size, when `slide` is the greater one, so that some moments would be in
    /// no window, and when a window would have more than 10 000 panes.
    pub fn new(slide: Duration, size: Duration) -> Result<Self, Error> {
        let (starts, ends) = (Tumble::new(slide)?, Tumble::new(size)?);
        if slide > size {
            return Err(Error::HopGaps { slide, size });
        }
        let pane = gcd(starts.size_micros(), ends.size_micros());
        let panes = (ends.size_micros() / pane).unsigned_abs();
        if panes > PANES_MAX {
            return Err(Error::HopPanes { slide, size, panes, panes_max: PANES_MAX });
        }
        let pane = Tumble::new(Duration::from_micros(pane.unsigned_abs()))?;
        Ok(Self { slide: starts, pane, size_micros: ends.size_micros() })
    }

    /// From one window's start to the next one's.
    #[must_use]
    pub fn slide(self) -> Duration {
        self.slide.size()
    }

    /// From a window's start to its end.
    #[must_use]
    pub fn size(self) -> Duration {
        Duration::from_micros(self.size_micros.unsigned_abs())
    }

    /// The windows' starts as tumbling windows, each from one start to the next.
    pub(crate) fn starts(self) -> Tumble {
        self.slide
    }

    /// The tumbling windows of which every window is a whole number.
    #[must_use]
    #[inline]
    pub fn pane(self) -> Tumble {
        self.pane
    }

    /// All windows that hold `time`, which may be a pane's start and then stands for the pane: in order, one at least.
    /// (At the two ends of time they are cut short.)
    pub fn windows_over(self, time: Timestamp) -> impl Iterator<Item = TimeRange> {
        (self.first(time)..=self.last(time)).map(move |k| self.nth(k))
    }

    /// The first window that holds `time`: it ends before all others that do.
    #[must_use]
    pub fn first_over(self, time: Timestamp) -> TimeRange {
        self.nth(self.first(time))
    }

    /// The last window that holds `time`: it ends after all others that do.
    #[must_use]
    pub fn last_over(self, time: Timestamp) -> TimeRange {
        self.nth(self.last(time))
    }

    /// The window that starts at `start`, a whole number of slides from the epoch.
    #[must_use]
    pub fn window(self, start: Timestamp) -> TimeRange {
        TimeRange { start, end: Timestamp(start.0.saturating_add(self.size_micros)) }
    }

    /// The least k with `time < k · slide + size`.
    fn first(self, time: Timestamp) -> i128 {
        (i128::from(time.0) - i128::from(self.size_micros)).div_euclid(self.slide_micros()) + 1
    }

    /// The greatest k with `k · slide <= time`.
    fn last(self, time: Timestamp) -> i128 {
        i128::from(time.0).div_euclid(self.slide_micros())
    }

    fn nth(self, k: i128) -> TimeRange {
        let start = k * self.slide_micros();
        TimeRange { start: saturated(start), end: saturated(start + i128::from(self.size_micros)) }
    }

    fn slide_micros(self) -> i128 {
        i128::from(self.slide.size_micros())
    }
}

/// Near the ends of time a window's start or end is beyond them.
fn saturated(micros: i128) -> Timestamp {
    Timestamp(i64::try_from(micros).unwrap_or(if micros < 0 { i64::MIN } else { i64::MAX }))
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Hopping windows as they are written.
#[derive(Serialize, Deserialize)]
struct Written {
    slide: Duration,
    size: Duration,
}

impl TryFrom<Written> for Hop {
    type Error = Error;
    fn try_from(written: Written) -> Result<Self, Error> {
        Self::new(written.slide, written.size)
    }
}

impl From<Hop> for Written {
    fn from(hop: Hop) -> Self {
        Self { slide: hop.slide(), size: hop.size() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_in_every_window_that_began_less_than_a_size_ago() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let hop = Hop::new(minutes(1), minutes(5)).expect("windows");
        let at: Timestamp = "2026-11-23T13:20:17Z".parse().expect("a time");
        let windows: Vec<_> = hop.windows_over(at).collect();
        assert_eq!(windows.len(), 5);
        assert_eq!(windows.first().map(|window| window.start.to_string()).as_deref(), Some("2026-11-23T13:16:00Z"));
        assert_eq!(windows.last().map(|window| window.end.to_string()).as_deref(), Some("2026-11-23T13:25:00Z"));
    }
}
