//! Random numbers that are a pure function of what they are asked for: the mixer, and a run of draws that begins at a number.
//!
//! Nothing here is for secrets. What is drawn is the same on every machine: whole numbers only, no generator of the system.

use std::convert::Infallible;

use rand::TryRng;

/// The odd constant of SplitMix64 (Steele, Lea and Flood 2014): 2^64 divided by the golden ratio.
pub(super) const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The mixer of SplitMix64.
pub(super) fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(GOLDEN);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// FNV-1a, 64 bits.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// A number in `[0, end)`, as Lemire draws it, 2019, without the second draw: a range of 2^32 is off by one in 2^32.
pub(super) fn below(random: u64, end: u128) -> u128 {
    // Where `end` is 2^64, the whole range of an `i64`, this is still within 128 bits.
    (u128::from(random) * end) >> 64
}

/// A number in `[0, 1)`, of the 53 bits that a double holds.
pub(super) fn unit(random: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits are what a double holds")]
    let unit = (random >> 11) as f64 / (1_u64 << 53) as f64;
    unit
}

/// A run of random numbers for one value that needs several: SplitMix64 from a number on.
pub(super) struct Draws(u64);

impl Draws {
    /// Those that begin at `random`.
    pub(super) fn new(random: u64) -> Self {
        Self(random)
    }

    /// The next of them.
    pub(super) fn next(&mut self) -> u64 {
        let drawn = mix(self.0);
        self.0 = self.0.wrapping_add(GOLDEN);
        drawn
    }
}

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Infallible> {
        for eight in into.chunks_mut(8) {
            eight.copy_from_slice(&self.next().to_le_bytes()[..eight.len()]);
        }
        Ok(())
    }
}
