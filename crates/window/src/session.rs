//! Sessions: windows as long as the events of one key keep coming.

use std::time::Duration;

use lakehead_model::{TimeRange, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Error, Tumble};

/// Greatest length of a session unless something else is asked for: a day, of which the result files are, too.
pub const SESSION_GREATEST: Duration = Duration::from_secs(24 * 3_600);

/// Sessions: stretches of the events of one key, of which each comes less than `gap` after the one before.
///
/// With a gap of 30 minutes events at 13:00, 13:20 and 13:49:59 are one session, `[13:00:00, 14:19:59)`: another event
/// at 14:19:58 would be in it, one at 14:19:59 begins the next.
///
/// # No session crosses a multiple of `greatest`
///
/// Time is cut into *cells*, tumbling windows of the size `greatest`, and an event in another cell than the one before
/// begins a session whatever the gap is. So the first and the last event of a session are less than `greatest` apart,
/// and a machine that never rests does not keep one session open for ever. A session that goes on over midnight becomes
/// two, at a cell of 24 hours. The end of a session is that of its silence, a gap after its last event, and may lie in
/// the next cell.
///
/// Why not at a length that is counted from the session's first event? Because which event is the first depends on
/// what has come so far. An event that comes late and is older moves the start, with it every later cut, and so changes
/// sessions that were long emitted. Cells are the same whatever came, so what a session is does not depend on the order
/// in which events come, and partial sessions may be put together in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Session {
    gap_micros: i64,
    cells: Tumble,
}

impl Session {
    /// Sessions that end with a silence of `gap`, and at every multiple of `greatest`; see [`SESSION_GREATEST`].
    ///
    /// # Errors
    /// When one of them can be no [`Tumble`]'s size, and when `gap` is the greater one.
    pub fn new(gap: Duration, greatest: Duration) -> Result<Self, Error> {
        let (silence, cells) = (Tumble::new(gap)?, Tumble::new(greatest)?);
        if greatest < gap {
            return Err(Error::SessionGap { gap, greatest });
        }
        Ok(Self { gap_micros: silence.size_micros(), cells })
    }

    /// The silence that ends a session.
    #[must_use]
    pub fn gap(self) -> Duration {
        Duration::from_micros(self.gap_micros.unsigned_abs())
    }

    /// The size of the cells that no session crosses.
    #[must_use]
    pub fn greatest(self) -> Duration {
        self.cells.size()
    }

    pub(crate) fn cells(self) -> Tumble {
        self.cells
    }

    /// The cell that holds `time`: with it all events of its session.
    #[must_use]
    #[inline]
    pub fn cell(self, time: Timestamp) -> TimeRange {
        self.cells.window(time)
    }

    /// Whether an event at `next` goes on with the session whose last event so far is at `last`: at `last` or less than
    /// a gap after it, and in the same cell.
    #[must_use]
    #[inline]
    pub fn follows(self, last: Timestamp, next: Timestamp) -> bool {
        next >= last && next.0.saturating_sub(last.0) < self.gap_micros && self.cell(last) == self.cell(next)
    }

    /// The end of the session whose last event is at `last`: a gap later.
    #[must_use]
    #[inline]
    pub fn end(self, last: Timestamp) -> Timestamp {
        Timestamp(last.0.saturating_add(self.gap_micros))
    }
}

/// Sessions as they are written.
#[derive(Serialize, Deserialize)]
struct Written {
    gap: Duration,
    greatest: Duration,
}

impl TryFrom<Written> for Session {
    type Error = Error;
    fn try_from(written: Written) -> Result<Self, Error> {
        Self::new(written.gap, written.greatest)
    }
}

impl From<Session> for Written {
    fn from(session: Session) -> Self {
        Self { gap: session.gap(), greatest: session.greatest() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_ends_a_session_and_so_does_a_cell() {
        let session = Session::new(Duration::from_secs(10), Duration::from_secs(100)).expect("sessions");
        let follows = |last, next| session.follows(Timestamp::from_seconds(last), Timestamp::from_seconds(next));
        assert!(follows(5, 5) && follows(5, 14) && !follows(5, 15) && !follows(5, 4));
        assert!(follows(95, 99) && !follows(95, 100));
    }
}
