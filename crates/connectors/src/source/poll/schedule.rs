//! When a request is due: after a span of time, or by a cron expression. Pure: times come in as arguments.
//!
//! ```text
//!  asked       due         due         due      now
//!    │ every    │           │           │        │
//!    ●──────────┴── asleep ─┴───────────┴────────●──────────┬──▶
//!                                          asked once     due
//! ```
//! Whatever was missed, be it by one interval or by a thousand, is made up for by one request.

use std::time::Duration;

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::tz::TimeZone;
use lakehead_model::{Span, Timestamp};

/// The shortest and the longest interval.
const EVERY_MIN: Duration = Duration::from_secs(1);
const EVERY_MAX: Duration = Duration::from_secs(366 * 86_400);

/// Longest cron expression that is read.
const CRON_BYTES_MAX: usize = 256;

/// How far the clock may be set back without anything following from it: as far as clocks are corrected.
const SET_BACK_MAX: Duration = Duration::from_secs(60);

/// When requests are due.
#[derive(Clone, Debug)]
pub(super) enum Schedule {
    /// So long after the one before.
    Every(Duration),
    /// At these times of a zone.
    Cron { cron: Box<Cron>, zone: TimeZone },
}

impl Schedule {
    /// From the settings `every`, or `cron` and `zone`.
    ///
    /// # Errors
    /// What cannot be, and under which key.
    pub(super) fn new(every: Option<Span>, cron: Option<&str>, zone: Option<&str>) -> Result<Self, String> {
        match (every, cron) {
            (Some(_), Some(_)) => Err("every and cron: expected one of them, found both".to_owned()),
            (None, None) => Err("every or cron: expected one of them, as in every = \"10m\"".to_owned()),
            (Some(_), None) if zone.is_some() => Err("zone: only with cron; a span of time has no zone".to_owned()),
            (Some(every), None) if !(EVERY_MIN..=EVERY_MAX).contains(&every.0) => {
                Err(format!("every: expected 1s to 366d, found {every}"))
            }
            (Some(every), None) => Ok(Self::Every(every.0)),
            (None, Some(cron)) => Self::cron(cron, zone),
        }
    }

    fn cron(text: &str, zone: Option<&str>) -> Result<Self, String> {
        if text.len() > CRON_BYTES_MAX {
            return Err(format!("cron: expected at most {CRON_BYTES_MAX} bytes, found {}", text.len()));
        }
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|error| {
            let why = error.to_string();
            format!(
                "cron: {text:?} is no cron expression, as in \"*/10 * * * *\" (minute, hour, day, month, weekday; before them, if \
                 wanted, the second): {}",
                why.trim_end_matches('.')
            )
        })?;
        let zone = match zone {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| {
                format!("zone: {name:?} is no time zone; expected a name as in \"Europe/Athens\", or nothing for UTC")
            })?,
        };
        let schedule = Self::Cron { cron: Box::new(cron), zone };
        // Four years have every date that there is; the eight around 2100 have no 29th of February.
        if schedule.next(Timestamp::from_seconds(1_767_225_600)).is_none() {
            return Err(format!("cron: {text:?} never comes: there is no such date"));
        }
        Ok(schedule)
    }

    /// When a request is due that was made last at `asked`, by a source that was opened at `opened`. One that was never made is
    /// due at once with `every`, and at the next time of `cron`.
    pub(super) fn due(&self, asked: Option<Timestamp>, opened: Timestamp) -> Timestamp {
        match (self, asked) {
            (Self::Every(_), None) => opened,
            (Self::Every(every), Some(asked)) => asked.plus(*every),
            (Self::Cron { .. }, _) => self.next(asked.unwrap_or(opened)).unwrap_or(Timestamp(i64::MAX)),
        }
    }

    /// The first time of the expression after `after`.
    fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let Self::Cron { cron, zone } = self else { return None };
        let after = jiff::Timestamp::from_microsecond(after.0).ok()?.to_zoned(zone.clone());
        let next = cron.find_next_occurrence(&after, false).ok()?;
        Some(Timestamp(next.timestamp().as_microsecond()))
    }
}

/// When a request was made that is noted as made at `asked`: a time that has not come yet was read from a clock that was ahead,
/// and a request must not wait until it is caught up with.
pub(super) fn believed(asked: Timestamp, now: Timestamp) -> Timestamp {
    if asked.since(now) > SET_BACK_MAX { now } else { asked }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(text: &str) -> Result<Schedule, String> {
        Schedule::new(Some(text.parse().expect("a span")), None, None)
    }

    fn cron(text: &str, zone: Option<&str>) -> Result<Schedule, String> {
        Schedule::new(None, Some(text), zone)
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn following(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
        let mut asked = at(after);
        let mut times = Vec::new();
        for _ in 0..count {
            asked = schedule.due(Some(asked), Timestamp(0));
            times.push(asked.to_string());
        }
        times
    }

    #[test]
    fn an_interval_begins_at_once_and_follows_on_the_request_before() {
        let schedule = every("10m").expect("a schedule");
        let opened = at("2026-11-30T12:00:07Z");
        assert_eq!(schedule.due(None, opened), opened);
        assert_eq!(schedule.due(Some(opened), opened), at("2026-11-30T12:10:07Z"));
        // Asleep for three hours: due in the past, so once, and then after an interval.
        assert_eq!(schedule.due(Some(at("2026-11-30T09:00:00Z")), opened), at("2026-11-30T09:10:00Z"));
    }

    #[test]
    fn a_cron_expression_says_times_of_utc_or_of_its_zone() {
        let schedule = cron("*/10 * * * *", None).expect("a schedule");
        assert_eq!(schedule.due(None, at("2026-11-30T12:00:00Z")), at("2026-11-30T12:10:00Z"), "not the time itself");
        assert_eq!(following(&schedule, "2026-11-30T23:45:00.5Z", 2), ["2026-11-30T23:50:00Z", "2026-12-01T00:00:00Z"]);
        let athens = cron("0 9 * * MON-FRI", Some("Europe/Athens")).expect("a schedule");
        assert_eq!(following(&athens, "2026-11-27T12:00:00Z", 2), ["2026-11-30T07:00:00Z", "2026-12-01T07:00:00Z"]);
        assert_eq!(following(&athens, "2026-07-03T12:00:00Z", 1), ["2026-07-06T06:00:00Z"], "summer");
        let seconds = cron("30 * * * * *", None).expect("six fields begin with the second");
        assert_eq!(following(&seconds, "2026-11-30T12:00:30Z", 1), ["2026-11-30T12:01:30Z"]);
    }

    #[test]
    fn an_hour_that_a_zone_leaves_out_or_has_twice_comes_once() {
        let daily = cron("30 2 * * *", Some("Europe/Berlin")).expect("a schedule");
        let spring = following(&daily, "2026-03-28T12:00:00Z", 2);
        assert!(spring[0].starts_with("2026-03-29T") && spring[1].starts_with("2026-03-30T"), "{spring:?}");
        let autumn = following(&daily, "2026-10-24T12:00:00Z", 2);
        assert!(autumn[0].starts_with("2026-10-25T") && autumn[1].starts_with("2026-10-26T"), "{autumn:?}");
    }

    #[test]
    fn a_time_that_has_not_come_is_not_waited_for() {
        let now = at("2026-11-30T12:00:00Z");
        assert_eq!(believed(at("2027-11-30T12:00:00Z"), now), now, "a clock that was a year ahead");
        let corrected = at("2026-11-30T12:00:02Z");
        assert_eq!(believed(corrected, now), corrected, "else the same minute of cron would come twice");
    }

    #[test]
    fn what_is_no_schedule_is_said() {
        for (found, wanted) in [
            (Schedule::new(None, None, None), "every or cron: expected one of them"),
            (Schedule::new(Some(Span::seconds(5)), Some("* * * * *"), None), "found both"),
            (Schedule::new(Some(Span::seconds(5)), None, Some("UTC")), "zone: only with cron"),
            (every("10ms"), "every: expected 1s to 366d, found 10ms"),
            (every("400d"), "every: expected 1s to 366d"),
            (cron("", None), "is no cron expression"),
            (cron("every day", None), "cron: \"every day\" is no cron expression"),
            (cron("61 * * * *", None), "is no cron expression"),
            (cron("* * * *", None), "is no cron expression"),
            (cron("0 0 30 2 *", None), "never comes"),
            (cron("* * * * *", Some("Mars/Base")), "zone: \"Mars/Base\" is no time zone"),
            (cron(&"*".repeat(300), None), "at most 256 bytes"),
        ] {
            let said = found.expect_err(wanted);
            assert!(said.contains(wanted), "{said}");
        }
        assert!(cron("0 0 29 2 *", None).is_ok(), "it comes every four years");
    }

    proptest::proptest! {
        #[test]
        fn no_expression_panics(text in "[-0-9*/,LW#@?A-Z ]{0,24}") {
            if let Ok(schedule) = cron(&text, None) {
                let after = at("2026-11-30T12:00:00Z");
                proptest::prop_assert!(schedule.due(Some(after), after) > after);
            }
        }
    }
}
