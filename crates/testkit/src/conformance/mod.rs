//! The suites that connectors pass: what they promise, seen from outside.
//!
//! They live here and not beside the traits since they need a log and a clock to hand to a connector, and connector-api
//! stands below both.

mod registration;
mod sink;
mod source;

pub use self::sink::{Behaviour, POISON, Target, sink};
pub use self::source::{source, source_of_an_upstream_used_up, source_of_streams, source_that_ends};
