//! An interval as a person writes it, `1 month 1 day` or `-90 minutes`, in place of the engine's three numbers.

/// How the engine begins to show one.
const SHOWN: &str = "IntervalMonthDayNano { months: ";
/// What stands around that where it is a constant in an expression.
const CONSTANT: (&str, &str) = ("IntervalMonthDayNano(\"", "\")");

/// The units of a length and their nanoseconds, the longest first.
const UNITS: [(&str, i64); 6] = [
    ("hour", 3_600_000_000_000),
    ("minute", 60_000_000_000),
    ("second", 1_000_000_000),
    ("millisecond", 1_000_000),
    ("microsecond", 1_000),
    ("nanosecond", 1),
];

/// The three parts of an interval in words, each in the longest unit that it is a whole number of.
pub(crate) fn in_words(months: i32, days: i32, nanos: i64) -> String {
    let calendar = if months % 12 == 0 { (i64::from(months / 12), "year") } else { (i64::from(months), "month") };
    let whole = UNITS.iter().find(|(_, nanos_of)| nanos % nanos_of == 0);
    let length = whole.map_or((nanos, "nanosecond"), |(unit, nanos_of)| (nanos / nanos_of, *unit));
    let parts = [calendar, (i64::from(days), "day"), length].into_iter().filter(|(count, _)| *count != 0);
    let words: Vec<String> = parts
        .map(|(count, unit)| format!("{count} {unit}{}", if matches!(count, 1 | -1) { "" } else { "s" }))
        .collect();
    if words.is_empty() { "0 seconds".to_owned() } else { words.join(" ") }
}

/// `text` with each interval that the engine shows in its own way as SQL has it: `INTERVAL '1 day'`.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(SHOWN) {
        let (before, shown) = rest.split_at(at);
        let Some((words, after)) = read(shown) else {
            plain.push_str(&rest[..at + SHOWN.len()]);
            rest = &rest[at + SHOWN.len()..];
            continue;
        };
        let bare = before.strip_suffix(CONSTANT.0).zip(after.strip_prefix(CONSTANT.1));
        let (before, after) = bare.unwrap_or((before, after));
        plain.push_str(before);
        plain.push_str(&format!("INTERVAL '{words}'"));
        rest = after;
    }
    plain.push_str(rest);
    plain
}

/// The interval that `shown` begins with, in words, and what comes after it.
fn read(shown: &str) -> Option<(String, &str)> {
    let (parts, after) = shown.strip_prefix(SHOWN)?.split_once(" }")?;
    let (months, parts) = parts.split_once(", days: ")?;
    let (days, nanos) = parts.split_once(", nanoseconds: ")?;
    Some((in_words(months.parse().ok()?, days.parse().ok()?, nanos.parse().ok()?), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_told_as_it_is_written() {
        for (parts, words) in [
            ((0, -1, 0), "-1 day"),
            ((1, 1, 0), "1 month 1 day"),
            ((24, 0, 0), "2 years"),
            ((14, 0, 0), "14 months"),
            ((0, 0, 5_400_000_000_000), "90 minutes"),
            ((0, 1, 1_500_000_000), "1 day 1500 milliseconds"),
            ((0, 0, 1), "1 nanosecond"),
            ((0, 0, 0), "0 seconds"),
        ] {
            let (months, days, nanos) = parts;
            assert_eq!(in_words(months, days, nanos), words);
        }
    }

    #[test]
    fn what_the_engine_shows_becomes_what_sql_has() {
        let day = "IntervalMonthDayNano { months: 0, days: 1, nanoseconds: 0 }";
        for (shown, plainly) in [
            (format!("{day} mixes units"), "INTERVAL '1 day' mixes units".to_owned()),
            (format!("t + IntervalMonthDayNano(\"{day}\") > u"), "t + INTERVAL '1 day' > u".to_owned()),
            (format!("{day} and {day}"), "INTERVAL '1 day' and INTERVAL '1 day'".to_owned()),
            (format!("{SHOWN}x"), format!("{SHOWN}x")),
            ("nothing".to_owned(), "nothing".to_owned()),
        ] {
            assert_eq!(plain(&shown), plainly);
        }
    }
}
