//! How far a source has got, in the source's own terms.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// How far a source has got. It is written in the same block as the events it covers, by the same write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The position in the source's own terms: JSON text that only the source reads. At most 64 KiB.
    pub position: Arc<str>,
    /// The event time up to which the source has, as far as it knows, brought everything: the least over its upstream
    /// partitions that are not idle of the greatest event time seen. `None` while it cannot tell. A view's watermark
    /// is this less the view's delay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Timestamp>,
}
