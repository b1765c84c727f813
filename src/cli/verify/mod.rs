//! `lakehead verify`: proves that upstream, log and views add up, or says where they do not.
//!
//! A process that runs on the directory is asked; without one the files are read. Exit code 0 when everything adds up,
//! 3 when anything does not.

mod command;
mod report;

pub(super) use command::{Arguments, run};
