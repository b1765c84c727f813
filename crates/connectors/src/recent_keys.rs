//! The keys of the events that were taken last, up to a bound; and the log, read to fill it again.

use std::{
    collections::HashSet,
    hash::{BuildHasherDefault, Hasher},
};

use lakehead_connector_api::{Error, TailReader};
use lakehead_model::Offset;

use crate::event_key::Key;

/// Keys in one generation: what a hash table of 2^16 places holds at most, so that none is half empty. Two generations
/// are kept: between 57,344 and 114,688 keys, 2.1 MiB; at Wikimedia's 36 events/s the last 26 to 53 minutes. What an upstream
/// repeats after a reconnect, from whatever time, is looked up in the log.
pub(crate) const GENERATION_KEYS: usize = 7 << 13;

/// A set of keys.
pub(crate) type Keys = HashSet<Key, BuildHasherDefault<Folded>>;

/// Keys are random already (UUIDs of version 4, hashes); folding their halves is hash enough.
#[derive(Default)]
pub(crate) struct Folded(u64);

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
    fn write_u128(&mut self, key: u128) {
        #[allow(clippy::cast_possible_truncation)]
        let folded = (key >> 64) as u64 ^ key as u64;
        // UUIDs of version 1 (2019) differ in few bits; the multiplication spreads them over the high bits that the
        // table looks at.
        self.0 = folded.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// The keys of the events that passed last.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    newer: Keys,
    older: Keys,
}

impl Recent {
    /// Remembers `key`; false when it was remembered already.
    pub(crate) fn insert(&mut self, key: Key) -> bool {
        if self.older.contains(&key) || !self.newer.insert(key) {
            return false;
        }
        if self.newer.len() >= GENERATION_KEYS {
            self.older = std::mem::take(&mut self.newer);
        }
        true
    }

    pub(crate) fn contains(&self, key: Key) -> bool {
        self.newer.contains(&key) || self.older.contains(&key)
    }
}

/// Calls `event` with every committed event of `[from, to)`, in order.
pub(crate) async fn each_event(
    tail: &mut dyn TailReader,
    from: Offset,
    to: Offset,
    mut event: impl FnMut(&[u8]) + Send,
) -> Result<(), Error> {
    let mut next = from;
    while next < to {
        let read = tail.read(next, to).await?;
        read.events.iter().for_each(|(_, bytes)| event(bytes));
        next = read.next;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_keys_are_remembered_up_to_the_bound() {
        let mut recent = Recent::default();
        let key = |n: u128| Key(n << 40 | n);
        for n in 0..2_000_000 {
            assert!(recent.insert(key(n)));
            assert!(!recent.insert(key(n)));
        }
        assert!(recent.newer.len() + recent.older.len() <= 2 * GENERATION_KEYS);
        assert!((2_000_000 - GENERATION_KEYS as u128..2_000_000).all(|n| recent.contains(key(n))));
        assert!(!recent.contains(key(0)));
    }
}
