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
#[serde(try_from = "SavedHop", into = "SavedHop")]
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

/// Hopping windows as they are saved.
#[derive(Serialize, Deserialize)]
struct SavedHop {
    slide: Duration,
    size: Duration,
}

impl TryFrom<SavedHop> for Hop {
    type Error = Error;
    fn try_from(saved: SavedHop) -> Result<Self, Error> {
        Self::new(saved.slide, saved.size)
    }
}

impl From<Hop> for SavedHop {
    fn from(hop: Hop) -> Self {
        Self { slide: hop.slide(), size: hop.size() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn hop(slide_seconds: u64, size_seconds: u64) -> Hop {
        Hop::new(seconds(slide_seconds), seconds(size_seconds)).expect("windows")
    }

    #[track_caller]
    fn check(hop: Hop, at_seconds: i64, expected: &[(i64, i64)]) {
        let windows: Vec<_> = hop.windows_over(Timestamp::from_seconds(at_seconds)).collect();
        let range = |(start, end): &(i64, i64)| TimeRange {
            start: Timestamp::from_seconds(*start),
            end: Timestamp::from_seconds(*end),
        };
        assert_eq!(windows, expected.iter().map(range).collect::<Vec<_>>(), "{at_seconds} s");
    }

    #[test]
    fn a_moment_is_in_every_window_that_began_less_than_a_size_ago() {
        check(hop(4, 8), 7, &[(0, 8), (4, 12)]);
        check(hop(4, 8), 8, &[(4, 12), (8, 16)]);
        check(hop(4, 8), -1, &[(-8, 0), (-4, 4)]);
    }

    #[test]
    fn where_the_slide_does_not_go_into_the_size_some_moments_are_in_fewer() {
        check(hop(4, 6), 4, &[(0, 6), (4, 10)]);
        check(hop(4, 6), 6, &[(4, 10)]);
        check(hop(4, 6), -2, &[(-4, 2)]);
        assert_eq!(hop(4, 6).pane().size(), seconds(2));
    }

    #[test]
    fn windows_that_do_not_overlap_are_tumbling_ones() {
        check(hop(60, 60), 119, &[(60, 120)]);
        assert_eq!(hop(60, 60).pane().size(), seconds(60));
    }

    #[test]
    fn windows_that_cannot_be_are_refused_by_name() {
        let refused = |slide, size| Hop::new(slide, size).expect_err("no windows");
        let nanos = Duration::from_nanos(1_500);
        assert_eq!(refused(nanos, seconds(1)), Error::Size(nanos));
        assert_eq!(refused(seconds(1), Duration::ZERO), Error::Size(Duration::ZERO));
        assert_eq!(refused(seconds(1), Duration::MAX), Error::Size(Duration::MAX));
        let gaps = refused(seconds(2), seconds(1)).to_string();
        assert_eq!(
            gaps,
            "windows of 1s that begin every 2s leave moments that are in no window: use tumble with a filter"
        );
        let panes = refused(seconds(60), seconds(7 * 86_400));
        assert!(panes.to_string().contains("are of 10080 panes, and may be of 10000"), "{panes}");
        // A slide that hardly misses the size makes tiny panes.
        assert!(matches!(refused(seconds(9_999), seconds(10_001)), Error::HopPanes { panes: 10_001, .. }));
        assert_eq!(hop(1, 10_000).windows_over(Timestamp(0)).count(), 10_000);
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        for hop in [hop(1, 1), hop(4, 6), hop(86_400, 36_525 * 86_400 / 10)] {
            for time in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX].map(Timestamp) {
                assert!(hop.windows_over(time).all(|window| window.start <= time && time <= window.end));
                assert!(hop.window(hop.first_over(time).start).end >= hop.first_over(time).end);
            }
        }
    }

    #[test]
    fn they_are_written_as_slide_and_size() {
        let saved = serde_json::to_string(&hop(4, 6)).expect("JSON");
        assert_eq!(saved, r#"{"slide":{"secs":4,"nanos":0},"size":{"secs":6,"nanos":0}}"#);
        assert_eq!(serde_json::from_str::<Hop>(&saved).expect("windows"), hop(4, 6));
        assert!(serde_json::from_str::<Hop>(&saved.replace('6', "3")).is_err());
    }
}
