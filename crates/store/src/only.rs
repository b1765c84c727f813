//! What a reader wants of a log, by time: whole segments, frames and blocks without it are skipped unread.

use lakehead_model::{TimeRange, Timestamp};

use crate::inventory::Summary;

/// Bounds by which blocks are skipped; half-open ranges. A block that may hold an event within the bounds is given whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Only {
    /// Only blocks received in this range.
    pub received_time: Option<TimeRange>,
    /// Only blocks with an event whose event time may lie in this range; so none whose events all have no event time.
    pub event_time: Option<TimeRange>,
}

impl Only {
    /// Whether nothing is skipped.
    #[must_use]
    pub fn everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether something received between these two times, both included, with event times between those, may be wanted.
    pub(crate) fn admits(&self, received: (Timestamp, Timestamp), event_times: Option<(Timestamp, Timestamp)>) -> bool {
        let meets =
            |range: TimeRange, (least, greatest): (Timestamp, Timestamp)| least < range.end && range.start <= greatest;
        self.received_time.is_none_or(|range| meets(range, received))
            && self.event_time.is_none_or(|range| event_times.is_some_and(|times| meets(range, times)))
    }

    pub(crate) fn admits_segment(&self, summary: &Summary) -> bool {
        self.admits((summary.received_first, summary.received_last), summary.event_times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_half_open() {
        let range = |start, end| Some(TimeRange { start: Timestamp(start), end: Timestamp(end) });
        let received = Only { received_time: range(10, 20), event_time: None };
        let admits = |only: Only, least, greatest| only.admits((Timestamp(least), Timestamp(greatest)), None);
        assert!(admits(received, 10, 10) && admits(received, 0, 10) && admits(received, 19, 99));
        assert!(!admits(received, 20, 20) && !admits(received, 0, 9));
        let event = Only { received_time: None, event_time: range(10, 20) };
        assert!(!admits(event, 15, 15), "no event in it has an event time");
        assert!(event.admits((Timestamp(0), Timestamp(0)), Some((Timestamp(19), Timestamp(30)))));
        assert!(Only::default().everything() && !event.everything());
    }
}
