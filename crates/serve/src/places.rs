//! The places for connections: who holds one, what it is waited for, and who gives way when there is no room.
//!
//! ```text
//!          first byte          head whole            body whole           answer handed over
//! Idle ──────────────▶ Head ───────────▶ Body ───────────────▶ Work ───────────────────────▶ Idle
//! ```
//! Beside these a connection may be *blocked*: its peer does not read what is written. Only what waits for its peer has a
//! limit here and may be closed for another; what works is left alone. A newcomer is never refused while somebody idles:
//! the longest idle, or the slowest head, gives way to it. How long a body or a reader has kept us waiting goes by how much
//! has moved, not by when something last did: a byte now and then is no progress. A part of the places is kept for
//! `/healthz`, `/metrics` and those who have shown the token.
//!
//! Who gives way is a pure function over facts ([`gives_way`]); what is counted stands in `/metrics`.

use std::{
    cmp::Reverse,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::arriving::BYTES_PER_SECOND_MIN;

/// How many connections there are at once. A quarter of the 1,024 open files that a process is commonly allowed; the log
/// and the views need the rest.
pub(crate) const CONNECTIONS_MAX: usize = 256;

/// Of these so many are never taken by requests of those who have not shown the token: health, metrics and the token's
/// holders get through, whatever the others do.
pub(crate) const RESERVED: usize = 32;

/// How many connections one address of another machine has at once, as long as it has not shown the token: a quarter. An
/// IPv6 address stands for its /64, which is what one machine commonly is given. This machine's own programs, a proxy among
/// them, are not bounded by it.
const PEER_CONNECTIONS_MAX: usize = 64;

/// How long a request's head may take from its first byte, and a new connection may be without one. A head is one packet or
/// two.
pub(crate) const HEAD_TIME_MAX: Duration = Duration::from_secs(10);

/// How long a connection may rest between two requests when nobody needs its place: as long as Prometheus' default
/// interval, so that who scrapes keeps its connection.
const IDLE_TIME_MAX: Duration = Duration::from_secs(75);

/// By how much a body or a reader may be behind the slowest that is waited for before it gives way to one who waits for its
/// place. A small body that comes at once never is.
const WAITED_MIN: Duration = Duration::from_secs(1);

/// How long a body or a reader that is fast enough keeps its place from one who waits for it: as long as a small body may
/// take. What lasts longer gives way when nobody else can, else a few bytes a second more would keep everybody out.
const LASTS_MIN: Duration = Duration::from_secs(30);

/// How long a connection is left alone before it gives way: the head of who has just come is on its way, and when hundreds
/// come at once, those who ask must not go with those who only stand there. Who comes meanwhile waits as long.
pub(crate) const ARRIVING: Duration = Duration::from_millis(250);

/// The time for which a peer may not read at all. Reading earns time back, at [`READ_BYTES_PER_SECOND_MIN`].
const BLOCKED_TIME_MAX: Duration = Duration::from_secs(10);

/// The slowest reader that is served for ever: 4 KiB/s, less than any network one would look at a page over.
const READ_BYTES_PER_SECOND_MIN: u64 = 4 << 10;

/// The most bytes of answers that wait to be read, over all connections: 64 MiB. Above it the one whose peer has not read for
/// the longest is closed.
const UNSENT_BYTES_MAX: u64 = 64 << 20;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Nothing is under way.
    Idle,
    /// Some of a head has come.
    Head,
    /// The body is coming.
    Body,
    /// The request is whole; it is being answered.
    Work,
}

/// Why a connection was closed by us, for `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It rested too long.
    Idle,
    /// Its head took too long.
    Head,
    /// Its peer did not read.
    Unread,
    /// Another needed its place.
    Place,
}

impl Cut {
    /// All of them, with their names in metrics.
    pub(crate) const ALL: [(Self, &'static str); 4] = [
        (Self::Idle, "idle"),
        (Self::Head, "slow_head"),
        (Self::Unread, "unread_answer"),
        (Self::Place, "place_needed"),
    ];
}

/// What a decision about connections rests on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// What it waits for from its peer, and for how long in all, less what has moved meanwhile; `None` when its peer waits
    /// for us.
    waits: Option<(Waits, Duration)>,
    /// For how long it has done what it does.
    lasts: Duration,
    /// It has shown the token.
    trusted: bool,
    peer: IpAddr,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// A first head.
    First,
    /// The next head.
    Next,
    /// The rest of a head.
    Head,
    /// More of a body.
    Body,
    /// That what is written is read.
    Reader,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// All are taken, some by connections that came a moment ago: within [`ARRIVING`] one of these asks or can give way.
    Soon,
    /// Everybody waits for us.
    ForLong,
}

/// Who gives way when one more comes: the longest idle or the slowest head; else the body or the reader that has kept us
/// waiting the longest; else the one that has lasted the longest; those who have shown the token last. Of equals the first.
/// `None` when everybody waits for us.
pub(crate) fn gives_way(all: &[Facts]) -> Option<usize> {
    let longest = |trusted: bool, time: fn(&Facts) -> Option<Duration>| {
        let candidates = all.iter().enumerate().filter(|(_, facts)| facts.trusted == trusted);
        let candidates = candidates.filter_map(|(at, facts)| Some((at, time(facts)?)));
        // The first of those that came in one moment.
        candidates.min_by_key(|(_, time)| Reverse(*time)).map(|(at, _)| at)
    };
    longest(false, Facts::idles)
        .or_else(|| longest(false, Facts::is_behind))
        .or_else(|| longest(false, Facts::has_lasted))
        .or_else(|| longest(true, Facts::idles))
        .or_else(|| longest(true, Facts::is_behind))
}

impl Facts {
    fn is_busy(&self) -> bool {
        matches!(self.waits, Some((Waits::Body | Waits::Reader, _)))
    }

    /// For how long it does nothing, or is in a head, if that is long enough to give way.
    fn idles(&self) -> Option<Duration> {
        let (_, waited) = self.waits.filter(|_| !self.is_busy())?;
        (waited >= ARRIVING).then_some(waited)
    }

    /// By how much its body or its reader is behind, if that is enough to give way.
    fn is_behind(&self) -> Option<Duration> {
        let (_, waited) = self.waits.filter(|_| self.is_busy())?;
        (waited >= WAITED_MIN).then_some(waited)
    }

    /// For how long its body comes or its answer is read, if that is long enough to give way.
    fn has_lasted(&self) -> Option<Duration> {
        (self.is_busy() && self.lasts >= LASTS_MIN).then_some(self.lasts)
    }
}

/// Whether a connection has been waited for too long, and as what that counts.
fn overdue(facts: &Facts) -> Option<Cut> {
    let (waits, waited) = facts.waits?;
    match waits {
        Waits::First | Waits::Head if waited > HEAD_TIME_MAX => Some(Cut::Head),
        Waits::Next if waited > IDLE_TIME_MAX => Some(Cut::Idle),
        // The time that a body may take is the affair of who reads it; that of a reader is counted as it reads.
        _ => None,
    }
}

/// By how many microseconds a body is behind the slowest that is waited for when it was behind by `before`, and so many bytes
/// came after `waited` milliseconds. Nothing is saved up.
fn behind(before: u64, waited: u64, bytes: u64) -> u64 {
    let earned = bytes.saturating_mul(1_000_000) / u64::from(BYTES_PER_SECOND_MIN);
    before.saturating_add(waited.saturating_mul(1_000)).saturating_sub(earned)
}

/// One address, as far as one machine commonly has it.
fn machine(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

/// What is known of one connection. Written by its own task as it goes, read by whoever needs a place.
pub(crate) struct Connection {
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
    cut: OnceLock<Cut>,
    cut_told: Notify,
}

impl Connection {
    fn new(peer: IpAddr) -> Self {
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
            cut: OnceLock::new(),
            cut_told: Notify::new(),
        }
    }

    fn now(&self) -> u64 {
        self.until(Instant::now())
    }

    fn until(&self, now: Instant) -> u64 {
        millis(now.saturating_duration_since(self.begun))
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Body,
            _ => Phase::Work,
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        let now = self.now();
        self.phase.store(phase as u8, Relaxed);
        self.since.store(now, Relaxed);
        self.fed.store(now, Relaxed);
        self.starved.store(false, Relaxed);
        self.behind.store(0, Relaxed);
    }

    /// Something came.
    pub(crate) fn read(&self) {
        if self.phase() == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    /// More of the body is wanted and has not come.
    pub(crate) fn starved(&self) {
        self.starved.store(true, Relaxed);
    }

    /// So many bytes of the body came. The time that we took to ask for them counts, too: who sends fast has sent more
    /// meanwhile, and who drips has not.
    pub(crate) fn fed(&self, bytes: u64) {
        let now = self.now();
        let waited = now.saturating_sub(self.fed.swap(now, Relaxed));
        self.behind.store(behind(self.behind.load(Relaxed), waited, bytes), Relaxed);
        self.starved.store(false, Relaxed);
    }

    /// The peer takes no more for now.
    pub(crate) fn blocked(&self) {
        if self.blocked.load(Relaxed) == u64::MAX {
            self.blocked.store(self.now(), Relaxed);
        }
    }

    fn patience_left(&self, now: Instant) -> Duration {
        let blocked = self.blocked.load(Relaxed);
        let waited = if blocked == u64::MAX { 0 } else { self.until(now).saturating_sub(blocked) };
        Duration::from_millis(self.patience.load(Relaxed).saturating_sub(waited))
    }

    /// Of all that are compared, at one moment.
    fn facts(&self, moment: Instant) -> Facts {
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
        Facts { waits, lasts: since, trusted: self.trusted.load(Relaxed), peer: machine(self.peer) }
    }

    /// Returns when this connection is to be closed.
    pub(crate) async fn cut(&self) -> Cut {
        loop {
            let told = self.cut_told.notified();
            if let Some(cut) = self.cut.get() {
                return *cut;
            }
            told.await;
        }
    }
}

/// All connections.
#[derive(Default)]
pub(crate) struct Places {
    /// In the order in which they came.
    all: Mutex<Vec<Arc<Connection>>>,
    /// Requests under way of those who have no right to a reserved place.
    ordinary: AtomicUsize,
    unsent: AtomicU64,
    cuts: [AtomicU64; Cut::ALL.len()],
    turned_away: AtomicU64,
}

impl Places {
    /// A place for a connection from `peer`, for which another may have to give way.
    ///
    /// # Errors
    /// When nobody can, now or at all.
    pub(crate) fn take(self: &Arc<Self>, peer: IpAddr) -> Result<Seat, Full> {
        let mut all = self.lock();
        let same = |facts: &Facts| !facts.trusted && facts.peer == machine(peer);
        if !peer.to_canonical().is_loopback() {
            let facts = facts(&all);
            if facts.iter().filter(|facts| same(facts)).count() >= PEER_CONNECTIONS_MAX {
                let own: Vec<usize> = (0..facts.len()).filter(|at| same(&facts[*at])).collect();
                let facts: Vec<Facts> = own.iter().map(|at| facts[*at]).collect();
                // Nobody else waits for the place of one that has taken all that it may have.
                let at = gives_way(&facts).ok_or(Full::ForLong)?;
                self.close(&mut all, own[at], Cut::Place);
            }
        }
        if all.len() >= CONNECTIONS_MAX {
            let facts = facts(&all);
            let Some(at) = gives_way(&facts) else {
                let arrives =
                    |facts: &Facts| matches!(facts.waits, Some((Waits::First | Waits::Head | Waits::Next, _)));
                return Err(if facts.iter().any(arrives) { Full::Soon } else { Full::ForLong });
            };
            self.close(&mut all, at, Cut::Place);
        }
        let connection = Arc::new(Connection::new(peer));
        all.push(Arc::clone(&connection));
        Ok(Seat { places: Arc::clone(self), connection })
    }

    /// Counts one who came and got no place.
    pub(crate) fn turn_away(&self) {
        self.turned_away.fetch_add(1, Relaxed);
    }

    fn close(&self, all: &mut Vec<Arc<Connection>>, at: usize, why: Cut) {
        let connection = all.remove(at);
        if connection.cut.set(why).is_ok() {
            self.cuts[why as usize].fetch_add(1, Relaxed);
        }
        connection.cut_told.notify_one();
    }

    /// A request begins on `connection`. `None` when too many are under way of those who have no right to a reserved place.
    pub(crate) fn begin(self: &Arc<Self>, connection: &Arc<Connection>, light: bool, trusted: bool) -> Option<Request> {
        connection.requests.fetch_add(1, Relaxed);
        if trusted {
            connection.trusted.store(true, Relaxed);
        }
        let ordinary = !light && !trusted;
        let under_way = if ordinary { self.ordinary.fetch_add(1, Relaxed) } else { 0 };
        // Its place counts from here on, so that it is given back however this ends.
        let request = Request { places: Arc::clone(self), connection: Arc::clone(connection), ordinary };
        if under_way >= CONNECTIONS_MAX - RESERVED && !self.one_gives_way(connection) {
            self.turn_away();
            return None;
        }
        Some(request)
    }

    /// Closes the request that has kept us waiting the longest; false when everybody waits for us.
    fn one_gives_way(&self, newcomer: &Arc<Connection>) -> bool {
        let mut all = self.lock();
        let facts = facts(&all).into_iter().enumerate().filter(|(at, _)| !Arc::ptr_eq(&all[*at], newcomer));
        let busy = |facts: &Facts| facts.is_busy() && !facts.trusted;
        let (places, facts): (Vec<usize>, Vec<Facts>) = facts.filter(|(_, facts)| busy(facts)).unzip();
        match gives_way(&facts) {
            Some(at) => {
                self.close(&mut all, places[at], Cut::Place);
                true
            }
            None => false,
        }
    }

    /// Closes what has been waited for too long. Called a few times a second.
    pub(crate) fn sweep(&self) {
        let mut all = self.lock();
        let now = Instant::now();
        for at in (0..all.len()).rev() {
            if all[at].patience_left(now).is_zero() {
                self.close(&mut all, at, Cut::Unread);
            } else if let Some(why) = overdue(&all[at].facts(now)) {
                self.close(&mut all, at, why);
            }
        }
        while self.unsent.load(Relaxed) > UNSENT_BYTES_MAX {
            let blocked = |connection: &Connection| match connection.facts(now).waits {
                Some((Waits::Reader, waited)) if waited >= WAITED_MIN => Some(waited),
                _ => None,
            };
            let slow = all.iter().enumerate().filter_map(|(at, connection)| Some((at, blocked(connection)?)));
            let Some((at, _)) = slow.max_by_key(|(_, waited)| *waited) else { break };
            self.forget_unsent(&all[at]);
            self.close(&mut all, at, Cut::Unread);
        }
    }

    fn forget_unsent(&self, connection: &Connection) {
        let unsent = connection.unsent.swap(0, Relaxed);
        let _ = self.unsent.fetch_update(Relaxed, Relaxed, |all| Some(all.saturating_sub(unsent)));
    }

    /// So many bytes of an answer wait to be written.
    pub(crate) fn made(&self, connection: &Connection, bytes: u64) {
        connection.unsent.fetch_add(bytes, Relaxed);
        self.unsent.fetch_add(bytes, Relaxed);
    }

    /// So many bytes were written.
    pub(crate) fn wrote(&self, connection: &Connection, bytes: u64) {
        let blocked = connection.blocked.swap(u64::MAX, Relaxed);
        let waited = if blocked == u64::MAX { 0 } else { connection.now().saturating_sub(blocked) };
        let earned = bytes * 1_000 / READ_BYTES_PER_SECOND_MIN;
        let patience = connection.patience.load(Relaxed).saturating_sub(waited).saturating_add(earned);
        connection.patience.store(patience.min(millis(BLOCKED_TIME_MAX)), Relaxed);
        // Heads are written too, so less may be unsent than was written.
        let before = connection.unsent.load(Relaxed);
        let sent = before.min(bytes);
        connection.unsent.store(before - sent, Relaxed);
        if sent > 0 {
            let _ = self.unsent.fetch_update(Relaxed, Relaxed, |all| Some(all.saturating_sub(sent)));
        }
    }

    /// How many connections there are, how many bytes of answers wait to be read, how many newcomers or requests were turned
    /// away, and how many connections were closed, by reason.
    pub(crate) fn counts(&self) -> Counts {
        let closed = Cut::ALL.map(|(why, name)| (name, self.cuts[why as usize].load(Relaxed)));
        Counts {
            connections: self.lock().len(),
            unsent_bytes: self.unsent.load(Relaxed),
            turned_away: self.turned_away.load(Relaxed),
            closed,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Connection>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For `/metrics`.
pub(crate) struct Counts {
    pub(crate) connections: usize,
    pub(crate) unsent_bytes: u64,
    pub(crate) turned_away: u64,
    pub(crate) closed: [(&'static str, u64); Cut::ALL.len()],
}

/// A connection's place, until it is dropped.
pub(crate) struct Seat {
    pub(crate) places: Arc<Places>,
    pub(crate) connection: Arc<Connection>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut all = self.places.lock();
        all.retain(|connection| !Arc::ptr_eq(connection, &self.connection));
        drop(all);
        self.places.forget_unsent(&self.connection);
    }
}

/// A request under way, until its answer is handed over or it is given up.
pub(crate) struct Request {
    places: Arc<Places>,
    connection: Arc<Connection>,
    ordinary: bool,
}

impl Drop for Request {
    fn drop(&mut self) {
        if self.ordinary {
            self.places.ordinary.fetch_sub(1, Relaxed);
        }
        self.connection.enter(Phase::Idle);
    }
}

/// What is known of all at one moment.
fn facts(all: &[Arc<Connection>]) -> Vec<Facts> {
    let now = Instant::now();
    all.iter().map(|connection| connection.facts(now)).collect()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn facts(waits: Waits, seconds: u64) -> Facts {
        Facts { waits: Some((waits, Duration::from_secs(seconds))), lasts: WAITED_MIN, trusted: false, peer: HERE }
    }

    const WORKS: Facts = Facts { waits: None, lasts: Duration::from_secs(3_600), trusted: false, peer: HERE };

    #[test]
    fn the_longest_idle_or_slowest_head_gives_way_and_what_works_never_does() {
        let all = [WORKS, facts(Waits::Next, 3), facts(Waits::Head, 5), facts(Waits::Body, 9), facts(Waits::First, 1)];
        assert_eq!(gives_way(&all), Some(2));
        assert_eq!(gives_way(&[WORKS, WORKS]), None);
    }

    #[test]
    fn without_idle_ones_the_slowest_body_or_reader_gives_way_once_it_has_kept_us_waiting() {
        let busy = [WORKS, facts(Waits::Body, 2), facts(Waits::Reader, 7)];
        assert_eq!(gives_way(&busy), Some(2));
        assert_eq!(gives_way(&[WORKS, facts(Waits::Body, 0)]), None, "a body on its way is not slow");
    }

    #[test]
    fn a_body_or_a_reader_that_is_fast_gives_way_once_it_lasts_when_nobody_is_behind() {
        let lasts = |seconds: u64| Facts { lasts: Duration::from_secs(seconds), ..facts(Waits::Body, 0) };
        assert_eq!(gives_way(&[lasts(40), facts(Waits::Body, 1), lasts(50)]), Some(1), "who is behind goes first");
        assert_eq!(gives_way(&[lasts(40), WORKS, lasts(50), lasts(29)]), Some(2), "then what lasts the longest");
        assert_eq!(gives_way(&[lasts(29), WORKS]), None);
        assert_eq!(gives_way(&[Facts { trusted: true, ..lasts(50) }]), None, "who has shown the token may last");
    }

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
        let places = Arc::new(Places::default());
        let seat = places.take(HERE).expect("a place");
        seat.connection.patience.store(4_000, Relaxed);
        places.wrote(&seat.connection, 1);
        seat.connection.blocked();
        let (waits, waited) = seat.connection.facts(Instant::now()).waits.expect("it does not read");
        assert!(waits == Waits::Reader && waited >= Duration::from_millis(5_900), "{waited:?}");
    }

    #[test]
    fn who_has_shown_the_token_gives_way_last() {
        let trusted = |facts: Facts| Facts { trusted: true, ..facts };
        let all = [trusted(facts(Waits::Next, 60)), facts(Waits::Reader, 1), WORKS];
        assert_eq!(gives_way(&all), Some(1));
        assert_eq!(gives_way(&[trusted(facts(Waits::Next, 60)), WORKS]), Some(0));
    }

    #[test]
    fn a_full_house_takes_a_newcomer_and_the_longest_idle_is_told_to_go() {
        let places = Arc::new(Places::default());
        let seats: Vec<_> = (0..CONNECTIONS_MAX).map(|_| places.take(HERE).expect("a place")).collect();
        // The first has begun a request, which is under way: the others wait for their first head.
        let request = places.begin(&seats[0].connection, false, false).expect("room");
        seats[0].connection.enter(Phase::Work);
        assert_eq!(places.take(HERE).err(), Some(Full::Soon), "who has just come is left alone");
        std::thread::sleep(ARRIVING);
        let newcomer = places.take(HERE).expect("the longest idle gives way");
        assert_eq!(places.lock().len(), CONNECTIONS_MAX);
        let told: Vec<usize> = (0..seats.len()).filter(|at| seats[*at].connection.cut.get().is_some()).collect();
        assert_eq!((told, seats[1].connection.cut.get()), (vec![1], Some(&Cut::Place)), "of one moment the first");
        assert!(seats[0].connection.cut.get().is_none(), "what works is left alone");
        drop((request, newcomer, seats));
        assert_eq!((places.lock().len(), places.ordinary.load(Relaxed)), (0, 0));
    }

    #[test]
    fn one_address_of_another_machine_has_a_quarter_and_this_machine_all() {
        let places = Arc::new(Places::default());
        let mut seats = Vec::new();
        for n in 0..2 * PEER_CONNECTIONS_MAX {
            if n == PEER_CONNECTIONS_MAX {
                std::thread::sleep(ARRIVING);
            }
            let peer = format!("2001:db8::{n:x}").parse().expect("an address");
            seats.push(places.take(peer).expect("one's own gives way"));
        }
        assert_eq!(places.lock().len(), PEER_CONNECTIONS_MAX, "one /64 is one machine");
        let held = seats.iter().filter(|seat| seat.connection.cut.get().is_none());
        held.for_each(|seat| seat.connection.enter(Phase::Work));
        let more = places.take("2001:db8::ffff".parse().expect("an address"));
        assert_eq!(more.err(), Some(Full::ForLong), "all of its own work");
        assert!(places.take("192.0.2.1".parse().expect("an address")).is_ok(), "another address has its own");
        let here: Vec<_> = (0..PEER_CONNECTIONS_MAX + 1).map(|_| places.take(HERE).expect("a place")).collect();
        assert!(here.iter().all(|seat| seat.connection.cut.get().is_none()));
    }

    #[test]
    fn requests_leave_room_for_health_and_for_the_token() {
        let places = Arc::new(Places::default());
        let seats: Vec<_> = (0..CONNECTIONS_MAX).map(|_| places.take(HERE).expect("a place")).collect();
        let begin = |at: usize, light, trusted| {
            let request = places.begin(&seats[at].connection, light, trusted);
            seats[at].connection.enter(Phase::Work);
            request
        };
        let requests: Vec<_> = (0..CONNECTIONS_MAX - RESERVED).map(|at| begin(at, false, false)).collect();
        assert!(requests.iter().all(Option::is_some));
        assert!(begin(CONNECTIONS_MAX - RESERVED, false, false).is_none(), "the rest is not for these");
        assert!(begin(CONNECTIONS_MAX - 1, true, false).is_some(), "health");
        assert!(begin(CONNECTIONS_MAX - 2, false, true).is_some(), "the token");
        drop(requests);
        assert!(begin(CONNECTIONS_MAX - RESERVED, false, false).is_some());
    }

    #[test]
    fn a_peer_that_does_not_read_runs_out_of_patience_and_reading_earns_it_back() {
        let places = Arc::new(Places::default());
        let seat = places.take(HERE).expect("a place");
        let connection = &seat.connection;
        places.made(connection, 1 << 20);
        connection.patience.store(0, Relaxed);
        assert!(connection.patience_left(Instant::now()).is_zero());
        places.wrote(connection, 2 * READ_BYTES_PER_SECOND_MIN);
        assert_eq!(connection.patience_left(Instant::now()), Duration::from_secs(2));
        places.wrote(connection, 1 << 20);
        assert_eq!(connection.patience_left(Instant::now()), BLOCKED_TIME_MAX, "not more than that is saved up");
        assert_eq!(places.counts().unsent_bytes, 0);
        connection.patience.store(0, Relaxed);
        places.sweep();
        assert_eq!(connection.cut.get(), Some(&Cut::Unread));
        assert_eq!(places.counts().closed[2], ("unread_answer", 1));
    }
}
