//! One segment file: its blocks with footers, or its large frames with an index; and what a reader finds in them.

pub(crate) mod block;
pub(crate) mod block_ref;
pub(crate) mod blocks;
pub(crate) mod file;
pub(crate) mod identity;
pub(crate) mod neighbours;
pub(crate) mod sealed;
pub(crate) mod sealed_writer;
pub(crate) mod summary;
