//! When to connect again after a connection has ended. Pure.

use std::time::Duration;

/// A connection that lived shorter than this is a short one.
pub(super) const SHORT_LIFE: Duration = Duration::from_secs(10);

/// A connection that brought so many bytes of new events was worth itself, however short it lived: 64 KiB.
const WORTH_BYTES: u64 = 64 << 10;

/// The pause after the second short connection in a row; the first is followed at once, since a cut is normal. It doubles with
/// each, up to the greatest.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// The longest time to wait that a feed's `retry:` is taken for; a mistaken one must not stop a source for a day.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// What is known of the connections so far.
#[derive(Debug, Default)]
pub(super) struct Reconnect {
    /// What the feed asks for by `retry:`.
    retry: Option<Duration>,
    /// Short connections in a row that were not worth it.
    short: u32,
}

impl Reconnect {
    /// The feed says after how many milliseconds to connect again.
    pub(super) fn set_retry(&mut self, millis: u64) {
        self.retry = Some(Duration::from_millis(millis).min(RETRY_MAX));
    }

    /// What the feed asks for.
    pub(super) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// A connection has ended that lived so long and brought so much that is new: how long to wait before the next.
    pub(super) fn ended(&mut self, lived: Duration, new_bytes: u64) -> Duration {
        let pause = if lived >= SHORT_LIFE || new_bytes >= WORTH_BYTES {
            self.short = 0;
            Duration::ZERO
        } else {
            self.short = self.short.saturating_add(1);
            match self.short.checked_sub(2) {
                None => Duration::ZERO,
                Some(doublings) => PAUSE.saturating_mul(1 << doublings.min(16)).min(PAUSE_MAX),
            }
        };
        pause.max(self.retry.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_connections_in_a_row_are_followed_ever_more_slowly() {
        let mut reconnect = Reconnect::default();
        let short = |reconnect: &mut Reconnect| reconnect.ended(Duration::from_secs(1), 100).as_millis();
        let pauses: Vec<u128> = (0..10).map(|_| short(&mut reconnect)).collect();
        assert_eq!(pauses, [0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        assert_eq!(reconnect.ended(SHORT_LIFE, 0), Duration::ZERO);
        assert_eq!((short(&mut reconnect), short(&mut reconnect)), (0, 100));
        assert_eq!(reconnect.ended(Duration::ZERO, WORTH_BYTES), Duration::ZERO);
        reconnect.short = u32::MAX;
        assert_eq!(short(&mut reconnect), 10_000);
    }

    #[test]
    fn what_the_feed_asks_for_counts_up_to_a_minute() {
        let mut reconnect = Reconnect::default();
        reconnect.set_retry(3_000);
        assert_eq!(reconnect.ended(SHORT_LIFE, 0), Duration::from_secs(3), "also after the normal cut");
        reconnect.set_retry(u64::MAX);
        assert_eq!(reconnect.ended(SHORT_LIFE, 0), RETRY_MAX);
        reconnect.set_retry(0);
        assert_eq!(reconnect.ended(SHORT_LIFE, 0), Duration::ZERO);
    }
}
