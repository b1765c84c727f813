//! What an audit found out about one view: the balance of its events, and whatever does not add up.

use std::fmt;

use lakehead_model::Offset;
use serde::{Deserialize, Serialize};

use crate::keyed_rows::Differing;

/// Differences that are told in full; more are only counted.
const TOLD_MAX: usize = 10;

/// What an audit found out about one view.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ViewAudit {
    /// The stream it reads.
    pub stream: String,
    /// View and log were compared as of this offset.
    pub offset: Offset,
    /// What became of the events; `None` where the log begins after the view did, or only a part was audited.
    pub balance: Option<Balance>,
    /// Windows before this were not compared: they are not wholly in the log, or were not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared_from: Option<String>,
    /// Result files compared.
    pub files: u64,
    /// Windows whose events were counted again; where no partial rows are kept of them any more, result periods of such.
    pub windows: u64,
    /// Rows compared.
    pub rows: u64,
    /// Rows that differ because of late events that the view left out, as its counts say.
    pub explained: u64,
    /// Whatever does not add up.
    pub differences: u64,
    /// The first of them, in full.
    pub told: Vec<Difference>,
    /// What was not looked at, and why.
    #[serde(default)]
    pub not_checked: Vec<String>,
    /// The result files that were compared and found right, by name.
    #[serde(skip)]
    pub compared: Vec<String>,
}

impl ViewAudit {
    /// Counts a difference, and keeps it while there is room.
    pub(super) fn differs(&mut self, difference: Difference) {
        self.differences += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(difference);
        }
    }

    /// Notes something that does not add up about the whole view.
    pub fn found(&mut self, what: &str) {
        self.differs(Difference { what: what.to_owned(), ..Difference::default() });
    }

    /// Notes that the view's own files could not be read, so that the next start rebuilds it.
    pub fn unreadable(&mut self, why: &str) {
        self.differs(Difference { what: format!("{why}; the next start rebuilds the view"), ..Difference::default() });
    }
}

/// What became of the events of the log, by the view's counts and by the second count.
///
/// It adds up when `events = in_view + filtered + late_dropped + too_late + without_time + failed`, and what was counted twice
/// is the same both times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Balance {
    /// Events in the log before the offset.
    pub events: u64,
    /// Events that the view says it has seen.
    pub seen: u64,
    /// Events in its windows, as it says.
    pub in_view: u64,
    /// Events that its WHERE leaves out, by the second count.
    pub filtered: u64,
    /// Late events left out because of `late = "drop"`, as it says.
    pub late_dropped: u64,
    /// Late events left out because they came later than `lateness`, as it says.
    pub too_late: u64,
    /// Events without event time, as it says.
    pub without_time: u64,
    /// The same by the second count.
    pub without_time_in_log: u64,
    /// Events that an expression of its SQL fails on, as it says.
    #[serde(default)]
    pub failed: u64,
    /// The same by the second count.
    #[serde(default)]
    pub failed_in_log: u64,
}

impl Balance {
    /// Whether it adds up.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let parts = self.in_view + self.filtered + self.late_dropped + self.too_late + self.without_time + self.failed;
        self.seen == self.events
            && parts == self.events
            && self.without_time == self.without_time_in_log
            && self.failed == self.failed_in_log
    }
}

/// One thing that does not add up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Difference {
    /// The window, or the result period, or nothing when it is about the whole view.
    pub window: String,
    /// What it is about: the row's keys, a file, the balance.
    pub what: String,
    /// What the view has there.
    pub view: String,
    /// What the log has.
    pub log: String,
}

impl Difference {
    /// A row that is not the same on both sides; `otherwise` says where, if the row does not say its window.
    pub(super) fn of_row(row: Differing, otherwise: impl FnOnce() -> String) -> Self {
        let shown = |values: Option<String>| values.unwrap_or_else(|| "no such row".to_owned());
        let window = row.window.map_or_else(otherwise, |window| window.to_string());
        Self { window, what: row.key, view: shown(row.view), log: shown(row.log) }
    }
}

/// In one line: where, what, and both sides.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { window, what, view, log } = self;
        match window.as_str() {
            "" => write!(f, "{what}")?,
            _ => write!(f, "{window}: {what}")?,
        }
        match (view.as_str(), log.as_str()) {
            ("", "") => Ok(()),
            (view, "") => write!(f, ": {view}"),
            (view, log) => write!(f, ": the view has {view}, the log {log}"),
        }
    }
}
