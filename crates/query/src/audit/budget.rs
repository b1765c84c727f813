//! The budget of explained differences: which rows may differ because of late events that a view left out, and how many.
//!
//! A view says how many events it has left out, and where its partial rows are still kept, in which slices they are missing.
//! A tumbling window is one slice. A hopping window is several panes, each of which is in several windows; an event may
//! be in some of them only (`partly`), and then its pane has it. A session that lacks an event may be two where the log
//! has one, or begin elsewhere; so it is looked at with all that is beside it.
//!
//! One more than was left out is a difference.

use lakehead_model::Timestamp;
use lakehead_window::Windows;

use super::window_counts::{WindowCounts, counted_under};
use crate::{keyed_rows::Differing, plan::Windowed};

/// Rows that one left-out event may change in the sessions about it: two where the log has one.
const SESSION_ROWS: u64 = 3;

/// What is left to be explained by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Budget {
    /// Rows, where partial rows are gone.
    rows: u64,
    /// Rows of windows that overlap, whose panes have the event.
    partly: u64,
}

impl Budget {
    /// Of a view that has left out `left_out` events, and has `partly` in some of their windows only.
    pub(super) fn new(plan: Option<&Windowed>, left_out: u64, partly: u64) -> Self {
        let windows = match plan.map(|plan| &plan.windows) {
            Some(Windows::Hop(hop)) => {
                let slide = hop.slide().as_micros().max(1);
                u64::try_from(hop.size().as_micros().div_ceil(slide)).unwrap_or(u64::MAX)
            }
            Some(Windows::Session(_)) => SESSION_ROWS,
            _ => 1,
        };
        Self { rows: left_out.saturating_mul(windows), partly: partly.saturating_mul(windows.saturating_sub(1)) }
    }

    /// Whether a row that differs may do so; `log` and `view` are the events by slice, `has_having` whether a row may
    /// be in the view alone by that.
    pub(super) fn explains(
        &mut self,
        plan: &Windowed,
        differing: &Differing,
        (log, view): (&WindowCounts, &WindowCounts),
        closed_until: Timestamp,
        has_having: bool,
    ) -> bool {
        let lacks = |slice: &Timestamp| view.get(slice).map(|events| log.get(slice).copied().unwrap_or(0) > *events);
        let may = differing.log.is_some() || has_having;
        let Some(window) = differing.window else { return may && self.spend_row() };
        match &plan.windows {
            Windows::Hop(hop) => {
                let pane = i64::try_from(hop.pane().size().as_micros()).unwrap_or(i64::MAX).max(1);
                let end = hop.window(window).end;
                let starts = (0..).map(|n: i64| Timestamp(window.0.saturating_add(n.saturating_mul(pane))));
                let panes: Vec<Option<bool>> =
                    starts.take_while(|start| *start < end).map(|pane| lacks(&pane)).collect();
                if panes.contains(&Some(true)) {
                    return may;
                }
                let is_closed = end <= closed_until;
                // A pane without partial rows may have been left out of altogether, or be gone.
                let unknown = panes.contains(&None);
                may && is_closed && ((self.partly > 0 && spend(&mut self.partly)) || (unknown && self.spend_row()))
            }
            Windows::Session(_) => {
                let own = counted_under(plan, window);
                let before = view.range(..own).next_back().map(|(slice, _)| *slice);
                let after = view.range(Timestamp(own.0.saturating_add(1))..).next().map(|(slice, _)| *slice);
                let beside = [before, Some(own), after].into_iter().flatten();
                if beside.filter_map(|slice| lacks(&slice)).any(|lacks| lacks) {
                    return true;
                }
                lacks(&own).is_none() && self.spend_row()
            }
            _ => match lacks(&window) {
                // The events were compared already: what the view lacks there is accounted for, or was told.
                Some(lacks) => lacks,
                None => may && self.spend_row(),
            },
        }
    }

    fn spend_row(&mut self) -> bool {
        self.rows > 0 && spend(&mut self.rows)
    }
}

fn spend(budget: &mut u64) -> bool {
    *budget = budget.saturating_sub(1);
    true
}
