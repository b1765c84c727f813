//! A connection that brings Server-Sent Events, for every source that reads them: the request, the answer that is a stream or is
//! none, the bytes that come, and when they count as silence. What events mean and where to resume is the source's affair.
//!
//! ```text
//! link: request ─▶ answer ─┬─▶ a stream: bytes ─ gunzip ─▶ pieces ─▶ frames (lakehead-eventstreams-wire)
//!                          └─▶ no_stream: what to do next
//! ```

mod gunzip;
mod link;
mod no_stream;

pub(crate) use self::link::{Dialed, Heard, Link, client};
