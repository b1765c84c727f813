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
    /// Less than 24 hours: each local day is cut up from its own first instant, by the time that really passes. The
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
#[serde(try_from = "SavedCalendar", into = "SavedCalendar")]
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

/// A calendar as it is saved: without the zone's rules, which are looked up when it is read.
#[derive(Serialize, Deserialize)]
struct SavedCalendar {
    step: Step,
    zone: String,
}

impl TryFrom<SavedCalendar> for Calendar {
    type Error = Error;
    fn try_from(saved: SavedCalendar) -> Result<Self, Error> {
        Self::new(saved.step, &saved.zone)
    }
}

impl From<Calendar> for SavedCalendar {
    fn from(calendar: Calendar) -> Self {
        Self { step: calendar.step, zone: calendar.zone.name().to_owned() }
    }
}

#[cfg(test)]
mod tests;
