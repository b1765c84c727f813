//! Pacing: how fast a background reader may read the log, and when it must stop.

/// What an audit says that was told to stop.
pub(crate) const STOPPED: &str = "the audit was stopped";

/// Slows an audit down so that the live path does not feel it, and stops it.
pub trait Pace: Send + Sync {
    /// `bytes` of events were read. May block for a while. False: stop.
    fn read(&self, bytes: u64) -> bool;
}
