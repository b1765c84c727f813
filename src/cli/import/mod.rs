//! `lakehead import`: JSON lines from files, folders or standard input into a stream, each line once.
//!
//! ```text
//! reading thread: file → decompressed → runs of whole lines ──▶ validated, event times → the stream, with the cursor
//! ```
//!
//! Where a process runs on the data directory, the runs are handed to it over HTTP, each with the cursor that it must
//! find. Either way the cursor is kept in the same block as the lines it covers, so an import that is broken off at any
//! moment goes on, started again with the same arguments, behind the last line that was kept.

mod arguments;
mod command;
mod cursor;
mod destination;
mod input;
mod reader;

pub(super) use arguments::Arguments;
pub(super) use command::run;
