//! Which connection is closed, and why: pure functions over facts.
//!
//! Only a connection that waits for its peer has a time limit and may be closed for another one; a connection whose request
//! is being answered is left alone. A newcomer is never refused while some connection is idle: the longest idle, or the one
//! with the slowest head, gives way to it. How long a body or a reader has kept the server waiting goes by how much has
//! moved, not by when something last did: a byte now and then is no progress.

use std::{cmp::Reverse, net::IpAddr, time::Duration};

/// How long a request's head may take from its first byte, and a new connection may be without one. A head is one packet or
/// two.
pub(crate) const HEAD_TIME_MAX: Duration = Duration::from_secs(10);

/// How long a connection may rest between two requests when nobody needs its place: as long as Prometheus' default
/// interval, so that who scrapes keeps its connection.
const IDLE_TIME_MAX: Duration = Duration::from_secs(75);

/// By how much a body or a reader may be behind the slowest that is waited for before it gives way to one who waits for its
/// place. A small body that comes at once never is.
pub(super) const WAITED_MIN: Duration = Duration::from_secs(1);

/// How long a body or a reader that is fast enough keeps its place from one who waits for it: as long as a small body may
/// take. What lasts longer gives way when nobody else can, else a few bytes a second more would keep everybody out.
const LASTS_MIN: Duration = Duration::from_secs(30);

/// How long a connection is left alone before it gives way: the head of who has just come is on its way, and when hundreds
/// come at once, those who ask must not go with those who only stand there. Who comes meanwhile waits as long.
pub(super) const ARRIVING: Duration = Duration::from_millis(250);

/// Why the server closed a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseReason {
    /// It rested too long.
    Idle,
    /// Its head took too long.
    Head,
    /// Its peer did not read.
    Unread,
    /// Another needed its place.
    Place,
}

impl CloseReason {
    /// All reasons, with their names in `/metrics`.
    pub(super) const ALL: [(Self, &'static str); 4] = [
        (Self::Idle, "idle"),
        (Self::Head, "slow_head"),
        (Self::Unread, "unread_answer"),
        (Self::Place, "place_needed"),
    ];
}

/// What a decision about connections rests on.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionFacts {
    /// What it waits for from its peer, and for how long in all, less what has moved meanwhile; `None` when its peer waits
    /// for us.
    pub(super) waits: Option<(Waits, Duration)>,
    /// For how long it has done what it does.
    pub(super) lasts: Duration,
    /// It has shown the token.
    pub(super) trusted: bool,
    /// The peer's address, as far as it stands for one machine.
    pub(super) peer: IpAddr,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
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

/// Who gives way when one more comes: the longest idle or the slowest head; else the body or the reader that has kept us
/// waiting the longest; else the one that has lasted the longest; those who have shown the token last. Of equals the first.
/// `None` when everybody waits for us.
pub(super) fn gives_way(all: &[ConnectionFacts]) -> Option<usize> {
    let longest = |trusted: bool, time: fn(&ConnectionFacts) -> Option<Duration>| {
        let candidates = all.iter().enumerate().filter(|(_, facts)| facts.trusted == trusted);
        let candidates = candidates.filter_map(|(at, facts)| Some((at, time(facts)?)));
        // The first of those that came in one moment.
        candidates.min_by_key(|(_, time)| Reverse(*time)).map(|(at, _)| at)
    };
    longest(false, ConnectionFacts::idles)
        .or_else(|| longest(false, ConnectionFacts::is_behind))
        .or_else(|| longest(false, ConnectionFacts::has_lasted))
        .or_else(|| longest(true, ConnectionFacts::idles))
        .or_else(|| longest(true, ConnectionFacts::is_behind))
}

impl ConnectionFacts {
    /// Whether its body is coming or its answer is being read.
    pub(super) fn is_busy(&self) -> bool {
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
pub(super) fn overdue(facts: &ConnectionFacts) -> Option<CloseReason> {
    let (waits, waited) = facts.waits?;
    match waits {
        Waits::First | Waits::Head if waited > HEAD_TIME_MAX => Some(CloseReason::Head),
        Waits::Next if waited > IDLE_TIME_MAX => Some(CloseReason::Idle),
        // The time that a body may take is the affair of who reads it; that of a reader is counted as it reads.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn facts(waits: Waits, seconds: u64) -> ConnectionFacts {
        ConnectionFacts {
            waits: Some((waits, Duration::from_secs(seconds))),
            lasts: WAITED_MIN,
            trusted: false,
            peer: HERE,
        }
    }

    const WORKS: ConnectionFacts =
        ConnectionFacts { waits: None, lasts: Duration::from_secs(3_600), trusted: false, peer: HERE };

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
        let lasts = |seconds: u64| ConnectionFacts { lasts: Duration::from_secs(seconds), ..facts(Waits::Body, 0) };
        assert_eq!(gives_way(&[lasts(40), facts(Waits::Body, 1), lasts(50)]), Some(1), "who is behind goes first");
        assert_eq!(gives_way(&[lasts(40), WORKS, lasts(50), lasts(29)]), Some(2), "then what lasts the longest");
        assert_eq!(gives_way(&[lasts(29), WORKS]), None);
        assert_eq!(
            gives_way(&[ConnectionFacts { trusted: true, ..lasts(50) }]),
            None,
            "who has shown the token may last"
        );
    }

    #[test]
    fn who_has_shown_the_token_gives_way_last() {
        let trusted = |facts: ConnectionFacts| ConnectionFacts { trusted: true, ..facts };
        let all = [trusted(facts(Waits::Next, 60)), facts(Waits::Reader, 1), WORKS];
        assert_eq!(gives_way(&all), Some(1));
        assert_eq!(gives_way(&[trusted(facts(Waits::Next, 60)), WORKS]), Some(0));
    }
}
