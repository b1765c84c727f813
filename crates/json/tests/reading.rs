//! Single values: numbers, truth, text, times.

use lakehead_json::{EventTimes, Raw, parse_rfc3339};
use lakehead_model::{StreamSchema, TimeFormat, Timestamp};
use proptest::prelude::*;

fn raw(value: &str) -> Raw<'_> {
    Raw::new(value.as_bytes())
}

#[test]
fn integers_are_read_only_where_they_are_written_as_such() {
    for (value, expected) in [
        ("0", Some(0)),
        ("-0", Some(0)),
        ("-7", Some(-7)),
        ("9223372036854775807", Some(i64::MAX)),
        ("-9223372036854775808", Some(i64::MIN)),
        ("9223372036854775808", None),
        ("-9223372036854775809", None),
        ("99999999999999999999", None),
        ("1.0", None),
        ("1e3", None),
        ("\"7\"", None),
        ("true", None),
        ("null", None),
        ("[7]", None),
    ] {
        assert_eq!(raw(value).as_i64(), expected, "{value}");
    }
}

#[test]
fn a_value_is_not_taken_for_another_type() {
    assert_eq!(
        (raw("true").as_bool(), raw("false").as_bool(), raw("\"true\"").as_bool()),
        (Some(true), Some(false), None)
    );
    assert_eq!((raw("1").as_bool(), raw("null").as_bool()), (None, None));
    assert!(raw("null").is_null() && !raw("\"null\"").is_null());
    assert_eq!((raw("7").as_str(), raw("null").as_str(), raw("[\"a\"]").as_str()), (None, None, None));
    assert_eq!((raw("-0.5e1").as_f64(), raw("1e999").as_f64(), raw("\"1\"").as_f64()), (Some(-5.0), None, None));
    assert_eq!((raw("12345678901234567890").as_f64(), raw("{}").as_f64()), (Some(12_345_678_901_234_567_890.0), None));
}

#[test]
fn escapes_become_what_they_stand_for_and_lone_surrogates_the_replacement_character() {
    for (value, expected) in [
        (r#""""#, ""),
        (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r#""\u0041\u00e9\u20AC""#, "Aé€"),
        (r#""\ud83d\ude00""#, "😀"),
        (r#""\ud83d""#, "\u{fffd}"),
        (r#""\ude00x""#, "\u{fffd}x"),
        (r#""\ud83d\n""#, "\u{fffd}\n"),
        (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
        (r#""\ud83d\u0041""#, "\u{fffd}A"),
        (r#""a\u0000b""#, "a\0b"),
    ] {
        assert_eq!(raw(value).as_str().as_deref(), Some(expected), "{value}");
        assert!(raw(value).is_text(expected));
        assert_eq!(raw(value).unescaped().is_some(), !value.contains('\\'));
    }
}

#[test]
fn an_integer_is_a_number_without_a_fraction_however_it_is_written() {
    for (value, expected) in [
        ("7", Some(7)),
        ("7.0", Some(7)),
        ("-7.000", Some(-7)),
        ("7e0", Some(7)),
        ("70E-1", Some(7)),
        ("0.7e+1", Some(7)),
        ("1.5e1", Some(15)),
        ("10.0", Some(10)),
        ("-0.0", Some(0)),
        ("0e999999999999", Some(0)),
        ("9223372036854775807.0", Some(i64::MAX)),
        ("-9223372036854775808.0", Some(i64::MIN)),
        ("9.223372036854775807e18", Some(i64::MAX)),
        ("9223372036854775808.0", None),
        ("1e18", Some(1_000_000_000_000_000_000)),
        ("1e19", None),
        ("1e-1", None),
        ("7.5", None),
        ("0.1", None),
        ("1e999999999999", None),
        ("1e-999999999999", None),
        ("\"7\"", None),
        ("true", None),
        ("null", None),
        ("[7]", None),
    ] {
        assert_eq!(raw(value).as_integer(), expected, "{value}");
    }
}

#[test]
fn times_are_read_in_their_formats() {
    use TimeFormat::{Rfc3339, UnixMillis, UnixSeconds};
    for (value, format, expected) in [
        ("1630070417", UnixSeconds, Some(1_630_070_417_000_000)),
        ("1630070417.25", UnixSeconds, Some(1_630_070_417_250_000)),
        ("1630070417.123456", UnixSeconds, Some(1_630_070_417_123_456)),
        ("1630070417.9999999", UnixSeconds, Some(1_630_070_417_999_999)),
        ("1630070417123.4567", UnixMillis, Some(1_630_070_417_123_456)),
        ("-0.0000001", UnixSeconds, Some(-1)),
        ("-1.5", UnixSeconds, Some(-1_500_000)),
        ("-1.5000000", UnixSeconds, Some(-1_500_000)),
        ("-1.50000001", UnixSeconds, Some(-1_500_001)),
        ("1.5e0", UnixSeconds, Some(1_500_000)),
        ("1.5e9", UnixSeconds, Some(1_500_000_000_000_000)),
        ("9223372036854775807", UnixSeconds, None),
        ("1e300", UnixSeconds, None),
        ("\"1630070417\"", UnixSeconds, Some(1_630_070_417_000_000)),
        ("\"1630070417 \"", UnixSeconds, None),
        ("1630070417123", UnixMillis, Some(1_630_070_417_123_000)),
        ("\"2021-08-27T13:20:17Z\"", Rfc3339, Some(1_630_070_417_000_000)),
        ("\"2021-08-27T13:20:17\\u005a\"", Rfc3339, Some(1_630_070_417_000_000)),
        ("1630070417", Rfc3339, None),
        ("null", Rfc3339, None),
    ] {
        assert_eq!(raw(value).as_time(format), expected.map(Timestamp), "{value}");
    }
}

#[test]
fn rfc_3339_is_read_and_nothing_else() {
    for text in [
        "2021-08-27T13:20:17Z",
        "2026-02-03T09:34:13.569Z",
        "2019-05-31T12:00:00+02:00",
        "1969-12-31T23:59:59.999999Z",
        "0001-01-01T00:00:00Z",
        "9998-12-31T23:59:59.999999Z",
        "2020-02-29T00:00:00-23:59",
        "2000-02-29T00:00:00Z",
        "2021-08-27t13:20:17z",
        "2021-08-27 13:20:17Z",
        "2016-12-31T23:59:60Z",
    ] {
        assert_eq!(parse_rfc3339(text.as_bytes()), text.parse().ok(), "{text}");
    }
    for text in [
        "",
        "2021-08-27",
        "2021-08-27T13:20:17",
        "2021-08-27T13:20Z",
        "2021-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2021-13-01T00:00:00Z",
        "2021-00-01T00:00:00Z",
        "2021-01-00T00:00:00Z",
        "2021-04-31T00:00:00Z",
        "2021-01-01T24:00:00Z",
        "2021-01-01T00:60:00Z",
        "2021-01-01T00:00:61Z",
        "2021-01-01T00:00:00.Z",
        "2021-01-01T00:00:00,5Z",
        "2021-01-01T00:00:00+0200",
        "2021-01-01T00:00:00+24:00",
        "2021-01-01T00:00:00+02:60",
        "2021-01-01T00:00:00Zx",
        " 2021-01-01T00:00:00Z",
        "20210101T000000Z",
        "2021-01-01T00:00:0aZ",
        "+021-01-01T00:00:00Z",
        "2021-01-01T00:00:00Z[UTC]",
        "２021-01-01T00:00:00Z",
    ] {
        assert_eq!(parse_rfc3339(text.as_bytes()), None, "{text}");
    }
    assert_eq!(parse_rfc3339(b"1970-01-01T00:00:00.12345678901Z"), Some(Timestamp(123_456)), "any number of digits");
    assert_eq!(parse_rfc3339(b"1969-12-31T23:59:59.9999999Z"), Some(Timestamp(-1)), "cut off, towards the past");
}

#[test]
fn an_event_s_time_is_the_first_rule_s_that_is_there_and_readable() {
    let times = EventTimes::new(&StreamSchema::builtin("mediawiki/recentchange").expect("a built-in schema"));
    let dt = Some(Timestamp::from_seconds(1_559_304_000));
    for (event, expected) in [
        (r#"{"meta":{"dt":"2019-05-31T12:00:00Z"},"timestamp":7}"#, Some(Timestamp::from_seconds(7))),
        (r#"{"meta":{"dt":"2019-05-31T12:00:00Z"},"timestamp":"seven"}"#, dt),
        (r#"{"meta":{"dt":"2019-05-31T14:00:00+02:00"},"timestamp":null}"#, dt),
        (r#"{"meta":{"dt":"2019-05-31T12:00:00Z","domain":"canary"}}"#, dt),
        (r#"{"meta":{"dt":"yesterday"}}"#, None),
        ("{}", None),
        ("[]", None),
    ] {
        assert_eq!(times.of(event.as_bytes()), expected, "{event}");
    }
    assert_eq!(EventTimes::new(&StreamSchema::default()).of(b"{\"dt\":1}"), None);
}

#[test]
fn any_number_of_rules_is_tried_in_order() {
    let rules: Vec<_> =
        (0..20).map(|n| serde_json::json!({ "path": [format!("t{n}")], "format": "unix_seconds" })).collect();
    let schema = serde_json::json!({ "event_time": rules, "columns": [] });
    let times = EventTimes::new(&serde_json::from_value(schema).expect("a schema"));
    assert_eq!(times.of(br#"{"t19":19}"#), Some(Timestamp::from_seconds(19)));
    assert_eq!(times.of(br#"{"t19":19,"t8":8,"t7":null}"#), Some(Timestamp::from_seconds(8)));
    assert_eq!(times.of(br#"{"t19":19,"t8":8,"t7":7}"#), Some(Timestamp::from_seconds(7)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn times_are_read_as_by_jiff(
        (year, month, day) in (0_u32..10_000, 0_u32..14, 0_u32..33),
        (hour, minute, second) in (0_u32..25, 0_u32..61, 0_u32..61),
        fraction in prop::option::of("[0-9]{1,6}"),
        offset in prop_oneof![
            Just("Z".to_owned()),
            (any::<bool>(), 0_u32..24, 0_u32..60)
                .prop_map(|(east, hours, minutes)| format!("{}{hours:02}:{minutes:02}", if east { '+' } else { '-' })),
        ],
    ) {
        let fraction = fraction.map(|digits| format!(".{digits}")).unwrap_or_default();
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{offset}");
        // jiff's range ends a day before ours does.
        if year < 9_999 {
            prop_assert_eq!(parse_rfc3339(text.as_bytes()), text.parse().ok(), "{}", text);
        }
    }

    #[test]
    fn times_are_written_and_read_alike(micros in -62_000_000_000_000_000_i64..250_000_000_000_000_000) {
        prop_assert_eq!(parse_rfc3339(Timestamp(micros).to_string().as_bytes()), Some(Timestamp(micros)));
    }

    #[test]
    fn any_bytes_are_no_time_or_one(text in prop::collection::vec(any::<u8>(), 0..40)) {
        prop_assert_eq!(parse_rfc3339(&text).is_some(), false);
    }

    #[test]
    fn integers_are_read_as_by_the_standard_library(text in "-?(0|[1-9][0-9]{0,20})") {
        prop_assert_eq!(raw(&text).as_i64(), text.parse().ok());
        prop_assert_eq!(raw(&text).as_f64(), text.parse().ok());
    }

    #[test]
    fn unix_times_keep_every_microsecond(micros in Timestamp::FIRST.0..=Timestamp::LAST.0) {
        let sign = if micros < 0 { "-" } else { "" };
        let (seconds, below) = (micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
        let text = format!("{sign}{seconds}.{below:06}");
        prop_assert_eq!(raw(&text).as_time(TimeFormat::UnixSeconds), Some(Timestamp(micros)));
        let (millis, below) = (micros.unsigned_abs() / 1_000, micros.unsigned_abs() % 1_000);
        let text = format!("{sign}{millis}.{below:03}");
        prop_assert_eq!(raw(&text).as_time(TimeFormat::UnixMillis), Some(Timestamp(micros)));
    }
}
