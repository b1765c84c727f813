//! Which statements took long before: these wait for a long place from the start, so that twenty of them at once are in
//! nobody's way but each other's.

use std::{
    collections::{HashMap, VecDeque, hash_map::RandomState},
    hash::BuildHasher,
    sync::Mutex,
};

use crate::sync::lock;

/// Statements that are remembered, by some 32 bytes each; the one that has been known longest gives way.
const TEXTS_MAX: usize = 1_024;

/// A statement as it is remembered. The hash is keyed anew in each process: nobody can make two that meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Text(u64);

/// The statements that took long when they last ran.
#[derive(Debug, Default)]
pub(super) struct Familiar {
    hasher: RandomState,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Each with the number under which it stands in `order`.
    long: HashMap<Text, u64>,
    order: VecDeque<(u64, Text)>,
    next: u64,
}

impl Familiar {
    pub(super) fn text(&self, sql: &str) -> Text {
        Text(self.hasher.hash_one(sql))
    }

    pub(super) fn is_long(&self, text: Text) -> bool {
        lock(&self.known).long.contains_key(&text)
    }

    pub(super) fn took_long(&self, text: Text) {
        let known = &mut *lock(&self.known);
        known.next += 1;
        known.long.insert(text, known.next);
        known.order.push_back((known.next, text));
        while known.order.len() > TEXTS_MAX {
            let Some((number, oldest)) = known.order.pop_front() else { break };
            if known.long.get(&oldest) == Some(&number) {
                known.long.remove(&oldest);
            }
        }
    }

    /// It took long before, and no longer does.
    pub(super) fn was_quick(&self, text: Text) {
        lock(&self.known).long.remove(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_long_is_known_until_it_is_quick_or_many_others_came() {
        let familiar = Familiar::default();
        let text = familiar.text("SELECT 1");
        assert!(!familiar.is_long(text));
        familiar.took_long(text);
        assert!(familiar.is_long(text) && !familiar.is_long(familiar.text("SELECT 2")));
        familiar.was_quick(text);
        assert!(!familiar.is_long(text));
        familiar.took_long(text);
        (0..2 * TEXTS_MAX).for_each(|n| familiar.took_long(familiar.text(&n.to_string())));
        assert!(!familiar.is_long(text));
        let known = lock(&familiar.known);
        assert!(known.long.len() <= TEXTS_MAX && known.order.len() <= TEXTS_MAX);
    }

    #[test]
    fn one_that_comes_again_stays() {
        let familiar = Familiar::default();
        let text = familiar.text("SELECT 1");
        for n in 0..2 * TEXTS_MAX {
            familiar.took_long(familiar.text(&n.to_string()));
            if n % 100 == 0 {
                familiar.took_long(text);
            }
        }
        assert!(familiar.is_long(text));
    }
}
