//! The write side of a stream, in the order of an append's way: handed over, queued, gathered into a block, compressed, written
//! at the segment's end, synced, published.

pub(crate) mod append;
pub(crate) mod appender;
pub(crate) mod block_builder;
pub(crate) mod command;
pub(crate) mod commit;
pub(crate) mod committer;
pub(crate) mod compressor;
pub(crate) mod health;
pub(crate) mod queue;
pub(crate) mod segments;
pub(crate) mod threads;
pub(crate) mod ticket;
pub(crate) mod write_side;
pub(crate) mod writer;
