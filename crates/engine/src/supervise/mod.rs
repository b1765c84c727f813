//! Supervision: what runs is kept running, and an error of one source never touches another.

mod decision;
mod sink;
mod source;

pub(crate) use self::{sink::supervise as supervise_sink, source::supervise};
