//! The counters of a view: what became of the events that it has seen.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What became of the events that a view has seen. What is in none of these was filtered out by its WHERE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Events seen: those before the view's offset.
    pub events: u64,
    /// Events in the view's windows.
    pub in_view: u64,
    /// Of these, those that came late and corrected a window.
    pub late: u64,
    /// Late events left out because `late = "drop"`.
    pub late_dropped: u64,
    /// Late events left out because they came later than `lateness`.
    pub too_late: u64,
    /// Events left out because they have no event time.
    pub without_time: u64,
    /// Events in some of their windows only, since the others were closed and are not corrected any more. Only windows that
    /// overlap have such; counted in `in_view` too.
    #[serde(default)]
    pub partly: u64,
    /// Late events, whatever became of them, by how long after the end of their window they came.
    #[serde(default)]
    pub late_by: LateBy,
    /// Events that the log did not hold any more when the view came to them; in none of the others.
    #[serde(default)]
    pub missed: u64,
    /// Events left out because an expression of the SQL fails on them.
    #[serde(default)]
    pub failed: u64,
}

/// Events by how late they came: how far the watermark was past the end of their window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateBy(pub [u64; LateBy::UP_TO.len() + 1]);

impl LateBy {
    /// Upper ends of the classes; what came later than the last is in one of its own.
    pub const UP_TO: [Duration; 5] = [
        Duration::from_secs(60),
        Duration::from_secs(600),
        Duration::from_secs(3_600),
        Duration::from_secs(6 * 3_600),
        Duration::from_secs(24 * 3_600),
    ];

    /// The classes' names, in order.
    pub const NAMES: [&str; 6] =
        ["up to 1 min", "up to 10 min", "up to 1 h", "up to 6 h", "up to 24 h", "more than 24 h"];

    pub(super) fn count(&mut self, late: Duration, events: u64) {
        let class = Self::UP_TO.iter().position(|up_to| late <= *up_to).unwrap_or(Self::UP_TO.len());
        if let Some(count) = self.0.get_mut(class) {
            *count += events;
        }
    }
}
