//! The clock of what is only read: nothing is ever received.

use lakehead_model::{Clock, Timestamp};

/// Always shows the same time.
#[derive(Debug)]
pub(crate) struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
}
