//! SQL that comes from outside, answered by another process.
//!
//! Planning can grow without bound, a deep expression can exhaust a stack and one call of a function can fill memory; none
//! of that can be stopped from within. So the text is parsed, planned and run in a process of its own, which may die of it
//! ([the decision](../../../../docs/decisions/0016-sql-from-outside-runs-in-a-worker-process.md)). Here are both ends of
//! the conversation; the processes, their limits and their number are the engine's.
//!
//! ```text
//!   the process that has the lake                     the worker
//!   Query   { sql, form, rows, threads }        ──►   parses
//!                                               ◄──   Ask     { names }
//!   Tables  { each: files, as of one moment },        plans, runs, collects the rows
//!   Rows    each view's rows that no file holds ──►
//!                                               ◄──   Head    { rows, truncated, warnings }
//!                                               ◄──   Data    the answer's bytes, bit by bit
//!                                               ◄──   Done, or Failed at any point
//! ```
//!
//! The worker reads the log and the result files itself, those that it was told and not one byte more. What it is told is
//! pinned ([`Moment`]) for as long as it reads.

mod answering;
mod frame;
mod moment;
mod tables;
mod written;

use serde::{Deserialize, Serialize};

use crate::{Answer, Error};

pub use self::{
    answering::Worker,
    frame::{Channel, FRAME_BYTES_MAX, Frame, FrameKind},
    moment::{MOMENT_WAIT_MAX, Moment, OPEN_BYTES_MAX},
};

/// The longest message of an error.
const MESSAGE_BYTES_MAX: usize = 4 << 10;

/// In which form the answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// One JSON array of objects.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values with a header line.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
}

/// What is asked of a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Query {
    /// One SELECT.
    pub sql: String,
    /// How the answer is written.
    pub form: Form,
    /// Most rows; what is more is cut off, and the head says so.
    pub rows: usize,
    /// Threads of the query.
    pub threads: usize,
    /// Which part of `sql` somebody wrote, when Lakehead wrote the rest.
    #[serde(default)]
    pub part: Option<Part>,
}

/// A text that stands in a longer one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The text.
    pub text: String,
    /// The character in the longer one's first line at which it begins.
    pub start: usize,
}

/// The tables that a query names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Their names, as they stand in the query.
    pub names: Vec<String>,
}

/// What is known of an answer before its first byte.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// How many rows it has.
    pub rows: usize,
    /// Whether there are more, which were cut off.
    pub truncated: bool,
    /// What whoever reads it must know.
    pub warnings: Vec<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Who can mend it.
    pub mends: Mends,
    /// What is wrong.
    pub what: String,
}

/// Who can mend a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mends {
    /// The SQL must change.
    Sql,
    /// It must ask for less.
    Limit,
    /// Nobody, or whoever runs this.
    Nobody,
}

/// The answer in the bytes that [`Form::Arrow`] is written as.
///
/// # Errors
/// When they are not such.
pub fn answer(bytes: Vec<u8>, head: &Head) -> Result<Answer, Error> {
    let (schema, batches) = tables::read(bytes)?;
    Ok(Answer { schema, batches, truncated: head.truncated, warnings: head.warnings.clone() })
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mends = match &error {
            Error::Limit(_) => Mends::Limit,
            error if error.is_of_statement() => Mends::Sql,
            _ => Mends::Nobody,
        };
        let mut what = error.to_string();
        if what.len() > MESSAGE_BYTES_MAX {
            // A message may quote a whole plan.
            what.truncate((0..=MESSAGE_BYTES_MAX).rev().find(|at| what.is_char_boundary(*at)).unwrap_or(0));
            what.push_str(" …");
        }
        Self { mends, what }
    }
}
