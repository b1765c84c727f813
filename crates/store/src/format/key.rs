//! Idempotency keys, as footers and indexes carry them.

use std::sync::Arc;

use lakehead_model::Offset;

/// How many of the last idempotency keys are remembered: an hour of one push every 55 ms.
pub(crate) const KEYS_RECENT_MAX: usize = 65_536;

/// The answer that an append with an idempotency key got; the same key again gets the same answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key, as the client chose it. At most 1 KiB.
    pub key: Arc<str>,
    /// The first offset of the events that came with it.
    pub first_offset: Offset,
    /// How many events came with it.
    pub count: u32,
}
