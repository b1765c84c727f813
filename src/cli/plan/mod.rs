//! `lakehead plan`: what a start of a pipeline would find, found out before it: sources are connected and asked for a few events,
//! these go through every stage, sinks are asked whether they are there. Nothing is written and nothing acknowledged.
//!
//! Exit code 0 when nothing was found that would fail, 1 when something would, 2 when the pipeline is wrong.

mod command;
mod report;
mod secrets;

pub(super) use command::{Arguments, run};
