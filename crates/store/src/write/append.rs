//! What is appended, and what is answered when it is kept.

use lakehead_model::{Cursor, EventBatch, Name, Offset, Timestamp};

use crate::error::Error;

/// Greatest size of one append: it is never split over blocks, and a block is handled in memory.
const APPEND_BYTES_MAX: usize = 256 << 20;
/// Greatest length of a cursor's position; it is repeated in every footer.
const POSITION_BYTES_MAX: usize = 64 << 10;
/// Greatest length of an idempotency key.
const KEY_BYTES_MAX: usize = 1 << 10;
/// Greatest number of keys with one append.
const KEYS_MAX: usize = 4096;

/// What is to be kept: events, and how far their source has got with them. Kept together or not at all.
#[derive(Clone, Debug)]
pub struct Append {
    /// Who brings them; the cursor is kept under this name.
    pub source: Name,
    /// The events. May be empty: the cursor then moves past events that were filtered, refused or seen before.
    pub events: EventBatch,
    /// Where the source stands after these events.
    pub cursor: Option<Cursor>,
    /// Idempotency keys that came with these events.
    pub keys: Vec<String>,
    /// Whether someone waits for the answer: the block then closes early.
    pub urgent: bool,
}

/// The answer to an append that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The offset of its first event; of the next event to come when it had none.
    pub first_offset: Offset,
    /// How many events it had.
    pub count: u32,
    /// The received time they all have.
    pub received_time: Timestamp,
}

impl Append {
    /// Bytes of what it brings.
    pub(crate) fn bytes(&self) -> usize {
        self.events.payload().len()
            + self.cursor.as_ref().map_or(0, |cursor| cursor.position.len())
            + self.keys.iter().map(String::len).sum::<usize>()
    }

    /// Whether it keeps within the bounds.
    ///
    /// # Errors
    /// `Invalid`, naming the bound.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let bytes = self.events.payload().len();
        if bytes > APPEND_BYTES_MAX {
            return Err(Error::Invalid(format!(
                "{bytes} bytes of events in one append from {}: at most {APPEND_BYTES_MAX}",
                self.source
            )));
        }
        if let Some(cursor) = self.cursor.as_ref().filter(|c| c.position.len() > POSITION_BYTES_MAX) {
            let bytes = cursor.position.len();
            return Err(Error::Invalid(format!(
                "the cursor of source {} has {bytes} bytes: at most {POSITION_BYTES_MAX}",
                self.source
            )));
        }
        if self.keys.len() > KEYS_MAX || self.keys.iter().any(|key| key.len() > KEY_BYTES_MAX) {
            return Err(Error::Invalid(format!(
                "idempotency keys from {}: at most {KEYS_MAX} of at most {KEY_BYTES_MAX} bytes each with one append",
                self.source
            )));
        }
        Ok(())
    }
}
