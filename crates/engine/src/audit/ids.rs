//! The ids that came lately, in bounded memory: two generations, of which the older is forgotten when the newer is full.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
};

/// The ids of the last events, as hashes.
pub(super) struct Ids {
    newer: HashSet<u64>,
    older: HashSet<u64>,
    generation: usize,
    forgot: bool,
}

impl Ids {
    /// Remembers the last `generation` ids, and at most twice as many. A hash table takes 9 bytes for each of its places, is
    /// filled to seven eighths and then doubled: seven times a power of two wastes none.
    pub(super) fn new(generation: usize) -> Self {
        Self { newer: HashSet::new(), older: HashSet::new(), generation: generation.max(1), forgot: false }
    }

    /// Remembers an id, together with `what` it stands in; false when it is known.
    pub(super) fn insert(&mut self, id: &[u8], what: &[u8]) -> bool {
        let mut hasher = DefaultHasher::new();
        (id, what).hash(&mut hasher);
        let id = hasher.finish();
        if self.older.contains(&id) || !self.newer.insert(id) {
            return false;
        }
        if self.newer.len() >= self.generation {
            std::mem::swap(&mut self.newer, &mut self.older);
            self.forgot |= !self.newer.is_empty();
            self.newer.clear();
        }
        true
    }

    /// How far apart two that are alike may be and are found.
    pub(super) fn reach(&self) -> usize {
        self.generation
    }

    /// Whether some were forgotten.
    pub(super) fn forgot(&self) -> bool {
        self.forgot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_known_and_earlier_ones_are_said_to_be_forgotten() {
        let mut ids = Ids::new(7);
        let id = |n: u32| n.to_le_bytes();
        for n in 0..1_000 {
            assert!(ids.insert(&id(n), b""), "{n} is new");
            assert!(ids.newer.len() + ids.older.len() < 14, "no more than two generations");
            for before in n.saturating_sub(6)..=n {
                assert!(!ids.insert(&id(before), b""), "{before} is known after {n}");
            }
            assert_eq!(ids.forgot(), n >= 13, "after {n}");
        }
        assert!(ids.insert(&id(999), b"in another event"));
    }
}
