//! The chunk in the making: answers that come shortly after one another are handed over together, under one cursor.
//!
//! A cursor of many requests is larger than most answers, and would be written beside each of them.

use std::time::Duration;

use lakehead_connector_api::Chunk;
use lakehead_model::{Cursor, Reject};
use tokio::time::Instant;

use super::cursor::PollCursor;

/// Events handed over at once: what the contract of a source asks for.
const CHUNK_BYTES: usize = 256 << 10;

/// Most rejects of a chunk, and most bytes that their payloads hold on to.
const REJECTS_MAX: usize = 1_000;
const REJECT_BYTES_MAX: usize = 4 << 20;

/// The longest that an answer waits for others.
const GATHERED_FOR: Duration = Duration::from_secs(10);

/// What came and was not handed over yet.
#[derive(Default)]
pub(super) struct Gathering {
    chunk: Chunk,
    reject_bytes: usize,
    /// When the first of it came.
    since: Option<Instant>,
}

impl Gathering {
    /// There is something to hand over, be it that a request was answered as before.
    pub(super) fn begin(&mut self, at: Instant) {
        self.since.get_or_insert(at);
    }

    /// An event, on one line. The engine reads its time, by the stream's rule.
    pub(super) fn event(&mut self, event: &[u8]) {
        self.chunk.events.push(event, None);
    }

    pub(super) fn reject(&mut self, reject: Reject) {
        self.reject_bytes += reject.payload.len();
        self.chunk.rejects.push(reject);
    }

    /// So many more were refused, for which an entry before stands.
    pub(super) fn refused_more(&mut self, count: u64) {
        self.chunk.refused_more += count;
    }

    /// So many came again.
    pub(super) fn duplicates(&mut self, count: usize) {
        self.chunk.duplicates += count as u64;
    }

    /// It holds as much as may be handed over at once.
    pub(super) fn is_full(&self) -> bool {
        self.chunk.events.payload().len() >= CHUNK_BYTES
            || self.chunk.rejects.len() >= REJECTS_MAX
            || self.reject_bytes >= REJECT_BYTES_MAX
    }

    /// When it is handed over at the latest; `None` while there is nothing.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.since.map(|since| since + GATHERED_FOR)
    }

    /// All of it, with the cursor that covers it.
    pub(super) fn take(&mut self, cursor: &PollCursor) -> Chunk {
        let Self { mut chunk, .. } = std::mem::take(self);
        chunk.cursor = Some(Cursor { position: cursor.text().into(), progress: None });
        chunk
    }
}
