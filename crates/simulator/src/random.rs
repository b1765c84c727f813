//! Numbers that look random and are a pure function of what they are asked for.
//!
//! Everything the generator decides about event N comes from hashing the seed with N (or with what N belongs to), so
//! any event can be made at any time without those before it. The mixing step is the finaliser of SplitMix64
//! (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014). It is not for secrets.

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads one number over all 64 bits; a bijection, so different numbers stay different.
#[inline]
pub(crate) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The hash of two numbers, the order of which matters.
#[inline]
pub(crate) fn hash(a: u64, b: u64) -> u64 {
    mix(a.wrapping_add(GOLDEN) ^ mix(b.wrapping_mul(GOLDEN)))
}

/// A run of numbers that begins at a hash.
#[derive(Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    #[inline]
    pub(crate) fn new(hash: u64) -> Self {
        Self(hash)
    }

    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number in `[0, end)`; `end` is below 2^32. The bias is below `end` / 2^32.
    #[inline]
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((self.next() >> 32) * end) >> 32
    }

    /// A number in `[0, end)`, small ones more often: half of them lie in the first quarter.
    #[inline]
    pub(crate) fn skewed(&mut self, end: u64) -> u64 {
        let bits = self.next() >> 32;
        (((bits * bits) >> 32) * end) >> 32
    }

    /// True `parts` times in 1,000.
    #[inline]
    pub(crate) fn per_mille(&mut self, parts: u64) -> bool {
        self.below(1000) < parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_in_their_range_and_fill_it() {
        let mut rng = Rng::new(hash(1, 2));
        let mut seen = [false; 10];
        for _ in 0..1000 {
            seen[rng.below(10) as usize] = true;
            assert!(rng.skewed(7) < 7);
        }
        assert_eq!(seen, [true; 10]);
        assert_ne!(hash(1, 2), hash(2, 1));
    }
}
