//! Calendars against a clock on the wall that is read every minute.

use std::{collections::BTreeMap, time::Duration};

use jiff::{
    civil::Date,
    tz::{TimeZone, TimeZoneDatabase},
};
use lakehead_model::{TimeRange, Timestamp};
use proptest::prelude::*;

use super::any_time;
use crate::{Calendar, Step};

const MINUTE_MICROS: i64 = 60_000_000;

/// Zones whose clocks do every odd thing there is.
const ODD: &[&str] = &[
    "Africa/Cairo",
    "America/Havana",
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Pacific/Apia",
    "Pacific/Kwajalein",
    "UTC",
];

pub(super) fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop_oneof![Just(3_600_000_000_u64), Just(1), 1_u64..86_400_000_000]
            .prop_map(|micros| Step::Within(Duration::from_micros(micros))),
        prop_oneof![Just(1_u32), Just(7), 1_u32..=36_525].prop_map(Step::Days),
        prop_oneof![Just(1_u32), Just(3), 1_u32..=1_200].prop_map(Step::Months),
    ]
}

pub(super) fn any_zone() -> impl Strategy<Value = String> {
    let all: Vec<String> = TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect();
    let all = all.into_iter().filter(|name| Calendar::new(Step::Days(1), name).is_ok()).collect::<Vec<_>>();
    prop_oneof![prop::sample::select(ODD).prop_map(str::to_owned), prop::sample::select(all)]
}

/// Often a time that people have lived in.
pub(super) fn lived_time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![3 => (-4_000_000_000_i64..5_000_000_000).prop_map(Timestamp::from_seconds), 1 => any_time()]
}

/// What is on the wall at `time`.
fn shown(rules: &TimeZone, time: i64) -> Date {
    jiff::Timestamp::from_microsecond(time).expect("a time").to_zoned(rules.clone()).date()
}

/// The day that holds `minute`, by looking at the wall every minute from five days before it to five days after: a new
/// day begins whenever a date is shown that is later than all before.
fn day_by_looking(rules: &TimeZone, minute: i64) -> TimeRange {
    let (mut latest, mut starts) = (shown(rules, minute - 5 * 1_440 * MINUTE_MICROS), Vec::new());
    for time in (-5 * 1_440..5 * 1_440).map(|minutes| minute + minutes * MINUTE_MICROS) {
        let date = shown(rules, time);
        if latest < date {
            latest = date;
            starts.push(time);
        }
    }
    let next = starts.iter().position(|start| minute < *start).expect("a day ends within five");
    TimeRange { start: Timestamp(starts[next - 1]), end: Timestamp(starts[next]) }
}

#[track_caller]
fn check_days_around(zone: &str, noon: &str) {
    let rules = TimeZoneDatabase::bundled().get(zone).expect("a zone");
    let noon: Timestamp = noon.parse().expect("a time");
    for hours in -40..40 {
        let time = Timestamp(noon.0 + hours * 60 * MINUTE_MICROS);
        let day = day_by_looking(&rules, time.0);
        assert_eq!(Calendar::new(Step::Days(1), zone).expect("a calendar").window(time), day, "{zone} {time}");
        // And within the day, from its start as often as it takes.
        for minutes in [30, 60, 7 * 60] {
            let mut start = day.start.0;
            while start + minutes * MINUTE_MICROS <= time.0 {
                start += minutes * MINUTE_MICROS;
            }
            let end = Timestamp(start + minutes * MINUTE_MICROS).min(day.end);
            let step = Step::Within(Duration::from_secs(60 * minutes.unsigned_abs()));
            let window = Calendar::new(step, zone).expect("a calendar").window(time);
            assert_eq!(window, TimeRange { start: Timestamp(start), end }, "{zone} {time}");
        }
    }
}

#[test]
fn days_are_found_as_by_looking_at_the_clock_every_minute() {
    check_days_around("Europe/Berlin", "2026-03-29T12:00:00Z");
    check_days_around("Europe/Berlin", "2026-10-25T12:00:00Z");
    check_days_around("America/New_York", "2026-03-08T12:00:00Z");
    check_days_around("America/New_York", "2026-11-01T12:00:00Z");
    check_days_around("America/Sao_Paulo", "2018-11-04T12:00:00Z");
    check_days_around("America/Sao_Paulo", "2019-02-17T00:00:00Z");
    check_days_around("America/Havana", "2020-11-01T12:00:00Z");
    check_days_around("America/St_Johns", "2010-11-07T00:00:00Z");
    check_days_around("Asia/Kolkata", "2026-11-23T12:00:00Z");
    check_days_around("Asia/Kathmandu", "1986-01-01T00:00:00Z");
    check_days_around("Australia/Lord_Howe", "2026-04-05T00:00:00Z");
    check_days_around("Pacific/Apia", "2011-12-30T12:00:00Z");
    check_days_around("Pacific/Kwajalein", "1993-08-21T12:00:00Z");
    check_days_around("America/Toronto", "1919-03-31T05:00:00Z");
}

proptest! {
    #[test]
    fn windows_lie_side_by_side(step in any_step(), zone in any_zone(), time in lived_time()) {
        let calendar = Calendar::new(step, &zone).expect("a calendar");
        let window = calendar.window(time);
        prop_assert!(window.contains(time) || (time.0 == i64::MAX && window.end == time));
        prop_assert_eq!(calendar.window(window.start), window);
        prop_assert_eq!(calendar.window(Timestamp(window.end.0 - 1)), window);
        if window.start.0 > i64::MIN {
            prop_assert_eq!(calendar.window(Timestamp(window.start.0 - 1)).end, window.start);
        }
        if window.end.0 < i64::MAX {
            prop_assert_eq!(calendar.window(window.end).start, window.end);
        }
    }

    /// In windows of days, and in those of months, are whole days.
    #[test]
    fn greater_windows_are_made_of_days(step in any_step(), zone in any_zone(), time in lived_time()) {
        let window = Calendar::new(step, &zone).expect("a calendar").window(time);
        let days = Calendar::new(Step::Days(1), &zone).expect("a calendar");
        let (first, last) = (days.window(window.start), days.window(Timestamp(window.end.0 - 1)));
        if let Step::Within(size) = step {
            prop_assert_eq!(first, last);
            prop_assert!(window == first || window.end.since(window.start) <= size);
            prop_assert!(window.end == first.end || window.end.since(window.start) == size);
        } else {
            prop_assert_eq!((first.start, last.end), (window.start, window.end));
        }
    }

    #[test]
    fn a_month_is_what_the_clock_calls_it(zone in any_zone(), second in -4_000_000_000_i64..5_000_000_000, count in 1_u32..30) {
        let rules = TimeZoneDatabase::bundled().get(&zone).expect("a zone");
        let window = Calendar::new(Step::Months(count), &zone).expect("a calendar").window(Timestamp::from_seconds(second));
        let month = |date: Date| (i64::from(date.year()) - 1970) * 12 + i64::from(date.month()) - 1;
        let (first, next) = (shown(&rules, window.start.0), shown(&rules, window.end.0));
        prop_assert_eq!(month(first).rem_euclid(i64::from(count)), 0);
        prop_assert_eq!(month(next) - month(first), i64::from(count));
        prop_assert_eq!((first.day(), next.day()), (1, 1));
    }

    #[test]
    fn several_days_are_so_many_dates(second in -4_000_000_000_i64..5_000_000_000, count in 1_u32..30) {
        // Berlin never skipped a date.
        let rules = TimeZoneDatabase::bundled().get("Europe/Berlin").expect("a zone");
        let calendar = Calendar::new(Step::Days(count), "Europe/Berlin").expect("a calendar");
        let window = calendar.window(Timestamp::from_seconds(second));
        let mut dates = BTreeMap::<Date, u32>::new();
        for hour in (window.start.0..window.end.0).step_by(3_600_000_000) {
            *dates.entry(shown(&rules, hour)).or_default() += 1;
        }
        prop_assert_eq!(dates.len(), usize::try_from(count).expect("small"));
        prop_assert!(dates.values().all(|hours| (23..=25).contains(hours)));
        let since = dates.keys().next().expect("a date").since(Date::constant(1970, 1, 1)).expect("days").get_days();
        prop_assert_eq!(i64::from(since).rem_euclid(i64::from(count)), 0);
    }
}
