//! How a measurement that was taken many times is spread.

/// Seconds, least first.
pub(super) struct Spread(Vec<f64>);

impl Spread {
    /// Of these, in any order.
    ///
    /// # Panics
    /// Without a value there is no spread.
    pub(super) fn new(mut seconds: Vec<f64>) -> Self {
        assert!(!seconds.is_empty(), "nothing was measured");
        seconds.sort_by(f64::total_cmp);
        Self(seconds)
    }

    /// The least value that `percent` of all values do not pass (nearest rank), in milliseconds.
    pub(super) fn millis(&self, percent: f64) -> f64 {
        let rank = (percent / 100.0 * self.0.len() as f64).ceil() as usize;
        self.0[rank.clamp(1, self.0.len()) - 1] * 1e3
    }

    /// How many values there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Half, 99 of a hundred, and the greatest, as cells of a table.
    pub(super) fn cells(&self) -> String {
        format!("{:.1} | {:.1} | {:.1}", self.millis(50.0), self.millis(99.0), self.millis(100.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let spread = Spread::new((1..=200).rev().map(|millis| f64::from(millis) / 1e3).collect());
        assert_eq!((spread.millis(50.0), spread.millis(99.0), spread.millis(100.0)), (100.0, 198.0, 200.0));
        assert_eq!(Spread::new(vec![0.5]).millis(99.0), 500.0);
    }
}
