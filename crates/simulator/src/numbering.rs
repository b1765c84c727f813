//! Which topic and offset each event of a generated stream has: a live topic, and an idle one that has canaries only.
//!
//! ```text
//! N:              0 … 999    1000     1001   1002 … P-1    P …          (P: the canary period)
//! live topic      e e e e    canary          e e e e       e
//! idle topic                          canary
//! ```
//! Both topics' offsets are contiguous. All of it is arithmetic, so resuming never needs what came before.

/// The live topic, and the idle one.
pub(crate) const LIVE: usize = 0;
pub(crate) const IDLE: usize = 1;

/// What stands at position N.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Event,
    LiveCanary,
    IdleCanary,
}

/// The numbering of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Numbering {
    period: u64,
    offsets: [u64; 2],
}

impl Numbering {
    /// With canaries once in `period` events, and topics that begin at these offsets.
    pub(crate) fn new(period: u64, offsets: [u64; 2]) -> Self {
        Self { period, offsets }
    }

    #[inline]
    pub(crate) fn offset(&self, n: u64) -> u64 {
        let (period, place) = (n / self.period, n % self.period);
        let idle_before = period + u64::from(place > self.idle_place());
        match self.slot(n) {
            Slot::IdleCanary => self.offsets[IDLE] + period,
            Slot::Event | Slot::LiveCanary => self.offsets[LIVE] + n - idle_before,
        }
    }

    /// The first event of the topic at or after `n`.
    #[inline]
    pub(crate) fn next_of(&self, topic: usize, n: u64) -> u64 {
        if topic == LIVE {
            return n + u64::from(self.slot(n) == Slot::IdleCanary);
        }
        let (period, place) = (n / self.period, n % self.period);
        (period + u64::from(place > self.idle_place())) * self.period + self.idle_place()
    }

    /// The event at this offset of the topic; `None` before the first.
    pub(crate) fn at_offset(&self, topic: usize, offset: u64) -> Option<u64> {
        let index = offset.checked_sub(self.offsets[topic])?;
        if topic == IDLE {
            return index.checked_mul(self.period)?.checked_add(self.idle_place());
        }
        let (period, place) = (index / (self.period - 1), index % (self.period - 1));
        period.checked_mul(self.period)?.checked_add(place + u64::from(place >= self.idle_place()))
    }

    #[inline]
    pub(crate) fn topic_index(&self, n: u64) -> usize {
        if self.slot(n) == Slot::IdleCanary { IDLE } else { LIVE }
    }

    #[inline]
    pub(crate) fn slot(&self, n: u64) -> Slot {
        match n % self.period {
            place if place == self.idle_place() => Slot::IdleCanary,
            place if place + 1 == self.idle_place() => Slot::LiveCanary,
            _ => Slot::Event,
        }
    }

    /// Early in the period, so that short runs have events in both topics too.
    #[inline]
    fn idle_place(&self) -> u64 {
        self.period / 8 + 1
    }
}
