//! The system's clock: the one place where Lakehead learns what time it is.

use std::{fmt, time::SystemTime};

use lakehead_model::{Clock, Timestamp};
use tracing_subscriber::fmt::{format::Writer, time::FormatTime};

/// The system's clock, UTC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 is not set at all; the store never lets received time run backwards anyway.
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// For the log: date and time to the second, UTC.
impl FormatTime for SystemClock {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let second = self.now().0.div_euclid(1_000_000);
        write!(writer, "{}", Timestamp::from_seconds(second))
    }
}
