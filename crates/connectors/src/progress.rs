//! How far the event time has come, for the watermark of views; and whether the source is at the head. For sources whose upstream
//! is Kafka, behind a service or directly.
//!
//! **At the head** is a source whose last event's Kafka time lies within 10 s of the clock, or whose upstream brought
//! nothing for a whole second: who has older events to send sends them without such pauses. An event that is older than
//! 10 s and comes without a pause says that the source is catching up.
//!
//! **Idle** is a partition that brought nothing for 30 s *while the source was at the head all the time*; one that is
//! merely waiting its turn in a replay is not. A canary is an event like any other here, which is what canaries are for:
//! a datacentre whose topic brings only canaries counts by them, and is idle in between.
//!
//! **Progress** is the least over the partitions that are not idle of the greatest event time seen. That it never runs back is for
//! its caller to see to, who knows what was reached before.

use std::time::{Duration, Instant};

use lakehead_model::Timestamp;

/// Kafka time this close to the clock is the head: EventGate's and the edge's delays are well below (0.6 to 6 s between
/// an edit and its ingestion were measured), clocks differ by less.
const HEAD_LAG_MAX: Duration = Duration::from_secs(10);

/// A pause this long means that there was nothing to send.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);

/// See above; DESIGN's default.
const IDLE_AFTER: Duration = Duration::from_secs(30);

/// What a partition says of the time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PartitionTime {
    /// Its greatest event time.
    pub(crate) event_time: Option<Timestamp>,
    /// When it last brought something; `None` while it has not.
    pub(crate) heard: Option<Instant>,
}

/// Where the source stands in time.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Since when it has been at the head.
    head_since: Option<Instant>,
    last_piece: Option<Instant>,
}

impl Progress {
    pub(crate) fn is_at_head(&self) -> bool {
        self.head_since.is_some()
    }

    /// The connection was lost: what is missed meanwhile has to be caught up.
    pub(crate) fn disconnected(&mut self) {
        self.head_since = None;
        self.last_piece = None;
    }

    /// A piece came, whose last event has this Kafka time.
    pub(crate) fn heard(&mut self, kafka_time: Option<Timestamp>, clock: Timestamp, now: Instant) {
        let paused = self.last_piece.is_some_and(|last| now.duration_since(last) >= PAUSE);
        self.last_piece = Some(now);
        let lags = kafka_time.is_some_and(|time| clock.since(time) > HEAD_LAG_MAX);
        if lags && !paused {
            self.head_since = None;
        } else {
            self.head_since.get_or_insert(now);
        }
    }

    /// Nothing came for [`PAUSE`].
    pub(crate) fn paused(&mut self, now: Instant) {
        self.head_since.get_or_insert(now);
    }

    /// The event time up to which everything of these partitions is here, as far as can be known now.
    pub(crate) fn reached(
        &self,
        partitions: impl IntoIterator<Item = PartitionTime>,
        now: Instant,
    ) -> Option<Timestamp> {
        let busy = partitions.into_iter().filter(|partition| !self.is_idle(partition, now));
        busy.filter_map(|partition| partition.event_time).min()
    }

    /// Whether the partition brought nothing for a while, though it could have.
    pub(crate) fn is_idle(&self, partition: &PartitionTime, now: Instant) -> bool {
        let Some(head_since) = self.head_since else { return false };
        let quiet_since = partition.heard.map_or(head_since, |heard| heard.max(head_since));
        now.saturating_duration_since(quiet_since) >= IDLE_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_quiet_partition_holds_the_watermark_only_until_it_is_idle() {
        let start = Instant::now();
        let clock = Timestamp::from_seconds(10_000);
        let mut progress = Progress::default();
        let mut busy = PartitionTime::default();
        let quiet = PartitionTime { event_time: Some(Timestamp::from_seconds(9_000)), heard: Some(start) };
        for second in 0..60 {
            let now = start + seconds(second);
            let time = clock.plus(seconds(second));
            busy.event_time = Some(time);
            busy.heard = Some(now);
            progress.heard(Some(time), time, now);
            let alone = progress.reached([quiet], now);
            assert_eq!(alone.is_some(), second < 30, "alone it says where it is, and nothing once it is idle");
        }
        let now = start + seconds(29);
        let mut progress = Progress::default();
        progress.heard(Some(clock), clock, start);
        let both = [busy, quiet];
        assert_eq!(progress.reached(both, now), Some(Timestamp::from_seconds(9_000)));
        assert_eq!(progress.reached(both, start + seconds(30)), both[0].event_time);
    }

    #[test]
    fn nothing_is_idle_while_the_source_catches_up() {
        let start = Instant::now();
        let clock = Timestamp::from_seconds(10_000);
        let mut progress = Progress::default();
        let quiet = PartitionTime { event_time: Some(Timestamp::from_seconds(1_000)), heard: Some(start) };
        let busy = PartitionTime { event_time: Some(Timestamp::from_seconds(5_000)), heard: None };
        let mut both = [busy, quiet];
        for tenth in 0..1_000 {
            progress.heard(Some(Timestamp::from_seconds(5_000)), clock, start + Duration::from_millis(100 * tenth));
            assert!(!progress.is_at_head());
        }
        assert_eq!(progress.reached(both, start + seconds(100)), Some(Timestamp::from_seconds(1_000)));
        // A pause: it has arrived. Half a minute later the quiet one is idle, and the time goes on.
        progress.paused(start + seconds(101));
        assert_eq!(progress.reached(both, start + seconds(130)), Some(Timestamp::from_seconds(1_000)));
        both[0].heard = Some(start + seconds(131));
        assert_eq!(progress.reached(both, start + seconds(131)), Some(Timestamp::from_seconds(5_000)));
        progress.disconnected();
        assert_eq!(progress.reached(both, start + seconds(132)), Some(Timestamp::from_seconds(1_000)));
    }
}
