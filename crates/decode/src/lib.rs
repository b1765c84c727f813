//! JSON events into typed Arrow columns, only those asked for.
//!
//! It stands between the store's blocks and the queries: [`table_schema`] says what a stream looks like as a table, a
//! [`Decoder`] turns a block's [`Events`] into one record batch of the required columns, in one walk through each event.
//! The events were checked when they entered the stream; here a missing or mistyped field is NULL, never an error.
//!
//! Text is not copied: it is views into the block's payload. **So one string keeps its whole block alive**, and each
//! text column reports the block's size as its own memory. What is kept for longer than the block (a group's key, a
//! result's row) must be copied out, by a cast, by `StringViewArray::gc` or by the row format.

mod decoder;
mod error;
mod events;
mod schema;
mod text;

pub use decoder::Decoder;
pub use error::Error;
pub use events::Events;
pub use schema::{DATA, EVENT_OFFSET, EVENT_TIME, RECEIVED_TIME, table_schema};
