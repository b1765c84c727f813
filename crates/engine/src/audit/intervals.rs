//! Sets of upstream offsets, kept as half-open intervals: a million offsets in a row take as much room as one.

use std::collections::BTreeMap;

/// Offsets. Intervals that touch are one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Intervals(BTreeMap<i64, i64>);

impl Intervals {
    /// Adds `[from, to)`: 3 to 5 adds 3 and 4. An empty or reversed interval adds nothing.
    pub(super) fn insert(&mut self, mut from: i64, mut to: i64) {
        if from >= to {
            return;
        }
        if let Some((start, end)) = self.0.range(..=from).next_back()
            && *end >= from
        {
            (from, to) = (*start, to.max(*end));
        }
        while let Some((start, end)) = self.0.range(from..=to).next().map(|(start, end)| (*start, *end)) {
            to = to.max(end);
            self.0.remove(&start);
        }
        self.0.insert(from, to);
    }

    /// Where the interval ends that `offset` is in; `offset` itself where it is in none.
    pub(super) fn end(&self, offset: i64) -> i64 {
        self.0.range(..=offset).next_back().map_or(offset, |(_, end)| offset.max(*end))
    }

    /// Whether `offset` is in.
    pub(super) fn contains(&self, offset: i64) -> bool {
        self.0.range(..=offset).next_back().is_some_and(|(_, end)| offset < *end)
    }

    /// What of `[from, to)` is not in, in order.
    pub(super) fn lacking(&self, from: i64, to: i64) -> Vec<(i64, i64)> {
        let mut lacking = Vec::new();
        let mut at = from;
        let before = self.0.range(..=from).next_back();
        for (start, end) in
            before.into_iter().chain(self.0.range(from.saturating_add(1)..to.max(from.saturating_add(1))))
        {
            if *start > at {
                lacking.push((at, (*start).min(to)));
            }
            at = at.max(*end);
            if at >= to {
                return lacking;
            }
        }
        if at < to {
            lacking.push((at, to));
        }
        lacking
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The same as a set of single offsets.
    fn model(intervals: &Intervals) -> BTreeSet<i64> {
        intervals.0.iter().flat_map(|(start, end)| *start..*end).collect()
    }

    #[test]
    fn what_touches_becomes_one() {
        let mut intervals = Intervals::default();
        for (from, to) in [(10, 12), (14, 16), (12, 14), (20, 20), (5, 3)] {
            intervals.insert(from, to);
        }
        assert_eq!(intervals.0, BTreeMap::from([(10, 16)]));
        assert!(intervals.contains(10) && intervals.contains(15));
        assert!(!intervals.contains(16) && !intervals.contains(9));
        assert_eq!([9, 10, 15, 16].map(|offset| intervals.end(offset)), [9, 16, 16, 16]);
    }

    #[test]
    fn it_is_a_set_whatever_is_put_in() {
        let (mut intervals, mut set) = (Intervals::default(), BTreeSet::new());
        let mut state = 7_u64;
        for _ in 0..300 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let from = i64::try_from(state >> 33).unwrap_or(0) % 200;
            let to = from + i64::try_from(state >> 40).unwrap_or(0) % 6;
            intervals.insert(from, to);
            set.extend(from..to);
            assert_eq!(model(&intervals), set);
            for (a, b) in [(0, 210), (from - 3, to + 3), (from, to), (50, 51)] {
                let lacking: BTreeSet<i64> = intervals.lacking(a, b).iter().flat_map(|(a, b)| *a..*b).collect();
                assert_eq!(lacking, (a..b).filter(|n| !set.contains(n)).collect(), "[{a}, {b}) of {set:?}");
            }
        }
    }
}
