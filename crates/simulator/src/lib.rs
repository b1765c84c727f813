//! An EventStreams upstream for tests and demos, well-behaved or with faults.
//!
//! It speaks Wikimedia's protocol (EVENTSTREAMS.md, section 1) over its own small HTTP server, with events that a seeded
//! [`Generator`] makes or that were recorded. The N-th generated event is a pure function of the seed, N and the
//! settings, so whoever reads the stream can be checked byte for byte. [`Faults`] lists what it does wrong on demand.
//!
//! It stands beside the pipeline, not in it: it knows the words of `lakehead-model` and nothing else of Lakehead. It is
//! cheap, since it shares its processor with the program under test: an event costs well under a microsecond to make.

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
mod page;
mod patch;
mod position;
mod random;
mod recording;
mod routes;
mod simulator;
mod timeline;
mod user;
mod wikis;
mod words;

pub use error::Error;
pub use faults::{At, Faults, Second, SecondCluster};
pub use generator::Generator;
pub use simulator::{Options, Simulator, Stats, StreamDescription};
