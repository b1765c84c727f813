//! One value as a point in time, by the rule that says how times are written there; and, where it is none, why.
//!
//! Whatever the form, a time is of the years 1678 to 2261 ([`Timestamp::FIRST`]): what lies outside of them is no time. The
//! usual forms cost what they must; why a value is none is asked for only when somebody is told.

use std::fmt;

use jiff::{civil::DateTime, tz::TimeZone};
use lakehead_model::{EventTimeRule, TimeFormat, Timestamp};

use crate::{
    Raw,
    date_text::{self, DateText},
    parse_rfc3339,
};

/// Longest value that is shown to a person, in bytes.
const SHOWN_BYTES_MAX: usize = 60;

/// Reads times as one rule says. Prepared once.
#[derive(Clone, Debug)]
pub struct TimeReader {
    format: TimeFormat,
    zone: Option<TimeZone>,
}

/// Why a value is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotATime {
    /// It is not written as the rule says.
    Form,
    /// It is, but it names no zone and the rule has none.
    NoZone,
    /// It is a time before 1678 or after 2261.
    Range,
}

impl TimeReader {
    /// Prepares to read as `rule` says.
    ///
    /// # Errors
    /// When there is no such zone; in words.
    pub fn new(rule: &EventTimeRule) -> Result<Self, String> {
        let zone = rule.zone.as_deref().map(zone).transpose()?;
        Ok(Self { format: rule.format, zone })
    }

    /// Reads as `format` says, where text that names no zone is no time.
    #[must_use]
    pub fn of(format: TimeFormat) -> Self {
        Self { format, zone: None }
    }

    /// The time that `raw` says.
    ///
    /// # Errors
    /// Why it is none.
    #[inline]
    pub fn read(&self, raw: Raw<'_>) -> Result<Timestamp, NotATime> {
        read_time(raw, self.format, self.zone.as_ref())
    }
}

impl Raw<'_> {
    /// A point in time in the given format, of the years that times may be of ([`Timestamp::FIRST`]). Unix times may have
    /// a fraction; below a microsecond is cut off, towards the past. Text without a zone is none here: that takes a
    /// [`TimeReader`].
    #[must_use]
    pub fn as_time(self, format: TimeFormat) -> Option<Timestamp> {
        read_time(self, format, None).ok()
    }
}

/// The zone of this name.
fn zone(name: &str) -> Result<TimeZone, String> {
    let unknown =
        || format!("there is no time zone {name:?}; write one as in \"UTC\", \"+01:00\" or \"Europe/Berlin\"");
    if name.eq_ignore_ascii_case("utc") || name == "Z" {
        return Ok(TimeZone::UTC);
    }
    if name.starts_with(['+', '-']) {
        let midnight = format!("2000-01-01T00:00{name}");
        let offset = date_text::iso(midnight.as_bytes()).and_then(|read| read.offset_seconds);
        let offset = offset.and_then(|seconds| i32::try_from(seconds).ok());
        let offset = offset.and_then(|seconds| jiff::tz::Offset::from_seconds(seconds).ok());
        return offset.map(TimeZone::fixed).ok_or_else(unknown);
    }
    let database = jiff::tz::TimeZoneDatabase::bundled();
    database.get(name).ok().filter(|zone| !zone.is_unknown()).ok_or_else(unknown)
}

fn read_time(raw: Raw<'_>, format: TimeFormat, zone: Option<&TimeZone>) -> Result<Timestamp, NotATime> {
    let time = match format {
        TimeFormat::Rfc3339 => text(raw, parse_rfc3339).ok_or(NotATime::Form)?,
        TimeFormat::UnixSeconds => unix(raw, Unit::Seconds)?,
        TimeFormat::UnixMillis => unix(raw, Unit::Millis)?,
        TimeFormat::UnixMicros => unix(raw, Unit::Micros)?,
        TimeFormat::UnixNanos => unix(raw, Unit::Nanos)?,
        TimeFormat::Iso => placed(text(raw, date_text::iso).ok_or(NotATime::Form)?, zone)?,
        TimeFormat::HttpDate => placed(text(raw, date_text::http_date).ok_or(NotATime::Form)?, zone)?,
        TimeFormat::Auto => auto(raw, zone)?,
    };
    time.in_range().ok_or(NotATime::Range)
}

/// Reads the text of a string, escapes resolved.
#[inline]
fn text<T>(raw: Raw<'_>, read: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
    match raw.unescaped_bytes() {
        Some(text) => read(text),
        None => read(raw.as_str()?.as_bytes()),
    }
}

/// The time that a text with its date says, in `zone` where it names none itself.
fn placed(read: DateText, zone: Option<&TimeZone>) -> Result<Timestamp, NotATime> {
    if let Some(offset_seconds) = read.offset_seconds {
        return Ok(Timestamp(read.micros_at(offset_seconds)));
    }
    let zone = zone.ok_or(NotATime::NoZone)?;
    let narrow = |number: i64| i8::try_from(number).unwrap_or(0);
    let civil = DateTime::new(
        i16::try_from(read.year).unwrap_or(0),
        narrow(read.month),
        narrow(read.day),
        narrow(read.hour),
        narrow(read.minute),
        narrow(read.second),
        i32::try_from(read.micros * 1_000).unwrap_or(0),
    );
    // A time that clocks show twice is the first of the two, one that they pass over is as if they had not.
    let instant = civil.ok().and_then(|civil| zone.to_ambiguous_timestamp(civil).compatible().ok());
    instant.map(|instant| Timestamp(instant.as_microsecond())).ok_or(NotATime::Range)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Seconds,
    Millis,
    Micros,
    Nanos,
}

impl Unit {
    /// By how great a number is. Seconds reach the year 5138 before they are taken for milliseconds, which below are of
    /// 1973 and earlier; so it goes on, by thousands.
    fn of(number: f64) -> Self {
        match number.abs() {
            ..1e11 => Self::Seconds,
            ..1e14 => Self::Millis,
            ..1e17 => Self::Micros,
            _ => Self::Nanos,
        }
    }
}

/// The number that a value is, or that the text of a string is.
fn number(raw: Raw<'_>) -> Option<Raw<'_>> {
    match raw.unescaped_bytes() {
        None => matches!(raw.bytes().first(), Some(b'-' | b'0'..=b'9')).then_some(raw),
        Some(text) => {
            let digits = text.strip_prefix(b"-").unwrap_or(text);
            let mut parts = digits.splitn(2, |byte| *byte == b'.');
            let mut all = parts.by_ref().map(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit));
            (all.next() == Some(true) && all.all(|is| is)).then(|| Raw::new(text))
        }
    }
}

fn unix(raw: Raw<'_>, unit: Unit) -> Result<Timestamp, NotATime> {
    let number = number(raw).ok_or(NotATime::Form)?;
    let micros = match unit {
        Unit::Seconds => number.as_micros(1_000_000),
        Unit::Millis => number.as_micros(1_000),
        Unit::Micros => number.as_micros(1),
        Unit::Nanos => number.as_micros(1).map(|nanos| Timestamp(nanos.0.div_euclid(1_000))),
    };
    micros.ok_or(NotATime::Range)
}

fn auto(raw: Raw<'_>, zone: Option<&TimeZone>) -> Result<Timestamp, NotATime> {
    if let Some(number) = number(raw) {
        return unix(number, Unit::of(number.as_f64().ok_or(NotATime::Range)?));
    }
    let read = text(raw, |text| date_text::iso(text).or_else(|| date_text::http_date(text)));
    placed(read.ok_or(NotATime::Form)?, zone)
}

/// How `raw` is written, where it is a time: in words, as a format, and the zone without which it would be none.
pub(crate) fn looks_like(raw: Raw<'_>) -> Option<(&'static str, TimeFormat, Option<&'static str>)> {
    let utc = TimeZone::UTC;
    read_time(raw, TimeFormat::Auto, Some(&utc)).ok()?;
    let (looks, format) = match number(raw) {
        Some(number) => match Unit::of(number.as_f64()?) {
            Unit::Seconds => ("Unix seconds", TimeFormat::UnixSeconds),
            Unit::Millis => ("Unix milliseconds", TimeFormat::UnixMillis),
            Unit::Micros => ("Unix microseconds", TimeFormat::UnixMicros),
            Unit::Nanos => ("Unix nanoseconds", TimeFormat::UnixNanos),
        },
        None => match text(raw, date_text::iso) {
            Some(read) if read.offset_seconds.is_some() => ("ISO 8601", TimeFormat::Iso),
            Some(_) => ("ISO 8601 without a zone", TimeFormat::Iso),
            None => ("a date of HTTP or mail", TimeFormat::HttpDate),
        },
    };
    let zone = (read_time(raw, format, None) == Err(NotATime::NoZone)).then_some("UTC");
    Some((looks, format, zone))
}

/// A path as a pipeline file has it.
pub(crate) fn written(path: &[String]) -> String {
    if path.iter().any(|key| key.contains('.')) {
        let keys: Vec<String> = path.iter().map(|key| format!("{key:?}")).collect();
        return format!("[{}]", keys.join(", "));
    }
    format!("{:?}", path.join("."))
}

/// A value for a person: its beginning, where it is long.
pub(crate) struct Shown<'d>(pub(crate) Raw<'d>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.bytes();
        if bytes.len() <= SHOWN_BYTES_MAX {
            return f.write_str(&String::from_utf8_lossy(bytes));
        }
        write!(
            f,
            "{}…",
            String::from_utf8_lossy(&bytes[..SHOWN_BYTES_MAX]).trim_end_matches(char::REPLACEMENT_CHARACTER)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: TimeFormat, zone: Option<&str>, value: &str) -> Result<String, NotATime> {
        let rule = EventTimeRule { path: vec!["t".into()], format, zone: zone.map(str::to_owned) };
        let reader = TimeReader::new(&rule).expect("a zone");
        reader.read(Raw::new(value.as_bytes())).map(|time| time.to_string())
    }

    #[track_caller]
    fn check(format: TimeFormat, zone: Option<&str>, value: &str, time: &str) {
        assert_eq!(read(format, zone, value).as_deref(), Ok(time), "{value}");
    }

    const NOON: &str = "2026-11-28T11:30:00Z";

    #[test]
    fn unix_times_are_numbers_or_text_that_is_one() {
        for (format, value) in [
            (TimeFormat::UnixSeconds, "1795865400"),
            (TimeFormat::UnixSeconds, "1795865400.0"),
            (TimeFormat::UnixSeconds, "1.7958654e9"),
            (TimeFormat::UnixSeconds, "\"1795865400\""),
            (TimeFormat::UnixMillis, "1795865400000"),
            (TimeFormat::UnixMillis, "\"1795865400000\""),
            (TimeFormat::UnixMicros, "1795865400000000"),
            (TimeFormat::UnixNanos, "1795865400000000999"),
        ] {
            check(format, None, value, NOON);
            check(TimeFormat::Auto, None, value, NOON);
        }
        for value in ["\"\"", "\"-\"", "\"1e9\"", "\"1.\"", "\"0x10\"", "true", "null", "[1]", "{}", "\" 1\""] {
            assert_eq!(read(TimeFormat::UnixSeconds, None, value), Err(NotATime::Form), "{value}");
        }
    }

    #[test]
    fn text_of_every_form_is_read_as_its_format_says_and_by_auto() {
        for (format, text) in [
            (TimeFormat::Rfc3339, "2026-11-28T12:30:00+01:00"),
            (TimeFormat::Iso, "2026-11-28T11:30Z"),
            (TimeFormat::Iso, "2026-11-28 13:30:00 +0200"),
            (TimeFormat::Iso, "2026-11-28T13:30:00+02"),
            (TimeFormat::Iso, "2026-11-28 11:30:00 UTC"),
            (TimeFormat::HttpDate, "Sat, 28 Nov 2026 11:30:00 GMT"),
            (TimeFormat::HttpDate, "28 Nov 2026 12:30 +0100"),
            (TimeFormat::HttpDate, "Saturday, 28-Nov-26 11:30:00 GMT"),
            (TimeFormat::HttpDate, "Sat Nov 28 11:30:00 2026"),
            (TimeFormat::HttpDate, "Sat, 28 Nov 2026 06:30:00 EST"),
            (TimeFormat::HttpDate, "Sat, 28 Nov 2026 11:30:00 +0000 (UTC)"),
        ] {
            check(format, None, &format!("\"{text}\""), NOON);
            check(TimeFormat::Auto, None, &format!("\"{text}\""), NOON);
        }
        for text in ["28 Foo 2026 11:30:00 GMT", "31 Feb 2026 11:30:00 GMT", "28 Nov 2026 11:30:00", "soon", "Sat", ""]
        {
            assert_eq!(read(TimeFormat::HttpDate, None, &format!("\"{text}\"")), Err(NotATime::Form), "{text}");
        }
        for text in ["2026-02-29", "2026-11-28T", "2026-11-28T11", "2026-11-28T11:30:", "2026-11-28x11:30", "26-11-28"]
        {
            assert_eq!(read(TimeFormat::Iso, Some("UTC"), &format!("\"{text}\"")), Err(NotATime::Form), "{text}");
        }
    }

    #[test]
    fn text_without_a_zone_is_a_time_only_where_the_rule_has_one() {
        for format in [TimeFormat::Iso, TimeFormat::Auto] {
            assert_eq!(read(format, None, "\"2026-11-28 11:30:00\""), Err(NotATime::NoZone));
            check(format, Some("UTC"), "\"2026-11-28 11:30:00\"", NOON);
            check(format, Some("+01:00"), "\"2026-11-28 12:30:00\"", NOON);
            check(format, Some("Europe/Berlin"), "\"2026-11-28T12:30:00\"", NOON);
            check(format, Some("Europe/Berlin"), "\"2026-07-01T12:30:00,25\"", "2026-07-01T10:30:00.25Z");
            // The clocks show it twice, or not at all.
            check(format, Some("Europe/Berlin"), "\"2026-10-25 02:30:00\"", "2026-10-25T00:30:00Z");
            check(format, Some("Europe/Berlin"), "\"2026-03-29 02:30:00\"", "2026-03-29T01:30:00Z");
            check(format, Some("UTC"), "\"2026-11-28\"", "2026-11-28T00:00:00Z");
        }
        assert_eq!(read(TimeFormat::Rfc3339, Some("UTC"), "\"2026-11-28T11:30:00\""), Err(NotATime::Form));
        let nowhere = EventTimeRule { path: vec![], format: TimeFormat::Iso, zone: Some("Mars/Olympus".into()) };
        assert!(TimeReader::new(&nowhere).expect_err("no zone").contains("no time zone \"Mars/Olympus\""));
    }

    #[test]
    fn what_is_outside_of_the_range_of_times_is_none_in_every_format() {
        for (format, value) in [
            (TimeFormat::Rfc3339, "\"0001-01-01T00:00:00Z\""),
            (TimeFormat::Rfc3339, "\"0000-01-01T00:00:00+01:00\""),
            (TimeFormat::Rfc3339, "\"1677-12-31T23:59:59.999999Z\""),
            (TimeFormat::Rfc3339, "\"2262-01-01T00:00:00Z\""),
            (TimeFormat::Rfc3339, "\"9999-12-31T23:59:59Z\""),
            (TimeFormat::Iso, "\"9999-12-31T23:59:59-12:00\""),
            (TimeFormat::HttpDate, "\"Fri, 31 Dec 9999 23:59:59 GMT\""),
            (TimeFormat::UnixSeconds, "9223372036854775807"),
            (TimeFormat::UnixSeconds, "-9214560000.000001"),
            (TimeFormat::UnixSeconds, "1e300"),
            (TimeFormat::UnixMillis, "-9223372036854775808"),
            (TimeFormat::UnixMicros, "9214646400000000"),
            (TimeFormat::Auto, "1e300"),
            (TimeFormat::Auto, "99999999999"),
        ] {
            assert_eq!(read(format, Some("UTC"), value), Err(NotATime::Range), "{value}");
        }
        check(TimeFormat::Rfc3339, None, "\"1678-01-01T00:00:00Z\"", "1678-01-01T00:00:00Z");
        check(TimeFormat::Rfc3339, None, "\"2261-12-31T23:59:59.999999Z\"", "2261-12-31T23:59:59.999999Z");
    }
}
