//! Bodies of requests: read within bounds on size, time and memory.

mod arriving;
mod coding;
mod memory;
mod small;

pub(crate) use arriving::{Arriving, BYTES_PER_SECOND_MIN, PATIENCE_MAX};
pub(crate) use memory::BodyMemory;
pub(crate) use small::{BODY_TIME_MAX, Key, read_object, read_small};
