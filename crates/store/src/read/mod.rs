//! The read side of a stream: what is committed, where it is found, who reads it and who still needs it.

pub(crate) mod claims;
pub(crate) mod head;
pub(crate) mod location;
pub(crate) mod only;
pub(crate) mod packed;
pub(crate) mod pinned;
pub(crate) mod published;
pub(crate) mod read_side;
pub(crate) mod reader;
pub(crate) mod walks;
