//! For tests only: a clock that is set by hand, a log's tail in memory, an upstream that misbehaves byte by byte, recorded
//! events, and what serde_json reads of an event.
//!
//! Nothing in here waits, chooses a port or touches the network beyond 127.0.0.1. No crate depends on it but for its
//! tests. The suites that connectors have to pass are here too, in [`conformance`]: they need a log and a clock, which
//! connector-api has no business with.

mod clock;
pub mod conformance;
pub mod oracle;
pub mod recordings;
mod tail;
mod upstream;

pub use clock::ManualClock;
pub use tail::VecTail;
pub use upstream::{Act, Upstream};
