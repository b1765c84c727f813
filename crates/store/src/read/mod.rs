//! The read side of a stream: what is committed, where it is found, who reads it and who still needs it.

pub(crate) mod block_cache;
pub(crate) mod block_filter;
pub(crate) mod claims;
pub(crate) mod encoded_blocks;
pub(crate) mod location;
pub(crate) mod log_head;
pub(crate) mod pinned;
pub(crate) mod published;
pub(crate) mod read_side;
pub(crate) mod reader;
