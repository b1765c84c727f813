//! A random walk whose value at `n` needs none of the values before it.
//!
//! ```text
//! knots:      k·B ──────────────────────────────── (k+1)·B      each drawn by itself, anywhere in the range
//! level 1:               (k·B + B/2)                            half-way between both, and a step of √(B/4) aside
//! level 2:       (…)                   (…)                      half-way again, and √(B/8) aside; and so on
//! ```
//! This is Lévy's construction of a Brownian bridge by midpoints. Between two knots there are `B = (range / step)²` events, in
//! which a walk of such steps would get about as far as the range is wide, so knots that are drawn by themselves look like where
//! it went. A value is found by halving: one hash for each level, at most 40. What leaves the range is reflected at its border.
//!
//! From one event to the next a value changes by at most 5.2 steps: √3 · (1/√2 + 1/√4 + …) = 4.2 from the levels, and 1 from
//! the knots.

use super::draws::{mix, unit};

/// A range may be this many steps wide. Its square, the events between two knots, stays below 2^40.
pub(super) const STEPS_MAX: f64 = 1_000_000.0;

/// A bounded walk.
#[derive(Debug)]
pub(super) struct RandomWalk {
    min: f64,
    range: f64,
    step: f64,
    /// There are 2 to this power events from one knot to the next.
    block_bits: u32,
}

impl RandomWalk {
    /// Within `min` and `max`, in steps of about `step`: more than 0, at most the range, at least its millionth.
    pub(super) fn new(min: f64, max: f64, step: f64) -> Self {
        let range = max - min;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most the square of STEPS_MAX")]
        let events = (range / step).powi(2).ceil().clamp(2.0, STEPS_MAX * STEPS_MAX) as u64;
        Self { min, range, step, block_bits: events.next_power_of_two().trailing_zeros() }
    }

    /// The value at event `n`.
    pub(super) fn at(&self, seed: u64, n: u64) -> f64 {
        let block = n >> self.block_bits;
        let start = block << self.block_bits;
        let knots = mix(seed);
        let knot = |block: u64| unit(mix(knots ^ mix(block))) * self.range;
        let (mut low, mut high) = (0_u64, 1_u64 << self.block_bits);
        let (mut left, mut right) = (knot(block), knot(block.wrapping_add(1)));
        let place = n - start;
        while low < place {
            let middle = low + (high - low) / 2;
            // Within √3 on either side: of variance 1, and never more.
            let aside = (unit(mix(seed ^ mix(start.wrapping_add(middle)))) * 2.0 - 1.0) * 3_f64.sqrt();
            #[expect(clippy::cast_precision_loss, reason = "at most 2^40")]
            let spread = ((high - low) as f64 / 4.0).sqrt() * self.step;
            let value = f64::midpoint(left, right) + spread * aside;
            match place < middle {
                true => (high, right) = (middle, value),
                false => (low, left) = (middle, value),
            }
        }
        self.min + self.reflected(left)
    }

    /// Folds what is outside of `[0, range]` back into it, as between two mirrors.
    fn reflected(&self, value: f64) -> f64 {
        let there_and_back = value.rem_euclid(2.0 * self.range);
        there_and_back.min(2.0 * self.range - there_and_back).clamp(0.0, self.range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_in_its_range_goes_everywhere_and_never_leaps() {
        for (min, max, step) in [(-10.0, 35.0, 0.5), (0.0, 1.0, 1.0), (985.0, 1_035.0, 0.05), (-1e12, 1e12, 2e6)] {
            let walk = RandomWalk::new(min, max, step);
            let values: Vec<f64> = (0..200_000).map(|n| walk.at(7, n)).collect();
            assert!(values.iter().all(|value| (min..=max).contains(value)), "{min} to {max}");
            let greatest = values.windows(2).map(|two| (two[1] - two[0]).abs()).fold(0.0, f64::max);
            assert!(greatest <= 5.2 * step, "{greatest} with steps of {step}");
            let squares = values.windows(2).map(|two| (two[1] - two[0]).powi(2)).sum::<f64>() / 200_000.0;
            assert!(step >= max - min || (0.5..2.0).contains(&(squares.sqrt() / step)), "{} of {step}", squares.sqrt());
        }
        let walk = RandomWalk::new(0.0, 10.0, 0.1);
        let mut seen = [0; 10];
        (0..500_000).for_each(|n| seen[(walk.at(3, n) as usize).min(9)] += 1);
        assert!(seen.iter().all(|count| *count > 10_000), "{seen:?}");
    }

    #[test]
    fn a_value_does_not_depend_on_those_that_were_asked_before_up_to_the_last() {
        let walk = RandomWalk::new(0.0, 100.0, 0.25);
        let forwards: Vec<f64> = (1_000_000..1_001_000).map(|n| walk.at(9, n)).collect();
        let backwards: Vec<f64> = (1_000_000..1_001_000).rev().map(|n| walk.at(9, n)).collect();
        assert!(forwards.iter().eq(backwards.iter().rev()));
        for n in [0, 1, u64::MAX - 1, u64::MAX, 1 << 40, (1 << 40) - 1] {
            assert!((0.0..=100.0).contains(&walk.at(9, n)), "{n}");
        }
        assert!((0..100).any(|n| (walk.at(9, n) - walk.at(10, n)).abs() > 1e-9), "another seed is another walk");
    }
}
