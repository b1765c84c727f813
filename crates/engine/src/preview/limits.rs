//! How much a look before the start takes, and how long it waits.

use std::time::Duration;

/// How much is looked at, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreviewLimits {
    /// The longest wait for each source and each sink; all of them wait at the same time. Default: 10 s.
    pub wait: Duration,
    /// The most events of a source that are looked at, of each stream that it feeds. Default: 10.
    pub events: usize,
}

impl PreviewLimits {
    /// The longest wait that may be asked for: ten minutes, which no healthy source keeps silent before a start that somebody
    /// sits and waits for.
    pub const WAIT_MAX: Duration = Duration::from_secs(600);

    /// The most events that may be asked for: 10,000, enough for every count here; what they become is held in memory.
    pub const EVENTS_MAX: usize = 10_000;
}

impl Default for PreviewLimits {
    fn default() -> Self {
        Self { wait: Duration::from_secs(10), events: 10 }
    }
}
