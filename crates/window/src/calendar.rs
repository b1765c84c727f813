//! Windows by the civil calendar of a time zone: hours, days, weeks and months as the people there have them.

use std::time::Duration;

use jiff::{civil::Date, tz::Offset};
use lakehead_model::{TimeRange, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Tumble,
    zone::{FIRST_DAY, LAST_DAY, Zone},
};

/// As with other windows, beyond a century a size is a mistake rather than a wish.
const DAYS_MAX: u32 = 36_525;
const MONTHS_MAX: u32 = 1_200;

const DAY: Duration = Duration::from_secs(86_400);
const DAY_SECONDS: i64 = 86_400;

/// How long a calendar's windows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Less than 24 hours: each local day is cut up anew from its first instant, by the time that really passes. The
    /// day's last window ends with the day, so that a day of 23 hours has three windows of six hours and one of five,
    /// and a day of 25 hours has 25 of one hour.
    Within(Duration),
    /// So many local days, counted from 1970-01-01. With 7 they begin on Thursdays, as 1970 did.
    Days(u32),
    /// So many local months, counted from January 1970: 3 are the quarters, 12 the years.
    Months(u32),
}

/// Windows by the civil calendar of a time zone. They lie side by side, and every moment is in exactly one.
///
/// With a step of one day in `Europe/Berlin` the window of 2026-03-29 is `[2026-03-28T23:00:00Z,
/// 2026-03-29T22:00:00Z)`, 23 hours: 2026-03-28T23:00:00Z is in, 2026-03-29T22:00:00Z is out. A day begins at the first
/// instant of its date, which is not 00:00 where that is skipped. A date that is skipped has no window.
///
/// The time zones are those that Lakehead was built with, so windows depend on no machine's settings. Rules that are
/// not yet made are not known: a later build may know better about the future.
///
/// What is before the year −9998 is one window, and what is after 9998 is one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Calendar {
    step: Step,
    zone: Zone,
}

impl Calendar {
    /// Windows of `step` in the time zone of this IANA name.
    ///
    /// # Errors
    /// When no zone is called `zone`, or when the step is zero, more than a century, or, within the day, no whole
    /// number of microseconds below 24 hours.
    pub fn new(step: Step, zone: &str) -> Result<Self, Error> {
        let counted = |count, unit, count_max| {
            if (1..=count_max).contains(&count) { Ok(()) } else { Err(Error::Step { count, unit, count_max }) }
        };
        match step {
            Step::Days(count) => counted(count, "days", DAYS_MAX)?,
            Step::Months(count) => counted(count, "months", MONTHS_MAX)?,
            Step::Within(size) if size >= DAY => return Err(Error::Within(size)),
            Step::Within(size) => {
                Tumble::new(size)?;
            }
        }
        Ok(Self { step, zone: Zone::new(zone)? })
    }

    /// How long the windows are.
    #[must_use]
    pub fn step(&self) -> Step {
        self.step
    }

    /// The time zone's IANA name.
    #[must_use]
    pub fn zone(&self) -> &str {
        self.zone.name()
    }

    /// The local days in which the windows lie, for those that are shorter; else the windows themselves.
    pub(crate) fn whole_days(&self) -> Self {
        match self.step {
            Step::Within(_) => Self { step: Step::Days(1), zone: self.zone.clone() },
            Step::Days(_) | Step::Months(_) => self.clone(),
        }
    }

    /// The one window that holds `time`. (The last moment of all time is in the last window, although that ends with
    /// it.)
    ///
    /// This looks up the zone's rules a few times. For a column of times keep the last window, and ask only for a time
    /// that it does not [contain](TimeRange::contains).
    #[must_use]
    pub fn window(&self, time: Timestamp) -> TimeRange {
        let day = self.zone.day_at(time);
        match self.step {
            Step::Within(size) => cut(self.zone.day(day), time, size, day),
            Step::Days(count) => {
                let count = i64::from(count);
                let first = day.div_euclid(count) * count;
                self.days(first, first + count)
            }
            Step::Months(count) => {
                let count = i64::from(count);
                let first = month_of(day).div_euclid(count) * count;
                self.days(first_day(first), first_day(first + count))
            }
        }
    }

    fn days(&self, first: i64, next: i64) -> TimeRange {
        TimeRange { start: self.zone.start_of(first), end: self.zone.start_of(next) }
    }
}

/// The piece of `of_day` that holds `time`, when it is cut every `size`. The two that go to the ends of time stay whole.
fn cut(of_day: TimeRange, time: Timestamp, size: Duration, day: i64) -> TimeRange {
    if !(FIRST_DAY..LAST_DAY).contains(&day) {
        return of_day;
    }
    let into = time.since(of_day.start).as_micros() % size.as_micros();
    let start = Timestamp(time.0.saturating_sub(i64::try_from(into).unwrap_or(0)));
    TimeRange { start, end: start.plus(size).min(of_day.end) }
}

/// The month that a day is in, counted from January 1970.
fn month_of(day: i64) -> i64 {
    let midnight = jiff::Timestamp::from_second(day * DAY_SECONDS).expect("a day from FIRST_DAY − 1 to LAST_DAY");
    let date = Offset::UTC.to_datetime(midnight).date();
    (i64::from(date.year()) - 1970) * 12 + i64::from(date.month()) - 1
}

/// The first day of a month that is counted from January 1970; of one beyond the calendar, a day beyond it.
fn first_day(month: i64) -> i64 {
    let year = i16::try_from(1970 + month.div_euclid(12)).ok();
    let in_year = i8::try_from(month.rem_euclid(12) + 1).expect("of twelve");
    let date = year.and_then(|year| Date::new(year, in_year, 1).ok());
    match date.and_then(|date| Offset::UTC.to_timestamp(date.into()).ok()) {
        Some(midnight) => midnight.as_second().div_euclid(DAY_SECONDS),
        None if month < 0 => FIRST_DAY - 1,
        None => LAST_DAY + 1,
    }
}

/// A calendar as it is written: without the zone's rules, which are looked up when it is read.
#[derive(Serialize, Deserialize)]
struct Written {
    step: Step,
    zone: String,
}

impl TryFrom<Written> for Calendar {
    type Error = Error;
    fn try_from(written: Written) -> Result<Self, Error> {
        Self::new(written.step, &written.zone)
    }
}

impl From<Calendar> for Written {
    fn from(calendar: Calendar) -> Self {
        Self { step: calendar.step, zone: calendar.zone.name().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Step = Step::Days(1);

    fn hours(hours: u64) -> Step {
        Step::Within(Duration::from_secs(3_600 * hours))
    }

    fn calendar(step: Step, zone: &str) -> Calendar {
        Calendar::new(step, zone).expect("a calendar")
    }

    /// Times are in the zone's own offset where they have one, as people there would write them.
    #[track_caller]
    fn check(step: Step, zone: &str, at: &str, start: &str, end: &str) {
        let calendar = calendar(step, zone);
        let [at, start, end] = [at, start, end].map(|text| text.parse::<Timestamp>().expect("a time"));
        let window = TimeRange { start, end };
        assert_eq!(calendar.window(at), window, "{} to {}", calendar.window(at).start, calendar.window(at).end);
        assert_eq!(calendar.window(start), window);
        assert_eq!(calendar.window(Timestamp(end.0 - 1)), window);
        assert_eq!(calendar.window(end).start, end);
        assert_eq!(calendar.window(Timestamp(start.0 - 1)).end, start);
    }

    #[test]
    fn days_are_as_long_as_the_clocks_make_them() {
        let berlin = "Europe/Berlin";
        check(DAY, berlin, "2026-03-29T12:00:00Z", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00");
        check(DAY, berlin, "2026-10-25T12:00:00Z", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00");
        let york = "America/New_York";
        check(DAY, york, "2026-03-08T12:00:00Z", "2026-03-08T00:00:00-05:00", "2026-03-09T00:00:00-04:00");
        check(DAY, york, "2026-11-01T04:00:00Z", "2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00");
        check(DAY, "Asia/Kolkata", "2026-11-23T18:30:00Z", "2026-11-24T00:00:00+05:30", "2026-11-25T00:00:00+05:30");
        check(DAY, "Asia/Kathmandu", "2026-11-23T18:14:59Z", "2026-11-23T00:00:00+05:45", "2026-11-24T00:00:00+05:45");
        check(DAY, "UTC", "2026-10-25T12:00:00Z", "2026-10-25T00:00:00Z", "2026-10-26T00:00:00Z");
    }

    #[test]
    fn a_day_without_midnight_begins_when_its_date_does() {
        let paulo = "America/Sao_Paulo";
        check(DAY, paulo, "2018-11-04T12:00:00Z", "2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00");
        check(DAY, paulo, "2018-11-04T02:59:59Z", "2018-11-03T00:00:00-03:00", "2018-11-04T00:00:00-03:00");
        check(hours(6), paulo, "2018-11-04T12:00:00Z", "2018-11-04T07:00:00-02:00", "2018-11-04T13:00:00-02:00");
    }

    #[test]
    fn a_midnight_that_comes_twice_begins_one_day() {
        check(DAY, "America/Havana", "2020-11-01T12:00:00Z", "2020-11-01T00:00:00-04:00", "2020-11-02T00:00:00-05:00");
        // At 00:01 the clocks went back to 23:01 of the day before. That day does not come again.
        let johns = "America/St_Johns";
        check(DAY, johns, "2010-11-06T23:30:00-03:30", "2010-11-07T00:00:00-02:30", "2010-11-08T00:00:00-03:30");
    }

    #[test]
    fn a_date_that_is_skipped_has_no_window() {
        let apia = "Pacific/Apia";
        check(DAY, apia, "2011-12-29T12:00:00-10:00", "2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00");
        check(DAY, apia, "2011-12-31T12:00:00+14:00", "2011-12-31T00:00:00+14:00", "2012-01-01T00:00:00+14:00");
        check(
            Step::Months(1),
            apia,
            "2011-12-31T23:00:00+14:00",
            "2011-12-01T00:00:00-10:00",
            "2012-01-01T00:00:00+14:00",
        );
    }

    #[test]
    fn hours_are_cut_from_the_day_and_the_last_one_ends_with_it() {
        let berlin = "Europe/Berlin";
        check(hours(6), berlin, "2026-03-29T03:00:00+02:00", "2026-03-29T00:00:00+01:00", "2026-03-29T07:00:00+02:00");
        check(hours(6), berlin, "2026-03-29T23:00:00+02:00", "2026-03-29T19:00:00+02:00", "2026-03-30T00:00:00+02:00");
        check(hours(5), berlin, "2026-11-23T23:00:00+01:00", "2026-11-23T20:00:00+01:00", "2026-11-24T00:00:00+01:00");
        let of_day = calendar(DAY, berlin).window("2026-10-25T12:00:00Z".parse().expect("a time"));
        let mut starts = vec![of_day.start];
        while let Some(last) =
            starts.last().map(|last| calendar(hours(1), berlin).window(*last)).filter(|l| l.end < of_day.end)
        {
            starts.push(last.end);
        }
        assert_eq!(starts.len(), 25);
    }

    #[test]
    fn several_days_are_counted_from_1970() {
        let berlin = "Europe/Berlin";
        check(Step::Days(7), berlin, "2026-03-29T12:00:00Z", "2026-03-26T00:00:00+01:00", "2026-04-02T00:00:00+02:00");
        check(Step::Days(2), "UTC", "1969-12-31T12:00:00Z", "1969-12-30T00:00:00Z", "1970-01-01T00:00:00Z");
        check(Step::Days(7), "UTC", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-08T00:00:00Z");
    }

    #[test]
    fn months_quarters_and_years_are_the_calendar_s() {
        let berlin = "Europe/Berlin";
        check(
            Step::Months(1),
            berlin,
            "2026-03-29T12:00:00Z",
            "2026-03-01T00:00:00+01:00",
            "2026-04-01T00:00:00+02:00",
        );
        check(Step::Months(1), "UTC", "2024-02-29T12:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z");
        check(Step::Months(1), "UTC", "1900-02-28T12:00:00Z", "1900-02-01T00:00:00Z", "1900-03-01T00:00:00Z");
        check(
            Step::Months(3),
            berlin,
            "2026-11-23T12:00:00Z",
            "2026-10-01T00:00:00+02:00",
            "2027-01-01T00:00:00+01:00",
        );
        check(Step::Months(12), "UTC", "1969-07-20T20:17:00Z", "1969-01-01T00:00:00Z", "1970-01-01T00:00:00Z");
    }

    #[test]
    fn what_the_calendar_does_not_know_is_one_window_each() {
        for step in [hours(1), DAY, Step::Days(7), Step::Months(1), Step::Months(1_200)] {
            for zone in ["UTC", "Pacific/Apia", "America/New_York"] {
                let calendar = calendar(step, zone);
                let [first, last] = [i64::MIN, i64::MAX].map(|end| calendar.window(Timestamp(end)));
                assert_eq!((first.start.0, last.end.0), (i64::MIN, i64::MAX));
                for (window, year) in [(first, -9_999), (last, 9_999)] {
                    let inside = Timestamp::from_seconds((year - 1_970) * 31_556_952 + 7_000_000);
                    assert!(window.contains(inside), "{calendar:?}");
                    assert_eq!(calendar.window(inside), window);
                }
                assert!(calendar.window(first.end).start == first.end);
                assert!(calendar.window(Timestamp(last.start.0 - 1)).end == last.start);
            }
        }
    }

    #[test]
    fn steps_and_zones_that_cannot_be_are_refused_by_name() {
        let refused = |step, zone| Calendar::new(step, zone).expect_err("no calendar").to_string();
        assert_eq!(
            refused(DAY, "Berlin"),
            r#"no time zone is called "Berlin": give an IANA name such as "Europe/Berlin" or "UTC""#
        );
        assert!(refused(DAY, "").contains("IANA") && refused(DAY, "Etc/Unknown").contains("IANA"));
        assert_eq!(refused(Step::Days(0), "UTC"), "a window of 0 days cannot be: it must have from 1 to 36525 days");
        assert_eq!(refused(Step::Months(1_201), "UTC").split(':').next(), Some("a window of 1201 months cannot be"));
        assert_eq!(refused(hours(24), "UTC").split(':').next(), Some("a window of 86400s does not fit into a day"));
        assert!(refused(hours(0), "UTC").starts_with("a window of 0ns cannot be"));
    }

    #[test]
    fn it_is_written_as_its_step_and_its_zone_and_compared_by_them() {
        let days = calendar(Step::Days(7), "europe/BERLIN");
        let saved = serde_json::to_string(&days).expect("JSON");
        assert_eq!(saved, r#"{"step":{"days":7},"zone":"Europe/Berlin"}"#);
        assert_eq!(serde_json::from_str::<Calendar>(&saved).expect("a calendar"), days);
        assert!(serde_json::from_str::<Calendar>(r#"{"step":{"days":0},"zone":"UTC"}"#).is_err());
        assert!(days != calendar(Step::Days(7), "UTC") && days != calendar(DAY, "Europe/Berlin"));
    }
}
