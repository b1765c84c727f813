//! The whole source against an upstream in memory.

mod answers;
mod kafka;
mod repeats;
mod resume;
mod several;
mod world;
