//! What the run of a source promises, with a real store.
