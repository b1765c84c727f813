//! The windows of a view, of whichever kind: where partial rows are kept, and when their windows end.
//!
//! A view keeps its partial rows by *cell*, which is what an event is in as soon as it comes:
//!
//! ```text
//! kind       a cell is     a row's first window        its last window             filed by
//! Tumble     the window    the cell                    the cell                    hour, day or window, by size
//! Calendar   the window    the cell                    the cell                    local day, or window
//! Hop        the pane      the first over the pane     the last over the pane      as tumbling windows of the slide
//! Session    the instant   the session                 the session                 hour or day, if cells fill it
//! ```

use lakehead_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Calendar, Hop, ResultPeriod, Session, Tumble};

/// The windows of a view.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Windows {
    /// Of one size, side by side.
    Tumble(Tumble),
    /// By the calendar of a time zone, side by side.
    Calendar(Calendar),
    /// Of one size, and they overlap.
    Hop(Hop),
    /// As long as events keep coming.
    Session(Session),
}

impl Windows {
    /// The start under which the partial row of an event at `time` is kept. By the minute 13:20:17 is kept under
    /// 13:20:00, 13:21:00 is not; in a session it is kept under 13:20:17.
    #[must_use]
    pub fn cell(&self, time: Timestamp) -> Timestamp {
        match self {
            Self::Tumble(tumble) => tumble.window(time).start,
            Self::Calendar(calendar) => calendar.window(time).start,
            Self::Hop(hop) => hop.pane().window(time).start,
            Self::Session(_) => time,
        }
    }

    /// The end of the first window that a partial row under `cell` belongs to. `last` is the time of a session's last
    /// event so far; it means nothing to windows of other kinds.
    #[must_use]
    pub fn first_end(&self, cell: Timestamp, last: Timestamp) -> Timestamp {
        match self {
            Self::Tumble(tumble) => tumble.window(cell).end,
            Self::Calendar(calendar) => calendar.window(cell).end,
            Self::Hop(hop) => hop.first_over(cell).end,
            Self::Session(session) => session.end(last),
        }
    }

    /// The end of the last window that a partial row under `cell` belongs to: from then on it is needed no more.
    /// `last` is as for [`first_end`](Self::first_end).
    #[must_use]
    pub fn last_end(&self, cell: Timestamp, last: Timestamp) -> Timestamp {
        match self {
            Self::Hop(hop) => hop.last_over(cell).end,
            Self::Tumble(_) | Self::Calendar(_) | Self::Session(_) => self.first_end(cell, last),
        }
    }

    /// By which stretches of time the results are filed. No session's events straddle two of them.
    #[must_use]
    pub fn period(&self) -> ResultPeriod {
        match self {
            Self::Tumble(tumble) => ResultPeriod::for_tumble(*tumble),
            Self::Calendar(calendar) => ResultPeriod::Calendar(calendar.whole_days()),
            Self::Hop(hop) => ResultPeriod::for_tumble(hop.starts()),
            Self::Session(session) => ResultPeriod::for_cells(session.cells()),
        }
    }

    /// A time before which the results are complete at `watermark`: every window that starts before it has ended at or
    /// before `watermark`. By the minute and at 13:20:17 that is 13:20:00.
    ///
    /// For sessions it is the start of a cell, the latest that no session still open can have begun before.
    #[must_use]
    pub fn complete_before(&self, watermark: Timestamp) -> Timestamp {
        match self {
            Self::Tumble(tumble) => tumble.window(watermark).start,
            Self::Calendar(calendar) => calendar.window(watermark).start,
            Self::Hop(hop) => hop.first_over(watermark).start,
            Self::Session(session) => session.cell(watermark.minus(session.gap())).start,
        }
    }
}
