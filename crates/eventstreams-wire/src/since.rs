//! `since`: the time at which a stream is to begin.

use jiff::{
    civil::{Date, DateTime, Time},
    fmt::rfc2822::DateTimeParser,
    tz::TimeZone,
};

/// Reads `since`, as Unix milliseconds: anything that JavaScript takes for a number, or a date in one of the common forms
/// of `Date.parse`: RFC 3339, a date and time without an offset (UTC), a date, RFC 2822. `None` for anything else.
#[must_use]
pub fn read_since(text: &str) -> Option<i64> {
    let text = text.trim();
    let hexadecimal = text.strip_prefix("0x").and_then(|digits| i64::from_str_radix(digits, 16).ok());
    if let Some(millis) = hexadecimal.or_else(|| text.parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| n as i64)) {
        return Some(millis);
    }
    let time = text
        .parse::<jiff::Timestamp>()
        .ok()
        .or_else(|| DateTimeParser::new().parse_timestamp(text).ok())
        .or_else(|| utc(text.parse::<DateTime>().ok()?))
        .or_else(|| utc(text.parse::<Date>().ok()?.to_datetime(Time::midnight())))?;
    Some(time.as_millisecond())
}

/// Writes `since`: Unix milliseconds, the form that every server reads.
#[must_use]
pub fn write_since(millis: i64) -> String {
    millis.to_string()
}

fn utc(time: DateTime) -> Option<jiff::Timestamp> {
    time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_read_as_javascript_would() {
        for (text, millis) in [
            ("1630070417001", 1_630_070_417_001),
            ("20180614", 20_180_614),
            ("1.6e12", 1_600_000_000_000),
            ("0x10", 16),
            ("2021-08-27T13:20:17Z", 1_630_070_417_000),
            ("2021-08-27T15:20:17.5+02:00", 1_630_070_417_500),
            ("2021-08-27T13:20:17", 1_630_070_417_000),
            ("2021-08-27", 1_630_022_400_000),
            ("Fri, 27 Aug 2021 13:20:17 GMT", 1_630_070_417_000),
        ] {
            assert_eq!(read_since(text), Some(millis), "{text}");
        }
        for bad in ["yesterday", "2021-13-01", "NaN", "inf", "12 o'clock"] {
            assert_eq!(read_since(bad), None, "{bad}");
        }
    }
}
