//! When a panel is asked: when it is due, and something of what it shows has moved.

use std::time::{Duration, Instant};

use lakehead_engine::status::Status;

use crate::panels::{Panel, Shows};

/// How often it is looked whether a panel is due.
pub(super) const PANELS_EVERY: Duration = Duration::from_millis(500);
/// How often a panel is asked at most: one that moves each second, and any other.
const QUICK: Duration = Duration::from_secs(1);
const CALM: Duration = Duration::from_secs(5);
/// A chart whose windows are at most so long moves each second.
const QUICK_WINDOW_MS: f64 = 5_000.0;
/// A panel rests at least this many times as long as its last query took, so that one takes at most a twentieth of the
/// time of one core, however large the data.
const REST_FACTOR: u32 = 20;
/// The smallest part of a panel's windows that is asked for where all are too many.
const PART_MAX: u32 = 64;

/// How a panel was asked last, and when it is due again.
pub(super) struct Schedule {
    due: Instant,
    /// What of the status the last answer was as of; the same again needs no asking.
    answered: Option<Moment>,
    /// Which part of its windows is asked for: 1 is all of them, 4 a quarter.
    part: u32,
}

/// What of the status decides whether a panel's answer can have changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    offset: u64,
    rows: u64,
    watermark: Option<i64>,
}

impl Schedule {
    /// Of a panel that was never asked: it is due.
    pub(super) fn new(now: Instant) -> Self {
        Self { due: now, answered: None, part: 1 }
    }

    /// Whether the panel is to be asked, as of what the status says of it; `None` is what moves by itself.
    pub(super) fn is_due(&self, now: Instant, moment: Option<Moment>) -> bool {
        // Half a look early is in time; otherwise each second would be each one and a half.
        self.due <= now + PANELS_EVERY / 2 && (moment.is_none() || moment != self.answered)
    }

    /// Which part of the panel's windows is asked for.
    pub(super) fn part(&self) -> u32 {
        self.part
    }

    /// Fewer windows are asked for the next time: these were too many.
    pub(super) fn ask_for_fewer(&mut self) {
        if self.part < PART_MAX {
            self.part *= 4;
        }
    }

    /// The panel was asked at `begun`, which took `cost`; `answered` is the moment that its answer is as of, if it has one.
    pub(super) fn asked(&mut self, panel: &Panel, begun: Instant, cost: Duration, answered: Option<Moment>) {
        self.answered = answered;
        self.due = begun + every(panel).max(cost * REST_FACTOR);
    }
}

impl Moment {
    /// What the status says of a panel; `None` of what moves by itself.
    pub(super) fn of(panel: &Panel, status: &Status) -> Option<Self> {
        if matches!(panel.shows, Shows::Rate) {
            return None;
        }
        match &panel.view {
            Some(view) => {
                let view = status.views.get(view)?;
                let watermark = view.watermark.map(|watermark| watermark.0);
                Some(Self { offset: view.offset.0, rows: view.rows, watermark })
            }
            None => {
                let stream = status.streams.get(&panel.stream)?;
                Some(Self { offset: stream.end.0, rows: stream.start.0, watermark: None })
            }
        }
    }
}

/// How often a panel is asked at most.
fn every(panel: &Panel) -> Duration {
    match &panel.shows {
        Shows::Chart(chart) if chart.about_ms <= QUICK_WINDOW_MS => QUICK,
        Shows::Events(_) | Shows::Rate => QUICK,
        Shows::Chart(_) | Shows::Ranks(_) | Shows::Table(_) => CALM,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Moment = Moment { offset: 7, rows: 1, watermark: None };

    #[test]
    fn a_panel_is_asked_when_it_is_due_and_something_has_moved() {
        let now = Instant::now();
        let mut schedule = Schedule::new(now);
        assert!(schedule.is_due(now, Some(MOMENT)), "it was never asked");
        schedule.due = now + QUICK;
        schedule.answered = Some(MOMENT);
        let (early, late) = (now + QUICK - PANELS_EVERY, now + QUICK);
        let moved = Some(Moment { offset: 8, ..MOMENT });
        assert!(!schedule.is_due(early, moved) && schedule.is_due(late, moved));
        assert!(!schedule.is_due(late, Some(MOMENT)), "nothing has moved");
        assert!(schedule.is_due(late, None), "it moves by itself");
    }

    #[test]
    fn fewer_windows_are_asked_for_down_to_a_bound() {
        let mut schedule = Schedule::new(Instant::now());
        let parts: Vec<u32> = std::iter::repeat_with(|| {
            schedule.ask_for_fewer();
            schedule.part()
        })
        .take(4)
        .collect();
        assert_eq!(parts, [4, 16, 64, 64]);
    }
}
