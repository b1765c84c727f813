//! Text that says a point in time in other ways than RFC 3339: ISO 8601 with or without a zone, and the dates of HTTP and
//! mail.
//!
//! Pure reading of bytes, without allocation. What is read is taken apart no further than into a civil time and, where the
//! text names one, its distance from UTC; what zone a text without one is in, the caller knows.

use crate::rfc3339::{days, days_in, two};

/// A date and a time of day as a text says them, and how far from UTC that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DateText {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    pub(crate) micros: i64,
    /// Seconds east of Greenwich; `None` where the text does not say it.
    pub(crate) offset_seconds: Option<i64>,
}

impl DateText {
    /// Microseconds since 1970 of a clock that stands `offset_seconds` east of Greenwich.
    pub(crate) fn micros_at(self, offset_seconds: i64) -> i64 {
        let seconds =
            days(self.year, self.month, self.day) * 86_400 + self.hour * 3_600 + self.minute * 60 + self.second;
        (seconds - offset_seconds) * 1_000_000 + self.micros
    }

    fn checked(self) -> Option<Self> {
        let is_one = (1..=12).contains(&self.month)
            && (1..=days_in(self.year, self.month)).contains(&self.day)
            && self.hour <= 23
            && self.minute <= 59
            && self.second <= 60;
        // A leap second counts as the second before it.
        is_one.then_some(Self { second: self.second.min(59), ..self })
    }
}

/// `2026-11-28`, `2026-11-28 11:30`, `2026-11-28T11:30:00.5`, each with a zone behind the time or without: `Z`, `UTC`,
/// `+01:00`, `+0100`, `+01`.
pub(crate) fn iso(text: &[u8]) -> Option<DateText> {
    let (date, rest) = text.split_first_chunk::<10>()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *date else { return None };
    let mut read = DateText {
        year: two(y1, y2)? * 100 + two(y3, y4)?,
        month: two(m1, m2)?,
        day: two(d1, d2)?,
        hour: 0,
        minute: 0,
        second: 0,
        micros: 0,
        offset_seconds: None,
    };
    if rest.is_empty() {
        return read.checked();
    }
    let (b'T' | b't' | b' ', rest) = rest.split_first()? else { return None };
    let rest = time_of_day(rest, &mut read)?;
    match rest.trim_ascii() {
        [] => {}
        zone => read.offset_seconds = Some(offset(zone)?),
    }
    read.checked()
}

/// `Sat, 28 Nov 2026 11:30:00 GMT`, with or without the day of the week, the seconds, and with the zones of RFC 5322; and the
/// two old forms that RFC 9110, 5.6.7, wants read: `Saturday, 28-Nov-26 11:30:00 GMT` and `Sat Nov 28 11:30:00 2026`.
pub(crate) fn http_date(text: &[u8]) -> Option<DateText> {
    let mut words = text.split(|byte| matches!(byte, b' ' | b'\t' | b',')).filter(|word| !word.is_empty());
    let mut word = words.next()?;
    if is_weekday(word) {
        word = words.next()?;
    }
    let mut read =
        DateText { year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0, micros: 0, offset_seconds: None };
    if let Some(month) = month(word) {
        read.month = month;
        read.day = number(words.next()?, 2)?;
        if !time_of_day(words.next()?, &mut read)?.is_empty() {
            return None;
        }
        read.year = number(words.next()?, 4)?;
        read.offset_seconds = Some(0);
    } else {
        let mut parts = word.split(|byte| *byte == b'-');
        let day = parts.next()?;
        let (month_word, year) = match (parts.next(), parts.next(), parts.next()) {
            (Some(month), Some(year), None) => (month, year),
            (None, ..) => (words.next()?, words.next()?),
            _ => return None,
        };
        read.day = number(day, 2)?;
        read.month = month(month_word)?;
        read.year = match (number(year, 4)?, year.len()) {
            (short @ ..50, 2) => 2_000 + short,
            (short, 2 | 3) => 1_900 + short,
            (year, _) => year,
        };
        if !time_of_day(words.next()?, &mut read)?.is_empty() {
            return None;
        }
        read.offset_seconds = Some(offset(words.next()?)?);
    }
    // Behind it there may be a comment, as in "(UTC)".
    if words.next().is_some_and(|word| word[0] != b'(') {
        return None;
    }
    read.checked()
}

/// Reads `11:30`, `11:30:00` or `11:30:00.5` off the front and answers what follows.
fn time_of_day<'t>(text: &'t [u8], read: &mut DateText) -> Option<&'t [u8]> {
    let (head, mut rest) = text.split_first_chunk::<5>()?;
    let [h1, h2, b':', m1, m2] = *head else { return None };
    (read.hour, read.minute) = (two(h1, h2)?, two(m1, m2)?);
    if let [b':', s1, s2, after @ ..] = rest {
        read.second = two(*s1, *s2)?;
        rest = after;
        if let [b'.' | b',', digits @ ..] = rest {
            let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if length == 0 {
                return None;
            }
            let micros = |n: usize| digits[..length].get(n).map_or(0, |byte| i64::from(byte - b'0'));
            read.micros = (0..6).fold(0, |sum, n| sum * 10 + micros(n));
            rest = &digits[length..];
        }
    }
    Some(rest)
}

/// Seconds east of Greenwich.
fn offset(zone: &[u8]) -> Option<i64> {
    let hours = |hours: i64| Some(hours * 3_600);
    match zone {
        [sign @ (b'+' | b'-'), digits @ ..] => {
            let (h1, h2, m1, m2) = match *digits {
                [h1, h2] => (h1, h2, b'0', b'0'),
                [h1, h2, m1, m2] | [h1, h2, b':', m1, m2] => (h1, h2, m1, m2),
                _ => return None,
            };
            let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = hours * 3_600 + minutes * 60;
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        b"Z" | b"z" | b"UTC" | b"GMT" | b"UT" => Some(0),
        b"EDT" => hours(-4),
        b"EST" | b"CDT" => hours(-5),
        b"CST" | b"MDT" => hours(-6),
        b"MST" | b"PDT" => hours(-7),
        b"PST" => hours(-8),
        _ => None,
    }
}

fn number(digits: &[u8], digits_max: usize) -> Option<i64> {
    if digits.is_empty() || digits.len() > digits_max || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
}

fn month(word: &[u8]) -> Option<i64> {
    const MONTHS: [&[u8; 3]; 12] =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    let at = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(word))?;
    i64::try_from(at + 1).ok()
}

fn is_weekday(word: &[u8]) -> bool {
    const DAYS: [&[u8]; 7] = [b"monday", b"tuesday", b"wednesday", b"thursday", b"friday", b"saturday", b"sunday"];
    DAYS.iter().any(|day| word.eq_ignore_ascii_case(day) || word.eq_ignore_ascii_case(&day[..3]))
}
