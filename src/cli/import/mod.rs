//! `lakehead import`: JSON lines from files, folders or standard input into a stream, each line once.
//!
//! ```text
//! the source `file`: files → lines ─▶ checked chunks ─▶ the stream, each with the cursor    where no process runs
//!                             └─────▶ HTTP ─▶ checked chunks ─▶ the same                     where one does
//! ```
//!
//! It drives the source `file`, as a pipeline does, over files that it finds itself, since it knows the data directory. A running
//! process must check whatever it is sent, so it gets the lines as they were read and makes the chunks itself, by the same check;
//! each request carries the cursor that the process must find. Either way the cursor is kept in the same block as the lines it
//! covers, so an import that is broken off at any moment goes on, started again with the same arguments, behind the last line
//! that was kept.

mod arguments;
mod command;
mod destination;
mod input;
mod names;

pub(super) use arguments::Arguments;
pub(super) use command::run;
