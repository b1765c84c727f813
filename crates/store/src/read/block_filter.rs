//! The filter of a reader, by time: whole segments, frames and blocks that it does not admit are skipped unread.

use lakehead_model::{TimeRange, TimeRule, Timestamp};

use crate::segment::summary::Summary;

/// Bounds by which blocks are skipped; half-open ranges. A block that may hold an event within the bounds is given whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockFilter {
    /// Only blocks received in this range.
    pub received_time: Option<TimeRange>,
    /// Only blocks with an event whose event time, read by this rule, may lie in this range; so none whose events all have
    /// no event time. A block whose times were read by another rule, or by one that is not known, may hold any.
    pub event_time: Option<(TimeRule, TimeRange)>,
}

impl BlockFilter {
    /// Whether nothing is skipped.
    #[must_use]
    pub fn everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether something received between these two times, both included, with event times between those, as read by
    /// `rule`, may be wanted.
    pub(crate) fn admits(
        &self,
        received: (Timestamp, Timestamp),
        event_times: Option<(Timestamp, Timestamp)>,
        rule: Option<TimeRule>,
    ) -> bool {
        let meets =
            |range: TimeRange, (least, greatest): (Timestamp, Timestamp)| least < range.end && range.start <= greatest;
        self.received_time.is_none_or(|range| meets(range, received))
            && self.event_time.is_none_or(|(wanted, range)| {
                rule != Some(wanted) || event_times.is_some_and(|times| meets(range, times))
            })
    }

    pub(crate) fn admits_segment(&self, summary: &Summary) -> bool {
        self.admits((summary.received_first, summary.received_last), summary.event_times, summary.time_rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_half_open() {
        let range = |start, end| Some(TimeRange { start: Timestamp(start), end: Timestamp(end) });
        let received = BlockFilter { received_time: range(10, 20), event_time: None };
        let rule = TimeRule::kept(1);
        let admits = |block_filter: BlockFilter, least, greatest| {
            block_filter.admits((Timestamp(least), Timestamp(greatest)), None, rule)
        };
        assert!(admits(received, 10, 10) && admits(received, 0, 10) && admits(received, 19, 99));
        assert!(!admits(received, 20, 20) && !admits(received, 0, 9));
        let event = BlockFilter { received_time: None, event_time: rule.zip(range(10, 20)) };
        assert!(!admits(event, 15, 15), "no event in it has an event time");
        let both = |least, greatest| Some((Timestamp(least), Timestamp(greatest)));
        assert!(event.admits((Timestamp(0), Timestamp(0)), both(19, 30), rule));
        assert!(!event.admits((Timestamp(0), Timestamp(0)), both(20, 30), rule));
        assert!(BlockFilter::default().everything() && !event.everything());
    }

    #[test]
    fn a_range_that_was_made_by_another_rule_says_nothing() {
        let wanted = TimeRange { start: Timestamp(10), end: Timestamp(20) };
        let block_filter =
            BlockFilter { received_time: None, event_time: TimeRule::kept(1).map(|rule| (rule, wanted)) };
        let received = (Timestamp(0), Timestamp(0));
        let outside = Some((Timestamp(90), Timestamp(99)));
        for (rule, may_hold) in [(TimeRule::kept(1), false), (TimeRule::kept(2), true), (None, true)] {
            assert_eq!(block_filter.admits(received, outside, rule), may_hold, "{rule:?}");
            assert_eq!(block_filter.admits(received, None, rule), may_hold, "{rule:?}");
        }
    }
}
