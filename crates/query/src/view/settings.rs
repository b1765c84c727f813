//! What a user may set for a view.

use std::time::Duration;

use lakehead_model::Offset;
use serde::{Deserialize, Serialize};

/// What becomes of an event whose window was already emitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Late {
    /// The window is corrected and its file rewritten.
    #[default]
    Correct,
    /// It is counted and left out.
    Drop,
}

/// What a user may set for a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewSettings {
    /// How far the watermark stays behind. Default: 60 s; recorded events come at most 64 s late, 99.9 % within 18 s.
    pub watermark_delay: Duration,
    /// How long after its end a window can still be corrected. Default: 24 h.
    pub lateness: Duration,
    /// What becomes of late events.
    pub late: Late,
    /// Most memory that its open windows may take, in bytes. Default: 1 GiB, some ten million short groups; beyond it the
    /// view stands still with a clear error rather than take the machine down.
    pub state_bytes_max: usize,
    /// Most bytes of changes that are kept for followers who have not read them yet. Default: 1 GiB, a day of commits every ten
    /// seconds that change a thousand short rows each. It changes no answer.
    pub changes_bytes_max: u64,
    /// The first offset that the log still holds. Where results come from events before it, a rebuild sets them aside in the
    /// quarantine: nobody can make them again. Default: 0, the whole log.
    pub log_start: Offset,
}

impl Default for ViewSettings {
    fn default() -> Self {
        Self {
            watermark_delay: Duration::from_secs(60),
            lateness: Duration::from_secs(24 * 3600),
            late: Late::Correct,
            state_bytes_max: 1 << 30,
            changes_bytes_max: 1 << 30,
            log_start: Offset(0),
        }
    }
}
