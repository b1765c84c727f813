//! An EventStreams upstream for tests and demos, well-behaved or with faults.
//!
//! It speaks Wikimedia's protocol (EVENTSTREAMS.md, section 1) over its own small HTTP server, with events that a seeded
//! [`Generator`] makes or that were recorded. The N-th generated event is a pure function of the seed, N and the
//! settings, so every reader of the stream can be checked byte for byte. [`Faults`] lists what it does wrong on demand.
//!
//! It stands beside the pipeline, not in it: it knows the words of `lakehead-model`, the protocol of
//! `lakehead-eventstreams-wire` and nothing else of Lakehead. It is cheap, since it shares its processor with the program
//! under test: an event costs well under a microsecond to make.

mod active_faults;
mod admission;
mod change;
mod comment;
mod delivery;
mod digits;
mod error;
mod event;
mod faults;
mod feed;
mod generator;
mod http;
mod log;
mod mixed;
mod numbering;
mod options;
mod page;
mod page_create;
mod patch;
mod random;
mod recording;
mod routes;
mod simulator;
mod start;
mod timeline;
mod topic;
mod user;
mod wikis;
mod words;

pub use error::Error;
pub use faults::{At, Faults, SecondCluster, SecondWhen};
pub use generator::Generator;
pub use options::Options;
pub use simulator::{Simulator, Stats, StreamDescription};
