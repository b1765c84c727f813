//! The whole source against feeds in memory: well-behaved, cut at any byte, and hostile.

mod answers;
mod hostile;
mod ids;
mod resume;
mod world;
