//! What is known of one connection: what it does, what it waits for, and whether it is to be closed.
//!
//! ```text
//!          first byte          head whole            body whole           answer handed over
//! Idle ──────────────▶ Head ───────────▶ Body ───────────────▶ Work ───────────────────────▶ Idle
//! ```
//! Beside these a connection may be *blocked*: its peer does not read what is written.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::eviction::{CloseReason, ConnectionFacts, Waits};
use crate::bodies::BYTES_PER_SECOND_MIN;

/// The time for which a peer may not read at all. Reading earns time back, at [`READ_BYTES_PER_SECOND_MIN`].
pub(super) const BLOCKED_TIME_MAX: Duration = Duration::from_secs(10);

/// The slowest reader that is served for ever: 4 KiB/s, less than any network one would look at a page over.
pub(super) const READ_BYTES_PER_SECOND_MIN: u64 = 4 << 10;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// Nothing is under way.
    Idle,
    /// Some of a head has come.
    Head,
    /// The body is coming.
    Body,
    /// The request is whole; it is being answered.
    Work,
}

/// What is known of one connection. Written by its own task as it goes, read by whoever needs a place.
pub(super) struct Connection {
    begun: Instant,
    peer: IpAddr,
    phase: AtomicU8,
    /// Milliseconds from `begun`, for all times here: when the phase began, and when some of the body last came.
    since: AtomicU64,
    fed: AtomicU64,
    /// More of the body is wanted than has come.
    starved: AtomicBool,
    /// Microseconds by which the body was behind when some of it last came.
    behind: AtomicU64,
    /// When the peer stopped reading; `u64::MAX` while it reads.
    blocked: AtomicU64,
    /// Milliseconds for which it may not read any more.
    patience: AtomicU64,
    /// Bytes of answers that were made and not written.
    unsent: AtomicU64,
    requests: AtomicU64,
    trusted: AtomicBool,
    closed: OnceLock<CloseReason>,
    close_told: Notify,
}

impl Connection {
    pub(super) fn new(peer: IpAddr) -> Self {
        Self {
            begun: Instant::now(),
            peer,
            phase: AtomicU8::new(Phase::Idle as u8),
            since: AtomicU64::new(0),
            fed: AtomicU64::new(0),
            starved: AtomicBool::new(false),
            behind: AtomicU64::new(0),
            blocked: AtomicU64::new(u64::MAX),
            patience: AtomicU64::new(millis(BLOCKED_TIME_MAX)),
            unsent: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            trusted: AtomicBool::new(false),
            closed: OnceLock::new(),
            close_told: Notify::new(),
        }
    }

    fn now(&self) -> u64 {
        self.until(Instant::now())
    }

    fn until(&self, now: Instant) -> u64 {
        millis(now.saturating_duration_since(self.begun))
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Body,
            _ => Phase::Work,
        }
    }

    pub(super) fn enter(&self, phase: Phase) {
        let now = self.now();
        self.phase.store(phase as u8, Relaxed);
        self.since.store(now, Relaxed);
        self.fed.store(now, Relaxed);
        self.starved.store(false, Relaxed);
        self.behind.store(0, Relaxed);
    }

    /// Something came.
    pub(super) fn read(&self) {
        if self.phase() == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    /// More of the body is wanted and has not come.
    pub(super) fn starved(&self) {
        self.starved.store(true, Relaxed);
    }

    /// So many bytes of the body came. The time that we took to ask for them counts, too: who sends fast has sent more
    /// meanwhile, and who drips has not.
    pub(super) fn fed(&self, bytes: u64) {
        let now = self.now();
        let waited = now.saturating_sub(self.fed.swap(now, Relaxed));
        self.behind.store(behind(self.behind.load(Relaxed), waited, bytes), Relaxed);
        self.starved.store(false, Relaxed);
    }

    /// The peer takes no more for now.
    pub(super) fn blocked(&self) {
        if self.blocked.load(Relaxed) == u64::MAX {
            self.blocked.store(self.now(), Relaxed);
        }
    }

    /// A request begins on it, which has shown the token or not.
    pub(super) fn begin_request(&self, trusted: bool) {
        self.requests.fetch_add(1, Relaxed);
        if trusted {
            self.trusted.store(true, Relaxed);
        }
    }

    /// So many bytes of an answer wait to be written.
    pub(super) fn made(&self, bytes: u64) {
        self.unsent.fetch_add(bytes, Relaxed);
    }

    /// So many bytes were written; how many of them had been counted as waiting.
    pub(super) fn wrote(&self, bytes: u64) -> u64 {
        let blocked = self.blocked.swap(u64::MAX, Relaxed);
        let waited = if blocked == u64::MAX { 0 } else { self.now().saturating_sub(blocked) };
        let earned = bytes * 1_000 / READ_BYTES_PER_SECOND_MIN;
        let patience = self.patience.load(Relaxed).saturating_sub(waited).saturating_add(earned);
        self.patience.store(patience.min(millis(BLOCKED_TIME_MAX)), Relaxed);
        // Heads are written too, so less may be unsent than was written.
        let before = self.unsent.load(Relaxed);
        let sent = before.min(bytes);
        self.unsent.store(before - sent, Relaxed);
        sent
    }

    /// Forgets the bytes that wait to be written; how many there were.
    pub(super) fn forget_unsent(&self) -> u64 {
        self.unsent.swap(0, Relaxed)
    }

    /// Tells it to close; whether nobody had told it before.
    pub(super) fn close(&self, reason: CloseReason) -> bool {
        let is_first = self.closed.set(reason).is_ok();
        self.close_told.notify_one();
        is_first
    }

    /// Why it was told to close.
    #[cfg(test)]
    pub(super) fn closed(&self) -> Option<CloseReason> {
        self.closed.get().copied()
    }

    /// Leaves the peer so much time for which it may not read.
    #[cfg(test)]
    pub(super) fn leave_patience(&self, left: Duration) {
        self.patience.store(millis(left), Relaxed);
    }

    /// For how long the peer may still not read.
    pub(super) fn patience_left(&self, now: Instant) -> Duration {
        let blocked = self.blocked.load(Relaxed);
        let waited = if blocked == u64::MAX { 0 } else { self.until(now).saturating_sub(blocked) };
        Duration::from_millis(self.patience.load(Relaxed).saturating_sub(waited))
    }

    /// What a decision about it rests on, as of `moment`.
    pub(super) fn facts(&self, moment: Instant) -> ConnectionFacts {
        let (now, blocked) = (self.until(moment), self.blocked.load(Relaxed));
        let ago = |then: u64| Duration::from_millis(now.saturating_sub(then));
        let since = ago(self.since.load(Relaxed));
        let waits = match self.phase() {
            // What it has used up of its patience, so that a reader that drips is behind, too.
            _ if blocked != u64::MAX => {
                Some((Waits::Reader, BLOCKED_TIME_MAX.saturating_sub(self.patience_left(moment))))
            }
            Phase::Idle if self.requests.load(Relaxed) == 0 => Some((Waits::First, since)),
            Phase::Idle => Some((Waits::Next, since)),
            Phase::Head => Some((Waits::Head, since)),
            Phase::Body => {
                let waited = if self.starved.load(Relaxed) { now.saturating_sub(self.fed.load(Relaxed)) } else { 0 };
                Some((Waits::Body, Duration::from_micros(behind(self.behind.load(Relaxed), waited, 0))))
            }
            Phase::Work => None,
        };
        ConnectionFacts { waits, lasts: since, trusted: self.trusted.load(Relaxed), peer: machine(self.peer) }
    }

    /// Returns when this connection is to be closed.
    pub(super) async fn told_to_close(&self) -> CloseReason {
        loop {
            let told = self.close_told.notified();
            if let Some(reason) = self.closed.get() {
                return *reason;
            }
            told.await;
        }
    }
}

/// By how many microseconds a body is behind the slowest that is waited for when it was behind by `before`, and so many bytes
/// came after `waited` milliseconds. Nothing is saved up.
fn behind(before: u64, waited: u64, bytes: u64) -> u64 {
    let earned = bytes.saturating_mul(1_000_000) / u64::from(BYTES_PER_SECOND_MIN);
    before.saturating_add(waited.saturating_mul(1_000)).saturating_sub(earned)
}

/// One address, as far as one machine commonly has it.
pub(super) fn machine(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{super::eviction::WAITED_MIN, *};

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn a_body_that_trickles_falls_behind_and_one_that_flows_does_not() {
        // So many bytes every 150 ms, for three seconds.
        let after = |bytes: u64| Duration::from_micros((0..20).fold(0, |before, _| behind(before, 150, bytes)));
        assert!(after(1) >= 2 * WAITED_MIN && after(8) >= 2 * WAITED_MIN, "a line now and then");
        assert!(after(600) >= WAITED_MIN, "4,000 bytes a second");
        assert_eq!((after(2_000), after(64 << 10)), (Duration::ZERO, Duration::ZERO));
        let burst = (0..10_000).fold(0, |before, piece| behind(before, u64::from(piece % 100 == 0), 100));
        assert_eq!(burst, 0, "a megabyte in small pieces");
    }

    #[test]
    fn a_body_is_behind_only_as_far_as_it_is_waited_for() {
        let ago = Instant::now().checked_sub(Duration::from_secs(60)).expect("the machine runs longer");
        let connection = Connection { begun: ago, ..Connection::new(HERE) };
        let waited = || connection.facts(Instant::now()).waits.map(|(waits, waited)| (waits, waited.as_secs()));
        connection.enter(Phase::Body);
        connection.fed.store(0, Relaxed);
        assert_eq!(waited(), Some((Waits::Body, 0)), "nobody has asked for more of it");
        connection.starved();
        assert_eq!(waited(), Some((Waits::Body, 60)));
        connection.fed(1);
        assert_eq!(waited().map(|(_, seconds)| seconds / 10), Some(5), "a byte is next to nothing");
        connection.fed(1 << 20);
        assert_eq!(waited(), Some((Waits::Body, 0)), "it has made up for it");
    }

    #[test]
    fn a_reader_that_drips_is_behind() {
        let connection = Connection::new(HERE);
        connection.leave_patience(Duration::from_secs(4));
        connection.wrote(1);
        connection.blocked();
        let (waits, waited) = connection.facts(Instant::now()).waits.expect("it does not read");
        assert!(waits == Waits::Reader && waited >= Duration::from_millis(5_900), "{waited:?}");
    }
}
