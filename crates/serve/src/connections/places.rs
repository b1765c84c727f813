//! The places for connections: who holds one, and who gives way when there is no room.
//!
//! Who gives way is decided in [`eviction`](super::eviction). A part of the places is kept for `/healthz`, `/metrics` and
//! those who have shown the token. What is counted stands in `/metrics`.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use super::{
    connection::{Connection, Phase, machine},
    eviction::{CloseReason, ConnectionFacts, WAITED_MIN, Waits, gives_way, overdue},
};

/// How many connections there are at once. A quarter of the 1,024 open files that a process is commonly allowed; the log
/// and the views need the rest.
pub(crate) const CONNECTIONS_MAX: usize = 256;

/// Of these so many are never taken by requests of those who have not shown the token: health, metrics and the token's
/// holders get through, whatever the others do.
const RESERVED: usize = 32;

/// How many connections one address of another machine has at once, as long as it has not shown the token: a quarter. An
/// IPv6 address stands for its /64, which is what one machine commonly is given. This machine's own programs, a proxy among
/// them, are not bounded by it.
const PEER_CONNECTIONS_MAX: usize = 64;

/// The most bytes of answers that wait to be read, over all connections: 64 MiB. Above it the one whose peer has not read for
/// the longest is closed.
const UNSENT_BYTES_MAX: u64 = 64 << 20;

/// All connections.
#[derive(Default)]
pub(crate) struct Places {
    /// In the order in which they came.
    all: Mutex<Vec<Arc<Connection>>>,
    /// Requests under way of those who have no right to a reserved place.
    ordinary: AtomicUsize,
    unsent: AtomicU64,
    closed: [AtomicU64; CloseReason::ALL.len()],
    turned_away: AtomicU64,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// All are taken, some by connections that came a moment ago: within [`ARRIVING`](super::eviction::ARRIVING) one of these
    /// asks or can give way.
    Soon,
    /// Everybody waits for us.
    ForLong,
}

impl Places {
    /// A place for a connection from `peer`, for which another may have to give way.
    ///
    /// # Errors
    /// When nobody can, now or at all.
    pub(super) fn take(self: &Arc<Self>, peer: IpAddr) -> Result<Seat, Full> {
        let mut all = self.lock();
        let same = |facts: &ConnectionFacts| !facts.trusted && facts.peer == machine(peer);
        if !peer.to_canonical().is_loopback() {
            let facts = facts(&all);
            if facts.iter().filter(|facts| same(facts)).count() >= PEER_CONNECTIONS_MAX {
                let own: Vec<usize> = (0..facts.len()).filter(|at| same(&facts[*at])).collect();
                let facts: Vec<ConnectionFacts> = own.iter().map(|at| facts[*at]).collect();
                // Nobody else waits for the place of one that has taken all that it may have.
                let at = gives_way(&facts).ok_or(Full::ForLong)?;
                self.close(&mut all, own[at], CloseReason::Place);
            }
        }
        if all.len() >= CONNECTIONS_MAX {
            let facts = facts(&all);
            let Some(at) = gives_way(&facts) else {
                let arrives = |facts: &ConnectionFacts| {
                    matches!(facts.waits, Some((Waits::First | Waits::Head | Waits::Next, _)))
                };
                return Err(if facts.iter().any(arrives) { Full::Soon } else { Full::ForLong });
            };
            self.close(&mut all, at, CloseReason::Place);
        }
        let connection = Arc::new(Connection::new(peer));
        all.push(Arc::clone(&connection));
        Ok(Seat { places: Arc::clone(self), connection })
    }

    /// Counts one who came and got no place.
    pub(super) fn turn_away(&self) {
        self.turned_away.fetch_add(1, Relaxed);
    }

    fn close(&self, all: &mut Vec<Arc<Connection>>, at: usize, why: CloseReason) {
        if all.remove(at).close(why) {
            self.closed[why as usize].fetch_add(1, Relaxed);
        }
    }

    /// A request begins on `connection`. `None` when too many are under way of those who have no right to a reserved place.
    pub(super) fn begin(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        light: bool,
        trusted: bool,
    ) -> Option<UnderWay> {
        connection.begin_request(trusted);
        let ordinary = !light && !trusted;
        let others = if ordinary { self.ordinary.fetch_add(1, Relaxed) } else { 0 };
        // Its place counts from here on, so that it is given back however this ends.
        let under_way = UnderWay { places: Arc::clone(self), connection: Arc::clone(connection), ordinary };
        if others >= CONNECTIONS_MAX - RESERVED && !self.one_gives_way(connection) {
            self.turn_away();
            return None;
        }
        Some(under_way)
    }

    /// Closes the request that has kept us waiting the longest; false when everybody waits for us.
    fn one_gives_way(&self, newcomer: &Arc<Connection>) -> bool {
        let mut all = self.lock();
        let facts = facts(&all).into_iter().enumerate().filter(|(at, _)| !Arc::ptr_eq(&all[*at], newcomer));
        let busy = |facts: &ConnectionFacts| facts.is_busy() && !facts.trusted;
        let (places, facts): (Vec<usize>, Vec<ConnectionFacts>) = facts.filter(|(_, facts)| busy(facts)).unzip();
        match gives_way(&facts) {
            Some(at) => {
                self.close(&mut all, places[at], CloseReason::Place);
                true
            }
            None => false,
        }
    }

    /// Closes what has been waited for too long. Called a few times a second.
    pub(super) fn sweep(&self) {
        let mut all = self.lock();
        let now = Instant::now();
        for at in (0..all.len()).rev() {
            if all[at].patience_left(now).is_zero() {
                self.close(&mut all, at, CloseReason::Unread);
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
            self.close(&mut all, at, CloseReason::Unread);
        }
    }

    fn forget_unsent(&self, connection: &Connection) {
        self.sent(connection.forget_unsent());
    }

    /// So many bytes of an answer wait to be written.
    pub(super) fn made(&self, connection: &Connection, bytes: u64) {
        connection.made(bytes);
        self.unsent.fetch_add(bytes, Relaxed);
    }

    /// So many bytes were written.
    pub(super) fn wrote(&self, connection: &Connection, bytes: u64) {
        let sent = connection.wrote(bytes);
        if sent > 0 {
            self.sent(sent);
        }
    }

    fn sent(&self, bytes: u64) {
        let _ = self.unsent.fetch_update(Relaxed, Relaxed, |all| Some(all.saturating_sub(bytes)));
    }

    /// How many connections there are, how many bytes of answers wait to be read, how many newcomers or requests were turned
    /// away, and how many connections were closed, by reason.
    pub(crate) fn counts(&self) -> Counts {
        let closed = CloseReason::ALL.map(|(why, name)| (name, self.closed[why as usize].load(Relaxed)));
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
    pub(crate) closed: [(&'static str, u64); CloseReason::ALL.len()],
}

/// A connection's place, until it is dropped.
pub(super) struct Seat {
    pub(super) places: Arc<Places>,
    pub(super) connection: Arc<Connection>,
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
pub(super) struct UnderWay {
    places: Arc<Places>,
    connection: Arc<Connection>,
    ordinary: bool,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.ordinary {
            self.places.ordinary.fetch_sub(1, Relaxed);
        }
        self.connection.enter(Phase::Idle);
    }
}

/// What is known of all connections at one moment.
fn facts(all: &[Arc<Connection>]) -> Vec<ConnectionFacts> {
    let now = Instant::now();
    all.iter().map(|connection| connection.facts(now)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        super::{
            connection::{BLOCKED_TIME_MAX, READ_BYTES_PER_SECOND_MIN},
            eviction::ARRIVING,
        },
        *,
    };

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

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
        let told: Vec<usize> = (0..seats.len()).filter(|at| seats[*at].connection.closed().is_some()).collect();
        assert_eq!(
            (told, seats[1].connection.closed()),
            (vec![1], Some(CloseReason::Place)),
            "of one moment the first"
        );
        assert!(seats[0].connection.closed().is_none(), "what works is left alone");
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
        let held = seats.iter().filter(|seat| seat.connection.closed().is_none());
        held.for_each(|seat| seat.connection.enter(Phase::Work));
        let more = places.take("2001:db8::ffff".parse().expect("an address"));
        assert_eq!(more.err(), Some(Full::ForLong), "all of its own work");
        assert!(places.take("192.0.2.1".parse().expect("an address")).is_ok(), "another address has its own");
        let here: Vec<_> = (0..PEER_CONNECTIONS_MAX + 1).map(|_| places.take(HERE).expect("a place")).collect();
        assert!(here.iter().all(|seat| seat.connection.closed().is_none()));
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
        connection.leave_patience(Duration::ZERO);
        assert!(connection.patience_left(Instant::now()).is_zero());
        places.wrote(connection, 2 * READ_BYTES_PER_SECOND_MIN);
        assert_eq!(connection.patience_left(Instant::now()), Duration::from_secs(2));
        places.wrote(connection, 1 << 20);
        assert_eq!(connection.patience_left(Instant::now()), BLOCKED_TIME_MAX, "not more than that is saved up");
        assert_eq!(places.counts().unsent_bytes, 0);
        connection.leave_patience(Duration::ZERO);
        places.sweep();
        assert_eq!(connection.closed(), Some(CloseReason::Unread));
        assert_eq!(places.counts().closed[2], ("unread_answer", 1));
    }
}
