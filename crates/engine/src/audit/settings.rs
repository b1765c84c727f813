//! When the background audit runs, and how much of the machine it takes.

use std::time::Duration;

use lakehead_model::ByteSize;

/// When the background audit runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditSettings {
    /// How often. `None`: never. Default: 1 h.
    pub every: Option<Duration>,
    /// How many bytes of events it reads a second at most. Default: 64 MiB, a few hundredths of a core at the rate at
    /// which zstd decompresses.
    pub bytes_per_second: ByteSize,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self { every: Some(Duration::from_secs(3600)), bytes_per_second: ByteSize::mib(64) }
    }
}
