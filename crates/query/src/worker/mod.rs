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
mod messages;
mod moment;
mod tables;
mod written;

pub use self::{
    answering::Worker,
    frame::{Channel, FRAME_BYTES_MAX, Frame, FrameKind},
    messages::{AnswerFormat, AnswerHead, Failure, MendedBy, Query, StatementPart, TableRequest},
    moment::{MOMENT_WAIT_MAX, Moment, OPEN_BYTES_MAX},
    tables::answer,
};
