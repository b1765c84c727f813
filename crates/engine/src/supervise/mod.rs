//! Supervision: what runs is kept running, and an error of one source never touches another.

mod decision;
mod source;

pub(crate) use self::source::supervise;
