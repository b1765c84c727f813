//! How long to leave alone what is away: longer each time, never twice the same, never for ever.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

/// The first wait, at most: short, since most lost connections can be had again at once.
const FIRST: Duration = Duration::from_millis(500);

/// The longest wait of our own: someone who mends the network should see it within a minute.
const LONGEST: Duration = Duration::from_secs(60);

/// The longest that the other side's word is taken for (`Retry-After`), so that a wrong one cannot stop us for good.
const ASKED_LONGEST: Duration = Duration::from_secs(15 * 60);

/// Waits that double from 0.5 s to 60 s, each shortened by up to a half at random, so that many clients of one upstream
/// do not come back in step.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    tries: u32,
}

impl Backoff {
    /// Starts over: something worked.
    pub(crate) fn reset(&mut self) {
        self.tries = 0;
    }

    /// The next wait. `asked` is what the other side wants at least; `random` lies in `[0, 1)`.
    pub(crate) fn next(&mut self, asked: Option<Duration>, random: f64) -> Duration {
        let doubled = FIRST.saturating_mul(1 << self.tries.min(16)).min(LONGEST);
        self.tries = self.tries.saturating_add(1);
        let own = doubled.mul_f64(1.0 - 0.5 * random.clamp(0.0, 1.0));
        own.max(asked.unwrap_or_default().min(ASKED_LONGEST))
    }
}

/// A number in `[0, 1)` that no two processes share. Not for secrets.
pub(crate) fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_begin_anew() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..9).map(|_| backoff.next(None, 0.0).as_millis()).collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
        backoff.reset();
        assert_eq!(backoff.next(None, 0.999_999).as_millis(), 250);
    }

    #[test]
    fn what_the_other_side_asks_is_honoured_within_reason() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(Some(Duration::from_secs(30)), 0.5), Duration::from_secs(30));
        assert_eq!(backoff.next(Some(Duration::from_secs(86_400)), 0.5), ASKED_LONGEST);
        assert_eq!(backoff.next(Some(Duration::ZERO), 0.0), Duration::from_secs(2));
    }

    #[test]
    fn randomness_stays_in_its_interval() {
        assert!((0..100).map(|_| random()).all(|r| (0.0..1.0).contains(&r)));
        assert_ne!(random().to_bits(), random().to_bits());
    }
}
