//! The read side of a stream, shared by its readers, its writer and its maintenance: what is committed, and who needs it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use lakehead_model::Offset;
use tokio::sync::watch;

use crate::{
    disk::log_files::LogFiles,
    error::Error,
    read::{block_cache::BlockCache, claims::Claims, published::Published},
    segment::{block_ref::BlockRef, file::Segment},
};

/// What the readers of one stream share.
#[derive(Debug)]
pub(crate) struct ReadSide {
    pub(crate) log: LogFiles,
    published: Mutex<Published>,
    /// The offset after the last committed event; set at every commit.
    pub(crate) committed: watch::Sender<Offset>,
    pub(crate) claims: Claims,
    /// For a stream that is read as another process told it: what was found in its last segment before.
    block_cache: Option<BlockCache>,
}

impl ReadSide {
    pub(crate) fn new(log: LogFiles, published: Published) -> Self {
        let committed = watch::Sender::new(published.log_end.next_offset);
        Self { log, published: Mutex::new(published), committed, claims: Claims::default(), block_cache: None }
    }

    /// The read side of a stream as another process told it.
    pub(crate) fn pinned(log: LogFiles, published: Published, block_cache: BlockCache) -> Self {
        Self { block_cache: Some(block_cache), ..Self::new(log, published) }
    }

    // A panic under this lock can only come from a defect; what is published before it is still true.
    pub(crate) fn published(&self) -> MutexGuard<'_, Published> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The blocks of a segment that is not sealed, those that end at or before byte `end`.
    pub(crate) fn block_refs(&self, segment: &Segment, end: u64) -> Result<Vec<BlockRef>, Error> {
        let is_last = || self.published().segments().last().is_some_and(|last| last.at == segment.at);
        match &self.block_cache {
            Some(block_cache) if is_last() => block_cache.block_refs(&self.log.name, segment, end),
            _ => Ok(segment.walk(end)?.block_refs),
        }
    }
}
