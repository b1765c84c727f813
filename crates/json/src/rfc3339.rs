//! RFC 3339 text as a point in time, without a parser's ceremony: 30 ns would be a third of what an event may cost.

use lakehead_model::Timestamp;

/// The point in time that `text` says by RFC 3339, section 5.6: `2021-08-27T13:20:17Z`, `2026-02-03T09:34:13.569Z`,
/// `2019-05-31T12:00:00+02:00`. Lower-case `t` and `z` and a blank between date and time are taken too, as the RFC
/// allows. Digits of the fraction past the sixth are cut off; a leap second (`:60`) counts as the second before it.
/// `None` for anything else, an impossible date among it: 2021-02-29 is no day.
#[must_use]
pub fn parse_rfc3339(text: &[u8]) -> Option<Timestamp> {
    let (head, mut rest) = text.split_first_chunk::<19>()?;
    let [.., b'-', _, _, b'-', _, _, b'T' | b't' | b' ', _, _, b':', _, _, b':', _, _] = head else { return None };
    let year = two(head[0], head[1])? * 100 + two(head[2], head[3])?;
    let (month, day) = (two(head[5], head[6])?, two(head[8], head[9])?);
    let (hour, minute, second) = (two(head[11], head[12])?, two(head[14], head[15])?, two(head[17], head[18])?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second.min(59);

    let mut fraction = 0;
    if let Some((b'.', digits)) = rest.split_first() {
        let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length == 0 {
            return None;
        }
        let micros = |n: usize| digits[..length].get(n).map_or(0, |byte| i64::from(byte - b'0'));
        fraction = (0..6).fold(0, |sum, n| sum * 10 + micros(n));
        rest = &digits[length..];
    }
    let offset = match *rest {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 3_600 + minutes * 60;
            if sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    Some(Timestamp((seconds - offset) * 1_000_000 + fraction))
}

#[inline]
pub(crate) fn two(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| i64::from(tens * 10 + ones))
}

pub(crate) fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar, years 0 to 9999.
///
/// Years are counted from March, so that the leap day is the year's last; then the days before a month are
/// `(153 m + 2) / 5`, with March as 0: 0, 31, 61, 92, 122 …
pub(crate) fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before_year = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    before_year + (153 * month + 2) / 5 + day - 1 - 719_468
}
