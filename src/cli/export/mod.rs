//! `lakehead export`: a stream as it was received, or what SQL asks for, to JSON lines or Parquet, of any length.
//!
//! It reads the files, also while a process writes them: opening for reading ignores a torn tail, takes no lock, and costs
//! the running process nothing. What it may see in advance is a last block that is written and not yet synced. Rows pass
//! through a few at a time. The file gets its name when it is whole.

mod arguments;
mod command;
mod compressed;
mod statement;

pub(super) use arguments::Arguments;
pub(super) use command::run;
