//! Where the offsets of a partition's events do not follow one another in the log, though nothing is missing: the gap ledger
//! says so, so that an audit can tell it from a gap. A pure decision.

use super::partition::{Decision, Mode, Partition};

/// What was known of a partition before an event came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    is_overlapping: bool,
    /// Events were taken after the anchor event, and which offset the last of them had is not known: an older cursor does
    /// not say.
    is_taken_unknown: bool,
    /// The offset that would follow in order on the last event in the log.
    expected: Option<i64>,
}

/// A renumbering that an event shows: the next offset is `to`, where `from` was expected.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FoundRenumbering {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) reason: &'static str,
}

impl Before {
    pub(super) fn of(partition: &Partition) -> Self {
        Self {
            is_overlapping: matches!(partition.mode, Mode::Overlapping { .. }),
            is_taken_unknown: partition.entry.unproven && partition.entry.taken.is_none(),
            expected: partition.entry.next(),
        }
    }

    /// Whether the event has ended an overlap: the anchor event was found.
    pub(super) fn is_proven_by(self, partition: &Partition) -> bool {
        self.is_overlapping && !partition.is_unproven()
    }

    /// What the event at `offset`, of which this was decided, has renumbered. `proven`: it has ended an overlap.
    pub(super) fn renumbering(self, decision: &Decision, offset: i64, proven: bool) -> Option<FoundRenumbering> {
        let expected = self.expected?;
        let next = offset.saturating_add(1);
        let (from, to, reason) = match decision {
            Decision::Take(_) if self.is_overlapping && expected != offset => {
                (expected, offset, "the last event held is looked for, and this one is new")
            }
            // Only in order does a duplicate take a place that nothing else will take.
            Decision::Duplicate(_) if !self.is_overlapping && offset >= expected => {
                (offset, next, "an event that is kept already")
            }
            Decision::Known if proven && (self.is_taken_unknown || expected != next) => {
                (expected, next, "the last event held was found again under this offset")
            }
            _ => return None,
        };
        Some(FoundRenumbering { from, to, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before(is_overlapping: bool, expected: i64) -> Before {
        Before { is_overlapping, is_taken_unknown: false, expected: Some(expected) }
    }

    fn lead(before: Before, decision: Decision, offset: i64, proven: bool) -> Option<(i64, i64)> {
        before.renumbering(&decision, offset, proven).map(|found| (found.from, found.to))
    }

    #[test]
    fn an_event_in_order_renumbers_nothing() {
        assert_eq!(lead(before(false, 7), Decision::Take(None), 7, false), None);
        assert_eq!(lead(before(true, 7), Decision::Take(None), 7, false), None);
        assert_eq!(lead(before(true, 7), Decision::Known, 6, true), None);
        // In order, offsets that are missing are a gap.
        assert_eq!(lead(before(false, 7), Decision::Take(None), 9, false), None);
    }

    #[test]
    fn within_an_overlap_an_event_that_is_taken_may_jump() {
        assert_eq!(lead(before(true, 7), Decision::Take(None), 500, false), Some((7, 500)));
        assert_eq!(lead(before(true, 7), Decision::Duplicate(None), 500, false), None);
        assert_eq!(lead(before(true, 7), Decision::Known, 509, true), Some((7, 510)));
        let unknown = Before { is_taken_unknown: true, ..before(true, 7) };
        assert_eq!(lead(unknown, Decision::Known, 6, true), Some((7, 7)));
    }

    #[test]
    fn a_duplicate_in_order_takes_its_offset() {
        assert_eq!(lead(before(false, 7), Decision::Duplicate(None), 7, false), Some((7, 8)));
        assert_eq!(lead(before(false, 7), Decision::Duplicate(None), 6, false), None);
    }
}
