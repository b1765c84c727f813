//! How much of a view is audited, and how fast.

use std::{collections::HashSet, sync::Arc};

use lakehead_model::Timestamp;

use crate::pace::Pace;

/// How much of a view is audited, and how.
#[derive(Clone)]
pub struct Extent {
    /// Only windows that begin at or after this are compared; the balance then cannot be struck.
    pub since: Option<Timestamp>,
    /// Result files that were compared before and need not be again, by their paths' last part.
    pub known: Arc<HashSet<String>>,
    /// Threads that read and count.
    pub threads: usize,
    /// Rows that are compared at once, unless one window has more, or one result period of sessions. Each takes about half a
    /// KiB; fewer rows mean that the log is read more often.
    pub rows_at_once: u64,
    /// How fast.
    pub pace: Arc<dyn Pace>,
}
