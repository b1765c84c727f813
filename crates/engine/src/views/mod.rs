//! Keeps the views of one stream up to date: reads the log, decodes once for all of them, commits now and then.
//!
//! ```text
//!   log ──▶ log reader: micro-batches, decoded and aggregated by several threads ─▶ live: apply, publish, commit
//!    │                                                                        ▲ joins when it has come near
//!    └────▶ log reader of its own, with threads that yield ────────────────▶ build
//! ```
//!
//! Every view has its own offset. Those at the head of the log, or near it, are live and run together; one that is far
//! behind, such as a new view on an old stream, is built beside them and joins them at an exact offset. Parsing is
//! shared: the columns that any view of a log reader asks for are decoded once.
//!
//! The files, each standing on those before it: `bounds`; `decode_plan`, `batch_builder` and `log_reader`; one view: `note`,
//! `left_out`, `catch_up`, `member`; several: `group`, `registry`, `cutover`, `live`, `build`; all views of a stream: `interim`
//! and `opening`; of all streams: `roster`; those that this process keeps: `running`.

mod batch_builder;
mod bounds;
mod build;
mod catch_up;
mod cutover;
mod decode_plan;
mod group;
mod interim;
mod left_out;
mod live;
mod log;
mod log_reader;
mod member;
mod note;
mod opening;
mod priority;
mod progress;
mod registry;
mod roster;
mod running;

pub(crate) use self::{
    bounds::Bounds,
    catch_up::catch_up,
    roster::{ViewGroup, ViewRoster},
    running::{RunningViews, Surroundings, start},
};

#[cfg(test)]
mod tests;
