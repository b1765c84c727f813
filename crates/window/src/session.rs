//! Sessions: windows as long as the events of one key keep coming.

use std::time::Duration;

use lakehead_model::{TimeRange, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Error, Tumble};

/// Greatest length of a session unless something else is asked for: a day, of which the result files are, too.
pub const SESSION_LENGTH_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Sessions: stretches of the events of one key, of which each comes less than `gap` after the one before.
///
/// With a gap of 30 minutes events at 13:00, 13:20 and 13:49:59 are one session, `[13:00:00, 14:19:59)`: another event
/// at 14:19:58 would be in it, one at 14:19:59 begins the next.
///
/// # No session crosses a multiple of `greatest`
///
/// Time is cut into *slices*, tumbling windows of the size `greatest`, and an event in another slice than the one before
/// begins a session whatever the gap is. So the first and the last event of a session are less than `greatest` apart,
/// and a machine that never rests does not keep one session open for ever. A session that continues over midnight becomes
/// two, at a slice of 24 hours. The end of a session is that of its silence, a gap after its last event, and may lie in
/// the next slice.
///
/// Why not at a length that is counted from the session's first event? Because which event is the first depends on
/// what has come so far. An event that comes late and is older moves the start, with it every later cut, and so changes
/// sessions that were long emitted. Slices are the same whatever came, so what a session is does not depend on the order
/// in which events come, and partial sessions may be put together in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "SavedSession", into = "SavedSession")]
pub struct Session {
    gap_micros: i64,
    slices: Tumble,
}

impl Session {
    /// Sessions that end with a silence of `gap`, and at every multiple of `greatest`; see [`SESSION_LENGTH_MAX`].
    ///
    /// # Errors
    /// When one of them can be no [`Tumble`]'s size, and when `gap` is the greater one.
    pub fn new(gap: Duration, greatest: Duration) -> Result<Self, Error> {
        let (silence, slices) = (Tumble::new(gap)?, Tumble::new(greatest)?);
        if greatest < gap {
            return Err(Error::SessionGap { gap, greatest });
        }
        Ok(Self { gap_micros: silence.size_micros(), slices })
    }

    /// The silence that ends a session.
    #[must_use]
    pub fn gap(self) -> Duration {
        Duration::from_micros(self.gap_micros.unsigned_abs())
    }

    /// The size of the slices that no session crosses.
    #[must_use]
    pub fn greatest(self) -> Duration {
        self.slices.size()
    }

    pub(crate) fn slices(self) -> Tumble {
        self.slices
    }

    /// The slice that holds `time`: with it all events of its session.
    #[must_use]
    #[inline]
    pub fn slice(self, time: Timestamp) -> TimeRange {
        self.slices.window(time)
    }

    /// Whether an event at `next` continues the session whose last event so far is at `last`: at `last` or less than
    /// a gap after it, and in the same slice.
    #[must_use]
    #[inline]
    pub fn follows(self, last: Timestamp, next: Timestamp) -> bool {
        next >= last && next.0.saturating_sub(last.0) < self.gap_micros && self.slice(last) == self.slice(next)
    }

    /// The end of the session whose last event is at `last`: a gap later.
    #[must_use]
    #[inline]
    pub fn end(self, last: Timestamp) -> Timestamp {
        Timestamp(last.0.saturating_add(self.gap_micros))
    }
}

/// Sessions as they are saved.
#[derive(Serialize, Deserialize)]
struct SavedSession {
    gap: Duration,
    greatest: Duration,
}

impl TryFrom<SavedSession> for Session {
    type Error = Error;
    fn try_from(saved: SavedSession) -> Result<Self, Error> {
        Self::new(saved.gap, saved.greatest)
    }
}

impl From<Session> for SavedSession {
    fn from(session: Session) -> Self {
        Self { gap: session.gap(), greatest: session.greatest() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn session(gap_seconds: u64, greatest_seconds: u64) -> Session {
        Session::new(seconds(gap_seconds), seconds(greatest_seconds)).expect("sessions")
    }

    #[track_caller]
    fn check(session: Session, last_seconds: i64, next_seconds: i64, expected: bool) {
        let [last, next] = [last_seconds, next_seconds].map(Timestamp::from_seconds);
        assert_eq!(session.follows(last, next), expected, "{last_seconds} s, {next_seconds} s");
    }

    #[test]
    fn an_event_a_gap_later_begins_the_next_session() {
        let session = session(10, 100);
        check(session, 5, 5, true);
        check(session, 5, 14, true);
        check(session, 5, 15, false);
        check(session, 5, 4, false);
        check(session, -95, -86, true);
        assert_eq!(session.end(Timestamp::from_seconds(5)), Timestamp::from_seconds(15));
    }

    #[test]
    fn no_session_crosses_its_slice() {
        let session = session(10, 100);
        check(session, 95, 99, true);
        check(session, 95, 100, false);
        check(session, -1, 0, false);
        let slice = session.slice(Timestamp::from_seconds(100));
        assert_eq!((slice.start, slice.end), (Timestamp::from_seconds(100), Timestamp::from_seconds(200)));
    }

    #[test]
    fn sessions_that_cannot_be_are_refused_by_name() {
        let refused = |gap, greatest| Session::new(gap, greatest).expect_err("no sessions");
        assert_eq!(refused(Duration::ZERO, seconds(1)), Error::Size(Duration::ZERO));
        assert_eq!(refused(seconds(1), Duration::MAX), Error::Size(Duration::MAX));
        let short = refused(seconds(2), seconds(1)).to_string();
        assert_eq!(short, "a session of at most 1s is shorter than the gap of 2s that ends it");
        assert_eq!(session(1, 1).gap(), session(1, 1).greatest());
        assert_eq!(Session::new(seconds(1_800), SESSION_LENGTH_MAX).map(Session::greatest), Ok(seconds(86_400)));
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let session = session(10, 100);
        assert!(!session.follows(Timestamp(i64::MIN), Timestamp(i64::MAX)));
        assert!(session.follows(Timestamp(i64::MAX - 1), Timestamp(i64::MAX)));
        assert_eq!(session.end(Timestamp(i64::MAX)), Timestamp(i64::MAX));
        assert_eq!(session.slice(Timestamp(i64::MIN)).start, Timestamp(i64::MIN));
    }

    #[test]
    fn they_are_written_as_gap_and_greatest() {
        let saved = serde_json::to_string(&session(4, 6)).expect("JSON");
        assert_eq!(saved, r#"{"gap":{"secs":4,"nanos":0},"greatest":{"secs":6,"nanos":0}}"#);
        assert_eq!(serde_json::from_str::<Session>(&saved).expect("sessions"), session(4, 6));
        assert!(serde_json::from_str::<Session>(&saved.replace('6', "3")).is_err());
    }
}
