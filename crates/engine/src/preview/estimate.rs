//! What an hour adds to a view, from a few events. Pure.
//!
//! ```text
//! least   groups seen, each once in every window of an hour, and never more rows than by `most`
//! most    rows seen ÷ events seen × events of an hour: every further event brings as much that is new as those seen did
//! ```
//! Ten events cannot tell more: whether the eleventh user is a new one is not in them. With more events (`--events`) the two come
//! closer.

use lakehead_query::WindowStep;

/// What was seen of a view.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Events of its stream.
    pub(super) events: u64,
    /// Rows that it made of them.
    pub(super) rows: u64,
    /// Groups beside the window among these; `None` where each row is one of its own.
    pub(super) groups: Option<u64>,
    /// How often windows begin.
    pub(super) step: Option<WindowStep>,
}

/// Rows that an hour adds, at `per_second` events of the stream: at least, at most. `None` where nothing was seen.
pub(super) fn rows_an_hour(seen: Seen, per_second: f64) -> Option<(u64, u64)> {
    if seen.events == 0 || seen.rows == 0 {
        return None;
    }
    let most = seen.rows as f64 / seen.events as f64 * per_second * 3_600.0;
    let least = match seen.groups {
        Some(groups) => (groups as f64 * windows_an_hour(seen.step)).min(most),
        None => most,
    };
    Some((whole(least), whole(most)))
}

/// Windows that begin in an hour; a part of one where they are longer. Sessions are as many as their groups, at least.
fn windows_an_hour(step: Option<WindowStep>) -> f64 {
    match step {
        Some(WindowStep::Time(step)) if !step.is_zero() => 3_600.0 / step.as_secs_f64(),
        Some(WindowStep::Days(days)) => 1.0 / (24.0 * f64::from(days.max(1))),
        // The longest month, since it is the least that is asked for.
        Some(WindowStep::Months(months)) => 1.0 / (31.0 * 24.0 * f64::from(months.max(1))),
        Some(WindowStep::Time(_) | WindowStep::Session(_)) | None => 1.0,
    }
}

/// `number` upwards, as far as a number of rows goes.
fn whole(number: f64) -> u64 {
    // The cast saturates, and what is no number is zero.
    number.ceil() as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_hour_lies_between_no_new_group_and_as_many_as_were_seen() {
        let minutes = Some(WindowStep::Time(Duration::from_secs(60)));
        let days = Some(WindowStep::Days(1));
        for (events, rows, groups, step, rate, expected) in [
            // Eight of ten events brought a group; a minute has at least these eight.
            (10, 8, Some(8), minutes, 30.0, Some((480, 86_400))),
            // One group: an hour has a row for each minute, and one event in ten brings one.
            (10, 1, Some(1), minutes, 1.0, Some((60, 360))),
            // So few events that no minute has all groups.
            (10, 8, Some(8), minutes, 0.01, Some((29, 29))),
            (10, 8, Some(8), days, 30.0, Some((1, 86_400))),
            (10, 10, None, None, 0.5, Some((1_800, 1_800))),
            (10, 4, None, None, 0.5, Some((720, 720))),
            (10, 0, Some(0), minutes, 30.0, None),
            (0, 0, None, None, 30.0, None),
        ] {
            let seen = Seen { events, rows, groups, step };
            assert_eq!(rows_an_hour(seen, rate), expected, "{seen:?} at {rate}/s");
        }
        let huge = Seen { events: 1, rows: u64::MAX, groups: None, step: None };
        assert_eq!(rows_an_hour(huge, f64::MAX), Some((u64::MAX, u64::MAX)));
    }
}
