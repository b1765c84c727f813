//! Windows by the calendar: the days that are odd, and the ones that are not.

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
    check(Step::Months(1), apia, "2011-12-31T23:00:00+14:00", "2011-12-01T00:00:00-10:00", "2012-01-01T00:00:00+14:00");
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
    check(Step::Months(1), berlin, "2026-03-29T12:00:00Z", "2026-03-01T00:00:00+01:00", "2026-04-01T00:00:00+02:00");
    check(Step::Months(1), "UTC", "2024-02-29T12:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z");
    check(Step::Months(1), "UTC", "1900-02-28T12:00:00Z", "1900-02-01T00:00:00Z", "1900-03-01T00:00:00Z");
    check(Step::Months(3), berlin, "2026-11-23T12:00:00Z", "2026-10-01T00:00:00+02:00", "2027-01-01T00:00:00+01:00");
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
