//! Numbers as people read them.

/// How far a view's build is: `building 42 %, about 3 min left`.
pub(crate) fn building(fraction: f64, seconds_left: Option<f64>) -> String {
    // It is at its end when it is live, not before.
    let percent = (fraction * 100.0).floor().clamp(0.0, 99.0);
    let left = match seconds_left.map(f64::ceil) {
        None => String::new(),
        Some(seconds) if seconds < 100.0 => format!(", about {seconds} s left"),
        Some(seconds) if seconds < 5_400.0 => format!(", about {:.0} min left", seconds / 60.0),
        Some(seconds) => format!(", about {:.0} h left", seconds / 3_600.0),
    };
    format!("building {percent} %{left}")
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 event`, `1,234 events`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        for (number, text) in [(0, "0 rows"), (1, "1 row"), (1_000, "1,000 rows")] {
            assert_eq!(counted(number, "row"), text);
        }
    }

    #[test]
    fn what_is_left_of_a_build_is_told_in_the_unit_that_fits() {
        for (fraction, left, text) in [
            (0.0, None, "building 0 %"),
            (0.999, Some(0.2), "building 99 %, about 1 s left"),
            (1.0, Some(180.0), "building 99 %, about 3 min left"),
            (0.5, Some(7_300.0), "building 50 %, about 2 h left"),
        ] {
            assert_eq!(building(fraction, left), text);
        }
    }
}
