//! The days of a time zone: which instant each begins at, which of them an instant is in.
//!
//! Days are counted from 1970-01-01, by the local date. A day begins at the first instant at which the local date is
//! it *or a later one*. That makes days lie side by side whatever the clocks did:
//!
//! ```text
//! midnight is skipped   00:00 → 01:00    the day begins at 01:00                  São Paulo, 2018-11-04
//! midnight comes twice  01:00 → 00:00    the day begins at the first 00:00        Havana, 2020-11-01
//! back over midnight    00:01 → 23:01    the day begins at the first 00:00; the
//!                                        second 23:01 is in it, too               St John's, 2010-11-07
//! a date is skipped     29th → 31st      the 30th is empty                        Apia, 2011-12-30
//! ```
//!
//! Time zones are those that are compiled in, so the answer depends on no machine's files. Their rules are carried on
//! from the years −9998 to 9998; what is before and after is a single day each.

use std::hash::{Hash, Hasher};

use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};
use lakehead_model::{TimeRange, Timestamp};

use crate::Error;

const DAY_SECONDS: i64 = 86_400;
const SECOND_MICROS: i64 = 1_000_000;

/// −9998-01-01. A year of room for offsets before it: jiff's time begins with −9999.
pub(crate) const FIRST_DAY: i64 = -4_371_222;
/// 9999-01-01. A year of room for offsets after it: jiff's time ends with 9999.
pub(crate) const LAST_DAY: i64 = 2_932_532;

/// A time zone, equal to another if it has the same name.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    name: String,
    rules: TimeZone,
}

impl Zone {
    /// The zone of this IANA name, in any case: `europe/berlin` is `Europe/Berlin`.
    pub(crate) fn new(name: &str) -> Result<Self, Error> {
        let rules = TimeZoneDatabase::bundled().get(name).ok().filter(|rules| !rules.is_unknown());
        let rules = rules.ok_or_else(|| Error::Zone(name.to_owned()))?;
        Ok(Self { name: rules.iana_name().unwrap_or(name).to_owned(), rules })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The number of the day that `time` is in.
    pub(crate) fn day_at(&self, time: Timestamp) -> i64 {
        let known = (FIRST_DAY - 2) * DAY_SECONDS..=(LAST_DAY + 2) * DAY_SECONDS;
        let second = time.0.div_euclid(SECOND_MICROS).clamp(*known.start(), *known.end());
        let mut day = self.local_day(second).clamp(FIRST_DAY - 1, LAST_DAY);
        // The clocks may have gone back over midnight: the next day began before, and does not end for that.
        while day < LAST_DAY && self.start_of(day + 1) <= time {
            day += 1;
        }
        day
    }

    /// The whole of a day. It is empty when its date was skipped.
    pub(crate) fn day(&self, day: i64) -> TimeRange {
        TimeRange { start: self.start_of(day), end: self.start_of(day + 1) }
    }

    /// Where a day begins: where time does before the first, where it ends after the last.
    pub(crate) fn start_of(&self, day: i64) -> Timestamp {
        if day < FIRST_DAY {
            return Timestamp(i64::MIN);
        }
        if day > LAST_DAY {
            return Timestamp(i64::MAX);
        }
        let midnight = day * DAY_SECONDS;
        let at = |offset: Offset| midnight - i64::from(offset.seconds());
        let second = match self.rules.to_ambiguous_timestamp(Offset::UTC.to_datetime(instant(midnight))).offset() {
            AmbiguousOffset::Unambiguous { offset } => at(offset),
            AmbiguousOffset::Fold { before, .. } => at(before),
            AmbiguousOffset::Gap { before, after } => self.leap(day, at(after), at(before)),
        };
        Timestamp::from_seconds(second)
    }

    /// The second at which the clocks leap over the midnight of `day`: after `before`, at `reached` at the latest.
    fn leap(&self, day: i64, mut before: i64, mut reached: i64) -> i64 {
        while before + 1 < reached {
            let middle = i64::midpoint(before, reached);
            if self.local_day(middle) < day {
                before = middle;
            } else {
                reached = middle;
            }
        }
        reached
    }

    /// What the local calendar shows.
    fn local_day(&self, second: i64) -> i64 {
        (second + i64::from(self.rules.to_offset(instant(second)).seconds())).div_euclid(DAY_SECONDS)
    }
}

fn instant(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(second).expect("between FIRST_DAY and LAST_DAY, which have a year of room")
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl Hash for Zone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Timestamp = Timestamp(SECOND_MICROS);

    /// The greatest local day that the clocks have shown before `time`. Between two changes of the clocks that only
    /// grows, so it is enough to look right before `time`, and right before each change that may matter.
    fn shown_before(zone: &Zone, changes: &[i64], time: Timestamp) -> i64 {
        let second = time.0 / SECOND.0;
        let near = changes.iter().filter(|change| (second - 3 * DAY_SECONDS..second).contains(change));
        near.chain([&second]).map(|before| zone.local_day(before - 1)).max().expect("one at least")
    }

    #[test]
    fn in_every_zone_a_day_begins_when_the_clocks_first_show_it_or_a_later_one() {
        let from = instant(-200 * 365 * DAY_SECONDS);
        let mut changes_seen = 0;
        for name in TimeZoneDatabase::bundled().available() {
            let Ok(zone) = Zone::new(name.as_str()) else { continue };
            assert_eq!(zone.name(), name.as_str());
            let changes: Vec<i64> = zone
                .rules
                .following(from)
                .map(|change| change.timestamp().as_second())
                .take_while(|second| *second < 80 * 365 * DAY_SECONDS)
                .collect();
            changes_seen += changes.len();
            for change in &changes {
                let today = zone.local_day(*change);
                for day in today - 2..today + 3 {
                    let start = zone.start_of(day);
                    assert!(zone.local_day(start.0 / SECOND.0) >= day, "{name:?} shows {day} at {start}");
                    assert!(shown_before(&zone, &changes, start) < day, "{name:?} showed {day} before {start}");
                    let found = zone.day_at(start);
                    assert!(
                        zone.day(found).contains(start) && (found == day || zone.day(day).end == start),
                        "{name:?}"
                    );
                }
            }
        }
        assert!(changes_seen > 10_000, "{changes_seen}");
    }

    #[test]
    fn the_known_years_end_where_they_are_said_to() {
        let utc = Zone::new("UTC").expect("a zone");
        assert_eq!(utc.start_of(FIRST_DAY).to_string(), "-009998-01-01T00:00:00Z");
        assert_eq!(utc.start_of(LAST_DAY).to_string(), "9999-01-01T00:00:00Z");
        assert_eq!(utc.day(FIRST_DAY - 1), TimeRange { start: Timestamp(i64::MIN), end: utc.start_of(FIRST_DAY) });
        assert_eq!(utc.day(LAST_DAY), TimeRange { start: utc.start_of(LAST_DAY), end: Timestamp(i64::MAX) });
        assert_eq!(utc.day_at(Timestamp(i64::MAX)), LAST_DAY);
        assert_eq!(utc.day_at(Timestamp(i64::MIN)), FIRST_DAY - 1);
    }
}
