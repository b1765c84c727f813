//! The EventStreams protocol between a server and its client: each part is read and written here, and nowhere else.
//!
//! ```text
//! client                                                server
//!   GET /v2/stream/recentchange?since=1630070417001       since.rs
//!   last-event-id: [{"topic":…,"partition":0,…}]  ──▶     assignment.rs
//!                                                 ◀──     event: message      write.rs, parser.rs
//!                                                         id: [{"topic":…}]   assignment.rs
//!                                                         data: {…}
//! ```
//!
//! Frames are those of Server-Sent Events (HTML Living Standard, section 9.2). What their ids say, and how a client asks
//! for a position, is KafkaSSE's way, which Wikimedia's EventStreams serves. Everything here is a function of bytes: the
//! crate opens no connection, and what a position means to a server or a client is their business.

mod assignment;
mod frame;
mod http;
mod parser;
mod since;
pub mod write;

pub use assignment::{Assignment, Entry, Position, TopicPartition, read_id, read_last_event_id, write_assignments};
pub use frame::{Data, Frame, HEAD_BYTES};
pub use http::{LAST_EVENT_ID, MEDIA_TYPE, MEDIA_TYPE_UTF8, SINCE, is_event_stream};
pub use parser::{Parser, is_only_comments};
pub use since::{read_since, write_since};
