//! When an event is due, at a steady rate. Times come in as arguments.

use std::time::Duration;

use tokio::time::Instant;

/// Shortest time between two chunks: events that are due within it come together, so that 100,000 events a second are 50
/// chunks and not 100,000.
const TICK: Duration = Duration::from_millis(20);

/// Longest time for whose events it makes up after a pause, so that a machine that slept does not wake to a flood.
const BEHIND_MAX: Duration = Duration::from_secs(1);

/// A steady rate.
pub(super) struct Rate {
    /// Events a second.
    rate: f64,
    /// When the first event was due.
    began: Instant,
    /// Events that were made since then.
    made: u64,
    /// When events were due last.
    last: Option<Instant>,
}

impl Rate {
    /// So many events a second, the first of them at `began`.
    pub(super) fn new(rate: f64, began: Instant) -> Self {
        Self { rate, began, made: 0, last: None }
    }

    /// When there is something to make.
    pub(super) fn next_at(&self) -> Instant {
        let due = self.next_due();
        self.last.map_or(due, |last| due.max(last + TICK))
    }

    /// How many events are due at `now`, which is not before [`next_at`](Self::next_at).
    pub(super) fn due(&mut self, now: Instant) -> u64 {
        let behind = now.saturating_duration_since(self.next_due());
        self.began += behind.saturating_sub(BEHIND_MAX);
        self.last = Some(now);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most the greatest rate")]
        let more = (behind.min(BEHIND_MAX).as_secs_f64() * self.rate) as u64;
        // The one that was waited for, and those that are due by now, too.
        1 + more
    }

    /// An event was made.
    pub(super) fn made(&mut self) {
        self.made += 1;
    }

    fn next_due(&self) -> Instant {
        #[expect(clippy::cast_precision_loss, reason = "a few events in 2^53 come a little early")]
        let seconds = self.made as f64 / self.rate;
        // Beyond what a clock can show, an event is due never.
        let never = Duration::from_secs(u64::from(u32::MAX));
        self.began + Duration::try_from_secs_f64(seconds).unwrap_or(never).min(never)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_at_their_rate_and_a_pause_is_made_up_for_by_a_second() {
        let began = Instant::now();
        let mut rate = Rate::new(50.0, began);
        let (mut now, mut events) = (began, 0);
        while events < 500 {
            now = rate.next_at();
            let due = rate.due(now);
            assert!((1..=2).contains(&due), "a tick has one or two: {due}");
            (0..due).for_each(|_| rate.made());
            events += due;
        }
        let took = now.duration_since(began);
        assert!((Duration::from_millis(9_900)..Duration::from_millis(10_100)).contains(&took), "{took:?}");
        assert_eq!(rate.due(now + Duration::from_secs(3600)), 51);
        assert!(rate.next_at() <= now + Duration::from_secs(3600) + TICK);
    }

    #[test]
    fn a_high_rate_comes_in_ticks_and_a_low_one_waits() {
        let began = Instant::now();
        let mut fast = Rate::new(100_000.0, began);
        assert_eq!(fast.due(began), 1);
        fast.made();
        assert_eq!(fast.next_at(), began + TICK);
        assert!((1_990..=2_001).contains(&fast.due(began + TICK)));
        let mut slow = Rate::new(1e-9, began);
        assert_eq!(slow.due(began), 1);
        slow.made();
        assert!(slow.next_at() > began + Duration::from_secs(100 * 365 * 24 * 3600 / 86));
    }
}
