//! The faults of a running simulator: which are set, and which have struck and are not to strike again.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use crate::faults::{At, Faults};

/// Faults with a memory.
#[derive(Debug)]
pub(crate) struct ActiveFaults {
    pub(crate) set: Faults,
    /// Which fault has struck at which event.
    struck: Mutex<HashSet<(&'static str, u64)>>,
}

impl ActiveFaults {
    pub(crate) fn new(set: Faults) -> Self {
        Self { set, struck: Mutex::default() }
    }

    /// Whether the fault of this name, which is to strike `at` these events, strikes at event `n` for the first time.
    pub(crate) fn strikes_once(&self, name: &'static str, at: &At, n: u64) -> bool {
        // The set is whole at every moment, so a panic elsewhere does not spoil it.
        at.strikes(n) && self.struck.lock().unwrap_or_else(PoisonError::into_inner).insert((name, n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strikes_once_strikes_each_event_once() {
        let faults = ActiveFaults::new(Faults::default());
        let at = At::Every(3);
        let strikes = |n| faults.strikes_once("hole-once", &at, n);
        assert_eq!([3, 4, 3, 6].map(strikes), [true, false, false, true]);
        assert!(faults.strikes_once("silence", &at, 3), "each fault by itself");
    }
}
