//! Which Lakehead this is.

/// Lakehead's version, for people and for the status.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version with the commit that it was built from, where that is known: `0.1.0 (ce3618b)`.
pub(crate) const VERSION_AND_COMMIT: &str = concat!(env!("CARGO_PKG_VERSION"), env!("LAKEHEAD_COMMIT"));
