//! An EventStreams upstream for tests and demos, well-behaved or with faults.

mod comment;
mod digits;
mod event;
mod generator;
mod log;
mod page;
mod random;
mod timeline;
mod user;
mod wikis;
mod words;

pub use generator::Generator;
