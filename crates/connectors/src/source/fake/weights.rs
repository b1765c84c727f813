//! Draws by weight, among them ranks by Zipf's law: the k-th in proportion to 1 / k^s.
//!
//! A table of cumulated weights, and a binary search in it. The weights are whole numbers, so a last digit in which one
//! machine's `powf` differs from another's does not show in the ranks.

use super::draws::below;

/// What the first rank weighs by Zipf's law. The others weigh less, and at least 1.
const FIRST_WEIGHS: f64 = (1_u64 << 40) as f64;

/// Weights of a few things, and which of them a number draws.
#[derive(Debug)]
pub(super) struct WeightTable {
    /// The weight of each and of all before it.
    cumulated: Vec<u64>,
}

impl WeightTable {
    /// Of `count` ranks by Zipf's law.
    pub(super) fn zipf(count: usize, exponent: f64) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "few ranks, and weights of 1 to 2^40"
        )]
        let weight = |rank: usize| ((rank as f64).powf(-exponent) * FIRST_WEIGHS).max(1.0) as u64;
        Self::of((1..=count).map(weight))
    }

    /// Of weights that are given.
    pub(super) fn of(weights: impl Iterator<Item = u64>) -> Self {
        let cumulate = |sum: &mut u64, weight: u64| {
            *sum = sum.saturating_add(weight);
            Some(*sum)
        };
        Self { cumulated: weights.scan(0, cumulate).collect() }
    }

    /// Which of them `random` draws, from 0.
    pub(super) fn draw(&self, random: u64) -> usize {
        let all = self.cumulated.last().copied().unwrap_or(0);
        let drawn = below(random, u128::from(all));
        self.cumulated.partition_point(|until| u128::from(*until) <= drawn).min(self.cumulated.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::fake::draws::mix;

    #[test]
    fn ranks_come_in_proportion_to_their_power() {
        let table = WeightTable::zipf(1_000, 1.0);
        let mut counts = vec![0_u32; 1_000];
        (0..1_000_000_u64).for_each(|n| counts[table.draw(mix(n))] += 1);
        // The harmonic number of 1,000 is 7.4855.
        for (rank, expected) in [(1_usize, 133_592.0), (2, 66_796.0), (10, 13_359.0), (100, 1_335.9)] {
            let found = f64::from(counts[rank - 1]);
            assert!((found / expected - 1.0).abs() < 0.1, "rank {rank}: {found} of {expected}");
        }
        assert!(counts[999] > 0);
    }

    #[test]
    fn the_ends_of_a_draw_are_the_ends_of_the_table() {
        let table = WeightTable::of([1, 0, 3].into_iter());
        assert_eq!((table.draw(0), table.draw(u64::MAX)), (0, 2));
        assert!((0..10_000).all(|n| table.draw(mix(n)) != 1), "what weighs nothing is never drawn");
        let steep = WeightTable::zipf(100_000, 20.0);
        assert_eq!((steep.draw(0), steep.draw(u64::MAX)), (0, 99_999));
    }
}
