//! The nouns of Lakehead: events, offsets, time, cursors, columns, sizes and kinds of error.
//!
//! Every other crate stands on this one, and it stands on nothing of ours. It does no I/O and never reads a clock:
//! times come in as arguments, and [`Clock`] is only the promise that something above can tell the time.

mod batch;
mod columns;
mod cursor;
pub mod hint;
mod kind;
pub mod mediawiki_history;
mod name;
mod offset;
mod position;
mod refusals;
mod reject;
mod size;
mod span;
mod time;

pub use batch::{APPEND_EVENTS_MAX, EVENT_BYTES_MAX, EventBatch};
pub use columns::{Column, ColumnType, EventTimeRule, READING, StreamSchema, TimeFormat, TimeRule};
pub use cursor::Cursor;
pub use kind::Kind;
pub use name::{Name, NameError};
pub use offset::Offset;
pub use position::Position;
pub use refusals::Refusals;
pub use reject::Reject;
pub use size::ByteSize;
pub use span::Span;
pub use time::{Clock, TimeRange, Timestamp};
