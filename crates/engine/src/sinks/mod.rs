//! What is delivered to other systems: the sinks of a pipeline, each with a position of its own.
//!
//! ```text
//!   follow ─▶ deliver ─▶ route ─▶ lanes ─▶ the target
//!                │                  │
//!                └── progress ◀─────┘ answers          position_file, and dead letters in `rejects`
//! ```
//! The files: `planned` (whether a sink fits its pipeline), `position_file`, `begin` (where it begins), `progress`, `route`, `watch`
//! (what it tells), `course` (what it needs), `lanes`, `deliver`; `ready` makes one that can be connected.

pub(crate) mod begin;
pub(crate) mod course;
pub(crate) mod deliver;
pub(crate) mod lanes;
pub(crate) mod planned;
pub(crate) mod position_file;
pub(crate) mod progress;
pub(crate) mod ready;
pub(crate) mod route;
pub(crate) mod watch;

#[cfg(test)]
mod tests;
