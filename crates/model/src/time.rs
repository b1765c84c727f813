//! Points in time and half-open ranges of it, in microseconds since 1970-01-01T00:00:00Z.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// A point in time: microseconds since the Unix epoch, UTC. Used for event time and for received time alike; the
/// field's name says which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

const HOUR_MICROS: i64 = 3_600_000_000;

impl Timestamp {
    /// The first moment that an event time, or a value of a column of times, may be: 1678-01-01T00:00:00Z. Nanoseconds
    /// in 64 bits, in which the query engine computes some things, begin on 1677-09-21.
    pub const FIRST: Self = Self(-9_214_560_000_000_000);
    /// The last: 2261-12-31T23:59:59.999999Z. Nanoseconds in 64 bits end on 2262-04-11.
    pub const LAST: Self = Self(9_214_646_399_999_999);

    /// This time if it is one that an event may have, [`FIRST`](Self::FIRST) to [`LAST`](Self::LAST), both included.
    #[must_use]
    #[inline]
    pub fn in_range(self) -> Option<Self> {
        (Self::FIRST <= self && self <= Self::LAST).then_some(self)
    }

    /// From whole seconds; saturates.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// From whole milliseconds; saturates.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Whole milliseconds, rounded down.
    #[must_use]
    pub fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// This time plus `duration`; saturates.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This time less `duration`; saturates.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The start of this time's hour, UTC. A segment never crosses one.
    #[must_use]
    pub fn hour(self) -> Self {
        Self(self.0.div_euclid(HOUR_MICROS).saturating_mul(HOUR_MICROS))
    }

    /// The hour's folder, `YYYY/MM/DD/HH`, UTC.
    #[must_use]
    pub fn hour_folder(self) -> String {
        self.civil().strftime("%Y/%m/%d/%H").to_string()
    }

    fn civil(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }
}

/// RFC 3339 in UTC with microseconds where there are any: `2021-08-27T13:20:17Z`, `2026-02-03T09:34:13.569Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.civil().fmt(f)
    }
}

/// From RFC 3339, any offset, also on the last day of the year 9999.
impl FromStr for Timestamp {
    type Err = jiff::Error;
    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        let read = text.parse::<jiff::Timestamp>().map(|t| Self(t.as_microsecond()));
        read.or_else(|error| at_the_end(text).ok_or(error))
    }
}

/// The time that `text` says, where jiff can hold its date and not the instant: it keeps a day free at either end for zones.
fn at_the_end(text: &str) -> Option<Timestamp> {
    let pieces = jiff::fmt::temporal::Pieces::parse(text).ok()?;
    let (time, offset) = (pieces.time()?, pieces.to_numeric_offset()?);
    let days = pieces.date().duration_since(jiff::civil::date(1970, 1, 1)).as_hours() / 24;
    let of_day = time.duration_since(jiff::civil::Time::midnight());
    let seconds = days * 86_400 + of_day.as_secs() - i64::from(offset.seconds());
    Some(Timestamp(seconds * 1_000_000 + i64::from(of_day.subsec_micros())))
}

/// A half-open range of time, `[start, end)`: 12:00 to 13:00 has 12:00:00 in it and 13:00:00 not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TimeRange {
    /// The first moment that is in.
    pub start: Timestamp,
    /// The first moment that is not.
    pub end: Timestamp,
}

impl TimeRange {
    /// Whether `time` is in `[start, end)`.
    #[must_use]
    pub fn contains(self, time: Timestamp) -> bool {
        self.start <= time && time < self.end
    }
}

/// Tells the time. Only what the binary hands in reads the system's clock; tests hand in one that they set.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time now.
    fn now(&self) -> Timestamp;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_utc_hours() {
        let time: Timestamp = "2021-08-27T13:59:59.999999Z".parse().expect("a time");
        assert_eq!(time.hour_folder(), "2021/08/27/13");
        assert_eq!(time.hour().to_string(), "2021-08-27T13:00:00Z");
        assert_eq!(Timestamp(-1).hour().0, -HOUR_MICROS);
    }

    #[test]
    fn event_times_are_of_the_years_1678_to_2261() {
        assert_eq!(Timestamp::FIRST.to_string(), "1678-01-01T00:00:00Z");
        assert_eq!(Timestamp::LAST.to_string(), "2261-12-31T23:59:59.999999Z");
        let last_of_9999: Timestamp = "9999-12-31T23:59:59.5Z".parse().expect("a time");
        assert_eq!(last_of_9999.0, 253_402_300_799_500_000);
        assert_eq!("9999-12-31T23:59:59.5+02:00".parse::<Timestamp>().expect("a time").0, 253_402_293_599_500_000);
        assert!(
            "9999-12-32T00:00:00Z".parse::<Timestamp>().is_err() && "9999-12-31T00:00:00".parse::<Timestamp>().is_err()
        );
        assert_eq!(Timestamp::FIRST.in_range(), Some(Timestamp::FIRST));
        assert_eq!(Timestamp::LAST.in_range(), Some(Timestamp::LAST));
        assert_eq!(Timestamp(Timestamp::FIRST.0 - 1).in_range(), None);
        assert_eq!(Timestamp(Timestamp::LAST.0 + 1).in_range(), None);
        // The engine's nanoseconds hold all of them, and a season more at either end.
        for time in [Timestamp::FIRST.0 - 90 * 86_400_000_000, Timestamp::LAST.0 + 90 * 86_400_000_000] {
            assert!(time.checked_mul(1_000).is_some());
        }
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp(i64::MAX).plus(Duration::from_secs(1)).0, i64::MAX);
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
        assert!(!Timestamp(i64::MAX).to_string().is_empty());
    }
}
